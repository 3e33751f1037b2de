"""What may be said of a model of which some parameters come from a checkpoint, and are no initialiser's work."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from fnmatch import fnmatchcase

from initlint.engine import load
from initlint.facts import Facts, Parameter, known
from initlint.findings import Finding

__all__ = ["about_loaded", "about_seen_loaded"]

_OF_VALUES = ("INI1", "INI2", "INI3", "INI70")
"""What codes begin with whose rules judge what parameters hold, or the signal that this makes."""


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


def about_seen_loaded(facts: Facts) -> Callable[[Finding], bool]:
    """Whether a finding judges what was seen to come from a checkpoint while the model was built.

    That is one all of whose parameters did, or, if it names none, one on a model most of whose weights did.
    """
    weights = [p for model in facts.models for p in model.parameters if known(p.role) and p.is_weight]
    loaded = {p.name for model in facts.models for p in model.parameters if _is_loaded(p)}
    mostly = bool(loaded) and (not weights or 2 * sum(p.name in loaded for p in weights) > len(weights))

    def left_out(finding: Finding) -> bool:
        if not loaded or not finding.code.startswith(_OF_VALUES) or load(finding.code).of_any_weights:
            return False
        return loaded.issuperset(finding.parameters) if finding.parameters else mostly

    return left_out


def _is_loaded(parameter: Parameter) -> bool:
    """Whether the last to give it all its values was a checkpoint."""
    writes = parameter.writes
    return known(writes) and bool(writes) and writes[-1].author == "checkpoint" and writes[-1].overwrites
