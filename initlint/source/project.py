"""What stands in the other files of a project: looked up by reading, within bounds."""

from __future__ import annotations

import os
import re
import time
from dataclasses import field

from initlint.record import record

MOST_FILES = 400
MOST_BYTES = 8_000_000
MOST_SECONDS = 1.0

_INITIALISES = re.compile(
    rb"\binit\.|_init\b|init_|\.apply\(|reset_param|load_state_dict|from_pretrained|\.(?:normal|uniform|zero|fill)_\("
)
_MARKERS = ("pyproject.toml", "setup.py", "setup.cfg", ".git")
_SKIPPED = frozenset({".git", "node_modules", "__pycache__", ".venv", "venv", "build", "dist", ".tox", ".mypy_cache"})


@record(slots=True)
class _Tree:
    """The files of one project, read once. ``complete`` is False where the bounds cut the list short."""

    files: dict[str, bytes] = field(default_factory=dict)
    complete: bool = True


@record(slots=True)
class Project:
    """Looks other files up. One serves a whole run: what it has read it keeps."""

    trees: dict[str, _Tree] = field(default_factory=dict)
    roots: dict[str, str] = field(default_factory=dict)

    def mentions(self, name: str, path: str) -> bool | None:
        """Whether some other file of the project mentions ``name``; None where not all of them could be looked at."""
        tree = self._tree(path)
        if tree is None:
            return None
        own = os.path.realpath(path)
        word = name.encode("utf-8", "surrogatepass")
        pattern = None
        for other, data in tree.files.items():
            if other != own and word in data:
                pattern = pattern or re.compile(rb"(?<![\w])" + re.escape(word) + rb"(?![\w])")
                if pattern.search(data):
                    return True
        return False if tree.complete else None

    def initialises(self, name: str, path: str) -> bool | None:
        """Whether some other file mentions a class and may initialise what it holds; None as in ``mentions``."""
        tree = self._tree(path)
        if tree is None:
            return None
        own = os.path.realpath(path)
        word = name.encode("utf-8", "surrogatepass")
        for other, data in tree.files.items():
            if other != own and word in data and _INITIALISES.search(data):
                return True
        return False if tree.complete else None

    def in_package(self, path: str) -> bool:
        """Whether a file belongs to a package, which others may import."""
        return os.path.exists(os.path.join(os.path.dirname(os.path.abspath(path)), "__init__.py"))

    def _tree(self, path: str) -> _Tree | None:
        directory = os.path.dirname(os.path.realpath(path))
        root = self.roots.get(directory)
        if root is None:
            root = self.roots[directory] = _root(directory)
        tree = self.trees.get(root)
        if tree is None:
            tree = self.trees[root] = _gathered(root)
        return tree


def _root(directory: str) -> str:
    """The directory that a project's files lie in: the topmost package's, or the nearest that is marked as one."""
    top = directory
    while os.path.isfile(os.path.join(top, "__init__.py")) and os.path.isfile(
        os.path.join(os.path.dirname(top), "__init__.py")
    ):
        top = os.path.dirname(top)
    current = top
    for _ in range(6):
        above = os.path.dirname(current)
        if os.path.basename(current) in ("site-packages", "dist-packages") or above == current:
            break
        if any(os.path.exists(os.path.join(current, marker)) for marker in _MARKERS):
            return current
        current = above
    return top


def _gathered(root: str) -> _Tree:
    tree = _Tree()
    total = 0
    deadline = time.monotonic() + MOST_SECONDS
    for directory, subdirectories, names in os.walk(root):
        subdirectories[:] = sorted(name for name in subdirectories if name not in _SKIPPED and not name.startswith("."))
        for name in sorted(names):
            if not name.endswith((".py", ".ipynb")):
                continue
            if len(tree.files) >= MOST_FILES or total > MOST_BYTES or time.monotonic() > deadline:
                tree.complete = False
                return tree
            path = os.path.join(directory, name)
            try:
                with open(path, "rb") as file:
                    data = file.read(MOST_BYTES)
            except OSError:
                tree.complete = False
                continue
            total += len(data)
            tree.files[os.path.realpath(path)] = data
    return tree
