"""A cache under attack: shared by runs at the same time, some of them killed, and damaged between the rounds.

    python benchmarks/cache_faults.py [--rounds 200] [--runs 8] [--seed 0]

In each round bytes of the store are overwritten at random, or it is cut short or taken away, in one of two; then as
many runs as asked check one directory with that cache, of which half are killed after a random while; then one more
runs alone. Every report that is written, by runs that were not killed, is to be the one without a cache, but for
``seconds``. Between rounds files change, so that there is something to be stored. Exit code 1 if a report differs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.attack.forked import command
from tests.attack.held import ran

FILES = 12
NET = """import torch
from torch import nn
from helpers import init_{other}


def init_{own}(m):
    nn.init.xavier_uniform(m.weight)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear({width}, 4)
        self.apply(init_{other})
"""


def write_tree(place: Path, draw: random.Random, only: int | None = None) -> None:
    """Files that look at each other, all of them or one, written long enough ago for their times to be trusted."""
    for own in range(FILES) if only is None else (only,):
        path = place / ("helpers.py" if own == 0 else f"net{own}.py")
        path.write_text(NET.format(own=own, other=draw.randrange(FILES), width=draw.randint(1, 999)))
        os.utime(path, (time.time() - 100,) * 2)


def damage(store: Path, draw: random.Random) -> str:
    """Do something to a file of the store; returns what."""
    files = sorted(store.glob("static.sqlite*"))
    if not files or draw.random() < 0.5:
        return "nothing"
    path = draw.choice(files)
    data = bytearray(path.read_bytes())
    what = draw.choice(["bytes", "bytes", "bytes", "bytes", "page", "cut", "gone"])
    if what == "bytes":
        for _ in range(draw.choice([1, 3, 40]) if data else 0):
            data[draw.randrange(len(data))] = draw.randrange(256)
    elif what == "page" and data:
        start = draw.randrange(len(data)) // 4096 * 4096
        data[start : start + 4096] = draw.randbytes(4096)
    elif what == "cut":
        del data[draw.randrange(len(data) + 1) :]
    elif what == "gone":
        path.unlink()
        return what
    path.write_bytes(data)
    return what


def told(text: str) -> Any:
    """A report, but for what the clock says."""
    report = json.loads(text)
    report["summary"].pop("seconds")
    return report


def one_round(place: Path, runs: int, draw: random.Random) -> tuple[str, int, list[str]]:
    """What was damaged, how many reports were compared, and what differed."""
    if draw.random() < 0.6:
        write_tree(place, draw, draw.randrange(FILES))
    expected = told(ran(["check", "--static", "--no-cache", "--jobs", "1", "--format", "json", "."]).out)
    what = damage(place / ".initlint_cache", draw)
    children = []
    for number in range(runs):
        child = os.fork()
        if not child:
            output = str(place / f"report{number}.json")
            os._exit(command("check", "--static", "--jobs", "1", "--format", "json", "--output", output, ".")())
        children.append(child)
    doomed = [child for child in children if draw.random() < 0.5]
    for child in doomed:
        time.sleep(draw.random() * 0.05)
        os.kill(child, signal.SIGKILL)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    wrong = [f"exit code {code}" for code in codes if code not in (1, -signal.SIGKILL)]
    texts = [path.read_text() for path in place.glob("report*.json")]
    alone = ran(["check", "--static", "--jobs", "1", "--format", "json", "."])
    if alone.raised or alone.err:
        wrong.append(f"alone: {alone.raised} {alone.err}")
    texts.append(alone.out)
    wrong += ["a report differs from the one without a cache" for text in texts if told(text) != expected]
    for path in place.glob("report*.json"):
        path.unlink()
    return what, len(texts), wrong


def rounds(count: int, runs: int, seed: int, place: Path) -> tuple[Counter[str], int, list[str]]:
    """So many rounds in an empty directory: what was damaged how often, reports compared, and what went wrong."""
    draw = random.Random(seed)
    place.joinpath("pyproject.toml").write_text("[tool.initlint]\n")
    write_tree(place, draw)
    damages: Counter[str] = Counter()
    compared, wrong = 0, []
    for number in range(count):
        what, reports, differing = one_round(place, runs, draw)
        damages[what] += 1
        compared += reports
        wrong += [f"round {number} ({what}): {each}" for each in differing]
    return damages, compared, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    os.environ.pop("INITLINT_CACHE_DIR", None)
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        started = time.perf_counter()
        damages, compared, wrong = rounds(asked.rounds, asked.runs, asked.seed, Path(directory))
        os.chdir("/")
    print("\n".join(wrong))
    shown = ", ".join(f"{what} {count}" for what, count in sorted(damages.items()))
    print(f"{asked.rounds} rounds of {asked.runs} runs in {time.perf_counter() - started:.0f} s; damaged: {shown}")
    print(f"{compared} reports compared with the one without a cache, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
