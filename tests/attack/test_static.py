"""Reading what strangers wrote: a quick share of ``benchmarks/hostile_static.py``, and what it has found."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.attack.forked import command, forked
from tests.attack.held import FORMATS, broken_promises, exit_code_of, ran
from tests.attack.sources import Sources

EXAMPLES = Path(__file__).parents[2] / "examples"
STATIC = ("check", "--static", "--no-cache")
FLAW = "import torch.nn as nn\nnn.init.xavier_uniform(nn.Linear(2, 2).weight)\n"


@pytest.fixture(autouse=True)
def _own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pyproject.toml").write_text("")


@pytest.mark.parametrize("count", [60, pytest.param(5000, marks=pytest.mark.slow)])
def test_hostile_files(tmp_path: Path, count: int) -> None:
    sources = Sources(count, sorted(EXAMPLES.rglob("*.py")), ["class \u00e9(x[0]): 0", "lambda *a: (yield)"])
    forms = [form for form in FORMATS if form != "html" or count > 100]  # which takes a second to load
    for index in range(count):
        hostile = sources.draw()
        if hostile.kind in ("sized", "repeated", "nested") and count < 100:
            continue  # seconds
        path = os.path.join(os.fsencode(tmp_path), hostile.name)
        Path(os.fsdecode(path)).write_bytes(hostile.data)
        form = forms[index % len(forms)]
        run = ran([*STATIC, "--select", "ALL", "--format", form, os.fsdecode(path)])
        assert not list(broken_promises(run, form)), (index, hostile)
        assert run.code in exit_code_of(hostile.data, os.fsdecode(hostile.name)), (index, hostile, run.err)
        os.unlink(path)


def test_links_in_circles_beside_a_file_that_asks_for_its_neighbours() -> None:
    Path("a.py").symlink_to("b.py")
    Path("b.py").symlink_to("a.py")
    Path("net.py").write_text(
        "from torch import nn\n\n\ndef init_weights(m):\n    nn.init.zeros_(m.weight)\n\n\nclass Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.fc = nn.Linear(3, 3)\n"
    )
    for target in (".", "net.py"):
        run = ran([*STATIC, "--advice", target])
        assert not list(broken_promises(run, "text"))


@pytest.mark.parametrize("pattern", ["*a" * 12 + "b", "**/a/" * 12 + "b"])
def test_a_pattern_that_would_take_for_ever_is_passed_over(pattern: str) -> None:
    Path(".git").mkdir()
    Path(".gitignore").write_text(pattern + "\nignored.py\n")
    folder = Path("a/" * 20)
    folder.mkdir(parents=True)
    for path in (Path("a" * 100 + ".py"), folder / "net.py", Path("ignored.py")):
        path.write_text(FLAW)
    run = ran([*STATIC, "--format", "concise", "."])
    assert not list(broken_promises(run, "concise"))
    assert len(run.out.splitlines()) == 2
    Path("initlint.toml").write_text(f'exclude = ["{pattern}"]\n')
    run = ran([*STATIC, "."])
    assert (run.code, len(run.err.splitlines())) == (2, 1)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs here")
def test_nothing_waits_for_a_pipe_or_reads_without_end() -> None:
    Path("net.py").write_text(FLAW)
    for name in ("pipe.py", "baseline.json"):
        os.mkfifo(name)
    with open("large.py", "wb") as large:
        large.truncate(1 << 31)  # takes no space, but would take memory and time
    run = ran(["check", "--static", "."])
    assert run.code == 1
    assert not list(broken_promises(run, "text"))
    Path("initlint.toml").write_text('baseline = "baseline.json"\n')
    run = ran([*STATIC, "."])
    assert (run.code, "not a regular file" in run.err) == (2, True)
    with open("initlint.toml", "wb") as large:
        large.truncate(1 << 30)
    run = ran([*STATIC, "."])
    assert (run.code, "more than" in run.err) == (2, True)


def test_a_diff_is_of_one_file_whatever_its_name() -> None:
    text = FLAW.replace("nn.init", "x = '\x1b[2J\u202e'; nn.init")
    Path("net\n+++ evil.py").write_text(text)
    piped = ran([*STATIC, "--diff", "net\n+++ evil.py"])
    assert "\x1b[2J" in piped.out  # which ``patch`` needs as it is
    assert "\n+++ evil" not in piped.out


def test_what_a_terminal_gets_of_a_diff() -> None:
    from initlint.printing import for_eyes

    assert for_eyes("--- a\n+\tx = '\x1b[2J\u202e\\t'\n") == "--- a\n+\tx = '\\x1b[2J\\u202e\\t'\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="who listens to what a process does cannot stop it again")
def test_what_is_touched(tmp_path: Path) -> None:
    """Nothing of the tree is run, nothing started, nobody called; what is written is the cache and the report."""
    Path("net.py").write_text(FLAW)
    Path("sitecustomize.py").write_text("raise SystemExit")
    ran([*STATIC, "--format", "json", "net.py"])  # what is imported now is not imported then
    before = os.listdir(tmp_path)
    reading, writing = os.pipe()

    def work() -> int:
        def listen(event: str, arguments: tuple[Any, ...]) -> None:
            if event.startswith(_OUTWARD) or (event == "exec" and str(tmp_path) in str(arguments[0].co_filename)):
                os.write(writing, f"{event} {arguments}\n".encode())
            elif event == "sqlite3.connect" or (event == "open" and isinstance(arguments[2], int)):
                path = os.path.abspath(os.fsdecode(arguments[0])) if isinstance(arguments[0], (str, bytes)) else ""
                if event != "open" or arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                    os.write(writing, f"writes {path}\n".encode())

        sys.addaudithook(listen)
        return command("check", "--static", "--format", "json", "--output", "report.json", "net.py", ".")()

    assert forked(work) == 1
    os.close(writing)
    with open(reading) as lines:
        done = set(lines.read().splitlines())
    assert f"writes {tmp_path}/.initlint_cache/static.sqlite" in done
    places = (f"writes {tmp_path}/.initlint_cache/", f"writes {tmp_path}/.initlint-", f"writes {os.devnull}")
    assert not [each for each in done if not each.startswith(places) and each != "writes "]  # an open descriptor
    assert sorted(set(os.listdir(tmp_path)) - {".initlint_cache", "report.json"}) == sorted(before)


_OUTWARD = ("socket.", "subprocess.", "os.exec", "os.system", "os.posix_spawn", "os.fork", "urllib", "ctypes.", "pty.")


def test_the_promises_of_the_documentation_have_their_tests() -> None:
    root = Path(__file__).parents[2]
    told = (root / "docs" / "security.md").read_text()
    named = re.findall(r"`((?:tests|benchmarks)/[\w/]+\.py)(?:::(\w+))?`", told)
    assert len(named) > 15
    for path, test in named:
        text = (root / path).read_text()
        assert not test or f"def {test}(" in text, (path, test)


def test_help_says_what_is_run() -> None:
    told = " ".join(ran(["check", "--help"]).out.split())
    assert "runs your code" in told
    readme = (Path(__file__).parents[2] / "README.md").read_text().split("\n\n")[1]
    assert "run your code" in readme
    assert "--static" in readme
