"""What may be said of a model of which some parameters come from a checkpoint, and are no initialiser's work."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from fnmatch import fnmatchcase

from initlint.engine import load
from initlint.findings import Finding

__all__ = ["about_loaded"]


def about_loaded(loaded: Collection[str]) -> Callable[[Finding], bool]:
    """Whether a finding judges what training has made, where ``loaded`` are names of parameters and globs for them.

    One that names no parameter (a signal that fades over many layers) does where anything was loaded; of a rule about
    what is broken in any weights, none does.
    """
    names = frozenset(loaded)
    globs = [each for each in loaded if any(sign in each for sign in "*?[")]

    @functools.cache
    def is_loaded(name: str) -> bool:
        return name in names or any(fnmatchcase(name, glob) for glob in globs)

    def left_out(finding: Finding) -> bool:
        if not names or load(finding.code).of_any_weights:
            return False
        return not finding.parameters or any(map(is_loaded, finding.parameters))

    return left_out
