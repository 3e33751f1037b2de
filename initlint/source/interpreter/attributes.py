"""Attributes of values, and the methods of modules, tensors, lists and strings."""

from __future__ import annotations

import ast
import functools
from typing import Any

from initlint.source.interpreter import folding, views
from initlint.source.interpreter.classes import ClassInfo, Function, torch_layer
from initlint.source.interpreter.container_methods import dict_method, list_method, string_method
from initlint.source.interpreter.loading import TRUNKS
from initlint.source.interpreter.module_methods import MODULE_METHODS, module_method, super_method, unseen_walk
from initlint.source.interpreter.modules import constant
from initlint.source.interpreter.state import Frame
from initlint.source.interpreter.statements import Statements
from initlint.source.interpreter.tensor_methods import tensor_method
from initlint.source.interpreter.values import (
    UNSEEN,
    Class,
    Const,
    Contents,
    Either,
    Extent,
    Flow,
    Func,
    Held,
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
from initlint.source.text.names import canonical

Keywords = dict[str, Value]


_SHARING = frozenset(["data", "T", "mT", "H"])
_BINDING = frozenset(["property", "cached_property", "staticmethod", "classmethod"])
"""Decorators that say what a function is to one who asks for it."""


class Attributes(Statements):
    """Looks attributes up and calls methods."""

    def attribute(self, value: Value, name: str, frame: Frame, text: str = "") -> Value:
        """An attribute of a value."""
        if type(value) is Instance:
            return self._of_instance(value, name, frame)
        if isinstance(value, Unseen):
            if type(value) is not Unseen:
                self.taint(value)
            if name in ("__class__", "type"):
                return TypeOf(value.text) if name == "__class__" else UNSEEN
            if name in ("data", "weight_data") and value.attribute is not None:
                return value
            if name == "shape" and value.text:
                return Extent(value.text)
            if name == "data":
                return Unseen(value.text, value.kinds, value.owner_kinds, value.attribute, value.made)
            return Unseen(f"{value.text}.{name}" if value.text else "", None, value.kinds, name)
        if isinstance(value, Ref):
            found = _member(value.name, name)
            if value.origin is None or not isinstance(found, Ref):
                return found
            return self.resolved(Ref(found.name, value.origin.then(name)))
        if isinstance(value, Tensor):
            return self.of_tensor(value, name)
        if isinstance(value, Class):
            return self._of_class(value, name, frame)
        if isinstance(value, Super):
            return self._of_super(value, name, frame)
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
            return Held(self.cell(), tuple(self.children(value)), value)
        if name in ("_parameters", "_buffers"):
            return Contents(value)
        if name == "training":
            return Unseen()
        if value.info is not None:
            found = value.info.method(name)
            if found is not None:
                return self._method(*found, value, frame)
            for info in value.info.lineage:
                if name in info.cell:
                    inherited: Value = info.cell[name]
                    return inherited.bound(value) if type(inherited) is Func else inherited
        if name in value.arguments and name not in ("kernel_size", "stride", "padding", "dilation", "normalized_shape"):
            return value.arguments[name]
        if name in MODULE_METHODS:
            return Method(value, name)
        if value.origin == "pretrained" and name in TRUNKS:
            return value
        return Unseen(f"self.{name}" if value is frame.receiver else "", None, None, name)

    def _method(self, function: Function, holder: ClassInfo, value: Instance | Class, frame: Frame) -> Value:
        """What a function of a class is to one who asks an instance for it, or the class."""
        plain = Func(function, holder.unit, holder.closure, holder)
        made = holder.decorated.get(function.name, plain)
        marks = {_decorator(mark) for mark in function.decorator_list}
        if not isinstance(made, Func):
            return UNSEEN if marks & _BINDING else made
        if "classmethod" in marks:
            return made.bound(Class(value.info) if value.info is not None else UNSEEN)
        if marks & {"property", "cached_property"}:
            return self.call(made.bound(value), [], {}, function, frame) if isinstance(value, Instance) else UNSEEN
        return made if "staticmethod" in marks or isinstance(value, Class) else made.bound(value)

    def of_tensor(self, value: Tensor, name: str) -> Value:
        """An attribute of a tensor."""
        if name in _SHARING:
            return value.detached() if name == "data" else views.turned(value, last_two=name == "mT")
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

    def _of_class(self, value: Class, name: str, frame: Frame) -> Value:
        if name == "__name__":
            return Const(value.info.name)
        for info in value.info.lineage:
            found = info.methods.get(name)
            if found is not None:
                return self._method(found, info, value, frame)
            if name in info.cell:
                return info.cell[name]  # type: ignore[no-any-return]
        if name == "__init__":
            base = f"torch.nn.{value.info.kind}.__init__"
            return Ref(base) if value.info.is_plain else UNSEEN
        return UNSEEN

    def _of_super(self, value: Super, name: str, frame: Frame) -> Value:
        receiver = value.receiver
        info = receiver.info if isinstance(receiver, (Instance, Class)) else None
        if isinstance(receiver, (Instance, Class)) and info is not None and value.after in info.lineage:
            for after in info.lineage[info.lineage.index(value.after) + 1 :]:
                found = after.methods.get(name)
                if found is not None:
                    return self._method(found, after, receiver, frame)
        return Method(value, name)

    def call_method(
        self, method: Method, positional: list[Value], keywords: Keywords, node: ast.AST, frame: Frame
    ) -> Value:
        """Call a method that the file does not define."""
        receiver, name = method.receiver, method.name
        made = (frame.unit, node)
        if isinstance(receiver, Super):
            return super_method(self, receiver, name, positional, keywords, made)
        if isinstance(receiver, Instance):
            return module_method(self, receiver, name, positional, keywords, made, frame)
        if isinstance(receiver, Tensor):
            return tensor_method(self, receiver, name, positional, keywords, made)
        if isinstance(receiver, Flow) and self.graph is not None:
            return self.graph.method(receiver, name, positional, keywords, node, frame)
        if isinstance(receiver, Items):
            return list_method(self, receiver, name, positional)
        if isinstance(receiver, Table):
            return dict_method(self, receiver, name, positional, keywords)
        if isinstance(receiver, TypeOf):
            part = constant(positional[0]) if positional else None
            if name in ("find", "count", "rfind") and isinstance(part, str):
                return TypeOf(receiver.text, True, part)
            return UNSEEN
        if isinstance(receiver, Const) and isinstance(receiver.value, str):
            return string_method(self, receiver.value, name, positional, keywords)
        if name == "size" and isinstance(receiver, Unseen) and receiver.text:
            shape = Extent(receiver.text)
            return self.element(shape, positional[0]) if positional else shape
        if name == "_get_name" and isinstance(receiver, Unseen):
            return TypeOf(receiver.text, named=True)
        if isinstance(receiver, Unseen) and name in (
            "parameters",
            "named_parameters",
            "modules",
            "named_modules",
            "children",
            "named_children",
            "buffers",
        ):
            return unseen_walk(self, name)
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

    def fill_and_reset(self, instance: Instance, positional: list[Value], keywords: Keywords, made: Any) -> None:
        """What the constructor of the torch.nn class that an instance derives from does."""
        raise NotImplementedError


@functools.lru_cache(maxsize=2_000)
def _member(whole: str, name: str) -> Const | Ref:
    """An attribute of what has a canonical name: most are asked for again and again."""
    full = f"{whole}.{name}"
    if full in folding.CONSTANTS:
        return Const(folding.CONSTANTS[full])
    if name == "__name__" and torch_layer(whole):
        return Const(torch_layer(whole))
    return Ref(canonical(full))


def _decorator(node: ast.expr) -> str:
    if isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
