"""The texts that an editor has open: their lines, their bytes, and places in them in the editor's units."""

from __future__ import annotations

import io
import json
import os
import re
import tokenize
from collections.abc import Iterator, Sequence
from urllib.parse import unquote

from lsprotocol import types
from pygls.uris import from_fs_path, to_fs_path, urlparse
from pygls.workspace import ServerTextPosition, TextDocument, Workspace

from initlint.findings import Finding, Related
from initlint.location import Location
from initlint.opened import loaded
from initlint.record import record
from initlint.source.text.files import MAX_BYTES, FileTooLarge
from initlint.source.text.parsing import SourceError, decoded

__all__ = ["NOTEBOOKS", "Documents", "Opened", "encoded", "lines_of", "span"]

NOTEBOOKS = types.NotebookDocumentSyncOptions(
    notebook_selector=[
        types.NotebookDocumentFilterWithCells(
            notebook="jupyter-notebook", cells=[types.NotebookCellLanguage(language="python")]
        )
    ]
)

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_SOURCES = (".py", ".pyi")


def lines_of(text: str) -> Sequence[str]:
    """The lines of a text with their ends, as the protocol and Python count them."""
    return tuple(_LINE.findall(text))


class _Text(TextDocument):
    """A text whose lines end where the protocol says; pygls has them end at form feeds, too, and misplaces edits."""

    @property
    def lines(self) -> Sequence[str]:
        return lines_of(self.source)


@record(frozen=True, slots=True)
class Opened:
    """A file as it stands in the editor at one moment: its absolute path and bytes.

    ``texts`` holds its one text, or that of each cell of a notebook.
    """

    uri: str
    path: str
    data: bytes
    texts: tuple[TextDocument, ...]

    def text(self, what: Finding | Related) -> TextDocument:
        """The text that something in this file stands in."""
        cell = None if what.location is None else what.location.cell
        return self.texts[0 if cell is None else cell - 1]

    def span(self, what: Finding | Related) -> types.Range:
        """Where something in this file stands."""
        assert what.location is not None
        return span(self.text(what), what.location)


class Documents(Workspace):
    """All that is open."""

    def _create_text_document(
        self, doc_uri: str, source: str | None = None, version: int | None = None, language_id: str | None = None
    ) -> TextDocument:
        return _Text(
            doc_uri,
            source=source,
            version=version,
            language_id=language_id,
            sync_kind=self._sync_kind,
            position_codec=self._position_codec,
        )

    def whole(self, uri: str) -> str:
        """The URI of the file that a text belongs to: of a cell, its notebook's."""
        notebook = self.get_notebook_document(cell_uri=uri)
        return uri if notebook is None else notebook.uri

    def opened(self, uri: str) -> Opened | None:
        """The file of that URI as it stands now; None for what is not open, or is none of ours."""
        path = _path(uri)
        if path is None:
            return None
        notebook = self.get_notebook_document(notebook_uri=uri)
        if notebook is not None:
            cells = tuple(self.get_text_document(cell.document) for cell in notebook.cells)
            return Opened(uri, path, _notebook(notebook, cells), cells)
        text = self.text_documents.get(unquote(uri))
        if text is None or not (text.language_id == "python" or path.endswith(_SOURCES)):
            return None
        return Opened(uri, path, encoded(text.source), (text,))

    def every(self) -> Iterator[Opened]:
        """All files that are open and ours."""
        notebooks = [notebook.uri for notebook in self.notebook_documents.values()]
        plain = [text.uri for text in self.text_documents.values() if self.whole(text.uri) == text.uri]
        for uri in (*notebooks, *plain):
            found = self.opened(uri)
            if found is not None:
                yield found

    def file(self, path: str) -> TextDocument | None:
        """The text of a file of that absolute path, as it is open or as it lies there; None where it cannot be had."""
        uri = from_fs_path(path)
        found = next((text for text in tuple(self.text_documents.values()) if to_fs_path(text.uri) == path), None)
        if found is not None or uri is None:
            return found
        try:
            return self._create_text_document(uri, decoded(loaded(path, MAX_BYTES)))
        except (OSError, FileTooLarge, SourceError):
            return None

    def directories(self) -> tuple[str, ...]:
        """The directories that are being worked in."""
        uris = [folder.uri for folder in self.folders.values()] or ([self.root_uri] if self.root_uri else [])
        return tuple(path for path in map(_path, uris) if path is not None)


def span(text: TextDocument, where: Location) -> types.Range:
    """A place in a text, in the editor's units; to the end of its line where its end is not known."""
    lines = text.lines

    def position(line: int, column: int) -> types.Position:
        return text.position_codec.position_to_client_units(lines, ServerTextPosition(line - 1, column - 1))

    line = where.end_line or where.line
    rest = lines[line - 1].rstrip("\r\n") if line <= len(lines) else ""
    return types.Range(position(where.line, where.column), position(line, where.end_column or len(rest) + 1))


def encoded(text: str) -> bytes:
    """A text as the bytes of a file that says what it says; what its encoding lacks becomes a question mark."""
    data = text.encode("utf-8", "replace")
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return data if encoding.startswith("utf-8") else text.encode(encoding, "replace")
    except (SyntaxError, UnicodeError, LookupError):  # idna replaces nothing, it raises
        return data


def _path(uri: str) -> str | None:
    """The absolute path of a file, or of one that has yet to be saved; None for everything else."""
    scheme, _, path, *_ = urlparse(uri)
    if scheme == "file":
        path = to_fs_path(uri) or ""
    elif scheme != "untitled":
        return None
    return os.path.abspath(path) if path and "\0" not in path else None


def _notebook(notebook: types.NotebookDocument, cells: Sequence[TextDocument]) -> bytes:
    """The file that a notebook would be saved as, but for what its cells have put out."""
    plain = [
        {
            "cell_type": "code" if cell.kind == types.NotebookCellKind.Code else "markdown",
            "metadata": {"vscode": {"languageId": text.language_id}} if text.language_id else {},
            "source": text.source,
        }
        for cell, text in zip(notebook.cells, cells, strict=True)
    ]
    return json.dumps({"cells": plain, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()
