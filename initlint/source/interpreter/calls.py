"""Calls: functions of the file, constructors, and what stands behind names of torch and the standard library."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from initlint.source.interpreter.attributes import Attributes
from initlint.source.interpreter.binding import bind_call
from initlint.source.interpreter.classes import ClassInfo
from initlint.source.interpreter.constructing import fill
from initlint.source.interpreter.library_calls import call_name
from initlint.source.interpreter.modules import Walk
from initlint.source.interpreter.state import MAYBE, NEXT, Frame, Signature
from initlint.source.interpreter.statements import quiet
from initlint.source.interpreter.values import (
    MADE,
    NONE,
    UNSEEN,
    Cell,
    Class,
    Either,
    Flow,
    Func,
    Instance,
    Items,
    Method,
    Partial,
    Ref,
    Super,
    Table,
    Unseen,
    Value,
)
from initlint.source.tables import initializers
from initlint.source.tables.layers import CONTAINERS

DEEPEST_CALL = 10

Keywords = dict[str, Value]


class Calls(Attributes):
    """Calls values."""

    def call_node(self, node: ast.Call, frame: Frame) -> Value:
        """The value of a call."""
        function = node.func
        if type(function) is ast.Attribute:
            base = self.eval(function.value, frame)
            if base is NONE:
                self.nothing(function.value, frame, function.attr)
            row = initializers.TENSOR_METHODS.get(function.attr)
            if row is not None and not isinstance(base, (Instance, Ref, Class, Items, Table, Super)):
                return self._tensor_method(row, base, node, frame)
            callee = self.attribute(base, function.attr, frame)
            if isinstance(callee, Unseen) and isinstance(base, (Instance, Super, Unseen)):
                callee = Method(base, function.attr)
        elif type(function) is ast.Name and function.id == "super" and self.lookup("super", frame) is None:
            return self._super(node, frame)
        else:
            callee = self.eval(function, frame)
        positional, keywords = self._arguments(node, frame)
        if self.recorder is not None and self.depth == 0:
            self.recorder.call(node, frame, callee, positional, keywords)
        return self.call(callee, positional, keywords, node, frame)

    def _arguments(self, node: ast.Call, frame: Frame) -> tuple[list[Value], Keywords]:
        positional: list[Value] = []
        for argument in node.args:
            if isinstance(argument, ast.Starred):
                known, rest = self.iterate(self.eval(argument.value, frame))
                positional.extend(known)
                if rest is not None:
                    positional.append(Walk(self.cell(), (), rest, None))
            else:
                positional.append(self.eval(argument, frame))
        keywords: Keywords = {}
        for keyword in node.keywords:
            value = self.eval(keyword.value, frame)
            if keyword.arg is not None:
                keywords[keyword.arg] = value
            elif isinstance(value, Table) and value.rest is None and all(isinstance(k, str) for k, _ in value.pairs):
                keywords.update(value.pairs)
            else:
                keywords["**"] = UNSEEN
        return positional, keywords

    def _super(self, node: ast.Call, frame: Frame) -> Value:
        receiver, owner = frame.receiver, frame.owner
        if node.args:
            named = self.eval(node.args[0], frame)
            owner = named.info if isinstance(named, Class) else None
            if len(node.args) > 1:
                receiver = self.eval(node.args[1], frame)
        return Super(receiver, owner) if receiver is not None else UNSEEN

    def _tensor_method(self, row: initializers.Row, base: Value, node: ast.Call, frame: Frame) -> Value:
        positional, keywords = self._arguments(node, frame)
        if self.recorder is not None and self.depth == 0:
            self.recorder.tensor_method(node, frame, row, base, positional, keywords)
        if isinstance(base, Flow) and self.graph is not None:
            return self.graph.unknown([base])
        bound = bind_call(row, positional, keywords)
        self.in_place(base, row.function.rpartition(".")[2], node, frame)
        self.write(base, row.function, bound.arguments, (frame.unit, node))
        return base

    def call(self, function: Value, positional: list[Value], keywords: Keywords, node: ast.AST, frame: Frame) -> Value:
        """Call a value."""
        self.budget -= 1
        if self.budget < 0:
            self.spend(0)
        if isinstance(function, Ref):
            return call_name(self, function.name, positional, keywords, node, frame)
        if isinstance(function, Class):
            return self.instantiate(function.info, positional, keywords, node, frame)
        if isinstance(function, Func):
            self.sites.append((function.node, (frame.unit, node)))
            try:
                return self.call_function(function, positional, keywords)
            finally:
                self.sites.pop()
        if isinstance(function, Method):
            return self.call_method(function, positional, keywords, node, frame)
        if isinstance(function, Partial):
            merged = {**function.keywords, **keywords}
            return self.call(function.function, [*function.positional, *positional], merged, node, frame)
        if isinstance(function, Instance):
            if self.graph is not None:
                return self.graph.module(function, positional, keywords, node, frame)
            if self.lazy:
                for cell in self.cells(function):
                    self.put(cell, "#lazy", False)
            return UNSEEN
        if isinstance(function, Either):
            return self._call_either(function, positional, keywords, node, frame)
        return self.opaque_call(positional, keywords)

    def _call_either(
        self, function: Either, positional: list[Value], keywords: Keywords, node: ast.AST, frame: Frame
    ) -> Value:
        results: list[Value] = []

        def arm(option: Value) -> Callable[[], int]:
            def run() -> int:
                results.append(self.call(option, positional, keywords, node, frame))
                return 0

            return run

        self.fork([arm(option) for option in function.options if option is not NONE])
        return self.join(results) if results else UNSEEN

    def instantiate(
        self, info: ClassInfo, positional: list[Value], keywords: Keywords, node: ast.AST, frame: Frame
    ) -> Value:
        """An instance of a class that was read, its ``__init__`` having run."""
        if not info.is_module:
            return self.opaque_call(positional, keywords)
        if self.depth >= DEEPEST_CALL or self.stack.count(info.node) > 1:
            return self.opaque_call(positional, keywords)
        made = (frame.unit, node)
        instance = Instance(info.kind, info.name, self.cell(), made, self.clock, info)
        instance.opaque, instance.turn = not info.is_plain, self.turn
        self.stack.append(info.node)
        try:
            self.construct(instance, info, positional, keywords, made)
        finally:
            self.stack.pop()
        return instance

    def construct(
        self, instance: Instance, info: ClassInfo, positional: list[Value], keywords: Keywords, made: Any
    ) -> None:
        """Run the constructor of a class that was read on an instance of it."""
        found = info.method("__init__")
        if found is not None:
            function, holder = found
            self.call_function(Func(function, holder.unit, holder.closure, holder, instance), positional, keywords)
        else:
            self.fill_and_reset(instance, positional, keywords, made)

    def fill_and_reset(self, instance: Instance, positional: list[Value], keywords: Keywords, made: Any) -> None:
        """What the constructor of the torch.nn class that an instance derives from does, its reset included."""
        fill(self, instance, instance.kind, positional, keywords, made)
        found = instance.info.method("reset_parameters") if instance.info is not None else None
        if found is not None and instance.kind not in ("Module", *CONTAINERS):
            function, holder = found
            self.call_function(Func(function, holder.unit, holder.closure, holder, instance), [], {})

    def call_function(self, function: Func, positional: list[Value], keywords: Keywords) -> Value:
        """Run a function of a file with these arguments."""
        node = function.node
        if self.depth >= DEEPEST_CALL or self.stack.count(node) > 1:
            if function.receiver is not None:
                self.taint(function.receiver)
            return self.opaque_call(positional, keywords)
        local = self.cell()
        frame = Frame(function.unit, (local, *function.closure), node, function.owner, function.receiver)
        if function.receiver is not None:
            positional = [function.receiver, *positional]
        self.bind_parameters(function, positional, keywords, local)
        self.depth += 1
        self.stack.append(node)
        self.ran.add(id(node))
        exhaustive, self.exhaustive = self.exhaustive, False
        records = self.records_gradients
        try:
            if isinstance(node, ast.Lambda):
                return self.eval(node.body, frame)
            self.records_gradients &= not any(quiet(mark) for mark in node.decorator_list)
            if self.run(node.body, frame) in (NEXT, MAYBE):
                frame.returns.append(NONE)
        finally:
            self.exhaustive, self.records_gradients = exhaustive, records
            self.stack.pop()
            self.depth -= 1
        if frame.yields:  # how often each is yielded is not followed
            return self.items("list", (), self.join(frame.yields))
        return self.join(frame.returns or [NONE])  # type: ignore[no-any-return]

    def bind_parameters(self, function: Func, positional: list[Value], keywords: Keywords, local: Cell) -> None:
        """Give a function's parameters their values; one without an argument has its default."""
        arguments = function.node.args
        signature = self.signatures.get(id(arguments))
        if signature is None:
            signature = self.signatures[id(arguments)] = _signature(arguments)
        names, required, declared = signature
        unclear = "**" in keywords
        for index, (name, given) in enumerate(zip(names, positional, strict=False)):
            if type(given) is Walk and given.root is None and not given.known:
                unclear = True
                break
            local[name] = MADE.spelled(name) if given is MADE and index < required else given
        if unclear:
            for name in (*(names if function.receiver is None else names[1:]), *list(declared)[len(names) :]):
                local[name] = Unseen(name)
        extra: list[tuple[str, Value]] = []
        for name, value in keywords.items():
            if name in declared:
                local[name] = value
            elif name != "**":
                extra.append((name, value))
        outer = None
        for name, default in declared.items():
            if name in local:
                continue
            if default is None:
                local[name] = Unseen(name)
            elif function.defaults is not None and name in function.defaults:
                local[name] = function.defaults[name]
            else:
                outer = outer or Frame(function.unit, function.closure or (function.unit.globals,))
                local[name] = self.eval(default, outer)
        if arguments.vararg is not None:
            more = positional[len(names) :]
            spread = [value for value in more if isinstance(value, Walk) and value.root is None]
            known = tuple(value for value in more if value not in spread)
            rest = UNSEEN if unclear else (self.join([value.rest for value in spread]) if spread else None)
            local[arguments.vararg.arg] = self.items("tuple", known, rest)
        if arguments.kwarg is not None:
            local[arguments.kwarg.arg] = Table(self.cell(), tuple(extra), UNSEEN if "**" in keywords else None)


def _signature(arguments: ast.arguments) -> Signature:
    """The names of a function's positional parameters, how many have no default, and the default of every one."""
    names = [parameter.arg for parameter in (*arguments.posonlyargs, *arguments.args)]
    required = len(names) - len(arguments.defaults)
    declared = dict(zip(names, (*[None] * required, *arguments.defaults), strict=True))
    declared.update(zip([each.arg for each in arguments.kwonlyargs], arguments.kw_defaults, strict=True))
    return names, required, declared
