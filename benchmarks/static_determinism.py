"""Whether static checking says the same, byte for byte but for ``seconds``, however it is run.

    python benchmarks/static_determinism.py DIRECTORY [DIRECTORY ...] [--files 400]

Of each directory, as many Python files as asked are copied. The JSON is compared over runs, hash seeds, numbers of
processes, a cache that is off, cold and warm, the order in which the files are named, and the order in which they
were written to the disk. Exit code 1 if two differ.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

_SECONDS = re.compile(r'"seconds": [0-9.e+-]+')


def told(place: Path, targets: Sequence[str], *options: str, hash_seed: str = "0") -> str:
    """The JSON of a check, but for its seconds; raises RuntimeError where it fails."""
    asked = ("check", "--static", "--advice", "--format", "json", *options, *targets)
    command = [sys.executable, "-m", "initlint", *asked]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    run = subprocess.run(
        command,
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode not in (0, 1):
        raise RuntimeError(run.stderr[-2000:])
    text, replaced = _SECONDS.subn('"seconds": 0', run.stdout)
    assert replaced == 1
    return text


def ways(place: Path, draw: random.Random) -> Iterator[tuple[str, str]]:
    """Ways to check the tree ``src`` of a directory, and what each says."""
    tree = ("src",)
    yield "again", told(place, tree, "--no-cache", "--jobs", "1")
    for hash_seed in ("1", "4711", "random"):
        yield f"hash seed {hash_seed}", told(place, tree, "--no-cache", "--jobs", "1", hash_seed=hash_seed)
    for jobs in ("2", "5"):
        yield f"{jobs} processes", told(place, tree, "--no-cache", "--jobs", jobs, hash_seed=jobs)
    yield "cold cache", told(place, tree, "--jobs", "2")
    yield "warm cache", told(place, tree)
    some = sorted((place / "src").rglob("*.py"))[::7]
    draw.shuffle(some)
    for path in some:
        path.write_bytes(path.read_bytes() + b"\n")
    for path in some:
        path.write_bytes(path.read_bytes()[:-1])
    yield "partly warm cache", told(place, tree)
    parts = sorted(f"src/{each.name}" for each in (place / "src").iterdir())
    draw.shuffle(parts)
    yield "parts in another order", told(place, parts, "--no-cache", "--jobs", "1")
    shutil.copytree(place / "src", place / "copy")
    shutil.rmtree(place / "src")
    files = sorted((place / "copy").rglob("*.py"))
    draw.shuffle(files)
    for path in files:
        target = place / "src" / path.relative_to(place / "copy")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    shutil.rmtree(place / "copy")
    yield "written in another order", told(place, tree, "--no-cache", "--jobs", "2")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("directories", type=Path, nargs="+")
    parser.add_argument("--files", type=int, default=400)
    asked = parser.parse_args()
    differing = 0
    for directory in asked.directories:
        with tempfile.TemporaryDirectory() as temporary:
            place = Path(temporary)
            (place / "pyproject.toml").write_text("[tool.initlint]\n")
            every = sorted(directory.rglob("*.py"))
            for path in every[:: max(1, len(every) // asked.files)]:
                target = place / "src" / directory.name / path.relative_to(directory)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
            first = told(place, ("src",), "--no-cache", "--jobs", "1")
            print(f"{directory.name}: {len(first):,} bytes, {first.count(chr(34) + 'code' + chr(34))} findings")
            for way, text in ways(place, random.Random(0)):
                same = text == first
                differing += not same
                print(f"  {way}: {'the same' if same else 'DIFFERS'}", flush=True)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
