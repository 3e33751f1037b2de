"""Several seeds tell luck from design; several widths tell what grows with the model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

pytestmark = pytest.mark.torch

MODEL = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width=32, std=0.1):
        super().__init__()
        self.stem = nn.Linear(16, width)
        self.body = nn.Linear(width, width)
        self.head = nn.Linear(width, 4)
        nn.init.normal_(self.body.weight, std=std)

    def forward(self, x):
        return self.head(torch.relu(self.body(torch.relu(self.stem(x)))))


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(16, 4)

    def forward(self, x):
        return self.fc(x)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(MODEL)


def flawed_with(*seeds: int) -> type:
    """A class whose first layer is closed for good when it is built with one of these seeds."""
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(16, 32)
            self.b = nn.Linear(32, 4)
            if torch.initial_seed() in seeds:
                nn.init.zeros_(self.a.weight)
                nn.init.zeros_(self.a.bias)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.b(torch.relu(self.a(x)))

    return Net


@pytest.mark.parametrize(
    ("seeds", "severity", "shown"),
    [((0, 1, 2), "error", "3 of 3"), ((1, 2), "warning", "2 of 3"), ((0,), None, None), ((2,), None, None)],
)
def test_what_most_seeds_show_is_told(seeds: tuple[int, ...], severity: str | None, shown: str | None) -> None:
    from initlint import audit

    report = audit(flawed_with(*seeds), seeds=3, select="INI101")
    assert [(f.severity.label, f.evidence["seeds"]) for f in report.findings] == ([(severity, shown)] if shown else [])
    luck = [note for note in report.notes if "1 of 3 seeds" in note]
    assert bool(luck) is (shown is None)


def test_a_module_at_hand_has_one_seed_and_no_width() -> None:
    from initlint import audit

    module = flawed_with()()
    report = audit(module, seeds=3)
    assert any("other seeds" in note for note in report.notes)
    with pytest.raises(TypeError, match="width"):
        audit(module, widths=(8, 16))
    with pytest.raises(ValueError, match="takes no"):
        audit(flawed_with(), widths="hidden=8,16")
    with pytest.raises(ValueError, match="seeds"):
        audit(flawed_with(), seeds=0)


def test_from_the_command_line(initlint: Run) -> None:
    got = initlint("check", "net.py::Net", "--widths", "32,64,128", "--seeds", "2")
    assert got.code == 0, got.err
    assert "INI713" in got.out
    assert "width^" in got.out
    assert "net.py:11" in got.out
    sound = initlint("check", "net.py::Net", "--widths", "width=32,64", "--arg", "std=0", "--select", "INI713")
    assert sound.code == 0, sound.err  # nothing is left to fit a power to


@pytest.mark.slow
def test_from_the_configuration(initlint: Run) -> None:
    Path("initlint.toml").write_text('seeds = 2\n[[model]]\ntarget = "net.py::Net"\nwidths = [32, 64, 128]\n')
    got = initlint("check")
    assert "INI713" in got.out
    predicted = initlint("check", "--meta")  # which leaves out what has to be built or run
    assert predicted.code in (0, 1), predicted.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--widths", "64"], "two different widths"),
        (["--widths", "wide"], "not widths: 'wide'"),
        (["--widths", "0,64"], "a width lies between"),
        (["--widths", "64,64"], "two different widths"),
        (["--seeds", "0"], "seeds are from 1"),
        (["--seeds", "two"], "--seeds"),
        (["--static", "--widths", "8,16"], "--widths is for building"),
    ],
)
def test_what_means_nothing_is_one_line(initlint: Run, options: list[str], said: str) -> None:
    got = initlint("check", "net.py::Net", *options)
    assert got.code == 2
    assert said in got.err
    assert "Traceback" not in got.err


@pytest.mark.parametrize("target", ["net.py::Plain", pytest.param("net.py::Net", marks=pytest.mark.slow)])
def test_a_width_that_no_model_takes(initlint: Run, target: str) -> None:
    got = initlint("check", target, "--widths", "size=8,16" if target.endswith("Net") else "8,16")
    assert got.code == 2
    assert "no model that was built takes" in got.err
