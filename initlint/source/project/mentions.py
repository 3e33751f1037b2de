"""Whether a mention of a name in another file of the project means the function or class that this file defines."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator

from initlint.record import field, record
from initlint.source.project.packages import Module, Packages
from initlint.source.text.names import CHECKPOINT_LOADS, LIBRARIES
from initlint.source.text.scan import Scan, init_like, scan
from initlint.source.text.walking import walked

MOST_KEPT_CHARACTERS = 500_000
"""How much source is kept as trees that were walked, whose outlines are kept longer."""

_IMPORTERS = ("import_module", "__import__", "spec_from_file_location", "run_path")


@record(slots=True)
class Outline:
    """One file's imports, classes and mentions."""

    path: str
    imports: dict[str, list[tuple[int, tuple[str, ...], str]]] = field(default_factory=dict)
    """By local name: the dots, the module, and what is taken from it ("": the module itself)."""
    stars: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)
    defined: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    attributes: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """By attribute: the text of what it is asked of ("": no plain name), and the class it stands in."""
    bases: dict[str, tuple[str, ...]] = field(default_factory=dict)
    methods: dict[str, set[str]] = field(default_factory=dict)
    strings: set[str] = field(default_factory=set)
    """Those that may be a name."""

    @property
    def imports_by_name(self) -> bool:
        """Whether it may import a module that only a string names."""
        return any(name in self.names or name in self.attributes for name in _IMPORTERS)


@record(slots=True)
class Whole:
    """One file's outline and its tree, which takes many times the space; ``classes`` by their names."""

    outline: Outline
    tree: ast.Module
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    _scan: Scan | None = None

    @property
    def scan(self) -> Scan:
        """Where calls of initialisers stand in it."""
        if self._scan is None:
            self._scan = scan(self.tree, self.outline.path)
        return self._scan


def may_initialise(whole: Whole) -> bool:
    """Whether something in a file initialises, or is named as if it did."""
    outline, found = whole.outline, whole.scan
    applies = any(getattr(call.func, "attr", "") == "apply" for calls in found.broad.values() for call in calls)
    if found.initialising or _assigns(found) or applies or outline.imports_by_name:
        return True
    return any(init_like(name) for name in (*outline.names, *outline.attributes, *outline.imports))


def outlined(tree: ast.Module, path: str) -> Whole:
    """Walk a file's tree once."""
    found = Outline(path)
    whole = Whole(found, tree)
    stack: list[tuple[ast.AST, str]] = [(tree, "")]
    while stack:
        node, holder = stack.pop()
        if isinstance(node, ast.Name):
            (found.names if isinstance(node.ctx, ast.Load) else found.defined).add(node.id)
        elif isinstance(node, ast.Attribute):
            found.attributes.setdefault(node.attr, []).append((_dotted(node.value), holder))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if node.value.isidentifier():
                found.strings.add(node.value)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                parts = tuple(alias.name.split("."))
                local = alias.asname or parts[0]
                found.imports.setdefault(local, []).append((0, parts if alias.asname else parts[:1], ""))
        elif isinstance(node, ast.ImportFrom):
            module = tuple(node.module.split(".")) if node.module else ()
            for alias in node.names:
                if alias.name == "*":
                    found.stars.append((node.level, module))
                else:
                    local = alias.asname or alias.name
                    found.imports.setdefault(local, []).append((node.level, module, alias.name))
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if holder and node in whole.classes[holder].body:
                found.methods[holder].add(node.name)
            else:
                found.defined.add(node.name)
        elif isinstance(node, ast.arg):
            found.defined.add(node.arg)
        elif isinstance(node, ast.ClassDef):
            found.defined.add(node.name)
            whole.classes[node.name] = node
            found.bases[node.name] = tuple(
                _dotted(base.value if isinstance(base, ast.Subscript) else base) for base in node.bases
            )
            found.methods[node.name] = set()
            stack.extend((part, node.name) for part in node.body)
            stack.extend((part, holder) for part in (*node.bases, *node.keywords, *node.decorator_list))
            continue
        elif isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            continue  # what a file exports of its own
        stack.extend((child, holder) for child in ast.iter_child_nodes(node))
    return whole


def _dotted(node: ast.expr) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super" and not parts:
        return "super()"
    return ".".join((node.id, *reversed(parts))) if isinstance(node, ast.Name) else ""


