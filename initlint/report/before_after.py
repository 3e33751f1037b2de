"""A suggestion as one page: both profiles in one chart, the function, what it mends and what it leaves alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from initlint.printable import printable
from initlint.report.page import Cell, Line, Shown, anchors, drawn, named, number, page, require, verdict_cell
from initlint.report.wording import account

if TYPE_CHECKING:
    from initlint.proposal import Suggestion
    from initlint.result import LayerRow, Report

__all__ = ["in_a_notebook", "render"]

_COLUMNS = (
    ("#", "depth", True),
    ("layer", "layer", False),
    ("kind", "kind", False),
    ("shape", "shape of the weight", False),
    ("scheme before", "scheme its values follow", False),
    ("after", "scheme its values follow with the function", False),
    ("fwd std before", "std of the output across the batch", True),
    ("after", "std of the output across the batch, with the function", True),
    ("grad std before", "std of the gradient by the output", True),
    ("after", "std of the gradient by the output, with the function", True),
    ("verdict before", "codes of the findings", False),
    ("after", "codes of the findings that remain with the function", False),
)


def render(suggestion: Suggestion) -> str:
    """The whole page. Raises ModuleNotFoundError without jinja2 and matplotlib."""
    require()
    from markupsafe import Markup

    from initlint.report.charts import charts, compared
    from initlint.report.histograms import of_rows

    before, after = _layers(suggestion.before), _layers(suggestion.after)
    contents = [("model-1", suggestion.target)] if before else []
    contents += [("function", "The function")] if suggestion.source else []
    told = [
        (key, title, replace(report, findings=report.serious))  # by their places in it the page numbers them
        for key, title, report in (
            ("before", "Findings before", suggestion.before),
            ("after", "Findings after", suggestion.after),
        )
        if report is not None and not report.failures
    ]
    numbered = next((report for key, _, report in told if key == "before"), None)
    runs = suggestion.before.models
    return page(
        "suggestion.html.jinja",
        suggestion=suggestion,
        verdict=_verdict(suggestion),
        facts=", ".join(account(runs[0])) if runs else suggestion.target,
        source=Markup("\n").join(map(printable, (suggestion.source or "").splitlines())),
        contents=[*contents, *((key, title) for key, title, _ in told)],
        figures=list(drawn(compared(before, after) if after else charts(before), "m1")),
        columns=_COLUMNS,
        rows=_lines(before, after, anchors(runs[0], numbered) if runs and numbered is not None else {}),
        spreads=of_rows(after or before),
        findings=[(key, title, [Shown(each, report) for each in report.findings]) for key, title, report in told],
    )


def in_a_notebook(suggestion: Suggestion) -> str:
    """What came of it in a line, both profiles as charts where matplotlib is there, and the function."""
    from html import escape
    from importlib.util import find_spec

    parts = [f"<p>initlint suggest: {escape(printable(_verdict(suggestion)))}</p>"]
    before, after = _layers(suggestion.before), _layers(suggestion.after)
    if before and after and find_spec("matplotlib") is not None:
        from initlint.report.charts import compared
        from initlint.report.html import captioned

        parts += captioned(compared(before, after), suggestion.target, 0)
    if suggestion.source is not None:
        source = "\n".join(map(printable, suggestion.source.splitlines()))
        parts.append(f"<pre>{escape(source)}</pre>")
    return "".join(parts)


def _layers(report: Report | None) -> Sequence[LayerRow]:
    return report.models[0].layers if report is not None and report.models else ()


def _verdict(suggestion: Suggestion) -> str:
    if suggestion.status == "failed":
        return "failed"
    if suggestion.status == "fine":
        return "fine as it is"
    if suggestion.source is None:
        return "no function to suggest"
    return f"{', '.join(suggestion.mended) or 'some findings'} gone, nothing new"


def _lines(before: Sequence[LayerRow], after: Sequence[LayerRow], found: dict[tuple[str, str], int]) -> list[Line]:
    """A row a layer, with the numbers of what was ``found`` before; what is not known of it after is left empty."""
    second = {row.name: row for row in after}
    lines = []
    for index, row in enumerate(before, 1):
        later = second.get(row.name)
        cells = (
            *named(index, row),
            Cell(row.scheme or ""),
            Cell("" if later is None else later.scheme or ""),
            number(row.forward_std),
            number(None if later is None else later.forward_std),
            number(row.gradient_std),
            number(None if later is None else later.gradient_std),
            verdict_cell(row, found),
            Cell("" if later is None else later.verdict),
        )
        lines.append(Line(cells, row.verdict != "ok" or (later is not None and later.verdict != "ok")))
    return lines
