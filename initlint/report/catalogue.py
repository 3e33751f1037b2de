"""The rules as a table, and one rule's documentation as a terminal shows it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["documentation", "table"]

_COLORS = {"error": "red", "warning": "yellow", "advice": "cyan"}

NARROW = 110
"""Below so many columns a rule's summary goes under its name."""


def table(entries: Sequence[Mapping[str, Any]], *, width: int | None, color: bool) -> str:
    """Rules as ``initlint.rulebook.catalogue`` has them; without a width, for a pipe, one line each."""
    if width is None:
        longest = max((len(entry["name"]) for entry in entries), default=0)
        return "".join(
            f"{entry['code']}  {entry['name']:<{longest}}  {_severity(entry):<16}  {_fix(entry):<3}"
            f"  {entry['summary']}\n"
            for entry in entries
        )
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    wide = width >= NARROW
    for title in ("code", "rule", "severity", "looks at", "fix", "what it finds") if wide else ("code", "rule"):
        grid.add_column(title, no_wrap=wide and title in ("code", "rule", "severity"), overflow="fold")
    for entry in entries:
        severity = Text(_severity(entry), _COLORS[entry["severity"]])
        name, needs, summary = Text(entry["name"], "bold"), Text(", ".join(entry["needs"])), Text(entry["summary"])
        if wide:
            grid.add_row(entry["code"], name, severity, needs, _fix(entry), summary)
        else:
            fix = f", {_fix(entry)}" if entry["fixable"] else ""
            grid.add_row(entry["code"], Text.assemble(name, "  ", severity, fix, "\n", summary))
    return _printed(grid, width, color)


def documentation(text: str, *, width: int, color: bool) -> str:
    """What ``initlint.rulebook.explanation`` gives, a headline and Markdown, as a terminal of that width shows it."""
    from rich.console import Group
    from rich.markdown import Markdown
    from rich.text import Text

    head, _, body = text.partition("\n")
    page = Markdown(body, hyperlinks=False, code_theme="ansi_dark")
    return _printed(Group(Text(head, "bold"), "", page), min(width, 100), color)


def _severity(entry: Mapping[str, Any]) -> str:
    """The default severity, and the one that a finding may be raised to."""
    severity: str = entry["severity"]
    return severity if entry["highest"] == severity else f"{severity} ({entry['highest']})"


def _fix(entry: Mapping[str, Any]) -> str:
    return "fix" if entry["fixable"] else ""


def _printed(what: RenderableType, width: int, color: bool) -> str:
    from rich.console import Console

    out = io.StringIO()
    console = Console(
        file=out, width=width, force_terminal=color, color_system="standard" if color else None, no_color=not color,
        legacy_windows=False, highlight=False, markup=False, emoji=False,
    )  # fmt: skip
    console.print(what)
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())
