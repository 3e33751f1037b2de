"""Tests of a name, as source, that tell some layers of a model from the others."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator

__all__ = ["telling"]

_FEW = 4
"""Longer lists of endings than this say less than a pattern of the whole name."""


def telling(wanted: Collection[str], others: Collection[str]) -> str:
    """An expression of ``name`` that holds for all of ``wanted`` and none of ``others``, as plain as can be."""
    if len(wanted) == 1:
        return f'name == "{next(iter(wanted))}"'
    for text, test in _candidates(wanted):
        if all(map(test, wanted)) and not any(map(test, others)):
            return text
    return f"name in ({', '.join(_quoted(name) for name in wanted)})"


def _ending(endings: tuple[str, ...]) -> Callable[[str], object]:
    return lambda name: name.endswith(endings)


def _candidates(names: Collection[str]) -> Iterator[tuple[str, Callable[[str], object]]]:
    for parts in (1, 2, 3):
        endings = tuple(sorted({".".join(name.split(".")[-parts:]) for name in names}))
        if len(endings) <= _FEW and not any(ending.isdigit() for ending in endings):
            dotted = tuple(f".{ending}" for ending in endings)
            for chosen in (endings, dotted):
                yield f"name.endswith({_one_or_all(chosen)})", _ending(chosen)
    tops = tuple(sorted({name.partition(".")[0] + "." for name in names}))
    if len(tops) <= _FEW:
        yield f"name.startswith({_one_or_all(tops)})", lambda name: name.startswith(tops)
    patterns = sorted({re.sub(r"\d+", r"\\d+", re.escape(name)) for name in names})
    if len(patterns) <= _FEW:
        pattern = "|".join(patterns)
        yield f're.fullmatch(r"{pattern}", name)', lambda name: re.fullmatch(pattern, name)


def _one_or_all(texts: tuple[str, ...]) -> str:
    return _quoted(texts[0]) if len(texts) == 1 else f"({', '.join(map(_quoted, texts))})"


def _quoted(text: str) -> str:
    return f'"{text}"'
