"""The files of one project, in the order of their path's parts: each read once, and anew where it has changed."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Generator, Iterator, Mapping

from initlint.regex import pattern
from initlint.regular import contents

__all__ = ["Stamp", "Tree", "stamp_of"]

MOST_FILES = 400
MOST_BYTES = 8_000_000
MOST_ENTRIES = 20_000
BYTES_AN_ENTRY = 100
"""What having listed a file or directory counts for."""

_PICTURES = pattern(rb"[A-Za-z0-9+/=]{1000,}")
_WORD = re.compile(rb"\w+")
_BLANKED = bytes(byte if _WORD.match(bytes([byte])) else ord(" ") for byte in range(256))
"""What makes blanks of all that is in no word: to split at these takes half as long as to look for words."""
_SKIPPED = frozenset({".git", "node_modules", "__pycache__", ".venv", "venv", "build", "dist", ".tox", ".mypy_cache"})

Stamp = tuple[int, int, int]
"""When a file or directory was written, its size and its inode: while these stay, so does what it holds."""


def stamp_of(path: str) -> Stamp | None:
    """The stamp of what lies at a path; None where nothing does."""
    try:
        return _stamp(os.stat(path))
    except (OSError, ValueError):
        return None


def _stamp(about: os.stat_result) -> Stamp:
    return about.st_mtime_ns, about.st_size, about.st_ino


class Tree:
    """The files of one project. One is read only when it is asked for.

    The bounds count files, bytes and directory entries, never time: the same tree gives the same answers everywhere.
    ``complete`` is False once they, or an unreadable file, have cut the list short. ``instead`` holds, by real path,
    bytes that count in place of a file's.
    """

    def __init__(self, root: str, instead: Mapping[str, bytes] | None = None) -> None:
        self._root = root
        self._instead = dict(instead or {})
        self._on_disk: dict[str, tuple[Stamp, bytes]] = {}
        self._words: dict[bytes, list[int]] | None = None
        """For each word, the files that hold it."""
        self._begin()

    def _begin(self) -> None:
        self.complete = True
        self.read: list[tuple[str, bytes]] = []
        self._bytes = self._entries = 0
        self._directories: dict[str, Stamp | None] = {}
        self._left = self._reading()

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        """(real path, content) of every file within the bounds."""
        index = 0
        while True:
            if index == len(self.read):
                following = next(self._left, None)
                if following is None:
                    return
                self.read.append(following)
            yield self.read[index]
            index += 1

    def holding(self, word: bytes) -> Iterator[tuple[str, bytes]]:
        """(real path, content) of the files that hold a whole word, in order."""
        if _WORD.fullmatch(word) is None:
            whole = re.compile(rb"(?<!\w)" + re.escape(word) + rb"(?!\w)")
            yield from ((path, data) for path, data in self if word in data and whole.search(data))
            return
        if self._words is None:
            self._words = {}
            for index, (_, data) in enumerate(self):
                for found in _words_of(data):
                    self._words.setdefault(found, []).append(index)
        yield from (self.read[index] for index in self._words.get(word, ()))

    @property
    def size(self) -> int:
        """How much has been read and listed, in bytes."""
        return self._bytes + BYTES_AN_ENTRY * self._entries

    def close(self) -> None:
        """Let go of what a search that ended early would go on with."""
        self._left.close()

    def renew(self, instead: Mapping[str, bytes]) -> None:
        """Look at what has changed since, and read that; ``instead`` as for a new tree.

        What one more or one less byte does to where the bounds cut the list short shows once a directory changes.
        """
        self._instead = dict(instead)
        before, words = self.read, self._words
        if any(stamp_of(path) != stamp for path, stamp in self._directories.items()):
            self._words = None
            self._begin()
            if words is None or [path for path, _ in self] != [path for path, _ in before]:
                return
            self._words = words
        else:
            self.read = [(path, data if (new := self._content(path)) is None else new) for path, data in before]
        for index, ((_, old), (_, new)) in enumerate(zip(before, self.read, strict=True)):
            if old is not new and old != new and self._words is not None:
                _enter(self._words, index, old, new)

    def _reading(self) -> Generator[tuple[str, bytes], None, None]:
        pending = [self._root]
        while pending:
            entries = self._listed(pending.pop())
            if entries is None:
                return
            for entry in entries:
                if not entry.name.endswith((".py", ".ipynb")):
                    continue
                if len(self.read) >= MOST_FILES or self._bytes > MOST_BYTES:
                    self.complete = False
                    return
                real = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
                try:
                    about = entry.stat()
                    if not stat.S_ISREG(about.st_mode):
                        continue
                except OSError:
                    about = None
                data = None if about is None or about.st_size > MOST_BYTES else self._content(real, _stamp(about))
                if data is None:
                    self.complete = False
                    continue
                self._bytes += len(data)
                yield real, data
            below = [entry for entry in entries if _entered(entry)]
            pending.extend(entry.path for entry in reversed(below))

    def _content(self, path: str, stamp: Stamp | None = None) -> bytes | None:
        """What a file of that real path, and of that stamp now, holds; None where it cannot be read."""
        data = self._instead.get(path)
        if data is not None:
            return _without_pictures(path, data)
        stamp = stamp or stamp_of(path)
        known = self._on_disk.get(path)
        if known is not None and known[0] == stamp:
            return known[1]
        try:
            data = _without_pictures(path, contents(path, MOST_BYTES))
        except OSError:
            return None
        if stamp is not None:
            self._on_disk[path] = stamp, data
        return data

    def _listed(self, directory: str) -> list[os.DirEntry[str]] | None:
        """What a directory holds, by name; None where that is too much."""
        found = []
        self._directories[directory] = stamp_of(directory)
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    self._entries += 1
                    if self._entries > MOST_ENTRIES:
                        self.complete = False
                        return None
                    found.append(entry)
        except OSError:
            self.complete = False
            return []
        return sorted(found, key=lambda entry: entry.name)


def _entered(entry: os.DirEntry[str]) -> bool:
    return not entry.name.startswith(".") and entry.name not in _SKIPPED and entry.is_dir(follow_symlinks=False)


def _without_pictures(path: str, data: bytes) -> bytes:
    return _PICTURES.sub(b"", data) if path.endswith(".ipynb") else data


def _words_of(data: bytes) -> set[bytes]:
    return set(data.translate(_BLANKED).split())


def _enter(words: dict[bytes, list[int]], index: int, old: bytes, new: bytes) -> None:
    """Put down what a file that held ``old`` holds now."""
    import bisect

    were, are = _words_of(old), _words_of(new)
    for word in were - are:
        words[word].remove(index)
    for word in are - were:
        bisect.insort(words.setdefault(word, []), index)
