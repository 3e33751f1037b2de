"""A process between the one that reports and the one that runs models, so that nothing a model starts is left behind.

On Linux a process whose parent ends is handed to the next ancestor that asks for such orphans. The warden asks, and
runs nothing else: whatever a model starts stays below it, also a daemon that left its group, its session and its
environment. When the process that runs models ends, the warden kills what remains below, and ends the same way.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from typing import NoReturn

from initlint.live.child.processes import children, descendants, kill_all

__all__ = ["guarded"]

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PATIENCE = 4.0
"""Seconds for what is left to die; the process that reports looks once more."""
_CLEAR_LOOKS = 3
"""How often nothing has to be found: a list may lack a process that was handed on while it was read."""
_GOES_FIRST = b"500"
"""Added to what the system chooses by when memory runs out: the models go before the report."""


def guarded() -> None:
    """Go on in a process below a warden (where there is none such: in this one), which dies when its parent does."""
    if sys.platform != "linux":
        return
    system = ctypes.CDLL(None)
    signal.signal(signal.SIGTERM, _asked_to_end)
    system.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
    system.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    worker = os.fork()
    if worker:
        _watch(worker)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    system.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    os.setsid()
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "wb") as score:
        score.write(_GOES_FIRST)


def _watch(worker: int) -> NoReturn:
    """Wait for the worker to end, and end as it did. Its pipes are not kept open."""
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):
            os.close(descriptor)
    status: int | None = None
    while status is None:
        pid, ended = os.waitpid(-1, 0)
        if pid == worker:
            status = ended
    _clear()
    if os.WIFSIGNALED(status):
        _die_of(os.WTERMSIG(status))
    os._exit(os.WEXITSTATUS(status))


def _asked_to_end(*_: object) -> None:
    _clear()
    os._exit(0)


def _clear() -> None:
    """Kill everything below this process, as often as something appears.

    Whose parent has been killed becomes a child of this process: it is enough to look for those. A look takes less
    time than to be born, so that daemons which start one another and end cannot outrun it.
    """
    end = time.monotonic() + _PATIENCE
    clear = 0
    while clear < _CLEAR_LOOKS and time.monotonic() < end:
        found = children()
        if found is None:
            found = descendants(os.getpid())
        kill_all(found)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        clear = 0 if found else clear + 1
        if clear:
            time.sleep(0.001)


def _die_of(number: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the worker's own core, where one is wanted, is written already
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    time.sleep(1)
    os._exit(128 + number)
