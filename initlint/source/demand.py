"""Which classes of a file are worth building: those in which something happens that a rule can speak of.

Most classes of a real code base hold layers at torch's defaults, compose them and call them. Nothing is wrong with
those that a rule which is on by default could say, and building them, following their forward and writing them down is
most of the work of a check. What happens in a class is told by names alone, which the one walk over the tree has met.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from initlint.source.interpreter.classes import ClassInfo
from initlint.source.text.scan import MARKS, Scan, init_like
from initlint.source.text.walking import walked

__all__ = ["demanded"]

_LAYERS = frozenset({"Linear", "Conv1d", "Conv2d", "Conv3d"})
_RELU_LIKE = frozenset({"ReLU", "relu", "LeakyReLU", "leaky_relu"})
_NORMS = frozenset({"LayerNorm", "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "GroupNorm", "RMSNorm"})


def demanded(scan: Scan, infos: list[ClassInfo], held: dict[int, set[int]]) -> tuple[set[int], set[int]]:
    """The ids of the classes to be built, and of those among them that are to be followed and written down.

    ``held`` are the classes that each class mentions, as ``exposure.uses`` has them.
    """
    if not any(info.is_module for info in infos):
        return set(), set()
    holding = _holding_initialisers(scan)
    events = holding | scan.events
    applied = _applied_outside(scan)
    helpers = {owner.name for owner in (*scan.initialising, *scan.assigning) if owner in scan.functions}
    helpers |= {name for name in scan.names if init_like(name)}
    for info in infos:
        mentioned = scan.mentions.get(id(info.node), set())
        marked = not (mentioned.isdisjoint(MARKS) and mentioned.isdisjoint(helpers))
        if marked or applied is None or info.name in applied or _may_drift(mentioned):
            events.add(id(info.node))
    wanted = {id(info) for info in infos if id(info.node) in events}
    written = {id(info) for info in infos if id(info.node) in holding and "__init__" in _initialising(scan, info)}
    for info in infos:
        key = id(info)
        if key in wanted or not info.is_plain:  # where others write, no value is known that parts and bases left
            continue
        applies = any(id(base) in wanted and _applies(scan, base) for base in info.lineage[1:])
        if applies or not held[key].isdisjoint(written):
            wanted.add(key)
    told_apart = _named_by_initialisers(scan, {info.name for info in infos})
    return wanted | {id(info) for info in infos if info.name in told_apart}, wanted


def _named_by_initialisers(scan: Scan, names: set[str]) -> set[str]:
    """Which of the names stand in functions that initialise: they tell classes apart by what these hold."""
    spans = [(owner.lineno, owner.end_lineno or 0) for owner in scan.initialising if isinstance(owner, ast.FunctionDef)]
    mentions = scan.mentioned(names) if spans else ()
    return {node.id for node in mentions if any(first <= node.lineno <= last for first, last in spans)}


def _may_drift(mentioned: set[str]) -> bool:
    """Whether layers at their defaults may make a long chain: linear maps, rectifiers, and no norm between."""
    return bool(mentioned & _LAYERS and mentioned & _RELU_LIKE) and mentioned.isdisjoint(_NORMS)


def _holding_initialisers(scan: Scan) -> set[int]:
    """The classes (ids of their nodes) in which a call of an initialiser may stand, or one that writes broadly."""
    found: set[int] = set()
    for owner in (*scan.initialising, *scan.assigning, *scan.broad):
        if owner is None:
            continue
        holder = scan.functions.get(owner)  # type: ignore[call-overload]
        while holder is not None:
            if isinstance(holder, ast.ClassDef):
                found.add(id(holder))
                holder = scan.holders.get(id(holder))
            else:
                holder = scan.functions.get(holder)
    return found


def _applied_outside(scan: Scan) -> set[str] | None:
    """The names in functions outside classes that apply something to models; None where the file's top level does."""
    found: set[str] = set()
    for owner in scan.broad:
        if owner is None:
            return None
        if scan.functions.get(owner) is None:  # type: ignore[call-overload]
            found.update(node.id for node in walked(owner) if type(node) is ast.Name)
    return found


def _initialising(scan: Scan, info: ClassInfo) -> Iterable[str]:
    """The methods of a class in which a call of an initialiser may stand."""
    return [name for name, function in info.methods.items() if function in scan.initialising]


def _applies(scan: Scan, base: ClassInfo) -> bool:
    """Whether a class's constructor initialises what it holds."""
    constructor = base.methods.get("__init__")
    return constructor is not None and (constructor in scan.broad or constructor in scan.initialising)
