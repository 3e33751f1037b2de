"""Which file the name of a module stands for, as Python would look it up from the files of one project."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Callable, Mapping, Sequence

from initlint.record import field, record
from initlint.regular import contents
from initlint.source.project.tree import Stamp, stamp_of
from initlint.source.text.names import LIBRARIES
from initlint.source.text.parsing import SourceError, decoded, parsed

LARGEST_FILE = 256_000
LARGEST_NOTEBOOK = 8_000_000
MOST_KEPT_BYTES = 1_000_000
"""How much source is kept parsed: a tree takes a hundred times the space of its text."""

MOST_KEPT_TREES = 1000
"""How many files are kept parsed, those that cannot be parsed among them."""
MOST_KEPT_PATHS = 50_000
"""Of how many paths it is kept whether they are files."""

Parsed = tuple[str, ast.Module]
_INSTALLED = ("site-packages", "dist-packages")


@record(frozen=True, slots=True)
class Module:
    """A module or package: its file (None for a package without ``__init__.py``), and the directory of a package."""

    file: str | None
    directory: str | None = None


@record(slots=True)
class Packages:
    """Finds modules and parses them. One serves a whole run; what it has found and looked for in vain it keeps,
    within bounds.

    ``asked``, where somebody gives a set, gets every path whose being there, or content, an answer depends on.
    """

    asked: set[str] | None = None
    _files: dict[str, bool] = field(default_factory=dict)
    _tops: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _trees: dict[str, Parsed | None] = field(default_factory=dict)
    _kept: int = 0
    _instead: Mapping[str, bytes] = field(default_factory=dict)
    _origins: dict[str, bytes | Stamp | None] = field(default_factory=dict)
    """For each parsed file the bytes that stood in for it, or the stamp it had."""

    def renew(self, instead: Mapping[str, bytes]) -> None:
        """Forget what no longer holds of where files lie and what they hold; ``instead`` as in ``Project.renew``."""
        self._instead = instead
        self._files.clear()
        self._tops.clear()
        for path in [path for path in self._trees if self._origin(path) != self._origins.get(path)]:
            self._drop(path)

    def find(self, path: str, root: str, level: int, parts: Sequence[str]) -> Module | None:
        """What ``import parts`` in the file ``path`` means; ``level`` counts the dots of a relative import.

        ``root`` is the project's directory. None where no file of the project is meant, or more than one may be.
        """
        own = os.path.dirname(os.path.abspath(path))
        if level:
            for _ in range(level - 1):
                own = os.path.dirname(own)
            return self._below(own, parts)
        if not parts or parts[0] in LIBRARIES or parts[0] in sys.stdlib_module_names:
            return None
        found: dict[str, Module] = {}
        for top in self._searched(own, root):
            if os.path.basename(top) in _INSTALLED and not own.startswith(os.path.join(top, parts[0])):
                continue
            module = self._below(top, parts)
            if module is not None:
                found.setdefault(os.path.realpath(module.file or module.directory or ""), module)
        return next(iter(found.values())) if len(found) == 1 else None

    def submodule(self, module: Module, name: str) -> Module | None:
        """The module ``name`` of a package."""
        return None if module.directory is None else self._below(module.directory, (name,))

    def parsed(self, path: str) -> Parsed | None:
        """The text and tree of a file; None where it cannot be had, or is too large to be looked into."""
        if self.asked is not None:
            self.asked.add(path)
        if path in self._trees:
            self._trees[path] = found = self._trees.pop(path)  # the latest used come last
            return found
        self._origins[path] = origin = self._origin(path)
        self._trees[path] = found = _parse(path, origin if isinstance(origin, bytes) else None)
        if found is not None:
            self._kept += len(found[0])
        while len(self._trees) > 1 and (self._kept > MOST_KEPT_BYTES or len(self._trees) > MOST_KEPT_TREES):
            self._drop(next(iter(self._trees)))
        return found

    def _origin(self, path: str) -> bytes | Stamp | None:
        held = self._instead.get(os.path.realpath(path)) if self._instead else None
        return stamp_of(path) if held is None else held

    def _drop(self, path: str) -> None:
        self._origins.pop(path, None)
        dropped = self._trees.pop(path)
        self._kept -= len(dropped[0]) if dropped is not None else 0

    def held(self, path: str) -> Parsed | None:
        """What is already parsed of a file."""
        return self._trees.get(path)

    def _searched(self, own: str, root: str) -> tuple[str, ...]:
        """The directories that an absolute import in a file of the directory ``own`` is looked up in."""
        tops = self._tops.get(own)
        if tops is None:
            top = own
            while self._is_file(os.path.join(top, "__init__.py")) and os.path.dirname(top) != top:
                top = os.path.dirname(top)
            outer = os.path.dirname(topmost_package(own, self._is_file)) if top != own else own
            tops = self._tops[own] = tuple(dict.fromkeys((top, outer, root, os.path.join(root, "src"))))
        return tops

    def _below(self, directory: str, parts: Sequence[str]) -> Module | None:
        module = self._package(directory) if not parts else None
        for index, part in enumerate(parts):
            inner = os.path.join(directory, part)
            if self._is_file(os.path.join(inner, "__init__.py")):
                module = Module(os.path.join(inner, "__init__.py"), inner)
            elif self._is_file(inner + ".py"):
                return Module(inner + ".py") if index == len(parts) - 1 else None
            elif os.path.isdir(inner):
                module = Module(None, inner)
            else:
                return None
            directory = inner
        return module

    def _package(self, directory: str) -> Module:
        init = os.path.join(directory, "__init__.py")
        return Module(init if self._is_file(init) else None, directory)

    def _is_file(self, path: str) -> bool:
        if self.asked is not None:
            self.asked.add(path)
        found = self._files.get(path)
        if found is None:
            if len(self._files) >= MOST_KEPT_PATHS:
                self._files.clear()
            found = self._files[path] = os.path.isfile(path)
        return found


def topmost_package(directory: str, is_file: Callable[[str], bool] = os.path.isfile) -> str:
    """The outermost package that a directory lies in, or the directory itself.

    A directory without ``__init__.py`` between two packages is a package too (PEP 420); two in a row end it.
    """
    top = directory
    while is_file(os.path.join(top, "__init__.py")):
        above = os.path.dirname(top)
        beyond = os.path.dirname(above)
        if above != top and is_file(os.path.join(above, "__init__.py")):
            top = above
        elif beyond != above and is_file(os.path.join(beyond, "__init__.py")):
            top = beyond
        else:
            break
    return top


def _parse(path: str, data: bytes | None) -> Parsed | None:
    """The text and tree of a file that holds ``data``, None standing for what lies there."""
    notebook = path.endswith(".ipynb")
    try:
        most = LARGEST_NOTEBOOK if notebook else LARGEST_FILE
        if data is None:
            data = contents(path, most)
        if len(data) > most:
            return None
        if notebook:
            from initlint.source.text.notebook import read

            book = read(data)
            if book.faults or book.language:
                return None
            data = book.code
        text = decoded(data)
        return text, parsed(text, path)
    except (OSError, SourceError):
        return None
