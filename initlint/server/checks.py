"""What reading finds in a text as an editor has it, configured as it would be for the command line."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping

from initlint.checking import Checker
from initlint.concluding import report_of
from initlint.config import Config, Configurations
from initlint.findings import Finding
from initlint.judgement import Judgement
from initlint.opened import STDIN
from initlint.record import record
from initlint.source.reader import Project
from initlint.source.text.files import NOTEBOOK, Exclusion
from initlint.survey import Survey

__all__ = ["Checked", "Checks"]

_INSTALLED = {"site-packages", "dist-packages"}


@record(frozen=True, slots=True)
class Checked:
    """What came of checking one text.

    ``findings`` are those in that text; None where it could not be read, and what was found before may still hold.
    ``trouble`` is a line on a configuration that means nothing, ``remarks`` are lines for the log.
    """

    findings: tuple[Finding, ...] | None = ()
    trouble: str | None = None
    remarks: tuple[str, ...] = ()


class Checks:
    """Checks texts one after another. What was learnt of their projects is kept, as far as it still holds.

    Configurations are read anew each time, which takes a millisecond, so that a changed one counts at once.
    """

    def __init__(self) -> None:
        self._project = Project()

    def check(self, path: str, data: bytes, *, instead: Mapping[str, bytes], folders: Iterable[str] = ()) -> Checked:
        """Check the bytes of the file of an absolute path, whether or not they lie there.

        ``instead`` maps real paths to what other files are taken to hold; ``folders`` are the directories that are
        being worked in.
        """
        configurations = Configurations()
        judgement = Judgement((os.path.dirname(path), *folders))
        try:
            config = configurations.of(path)
            judgement.codes(config)
            baseline = None
            if config.baseline is not None:
                from initlint.baseline import read

                baseline = read(os.path.abspath(config.baseline))
        except ValueError as error:
            return Checked(trouble=str(error))
        if _left_out(path, config, folders):
            return Checked()
        if len(data) > config.max_file_size and not path.endswith(NOTEBOOK):
            return Checked(remarks=(f"{path}: skipped, larger than max-file-size",))
        self._project.renew(instead)
        survey = Survey(
            configurations, judgement, static=True, checker=Checker(configurations, judgement, self._project)
        )
        survey.look_at(STDIN, stdin=lambda: data, stdin_filename=path)
        report = report_of(survey, config.fail_on, time.perf_counter(), baseline=baseline)
        remarks = (*survey.failures, *survey.notes)
        if survey.failures and survey.files.get(path) is None:
            return Checked(None, remarks=remarks)
        return Checked(tuple(each for each in report.findings if _stands_in(each, path)), remarks=remarks)


def _stands_in(finding: Finding, path: str) -> bool:
    return finding.location is not None and os.path.abspath(finding.location.path) == path


def _left_out(path: str, config: Config, folders: Iterable[str]) -> bool:
    """Whether a file that was opened is passed over: as a directory's would be, whatever .gitignore files say.

    Without a configuration patterns are relative to the folder that is worked in. Elsewhere only what is installed is
    passed over: no hidden directory on the way to a file says anything of it.
    """
    above = [folder for folder in folders if path.startswith(os.path.join(folder, ""))]
    base = config.root if config.path is not None else max(above, key=len, default=None)
    if base is None:
        return not _INSTALLED.isdisjoint(path.split(os.sep))
    return Exclusion(base, config.exclude, config.extend_exclude).covers_any(path)
