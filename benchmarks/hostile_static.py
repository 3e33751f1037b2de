"""Static checking under attack: generated and mutated files by the ten thousand, and what of its promises broke.

    python benchmarks/hostile_static.py [--count 100000] [--seed 0] [--corpus DIRECTORY ...] [--keep DIRECTORY]

Each file is written to a disk under its hostile name, and ``initlint check --static`` is run on it in a format that
goes round. Held to, of each: no traceback and no failure inside, an end within 10 s, less than 1 GB of memory, the exit
code that Python's own parser says is right, and no character in any output that a terminal, a CI service or a parser
would obey. At the end of each batch, what is left of it is checked as a directory, while another process changes,
truncates, removes and renames the files, among them links that run in circles, FIFOs, sockets, devices and files that
may not be read (rights are dropped for that where they can be).

The files come from CPython's own tests, from a grammar (hypothesmith), from the rules' examples, and from the
``--corpus``: directories of real files, such as site-packages. Batches run in processes of their own, so that a crash
or a hang inside C code costs one batch and is counted. What broke a promise is printed and, with ``--keep``, kept.

Needs hypothesis, hypothesmith and what the tests need. Exit code 1 if a promise broke.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import multiprocessing
import os
import random
import resource
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.attack.held import FORMATS, SECONDS, broken_promises, exit_code_of, megabytes, ran
from tests.attack.sources import ESCAPES, Sources

BATCH = 250
SILENCE = 90
"""Seconds without a word after which a batch is taken for hung."""
NOBODY = 65534


class Stock(NamedTuple):
    """What files are made of: real ones, and programs of a grammar."""

    corpus: list[Path]
    generated: list[str]


def texts_of_a_grammar(seed: int, count: int) -> list[str]:
    """Programs that hypothesmith makes up: each takes it some tenths of a second, so they are used again and again."""
    import hypothesmith
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded

    made: list[str] = []
    for index, modules in enumerate((hypothesmith.from_grammar(), hypothesmith.from_node())):
        run = settings(
            max_examples=max(count // 2, 1), deadline=None, database=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )(given(modules)(lambda text: made.extend([text])))  # fmt: skip
        with contextlib.suppress(Exception):  # what the generator stumbles over is not ours
            seeded(seed * 2 + index)(run)()
    return made


def check_batch(number: int, count: int, seed: int, stock: Stock, keep: str | None, say: Connection) -> None:
    """Draw and check files, each in the directory of this batch; tells of every one, then checks the directory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    place = tempfile.mkdtemp(prefix="hostile-")
    os.chdir(place)
    Path("pyproject.toml").write_text("")
    own = seed * 1_000_003 + number
    sources = Sources(own, stock.corpus, stock.generated)
    kept: list[bytes] = []
    try:
        for index in range(count):
            hostile = sources.draw()
            path = os.path.join(os.fsencode(place), hostile.name)
            with open(path, "wb") as file:
                file.write(hostile.data)
            form = FORMATS[(index + number) % len(FORMATS)]
            say.send(("begun", hostile.kind))
            run = ran(["check", "--static", "--no-cache", "--select", "ALL", "--format", form, os.fsdecode(path)])
            broken = list(broken_promises(run, form))
            expected = exit_code_of(hostile.data, os.fsdecode(hostile.name))
            if not run.raised and run.code not in expected:
                broken.append(f"exit code {run.code}, where Python says {sorted(expected)}: {run.err.strip()[:200]}")
            if broken and keep is not None:
                Path(keep, f"{number}-{index}{Path(os.fsdecode(path)).suffix}").write_bytes(hostile.data)
            say.send(
                ("done", hostile.kind, form, run.code, run.seconds, [f"{number}-{index}: {each}" for each in broken])
            )
            os.unlink(path)
            if index % 12 == 0:
                kept.append(hostile.name)
                with open(os.path.join(os.fsencode(place), b"%d" % index + hostile.name[:200]), "wb") as file:
                    file.write(hostile.data)
        check_moving(place, random.Random(own), say)
        say.send(("memory", megabytes()))
    finally:
        os.chdir("/")
        shutil.rmtree(place, ignore_errors=True)


