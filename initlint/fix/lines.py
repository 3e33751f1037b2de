"""A text by its lines, as Python counts them: offsets, lines and columns."""

from __future__ import annotations

import bisect
import re

from initlint.location import Location

__all__ = ["Lines"]

_NEWLINE = re.compile(r"\r\n|\r|\n")


class Lines:
    """Where lines start; offsets count code points from the start of the text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.starts = [0, *(match.end() for match in _NEWLINE.finditer(text))]
        self._newline = found.group() if (found := _NEWLINE.search(text)) is not None else "\n"

    def offset(self, line: int, column: int) -> int:
        """The offset of a 1-based line and a 0-based column; the end of the text for a line after it."""
        return self.starts[line - 1] + column if line <= len(self.starts) else len(self.text)

    def offset_in_bytes(self, line: int, column: int) -> int:
        """As ``offset``, of a column that counts bytes of UTF-8, as ``ast`` does."""
        start = self.offset(line, 0)
        text = self.text[start : self.end_of(start)]
        if text.isascii():
            return start + column
        return start + len(text.encode("utf-8", "surrogatepass")[:column].decode("utf-8", "ignore"))

    def place(self, start: int, end: int, path: str, cell: int | None = None) -> Location:
        """The place of a span of offsets."""
        first, last = self._line(start), self._line(end)
        return Location(
            path, first + 1, start - self.starts[first] + 1, last + 1, end - self.starts[last] + 1, cell=cell
        )

    def start_of(self, offset: int) -> int:
        """Where the line of an offset starts."""
        return self.starts[self._line(offset)]

    def end_of(self, offset: int) -> int:
        """Where the line after that of an offset starts; the end of the text where there is none."""
        line = self._line(offset) + 1
        return self.starts[line] if line < len(self.starts) else len(self.text)

    def newline(self, offset: int) -> str:
        """How the line of an offset ends; of the last line without an end, how the first does."""
        found = _NEWLINE.search(self.text, offset)
        return found.group() if found is not None else self._newline

    def _line(self, offset: int) -> int:
        return bisect.bisect_right(self.starts, offset) - 1
