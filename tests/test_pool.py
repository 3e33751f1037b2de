"""Several processes give the results of one, in order, and a process that dies costs one item."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from initlint.pool import can_fork, each

pytestmark = pytest.mark.skipif(not can_fork() and "threading" not in sys.modules, reason="processes cannot be copied")

FLAW = "import torch.nn as nn\n\n\ndef init_weights(m):\n    nn.init.normal_(m.weight, 0.02)\n"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for index in range(12):
        (tmp_path / f"m{index:02}.py").write_text(FLAW if index % 3 else "def broken(:\n    import torch\n")
    return tmp_path


def check(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "initlint", "check", "--static", *arguments],
        capture_output=True, text=True, cwd=cwd, check=False,
    )  # fmt: skip


def test_the_number_of_processes_changes_nothing(package: Path) -> None:
    one, two, many = (check("--jobs", jobs, cwd=package) for jobs in ("1", "2", "5"))
    assert one.returncode == 1
    assert one.stdout.count("INI501") == 8
    assert one.stderr.count("cannot be parsed") == 4
    assert (one.stdout, one.stderr) == (two.stdout, two.stderr) == (many.stdout, many.stderr)


def test_results_are_in_order() -> None:
    def work(item: int) -> int:
        time.sleep(0.02 * (item % 2))
        return item * item

    assert list(each(work, [[1, 2], [3], [4, 5]], 2, lambda item: -1)) == [1, 4, 9, 16, 25]


def test_a_process_that_dies_costs_one_item() -> None:
    def work(item: int) -> int:
        if item in (3, 8):
            os.kill(os.getpid(), signal.SIGKILL)
        return item

    batches = [[1, 2], [3, 4], [5, 6], [7, 8, 9], [10]]
    assert list(each(work, batches, 2, lambda item: -item)) == [1, 2, -3, 4, 5, 6, 7, -8, 9, 10]


def test_what_the_work_raises_is_raised() -> None:
    def work(item: int) -> int:
        raise KeyError(item)

    with pytest.raises(KeyError):
        list(each(work, [[1], [2]], 2, lambda item: -1))


def test_an_interrupted_run_leaves_no_process(tmp_path: Path) -> None:
    for index in range(400):
        (tmp_path / f"m{index}.py").write_text(FLAW * 20)
    command = [sys.executable, "-m", "initlint", "check", "--static", "--jobs", "2", "."]
    run = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    time.sleep(1)
    os.killpg(run.pid, signal.SIGINT)
    _, errors = run.communicate(timeout=120)
    assert run.returncode in (130, 1)  # 1: it was done before
    assert "Traceback" not in errors
    with pytest.raises(ProcessLookupError):
        os.killpg(run.pid, 0)


def test_a_run_that_is_killed_leaves_no_process(tmp_path: Path) -> None:
    for index in range(400):
        (tmp_path / f"m{index}.py").write_text(FLAW * 20)
    command = [sys.executable, "-m", "initlint", "check", "--static", "--no-cache", "--jobs", "2", "."]
    run = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(1)
    run.kill()
    run.communicate(timeout=20)  # ends when all have let go of its output, the parent or whom it left behind
