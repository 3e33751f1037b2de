"""Findings as text: where, what, the line at fault, what was measured, what to write instead.

By file, then those without a line by model. On a terminal what is longer than its width goes on below, indented; in a
pipe each piece is one line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import TYPE_CHECKING

from initlint.findings import Finding, Severity
from initlint.location import Location
from initlint.printable import printable
from initlint.report.places import file_of
from initlint.report.sheet import Sheet
from initlint.report.wording import about, account, amounts, evidence, excerpt, ground, nothing, place, scope

if TYPE_CHECKING:
    from initlint.result import ModelRun, Report

__all__ = ["render", "statistics"]
_COLORS = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.ADVICE: "36"}
_MOST_RELATED = 4
_CUT = ".."


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
    page = Sheet(color, width)
    parts = [
        "\n".join(_finding(finding, report.lines, page, unsafe_fixes)) + "\n"
        for finding in sorted(report.findings, key=lambda finding: _group(finding, report))
    ]
    if not quiet:
        parts.extend(_models(report.models, page, plain))
        parts.append(_verdict(report, page) + "\n")
    return "\n".join(parts)


def _group(finding: Finding, report: Report) -> tuple[bool, str, bool, str]:
    """What findings are put together by: the file, and those in it without a line by their model."""
    file, bare = file_of(finding, report), finding.location is None
    return file is None, file or "", bare, (finding.model or "") if bare else ""


def statistics(report: Report) -> str:
    """How many findings there are of each code, the commonest first."""
    counts: dict[tuple[str, str], int] = {}
    for finding in report.findings:
        counts[finding.code, finding.name] = counts.get((finding.code, finding.name), 0) + 1
    rows = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return "".join(f"{count:>6}  {code}  {name}\n" for (code, name), count in rows)


def _finding(finding: Finding, lines: Mapping[Location, str], page: Sheet, unsafe_fixes: bool) -> Iterator[str]:
    where = finding.location
    yield page.wrapped(
        (printable(place(finding)), "1"),
        (": ", ""),
        (finding.code, "1"),
        (" ", ""),
        (f"[{finding.severity.label}]", _COLORS[finding.severity]),
        (" ", ""),
        text=printable(finding.message),
    )
    if where is not None and where in lines:
        yield from _excerpt(where, lines[where], page)
    if parameters := about(finding):
        yield page.wrapped(("  in: ", ""), text=printable(parameters))
    if finding.evidence:
        yield page.wrapped((f"  {ground(finding)}: ", ""), text=printable(evidence(finding)))
    for consequence in finding.consequences:
        yield page.wrapped(("  consequence: ", ""), text=printable(consequence))
    for other in finding.related[:_MOST_RELATED]:
        yield page.wrapped((f"  see {printable(str(other.location))}: ", ""), text=printable(other.message))
    if len(finding.related) > _MOST_RELATED:
        yield f"  see {len(finding.related) - _MOST_RELATED} more places"
    if finding.help:
        yield page.wrapped(("  ", ""), ("help:", "1"), (" ", ""), text=printable(finding.help))
    if finding.fix is not None and (finding.fix.safe or unsafe_fixes):
        way = "--fix makes it" if finding.fix.safe else "--fix --unsafe-fixes makes it; see that you mean it"
        yield page.wrapped(("  ", ""), ("fix:", "1"), (" ", ""), text=way)


def _excerpt(where: Location, line: str, page: Sheet) -> Iterator[str]:
    """The source line, and carets under the span that the finding points at."""
    parts = excerpt(where, line)
    if parts is None:
        return
    number = str(where.line)
    room = None if page.width is None else page.width - len(f"  {number} | ")
    before, marked, after = _cropped(printable(parts[0]), printable(parts[1]), printable(parts[2]), room)
    yield f"  {number} | {before}{marked}{after}"
    carets = "^" * max(len(marked), 1)
    yield f"  {' ' * len(number)} | {' ' * len(before)}{page.styled(carets, _COLORS[Severity.ERROR])}"


def _cropped(before: str, marked: str, after: str, room: int | None) -> tuple[str, str, str]:
    """What of a source line goes into so many columns: the span first, then what stands around it."""
    if room is None or len(before) + len(marked) + len(after) <= room:
        return before, marked, after
    tail = _CUT if after else ""
    if len(before) + len(marked) + len(tail) > room:
        before = _CUT + before[max(0, len(before) - max(0, room - len(marked) - 2 * len(_CUT))) :] if before else ""
    if len(before) + len(marked) + len(tail) > room:
        return before, marked[: room - len(before) - len(_CUT)] + _CUT, ""
    return before, marked, after[: room - len(before) - len(marked) - len(_CUT)] + tail


def _models(runs: tuple[ModelRun, ...], page: Sheet, plain: bool) -> Iterator[str]:
    for (_, said), alike in groupby(runs, key=_became):
        run, *others = alike  # others that were skipped for the same reason
        names = "".join(f", {other.target.rpartition('::')[2]}" for other in others)
        body = ""
        if run.layers:
            from initlint.report.sparkline import sparklines
            from initlint.report.table import table

            body = table(run.layers, color=page.color, width=page.width)
            charts = sparklines(run.layers, width=page.width, plain=plain)
            body += f"\n{charts}" if charts else ""
        yield f"{page.wrapped((printable(run.target + names), '1'), (': ', ''), text=said)}\n{body}"


def _became(run: ModelRun) -> tuple[str, str]:
    """What a model is told by: the file of one that was skipped, or itself, and what became of it."""
    said = ", ".join(map(printable, account(run, reasons=run.status != "failed"))) or "audited"
    return (run.target.rpartition("::")[0] or run.target) if run.status == "skipped" else run.target, said


def _verdict(report: Report, page: Sheet) -> str:
    """The closing line: what was found, in how much, and what of it can be fixed."""
    found = [(text, _COLORS[severity]) for severity, text in amounts(report.summary)]
    counts = [part for each in found for part in (each, (", ", ""))][:-1] or [(nothing(report), "")]
    return page.wrapped(*counts, (" ", ""), text="; ".join((f"({scope(report)})", *_fixes(report))))


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
