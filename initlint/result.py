"""The outcome of a run: what every report format prints and what ``audit()`` returns."""

from __future__ import annotations

from dataclasses import dataclass, field

from initlint.findings import Finding, Severity

__all__ = ["InitError", "LayerRow", "ModelRun", "Report", "Summary"]


class InitError(AssertionError):
    """Raised by ``Report.raise_for_findings``; its text is the findings."""


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One line of a model's table; None where a figure is not known. Ratios are to the layer before in the chain."""

    name: str
    kind: str
    shape: tuple[int, ...] | None = None
    scheme: str | None = None
    gain: float | None = None
    activation: str | None = None
    forward_std: float | None = None
    forward_ratio: float | None = None
    gradient_std: float | None = None
    gradient_ratio: float | None = None
    dead_fraction: float | None = None
    verdict: str = "ok"


@dataclass(frozen=True, slots=True)
class ModelRun:
    """What became of one target: "audited", "skipped" or "failed", and why."""

    target: str
    status: str
    reason: str | None = None
    batch: str | None = None
    device: str | None = None
    parameters: int | None = None
    layers: tuple[LayerRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of one run."""

    files: int = 0
    models: int = 0
    error: int = 0
    warning: int = 0
    advice: int = 0
    suppressed: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """Everything one run has to say.

    ``notes`` are lines for stderr that change no exit code; ``failures`` are lines for stderr that mean
    that something which was asked for could not be done (exit 2).
    """

    findings: tuple[Finding, ...] = ()
    models: tuple[ModelRun, ...] = ()
    notes: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    summary: Summary = field(default_factory=Summary)
    fail_on: Severity = Severity.WARNING

    @property
    def ok(self) -> bool:
        """Nothing at or above ``fail_on``, and nothing that could not be done."""
        return not self.failures and not any(f.severity >= self.fail_on for f in self.findings)
