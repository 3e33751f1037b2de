"""Parameters that are named, shared and replaced by assignment, and what of it cannot be meant."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from initlint.source.interpreter.places import place
from initlint.source.interpreter.values import Tensor, Value
from initlint.source.text.names import spelled

if TYPE_CHECKING:
    from initlint.source.interpreter.state import State, Unit

Made = tuple["Unit", ast.AST]


def tie(machine: State, held: Value | None, value: Tensor, made: Made | None) -> None:
    """A Parameter is given a name, where ``held`` was: its first, one more, or one that was shared until now.

    In its cell, ``#named`` says that it has a name, ``#tied`` where it was given another one, and ``#parted`` holds
    the node of the statement that took one of the two away.
    """
    old = held.cell if isinstance(held, Tensor) and held.cell is not value.cell else None
    tied = None if old is None else old.get("#tied")
    if value.cell.get("#named"):
        machine.put(value.cell, "#tied", made)
        for cell in (value.cell, old):
            if machine.incidents is not None and cell is not None:
                machine.incidents.pop(cell.get("#parted", 0), None)
    elif old is not None and tied is not None and made is not None and machine.journal is None:
        machine.put(old, "#tied", None)
        machine.put(old, "#parted", id(made[1]))
        machine.incident("untied", made, target(made[1], "it"), raises=False, function=None, tied=place(*tied))
    machine.put(value.cell, "#named", True)


def resize(machine: State, holder: Tensor, value: Tensor, made: Made) -> None:
    """``holder.data = value``: noted where the shapes are known and differ."""
    before, after = holder.shape, value.shape
    if before is None or after is None or value.partial or None in before or None in after or before == after:
        return
    text = target(made[1], "data").removesuffix(".data")
    machine.incident("resized", made, text, raises=False, before=before, after=after)


def target(node: ast.AST, otherwise: str) -> str:
    """What an assignment assigns to, as the source has it."""
    return spelled(node) if isinstance(node, ast.expr) else otherwise


def written(node: ast.AST) -> str:
    """What a call of an initialiser writes, as the source has it."""
    if not isinstance(node, ast.Call):
        return "it"
    if isinstance(node.func, ast.Attribute) and not (node.args and isinstance(node.args[0], ast.Attribute)):
        return spelled(node.func.value)
    return spelled(node.args[0]) if node.args else "it"
