"""Changes of expressions and of the branches that test them."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from initlint.changes import HandTo, MakeAnew, RepeatAnew, SplitBranch, TestForNone
from initlint.fix.calls import target_of
from initlint.fix.document import Document
from initlint.fix.edits import Splice
from initlint.fix.errors import CannotFix

__all__ = ["hand_to", "make_anew", "repeat_anew", "split_branch", "test_for_none"]


def test_for_none(document: Document, change: TestForNone) -> Iterator[Splice]:
    """``if m.bias:`` to ``if m.bias is not None:``, and ``if not m.bias:`` to ``if m.bias is None:``."""
    value = document.expression(change.at)
    start, end = document.outer(value)
    outer = document.parent(value)
    if isinstance(outer, cst.UnaryOperation) and isinstance(outer.operator, cst.Not) and not value.lpar:
        yield Splice(document.span(outer)[0], end, f"{document.text[start:end]} is None")
        return
    yield Splice(end, end, " is not None")


def repeat_anew(document: Document, change: RepeatAnew) -> Iterator[Splice]:
    """``[nn.Linear(8, 8)] * 6`` to ``[nn.Linear(8, 8) for _ in range(6)]``."""
    product = document.find(change.at, cst.BinaryOperation)
    repeated, count = product.left, product.right
    if not isinstance(repeated, cst.List):
        repeated, count = product.right, product.left
    if not isinstance(product.operator, cst.Multiply) or not isinstance(repeated, cst.List):
        raise CannotFix("no list is repeated there")
    if len(repeated.elements) != 1 or not isinstance(repeated.elements[0], cst.Element):
        raise CannotFix("the list holds more than one expression")
    start, end = document.outer(repeated.elements[0].value)
    low, high = document.outer(count)
    made = f"[{document.text[start:end]} for _ in range({document.text[low:high]})]"
    yield Splice(*document.span(product), made)


def make_anew(document: Document, change: MakeAnew) -> Iterator[Splice]:
    """``copy.deepcopy(layer)`` to ``nn.Linear(8, 8)``, where that is what ``layer`` is; it goes if nothing needs it."""
    copy, original = document.find(change.at, cst.Call), document.find(change.original, cst.Call)
    function = document.enclosing(copy, cst.FunctionDef)
    if function not in document.around(original):
        raise CannotFix("the original is made in another function")
    yield Splice(*document.span(copy), document.source(original))
    assigned = document.parent(original)
    line = document.parent(assigned)
    if not isinstance(assigned, cst.Assign) or not isinstance(line, cst.SimpleStatementLine) or len(line.body) > 1:
        raise CannotFix("the original is more than a local variable")
    target = assigned.targets[0].target
    if len(assigned.targets) > 1 or not isinstance(target, cst.Name):
        raise CannotFix("the original is more than a local variable")
    uses = [node for node in document.inside(function) if isinstance(node, cst.Name) and node.value == target.value]
    copied = [node for node in document.inside(copy) if isinstance(node, cst.Name) and node.value == target.value]
    if len(uses) == len(copied) + 1:
        yield Splice(*document.rows(line), "")


def hand_to(document: Document, change: HandTo) -> Iterator[Splice]:
    """``self.layers = [...]`` to ``self.layers = nn.ModuleList([...])``."""
    node = document.node(change.at)
    statement = document.statement(node)
    small = statement.body[0] if isinstance(statement, cst.SimpleStatementLine) and len(statement.body) == 1 else None
    if not isinstance(small, (cst.Assign, cst.AnnAssign)) or small.value is None:
        raise CannotFix("nothing is assigned there")
    spelled, imports = document.names.spelled(change.function)
    yield from imports
    start, end = document.outer(small.value)
    text = document.text[start:end]
    for inner in document.inside(small.value):
        if isinstance(inner, cst.Call) and document.names.resolved(document.source(inner.func)) == change.function:
            text = _without(document, inner, start, end)
            break
    yield Splice(start, end, f"{spelled}({'' if text == '[]' else text})")


def _without(document: Document, call: cst.Call, start: int, end: int) -> str:
    """The text from ``start`` to ``end`` with a call's one argument in the place of the call."""
    if len(call.args) != 1:
        raise CannotFix("more than the value is handed to it")
    value = call.args[0].value
    inner = document.text[slice(*document.outer(value))]
    if not isinstance(value, (cst.Name, cst.Attribute, cst.Subscript, cst.Call)) and not value.lpar:
        inner = f"({inner})"
    low, high = document.span(call)
    return document.text[start:low] + inner + document.text[high:end]


def split_branch(document: Document, change: SplitBranch) -> Iterator[Splice]:
    """``if isinstance(m, (nn.Conv2d, nn.BatchNorm2d)): ...`` to a branch for each of the two."""
    call = document.find(change.at, cst.Call)
    for branch in document.around(call):
        if isinstance(branch, cst.If) and (parts := _tested(branch, change.kinds)) is not None:
            break
    else:
        raise CannotFix("no test by isinstance names the classes")
    if not isinstance(branch.body, cst.IndentedBlock):
        raise CannotFix("the branch is not written in lines of its own")
    subject, classes, own, others = parts
    if not others:
        raise CannotFix("the branch is for these classes alone")
    low, high = document.span(branch.body)
    start, end = document.span(call)
    if not low <= start < high:
        raise CannotFix("the call does not stand in the branch")
    spelled, imports = document.names.spelled(change.function)
    yield from imports
    yield Splice(*document.outer(classes), _tuple([document.source(each) for each in others]))
    lines = document.lines
    body_start, body_end = lines.start_of(low), lines.end_of(high)
    body = document.text[body_start:start] + f"{spelled}({target_of(document, call)})" + document.text[end:body_end]
    if not body.endswith(("\n", "\r")):
        raise CannotFix("the branch ends the file without the end of a line")
    indentation = document.text[lines.start_of(document.span(branch)[0]) :]
    indentation = indentation[: len(indentation) - len(indentation.lstrip(" \t"))]
    test = f"isinstance({document.source(subject)}, {_tuple([document.source(each) for each in own])})"
    yield Splice(body_end, body_end, f"{indentation}elif {test}:{lines.newline(low)}{body}")


Parts = tuple[cst.BaseExpression, cst.Tuple, list[cst.BaseExpression], list[cst.BaseExpression]]


def _tested(branch: cst.If, kinds: tuple[str, ...]) -> Parts | None:
    """Of a test by isinstance for several classes: what is tested, the classes, those of ``kinds``, and the others."""
    test = branch.test
    if not isinstance(test, cst.Call) or not isinstance(test.func, cst.Name) or test.func.value != "isinstance":
        return None
    if len(test.args) != 2 or not isinstance(test.args[1].value, cst.Tuple):
        return None
    classes = test.args[1].value
    own: list[cst.BaseExpression] = []
    others: list[cst.BaseExpression] = []
    for element in classes.elements:
        named = element.value
        last = named.attr if isinstance(named, cst.Attribute) else named
        name = last.value if isinstance(last, cst.Name) else ""
        (own if name in kinds else others).append(named)
    return (test.args[0].value, classes, own, others) if own else None


def _tuple(classes: list[str]) -> str:
    return classes[0] if len(classes) == 1 else f"({', '.join(classes)})"
