"""Whether a file is a script: one that runs something when it is run, and is no test."""

from __future__ import annotations

import ast
import os

from initlint.source.interpreter.state import Unit
from initlint.source.interpreter.values import Func

__all__ = ["is_main", "is_script"]


def is_script(unit: Unit) -> bool:
    """Whether a file's top level does anything beyond defining; False for tests."""
    return not _is_test(unit.path) and _runs(unit)


def is_main(test: ast.expr) -> bool:
    """``__name__ == "__main__"``."""
    return isinstance(test, ast.Compare) and any(
        isinstance(part, ast.Name) and part.id == "__name__" for part in (test.left, *test.comparators)
    )


def _is_test(path: str) -> bool:
    *folders, name = os.path.normpath(path).split(os.sep)
    stem = name.partition(".")[0]
    return stem.startswith("test_") or stem.endswith("_test") or stem == "conftest" or "tests" in folders[-3:]


def _runs(unit: Unit) -> bool:
    """Whether a file's top level does anything beyond defining."""
    for node in unit.tree.body:
        if isinstance(node, ast.If) and is_main(node.test):
            return True
        if isinstance(node, (ast.For, ast.While, ast.With)):
            return True
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            callee = node.value.func
            if isinstance(callee, ast.Name) and isinstance(unit.globals.get(callee.id), Func):
                return True
            if isinstance(callee, ast.Attribute) and callee.attr in ("fit", "train", "backward"):
                return True
    return False
