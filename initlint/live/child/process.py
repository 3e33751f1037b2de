"""Runs models in a child process, so that nothing a model does can harm the report.

The child is a fresh interpreter in a session of its own, with a folder of its own for temporary files. What the model
prints goes into a pipe that is emptied and forgotten but for its end; results come over another. A model that takes too
long or dies is an outcome, and the child starts again for those after it, as it does after one that changed what the
next would notice. When a child is done with, whatever it started is killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from types import TracebackType
from typing import Any

from initlint.live.child.messages import Inbox, Outcome, TooMuch, outcome_of
from initlint.live.child.processes import descendants, is_alive, kill_all
from initlint.live.child.worker import IMPORTING, PIPE_LOST

__all__ = ["LiveJob", "Outcome", "run"]

_STARTING = 120.0
"""Seconds that an interpreter may take to import torch, where the time allowed to a model is less."""
_TAIL = 4096
"""Bytes of a model's output that are kept."""
_TICK = 0.1
_MOST_AT_ONCE = 1 << 24
"""Bytes that are read between two looks at the clock."""
_SWEEPS = 400
"""How often, every 5 ms, leftover processes are looked for: to die takes them a moment."""
_ENDING = 5.0
"""Seconds that a child may take to end that has sent its last, or lost its pipe: what it started is ended first."""
_LONGEST_PHASE = 100
_MARK = "INITLINT_RUN"
_BOOTSTRAP = """
import sys
sys.path[:] = [entry for entry in sys.path if entry]  # or torch would import a numbers.py that lies beside the model
import json, os
home, job, results = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with open(job, "rb") as pipe:
    work = json.loads(pipe.read())
if sys.version_info < (3, 10):
    said = {"key": work["key"], "kind": "old-python", "text": sys.version.split()[0]}
    os.write(results, json.dumps(said).encode() + b"\\n")
    sys.exit(0)
from importlib.machinery import PathFinder
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return PathFinder.find_spec(name, [home]) if name == "initlint" else None
sys.meta_path.insert(0, Finder)
sys.argv[:] = [work["path"] or work["module"]]
from initlint.live.child.worker import main
main(work, results)
"""


@dataclass(frozen=True, slots=True)
class LiveJob:
    """The models of one file or module, and how to build and run them.

    ``names`` are objects in the file ``path`` or the importable module ``module``. ``arguments`` are ``NAME=VALUE``,
    ``batches`` as --batch spells them. ``timeout`` is in seconds for each model, ``memory_limit`` in bytes on top of
    what torch takes. ``python`` is the interpreter (None: this one), ``project_root`` the folder whose code counts as
    the user's, ``seeds`` how many are tried, from ``seed`` on; at each of ``widths`` the argument ``width_argument``
    (None: what a width is mostly called) has that value; ``loss`` is as --loss spells it; ``dtype`` is the format that
    ranges are judged in, as --dtype does. ``initializer`` is the source of a function that is called on each model once
    it is built, None for none. ``meta``: built without weights, and not run.
    """

    names: tuple[str, ...]
    path: str | None = None
    module: str | None = None
    arguments: tuple[str, ...] = ()
    batches: tuple[str, ...] = ()
    device: str = "auto"
    dtype: str | None = None
    seed: int = 0
    seeds: int = 1
    widths: tuple[int, ...] = ()
    width_argument: str | None = None
    loss: str | None = None
    timeout: float = 120.0
    memory_limit: int | None = None
    python: str | None = None
    cwd: str | None = None
    project_root: str | None = None
    initializer: str | None = None
    meta: bool = False

    def target(self, name: str) -> str:
        """How the command line spells one of the models."""
        return f"{self.path}::{name}" if self.path is not None else f"{self.module}:{name}"


def run(job: LiveJob) -> Iterator[Outcome]:
    """Build and audit the models of a job; one outcome for each name, in order. Never raises for what a model does."""
    waiting = list(job.names)
    while waiting:
        try:
            child = _Child(replace(job, names=tuple(waiting)))
        except OSError as error:
            reason = f"cannot run {job.python or sys.executable}: {error.strerror}"
            yield from (Outcome(job.target(name), "failed", reason, unmet=True) for name in waiting)
            return
        with child:
            for outcome in child.outcomes():
                waiting.pop(0)
                yield outcome


