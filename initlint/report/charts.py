"""Std of signal and gradient over a model's depth, drawn by matplotlib: SVG for pages, PNG for notebooks.

A layer's name never goes through matplotlib, which would read ``$`` as mathematics: names are added to the SVG's tree
as hover titles afterwards.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree

from initlint.printable import printable
from initlint.report.table import middle

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from initlint.result import LayerRow

__all__ = ["Chart", "charts", "compared", "png", "svg"]

_SVG = "http://www.w3.org/2000/svg"
_SIZE = (5.6, 3.0)
"""Inches: legible both on a phone's width and on half a screen's."""
_DECADES = 2.0
"""The axis spans at least so many powers of ten, as the sparklines do: what moves by less is to look level."""
_MOST_DOTS = 200
"""Models of more layers get smaller dots."""

_PAPER = {
    "ink": "#222222",
    "rule": "#dddddd",
    "signal": "#2a78d6",
    "total": "#15803d",
    "gradient": "#c2570c",
    "before": "#c2570c",
    "after": "#2a78d6",
}
_STAND_INS = {role: f"#0a0b{index:02x}" for index, role in enumerate(_PAPER, 12)}
"""Colours by their role: those of a PNG, and those that stand for the page's own while an SVG is drawn."""


class Series(NamedTuple):
    """One line of a chart: its name, the role of its colour, and a figure or None for each layer."""

    label: str
    role: str
    values: tuple[float | None, ...]


class Chart(NamedTuple):
    """Figures over depth: each series has one for each of ``names``. ``alternative`` says in words what it shows."""

    title: str
    names: tuple[str, ...]
    series: tuple[Series, ...]
    alternative: str

    @property
    def marks(self) -> str:
        """What the marks at the edges mean, "" where there are none."""
        kinds = {_kind(value) for each in self.series for value in each.values if value is not None}
        said = {"zero": "triangle: exactly 0", "infinite": "cross: not finite"}
        return ", ".join(meaning for kind, meaning in said.items() if kind in kinds)


def charts(rows: Sequence[LayerRow]) -> list[Chart]:
    """The charts of a model's table; one of which no layer has a figure is left out."""
    names = tuple(row.name for row in rows)
    signal = Series("across the batch", "signal", tuple(row.forward_std for row in rows))
    total = Series("over all values", "total", tuple(row.total_std for row in rows))
    gradient = Series("(loss by output)", "gradient", tuple(row.gradient_std for row in rows))
    found = []
    for title, every in (("Signal std over depth", (signal, total)), ("Gradient std over depth", (gradient,))):
        series = tuple(each for each in every if any(value is not None for value in each.values))
        if series:
            found.append(Chart(title, names, series, _in_words(title, names, series[0].values)))
    return found


def compared(before: Sequence[LayerRow], after: Sequence[LayerRow]) -> list[Chart]:
    """As ``charts``, of one model before and after its parameters were written anew: both in one chart."""
    names = tuple(row.name for row in before)
    second = {row.name: row for row in after}
    pairs = [(row, second.get(row.name)) for row in before]
    found = []
    for title, figure in (("Signal std over depth", "forward_std"), ("Gradient std over depth", "gradient_std")):
        series = (
            Series("before", "before", tuple(getattr(row, figure) for row, _ in pairs)),
            Series("after", "after", tuple(None if row is None else getattr(row, figure) for _, row in pairs)),
        )
        if all(any(value is not None for value in each.values) for each in series):
            said = [_in_words(f"{title}, {each.label}", names, each.values) for each in series]
            found.append(Chart(title, names, series, " ".join(said)))
    return found


def _in_words(title: str, names: Sequence[str], values: Sequence[float | None]) -> str:
    """What the line shows, for somebody who does not see it."""
    there = [(value, printable(name)) for name, value in zip(names, values, strict=True) if value is not None]
    said = [f"{title}, {len(there)} layers: {_short(there[0][0])} at {there[0][1]}"]
    if len(there) > 1:
        said.append(f"{_short(there[-1][0])} at {there[-1][1]}")
    finite = [pair for pair in there if math.isfinite(pair[0])]
    if len(finite) > 2:
        for word, (value, name) in (("least", min(finite)), ("largest", max(finite))):
            said.append(f"{word} {_short(value)} at {name}")
    if len(finite) < len(there):
        said.append(f"not finite at {len(there) - len(finite)}")
    return ", ".join(said) + "."


