"""A baseline: the findings of a code base that are known, so that only new ones are told.

It is JSON, sorted, one entry a line. A finding is known by its file, its code and a digest of the line it stands at, so
that it survives moved lines and reworded messages; equal ones are counted. Of a finding that only a built model shows,
the model's name is kept too: a run that does not build it cannot tell whether the finding is still there.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from initlint.findings import Finding
from initlint.fingerprint import content
from initlint.location import Location
from initlint.opened import shown_path

__all__ = ["DEFAULT_NAME", "Baseline", "chosen", "read"]

DEFAULT_NAME = "initlint-baseline.json"
VERSION = 1


class Entry(NamedTuple):
    """What a known finding is recognised by.

    ``path`` is relative to the baseline's directory, with slashes; empty where the finding has no place.
    """

    path: str
    code: str
    fingerprint: str


class Baseline:
    """The known findings of the file ``path``: how often each, and the model of those that only a built model shows."""

    def __init__(self, path: str, known: Mapping[Entry, int], models: Mapping[Entry, str]) -> None:
        self.path = path
        self.known = Counter(known)
        self.models = dict(models)

    def settle(
        self,
        findings: Iterable[Finding],
        lines: Mapping[Location, str],
        judged: Callable[[str, str, str | None], bool],
        *,
        update: bool,
    ) -> tuple[tuple[Finding, ...], int, str | None]:
        """The findings that are new, how many are known, and a line about the baseline, None if there is none.

        ``judged`` is as in ``gone``. With ``update`` the file is written, and then knows all. Raises ValueError where
        it cannot be.
        """
        findings = list(findings)
        new, met = self.sift(findings, lines)
        gone = self.gone(met, judged)
        shown, count = shown_path(self.path), sum(gone.values())
        if not update:
            what = "finding no longer occurs" if count == 1 else "findings no longer occur"
            note = f"{shown}: {count} known {what}; --update-baseline takes that in" if count else None
            return tuple(new), sum(met.values()), note
        after = self.updated(findings, lines, gone)
        from initlint.writing import put

        try:
            put(self.path, str(after))
        except OSError as error:
            raise ValueError(f"{shown}: cannot be written ({error.strerror})") from None
        total = sum(after.known.values())
        what = "known finding" if total == 1 else "known findings"
        return (), len(findings), f"{shown}: {total} {what}, of which {len(new)} new; {count} no longer there"

    def sift(self, findings: Iterable[Finding], lines: Mapping[Location, str]) -> tuple[list[Finding], Counter[Entry]]:
        """The findings (with shown paths) that are new, and how often each known one was met."""
        new: list[Finding] = []
        met: Counter[Entry] = Counter()
        for finding in findings:
            entry = self._entry(finding, lines)
            if met[entry] < self.known[entry]:
                met[entry] += 1
            else:
                new.append(finding)
        return new, met

    def gone(self, met: Counter[Entry], judged: Callable[[str, str, str | None], bool]) -> Counter[Entry]:
        """Known findings that no longer occur, of those that the run could have met.

        ``judged`` says that of an absolute path ("" for none), a code and a model (None for what reading finds).
        """
        folder = os.path.dirname(self.path)
        missing = self.known - met
        return Counter(
            {
                entry: count
                for entry, count in missing.items()
                if judged(
                    os.path.normpath(os.path.join(folder, entry.path)) if entry.path else "",
                    entry.code,
                    self.models.get(entry),
                )
            }
        )

    def updated(self, findings: Iterable[Finding], lines: Mapping[Location, str], gone: Counter[Entry]) -> Baseline:
        """With these findings known too, and without what is gone."""
        findings = list(findings)
        known, models = self.known - gone, dict(self.models)
        now = Counter(self._entry(finding, lines) for finding in findings)
        for finding in findings:
            entry = self._entry(finding, lines)
            known[entry] = max(known[entry], now[entry])
            if "source" in finding.sources:
                models.pop(entry, None)
            elif entry not in self.known:
                models[entry] = finding.model or ""
        return Baseline(self.path, known, models)

    def _entry(self, finding: Finding, lines: Mapping[Location, str]) -> Entry:
        where = finding.location
        path = ""
        if where is not None:
            path = os.path.relpath(os.path.abspath(where.path), os.path.dirname(self.path)).replace(os.sep, "/")
        return Entry(path, finding.code, content(finding, lines))

    def __str__(self) -> str:
        """The text of the file."""
        import json

        lines = []
        for entry in sorted(self.known):
            plain: dict[str, object] = entry._asdict()
            if entry in self.models:
                plain["model"] = self.models[entry]
            lines.append("    " + json.dumps({**plain, "count": self.known[entry]}))
        body = "[\n" + ",\n".join(lines) + "\n  ]" if lines else "[]"
        return f'{{\n  "version": {VERSION},\n  "findings": {body}\n}}\n'


def chosen(file: str, *, update: bool) -> Baseline:
    """The baseline of a run, empty where it is to be written for the first time. Raises ValueError as ``read``."""
    path = os.path.abspath(file)
    if update and not os.path.isdir(os.path.dirname(path)):
        raise ValueError(f"{shown_path(path)}: there is no directory for it")
    return Baseline(path, {}, {}) if update and not os.path.lexists(path) else read(path)


def read(path: str) -> Baseline:
    """The baseline that a file holds. Raises ValueError, in one line, for what is none."""
    import json

    shown = shown_path(path)
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
    except FileNotFoundError:
        raise ValueError(f"{shown}: there is no such baseline; --update-baseline writes it") from None
    except OSError as error:
        raise ValueError(f"{shown}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        raise ValueError(f"{shown}: is no baseline (not JSON)") from None
    version = data.get("version") if isinstance(data, dict) else None
    if type(version) is not int:
        raise ValueError(f"{shown}: is no baseline of initlint")
    if version != VERSION:
        raise ValueError(f"{shown}: is a baseline of version {version}, and this initlint knows version {VERSION}")
    entries = data.get("findings")
    known: Counter[Entry] = Counter()
    models: dict[Entry, str] = {}
    for number, each in enumerate(entries if isinstance(entries, list) else [None]):
        entry, count, model = _understood(each)
        if entry is None:
            raise ValueError(f"{shown}: is no baseline (finding {number + 1} cannot be understood)")
        known[entry] = max(known[entry], count)  # a merge may have left a line twice
        if model is not None:
            models[entry] = model
    return Baseline(path, known, models)


def _understood(each: object) -> tuple[Entry | None, int, str | None]:
    """One entry of a file, its count and its model; no entry where it is none."""
    if not isinstance(each, dict):
        return None, 0, None
    count, model = each.get("count"), each.get("model")
    parts: list[Any] = [each.get(name) for name in Entry._fields]
    entry = Entry(*parts)
    texts = all(isinstance(text, str) and "\0" not in text for text in (*entry, model or ""))
    return (entry, count, model) if texts and type(count) is int and count > 0 else (None, 0, None)