def check_moving(place: str, draw: random.Random, say: Connection) -> None:
    """Check a directory of odd things that another process changes meanwhile, without the rights to read all of it."""
    odd_things(place)
    if os.geteuid() == 0:
        for root, directories, _ in os.walk(os.fsencode(place)):
            for each in (root, *(os.path.join(root, name) for name in directories)):
                os.chmod(each, 0o777)
        os.chmod(os.path.join(place, "closed"), 0)
        os.setgroups([])
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
    for jobs in ("1", "2"):
        form = draw.choice(FORMATS[:-1])  # what draws HTML may lie where only the one who started this can read
        say.send(("begun", "moving directory"))
        mover = os.fork()
        if not mover:
            move(place, random.Random(draw.random()))
        try:
            run = ran(["check", "--static", "--no-cache", "--jobs", jobs, "--select", "ALL", "--format", form, "."])
        finally:
            os.kill(mover, signal.SIGKILL)
            os.waitpid(mover, 0)
        broken = [each for each in broken_promises(run, form) if not each.startswith("took")]  # many files, not one
        if run.code == 2:
            broken.append(f"exit code 2 for what was met on the way: {run.err[-200:]}")
        say.send(("done", "moving directory", form, run.code, 0.0, [f"moving: {each}" for each in broken]))
    os.seteuid(os.getuid())


def odd_things(place: str) -> None:
    """Links in circles and to nowhere, a FIFO, a socket, a device, and what may not be read."""
    with contextlib.suppress(FileExistsError):
        for name, target in (("a.py", "b.py"), ("b.py", "a.py"), ("self", "."), ("gone.py", "nowhere"), ("up", "..")):
            os.symlink(target, os.path.join(place, name))
        os.symlink("/dev/zero", os.path.join(place, "zero.py"))
        os.mkfifo(os.path.join(place, "pipe.py"))
        os.mkfifo(os.path.join(place, "__init__.py"))
        os.mkdir(os.path.join(place, "closed"), 0)
        os.mkdir(os.path.join(place, "directory.py"))
        Path(place, "unreadable.py").write_text("import torch\n")
        os.chmod(os.path.join(place, "unreadable.py"), 0)
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.join(place, "socket.py"))


def move(place: str, draw: random.Random) -> None:
    """Change files until killed."""
    names = [name for name in os.listdir(os.fsencode(place)) if os.path.isfile(name)]
    while names:
        path = draw.choice(names)
        with contextlib.suppress(OSError):
            change = draw.randrange(5)
            if change == 0 and draw.random() < 0.2:
                os.unlink(path)
            elif change == 1:
                os.truncate(path, draw.randrange(os.path.getsize(path) + 1))
            elif change == 2:
                os.rename(path, path + b"~")
                os.rename(path + b"~", path)
            elif change == 3:
                with open(path, "r+b") as file:
                    file.seek(draw.randrange(os.path.getsize(path) + 1))
                    file.write(draw.choice(ESCAPES).encode("utf-8", "surrogatepass"))
            else:
                os.unlink(path)
                os.mkfifo(path)
                os.unlink(path)
                Path(os.fsdecode(path)).write_text("import torch\n")
        time.sleep(0.0005)
    os._exit(0)


