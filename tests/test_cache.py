"""What earlier runs said is said again only while nothing that had a say has changed."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from initlint import api
from initlint.cache import Cache
from initlint.checking import Checker
from initlint.engine import load, registry

FLAW = "import torch.nn as nn\n\n\ndef init_weights(m):\n    nn.init.normal_(m.weight, 0.02)\n"
SOUND = FLAW.replace("0.02", "std=0.02")
LONELY = """
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def _init_weights(self):
        nn.init.zeros_(self.fc.bias)
"""


class Folder:
    """A directory that is checked, and which of its files are read for it."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        self.read: list[str] = []
        original = Checker.check_path

        def check_path(checker: Checker, path: str, **more: Any) -> Any:
            self.read.append(os.path.basename(path))
            return original(checker, path, **more)

        monkeypatch.setattr(Checker, "check_path", check_path)
        monkeypatch.chdir(path)

    def write(self, name: str, text: str, *, age: int = 100) -> None:
        """Put a file in place that was written a while ago."""
        path = self.path / name
        path.write_text(text)
        about = path.stat()
        os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns - age * 10**9))

    def codes(self, target: str = ".", **more: Any) -> list[str]:
        self.read.clear()
        report = api.check([str(self.path / target)], static=True, jobs=1, cache=True, **more)
        return [finding.code for finding in report.findings]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.delenv("INITLINT_CACHE_DIR", raising=False)
    (tmp_path / "pyproject.toml").write_text("[tool.initlint]\n")
    return Folder(tmp_path, monkeypatch)


def test_what_is_unchanged_is_not_read_again(folder: Folder) -> None:
    folder.write("a.py", FLAW)
    folder.write("b.py", "x = 1\n")
    assert folder.codes() == ["INI501"]
    assert sorted(folder.read) == ["a.py", "b.py"]
    assert folder.codes() == ["INI501"]
    assert folder.read == []
    assert (folder.path / ".initlint_cache/.gitignore").read_text() == "*\n"
    assert (folder.path / ".initlint_cache/CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d17")


