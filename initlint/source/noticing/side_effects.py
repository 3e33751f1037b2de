"""What functions that initialise do besides drawing values: set the seed of the whole program, scale what they find."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from initlint.facts import Change, InitCall
from initlint.location import Location
from initlint.source.interpreter.classes import ClassInfo
from initlint.source.interpreter.places import place
from initlint.source.interpreter.state import Unit
from initlint.source.interpreter.values import Ref
from initlint.source.noticing.pretrained import is_pretrained_model
from initlint.source.text.names import spelled
from initlint.source.text.scan import Function, Scan
from initlint.source.text.walking import walked

_SEEDING = ("torch.", "lightning.", "pytorch_lightning.", "transformers.", "accelerate.")
_RESTORING = frozenset({"fork_rng", "set_rng_state", "get_rng_state", "isolate_rng", "preserve_rng_state"})
_PARAMETERS = frozenset({"parameters", "named_parameters"})
_SCALING = frozenset({"mul_", "div_"})
_DRAWING = frozenset({"reset_parameters", "_init_weights", "_reset_parameters"})


def seeds_in(function: Function | None, scan: Scan, unit: Unit) -> tuple[Location, ...]:
    """The places in a function that set torch's global seed; none where it puts the generator's state back."""
    if function is None:
        return ()
    inside = range(function.lineno, (function.end_lineno or function.lineno) + 1)
    found = [call for call in scan.seeding if call.lineno in inside and _is_global(call, unit)]
    if not found or any(_name(node) in _RESTORING for node in walked(function)):
        return ()
    return tuple(place(unit, call) for call in found)


def _is_global(call: ast.Call, unit: Unit) -> bool:
    text = spelled(call.func)
    if not text.replace(".", "").isidentifier():
        return False  # a method of what a call returns, a generator for one
    root, _, rest = text.partition(".")
    held = unit.globals.get(root)
    return isinstance(held, Ref) and f"{held.name}.{rest}".startswith(_SEEDING)


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def rescales_of(function: Function, info: ClassInfo, calls: Sequence[InitCall], unit: Unit) -> tuple[Change, ...]:
    """As Initializer.rescales."""
    again = function.name == "reset_parameters" and info.is_module
    if not again and not (function.name == "_init_weights" and any(is_pretrained_model(one) for one in info.outside)):
        return ()
    nodes = walked(function)
    found: list[tuple[str, ast.AST]] = []
    for node in nodes:
        if isinstance(node, ast.AugAssign):
            if isinstance(node.op, (ast.Mult, ast.Div)):
                found.append((_tensor(node.target), node))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _SCALING:
            found.append((_tensor(node.func.value), node))
    if not found:
        return ()
    looped: set[str] = set()
    drawn: dict[str, int] = {call.target.text: call.location.line for call in reversed(calls)}
    anew = 1 << 60  # the line from which everything has been drawn anew
    for node in nodes:
        if isinstance(node, ast.For) and any(_name(part) in _PARAMETERS for part in walked(node.iter)):
            looped.update(part.id for part in walked(node.target) if isinstance(part, ast.Name))
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                drawn.setdefault(_tensor(target), node.lineno)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _DRAWING:
            anew = min(anew, node.lineno)
    return tuple(
        Change(
            text=text,
            location=place(unit, node),
            fresh=min(anew, drawn.get(text, anew)) <= node.lineno,  # type: ignore[attr-defined]
        )
        for text, node in sorted(found, key=lambda one: one[1].lineno)  # type: ignore[attr-defined]
        if text in looped or text.rpartition(".")[2] in ("weight", "bias")
    )


def _tensor(node: ast.expr) -> str:
    """A tensor as written, ``.data`` and what is picked out of it left out."""
    while isinstance(node, ast.Subscript) or (isinstance(node, ast.Attribute) and node.attr == "data"):
        node = node.value
    return spelled(node)
