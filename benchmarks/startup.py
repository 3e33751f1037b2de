"""What starting initlint costs, in units of ``python -c "import click"``.

Both commands are run in turn, so that a slow moment of the machine falls on both, with byte code in place, as pip
leaves it, and in the root directory without PYTHONPATH: run it with the interpreter of an environment into which
initlint was installed (an editable install pays for its import hook). The processor's time of a process is that
which the kernel counted for it alone (wait4). Printed are the median of the pairs' ratios by the clock and by the
processor, the ratio of the best runs by the processor, and the median milliseconds of initlint's. Exit code 1 if
``initlint --help`` takes more than --limit times the bare import, best run by best run: what else runs on the machine
only ever adds.

    python benchmarks/startup.py [--pairs 30] [--limit 1.5]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from typing import NamedTuple

ENVIRONMENT = {key: value for key, value in os.environ.items() if key not in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH")}
BARE = [sys.executable, "-c", "import click"]
COMMANDS = ("--help", "--version", "check --help", "suggest --help", "rules --help", "rules INI5", "explain INI501")
DECIDES = "--help"


class Cost(NamedTuple):
    """What one run took, in seconds: by the clock, and of the processor (user and system)."""

    wall: float
    cpu: float


def cost(command: list[str], codes: tuple[int, ...] = (0,)) -> Cost:
    """What a command takes; SystemExit where it exits with another than these codes."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT, cwd=os.sep
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in codes:
        raise SystemExit(f"{' '.join(command)} exits with {process.returncode}")
    return Cost(time.perf_counter() - start, used.ru_utime + used.ru_stime)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--limit", type=float, default=1.5)
    options = parser.parse_args()
    print(f"{'wall':>6} {'cpu':>6} {'best':>6} {'ms':>5}  command ({options.pairs} pairs)")
    decided = 0.0
    for text in COMMANDS:
        command = [sys.executable, "-m", "initlint", *text.split()]
        for each in (command, BARE):  # writes byte code, fills the disk's cache
            cost(each)
        runs = [(cost(command), cost(BARE)) for _ in range(options.pairs)]
        wall = statistics.median(ours.wall / bare.wall for ours, bare in runs)
        cpu = statistics.median(ours.cpu / bare.cpu for ours, bare in runs)
        best = min(ours.cpu for ours, _ in runs) / min(bare.cpu for _, bare in runs)
        milliseconds = statistics.median(ours.wall for ours, _ in runs) * 1000
        print(f"{wall:6.2f} {cpu:6.2f} {best:6.2f} {milliseconds:5.0f}  initlint {text}", flush=True)
        if text == DECIDES:
            decided = best
    print(f"initlint {DECIDES}: {decided:.2f} times the bare import (limit {options.limit:g})")
    return 0 if decided <= options.limit else 1


if __name__ == "__main__":
    sys.exit(main())