def svg(chart: Chart, prefix: str) -> str:
    """The chart as an ``<svg>`` element to be put into a page; its ids begin with ``prefix``.

    Each point has a hover title with the layer's name. Colours are CSS variables (--rule, --signal, --total,
    --gradient, --before, --after) with a default, and the color of the text around it.
    """
    from matplotlib import rc_context

    out = io.BytesIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": prefix}):
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        _drawn([[chart]], _STAND_INS).savefig(out, format="svg", transparent=True, metadata=nothing)
    root = ElementTree.fromstring(out.getvalue())
    _plain(root, prefix)
    for series in chart.series:
        _name_points(root, series, chart.names)
    for attribute in ("width", "height"):
        root.attrib.pop(attribute)
    title = ElementTree.Element("title", {"id": f"{prefix}-title"})
    title.text = chart.alternative
    root.insert(0, title)
    root.attrib.update({"xmlns": _SVG, "role": "img", "aria-labelledby": f"{prefix}-title"})
    text = ElementTree.tostring(root, encoding="unicode")
    for role, color in _STAND_INS.items():
        text = text.replace(color, "currentColor" if role == "ink" else f"var(--{role}, {_PAPER[role]})")
    return text


def png(models: Iterable[tuple[str, Sequence[LayerRow]]]) -> bytes | None:
    """The charts of models (name, table) as a PNG, a line of charts for each; None where nothing was measured."""
    lines = []
    for name, rows in models:
        line = [chart._replace(title=f"{printable(name)}\n{chart.title}") for chart in charts(rows)]
        lines += [line] if line else []
    if not lines:
        return None
    out = io.BytesIO()
    _drawn(lines, _PAPER, titled=True).savefig(out, format="png", dpi=150, facecolor="white")
    return out.getvalue()


def _drawn(lines: Sequence[Sequence[Chart]], colors: Mapping[str, str], *, titled: bool = False) -> Figure:
    from matplotlib.figure import Figure  # without pyplot, which would choose a window system

    columns = max(map(len, lines))
    figure = Figure(figsize=(_SIZE[0] * columns, _SIZE[1] * len(lines)), layout="constrained")
    grid = figure.subplots(len(lines), columns, squeeze=False)
    for row, line in enumerate(lines):
        for column in range(columns):
            axes = grid[row][column]
            if column >= len(line):
                axes.set_axis_off()
                continue
            _draw(axes, line[column], colors)
            if titled:
                axes.set_title(line[column].title, fontsize=10, color=colors["ink"], parse_math=False)
    return figure


