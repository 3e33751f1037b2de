"""What stands in the other files of a project: looked up by reading, within bounds."""

from __future__ import annotations

import ast
import itertools
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from initlint.record import field, record
from initlint.regex import pattern
from initlint.source.project.packages import Packages, topmost_package
from initlint.source.project.tree import Tree
from initlint.source.text.names import LIBRARIES, module_name

if TYPE_CHECKING:
    from initlint.source.project.carriers import Origin
    from initlint.source.project.mentions import Mentions, Wholes

MOST_HOLDERS = 60
"""Where more classes and functions hold one, one after another, somebody may initialise it."""
MOST_PARSED = 24
"""Where more files mention a name, each is taken to mean what is asked about."""
MOST_HELD_BYTES = 16_000_000
"""How much source of projects is held in all, each of which has bounds of its own: it takes four times that space."""

_INITIALISES = pattern(
    rb"\binit\.|_init\b|init_|\.apply\(|reset_param|load_state_dict|from_pretrained|\.(?:normal|uniform|zero|fill)_\("
)
_IMPORTS_BY_NAME = pattern(rb"\bimport_module\b|\b__import__\b|\bspec_from_file_location\b|\brun_path\b")
_INSTALLED = ("site-packages", "dist-packages")
_MARKERS = ("pyproject.toml", "setup.py", "setup.cfg", ".git")


_Treated = tuple[bool, bool, tuple[tuple[str, str], ...]]


@record(slots=True)
class _Held:
    """What is known of the files below one root."""

    tree: Tree
    mentions: Mentions | None = None
    """Made when a file is found that mentions something, as in most projects of one file none is."""
    treated: dict[tuple[str, str], _Treated] = field(default_factory=dict)


