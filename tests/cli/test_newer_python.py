"""Syntax younger than the oldest Python that initlint runs on: read and fixed wherever the Python at hand parses it."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

GENERIC = """\
    from torch import nn

    type Sizes = tuple[int, ...]

    def layer[T: nn.Module](kind: type[T], *sizes: int) -> T:
        return kind(*sizes)

    class Net[T, *Ts, **P](nn.Module):
        def __init__[S](self, note: S):
            super().__init__()
            self.fc = nn.Linear(4, 4)
            self.out = layer(nn.Linear, 4, 2)
            self.said = f"{'a' 'b'}{f"{note:{4}}"}"
            nn.init.normal_(self.fc.weight, 0.02)
    """
TEMPLATE = """\
    from torch import nn

    class Net[T = int](nn.Module):
        def __init__(self, later: Undefined = None):
            super().__init__()
            self.fc = nn.Linear(4, 4)
            said = t"{later!r:>{4}} of {self.fc}"
            for name, parameter in self.named_parameters():
                if name == t"w" or t"w" in name:
                    nn.init.zeros_(parameter)
            try:
                getattr(self, t"{said}")
            except ValueError, TypeError:
                pass
            nn.init.normal_(self.fc.weight, 0.02)
    """


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(GENERIC, marks=pytest.mark.skipif(sys.version_info < (3, 12), reason="syntax of Python 3.12")),
        pytest.param(TEMPLATE, marks=pytest.mark.skipif(sys.version_info < (3, 14), reason="syntax of Python 3.14")),
    ],
)
def test_newer_syntax_is_read_and_fixed(
    initlint: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    text = textwrap.dedent(text)
    Path("model.py").write_text(text)
    report = json.loads(initlint("check", "--static", "--format", "json", "model.py").out)
    last = len(text.splitlines())
    assert [(each["code"], each["line"]) for each in report["findings"]] == [("INI501", last)]
    assert initlint("check", "--static", "--fix", "model.py").code == 0
    assert Path("model.py").read_text() == text.replace("0.02", "std=0.02")
