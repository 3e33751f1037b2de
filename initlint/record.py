"""Dataclasses that cost little to define.

``dataclasses.dataclass`` compiles an ``__init__``, a ``__repr__``, a ``__setattr__`` and more for each class, close to
a millisecond for a frozen one; some fifty classes would be a quarter of a static check of one file. ``record`` has the
standard library collect the fields and shares the methods between all classes. ``fields``, ``replace``, ``asdict`` and
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
            made.__init__ = _initializer(every, hasattr(made, "__post_init__"))
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


def _initializer(every: tuple[dataclasses.Field[Any], ...], post: bool) -> Any:
    """An ``__init__`` for a class with these fields."""
    positional = tuple(field.name for field in every if field.init and not field.kw_only)
    names = frozenset(field.name for field in every if field.init)
    defaults: dict[str, Any] = {}
    factories: dict[str, Any] = {}
    for field in every:
        if field.default is not dataclasses.MISSING:
            defaults[field.name] = field.default
        elif field.default_factory is not dataclasses.MISSING:
            factories[field.name] = field.default_factory
    needed = names - defaults.keys() - factories.keys()

    def initialize(self: Any, *args: Any, **given: Any) -> None:
        if args:
            if len(args) > len(positional):
                raise TypeError(f"{type(self).__name__} takes {len(positional)} positional arguments, not {len(args)}")
            for name, value in zip(positional, args, strict=False):
                if name in given:
                    raise TypeError(f"{type(self).__name__} got {name} twice")
                given[name] = value
        if not given.keys() <= names or not needed <= given.keys():
            wrong = sorted((given.keys() - names) | (needed - given.keys()))
            raise TypeError(f"{type(self).__name__}: missing or unknown: {', '.join(wrong)}")
        for name, value in defaults.items():
            if name not in given:
                _set(self, name, value)
        for name, factory in factories.items():
            if name not in given:
                _set(self, name, factory())
        for name, value in given.items():
            _set(self, name, value)
        if post:
            self.__post_init__()

    initialize.__name__ = "__init__"
    return initialize


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
