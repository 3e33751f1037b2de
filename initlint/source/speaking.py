"""Whether anything can be said of a class's model, told before what runs through it is followed."""

from __future__ import annotations

from collections.abc import Iterator

from initlint.source.interpreter.values import Either, Event, Instance, Items, Table, Tensor, Value
from initlint.source.models import Built
from initlint.source.noticing.exposure import Exposure
from initlint.source.noticing.loose import inside

__all__ = ["speaks"]

_DEEPEST = 14


def speaks(built: Built, exposure: Exposure) -> bool:
    """Whether some rule may have something to say of an instance of a class that was built.

    That takes values known to be somebody's own, one module in several places, or something held and not registered.
    Where no other code can reach the class, what torch drew is known too.
    """
    if not exposure.default:
        return True
    if _holds_loosely(built.instance):
        return True
    seen: set[int] = set()
    for held in _held(built.instance, 0):
        if isinstance(held, Instance):
            if id(held) in seen:
                return True
            seen.add(id(held))
        elif isinstance(held, Tensor):
            if held.cell.get("#lost"):  # what was written without effect is so whoever writes later
                return True
            if held.writes and not exposure.everything and _is_own(held.writes[-1]):
                return True
    return False


def _held(value: Instance, depth: int) -> Iterator[Value]:
    """The modules and tensors below a module, again and again if they stand there so."""
    yield value
    if depth > _DEEPEST:
        return
    for key, held in value.cell.items():
        if key.startswith("#"):
            continue
        for option in held.options if isinstance(held, Either) else (held,):
            if isinstance(option, Instance):
                yield from _held(option, depth + 1)
            elif isinstance(option, Tensor):
                yield option


def _is_own(last: Event) -> bool:
    return last.author != "framework"


def _holds_loosely(instance: Instance) -> bool:
    """Whether a module has a container or a tensor for an attribute that is no module's."""
    return any(
        (isinstance(held, (Items, Table)) and any(True for _ in inside(held, 0)))
        or (isinstance(held, Tensor) and not held.is_parameter and not held.buffer)
        for name, held in instance.cell.items()
        if not name.startswith("#")
    )
