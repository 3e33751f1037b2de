"""Changes of a call: its arguments and what is called."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from initlint.changes import (
    BothBounds,
    CallFunction,
    DropArgument,
    DropData,
    MethodToFunction,
    NameArgument,
    PassValue,
    Rename,
    TakeAttribute,
    WriteBy,
)
from initlint.fix.document import Document
from initlint.fix.edits import Splice
from initlint.fix.errors import CannotFix
from initlint.location import Location

__all__ = [
    "both_bounds",
    "call_function",
    "drop_argument",
    "drop_data",
    "method_to_function",
    "name_argument",
    "pass_value",
    "rename",
    "take_attribute",
    "target_of",
    "write_by",
]


def name_argument(document: Document, change: NameArgument) -> Iterator[Splice]:
    """``f(w, 0.02)`` to ``f(w, std=0.02)``."""
    argument, call = _argument(document, change.at)
    if any(other.keyword is not None and other.keyword.value == change.name for other in call.args):
        raise CannotFix(f"{change.name} is given already")
    if argument.keyword is not None:
        yield Splice(*document.span(argument.keyword), change.name)
        return
    after = call.args[call.args.index(argument) + 1 :]
    if any(other.keyword is None and other.star != "**" for other in after):
        raise CannotFix("a positional argument follows")
    start, _ = document.outer(argument.value)
    yield Splice(start, start, f"{change.name}=")


def pass_value(document: Document, change: PassValue) -> Iterator[Splice]:
    """``f(w, "fan-in")`` to ``f(w, "fan_in")``."""
    argument, _ = _argument(document, change.at)
    if isinstance(change.value, str):
        quote = "'" if document.source(argument.value).endswith("'") else '"'
        text = f"{quote}{change.value}{quote}"
    else:
        text = f"{change.value:g}"
    yield Splice(*document.outer(argument.value), text)


def drop_argument(document: Document, change: DropArgument) -> Iterator[Splice]:
    """``f(w, a=0.2, mode="fan_out")`` to ``f(w, mode="fan_out")``."""
    argument, call = _argument(document, change.at)
    if argument.keyword is None:
        raise CannotFix("the argument is passed by position")
    index = call.args.index(argument)
    start, _ = document.span(argument.keyword)
    if index + 1 < len(call.args):
        end = document.start_of_argument(call.args[index + 1])
    else:
        _, end = document.outer(argument.value)
        if index > 0:
            _, start = document.outer(call.args[index - 1].value)
    if "#" in document.text[start:end]:
        raise CannotFix("a comment stands in between")
    yield Splice(start, end, "")


def both_bounds(document: Document, change: BothBounds) -> Iterator[Splice]:
    """``uniform_(w, 0.1)`` to ``uniform_(w, -0.1, 0.1)``."""
    argument, call = _argument(document, change.at)
    if argument.keyword is not None or argument is not [a for a in call.args if a.keyword is None][-1]:
        raise CannotFix("the bound is not the last positional argument")
    value = argument.value
    if isinstance(value, cst.UnaryOperation) and isinstance(value.operator, cst.Minus):
        value = value.expression
    text = document.text[slice(*document.outer(value))]
    if (
        isinstance(value, cst.BinaryOperation)
        and not value.lpar
        and isinstance(value.operator, (cst.Add, cst.Subtract))
    ):
        yield Splice(*document.outer(argument.value), f"-({text}), {text}")
        return
    if not _is_plain(value):
        raise CannotFix("the bound would be computed twice")
    yield Splice(*document.outer(argument.value), f"-{text}, {text}")


def rename(document: Document, change: Rename) -> Iterator[Splice]:
    """``init.normal(w)`` to ``init.normal_(w)``; a bare name is renamed where it is imported."""
    function = document.find(change.at, cst.Call).func
    if isinstance(function, cst.Attribute):
        yield Splice(*document.span(function.attr), change.name)
    elif isinstance(function, cst.Name):
        yield from document.names.renamed_import(function.value, change.name)
    else:
        raise CannotFix("what is called has no name")


def call_function(document: Document, change: CallFunction) -> Iterator[Splice]:
    """``nn.init.xavier_uniform_(w)`` to ``nn.init.kaiming_uniform_(w)``."""
    function = document.find(change.at, cst.Call).func
    home, _, name = change.function.rpartition(".")
    if isinstance(function, cst.Attribute) and document.names.resolved(document.source(function.value)) == home:
        yield Splice(*document.span(function.attr), name)
        return
    if not isinstance(function, (cst.Attribute, cst.Name)):
        raise CannotFix("what is called has no name")
    spelled, imports = document.names.spelled(change.function)
    yield from imports
    yield Splice(*document.outer(function), spelled)


def method_to_function(document: Document, change: MethodToFunction) -> Iterator[Splice]:
    """``m.weight.data.normal_(0, 1)`` to ``nn.init.normal_(m.weight, 0, 1)``."""
    call = document.find(change.at, cst.Call)
    function = call.func
    if not isinstance(function, cst.Attribute):
        raise CannotFix("no method is called there")
    receiver = function.value
    if isinstance(receiver, cst.Attribute) and receiver.attr.value == "data":
        receiver = receiver.value
    start, _ = document.outer(receiver)
    spelled, imports = document.names.spelled(change.function)
    yield from imports
    _, end = document.outer(receiver)
    _, opened = document.outer(function)
    arguments = document.text[opened : document.span(call)[1]]
    if not arguments.startswith("(") or (not call.args and arguments.strip("( )")):
        raise CannotFix("a comment stands in between")
    yield Splice(start, start, f"{spelled}(")
    yield Splice(end, opened + 1, ", " if call.args else "")


def write_by(document: Document, change: WriteBy) -> Iterator[Splice]:
    """``w.data.uniform_()`` to ``nn.init.ones_(w)``."""
    call = document.find(change.at, cst.Call)
    spelled, imports = document.names.spelled(change.function)
    yield from imports
    parts = [target_of(document, call)]
    for name, value in change.arguments:
        if isinstance(value, tuple):
            function, more = document.names.spelled(value[0])
            yield from more
            parts.append(f'{name}={function}("{value[1]}")')
        else:
            parts.append(f'{name}="{value}"' if isinstance(value, str) else f"{name}={value:g}")
    yield Splice(*document.span(call), f"{spelled}({', '.join(parts)})")


def target_of(document: Document, call: cst.Call) -> str:
    """What a call of an initialiser writes, as it is spelled: the receiver of a method, else the first argument."""
    function = call.func
    value: cst.BaseExpression | None = None
    if isinstance(function, cst.Attribute) and document.names.resolved(document.source(function.value)) is None:
        value = function.value
    elif call.args and call.args[0].keyword is None and not call.args[0].star:
        value = call.args[0].value
    if isinstance(value, cst.Attribute) and value.attr.value == "data":
        value = value.value
    if not isinstance(value, (cst.Name, cst.Attribute, cst.Subscript)):
        raise CannotFix("what the call writes is not plain")
    return document.source(value)


def take_attribute(document: Document, change: TakeAttribute) -> Iterator[Splice]:
    """``self.fc`` to ``self.fc.weight``."""
    value = document.expression(change.at)
    if not isinstance(value, (cst.Name, cst.Attribute, cst.Subscript, cst.Call)):
        raise CannotFix("what stands there has no attribute that could be written")
    _, end = document.outer(value)
    yield Splice(end, end, f".{change.name}")


def drop_data(document: Document, change: DropData) -> Iterator[Splice]:
    """``m.weight.data`` to ``m.weight``."""
    value = document.find(change.at, cst.Attribute)
    if value.attr.value != "data":
        raise CannotFix("no .data stands there")
    _, start = document.outer(value.value)
    yield Splice(start, document.span(value)[1], "")


def _argument(document: Document, place: Location | None) -> tuple[cst.Arg, cst.Call]:
    """The argument whose value stands at a place, and the call that it is passed to."""
    value = document.expression(place)
    argument = document.parent(value)
    if not isinstance(argument, cst.Arg) or argument.star:
        raise CannotFix("no argument stands there")
    call = document.parent(argument)
    if not isinstance(call, cst.Call):
        raise CannotFix("no call stands there")
    return argument, call


def _is_plain(value: cst.BaseExpression) -> bool:
    """Whether an expression can be written twice: names, numbers and arithmetic, functions of math among it."""
    if isinstance(value, cst.Call):
        function = value.func
        return (
            isinstance(function, cst.Attribute)
            and isinstance(function.value, cst.Name)
            and function.value.value in ("math", "np", "numpy")
            and all(_is_plain(argument.value) for argument in value.args)
        )
    if isinstance(value, cst.BinaryOperation):
        return _is_plain(value.left) and _is_plain(value.right)
    if isinstance(value, cst.UnaryOperation):
        return _is_plain(value.expression)
    if isinstance(value, cst.Attribute):
        return _is_plain(value.value)
    return isinstance(value, (cst.Name, cst.Integer, cst.Float))
