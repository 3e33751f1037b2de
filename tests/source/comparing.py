"""A class that is read and built at once: what is read of its constructor is what Python makes of it.

Each parameter is filled with a constant, so that what wrote it last can be told from its values.
"""

from __future__ import annotations

import textwrap
import warnings
from typing import Any

from initlint.facts import Model, Parameter, known

from .reading import PRELUDE, model, net

HELPERS = """
import copy, functools, os
from collections import OrderedDict

def unread():
    return int(os.path.join("2"))

def unread_too(value):
    return copy.copy({"it": value})["it"]

def lin(value, size=4):
    made = nn.Linear(size, size, bias=False)
    nn.init.constant_(made.weight, value)
    return made
"""


def constant_of(parameter: Parameter) -> Any:
    """The constant that it is said to hold; None where nothing is said, or that it holds another kind of values."""
    if not known(parameter.writes) or not parameter.writes:
        return None
    last = parameter.writes[-1]
    name = last.function.rpartition(".")[2]
    if not last.overwrites or name not in ("constant_", "zeros_", "ones_"):
        return None
    value = {"zeros_": 0.0, "ones_": 1.0}.get(name, last.arguments.get("val"))
    return value if known(value) else None


def compare(case: str, whole: bool, *, before: str = "", within: str = "") -> None:
    """Read and build a constructor with these statements; ``whole``: nothing that is there is left unread.

    ``before`` stands before the class, ``within`` below its methods.
    """
    rest = textwrap.indent(textwrap.dedent(within), "    ")
    text = HELPERS + textwrap.dedent(before) + "\n" + net(textwrap.dedent(case)) + rest
    space: dict[str, Any] = {"__name__": "model"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        exec(PRELUDE + text, space)
    agree(model(text), space["Net"](), whole)


def agree(found: Model, built: Any, whole: bool) -> None:
    """What is read of a model is so of what is built."""
    real = dict(built.named_parameters(remove_duplicate=False))
    read: dict[str, list[Parameter]] = {}
    for each in found.parameters:
        if not each.is_buffer:
            read.setdefault(each.name, []).append(each)
    for name, options in read.items():
        if "*" not in name:
            assert name in real, f"{name} was read, and {sorted(real)} are there"
            assert any(fits(option, real[name]) for option in options), (name, options, real[name])
    if whole:
        every = [each for options in read.values() for each in options]
        assert {alias for each in every for alias in (each.names if known(each.names) else (each.name,))} == set(real)
        assert all(known(each.writes) for each in every)


def same_sizes(read: tuple[Any, ...], real: tuple[int, ...]) -> bool:
    return len(read) == len(real) and all(not known(one) or one == other for one, other in zip(read, real, strict=True))


def fits(parameter: Parameter, real: Any) -> bool:
    """Whether all that is said of a parameter is so. Where there are several of a name, one of them is built."""
    if known(parameter.shape) and not same_sizes(parameter.shape, tuple(real.shape)):
        return False
    if known(parameter.trainable) and parameter.trainable != real.requires_grad:
        return False
    value = constant_of(parameter)
    if value is not None:
        return bool((real == value).all())
    drawn = (
        known(parameter.writes)
        and parameter.writes
        and parameter.writes[-1].function.endswith("Linear.reset_parameters")
    )
    return not drawn or real.unique().numel() > 1
