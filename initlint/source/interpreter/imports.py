"""Names that come from other files of the project: what they stand for is read when they are first used."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from initlint.regex import pattern
from initlint.source.interpreter.classes import torch_layer
from initlint.source.interpreter.state import Frame, Unit
from initlint.source.interpreter.values import (
    Cell,
    Class,
    Const,
    Func,
    Items,
    Origin,
    Partial,
    Ref,
    Table,
    Unseen,
    Value,
)
from initlint.source.project.packages import Module
from initlint.source.tables.initializers import ROWS
from initlint.source.text.names import LIBRARIES, canonical, imported
from initlint.source.text.parsing import lines_of
from initlint.source.text.walking import walked

if TYPE_CHECKING:
    from initlint.source.interpreter.statements import Statements
    from initlint.source.project.project import Project

MOST_UNITS = 40
MOST_BYTES = 1_500_000
MOST_STARS = 12
"""What the reading of one file may ask of others: so many files, bytes, and star imports on the way to one name."""

_COMPOUND = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)
_GLOBAL = pattern(r"^\s+global\b", re.MULTILINE)


def bindings(node: ast.Import | ast.ImportFrom, path: str, follow: bool) -> Iterator[tuple[str, Ref]]:
    """The (local name, what it stands for) pairs of an import statement; ``("*", module)`` for a star import.

    With ``follow``, what may stand in another file of the project has its origin with it.
    """
    for alias, (local, name) in zip(node.names, imported(node, path), strict=True):
        if not follow or name.partition(".")[0] in LIBRARIES:
            yield local, Ref(name)
        elif isinstance(node, ast.Import):
            parts = tuple(alias.name.split("."))
            yield local, Ref(name, Origin(path, 0, parts if alias.asname else parts[:1]))
        else:
            module = tuple(node.module.split(".")) if node.module else ()
            yield local, Ref(name, Origin(path, node.level, module, () if local == "*" else (alias.name,)))


class Globals(Cell):
    """The names of another file, each bound when it is first asked for."""

    __slots__ = ("imports", "index", "stars", "unit")

    def __init__(self, born: int, imports: Imports, index: dict[str, ast.stmt | None], stars: list[Ref | None]) -> None:
        super().__init__(born)
        self.imports = imports
        self.index = index
        self.stars = stars
        self.unit: Unit | None = None

    def get(self, name: str, default: Any = None) -> Any:
        """What a name stands for."""
        if name in self:
            return self[name]
        if self.unit is None or name.startswith("#"):
            return default
        value: Value | None
        if name in self.index:
            value = self.imports.bind(self.unit, self, name, self.index[name])
        else:
            value = self.imports.starred(self.stars, name)
        if value is None:
            return default
        self[name] = value
        return value


class Imports:
    """Follows names into the other files of a project, for the reading of one file."""

    def __init__(self, machine: Statements, project: Project, unit: Unit) -> None:
        self.machine = machine
        self.project = project
        self.units: dict[str, Unit | None] = {os.path.realpath(unit.path): unit}
        self.absolute = os.path.isabs(unit.path)
        self.bytes = 0
        self._found: dict[Origin, Value | None] = {}
        self._starred: dict[tuple[int, int, str], Value | None] = {}
        self._pending: set[Origin] = set()

    def resolved(self, ref: Ref) -> Value:
        """What a name from another file stands for there; the name itself where that is not found."""
        origin = ref.origin
        if origin is None or self.machine.table.own(ref.name):
            return ref
        if origin not in self._found:
            if origin in self._pending or len(self._pending) > MOST_STARS:
                return ref
            self._pending.add(origin)
            try:
                self._found[origin] = self._look_up(origin)
            finally:
                self._pending.discard(origin)
        found = self._found[origin]
        return ref if found is None or isinstance(found, Unseen) else found

    def starred(self, stars: list[Ref | None], name: str) -> Value | None:
        """What star imports bind ``name`` to: the last that has it wins, one that cannot be looked into hides it."""
        mark = (id(stars), len(stars), name)
        if mark not in self._starred:
            self._starred[mark] = None
            self._starred[mark] = self._star(stars, name)
        return self._starred[mark]

    def brought(self, star: Ref, name: str) -> Value | None:
        """What one star import binds ``name`` to; None where it has none of the name, or cannot be looked into."""
        found = self._star([star], name)
        return None if isinstance(found, Unseen) else found

    def _star(self, stars: list[Ref | None], name: str) -> Value | None:
        for star in reversed(stars):
            if star is None:
                return Unseen(name)
            if star.name in ("torch.nn", "torch.nn.init"):
                full = f"{star.name}.{name}"
                if torch_layer(full) or full in ROWS:
                    return Ref(full)
                continue
            module = self._module(star.origin) if star.origin is not None else None
            if module is None or module.file is None:
                return Unseen(name)
            unit = self._unit(module.file)
            if unit is None:
                return Unseen(name)
            exported = unit.globals.get("__all__")
            if exported is not None and not _lists(exported, name):
                continue
            if name.startswith("_") and exported is None:
                continue
            origin = star.origin._replace(names=(name,)) if star.origin is not None else None
            value = self.resolved(Ref(canonical(f"{star.name}.{name}"), origin))
            if not isinstance(value, Ref) or value.origin != origin or name in unit.globals:
                return value
        return None

    def _look_up(self, origin: Origin) -> Value | None:
        module = self._module(origin)
        value: Value | None = None
        for index, name in enumerate(origin.names):
            if module is None:
                return None
            unit = self._unit(module.file) if module.file is not None else None
            value = unit.globals.get(name) if unit is not None else None
            if value is None:
                module = self.project.packages.submodule(module, name)
                continue
            rest = origin.names[index + 1 :]
            if isinstance(value, Ref):
                if rest:
                    further = value.origin.then(*rest) if value.origin is not None else None
                    value = Ref(canonical(".".join((value.name, *rest))), further)
                return self.resolved(value)
            return value if not rest else None
        return None

    def _module(self, origin: Origin) -> Module | None:
        project = self.project
        return project.packages.find(origin.path, project.root(origin.path), origin.level, origin.module)

    def _unit(self, path: str) -> Unit | None:
        """The file at ``path``, its names to be bound; None where it cannot be read, or enough have been."""
        real = os.path.realpath(path)
        if real in self.units:
            return self.units[real]
        if len(self.units) > MOST_UNITS or self.bytes > MOST_BYTES:
            return None
        parsed = self.project.packages.parsed(path)
        self.units[real] = None
        if parsed is None:
            return None
        text, tree = parsed
        self.bytes += len(text)
        shown = path if self.absolute else os.path.relpath(path)
        index, stars = _indexed(tree, text, shown)
        names = Globals(self.machine.now(), self, index, stars)
        lines = None if text.isascii() else lines_of(text)
        names.unit = self.units[real] = unit = Unit(shown, tree, names, lines=lines)
        return unit

    def bind(self, unit: Unit, names: Globals, name: str, statement: ast.stmt | None) -> Value:
        """What a statement at the top of a file binds ``name`` to; unseen where that depends on more."""
        frame = Frame(unit, (names,))
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return Func(statement, unit, frame.scopes)
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            return next(ref for local, ref in bindings(statement, unit.path, True) if local == name)
        with self.machine.aside():
            if isinstance(statement, ast.ClassDef):
                names[name] = Unseen(name)  # a class that mentions itself
                return Class(self.machine.make_class(statement, frame))
            if isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is not None:
                names[name] = Unseen(name)
                return _lasting(self.machine.eval(statement.value, frame), name, self.machine)
        return Unseen(name)


def _lasting(value: Value, name: str, machine: Statements) -> Value:
    """A global's value, as far as the statements that follow it cannot have changed it."""
    if isinstance(value, (Const, Ref, Func, Class, Partial)):
        return value
    if isinstance(value, Items) and value.kind == "tuple":
        return value
    if isinstance(value, Items) and name == "__all__":
        return value
    if isinstance(value, Table):  # others may be entered
        return Table(machine.cell(), value.pairs, Unseen())
    return Unseen(name)


