"""Whether a text differs from what it was only where it was meant to."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Sequence

from initlint.fix.edits import Splice
from initlint.fix.lines import Lines

__all__ = ["differs_only_there"]


def differs_only_there(before: str, after: str, splices: Sequence[Splice]) -> bool:
    """Whether both texts parse and their trees agree in every node that no edit touches."""
    old, new = _parsed(before), _parsed(after)
    if old is None or new is None:
        return False
    try:
        return _Comparison(before, splices).same(old, new)
    except RecursionError:
        return False


def _parsed(text: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


class _Comparison:
    """Compares trees, knowing which spans of the old text were edited."""

    def __init__(self, text: str, splices: Sequence[Splice]) -> None:
        self._lines = Lines(text)
        self._splices = splices

    def same(self, old: ast.AST, new: ast.AST) -> bool:
        """Whether two nodes agree but for what was edited."""
        if not self._touched(old):
            return ast.dump(old) == ast.dump(new)
        if type(old) is not type(new):
            return hasattr(old, "lineno")
        part = isinstance(old, ast.expr) and (_holds(new, old) or _holds(old, new))
        return part or self._same_fields(old, new)

    def _same_fields(self, old: ast.AST, new: ast.AST) -> bool:
        for name in old._fields:
            one, other = getattr(old, name, None), getattr(new, name, None)
            if isinstance(one, list) and isinstance(other, list):
                if not self._same_items(one, other):
                    return False
            elif isinstance(one, ast.AST) and isinstance(other, ast.AST) and not self.same(one, other):
                return False
        return True

    def _same_items(self, old: list[object], new: list[object]) -> bool:
        """Whether every item that no edit touches is still there, in order, and the others correspond."""
        rest = iter(new)
        met: list[object] = []
        pending: list[object] = []
        for item in old:
            if isinstance(item, ast.AST) and self._touched(item):
                pending.append(item)
                continue
            found = self._next(item, rest, met)
            if not found or not self._pairs(pending, met):
                return False
            pending, met = [], []
        return self._pairs(pending, list(rest))

    def _next(self, item: object, rest: Iterator[object], met: list[object]) -> bool:
        """Whether ``rest`` comes to an equal of ``item``; what lies before it goes to ``met``."""
        wanted = _text(item)
        for other in rest:
            if _text(other) == wanted:
                return True
            met.append(other)
        return False

    def _pairs(self, old: list[object], new: list[object]) -> bool:
        """Whether edited items agree but for the edits, as far as each has one that corresponds to it."""
        if len(old) != len(new):
            return True
        return all(
            not isinstance(one, ast.AST) or not isinstance(other, ast.AST) or self.same(one, other)
            for one, other in zip(old, new, strict=True)
        )

    def _touched(self, node: ast.AST) -> bool:
        """Whether an edit lies in, around or at the edge of a node; a node without a place is one that may be."""
        line, end_line = getattr(node, "lineno", None), getattr(node, "end_lineno", None)
        if line is None or end_line is None:
            return True
        start = self._lines.offset_in_bytes(line, node.col_offset)  # type: ignore[attr-defined]
        end = self._lines.offset_in_bytes(end_line, node.end_col_offset)  # type: ignore[attr-defined]
        if hasattr(node, "body") and isinstance(node, ast.stmt):
            end = self._lines.end_of(end)  # where a statement may be added to its block
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and node.decorator_list:
            start = min(
                start, self._lines.offset_in_bytes(node.decorator_list[0].lineno, node.decorator_list[0].col_offset)
            )
        return any(splice.start <= end and start <= splice.end for splice in self._splices)


def _holds(node: ast.AST, part: ast.AST) -> bool:
    """Whether an expression has another one of its kind for a part (``fc.weight`` has ``fc``)."""
    wanted = ast.dump(part)
    return any(type(inner) is type(part) and ast.dump(inner) == wanted for inner in ast.walk(node))


def _text(item: object) -> str:
    return ast.dump(item) if isinstance(item, ast.AST) else repr(item)
