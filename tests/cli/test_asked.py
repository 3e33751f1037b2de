"""What was asked for and cannot be had is exit 2 in one line, also for models that were only discovered."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


MODEL = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(16, 4)

    def forward(self, x):
        return self.fc(x)


class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, graph):
        return graph.nodes * self.scale
"""


@pytest.mark.torch
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--python", "/bin/ls"), "while Python was starting"),
        (("--batch", "7x7"), "was not run"),
    ],
)
def test_options_that_cannot_be_met(initlint: Run, options: tuple[str, ...], said: str) -> None:
    Path("model.py").write_text(MODEL.split("class Odd", maxsplit=1)[0])
    result = initlint("check", "model.py", *options)
    assert result.code == 2
    assert said in result.err
    assert "Traceback" not in result.err


@pytest.mark.torch
def test_a_device_that_is_not_there(initlint: Run) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    Path("model.py").write_text(MODEL.split("class Odd", maxsplit=1)[0])
    result = initlint("check", "model.py", "--device", "cuda")
    assert result.code == 2
    assert "no device cuda" in result.err


@pytest.mark.torch
@pytest.mark.slow
def test_a_named_model_that_no_batch_can_be_inferred_for(initlint: Run) -> None:
    Path("model.py").write_text(MODEL)
    assert initlint("check", "model.py").code == 0  # met on the way: a note
    result = initlint("check", "model.py::Odd")
    assert result.code == 2
    assert "--batch" in result.err


def test_a_fifo_is_no_file(initlint: Run) -> None:
    os.mkfifo("pipe.py")
    Path("model.py").write_text("import torch.nn as nn\n\ndef init(m):\n    nn.init.zeros_(m.bias)\n")
    result = initlint("check", "--static", "pipe.py", "model.py")
    assert result.code == 2
    assert "not a regular file" in result.err
    assert initlint("check", "--static", ".").code == 0


def test_a_target_that_cannot_be_read_is_not_told_to_have_no_findings(initlint: Run) -> None:
    Path("broken.py").write_text("import torch\nclass Net(:\n")
    for target in ("broken.py", "absent.py"):
        result = initlint("check", "--static", target)
        assert (result.code, result.out) == (2, "Nothing was checked (0 files read)\n")