def _draw(axes: Axes, chart: Chart, colors: Mapping[str, str]) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(
        lambda value, _: f"{value:g}" if 0.01 <= value <= 100 else f"1e{math.log10(value):.0f}"
    )
    axes.yaxis.set_minor_formatter(lambda *_: "")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_facecolor("none")
    axes.grid(axis="y", color=colors["rule"], linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(colors["rule"])
    axes.tick_params(which="both", length=0, labelcolor=colors["ink"], labelsize=11)
    axes.set_xlabel("layer", fontsize=11, color=colors["ink"])
    size = 2 * _radius(chart.names)
    for series in chart.series:
        color = colors[series.role]
        for kind, (x, y) in _points(series).items():
            marker, edge = _MARKS[kind]
            marker = _EARLIER if series.role == "before" and edge is None else marker
            (line,) = axes.plot(x, y, marker, color=color, markersize=size if edge is None else 7, linewidth=1.4)
            line.set_gid(f"{series.role}-{kind}")
            if edge is not None:  # a place on a logarithmic axis that is none: its lower or upper edge
                line.set_transform(axes.get_xaxis_transform())
                line.set_ydata([edge] * len(x))
    if len(chart.series) > 1:
        handles = [
            axes.plot([], [], _EARLIER if each.role == "before" else "o-", color=colors[each.role], markersize=4.5)[0]
            for each in chart.series
        ]
        labels = [each.label for each in chart.series]
        axes.legend(
            handles,
            labels,
            loc="lower right",
            bbox_to_anchor=(1, 1),
            ncols=len(labels),
            frameon=False,
            borderaxespad=0,
            fontsize=11,
            labelcolor=colors["ink"],
        )
    axes.set_ylim(*_limits(chart))
    axes.set_xlim(0.5 - 0.01 * len(chart.names), 0.5 + 1.01 * len(chart.names))


def _radius(names: Sequence[str]) -> float:
    """Of a point, in units of 1/72 inch."""
    return 2.25 if len(names) <= _MOST_DOTS else 1.0


_MARKS: dict[str, tuple[str, float | None]] = {"value": ("o-", None), "zero": ("v", 0.03), "infinite": ("x", 0.97)}
"""How points are marked: those with a place on the axis, exact zeros, and what is not finite."""


_EARLIER = "o--"
"""What was before is dashed, for those who cannot tell its colour."""


def _kind(value: float) -> str:
    return "infinite" if not math.isfinite(value) else "value" if value > 0 else "zero"


def _points(series: Series) -> dict[str, tuple[list[int], list[float]]]:
    """The points of a series, by kind: layers, counted from 1, and values."""
    found: dict[str, tuple[list[int], list[float]]] = {}
    for index, value in enumerate(series.values, 1):
        if value is not None:
            x, y = found.setdefault(_kind(value), ([], []))
            x.append(index)
            y.append(value)
    return found


def _limits(chart: Chart) -> tuple[float, float]:
    """The ends of the axis, with some room at both."""
    logs = [math.log10(value) for each in chart.series for value in each.values if value and _kind(value) == "value"]
    low, high = (min(logs), max(logs)) if logs else (-1.0, 1.0)
    spare = max(0.0, _DECADES - (high - low)) / 2 + 0.07 * max(_DECADES, high - low)
    return 10 ** max(low - spare, -307.0), 10 ** min(high + spare, 307.0)


def _plain(root: ElementTree.Element, prefix: str) -> None:
    """Take namespaces and metadata away, and make ids the figure's own, so that several fit into one page."""
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        for key in list(element.attrib):
            value = element.attrib.pop(key)
            if key == "id":
                value = f"{prefix}-{value}"
            element.attrib[key.rpartition("}")[2]] = value.replace("url(#", f"url(#{prefix}-")
        if element.get("href", "").startswith("#"):
            element.attrib["href"] = f"#{prefix}-{element.attrib['href'][1:]}"
        if element.tag == "text":
            element.attrib["style"] = re.sub(r"font-family: [^;]*;", "", element.get("style", ""))
    for parent in [root, *root.findall("defs")]:
        for unwanted in [each for each in parent if each.tag in ("metadata", "style")]:
            parent.remove(unwanted)


def _name_points(root: ElementTree.Element, series: Series, names: Sequence[str]) -> None:
    """Give each point of a series its hover title; its colour stands with the group, once for all points."""
    for kind, (layers, values) in _points(series).items():
        group = next(each for each in root.iter("g") if each.get("id", "").endswith(f"-{series.role}-{kind}"))
        for mark, layer, value in zip(list(group.iter("use")), layers, values, strict=True):
            group.attrib["style"] = mark.attrib.pop("style")
            if kind == "value":  # a browser makes a tree of its own for each <use>, and there may be thousands
                mark.tag = "circle"
                mark.attrib = {"cx": mark.attrib["x"], "cy": mark.attrib["y"], "r": f"{_radius(names):g}"}
            title = ElementTree.SubElement(mark, "title")
            title.text = f"{printable(names[layer - 1])}: {_short(value)} {series.label}"


def _short(value: float) -> str:
    return middle([value], 3)
