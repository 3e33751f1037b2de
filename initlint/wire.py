"""Facts as JSON and back, for the pipe between the process that builds a model and the one that judges it.

The text is an object with ``facts``, a list in which every fact stands behind all that it refers to, and ``root``, the
index of the one that was sent. A fact is its class's name and its fields; an object that is shared stays shared.
What JSON cannot say is an object with one key that begins with ``$``. The sender runs the user's code: what is read is
held against the types that the facts declare, and nothing in it names anything but a class of facts.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import typing
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Any

from initlint import facts
from initlint.facts import UNKNOWN, Fact, Range
from initlint.location import Location

__all__ = ["decoded", "dumps", "encoded", "loads"]

_CLASSES: dict[str, type[Any]] = {
    name: value
    for name, value in vars(facts).items()
    if isinstance(value, type) and issubclass(value, Fact) and dataclasses.is_dataclass(value)
}
_BACK_REFERENCES = frozenset({("Parameter", "layer"), ("Layer", "model")})
"""Set again by the owner when it is made."""
_FIELDS = {
    name: tuple(f.name for f in dataclasses.fields(kind) if (name, f.name) not in _BACK_REFERENCES)
    for name, kind in _CLASSES.items()
}
_SPECIAL = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def dumps(fact: Fact) -> str:
    """One line of JSON that holds a fact and all that it refers to.

    Raises TypeError for a value that facts do not hold: they hold None, numbers, ranges, text, UNKNOWN, locations,
    facts, and tuples, lists and mappings of these.
    """
    writer = _Writer()
    root = writer.index_of(fact)
    return json.dumps({"facts": writer.rows, "root": root}, allow_nan=False, separators=(",", ":"))


def loads(text: str) -> Any:
    """The fact that ``dumps`` wrote; raises ValueError for anything else."""
    try:
        document = json.loads(text)
        built: list[Any] = []
        for name, values in document["facts"]:
            names = _FIELDS[name]
            if not isinstance(values, dict) or not values.keys() <= set(names):
                raise ValueError(f"{name} has no such fields: {values!r:.100}")
            fields = {key: _decode(value, built) for key, value in values.items()}
            tests = _tests(name)
            for key, value in fields.items():
                if value is not UNKNOWN and not tests[key](value):
                    raise ValueError(f"{name}.{key} is no {value!r:.100}")
            built.append(_CLASSES[name](**fields))
        return built[_index(document["root"], built)]
    except (LookupError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError(f"not facts: {error!r:.200}") from error


def encoded(value: Any) -> Any:
    """A value that holds no fact, as JSON can hold it. Raises TypeError for what facts do not hold."""
    writer = _Writer()
    found = writer.encode(value)
    if writer.rows:
        raise TypeError("a fact stands by itself")
    return found


def decoded(value: Any) -> Any:
    """The value that ``encoded`` wrote; raises ValueError, TypeError or KeyError for anything else."""
    return _decode(value, [])


class _Writer:
    """Gives every fact a row, those that it refers to first."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self._indices: dict[int, int] = {}

    def index_of(self, fact: Fact) -> int:
        """The row of a fact; made if it has none yet."""
        known = self._indices.get(id(fact))
        if known is not None:
            return known
        name = type(fact).__name__
        if _CLASSES.get(name) is not type(fact):
            raise TypeError(f"{type(fact)!r} is no fact of initlint.facts")
        values = {field: self.encode(getattr(fact, field)) for field in _FIELDS[name]}
        self.rows.append([name, values])
        self._indices[id(fact)] = len(self.rows) - 1
        return len(self.rows) - 1

    def encode(self, value: Any) -> Any:
        """A value as JSON."""
        if value is UNKNOWN:
            return {"$unknown": 0}
        if isinstance(value, Range):
            return {"$range": [self.encode(value.low), self.encode(value.high)]}
        if value is None or isinstance(value, (bool, str)):
            return value
        if isinstance(value, int):
            return int(value)
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else {"$float": str(float(value))}
        if isinstance(value, Location):
            return {"$location": [getattr(value, field.name) for field in dataclasses.fields(value)]}
        if isinstance(value, Fact):
            return {"$fact": self.index_of(value)}
        if isinstance(value, tuple):
            return [self.encode(item) for item in value]
        if isinstance(value, list):
            return {"$list": [self.encode(item) for item in value]}
        if isinstance(value, Mapping):
            return {"$map": [[self.encode(key), self.encode(item)] for key, item in value.items()]}
        raise TypeError(f"facts do not hold a {type(value).__name__}: {value!r:.100}")


def _index(value: Any, built: list[Any]) -> int:
    if type(value) is not int or not 0 <= value < len(built):
        raise ValueError(f"no fact stands at {value!r:.100}")
    return value


def _decode(value: Any, built: list[Any]) -> Any:
    """A value from JSON; ``built`` are the facts before it."""
    if isinstance(value, list):
        return tuple(_decode(item, built) for item in value)
    if not isinstance(value, dict):
        return value
    tag: str = next(iter(value), "") if len(value) == 1 else ""
    inner: Any = value.get(tag)
    if tag == "$unknown":
        return UNKNOWN
    if tag == "$float":
        return _SPECIAL[inner]
    if tag == "$range":
        low, high = (_decode(end, built) for end in inner)
        return Range(low, high)
    if tag == "$location":
        path, line, column, *rest = inner
        numbers = [number for number in rest if number is not None]
        if not isinstance(path, str) or not all(type(number) is int for number in (line, column, *numbers)):
            raise ValueError(f"not a location: {inner!r:.100}")
        return Location(path, line, column, *rest)
    if tag == "$fact":
        return built[_index(inner, built)]
    if tag == "$list":
        return [_decode(item, built) for item in inner]
    if tag == "$map":
        return {_decode(key, built): _decode(item, built) for key, item in inner}
    raise ValueError(f"not a value: {value!r:.100}")


_Test = Callable[[Any], bool]


@functools.cache
def _tests(name: str) -> dict[str, _Test]:
    """What tells for each field of a class of facts whether a value is one that its annotation allows."""
    hints = typing.get_type_hints(_CLASSES[name], localns={**_CLASSES, "Location": Location})
    return {field: _test(hints[field]) for field in _FIELDS[name]}


def _test(hint: Any) -> _Test:
    """The same of one annotation; what may stand for a number is told from what may not, and texts are texts."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return lambda _: True
    if origin in (UnionType, typing.Union):
        several = [_test(each) for each in inner]
        return lambda value: any(test(value) for test in several)
    if origin is tuple:
        if inner[-1] is not Ellipsis:
            each_test = [_test(each) for each in inner]
            return lambda value: (
                isinstance(value, tuple)
                and len(value) == len(each_test)
                and all(item is UNKNOWN or test(item) for test, item in zip(each_test, value, strict=True))
            )
        same = _test(inner[0])
        return lambda value: isinstance(value, tuple) and all(item is UNKNOWN or same(item) for item in value)
    if origin is Mapping:
        keys = _test(inner[0])
        return lambda value: isinstance(value, Mapping) and all(map(keys, value))
    accepted = {NoneType: (NoneType,), float: (int, float, Range), int: (int, Range)}.get(hint, (hint,))
    return lambda value: isinstance(value, accepted)
