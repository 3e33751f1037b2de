"""What ``--fix`` and ``--diff`` do: files read, their fixes applied and read again, the result written or shown.

Fixes rest on what reading finds. Files are mended first; the check that was asked for then sees them as they are
now, so that its report and its exit code are about what remains.
"""

from __future__ import annotations

import itertools
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from initlint.findings import Finding
from initlint.opened import STDIN, loaded, shown_path
from initlint.record import field, record, replace
from initlint.result import Mended, Report
from initlint.source.text.files import NOTEBOOK, FileTooLarge

if TYPE_CHECKING:
    from initlint.config import Config
    from initlint.fix.rounds import Outcome

__all__ = ["check_and_mend"]

Check = Callable[..., Report]
"""``initlint.api.check``."""


def check_and_mend(check: Check, asked: Mapping[str, Any], configuration: Callable[[str], Config]) -> Report:
    """Mend what was asked for, and report what remains; with ``diff``, what would change, and all findings.

    ``asked`` are all arguments of ``check``; ``configuration`` gives the one that holds for an absolute path.
    """
    unsafe, diff = asked["unsafe_fixes"], asked["diff"]
    arguments = {name: value for name, value in asked.items() if name not in ("fix", "diff")}
    read_stdin = asked["stdin"]
    data = read_stdin() if STDIN in asked["targets"] and read_stdin is not None else b""
    arguments["stdin"] = lambda: data
    reading = {**arguments, "static": True, "progress": None}  # what says how models are built means nothing then
    started = time.time_ns()
    before = check(**reading)
    mending = _Mending(check, reading, configuration, started, _by_path(before.findings), unsafe=unsafe)
    name = asked["stdin_filename"]
    stdin_path = shown_path(name) if name else STDIN
    source = data if STDIN in asked["targets"] else None
    for path in [path for path, several in mending.found.items() if any(_wanted(f, unsafe) for f in several)]:
        if source is not None and path == stdin_path:
            source = mending.mend(path, source)
        else:
            mending.mend_file(path, write=not diff)
    if diff:
        report = before
    else:
        arguments["stdin"] = lambda: source or b""
        report = check(**arguments)
    mended = Mended(fixed=mending.fixed, diff="".join(mending.diffs) if diff else None, source=None if diff else source)
    return replace(
        report,
        findings=tuple(mending.with_edits(report.findings, {stdin_path: (data if diff else source) or b""})),
        notes=tuple(dict.fromkeys((*report.notes, *mending.notes))),
        failures=tuple(dict.fromkeys((*report.failures, *mending.failures))),
        mended=mended,
    )


def _by_path(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    several: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.location is not None:
            several.setdefault(finding.location.path, []).append(finding)
    return several


def _wanted(finding: Finding, unsafe: bool) -> bool:
    return finding.fix is not None and (finding.fix.safe or unsafe)


_CLOCK_STEP = 50_000_000
"""Nanoseconds by which a file's time of change may lag behind the clock."""


@record(slots=True)
class _Mending:
    """One run's fixes: what was mended, what could not be."""

    check: Check
    reading: Mapping[str, Any]
    configuration: Callable[[str], Config]
    started: int
    found: dict[str, list[Finding]]
    unsafe: bool
    fixed: int = 0
    diffs: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def mend_file(self, path: str, *, write: bool) -> None:
        """Mend a file, in its place or (without ``write``) as a diff only."""
        if os.path.islink(path) and not self._asked_for(os.path.realpath(path)):
            self.notes.append(f"{path}: was not fixed, for it is a link to what lies outside of what was named")
            return
        try:
            data = self._loaded(path)
        except (OSError, FileTooLarge) as error:
            self.failures.append(f"{path}: cannot be fixed ({getattr(error, 'strerror', None) or 'too large'})")
            return
        if os.stat(path).st_mtime_ns > self.started - _CLOCK_STEP:
            self.found.pop(path, None)  # it may have changed since it was read: read it anew
        fixed = self.fixed
        after = self.mend(path, data)
        if after == data or not write:
            return
        from initlint.fix.files import write as put
        from initlint.writing import Changed

        try:
            remark = put(path, data, after)
        except Changed:
            self.fixed = fixed
            self.failures.append(f"{path}: was not fixed, for it changed while it was being read")
        except OSError as error:
            self.fixed = fixed
            self.failures.append(f"{path}: was not fixed ({error.strerror})")
        else:
            if remark is not None:
                self.notes.append(remark)

    def _asked_for(self, path: str) -> bool:
        """Whether a file, links resolved, was named, or lies in a directory that was."""
        named = [target.partition("::")[0] for target in self.reading["targets"]] or [os.curdir]
        tops = [os.path.realpath(each) for each in named]
        return any(path == top or path.startswith(os.path.join(top, "")) for top in tops)

    def mend(self, path: str, data: bytes) -> bytes:
        """The bytes of a file after its fixes; those it has where none can be made."""
        if path.endswith(NOTEBOOK):
            self.notes.append(f"{path}: was not fixed, for it is a notebook")
            return data
        from initlint.fix.files import read
        from initlint.fix.rounds import mend

        try:
            original = read(data)
        except ValueError as error:
            self.notes.append(f"{path}: was not fixed ({error})")
            return data

        def findings(text: str) -> Iterable[Finding]:
            known = self.found.pop(path, None) if text is original.text else None
            return self._found(path, original.encoded(text)) if known is None else known

        outcome: Outcome = mend(original.text, findings, unsafe=self.unsafe)
        self.notes.extend(outcome.problems)
        if outcome.fixed:
            self.fixed += outcome.fixed
            self.diffs.append(_diff(path, original.text, outcome.text))
        return original.encoded(outcome.text)

    def with_edits(self, findings: Iterable[Finding], at_hand: Mapping[str, bytes]) -> Iterator[Finding]:
        """The findings, each fix with the edits that it comes to by itself; ``at_hand`` are files not to be opened."""
        from initlint.fix.files import read
        from initlint.fix.rounds import with_edits

        for path, group in itertools.groupby(findings, key=lambda finding: finding.location and finding.location.path):
            several = list(group)
            if path is None or all(finding.fix is None for finding in several):
                yield from several
                continue
            try:
                text = read(at_hand[path] if path in at_hand else self._loaded(path)).text
            except (OSError, FileTooLarge, ValueError):
                yield from several
            else:
                yield from with_edits(text, several)

    def _loaded(self, path: str) -> bytes:
        """The bytes of a file that was read before, within the same bounds. Raises OSError and FileTooLarge."""
        return loaded(path, self.configuration(os.path.abspath(path)).max_file_size)

    def _found(self, path: str, data: bytes) -> Iterable[Finding]:
        """What reading finds in a file that holds these bytes."""
        name = None if path == STDIN else path
        report = self.check(**{**self.reading, "targets": (STDIN,), "stdin": lambda: data, "stdin_filename": name})
        return [f for f in report.findings if f.location is not None and f.location.path == path]


def _diff(path: str, before: str, after: str) -> str:
    """The unified diff of a file, as ``patch -p0`` takes it."""
    import difflib

    from initlint.printable import printable

    name = printable(path)
    lines = []
    for line in difflib.unified_diff(_LINE.findall(before), _LINE.findall(after), name, name):
        lines.append(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n")
    return "".join(lines)


_LINE = re.compile(r"[^\n]*\n|[^\n]+")
