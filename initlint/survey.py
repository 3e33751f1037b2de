"""What was asked for, read: what the rules say of files and directories, and the models that are to be built.

A survey gathers what is said of each file, notes and failures, and concludes nothing. Something asked for by name that
cannot be done is a failure; something met on the way is a note. Paths are absolute, so that both front ends give a
place one name.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from initlint.bulk import Bulk
from initlint.checking import Checker
from initlint.config import Config, Configurations
from initlint.engine import conclude, judges_comments, order
from initlint.judgement import Judgement
from initlint.live.targets import Target, parse
from initlint.opened import STDIN, File, defines, loaded, opened, shown_path
from initlint.record import record, replace
from initlint.rule import GRAPH, PARAMETERS, PROBE, SOURCE
from initlint.source.text.files import NOTEBOOK, Exclusion, FileTooLarge, walk
from initlint.source.text.parsing import SourceError
from initlint.verdict import Verdict

if TYPE_CHECKING:
    from initlint.facts import Facts
    from initlint.findings import Finding
    from initlint.settings import ModelTable

__all__ = ["Planned", "Survey"]

_UNOPENED = File(b"")
"""Stands for a file that was read and is not at hand."""


def _file_of(config: Config, table: ModelTable) -> str:
    """The absolute path that a table's target would have as a file's."""
    path, double, _ = table.target.rpartition("::")
    return os.path.normpath(os.path.join(config.root, path if double else table.target))


@record(frozen=True, slots=True)
class Planned:
    """A model to be built: whether it was asked for by name, and what the configuration says of it."""

    target: Target
    named: bool
    config: Config
    table: ModelTable | None = None


class Survey:
    """What was said, notes and failures of one run, in the order of the targets.

    ``models`` are to be built; there are none in a static run.
    """

    def __init__(
        self,
        configurations: Configurations,
        judgement: Judgement,
        *,
        static: bool,
        jobs: int | None = None,
        cache: str | None = None,
        checker: Checker | None = None,
        apart: Callable[[Finding], bool] | None = None,
    ) -> None:
        """``checker`` is one that has checked files already, and knows their project.

        ``apart`` tells findings that are left out as those on ``ignore-parameters`` are.
        """
        self.configurations = configurations
        self.said: list[Finding] = []
        self.notes: list[str] = []
        self.failures: list[str] = []
        self.models: list[Planned] = []
        self.files: dict[str, File | None] = {}
        self._static = static
        self._judgement = judgement
        self._apart = apart
        self._checker = checker or Checker(configurations, judgement)
        self._bulk = Bulk(self._checker, jobs=jobs, cache=cache)
        self._met: set[str] = set()
        """Files that were read and are not at hand."""
        self._complaints: dict[str, tuple[str, ...]] = {}
        """What is amiss with files that were met on the way: of one that is named, too, it is a failure."""
        self._judged: list[str] = []
        self._asked: dict[str, set[str] | None] = {}
        """For each file, the names in it that were asked for; None where the whole file was."""
        self._used: dict[str, set[tuple[int, str]]] = {}

    def look_at(self, text: str, *, stdin: Callable[[], bytes] | None, stdin_filename: str | None) -> None:
        """Read what a target names, and note what of it is to be built."""
        try:
            target = parse(text)
        except ValueError as error:
            self.failures.append(str(error))
            return
        if target.kind == "stdin":
            data = stdin() if stdin is not None else b""
            path = os.path.abspath(stdin_filename) if stdin_filename else STDIN
            if path == STDIN or not self._excluded(path):
                self._take(path, *self._checker.check(path, data, roots=not self._static), named=True)
        elif target.kind == "module":
            if self._static:
                self.failures.append(f"{text}: has to be imported, which --static does not do")
            else:
                here = self.configurations.within(os.getcwd())
                table = next((table for table in here.models if table.target == text), None)
                self.models.append(Planned(target, True, here, table))
        elif target.path is not None and self._excluded(os.path.abspath(target.path)):
            return
        elif target.path is not None and target.kind == "directory":
            self._look_below(target.path)
        elif target.path is not None:
            file = self._read_named(target.path, target.name)
            if file is not None and not self._static:
                self._plan(target, file)
            elif file is not None and target.name is not None and not defines(file.data, target.name):
                self.failures.append(f"{text}: {shown_path(target.path)} has no {target.name}")

    def look_at_models(self, config: Config, tables: Iterable[ModelTable] | None = None) -> None:
        """Plan the models of a configuration, all or some of them: it asks for them by name."""
        for table in () if self._static else config.models if tables is None else tables:
            target = self._configured(config, table)
            if target is None:
                continue
            if target.kind == "module" or target.name is not None:
                self.models.append(Planned(target, True, config, table))
            file = self._read_named(target.path, target.name) if target.path is not None else None
            if file is not None and target.name is None:
                self._plan_roots(target, file, config, {None: table})

    def _configured(self, config: Config, table: ModelTable) -> Target | None:
        """The target of a configuration's table, whose paths are relative to it; None where it names nothing."""
        path, double, name = table.target.rpartition("::")
        text = table.target
        if double or text.endswith((".py", os.sep)) or os.path.exists(os.path.join(config.root, text)):
            path = shown_path(os.path.join(config.root, path if double else text))
            text = f"{path}::{name}" if double else path
        try:
            target = parse(text)
        except ValueError as error:
            problem = str(error)
        else:
            if target.kind in ("file", "module"):
                return target
            problem = f"{text!r} names no model: write path.py::Name"
        self.failures.append(f"{config.shown}: model: {problem}")
        return None

    def _look_below(self, directory: str) -> None:
        """Read what a directory holds, and plan the models that configurations name there."""
        top = os.path.abspath(directory)
        met: dict[int, Config] = {}

        def exclusion(path: str) -> Exclusion:
            config = self.configurations.within(path)
            met[id(config)] = config
            return Exclusion(config.root, config.exclude, config.extend_exclude, config.respect_gitignore)

        left: dict[str, list[str]] = {}
        found = walk(directory, self.notes.append, exclusion, lambda path, by: left.setdefault(by, []).append(path))
        below = list(dict.fromkeys(map(os.path.abspath, found)))
        if not below:
            self.notes.append(f"{shown_path(top)}: no Python file or notebook in it to read{_left_out(left)}")
        paths = [path for path in below if path not in self.files]
        for path in below:
            self._ask_for(path, None)
        for path, verdict in zip(paths, self._bulk.verdicts(paths), strict=True):
            self._take(path, verdict, None, named=False)
        inside = os.path.join(top, "")
        for config in met.values():
            whole = os.path.join(config.root, "").startswith(inside)
            self.look_at_models(
                config, [table for table in config.models if whole or _file_of(config, table).startswith(inside)]
            )

    def _excluded(self, path: str) -> bool:
        """Whether something that was named is left out all the same, as ``force-exclude`` has it."""
        config = self.configurations.of(path)
        if not config.force_exclude:
            return False
        return Exclusion(config.root, config.exclude, config.extend_exclude).covers_any(path)

    def _tables(self, path: str) -> dict[str | None, ModelTable]:
        """The tables that speak of a file's models, by the model's name; None stands for all of them."""
        config = self._config(path)
        found: dict[str | None, ModelTable] = {}
        for table in config.models:
            if _file_of(config, table) == os.path.abspath(path):
                _, double, name = table.target.rpartition("::")
                found[name if double else None] = table
        return found

    def _plan(self, target: Target, file: File) -> None:
        """What of a file that was named is to be built."""
        path = target.path or ""
        config = self._config(path)
        tables = self._tables(path) if config.models else {}
        if path.endswith(NOTEBOOK):
            if target.name is not None:
                self.failures.append(f"{target.text}: a notebook is read and never run; build it from a .py file")
            elif file.roots:
                self.notes.append(f"{shown_path(path)}: was read and not run, being a notebook")
            return
        if target.name is not None:
            self.models.append(Planned(target, True, config, tables.get(target.name, tables.get(None))))
            return
        text = shown_path(path)
        for name, table in tables.items():
            if name is not None:
                self.models.append(Planned(replace(target, text=f"{text}::{name}", name=name), True, config, table))
        self._plan_roots(target, file, config, tables)

    def _plan_roots(self, target: Target, file: File, config: Config, tables: Mapping[str | None, ModelTable]) -> None:
        """Plan what reading found in a file, but for what a table names."""
        path = target.path or ""
        text = shown_path(path)
        if file.roots and file.trains_at_import:
            self.notes.append(
                f"{shown_path(path)}: was read and not run, for importing it would train; "
                'put the training under `if __name__ == "__main__":` to have its models built'
            )
        else:
            self.models.extend(
                Planned(replace(target, text=f"{text}::{root}", name=root), False, config, tables.get(None))
                for root in file.roots
                if root not in tables
            )

    def _read_named(self, path: str, name: str | None) -> File | None:
        """A file that was asked for by name, or for something in it that is called so.

        It is read anew only where what it offers to be built was not asked before.
        """
        full = os.path.abspath(path)
        self._ask_for(full, None if full.endswith(NOTEBOOK) else name)
        for complaint in self._complaints.pop(full, ()):
            self.notes.remove(complaint)
            self.failures.append(complaint)
        if full in self.files and (self._static or full not in self._met):
            return self.file(full) if self.files[full] is not None else None
        return self._take(full, *self._checker.check_path(full, roots=not self._static), named=True)

    def _take(self, path: str, verdict: Verdict, file: File | None, *, named: bool) -> File | None:
        """Take what came of reading a file; where ``file`` is not at hand, it is opened when it is needed."""
        self.notes += verdict.notes
        if named:
            self.failures += verdict.complaints
        else:
            self.notes += verdict.complaints
            self._complaints[path] = verdict.complaints
        if path not in self._met:
            self.said += verdict.said
        if file is None and verdict.readable:
            self._met.add(path)
        else:
            self._met.discard(path)
        self.files[path] = (file or _UNOPENED) if verdict.readable else None
        if verdict.commented and path not in self._judged:
            self._judged.append(path)
        return file

    def judge(self, config: Config, facts: Sequence[Facts]) -> None:
        """Take what the rules say of one model's facts, of which there are as many as it was built with seeds."""
        from initlint.seeds import elected
        from initlint.trained import about_seen_loaded

        said, lucky = elected([self._judgement.ask(config, each, self.notes) for each in facts])
        is_left_out = about_seen_loaded(facts[0])
        self.said += [finding for finding in said if not is_left_out(finding)]
        self.notes += lucky

    def concluded(self, probed: Container[str] = ()) -> tuple[list[Finding], int]:
        """What remains of what was said, in order, and how many findings comments and configurations leave out.

        ``probed`` names the targets that were built and probed: it decides what may be said of a comment.
        """
        found = conclude(self.said, self.ignores_parameters)
        kept = [finding for finding in found if not self.silences(finding)]
        of_comments = self._of_comments(probed)
        kept += (spoken := [finding for finding in of_comments if not self.silences(finding)])
        left_out = len(found) + len(of_comments) - len(kept)
        if any(self._asked.values()):
            kept = self._concerning(kept)
        return sorted(kept, key=order) if spoken else kept, left_out

    def _ask_for(self, path: str, name: str | None) -> None:
        """Note that something in the file of that absolute path is asked for, None for all of it."""
        names = self._asked.setdefault(path, set())
        if name is None:
            self._asked[path] = None
        elif names is not None:
            names.add(name)

    def _concerning(self, findings: Iterable[Finding]) -> list[Finding]:
        """The findings, but for those that only reading shows in what the names that were asked for never use."""
        from initlint.source.text.concern import unconcerned

        kept: list[Finding] = []
        elsewhere: dict[str, tuple[range, ...]] = {}
        count: Counter[str] = Counter()
        for finding in findings:
            where = finding.location
            names = self._asked.get(where.path) if where is not None and finding.sources == ("source",) else None
            if where is not None and names and not finding.consequences:
                if where.path not in elsewhere:
                    elsewhere[where.path] = unconcerned(self.file(where.path).data, names)
                if any(where.line in lines for lines in elsewhere[where.path]):
                    count[where.path] += 1
                    continue
            kept.append(finding)
        for path, number in count.items():
            asked = sorted(self._asked[path] or ())
            others, use = f"{number} findings" if number > 1 else "a finding", "use" if len(asked) > 1 else "uses"
            self.notes.append(
                f"{shown_path(path)}: left out {others} on code that {' or '.join(asked)} never {use}; "
                f"check {shown_path(path)} for all"
            )
        return kept

    def _of_comments(self, probed: Container[str]) -> list[Finding]:
        """What the rules say of comments that silence findings, once every finding was held against them."""
        said: list[Finding] = []
        for path in self._judged:
            config = self._config(path)
            if not judges_comments(self._judgement.codes(config)):
                continue  # most runs: the comments of a whole package take longer to read than all else is remembered
            file = self.file(path)
            if not file.suppressions.codes:
                continue
            from initlint.suppressed import suppressions_of

            whole = file.roots and all(f"{shown_path(path)}::{root}" in probed for root in file.roots)
            gathered = (SOURCE, PARAMETERS, GRAPH, PROBE) if whole else (SOURCE,)
            used = self._used.get(path, ())
            facts = suppressions_of(path, file.suppressions, used, self._judgement.codes(config), gathered)
            said += self._judgement.ask(config, facts, self.notes)
        return conclude(said)

    def silences(self, finding: Finding) -> bool:
        """Whether a comment or the configuration leaves a finding out."""
        where = finding.location
        if where is not None:
            line = self.file(where.path).suppressions.silencing(finding.code, where.line)
            if line is not None:
                self._used.setdefault(where.path, set()).add((line, finding.code))
                return True
        return self.ignores_parameters(finding) or (
            where is not None and self._config(where.path).ignores(finding.code, where.path)
        )

    def ignores_parameters(self, finding: Finding) -> bool:
        """Whether the configuration leaves out all parameters that a finding is about, or ``apart`` says so."""
        if self._apart is not None and self._apart(finding):
            return True
        where = finding.location
        return self._config(STDIN if where is None else where.path).ignores_parameters(finding)

    def would_say(self, path: str, code: str, model: str | None, probed: Container[str]) -> bool:
        """Whether this run would have said it, were a finding still there.

        It may be in the file of that absolute path ("" for none), of that code, and, where only a built model shows it,
        of that model; ``probed`` are the models that were built and probed.
        """
        if path and not os.path.exists(path):
            return True
        if model is None and self._asked.get(path):
            return False  # it may stand in what was not asked for
        if code not in self._judgement.codes(self._config(path or STDIN)):
            return False
        return self.files.get(path) is not None if model is None else model in probed

    def _config(self, path: str) -> Config:
        return self.configurations.of(os.path.abspath(path))

    def file(self, path: str) -> File:
        """A file that a finding points at, read now if it was not a target."""
        if self.files.get(path, _UNOPENED) is _UNOPENED:
            try:
                most = self._config(path).max_file_size
                self.files[path] = opened(path, loaded(path, most), most)
            except (OSError, ValueError, FileTooLarge, SourceError):  # ValueError: no path can be spelled so
                self.files[path] = None
        return self.files[path] or File(b"")


def _left_out(left: Mapping[str, Sequence[str]]) -> str:
    """What of a directory is not read, and by what it is left out, behind the words that nothing in it is."""
    if not left:
        return " (hidden directories are read if they are named)"
    several = (
        f"{by} leaves out {', '.join(map(shown_path, paths[:3]))}{', …' if len(paths) > 3 else ''}"
        for by, paths in left.items()
    )
    return f": {', '.join(several)} (what is named is read all the same)"
