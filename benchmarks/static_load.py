"""Static checking under load: how time and memory grow with the number of files.

    python benchmarks/static_load.py DIRECTORY [--counts 2500 5000 10000 20000] [--lines 500] [--jobs 2] [--linear 1.3]
        [--uncached]

The Python files of a real tree are copied into packages side by side, as often as it takes, in a temporary directory
(a gigabyte for 20,000 files of transformers; removed at the end); ``--lines`` are what a file has on average: larger
or smaller ones are left out until that is so. Each count is checked without a cache; printed are seconds, processor's
seconds, milliseconds a file, and the most memory of any process. Then, unless ``--uncached``, the largest is checked
with a cache, cold and warm. Exit code 1 if the processor's time of a file, at the largest count, is more than
``--linear`` times that at the smallest, or memory 1.5 times.
"""

from __future__ import annotations

import argparse
import itertools
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple


class Cost(NamedTuple):
    """What a run took: seconds by the clock, the processor's seconds, megabytes of its largest process."""

    seconds: float
    processor: float
    megabytes: float


def chosen(directory: Path, lines: int) -> list[tuple[Path, int]]:
    """Files of the tree and their lines: of the shorter and the longer ones as many that the mean is about right."""
    counted = [(path, path.read_bytes().count(b"\n")) for path in sorted(directory.rglob("*.py"))]
    longer = [each for each in counted if each[1] >= lines]
    shorter = [each for each in counted if 0 < each[1] < lines]
    mixed: list[tuple[Path, int]] = []
    total = 0
    while longer and shorter:
        mixed.append((longer if total < lines * (len(mixed) + 1) else shorter).pop(0))
        total += mixed[-1][1]
    return mixed


def laid_out(files: list[tuple[Path, int]], source: Path, target: Path, first: int, last: int) -> int:
    """Copy files number ``first`` to ``last`` into packages side by side; returns their lines."""
    lines = 0
    for number in range(first, last):
        path, count = files[number % len(files)]
        copy = target / f"package{number // len(files)}" / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        lines += count
    return lines


def cost_of(target: Path, *options: str) -> Cost:
    """What a check of the tree takes; raises RuntimeError where it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out:
        command = [sys.executable, "-c", MEASURED, "check", "--static", *options, "--format", "json", str(target)]
        run = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True, check=False)
        seconds = time.perf_counter() - started
    if run.returncode not in (0, 1):
        raise RuntimeError(run.stderr[-2000:])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(seconds, used, float(run.stderr.splitlines()[-1]))


MEASURED = """
import resource, sys
from initlint.cli import main
try:
    main()
finally:
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    sys.stderr.write(f"{peak / (1e6 if sys.platform == 'darwin' else 1e6 / 1024):.0f}\\n")
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--counts", type=int, nargs="+", default=[2500, 5000, 10_000, 20_000])
    parser.add_argument("--lines", type=int, default=500)
    parser.add_argument("--jobs", default="2")
    parser.add_argument("--linear", type=float, default=1.3)
    parser.add_argument("--uncached", action="store_true", help="leave out the two runs with a cache")
    asked = parser.parse_args()
    files = chosen(asked.directory, asked.lines)
    costs: list[Cost] = []
    print(f"{'files':>7} {'lines':>12} {'seconds':>8} {'processor':>10} {'ms a file':>10} {'MB':>6}")
    with tempfile.TemporaryDirectory() as directory:
        target, lines = Path(directory, "tree"), 0
        for first, last in itertools.pairwise([0, *asked.counts]):
            lines += laid_out(files, asked.directory, target, first, last)
            cost = cost_of(target, "--no-cache", "--jobs", asked.jobs)
            costs.append(cost)
            each = 1000 * cost.processor / last
            print(
                f"{last:7,} {lines:12,} {cost.seconds:8.1f} {cost.processor:10.1f} {each:10.2f} {cost.megabytes:6.0f}",
                flush=True,
            )
        os.environ["INITLINT_CACHE_DIR"] = str(Path(directory, "cache"))
        for what in () if asked.uncached else ("cold", "warm"):
            cost = cost_of(target, "--jobs", asked.jobs)
            took = f"{cost.seconds:.1f} s, {cost.processor:.1f} s of processor, {cost.megabytes:.0f} MB"
            print(f"{what} cache: {took}", flush=True)
    growth = (costs[-1].processor / asked.counts[-1]) / (costs[0].processor / asked.counts[0])
    memory = costs[-1].megabytes / costs[0].megabytes
    print(f"from {asked.counts[0]:,} to {asked.counts[-1]:,} files: {growth:.2f} times the time a file, ", end="")
    print(f"{memory:.2f} times the memory")
    return 1 if growth > asked.linear or memory > 1.5 else 0


if __name__ == "__main__":
    sys.exit(main())
