"""A Jupyter notebook as one Python source: its code cells one after another, and the way back to cell and line.

What IPython adds to Python is put out of the way without moving a line: ``%magic``, ``!command``, ``name?``,
``x = !command``, cells in another language. Words of a magic stay, as names that are mentioned: a magic may run them.
"""

from __future__ import annotations

import bisect
import json
import keyword
import re
from collections.abc import Iterator
from typing import Any

from initlint.location import Location
from initlint.record import field, record, replace
from initlint.source.text.parsing import SourceError, lines_of, parsed

__all__ = ["Notebook", "read"]

_HEAD = "pass"  # a first line of our own, so that no comment of a cell can pass for a coding line
_PYTHON_MAGICS = frozenset({"capture", "debug", "memit", "prun", "time", "timeit", "wandb"})
"""Magics that run what follows them, in the notebook's own namespace."""
_FOREIGN_MAGICS = frozenset(
    {"!", "bash", "bigquery", "cmd", "file", "html", "javascript", "js", "latex", "markdown", "perl", "pypy", "python"}
    | {"python2", "python3", "R", "ruby", "script", "sh", "sql", "svg", "system", "sx", "writefile"}
)
_TIMED = re.compile(r"%(\w+)[ \t]+(?:-\w+[ \t]+(?:\d+[ \t]+)?)*(?=[^\s-])")
_COMMANDS = r"(?:pip3?|conda|mamba|uv|cd|ls|cat|cp|mkdir|mv|rm)[ \t]+(?!(?:and|else|for|if|in|is|not|or)\b)[\w./~-]"
_ESCAPE = re.compile(rf"([ \t]*)((?:[%!?]|[,;/](?=\w)|{_COMMANDS})(?:[^\n\\]|\\.)*)", re.DOTALL)
_TAKEN = re.compile(r"(?<![=!<>:])=[ \t]*([!%](?:[^\n\\]|\\.)*)", re.DOTALL)
_TOKEN = re.compile(
    r"""(?P<comment>\#[^\n]*)
    |(?P<string>\"\"\"(?:[^\\]|\\.)*?(?:\"\"\"|\Z)|'''(?:[^\\]|\\.)*?(?:'''|\Z)
        |"(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?)
    |(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<line>\n)|(?P<help>\?)|(?P<other>\\.|[^\#"'()\[\]{}\n?\\=]+|.)""",
    re.DOTALL | re.VERBOSE,
)
_WORD = re.compile(r"(\.?)([^\W\d]\w*)")


@record(frozen=True, slots=True)
class Notebook:
    """``code`` is the source that is read in a notebook's stead, ``lines`` the same lines as the notebook has them.

    Of each code cell, in order: ``starts`` holds its first line in ``code``, ``numbers`` its place among all cells of
    the notebook, from 1, and ``indents`` how many columns it was indented as a whole. ``faults`` are the cells that
    Python could not parse, with line and column in the cell; ``code`` is blank there. ``language`` is what the notebook
    says it is written in where that is not Python; then there is no code.
    """

    code: bytes
    lines: tuple[str, ...] = ()
    starts: tuple[int, ...] = ()
    numbers: tuple[int, ...] = ()
    indents: tuple[int, ...] = ()
    faults: tuple[tuple[int, SourceError], ...] = field(default=(), compare=False)
    language: str = ""

    def place(self, where: Location) -> Location:
        """A place in ``code`` as a place in the notebook: cell, and line and column in the cell."""
        if not self.starts:
            return where
        index = max(bisect.bisect_right(self.starts, where.line) - 1, 0)
        before, indent = self.starts[index] - 1, self.indents[index]
        return replace(
            where,
            line=max(where.line - before, 1),
            column=where.column + indent,
            end_line=None if where.end_line is None else max(where.end_line - before, 1),
            end_column=None if where.end_column is None else where.end_column + indent,
            cell=self.numbers[index],
        )


