"""What reading installed packages costs, in units of tools that do less or the same.

    cold    no cache, against ``ast.parse`` and ``ast.walk`` of every file in one process, and against
            ``ruff check --no-cache`` with its default rules
    warm    nothing changed since the run before, against the same
    peers   TorchFix 0.7.0 on the first package
    one     one file that needs no other, against ``python -c "import ast, click"``

Packages are wheels, fetched by ``pip download --no-deps`` and unpacked, so that torch is not needed; a directory is
taken as it is. Commands that are compared are run in turn, so that a slow moment of the machine falls on all of them,
and a ratio is the median of those of each turn: by the clock, which the limits are about, and after it of the
processor's time, all processes together, which is what a machine with other work to do can tell. TorchFix is
installed into an environment of its own, unless one is given. Run it with the interpreter of an environment that
initlint and ruff are installed in. Exit code 1 if a ratio is beyond its limit.

What bounds a cold run on transformers: making and freeing the trees of what is read is some 40 % of it, which no
checker in Python can do without, and the one walk over them 15 %. Half of the files, with a seventh of the bytes, are
told by their bytes to have nothing to say. Cutting bodies of functions out of the text before it is parsed would not
pay: of the bytes of its models 54 % stand in methods other than constructors, but only 22 % in such as hold no name
that reading looks for, and telling these from the text takes a third of the time of parsing it all.

    python benchmarks/static_speed.py [PACKAGE_OR_DIRECTORY...] [--turns 5] [--jobs 2] [--torchfix PATH] [--no-torchfix]
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
"""With byte code in place, as pip leaves it."""
PACKAGES = ("timm", "torchvision", "transformers")
LIMITS = {"cold / ast": 0.9, "cold / ruff": 5.0, "warm / ruff": 1.0, "one / import": 2.5, "memory": 400.0}
TORCHFIX = ("torchfix==0.7.0",)
TIMES_TORCHFIX = 60.0
WALK = """
import ast, pathlib, sys, warnings
warnings.simplefilter("ignore")
for path in sorted(pathlib.Path(sys.argv[1]).rglob("*.py")):
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        continue
    for node in ast.walk(tree):
        pass
"""
ONE_FILE = """import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, dim=64):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(dim, dim) for _ in range(4)])
        self.norm = nn.LayerNorm(dim)
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        for layer in self.layers:
            x = torch.relu(layer(x))
        return self.norm(x)
"""


def unpacked(name: str, into: Path) -> Path:
    """The directory of a package's sources, fetched as a wheel unless it is a directory already."""
    if os.path.isdir(name):
        return Path(name).resolve()
    wheels = into / "wheels" / name
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        name,
        "-d",
        str(wheels),
    ]
    subprocess.run(command, check=True)
    target = into / "sources"
    with zipfile.ZipFile(next(wheels.glob("*.whl"))) as wheel:
        wheel.extractall(target)
    return target / name.partition("=")[0].replace("-", "_")


class Cost(NamedTuple):
    """What one run took, in seconds: by the clock, and of the processor (user and system)."""

    wall: float
    cpu: float


def cost(command: list[str], cwd: Path) -> Cost:
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    run = subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False, cwd=cwd, env=ENVIRONMENT
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if run.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)}: exit {run.returncode}\n{run.stderr[-2000:]}")
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def compared(ours: Sequence[Cost], theirs: Sequence[Cost]) -> tuple[float, str]:
    """The median ratio by the clock, and a line that tells it, what it is of, and the same of the processor's time."""
    line = []
    for clock in (0, 1):
        ratio = statistics.median(a[clock] / b[clock] for a, b in zip(ours, theirs, strict=True))
        seconds = [statistics.median(each[clock] for each in costs) for costs in (ours, theirs)]
        line.append(f"{ratio:6.2f} = {seconds[0]:7.3f} / {seconds[1]:7.3f} s")
    wall = statistics.median(a.wall / b.wall for a, b in zip(ours, theirs, strict=True))
    return wall, "   cpu ".join(line)


