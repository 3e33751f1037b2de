"""Dataclasses and named tuples that cost little to define.

``dataclasses.dataclass`` compiles an ``__init__``, a ``__repr__``, a ``__setattr__`` and more for each class, close to
a millisecond for a frozen one, and takes a third of that to find out what its fields are; a hundred classes would be a
third of a static check of one file. ``record`` looks at a class's fields once, shares what methods it can between all
classes, and compiles a class's ``__init__`` when so many instances were made that it pays. Whatever ``dataclasses``
wants to know of a record (``fields``, ``replace``, ``asdict``, ``is_dataclass``) is made when it asks; ``replace`` and
``field`` stand here again so that most runs do without it. ``NamedTuple`` leaves annotations unread. Type checkers
see the real things.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping
from operator import attrgetter, ge, gt, le, lt
from typing import TYPE_CHECKING, Any, NoReturn

__all__ = ["NamedTuple", "field", "fields", "record", "replace"]

PLAIN_INSTANCES = 32
"""So many are made before an ``__init__`` is compiled, which takes as long as making fifty without does."""

_MISSING: Any = object()
_set = object.__setattr__


class _Field:
    """A field's name, its annotation, and what was said of it."""

    __slots__ = ("compare", "default", "default_factory", "init", "kind", "name", "repr")

    def __init__(self, default: Any, default_factory: Any, init: bool, repr: bool, compare: bool) -> None:
        self.name, self.kind = "", ""
        self.default = default
        self.default_factory = default_factory
        self.init = init
        self.repr = repr
        self.compare = compare


if TYPE_CHECKING:
    from dataclasses import dataclass as record
    from dataclasses import field, fields, replace
    from typing import NamedTuple
else:

    def field(*, default=_MISSING, default_factory=_MISSING, init=True, repr=True, compare=True):
        """As ``dataclasses.field`` with these arguments."""
        return _Field(default, default_factory, init, repr, compare)

    def record(*, slots, frozen=False, eq=True, order=False, kw_only=False):
        """As ``dataclasses.dataclass`` with these arguments, of a class that derives from no other record."""

        def wrap(cls):
            fields = [_field(cls, name, kind) for name, kind in cls.__annotations__.items()]
            left_out = {"__dict__", "__weakref__", *(each.name for each in fields)}
            body = {name: value for name, value in vars(cls).items() if name not in left_out}
            body["__qualname__"] = cls.__qualname__
            body["__slots__"] = tuple([each.name for each in fields])
            body["__record__"] = fields
            body["__match_args__"] = () if kw_only else tuple([each.name for each in fields if each.init])
            how = {"frozen": frozen, "eq": eq, "order": order, "kw_only": kw_only}
            body["__dataclass_fields__"] = _AsDataclass("__dataclass_fields__", how)
            body["__dataclass_params__"] = _AsDataclass("__dataclass_params__", how)
            body["__replace__"] = replace
            body.setdefault("__repr__", _repr)
            if frozen:
                body["__setattr__"] = body["__delattr__"] = _refuse
                body["__setstate__"] = _set_state
            if eq:
                compared = [each.name for each in fields if each.compare]
                body["__key__"] = attrgetter(*compared) if compared else staticmethod(_no_key)
                body.setdefault("__eq__", _equal)
                if body.get("__hash__") is None:  # as it is, too, where a class has an __eq__ of its own
                    body["__hash__"] = _hash if frozen else None
            if order:
                body.update(_ORDER)
            made = type(cls)(cls.__name__, cls.__bases__, body)
            made.__init__ = _initializer(made, kw_only, frozen)
            return made

        return wrap

    def fields(of):
        """The fields of a record, with their ``name`` and ``default``."""
        return of.__record__

    def replace(of, /, **changes):
        """As ``dataclasses.replace``, of a record."""
        for each in of.__record__:
            if each.init and each.name not in changes:
                changes[each.name] = getattr(of, each.name)
        return type(of)(**changes)

    class _Named(type):
        """Makes named tuples of classes that derive from ``NamedTuple``."""

        def __new__(cls, name, bases, body):
            fields = body["__annotations__"]
            defaults = [body.pop(each) for each in fields if each in body]
            made = namedtuple(name, fields, defaults=defaults, module=body["__module__"])
            for key, value in body.items():
                setattr(made, key, value)
            return made

    NamedTuple = type.__new__(_Named, "NamedTuple", (), {})


def _field(cls: type[Any], name: str, kind: Any) -> _Field:
    """A field of a class that is to be a record. Raises ValueError for a default that instances would share."""
    found = vars(cls).get(name, _MISSING)
    if not isinstance(found, _Field):
        if found is not _MISSING and found.__class__.__hash__ is None:
            raise ValueError(f"{cls.__name__}.{name} has a default that can change: use default_factory")
        found = _Field(found, _MISSING, True, True, True)
    found.name, found.kind = name, kind
    return found


