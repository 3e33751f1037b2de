"""Which processes there are below one, by /proc; none are found where there is none."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable

__all__ = ["children", "descendants", "is_alive", "kill_all"]

_DEAD = ("Z", "X")


def descendants(ancestor: int, marked: bytes | None = None) -> dict[int, int]:
    """The living processes below one, each with its group; with ``marked`` also those whose environment began with it.

    ``ancestor`` itself is not among them.
    """
    parents: dict[int, int] = {}
    groups: dict[int, int] = {}
    found: set[int] = set()
    try:
        pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    except OSError:
        return {}
    for pid in pids:
        try:
            state, parent, group = _state(pid)
            if state in _DEAD:
                continue
            parents[pid], groups[pid] = parent, group
            if marked is not None:
                with open(f"/proc/{pid}/environ", "rb") as environ:
                    if marked in environ.read():
                        found.add(pid)
        except (OSError, ValueError):  # gone meanwhile, or another user's
            continue
    grown = True
    while grown:
        family = {pid for pid, parent in parents.items() if parent == ancestor or parent in found}
        grown = not family <= found
        found |= family
    return {pid: groups[pid] for pid in found if pid != ancestor}


def children() -> dict[int, int] | None:
    """The children of this process, which has one thread, each with its group; None where the system lists none.

    That is one small file, where all of ``/proc`` takes longer than some processes live.
    """
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", "rb") as listed:
            pids = [int(pid) for pid in listed.read().split()]
    except (OSError, ValueError):
        return None
    found = {}
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            found[pid] = os.getpgid(pid)
    return found


def kill_all(found: dict[int, int], spared: Iterable[int] = ()) -> None:
    """Kill processes with their groups, but for the groups ``spared``.

    A group is killed at once: processes that start one another faster than they are found cannot outrun that.
    """
    for group in set(found.values()) - {0, 1, os.getpgrp(), *spared}:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    for pid in found:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def is_alive(pid: int) -> bool:
    """Whether a process runs, or could."""
    try:
        return _state(pid)[0] not in _DEAD
    except (OSError, ValueError):
        return False


def _state(pid: int) -> tuple[str, int, int]:
    """A process's state letter, its parent and its group; raises OSError when it is gone."""
    with open(f"/proc/{pid}/stat", "rb") as stat:
        state, parent, group = stat.read().rpartition(b")")[2].split()[:3]
    return state.decode(), int(parent), int(group)
