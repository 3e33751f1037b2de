"""Calls: functions of the file, constructors, and what stands behind names of torch and the standard library."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

from initlint.source import folding, initializers
from initlint.source.attributes import Attributes
from initlint.source.binding import bind_call
from initlint.source.classes import ClassInfo, torch_layer
from initlint.source.layers import CONTAINERS
from initlint.source.modules import Walk, constant
from initlint.source.state import Frame
from initlint.source.tensors import FACTORIES, factory
from initlint.source.values import (
    FALSE,
    MADE,
    NONE,
    TRUE,
    UNSEEN,
    Cell,
    Class,
    Const,
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
    Tensor,
    Unseen,
    Value,
)

DEEPEST_CALL = 10

Keywords = dict[str, Value]

_HARMLESS = (
    "print",
    "id",
    "repr",
    "hash",
    "format",
    "warnings.",
    "logging.",
    "math.",
    "numpy.",
    "time.",
    "os.",
    "sys.",
    "torch.no_grad",
    "torch.inference_mode",
    "torch.set_grad_enabled",
    "torch.enable_grad",
    "torch.random.",
    "torch.manual_seed",
    "random.",
    "typing.",
    "inspect.",
    "torch.is_tensor",
    "torch.cuda.",
    "torch.device",
    "torch.get_default_dtype",
    "torch.Generator",
    "torch.finfo",
    "torch.Size",
    "torch.backends.",
    "collections.",
    "itertools.",
    "functools.",
    "operator.",
    "contextlib.",
    "pathlib.",
    "json.",
    "re.",
    "callable",
    "dir",
    "AssertionError",
    "ValueError",
    "TypeError",
    "NotImplementedError",
    "RuntimeError",
    "Exception",
    "input",
    "open",
    "iter",
    "next",
    "frozenset",
    "bytes",
    "filter",
    "map",
    "slice",
    "torch.utils.checkpoint.",
    "torch.jit.is_scripting",
)
"""Functions that write into no parameter that they are given."""

_WRAPPERS = (
    "torch.nn.utils.weight_norm",
    "torch.nn.utils.spectral_norm",
    "torch.nn.utils.parametrizations.",
    "torch.nn.utils.parametrize.",
    "torch.nn.utils.prune.",
)
_SAME_MODULE = (
    "torch.compile",
    "torch.jit.script",
    "torch.nn.DataParallel",
    "torch.nn.SyncBatchNorm.convert_sync_batchnorm",
    "torch.nn.parallel.DistributedDataParallel",
)


class Calls(Attributes):
    """Calls values."""

    def call_node(self, node: ast.Call, frame: Frame) -> Value:
        """The value of a call."""
        function = node.func
        if isinstance(function, ast.Name) and function.id == "super" and self.lookup("super", frame) is None:
            return self._super(node, frame)
        if isinstance(function, ast.Attribute):
            base = self.eval(function.value, frame)
            row = initializers.TENSOR_METHODS.get(function.attr)
            if row is not None and not isinstance(base, (Instance, Ref, Class, Items, Table, Super)):
                return self._tensor_method(row, base, node, frame)
            callee = self.attribute(base, function.attr, frame)
            if (isinstance(callee, Unseen) and isinstance(base, (Instance, Super))) or (
                isinstance(callee, Unseen) and isinstance(base, Unseen)
            ):
                callee = Method(base, function.attr)
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
        self.write(base, row.function, bound.arguments, (frame.unit, node))
        return base

    def call(self, function: Value, positional: list[Value], keywords: Keywords, node: ast.AST, frame: Frame) -> Value:
        """Call a value."""
        self.spend()
        if isinstance(function, Ref):
            return self._call_name(function.name, positional, keywords, node, frame)
        if isinstance(function, Class):
            return self.instantiate(function.info, positional, keywords, node, frame)
        if isinstance(function, Func):
            return self.call_function(function, positional, keywords)
        if isinstance(function, Method):
            return self.call_method(function, positional, keywords, node, frame)
        if isinstance(function, Partial):
            merged = {**function.keywords, **keywords}
            return self.call(function.function, [*function.positional, *positional], merged, node, frame)
        if isinstance(function, Instance):
            if self.graph is not None:
                return self.graph.module(function, positional, keywords, node, frame)
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
        instance.opaque = not info.is_plain
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
        self.fill(instance, instance.kind, positional, keywords, made)
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
        try:
            if isinstance(node, ast.Lambda):
                return self.eval(node.body, frame)
            self.run(node.body, frame)
        finally:
            self.exhaustive = exhaustive
            self.stack.pop()
            self.depth -= 1
        if not frame.returns:
            return NONE
        return self.join(frame.returns)  # type: ignore[no-any-return]

    def bind_parameters(self, function: Func, positional: list[Value], keywords: Keywords, local: Cell) -> None:
        """Give a function's parameters their values; one without an argument has its default."""
        arguments = function.node.args
        names = [*arguments.posonlyargs, *arguments.args]
        outer = Frame(function.unit, function.closure or (function.unit.globals,))
        for parameter, default in zip(reversed(names), reversed(arguments.defaults), strict=False):
            local[parameter.arg] = self.eval(default, outer)
        for parameter, fallback in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
            local[parameter.arg] = Unseen(parameter.arg) if fallback is None else self.eval(fallback, outer)
        unclear = "**" in keywords
        for index, parameter in enumerate(names):
            given = positional[index] if index < len(positional) else None
            if isinstance(given, Walk) and given.root is None and not given.known:
                unclear = True
                break
            if given is not None:
                local[parameter.arg] = given
        if unclear:
            for parameter in (*names, *arguments.kwonlyargs):
                if not (parameter is names[0] if names and function.receiver is not None else False):
                    local[parameter.arg] = Unseen(parameter.arg)
        for parameter in names:
            if parameter.arg not in local:
                local[parameter.arg] = Unseen(parameter.arg)
        declared = {parameter.arg for parameter in (*names, *arguments.kwonlyargs)}
        extra = tuple((name, value) for name, value in keywords.items() if name not in declared and name != "**")
        for name, value in keywords.items():
            if name in declared:
                local[name] = value
        if arguments.vararg is not None:
            more = positional[len(names) :]
            spread = [value for value in more if isinstance(value, Walk) and value.root is None]
            known = tuple(value for value in more if value not in spread)
            rest = UNSEEN if unclear else (self.join([value.rest for value in spread]) if spread else None)
            local[arguments.vararg.arg] = self.items("tuple", known, rest)
        if arguments.kwarg is not None:
            local[arguments.kwarg.arg] = Table(self.cell(), extra, UNSEEN if "**" in keywords else None)

    def _call_name(self, name: str, positional: list[Value], keywords: Keywords, node: ast.AST, frame: Frame) -> Value:
        made = (frame.unit, node)
        special = _SPECIAL.get(name)
        if special is not None:
            return special(self, positional, keywords, made, frame)
        kind = torch_layer(name)
        if kind is not None:
            if kind in ("TransformerEncoder", "TransformerDecoder"):
                return self._stacked(kind, positional, keywords, made)
            if kind == "Transformer" or kind.startswith("_"):
                return self.opaque_call(positional, keywords)
            return self.layer(kind, positional, keywords, made)
        row = initializers.lookup(name)
        if row is not None:
            return self._initialise(row, positional, keywords, made)
        if self.graph is not None and any(_carries(value) for value in (*positional, *keywords.values())):
            return self.graph.function(name, positional, keywords, node, frame)
        if name in FACTORIES:
            return factory(self, name, positional, keywords, made)
        if name == "torch.nn.init.calculate_gain":
            given = [constant(value) for value in (*positional, *keywords.values())]
            value = folding.calculate_gain(*given[:2]) if given else folding.FAILED
            return UNSEEN if value is folding.FAILED else Const(value)
        if positional and not keywords and all(isinstance(value, Const) for value in positional):
            value = folding.call(name, [value.value for value in positional if isinstance(value, Const)])
            if value is not folding.FAILED:
                return Const(value)
        if name in ("max", "min", "sum") and len(positional) == 1 and isinstance(positional[0], Items):
            numbers = constant(positional[0])
            if isinstance(numbers, tuple) and all(isinstance(number, (int, float)) for number in numbers):
                value = folding.call(name, [numbers])
                return UNSEEN if value is folding.FAILED else Const(value)
            return UNSEEN
        if name.endswith(".__init__") and positional and isinstance(positional[0], Instance):
            base = torch_layer(name[:-9])
            if base is not None:
                self.fill(positional[0], base, positional[1:], keywords, made)
            else:
                self.opaque_call(positional, keywords)
            return NONE
        if name.startswith(_WRAPPERS) and positional:
            self.taint(positional[0])
            return positional[0]
        if name in _SAME_MODULE and positional and isinstance(positional[0], Instance):
            if name.endswith(("DataParallel", "SyncBatchNorm.convert_sync_batchnorm")):
                self.taint(positional[0])
            return positional[0]
        if name.startswith(_HARMLESS):
            return Unseen()
        if name.startswith("torch.") and not name.startswith(
            ("torch.nn.utils", "torch.nn.init", "torch.load", "torch.hub")
        ):
            if any(isinstance(value, Tensor) for value in positional):
                if name.endswith("_"):
                    self.taint(positional[0])
                    return positional[0]
                return self.computed(positional)
            if not name.rpartition(".")[2][:1].isupper():
                return Unseen()
        return self.opaque_call(positional, keywords)

    def _initialise(self, row: initializers.Row, positional: list[Value], keywords: Keywords, made: Any) -> Value:
        bound = bind_call(row, positional, keywords)
        target = bound.target
        if row.deprecated or row.same_as or not row.takes_module:
            known = row.function in initializers.ROWS
            if known:
                self.write(target, row.function, bound.arguments, made)
            else:
                self.taint(target)
        elif isinstance(target, Instance):
            for _, tensor in self.tensors(target):
                self.write(tensor, row.function, bound.arguments, made)
        else:
            self.taint(target)
        return target

    def _stacked(self, kind: str, positional: list[Value], keywords: Keywords, made: Any) -> Value:
        """nn.TransformerEncoder(layer, n): n deep copies of one layer."""
        given = dict(zip((f"{kind[11:].lower()}_layer", "num_layers", "norm"), positional, strict=False)) | keywords
        layer = given.get(f"{kind[11:].lower()}_layer", UNSEEN)
        count, norm = given.get("num_layers", UNSEEN), given.get("norm", NONE)
        instance = Instance(kind, kind, self.cell(), made, self.clock)
        stack = Instance("ModuleList", "ModuleList", self.cell(), made, self.clock)
        if isinstance(count, Const) and isinstance(count.value, int) and 0 <= count.value <= 64:
            for index in range(count.value):
                self.put(stack.cell, str(index), self.clone(layer, made, "library"))
        else:
            self.put(stack.cell, "*", self.clone(layer, made, "library"))
        self.put(instance.cell, "layers", stack)
        if norm is not NONE:
            self.put(instance.cell, "norm", norm)
        return instance

    # names with a meaning of their own

    def _range(self, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
        numbers = [constant(value) for value in positional]
        if numbers and all(isinstance(number, int) for number in numbers) and 0 not in numbers[2:3]:
            turns = range(*numbers[:3])
            if len(turns) <= 256:
                return self.items("list", tuple(Const(index) for index in turns))
        return self.items("list", (), Unseen())

    def _len(self, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
        value = positional[0] if positional else UNSEEN
        if isinstance(value, (Items, Table)) or (isinstance(value, Instance) and value.kind in CONTAINERS):
            known, rest = self.iterate(value)
            if rest is None:
                return Const(len(known))
        if isinstance(value, Const) and isinstance(value.value, (str, tuple)):
            return Const(len(value.value))
        return UNSEEN

    def _zip(self, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
        parts = [self.iterate(value) for value in positional]
        shortest = min((len(known) for known, rest in parts if rest is None), default=None)
        if shortest is not None and all(rest is None or len(known) >= shortest for known, rest in parts):
            turns = (tuple(known[index] for known, _ in parts) for index in range(shortest))
            return self.items("list", tuple(self.items("tuple", turn) for turn in turns))
        rest = self.items("tuple", tuple(self._any_of(*part) for part in parts))
        return self.items("list", (), rest)

    def _any_of(self, known: tuple[Value, ...], rest: Value | None) -> Value:
        options = [*known, rest] if rest is not None else list(known)
        return self.join(options) if options else UNSEEN

    def _enumerate(self, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
        known, rest = self.iterate(positional[0]) if positional else ((), UNSEEN)
        start = constant(positional[1] if len(positional) > 1 else keywords.get("start", Const(0)))
        first = start if isinstance(start, int) else 0
        pairs = tuple(self.items("tuple", (Const(first + index), value)) for index, value in enumerate(known))
        last = None if rest is None else self.items("tuple", (Unseen(), rest))
        return self.items("list", pairs, last)

    def _list(self, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
        if not positional:
            return self.items("list", ())
        known, rest = self.iterate(positional[0])
        root = positional[0].root if isinstance(positional[0], Walk) else None
        return Walk(self.cell(), known, rest, root) if root is not None else self.items("list", known, rest)

    def _reversed(self, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
        known, rest = self.iterate(positional[0]) if positional else ((), UNSEEN)
        return self.items("list", known[::-1]) if rest is None else self.items("list", (), self._any_of(known, rest))

    def _dictionary(self, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
        pairs: dict[Any, Value] = {}
        rest: Value | None = UNSEEN if "**" in keywords else None
        if positional:
            if isinstance(positional[0], Table):
                pairs.update(positional[0].pairs)
                rest = positional[0].rest
            else:
                known, more = self.iterate(positional[0])
                rest = more if more is None else UNSEEN
                for pair in known:
                    inner = self.iterate(pair)[0]
                    if len(inner) == 2 and isinstance(inner[0], Const):
                        pairs[inner[0].value] = inner[1]
                    else:
                        rest = inner[-1] if inner else UNSEEN
        pairs.update((name, value) for name, value in keywords.items() if name != "**")
        return Table(self.cell(), tuple(pairs.items()), rest)

    def _isinstance_value(self, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
        verdict = self.is_instance(positional[0], positional[1]) if len(positional) == 2 else None
        return UNSEEN if verdict is None else (TRUE if verdict else FALSE)

    def _hasattr(self, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
        if len(positional) == 2 and isinstance(positional[0], Instance) and isinstance(positional[1], Const):
            holder, name = positional[0], str(positional[1].value)
            if name in holder.cell:
                held = holder.cell[name]
                return UNSEEN if isinstance(held, (Unseen, Either)) else TRUE
            found = self.attribute(holder, name, frame)
            if not isinstance(found, Unseen):
                return TRUE
            if not holder.opaque and "*" not in holder.cell and (holder.info is None or holder.info.is_plain):
                return FALSE if holder.kind != "MultiheadAttention" else UNSEEN
        return UNSEEN

    def _getattr(self, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
        if len(positional) < 2:
            return UNSEEN
        holder, name = positional[0], positional[1]
        key = name.value if isinstance(name, Const) else (name.pattern if isinstance(name, Unseen) else None)
        if isinstance(key, str):
            if isinstance(holder, Instance) and isinstance(name, Unseen):
                held = holder.cell.get(key)
                if held is not None:
                    return held  # type: ignore[no-any-return]
                self.taint(holder)
                return MADE
            found = self.attribute(holder, key, frame)
            return self.join([found, positional[2]]) if isinstance(found, Unseen) and len(positional) > 2 else found
        self.taint(holder)
        return MADE

    def _setattr(self, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
        if len(positional) == 3:
            name = positional[1]
            key = name.value if isinstance(name, Const) else (name.pattern if isinstance(name, Unseen) else None)
            if isinstance(key, str):
                self.set_attribute(positional[0], key, positional[2])
            else:
                self.taint(positional[0])
                if isinstance(positional[0], Instance):
                    self._many_more(positional[0].cell, MADE)
        return NONE

    def _type(self, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
        if len(positional) != 1:
            return UNSEEN
        return self.attribute(positional[0], "__class__", frame)

    def _deepcopy(self, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
        return self.clone(positional[0], made, "user") if positional else UNSEEN

    def _copy(self, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
        value = positional[0] if positional else UNSEEN
        if isinstance(value, Items):
            return self.items(value.kind, value.known, value.rest)
        self.taint(value)
        return UNSEEN

    def _partial(self, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
        return Partial(positional[0], positional[1:], dict(keywords)) if positional else UNSEEN

    def _parameter(self, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
        data = positional[0] if positional else keywords.get("data", NONE)
        asked = constant(positional[1] if len(positional) > 1 else keywords.get("requires_grad", TRUE))
        trainable = asked if isinstance(asked, bool) else None
        if isinstance(data, Tensor) and not data.partial:
            return data.as_parameter(made, trainable)
        self.taint(data)
        return Tensor(self.cell(), None, None).as_parameter(made, trainable)


def _carries(value: Value) -> bool:
    if isinstance(value, Items):
        return any(isinstance(item, Flow) for item in value.known) or isinstance(value.rest, Flow)
    return isinstance(value, Flow)


_SPECIAL: Mapping[str, Callable[[Calls, list[Value], Keywords, Any, Frame], Value]] = {
    "range": Calls._range,
    "len": Calls._len,
    "zip": Calls._zip,
    "enumerate": Calls._enumerate,
    "list": Calls._list,
    "tuple": Calls._list,
    "set": Calls._list,
    "sorted": Calls._list,
    "reversed": Calls._reversed,
    "dict": Calls._dictionary,
    "OrderedDict": Calls._dictionary,
    "isinstance": Calls._isinstance_value,
    "hasattr": Calls._hasattr,
    "getattr": Calls._getattr,
    "setattr": Calls._setattr,
    "type": Calls._type,
    "copy.deepcopy": Calls._deepcopy,
    "copy.copy": Calls._copy,
    "functools.partial": Calls._partial,
    "torch.nn.Parameter": Calls._parameter,
}
