"""Models that a piece of code only evaluates, so that what it writes into them is no start of a training."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from initlint.source.text.walking import walked

__all__ = ["Scope", "only_evaluated"]

_OVER = frozenset({"buffers", "children", "modules", "named_buffers", "named_children", "named_modules"}) | {
    "named_parameters",
    "parameters",
}
_TRAINS = frozenset({"backward", "fit", "parameters", "requires_grad_", "state_dict", "step", "train"})
"""Methods after which a model may be trained, here or by who gets hold of what they return."""

Scope = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef


def only_evaluated(scope: Scope) -> Iterator[ast.Call]:
    """The calls in loops over the parts of a model that stand after its ``eval()``, in a function or at module level.

    Only of a model that is nothing but called and asked there from then on: handed to no function, kept nowhere, and
    not trained.
    """
    for block in _blocks(scope.body):
        for index, statement in enumerate(block):
            name = _put_to_eval(statement)
            after = block[index + 1 :]
            if name is None or not _is_left_alone(name, after) or not _is_bound_once(name, scope, block[index:]):
                continue
            for loop in after:
                if isinstance(loop, ast.For) and _is_over(loop.iter, name):
                    yield from (node for node in walked(loop) if isinstance(node, ast.Call))


def _blocks(body: list[ast.stmt]) -> Iterator[list[ast.stmt]]:
    """A block, and the arms of the ifs in it."""
    yield body
    for node in body:
        if isinstance(node, ast.If):
            yield from _blocks(node.body)
            yield from _blocks(node.orelse)


def _put_to_eval(statement: ast.stmt) -> str | None:
    """The name of what ``name.eval()`` is called on."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(call, ast.Call) or call.args or call.keywords or not isinstance(call.func, ast.Attribute):
        return None
    held = call.func.value
    return held.id if call.func.attr == "eval" and isinstance(held, ast.Name) else None


def _is_over(iterated: ast.expr, name: str) -> bool:
    """``name.modules()`` and its like."""
    if not isinstance(iterated, ast.Call) or not isinstance(iterated.func, ast.Attribute):
        return False
    return iterated.func.attr in _OVER and isinstance(iterated.func.value, ast.Name) and iterated.func.value.id == name


def _is_left_alone(name: str, statements: Iterable[ast.stmt]) -> bool:
    """Whether a name is nothing but called, looped over and asked for attributes that train nothing."""
    harmless: set[int] = set()
    nodes = [node for statement in statements for node in walked(statement)]
    for node in nodes:
        if isinstance(node, ast.For) and _is_over(node.iter, name):
            harmless.add(id(node.iter.func.value))  # type: ignore[attr-defined]
        elif isinstance(node, ast.Attribute) and node.attr in ("backward", "step"):
            return False
        elif isinstance(node, ast.Attribute) and node.attr not in _TRAINS:
            harmless.add(id(node.value))
        elif isinstance(node, ast.Call):
            harmless.add(id(node.func))
    return all(id(node) in harmless for node in nodes if isinstance(node, ast.Name) and node.id == name)


def _is_bound_once(name: str, scope: Scope, statements: Iterable[ast.stmt]) -> bool:
    """Whether a name is bound once and used nowhere but in some statements: no optimiser got hold of it before."""
    uses = [node for node in walked(scope) if isinstance(node, ast.Name) and node.id == name]
    within = {id(node) for statement in statements for node in walked(statement)}
    stored = [node for node in uses if isinstance(node.ctx, ast.Store)]
    return len(stored) == 1 and all(id(node) in within for node in uses if node is not stored[0])
