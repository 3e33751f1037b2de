"""Work done by several processes: copies of this one, each of which takes a batch of items at a time.

What is done to an item depends on nothing but the item, so the results are the same whatever the number of processes.
A process that dies takes nothing with it but the item that it died of.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future, ProcessPoolExecutor

__all__ = ["can_fork", "each", "usable_cores"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_work: list[Callable[[Any], Any]] = []
"""What the processes do, one at the most: set before they are made, so that nothing is sent to them but items."""


def usable_cores() -> int:
    """How many cores this process may use."""
    if sys.version_info >= (3, 13):
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def can_fork() -> bool:
    """Whether this process can be copied: not on every system, and not safely while it has several threads."""
    threading = sys.modules.get("threading")
    return hasattr(os, "fork") and sys.platform != "darwin" and (threading is None or threading.active_count() == 1)


def each(
    work: Callable[[Item], Result], batches: Sequence[Sequence[Item]], processes: int, lost: Callable[[Item], Result]
) -> Iterator[Result]:
    """What ``work`` makes of the items of each batch, in order; of one that a process dies of, what ``lost`` makes.

    ``processes`` is at least 1, and this process is none of them. ``work`` may raise: so does the iteration then.
    """
    from concurrent.futures.process import BrokenProcessPool

    _work[:] = [work]
    executor = _executor(processes)
    try:
        waiting = _submit(executor, batches)
        for number, batch in enumerate(batches):
            try:
                results = waiting[number].result()
            except BrokenProcessPool:
                executor.shutdown(wait=False)
                results = list(_one_by_one(batch, lost))
                executor = _executor(processes)
                waiting[number + 1 :] = _again(executor, waiting[number + 1 :], batches[number + 1 :])
            yield from results
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
        _work.clear()


def _executor(processes: int) -> ProcessPoolExecutor:
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    context = multiprocessing.get_context("fork")
    return ProcessPoolExecutor(processes, mp_context=context, initializer=_begin, initargs=(os.getpid(),))


def _begin(parent: int) -> None:
    """What a new process does first: Ctrl-C and termination are the parent's to answer, whose death is its own."""
    import signal
    import threading

    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)


def _end_with(parent: int) -> None:
    """End this process once its parent is gone, which may have had no time to say so."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _submit(executor: ProcessPoolExecutor, batches: Sequence[Sequence[Any]]) -> list[Future[list[Any]]]:
    return [executor.submit(_do, batch) for batch in batches]


def _do(batch: Sequence[Any]) -> list[Any]:
    (work,) = _work
    return [work(item) for item in batch]


def _again(
    executor: ProcessPoolExecutor, waiting: Sequence[Future[list[Any]]], batches: Sequence[Sequence[Any]]
) -> list[Future[list[Any]]]:
    """The futures of batches, those that were lost with their processes handed in anew."""
    return [
        future if future.done() and future.exception() is None else executor.submit(_do, batch)
        for future, batch in zip(waiting, batches, strict=True)
    ]


def _one_by_one(batch: Sequence[Item], lost: Callable[[Item], Any]) -> Iterator[Any]:
    """The results of a batch of which a process died, each item by a process of its own until one dies of it."""
    from concurrent.futures.process import BrokenProcessPool

    executor = _executor(1)
    try:
        for item in batch:
            try:
                yield executor.submit(_do, [item]).result()[0]
            except BrokenProcessPool:
                yield lost(item)
                executor.shutdown(wait=False)
                executor = _executor(1)
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
