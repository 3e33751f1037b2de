"""Findings as text: where, what, the line at fault, what was measured, what to write instead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from initlint.findings import Finding, Severity
from initlint.location import Location
from initlint.printable import printable
from initlint.report.wording import about, account, amounts, evidence, excerpt, nothing, place, scope

if TYPE_CHECKING:
    from initlint.result import ModelRun, Report

__all__ = ["render", "statistics"]
_COLORS = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.ADVICE: "36"}
_MOST_RELATED = 4


def render(
    report: Report,
    *,
    color: bool = False,
    width: int | None = None,
    quiet: bool = False,
    unsafe_fixes: bool = False,
    plain: bool = False,
) -> str:
    """The whole report as text.

    ``width`` is the terminal's, None where the text goes to a pipe or a file and may be as wide as it needs.
    ``quiet`` leaves only the findings. ``unsafe_fixes`` tells of the fixes that are not safe, too.
    ``plain`` draws charts in ASCII.
    """
    parts = ["\n".join(_finding(finding, report.lines, color, unsafe_fixes)) + "\n" for finding in report.findings]
    if not quiet:
        parts.extend(_models(report.models, color, width, plain))
        parts.append(_verdict(report, color) + "\n")
    return "\n".join(parts)


def statistics(report: Report) -> str:
    """How many findings there are of each code, the commonest first."""
    counts: dict[tuple[str, str], int] = {}
    for finding in report.findings:
        counts[finding.code, finding.name] = counts.get((finding.code, finding.name), 0) + 1
    rows = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return "".join(f"{count:>6}  {code}  {name}\n" for (code, name), count in rows)


def _finding(finding: Finding, lines: Mapping[Location, str], color: bool, unsafe_fixes: bool) -> Iterator[str]:
    severity = _styled(f"[{finding.severity.label}]", _COLORS[finding.severity], color)
    code = _styled(finding.code, "1", color)
    where = finding.location
    yield f"{_styled(printable(place(finding)), '1', color)}: {code} {severity} {printable(finding.message)}"
    if where is not None and where in lines:
        yield from _excerpt(where, lines[where], color)
    if parameters := about(finding):
        yield f"  in: {printable(parameters)}"
    if finding.evidence:
        yield f"  {'read' if finding.sources == ('source',) else 'measured'}: {printable(evidence(finding))}"
    for consequence in finding.consequences:
        yield f"  consequence: {printable(consequence)}"
    for other in finding.related[:_MOST_RELATED]:
        yield f"  see {printable(str(other.location))}: {printable(other.message)}"
    if len(finding.related) > _MOST_RELATED:
        yield f"  see {len(finding.related) - _MOST_RELATED} more places"
    if finding.help:
        yield f"  {_styled('help:', '1', color)} {printable(finding.help)}"
    if finding.fix is not None and (finding.fix.safe or unsafe_fixes):
        way = "--fix makes it" if finding.fix.safe else "--fix --unsafe-fixes makes it; see that you mean it"
        yield f"  {_styled('fix:', '1', color)} {way}"


def _excerpt(where: Location, line: str, color: bool) -> Iterator[str]:
    """The source line, and carets under the span that the finding points at."""
    parts = excerpt(where, line)
    if parts is None:
        return
    before, marked, after = map(printable, parts)
    number = str(where.line)
    yield f"  {number} | {before}{marked}{after}"
    carets = "^" * max(len(marked), 1)
    yield f"  {' ' * len(number)} | {' ' * len(before)}{_styled(carets, _COLORS[Severity.ERROR], color)}"


def _models(runs: tuple[ModelRun, ...], color: bool, width: int | None, plain: bool) -> Iterator[str]:
    for run in runs:
        name = _styled(printable(run.target), "1", color)
        body = ""
        if run.layers:
            from initlint.report.sparkline import sparklines
            from initlint.report.table import table

            body = table(run.layers, color=color, width=width)
            charts = sparklines(run.layers, width=width, plain=plain)
            body += f"\n{charts}" if charts else ""
        yield f"{name}: {', '.join(map(printable, account(run))) or 'audited'}\n{body}"


def _verdict(report: Report, color: bool) -> str:
    """The closing line: what was found, in how much, and what of it can be fixed."""
    counts = [_styled(text, _COLORS[severity], color) for severity, text in amounts(report.summary)]
    return "; ".join((f"{', '.join(counts) or nothing(report.summary)} ({scope(report)})", *_fixes(report)))


def _fixes(report: Report) -> Iterator[str]:
    """How many findings were fixed, and how many could be."""
    if report.mended is not None and report.mended.fixed:
        yield f"{report.mended.fixed} fixed"
    safe = sum(finding.fix is not None and finding.fix.safe for finding in report.findings)
    other = sum(finding.fix is not None and not finding.fix.safe for finding in report.findings)
    if safe:
        yield f"{safe} fixable with --fix" + (f", {other} more with --unsafe-fixes" if other else "")
    elif other:
        yield f"{other} fixable with --fix --unsafe-fixes"


def _styled(text: str, style: str, color: bool) -> str:
    return f"\x1b[{style}m{text}\x1b[0m" if color else text
