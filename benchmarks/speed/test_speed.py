"""What a user waits for, piece by piece, in one process: what ``benchmarks/against.py`` holds two trees to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import initlint
from initlint.source.reader import read

torch = pytest.importorskip("torch")
nn = torch.nn

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").rglob("*.py"))
SOURCES = [(path.read_bytes(), str(path)) for path in EXAMPLES]
Measured = Callable[..., object]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Torch on one thread: with more, the machine's other work is measured."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _net() -> Any:
    layers = [part for _ in range(12) for part in (nn.Linear(64, 64), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(64, 10))


def _convolutions() -> Any:
    blocks = [part for _ in range(8) for part in (nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU())]
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10)
    )


def test_reading(benchmark: Measured) -> None:
    benchmark(lambda: [read(data, path) for data, path in SOURCES])


def test_static_check(benchmark: Measured, tmp_path: Path) -> None:
    for number, (data, _) in enumerate(SOURCES):
        (tmp_path / f"model_{number}.py").write_bytes(data)
    benchmark(lambda: initlint.check([str(tmp_path)], static=True, jobs=1))


def test_audit_of_linear_layers(benchmark: Measured) -> None:
    batch = torch.randn(64, 64)
    benchmark(lambda: initlint.audit(_net, batch))


def test_audit_of_convolutions(benchmark: Measured) -> None:
    batch = torch.randn(8, 3, 32, 32)
    benchmark(lambda: initlint.audit(_convolutions, batch))


def test_audit_without_weights(benchmark: Measured) -> None:
    batch = torch.randn(64, 64)
    benchmark(lambda: initlint.audit(_net, batch, meta=True))
