"""Patterns for paths, spelled as in .gitignore. The library that matches them is loaded when there is one to match."""

from __future__ import annotations

import functools
import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pathspec

__all__ = ["DEFAULT_EXCLUDE", "SKIPPED_DIRECTORIES", "can_be_read", "included", "relative_to"]

SKIPPED_DIRECTORIES = frozenset(
    {
        "__pycache__",
        "__pypackages__",
        "_build",
        "buck-out",
        "build",
        "dist",
        "node_modules",
        "site-packages",
        "venv",
    }
)
"""Directories that hold no source of the project; hidden ones and virtual environments are skipped besides."""

DEFAULT_EXCLUDE = (".*/", *(f"{name}/" for name in sorted(SKIPPED_DIRECTORIES)))
"""The same as path patterns."""


def included(patterns: tuple[str, ...], path: str, *, is_directory: bool = False) -> bool | None:
    """What the last pattern that speaks of a relative path says: True, False where it starts with ``!``, None for none.

    A pattern that matches a directory speaks of everything below it.
    """
    if not patterns:
        return None
    spelled = path.replace(os.sep, "/")
    return _compiled(patterns).check_file(spelled + "/" if is_directory else spelled).include


MOST_STARS = 3
"""In a part of a pattern between slashes, and of parts that are ``**``: each more costs the length of a name once more,
so that a dozen would never end. What people write has one or two."""


def can_be_read(pattern: str) -> bool:
    """Whether a pattern means something, and can be matched in reasonable time."""
    parts = pattern.split("/")
    if parts.count("**") > MOST_STARS or any(part.count("*") > MOST_STARS for part in parts):
        return False
    if "\\" not in pattern and "[" not in pattern and not pattern.startswith("!"):
        return True
    try:
        _compiled((pattern,))
    except (ValueError, re.error):
        return False
    return True


def relative_to(base: str, path: str) -> str:
    """An absolute path as patterns of ``base`` see it: below it, else below the working directory, else its name."""
    for folder in (base, os.getcwd()):
        if path == folder:
            return ""
        if path.startswith(os.path.join(folder, "")):
            return path[len(os.path.join(folder, "")) :]
    return os.path.basename(path)


@functools.cache
def _compiled(patterns: tuple[str, ...]) -> pathspec.GitIgnoreSpec:
    import pathspec

    return pathspec.GitIgnoreSpec.from_lines(patterns)
