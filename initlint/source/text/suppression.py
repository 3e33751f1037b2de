"""Comments that silence findings: ``# initlint: ignore[CODE]``, ``# noqa: CODE``, ``# initlint: skip-file``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from initlint.record import field, record

__all__ = ["Suppressions", "may_silence", "may_skip_file", "read", "silencing_too"]

_MARKERS = (b"initlint:", b"noqa")
_SKIPS = b"skip-file"
_CODE = r"[A-Za-z]+[0-9]+"
_CODES = rf"{_CODE}(?:[\s,]+{_CODE})*"
# Compiled when first used, since few files hold a marker.
_SKIP = r"#\s*initlint:\s*skip-file\b"
_IGNORE = rf"#\s*initlint:\s*ignore(?![\w-])(?:\s*\[\s*(?P<codes>{_CODES})?\s*,?\s*(?P<end>\])?)?"
_NOQA = rf"(?i:#\s*noqa)(?![\w-])(?P<colon>\s*:\s*(?P<codes>{_CODES})?)?"


@record(frozen=True, slots=True)
class Suppressions:
    """What the comments of one file silence.

    ``codes`` maps a line to the codes silenced there, None standing for all, ``columns`` to where its comment begins
    and ends. ``statements`` maps a line to the first line of the statement it belongs to, for statements of several
    lines.
    """

    skip_file: bool = False
    codes: Mapping[int, frozenset[str] | None] = field(default_factory=dict)
    columns: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    statements: Mapping[int, int] = field(default_factory=dict)

    def silencing(self, code: str, line: int) -> int | None:
        """The line of the comment that silences a finding of ``code`` at ``line``; None where there is none.

        It stands there or on the first line of the statement; 0 stands for a comment that silences the whole file.
        """
        if self.skip_file:
            return 0
        for each in (line, self.statements.get(line, line)):
            if each in self.codes:
                codes = self.codes[each]
                if codes is None or code in codes:
                    return each
        return None


def may_silence(data: bytes) -> bool:
    """Whether a file's bytes hold what such a comment begins with, in a comment or elsewhere."""
    lowered = data.lower()
    return any(marker in lowered for marker in _MARKERS)


def may_skip_file(data: bytes) -> bool:
    """The same of a comment that silences the whole file."""
    return _SKIPS in data


def read(data: bytes) -> Suppressions:
    """The suppressions in a file's bytes; text in strings is none.

    Tokens are only made if a marker is there at all. Of a file that cannot be tokenised to its end, what
    stands before the fault counts.
    """
    if not may_silence(data):
        return Suppressions()
    import io
    import tokenize

    skip_file = False
    codes: dict[int, frozenset[str] | None] = {}
    columns: dict[int, tuple[int, int]] = {}
    statements: dict[int, int] = {}
    first: int | None = None
    blank = {tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING}
    try:
        for token in tokenize.tokenize(io.BytesIO(data).readline):
            if token.type == tokenize.COMMENT:
                skip_file = skip_file or re.search(_SKIP, token.string) is not None
                silenced = _silenced(token.string)
                if silenced is None or silenced:
                    codes[token.start[0]] = silenced
                    columns[token.start[0]] = token.start[1] + 1, token.end[1] + 1
            if token.type == tokenize.NEWLINE:
                if first is not None and first != token.start[0]:
                    statements.update(dict.fromkeys(range(first, token.start[0] + 1), first))
                first = None
            elif first is None and token.type not in blank:
                first = token.start[0]
    except (tokenize.TokenError, SyntaxError):
        pass
    return Suppressions(skip_file, codes, columns, statements)


def _silenced(comment: str) -> frozenset[str] | None:
    """The codes that one comment silences, None for all, empty for none."""
    found: set[str] = set()
    for match in re.finditer(_IGNORE, comment):
        if match["codes"] is None and "[" not in match[0]:
            return None
        if match["codes"] and match["end"]:
            found.update(_split(match["codes"]))
    for match in re.finditer(_NOQA, comment):
        if match["colon"] is None:
            return None
        if match["codes"]:
            found.update(_split(match["codes"]))
    return frozenset(found)


def silencing_too(comment: str, code: str) -> str:
    """A comment, "" for none, that silences ``code`` besides what it silences and says."""
    for pattern in (_NOQA, _IGNORE):
        for match in re.finditer(pattern, comment):
            if match["codes"]:
                return f"{comment[: match.end('codes')]}, {code}{comment[match.end('codes') :]}"
    return f"{comment}{'  ' if comment else ''}# noqa: {code}"


def _split(codes: str) -> list[str]:
    return [code.upper() for code in re.split(r"[\s,]+", codes)]
