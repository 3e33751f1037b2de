"""What could not be established, and how a rule and a front end meet it."""

from __future__ import annotations

import math
from typing import Any, NoReturn


class UnknownFact(Exception):
    """A rule reasoned about something that is not known."""


class _Unknown:
    """The value of what could not be established; every use of it raises UnknownFact."""

    __slots__ = ()

    def _raise(self, *_: object) -> NoReturn:
        raise UnknownFact

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _raise
    __bool__ = __hash__ = __len__ = __iter__ = __contains__ = __getitem__ = __call__ = _raise
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _raise
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = __matmul__ = __rmatmul__ = _raise
    __neg__ = __pos__ = __abs__ = __int__ = __float__ = __index__ = __round__ = _raise
    __str__ = __format__ = _raise

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # copy, pickle and inspection ask for these: not reasoning
            raise AttributeError(name)
        raise UnknownFact

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __copy__(self) -> _Unknown:
        return self

    def __deepcopy__(self, _: object) -> _Unknown:
        return self

    def __reduce__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Any = _Unknown()


def known(value: object) -> bool:
    """Whether a value is known (for front ends and reports; a rule lets UNKNOWN raise)."""
    return value is not UNKNOWN


def slot(name: str) -> str:
    """A dotted name with its indices left out ("layers.*.fc"): what the slots of one container have in common."""
    return ".".join("*" if part.isdigit() else part for part in name.split("."))


def absent(value: object) -> bool:
    """Whether something is known not to exist; raises UnknownFact where that is not known."""
    if value is UNKNOWN:
        raise UnknownFact
    return value is None


def close(a: float, b: float, *, relative: float = 0.02, absolute: float = 1e-12) -> bool:
    """Whether two numbers agree within a tolerance (measured numbers are never compared with ==)."""
    return math.isclose(a + 0.0, b + 0.0, rel_tol=relative, abs_tol=absolute)


class Fact:
    """Base of every fact; facts compare by identity."""

    __slots__ = ()


def _own(fact: Fact, name: str, value: object) -> None:
    """Set a back reference while the owner is being made; nothing else ever changes a fact."""
    object.__setattr__(fact, name, value)
