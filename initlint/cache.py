"""What earlier runs said of files that have not changed, nor anything that had a say.

A verdict holds for a file of the same bytes under the same configuration, rules, initlint and Python; where other files
were looked at, only while every source file of their project, and every name in its directories, is the same. That is
told by digests of contents; a file whose size, times and inode are the same is taken to have the same content, unless
it was written so shortly before that a later write might not show.

Nothing that goes wrong here is an error: a store that is locked, damaged, full or not writable is done without.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, TypeVar

from initlint.record import record
from initlint.regular import opened

__all__ = ["Cache", "Entry", "digest_of", "sources_digest"]

Answer = TypeVar("Answer")

_SCHEMA = 2
_CHUNK = 1 << 20
_MOST_DIGESTED = 1 << 26
"""Bytes of a file that is told by its content: those of a larger one, which hardly anybody reads, cost seconds."""
_SUFFIXES = ("", "-wal", "-shm", "-journal")
"""Of the names of the files that SQLite keeps a store in."""
_PASSING = ("locked", "readonly", "full", "unable to open", "disk I/O")
"""Words of what is wrong with the place or the moment, and not with the store."""
_SETTLED_NS = 2_000_000_000
"""Age from which a file's times tell whether it was written since: so slowly tick the clocks of some file systems."""
_MOST_BYTES = 100_000_000
_MOST_ENTRIES = 100_000
_SOURCES = (".py", ".ipynb")
_SKIPPED = frozenset({"node_modules", "__pycache__", "venv"})
_TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# This directory holds what initlint remembers of earlier runs.\n"

_TABLES = {
    "digests": "path TEXT PRIMARY KEY, stamp TEXT, digest BLOB",
    "verdicts": "path TEXT, settings TEXT, digest BLOB, world BLOB, verdict TEXT, checksum BLOB, "
    "PRIMARY KEY (path, settings)",
    "outside": "path TEXT PRIMARY KEY",
}


def digest_of(data: bytes) -> bytes:
    """What stands for a file's content."""
    return blake2b(data, digest_size=16).digest()


@record(frozen=True, slots=True)
class Entry:
    """One verdict to be kept: of a file of that digest, under those settings.

    ``looked_around``: other files of its project may have had a say.
    """

    path: str
    settings: str
    digest: bytes
    looked_around: bool
    verdict: str


