"""The outcome of a run: what every report format prints and what ``audit()`` returns."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence, Set
from typing import Any

from initlint.findings import Edit, Finding, Fix, Severity
from initlint.location import Location
from initlint.printable import printable
from initlint.record import field, record
from initlint.version import __version__

__all__ = ["Curve", "InitError", "LayerRow", "Mended", "ModelRun", "Report", "Summary", "Values"]

SCHEMA_VERSION = 1


class InitError(AssertionError):
    """Raised by ``Report.raise_for_findings``; its text is the findings."""


@record(frozen=True, slots=True)
class Curve:
    """The density of a law: "normal" (``std``; cut off at ``low`` and ``high``) or "uniform" (between them)."""

    label: str
    family: str
    mean: float
    std: float
    low: float = -math.inf
    high: float = math.inf

    def density(self, x: float) -> float:
        """At ``x``, but for a constant factor where a normal law is cut off."""
        if not self.low <= x <= self.high:
            return 0.0
        if self.family == "uniform":
            return 1 / (self.high - self.low)
        return math.exp(-(((x - self.mean) / self.std) ** 2) / 2) / (self.std * math.sqrt(2 * math.pi))


@record(frozen=True, slots=True)
class Values:
    """What one parameter holds: ``counts`` in bins of one width from ``low`` to ``high``, of ``size`` values.

    ``follows`` is the law that they follow, ``fitting`` the one that keeps the size of the signal through what comes
    after; None where it is not known. They are for charts, and not in the JSON.
    """

    name: str
    size: int
    mean: float
    std: float
    low: float
    high: float
    counts: tuple[int, ...]
    follows: Curve | None = None
    fitting: Curve | None = None


@record(frozen=True, slots=True)
class LayerRow:
    """One line of a model's table; None where a figure is not known.

    Ratios are to the layer before it in its chain; where no chain tells (a norm begins a new one), to the closest row
    above that has the figure. There is none to or from a figure of exactly 0, as in a branch that starts at zero.
    ``verdict`` is "ok", or the codes of the findings about the layer, separated by spaces. ``forward_std`` is that
    across the batch, ``total_std`` that over all values of the output. ``values`` are those of its parameters that have
    more than one; ``gradients`` the root mean square of the loss's gradient for each parameter, None where none came.
    """

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
    total_std: float | None = None
    values: tuple[Values, ...] = ()
    gradients: tuple[tuple[str, float | None], ...] = ()


@record(frozen=True, slots=True)
class ModelRun:
    """What became of one target: "audited", "skipped" or "failed".

    ``reason`` says why it was skipped or failed; of an audited model, why it was not run: then the findings rest on
    its parameters alone. ``inferred``: nobody gave the batch. ``loss`` is the first one, and of what kind, in words.
    """

    target: str
    status: str
    reason: str | None = None
    batch: str | None = None
    device: str | None = None
    parameters: int | None = None
    layers: tuple[LayerRow, ...] = ()
    loss: str | None = None
    inferred: bool = False


@record(frozen=True, slots=True)
class Summary:
    """Counts of one run."""

    files: int = 0
    models: int = 0
    error: int = 0
    warning: int = 0
    advice: int = 0
    suppressed: int = 0
    baseline: int = 0
    """Findings that are known from the baseline, and not among the report's."""
    seconds: float = 0.0


@record(frozen=True, slots=True)
class Mended:
    """What ``--fix`` did, or ``--diff`` would do: how many fixes went into files.

    ``diff`` is the unified diff, None where the files themselves were written. ``source`` is what was read from
    standard input, fixed; None where nothing was.
    """

    fixed: int = 0
    diff: str | None = None
    source: bytes | None = None


