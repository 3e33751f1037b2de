"""One run over everything that was asked for: which files are read, which models are built, what went wrong.

A survey gathers facts, notes and failures and judges nothing. Something asked for by name that cannot be done is a
failure; something met on the way is a note.
"""

from __future__ import annotations

import io
import os
import tokenize
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from initlint.result import ModelRun
from initlint.source.files import MAX_BYTES, FileTooLarge, load, walk
from initlint.source.reader import SourceError, might_matter, read
from initlint.source.suppression import NOTHING, Suppressions
from initlint.source.suppression import read as read_suppressions

if TYPE_CHECKING:
    from initlint.facts import Facts

__all__ = ["Survey", "shown_path"]

STDIN = "-"


def shown_path(path: str) -> str:
    """A path as reports give it: relative to the working directory where it lies below it, else absolute."""
    if path == STDIN:
        return path
    here = os.getcwd()
    for base, full in ((here, os.path.abspath(path)), (os.path.realpath(here), os.path.realpath(path))):
        if full.startswith(os.path.join(base, "")):
            return os.path.relpath(full, base).replace(os.sep, "/")
    return os.path.abspath(path)


@dataclass(slots=True)
class Survey:
    """What was read so far, and what is to be built."""

    facts: list[Facts] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    files: int = 0
    _seen: dict[str, _File] = field(default_factory=dict)
