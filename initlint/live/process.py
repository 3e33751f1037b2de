"""Runs models in a child process, so that nothing a model does can harm the report.

The child is a fresh interpreter in a session of its own. What the model prints goes into a pipe that is emptied
and forgotten but for its end; results come over another. A model that takes too long or dies is an outcome, and
the child starts again for those after it. When a child is done with, whatever it started is killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from types import TracebackType
from typing import Any

from initlint import wire
from initlint.facts import Facts
from initlint.live.worker import PIPE_LOST

__all__ = ["LiveJob", "Outcome", "run"]

_STARTING = 120.0
"""Seconds that an interpreter may take to import torch, where the time allowed to a model is less."""
_TAIL = 4096
"""Bytes of a model's output that are kept."""
_TICK = 0.1
_SWEEPS = 400
"""How often, every 5 ms, leftover processes are looked for: to die takes them a moment."""
_MARK = "INITLINT_RUN"
_BOOTSTRAP = """
import json, os, sys
home, job, results = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
if sys.version_info < (3, 10):
    os.write(results, json.dumps({"kind": "old-python", "text": sys.version.split()[0]}).encode() + b"\\n")
    sys.exit(0)
from importlib.machinery import PathFinder
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return PathFinder.find_spec(name, [home]) if name == "initlint" else None
sys.meta_path.insert(0, Finder)
with open(job, "rb") as pipe:
    work = json.loads(pipe.read())
sys.argv[:] = [work["path"] or work["module"]]
from initlint.live.worker import main
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


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one model.

    ``status`` is "audited" (there are ``facts``; ``others`` are those of further seeds), or "skipped" or "failed"
    (there is a ``reason``, one line). ``torch_missing``: the interpreter has no torch. ``unmet``: what the job asks for
    cannot be had here whatever the model is (a device, an interpreter). ``takes`` are the arguments that an audited
    model could be given, None for any.
    """

    target: str
    status: str
    reason: str | None = None
    facts: Facts | None = None
    others: tuple[Facts, ...] = ()
    notes: tuple[str, ...] = ()
    torch_missing: bool = False
    unmet: bool = False
    takes: tuple[str, ...] | None = None


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
        self._cwd = job.cwd or os.getcwd()
        work_end, work = os.pipe()
        self._results, results_end = os.pipe()
        self._output, output_end = os.pipe()
        theirs = (work_end, results_end, output_end)
        self._tail = b""
        self._lines = bytearray()
        self._where = "while Python was starting"
        self._ready = False
        try:
            self._process = subprocess.Popen(
                [job.python or sys.executable, "-c", _BOOTSTRAP, _home(), str(work_end), str(results_end)],
                stdin=subprocess.DEVNULL,
                stdout=output_end,
                stderr=output_end,
                pass_fds=(work_end, results_end),
                start_new_session=True,
                cwd=self._cwd,
                env={**_environment(), _MARK: self._mark},
            )
        except BaseException:
            for descriptor in (work, self._results, self._output):
                os.close(descriptor)
            raise
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        # A broken pipe: it is dead already, and its status says how.
        with contextlib.suppress(BrokenPipeError), open(work, "wb") as pipe:
            pipe.write(json.dumps({**asdict(job), "cwd": self._cwd}).encode())
        os.set_blocking(self._results, False)
        os.set_blocking(self._output, False)

    def __enter__(self) -> _Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Until the leader is reaped, its number cannot become another group's.
        ours: set[int] = set()
        for _ in range(_SWEEPS):
            found = _marked(self._mark, self._process.pid)
            ours |= found
            self._kill_group()
            for pid in found:
                _kill(pid)
            if not found and not any(map(_is_alive, ours)):
                break
            time.sleep(0.005)
        self._process.wait()
        os.close(self._results)
        os.close(self._output)

    def outcomes(self) -> Iterator[Outcome]:
        """The outcomes of the models in order, as far as this child gets."""
        names = list(self._job.names)
        deadline = time.monotonic() + max(self._job.timeout, _STARTING)
        while names:
            over = not self._listen(deadline)
            for message in self._messages():
                kind = message.get("kind")
                if kind in ("no-torch", "old-python"):
                    yield from self._useless(names, message)
                    return
                if kind == "phase":
                    self._where = str(message.get("text"))
                    continue
                if kind == "outcome":
                    yield self._outcome(names.pop(0), message)
                deadline = time.monotonic() + self._job.timeout
                self._ready = True
            if names and (over or time.monotonic() > deadline):
                reason = self._death() if over else f"did not finish within {self._job.timeout:g} s: raise --timeout"
                if not self._ready:  # no model can be blamed, and the next child would fare no better
                    reason = f"{self._job.python or sys.executable} {reason}"
                    yield from (Outcome(self._job.target(name), "failed", reason, unmet=True) for name in names)
                    return
                yield Outcome(self._job.target(names[0]), "failed", reason)
                return

    def _listen(self, deadline: float) -> bool:
        """Wait a moment for messages; False when no more will come."""
        wait = max(0.0, min(_TICK, deadline - time.monotonic()))
        select.select([self._results, self._output], [], [], wait)
        self._tail = (self._tail + _read(self._output, 1 << 20)[0])[-_TAIL:]
        dead = self._status() is not None
        closed = False
        while not closed:
            data, closed = _read(self._results, 1 << 20)
            self._lines += data
            if not data:
                break
        if closed and not dead:
            dead = self._wait(1.0)
        return not (dead or closed)

    def _messages(self) -> Iterator[dict[str, Any]]:
        *lines, rest = bytes(self._lines).split(b"\n") if b"\n" in self._lines else (bytes(self._lines),)
        if lines:
            self._lines = bytearray(rest)
        for line in lines:
            try:
                message = json.loads(line)
            except ValueError:
                continue  # written by the model: it found our pipe
            if isinstance(message, dict):
                yield message

    def _outcome(self, name: str, message: dict[str, Any]) -> Outcome:
        target = self._job.target(name)
        reason = message.get("reason")
        if message.get("status") != "audited":
            status = "skipped" if message.get("status") == "skipped" else "failed"
            return Outcome(target, status, str(reason), unmet=message.get("unmet") is True)
        try:
            facts = wire.loads(str(message.get("facts")))
            others = tuple(wire.loads(str(text)) for text in message.get("others", ()))
        except ValueError as error:
            return Outcome(target, "failed", f"its facts cannot be read: {error}")
        takes = message.get("takes")
        return Outcome(
            target,
            "audited",
            None,
            facts,
            others,
            tuple(str(note) for note in message.get("notes", ())),
            takes=None if takes is None else tuple(map(str, takes)),
        )

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
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def _read(descriptor: int, size: int) -> tuple[bytes, bool]:
    """What there is to read, and whether the other end is closed."""
    try:
        data = os.read(descriptor, size)
    except BlockingIOError:
        return b"", False
    return data, not data


