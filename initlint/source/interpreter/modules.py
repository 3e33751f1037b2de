"""Modules and tensors: how they are made, what they hold, who writes them."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from initlint.facts import UNKNOWN
from initlint.source.interpreter import replacing
from initlint.source.interpreter.holding import Holding
from initlint.source.interpreter.state import Frame, Unit
from initlint.source.interpreter.values import (
    MADE,
    UNSEEN,
    Applied,
    Cell,
    Class,
    Const,
    Contents,
    Either,
    Event,
    Flow,
    Func,
    Instance,
    Items,
    Method,
    Partial,
    Table,
    Tensor,
    Unseen,
    Value,
)
from initlint.source.text.names import spelled

DEEPEST = 12
"""How deep modules may nest before looking further is given up."""

_REACHED = frozenset({Tensor, Instance, Either})
"""What of all that a module holds leads to mutable state."""


class Walk(Items):
    """What ``modules()``, ``parameters()`` and their like yield; ``root`` is the module they were asked of."""

    __slots__ = ("root",)

    def __init__(self, cell: Cell, items: tuple[Value, ...], rest: Value | None, root: Instance | None) -> None:
        super().__init__("list", cell, items, rest)
        self.root = root


class Modules(Holding):
    """What happens to modules and tensors."""

    def clone(self, value: Value, made: tuple[Unit, ast.AST], author: str) -> Value:
        """copy.deepcopy of a value: new tensors that hold the same numbers."""
        twins: dict[int, Any] = {}
        order = self.now()

        def copied(part: Any, depth: int) -> Any:
            if id(part) in twins:
                return twins[id(part)]
            self.spend()
            if depth > DEEPEST:
                return MADE
            if isinstance(part, Tensor):
                event = Event("copy.deepcopy", {}, author, made, order)
                writes = None if part.writes is None else (*part.writes, event)
                twin: Any = Tensor(self.cell(), part.shape, writes, made)
                twin.is_parameter, twin.buffer = part.is_parameter, part.buffer
                twin.cell["#trainable"] = part.trainable
            elif isinstance(part, Instance):
                twin = Instance(part.kind, part.class_name, self.cell(), made, order, part.info)
                twin.arguments, twin.opaque, twin.origin = part.arguments, part.opaque, "cloned"
                twin.template = part.made if part is value else None
                twins[id(part)] = twin
                for key, held in list(part.cell.items()):
                    twin.cell[key] = copied(held, depth + 1)
            elif isinstance(part, Either):
                twin = Either(tuple(copied(option, depth + 1) for option in part.options))
            elif isinstance(part, Items) and not isinstance(part, Walk):
                rest = None if part.rest is None else copied(part.rest, depth + 1)
                twin = self.items(part.kind, tuple(copied(item, depth + 1) for item in part.known), rest)
            elif isinstance(part, Table):
                rest = None if part.rest is None else copied(part.rest, depth + 1)
                twin = Table(self.cell(), tuple((key, copied(held, depth + 1)) for key, held in part.pairs), rest)
            elif isinstance(part, (Method, Func, Partial)):
                twin = UNSEEN
            else:
                twin = part
            twins[id(part)] = twin
            return twin

        result: Value = copied(value, 0)
        return result

    def tree(self, root: Value, *, upwards: bool = False) -> list[tuple[str, Instance]]:
        """Every module below and including ``root`` with its dotted name, once each, parents first.

        ``upwards``: in the order of ``apply``, parents last.
        """
        found: list[tuple[str, Instance]] = []
        self._visit(root, "", 0, found, set(), upwards)
        return found

    def _visit(
        self, value: Value, name: str, depth: int, found: list[tuple[str, Instance]], seen: set[int], upwards: bool
    ) -> None:
        if isinstance(value, Either):
            for option in value.options:
                self._visit(option, name, depth, found, seen, upwards)
        if not isinstance(value, Instance) or id(value) in seen or depth > DEEPEST:
            return
        self.spend()
        seen.add(id(value))
        if not upwards:
            found.append((name, value))
        for key, child in self.children(value):
            self._visit(child, f"{name}.{key}" if name else key, depth + 1, found, seen, upwards)
        if upwards:
            found.append((name, value))

    def has_unseen(self, root: Instance) -> bool:
        """Whether some module of the tree is not known."""
        return any(
            module.opaque or any(isinstance(held, Unseen) and held.made for held in module.cell.values())
            for _, module in self.tree(root)
        )

    def tensors(self, instance: Instance, *, buffers: bool = False) -> list[tuple[str, Tensor]]:
        """The module's own parameters (or buffers)."""
        found = []
        for name, value in instance.cell.items():
            for option in value.options if isinstance(value, Either) else (value,):
                if isinstance(option, Tensor) and (option.buffer if buffers else option.is_parameter):
                    found.append((name, option))
        return found

    def cells(self, value: Value) -> list[Cell]:
        """The state that can be reached through a value."""
        found: list[Cell] = []
        seen: set[int] = set()
        stack = [value]
        while stack:
            current = stack.pop()
            if id(current) in seen:
                continue
            seen.add(id(current))
            if isinstance(current, Tensor):
                found.append(current.cell)
            elif isinstance(current, Instance):
                self.spend()
                found.append(current.cell)
                stack += [held for held in current.cell.values() if type(held) in _REACHED]
            elif isinstance(current, Either):
                stack.extend(current.options)
            elif isinstance(current, Items):
                found.append(current.cell)
                stack.extend(current.known)
                if current.rest is not None:
                    stack.append(current.rest)
        return found

    def taint(self, value: Value) -> None:
        """Something that was not understood got hold of ``value`` and may write into it."""
        if type(value) is Unseen:
            return
        if isinstance(value, Contents):
            value = value.holder
        if isinstance(value, (Unseen, Const)):
            return
        if isinstance(value, Method):
            value = value.receiver
        if isinstance(value, Func):
            if value.receiver is not None:
                self.taint(value.receiver)
            return
        if isinstance(value, Partial):
            for part in (value.function, *value.positional, *value.keywords.values()):
                self.taint(part)
            return
        if isinstance(value, Table):
            for _, held in value.pairs:
                self.taint(held)
            if value.rest is not None:
                self.taint(value.rest)
            return
        if isinstance(value, Flow) and self.graph is not None:
            self.graph.lost(value)
            return
        if isinstance(value, Instance) and value.cell.born <= self.frozen:
            return  # so are all that it holds
        for cell in self.cells(value):
            if "#writes" in cell:
                if cell.get("#lazy"):
                    self.put(cell, "#lazy", False)  # it may have been given a batch
                self.put(cell, "#writes", None)
                self.put(cell, "#trainable", None)
            elif "#items" not in cell:
                self.put(cell, "#flag", True)

    def opaque_call(self, positional: list[Value], keywords: dict[str, Value]) -> Value:
        """The result of calling what is not known; everything handed to it may be written by it."""
        for value in (*positional, *keywords.values()):
            self.taint(value)
        if self.graph is not None and any(isinstance(value, Flow) for value in (*positional, *keywords.values())):
            return self.graph.unknown([value for value in (*positional, *keywords.values()) if isinstance(value, Flow)])
        return MADE

    def write(
        self,
        target: Value,
        function: str,
        arguments: Mapping[str, Any],
        made: tuple[Unit, ast.AST],
        *,
        overwrites: bool = True,
        author: str = "user",
    ) -> None:
        """A statement sets the values of a tensor."""
        if isinstance(target, Either):
            self.taint(target)
        if not isinstance(target, Tensor):
            return
        writes, lost = target.writes, target.cell.get("#lost")
        if target.cell.get("#lazy"):
            self.incident("lazy", made, replacing.written(made[1]), raises=target.leaf, function=function)
        if writes is not None or lost is not None:
            whole = overwrites and not target.partial
            rows = target.rows if target.partial else None
            dtype = target.cell.get("#dtype")
            event = Event(function, arguments, author, made, self.now(), whole, self.application, rows, target, dtype)
            if writes is not None:
                self.put(target.cell, "#writes", (*writes, event))
            if lost is not None:
                self.put(target.cell, "#lost", (*lost, event))

    def in_place(self, target: Value, function: str, node: ast.expr, frame: Frame) -> None:
        """Something changes a tensor in place, which autograd may refuse."""
        if isinstance(target, Tensor) and target.leaf and target.trainable and self.records_gradients:
            self.incident("leaf", (frame.unit, node), spelled(node), raises=True, function=f"torch.Tensor.{function}")

    def changed(self, target: Value) -> None:
        """A statement changes values in a way that is not followed."""
        self.taint(target)

    def walking(self, walk: Walk, node: ast.AST, frame: Frame) -> int | None:
        """Begin a loop over a tree; returns the ``application`` to go back to when it is over."""
        before = self.application
        if walk.root is not None and not self.exhaustive:
            name = getattr(frame.function, "name", "modules")
            made = (frame.unit, node)
            if name != "__init__" and self.sites and self.sites[-1][0] is frame.function:
                made = self.sites[-1][1]  # a function whose job it is: what matters is when it was called
            applied = Applied(
                name,
                made,
                self.now(),
                walk.root,
                None,
                certain=self.repeating == 0 and self.journal is None,
            )
            self.applications.append(applied)
            self.application = len(self.applications) - 1
        return before

    def set_attribute(self, holder: Value, name: str, value: Value, made: tuple[Unit, ast.AST] | None = None) -> None:
        """``holder.name = value``; ``made`` is the target of the assignment, where it is one."""
        if type(holder) is Instance:
            self._set_in(holder, name, value, made)
            return
        if isinstance(holder, Either):
            for option in holder.options:
                self.taint(option)
            self.taint(value)
            return
        if isinstance(holder, Tensor):
            if name == "data":
                if made is not None and holder.is_parameter and isinstance(value, Tensor):
                    replacing.resize(self, holder, value, made)
                self.taint(holder)
            elif name == "requires_grad":
                self.freeze(holder, value)
            return
        self.taint(value)
        if isinstance(holder, Class):  # how often that has been done before is not followed
            self.put(holder.info.cell, name, Unseen())

    def _set_in(self, holder: Instance, name: str, value: Value, made: tuple[Unit, ast.AST] | None) -> None:
        """The same of a module."""
        kind = type(value)
        if kind is Instance or kind is Const or kind is Unseen:
            self.put(holder.cell, name, value)
            return
        held = holder.cell.get(name)
        if isinstance(held, Tensor) and held.is_parameter and isinstance(value, Tensor) and not value.is_parameter:
            untouched = held.writes is not None  # else it may have been taken out before
            if made is not None and untouched and "#computed" not in held.cell and not value.cell.get("#same"):
                text = replacing.target(made[1], name)
                self.incident("not_a_parameter", made, text, raises=True, layer_kind=holder.kind)
            self.taint(value)
        if isinstance(value, Tensor) and value.is_parameter and held is not value:
            replacing.tie(self, held, value, made)
        if isinstance(value, (Items, Table)) or (isinstance(value, Tensor) and not value.is_parameter):
            self.put(holder.cell, f"#at:{name}", made)
        self.put(holder.cell, name, value)

    def freeze(self, target: Value, asked: Value) -> None:
        """``requires_grad`` is set, of a tensor or of all that a module holds."""
        wanted = constant(asked, None)
        for cell in self.cells(target):
            if "#trainable" in cell:
                self.put(cell, "#trainable", wanted if isinstance(wanted, bool) else None)


MOST_CONSTANTS = 4_000


def constant(value: Value, otherwise: Any = UNKNOWN) -> Any:
    """The Python value of a constant or of a tuple of them; one that is very long as written out is none."""
    if type(value) is Const:
        return value.value
    if not isinstance(value, Items) or value.rest is not None:
        return otherwise
    written: list[Value] = []
    found = _plain(value, otherwise, written)
    return found if len(written) <= MOST_CONSTANTS else otherwise


def _plain(value: Value, otherwise: Any, written: list[Value]) -> Any:
    """The same of a part, which comes to what is ``written`` of the whole so far."""
    written.append(value)
    if type(value) is Const:
        return value.value
    if isinstance(value, Items) and value.rest is None and len(written) < MOST_CONSTANTS:
        return tuple(_plain(item, otherwise, written) for item in value.known)
    return otherwise
