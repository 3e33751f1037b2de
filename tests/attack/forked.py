"""A copy of this process that does something and may die of it, at a moment that is chosen."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["calls_on_files", "command", "forked", "killed_at"]

_ON_FILES = ("open", "os.", "shutil.", "tempfile.", "fcntl.")


def forked(work: Callable[[], int]) -> int:
    """What a copy of this process exits with that does some work; minus the signal that ended it."""
    child = os.fork()
    if not child:
        try:
            code = work()
        except BaseException:
            import traceback

            traceback.print_exc()
            code = 99
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def command(*arguments: str) -> Callable[[], int]:
    """The command line with these arguments, silenced, as work for a copy."""

    def work() -> int:
        from initlint.cli import main

        sys.argv = ["initlint", *arguments]
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
        try:
            main()
        except SystemExit as ended:
            return int(ended.code or 0)
        return 98

    return work


def calls_on_files(work: Callable[[], int], directory: str) -> list[str]:
    """What a copy does to the files of a directory: the calls, one after the other, once it runs through."""
    reading, writing = os.pipe()

    def noting() -> int:
        def note(event: str, arguments: Sequence[Any]) -> None:
            if event.startswith(_ON_FILES) and any(directory in str(each) for each in arguments):
                os.write(writing, f"{event}\n".encode())

        sys.addaudithook(note)
        return work()

    forked(noting)
    os.close(writing)
    with open(reading) as lines:
        return lines.read().splitlines()


def killed_at(number: int, work: Callable[[], int], directory: str) -> int:
    """Run work in a copy that is killed as it begins its call of that number on a file of a directory."""

    def dying() -> int:
        left = [number]

        def count(event: str, arguments: Sequence[Any]) -> None:
            if event.startswith(_ON_FILES) and any(directory in str(each) for each in arguments):
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1

        sys.addaudithook(count)
        return work()

    return forked(dying)
