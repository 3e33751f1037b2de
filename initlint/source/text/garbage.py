"""What the garbage collector is spared while files are read.

A tree is large, holds no cycles and lives as long as its file is read: looking through it again and again for garbage
that cannot be there is a third of a run. So nothing is collected while a tree is made, one that was made is set aside,
and what a file leaves behind, its facts among it, is collected before the tree of the next one is made, when little
else is there to be looked through, and while it has not been set aside itself, where it would stay for the run.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

__all__ = ["collected", "paused", "set_aside", "spared"]

OBJECTS_A_COLLECTION = 100_000
"""How much may be made between two collections while a file is read."""

_sparing: list[object] = []
"""Who has asked for it, one at the most: a run that reads many files."""


@contextlib.contextmanager
def spared() -> Iterator[None]:
    """While many files are read: trees may be set aside.

    Nothing is changed for a process that sets things aside itself, or collects nothing.
    """
    before = gc.get_threshold()
    if _sparing or not before[0] or not gc.isenabled() or gc.get_freeze_count():
        yield
        return
    gc.set_threshold(max(OBJECTS_A_COLLECTION, before[0]), *before[1:])
    _sparing.append(before)
    set_aside()  # what has been loaded is not looked through, nor copied by each process that would
    try:
        yield
    finally:
        _sparing.clear()
        gc.unfreeze()
        gc.set_threshold(*before)


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """While a tree is made: nothing is collected."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def set_aside() -> None:
    """Nothing of what there is now is garbage, or will only be so when nothing refers to it any more."""
    if _sparing:
        gc.freeze()


def collected() -> None:
    """Collect what one file has left behind: where trees are set aside, before the next one is made."""
    if _sparing:
        gc.collect()
