"""What a static check of one file costs, in units of ``python -c "import ast, click"``.

Each file is checked by itself. Both commands are run in turn, so that a slow moment of the machine falls on both, and
with byte code in place, as pip leaves it. Run it with the interpreter of an environment into which initlint was
installed: both commands run in the root directory, without PYTHONPATH, so that no checkout gets in the way, and an
editable install would pay for its import hook. Exit code 1 if a file's
median ratio is above --limit.

    python benchmarks/static_startup.py [FILE...] [--pairs 30] [--limit 3]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from pathlib import Path

from startup import cost

EXAMPLES = Path(__file__).parent.parent / "examples"
CODES = (0, 1)
"""Of a check that could be done."""
BARE = [sys.executable, "-c", "import ast, click"]


def measured(file: str, pairs: int) -> tuple[float, float, float]:
    """Median ratios by the clock and of the processor's time, and median milliseconds of a check."""
    check = [sys.executable, "-m", "initlint", "check", "--static", os.path.abspath(file)]
    for command in (check, BARE):  # writes byte code, fills the disk's cache
        cost(command, CODES)
    runs = [(cost(check, CODES), cost(BARE)) for _ in range(pairs)]
    wall = statistics.median(ours.wall / bare.wall for ours, bare in runs)
    cpu = statistics.median(ours.cpu / bare.cpu for ours, bare in runs)
    return wall, cpu, statistics.median(ours.wall for ours, _ in runs) * 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", metavar="FILE", help="by default every example")
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--limit", type=float, default=3.0)
    options = parser.parse_args()
    files = options.files or [str(path) for path in sorted(EXAMPLES.rglob("*.py")) if path.name != "__init__.py"]
    print(f"{'wall':>6} {'cpu':>6} {'ms':>5}  file ({options.pairs} pairs)")
    largest, slowest = 0.0, ""
    for file in files:
        wall, cpu, milliseconds = measured(file, options.pairs)
        print(f"{wall:6.2f} {cpu:6.2f} {milliseconds:5.0f}  {file}", flush=True)
        if wall > largest:
            largest, slowest = wall, file
    print(f"largest: {largest:.2f}, {slowest} (limit {options.limit:g})")
    return 0 if largest <= options.limit else 1


if __name__ == "__main__":
    sys.exit(main())
