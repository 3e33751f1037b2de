"""Options of a constructor that a build with the defaults leaves out, though bare memory is allocated behind them.

Whether anything writes that memory is the question whatever the option's default is. Such a class is built once more
with the option left open, as an argument without a default is.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from initlint.source.interpreter.classes import ClassInfo
from initlint.source.text.scan import Scan
from initlint.source.text.walking import walked

__all__ = ["left_out"]


def left_out(info: ClassInfo, scan: Scan) -> frozenset[str]:
    """The parameters of a class's constructor by whose default (0, False, None) it skips an allocation.

    They are the ones that the test of the nearest ``if`` names, as they are or as an attribute of the same name.
    """
    constructor = info.methods.get("__init__")
    if constructor is None:
        return frozenset()
    span = range(constructor.lineno, (constructor.end_lineno or 0) + 1)
    allocating = {id(call) for call in scan.allocating if call.lineno in span}
    options = set(_off(constructor)) if allocating else ()
    if not options:
        return frozenset()
    found: set[str] = set()
    for node in walked(constructor):
        if isinstance(node, ast.If) and any(
            id(part) in allocating for branch in (*node.body, *node.orelse) for part in walked(branch)
        ):
            found |= options & {
                part.id if isinstance(part, ast.Name) else part.attr
                for part in walked(node.test)
                if isinstance(part, (ast.Name, ast.Attribute))
            }
    return frozenset(found)


def _off(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    """The parameters whose default is nothing."""
    arguments = function.args
    positional = (*arguments.posonlyargs, *arguments.args)
    defaults = zip(positional[len(positional) - len(arguments.defaults) :], arguments.defaults, strict=True)
    for parameter, default in (*defaults, *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)):
        if isinstance(default, ast.Constant) and not default.value:
            yield parameter.arg
