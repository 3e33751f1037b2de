"""What was asked for, read: what the rules say of files and directories, and the models that are to be built.

A survey gathers what is said of each file, notes and failures, and concludes nothing. Something asked for by name that
cannot be done is a failure; something met on the way is a note. Paths are absolute, so that both front ends give a
place one name.
"""

from __future__ import annotations

import io
import os
import re
import tokenize
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from initlint.engine import ask
from initlint.live.targets import Target, parse
from initlint.record import record
from initlint.source.files import MAX_BYTES, FileTooLarge, load, walk
from initlint.source.reader import Project, SourceError, might_matter, read
from initlint.source.suppression import NOTHING, Suppressions
from initlint.source.suppression import read as read_suppressions

if TYPE_CHECKING:
    from initlint.findings import Finding
    from initlint.location import Location

__all__ = ["STDIN", "Survey", "shown_path"]

STDIN = "-"


def shown_path(path: str) -> str:
    """A path as reports give it: relative to the working directory where it lies below it, else absolute."""
    if path == STDIN:
        return path
    here, full = os.getcwd(), os.path.abspath(path)
    if not full.startswith(os.path.join(here, "")):
        return full
    return os.path.relpath(full, here).replace(os.sep, "/")


_DYNAMIC = re.compile(rb"import\s*\(?\s*\*|\b(?:__getattr__|globals|vars|exec|setattr)\b|\bmodules\s*\[")


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


@record(frozen=True, slots=True)
class File:
    """A file that was read: its bytes, what its comments silence, and the models that reading found in it."""

    data: bytes
    suppressions: Suppressions = NOTHING
    roots: tuple[str, ...] = ()
    trains_at_import: bool = False


class Survey:
    """What was said, notes and failures of one run, in the order of the targets.

    ``models`` are the targets to be built, each with whether it was asked for by name; none in a static run.
    """

    def __init__(self, *, static: bool, codes: frozenset[str]) -> None:
        self.said: list[Finding] = []
        self.notes: list[str] = []
        self.failures: list[str] = []
        self.models: list[tuple[Target, bool]] = []
        self.files: dict[str, File | None] = {}
        self._static = static
        self._codes = codes
        self._project = Project()

    def look_at(self, text: str, *, stdin: Callable[[], bytes] | None, stdin_filename: str | None) -> None:
        """Read what a target names, and note what of it is to be built."""
        try:
            target = parse(text)
        except ValueError as error:
            self.failures.append(str(error))
            return
        if target.kind == "stdin":
            data = stdin() if stdin is not None else b""
            self._read(os.path.abspath(stdin_filename) if stdin_filename else STDIN, data, named=True)
        elif target.kind == "module":
            if self._static:
                self.failures.append(f"{text}: has to be imported, which --static does not do")
            else:
                self.models.append((target, True))
        elif target.path is not None and target.kind == "directory":
            for found in walk(target.path, self.notes.append):
                self._read_file(found, named=False)
        elif target.path is not None:
            file = self._read_file(target.path, named=True)
            if file is not None and not self._static:
                self._plan(target, file)
            elif file is not None and target.name is not None and not defines(file.data, target.name):
                self.failures.append(f"{text}: {shown_path(target.path)} has no {target.name}")

    def _plan(self, target: Target, file: File) -> None:
        """What of a file that was named is to be built."""
        path = target.path or ""
        if target.name is not None:
            self.models.append((target, True))
        elif file.roots and file.trains_at_import:
            self.notes.append(
                f"{shown_path(path)}: was read and not run, for importing it would train; "
                'put the training under `if __name__ == "__main__":` to have its models built'
            )
        else:
            text = shown_path(path)
            self.models.extend((replace(target, text=f"{text}::{root}", name=root), False) for root in file.roots)

    def _read_file(self, path: str, *, named: bool) -> File | None:
        full = os.path.abspath(path)
        if full in self.files:
            return self.files[full]
        say = self.failures.append if named else self.notes.append
        try:
            data = load(path)
        except FileTooLarge:
            self.notes.append(f"{shown_path(path)}: skipped, larger than {MAX_BYTES // 1_000_000} MB")
        except OSError as error:
            say(f"{shown_path(path)}: cannot be read ({error.strerror})")
        else:
            return self._read(full, data, named=named)
        self.files[full] = None
        return None

    def _read(self, path: str, data: bytes, *, named: bool) -> File | None:
        """Take what the rules say of a file's bytes; None where they cannot be parsed."""
        self.files[path] = file = File(data, read_suppressions(data))
        if file.suppressions.skip_file or not might_matter(data):
            return file
        say = self.failures.append if named else self.notes.append
        try:
            source = read(data, path, project=self._project, roots=not self._static)
            self.said += ask(source.facts, self._codes, notes=self.notes)
        except SourceError as error:
            place = ":".join(str(part) for part in (shown_path(path), error.line, error.column) if part)
            say(f"{place}: cannot be parsed ({error.message})")
            self.files[path] = None
            return None
        except Exception as error:  # one file must not cost the others their report
            say(f"{shown_path(path)}: initlint failed on it ({type(error).__name__}: {error}); please report this")
            return file
        self.files[path] = file = replace(
            file, roots=source.roots, trains_at_import=source.trains_at_import is not None
        )
        return file

    def file(self, path: str) -> File:
        """A file that a finding points at, read now if it was not a target."""
        if path not in self.files:
            try:
                data = load(path)
            except (OSError, FileTooLarge):
                self.files[path] = None
            else:
                self.files[path] = File(data, read_suppressions(data))
        return self.files[path] or File(b"")

    def line(self, where: Location) -> str | None:
        """The source line of a place, None where it cannot be had."""
        data = self.file(where.path).data
        try:
            encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
            lines = io.TextIOWrapper(io.BytesIO(data), encoding).readlines()
        except (SyntaxError, UnicodeDecodeError):
            return None
        return lines[where.line - 1] if 0 < where.line <= len(lines) else None
