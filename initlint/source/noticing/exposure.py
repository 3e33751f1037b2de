"""Whether something outside a class may write the parameters of its instances after they are built."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import TYPE_CHECKING

from initlint.record import field, record
from initlint.source.interpreter.classes import ClassInfo, torch_layer
from initlint.source.interpreter.state import Unit
from initlint.source.interpreter.values import Class, Ref
from initlint.source.tables.constructors import KINDS
from initlint.source.tables.initializers import TENSOR_METHODS
from initlint.source.text.names import CHECKPOINT_LOADS, spelled
from initlint.source.text.scan import Scan, scan
from initlint.source.text.walking import walked

if TYPE_CHECKING:
    from initlint.source.project.project import Project


@record(frozen=True, slots=True)
class Exposure:
    """What may be written out of sight: everything, or only what is not initialised yet or has torch's default."""

    everything: bool = False
    uninitialised: bool = False
    default: bool = False


def uses(infos: list[ClassInfo], scan: Scan) -> dict[int, set[int]]:
    """For each class, the classes of the file that it mentions, directly or through others."""
    by_name: dict[str, list[ClassInfo]] = {}
    for info in infos:
        by_name.setdefault(info.name, []).append(info)
    direct: dict[int, set[int]] = {}
    for info in infos:
        mentioned = scan.mentions.get(id(info.node), set()).intersection(by_name)
        direct[id(info)] = {id(other) for name in mentioned for other in by_name[name] if other is not info}
    changed = True
    while changed:
        changed = False
        for own, held in list(direct.items()):
            more = set().union(*(direct.get(other, set()) for other in held)) - held if held else set()
            if more:
                direct[own] = held | more
                changed = True
    return direct


