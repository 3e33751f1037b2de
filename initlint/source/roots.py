"""What a file offers to be built, and whether importing it would train."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from initlint.location import Location
from initlint.source.interpreter.classes import ClassInfo
from initlint.source.interpreter.places import place
from initlint.source.interpreter.state import Unit
from initlint.source.interpreter.values import Class, Func, Instance, Ref
from initlint.source.scripts.script_kind import is_main
from initlint.source.text.scan import Scan
from initlint.source.text.walking import walked

_BUILDERS = frozenset({"build", "build_model", "make_model", "get_model", "create_model", "model"})
_TRAINS = frozenset({"backward", "step", "fit", "train_epoch"})


def roots_of(scan: Scan, infos: Sequence[ClassInfo], unit: Unit) -> tuple[str, ...]:
    """The names of a file that stand for whole models, in the order they are defined."""
    wholes = whole_classes(scan, infos, unit)
    found = [(info.node.lineno, info.name) for info in infos if id(info) in wholes]
    for name, value in unit.globals.items():
        if isinstance(value, Func) and name in _BUILDERS and not isinstance(value.node, ast.Lambda):
            if _needs_nothing(value.node.args) and _returns_module(value.node, unit):
                found.append((value.node.lineno, name))
        elif isinstance(value, Instance) and value.made is not None and not name.startswith("#"):
            found.append((getattr(value.made[1], "lineno", 0), name))
    return tuple(dict.fromkeys(name for _, name in sorted(found)))


def whole_classes(scan: Scan, infos: Sequence[ClassInfo], unit: Unit) -> set[int]:
    """The module classes (by their id) that no other class of the file uses: as a base, as a part, or handed to it."""
    used = scan.handed()
    for info in infos:
        used |= scan.mentions.get(id(info.node), set()) - {info.name}
    top = [value.info for value in unit.globals.values() if isinstance(value, Class)]
    return {id(info) for info in top if info.is_module and info.name not in used and not info.is_abstract}


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

    for node in walked(function):
        if isinstance(node, ast.Assign) and makes(node.value):
            made.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return any(isinstance(node, ast.Return) and makes(node.value) for node in walked(function))


def trains_at_import(unit: Unit) -> Location | None:
    """The first statement at module level that trains a model."""
    stack: list[ast.AST] = list(reversed(unit.tree.body))
    while stack:
        node = stack.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            continue
        if isinstance(node, ast.If) and is_main(node.test):
            stack.extend(reversed(node.orelse))
            continue
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _TRAINS:
            return place(unit, node)
        stack.extend(reversed(list(ast.iter_child_nodes(node))))
    return None