def _marked(mark: str, worker: int) -> set[int]:
    """The living processes that a child started, also those that left its group; none where there is no /proc.

    They are known by a variable in the environment they began with, or by their ancestors.
    """
    parents: dict[int, int] = {}
    found: set[int] = set()
    try:
        pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    except OSError:
        return set()
    for pid in pids:
        try:
            state, parent = _state(pid)
            if state in _DEAD:
                continue
            parents[pid] = parent
            with open(f"/proc/{pid}/environ", "rb") as environ:
                if f"{_MARK}={mark}".encode() in environ.read():
                    found.add(pid)
        except (OSError, ValueError):  # gone meanwhile, or another user's
            continue
    grown = True
    while grown:
        family = {pid for pid, parent in parents.items() if parent == worker or parent in found}
        grown = not family <= found
        found |= family
    return found


_DEAD = ("Z", "X")


def _state(pid: int) -> tuple[str, int]:
    """A process's state letter and its parent; raises OSError when it is gone."""
    with open(f"/proc/{pid}/stat", "rb") as stat:
        state, parent = stat.read().rpartition(b")")[2].split()[:2]
    return state.decode(), int(parent)


def _is_alive(pid: int) -> bool:
    try:
        return _state(pid)[0] not in _DEAD
    except (OSError, ValueError):
        return False


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _last_line(output: bytes) -> str:
    """The last line that says anything, made fit to be quoted."""
    lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    return "".join(c if c.isprintable() else " " for c in lines[-1])[:160] if lines else ""
