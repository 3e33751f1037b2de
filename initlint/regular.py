"""Regular files, read so that nothing waits and nothing is without bound, whatever somebody puts in their place.

A FIFO or a device is no file to read: opening one may wait for ever, and reading one may never end.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import BinaryIO

__all__ = ["contents", "opened"]


def opened(path: str) -> BinaryIO:
    """A regular file, opened for reading without a buffer. Raises OSError for anything else.

    It is looked at before, for opening a device may do something, and after, for it may have been replaced meanwhile.
    """
    _must_be_regular(os.stat(path))
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        _must_be_regular(os.fstat(descriptor))
        return open(descriptor, "rb", buffering=0)
    except BaseException:
        os.close(descriptor)
        raise


def contents(path: str, most: int) -> bytes:
    """The bytes of a regular file, of one that has more than ``most`` the first ``most + 1``. Raises OSError."""
    with opened(path) as file:
        data = file.read(most + 1)
        while 0 < len(data) <= most and (more := file.read(most + 1 - len(data))):
            data += more
    return data


def _must_be_regular(about: os.stat_result) -> None:
    if not stat.S_ISREG(about.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
