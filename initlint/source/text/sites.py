"""Which of a file's calls may initialise, write broadly or set a seed: told by their names alone."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from initlint.source.tables import initializers
from initlint.source.text.names import CHECKPOINT_LOADS, imported

if TYPE_CHECKING:
    from initlint.source.text.scan import Scan

__all__ = ["imported_initialisers", "sort_out"]

_LIBRARIES = frozenset({"torch", "np", "numpy"})

_BROAD = CHECKPOINT_LOADS | {"apply"}

_MADE_LIKE = frozenset(name.removeprefix("torch.") for name in initializers.NEW_LIKE)


def sort_out(found: Scan, local: frozenset[str] | set[str], modules: set[str]) -> None:
    """Put each call of a file where it belongs: ``found.initialising``, ``found.broad`` or ``found.seeding``.

    ``local`` are the names of initialisers, ``modules`` those of torch.nn.init.
    """
    telling = local | _BROAD | _MADE_LIKE
    for call, owner in found.calls:
        function = call.func
        if type(function) is ast.Attribute:
            last = function.attr
            base = function.value
            if (type(base) is ast.Name and base.id in modules) or (type(base) is ast.Attribute and base.attr == "init"):
                found.initialising.setdefault(owner, []).append(call)
                continue
            if "seed" in last:
                found.seeding.append(call)
                continue
            if last not in telling:
                continue
            if (
                type(base) is ast.Name
                and base.id in _LIBRARIES
                and last[-1:] != "_"
                and id(call) not in found.discarded
            ):
                continue  # torch.ones makes a tensor, and has its name from there
        elif type(function) is ast.Name:
            last = function.id
        else:
            continue
        if last in local or (last in _MADE_LIKE and id(call) in found.discarded):
            found.initialising.setdefault(owner, []).append(call)
        elif last in _BROAD:
            if last != "apply" or not _is_of_text(call):
                found.broad.setdefault(owner, []).append(call)
        elif "seed" in last:
            found.seeding.append(call)


def imported_initialisers(
    node: ast.Import | ast.ImportFrom, path: str, table: initializers.Initializers
) -> tuple[set[str], set[str]]:
    """The local names that an import gives to initialisers, and those of torch.nn.init."""
    if isinstance(node, ast.Import):
        return set(), {name for name, full in imported(node, path) if full == "torch.nn.init"}
    module = node.module or ""
    telling = "init" in module or "timm" in module or "mm" in module or "fvcore" in module or module == "torch.nn"
    if not telling and not table.names:
        return set(), set()
    pairs = imported(node, path)
    own = {name for name, full in pairs if table.own(full)}
    if not telling:
        return own, set()
    modules = {name for name, full in pairs if full == "torch.nn.init"}
    return own | {name for name, full in pairs if initializers.lookup(full) is not None} - modules, modules


_OF_TEXT = frozenset({"split", "rsplit", "strip", "lower", "upper", "replace", "startswith", "endswith", "int", "len"})


def _is_of_text(call: ast.Call) -> bool:
    """Whether ``apply`` is handed a lambda that only asks things of texts: pandas' column.apply, no initialiser."""
    given = call.args[0] if call.args else None
    if type(given) is not ast.Lambda:
        return False
    calls = [node.func for node in ast.walk(given.body) if isinstance(node, ast.Call)]
    names = [f.attr if isinstance(f, ast.Attribute) else f.id if isinstance(f, ast.Name) else "" for f in calls]
    return bool(names) and _OF_TEXT.issuperset(names)