@record(slots=True)
class Project:
    """Looks other files up. One serves a whole run: of the projects it has read, the last ones, within bounds."""

    roots: dict[str, str] = field(default_factory=dict)
    """By the directory of a file, and by the file's own path."""
    reals: dict[str, str] = field(default_factory=dict)
    """The real paths of files: one is asked for all that its classes may mean elsewhere."""
    packages: Packages = field(default_factory=Packages)
    """What finds modules and parses them."""
    _held: dict[str, _Held] = field(default_factory=dict)
    _wholes: Wholes | None = None
    _instead: Mapping[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        module_name.cache_clear()

    def renew(self, instead: Mapping[str, bytes]) -> None:
        """Forget what no longer holds: files may have changed since, and some are taken to hold what ``instead`` says.

        ``instead`` maps real paths to bytes, as they stand in an editor that has not saved them.
        """
        self._instead = instead
        for held in self._held.values():
            held.tree.renew(instead)
            if held.mentions is not None:
                held.mentions.forget()
            held.treated.clear()
        self.packages.renew(instead)
        module_name.cache_clear()
        self.roots.clear()
        self.reals.clear()
        if self._wholes is not None:
            self._wholes.forget()

    def mentions(self, name: str, path: str) -> bool | None:
        """Whether some other file holds ``name`` as a word; None where not all of them could be looked at."""
        found = next(self._mentioning(path, name), "")
        return None if found is None else found != ""

    def derives(self, name: str, path: str) -> bool | None:
        """Whether some other file derives a class from one of that name; None as in ``mentions``."""
        bases = re.compile(rb"\bclass\s+\w+\s*\([^)]*(?<!\w)" + re.escape(name.encode()) + rb"(?!\w)[^)]*\)\s*:")
        found = next(self._mentioning(path, name, bases), "")
        return None if found is None else found != ""

    def calls(self, name: str, path: str, lineage: frozenset[tuple[str, str]] = frozenset()) -> bool | None:
        """Whether some other file may call the function ``name`` of this one; None where not all could be looked at.

        Of a method, ``lineage`` holds the (path, name) of its class and of the classes that it derives from.
        """
        apart, found = self._looked_at(path, self._mentioning(path, name))
        if not apart or not found:
            return False if not found else None if None in found else True
        mentions = self._mentions(path)
        own = frozenset((os.path.realpath(file), one) for file, one in lineage)
        if lineage:
            return any(mentions.may_call(other, name, own) for other in found if other)
        return any(mentions.may_name(other, name, self._real(path)) for other in found if other)

    def treats(self, name: str, path: str, within: Iterable[str] = ()) -> tuple[bool, bool]:
        """Whether some other file may initialise what a class of this one holds, and whether one may load it.

        ``within`` are the classes and functions of this file that use the class: who has one of theirs has one of it.
        Where not all files could be looked at, both. Such a file mentions the class by name, and means this one of
        the classes that may share it. Where mentions are not looked into, some file (a package may pass the class on)
        must also mention the module that it would be imported from, or the one that names it import by a string.
        """
        seen: set[tuple[str, str]] = set()
        pending = [(one, path) for one in (name, *within)]
        loads = False
        while pending:
            one, file = pending.pop(0)
            if (one, file) in seen:
                continue
            seen.add((one, file))
            initialises, loading, more = self._treated(one, file)
            loads = loads or loading
            if initialises or len(seen) > MOST_HOLDERS:
                return True, True
            pending += more
        return False, loads

    def _treated(self, name: str, path: str) -> _Treated:
        """The same for what stands directly under a name, and the (name, path) of what other files make of it."""
        mark = (name, path)
        treated = self._of(path).treated
        found = treated.get(mark)
        if found is None:
            found = treated[mark] = self._treat(name, path)
        return found

    def _treat(self, name: str, path: str) -> _Treated:
        apart, found = self._looked_at(path, self._mentioning(path, name))
        if not apart:
            first = next(self._mentioning(path, name, _INITIALISES), "")
            guilty = first is None or (first != "" and self._may_import(path, name))
            return guilty, guilty, ()
        if not found:
            return False, False, ()
        from initlint.source.project.carriers import carried
        from initlint.source.project.mentions import deeds

        mentions = self._mentions(path)
        initialises = loads = False
        more: list[tuple[str, str]] = []
        for other in found:
            if other is not None and mentions.may_name(other, name, self._real(path)):
                whole = mentions.wholes.whole(other)
                if whole is None:
                    return True, True, ()
                does = deeds(whole, name)
                goes = carried(whole, name)
                initialises = initialises or does[0] or goes.out_of_sight
                initialises = initialises or any(self._may_initialise(mentions, other, each) for each in goes.taken_by)
                loads = loads or does[1]
                more += [(one, other) for one in goes.leading]
        return initialises, loads, tuple(more)

    def _may_initialise(self, mentions: Mentions, path: str, origin: Origin, hops: int = 4) -> bool:
        """Whether what a file imports may initialise what it is called with: unless it is found in a file of the
        project in which nothing initialises, and nothing is named as if it did."""
        level, parts, member = origin
        module = self.packages.find(path, self.root(path), level, parts)
        below = self.packages.submodule(module, member) if module is not None and member else None
        file = below.file if below is not None else module.file if module is not None else None
        whole = mentions.wholes.whole(file) if file is not None else None
        if file is None or whole is None or below is not None:
            return True
        again = whole.outline.imports.get(member)
        if again and hops:
            return any(self._may_initialise(mentions, file, each, hops - 1) for each in again)
        from initlint.source.project.mentions import may_initialise

        own = {node.name for node in whole.tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
        return member not in own or may_initialise(whole)

    def _may_import(self, path: str, name: str) -> bool:
        module = os.path.basename(path).split(".", 1)[0]
        if module == "__init__":
            module = os.path.basename(os.path.dirname(os.path.abspath(path)))
        return any(True for _ in self._mentioning(path, module)) or any(
            True for _ in self._mentioning(path, name, _IMPORTS_BY_NAME)
        )

    def _looked_at(self, path: str, mentioning: Iterator[str | None]) -> tuple[bool, list[str | None]]:
        """Whether the mentions of a name are told apart, and the files that have them; else each is taken for it.

        So they are in the files of a library that is known by name, where there are many, and where some are left.
        """
        if module_name(path)[:1] and module_name(path)[0] in LIBRARIES:
            return False, list(itertools.islice(mentioning, 1))
        found = list(itertools.islice(mentioning, MOST_PARSED + 1))
        if len(found) > MOST_PARSED or None in found:
            return False, found
        return True, found

    def _mentions(self, path: str) -> Mentions:
        """What tells apart what the files of a file's project mention."""
        held = self._of(path)
        if held.mentions is None:
            from initlint.source.project.mentions import Mentions, Wholes

            self._wholes = self._wholes or Wholes(self.packages)
            held.mentions = Mentions(self._wholes, self.root(path))
        return held.mentions

    def _mentioning(self, path: str, word: str, besides: re.Pattern[bytes] | None = None) -> Iterator[str | None]:
        """The files other than ``path`` that hold a whole word, and what ``besides`` matches; None if some are left."""
        tree = self._of(path).tree
        own = self._real(path)
        for other, data in tree.holding(word.encode("utf-8", "surrogatepass")):
            if other != own and (besides is None or besides.search(data)):
                yield other
        if not tree.complete:
            yield None

    def in_package(self, path: str) -> bool:
        """Whether a file belongs to a package, which others may import."""
        return os.path.exists(os.path.join(os.path.dirname(os.path.abspath(path)), "__init__.py"))

    def root(self, path: str) -> str:
        """The directory that the files of a file's project lie in."""
        root = self.roots.get(path)
        if root is None:
            directory = os.path.dirname(self._real(path))
            root = self.roots.get(directory) or _root(directory)
            self.roots[path] = self.roots[directory] = root
        return root

    def _real(self, path: str) -> str:
        real = self.reals.get(path)
        if real is None:
            real = self.reals[path] = os.path.realpath(path)
        return real

    def _of(self, path: str) -> _Held:
        """What is known of the project of a file; of the others as much is forgotten as the bound asks."""
        root = self.root(path)
        held = self._held.pop(root, None)
        if held is None:
            size = sum(other.tree.size for other in self._held.values())
            while size > MOST_HELD_BYTES:
                oldest = self._held.pop(next(iter(self._held))).tree
                size -= oldest.size
                oldest.close()
            held = _Held(Tree(root, self._instead))
        self._held[root] = held  # the latest used come last
        return held


def _root(directory: str) -> str:
    """The directory that a project's files lie in: the topmost package's, or the nearest that is marked as one.

    Where none is marked, scripts in the directory above may use what lies here, as may scripts above those; a home, and
    what all may write to (``/tmp``), hold other people's besides, and are not a project.
    """
    top = topmost_package(directory)
    current = top
    for _ in range(6):
        above = os.path.dirname(current)
        if os.path.basename(current) in _INSTALLED or above == current:
            break
        if any(os.path.exists(os.path.join(current, marker)) for marker in _MARKERS):
            return current
        current = above
    for _ in range(6):
        above = os.path.dirname(top)
        if above == top or os.path.basename(above) in _INSTALLED or _is_shared(above) or not _holds_scripts(above):
            break
        top = above
    return top


def _is_shared(directory: str) -> bool:
    try:
        return directory == os.path.expanduser("~") or bool(os.stat(directory).st_mode & stat.S_IWOTH)
    except OSError:
        return True


def _holds_scripts(directory: str) -> bool:
    try:
        with os.scandir(directory) as entries:
            return any(entry.name.endswith(".py") for entry in itertools.islice(entries, 1000))
    except OSError:
        return False
