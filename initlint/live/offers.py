"""What else a module offers, for one who named what it has not, or a class that needs arguments."""

from __future__ import annotations

import difflib
import dis
import inspect
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType

from torch import nn

__all__ = ["instead", "makers"]

_MOST = 3


def instead(module: ModuleType, name: str) -> str:
    """What of a module's own is called nearly so, else what there is to be built; "" where nothing is."""
    there = [each for each, value in vars(module).items() if _is_own(module, value)]
    near = difflib.get_close_matches(name, there, _MOST, 0.6)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"it has {_listed(there)}" if there else ""


def makers(module: ModuleType, made: type) -> str:
    """Functions of a module that need no argument and may return one of a class, going by the names in them."""
    functions = {name: value for name, value in vars(module).items() if isinstance(value, FunctionType)}
    own = {name: value for name, value in functions.items() if value.__module__ == module.__name__}

    def leads(function: FunctionType, seen: frozenset[str]) -> bool:
        names = set(_names(function.__code__))
        return made.__name__ in names or any(
            leads(own[name], seen | {name}) for name in names & own.keys() - seen if len(seen) < _MOST
        )

    return _listed(
        [
            name
            for name, value in own.items()
            if _returns(value) and not _asks(value) and leads(value, frozenset({name}))
        ]
    )


def _is_own(module: ModuleType, value: object) -> bool:
    if isinstance(value, nn.Module):
        return True
    is_model = isinstance(value, type) and issubclass(value, nn.Module)
    return (is_model or isinstance(value, FunctionType)) and value.__module__ == module.__name__


def _asks(function: FunctionType) -> bool:
    return any(
        parameter.default is parameter.empty and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        for parameter in inspect.signature(function).parameters.values()
    )


def _returns(function: FunctionType) -> bool:
    """Whether it returns anything but None, as a test or a script's ``main`` does not."""
    last = None
    for step in dis.get_instructions(function):
        if step.opname == "RETURN_VALUE" and not (
            last is not None and last.opname.startswith("LOAD_CONST") and last.argval is None
        ):
            return True
        last = step
    return False


def _names(code: CodeType) -> Iterator[str]:
    """The names that a function's code, and the code within, looks up outside itself."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _listed(names: list[str]) -> str:
    more = len(names) - _MOST
    return ", ".join(names[:_MOST]) + (f" and {more} more" if more > 0 else "")