def test_a_change_that_size_and_time_do_not_show_is_seen(folder: Folder) -> None:
    folder.write("a.py", FLAW)
    assert folder.codes() == ["INI501"]
    before = (folder.path / "a.py").stat()
    (folder.path / "a.py").write_text(FLAW.replace("0.02", "2.00"))
    os.utime(folder.path / "a.py", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert folder.codes() == []


def test_a_file_that_was_only_touched_is_not_judged_again(folder: Folder) -> None:
    folder.write("a.py", FLAW)
    folder.codes()
    os.utime(folder.path / "a.py")
    assert folder.codes() == ["INI501"]
    assert folder.read == []


def test_other_files_have_a_say(folder: Folder) -> None:
    folder.write("net.py", LONELY)
    assert folder.codes() == ["INI401"]
    folder.write("train.py", "from net import Net\n\nnet = Net()\nnet._init_weights()\n")  # it was not there before
    assert folder.codes() == []
    assert folder.codes() == []
    assert folder.read == []
    folder.write("train.py", "from net import Net\n\nnet = Net()\n")
    assert folder.codes() == ["INI401"]
    (folder.path / "train.py").unlink()
    assert folder.codes() == ["INI401"]


USER = """
import torch.nn as nn
from {} import init_weights


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 8)
        self.b = nn.Linear(8, 4)
        self.apply(init_weights)

    def forward(self, x):
        return self.b(self.a(x).relu())
"""
HELPER = """
import torch.nn as nn


def init_weights(m):
    if isinstance(m, nn.Linear):
        nn.init.kaiming_normal_(m.weight)
"""
FLAWED_HELPER = HELPER.replace("kaiming_normal_(m.weight)", "zeros_(m.weight)")


@pytest.mark.parametrize("where", [".hid", "venv", "node_modules", "lnk"])
def test_helpers_that_no_walk_meets_have_a_say(folder: Folder, where: str) -> None:
    if where == "lnk":
        elsewhere = folder.path.parent / f"{folder.path.name}_elsewhere"
        elsewhere.mkdir()
        (folder.path / where).symlink_to(elsewhere)
        folder.write("net.py", USER.format("lnk.weights"))
        target = "."
    else:
        (folder.path / where).mkdir()
        folder.write(f"{where}/net.py", USER.format("weights"))
        target = where
    helper = f"{where}/weights.py"
    said = []
    for text in (HELPER, FLAWED_HELPER, HELPER):
        folder.write(helper, text)
        said.append(folder.codes(target))
        assert folder.codes(target) == said[-1]
        assert folder.read == []  # it is remembered, which is the danger
    assert said[0] == said[2] == []
    assert "INI101" in said[1]
    folder.write(helper, FLAWED_HELPER)
    assert folder.codes(target) == said[1]
    (folder.path / helper).unlink()
    assert folder.codes(target) == []


def test_a_helper_that_comes_into_being_has_a_say(folder: Folder) -> None:
    (folder.path / ".hid").mkdir()
    folder.write(".hid/net.py", USER.format("made.weights"))
    assert folder.codes(".hid") == []
    (folder.path / ".hid/made").mkdir()  # a package without a file of its own
    folder.write(".hid/made/weights.py", FLAWED_HELPER)
    assert "INI101" in folder.codes(".hid")


@pytest.mark.parametrize("home", ["", ".hid/"])
def test_a_helper_that_changes_during_the_run(folder: Folder, monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    """What was said with the helper as it was is not said of the helper as it is."""
    (folder.path / ".hid").mkdir()
    folder.write(f"{home}net.py", USER.format("weights"))
    folder.write(f"{home}weights.py", FLAWED_HELPER)
    target = home or "."
    assert "INI101" in folder.codes(target)
    folder.write(f"{home}net.py", USER.format("weights") + "\n")  # to be read anew
    keep = Cache.keep

    def change_and_keep(cache: Cache, *entries: Any) -> None:
        folder.write(f"{home}weights.py", HELPER)
        keep(cache, *entries)

    with monkeypatch.context() as patch:
        patch.setattr(Cache, "keep", change_and_keep)
        assert "INI101" in folder.codes(target)
    assert folder.codes(target) == []


def test_every_setting_has_its_own(folder: Folder) -> None:
    folder.write("a.py", FLAW)
    assert folder.codes() == ["INI501"]
    assert folder.codes(ignore=["INI501"]) == []
    (folder.path / "pyproject.toml").write_text('[tool.initlint]\nignore = ["INI501"]\n')
    assert folder.codes() == []
    (folder.path / "pyproject.toml").write_text("[tool.initlint]\n")
    assert folder.codes() == ["INI501"]


def test_notes_and_suppressions_are_remembered(folder: Folder) -> None:
    folder.write("a.py", FLAW.rstrip() + "  # noqa: INI501, INI502\n")
    folder.write("b.py", "import torch\ndef f(:\n")

    def said() -> Any:
        report = api.check(["."], static=True, jobs=1, cache=True, advice=True, select=["ALL"])
        return {**report.to_dict(), "summary": None}, report.summary.suppressed, report.summary.files

    first = said()
    folder.read.clear()
    assert said() == first
    assert folder.read == []
    assert first[1] > 0


@pytest.mark.parametrize("damage", [b"", b"no database", bytes(5000)])
def test_a_damaged_store_is_done_without(folder: Folder, damage: bytes) -> None:
    folder.write("a.py", FLAW)
    folder.codes()
    store = folder.path / ".initlint_cache/static.sqlite"
    for file in (folder.path / ".initlint_cache").glob("static.sqlite*"):
        file.unlink()
    store.write_bytes(damage)
    assert folder.codes() == ["INI501"]
    assert folder.codes() == ["INI501"]
    folder.codes()
    assert folder.read == []


def test_a_stored_verdict_that_makes_no_sense_is_done_without(folder: Folder) -> None:
    import sqlite3

    folder.write("a.py", FLAW)
    folder.codes()
    for nonsense in ("[]", "{", '[[true,false,true],[{"code":"INI501"}],[],[]]', "null"):
        with sqlite3.connect(folder.path / ".initlint_cache/static.sqlite") as store:
            store.execute("UPDATE verdicts SET verdict = ?", [nonsense])
        assert folder.codes() == ["INI501"]


def test_a_stored_verdict_that_a_letter_was_changed_in_is_done_without(folder: Folder) -> None:
    import sqlite3

    folder.write("a.py", FLAW)
    folder.codes()
    with sqlite3.connect(folder.path / ".initlint_cache/static.sqlite") as store:
        changed = "UPDATE verdicts SET verdict = replace(verdict, 'INI501', 'INI502') WHERE verdict LIKE '%INI501%'"
        assert store.execute(changed).rowcount == 1
    assert folder.codes() == ["INI501"]


def test_a_store_that_cannot_be_written_is_done_without(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write("a.py", FLAW)
    (folder.path / ".initlint_cache").write_text("a file")
    assert folder.codes() == ["INI501"]
    monkeypatch.setenv("INITLINT_CACHE_DIR", os.path.join(os.devnull, "cache"))
    assert folder.codes() == ["INI501"]
    monkeypatch.setenv("INITLINT_CACHE_DIR", str(folder.path / "elsewhere"))
    folder.codes()
    folder.codes()
    assert folder.read == []


def test_a_full_disk_is_no_error(folder: Folder) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no device that is always full")
    folder.write("a.py", FLAW)
    (folder.path / ".initlint_cache").mkdir()
    (folder.path / ".initlint_cache/static.sqlite").symlink_to("/dev/full")
    assert folder.codes() == ["INI501"]


def test_runs_share_a_store(folder: Folder) -> None:
    for index in range(20):
        folder.write(f"m{index}.py", FLAW)
    command = [sys.executable, "-m", "initlint", "check", "--static", "--jobs", "1", "."]
    runs = [
        subprocess.Popen(command, cwd=folder.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    said = [run.communicate(timeout=60) for run in runs]
    assert {output.count("INI501") for output, _ in said} == {20}
    assert {errors for _, errors in said} == {""}
    folder.codes()
    assert folder.read == []


def test_without_a_cache_nothing_is_written(folder: Folder) -> None:
    folder.write("a.py", FLAW)
    command = [sys.executable, "-m", "initlint", "check", "--static", "--no-cache", "."]
    subprocess.run(command, cwd=folder.path, capture_output=True, check=False)
    assert sorted(path.name for path in folder.path.iterdir()) == ["a.py", "pyproject.toml"]


def test_findings_come_back_whole(folder: Folder) -> None:
    prelude = "import math, torch; from torch import nn; import torch.nn.functional as F\n"
    for code in registry():
        for number, example in enumerate(load(code).bad):
            if "source" in example.by:
                folder.write(f"{code}_{number}.py", prelude + textwrap.dedent(example.code))

    def said() -> Any:
        report = api.check(["."], static=True, jobs=1, cache=True, select=["ALL"])
        return {**report.to_dict(), "summary": None}, report.findings

    first = said()
    folder.read.clear()
    assert said() == first
    assert folder.read == []
