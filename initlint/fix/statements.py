"""Changes of tests and statements."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from initlint.changes import TestForNone, UnderNoGrad
from initlint.fix.document import Document
from initlint.fix.edits import Splice
from initlint.fix.errors import CannotFix

__all__ = ["test_for_none", "under_no_grad"]


def test_for_none(document: Document, change: TestForNone) -> Iterator[Splice]:
    """``if m.bias:`` to ``if m.bias is not None:``, and ``if not m.bias:`` to ``if m.bias is None:``."""
    value = document.expression(change.at)
    start, end = document.outer(value)
    outer = document.parent(value)
    if isinstance(outer, cst.UnaryOperation) and isinstance(outer.operator, cst.Not) and not value.lpar:
        yield Splice(document.span(outer)[0], end, f"{document.text[start:end]} is None")
        return
    yield Splice(end, end, " is not None")


def under_no_grad(document: Document, change: UnderNoGrad) -> Iterator[Splice]:
    """Put ``with torch.no_grad():`` around a statement."""
    spelled, imports = document.names.spelled("torch.no_grad")
    yield from imports
    yield from _within_block(document, document.expression(change.at), f"with {spelled}():")


def _within_block(document: Document, node: cst.CSTNode, head: str) -> Iterator[Splice]:
    """Make the statement that holds a node the body of a compound one."""
    statement = document.enclosing(node, cst.SimpleStatementLine)
    start, end = document.span(statement)
    lines = document.lines
    indentation = document.text[lines.start_of(start) : start]
    if indentation.strip():
        raise CannotFix("the statement does not begin its line")
    if any(isinstance(inner, cst.BaseString) and _spans_lines(document, inner) for inner in document.inside(statement)):
        raise CannotFix("the statement holds a text of several lines")
    step = document.indentation_step(statement)
    yield Splice(start, start, f"{head}{lines.newline(start)}{indentation}{step}")
    offset = lines.end_of(start)
    while offset < end:
        if document.text[offset : lines.end_of(offset)].strip():
            yield Splice(offset, offset, step)
        offset = lines.end_of(offset)


def _spans_lines(document: Document, node: cst.CSTNode) -> bool:
    start, end = document.span(node)
    return "\n" in document.text[start:end] or "\r" in document.text[start:end]
