"""What a fix does to a source, said without syntax: declarative changes, each anchored at the place of what it changes.

A rule states a change in these words; the package ``initlint.fix`` knows how to carry it out. A change is plain data:
``as_plain`` and ``from_plain`` take it through JSON and back. ``at`` is None where the place is not known (a
module that was built and not read); a fix with such a change is no fix.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from initlint.location import Location
from initlint.record import fields, record

__all__ = [
    "BothBounds",
    "CallAtEnd",
    "CallFunction",
    "Change",
    "DropArgument",
    "DropData",
    "GuardNotNone",
    "HandTo",
    "MakeAnew",
    "MethodToFunction",
    "MoveToEnd",
    "NameArgument",
    "PassValue",
    "Rename",
    "RepeatAnew",
    "SplitBranch",
    "TakeAttribute",
    "TestForNone",
    "UnderNoGrad",
    "WriteBy",
    "ZeroPaddingRow",
    "as_plain",
    "from_plain",
]


@record(frozen=True, slots=True)
class NameArgument:
    """The argument at ``at`` is passed by this name."""

    at: Location | None
    name: str


@record(frozen=True, slots=True)
class PassValue:
    """The argument at ``at`` becomes a constant."""

    at: Location | None
    value: str | float


@record(frozen=True, slots=True)
class DropArgument:
    """The argument at ``at``, passed by its name, is passed no more."""

    at: Location | None


@record(frozen=True, slots=True)
class BothBounds:
    """The bound at ``at`` becomes two: from less its size to its size."""

    at: Location | None


@record(frozen=True, slots=True)
class Rename:
    """What the call at ``at`` calls has another name, the last part of which is ``name``."""

    at: Location | None
    name: str


@record(frozen=True, slots=True)
class CallFunction:
    """The call at ``at`` calls another function, given by its canonical name."""

    at: Location | None
    function: str


@record(frozen=True, slots=True)
class MethodToFunction:
    """The method called at ``at`` becomes a function of its receiver (less its ``.data``), given by canonical name."""

    at: Location | None
    function: str


@record(frozen=True, slots=True)
class TakeAttribute:
    """An attribute of the object at ``at`` takes its place."""

    at: Location | None
    name: str


@record(frozen=True, slots=True)
class DropData:
    """The tensor at ``at`` is reached without ``.data``."""

    at: Location | None


@record(frozen=True, slots=True)
class TestForNone:
    """The object at ``at``, tested for its truth, is tested for not being None."""

    at: Location | None


@record(frozen=True, slots=True)
class UnderNoGrad:
    """The statement that holds ``at`` runs under ``torch.no_grad()``."""

    at: Location | None


@record(frozen=True, slots=True)
class WriteBy:
    """The call at ``at``, which writes a tensor, becomes one of another function that does, given by canonical name.

    ``arguments`` are passed by name; a pair in the place of a value is a function, by canonical name, and its argument.
    """

    at: Location | None
    function: str
    arguments: tuple[tuple[str, str | float | tuple[str, str]], ...] = ()


@record(frozen=True, slots=True)
class GuardNotNone:
    """The statement that holds the expression at ``at`` runs only where that is not None."""

    at: Location | None


@record(frozen=True, slots=True)
class MoveToEnd:
    """The statement at ``at`` becomes the last of its function."""

    at: Location | None


@record(frozen=True, slots=True)
class CallAtEnd:
    """The method at ``at`` ends with a call of another one of its class, which takes no argument."""

    at: Location | None
    method: str


@record(frozen=True, slots=True)
class ZeroPaddingRow:
    """After the statement of the call at ``at``, which writes an embedding's weight, its padding row is zero again."""

    at: Location | None


@record(frozen=True, slots=True)
class SplitBranch:
    """The isinstance branch around the call at ``at`` gets a branch of its own for these classes.

    That does the same but for the call, in whose place it calls ``function`` (a canonical name) on the same tensor.
    """

    at: Location | None
    kinds: tuple[str, ...]
    function: str


@record(frozen=True, slots=True)
class RepeatAnew:
    """The list at ``at``, one expression times a number, becomes that many evaluations of the expression."""

    at: Location | None


@record(frozen=True, slots=True)
class MakeAnew:
    """The copy at ``at`` of an object becomes another one, made like the one at ``original``."""

    at: Location | None
    original: Location


@record(frozen=True, slots=True)
class HandTo:
    """The value that the assignment at ``at`` assigns is handed to a function, given by its canonical name.

    One that stands inside the value already is taken away.
    """

    at: Location | None
    function: str


Change = (
    NameArgument
    | PassValue
    | DropArgument
    | BothBounds
    | Rename
    | CallFunction
    | MethodToFunction
    | TakeAttribute
    | DropData
    | TestForNone
    | UnderNoGrad
    | WriteBy
    | GuardNotNone
    | MoveToEnd
    | CallAtEnd
    | ZeroPaddingRow
    | SplitBranch
    | RepeatAnew
    | MakeAnew
    | HandTo
)

_KINDS: Mapping[str, type[Any]] = {kind.__name__: kind for kind in Change.__args__}


def as_plain(change: Change) -> dict[str, Any]:
    """A change as JSON can hold it."""
    return {"change": type(change).__name__, **{f.name: _plain(getattr(change, f.name)) for f in fields(change)}}


def from_plain(data: Mapping[str, Any]) -> Change:
    """The change that ``as_plain`` wrote; raises ValueError for anything else."""
    try:
        kind = _KINDS[data["change"]]
        values = {key: _restored(value) for key, value in data.items() if key != "change"}
        made: Change = kind(**values)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a change: {error!r:.200}") from error
    return made


def _plain(value: Any) -> Any:
    if isinstance(value, Location):
        return {"location": [getattr(value, field.name) for field in fields(value)]}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _restored(value: Any) -> Any:
    if isinstance(value, dict):
        return Location(*value["location"])
    if isinstance(value, list):
        return tuple(_restored(item) for item in value)
    return value