def read(data: bytes) -> Notebook:
    """Read a notebook (format 3 or 4) from its bytes. Raises SourceError for what is none."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        line, column = getattr(error, "lineno", None), getattr(error, "colno", None)
        raise SourceError(f"no notebook: {getattr(error, 'msg', 'not JSON')}", line, column) from None
    cells = _cells(content)
    if cells is None:
        raise SourceError("no notebook: it has no list of cells")
    language = _language(content)
    if language:
        return Notebook(b"", language=language)
    code, shown = [_HEAD], [_HEAD]
    starts, numbers, indents, faults = [], [], [], []
    for number, text in _code_cells(cells):
        lines = lines_of(text)
        plain, indent = _dedented(lines)
        starts.append(len(code) + 1)
        numbers.append(number)
        indents.append(indent)
        shown += lines
        try:
            code += _python("\n".join(plain)).split("\n")
        except SourceError as error:
            faults.append((number, error))
            code += [""] * len(lines)
    return Notebook(
        "\n".join([*code, ""]).encode(), tuple(shown), tuple(starts), tuple(numbers), tuple(indents), tuple(faults)
    )


def _cells(content: Any) -> list[Any] | None:
    """Every cell of a notebook, those of format 3 from all its worksheets; None where there is no list of them."""
    if not isinstance(content, dict):
        return None
    cells = content.get("cells")
    if isinstance(cells, list):
        return cells
    sheets = content.get("worksheets")
    if not isinstance(sheets, list):
        return None
    lists = [sheet["cells"] for sheet in sheets if isinstance(sheet, dict) and isinstance(sheet.get("cells"), list)]
    return [cell for cells in lists for cell in cells]


def _language(content: dict[str, Any]) -> str:
    """The language that a notebook names, "" for Python or none."""
    metadata = content.get("metadata")
    for key, name in (("language_info", "name"), ("kernelspec", "language")):
        about = metadata.get(key) if isinstance(metadata, dict) else None
        language = about.get(name) if isinstance(about, dict) else None
        if isinstance(language, str) and language:
            return "" if "python" in language.lower() else language
    return ""


def _code_cells(cells: list[Any]) -> Iterator[tuple[int, str]]:
    """Number and text of each code cell in Python."""
    for number, cell in enumerate(cells, 1):
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        text = cell.get("source", cell.get("input"))
        if isinstance(text, list) and all(isinstance(part, str) for part in text):
            text = "".join(text)
        metadata = cell.get("metadata")
        editor = metadata.get("vscode") if isinstance(metadata, dict) else None
        language = editor.get("languageId") if isinstance(editor, dict) else cell.get("language")
        if isinstance(text, str) and (not isinstance(language, str) or "python" in language.lower()):
            yield number, text


def _dedented(lines: list[str]) -> tuple[list[str], int]:
    """A cell without the indentation of its first line, which IPython takes off every line that has it."""
    first = next((line for line in lines if line.strip()), "")
    indent = first[: len(first) - len(first.lstrip(" \t"))]
    return [line.removeprefix(indent) for line in lines], len(indent)


def _python(text: str) -> str:
    """A cell's text as Python, line for line. Raises SourceError where it is neither Python nor IPython."""
    if not text.strip():
        return text
    try:
        parsed(text, "")
        return text
    except SourceError:
        pass
    before = ""
    while True:
        body = text.lstrip()
        before += "\n" * (text.count("\n") - body.count("\n"))
        magic = re.match(r"%%([!\w]*)[^\n]*", body)
        if magic is None:
            break
        if magic[1] not in _PYTHON_MAGICS:
            return before + ("\n" * body.count("\n") if magic[1] in _FOREIGN_MAGICS else _mentioned(body, ""))
        text = body[magic.end() :]
    python = before + _without_magics(body)
    try:
        parsed(python, "")
    except SourceError:
        if not body.startswith("%"):
            raise
        return before + _mentioned(body, "")  # some services take the whole cell for the magic's
    return python


def _without_magics(text: str) -> str:
    """Python and IPython mixed, with IPython's statements replaced."""
    pieces: list[str] = []
    position, depth, begun = 0, 0, None
    mark = 0
    while position < len(text):
        if begun is None:
            escape = _ESCAPE.match(text, position)
            if escape is not None:
                pieces.append(_replaced(escape[1], escape[2]))
                position = escape.end()
                if position >= len(text):
                    break
            begun, mark = position, len(pieces)
        taken = _TAKEN.match(text, position) if depth == 0 else None
        if taken is not None:  # what a command or a magic returns is not known
            pieces.append("= get_ipython()" + "\n" * taken[0].count("\n"))
            position = taken.end()
            continue
        token = _TOKEN.match(text, position)
        assert token is not None
        kind, position = token.lastgroup, token.end()
        pieces.append(token[0])
        if kind == "open":
            depth += 1
        elif kind == "close":
            depth = max(depth - 1, 0)
        elif kind == "line" and depth == 0:
            begun = None
        elif kind == "help" and depth == 0:
            position = text.find("\n", position)
            position = len(text) if position < 0 else position
            del pieces[mark:]
            line = text[begun:position]
            indent = line[: len(line) - len(line.lstrip(" \t"))]
            pieces.append(indent + "pass" + "\n" * line.count("\n"))
    return "".join(pieces)


def _replaced(indent: str, statement: str) -> str:
    """What stands for one line of IPython's own."""
    if not statement.startswith("%"):
        return f"{indent}pass" + "\n" * statement.count("\n")
    timed = _TIMED.match(statement)
    if timed is not None and timed[1] in _PYTHON_MAGICS:
        code = "if 1:".ljust(timed.end()) + statement[timed.end() :]
        try:
            parsed(code, "")
            return indent + code
        except SourceError:
            pass
    return _mentioned(statement, indent)


def _mentioned(text: str, indent: str) -> str:
    """A statement that mentions every name in a text and does nothing else, over as many lines."""
    words = [
        f"_.{word}" if dot else word
        for dot, word in dict.fromkeys(_WORD.findall(text))
        if word.isidentifier() and not keyword.iskeyword(word)
    ]
    return indent + (f"({', '.join(words)},)" if words else "pass") + "\n" * text.count("\n")