_OF_ONE_RANK = ("RANK", "LOCAL_RANK", "GROUP_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def _environment() -> dict[str, str]:
    """The environment without what torchrun put there: a model that joined its processes would wait for all of them."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return dict(os.environ)
    return {
        name: value
        for name, value in os.environ.items()
        if name not in _OF_ONE_RANK and not name.startswith("TORCHELASTIC_")
    }


class _Child:
    """One child process; leaving its context ends it and everything that it started."""

    def __init__(self, job: LiveJob) -> None:
        self._job = job
        self._mark = uuid.uuid4().hex
        self._cwd = job.cwd or _working_directory(job)
        key = uuid.uuid4().hex
        self._inbox = Inbox(key)
        work_end, work = os.pipe()
        self._results, results_end = os.pipe()
        self._output, output_end = os.pipe()
        theirs = (work_end, results_end, output_end)
        self._tail = b""
        self._where = "while Python was starting"
        self._ready = False
        self._done = False
        self._temporary = _temporary_folder()
        try:
            self._process = subprocess.Popen(
                [job.python or sys.executable, "-c", _BOOTSTRAP, _home(), str(work_end), str(results_end)],
                stdin=subprocess.DEVNULL,
                stdout=output_end,
                stderr=output_end,
                pass_fds=(work_end, results_end),
                start_new_session=True,
                cwd=self._cwd,
                env={**_environment(), **self._settings()},
            )
        except BaseException:
            for descriptor in (work, self._results, self._output):
                os.close(descriptor)
            _remove(self._temporary)
            raise
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        # A broken pipe: it is dead already, and its status says how.
        with contextlib.suppress(BrokenPipeError), open(work, "wb") as pipe:
            pipe.write(json.dumps({**asdict(job), "cwd": self._cwd, "key": key}).encode())
        os.set_blocking(self._results, False)
        os.set_blocking(self._output, False)

    def __enter__(self) -> _Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The warden ends what is below it, and itself; what it leaves, or what others left that ended it, is looked
        # for here. Until it is reaped, its number cannot become another group's.
        warden = self._process.pid
        if self._done:  # it ends by itself: whoever watches it (coverage does) can write down what was seen
            self._wait(_ENDING)
        if sys.platform == "linux" and self._status() is None:
            for number in (signal.SIGTERM, signal.SIGCONT):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(warden, number)
            self._wait(_ENDING)
        mark = f"{_MARK}={self._mark}".encode()
        ours: set[int] = set()
        for _ in range(_SWEEPS):
            found = descendants(warden, mark)
            ours |= found.keys()
            kill_all(found, spared=[warden])
            if not found and not any(map(is_alive, ours)):
                break
            time.sleep(0.005)
        self._kill_group()
        self._process.wait()
        os.close(self._results)
        os.close(self._output)
        _remove(self._temporary)

    def _settings(self) -> dict[str, str]:
        """What the child's environment has besides ours."""
        return {_MARK: self._mark, **({} if self._temporary is None else {"TMPDIR": self._temporary})}

    def outcomes(self) -> Iterator[Outcome]:
        """The outcomes of the models in order, as far as this child gets."""
        names = list(self._job.names)
        deadline = time.monotonic() + max(self._job.timeout, _STARTING)
        while names:
            try:
                messages, over = self._listen(deadline)
            except TooMuch:
                yield Outcome(
                    self._job.target(names[0]), "failed", f"wrote without end to where results go {self._where}"
                )
                return
            for message in messages:
                kind = message.get("kind")
                if kind == "phase":
                    self._where = str(message.get("text"))[:_LONGEST_PHASE]
                elif kind == "outcome":
                    target = self._job.target(names.pop(0))
                    self._done = not names or message.get("last") is True
                    yield outcome_of(target, message)
                    if self._done:
                        return
                    deadline = time.monotonic() + self._job.timeout
                elif kind == "ready":
                    deadline = time.monotonic() + self._job.timeout
                    self._ready = True
                elif not self._ready:
                    yield from self._useless(names, message)
                    return
            if over or time.monotonic() > deadline:
                yield from self._ended(names, self._death() if over else self._overdue())
                return

    def _overdue(self) -> str:
        return f"did not finish within {self._job.timeout:g} s: raise --timeout"

    def _ended(self, names: list[str], reason: str) -> Iterator[Outcome]:
        """What becomes of the model at which a child ended, and of those that have to share its fate."""
        if not self._ready:  # no model can be blamed, and the next child would fare no better
            reason = f"{self._job.python or sys.executable} {reason}"
            yield from (Outcome(self._job.target(name), "failed", reason, unmet=True) for name in names)
        elif self._where == IMPORTING:  # it is what all of them begin with
            yield from (Outcome(self._job.target(name), "failed", reason) for name in names)
        else:
            yield Outcome(self._job.target(names[0]), "failed", reason)

    def _listen(self, deadline: float) -> tuple[list[dict[str, Any]], bool]:
        """Wait a moment; the messages that came, and whether no more will come. Raises TooMuch."""
        wait = max(0.0, min(_TICK, deadline - time.monotonic()))
        select.select([self._results, self._output], [], [], wait)
        self._tail = (self._tail + _read(self._output, 1 << 20)[0])[-_TAIL:]
        dead = self._status() is not None
        messages: list[dict[str, Any]] = []
        closed, taken = False, 0
        while not closed and taken < _MOST_AT_ONCE:
            data, closed = _read(self._results, 1 << 20)
            if not data:
                break
            taken += len(data)
            messages += self._inbox.take(data)
        if closed and not dead:
            dead = self._wait(_ENDING)
        return messages, (dead and taken < _MOST_AT_ONCE) or closed

    def _useless(self, names: list[str], message: dict[str, Any]) -> Iterator[Outcome]:
        """The same outcome for all: this interpreter cannot build anything."""
        python = self._job.python or sys.executable
        missing = message["kind"] == "no-torch"
        if missing:
            absent = message.get("names") == ["torch"]
            reason = (
                f"torch is not installed in {python}" if absent else f"torch cannot be imported: {message.get('text')}"
            )
        else:
            reason = f"{python} is Python {message.get('text')}: 3.10 or later is needed"
        for name in names:
            yield Outcome(self._job.target(name), "failed", reason, torch_missing=missing, unmet=True)

    def _status(self) -> os.waitid_result | None:
        """How the child ended, None while it lives; it is left to be reaped."""
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)

    def _wait(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while self._status() is None:
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True

    def _death(self) -> str:
        """In words, why no more messages come."""
        ended = self._status()
        lost = ended is not None and ended.si_code == os.CLD_EXITED and ended.si_status == PIPE_LOST
        if ended is None or lost:
            return f"closed the pipe that its results go through {self._where}"
        limit = self._job.memory_limit
        if limit is not None and any(word in self._tail for word in (b"bad_alloc", b"MemoryError", b"allocate memory")):
            return f"exceeded the memory limit of {limit / 2**30:.3g} GiB"
        if ended.si_code == os.CLD_EXITED:
            reason = f"exited with status {ended.si_status} {self._where}"
        else:
            reason = f"killed by signal {_signal_name(ended.si_status)} {self._where}"
            if ended.si_status == signal.SIGKILL:
                reason += ", as the system does when memory runs out"
        last = _last_line(self._tail)
        return f"{reason}; its last line: {last}" if last else reason

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
            os.killpg(self._process.pid, signal.SIGKILL)


def _home() -> str:
    """The folder that this package lies in."""
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def _working_directory(job: LiveJob) -> str:
    """Where a child runs: here; beside its file, where a model before it has removed this directory."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return os.path.dirname(job.path or "") or os.path.sep


def _temporary_folder() -> str | None:
    """A new folder for a child's temporary files; None where there is no room for one."""
    try:
        return tempfile.mkdtemp(prefix="initlint-")
    except OSError:
        return None


def _remove(folder: str | None) -> None:
    """Remove a folder with all that is in it, also what a model locked; nothing that a link in it points to."""
    if folder is None:
        return
    for parent, names, _ in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            if not os.path.islink(path):
                with contextlib.suppress(OSError):
                    os.chmod(path, 0o700)
    shutil.rmtree(folder, ignore_errors=True)


def _read(descriptor: int, size: int) -> tuple[bytes, bool]:
    """What there is to read, and whether the other end is closed."""
    try:
        data = os.read(descriptor, size)
    except BlockingIOError:
        return b"", False
    return data, not data


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _last_line(output: bytes) -> str:
    """The last line that says anything, made fit to be quoted."""
    lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    return " ".join("".join(c if c.isprintable() else " " for c in lines[-1]).split())[:160] if lines else ""