class Cache:
    """The store of one run. ``roots`` are the directories of the projects that the files belong to."""

    def __init__(self, directory: str, roots: Iterable[str]) -> None:
        self._directory = directory
        self._roots = tuple(sorted(set(roots)))
        self._stamps: dict[str, tuple[str, bytes]] = {}
        self._fresh: dict[str, tuple[str, bytes]] = {}
        self._outside: tuple[str, ...] = ()
        self._listed: dict[str, bool] = {}
        """Whether what a directory holds, or that it is not there, shows in ``_inside``."""
        self._inside: bytes | None = None
        self._world: bytes | None = None
        self._store: sqlite3.Connection | None = None

    def find(self, settings: Mapping[str, str]) -> dict[str, str]:
        """The verdicts that still hold for files, each given with its settings."""
        marks = sorted(set(settings.values()))
        query = f"SELECT * FROM verdicts WHERE settings IN ({','.join('?' * len(marks))})"

        def load(store: sqlite3.Connection) -> list[Any]:
            self._stamps = {path: (stamp, digest) for path, stamp, digest in store.execute("SELECT * FROM digests")}
            asked = [path for (path,) in store.execute("SELECT path FROM outside ORDER BY path")]
            self._outside = tuple(filter(_can_be_stored, asked))
            return store.execute(query, marks).fetchall()

        rows = self._trying(load) or []
        self.close()  # what comes next may copy this process
        self._inside = self._look_around()
        self._world = self._world_of(self._outside)
        return {
            path: verdict
            for path, mark, digest, world, verdict, checksum in rows
            if settings.get(path) == mark
            and (world is None or world == self._world)
            and self.digest(path) == digest
            and isinstance(verdict, str)
            and _checksum(path, mark, digest, verdict) == checksum
        }

    def covers(self, path: str) -> bool:
        """Whether a change of a file, or its coming into being, shows in what ``find`` saw of the roots."""
        directory = os.path.dirname(path)
        known = self._listed.get(directory)
        if known is None:  # a directory that is not there shows in the one that would hold it
            above = directory != path and not os.path.lexists(directory)
            known = self._listed[directory] = above and self.covers(directory)
        return known

    def keep(self, entries: Sequence[Entry], valid: Iterable[str], outside: Iterable[str]) -> None:
        """Store verdicts. ``valid`` are the files whose stored ones hold; ``outside`` was asked for and not covered.

        A verdict on a file that has changed since the run began is not kept, nor one in which such a file has a say.
        """
        before, asked = self._world, sorted({*self._outside, *outside})
        steady = before is not None and self._world_of(self._outside) == before
        world = self._world_of(asked) if steady else None
        kept = [e for e in entries if _can_be_stored(e.path) and self.digest(e.path) == e.digest]
        kept = [entry for entry in kept if not entry.looked_around or world is not None]
        if not kept and not self._fresh and before == world:
            return

        def store_all(store: sqlite3.Connection) -> None:
            with store:
                store.execute("BEGIN IMMEDIATE")
                store.executemany("INSERT OR REPLACE INTO digests VALUES (?, ?, ?)", _flat(self._fresh))
                store.executemany(
                    "INSERT OR IGNORE INTO outside VALUES (?)", [(path,) for path in asked if _can_be_stored(path)]
                )
                store.executemany(
                    "INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?, ?, ?, ?)",
                    [_row(entry, world) for entry in kept],
                )
                if world is not None and before != world:
                    store.executemany(
                        "UPDATE verdicts SET world = ? WHERE path = ? AND world = ?",
                        [(world, path, before) for path in valid],
                    )

        self._trying(store_all)

    def close(self) -> None:
        """Let the store go."""
        if self._store is not None:
            with contextlib.suppress(sqlite3.Error):
                self._store.close()
            self._store = None

    def digest(self, path: str) -> bytes | None:
        """The digest of a file's content, which is read only if that may have changed; None for what is no file."""
        try:
            about = os.stat(path)
        except OSError:
            return None
        return self._digest(path, about)

    def _digest(self, path: str, about: os.stat_result) -> bytes | None:
        if not stat.S_ISREG(about.st_mode):
            return None
        stamp = f"{about.st_size} {about.st_mtime_ns} {about.st_ctime_ns} {about.st_ino} {about.st_dev}"
        known = self._stamps.get(path)
        if known is not None and known[0] == stamp:
            return known[1]
        if about.st_size > _MOST_DIGESTED:
            return digest_of(stamp.encode())
        try:
            now = time.time_ns()
            state = blake2b(digest_size=16)
            with opened(path) as file:
                while chunk := file.read(_CHUNK):
                    state.update(chunk)
            digest = state.digest()
        except OSError:
            return None
        if now - max(about.st_mtime_ns, about.st_ctime_ns) > _SETTLED_NS:
            self._fresh[path] = self._stamps[path] = (stamp, digest)
        return digest

    def _look_around(self) -> bytes | None:
        """What stands for all that lies below the roots; None where that is too much."""
        state = blake2b(digest_size=16)
        try:
            for root in self._roots:
                for line in self._tree(root):
                    state.update(line)
        except OverflowError:
            return None
        return state.digest()

    def _world_of(self, outside: Iterable[str]) -> bytes | None:
        """What stands for all that the files of a project may be told by others, those paths among them, as of now.

        What lies below the roots counts as it was before anything was read: a verdict that has seen a later state goes
        with a world that does not come again.
        """
        if self._inside is None:
            return None
        state = blake2b(self._inside, digest_size=16)
        for path in outside:
            there = os.path.isdir(os.path.dirname(path))  # without a file in it, it is a package all the same
            state.update(f"\n{path}\0{there}\0".encode("utf-8", "surrogatepass"))
            state.update(self.digest(path) or b"")
        return state.digest()

    def _tree(self, root: str) -> Iterator[bytes]:
        """A line for every entry below a directory, and for the marks of a project above it."""
        parents = [root]
        while os.path.dirname(parents[-1]) != parents[-1] and len(parents) < 12:
            parents.append(os.path.dirname(parents[-1]))
        for parent in parents[1:]:
            marks = [os.path.exists(os.path.join(parent, name)) for name in _MARKS]
            yield f"{parent} {marks}\n".encode("utf-8", "surrogatepass")
        own = os.path.realpath(self._directory)
        pending, seen = [root], 0
        while pending:
            directory = pending.pop()
            try:
                with os.scandir(directory) as entries:
                    listed = sorted(entries, key=lambda entry: entry.name)
            except OSError:
                yield f"{directory}?\n".encode("utf-8", "surrogatepass")
                continue
            self._listed[directory] = True
            seen += len(listed)
            if seen > _MOST_ENTRIES:
                raise OverflowError
            for entry in listed:
                name = entry.name
                if entry.path == own or name == "__pycache__":
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if not name.startswith(".") and name not in _SKIPPED:
                        pending.append(entry.path)
                    yield f"{entry.path}/\n".encode("utf-8", "surrogatepass")
                    continue
                yield f"{entry.path}\0".encode("utf-8", "surrogatepass")
                if name.endswith(_SOURCES):
                    try:
                        yield self._digest(entry.path, entry.stat()) or b"?"
                    except OSError:
                        yield b"?"

    def _trying(self, action: Callable[[sqlite3.Connection], Answer]) -> Answer | None:
        """What an action on the store answers; None where the store cannot be had."""
        try:
            return action(self._opened())
        except sqlite3.OperationalError as error:
            self.close()
            if not any(word in str(error) for word in _PASSING):
                self._discard()
        except (sqlite3.Error, sqlite3.Warning, OverflowError, TypeError, ValueError):
            self.close()
            self._discard()
        except OSError:
            self.close()
        return None

    def _opened(self) -> sqlite3.Connection:
        if self._store is None:
            path = self._prepared()
            self._store = store = sqlite3.connect(path, timeout=5, isolation_level=None)
            if not _is_current(store, path):
                with contextlib.suppress(sqlite3.OperationalError):  # another run is at it
                    store.execute("PRAGMA journal_mode = WAL")
                with store:
                    store.execute("BEGIN EXCLUSIVE")
                    if not _is_current(store, path):
                        for name, columns in _TABLES.items():
                            store.execute(f"DROP TABLE IF EXISTS {name}")
                            store.execute(f"CREATE TABLE {name} ({columns}) WITHOUT ROWID")
                        store.execute(f"PRAGMA user_version = {_SCHEMA}")
        return self._store

    def _prepared(self) -> str:
        """The path of the store, in a directory that other tools know to leave alone.

        Raises OSError where a link stands in its way: a repository may hold one, and what it leads to is not ours.
        """
        os.makedirs(self._directory, exist_ok=True)
        places = [self._directory, *(os.path.join(self._directory, name) for name in ("CACHEDIR.TAG", ".gitignore"))]
        store = os.path.join(self._directory, "static.sqlite")
        if any(map(os.path.islink, (*places, *(store + suffix for suffix in _SUFFIXES)))):
            raise OSError(errno.ELOOP, "a link stands in the way of the cache")
        for path, text in zip(places[1:], (_TAG, "*\n"), strict=True):
            if not os.path.exists(path):
                with contextlib.suppress(FileExistsError), open(path, "x", encoding="utf-8") as file:
                    file.write(text)
        return store

    def _discard(self) -> None:
        """Remove a store that is damaged."""
        for suffix in _SUFFIXES:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(self._directory, "static.sqlite" + suffix))