@record(slots=True)
class Exposures:
    """Answers for the classes of one file."""

    scan: Scan
    infos: list[ClassInfo]
    path: str
    project: Project | None
    used: dict[int, set[int]]
    scans: dict[str, Scan] = field(default_factory=dict)
    """Of the other files that classes were found in."""

    def of(self, info: ClassInfo, ran: set[int]) -> Exposure:
        """What may be written into an instance of ``info`` whose constructor ran the functions ``ran``."""
        if not info.is_plain:
            return Exposure(True, True, True)
        holders = {id(function): other for other in self.infos for function in other.methods.values()}
        uninitialised = False
        for sites in (self.scan.initialising, self.scan.assigning, self.scan.broad):
            for function, nodes in sites.items():
                only_loads = sites is self.scan.broad and all(_loads(node) for node in nodes)
                holder = holders.get(id(function))
                if holder is not None:
                    related = holder in info.lineage
                    if related and id(function) in ran:
                        continue
                    if not related and id(info) not in self.used.get(id(holder), set()):
                        continue
                    if isinstance(function, ast.FunctionDef) and function.name == "forward":
                        continue
                elif (function is not None and id(function) in ran and not self._called_outside(function)) or (
                    sites is self.scan.initialising and self._writes_its_own(function, nodes)
                ):
                    continue
                if only_loads:
                    uninitialised = True
                else:
                    return Exposure(True, True, True)
        if any(self._leaves_out(base, ran) for base in info.lineage if base.unit is not info.unit):
            return Exposure(True, True, True)
        if self.project is None:
            return Exposure(False, uninitialised, False)
        initialised, loaded = self.project.treats(info.name, self.path, self._users(info))
        return Exposure(False, uninitialised or initialised or loaded, initialised)

    def _users(self, info: ClassInfo) -> list[str]:
        """The classes and functions at the top of the file that use a class, directly or through others."""
        classes = [other for other in self.infos if id(info) in self.used.get(id(other), ())]
        names = {info.name, *(other.name for other in classes)}
        lines = [node.lineno for node in self.scan.mentioned(names)]
        functions = [
            function.name
            for function, outer in self.scan.functions.items()
            if outer is None and any(function.lineno <= line <= (function.end_lineno or 0) for line in lines)
        ]
        return [*(other.name for other in classes), *functions]

    def _leaves_out(self, base: ClassInfo, ran: set[int]) -> bool:
        """Whether a class of another file has a method that initialises, for somebody to call later."""
        unit = base.unit
        if unit.path not in self.scans:
            self.scans[unit.path] = scan(unit.tree, unit.path)
        found = self.scans[unit.path]
        methods = {id(function) for name, function in base.methods.items() if name != "forward"}
        return any(id(function) in methods - ran for function in (*found.initialising, *found.assigning, *found.broad))

    def _writes_its_own(self, function: ast.AST | None, nodes: Iterable[ast.AST]) -> bool:
        """Whether a function initialises nothing but layers that it makes itself: torch's, or those of other files.

        Of a layer of another file only what it holds as its own ``weight`` or ``bias``.
        """
        if not isinstance(function, ast.FunctionDef) or not self.infos:
            return False
        stored: dict[str, int] = {}
        parts = walked(function)
        for node in parts:
            if isinstance(node, ast.arg):
                stored[node.arg] = stored.get(node.arg, 0) + 1
            elif isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
                stored[node.id] = stored.get(node.id, 0) + 1
        imported = {
            alias.asname or alias.name for node in parts if isinstance(node, ast.ImportFrom) for alias in node.names
        }
        foreign: set[str] = set()
        for node in parts:
            if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
                continue
            name = node.targets[0].id
            if self._makes(node.value):
                stored[name] -= 1
            elif self._makes_foreign(node.value, imported):
                stored[name] -= 1
                foreign.add(name)
        unit = self.infos[0].unit
        targets = [_target(node, unit) for node in nodes]
        return all(
            stored.get(_root(target), 1) == 0 and (_root(target) not in foreign or _is_own_tensor(target))
            for target in targets
        )

    def _makes_foreign(self, node: ast.expr, imported: set[str]) -> bool:
        """Whether it is a call of what another file defines and has the name of a class."""
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or not node.func.id[:1].isupper():
            return False
        return node.func.id in imported or isinstance(self.infos[0].unit.globals.get(node.func.id), Ref)

    def _makes(self, node: ast.expr) -> bool:
        """Whether it is a call of a layer of torch's that is given nothing of the file's classes.

        Containers and wrappers are not: what they hold was made by others.
        """
        if not isinstance(node, ast.Call):
            return False
        unit = self.infos[0].unit
        first, _, rest = spelled(node.func).partition(".")
        held = unit.globals.get(first)
        if not isinstance(held, Ref) or torch_layer(f"{held.name}.{rest}" if rest else held.name) not in KINDS:
            return False
        given = (*node.args, *(keyword.value for keyword in node.keywords))
        return not any(
            isinstance(part, ast.Name) and isinstance(unit.globals.get(part.id), Class)
            for each in given
            for part in walked(each)
        )

    def _called_outside(self, function: ast.AST) -> bool:
        """Whether a function is mentioned anywhere but in classes."""
        name = getattr(function, "name", None)
        spans = [(info.node.lineno, info.node.end_lineno or info.node.lineno) for info in self.infos]
        own = range(function.lineno, (function.end_lineno or 0) + 1)  # type: ignore[attr-defined]
        return any(
            node.lineno not in own and not any(first <= node.lineno <= last for first, last in spans)
            for node in self.scan.mentioned((name,) if name is not None else ())
        )


def _target(call: ast.AST, unit: Unit) -> ast.AST | None:
    """What an initialiser's call writes; None where that is not seen."""
    if not isinstance(call, ast.Call):
        return None
    function = call.func
    if isinstance(function, ast.Attribute) and function.attr in TENSOR_METHODS:
        if isinstance(unit.globals.get(_root(function.value)), Ref):  # nn.init.normal_ is a function of torch's
            return call.args[0] if call.args else None
        return function.value
    return call.args[0] if call.args else None


def _is_own_tensor(target: ast.AST | None) -> bool:
    """Whether it is ``m.weight`` or ``m.bias``, or the data of one."""
    if isinstance(target, ast.Attribute) and target.attr == "data":
        target = target.value
    return (
        isinstance(target, ast.Attribute) and target.attr in ("weight", "bias") and isinstance(target.value, ast.Name)
    )


def _root(target: ast.AST | None) -> str:
    while isinstance(target, (ast.Attribute, ast.Subscript)):
        target = target.value
    return target.id if isinstance(target, ast.Name) else ""


def loads_itself(info: ClassInfo) -> bool:
    """Whether a class takes what its parameters hold from a checkpoint, parameter by parameter, as vLLM's layers do."""
    return any(name.startswith("weight_loader") for base in info.lineage for name in base.methods)


def _loads(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHECKPOINT_LOADS
