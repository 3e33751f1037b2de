"""Files are safe: whatever befalls a run, what it writes is the old file or the new one, and no other is touched."""

from __future__ import annotations

import contextlib
import importlib
import os
import random
import resource
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attack.forked import calls_on_files, command, forked, killed_at
from tests.attack.held import ran

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="copies of this process are what is killed")

BAD = "import torch.nn as nn\n\n\ndef init_weights(m):\n    nn.init.xavier_uniform(m.weight)\n"
FIXED = BAD.replace("uniform", "uniform_")
FIX = ("check", "--static", "--no-cache", "--fix", "net.py")
OUTPUT = ("check", "--static", "--no-cache", "--format", "json", "--output", "report.json", "net.py")
BASELINE = ("check", "--static", "--no-cache", "--update-baseline", "--baseline", "report.json", "net.py")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("libcst", "initlint.mending", "initlint.fix.rounds", "initlint.report.json", "initlint.baseline"):
        importlib.import_module(name)  # loaded here, so that no copy need load it
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(BAD)
    (tmp_path / "pyproject.toml").write_text("")
    return tmp_path


def litter(place: Path) -> list[str]:
    return sorted(path.name for path in place.rglob(".initlint-*"))


def grow_old(place: Path) -> None:
    """A run that comes later finds what was left behind some seconds old."""
    for name in litter(place):
        os.utime(place / name, (time.time() - 10,) * 2)


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("arguments", [OUTPUT, BASELINE], ids=["output", "baseline"])
def test_a_report_that_is_cut_off_is_the_old_one_or_the_new_one(
    place: Path, arguments: tuple[str, ...], every: bool
) -> None:
    forked(command(*arguments))
    new = (place / "report.json").read_bytes()
    (place / "net.py").write_text("")
    forked(command(*arguments))
    old = (place / "report.json").read_bytes()
    (place / "net.py").write_text(BAD)
    calls = calls_on_files(command(*arguments), str(place))
    assert "os.rename" in calls
    first = next(number for number, call in enumerate(calls) if call == "tempfile.mkstemp")
    left_something = False
    for number in range(first, len(calls)) if every else (calls.index("os.rename"), len(calls) - 1):
        (place / "report.json").write_bytes(old)
        assert killed_at(number, command(*arguments), str(place)) == -signal.SIGKILL
        found = (place / "report.json").read_bytes()
        assert found == old or abs(len(found) - len(new)) < 10  # the digits of ``seconds``
        left_something = left_something or bool(litter(place))
        grow_old(place)
    assert left_something
    forked(command(*arguments))
    assert not litter(place)


@pytest.mark.parametrize("rounds", [2, pytest.param(100, marks=pytest.mark.slow)])
def test_a_fix_that_is_killed_leaves_the_old_file_or_the_new_one(place: Path, rounds: int) -> None:
    draw = random.Random(rounds)
    calls = calls_on_files(command(*FIX), str(place))
    (place / "net.py").write_text(BAD)
    writing = range(calls.index("tempfile.mkstemp"), len(calls))
    for _ in range(rounds):
        number = draw.choice(writing if rounds < 10 or draw.random() < 0.8 else range(len(calls)))
        killed_at(number, command(*FIX), str(place))
        assert (place / "net.py").read_text() in (BAD, FIXED)
        grow_old(place)
        assert forked(command(*FIX)) == 0
        assert (place / "net.py").read_text() == FIXED
        assert not litter(place)
        (place / "net.py").write_text(BAD)


def test_what_a_run_has_under_way_is_not_taken_for_litter(place: Path) -> None:
    import fcntl

    busy = place / ".initlint-busy.tmp"
    busy.write_text("half")
    grow_old(place)
    with busy.open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        forked(command(*FIX))
    assert busy.read_text() == "half"
    assert (place / "net.py").read_text() == FIXED


