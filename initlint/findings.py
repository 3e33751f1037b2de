"""What initlint says: findings, the evidence they stand on, and what would mend them."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

from initlint.changes import Change, as_plain, from_plain
from initlint.location import Location
from initlint.record import field, record

__all__ = ["Edit", "Finding", "Fix", "Related", "Severity", "safe", "unsafe"]


class Severity(enum.IntEnum):
    """How bad it is; ordered, so that ``severity >= fail_on`` reads as it should."""

    ADVICE = 1
    WARNING = 2
    ERROR = 3

    @property
    def label(self) -> str:
        """The word the command line and every format use."""
        return self.name.lower()

    @classmethod
    def parse(cls, text: str) -> Severity:
        """The severity called ``text``; raises ValueError for another word."""
        try:
            return cls[text.upper()]
        except KeyError:
            raise ValueError(f"no severity is called {text!r}: error, warning or advice") from None


@record(frozen=True, slots=True)
class Related:
    """Another place that has to do with a finding, and what it has to do with it."""

    location: Location
    message: str


@record(frozen=True, slots=True)
class Edit:
    """A span of a file and the text that takes its place."""

    location: Location
    text: str


@record(frozen=True, slots=True)
class Fix:
    """What mends a finding.

    A ``safe`` fix cannot change what a correct program does, other than as the finding says. ``changes`` belong
    together: all are made or none. ``edits`` are what they come to in the file, None until somebody asks for that
    (only then is the package that edits sources loaded). A fix is plain data and goes along with its finding
    through caches and between processes: ``as_plain``, ``from_plain``.
    """

    safe: bool
    changes: tuple[Change, ...]
    edits: tuple[Edit, ...] | None = None

    def as_plain(self) -> dict[str, Any]:
        """What the fix says, as JSON can hold it; without its edits, which are worked out anew."""
        return {"safe": self.safe, "changes": [as_plain(change) for change in self.changes]}

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Fix:
        """The fix that ``as_plain`` wrote; raises ValueError for anything else."""
        try:
            return cls(bool(data["safe"]), tuple(from_plain(change) for change in data["changes"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a fix: {error!r:.200}") from error


def safe(*changes: Change) -> Fix:
    """A fix that ``--fix`` applies."""
    return Fix(True, changes)


def unsafe(*changes: Change) -> Fix:
    """A fix that ``--fix`` applies only with ``--unsafe-fixes``: it may change what is right."""
    return Fix(False, changes)


@record(frozen=True, slots=True)
class Finding:
    """One defect, said once.

    ``message`` is one line and holds what was measured; ``help`` says what to write instead. ``location`` is
    None for a bare module given to ``audit()``. ``parameters`` lists every parameter that shares the defect,
    ``parameter`` is the first. ``sources`` are of "source", "parameters", "graph", "probe".
    """

    code: str
    name: str
    severity: Severity
    message: str
    location: Location | None = None
    model: str | None = None
    layer: str | None = None
    parameter: str | None = None
    parameters: tuple[str, ...] = ()
    help: str = ""
    sources: tuple[str, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)
    consequences: tuple[str, ...] = ()
    related: tuple[Related, ...] = ()
    fingerprint: str = ""
    suspects: tuple[str, ...] = ()
    """Layers whose own findings would explain this one (for a drift: the chain up to the first deviating layer)."""
    fix: Fix | None = None

    @property
    def subject(self) -> str:
        """What it is about where it has no line: its parameter, its layer or its model."""
        return self.parameter or self.layer or self.model or "model"
