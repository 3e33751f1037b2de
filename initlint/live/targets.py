"""What a target on the command line names."""

from __future__ import annotations

import os

from initlint.record import record
from initlint.regex import pattern

__all__ = ["Target", "parse"]

_NAME = pattern(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


@record(frozen=True, slots=True)
class Target:
    """One target. ``kind`` is "file", "directory", "module" or "stdin".

    ``path`` is there for files and directories, ``module`` (dotted) for "module". ``name`` is the object asked
    for, dotted where it lies in another; None where all of a file is meant.
    """

    text: str
    kind: str
    path: str | None = None
    module: str | None = None
    name: str | None = None


def parse(text: str) -> Target:
    """Read ``path``, ``path.py::Name``, ``pkg.module:attr`` or ``-``.

    Raises ValueError, with a message of one line, for what is none of these, a file that does not exist included.
    """
    if text == "-":
        return Target(text, "stdin")
    path, double, name = text.rpartition("::")
    if double:
        return _within_file(text, path, name)
    if os.path.isdir(text):
        return Target(text, "directory", path=text)
    if os.path.exists(text):
        return Target(text, "file", path=text)
    module, colon, name = text.partition(":")
    if colon and os.sep not in module and not module.endswith(".py"):
        if not _NAME.fullmatch(module) or not _NAME.fullmatch(name):
            raise ValueError(f"{text!r} names no object: write package.module:attribute")
        return Target(text, "module", module=module, name=name)
    if colon:
        raise ValueError(f"{text!r} names no object: write path.py::Name")
    raise ValueError(f"no such file or directory: {text!r}")


def _within_file(text: str, path: str, name: str) -> Target:
    if not path or not _NAME.fullmatch(name):
        raise ValueError(f"{text!r} names no object: write path.py::Name")
    if not os.path.exists(path):
        raise ValueError(f"no such file: {path!r}")
    if os.path.isdir(path):
        raise ValueError(f"{path!r} is a directory: write path.py::Name")
    return Target(text, "file", path=path, name=name)
