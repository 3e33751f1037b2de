"""The command line held to what it promises of any file: run in this process, its output and exit code judged."""

from __future__ import annotations

import ast
import io
import json
import os
import re
import resource
import signal
import sys
import time
import tokenize
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple
from xml.etree import ElementTree

from initlint.cli import main
from initlint.report.formats import MACHINE
from initlint.source.reader import might_matter

__all__ = ["FORMATS", "SECONDS", "Ran", "broken_promises", "exit_code_of", "megabytes", "ran"]

FORMATS = ("text", *MACHINE)
SECONDS = 10
"""The longest that a file may take, of the processor's time: what else the machine does is not its fault."""
MEGABYTES = 1000
"""The most memory that a process may take."""

_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_COMMAND = re.compile(r"::(?:error|warning|notice) [a-zA-Z]+=[^:]*::")
_MARKUP = ("<script>alert", "<img src=x")


class _StillBusy(BaseException):
    """Passes through whatever catches exceptions."""


class Ran(NamedTuple):
    """One run of the command line: its exit code (None where it did not end by itself), output, complaints, seconds."""

    code: int | None
    out: str
    err: str
    seconds: float
    raised: str = ""


@contextmanager
def _ends_in_time() -> Iterator[None]:
    def give_up(*_: object) -> None:
        raise _StillBusy

    before = signal.signal(signal.SIGPROF, give_up)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def ran(arguments: Sequence[str]) -> Ran:
    """Run ``initlint`` with these arguments, its streams in UTF-8."""
    streams = sys.stdout, sys.stderr, sys.argv
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2))
    sys.stdout, sys.stderr, sys.argv = out, err, ["initlint", *arguments]
    started, code, raised = time.process_time(), None, ""
    try:
        with _ends_in_time():
            main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1 if ended.code else 0
    except BaseException as error:
        raised = f"{type(error).__name__}: {error}"
    finally:
        sys.stdout, sys.stderr, sys.argv = streams
    seconds = time.process_time() - started
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode("utf-8", "surrogatepass"))  # type: ignore[attr-defined]
    return Ran(code, texts[0], texts[1], seconds, raised)


def broken_promises(run: Ran, form: str) -> Iterator[str]:
    """What of the promises for any input a run has broken; ``form`` is the format that it was asked for."""
    if run.raised:
        yield f"raised {run.raised}"
        return
    if run.seconds > SECONDS:
        yield f"took {run.seconds:.1f} s"
    if megabytes() > MEGABYTES:
        yield f"took {megabytes():.0f} MB"
    if run.code not in (0, 1, 2):
        yield f"exit code {run.code}"
    if "Traceback" in run.err or "please report" in run.out + run.err:
        yield f"failed inside: {run.err.strip()[-300:]}"
    for line in run.err.split("\n")[:-1]:
        if not line.startswith("initlint: "):
            yield f"complaint of its own shape: {line[:80]!r}"
    for name, text in (("out", run.out), ("err", run.err)):
        if (found := _CONTROL.search(text)) is not None:
            yield f"{name} holds {found[0]!r}: {text[max(found.start() - 40, 0) : found.end() + 20]!r}"
    if (problem := _malformed(run.out, form)) is not None:
        yield problem
    if (found_some := _findings(run.out, form)) is not None and run.code in (0, 1) and found_some != (run.code == 1):
        yield f"exit code {run.code} does not go with the report"


def _malformed(text: str, form: str) -> str | None:
    """What is wrong with a document of that format; None where nothing is."""
    try:
        if form in ("json", "sarif", "gitlab"):
            json.loads(text)
        elif form == "junit":
            ElementTree.fromstring(text)
        elif form == "github" and not all(map(_COMMAND.match, text.splitlines())):
            return "a line that is no command of ours"
        elif form == "html" and any(each in text for each in _MARKUP):
            return "markup of the file's in the page"
    except (ValueError, ElementTree.ParseError) as error:
        return f"{form} cannot be read: {error}"
    return None


def _findings(text: str, form: str) -> bool | None:
    """Whether a report tells of findings that fail a run; None where its format does not say."""
    if form == "json":
        return any(each["severity"] != "advice" for each in json.loads(text)["findings"])
    if form == "gitlab":
        return any(each["severity"] != "info" for each in json.loads(text))
    return None


def exit_code_of(data: bytes, name: str, most: int = 1_000_000) -> set[int]:
    """The exit codes that are right for a named file, by what Python itself makes of its bytes."""
    if len(data) > most or not might_matter(data):
        return {0}  # too large is a note; what nothing is to be said of is never an error
    if name.endswith(".ipynb"):
        return {0, 1, 2}
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        data.decode(encoding)  # a byte that is none in a comment: Python runs such a module, and not such a script
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError, LookupError):
        return {2}
    return {0, 1}


def megabytes() -> float:
    """The most memory that this process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def shown(name: bytes) -> str:
    """A file's name as a command line has it."""
    return os.fsdecode(name)