def _initializer(made: Any, kw_only: bool, frozen: bool) -> Any:
    """An ``__init__`` that works by itself at first, then compiles the class's own and gives way to it."""
    fields: list[_Field] = made.__record__
    in_order: tuple[str, ...] = made.__match_args__
    post = hasattr(made, "__post_init__")
    plain = PLAIN_INSTANCES

    def initialize(self: Any, /, *args: Any, **given: Any) -> None:
        nonlocal plain
        plain -= 1
        held = dict(zip(in_order, args, strict=False))
        held.update(given)
        if plain < 0 or len(held) < len(args) + len(given) or not _fits(fields, held):
            made.__init__ = _compiled(made, kw_only, post, frozen)
            made.__init__(self, *args, **given)  # says what is wrong with the arguments
            return
        _fill(self, held)
        if post:
            self.__post_init__()

    initialize.__name__ = "__init__"
    return initialize


def _fill(self: Any, held: dict[str, Any]) -> None:
    """Give each field of a record what is held for it, or its default."""
    for each in self.__record__:
        value = held.get(each.name, each.default)
        _set(self, each.name, each.default_factory() if value is _MISSING else value)


def _fits(fields: list[_Field], held: dict[str, Any]) -> bool:
    """Whether each field that needs a value is given one, and nothing else is given."""
    count = 0
    for each in fields:
        if each.init and each.name in held:
            count += 1
        elif each.default is _MISSING and each.default_factory is _MISSING:
            return False
    return count == len(held)


def _compiled(made: Any, kw_only: bool, post: bool, frozen: bool) -> Any:
    """An ``__init__`` for a class.

    To set an attribute past a ``__setattr__`` takes as long as to set twenty where there is none: an instance of a
    frozen class has another one, of the same layout, until it is whole. One of a class that derives from it may have
    another layout, and is filled slowly.
    """
    held: dict[str, Any] = {"_record_set": _set, "_record_missing": _MISSING, "_record_made": made}
    parameters = ["self", *(["*"] if kw_only else [])]
    body: list[str] = []
    for each in made.__record__:
        name = value = given = each.name
        own = f"_record_default_{name}"
        if each.default is not _MISSING:
            held[own] = each.default
            given = f"{name}={own}"
        elif each.default_factory is not _MISSING:
            held[own] = each.default_factory
            given, value = f"{name}=_record_missing", f"{own}() if {name} is _record_missing else {name}"
        if each.init:
            parameters.append(given)
        else:
            value = own if each.default is not _MISSING else f"{own}()"
        body.append(f"self.{name} = {value}")
    if frozen:
        held["_record_open"] = type(made)(made.__name__, made.__bases__, {"__slots__": made.__slots__})
        held["_record_fill"] = _fill
        body = [f" {line}" for line in ("_record_set(self, '__class__', _record_open)", *body)]
        body = ["if self.__class__ is _record_made:", *body, " self.__class__ = _record_made"]
        body.append("else: _record_fill(self, locals())")
    if post:
        body.append("self.__post_init__()")
    exec(f"def __init__({', '.join(parameters)}):\n " + "\n ".join(body or ["pass"]), held)
    return held["__init__"]


class _AsDataclass:
    """What the functions of ``dataclasses`` look for in a class, made when one of them does."""

    def __init__(self, name: str, how: Mapping[str, bool]) -> None:
        self._name = name
        self._how = how

    def __get__(self, _: object, owner: type[Any]) -> Any:
        import dataclasses

        fields: list[tuple[str, Any, Any]] = []
        for each in owner.__record__:
            said = {"init": each.init, "repr": each.repr, "compare": each.compare}
            if each.default is not _MISSING:
                said["default"] = each.default
            elif each.default_factory is not _MISSING:
                said["default_factory"] = each.default_factory
            fields.append((each.name, each.kind, dataclasses.field(**said)))
        how: Any = self._how
        like = dataclasses.make_dataclass(owner.__name__, fields, init=False, repr=False, **how)
        found = getattr(like, self._name)
        setattr(owner, self._name, found)
        return found


def _repr(self: Any) -> str:
    shown = ", ".join(f"{each.name}={getattr(self, each.name)!r}" for each in self.__record__ if each.repr)
    return f"{type(self).__qualname__}({shown})"


def _refuse(self: Any, name: str, *_: object) -> NoReturn:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _set_state(self: Any, state: Any) -> None:
    """Restore a copied or unpickled record, whose attributes cannot be assigned."""
    for values in state if isinstance(state, tuple) else (state,):
        for name, value in (values or {}).items():
            _set(self, name, value)


def _no_key(_: object) -> tuple[()]:
    return ()


def _equal(self: Any, other: object) -> bool:
    key = self.__key__
    return key(self) == key(other) if other.__class__ is self.__class__ else NotImplemented


def _hash(self: Any) -> int:
    return hash(self.__key__(self))


def _compared(by: Callable[[Any, Any], bool]) -> Any:
    def compare(self: Any, other: object) -> bool:
        key = self.__key__
        return by(key(self), key(other)) if other.__class__ is self.__class__ else NotImplemented

    return compare


_ORDER = {"__lt__": _compared(lt), "__le__": _compared(le), "__gt__": _compared(gt), "__ge__": _compared(ge)}
