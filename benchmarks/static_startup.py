"""What a static check of one file costs, in units of ``python -c "import ast, click"``.

Both commands are run in turn, so that a slow moment of the machine falls on both, and with byte code in place, as pip
leaves it. Exit code 1 if the median ratio is above --limit.

    python benchmarks/static_startup.py [FILE] [--pairs 30] [--limit 3]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

EXAMPLE = Path(__file__).parent.parent / "examples/flawed/std_as_mean.py"


ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, env=ENVIRONMENT)
    return time.perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", default=str(EXAMPLE))
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--limit", type=float, default=3.0)
    options = parser.parse_args()
    check = [sys.executable, "-m", "initlint", "check", "--static", options.file]
    bare = [sys.executable, "-c", "import ast, click"]
    for command in (check, bare):  # writes byte code, fills the disk's cache
        seconds(command)
    pairs = [(seconds(check), seconds(bare)) for _ in range(options.pairs)]
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"initlint check --static {options.file}: median {statistics.median(a for a, _ in pairs) * 1000:.0f} ms")
    print(f'python -c "import ast, click": median {statistics.median(b for _, b in pairs) * 1000:.0f} ms')
    print(f"ratio: median {ratio:.2f} over {options.pairs} pairs (limit {options.limit:g})")
    return 0 if ratio <= options.limit else 1


if __name__ == "__main__":
    sys.exit(main())
