"""Dataclasses that cost little to define.

``dataclasses.dataclass`` compiles an ``__init__``, a ``__repr__``, a ``__setattr__`` and more for each class, close to
a millisecond for a frozen one; some fifty classes would be a quarter of a static check of one file. ``record`` has the
standard library collect the fields, shares what methods it can between all classes, and compiles a class's
``__init__`` when its first instance is made. ``fields``, ``replace``, ``asdict`` and
``is_dataclass`` work as usual; type checkers see the real thing.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NoReturn

__all__ = ["record"]

if TYPE_CHECKING:
    from dataclasses import dataclass as record
else:

    def record(*, frozen=False, slots=True, eq=True, kw_only=False):
        """As ``dataclasses.dataclass`` with these arguments."""

        def wrap(cls):
            made = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots, kw_only=kw_only)(cls)
            every = dataclasses.fields(made)
            made.__init__ = _initializer(made, every, hasattr(made, "__post_init__"), frozen)
            made.__repr__ = _repr
            if frozen:
                made.__setattr__ = made.__delattr__ = _refuse
                made.__setstate__ = _set_state
            if eq:
                made.__eq__ = _equal
                made.__hash__ = _hash if frozen else None
            return made

        return wrap


_set = object.__setattr__


def _initializer(made: type[Any], every: tuple[dataclasses.Field[Any], ...], post: bool, frozen: bool) -> Any:
    """An ``__init__`` that compiles the class's own when the first instance is made, and gives way to it."""

    def initialize(self: Any, *args: Any, **given: Any) -> None:
        own = _compiled(every, post, frozen)
        made.__init__ = own
        own(self, *args, **given)

    initialize.__name__ = "__init__"
    return initialize


def _compiled(every: tuple[dataclasses.Field[Any], ...], post: bool, frozen: bool) -> Any:
    """An ``__init__`` for a class with these fields."""
    held: dict[str, Any] = {"_set": _set}
    positional: list[str] = ["self"]
    by_name: list[str] = []
    body: list[str] = []
    for field in every:
        name = value = field.name
        if field.default is not dataclasses.MISSING:
            held[f"_{name}"] = field.default
            given = f"{name}=_{name}"
        elif field.default_factory is not dataclasses.MISSING:
            held[f"_{name}"], held["_missing"] = field.default_factory, dataclasses.MISSING
            given, value = f"{name}=_missing", f"_{name}() if {name} is _missing else {name}"
        else:
            given = name
        if field.init:
            (by_name if field.kw_only else positional).append(given)
        else:
            value = f"_{name}" if field.default is not dataclasses.MISSING else f"_{name}()"
        body.append(f"_set(self, {name!r}, {value})" if frozen else f"self.{name} = {value}")
    if post:
        body.append("self.__post_init__()")
    parameters = ", ".join([*positional, *(["*", *by_name] if by_name else [])])
    exec(f"def __init__({parameters}):\n " + "\n ".join(body or ["pass"]), held)
    return held["__init__"]


def _repr(self: Any) -> str:
    shown = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in dataclasses.fields(self) if f.repr)
    return f"{type(self).__qualname__}({shown})"


def _refuse(self: Any, name: str, *_: object) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _set_state(self: Any, state: Any) -> None:
    """Restore a copied or unpickled record, whose attributes cannot be assigned."""
    for values in state if isinstance(state, tuple) else (state,):
        for name, value in (values or {}).items():
            _set(self, name, value)


def _key(self: Any) -> tuple[Any, ...]:
    return tuple(getattr(self, f.name) for f in dataclasses.fields(self) if f.compare)


def _equal(self: Any, other: object) -> bool:
    return _key(self) == _key(other) if other.__class__ is self.__class__ else NotImplemented


def _hash(self: Any) -> int:
    return hash(_key(self))
