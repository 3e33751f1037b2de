"""What a file offers to be built, and whether importing it would train."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from initlint.location import Location
from initlint.source.classes import ClassInfo
from initlint.source.places import place
from initlint.source.scan import Scan
from initlint.source.state import State, Unit
from initlint.source.values import Class, Func, Instance, Ref

_BUILDERS = frozenset({"build", "build_model", "make_model", "get_model", "create_model", "model"})
_TRAINS = frozenset({"backward", "step", "fit", "train_epoch"})


def roots_of(scan: Scan, infos: Sequence[ClassInfo], machine: State, unit: Unit) -> tuple[str, ...]:
    """The names of a file that stand for whole models, in the order they are defined."""
    used = _parts(scan, infos)
    found: list[tuple[int, str]] = []
    top = {id(value.info) for value in unit.globals.values() if isinstance(value, Class)}
    for info in infos:
        if info.is_module and info.name not in used and not info.is_abstract and id(info) in top:
            found.append((info.node.lineno, info.name))
    for name, value in unit.globals.items():
        if isinstance(value, Func) and name in _BUILDERS and not isinstance(value.node, ast.Lambda):
            if _needs_nothing(value.node.args) and _returns_module(value.node, unit):
                found.append((value.node.lineno, name))
        elif isinstance(value, Instance) and value.made is not None and not name.startswith("#"):
            found.append((getattr(value.made[1], "lineno", 0), name))
    return tuple(dict.fromkeys(name for _, name in sorted(found)))


def _parts(scan: Scan, infos: Sequence[ClassInfo]) -> set[str]:
    """The classes that another class of the file uses: as a base, as a part, or handed to it by somebody."""
    names = {info.name for info in infos}
    used: set[str] = set()
    for info in infos:
        for node in ast.walk(info.node):
            if isinstance(node, ast.Name) and node.id in names and node.id != info.name:
                used.add(node.id)
    return used | _handed(scan, names)


def _handed(scan: Scan, names: set[str]) -> set[str]:
    """Classes given as an argument to a call of another class: ``ResNet(BasicBlock, [2, 2])``."""
    found: set[str] = set()
    for function in scan.functions:
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and not (
                isinstance(node.func, ast.Name) and node.func.id in ("super", "isinstance")
            ):
                for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
                    if isinstance(argument, ast.Name) and argument.id in names:
                        found.add(argument.id)
    return found


def _needs_nothing(arguments: ast.arguments) -> bool:
    needed = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    return needed <= 0 and None not in arguments.kw_defaults


def _returns_module(function: ast.FunctionDef | ast.AsyncFunctionDef, unit: Unit) -> bool:
    """Whether what a function returns was made by a call of a module's class, going by the names in it."""
    made: set[str] = set()

    def makes(node: ast.expr | None) -> bool:
        if isinstance(node, ast.Tuple) and node.elts:
            return makes(node.elts[0])
        if isinstance(node, ast.Name):
            return node.id in made
        if not isinstance(node, ast.Call):
            return False
        callee = node.func
        if isinstance(callee, ast.Name):
            held = unit.globals.get(callee.id)
            return (isinstance(held, Class) and held.info.is_module) or (
                isinstance(held, Ref) and held.name.startswith("torch.nn.")
            )
        if isinstance(callee, ast.Attribute):
            if isinstance(callee.value, ast.Name):
                held = unit.globals.get(callee.value.id)
                if isinstance(held, Ref) and held.name == "torch.nn" and callee.attr[:1].isupper():
                    return True
            return callee.attr in ("to", "cuda", "eval", "train", "apply") and makes(callee.value)
        return False

    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and makes(node.value):
            made.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return any(isinstance(node, ast.Return) and makes(node.value) for node in ast.walk(function))


def trains_at_import(unit: Unit) -> Location | None:
    """The first statement at module level that trains a model."""
    stack: list[ast.AST] = list(reversed(unit.tree.body))
    while stack:
        node = stack.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            continue
        if isinstance(node, ast.If) and _is_main(node.test):
            stack.extend(reversed(node.orelse))
            continue
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _TRAINS:
            return place(unit, node)
        stack.extend(reversed(list(ast.iter_child_nodes(node))))
    return None


def _is_main(test: ast.expr) -> bool:
    return isinstance(test, ast.Compare) and any(
        isinstance(part, ast.Name) and part.id == "__name__" for part in (test.left, *test.comparators)
    )
