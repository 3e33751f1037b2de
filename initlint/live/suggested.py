"""An initialiser that was given as source text, made into a function."""

from __future__ import annotations

import linecache
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

__all__ = ["FILE", "FUNCTION", "initializer_of"]

FUNCTION = "init_weights"
"""What the function in the text is called."""

FILE = "init_weights (suggested)"
"""The file that its statements are said to stand in."""


def initializer_of(source: str) -> Callable[[nn.Module], None]:
    """The function ``FUNCTION`` that the text defines; its statements count as the user's."""
    path = os.path.abspath(FILE)
    linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)
    names: dict[str, Any] = {"__name__": "suggested"}
    exec(compile(source, path, "exec"), names)
    found: Callable[[nn.Module], None] = names[FUNCTION]
    return found
