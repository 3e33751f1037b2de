"""Many files: what is known of them from earlier runs, and the rest read by as many processes as pay."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from initlint.opened import shown_path
from initlint.source.text.garbage import spared
from initlint.verdict import Verdict

if TYPE_CHECKING:
    from initlint.cache import Cache
    from initlint.checking import Checker

__all__ = ["CACHE_DIRECTORY", "Bulk"]

CACHE_DIRECTORY = ".initlint_cache"

BYTES_A_PROCESS = 400_000
"""How much source makes another process worth its start, some 30 ms."""
BATCHES_A_PROCESS = 24
"""Into how many parts its share of the work is divided: who is done first waits for the last part of another."""


class Bulk:
    """Gives the verdicts on files.

    ``jobs`` is how many processes read, None for as many as pay; ``cache`` the directory of what earlier runs said,
    None where that is neither asked nor kept.
    """

    def __init__(self, checker: Checker, *, jobs: int | None = None, cache: str | None = None) -> None:
        self._checker = checker
        self._jobs = jobs
        self._cache = cache

    def verdicts(self, paths: list[str]) -> Iterator[Verdict]:
        """The verdicts on the files of those absolute paths, in their order.

        Raises ValueError where the configuration of one names no rule.
        """
        for path in paths:
            self._checker.judgement.codes(self._checker.config(path))
        if self._cache is None or not paths:
            with spared():
                yield from (verdict for verdict, _ in self._read(paths, lambda path: (self._verdict(path), ())))
            return
        from initlint.cache import Cache, digest_of

        roots = {os.path.dirname(path): path for path in paths}
        cache = Cache(self._cache, {self._checker.project.root(path) for path in roots.values()})
        self._checker.digest = digest_of
        try:
            known = self._known(cache, paths, settings := self._settings(paths))
            rest = [path for path in paths if path not in known]
            with spared():
                known.update(self._remembered(cache, rest, settings, list(known)))
        finally:
            cache.close()
            self._checker.digest = None
            self._checker.project.packages.asked = None
        yield from map(known.__getitem__, paths)

    def _known(self, cache: Cache, paths: list[str], settings: dict[str, str]) -> dict[str, Verdict]:
        known: dict[str, Verdict] = {}
        for path, text in cache.find(settings).items():
            with contextlib.suppress(ValueError):
                known[path] = Verdict.from_text(text)
        return known

    def _remembered(
        self, cache: Cache, rest: list[str], settings: dict[str, str], valid: list[str]
    ) -> Iterator[tuple[str, Verdict]]:
        """The verdicts on files that are read now, and put by for the next run."""
        from initlint.cache import Entry

        told: set[str] = set()
        self._checker.project.renew({})  # what it answers from memory it would not ask for again

        def work(path: str) -> tuple[Verdict, tuple[str, ...]]:
            asked: set[str] = set()
            self._checker.project.packages.asked = asked
            verdict = self._verdict(path)
            new = [each for each in asked if each not in told and not cache.covers(each)]
            told.update(new)
            return verdict, tuple(new)

        entries: list[Entry] = []
        outside: set[str] = set()
        for path, (verdict, asked) in zip(rest, self._read(rest, work), strict=True):
            outside.update(asked)
            with contextlib.suppress(TypeError):
                if verdict.digest:
                    around = verdict.looked_around
                    entries.append(Entry(path, settings[path], verdict.digest, around, verdict.as_text()))
            yield path, verdict
        cache.keep(entries, valid, outside)

    def _settings(self, paths: list[str]) -> dict[str, str]:
        """For each file, what stands for all besides sources that its verdict hangs on."""
        from hashlib import blake2b

        import initlint_rules

        import initlint
        from initlint.cache import sources_digest

        own = sources_digest(os.path.dirname(module.__file__ or "") for module in (initlint, initlint_rules))
        marks: dict[int, str] = {}
        found: dict[str, str] = {}
        for path in paths:
            config = self._checker.config(path)
            if id(config) not in marks:
                others = sources_digest(sorted({place for name in config.plugins for place in _code_of(name)}))
                parts = (own, others, config.digest, sorted(self._checker.judgement.codes(config)), os.getcwd())
                marks[id(config)] = blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
            found[path] = marks[id(config)]
        return found

    def _verdict(self, path: str) -> Verdict:
        return self._checker.check_path(path)[0]

    def _read(
        self, paths: list[str], work: Callable[[str], tuple[Verdict, tuple[str, ...]]]
    ) -> Iterator[tuple[Verdict, tuple[str, ...]]]:
        processes = self._processes(paths)
        if processes < 2:
            yield from map(work, paths)
            return
        from initlint.pool import each

        self._checker.ready(paths)
        size = max(1, min(24, len(paths) // (BATCHES_A_PROCESS * processes)))
        yield from each(work, [paths[at : at + size] for at in range(0, len(paths), size)], processes, _lost)

    def _processes(self, paths: list[str]) -> int:
        """How many processes are to read files: 1 where more would not pay."""
        from initlint.pool import can_fork, usable_cores

        if self._jobs == 1 or not paths or not can_fork():
            return 1
        if self._jobs is not None:
            return min(self._jobs, len(paths))
        total = 0
        for path in paths:
            with contextlib.suppress(OSError):
                total += os.path.getsize(path)
        return min(usable_cores(), 1 + total // BYTES_A_PROCESS)


def _code_of(plugin: str) -> list[str]:
    """The files and directories that the code of an imported plugin lies in: those of its outermost package."""
    module = sys.modules.get(plugin.partition(".")[0])
    if module is None:
        return []
    if hasattr(module, "__path__"):
        return list(module.__path__)
    return [module.__file__] if module.__file__ else []


def _lost(path: str) -> tuple[Verdict, tuple[str, ...]]:
    """What is said of a file that a process died of."""
    complaint = f"{shown_path(path)}: initlint died of it; please report this"
    return Verdict(complaints=(complaint,), readable=False), ()
