"""``--baseline`` and ``--update-baseline``: what is known stays quiet, what is new does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

HEAD = "import torch.nn as nn\n\n\ndef init_weights(m):\n"
MEAN, BOUND = "    nn.init.normal_(m.weight, 0.02)\n", "    nn.init.uniform_(m.bias, 0.1)\n"
FILE = ("--baseline", "known.json")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: str, text: str) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)
    return path


def entries(path: str = "known.json") -> list[tuple[str, str, int]]:
    return [(each["path"], each["code"], each["count"]) for each in json.loads(Path(path).read_text())["findings"]]


@pytest.fixture
def adopted(initlint: Run) -> None:
    """Two files with three findings, all of them known."""
    write("src/a.py", HEAD + MEAN + BOUND)
    write("src/b.py", HEAD + MEAN)
    result = initlint("check", "--static", *FILE, "--update-baseline")
    assert result.code == 0
    assert result.out == "No new findings (2 files read, 3 known from the baseline)\n"
    assert result.err == "initlint: note: known.json: 3 known findings, of which 3 new; 0 no longer there\n"


@pytest.mark.usefixtures("adopted")
def test_known_findings_are_quiet_and_new_ones_fail(initlint: Run) -> None:
    assert entries() == [("src/a.py", "INI501", 1), ("src/a.py", "INI502", 1), ("src/b.py", "INI501", 1)]
    result = initlint("check", "--static", *FILE, "--format", "json")
    report = json.loads(result.out)
    assert (result.code, result.err, report["findings"]) == (0, "", [])
    assert (report["summary"]["baseline"], report["summary"]["error"]) == (3, 0)
    write("src/c.py", HEAD + MEAN)
    write("src/b.py", HEAD + BOUND + MEAN)
    result = initlint("check", "--static", *FILE)
    assert result.code == 1
    assert [line[:9] for line in result.out.splitlines() if line.startswith("src/")] == ["src/b.py:", "src/c.py:"]


@pytest.mark.usefixtures("adopted")
def test_moved_lines_are_the_same_findings(initlint: Run) -> None:
    write("src/a.py", "# moved\n" * 30 + HEAD + "    for m in m.modules():\n    " + BOUND + "    " + MEAN)
    result = initlint("check", "--static", *FILE)
    assert (result.code, result.err) == (0, "")


@pytest.mark.usefixtures("adopted")
def test_equal_lines_are_counted(initlint: Run) -> None:
    write("src/b.py", HEAD + MEAN * 2)
    result = initlint("check", "--static", *FILE)
    assert result.code == 1
    assert result.out.startswith("src/b.py:6:")
    assert initlint("check", "--static", *FILE, "--update-baseline").code == 0
    assert ("src/b.py", "INI501", 2) in entries()
    write("src/b.py", HEAD + MEAN)
    result = initlint("check", "--static", *FILE)
    assert (result.code, result.err.count("1 known finding no longer occurs")) == (0, 1)


@pytest.mark.usefixtures("adopted")
def test_what_is_gone_is_noted_and_taken_out(initlint: Run) -> None:
    before = Path("known.json").read_text()
    write("src/a.py", HEAD + BOUND)
    Path("src/b.py").unlink()
    result = initlint("check", "--static", *FILE)
    assert result.code == 0
    assert "known.json: 2 known findings no longer occur; --update-baseline" in result.err
    assert Path("known.json").read_text() == before
    initlint("check", "--static", *FILE, "--update-baseline")
    assert entries() == [("src/a.py", "INI502", 1)]


@pytest.mark.usefixtures("adopted")
@pytest.mark.parametrize("arguments", [("src/a.py",), ("--select", "INI502"), ("src/a.py", "--ignore", "INI5")])
def test_what_a_run_does_not_look_at_stays_known(initlint: Run, arguments: tuple[str, ...]) -> None:
    before = Path("known.json").read_text()
    result = initlint("check", "--static", *FILE, *arguments)
    assert (result.code, result.err) == (0, "")
    initlint("check", "--static", *FILE, *arguments, "--update-baseline")
    assert Path("known.json").read_text() == before


@pytest.mark.usefixtures("adopted")
def test_it_may_be_configured_and_used_from_anywhere(initlint: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write("pyproject.toml", '[tool.initlint]\nbaseline = "known.json"\n')
    assert initlint("check", "--static").code == 0
    monkeypatch.chdir("src")
    assert initlint("check", "--static").code == 0
    monkeypatch.chdir("..")
    Path("known.json").unlink()
    result = initlint("check", "--static")
    assert result.code == 2
    assert result.err == "initlint: error: known.json: there is no such baseline; --update-baseline writes it\n"
    assert initlint("check", "--static", "--update-baseline").code == 0
    assert len(entries()) == 3


def test_without_a_name_it_lies_beside_the_configuration(initlint: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write("src/a.py", HEAD + MEAN)
    write("initlint.toml", "")
    monkeypatch.chdir("src")
    assert initlint("check", "--static", "--update-baseline").code == 0
    assert entries("../initlint-baseline.json") == [("src/a.py", "INI501", 1)]


def test_it_is_sorted_with_a_line_for_each(initlint: Run) -> None:
    for name in "cab":
        write(f"{name}.py", HEAD + MEAN)
    initlint("check", "--static", "c.py", *FILE, "--update-baseline")
    initlint("check", "--static", *FILE, "--update-baseline")
    lines = Path("known.json").read_text().splitlines()
    assert lines[:3] == ["{", '  "version": 1,', '  "findings": [']
    assert [json.loads(line.rstrip(","))["path"] for line in lines[3:6]] == ["a.py", "b.py", "c.py"]


GOOD_ENTRY = '{"path": "a.py", "code": "INI501", "fingerprint": "0", "count": 1}'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no baseline (not JSON)"),
        ("<<<<<<< HEAD\n", "is no baseline (not JSON)"),
        ("[" * 100_000, "is no baseline (not JSON)"),
        ("[]", "is no baseline of initlint"),
        ('{"findings": []}', "is no baseline of initlint"),
        ('{"version": 2, "findings": []}', "is a baseline of version 2, and this initlint knows version 1"),
        ('{"version": 1}', "is no baseline (finding 1 cannot be understood)"),
        ('{"version": 1, "findings": {}}', "is no baseline (finding 1 cannot be understood)"),
        (f'{{"version": 1, "findings": [{GOOD_ENTRY}, 3]}}', "(finding 2 cannot be understood)"),
        ('{"version": 1, "findings": [{"path": "a.py"}]}', "(finding 1 cannot be understood)"),
        (f'{{"version": 1, "findings": [{GOOD_ENTRY.replace("1}", "0}")}]}}', "(finding 1 cannot be understood)"),
        (f'{{"version": 1, "findings": [{GOOD_ENTRY.replace("1}", "true}")}]}}', "(finding 1 cannot be understood)"),
    ],
)
def test_what_is_no_baseline_is_one_line_and_exit_2(initlint: Run, text: str, said: str) -> None:
    write("known.json", text)
    write("a.py", HEAD + MEAN)
    for more in ((), ("--update-baseline",)):
        result = initlint("check", "--static", *FILE, *more)
        assert result.code == 2
        assert result.err.startswith("initlint: error: known.json: ")
        assert said in result.err
        assert len(result.err.splitlines()) == 1
        assert Path("known.json").read_text() == text


@pytest.mark.parametrize(
    "arguments",
    [
        FILE,
        ("--baseline", "."),
        ("--baseline", "no/such/known.json", "--update-baseline"),
        ("--update-baseline", "--fix"),
        ("--update-baseline", "--diff"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_2(initlint: Run, arguments: tuple[str, ...]) -> None:
    write("a.py", HEAD + MEAN)
    result = initlint("check", "--static", "a.py", *arguments)
    assert result.code == 2
    assert len(result.err.splitlines()) == 1
    assert sorted(path.name for path in Path().iterdir()) == ["a.py"]


NET = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(*(nn.Sequential(nn.Linear(64, 64), nn.ReLU()) for _ in range(24)))
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=float("0.02"))

    def forward(self, x):
        return self.body(x)
"""


@pytest.mark.slow
@pytest.mark.torch
def test_what_a_built_model_shows_is_known_from_then_on(initlint: Run) -> None:
    write("net.py", NET)
    assert initlint("check", "net.py", *FILE, "--update-baseline").code == 0
    assert initlint("check", "net.py", *FILE).code == 0


@pytest.mark.torch
def test_what_only_a_built_model_shows(initlint: Run) -> None:
    write("net.py", NET)
    assert initlint("check", "net.py", *FILE, "--update-baseline").code == 0
    before = entries()
    assert before
    result = initlint("check", "--static", "net.py", *FILE)  # cannot tell, so it says nothing and forgets nothing
    assert (result.code, result.err) == (0, "")
    initlint("check", "--static", "net.py", *FILE, "--update-baseline")
    assert entries() == before
    write("net.py", NET.replace("0.02", "0.177"))
    result = initlint("check", "net.py", *FILE)
    assert "no longer occur" in result.err
    assert entries() == before