def test_a_disk_that_is_full_leaves_the_old_file(place: Path) -> None:
    (place / "net.py").write_text(BAD + "# long\n" * 3_000)
    before = (place / "net.py").read_bytes()

    def work() -> int:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        return command(*FIX)()

    assert forked(work) == 2
    assert (place / "net.py").read_bytes() == before
    assert not litter(place)


@pytest.fixture
def small_disk(place: Path) -> Iterator[Path]:
    """A file system of 128 KB of which the last 8 are free, with a file of 40 KB on it."""
    disk = place / "disk"
    disk.mkdir()
    mounting = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", disk], capture_output=True)
    if mounting.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        (disk / "net.py").write_text(BAD + "# long\n" * 6_000)
        (disk / "filler").write_bytes(b" " * 80_000)
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs the rights to mount a file system")
def test_a_small_disk_that_is_full(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(small_disk)
    before = Path("net.py").read_bytes()
    assert forked(command(*FIX)) == 2
    assert forked(command("check", "--static", "net.py")) == 1  # the cache is done without
    with contextlib.suppress(OSError), open("more", "wb", buffering=0) as more:
        while True:
            more.write(b" " * 1_000)
    assert forked(command(*OUTPUT, "--select", "ALL")) == 2
    assert Path("net.py").read_bytes() == before
    assert not Path("report.json").exists()
    assert not litter(small_disk)
    for name in ("filler", "more"):
        Path(name).unlink()
    assert forked(command(*FIX)) == 0
    assert Path("net.py").read_bytes() == before.replace(b"uniform", b"uniform_")


@pytest.mark.skipif(os.geteuid() != 0, reason="test_fix.py has it for those whom rights bind")
def test_who_may_not_write_there_changes_nothing(place: Path) -> None:
    assert ran(FIX).code == 0  # loads all that it takes, which others may not be allowed to read
    with tempfile.TemporaryDirectory() as shared:  # others cannot come to where this test lies
        net = Path(shared, "net.py")
        net.write_text(BAD)
        net.chmod(0o666)
        os.chmod(shared, 0o555)

        def work() -> int:
            os.chdir(shared)
            os.setgid(65534)
            os.setuid(65534)
            return command(*FIX)()

        assert forked(work) == 2
        assert net.read_text() == BAD
        assert os.listdir(shared) == ["net.py"]


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="there are no extended attributes here")
def test_mode_and_extended_attributes_are_kept(place: Path) -> None:
    net = place / "net.py"
    net.chmod(0o640)
    try:
        os.setxattr(net, "user.origin", b"mine")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    forked(command(*FIX))
    assert net.read_text() == FIXED
    assert os.getxattr(net, "user.origin") == b"mine"
    assert stat.S_IMODE(net.stat().st_mode) == 0o640


def test_a_link_that_leads_out_of_what_was_named_is_not_written_through(place: Path) -> None:
    outside, inside = place / "other" / "net.py", place / "repository"
    outside.parent.mkdir()
    inside.mkdir()
    outside.write_text(BAD)
    (inside / "net.py").symlink_to(outside)
    (inside / "own.py").write_text(BAD)
    (inside / "again.py").symlink_to("own.py")
    arguments = ("check", "--static", "--no-cache", "--fix")
    forked(command(*arguments, "repository"))
    assert outside.read_text() == BAD
    assert (inside / "own.py").read_text() == FIXED
    assert (inside / "again.py").is_symlink()
    forked(command(*arguments, "repository/net.py"))  # named: that is meant
    assert outside.read_text() == FIXED
    assert (inside / "net.py").is_symlink()


@pytest.mark.parametrize("name", ["", "static.sqlite", ".gitignore", "CACHEDIR.TAG", "static.sqlite-wal"])
def test_a_link_in_place_of_the_cache_is_not_written_through(place: Path, name: str) -> None:
    target = place / "precious"
    cache = place / ".initlint_cache"
    if name:
        cache.mkdir()
        (cache / name).symlink_to(target)
    else:
        target.mkdir()
        cache.symlink_to(target)
    assert forked(command("check", "--static", ".")) == 1
    assert not target.exists() or not list(target.iterdir())
