"""Attributes of values, and the methods of modules, tensors, lists and strings."""

from __future__ import annotations

import ast
from typing import Any

from initlint.source import folding, initializers
from initlint.source.classes import torch_layer
from initlint.source.layers import CONTAINERS, KINDS
from initlint.source.modules import Walk, constant
from initlint.source.names import canonical
from initlint.source.state import Frame
from initlint.source.statements import Statements
from initlint.source.values import (
    FALSE,
    MADE,
    NONE,
    TRUE,
    UNSEEN,
    Applied,
    Class,
    Const,
    Either,
    Event,
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
    TypeOf,
    Unseen,
    Value,
)

Keywords = dict[str, Value]

_MODULE_METHODS = frozenset(
    [
        "apply",
        "modules",
        "named_modules",
        "children",
        "named_children",
        "parameters",
        "named_parameters",
        "buffers",
        "named_buffers",
        "add_module",
        "register_module",
        "register_parameter",
        "register_buffer",
        "append",
        "extend",
        "insert",
        "keys",
        "values",
        "items",
        "update",
        "to",
        "cuda",
        "cpu",
        "half",
        "float",
        "double",
        "bfloat16",
        "train",
        "eval",
        "requires_grad_",
        "zero_grad",
        "state_dict",
        "load_state_dict",
        "get_submodule",
        "get_parameter",
        "reset_parameters",
        "forward",
        "register_forward_hook",
        "register_forward_pre_hook",
        "register_load_state_dict_post_hook",
        "register_state_dict_hook",
        "_register_load_state_dict_pre_hook",
        "type",
        "share_memory",
        "to_empty",
        "xpu",
        "register_full_backward_hook",
        "gradient_checkpointing_enable",
        "__init__",
        "pop",
        "clear",
        "_reset_parameters",
        "flatten_parameters",
        "compile",
        "extra_repr",
        "__setattr__",
        "__getattr__",
        "save_hyperparameters",
        "log",
        "_get_name",
    ]
)
_SAME = frozenset(
    [
        "to",
        "cuda",
        "cpu",
        "half",
        "float",
        "double",
        "bfloat16",
        "train",
        "eval",
        "requires_grad_",
        "xpu",
        "share_memory",
        "type",
    ]
)
_QUIET = frozenset(
    [
        "zero_grad",
        "state_dict",
        "register_forward_hook",
        "register_forward_pre_hook",
        "flatten_parameters",
        "compile",
        "extra_repr",
        "log",
        "register_state_dict_hook",
        "register_load_state_dict_post_hook",
        "_register_load_state_dict_pre_hook",
        "_get_name",
        "register_full_backward_hook",
        "save_hyperparameters",
        "gradient_checkpointing_enable",
    ]
)
_SHARING = frozenset(["data", "T", "mT", "H"])
_VIEWS = frozenset(
    [
        "view",
        "reshape",
        "detach",
        "flatten",
        "squeeze",
        "unsqueeze",
        "permute",
        "transpose",
        "t",
        "contiguous",
        "view_as",
        "requires_grad_",
        "expand",
        "narrow",
        "select",
        "chunk",
        "split",
        "unbind",
        "diagonal",
        "as_strided",
        "to",
        "cuda",
        "cpu",
        "float",
        "half",
        "double",
        "swapaxes",
        "movedim",
        "index_select",
        "__getitem__",
    ]
)
_WHOLE = frozenset(
    [
        "view",
        "reshape",
        "detach",
        "flatten",
        "squeeze",
        "unsqueeze",
        "permute",
        "transpose",
        "t",
        "contiguous",
        "view_as",
        "requires_grad_",
        "swapaxes",
        "movedim",
    ]
)


