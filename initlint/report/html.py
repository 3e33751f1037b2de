"""The report as one page that needs nothing beside it: findings at source, charts over depth, layers to sort.

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
from zlib import crc32

from initlint.printable import printable
from initlint.report.places import run_of
from initlint.report.table import middle
from initlint.report.wording import about, account, amounts, evidence, excerpt, nothing, place, scope
from initlint.version import __version__

if TYPE_CHECKING:
    from initlint.findings import Finding
    from initlint.result import LayerRow, ModelRun, Report

__all__ = ["figures", "png", "render", "require"]

_NEEDED = ("jinja2", "matplotlib")


def require() -> None:
    """Raise ModuleNotFoundError, with the command that mends it, unless what the report is made with is installed."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(f"an HTML report needs {' and '.join(missing)}: pip install 'initlint[report]'")


def render(report: Report) -> str:
    """The whole page, in ASCII, wherever it is printed. Raises ModuleNotFoundError as ``require`` does."""
    require()
    from jinja2 import DictLoader, Environment, StrictUndefined
    from markupsafe import Markup

    script, style = _file("report.js"), _file("report.css")
    environment = Environment(
        loader=DictLoader({"report.html": _file("report.html.jinja")}),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = environment.get_template("report.html").render(
        report=report,
        version=__version__,
        verdict=", ".join(text for _, text in amounts(report.summary)) or nothing(report.summary),
        scope=scope(report),
        nothing=nothing(report.summary),
        findings=[_Shown(finding, report) for finding in report.findings],
        models=[_Model(number, run, report) for number, run in enumerate(report.models, 1)],
        columns=_COLUMNS,
        script=Markup(script),
        style=Markup(style),
        policy=f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'",
    )
    return page.encode("ascii", "xmlcharrefreplace").decode("ascii")


def figures(report: Report) -> Iterator[str]:
    """The charts of a report as SVG, each in a ``<figure>``; none where matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        return
    from html import escape

    from initlint.report.charts import charts, svg

    for number, run in enumerate(report.models):
        for index, chart in enumerate(charts(run.layers)):
            caption = escape(printable(f"{chart.title}, {run.target}"))
            drawn = svg(chart, f"initlint-{number}-{index}-{crc32(chart.alternative.encode())}")
            yield f'<figure style="max-width: 36em; margin: 1em 0"><figcaption>{caption}</figcaption>{drawn}</figure>'


def png(report: Report) -> bytes | None:
    """The charts of all models as one PNG; None where nothing was measured. Raises ModuleNotFoundError."""
    require()
    from initlint.report.charts import png as drawn

    return drawn((run.target, run.layers) for run in report.models)


def _file(name: str) -> str:
    return (resources.files("initlint.report") / "templates" / name).read_text(encoding="utf-8")


def _finalize(value: Any) -> Any:
    """What an expression of the template comes to: text that cannot hide anything."""
    return printable(value) if type(value) is str else value


class _Shown:
    """A finding as the template wants it."""

    def __init__(self, finding: Finding, report: Report) -> None:
        self.finding = finding
        self.place = place(finding)
        self.about = about(finding)
        self.evidence = evidence(finding)
        self.read = finding.sources == ("source",)
        where = finding.location
        line = None if where is None else report.lines.get(where)
        self.excerpt = None if where is None or line is None else excerpt(where, line)


class _Cell(NamedTuple):
    """One cell of the table of layers: its text, and the number to sort it by (None: by its text)."""

    text: str
    value: float | None = None


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

    def __init__(self, number: int, run: ModelRun, report: Report) -> None:
        self.number = number
        self.run = run
        self.facts = ", ".join(account(run))
        self.figures = list(_figures(number, run)) if run.layers else []
        anchors = _anchors(run, report)
        self.rows = [
            (
                _cells(index, row),
                [] if row.verdict == "ok" else [(c, anchors.get((c, row.name))) for c in row.verdict.split()],
            )
            for index, row in enumerate(run.layers, 1)
        ]


def _figures(number: int, run: ModelRun) -> Iterator[tuple[str, Any, str]]:
    """(title, SVG, what its marks mean) of each chart."""
    from markupsafe import Markup

    from initlint.report.charts import charts, svg

    for index, chart in enumerate(charts(run.layers), 1):
        drawing = Markup(svg(chart, f"m{number}c{index}"))  # its text is escaped by ElementTree
        yield chart.title, drawing, chart.marks


def _anchors(run: ModelRun, report: Report) -> dict[tuple[str, str], int]:
    """The number of the finding that a code in the row of a layer stands for, where that is told for sure."""
    found: dict[tuple[str, str], int] = {}
    for number, finding in enumerate(report.findings, 1):
        if run_of(finding, report) is run:
            for layer in {finding.layer, *(name.rpartition(".")[0] for name in finding.parameters)}:
                if layer is not None:
                    found.setdefault((finding.code, layer), number)
    return found


def _cells(index: int, row: LayerRow) -> Sequence[_Cell]:
    size = None if row.shape is None else float(math.prod(row.shape))
    return (
        _Cell(str(index), float(index)),
        _Cell(row.name),
        _Cell(row.kind),
        _Cell("" if row.shape is None else "x".join(map(str, row.shape)), size),
        _Cell(row.scheme or ""),
        _number(row.gain),
        _Cell("none" if row.activation == "identity" else row.activation or ""),
        *map(_number, (row.forward_std, row.forward_ratio, row.gradient_std, row.gradient_ratio)),
    )


def _number(value: float | None) -> _Cell:
    return _Cell(middle([value], 3), value)