_MARKS = ("__init__.py", "pyproject.toml", "setup.py", "setup.cfg", ".git")


def _is_current(store: sqlite3.Connection, path: str) -> bool:
    """Whether a store is laid out as it should be, and has not grown beyond all use."""
    (version,) = store.execute("PRAGMA user_version").fetchone()
    return version == _SCHEMA and os.path.getsize(path) <= _MOST_BYTES


def _row(entry: Entry, world: bytes | None) -> tuple[object, ...]:
    """What is stored of an entry, ``world`` only where it had a say."""
    own = (entry.path, entry.settings, entry.digest)
    return (*own, world if entry.looked_around else None, entry.verdict, _checksum(*own, entry.verdict))


def _checksum(path: str, settings: str, digest: bytes, verdict: str) -> bytes:
    """What tells a verdict from one that a failing disk has changed: SQLite does not notice a flipped letter."""
    return digest_of("\0".join((path, settings, digest.hex(), verdict)).encode("utf-8", "surrogatepass"))


def _flat(stamps: Mapping[str, tuple[str, bytes]]) -> list[tuple[str, str, bytes]]:
    return [(path, stamp, digest) for path, (stamp, digest) in stamps.items() if _can_be_stored(path)]


def _can_be_stored(path: object) -> bool:
    """Whether something is a path that SQLite has a text for, not one whose bytes are no UTF-8, or left by damage."""
    return (
        isinstance(path, str)
        and "\0" not in path
        and (path.isascii() or path.encode("utf-8", "ignore") == path.encode("utf-8", "surrogatepass"))
    )


def sources_digest(paths: Iterable[str]) -> str:
    """What stands for the code in files and directories: where in them it lies, its sizes and times."""
    state = blake2b(repr(sys.version_info[:3]).encode(), digest_size=16)
    for path in paths:
        state.update(b"\n")
        pending, entered = [(path, "")], set()
        while pending:
            place, relative = pending.pop()
            line = f"{relative}?"
            with contextlib.suppress(OSError):  # a link that leads nowhere is no code
                about = os.stat(place)
                if stat.S_ISDIR(about.st_mode):
                    if (about.st_dev, about.st_ino) not in entered:  # links may lead in a circle
                        entered.add((about.st_dev, about.st_ino))
                        names = sorted(name for name in os.listdir(place) if name != "__pycache__")
                        pending += [(os.path.join(place, name), f"{relative}/{name}") for name in names]
                    continue
                line = f"{relative} {about.st_size} {about.st_mtime_ns}"
            if not relative or relative.endswith(".py"):
                state.update(f"{line}\n".encode("utf-8", "surrogatepass"))
    return state.hexdigest()