class Attributes(Statements):
    """Looks attributes up and calls methods."""

    def attribute(self, value: Value, name: str, frame: Frame, text: str = "") -> Value:
        """An attribute of a value."""
        if isinstance(value, Unseen):
            if name in ("__class__", "type"):
                return TypeOf(value.text) if name == "__class__" else UNSEEN
            if name in ("data", "weight_data") and value.attribute is not None:
                return value
            if name == "data":
                return Unseen(value.text, value.kinds, value.owner_kinds, value.attribute, value.made)
            return Unseen(f"{value.text}.{name}" if value.text else "", None, value.kinds, name)
        if isinstance(value, Instance):
            return self._of_instance(value, name, frame)
        if isinstance(value, Ref):
            full = f"{value.name}.{name}"
            if full in folding.CONSTANTS:
                return Const(folding.CONSTANTS[full])
            return (
                Const(torch_layer(value.name))
                if name == "__name__" and torch_layer(value.name)
                else Ref(canonical(full))
            )
        if isinstance(value, Tensor):
            return self._of_tensor(value, name)
        if isinstance(value, Class):
            return self._of_class(value, name)
        if isinstance(value, Super):
            return self._of_super(value, name)
        if isinstance(value, TypeOf):
            return TypeOf(value.text, named=True) if name in ("__name__", "__qualname__") else Method(value, name)
        if isinstance(value, Flow):
            if name in ("shape", "device", "dtype", "ndim", "is_cuda", "requires_grad"):
                return Unseen()
            if name in ("data", "T", "mT", "real"):
                return value
            return Method(value, name)
        if isinstance(value, Either):
            return self.join([self.attribute(option, name, frame, text) for option in value.options])  # type: ignore[no-any-return]
        if isinstance(value, (Items, Table, Const)):
            return Method(value, name)
        if isinstance(value, Partial) and name == "func":
            return value.function
        return UNSEEN

    def _of_instance(self, value: Instance, name: str, frame: Frame) -> Value:
        held = value.cell.get(name)
        if held is not None and not name.startswith("#"):
            return held  # type: ignore[no-any-return]
        if name == "__class__":
            return Class(value.info) if value.info is not None else Ref(f"torch.nn.{value.class_name}")
        if name == "_modules":
            return Table(self.cell(), tuple(self.children(value)))
        if name == "training":
            return Unseen()
        if value.info is not None:
            found = value.info.method(name)
            if found is not None:
                function, holder = found
                marks = {_decorator(mark) for mark in function.decorator_list}
                if marks & {"property", "cached_property"}:
                    bound = Func(function, holder.unit, holder.closure, holder, value)
                    return self.call(bound, [], {}, function, frame)
                if "staticmethod" in marks:
                    return Func(function, holder.unit, holder.closure, holder)
                receiver: Value = Class(value.info) if "classmethod" in marks else value
                return Func(function, holder.unit, holder.closure, holder, receiver)
            for info in value.info.lineage:
                if name in info.cell:
                    return info.cell[name]  # type: ignore[no-any-return]
        if name in value.arguments and name not in ("kernel_size", "stride", "padding", "dilation", "normalized_shape"):
            return value.arguments[name]
        if name in _MODULE_METHODS:
            return Method(value, name)
        return Unseen(f"self.{name}" if value is frame.receiver else "", None, None, name)

    def _of_tensor(self, value: Tensor, name: str) -> Value:
        if name in _SHARING:
            return (
                value.view() if name == "data" else value.view(shape=None if value.shape is None else value.shape[::-1])
            )
        if name in ("ndim", "shape"):
            if value.shape is None:
                return Unseen()
            if name == "ndim":
                return Const(len(value.shape))
            return self.items("tuple", tuple(Unseen() if size is None else Const(size) for size in value.shape))
        if name == "requires_grad":
            return Unseen() if value.trainable is None else Const(value.trainable)
        if name in ("grad", "device", "dtype", "is_cuda", "is_leaf", "is_meta"):
            return Unseen()
        return Method(value, name)

    def _of_class(self, value: Class, name: str) -> Value:
        if name == "__name__":
            return Const(value.info.name)
        for info in value.info.lineage:
            found = info.methods.get(name)
            if found is not None:
                receiver = value if "classmethod" in {_decorator(mark) for mark in found.decorator_list} else None
                return Func(found, info.unit, info.closure, info, receiver)
            if name in info.cell:
                return info.cell[name]  # type: ignore[no-any-return]
        if name == "__init__":
            base = f"torch.nn.{value.info.kind}.__init__"
            return Ref(base) if value.info.is_plain else UNSEEN
        return UNSEEN

    def _of_super(self, value: Super, name: str) -> Value:
        receiver = value.receiver
        info = receiver.info if isinstance(receiver, (Instance, Class)) else None
        if info is not None and value.after in info.lineage:
            for after in info.lineage[info.lineage.index(value.after) + 1 :]:
                found = after.methods.get(name)
                if found is not None:
                    return Func(found, after.unit, after.closure, after, receiver)
        return Method(value, name)

    def call_method(
        self, method: Method, positional: list[Value], keywords: Keywords, node: ast.AST, frame: Frame
    ) -> Value:
        """Call a method that the file does not define."""
        receiver, name = method.receiver, method.name
        made = (frame.unit, node)
        if isinstance(receiver, Super):
            return self._super_method(receiver, name, positional, keywords, made)
        if isinstance(receiver, Instance):
            return self._module_method(receiver, name, positional, keywords, made, frame)
        if isinstance(receiver, Tensor):
            return self._tensor_call(receiver, name, positional, keywords, made)
        if isinstance(receiver, Flow) and self.graph is not None:
            return self.graph.method(receiver, name, positional, keywords, node, frame)
        if isinstance(receiver, Items):
            return self._list_method(receiver, name, positional)
        if isinstance(receiver, Table):
            return self._dict_method(receiver, name, positional, keywords)
        if isinstance(receiver, TypeOf):
            part = constant(positional[0]) if positional else None
            if name in ("find", "count", "rfind") and isinstance(part, str):
                return TypeOf(receiver.text, True, part)
            return UNSEEN
        if isinstance(receiver, Const) and isinstance(receiver.value, str):
            return _string_method(self, receiver.value, name, positional)
        if isinstance(receiver, Unseen) and name in (
            "parameters",
            "named_parameters",
            "modules",
            "named_modules",
            "children",
            "named_children",
            "buffers",
        ):
            return self._unseen_walk(name)
        if isinstance(receiver, Unseen) and name in (
            "append",
            "extend",
            "add",
            "info",
            "debug",
            "warning",
            "error",
            "get",
            "format",
            "join",
            "items",
            "keys",
            "values",
            "pop",
        ):
            for value in positional:
                self.taint(value)
            return Unseen()
        return self.opaque_call([receiver, *positional], keywords)

    def _unseen_walk(self, name: str) -> Value:
        one: Value = Unseen()
        if name.startswith("named_"):
            one = self.items("tuple", (Unseen(), Unseen()))
        return Walk(self.cell(), (), one, None)

    def _super_method(
        self, receiver: Super, name: str, positional: list[Value], keywords: Keywords, made: Any
    ) -> Value:
        inner = receiver.receiver
        if not isinstance(inner, Instance):
            return self.opaque_call([inner, *positional], keywords)
        if name == "__init__":
            if inner.info is None or inner.info.is_plain or inner.kind != "Module":
                self.fill_and_reset(inner, positional, keywords, made)
            else:
                self.opaque_call([inner, *positional], keywords)
            return NONE
        if name == "reset_parameters" and inner.kind in KINDS:
            self._reset(inner, made)
            return NONE
        if name in _MODULE_METHODS:
            return self._module_method(inner, name, positional, keywords, made, None)
        return self.opaque_call([inner, *positional], keywords)

    def fill_and_reset(self, instance: Instance, positional: list[Value], keywords: Keywords, made: Any) -> None:
        """What the constructor of the torch.nn class that an instance derives from does."""
        raise NotImplementedError

    def _reset(self, instance: Instance, made: Any) -> None:
        for _, tensor in self.tensors(instance):
            self.write(tensor, f"torch.nn.{instance.kind}.reset_parameters", {}, made)

    def _module_method(
        self,
        receiver: Instance,
        name: str,
        positional: list[Value],
        keywords: Keywords,
        made: Any,
        frame: Frame | None,
    ) -> Value:
        first = positional[0] if positional else next(iter(keywords.values()), None)
        if name in _SAME:
            if name == "requires_grad_":
                self.freeze(receiver, first if first is not None else TRUE)
            return receiver
        if name in _QUIET:
            return Unseen()
        if name == "apply" and first is not None:
            self._apply(receiver, first, made, frame)
            return receiver
        if name.removeprefix("named_") in ("modules", "children", "parameters", "buffers"):
            return self._walk(receiver, name)
        if name in ("add_module", "register_module", "register_parameter") and len(positional) + len(keywords) > 1:
            value = positional[1] if len(positional) > 1 else list(keywords.values())[-1]
            key = constant(positional[0] if positional else keywords.get("name", UNSEEN), None)
            if not isinstance(key, str) and positional and isinstance(positional[0], Unseen):
                key = positional[0].pattern
            if isinstance(key, str):
                self.set_attribute(receiver, key, value)
            else:
                self._many_more(receiver.cell, value)
            return NONE
        if name == "register_buffer" and len(positional) > 1:
            key = constant(positional[0], None)
            value = positional[1]
            if isinstance(key, str):
                if isinstance(value, Tensor):
                    value = value.view()
                    value.buffer = True
                self.put(receiver.cell, key, value)
            return NONE
        if receiver.kind in CONTAINERS:
            if name == "append" and first is not None:
                self.append_module(receiver, first)
                return receiver
            if name == "extend" and first is not None:
                self.extend_module(receiver, first)
                return receiver
            if name in ("values", "items", "keys"):
                pairs = [
                    (key, value)
                    for key, value in receiver.cell.items()
                    if isinstance(value, (Instance, Either, Tensor, Unseen))
                ]
                return self._listed(name, [(k, v) for k, v in pairs if k != "*"], receiver.cell.get("*"))
            if name == "update" and isinstance(first, Table):
                for key, value in first.pairs:
                    self.put(receiver.cell, str(key), value)
                return NONE
            if name in ("insert", "pop", "clear", "update"):
                self.put(receiver.cell, "*", MADE)
                self.put(receiver.cell, "#flag", True)
                return UNSEEN
        if name == "get_submodule":
            key = constant(first, None) if first is not None else None
            value = receiver
            for part in key.split(".") if isinstance(key, str) and key else ():
                held = value.cell.get(part) if isinstance(value, Instance) else None
                if held is None:
                    self.taint(receiver)
                    return MADE
                value = held
            return value
        if name == "load_state_dict":
            for _, module in self.tree(receiver):
                for _, tensor in self.tensors(module):
                    if tensor.writes is not None:
                        event = Event("torch.nn.Module.load_state_dict", {}, "checkpoint", made, self.now())
                        self.put(tensor.cell, "#writes", (*tensor.writes, event))
            return UNSEEN
        if name == "reset_parameters" and receiver.info is None:
            self._reset(receiver, made)
            if receiver.kind == "MultiheadAttention":
                self.taint(receiver)
            return NONE
        if name == "forward" and self.graph is not None and frame is not None:
            return self.graph.module(receiver, positional, keywords, made[1], frame)
        if name in ("forward", "__init__", "__getattr__"):
            return UNSEEN
        return self.opaque_call([receiver, *positional], keywords)

    def _listed(self, name: str, pairs: list[tuple[str, Value]], rest: Value | None) -> Value:
        if name == "values":
            return self.items("list", tuple(value for _, value in pairs), rest)
        if name == "keys":
            return self.items("list", tuple(Const(key) for key, _ in pairs), None if rest is None else UNSEEN)
        known = tuple(self.items("tuple", (Const(key), value)) for key, value in pairs)
        return self.items("list", known, None if rest is None else self.items("tuple", (Unseen(), rest)))

    def _walk(self, root: Instance, name: str) -> Value:
        """``modules()``, ``named_parameters()`` and the like."""
        named = name.startswith("named_")
        what = name.removeprefix("named_")
        if self.exhaustive and what != "children":
            return self._unseen_walk(name)
        found: list[tuple[str, Value]] = []
        unseen = False
        if what == "children":
            found = list(self.children(root))
        else:
            unseen = self.has_unseen(root)
            for prefix, module in self.tree(root):
                if what == "modules":
                    found.append((prefix, module))
                    continue
                for own, tensor in self.tensors(module, buffers=what == "buffers"):
                    if all(tensor is not seen for _, seen in found):
                        found.append((f"{prefix}.{own}" if prefix else own, tensor))
        values: list[Value] = []
        for key, value in found:
            label: Value = Unseen(pattern=key) if "*" in key else Const(key)
            values.append(self.items("tuple", (label, value)) if named else value)
        rest = (self.items("tuple", (Unseen(), Unseen())) if named else Unseen()) if unseen else None
        return Walk(self.cell(), tuple(values), rest, root)

    def _apply(self, root: Instance, function: Value, made: Any, frame: Frame | None) -> None:
        """``root.apply(function)``: children first, the module itself last."""
        name = getattr(function.node, "name", "lambda") if isinstance(function, Func) else "apply"
        if not isinstance(function, (Func, Partial)) or frame is None:
            self.taint(function)
            self.taint(root)
            return
        before = self.application
        if not self.exhaustive:
            certain = self.repeating == 0 and self.journal is None
            self.applications.append(Applied(name, made, self.now(), root, None, certain=certain))
            self.application = len(self.applications) - 1
            self.applications[-1].covered = []
        try:
            for _, module in reversed(self.tree(root)):
                self.call(function, [module], {}, made[1], frame)
            if self.has_unseen(root):
                self.call(function, [Unseen()], {}, made[1], frame)
        finally:
            self.application = before

    def _tensor_call(
        self, receiver: Tensor, name: str, positional: list[Value], keywords: Keywords, made: Any
    ) -> Value:
        if name in ("dim", "ndimension"):
            return Unseen() if receiver.shape is None else Const(len(receiver.shape))
        if name in ("size", "numel", "nelement"):
            shape = self._of_tensor(receiver, "shape")
            if name == "size" and isinstance(shape, Items):
                index = constant(positional[0]) if positional else None
                if index is None:
                    return shape
                if isinstance(index, int) and -len(shape.known) <= index < len(shape.known):
                    return shape.known[index]
            if name != "size" and receiver.shape is not None and None not in receiver.shape:
                total = 1
                for size in receiver.shape:
                    total *= size or 0
                return Const(total)
            return Unseen()
        if name in _VIEWS:
            partial = name not in _WHOLE or receiver.partial
            if name in ("to", "cuda", "cpu", "float", "half", "double"):
                return self.computed((receiver,)) if receiver.is_parameter else receiver
            if name in ("requires_grad_", "contiguous"):
                if name == "requires_grad_":
                    self.freeze(receiver, positional[0] if positional else TRUE)
                return receiver
            view = receiver.view(partial=partial)
            if name not in ("detach",):
                view.shape = None
            return view
        if name.startswith("new_"):
            short = name[4:]
            if short in ("empty", "zeros", "ones", "full"):
                from initlint.source.tensors import factory

                return factory(self, f"torch.{short}", positional, keywords, made)
            return self.computed(())
        if name in initializers.CHANGING_METHODS or (name.endswith("_") and not name.endswith("__")):
            if receiver.writes is not None:
                self._change(receiver, name, positional, made)
            return receiver
        if name in ("item", "tolist", "numpy", "is_contiguous", "data_ptr", "element_size", "stride", "get_device"):
            return Unseen()
        if name == "clone":
            return self.computed((receiver,))
        for value in positional:
            if isinstance(value, Instance):
                self.taint(value)
        return self.computed((receiver,))

    def _change(self, receiver: Tensor, name: str, positional: list[Value], made: Any) -> None:
        """An in-place operation on what a tensor holds: the law of the result is not looked into."""
        writes = receiver.writes
        if writes is not None:
            event = Event(f"torch.Tensor.{name}", {}, "user", made, self.now(), False, self.application)
            self.put(receiver.cell, "#writes", (*writes, event))

    def _list_method(self, receiver: Items, name: str, positional: list[Value]) -> Value:
        if name in ("append", "add") and positional:
            self.append(receiver, positional[0])
            return NONE
        if name == "extend" and positional:
            self.extend(receiver, positional[0])
            return NONE
        if name == "insert" and len(positional) > 1:
            known, rest = receiver.known, receiver.rest
            index = constant(positional[0])
            if rest is None and isinstance(index, int):
                items = list(known)
                items.insert(index, positional[1])
                self.put(receiver.cell, "#items", (tuple(items), None))
                return NONE
        if name == "pop":
            known, rest = receiver.known, receiver.rest
            index = constant(positional[0]) if positional else -1
            if rest is None and isinstance(index, int) and -len(known) <= index < len(known) and not self.repeating:
                items = list(known)
                value = items.pop(index)
                self.put(receiver.cell, "#items", (tuple(items), None))
                return value
        if name in ("copy", "index", "count", "__len__"):
            return self.items(receiver.kind, receiver.known, receiver.rest) if name == "copy" else UNSEEN
        options = [*receiver.known, *((receiver.rest,) if receiver.rest is not None else ()), *positional]
        whole: Value = self.join(options) if options else UNSEEN
        self.put(receiver.cell, "#items", ((), whole))
        return whole if name == "pop" else UNSEEN

    def _dict_method(self, receiver: Table, name: str, positional: list[Value], keywords: Keywords) -> Value:
        if name in ("values", "items", "keys"):
            known = [(key, value) for key, value in receiver.pairs]
            if name == "keys":
                return self.items(
                    "list", tuple(Const(key) for key, _ in known), None if receiver.rest is None else UNSEEN
                )
            if name == "values":
                return self.items("list", tuple(value for _, value in known), receiver.rest)
            rows = tuple(self.items("tuple", (Const(key), value)) for key, value in known)
            rest = None if receiver.rest is None else self.items("tuple", (Unseen(), receiver.rest))
            return self.items("list", rows, rest)
        if name in ("get", "pop", "setdefault") and positional:
            key = positional[0]
            fallback = positional[1] if len(positional) > 1 else NONE
            if isinstance(key, Const):
                found = receiver.get(key.value)
                if found is not None:
                    return found
                return fallback if receiver.rest is None else self.join([receiver.rest, fallback])
            return self.join([value for _, value in receiver.pairs] + [fallback])  # type: ignore[no-any-return]
        if name == "update":
            for value in positional:
                for key, held in value.pairs if isinstance(value, Table) else ():
                    self.set_element(receiver, Const(key), held)
                if not isinstance(value, Table) or value.rest is not None:
                    self.set_element(receiver, UNSEEN, UNSEEN)
            for word, held in keywords.items():
                self.set_element(receiver, Const(word) if word != "**" else UNSEEN, held)
            return NONE
        if name == "copy":
            return Table(self.cell(), receiver.pairs, receiver.rest)
        self.put(receiver.cell, "#items", ((), UNSEEN))
        return UNSEEN


def _decorator(node: ast.expr) -> str:
    if isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _string_method(machine: Attributes, text: str, name: str, positional: list[Value]) -> Value:
    given = [constant(value, None) for value in positional]
    if all(isinstance(part, str) for part in given):
        if name == "startswith" and len(given) == 1:
            return TRUE if text.startswith(given[0]) else FALSE
        if name == "endswith" and len(given) == 1:
            return TRUE if text.endswith(given[0]) else FALSE
        if name in ("find", "count") and len(given) == 1:
            return Const(text.find(given[0]) if name == "find" else text.count(given[0]))
        if name in ("lower", "upper", "strip") and not given:
            return Const(getattr(text, name)())
        if name == "split" and len(given) <= 1:
            return machine.items("list", tuple(Const(part) for part in text.split(*given)))
        if name == "replace" and len(given) == 2:
            return Const(text.replace(given[0], given[1])[:4096])
    return Unseen()
