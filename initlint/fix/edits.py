"""Edits of a text: spans and what takes their place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

__all__ = ["Splice", "applied", "clash"]


class Splice(NamedTuple):
    """The text from ``start`` up to ``end`` (offsets in code points) becomes ``text``."""

    start: int
    end: int
    text: str


def clash(one: Splice, other: Splice) -> bool:
    """Whether two edits cannot be made together: they overlap or insert at one place, and are not the same."""
    if one == other:
        return False
    return one.start == other.start or (one.start < other.end and other.start < one.end)


def applied(text: str, splices: Iterable[Splice]) -> str:
    """The text after edits that do not clash; what several fixes share is done once."""
    parts: list[str] = []
    position = 0
    for start, end, new in ordered(splices):
        parts += text[position:start], new
        position = end
    return "".join([*parts, text[position:]])


def ordered(splices: Iterable[Splice]) -> Sequence[Splice]:
    """Each edit once, from the first to the last."""
    return sorted(set(splices))
