"""What may be said of a model of which some parameters come from a checkpoint, and are no initialiser's work."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from fnmatch import fnmatchcase

from initlint.findings import Finding

__all__ = ["about_loaded"]

_WHATEVER_ITS_HISTORY = frozenset({"INI104", "INI105", "INI418", "INI708", "INI710"})
"""Broken in trained weights as in fresh ones: memory that nobody wrote, what is not finite, samples that leak."""


def about_loaded(loaded: Collection[str]) -> Callable[[Finding], bool]:
    """Whether a finding judges what training has made, where ``loaded`` are names of parameters and globs for them.

    One that names no parameter (a signal that fades over many layers) does where anything was loaded.
    """
    names = frozenset(loaded)
    globs = [each for each in loaded if any(sign in each for sign in "*?[")]

    @functools.cache
    def is_loaded(name: str) -> bool:
        return name in names or any(fnmatchcase(name, glob) for glob in globs)

    def left_out(finding: Finding) -> bool:
        if not names or finding.code in _WHATEVER_ITS_HISTORY:
            return False
        return not finding.parameters or any(map(is_loaded, finding.parameters))

    return left_out
