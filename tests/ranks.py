"""Runs of several processes that torch.distributed joins by gloo, started by tests in several modules."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

__all__ = ["ROOT", "command", "once"]

ROOT = Path(__file__).parents[1]


def command(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """``python -m words...`` with the tests and the package on its path."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), environment.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def once(factory: pytest.TempPathFactory, name: str, *words: str) -> Path:
    """The directory in which ``python -m words... DIRECTORY`` was run, once for all processes that tests run in."""
    base = factory.getbasetemp()
    directory = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    try:
        directory.mkdir()
    except FileExistsError:
        deadline = time.monotonic() + 300
        while not (directory / "over").exists() and time.monotonic() < deadline:
            time.sleep(0.2)
    else:
        run = command(directory, *words, str(directory))
        (directory / "part").write_text(run.stderr[-3000:] if run.returncode else "")
        (directory / "part").rename(directory / "over")
    assert (directory / "over").read_text() == ""
    return directory
