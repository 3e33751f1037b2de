"""Source files as text and back: encoding and newlines kept, written as a whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import tempfile
import tokenize
from typing import NamedTuple

__all__ = ["Changed", "Original", "read", "write"]


class Changed(Exception):
    """The file is not what it was when it was read."""


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
    """Put ``after`` in the place of a file that holds ``before``: whoever looks finds the one or the other.

    A link stays a link to the file, which keeps its mode and owner. Raises Changed for a file that holds something else
    by now, OSError for one that may not be written. Returns a remark where there is something to say.
    """
    target = os.path.realpath(path)
    state = os.stat(target)
    if not state.st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH) or not os.access(target, os.W_OK):
        raise PermissionError(13, "it is read-only")
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(target), prefix=".initlint-", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(after)
            stream.flush()
            os.fchmod(stream.fileno(), stat.S_IMODE(state.st_mode))
            _keep_owner(stream.fileno(), state)
            os.fsync(stream.fileno())
        with open(target, "rb") as current:
            if current.read() != before:
                raise Changed(path)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    if state.st_nlink > 1:
        return f"{path}: has other hard links, which keep the old text"
    return None


def _keep_owner(descriptor: int, state: os.stat_result) -> None:
    if (state.st_uid, state.st_gid) != (os.geteuid(), os.getegid()):
        try:
            os.fchown(descriptor, state.st_uid, state.st_gid)
        except PermissionError:  # only root may give a file away
            return
        os.fchmod(descriptor, stat.S_IMODE(state.st_mode))  # a change of owner takes setuid bits away
