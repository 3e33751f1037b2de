"""What is printed, and where: standard output and standard error, a terminal or not, a file."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any, TextIO

import click

if TYPE_CHECKING:
    from initlint.result import Report

__all__ = [
    "can_print",
    "complain",
    "deliver",
    "deliver_report",
    "for_eyes",
    "show_progress",
    "stand_in_for_closed_streams",
    "terminal",
]


def stand_in_for_closed_streams() -> None:
    """Open the null device in place of standard streams that were closed before the start (``>&-``).

    ``sys.stdin`` stays None: nothing is there to be read, which is not the same as nothing in it.
    """
    if sys.stdin is None:
        os.open(os.devnull, os.O_RDONLY)  # takes the descriptor, which no other file should be given
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # until the process ends


def terminal(stream: TextIO | None = None) -> tuple[int | None, bool]:
    """How many columns standard output (or ``stream``) has, None for no terminal; and whether it is to be coloured."""
    if not (stream or sys.stdout).isatty():
        return None, False
    import shutil

    color = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return shutil.get_terminal_size().columns, color


def as_text(report: Report, options: dict[str, Any], *, to_file: bool) -> str:
    """The report as text, in colour and as wide as the terminal where it goes to one."""
    if options["quiet"] and not report.findings:
        return ""  # which most checks come to, of editors and hooks
    from initlint.report.sparkline import BLOCKS
    from initlint.report.text import render, statistics

    width, color = (None, False) if to_file else terminal()
    text = render(
        report,
        color=options["color"] == "always" or (options["color"] == "auto" and color),
        width=width,
        quiet=options["quiet"],
        unsafe_fixes=options["unsafe_fixes"],
        plain=not to_file and not can_print(BLOCKS),
    )
    return text + ("\n" + statistics(report) if options["statistics"] else "")


def can_print(text: str) -> bool:
    """Whether standard output has all characters of a text."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def deliver_report(report: Report, options: dict[str, Any]) -> None:
    """Print the report or the diff, or put it in a file; beside a file in a machine's format the text is printed.

    Where standard input was fixed it takes standard output, and what else is to be printed goes to standard error.
    """
    mended, output, is_text = report.mended, options["output"], options["format_"] == "text"
    diff = None if mended is None else mended.diff

    def text(*, to_file: bool) -> str:
        if diff is None:
            return as_text(report, options, to_file=to_file)
        return diff if to_file or not sys.stdout.isatty() else for_eyes(diff)

    if is_text:
        whole = text(to_file=output is not None)
    else:
        from initlint.report.formats import render
        from initlint.rulebook import described

        whole = render(report, options["format_"], described)
    shown = whole
    if output is not None:
        deliver(whole, output)
        shown = "" if is_text else text(to_file=False)
    if mended is not None and mended.source is not None:
        sys.stdout.buffer.write(mended.source)
        sys.stdout.flush()
        sys.stderr.write(shown)
    else:
        deliver(shown, None)
    if not options["quiet"] and mended is not None and mended.fixed and (diff is not None or not is_text):
        complain(f"{mended.fixed} {'would be fixed' if diff is not None else 'fixed'}", kind="note")


def for_eyes(diff: str) -> str:
    """A diff that is shown on a terminal, which its lines must not drive; ``patch`` gets them as they are."""
    from initlint.printable import printable

    return re.sub(r"[^\n\t]+", lambda text: printable(text[0]), diff)


def deliver(text: str, output: str | None) -> None:
    """Print the report, or put it in place of a file as a whole."""
    if output is None:
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except BrokenPipeError:  # the reader has seen enough; the exit code still tells the verdict
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    from initlint.writing import put

    try:
        put(output, text)
    except OSError as error:
        raise click.ClickException(f"--output {output}: {error.strerror}") from None


def complain(message: str, kind: str = "error") -> None:
    """One line on stderr; whatever it holds, it stays one line."""
    from initlint.printable import printable

    sys.stderr.write(f"initlint: {kind}: {printable(' '.join(message.split()))}\n")


def show_progress(what: str) -> None:
    """Replace the progress line of a terminal; empty text removes it."""
    import shutil

    from initlint.printable import printable

    room = shutil.get_terminal_size().columns - 1
    sys.stderr.write("\r\x1b[K" + printable(what)[:room])
    sys.stderr.flush()
