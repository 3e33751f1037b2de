"""What initlint says: findings, and the evidence they stand on."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from initlint.location import Location
from initlint.record import record

__all__ = ["Finding", "Related", "Severity"]


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
