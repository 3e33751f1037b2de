"""A file written as a whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time

__all__ = ["Changed", "put", "replace"]


_PREFIX, _SUFFIX = ".initlint-", ".tmp"
_SETTLED = 1.0
"""Seconds in which whoever makes a file has locked it."""


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

    A link stays a link to the file, which keeps its mode, owner and extended attributes. What a run that was killed
    has left in the directory is removed. Raises OSError, and Changed for a file that holds something else than
    ``before``.
    """
    import tempfile

    target = os.path.realpath(path)
    state = os.stat(target) if os.path.exists(target) else None
    _tidy(os.path.dirname(target))
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(target), prefix=_PREFIX, suffix=_SUFFIX)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            with contextlib.suppress(OSError):  # not every file system has locks
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            stream.write(data)
            stream.flush()
            os.fsync(descriptor)
            os.chmod(temporary, _mode_of_new() if state is None else stat.S_IMODE(state.st_mode))
            if state is not None:
                _keep_attributes(target, temporary)
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


def _tidy(directory: str) -> None:
    """Remove what a run that was killed while it wrote has left in a directory: it holds no lock on it any more."""
    try:
        names = os.listdir(directory)
    except OSError:
        return
    for name in names:
        if not (name.startswith(_PREFIX) and name.endswith(_SUFFIX)):
            continue
        path = os.path.join(directory, name)
        with contextlib.suppress(OSError), open(os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as left:
            about = os.fstat(left.fileno())
            if stat.S_ISREG(about.st_mode) and time.time() - about.st_mtime > _SETTLED:
                fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(path)


def _keep_attributes(source: str, target: str) -> None:
    """Give a file the extended attributes of another, so far as one may: access lists are among them on Linux."""
    if not hasattr(os, "listxattr"):
        return
    with contextlib.suppress(OSError):  # a file system without them
        for name in os.listxattr(source):
            with contextlib.suppress(OSError):  # some are for root to set
                os.setxattr(target, name, os.getxattr(source, name))


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
