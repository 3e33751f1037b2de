"""What reports for people say in the same words: of a finding, of a model that was run, and of everything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from initlint.findings import Severity

if TYPE_CHECKING:
    from initlint.findings import Finding
    from initlint.location import Location
    from initlint.result import ModelRun, Report, Summary

__all__ = ["about", "account", "amounts", "counted", "evidence", "excerpt", "ground", "nothing", "place", "scope"]

_MOST_PARAMETERS = 4


def place(finding: Finding) -> str:
    """Path, line and column of a finding; without them the parameter, layer or model it is about."""
    where = finding.location
    if where is None:
        return finding.subject
    cell = "" if where.cell is None else f"cell {where.cell}:"
    return f"{where.path}:{cell}{where.line}:{where.column}"


def excerpt(where: Location, line: str) -> tuple[str, str, str] | None:
    """A source line without its indent: what stands before the span, the span, and the rest; None for a blank line."""
    text = line.rstrip("\r\n").expandtabs(1)  # a tab is one code point, and columns count those
    shown = text.lstrip()
    if not shown:
        return None
    indent = len(text) - len(shown)
    start = max(where.column - 1 - indent, 0)
    end = len(shown)
    if where.end_line in (None, where.line) and where.end_column is not None:
        end = min(where.end_column - 1 - indent, end)
    elif where.end_column is None:
        end = start + 1
    return shown[:start], shown[start:end], shown[end:]


def about(finding: Finding) -> str:
    """The model and the parameters that share the defect."""
    names = finding.parameters or ((finding.layer,) if finding.layer else ())
    shown = ", ".join(names[:_MOST_PARAMETERS])
    if len(names) > _MOST_PARAMETERS:
        shown += f" and {len(names) - _MOST_PARAMETERS} more"
    return ": ".join(part for part in (finding.model, shown) if part)


def evidence(finding: Finding) -> str:
    """What was read or measured, in words."""
    predicted = ground(finding) == "predicted"
    return ", ".join(
        f"{_words(key)} {_range(value) if predicted else _value(value)}"
        for key, value in finding.evidence.items()
        if key != "known_by"
    )


def ground(finding: Finding) -> str:
    """How the evidence came about: ``read``, ``measured`` or, without a pass, ``predicted``."""
    if finding.evidence.get("known_by") == "predicted":
        return "predicted"
    return "read" if finding.sources == ("source",) else "measured"


def counted(number: int, word: str) -> str:
    """A number and its noun."""
    return f"{number} {word}" if number == 1 or word == "advice" else f"{number} {word}s"


def account(run: ModelRun, *, reasons: bool = True) -> Iterator[str]:
    """What became of a model, in pieces for one line; without ``reasons`` where notes tell why none was made of it."""
    if run.status != "audited":
        yield run.status + (f" ({run.reason})" if run.reason and reasons else "")
        return
    if run.parameters is not None:
        yield f"{run.parameters:,} parameters"
    if run.batch:
        yield f"batch {run.batch}" + (" (inferred)" if run.inferred else "")
    if run.device:
        yield run.device
    if run.loss:
        yield f"loss {run.loss}"
    if run.reason:
        yield f"parameters only, not run: {run.reason}"


def amounts(summary: Summary) -> list[tuple[Severity, str]]:
    """How many findings there are of each severity that has any, in words."""
    counts = ((Severity.ERROR, summary.error), (Severity.WARNING, summary.warning), (Severity.ADVICE, summary.advice))
    return [(severity, counted(number, severity.label)) for severity, number in counts if number]


def nothing(report: Report) -> str:
    """What is said where no finding is."""
    if not report.summary.files and all(run.status != "audited" for run in report.models):
        return "Nothing was checked"
    return "No new findings" if report.summary.baseline else "No findings"


def scope(report: Report) -> str:
    """In how much it was looked for, and what of it is not told."""
    summary = report.summary
    audited = [run for run in report.models if run.status == "audited"]
    still = sum(run.reason is not None for run in audited)
    said = counted(summary.files, "file") + " read"
    said += f", {counted(len(audited) - still, 'model')} audited" if report.models else ""
    said += f", {still} by parameters alone" if still else ""
    said += f", {summary.suppressed} suppressed" if summary.suppressed else ""
    return said + (f", {summary.baseline} known from the baseline" if summary.baseline else "")


def _words(key: str) -> str:
    return key.replace("_", " ")


def _range(value: Any) -> str:
    """A figure that is predicted: a pair is the ends of its range."""
    if isinstance(value, (list, tuple)) and len(value) == 2 and all(isinstance(end, float) for end in value):
        return " to ".join(map(_value, value))
    return _value(value)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{_words(str(key))} {_value(each)}" for key, each in value.items())
    if isinstance(value, (list, tuple)):
        return " ".join(map(_value, value)) if len(value) <= _MOST_PARAMETERS * 2 else f"{len(value)} values"
    return str(value)
