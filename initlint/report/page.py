"""One HTML page that needs nothing beside it: what the report's and the suggestion's have in common.

Names, messages and source lines come from the code under check and may hold anything: they go into the page by jinja2's
escaping alone, control characters are spelled out, and a policy in the page's head lets no script run but ours.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import math
from collections.abc import Iterator, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple

from initlint.printable import printable
from initlint.report.places import run_of
from initlint.report.table import middle
from initlint.report.wording import about, evidence, excerpt, ground, place
from initlint.version import __version__

if TYPE_CHECKING:
    from initlint.findings import Finding
    from initlint.report.charts import Chart
    from initlint.result import LayerRow, ModelRun, Report

__all__ = ["Cell", "Line", "Shown", "anchors", "drawn", "named", "number", "page", "require", "verdict_cell"]

_NEEDED = ("jinja2", "matplotlib")
_FIRST_HISTOGRAMS = 12
"""So many are in the page from the start, the others where they are asked for."""


def require() -> None:
    """Raise ModuleNotFoundError, with the command that mends it, unless what the report is made with is installed."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(f"an HTML report needs {' and '.join(missing)}: pip install 'initlint[report]'")


def page(template: str, **context: Any) -> str:
    """The whole page of a template, in ASCII, wherever it is printed. Raises what ``require`` does."""
    require()
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup

    script, style = _file("report.js"), _file("report.css")
    environment = Environment(
        loader=FunctionLoader(_file),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    text = environment.get_template(template).render(
        version=__version__,
        script=Markup(script),
        style=Markup(style),
        policy=f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'",
        first_histograms=_FIRST_HISTOGRAMS,
        **context,
    )
    return text.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _file(name: str) -> str:
    return (resources.files("initlint.report") / "templates" / name).read_text(encoding="utf-8")


def _finalize(value: Any) -> Any:
    """What an expression of the template comes to: text that cannot hide anything."""
    return printable(value) if type(value) is str else value


class Shown:
    """A finding as the templates want it."""

    def __init__(self, finding: Finding, report: Report) -> None:
        self.finding = finding
        self.place = place(finding)
        self.about = about(finding)
        self.evidence = evidence(finding)
        self.ground = ground(finding)
        where = finding.location
        line = None if where is None else report.lines.get(where)
        self.excerpt = None if where is None or line is None else excerpt(where, line)


class Cell(NamedTuple):
    """One cell of a table: its text, the number to sort it by (None: by its text), or the codes of findings.

    A code goes with the number of its finding, None where that is not told for sure.
    """

    text: str
    value: float | None = None
    codes: Sequence[tuple[str, int | None]] = ()


class Line(NamedTuple):
    """One row of a table, and whether a finding is about it."""

    cells: Sequence[Cell]
    flawed: bool


def number(value: float | None) -> Cell:
    """A figure, shown to three digits."""
    return Cell(middle([value], 3), value)


def named(index: int, row: LayerRow) -> tuple[Cell, ...]:
    """What a layer is: its depth, name, kind and shape."""
    size = None if row.shape is None else float(math.prod(row.shape))
    shape = "" if row.shape is None else "x".join(map(str, row.shape))
    return Cell(str(index), float(index)), Cell(row.name), Cell(row.kind), Cell(shape, size)


def verdict_cell(row: LayerRow, found: dict[tuple[str, str], int]) -> Cell:
    """The codes of the findings about a layer, with their numbers in the page."""
    if row.verdict == "ok":
        return Cell("ok")
    return Cell(row.verdict, codes=[(code, found.get((code, row.name))) for code in row.verdict.split()])


def anchors(run: ModelRun, report: Report) -> dict[tuple[str, str], int]:
    """The number of the finding that a code in the row of a layer stands for, where that is told for sure."""
    found: dict[tuple[str, str], int] = {}
    codes = [finding.code for finding in report.findings]
    for row in run.layers:
        for code in row.verdict.split():
            if codes.count(code) == 1:
                found[code, row.name] = 1 + codes.index(code)
    for index, finding in enumerate(report.findings, 1):
        if run_of(finding, report) is run:
            for layer in {finding.layer, *(name.rpartition(".")[0] for name in finding.parameters)}:
                if layer is not None:
                    found.setdefault((finding.code, layer), index)
    return found


def drawn(found: Sequence[Chart], prefix: str) -> Iterator[tuple[str, Any, str]]:
    """(title, SVG, what its marks mean) of each chart."""
    from markupsafe import Markup

    from initlint.report.charts import svg

    for index, chart in enumerate(found, 1):
        drawing = Markup(svg(chart, f"{prefix}c{index}"))  # its text is escaped by ElementTree
        yield chart.title, drawing, chart.marks
