"""Where a node stands: lines and columns as a reader counts them."""

from __future__ import annotations

import ast

from initlint.location import Location
from initlint.source.interpreter.state import Unit


def place(unit: Unit, node: ast.AST) -> Location:
    """The span of a node: 1-based, columns in code points, end exclusive."""
    line: int = node.lineno  # type: ignore[attr-defined]
    end: int = node.end_lineno  # type: ignore[attr-defined]
    column: int = node.col_offset  # type: ignore[attr-defined]
    last: int = node.end_col_offset  # type: ignore[attr-defined]
    return Location(unit.path, line, _points(unit, line, column) + 1, end, _points(unit, end, last) + 1)


def _points(unit: Unit, line: int, offset: int) -> int:
    """A UTF-8 offset within a line as a count of code points."""
    if unit.lines is None or line > len(unit.lines):
        return offset
    text = unit.lines[line - 1]
    return offset if text.isascii() else len(text.encode("utf-8", "surrogatepass")[:offset].decode("utf-8", "ignore"))
