"""An initialiser's call, its arguments bound by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from initlint.facts import UNKNOWN
from initlint.record import NamedTuple
from initlint.source.interpreter.modules import Walk, constant
from initlint.source.interpreter.values import UNSEEN, Extent, Value
from initlint.source.tables.initializers import REQUIRED, Row


class Bound(NamedTuple):
    """``given`` and ``positional`` are None where ``*args`` or ``**kwargs`` hide what was passed."""

    target: Value
    arguments: Mapping[str, Any]
    given: tuple[str, ...] | None
    positional: tuple[str, ...] | None
    places: Mapping[str, int | str]
    """For each given argument, its index among the positional ones or the keyword it was passed by."""
    extent: Extent | None = None
    """An argument that was computed from sizes of a tensor."""


def bind_call(row: Row, positional: Sequence[Value], keywords: Mapping[str, Value]) -> Bound:
    """Bind the arguments of a call of an initialiser; a method's receiver is not among them."""
    hidden = "**" in keywords or any(isinstance(value, Walk) and value.root is None for value in positional)
    names = [name for name, _ in row.parameters]
    if row.target >= 0:
        names.insert(row.target, row.target_name)
    passed: dict[str, Value] = dict(zip(names, positional, strict=False))
    places: dict[str, int | str] = {name: index for index, name in enumerate(passed)}
    by_position = tuple(name for name in passed if name != row.target_name)
    for name, value in keywords.items():
        if name != "**":
            passed[name] = value
            places[name] = name
    target = passed.pop(row.target_name, UNSEEN)
    places.pop(row.target_name, None)
    arguments: dict[str, Any] = {}
    for name, default in row.parameters:
        if name in passed:
            arguments[name] = constant(passed[name])
        else:
            arguments[name] = UNKNOWN if hidden or default is REQUIRED else default
    if row.own:
        return _by_meaning(row, Bound(target, arguments, tuple(passed), by_position, places), hidden)
    if hidden:
        return Bound(
            UNSEEN if isinstance(target, Walk) else target, dict.fromkeys(arguments, UNKNOWN), None, None, places
        )
    extent = next((value for value in passed.values() if isinstance(value, Extent)), None)
    return Bound(target, arguments, tuple(passed), by_position, places, extent)


_SCALES = {
    "torch.nn.init.normal_": ("std",),
    "torch.nn.init.trunc_normal_": ("std",),
    "torch.nn.init.uniform_": ("a", "b"),
    "torch.nn.init.constant_": ("val",),
}
"""Arguments for which torch's default says nothing of a function that is only like torch's."""


def _by_meaning(row: Row, bound: Bound, hidden: bool) -> Bound:
    """A call of a team's own function, its arguments by the names that torch has for them."""
    names = {own: meaning for meaning, own in row.meanings}
    arguments = {names[own]: UNKNOWN if hidden else value for own, value in bound.arguments.items() if own in names}
    for scale in _SCALES.get(row.same_as or "", ()):
        arguments.setdefault(scale, UNKNOWN)
    return Bound(
        UNSEEN if hidden and isinstance(bound.target, Walk) else bound.target,
        arguments,
        None if hidden else tuple(names[own] for own in bound.given or () if own in names),
        None if hidden else tuple(names[own] for own in bound.positional or () if own in names),
        {names[own]: where for own, where in bound.places.items() if own in names},
    )
