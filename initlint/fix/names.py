"""What the names of a file mean: how something is spelled in it, and what has to be imported for that."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator

from initlint.fix.edits import Splice
from initlint.fix.errors import CannotFix
from initlint.fix.lines import Lines

__all__ = ["Names"]


class Names:
    """The imports of a module and the names that it binds.

    A name counts only if nothing but one import at the module's top level ever binds it.
    """

    def __init__(self, text: str, lines: Lines) -> None:
        self._lines = lines
        self._text = text
        self._tree = ast.parse(text)
        self._bound = Counter(_bound(self._tree))
        self._imports: dict[str, str] = {}
        for statement in self._tree.body:
            if isinstance(statement, ast.Import):
                for alias in statement.names:
                    root = alias.name.partition(".")[0]
                    self._imports[alias.asname or root] = alias.name if alias.asname else root
            elif isinstance(statement, ast.ImportFrom) and not statement.level:
                for alias in statement.names:
                    self._imports[alias.asname or alias.name] = f"{statement.module}.{alias.name}"

    def resolved(self, dotted: str) -> str | None:
        """The canonical name of what is written so; None where that is not certain."""
        first, dot, rest = dotted.partition(".")
        if not self._certain(first):
            return None
        return self._imports[first] + dot + rest

    def spelled(self, canonical: str) -> tuple[str, list[Splice]]:
        """How to write a canonical name in this file, and the import to add for that, if one is missing."""
        found = [
            local + canonical[len(full) :]
            for local, full in self._imports.items()
            if self._certain(local) and (canonical == full or canonical.startswith(full + "."))
        ]
        if found:
            return min(found, key=len), []
        package = canonical.partition(".")[0]
        if self._bound[package]:
            raise CannotFix(f"{package} is the name of something else here")
        return canonical, [self._import(package)]

    def renamed_import(self, local: str, name: str) -> Iterator[Splice]:
        """Import ``name`` in the place of what is known as ``local``, and call it so wherever that is used."""
        imports = [node for node in ast.walk(self._tree) if isinstance(node, ast.ImportFrom)]
        aliases = [alias for node in imports for alias in node.names if local == (alias.asname or alias.name)]
        if len(aliases) != 1 or self._bound[local] != 1:
            raise CannotFix(f"{local} is bound more than once")
        if any(isinstance(node, ast.Constant) and node.value == local for node in ast.walk(self._tree)):
            raise CannotFix(f"{local} may be exported by name")
        alias = aliases[0]
        start = self._lines.offset_in_bytes(alias.lineno, alias.col_offset)
        if alias.asname is None and self._bound[name]:
            raise CannotFix(f"{name} is the name of something else here")
        yield Splice(start, start + len(alias.name), name)
        if alias.asname is None:
            for node in ast.walk(self._tree):
                if isinstance(node, ast.Name) and node.id == local:
                    place = self._lines.offset_in_bytes(node.lineno, node.col_offset)
                    yield Splice(place, place + len(local), name)

    def _certain(self, local: str) -> bool:
        """Whether an import at the top level binds a name, and nothing binds it to something else."""
        return local in self._imports and self._bound[local] == 1

    def _import(self, package: str) -> Splice:
        """The edit that imports a package: before what is imported of it already, else after the first imports."""
        body = self._tree.body
        for statement in body:
            if self._package(statement) == package:
                start = self._lines.offset_in_bytes(statement.lineno, statement.col_offset)
                if start != self._lines.start_of(start):
                    break
                return Splice(start, start, f"import {package}{self._lines.newline(start)}")
        last: ast.stmt | None = None
        for index, statement in enumerate(body):
            is_docstring = index == 0 and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            if not is_docstring and not isinstance(statement, (ast.Import, ast.ImportFrom)):
                break
            last = statement
        if last is None or last.end_lineno is None:
            start = self._lines.starts[_first_code_line(self._text)]
            return Splice(start, start, f"import {package}{self._lines.newline(start)}")
        end = self._lines.offset_in_bytes(last.end_lineno, last.end_col_offset or 0)
        start, newline = self._lines.end_of(end), self._lines.newline(end)
        if self._text[end:start].partition("#")[0].strip() or start == end:
            raise CannotFix("there is no line for an import")
        return Splice(start, start, f"import {package}{newline}")

    def _package(self, statement: ast.stmt) -> str | None:
        """The package that a statement imports something of, unless it must stand first."""
        if isinstance(statement, ast.Import):
            return statement.names[0].name.partition(".")[0]
        if isinstance(statement, ast.ImportFrom) and not statement.level and statement.module:
            return statement.module.partition(".")[0]
        return None


def _first_code_line(text: str) -> int:
    """The (0-based) line after the comments that a file begins with: an interpreter's, an encoding's, a licence."""
    count = 0
    for line in text.replace("\r\n", "\n").split("\n"):
        if not line.startswith("#"):
            break
        count += 1
    return count


def _bound(tree: ast.Module) -> Iterator[str]:
    """Every name that is bound anywhere, once a binding; imports of one and the same thing are one."""
    imported: set[tuple[str, str]] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.partition(".")[0]
                imported.add((alias.asname or root, alias.name if alias.asname else root))
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                imported.add((alias.asname or alias.name, f"{'.' * node.level}{node.module}.{alias.name}"))
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            yield from node.names
        elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
            yield node.name
        elif isinstance(node, ast.MatchMapping) and node.rest:
            yield node.rest
    yield from (local for local, _ in imported)
