"""Modules and tensors: how they are made, what they hold, who writes them."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from initlint.facts import UNKNOWN
from initlint.source.expressions import Expressions
from initlint.source.layers import CONTAINERS, KINDS, MAYBE
from initlint.source.state import Frame, Unit
from initlint.source.values import (
    MADE,
    NONE,
    UNSEEN,
    Applied,
    Cell,
    Const,
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

DEEPEST = 12
"""How deep modules may nest before looking further is given up."""


class Walk(Items):
    """What ``modules()``, ``parameters()`` and their like yield; ``root`` is the module they were asked of."""

    __slots__ = ("root",)

    def __init__(self, cell: Cell, items: tuple[Value, ...], rest: Value | None, root: Instance | None) -> None:
        super().__init__("list", cell, items, rest)
        self.root = root


class Modules(Expressions):
    """What happens to modules and tensors."""

    def bound(self, kind: str, positional: Sequence[Value], keywords: Mapping[str, Value]) -> dict[str, Value]:
        """A layer's constructor arguments by name, torch's defaults included."""
        parameters = KINDS[kind].parameters
        given: dict[str, Value] = {}
        for (name, _), value in zip(parameters, positional, strict=False):
            given[name] = value
        given.update((name, value) for name, value in keywords.items() if name != "**")
        unseen = "**" in keywords or any(isinstance(value, Walk) for value in positional)
        for name, default in parameters:
            if name not in given:
                given[name] = UNSEEN if unseen or default is MAYBE else Const(default)
        return given

    def layer(
        self, kind: str, positional: Sequence[Value], keywords: Mapping[str, Value], made: tuple[Unit, ast.AST]
    ) -> Instance:
        """A layer of torch.nn that a call makes."""
        instance = Instance(kind, kind, self.cell(), made, self.clock)
        self.fill(instance, kind, positional, keywords, made)
        return instance

    def fill(
        self,
        instance: Instance,
        kind: str,
        positional: Sequence[Value],
        keywords: Mapping[str, Value],
        made: tuple[Unit, ast.AST],
    ) -> None:
        """What the constructor of a torch.nn class does to an instance of it (or of a class derived from it)."""
        if kind in CONTAINERS:
            self._contain(instance, kind, positional, keywords)
            return
        if kind not in KINDS:
            if kind in ("TransformerEncoderLayer", "TransformerDecoderLayer"):
                self._transformer_layer(instance, kind, positional, keywords, made)
            elif kind != "Module":
                self.taint(self.items("list", tuple(positional)))
                self.put(instance.cell, "*", MADE)
            return
        given = self.bound(kind, positional, keywords)
        instance.arguments = given
        constants = {name: constant(value, MAYBE) for name, value in given.items()}
        for row in KINDS[kind].makes(constants):
            if row.exists is False:
                self.put(instance.cell, row.name, NONE)
                continue
            event = Event(f"torch.nn.{kind}.reset_parameters", {}, "framework", made, self.now())
            tensor = Tensor(self.cell(), row.shape, (event,), made)
            tensor.is_parameter = True
            self.put(instance.cell, row.name, tensor if row.exists else Either((tensor, NONE)))
        if kind in ("LSTM", "GRU", "RNN") and not any(isinstance(v, Tensor) for v in instance.cell.values()):
            self.put(instance.cell, "*", MADE)  # how many layers is not known
        if kind == "MultiheadAttention":
            size = given["embed_dim"]
            inner = self.layer("Linear", (size, size, given["bias"]), {}, made)
            inner.class_name = "NonDynamicallyQuantizableLinear"
            self.put(instance.cell, "out_proj", inner)
        for name in ("_weight",):
            if given.get(name, NONE) is not NONE and constant(given[name]) is not None:
                self.taint(instance)

    def _transformer_layer(
        self,
        instance: Instance,
        kind: str,
        positional: Sequence[Value],
        keywords: Mapping[str, Value],
        made: tuple[Unit, ast.AST],
    ) -> None:
        names = ("d_model", "nhead", "dim_feedforward", "dropout", "activation", "layer_norm_eps")
        given: dict[str, Value] = dict(zip(names, positional, strict=False))
        given.update(keywords)
        size, heads = given.get("d_model", UNSEEN), given.get("nhead", UNSEEN)
        inner = given.get("dim_feedforward", UNSEEN if "**" in keywords else Const(2048))
        bias = given.get("bias", UNSEEN if "**" in keywords else Const(True))
        parts: dict[str, tuple[str, tuple[Value, ...], dict[str, Value]]] = {
            "self_attn": ("MultiheadAttention", (size, heads), {"bias": bias}),
            "linear1": ("Linear", (size, inner), {"bias": bias}),
            "linear2": ("Linear", (inner, size), {"bias": bias}),
            "norm1": ("LayerNorm", (size,), {"bias": bias}),
            "norm2": ("LayerNorm", (size,), {"bias": bias}),
        }
        if kind == "TransformerDecoderLayer":
            parts["multihead_attn"] = ("MultiheadAttention", (size, heads), {"bias": bias})
            parts["norm3"] = ("LayerNorm", (size,), {"bias": bias})
        for name, (part, arguments, words) in parts.items():
            self.put(instance.cell, name, self.layer(part, arguments, words, made))

    def _contain(
        self, instance: Instance, kind: str, positional: Sequence[Value], keywords: Mapping[str, Value]
    ) -> None:
        content: Value | None = positional[0] if positional else next(iter(keywords.values()), None)
        if kind == "Sequential" and not (len(positional) == 1 and isinstance(content, Table)):
            for index, value in enumerate(positional):
                if isinstance(value, Walk):  # *args of which not all are known
                    self.extend_module(instance, value)
                else:
                    self.put(instance.cell, str(index), value)
            return
        if content is None:
            return
        if isinstance(content, Table):
            for key, value in content.pairs:
                self.put(instance.cell, str(key), value)
            if content.rest is not None:
                self.put(instance.cell, "*", content.rest)
            return
        self.extend_module(instance, content)

    def extend_module(self, instance: Instance, content: Value) -> None:
        """``container.extend(content)``."""
        known, rest = self.iterate(content) if isinstance(content, (Items, Instance)) else ((), MADE)
        for value in known:
            self.append_module(instance, value)
        if rest is not None:
            self._many_more(instance.cell, rest)

    def append_module(self, instance: Instance, value: Value) -> None:
        """``container.append(value)``."""
        if self.repeating and not (self.journal is not None and instance.cell.born > self.journal.start):
            self._many_more(instance.cell, value)
            return
        self.put(instance.cell, str(sum(1 for key in instance.cell if key.isdigit())), value)

    def _many_more(self, cell: Cell, value: Value) -> None:
        held = cell.get("*")
        self.put(cell, "*", value if held is None else self.join([held, value]))

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
                twins[id(part)] = twin
                for key, held in list(part.cell.items()):
                    twin.cell[key] = copied(held, depth + 1)
            elif isinstance(part, Either):
                twin = Either(tuple(copied(option, depth + 1) for option in part.options))
            elif isinstance(part, Items) and not isinstance(part, Walk):
                rest = None if part.rest is None else copied(part.rest, depth + 1)
                twin = self.items(part.kind, tuple(copied(item, depth + 1) for item in part.known), rest)
            elif isinstance(part, (Method, Func, Partial)):
                twin = UNSEEN
            else:
                twin = part
            twins[id(part)] = twin
            return twin

        result: Value = copied(value, 0)
        return result

    def children(self, instance: Instance) -> list[tuple[str, Value]]:
        """The attributes of a module that are modules (or may be), in order."""
        return [
            (name, value)
            for name, value in instance.cell.items()
            if isinstance(value, (Instance, Either)) or (isinstance(value, Unseen) and value.made)
        ]

    def tree(self, root: Value) -> list[tuple[str, Instance]]:
        """Every module below and including ``root`` with its dotted name, once each, parents first."""
        found: list[tuple[str, Instance]] = []
        seen: set[int] = set()

        def visit(value: Value, name: str, depth: int) -> None:
            if isinstance(value, Either):
                for option in value.options:
                    visit(option, name, depth)
            if not isinstance(value, Instance) or id(value) in seen or depth > DEEPEST:
                return
            self.spend()
            seen.add(id(value))
            found.append((name, value))
            for key, child in self.children(value):
                visit(child, f"{name}.{key}" if name else key, depth + 1)

        visit(root, "", 0)
        return found

    def has_unseen(self, root: Instance) -> bool:
        """Whether some module of the tree is not known."""
        return any(
            isinstance(child, Unseen) for _, module in self.tree(root) for _, child in self.children(module)
        ) or any(module.opaque for _, module in self.tree(root))

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
                stack.extend(held for held in current.cell.values() if isinstance(held, (Tensor, Instance, Either)))
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
        for cell in self.cells(value):
            if "#writes" in cell:
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
        writes = target.writes
        if writes is not None:
            whole = overwrites and not target.partial
            event = Event(function, arguments, author, made, self.now(), whole, self.application)
            self.put(target.cell, "#writes", (*writes, event))

    def changed(self, target: Value) -> None:
        """A statement changes values in a way that is not followed."""
        self.taint(target)

    def walking(self, walk: Walk, node: ast.AST, frame: Frame) -> int | None:
        """Begin a loop over a tree; returns the ``application`` to go back to when it is over."""
        before = self.application
        if walk.root is not None and not self.exhaustive:
            name = getattr(frame.function, "name", "modules")
            applied = Applied(
                name,
                (frame.unit, node),
                self.now(),
                walk.root,
                None,
                certain=self.repeating == 0 and self.journal is None,
            )
            self.applications.append(applied)
            self.application = len(self.applications) - 1
        return before

    def set_attribute(self, holder: Value, name: str, value: Value) -> None:
        """``holder.name = value``."""
        if isinstance(holder, Either):
            for option in holder.options:
                self.taint(option)
            self.taint(value)
            return
        if isinstance(holder, Tensor):
            if name == "data":
                self.taint(holder)
            elif name == "requires_grad":
                self.freeze(holder, value)
            return
        if not isinstance(holder, Instance):
            self.taint(value)
            return
        held = holder.cell.get(name)
        if isinstance(held, Tensor) and held.is_parameter and isinstance(value, Tensor) and not value.is_parameter:
            self.taint(value)
        self.put(holder.cell, name, value)

    def freeze(self, target: Value, asked: Value) -> None:
        """``requires_grad`` is set, of a tensor or of all that a module holds."""
        wanted = constant(asked, None)
        for cell in self.cells(target):
            if "#trainable" in cell:
                self.put(cell, "#trainable", wanted if isinstance(wanted, bool) else None)

    def set_element(self, holder: Value, key: Value, value: Value) -> None:
        """``holder[key] = value``."""
        if isinstance(holder, Table):
            if isinstance(key, Const):
                pairs = tuple(pair for pair in holder.pairs if pair[0] != key.value)
                self.put(holder.cell, "#items", ((*pairs, (key.value, value)), holder.rest))
            else:
                rest = value if holder.rest is None else self.join([holder.rest, value])
                self.put(holder.cell, "#items", (holder.pairs, rest))
        elif isinstance(holder, Instance) and holder.kind in CONTAINERS:
            known = [name for name in holder.cell if name.isdigit()]
            if isinstance(key, Const) and isinstance(key.value, int) and key.value < 0 and not holder.cell.get("*"):
                key = Const(len(known) + key.value)
            name = _slot(key)
            if name is None:
                for other in known:
                    self.put(holder.cell, other, self.join([holder.cell[other], value]))
                if holder.kind == "ModuleDict":
                    self._many_more(holder.cell, value)
            else:
                self.put(holder.cell, name, value)
        elif isinstance(holder, Items):
            known_items, rest = holder.known, holder.rest
            if (
                isinstance(key, Const)
                and isinstance(key.value, int)
                and -len(known_items) <= key.value < len(known_items)
            ):
                changed = list(known_items)
                changed[key.value] = value
                self.put(holder.cell, "#items", (tuple(changed), rest))
            else:
                options = [*known_items, *((rest,) if rest is not None else ()), value]
                self.put(holder.cell, "#items", ((), self.join(options)))
        elif isinstance(holder, Tensor):
            if holder.writes is not None:
                self.taint(holder)
        elif isinstance(holder, Either):
            self.taint(holder)
            self.taint(value)
        else:
            self.taint(value)

    def extend(self, items: Items, value: Value) -> None:
        """``items.extend(value)``."""
        known, rest = self.iterate(value) if isinstance(value, (Items, Instance, Table)) else ((), UNSEEN)
        for item in known:
            self.append(items, item)
        if rest is not None:
            self.put(items.cell, "#items", (items.known, rest if items.rest is None else self.join([items.rest, rest])))

    def append(self, items: Items, value: Value) -> None:
        """``items.append(value)``."""
        if items.rest is not None:
            self.put(items.cell, "#items", (items.known, self.join([items.rest, value])))
        else:
            self.put(items.cell, "#items", ((*items.known, value), None))

    def iterate(self, value: Value) -> tuple[tuple[Value, ...], Value | None]:
        """The elements a loop over ``value`` meets, and what stands for unknown many more (None: there are none)."""
        if isinstance(value, Items):
            return value.known, value.rest
        if isinstance(value, Table):
            return tuple(Const(key) for key, _ in value.pairs), (None if value.rest is None else UNSEEN)
        if isinstance(value, Instance):
            if value.kind == "ModuleDict":
                keys = tuple(Const(key) for key, _ in self.children(value) if "*" not in key)
                return keys, (UNSEEN if "*" in value.cell else None)
            if value.kind in CONTAINERS:
                listed = tuple(
                    held
                    for key, held in value.cell.items()
                    if "*" not in key
                    and not key.startswith("#")
                    and isinstance(held, (Instance, Either, Tensor, Unseen))
                )
                return listed, value.cell.get("*")
            return (), UNSEEN
        if isinstance(value, Const) and isinstance(value.value, (str, tuple)) and len(value.value) <= 64:
            return tuple(Const(item) for item in value.value), None
        if isinstance(value, Flow) and self.graph is not None:
            return (), self.graph.part(value)
        if isinstance(value, Either):
            known: list[Value] = []
            for option in value.options:
                inner, rest = self.iterate(option)
                known += [*inner, rest] if rest is not None else inner
            return (), self.join(known) if known else UNSEEN
        if isinstance(value, Tensor):
            return (), value.view(partial=True)
        return (), Unseen()


def _slot(key: Value) -> str | None:
    if isinstance(key, Const):
        return str(key.value)
    return key.pattern if isinstance(key, Unseen) and key.pattern else None


def constant(value: Value, otherwise: Any = UNKNOWN) -> Any:
    """The Python value of a constant or of a tuple of them."""
    if isinstance(value, Const):
        return value.value
    if isinstance(value, Items) and value.rest is None:
        return tuple(constant(item, otherwise) for item in value.known)
    return otherwise
