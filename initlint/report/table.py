"""A model's layers as a table: what each draws, what follows it, and what signal and gradient do there.

Long models repeat themselves: past ``FOLD_ABOVE`` rows, sound layers that differ only in the numbers of their names
become one row. A row with a verdict always stands by itself.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from initlint.printable import printable

if TYPE_CHECKING:
    from initlint.result import LayerRow

__all__ = ["FOLD_ABOVE", "middle", "span", "table"]

FOLD_ABOVE = 40
"""A model of at most so many layers is shown layer by layer."""

MOST_SOUND = 30
"""Where folding leaves more sound rows than this, only the first and the last of them are shown."""

SOUND = "ok"

_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of the table: a layer, several alike, or (no members) a remark."""

    name: str
    members: tuple[LayerRow, ...] = ()


def table(rows: Sequence[LayerRow], *, color: bool, width: int | None) -> str:
    """The rows as text. ``width`` is how many columns there are, None for as many as it takes."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    lines = list(_folded(rows))
    cells = [_cells(line) for line in lines]
    titles, columns = TITLES, tuple(range(len(TITLES)))
    if width is not None and _width(titles, cells, columns) > width:
        titles = (*TITLES[:ACTIVATION], "activ.", *TITLES[ACTIVATION + 1 :])
        columns, cells = _narrowed(titles, lines, cells, width)
    grid = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, header_style="bold" if color else "")
    for column in columns:
        grid.add_column(
            titles[column].replace(" ", "\n"),
            justify="right" if column in _NUMBERS else "left",
            vertical="bottom",
            no_wrap=True,
            overflow="ignore",
            min_width=_widest(column, titles, cells),
        )
    for line, row in zip(lines, cells, strict=True):
        style = "red" if color and line.members and line.members[0].verdict != SOUND else ""
        grid.add_row(*(Text(row[column]) for column in columns), style=style)
    out = io.StringIO()
    Console(
        file=out,
        width=1000,
        force_terminal=color,
        color_system="standard" if color else None,
        no_color=not color,
        legacy_windows=False,
        highlight=False,
        markup=False,
        emoji=False,
    ).print(grid)
    return "".join(line.rstrip() + "\n" for line in out.getvalue().splitlines())


TITLES: tuple[str, ...] = (
    "layer",
    "kind",
    "shape",
    "scheme",
    "gain",
    "activation",
    "fwd std",
    "ratio",
    "grad std",
    "ratio",
    "verdict",
)
NAME, KIND, SHAPE, SCHEME, GAIN, ACTIVATION, VERDICT = 0, 1, 2, 3, 4, 5, 10
FORWARD_RATIO, GRADIENT_RATIO = 7, 9
_NUMBERS = frozenset({GAIN, 6, FORWARD_RATIO, 8, GRADIENT_RATIO})


def _widest(column: int, titles: Sequence[str], cells: Sequence[tuple[str, ...]]) -> int:
    return max(map(len, [*titles[column].split(), *(row[column] for row in cells)]))


def _width(titles: Sequence[str], cells: Sequence[tuple[str, ...]], columns: Iterable[int]) -> int:
    """How many columns of text the table takes."""
    return sum(1 + _widest(column, titles, cells) for column in columns) - 1


def _narrowed(
    titles: Sequence[str], lines: Sequence[_Row], cells: Sequence[tuple[str, ...]], width: int
) -> tuple[tuple[int, ...], list[tuple[str, ...]]]:
    """The table for a narrow terminal: short words, the ends of names, and no column that others tell of too.

    Columns go in the order of ``_DISPENSABLE``, until ``SHORTEST_NAME`` is left for the name.
    """
    short = [_shortened(line, row) for line, row in zip(lines, cells, strict=True)]
    wanted = min(SHORTEST_NAME, max(len(row[NAME]) for row in short))
    for count in range(1, len(_DISPENSABLE) + 1):
        gone = {column for group in _DISPENSABLE[:count] for column in group}
        columns = tuple(column for column in range(len(TITLES)) if column not in gone)
        room = width - _width(titles, short, columns[1:]) - 1
        if room >= wanted:
            break
    room = max(room, SHORTEST_NAME)
    return columns, [(row[NAME] if len(row[NAME]) <= room else ".." + row[NAME][2 - room :], *row[1:]) for row in short]


_DISPENSABLE = ((KIND,), (SHAPE,), (FORWARD_RATIO, GRADIENT_RATIO), (SCHEME,), (ACTIVATION,))
"""Kind and shape are told by the name, ratios by the figures that stand under each other, the scheme by the gain."""

SHORTEST_NAME = 14

_SHORT = {
    "kaiming_uniform": "kaiming_u",
    "kaiming_normal": "kaiming_n",
    "xavier_uniform": "xavier_u",
    "xavier_normal": "xavier_n",
    "lecun_normal": "lecun_n",
    "truncated_normal": "trunc_n",
    "orthogonal": "orthog",
    "uninitialized": "uninit",
}


def _shortened(line: _Row, cells: tuple[str, ...]) -> tuple[str, ...]:
    """The cells of a row in short words and two significant digits."""
    if not line.members:
        return cells
    codes = cells[VERDICT].split()
    family, _, figure = cells[SCHEME].partition(" ")  # "normal 0.02", where the gain tells what the std does
    return (
        cells[NAME].partition(" (")[0],
        cells[KIND],
        cells[SHAPE],
        f"const {figure}" if family == "constant" else _SHORT.get(family, family)[:9],
        *_figures(line.members, digits=2)[:1],
        cells[ACTIVATION][:8],
        *_figures(line.members, digits=2)[1:],
        cells[VERDICT] if len(codes) < 2 else f"{codes[0]} +{len(codes) - 1}",
    )


def _folded(rows: Sequence[LayerRow]) -> Iterator[_Row]:
    if len(rows) <= FOLD_ABOVE:
        for row in rows:
            yield _Row(printable(row.name), (row,))
        return
    groups: dict[tuple[object, ...], list[LayerRow]] = {}
    for index, row in enumerate(rows):
        pattern = _NUMBER.sub("*", row.name)
        key = (pattern, row.kind, row.shape, row.scheme, row.activation)
        groups.setdefault(key if row.verdict == SOUND else (index,), []).append(row)
    kept = [_Row(span([row.name for row in group]), tuple(group)) for group in groups.values()]
    sound = [line for line in kept if line.members[0].verdict == SOUND]
    hidden = sound[MOST_SOUND - 5 : -5] if len(sound) > MOST_SOUND else []
    left_out = {id(line) for line in hidden}
    for line in kept:
        if id(line) not in left_out:
            yield line
        elif line is hidden[0]:
            layers = sum(len(each.members) for each in hidden)
            yield _Row(f"... {layers} sound layers more (--format json lists them)")


def span(names: list[str]) -> str:
    """One name for several: each number that varies becomes its range ("blocks.0-11.attn.qkv (12)")."""
    if len(names) == 1:
        return printable(names[0])
    columns = zip(*(map(int, _NUMBER.findall(name)) for name in names), strict=True)
    spans = iter([(min(column), max(column)) for column in columns])

    def span(_: re.Match[str]) -> str:
        low, high = next(spans)
        return str(low) if low == high else f"{low}-{high}"

    return printable(f"{_NUMBER.sub(span, names[0])} ({len(names)})")


def _cells(line: _Row) -> tuple[str, ...]:
    if not line.members:
        return (line.name, *[""] * (len(TITLES) - 1))
    row = line.members[0]
    gain, *measured = _figures(line.members, digits=3)
    return (
        line.name,
        printable(row.kind),
        "" if row.shape is None else "x".join(map(str, row.shape)),
        printable(row.scheme or ""),
        gain,
        "none" if row.activation == "identity" else printable(row.activation or ""),
        *measured,
        printable(row.verdict),
    )


def _figures(rows: Sequence[LayerRow], digits: int) -> list[str]:
    return [
        middle([row.gain for row in rows], digits),
        middle([row.forward_std for row in rows], digits),
        middle([row.forward_ratio for row in rows], digits),
        middle([row.gradient_std for row in rows], digits),
        middle([row.gradient_ratio for row in rows], digits),
    ]


def middle(values: Sequence[float | None], digits: int) -> str:
    """A figure; of several layers, the median one."""
    there = sorted(value for value in values if value is not None and not math.isnan(value))
    if not there:
        return "nan" if any(value is not None for value in values) else ""
    value = there[len(there) // 2]
    if value == 0 or math.isinf(value):
        return f"{value:g}"
    if 0.001 <= abs(value) < 1000:
        return f"{value:.{digits}g}"
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return f"{mantissa}e{int(exponent)}"