class Account:
    """What came of all files."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.codes: Counter[object] = Counter()
        self.formats: Counter[str] = Counter()
        self.broken: list[str] = []
        self.slowest = (0.0, "")
        self.memory = 0.0
        self.over_a_second = 0

    def take(self, word: tuple[object, ...]) -> None:
        if word[0] == "memory":
            self.memory = max(self.memory, float(str(word[1])))
        elif word[0] == "done":
            _, kind, form, code, seconds, broken = word
            self.kinds[str(kind)] += 1
            self.formats[str(form)] += 1
            self.codes[code] += 1
            self.slowest = max(self.slowest, (float(str(seconds)), str(kind)))
            self.over_a_second += float(str(seconds)) > 1
            for each in broken:  # type: ignore[attr-defined]
                print(f"BROKEN {kind} as {form}: {each}", flush=True)
                self.broken.append(each)

    def told(self, seconds: float) -> str:
        lines = [f"{sum(self.kinds.values()):,} checks in {seconds:,.0f} s; promises broken: {len(self.broken)}"]
        lines += ["kinds: " + ", ".join(f"{kind} {count:,}" for kind, count in sorted(self.kinds.items()))]
        lines += ["formats: " + ", ".join(f"{form} {count:,}" for form, count in sorted(self.formats.items()))]
        lines += [
            "exit codes: " + ", ".join(f"{code}: {count:,}" for code, count in sorted(self.codes.items(), key=str))
        ]
        lines += [f"slowest {self.slowest[0]:.2f} s ({self.slowest[1]}), over 1 s: {self.over_a_second}"]
        return "\n".join([*lines, f"most memory of a process: {self.memory:.0f} MB"])


def followed(process: multiprocessing.process.BaseProcess, hear: Connection, account: Account, number: int) -> None:
    """Take what a batch tells until it ends; a process that dies or falls silent has broken a promise."""
    last = "nothing"
    while True:
        if not hear.poll(SILENCE):
            account.broken.append(f"batch {number}: hung on {last}")
            print(account.broken[-1], flush=True)
            process.kill()
            break
        try:
            word = hear.recv()
        except EOFError:
            break
        last = str(word[1])
        account.take(word)
    process.join()
    if process.exitcode:
        account.broken.append(f"batch {number}: the process ended with {process.exitcode}, at {last}")
        print(account.broken[-1], flush=True)


def real_files(directories: Sequence[str]) -> list[Path]:
    """The Python files of CPython's tests and of the directories; those that mention torch count thrice."""
    import test

    own = sorted(Path(next(iter(test.__path__))).rglob("*.py"))
    if len(own) < 100:
        print("note: CPython's own tests are not installed here (Debian: libpython3-testsuite)")
    found = [path for directory in directories for path in sorted(Path(directory).rglob("*.py"))]
    near = [path for path in found if b"torch" in path.read_bytes()[:4000]]
    print(f"corpus: {len(own):,} of CPython's tests, {len(found):,} real files, {len(near):,} of which import torch")
    return [*own, *found, *near, *near]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the first batch, to try one again")
    parser.add_argument("--corpus", action="append", default=[], metavar="DIRECTORY")
    parser.add_argument("--keep", metavar="DIRECTORY", help="where files that broke a promise are put")
    asked = parser.parse_args()
    if asked.keep is not None:
        os.makedirs(asked.keep, exist_ok=True)
    stock = Stock(real_files(asked.corpus), texts_of_a_grammar(asked.seed, min(asked.count // 50, 60)))
    print(f"{len(stock.generated)} programs of a grammar")
    for form in FORMATS:  # loads what the batches would each load anew, and cannot once they have dropped their rights
        ran(["check", "--static", "--no-cache", "--jobs", "2", "--format", form, os.path.dirname(__file__)])
    context = multiprocessing.get_context("fork")
    account, started, left = Account(), time.perf_counter(), asked.count
    print(f"held to: {SECONDS} s a file, 1 GB a process, no traceback, right exit code, nothing that drives a terminal")
    for number in itertools.count(asked.first):
        hear, say = context.Pipe(duplex=False)
        arguments = (number, min(BATCH, left), asked.seed, stock, asked.keep and os.path.abspath(asked.keep), say)
        process = context.Process(target=check_batch, args=arguments)
        process.start()
        say.close()
        followed(process, hear, account, number)
        left -= BATCH
        if left <= 0:
            break
        if number % 20 == 19:
            print(f"{sum(account.kinds.values()):,} in {time.perf_counter() - started:,.0f} s", flush=True)
    print(account.told(time.perf_counter() - started))
    return 1 if account.broken else 0


if __name__ == "__main__":
    sys.exit(main())
