"""Where a node stands: lines and columns as a reader counts them."""

from __future__ import annotations

import ast

from initlint.location import Location
from initlint.source.interpreter.state import Span, Unit


def place(unit: Unit, node: ast.AST) -> Location:
    """The span of a node: 1-based, columns in code points, end exclusive."""
    span: Span = (node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]
    found = unit.places.get(span)
    if found is None:
        line, column, end, last = span
        found = Location(unit.path, line, _points(unit, line, column) + 1, end, _points(unit, end, last) + 1)
        unit.places[span] = found
    return found


def _points(unit: Unit, line: int, offset: int) -> int:
    """A UTF-8 offset within a line as a count of code points."""
    if unit.lines is None or line > len(unit.lines):
        return offset
    text = unit.lines[line - 1]
    return offset if text.isascii() else len(text.encode("utf-8", "surrogatepass")[:offset].decode("utf-8", "ignore"))
