"""Functions that initialise, and who calls them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Any

from initlint.facts import UNKNOWN, Branch, InitCall, Initializer
from initlint.location import Location
from initlint.source.interpreter.classes import ClassInfo
from initlint.source.interpreter.places import place
from initlint.source.interpreter.state import Unit
from initlint.source.noticing.recorder import Seen
from initlint.source.noticing.repeats import repeats_of
from initlint.source.noticing.side_effects import rescales_of, seeds_in
from initlint.source.project.project import Project
from initlint.source.text.scan import Function, Scan, init_like
from initlint.source.text.walking import walked

Recorded = Sequence[tuple[InitCall, list[Seen]]]

_CALLED_BY_OTHERS = frozenset({"reset_parameters", "_reset_parameters", "init_empty_weights", "_init_weights_"})
"""Names that torch itself, or a sharding library, calls."""


def initializers_of(
    scan: Scan, unit: Unit, recorded: Recorded, infos: Sequence[ClassInfo], project: Project | None
) -> tuple[Initializer, ...]:
    """Every function or method of a file that initialises what it is given, or the module it belongs to."""
    by_function: dict[int, list[tuple[InitCall, Seen]]] = {}
    for call, seen in recorded:
        if seen[0].function is not None:
            by_function.setdefault(id(seen[0].function), []).append((call, seen[0]))
    holders = {id(function): info for info in infos for function in info.methods.values()}
    found: list[Initializer] = []
    may = (function for function in scan.functions if id(function) in by_function or init_like(function.name))
    for function in sorted(may, key=lambda function: function.lineno):
        calls = by_function.get(id(function), [])
        named = init_like(function.name) and not _is_empty(function)
        if function.name.startswith("__") or not (named or _initialises_argument(function, calls)):
            continue
        info = holders.get(id(function))
        found.append(
            Initializer(
                name=function.name,
                location=place(unit, function),
                class_name=info.name if info is not None else None,
                branches=tuple(_branches(unit, calls)),
                callers=_callers(function, info, scan, unit, infos, project),
                repeats=repeats_of(function, info, unit) if info is not None else (),
                seeds=_seeds(function, info, calls, scan, unit),
                rescales=() if info is None else rescales_of(function, info, [call for call, _ in calls], unit),
            )
        )
    return tuple(found)


def _seeds(
    function: Function, info: ClassInfo | None, calls: list[tuple[InitCall, Seen]], scan: Scan, unit: Unit
) -> tuple[Location, ...]:
    """As Initializer.seeds, of a function that initialises what it is given or the module that it belongs to."""
    if not calls or not (info.is_module if info is not None else _initialises_argument(function, calls)):
        return ()
    return seeds_in(function, scan, unit)


def _is_empty(function: Function) -> bool:
    """Whether a body only documents, passes or raises."""
    return all(
        isinstance(node, (ast.Pass, ast.Raise)) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for node in function.body
    )


def _initialises_argument(function: Function, calls: list[tuple[InitCall, Seen]]) -> bool:
    """Whether what the function writes comes from its parameters."""
    if not calls or function.name in ("forward", "__init__"):
        return False
    given = {argument.arg for argument in (*function.args.posonlyargs, *function.args.args)} - {"self", "cls"}
    for node in walked(function):
        if isinstance(node, (ast.For, ast.AsyncFor)) and _root(node.iter) in given:
            given.update(part.id for part in walked(node.target) if isinstance(part, ast.Name))
    return any(call.target.text.partition(".")[0].partition("[")[0] in given for call, _ in calls)


def _root(node: ast.expr) -> str:
    while True:
        if isinstance(node, (ast.Attribute, ast.Subscript)):
            node = node.value
        elif isinstance(node, ast.Call):
            node = node.func if isinstance(node.func, ast.Attribute) else (node.args[0] if node.args else node.func)
        else:
            return node.id if isinstance(node, ast.Name) else ""


def _branches(unit: Unit, calls: list[tuple[InitCall, Seen]]) -> Iterator[Branch]:
    groups: dict[int, list[tuple[InitCall, Seen]]] = {}
    for call, seen in calls:
        groups.setdefault(id(seen.branch), []).append((call, seen))
    for group in groups.values():
        branch = group[0][1].branch
        kinds: Any = UNKNOWN
        first = group[0][1].kinds
        if first is not None and all(seen.kinds == first for _, seen in group):
            kinds = first
        where = place(unit, branch) if branch is not None else None
        yield Branch(kinds=kinds, calls=tuple(call for call, _ in group), location=where)


def _callers(
    function: Function,
    info: ClassInfo | None,
    scan: Scan,
    unit: Unit,
    infos: Sequence[ClassInfo],
    project: Project | None,
) -> Any:
    """The places that mention a function beside itself; UNKNOWN where some may be out of sight."""
    name = function.name
    inside = range(function.lineno, (function.end_lineno or function.lineno) + 1)
    places: list[Location] = []
    for node in (*scan.mentioned((name,)), *scan.asked((name,))):
        if isinstance(node, ast.Name) and (info is not None or isinstance(node.ctx, ast.Store)):
            if info is None:
                return UNKNOWN  # the name is bound to something else somewhere
            continue
        if node.lineno in inside and not _calls_super(node):
            continue
        places.append(place(unit, node))
    if info is not None and not _all_plain(info, infos):
        return UNKNOWN
    if places:
        return tuple(sorted(places))
    if name in scan.strings or name in _CALLED_BY_OTHERS or unit.stars or function.decorator_list:
        return UNKNOWN
    enclosing = scan.functions.get(function)
    if isinstance(enclosing, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return UNKNOWN  # it may be handed out
    if project is None:
        return ()
    public = not name.startswith("_")
    if public and project.in_package(unit.path):
        return UNKNOWN
    lineage = frozenset((base.unit.path, base.name) for base in info.lineage) if info is not None else frozenset()
    elsewhere = project.calls(name, unit.path, lineage)
    return () if elsewhere is False else UNKNOWN


def _calls_super(node: ast.AST) -> bool:
    """``super()._init_weights``: a call of another function by that name."""
    return (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Name)
        and node.value.func.id == "super"
    )


def _all_plain(info: ClassInfo, infos: Sequence[ClassInfo]) -> bool:
    """Whether neither the class nor one derived from it has a base that may call its methods unseen."""
    return info.is_plain and all(other.is_plain for other in infos if info in other.lineage)
