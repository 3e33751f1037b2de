"""Where a comment goes that silences a finding: on its line, or on the first line of its statement."""

from __future__ import annotations

import re
from typing import NamedTuple

from initlint.server.documents import encoded
from initlint.source.text.suppression import read, silencing_too

__all__ = ["Insertion", "silencing"]

_LINES = re.compile(r"\r\n|\r|\n")


class Insertion(NamedTuple):
    """What takes the place of a part of one line; line and columns are 1-based and count code points."""

    line: int
    column: int
    end_column: int
    text: str


def silencing(text: str, code: str, line: int) -> Insertion | None:
    """What silences a finding of ``code`` at a line of a source text; None where no comment can stand.

    A comment that silences other codes is added to.
    """
    there = read(encoded(f"{text}\n# noqa"))  # the marker at the end has statements told of a text without any
    for each in dict.fromkeys((line, there.statements.get(line, line))):
        lines = _LINES.split(text)
        found = _on_line(lines[each - 1], there.columns.get(each), code, each)
        if found is None:
            continue
        lines[each - 1] = lines[each - 1][: found.column - 1] + found.text + lines[each - 1][found.end_column - 1 :]
        if read(encoded("\n".join(lines))).silencing(code, line) == each:  # and not a line within a string
            return found
    return None


def _on_line(line: str, comment: tuple[int, int] | None, code: str, number: int) -> Insertion | None:
    if comment is not None:
        start, end = comment
        return Insertion(number, start, end, silencing_too(line[start - 1 : end - 1], code))
    bare = line.rstrip()
    if bare.endswith("\\"):
        return None
    return Insertion(number, len(bare) + 1, len(line) + 1, f"  {silencing_too('', code)}")
