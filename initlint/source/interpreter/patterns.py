"""Strings of which a part is known: ``*`` in their patterns stands for what is not, as in a glob."""

from __future__ import annotations

import re
from collections.abc import Sequence

from initlint.regex import pattern
from initlint.source.interpreter.values import UNSEEN, Const, Items, Unseen, Value

_LONGEST = 4096
_PLACE = pattern(r"%(?:%|(0?\d{0,2})([dis])|(?:\((\w+)\))?[^a-zA-Z%]*[a-zA-Z])")
_PLAIN = pattern(r"0?\d{0,2}[ds]?")


def pattern_of(value: Value) -> str | None:
    """What is known of a string's spelling, None where it is not known to be one."""
    if isinstance(value, Const):
        return value.value if isinstance(value.value, str) else None
    return value.pattern if isinstance(value, Unseen) else None


def patterned(text: str, certain: bool) -> Value:
    """The string that is spelled so, or one of which this is the pattern."""
    if len(text) > _LONGEST:
        return UNSEEN
    return Const(text) if certain else Unseen(pattern=text)


def added(left: Value, right: Value) -> Value | None:
    """``left + right`` where one of them is known to be a string and the other is not a constant."""
    one, other = pattern_of(left), pattern_of(right)
    if (one is None and other is None) or not all(_may_be_text(value) for value in (left, right)):
        return None
    return patterned(("*" if one is None else one) + ("*" if other is None else other), False)


def spelled_out(value: Value) -> Value:
    """``str(value)`` of what is not a constant."""
    return value if pattern_of(value) is not None else Unseen(pattern="*")


def percent(text: str, given: Value) -> Value:
    """``text % given``."""
    whole = isinstance(given, Items) and given.kind == "tuple"
    values = iter(given.known if isinstance(given, Items) and whole else (given,))
    certain = not (isinstance(given, Items) and given.rest is not None)

    def place(found: re.Match[str]) -> str:
        nonlocal certain
        if found.group() == "%%":
            return "%"
        value = next(values, UNSEEN)
        written = None
        if found[2] is not None and isinstance(value, Const) and (found[2] == "s" or type(value.value) is int):
            written = found.group() % (value.value,)
        elif found.group() == "%s":
            written = pattern_of(value)
        certain = certain and written is not None and isinstance(value, Const)
        return "*" if written is None else written

    return patterned(_PLACE.sub(place, text), certain)


def formatted(text: str, positional: Sequence[Value], keywords: dict[str, Value]) -> Value:
    """``text.format(...)``."""
    try:
        from string import Formatter  # compiles patterns of its own

        parts = list(Formatter().parse(text))
    except ValueError:
        return UNSEEN
    written, certain, count = "", True, 0
    for literal, field, layout, conversion in parts:
        written += literal
        if field is None:
            continue
        name = field or str(count)
        count += not field
        value = keywords.get(name, UNSEEN)
        if name.isdecimal() and len(name) < 4 and int(name) < len(positional):
            value = positional[int(name)]
        part = _laid_out(value, layout or "") if conversion is None else None
        certain = certain and part is not None and isinstance(value, Const)
        written += "*" if part is None else part
    return patterned(written, certain)


def _laid_out(value: Value, layout: str) -> str | None:
    if not layout:
        return str(value.value) if isinstance(value, Const) else pattern_of(value)
    if isinstance(value, Const) and isinstance(value.value, (int, str)) and _PLAIN.fullmatch(layout):
        try:
            return format(value.value, layout)
        except ValueError:
            return None
    return None


def _may_be_text(value: Value) -> bool:
    return type(value) in (Unseen, Const) and not (isinstance(value, Const) and not isinstance(value.value, str))
