"""Source files as text and back: encoding and newlines kept, written as a whole or not at all."""

from __future__ import annotations

import io
import os
import stat
import tokenize
from typing import NamedTuple

from initlint.writing import replace

__all__ = ["Original", "read", "write"]


class Original(NamedTuple):
    """A file as it was read: its bytes, the encoding they say, and the text."""

    data: bytes
    encoding: str
    text: str

    def encoded(self, text: str) -> bytes:
        """Another text in the file's own encoding, byte order mark included; UnicodeEncodeError where it has no way."""
        return text.encode(self.encoding)


def read(data: bytes) -> Original:
    """Decode a file by its byte order mark or coding line; newlines stay as they are.

    Raises ValueError for bytes that would not come back the same.
    """
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode(encoding)
    except (SyntaxError, LookupError) as error:
        raise ValueError(str(error)) from None
    if text.encode(encoding) != data:
        raise ValueError(f"its bytes are not the only way to write it as {encoding}")
    return Original(data, encoding, text)


def write(path: str, before: bytes, after: bytes) -> str | None:
    """Put ``after`` in the place of a file that holds ``before``, as ``replace`` does.

    Raises Changed for a file that holds something else by now, OSError for one that may not be written. Returns a
    remark where there is something to say.
    """
    state = os.stat(path)
    if not state.st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH) or not os.access(path, os.W_OK):
        raise PermissionError(13, "it is read-only")
    replace(path, after, before=before)
    if state.st_nlink > 1:
        return f"{path}: has other hard links, which keep the old text"
    return None
