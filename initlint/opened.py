"""A file that was opened: its source, what its comments silence, and its places as a reader of reports finds them."""

from __future__ import annotations

import functools
import io
import os
import re
import tokenize
from collections.abc import Sequence
from typing import TYPE_CHECKING

from initlint.record import record, replace
from initlint.regex import pattern
from initlint.source.reader import might_matter
from initlint.source.text.files import MAX_BYTES, MAX_NOTEBOOK_BYTES, NOTEBOOK, FileTooLarge, load
from initlint.source.text.suppression import Suppressions, may_silence, may_skip_file
from initlint.source.text.suppression import read as read_suppressions

if TYPE_CHECKING:
    from initlint.location import Location
    from initlint.source.text.notebook import Notebook

__all__ = ["STDIN", "File", "defines", "loaded", "opened", "shown_path"]

STDIN = "-"


@record(frozen=True, slots=True)
class File:
    """A file that was read: its bytes, and the models that reading found in it.

    The bytes of a ``notebook`` are those of its code.
    """

    data: bytes
    roots: tuple[str, ...] = ()
    trains_at_import: bool = False
    notebook: Notebook | None = None

    @property
    def suppressions(self) -> Suppressions:
        """What its comments silence; they are read when somebody asks."""
        return _suppressions(self.data)

    @property
    def skipped(self) -> bool:
        """Whether a comment silences the whole file."""
        return may_skip_file(self.data) and self.suppressions.skip_file

    @property
    def commented(self) -> bool:
        """Whether some comment may silence something."""
        return may_silence(self.data)

    def shown(self, where: Location) -> Location:
        """A place in this file as reports give it: the path as ``shown_path`` has it, in a notebook cell and line."""
        if self.notebook is not None:
            where = self.notebook.place(where)
        return replace(where, path=shown_path(where.path))

    def line(self, number: int) -> str | None:
        """A line of ``data`` as its author sees it, None where it cannot be had."""
        lines = self.notebook.lines if self.notebook is not None else _lines(self.data)
        return lines[number - 1] if 0 < number <= len(lines) else None


@functools.lru_cache(maxsize=2)  # making the tokens of a file takes about as long as reading it
def _suppressions(data: bytes) -> Suppressions:
    return read_suppressions(data)


@functools.lru_cache(maxsize=2)  # findings come file by file, and in some files there are thousands
def _lines(data: bytes) -> Sequence[str]:
    """The lines of a file's text, none where it cannot be decoded."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return io.TextIOWrapper(io.BytesIO(data), encoding).readlines()
    except (SyntaxError, UnicodeError):
        return ()


def loaded(path: str, most: int) -> bytes:
    """The bytes of the file of that path, of a notebook also those of its pictures.

    ``most`` bounds the bytes of source. Raises OSError, FileTooLarge.
    """
    return load(path, MAX_NOTEBOOK_BYTES if path.endswith(NOTEBOOK) else most)


def opened(path: str, data: bytes, most: int = MAX_BYTES) -> File:
    """The file of that path and those bytes, a notebook turned into its code.

    Raises SourceError for what is no notebook, FileTooLarge for one whose code has more than ``most`` bytes.
    """
    if not path.endswith(NOTEBOOK):
        return File(data)
    if not might_matter(data):
        return File(b"")
    from initlint.source.text.notebook import read

    notebook = read(data)
    if len(notebook.code) > most:
        raise FileTooLarge(most)
    return File(notebook.code, notebook=notebook)


def shown_path(path: str) -> str:
    """A path as reports give it: relative to the working directory where it lies below it, else absolute."""
    if path == STDIN:
        return path
    here, full = os.getcwd(), os.path.abspath(path)
    if not full.startswith(os.path.join(here, "")):
        return full
    return os.path.relpath(full, here).replace(os.sep, "/")


_DYNAMIC = pattern(rb"import\s*\(?\s*\*|\b(?:__getattr__|globals|vars|exec|setattr)\b|\bmodules\s*\[")


def defines(data: bytes, name: str) -> bool:
    """Whether a file may bind a name (of a dotted one, its first part) at module level; True where that is open."""
    first = name.partition(".")[0]
    if _DYNAMIC.search(data) or re.search(rb"\bglobal\b[^\n]*" + re.escape(first.encode()), data):
        return True
    import symtable

    try:
        symbols = symtable.symtable(data.decode(tokenize.detect_encoding(io.BytesIO(data).readline)[0]), "", "exec")
        symbol = symbols.lookup(first)
    except KeyError:
        return False
    except (SyntaxError, ValueError, LookupError, RecursionError, MemoryError):
        return True
    return symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
