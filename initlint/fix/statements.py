"""Changes of statements: what is put around them, where they stand, what follows them."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from initlint.changes import CallAtEnd, GuardNotNone, MoveToEnd, UnderNoGrad, ZeroPaddingRow
from initlint.fix.calls import target_of
from initlint.fix.document import Document
from initlint.fix.edits import Splice
from initlint.fix.errors import CannotFix

__all__ = ["call_at_end", "guard_not_none", "move_to_end", "under_no_grad", "zero_padding_row"]


def under_no_grad(document: Document, change: UnderNoGrad) -> Iterator[Splice]:
    """Put ``with torch.no_grad():`` around a statement."""
    spelled, imports = document.names.spelled("torch.no_grad")
    yield from imports
    yield from _within_block(document, document.node(change.at), f"with {spelled}():")


def guard_not_none(document: Document, change: GuardNotNone) -> Iterator[Splice]:
    """Put ``if m.bias is not None:`` around a statement."""
    value = document.expression(change.at)
    yield from _within_block(document, value, f"if {document.source(value)} is not None:")


def move_to_end(document: Document, change: MoveToEnd) -> Iterator[Splice]:
    """Make a statement the last of its function, or the last before its ``return``."""
    statement = document.statement(document.node(change.at))
    block = document.parent(statement)
    if not isinstance(block, cst.IndentedBlock) or not isinstance(document.parent(block), cst.FunctionDef):
        raise CannotFix("the statement does not stand in a function by itself")
    if block.body[-1] is statement:
        raise CannotFix("the statement is the last already")
    start, end = document.rows(statement)
    yield Splice(start, end, "")
    yield from _appended(document, block, document.text[start:end])


def call_at_end(document: Document, change: CallAtEnd) -> Iterator[Splice]:
    """End a method with ``self.post_init()``."""
    function = document.find(change.at, cst.FunctionDef)
    block = function.body
    if not isinstance(block, cst.IndentedBlock) or not function.params.params:
        raise CannotFix("the method is not written in lines of its own")
    start, _ = document.span(block.body[-1])
    indentation = document.text[document.lines.start_of(start) : start]
    receiver = function.params.params[0].name.value
    call = f"{indentation}{receiver}.{change.method}(){document.lines.newline(start)}"
    yield from _appended(document, block, call)


def zero_padding_row(document: Document, change: ZeroPaddingRow) -> Iterator[Splice]:
    """Zero the row of ``padding_idx`` after an embedding's weight was written."""
    call = document.find(change.at, cst.Call)
    statement = document.enclosing(call, cst.SimpleStatementLine)
    owner, dot, attribute = target_of(document, call).rpartition(".")
    if not dot or attribute != "weight":
        raise CannotFix("it is not the weight of a layer that is written there")
    zeros, imports = document.names.spelled("torch.nn.init.zeros_")
    yield from imports
    test = f"{owner}.padding_idx is not None"
    if _is_handed_in(document, call, owner):  # it may be another layer
        embedding, more = document.names.spelled("torch.nn.Embedding")
        yield from more
        test = f"isinstance({owner}, {embedding}) and {test}"
    start, _ = document.span(statement)
    lines = document.lines
    indentation, newline = document.text[lines.start_of(start) : start], lines.newline(start)
    step = document.indentation_step(statement)
    text = f"{indentation}if {test}:{newline}{indentation}{step}{zeros}({owner}.weight[{owner}.padding_idx]){newline}"
    _, end = document.rows(statement)
    yield from _inserted(document, end, text)


def _is_handed_in(document: Document, node: cst.CSTNode, name: str) -> bool:
    """Whether a name is a parameter of the function around a node, or a loop's variable."""
    for outer in document.around(node):
        if isinstance(outer, (cst.For, cst.FunctionDef)):
            bound = outer.target if isinstance(outer, cst.For) else outer.params
            if any(isinstance(part, cst.Name) and part.value == name for part in document.inside(bound)):
                return True
        if isinstance(outer, cst.FunctionDef):
            return False
    return False


def _appended(document: Document, block: cst.IndentedBlock, text: str) -> Iterator[Splice]:
    """Put lines at the end of a function's body, before a ``return`` that ends it."""
    last = block.body[-1]
    if isinstance(last, cst.SimpleStatementLine) and isinstance(last.body[-1], cst.Return):
        start, _ = document.span(last)
        start = document.lines.start_of(start)
        yield Splice(start, start, text)
        return
    yield from _inserted(document, document.rows(last)[1], text)


def _inserted(document: Document, offset: int, text: str) -> Iterator[Splice]:
    """Put lines where a line ends; the last of a file may have no end."""
    if offset == len(document.text) and not document.text.endswith(("\n", "\r")):
        newline = document.lines.newline(offset)
        text = newline + text.removesuffix(newline)
    yield Splice(offset, offset, text)


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
