"""Whether anything can be said of a class's model, told before what runs through it is followed."""

from __future__ import annotations

from initlint.source.interpreter.values import Either, Event, Instance, Items, Table, Tensor
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
    left = [(built.instance, 0)]
    while left:
        module, depth = left.pop()
        if id(module) in seen:
            return True
        seen.add(id(module))
        if depth > _DEEPEST:
            continue
        for key, held in module.cell.items():
            if isinstance(held, Instance):
                if not key.startswith("#"):
                    left.append((held, depth + 1))
            elif isinstance(held, Tensor):
                if not key.startswith("#") and _speaks(held, exposure):
                    return True
            elif isinstance(held, Either) and not key.startswith("#"):
                left += ((option, depth + 1) for option in held.options if isinstance(option, Instance))
                if any(isinstance(option, Tensor) and _speaks(option, exposure) for option in held.options):
                    return True
    return False


def _speaks(tensor: Tensor, exposure: Exposure) -> bool:
    """Whether somebody's own values are in a tensor for good, or what was written without effect, whoever writes
    later."""
    if tensor.cell.get("#lost"):
        return True
    return bool(tensor.writes and not exposure.everything and _is_own(tensor.writes[-1]))


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
