"""Where something stands in a file: shared by facts (what was seen) and findings (what is said)."""

from __future__ import annotations

from initlint.record import record


@record(frozen=True, slots=True, order=True)
class Location:
    """A span of source text.

    Lines and columns are 1-based, columns count code points, ends are exclusive. ``end_line`` and
    ``end_column`` are None where only the start is known (a frame of Python 3.10, for instance).
    ``cell`` is the 1-based number of a notebook's cell, counted over all its cells, text among them; lines are then
    relative to the cell.
    """

    path: str
    line: int
    column: int = 1
    end_line: int | None = None
    end_column: int | None = None
    cell: int | None = None

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" if self.cell is None else f"{self.path}:cell {self.cell}:{self.line}"
