"""Tests of a name, as source, that tell some layers of a model from the others."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator

from initlint.printable import printable

__all__ = ["quoted", "telling"]

_FEW = 4
"""Longer lists of endings than this say less than a pattern of the whole name."""


def telling(wanted: Collection[str], others: Collection[str]) -> str:
    """An expression of ``name`` that holds for all of ``wanted`` and none of ``others``, as plain as can be."""
    if len(wanted) == 1:
        return f"name == {quoted(next(iter(wanted)))}"
    for text, test in _candidates(wanted):
        if all(map(test, wanted)) and not any(map(test, others)):
            return text
    return f"name in ({', '.join(map(quoted, wanted))})"


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
    pattern = "|".join(patterns)
    if len(patterns) <= _FEW and '"' not in pattern and pattern.isprintable():
        yield f're.fullmatch(r"{pattern}", name)', lambda name: re.fullmatch(pattern, name)


def _one_or_all(texts: tuple[str, ...]) -> str:
    return quoted(texts[0]) if len(texts) == 1 else f"({', '.join(map(quoted, texts))})"


def quoted(text: str) -> str:
    """A name as Python's source spells it: the key of a ModuleDict may hold quotes, commas and line ends."""
    return printable(json.dumps(text, ensure_ascii=False))
