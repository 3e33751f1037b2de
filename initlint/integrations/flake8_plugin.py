"""initlint in flake8: what reading a file finds, under its codes INI...

flake8 makes a ``Checker`` for every file, most of which have nothing to do with torch: a look at the text decides that,
and only then is anything more of initlint imported. Nothing of the file is run.
"""

from __future__ import annotations

import functools
import io
import os
import time
import tokenize
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from initlint.version import __version__

if TYPE_CHECKING:
    import argparse

    from initlint.baseline import Baseline
    from initlint.checking import Checker as FileChecker
    from initlint.config import Configurations
    from initlint.judgement import Judgement
    from initlint.result import Report

__all__ = ["Checker"]

_UNUSABLE = "INI000"
"""flake8's code for a configuration of initlint's that means nothing, as E902 is for a file that cannot be read."""


class Checker:
    """What flake8 asks for one file: ``run`` gives line (from 1), column (from 0), text and the class.

    Which rules are asked is for initlint's own configuration of the file to say, and flake8 then selects among their
    codes. Both ``# noqa`` and ``# initlint: ignore`` silence.
    """

    name: ClassVar[str] = "initlint"
    version: ClassVar[str] = __version__
    configured: ClassVar[bool] = False
    """Whether the configuration where flake8 was started adds initialisers, which a file may mention and nothing else
    of interest."""

    def __init__(self, tree: object, filename: str, lines: Sequence[str]) -> None:
        self.path = filename
        self.lines = lines

    @classmethod
    def parse_options(cls, options: argparse.Namespace) -> None:
        """Look at the configuration where flake8 was started. Raises flake8's ExecutionError where it cannot be."""
        from flake8.exceptions import ExecutionError

        from initlint.config import Configurations

        try:
            cls.configured = bool(Configurations().within(os.getcwd()).initializers)
        except ValueError as error:
            raise ExecutionError(f"initlint: {error}") from None

    def run(self) -> Iterator[tuple[int, int, str, type[Any]]]:
        """The findings of the file."""
        from initlint.source.reader import might_matter

        data = _data(self.lines)
        if not (self.configured or might_matter(data)):
            return
        try:
            report = self._report(data)
        except ValueError as error:
            yield 1, 0, f"{_UNUSABLE} {error}", type(self)
            return
        for finding in report.findings:
            where = finding.location
            if where is not None:
                text = f"{finding.message}; {finding.help}" if finding.help else finding.message
                yield where.line, where.column - 1, f"{finding.code} {' '.join(text.split())}", type(self)

    def _report(self, data: bytes) -> Report:
        """What a static check of standard input under this name says. Raises ValueError for a wrong configuration."""
        from initlint.concluding import report_of
        from initlint.survey import Survey

        started = time.perf_counter()
        here = _here()
        survey = Survey(here.configurations, here.judgement, static=True, checker=here.checker)
        survey.look_at("-", stdin=lambda: data, stdin_filename=self.path)
        return report_of(survey, here.configurations.asked.fail_on, started, baseline=here.baseline)


class _Here(NamedTuple):
    """What serves all files that one process checks."""

    configurations: Configurations
    judgement: Judgement
    checker: FileChecker
    baseline: Baseline | None


@functools.cache
def _here() -> _Here:
    """As ``initlint check`` has it where flake8 was started; what flake8 found is left out as if it was not named."""
    from initlint.baseline import chosen
    from initlint.checking import Checker as FileChecker
    from initlint.config import Configurations
    from initlint.judgement import Judgement

    configurations = Configurations(overrides={"force_exclude": True, "static": True})
    root = configurations.within(os.getcwd())
    judgement = Judgement((os.getcwd(),))
    baseline = None if root.baseline is None else chosen(root.baseline, update=False)
    return _Here(configurations, judgement, FileChecker(configurations, judgement), baseline)


def _data(lines: Sequence[str]) -> bytes:
    """The file's bytes, as its coding line says that they are to be read."""
    text = "".join(lines)
    data = text.encode("utf-8", "surrogatepass")
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return data if encoding == "utf-8" else text.encode(encoding)
    except (SyntaxError, UnicodeError, LookupError):  # flake8 has fallen back to another
        return data
