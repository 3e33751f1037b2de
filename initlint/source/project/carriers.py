"""Where another file takes what a class makes: the names that lead to one, and whether it goes out of sight."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from initlint.record import field, record
from initlint.source.text.names import BUILTINS, LIBRARIES
from initlint.source.text.walking import walked

if TYPE_CHECKING:
    from initlint.source.project.mentions import Whole

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_PUTTING = frozenset({"append", "add", "add_module", "extend", "insert", "register_module", "setdefault", "update"})
_PLAIN = frozenset({"isinstance", "issubclass", "len", "print", "repr", "str", "sum", "type", "id", "hasattr"})
"""Builtins that give numbers, texts and classes, never what they are given."""
_TELLING = frozenset({"debug", "format", "info", "join", "warning", "write", "writelines", "write_bytes", "write_text"})
"""Methods that only tell what they are given."""

_OF_DATA = frozenset(
    {"PIL", "cv2", "joblib", "matplotlib", "numpy", "pandas", "polars", "scipy", "seaborn", "sklearn", "tqdm", "yaml"}
)
"""Libraries that work on numbers, tables and pictures, and know nothing of modules."""

Scope = ast.AST | None
"""The outermost function that something stands in; None at the top level and in the bodies of classes."""


Origin = tuple[int, tuple[str, ...], str]
"""What an imported name is: the dots, the module, and what is taken from it."""


@record(frozen=True, slots=True)
class Carried:
    """What becomes, in one file, of what a class makes.

    ``out_of_sight``: it is handed to a call that cannot be followed. ``taken_by``: what is imported and called with it.
    ``leading`` are the names at the file's top level that lead to one: classes that mention it, functions that return
    it, variables and containers that hold it.
    """

    out_of_sight: bool
    taken_by: tuple[Origin, ...]
    leading: tuple[str, ...]


def carried(found: Whole, name: str) -> Carried:
    """Follow what a class ``name`` makes through a file."""
    looking = _Carriers(found, name)
    looking.settle()
    own = {node.name for node in found.tree.body if isinstance(node, (ast.ClassDef, *_FUNCTIONS))}
    imports = found.outline.imports
    leading = (looking.makers & own) | {each for each in looking.held.get(None, ()) if each not in imports}
    return Carried(looking.out_of_sight, tuple(sorted(looking.taken_by)), tuple(sorted(leading - {name})))


@record(slots=True)
class _Carriers:
    """What leads to an instance of one class in one file; grows until nothing new is met."""

    found: Whole
    name: str
    makers: set[str] = field(default_factory=set)
    """Names whose call gives one."""
    held: dict[Scope, set[str]] = field(default_factory=dict)
    """Names that hold one (or several, or a part), by the scope they are bound in."""
    attributes: set[str] = field(default_factory=set)
    local: dict[Scope, set[str]] = field(default_factory=dict)
    """The names that functions bind."""
    selves: set[tuple[Scope, str]] = field(default_factory=set)
    """The first parameter of methods of the classes that hold one: of its attributes, some lead to one."""
    made_by: dict[str, set[str]] = field(default_factory=dict)
    """For each name that is bound to what a call of a plain or dotted name returns, the first part of that name."""
    taken_by: set[Origin] = field(default_factory=set)
    out_of_sight: bool = False
    grown: bool = False

    def settle(self) -> None:
        """Follow names and calls until nothing is added."""
        found, imports = self.found, self.found.outline.imports
        self.makers = {self.name} | {
            local for local, taken in imports.items() if any(member == self.name for _, _, member in taken)
        }
        if self.name in found.classes:
            self.makers.discard(self.name)  # its own, of the same name
        nodes = list(_walked(found.tree))
        functions: dict[str, list[tuple[ast.AST, Scope]]] = {}
        for node, scope, _ in nodes:
            if isinstance(node, _FUNCTIONS):
                functions.setdefault(node.name, []).append((node, scope or node))
            elif isinstance(node, ast.Assign):
                called = _root(node.value.func) if isinstance(node.value, ast.Call) else None
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        self.made_by.setdefault(target.id, set()).add(called or "")
        self.grown = True
        while self.grown and not self.out_of_sight:
            self.grown = False
            for node, scope, holder in nodes:
                self._meet(node, scope, holder, functions)

    def _meet(
        self,
        node: ast.AST,
        scope: Scope,
        holder: ast.ClassDef | None,
        functions: dict[str, list[tuple[ast.AST, Scope]]],
    ) -> None:
        if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.NamedExpr)):
            for target in node.targets if isinstance(node, ast.Assign) else (node.target,):
                self._bound(target, node.value, scope)
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
            self._bound(node.target, node.iter, scope)
        elif isinstance(node, ast.withitem):
            self._bound(node.optional_vars, node.context_expr, scope)
        elif isinstance(node, (ast.Return, ast.Yield, ast.YieldFrom)):
            if isinstance(scope, _FUNCTIONS) and node.value is not None and self._carries(node.value, scope):
                self._add(self.makers, scope.name)
        elif isinstance(node, _FUNCTIONS):
            for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
                if argument.annotation is not None and self._carries(argument.annotation, scope):
                    self._hold(argument.arg, scope or node)
            if holder is not None and holder.name in self.makers and node.args.args and node in holder.body:
                self.selves.add((scope or node, node.args.args[0].arg))
                self._hold(node.args.args[0].arg, scope or node)
        elif isinstance(node, (ast.Name, ast.Attribute)):
            if holder is not None and holder.name not in self.makers and self._names_maker(node):
                self._add(self.makers, holder.name)
        elif isinstance(node, ast.Call) and any(
            self._carries(given, scope) for given in (*node.args, *(keyword.value for keyword in node.keywords))
        ):
            self._handed(node.func, scope, functions)

    def _handed(self, callee: ast.expr, scope: Scope, functions: dict[str, list[tuple[ast.AST, Scope]]]) -> None:
        """Something is handed to a call: follow it into the functions of this file."""
        root = _root(callee.func if isinstance(callee, ast.Call) else callee)
        if root is not None and self._of_library(root):
            return
        if isinstance(callee, ast.Name):
            within = "__init__" if callee.id in self.found.classes else callee.id
            if callee.id in self.found.classes:
                self._add(self.makers, callee.id)
            elif callee.id in self.makers or callee.id in self.held.get(scope, ()):
                if callee.id not in functions:
                    return
            elif callee.id not in functions and callee.id not in self.found.outline.defined and callee.id in BUILTINS:
                return
            elif callee.id not in functions:
                self._taken(callee.id)
        elif isinstance(callee, ast.Attribute):
            within = callee.attr
            if root is not None and within in _PUTTING and root not in self.found.outline.imports:
                self._bind(callee.value, scope)
            elif within not in functions and within not in _TELLING and not self._carries(callee.value, scope):
                self._taken(root if isinstance(callee.value, ast.Name) else None)
        else:
            self.out_of_sight = True
            return
        for function, where in functions.get(within, ()):
            for argument in walked(function.args):  # type: ignore[attr-defined]
                if isinstance(argument, ast.arg):
                    self._hold(argument.arg, where)

    def _taken(self, name: str | None) -> None:
        """It is handed to what a name stands for, or to a method of what that was called to make."""
        for one in self.made_by.get(name or "", {name or ""}):
            if one not in self.found.outline.imports:
                self.out_of_sight = True
            elif not self._of_library(one):
                self.taken_by.update(self.found.outline.imports[one])

    def _bound(self, target: ast.expr | None, value: ast.expr | None, scope: Scope) -> None:
        if target is None or value is None or not self._carries(value, scope):
            return
        self._bind(target, scope)
        called = {id(node.func) for node in walked(value) if isinstance(node, ast.Call)}
        if (
            isinstance(target, ast.Name)
            and target.id != "__all__"
            and any(self._names_maker(node) and id(node) not in called for node in walked(value))
        ):
            self._add(self.makers, target.id)

    def _bind(self, target: ast.expr, scope: Scope) -> None:
        if isinstance(target, (ast.Tuple, ast.List)):
            for part in target.elts:
                self._bind(part, scope)
        elif isinstance(target, (ast.Subscript, ast.Starred)):
            self._bind(target.value, scope)
        elif isinstance(target, ast.Attribute):
            self._add(self.attributes, target.attr)
        elif isinstance(target, ast.Name) and target.id != "__all__":  # the names of what a file exports
            self._hold(target.id, scope)

    def _hold(self, name: str, scope: Scope) -> None:
        if scope is not None:
            if scope not in self.local:
                self.local[scope] = _stored(scope)
            if name not in self.local[scope]:
                scope = None  # a variable of the file's
        self._add(self.held.setdefault(scope, set()), name)

    def _add(self, to: set[str], name: str) -> None:
        if name not in to:
            to.add(name)
            self.grown = True

    def _carries(self, node: ast.AST, scope: Scope) -> bool:
        """Whether an expression may lead to one; what one returns when it is called does not."""
        if isinstance(node, ast.Name):
            return node.id in self.makers or node.id in self.held.get(scope, ()) or node.id in self.held.get(None, ())
        if isinstance(node, ast.Attribute):
            if node.attr == self.name or node.attr in self.attributes:
                return True
            own = isinstance(node.value, ast.Name) and (scope, node.value.id) in self.selves
            return not own and self._carries(node.value, scope)
        if isinstance(node, ast.Call):
            callee = node.func
            if isinstance(callee, ast.Name):
                if callee.id in self.makers:
                    return True
                if callee.id in _PLAIN or self._carries(callee, scope):
                    return False
            elif isinstance(callee, ast.Attribute):
                if callee.attr in self.attributes or self._computes(callee):
                    return False
                if callee.attr in self.makers:
                    return True
            given = (callee, *node.args, *(keyword.value for keyword in node.keywords))
            return any(self._carries(part, scope) for part in given)
        if isinstance(node, (ast.Constant, ast.Compare, ast.JoinedStr)):
            return isinstance(node, ast.Constant) and node.value == self.name
        return any(self._carries(part, scope) for part in ast.iter_child_nodes(node))

    def _names_maker(self, node: ast.AST) -> bool:
        return (isinstance(node, ast.Name) and node.id in self.makers) or (
            isinstance(node, ast.Attribute) and node.attr == self.name
        )

    def _computes(self, callee: ast.Attribute) -> bool:
        """Whether what a call of torch's gives has no part in what modules hold: a loss, an optimiser."""
        module = callee.value
        text = ast.unparse(module)
        root, _, rest = text.partition(".")
        for _, parts, member in self.found.outline.imports.get(root, ()):
            full = ".".join(part for part in (*parts, member, rest) if part)
            if full in ("torch.optim", "torch.nn.functional"):
                return True
        return False

    def _of_library(self, root: str) -> bool:
        """Whether a name is taken from a known library, or from the standard library."""
        taken = self.found.outline.imports.get(root)
        return bool(taken) and all(
            level == 0
            and parts
            and (parts[0] in LIBRARIES or parts[0] in _OF_DATA or parts[0] in sys.stdlib_module_names)
            for level, parts, _ in taken or ()
        )


def _walked(tree: ast.Module) -> Iterator[tuple[ast.AST, Scope, ast.ClassDef | None]]:
    """Every node, with the outermost function and the outermost class that it stands in."""
    stack: list[tuple[ast.AST, Scope, ast.ClassDef | None]] = [(node, None, None) for node in tree.body]
    while stack:
        node, scope, holder = stack.pop()
        yield node, scope, holder
        if isinstance(node, ast.ClassDef):
            holder = holder or node
        elif isinstance(node, _FUNCTIONS):
            scope = scope or node
        stack.extend((child, scope, holder) for child in ast.iter_child_nodes(node))


def _root(node: ast.expr) -> str | None:
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def _stored(scope: ast.AST) -> set[str]:
    """The names that a function binds for itself."""
    found: set[str] = set()
    outside: set[str] = set()
    for node in walked(scope):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Global):
            outside.update(node.names)
    return found - outside
