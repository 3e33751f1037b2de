"""Deep calls have room: they do not ask the system for memory, and give it back, time and again."""

from __future__ import annotations

import resource

import pytest

from initlint.source.text.frames import with_room

TURNS = 500


def _leaf() -> int:
    return 1


_leaf.__code__ = _leaf.__code__.replace(co_stacksize=100)  # more than one depth is from the next


def _calls(depth: int) -> int:
    """How many calls return at each of so many depths, some of which lie where a chunk of frames ends."""
    below = _calls(depth - 1) if depth else 0
    return below + sum([_leaf() for _ in range(TURNS)])


def _faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def test_calls_at_any_depth_ask_for_no_memory() -> None:
    assert with_room(lambda: _calls(300)) == 301 * TURNS
    before = _faults()
    with_room(lambda: _calls(300))
    assert _faults() - before < TURNS / 2


def test_what_is_raised_goes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        with_room(lambda: 1 / 0)
