"""Which files a directory holds that are to be read, and their bytes."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator

from initlint.globs import DEFAULT_EXCLUDE, SKIPPED_DIRECTORIES, can_be_read, included, relative_to
from initlint.record import record
from initlint.regular import contents

__all__ = [
    "DEFAULT_EXCLUDE",
    "MAX_BYTES",
    "MAX_NOTEBOOK_BYTES",
    "NOTEBOOK",
    "Exclusion",
    "FileTooLarge",
    "load",
    "walk",
]

MAX_BYTES = 1_000_000
"""Larger files are not read: ast needs gigabytes for a 10 MB one-liner."""

MAX_NOTEBOOK_BYTES = 32_000_000
"""A notebook holds pictures besides code; the code may be as large as another file."""

NOTEBOOK = ".ipynb"
SUFFIXES = (".py", ".pyi", NOTEBOOK)


@record(frozen=True, slots=True)
class Exclusion:
    """What a configuration leaves out of a walk.

    The patterns are spelled as in .gitignore and relative to ``base``: ``exclude`` stands in place of the default
    ones where it is there, ``extend`` comes on top. ``gitignore``: the .gitignore files count too.
    """

    base: str = ""
    exclude: tuple[str, ...] | None = None
    extend: tuple[str, ...] = ()
    gitignore: bool = True

    def covers(self, path: str, *, is_directory: bool) -> bool:
        """Whether the patterns leave out what lies at an absolute path, the directories above it left aside."""
        if self.exclude is None and not self.extend:
            return is_directory and _skipped(os.path.basename(path))
        patterns = (*(DEFAULT_EXCLUDE if self.exclude is None else self.exclude), *self.extend)
        return bool(included(patterns, relative_to(self.base, path), is_directory=is_directory))

    def covers_any(self, path: str) -> bool:
        """The same of an absolute path and every directory above it that lies below ``base``."""
        relative = relative_to(self.base, path)
        top = path.removesuffix(relative)
        parts = relative.split(os.sep)
        return any(
            self.covers(top + os.sep.join(parts[:count]), is_directory=count < len(parts) or os.path.isdir(path))
            for count in range(1, len(parts) + 1)
        )


_DEFAULTS = Exclusion()


def _skipped(name: str) -> bool:
    return name.startswith(".") or name in SKIPPED_DIRECTORIES


class FileTooLarge(Exception):
    """A file is larger than it may be; the message says how large that is."""

    def __init__(self, most: int) -> None:
        super().__init__(f"larger than {_size(most)}")


def _size(count: int) -> str:
    """A number of bytes in words."""
    for unit, name in ((1_000_000, "MB"), (1000, "kB")):
        if count >= unit and count % (unit // 10) == 0:
            return f"{count / unit:g} {name}"
    return f"{count} bytes"


def load(path: str, most: int = MAX_BYTES) -> bytes:
    """The bytes of a regular file; raises OSError, or FileTooLarge where there are more than ``most``."""
    data = contents(path, most)
    if len(data) > most:
        raise FileTooLarge(most)
    return data


def walk(
    root: str,
    note: Callable[[str], None],
    exclusion: Callable[[str], Exclusion] = lambda _: _DEFAULTS,
    leaving: Callable[[str, str], None] = lambda _path, _by: None,
) -> Iterator[str]:
    """The Python files below a directory, in the order of their path's parts.

    ``exclusion`` says what is left out of what lies right in a directory, by its absolute path; by default hidden
    directories, build directories and what the .gitignore files say, those above ``root`` up to the repository's top
    among them. Virtual environments are skipped always, ``root`` itself never, having been named. Links to
    directories are not followed, so a walk ends. ``note`` gets a line for each directory that cannot be listed,
    ``leaving`` what is left out and by what ("exclude", ".gitignore"), hidden directories aside.
    """
    pending: list[tuple[str, bool, _Ignores]] = [(root, True, _Ignores.above(root))]
    while pending:
        path, is_directory, ignores = pending.pop()
        if not is_directory:
            yield path
            continue
        try:
            with os.scandir(path) as entries:
                children = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            note(f"{path}: cannot be listed ({error.strerror})")
            continue
        names = {child.name for child in children}
        if path != root and "pyvenv.cfg" in names:
            continue
        full = os.path.abspath(path)
        left_out = exclusion(full)
        if left_out.gitignore:
            ignores = ignores.within(path, names)
        kept = []
        for child in children:
            is_directory = child.is_dir(follow_symlinks=False)
            if not (is_directory or (child.name.endswith(SUFFIXES) and _is_regular(child.path))):
                continue
            below = os.path.join(full, child.name)
            joined = _joined(path, child.name)
            if left_out.covers(below, is_directory=is_directory):
                if not child.name.startswith("."):
                    leaving(joined, "exclude")
            elif left_out.gitignore and ignores.ignored(below, is_directory):
                leaving(joined, ".gitignore")
            else:
                kept.append((joined, is_directory, ignores))
        pending.extend(reversed(kept))


def _is_regular(path: str) -> bool:
    """Whether a path leads to a regular file, through links too (a pipe or a device would block)."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False


def _joined(directory: str, name: str) -> str:
    return name if directory == os.curdir else os.path.join(directory, name)


class _Ignores:
    """The .gitignore files in force in one directory, the outermost first: their directories and patterns."""

    def __init__(self, specs: tuple[tuple[str, tuple[str, ...]], ...] = ()) -> None:
        self._specs = specs

    @classmethod
    def above(cls, root: str) -> _Ignores:
        """Those of the directories over ``root`` up to the repository's top; none if they ignore ``root`` itself."""
        top = os.path.abspath(root)
        parents = []
        current = top
        while not os.path.exists(os.path.join(current, ".git")):
            parent = os.path.dirname(current)
            if parent == current:
                return cls()  # no repository: what lies above has no say
            parents.append(parent)
            current = parent
        found = cls().within(os.path.join(current, ".git", "info"), {"exclude"}, "exclude", current)
        for parent in reversed(parents):
            found = found.within(parent, {".gitignore"})
        return cls() if found.ignored(top, is_directory=True) else found

    def within(self, directory: str, names: set[str], name: str = ".gitignore", base: str | None = None) -> _Ignores:
        """With the .gitignore of ``directory`` added, if it has one; ``base`` is what it speaks of."""
        path = os.path.join(directory, name)
        if name not in names:
            return self
        try:
            data = contents(path, MAX_BYTES)
        except OSError:
            return self
        if len(data) > MAX_BYTES:
            return self
        lines = data.decode("utf-8", "replace").splitlines()
        patterns = tuple(line for line in lines if line.strip() and line[0] != "#" and can_be_read(line))
        if not patterns:
            return self
        return _Ignores((*self._specs, (os.path.abspath(base or directory), patterns)))

    def ignored(self, path: str, is_directory: bool) -> bool:
        """Whether the innermost file that speaks of a path ignores it."""
        if not self._specs:
            return False
        absolute = os.path.abspath(path)
        for base, patterns in reversed(self._specs):
            verdict = included(patterns, os.path.relpath(absolute, base), is_directory=is_directory)
            if verdict is not None:
                return verdict
        return False
