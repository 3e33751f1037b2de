"""Whether a change made initlint slower: this tree held against another commit, by ratio.

    python benchmarks/against.py [COMMIT] [--turns 3] [--limit 1.25] [-k EXPRESSION]

Both trees run ``speed/`` under pytest-benchmark, in turn, so that a slow moment of the machine falls on both. A ratio
is the median over the turns of this tree's fastest round by the other's, the fastest being what the rest of the machine
disturbs least. COMMIT is main where it is left out. The benchmarks are this tree's; what the other has not yet is left
out. Exit code 1 if a ratio is beyond the limit, 2 if something could not be run.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SPEED = ROOT / "benchmarks" / "speed"


def fastest(tree: Path, scratch: Path, chosen: str) -> dict[str, float]:
    """Seconds of each benchmark's fastest round, with the packages of a tree. Those that fail there are left out."""
    packages = scratch / f"packages of {tree.name}"
    packages.mkdir(exist_ok=True)
    for name, folder in (("initlint", "initlint"), ("initlint_rules", "rules")):
        if not (packages / name).is_symlink():
            (packages / name).symlink_to(tree / folder)
    report = scratch / "report.json"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", f"--benchmark-json={report}"]
    run = subprocess.run(
        [*command, f"--rootdir={SPEED}", "-c", os.devnull, "-k", chosen, str(SPEED)],
        cwd=scratch,
        env=os.environ | {"PYTHONPATH": str(packages), "PYTHONDONTWRITEBYTECODE": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    if not report.exists() or not report.stat().st_size:
        sys.exit(
            _refused(f"nothing could be measured in {tree}: {run.stdout.strip()[-400:]}{run.stderr.strip()[-400:]}")
        )
    return {each["name"]: each["stats"]["min"] for each in json.loads(report.read_text())["benchmarks"]}


def _refused(why: str) -> int:
    print(f"against.py: {why}", file=sys.stderr)
    return 2


def main() -> int:
    """Print a table of ratios; 1 if one is beyond the limit."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("commit", nargs="?", default="main", help="what to compare with (default: main)")
    parser.add_argument("--turns", type=int, default=3, help="how often both are run (default: 3)")
    parser.add_argument("--limit", type=float, default=1.25, help="the ratio that is too much (default: 1.25)")
    parser.add_argument("-k", dest="chosen", default="", help="benchmarks whose names match, as in pytest")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        scratch, other = Path(place), Path(place) / "other"
        checkout = ["git", "-C", str(ROOT), "worktree", "add", "--detach", "--quiet", str(other), asked.commit]
        made = subprocess.run(checkout, capture_output=True, text=True, check=False)
        if made.returncode:
            return _refused(f"no commit {asked.commit}: {made.stderr.strip().splitlines()[-1]}")
        try:
            turns = [
                (fastest(ROOT, scratch, asked.chosen), fastest(other, scratch, asked.chosen))
                for _ in range(asked.turns)
            ]
        finally:
            remove = ["git", "-C", str(ROOT), "worktree", "remove", "--force", str(other)]
            subprocess.run(remove, capture_output=True, check=False)
    names = [name for name in turns[0][0] if all(name in theirs for _, theirs in turns)]
    beyond = False
    print(f"{'':34} this tree  {asked.commit[:12]:>12}  ratio")
    for name in names:
        ratio = statistics.median(ours[name] / theirs[name] for ours, theirs in turns)
        ours, theirs = (statistics.median(turn[side][name] for turn in turns) for side in (0, 1))
        beyond |= ratio > asked.limit
        print(
            f"{name:34} {ours * 1e3:6.1f} ms  {theirs * 1e3:9.1f} ms  {ratio:5.2f}{'  beyond' * (ratio > asked.limit)}"
        )
    return int(beyond)


if __name__ == "__main__":
    sys.exit(main())
