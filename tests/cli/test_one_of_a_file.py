"""``file.py::Name`` is told what concerns Name, and nothing of the rest of the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

HEAD = """\
import torch
from torch import nn


def swapped(m):
    if isinstance(m, nn.Linear):
        nn.init.normal_(m.weight, 0.02)  # everybody's


class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(8, 8)
        nn.init.normal_(self.stem.weight, 0.01)  # Base's


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)
        nn.init.normal_(self.fc.weight, 0.02)  # Block's

    def forward(self, x):
        return self.fc(x)


def own(net):
    nn.init.normal_(net.head.weight, 0.03)  # Net's helper's


class Net(Base):
    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(*BLOCKS())
        self.head = nn.Linear(8, 2)
        own(self)

    def forward(self, x):
        other = self.stem(x)
        return self.head(self.blocks(other))


def BLOCKS():
    return [Block() for _ in range(2)]


class Other(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 2)
        nn.init.normal_(self.fc.weight, 0.04)  # Other's

    def forward(self, x):
        return self.fc(x)


class Derived(Net):
    def __init__(self):
        super().__init__()
        nn.init.normal_(self.head.weight, 0.05)  # Derived's


def make_other():
    model = Other()
    nn.init.normal_(model.fc.weight, 0.06)  # make_other's
    return model
"""
KEPT = """\
@{}
class Kept(Other):
    def __init__(self):
        super().__init__()
        nn.init.normal_(self.fc.weight, 0.08)  # Kept's
"""
OWN = {"everybody's", "Base's", "Block's", "Net's helper's"}
EVERY = {*OWN, "Other's", "Derived's", "make_other's"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def told(initlint: Run, *options: str, code: str = HEAD) -> tuple[set[str], str]:
    """Of each finding what the comment of its line says, and what the notes say."""
    Path("model.py").write_text(code)
    result = initlint("check", *options, "--format", "json", "--select", "INI501")
    lines = code.splitlines()
    findings = json.loads(result.out)["findings"]
    return {lines[finding["line"] - 1].partition("# ")[2] for finding in findings}, result.err


@pytest.mark.parametrize(
    ("targets", "found", "left_out"),
    [
        (("model.py::Net",), OWN, 3),
        (("model.py::Other",), {"everybody's", "Other's", "make_other's"}, 4),
        (("model.py::make_other",), {"everybody's", "Other's", "make_other's"}, 4),
        (("model.py::Derived",), {*OWN, "Derived's"}, 2),
        (("model.py::Net", "model.py::Other"), EVERY - {"Derived's"}, 1),
        (("model.py::Net", "model.py"), EVERY, 0),
        (("model.py", "model.py::Net"), EVERY, 0),
        ((".", "model.py::Net"), EVERY, 0),
    ],
)
def test_what_a_name_reaches(initlint: Run, targets: tuple[str, ...], found: set[str], left_out: int) -> None:
    said, notes = told(initlint, "--static", *targets)
    assert said == found
    assert ("left out" in notes) is (left_out > 0)
    if left_out > 1:
        assert f"left out {left_out} findings on code that" in notes


@pytest.mark.parametrize(
    ("more", "found"),
    [
        # at module level: what a statement does to a model of another class, and what concerns this one
        ("other = Other()\nnn.init.normal_(other.fc.weight, 0.07)  # other's\n", set()),
        ("net = Net()\nnn.init.normal_(net.head.weight, 0.07)  # net's\n", {"net's"}),
        (
            'if __name__ == "__main__":\n    other = Other()\n    nn.init.normal_(other.fc.weight, 0.07)  # other\'s\n',
            set(),
        ),
        # classes that are looked up by other means than their names
        ("PARTS = {'o': Other}\n\n\nclass Net(Net):\n    part = PARTS['o']\n", {"Other's", "make_other's"}),
        ("PARTS = {}\nPARTS['o'] = Other\n\n\nclass Net(Net):\n    part = PARTS['o']\n", {"Other's", "make_other's"}),
        ("from parts import register\n\nregister(Other)\n", {"Other's", "make_other's"}),
        (KEPT.format("register"), {"Kept's", "Other's", "make_other's"}),
        (KEPT.format("final"), set()),
        ("class Net(Net):\n    part = 'Other'\n", {"Other's", "make_other's"}),
        ("class Net(Net):\n    part = globals()['Ot' + 'her']\n", EVERY - OWN),
    ],
)
def test_what_cannot_be_told_stays(initlint: Run, more: str, found: set[str]) -> None:
    said, _ = told(initlint, "--static", "model.py::Net", code=f"{HEAD}\n\n{more}")
    assert said == OWN | found


def test_names_from_elsewhere_are_told_the_whole_file(initlint: Run) -> None:
    said, notes = told(initlint, "--static", "model.py::Missing", code=HEAD + "\n\nfrom parts import *\n")
    assert (said, "left out" in notes) == (EVERY, False)


def test_a_comment_elsewhere_is_not_called_unused(initlint: Run) -> None:
    silenced = HEAD.replace("# Other's", "# initlint: disable=INI501")
    Path("model.py").write_text(silenced)
    result = initlint("check", "--static", "model.py::Net", "--select", "INI501,INI001", "--format", "json")
    assert {finding["code"] for finding in json.loads(result.out)["findings"]} == {"INI501"}


def test_a_baseline_keeps_what_was_not_asked_for(initlint: Run) -> None:
    Path("model.py").write_text(HEAD)
    initlint("check", "--static", "model.py", "--select", "INI501", "--baseline", "known.json", "--update-baseline")
    before = Path("known.json").read_text()
    initlint(
        "check", "--static", "model.py::Net", "--select", "INI501", "--baseline", "known.json", "--update-baseline"
    )
    assert json.loads(Path("known.json").read_text())["findings"] == json.loads(before)["findings"]


@pytest.mark.torch
def test_what_is_measured_is_told_wherever_it_stands(initlint: Run) -> None:
    said, _ = told(initlint, "model.py::Net", "--batch", "8x8")
    assert said == OWN
