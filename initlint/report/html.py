"""The report as one page: findings at source, charts over depth, layers to sort, what their parameters hold."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import TYPE_CHECKING
from zlib import crc32

from initlint.printable import printable
from initlint.report.page import Cell, Line, Shown, anchors, drawn, named, number, page, require, verdict_cell
from initlint.report.wording import account, amounts, nothing, scope

if TYPE_CHECKING:
    from initlint.report.charts import Chart
    from initlint.result import LayerRow, ModelRun, Report

__all__ = ["figures", "png", "render", "require"]


def render(report: Report) -> str:
    """The whole page, in ASCII, wherever it is printed. Raises ModuleNotFoundError as ``require`` does."""
    require()
    return page(
        "report.html.jinja",
        report=report,
        verdict=", ".join(text for _, text in amounts(report.summary)) or nothing(report),
        scope=scope(report),
        nothing=nothing(report),
        findings=[Shown(finding, report) for finding in report.findings],
        models=[_Model(index, run, report) for index, run in enumerate(report.models, 1)],
        columns=_COLUMNS,
    )


def figures(report: Report) -> Iterator[str]:
    """The charts of a report as SVG, each in a ``<figure>``; none where matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        return
    from initlint.report.charts import charts

    for index, run in enumerate(report.models):
        yield from captioned(charts(run.layers), run.target, index)


def captioned(found: list[Chart], target: str, index: int) -> Iterator[str]:
    """Charts for a notebook; their ids differ from those of all others in it."""
    from html import escape

    from initlint.report.charts import svg

    for place, chart in enumerate(found):
        caption = escape(printable(f"{chart.title}, {target}"))
        drawing = svg(chart, f"initlint-{index}-{place}-{crc32(chart.alternative.encode())}")
        yield f'<figure style="max-width: 36em; margin: 1em 0"><figcaption>{caption}</figcaption>{drawing}</figure>'


def png(report: Report) -> bytes | None:
    """The charts of all models as one PNG; None where nothing was measured. Raises ModuleNotFoundError."""
    require()
    from initlint.report.charts import png as drawn

    return drawn((run.target, run.layers) for run in report.models)


_COLUMNS = (
    ("#", "depth", True),
    ("layer", "layer", False),
    ("kind", "kind", False),
    ("shape", "shape of the weight", False),
    ("scheme", "scheme its values follow", False),
    ("gain", "std of the weight x sqrt(fan-in)", True),
    ("activation", "activation that follows", False),
    ("fwd std", "std of the output across the batch", True),
    ("ratio", "to the layer before", True),
    ("grad std", "std of the gradient by the output", True),
    ("ratio", "to the layer before", True),
    ("verdict", "codes of the findings", False),
)
"""Title, what it means, and whether its cells are numbers."""


class _Model:
    """A model as the template wants it."""

    def __init__(self, index: int, run: ModelRun, report: Report) -> None:
        self.number = index
        self.run = run
        self.facts = ", ".join(account(run))
        self.figures, self.spreads = [], []
        if run.layers:
            from initlint.report.charts import charts
            from initlint.report.histograms import of_rows

            self.figures = list(drawn(charts(run.layers), f"m{index}"))
            self.spreads = of_rows(run.layers)
        found = anchors(run, report)
        self.rows = [
            Line((*_cells(place, row), verdict_cell(row, found)), row.verdict != "ok")
            for place, row in enumerate(run.layers, 1)
        ]


def _cells(index: int, row: LayerRow) -> tuple[Cell, ...]:
    return (
        *named(index, row),
        Cell(row.scheme or ""),
        number(row.gain),
        Cell("none" if row.activation == "identity" else row.activation or ""),
        *map(number, (row.forward_std, row.forward_ratio, row.gradient_std, row.gradient_ratio)),
    )
