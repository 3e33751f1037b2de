"""A file written as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
import stat

__all__ = ["Changed", "put", "replace"]


class Changed(Exception):
    """The file is not what it was when it was read."""


def put(path: str, text: str) -> None:
    """Put a text (UTF-8) in place of a file, through links; a pipe or a device is written to. Raises OSError."""
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)
    else:
        replace(path, text.encode())


def replace(path: str, data: bytes, *, before: bytes | None = None) -> None:
    """Put bytes in place of a file or where none is: whoever looks finds the old file or the new one.

    A link stays a link to the file, which keeps its mode and owner. Raises OSError, and Changed for a file that holds
    something else than ``before``.
    """
    import tempfile

    target = os.path.realpath(path)
    state = os.stat(target) if os.path.exists(target) else None
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(target), prefix=".initlint-", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, _mode_of_new() if state is None else stat.S_IMODE(state.st_mode))
        if state is not None:
            _keep_owner(temporary, state)
        if before is not None:
            with open(target, "rb") as current:
                if current.read() != before:
                    raise Changed(path)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _mode_of_new() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _keep_owner(path: str, state: os.stat_result) -> None:
    if hasattr(os, "geteuid") and (state.st_uid, state.st_gid) != (os.geteuid(), os.getegid()):
        try:
            os.chown(path, state.st_uid, state.st_gid)
        except PermissionError:  # only root may give a file away
            return
        os.chmod(path, stat.S_IMODE(state.st_mode))  # a change of owner takes setuid bits away
