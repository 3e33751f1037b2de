"""Statements of an initialiser that were copied and not changed: one attribute set twice, its sibling never."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from initlint.facts import Repeat
from initlint.source.interpreter.classes import ClassInfo
from initlint.source.interpreter.places import place
from initlint.source.interpreter.state import Unit
from initlint.source.tables import initializers
from initlint.source.text.names import spelled
from initlint.source.text.scan import Function, init_like
from initlint.source.text.walking import walked

_RESETS = frozenset(
    {"reset_parameters", "_reset_parameters", "reset", "init_weights", "_init_weights", "reset_weights"}
)
_NAMES = frozenset(name.rpartition(".")[2] for name in initializers.ROWS)
_WALKS = frozenset(
    {"modules", "children", "parameters", "named_modules", "named_children", "named_parameters", "apply"}
)
_GENERAL = _WALKS | {"_modules", "_parameters", "__dict__", "get_submodule", "get_parameter"}


def repeats_of(function: Function, info: ClassInfo, unit: Unit) -> tuple[Repeat, ...]:
    """As Initializer.repeats."""
    if not function.args.args or len(function.body) < 2:
        return ()
    own = function.args.args[0].arg
    twice = [pair for block in _blocks(function.body) for pair in _twice(block, own)]
    if not twice or _is_general(function):
        return ()
    made = _made(info, own)
    if any(isinstance(node, ast.Constant) and node.value in made for node in walked(function)):
        return ()  # it reaches its attributes by name
    found = []
    for first, second, text in twice:
        attribute = text.split(".")[1]
        others = [name for name, how in made.items() if name != attribute and how == made.get(attribute)]
        found.append(
            Repeat(
                text=text,
                location=place(unit, second),
                related=(place(unit, first),),
                forgotten=tuple(f"{own}.{name}" for name in others if not _is_initialised(name, info, own)),
            )
        )
    return tuple(found)


def _blocks(body: Sequence[ast.stmt]) -> Iterator[Sequence[ast.stmt]]:
    yield body
    for statement in body:
        for name in ("body", "orelse", "finalbody"):
            inner = getattr(statement, name, None)
            if isinstance(inner, list):
                yield from _blocks(inner)


def _twice(block: Sequence[ast.stmt], own: str) -> Iterator[tuple[ast.Call, ast.Call, str]]:
    """The pairs of calls in one block that initialise the same attribute by the same function."""
    seen: dict[tuple[str, str], ast.Call] = {}
    for statement in block:
        call = statement.value if isinstance(statement, ast.Expr) else None
        if not isinstance(call, ast.Call):
            continue
        verb = spelled(call.func).rpartition(".")[2]
        target: ast.expr | None = None
        if isinstance(call.func, ast.Attribute) and (verb in _RESETS or verb in initializers.TENSOR_METHODS):
            target = call.func.value
        elif verb in _NAMES and call.args:
            target = call.args[0]
        if not isinstance(target, ast.Attribute):
            continue
        text = spelled(target).removesuffix(".data")
        parts = text.split(".")
        if parts[0] != own or len(parts) not in (2, 3) or not all(part.isidentifier() for part in parts):
            continue
        first = seen.setdefault((verb, text), call)
        if first is not call:
            yield first, call, text


def _is_general(function: Function) -> bool:
    """Whether a function also reaches what it does not name: by a walk, by its base, by getattr, by a table."""
    return any(
        (isinstance(node, ast.Attribute) and node.attr in _GENERAL)
        or (isinstance(node, ast.Name) and node.id in ("super", "getattr", "vars"))
        for node in walked(function)
    )


def _made(info: ClassInfo, own: str) -> dict[str, str]:
    """How the constructor makes each attribute, as the functions it calls for it are spelled."""
    constructor = info.methods.get("__init__")
    found: dict[str, str] = {}
    for node in walked(constructor) if constructor is not None else ():
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and len(node.targets) == 1:
            target = node.targets[0]
            if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == own:
                inner = node.value.args[0] if node.value.args else None
                how = spelled(node.value.func)
                found[target.attr] = f"{how}({spelled(inner.func)})" if isinstance(inner, ast.Call) else how
    return found


def _is_initialised(name: str, info: ClassInfo, own: str) -> bool:
    """Whether an attribute is mentioned anywhere that initialises: for all that is known, it is seen to there."""
    for function in info.methods.values():
        if function.name != "__init__" and not init_like(function.name):
            continue
        for node in walked(function):
            if isinstance(node, ast.Attribute) and node.attr == name and isinstance(node.ctx, ast.Load):
                return True
    return False
