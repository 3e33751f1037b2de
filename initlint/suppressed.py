"""Which comments that silence findings had one to silence."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from initlint.engine import load, registry
from initlint.facts import Facts, Suppression
from initlint.location import Location

if TYPE_CHECKING:
    from initlint.source.text.suppression import Suppressions

__all__ = ["suppressions_of"]

_OURS, _ITSELF = "INI", "INI001"


def suppressions_of(
    path: str,
    suppressions: Suppressions,
    used: Collection[tuple[int, str]],
    selected: Collection[str],
    gathered: Collection[str],
) -> Facts:
    """The comments of a file that name codes of ours, as facts.

    ``used`` holds (line of the comment, code) for every finding that was silenced, ``selected`` the codes that were
    asked, ``gathered`` the kinds of evidence that there are. Of a code that was not asked, or of which some kind of
    evidence is missing, nothing is said.
    """
    found = []
    for line, codes in suppressions.codes.items():
        named = sorted(codes or ())
        ours = [code for code in named if code in registry() and code != _ITSELF and code in selected]
        first, last = suppressions.columns[line]
        found.append(
            Suppression(
                location=Location(path, line, first, line, last),
                idle=tuple(
                    code for code in ours if (line, code) not in used and set(load(code).needs) <= set(gathered)
                ),
                missing=tuple(code for code in named if code.startswith(_OURS) and code not in registry()),
            )
        )
    return Facts(origin="source", suppressions=tuple(found))