@record(frozen=True, slots=True)
class Report:
    """Everything one run has to say.

    ``notes`` are lines for stderr that change no exit code; ``failures`` are lines for stderr that mean
    that something which was asked for could not be done (exit 2). ``lines`` holds the source lines that the findings
    point at, as far as they could be read. ``mended`` is what became of fixes, None where none were
    asked for.
    """

    findings: tuple[Finding, ...] = ()
    models: tuple[ModelRun, ...] = ()
    notes: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    summary: Summary = field(default_factory=Summary)
    fail_on: Severity = Severity.WARNING
    lines: Mapping[Location, str] = field(default_factory=dict)
    mended: Mended | None = None

    @property
    def serious(self) -> tuple[Finding, ...]:
        """The findings at or above ``fail_on``."""
        return tuple(finding for finding in self.findings if finding.severity >= self.fail_on)

    @property
    def ok(self) -> bool:
        """Nothing at or above ``fail_on``, and nothing that could not be done."""
        return not self.failures and not self.serious

    def __str__(self) -> str:
        """What the command line prints of it: the findings, the models' tables, and how much was looked at."""
        from initlint.report.text import render

        return render(self).rstrip("\n")

    def raise_for_findings(self) -> None:
        """Raise InitError with the findings as its text unless ``ok``: the one line a test needs."""
        if self.ok:
            return
        from initlint.report.wording import counted

        head = [counted(len(self.findings), "finding")] if self.findings else []
        raise InitError("\n".join([*head, *map(_told, self.findings), *self.failures]))

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data, in the layout of ``--format json`` (schema version 1).

        Floats are rounded to 4 significant digits; those that are not finite are the strings "nan", "inf" and "-inf".
        """
        return {
            "schema_version": SCHEMA_VERSION,
            "tool": {"name": "initlint", "version": __version__},
            "findings": [_finding(finding) for finding in self.findings],
            "models": [_model(run) for run in self.models],
            "notes": [*self.notes, *self.failures],
            "summary": {
                "files": self.summary.files,
                "models": self.summary.models,
                "error": self.summary.error,
                "warning": self.summary.warning,
                "advice": self.summary.advice,
                "suppressed": self.summary.suppressed,
                "baseline": self.summary.baseline,
                "seconds": round(self.summary.seconds, 3),
            },
        }

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """The report as one HTML page that needs nothing beside it, also written to ``path`` if one is given.

        Raises ModuleNotFoundError without the extra ``report`` (jinja2 and matplotlib), OSError where the file cannot
        be written.
        """
        from initlint.report.html import render

        page = render(self)
        if path is not None:
            from initlint.writing import put

            put(os.fspath(path), page)
        return page

    def to_png(self, path: str | os.PathLike[str] | None = None) -> bytes:
        """Signal and gradient over the depth of each model as a PNG, also written to ``path`` if one is given.

        Raises ValueError where no model was measured, else as ``to_html``.
        """
        from initlint.report.html import png

        drawn = png(self)
        if drawn is None:
            raise ValueError("no model was run, and there is nothing to draw")
        if path is not None:
            from initlint.writing import replace

            replace(os.fspath(path), drawn)
        return drawn

    def _repr_html_(self) -> str:
        """The findings as a small table, and the charts where the extra ``report`` is installed: for notebooks."""
        from html import escape

        from initlint.report.html import figures

        charts = "".join(figures(self))
        if not self.findings:
            return "<p>initlint: no findings</p>" + charts
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(printable(cell))}</td>" for cell in cells) + "</tr>"
            for cells in ((f.code, f.severity.label, _where(f), f.message, f.help) for f in self.findings)
        )
        titles = ("code", "severity", "where", "message", "help")
        head = "".join(f"<th>{title}</th>" for title in titles)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{charts}"


def _where(finding: Finding) -> str:
    """The place of a finding in one word: its line, else the parameter or the model it is about."""
    return finding.subject if finding.location is None else str(finding.location)


def _told(finding: Finding) -> str:
    """A finding in one line, and what to write instead in another."""
    line = printable(f"{_where(finding)}: {finding.code} [{finding.severity.label}] {finding.message}")
    return f"{line}\n  help: {printable(finding.help)}" if finding.help else line


def _finding(finding: Finding) -> dict[str, Any]:
    where = finding.location
    return {
        "code": finding.code,
        "name": finding.name,
        "severity": finding.severity.label,
        "message": finding.message,
        "path": where.path if where else None,
        "line": where.line if where else None,
        "column": where.column if where else None,
        "end_line": where.end_line if where else None,
        "end_column": where.end_column if where else None,
        "model": finding.model,
        "layer": finding.layer,
        "parameter": finding.parameter,
        "parameters": list(finding.parameters),
        "cell": where.cell if where else None,
        "help": finding.help,
        "sources": list(finding.sources),
        "evidence": _plain(finding.evidence),
        "consequences": list(finding.consequences),
        "related": [
            {"path": other.location.path, "line": other.location.line, "message": other.message}
            | ({} if other.location.cell is None else {"cell": other.location.cell})
            for other in finding.related
        ],
        "fingerprint": finding.fingerprint,
        "fix": None if finding.fix is None else _fix(finding.fix),
    }


def _fix(fix: Fix) -> dict[str, Any]:
    edits = None if fix.edits is None else [_edit(edit) for edit in fix.edits]
    return {"safe": fix.safe, "edits": edits}


def _edit(edit: Edit) -> dict[str, Any]:
    where = edit.location
    return {
        "path": where.path,
        "line": where.line,
        "column": where.column,
        "end_line": where.end_line,
        "end_column": where.end_column,
        "text": edit.text,
    }


def _model(run: ModelRun) -> dict[str, Any]:
    return {
        "target": run.target,
        "status": run.status,
        "reason": run.reason,
        "batch": run.batch,
        "device": run.device,
        "parameters": run.parameters,
        "layers": [
            {
                "name": row.name,
                "kind": row.kind,
                "shape": _plain(row.shape),
                "scheme": row.scheme,
                "gain": _plain(row.gain),
                "activation": row.activation,
                "forward_std": _plain(row.forward_std),
                "forward_ratio": _plain(row.forward_ratio),
                "gradient_std": _plain(row.gradient_std),
                "gradient_ratio": _plain(row.gradient_ratio),
                "dead_fraction": _plain(row.dead_fraction),
                "gradients": {name: _plain(size) for name, size in row.gradients},
                "verdict": row.verdict,
            }
            for row in run.layers
        ],
    }


def _plain(value: Any) -> Any:
    """A value as JSON can hold it; what is no number, text or collection is spelled as Python does."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        rounded = float(f"{value:.4g}")
        return rounded if math.isfinite(rounded) else str(rounded)
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, Set):
        return sorted((_plain(each) for each in value), key=str)
    if isinstance(value, Sequence):
        return [_plain(each) for each in value]
    return repr(value)