class Bench:
    """Runs commands in turn and collects what is beyond its limit."""

    def __init__(self, turns: int, cwd: Path) -> None:
        self.turns = turns
        self.cwd = cwd
        self.beyond: list[str] = []

    def compare(self, commands: dict[str, list[str]], turns: int | None = None) -> dict[str, list[Cost]]:
        """The cost of each command, turn by turn, after one run of each that does not count."""
        for command in commands.values():
            cost(command, self.cwd)
        took: dict[str, list[Cost]] = {name: [] for name in commands}
        for _ in range(turns or self.turns):
            for name, command in commands.items():
                took[name].append(cost(command, self.cwd))
        return took

    def say(self, what: str, ours: Sequence[Cost], theirs: Sequence[Cost], limit: float) -> None:
        ratio, line = compared(ours, theirs)
        self.tell(what, line, ratio <= limit, f"at most {limit:g}")

    def tell(self, what: str, figure: str, good: bool, limit: str) -> None:
        print(f"  {what:<28} {figure}   ({limit}{'' if good else ': MISSED'})", flush=True)
        if not good:
            self.beyond.append(what)


def check(path: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "initlint", "check", "--static", "--exit-zero", "--quiet", *options, str(path)]


def peak(command: list[str], cwd: Path) -> float:
    """The largest memory of a command and its children, in MB, each process by itself."""
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=-3, stderr=-3);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    run = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=True, cwd=cwd)
    return int(run.stdout) / (1e6 if sys.platform == "darwin" else 1e3)


def package(bench: Bench, path: Path, jobs: int) -> None:
    files = sum(1 for _ in path.rglob("*.py"))
    print(f"{path.name}: {files} files, {jobs} processes", flush=True)
    ruff = shutil.which("ruff", path=os.path.dirname(sys.executable)) or shutil.which("ruff") or "ruff"
    commands = {
        "cold": check(path, "--no-cache", "--jobs", str(jobs)),
        "ast": [sys.executable, "-c", WALK, str(path)],
        "ruff": [ruff, "check", "--isolated", "--no-cache", "--exit-zero", "--quiet", str(path)],
    }
    took = bench.compare(commands)
    bench.say("cold / ast", took["cold"], took["ast"], LIMITS["cold / ast"])
    bench.say("cold / ruff", took["cold"], took["ruff"], LIMITS["cold / ruff"])
    took = bench.compare({"warm": check(path), "ruff": commands["ruff"]})
    bench.say("warm / ruff", took["warm"], took["ruff"], LIMITS["warm / ruff"])
    megabytes = peak(commands["cold"], bench.cwd)
    bench.tell("memory", f"{megabytes:6.0f} MB", megabytes < LIMITS["memory"], f"under {LIMITS['memory']:.0f} MB")


def torchfix(bench: Bench, path: Path, given: str | None, temporary: Path, jobs: int) -> None:
    """TorchFix on one package: once, for it takes minutes."""
    program = given
    if program is None:
        venv.create(temporary / "torchfix", with_pip=True)
        python = temporary / "torchfix" / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", *TORCHFIX], check=True)
        program = str(python.with_name("torchfix"))
    theirs = cost([program, "--select=ALL", str(path)], bench.cwd)
    ours = bench.compare({"ours": check(path, "--no-cache", "--jobs", str(jobs))}, turns=3)["ours"]
    times, line = compared([theirs] * len(ours), ours)
    bench.tell(f"torchfix / cold on {path.name}", line, times >= TIMES_TORCHFIX, f"at least {TIMES_TORCHFIX:g}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="*", default=PACKAGES, metavar="PACKAGE_OR_DIRECTORY")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--torchfix", metavar="PATH", help="the program, where it is installed already")
    parser.add_argument("--no-torchfix", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="initlint-speed-") as name:
        temporary = Path(name)
        cwd = temporary / "cwd"
        cwd.mkdir()
        bench = Bench(options.turns, cwd)
        paths = [unpacked(each, temporary) for each in options.packages]
        for path in paths:
            package(bench, path, options.jobs)
        if not options.no_torchfix:
            torchfix(bench, paths[0], options.torchfix, temporary, options.jobs)
        (temporary / "one" / "net.py").parent.mkdir()
        (temporary / "one" / "net.py").write_text(ONE_FILE)
        one = bench.compare(
            {
                "check": check(temporary / "one" / "net.py"),
                "import": [sys.executable, "-c", "import ast, click"],
            },
            turns=4 * options.turns,
        )
        print("one file")
        bench.say("one / import", one["check"], one["import"], LIMITS["one / import"])
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{used.ru_utime + used.ru_stime:.0f} s of the processor; {len(bench.beyond)} beyond their limit")
    return 1 if bench.beyond else 0


if __name__ == "__main__":
    sys.exit(main())