@record(slots=True)
class Wholes:
    """The files that were last looked into, within bounds. One serves a whole run."""

    packages: Packages = field(default_factory=Packages)
    _kept: dict[str, tuple[int, Whole]] = field(default_factory=dict)

    def whole(self, path: str) -> Whole | None:
        """A file's tree with what stands in it; None where it cannot be parsed."""
        held = self._kept.pop(path, None)
        if held is None:
            parsed = self.packages.parsed(path)
            if parsed is None:
                return None
            held = len(parsed[0]), outlined(parsed[1], path)
        self._kept[path] = held  # the latest used come last
        while len(self._kept) > 1 and sum(size for size, _ in self._kept.values()) > MOST_KEPT_CHARACTERS:
            del self._kept[next(iter(self._kept))]
        return held[1]

    def forget(self) -> None:
        """Forget them: they may have changed."""
        self._kept.clear()


@record(slots=True)
class Mentions:
    """Answers for the files of one project, whose directory is ``root``."""

    wholes: Wholes
    root: str
    outlines: dict[str, Outline | None] = field(default_factory=dict)

    def outline(self, path: str) -> Outline | None:
        """What a file mentions; None where it cannot be parsed."""
        if path not in self.outlines:
            whole = self.wholes.whole(path)
            self.outlines[path] = None if whole is None else whole.outline
        return self.outlines[path]

    def forget(self) -> None:
        """Forget them: files may have changed."""
        self.outlines.clear()

    def may_name(self, other: str, name: str, path: str) -> bool:
        """Whether the file ``other`` may mean the function or class ``name`` of the file ``path``."""
        found = self.outline(other)
        if found is None or name in found.strings or (found.imports_by_name and name in found.attributes):
            return True
        for local, taken in found.imports.items():
            for level, module, member in taken:
                if member == name and self._leads(found, level, module, name, path):
                    return True
                if member != name and any(
                    receiver.partition(".")[0] == local and self._leads(found, level, (*module, member), name, path)
                    for receiver, _ in found.attributes.get(name, ())
                ):
                    return True
        if name in found.names and name not in found.defined and name not in found.imports:
            return any(self._leads(found, level, module, name, path) for level, module in found.stars)
        return False

    def may_call(self, other: str, name: str, lineage: frozenset[tuple[str, str]]) -> bool:
        """Whether the file ``other`` may call the method ``name`` of a class of another one.

        ``lineage`` holds the (real path, name) of that class and of those it derives from.
        """
        found = self.outline(other)
        if found is None or name in found.strings:
            return True
        return any(
            receiver not in ("self", "cls", "super()")
            or not holder
            or self._related(found, holder, name, lineage, receiver == "super()")
            for receiver, holder in found.attributes.get(name, ())
        )

    def _leads(self, found: Outline, level: int, module: tuple[str, ...], name: str, path: str) -> bool:
        """Whether a module that a file imports may give it ``name`` of the file ``path``."""
        module = tuple(part for part in module if part)
        if level == 0 and module and module[0] in LIBRARIES:
            return False
        held = self._located(found, level, module)
        if held is None:
            return any(part in os.path.splitext(path)[0].split(os.sep) for part in module)
        if held.file is None:
            return held.directory is not None and path.startswith(os.path.join(os.path.realpath(held.directory), ""))
        if os.path.realpath(held.file) == path:
            return True
        inner = self.outline(held.file)
        if inner is None:
            return True
        if name in inner.bases or (name in inner.defined and name not in inner.imports):
            return False
        if name in inner.imports or inner.stars:
            return True  # it may pass it on
        return held.directory is not None and path.startswith(os.path.join(os.path.realpath(held.directory), ""))

    def _located(self, found: Outline, level: int, module: tuple[str, ...]) -> Module | None:
        """The module itself, or the one that its last part is taken from."""
        held = self.wholes.packages.find(found.path, self.root, level, module)
        if held is None and module:
            held = self.wholes.packages.find(found.path, self.root, level, module[:-1])
        return held

    def _related(
        self,
        found: Outline,
        holder: str,
        name: str,
        lineage: frozenset[tuple[str, str]],
        above: bool,
    ) -> bool:
        """Whether ``self.name`` in a class may be the method of a class with this lineage.

        It is not where the class has a method of that name (``above``: inherits one), and derives from nothing that
        the lineage could have to do with.
        """
        own = False
        for file, one in self._ancestry(found, holder):
            if file is None or (os.path.realpath(file.path), one) in lineage:
                return True
            if name in file.methods[one] and not (above and file is found and one == holder):
                own = True
        return not own

    def _ancestry(self, found: Outline, name: str) -> Iterator[tuple[Outline | None, str]]:
        """The project's classes that a class derives from, itself first; (None, name) for one that is not found."""
        seen: set[tuple[str, str]] = set()
        stack = [(found, name)]
        while stack:
            file, one = stack.pop()
            if (file.path, one) in seen:
                continue
            seen.add((file.path, one))
            yield file, one
            for base in file.bases[one]:
                if base == "object":
                    continue
                first, _, rest = base.partition(".")
                if base in file.bases:
                    stack.append((file, base))
                elif first in file.imports:
                    level, module, member = file.imports[first][-1]
                    parts = tuple(part for part in (*module, member, *rest.split(".")) if part)
                    held = self.wholes.packages.find(file.path, self.root, level, parts[:-1])
                    inner = self.outline(held.file) if held is not None and held.file is not None else None
                    if inner is not None and parts[-1] in inner.bases:
                        stack.append((inner, parts[-1]))
                    elif held is not None or level or self._is_own(parts[0]):
                        yield None, base
                else:
                    yield None, base

    def _is_own(self, package: str) -> bool:
        """Whether a package may be one of the project's."""
        return package not in LIBRARIES and any(
            os.path.exists(os.path.join(self.root, *where, package + suffix))
            for where in ((), ("src",))
            for suffix in ("", ".py")
        )


