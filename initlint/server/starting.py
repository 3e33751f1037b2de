"""The server from its start until the editor is gone, on standard input and output."""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import sys
import threading
from typing import BinaryIO

__all__ = ["require", "serve"]

_STACK = 64 * 2**20
"""Bytes for the stack of the thread that checks, as a main thread may have; on some systems others get a tenth."""


def require() -> None:
    """Raise ModuleNotFoundError, with the command that mends it, unless pygls 2 or later is installed."""
    try:
        there = importlib.util.find_spec("pygls.lsp.server") is not None
    except ModuleNotFoundError:
        there = False
    if not there:
        raise ModuleNotFoundError("the language server needs pygls 2: pip install 'initlint[lsp]'")


def serve() -> None:
    """Answer the editor at the other end of standard input and output until it is done or closes them.

    Whatever else is printed meanwhile, also by a plugin, goes to standard error: the editor understands nothing else.
    """
    from initlint.server.handlers import conversation

    stdin, stdout = _taken()
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s")
    logging.getLogger("initlint").setLevel(logging.INFO)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a thread that waits for input would keep the process
    threading.stack_size(_STACK)
    server = conversation()
    try:
        server.start_io(stdin, stdout)
    finally:
        server.stop()


def _taken() -> tuple[BinaryIO, BinaryIO]:
    """Standard input and output, which nobody else can read from or write to any more."""
    stdin, stdout = os.dup(sys.stdin.fileno()), os.dup(sys.stdout.fileno())
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, sys.stdin.fileno())
    os.close(nothing)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    sys.stdout = sys.stderr  # which keeps nothing back
    return os.fdopen(stdin, "rb"), os.fdopen(stdout, "wb")
