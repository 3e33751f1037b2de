"""What a model is probed with: --loss and --dtype, their keys in a configuration, and the arguments of audit()."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import initlint as package  # noqa: E402

pytestmark = pytest.mark.torch

Run = Callable[..., Any]

NETS = """\
import torch
from torch import nn


def far_off(output):
    return (output - 3).square().mean()


def two(output, target):
    return output.sum()


class Loud(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(64, 64)
        self.head = nn.Linear(64, 10)
        self.head.weight.data.mul_(200)

    def forward(self, x):
        return self.head(nn.functional.layer_norm(self.body(x), (64,)))


class Single(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(64, 1)

    def forward(self, x):
        return self.head(x)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("nets.py").write_text(NETS)


def test_the_loss_asked_for_is_used_and_reported(initlint: Run) -> None:
    asked = initlint("check", "nets.py::Loud", "--loss", "cross-entropy", "--select", "INI709")
    assert asked.code == 1
    assert "nets.py:18:" in asked.out
    assert "ln 10 = 2.3" in asked.out
    assert "(cross-entropy)" in asked.out
    own = initlint("check", "nets.py::Loud", "--loss", "far_off", "--select", "INI709")
    assert (own.code, "(far_off)" in own.out) == (0, True)


@pytest.mark.slow
def test_a_loss_of_another_file_is_used_and_reported(initlint: Run) -> None:
    Path("elsewhere.py").write_text("from nets import far_off\n")
    other = initlint("check", "nets.py::Single", "--loss", "elsewhere:far_off", "--select", "INI709")
    assert (other.code, "(elsewhere:far_off)" in other.out) == (0, True)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cross entropy", "cross-entropy, mse, module:function"),
        ("huber", "nets has no function huber"),
        pytest.param("absent:fn", "No module named", marks=pytest.mark.slow),
        pytest.param("math:nothing", "math has no function nothing", marks=pytest.mark.slow),
        pytest.param("two", "takes the model's output and nothing else", marks=pytest.mark.slow),
        ("cross-entropy", "(8, 1)"),
    ],
)
def test_a_loss_that_cannot_be_had_is_one_line(initlint: Run, name: str, words: str) -> None:
    result = initlint("check", "nets.py::Single", "--loss", name, "--batch", "8x64")
    assert result.code == 2
    (line,) = result.err.splitlines()
    assert words in line


def test_a_dtype_that_there_is_not_is_one_line(initlint: Run) -> None:
    result = initlint("check", "nets.py::Single", "--dtype", "fp12")
    assert (result.code, len(result.err.splitlines()), "fp16, bf16, fp8, fp32" in result.err) == (2, 1, True)
    static = initlint("check", "nets.py", "--static", "--dtype", "fp16")
    assert (static.code, "--dtype is for building models" in static.err) == (2, True)


@pytest.mark.slow
def test_both_are_keys_of_a_configuration(initlint: Run) -> None:
    table = "[[tool.initlint.model]]\ntarget = 'nets.py::Loud'\n"
    Path("pyproject.toml").write_text(f"[tool.initlint]\nloss = 'mse'\n{table}loss = 'cross-entropy'\ndtype = 'bf16'\n")
    assert "(cross-entropy)" in initlint("check", "nets.py::Loud").out
    assert "(mse)" in initlint("check", "nets.py::Single").out
    assert "(far_off)" in initlint("check", "nets.py::Loud", "--loss", "far_off").out
    Path("pyproject.toml").write_text(f"{table}loss = 'a b'\n")
    refused = initlint("check", "nets.py::Loud")
    assert (refused.code, "model[0].loss holds cross-entropy, mse" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("head", "shape", "classes"),
    [
        (nn.Linear(16, 7), (8, 16), 7),
        (nn.Linear(16, 7), (8, 5, 16), 7),
        (nn.Conv1d(16, 7, 1), (8, 16, 5), 7),
        (nn.Conv2d(16, 7, 1), (8, 16, 5, 6), 7),
        (nn.Linear(16, 7), (8, 5, 6, 16), 7),
    ],
)
def test_the_classes_are_where_the_head_puts_them(head: nn.Module, shape: tuple[int, ...], classes: int) -> None:
    from initlint.live.audit import audit_module

    (model,) = audit_module(nn.Sequential(head), torch.randn(shape), name="m", loss="cross-entropy").models
    assert (model.probe.loss_kind, model.probe.classes) == ("cross-entropy", classes)
    assert model.probe.loss == pytest.approx(math.log(classes), abs=0.7)


def test_audit_takes_names_and_functions() -> None:
    torch.manual_seed(0)
    loud = nn.Sequential(nn.Linear(64, 64), nn.LayerNorm(64), nn.Linear(64, 10))
    loud[2].weight.data.mul_(200)
    batch = torch.randn(16, 64)
    labels = torch.randint(10, (16,))
    codes = [
        [finding.code for finding in package.audit(loud, batch, loss=loss, select="INI709").findings]
        for loss in (None, "mse", "cross-entropy", lambda output: nn.functional.cross_entropy(output, labels))
    ]
    assert codes == [[], [], ["INI709"], ["INI709"]]
    assert package.audit(loud, batch, dtype=torch.bfloat16).models
    with pytest.raises(ValueError, match="huber"):
        package.audit(loud, batch, loss="huber")
    with pytest.raises(ValueError, match="float12"):
        package.audit(loud, batch, dtype="float12")


def test_what_a_loss_gives_has_to_be_one_number() -> None:
    report = package.audit(nn.Linear(4, 4), torch.randn(8, 4), loss=lambda output: output)
    (failure,) = report.failures
    assert "not a tensor of one element" in failure