def deeds(found: Whole, name: str) -> tuple[bool, bool]:
    """Whether a file may initialise what a class ``name`` holds that it knows, and whether it may load it."""
    initialises = loads = False
    for sites in (found.scan.initialising, found.scan.broad):
        for calls in sites.values():
            for call in calls:
                if isinstance(call.func, ast.Attribute) and call.func.attr in CHECKPOINT_LOADS:
                    loads = True
                elif not _is_its_own(found, call, name):
                    initialises = True
    return initialises or _assigns(found.scan), loads


def _assigns(found: Scan) -> bool:
    """Whether a statement gives a layer that others made new values: scaling what it holds gives it none."""
    return any(not _of_self(one) and not _rescales(one) for several in found.assigning.values() for one in several)


def _rescales(node: ast.stmt) -> bool:
    """Whether a statement computes what it assigns from what the target holds: ``w.data = w.data * k``."""
    if not isinstance(node, ast.Assign) or len(node.targets) != 1:
        return isinstance(node, ast.AugAssign)
    target = ast.unparse(node.targets[0])
    value = node.value
    scaling = isinstance(value, ast.BinOp) and isinstance(value.op, (ast.Mult, ast.Div))
    return scaling and target in (ast.unparse(side) for side in (value.left, value.right))  # type: ignore[attr-defined]


def _of_self(node: ast.stmt) -> bool:
    """Whether a statement assigns to an attribute of the very class it stands in."""
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", node)]
    return all(
        isinstance(target, ast.expr) and _dotted(target) in ("self.weight", "self.bias", "self.data")
        for target in targets
    )


def _is_its_own(found: Whole, call: ast.Call, name: str) -> bool:
    """Whether an initialiser's call writes a layer of torch's that an attribute of the class it stands in holds."""
    targets = [*call.args, *(keyword.value for keyword in call.keywords)]
    if isinstance(call.func, ast.Attribute):
        targets.append(call.func.value)
    attributes = [
        parts[1] for parts in (_dotted(target).split(".") for target in targets) if parts[0] == "self" and parts[1:]
    ]
    holder = next(
        (node for node in found.classes.values() if node.lineno <= call.lineno <= (node.end_lineno or 0)), None
    )
    if holder is None or len(attributes) != 1:
        return False
    values = [
        node.value
        for node in walked(holder)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if _dotted(target) == f"self.{attributes[0]}"
    ]
    return bool(values) and all(isinstance(value, ast.Call) and _is_layer(found.outline, value) for value in values)


def _is_layer(found: Outline, call: ast.Call) -> bool:
    """Whether a call makes a layer, or a parameter, of torch.nn's."""
    first, _, last = _dotted(call.func).rpartition(".")
    kinds = [(*module, member) for _, module, member in found.imports.get(first or last, ())]
    return any(parts[:2] == ("torch", "nn") for parts in kinds) and last not in (
        "Sequential",
        "ModuleList",
        "ModuleDict",
    )
