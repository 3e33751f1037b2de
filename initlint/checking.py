"""One file, from bytes to what the rules say of it."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from initlint.config import Config, Configurations
from initlint.engine import judges_defaults, ready
from initlint.judgement import Judgement
from initlint.opened import File, loaded, opened, shown_path
from initlint.record import replace
from initlint.source.reader import Project, might_matter, read
from initlint.source.tables.initializers import KNOWN, REQUIRED, Initializers, Row
from initlint.source.text.files import FileTooLarge
from initlint.source.text.parsing import SourceError
from initlint.verdict import Verdict

if TYPE_CHECKING:
    from initlint.findings import Finding
    from initlint.settings import InitializerTable
    from initlint.source.text.notebook import Notebook

__all__ = ["Checker"]


class Checker:
    """Checks the files of one run; what it has learnt of their ``project`` it keeps."""

    def __init__(self, configurations: Configurations, judgement: Judgement, project: Project | None = None) -> None:
        self.configurations = configurations
        self.judgement = judgement
        self.project = Project() if project is None else project
        self.digest: Callable[[bytes], bytes] | None = None
        """What makes the digest that a verdict is given, where somebody asks for one."""

    def config(self, path: str) -> Config:
        """The configuration that holds for a file."""
        return self.configurations.of(os.path.abspath(path))

    def ready(self, paths: Iterable[str]) -> None:
        """Load what reading and judging files takes, before processes are copied from this one."""
        import initlint.source.reading  # noqa: F401 (each process would import it for itself)

        for codes in {self.judgement.codes(self.config(path)) for path in paths}:
            ready(codes)

    def check_path(self, path: str, *, roots: bool = False) -> tuple[Verdict, File | None]:
        """Check the file of that absolute path; the file is None where it cannot be read. ``roots`` as in ``check``."""
        shown = shown_path(path)
        try:
            data = loaded(path, self.config(path).max_file_size)
        except FileTooLarge as error:
            return Verdict(notes=(f"{shown}: skipped, {error}",), readable=False), None
        except OSError as error:
            return Verdict(complaints=(f"{shown}: cannot be read ({error.strerror})",), readable=False), None
        return self.check(path, data, roots=roots)

    def check(self, path: str, data: bytes, *, roots: bool = False) -> tuple[Verdict, File | None]:
        """Check a file's bytes; the file is None where they cannot be parsed.

        ``roots``: the file is to tell what in it can be built. Raises ValueError where its configuration names no rule.
        """
        config = self.config(path)
        codes = self.judgement.codes(config)
        table = _initializers(config.initializers)
        notes: list[str] = []
        complaints: list[str] = []
        file: File | None = None
        said: list[Finding] = []
        looked_around = False
        try:
            file = opened(path, data, config.max_file_size)
            if file.notebook is not None:
                _remark(path, file.notebook, notes, complaints)
            if codes and not file.skipped and (might_matter(file.data) or table.mentioned(file.data)):
                looked_around = True
                source = read(
                    file.data,
                    path,
                    project=self.project,
                    roots=roots,
                    thorough=judges_defaults(codes),
                    initializers=table,
                )
                said = self.judgement.ask(config, source.facts, notes)
                file = replace(file, roots=source.roots, trains_at_import=source.trains_at_import is not None)
        except SourceError as error:
            complaints.append(_unparsable(shown_path(path), error))
            file = None
        except FileTooLarge as error:
            notes.append(f"{shown_path(path)}: skipped, {error}")
            file = None
        except Exception as error:  # one file must not cost the others their report
            what = f"{type(error).__name__}: {error}"
            complaints.append(f"{shown_path(path)}: initlint failed on it ({what}); please report this")
        verdict = Verdict(
            tuple(said),
            tuple(notes),
            tuple(complaints),
            readable=file is not None,
            commented=looked_around and file is not None and file.commented,
            looked_around=looked_around,
            digest=self.digest(data) if self.digest is not None else b"",
        )
        return verdict, file


def _remark(path: str, notebook: Notebook, notes: list[str], complaints: list[str]) -> None:
    """Say what of a notebook cannot be read."""
    for number, fault in notebook.faults:
        complaints.append(_unparsable(f"{shown_path(path)}:cell {number}", fault))
    if notebook.language:
        notes.append(f"{shown_path(path)}: a notebook in {notebook.language}, in which nothing is read")


def _unparsable(place: str, error: SourceError) -> str:
    """One line on a file or a cell that cannot be parsed."""
    where = ":".join(str(part) for part in (place, error.line, error.column) if part)
    return f"{where}: cannot be parsed ({error.message})"


@functools.cache
def _initializers(tables: tuple[InitializerTable, ...]) -> Initializers:
    """The initialisers that are known where a configuration adds some."""
    if not tables:
        return KNOWN
    rows = []
    for each in tables:
        names = [name for name, _ in each.parameters]
        rows.append(
            Row(
                each.name,
                each.tensor,
                tuple(
                    (name, default[0] if default else REQUIRED)
                    for name, default in each.parameters
                    if name != each.tensor
                ),
                target=names.index(each.tensor),
                same_as=each.like,
                own=True,
                meanings=each.meanings,
            )
        )
    return Initializers(rows)