def _lists(exported: Value, name: str) -> bool:
    if not isinstance(exported, Items) or exported.rest is not None:
        return True
    return any(isinstance(item, Const) and item.value == name for item in exported.known)


def _indexed(tree: ast.Module, text: str, path: str) -> tuple[dict[str, ast.stmt | None], list[Ref | None]]:
    """The statement that binds each global name for good (None: that is not plain), and the star imports."""
    index: dict[str, ast.stmt | None] = {}
    stars: list[Ref | None] = []
    for statement in tree.body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            index[statement.name] = statement
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            for local, ref in bindings(statement, path, True):
                if local == "*":
                    stars.append(ref)
                    _unsettle(index, list(index))
                else:
                    index[local] = statement
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for target in targets:
                if isinstance(target, ast.Name):
                    index[target.id] = statement
                else:
                    index.update(dict.fromkeys(_stored(target)))
                    _unsettle(index, _changed(target))
        elif isinstance(statement, (ast.AugAssign, ast.Delete)):
            index.update(dict.fromkeys(_stored(statement)))
            _unsettle(index, _changed(statement))
        elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            _unsettle(index, _changed(statement.value.func))
        elif isinstance(statement, _COMPOUND) or type(statement).__name__ == "TryStar":
            inner = [None for node in walked(statement) if isinstance(node, ast.alias) and node.name == "*"]
            stars.extend(inner)
            _unsettle(index, list(index) if inner else ())
            index.update(dict.fromkeys(_stored(statement)))
    if _GLOBAL.search(text):
        for node in walked(tree):
            if isinstance(node, ast.Global):
                index.update(dict.fromkeys(node.names))
    return index, stars


def _unsettle(index: dict[str, ast.stmt | None], names: Iterable[str]) -> None:
    """What these names were assigned may be something else by now; what was imported or defined hardly is."""
    index.update((name, None) for name in names if isinstance(index.get(name), (ast.Assign, ast.AnnAssign)))


def _changed(node: ast.AST) -> Iterator[str]:
    """The names whose values a target, or a method that is called, may change."""
    targets = node.targets if isinstance(node, ast.Delete) else [getattr(node, "target", node)]
    for target in targets:
        held = target
        while isinstance(held, (ast.Attribute, ast.Subscript)):
            held = held.value
        if held is not target and isinstance(held, ast.Name):
            yield held.id


def _stored(node: ast.AST) -> Iterator[str]:
    """The names that a statement may bind in the scope it stands in."""
    stack: list[ast.AST] = [node]
    while stack:
        current = stack.pop()
        if isinstance(current, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield current.name
            continue
        if isinstance(current, ast.Name) and not isinstance(current.ctx, ast.Load):
            yield current.id
        elif isinstance(current, ast.alias):
            yield current.asname or current.name.partition(".")[0]
        elif isinstance(current, ast.ExceptHandler) and current.name:
            yield current.name
        if not isinstance(current, ast.Lambda):
            stack.extend(ast.iter_child_nodes(current))
