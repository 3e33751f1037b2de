"""What an editor may offer to do about findings: to mend them, by the engine behind ``--fix``, or to silence them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator

from lsprotocol import types
from pygls.workspace import ServerTextPosition, TextDocument

from initlint.findings import Finding
from initlint.location import Location
from initlint.server.documents import Opened, lines_of, span
from initlint.server.silencing import silencing

__all__ = ["FIX_ALL", "Found", "fix", "fix_all", "silence"]

FIX_ALL = f"{types.CodeActionKind.SourceFixAll.value}.initlint"

Found = Callable[[str], Iterable[Finding]]
"""What is found in a text that takes the place of the one that is open."""


def fix(opened: Opened, finding: Finding) -> list[types.TextEdit] | None:
    """The edits that mend one finding and change nothing else; None where there are none."""
    from initlint.fix.rounds import with_edits

    text = opened.text(finding)
    (mended,) = with_edits(text.source, [finding], verified=True)
    if mended.fix is None or mended.fix.edits is None:
        return None
    return [types.TextEdit(span(text, edit.location), edit.text) for edit in mended.fix.edits]


def fix_all(opened: Opened, found: Found) -> list[types.TextEdit] | None:
    """The edits that make all safe fixes, and those that are safe then, of a file that is no notebook."""
    from initlint.fix.rounds import mend

    (text,) = opened.texts
    outcome = mend(text.source, found, unsafe=False)
    return list(_differences(text, outcome.text)) or None


def silence(opened: Opened, finding: Finding) -> list[types.TextEdit] | None:
    """The edit that adds a comment by which a finding is passed over; None where none can stand."""
    where, text = finding.location, opened.text(finding)
    added = None if where is None else silencing(text.source, finding.code, where.line)
    if where is None or added is None:
        return None
    place = Location(where.path, added.line, added.column, added.line, added.end_column)
    return [types.TextEdit(span(text, place), added.text)]


def _differences(text: TextDocument, after: str) -> Iterator[types.TextEdit]:
    """The lines of a text that another one has instead."""
    before = text.lines
    new = lines_of(after)

    def start(line: int) -> types.Position:
        if line < len(before) or not before or before[-1].endswith(("\n", "\r")):
            return types.Position(line, 0)
        end = ServerTextPosition(line - 1, len(before[-1]))
        return text.position_codec.position_to_client_units(before, end)

    for tag, first, last, other, other_last in difflib.SequenceMatcher(None, before, new).get_opcodes():
        if tag != "equal":
            yield types.TextEdit(types.Range(start(first), start(last)), "".join(new[other:other_last]))
