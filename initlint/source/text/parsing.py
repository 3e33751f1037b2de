"""A file's bytes to its text, and the text to its tree."""

from __future__ import annotations

import ast
import io
import re
import tokenize
import warnings

from initlint.source.text import garbage

__all__ = ["SourceError", "decoded", "lines_of", "parsed"]


class SourceError(Exception):
    """A file that cannot be read; ``line`` and ``column`` are 1-based, None where there is no single place."""

    def __init__(self, message: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


def decoded(data: bytes) -> str:
    """The text of a file, by its byte order mark or coding line. Raises SourceError."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        whole = data if data.endswith(b"\n") else data + b"\n"  # so does Python, and punycode fails on it
        text = whole.decode(encoding)
    except SyntaxError as error:
        raise SourceError(str(error.msg or error), 1, 1) from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SourceError(f"cannot be decoded as {error.encoding}: {error.reason}", line) from None
    except (LookupError, ValueError) as error:
        raise SourceError(f"cannot be decoded: {' '.join(str(error).split())}", 1) from None  # codecs quote the text
    if "\0" in text:
        raise SourceError("contains null bytes", text.count("\n", 0, text.index("\0")) + 1)
    return text


def parsed(text: str, path: str) -> ast.Module:
    """The tree of a source text. Raises SourceError."""
    try:
        with warnings.catch_warnings(), garbage.paused():
            warnings.simplefilter("ignore")
            return ast.parse(text, path or "<source>")
    except SyntaxError as error:
        raise SourceError(error.msg or "invalid syntax", error.lineno, error.offset) from None
    except (RecursionError, MemoryError):
        raise SourceError("nested too deeply to be parsed") from None
    except ValueError as error:
        raise SourceError(str(error)) from None


def lines_of(text: str) -> list[str]:
    """The lines of a source text, as Python counts them."""
    return re.split(r"\r\n|\r|\n", text) if "\r" in text else text.split("\n")
