"""A suggestion for people: the profile without and with the function side by side, and what became of the findings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from initlint.printable import printable
from initlint.report.sheet import Sheet
from initlint.report.table import FOLD_ABOVE, middle, span

if TYPE_CHECKING:
    from initlint.proposal import Suggestion
    from initlint.result import LayerRow, Report

__all__ = ["told"]

_NUMBER = re.compile(r"\d+")
_LONGEST_NAME, _SHORTEST_NAME = 36, 14
_FIGURES = 40
"""So many columns the four figures of a layer take, with what is between them."""


def told(suggestion: Suggestion, width: int | None = None) -> str:
    """Everything but the function: what was found, both profiles, what is left alone, and what to delete.

    ``width`` is the terminal's, None where it goes to a pipe or a file.
    """
    if suggestion.status == "failed":
        return ""
    sheet = Sheet(color=False, width=width)
    target = printable(suggestion.target)
    (model,) = suggestion.before.models
    batch = f"probed on {printable(model.batch)}" if model.batch else "not probed"
    if suggestion.status == "fine":
        said = f"{target}: fine as it is ({batch}): nothing at warning or above, and no function to suggest"
        return sheet.wrapped(text=said) + "\n"
    assert suggestion.after is not None
    room = _LONGEST_NAME if sheet.width is None else max(_SHORTEST_NAME, sheet.width - _FIGURES)
    profile = _profile(model.layers, suggestion.after.models[0].layers, min(room, _LONGEST_NAME))
    lines = [*_findings("before", suggestion.before), *_findings("after", suggestion.after), "", *_verdict(suggestion)]
    for what, why in suggestion.kept:
        lines.append(f"left alone: {printable(what)} ({printable(why)})")
    if suggestion.status == "suggested" and suggestion.replaces:
        places = ", ".join(map(str, suggestion.replaces))
        lines.append(f"it takes the place of: {printable(places)}")
    head = sheet.wrapped(text=f"{target}, {batch}: before -> after init_weights(model)")
    return "".join(f"{line}\n" for line in [head, "", *profile, "", *(sheet.wrapped(text=line) for line in lines)])


def _verdict(suggestion: Suggestion) -> Iterator[str]:
    if suggestion.status == "suggested":
        yield f"proven: {', '.join(suggestion.mended) or 'some findings'} gone, nothing new"
        if suggestion.remaining:
            yield f"not mended by any initial values, or not by these: {', '.join(suggestion.remaining)}"
    elif suggestion.new:
        yield f"no function to suggest: the one tried brings {', '.join(suggestion.new)}"
    else:
        yield f"no function to suggest: {', '.join(suggestion.remaining)} would remain, whatever the initial values"


def _findings(when: str, report: Report) -> Iterator[str]:
    if not report.serious:
        yield f"{when}: nothing at warning or above"
    for finding in report.serious:
        where = f"{printable(str(finding.location))}: " if finding.location is not None else ""
        yield f"{when}: {where}{finding.code} [{finding.severity.label}] {printable(finding.message)}"


def _profile(before: Sequence[LayerRow], after: Sequence[LayerRow], room: int) -> list[str]:
    """Standard deviations of signal and gradient, layer by layer; of long models, those of a pattern in one line."""
    second = {row.name: row for row in after}
    pairs = [(row, second[row.name]) for row in before if row.name in second]
    pairs = [pair for pair in pairs if any(row.forward_std is not None for row in pair)]
    groups: dict[str, list[tuple[LayerRow, LayerRow]]] = {}
    for pair in pairs:
        name = pair[0].name
        groups.setdefault(_NUMBER.sub("*", name) if len(pairs) > FOLD_ABOVE else name, []).append(pair)
    cells = [("layer", "fwd std", "", "", "grad std", "", "")]
    for group in groups.values():
        name = printable(span([first.name for first, _ in group]))
        firsts, seconds = [pair[0] for pair in group], [pair[1] for pair in group]
        cells.append(
            (
                name if len(name) <= room else ".." + name[2 - room :],
                middle([row.forward_std for row in firsts], 3),
                "->",
                middle([row.forward_std for row in seconds], 3),
                middle([row.gradient_std for row in firsts], 3),
                "->",
                middle([row.gradient_std for row in seconds], 3),
            )
        )
    widths = [max(len(row[column]) for row in cells) for column in range(7)]
    return [
        " ".join(
            text.ljust(width) if column in (0, 3, 6) or index == 0 else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for index, row in enumerate(cells)
    ]
