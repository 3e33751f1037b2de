"""The methods of nn.Module: walks over a tree, apply, registration, loading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from initlint.source.interpreter.modules import Walk, constant
from initlint.source.interpreter.values import (
    MADE,
    NONE,
    TRUE,
    UNSEEN,
    Applied,
    Const,
    Contents,
    Either,
    Event,
    Func,
    Instance,
    Partial,
    Super,
    Table,
    Tensor,
    Unseen,
    Value,
)
from initlint.source.tables.constructors import KINDS
from initlint.source.tables.layers import CONTAINERS

if TYPE_CHECKING:
    from initlint.source.interpreter.attributes import Attributes
    from initlint.source.interpreter.state import Frame

Keywords = dict[str, Value]


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
        "register_forward_hook",
        "register_forward_pre_hook",
        "flatten_parameters",
        "compile",
        "extra_repr",
        "log",
        "register_state_dict_hook",
        "register_load_state_dict_post_hook",
        "_register_load_state_dict_pre_hook",
        "register_full_backward_hook",
        "save_hyperparameters",
        "gradient_checkpointing_enable",
    ]
)

MODULE_METHODS = (
    _SAME
    | _QUIET
    | frozenset(
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
            "state_dict",
            "load_state_dict",
            "get_submodule",
            "get_parameter",
            "reset_parameters",
            "forward",
            "to_empty",
            "__init__",
            "pop",
            "clear",
            "_reset_parameters",
            "__setattr__",
            "__getattr__",
            "_get_name",
        ]
    )
)


def super_method(
    machine: Attributes, receiver: Super, name: str, positional: list[Value], keywords: Keywords, made: Any
) -> Value:
    """``super().name(...)`` where no class of the file defines it."""
    inner = receiver.receiver
    if not isinstance(inner, Instance):
        return machine.opaque_call([inner, *positional], keywords)
    if name == "__init__":
        if inner.info is None or inner.info.is_plain or inner.kind != "Module":
            machine.fill_and_reset(inner, positional, keywords, made)
        else:
            machine.opaque_call([inner, *positional], keywords)
        return NONE
    if name == "reset_parameters" and inner.kind in KINDS:
        _reset(machine, inner, made)
        return NONE
    if name in MODULE_METHODS:
        return module_method(machine, inner, name, positional, keywords, made, None)
    return machine.opaque_call([inner, *positional], keywords)


def module_method(
    machine: Attributes,
    receiver: Instance,
    name: str,
    positional: list[Value],
    keywords: Keywords,
    made: Any,
    frame: Frame | None,
) -> Value:
    """A method of a module that no class of the file defines."""
    first = positional[0] if positional else next(iter(keywords.values()), None)
    if name in _SAME:
        if name == "requires_grad_":
            machine.freeze(receiver, first if first is not None else TRUE)
        return receiver
    if name == "_get_name":
        return Const(receiver.class_name)
    if name in _QUIET:
        return Unseen()
    if name == "state_dict":
        return Contents(receiver)
    if name == "apply" and first is not None:
        _apply(machine, receiver, first, made, frame)
        return receiver
    if name.removeprefix("named_") in ("modules", "children", "parameters", "buffers"):
        return _walk(machine, receiver, name)
    if name in ("add_module", "register_module", "register_parameter") and len(positional) + len(keywords) > 1:
        value = positional[1] if len(positional) > 1 else list(keywords.values())[-1]
        called = positional[0] if positional else keywords.get("name", UNSEEN)
        if name == "register_parameter" and isinstance(called, Const):
            _merge(machine, receiver, str(called.value), value, made)
        machine.register(receiver, called, value)
        return NONE
    if name == "register_buffer" and len(positional) > 1:
        key = constant(positional[0], None)
        value = positional[1]
        if isinstance(key, str):
            if isinstance(value, Tensor):
                value = value.view()
                value.buffer = True
                saved = keywords.get("persistent", positional[2] if len(positional) > 2 else TRUE)
                machine.put(value.cell, "#saved", constant(saved, True) is not False)
            machine.put(receiver.cell, key, value)
        return NONE
    if receiver.kind in CONTAINERS:
        if name == "append" and first is not None:
            machine.append_module(receiver, first)
            return receiver
        if name == "extend" and first is not None:
            machine.extend_module(receiver, first)
            return receiver
        if name in ("values", "items", "keys"):
            pairs = [
                (key, value)
                for key, value in receiver.cell.items()
                if isinstance(value, (Instance, Either, Tensor, Unseen)) and "*" not in key
            ]
            return _listed(machine, name, pairs, machine.many(receiver))
        if name == "update" and isinstance(first, Table):
            for key, value in first.pairs:
                machine.enter(receiver, str(key), value)
            if first.rest is not None:
                machine.blur(receiver)
            return NONE
        if name in ("insert", "pop", "clear", "update"):
            machine.blur(receiver)
            return UNSEEN
    if name == "to_empty":
        for _, module in machine.tree(receiver):
            for _, tensor in machine.tensors(module):
                machine.write(tensor, "torch.empty", {}, made)
        return receiver
    if name == "get_submodule":
        key = constant(first, None) if first is not None else None
        value = receiver
        for part in key.split(".") if isinstance(key, str) and key else ():
            held = value.cell.get(part) if isinstance(value, Instance) else None
            if held is None:
                machine.taint(receiver)
                return MADE
            value = held
        return value
    if name == "load_state_dict":
        for _, module in machine.tree(receiver):
            for _, tensor in machine.tensors(module):
                if tensor.writes is not None:
                    event = Event("torch.nn.Module.load_state_dict", {}, "checkpoint", made, machine.now())
                    machine.put(tensor.cell, "#writes", (*tensor.writes, event))
        return UNSEEN
    if name == "reset_parameters" and receiver.info is None:
        _reset(machine, receiver, made)
        if receiver.kind == "MultiheadAttention":
            machine.taint(receiver)
        return NONE
    if name == "forward" and machine.graph is not None and frame is not None:
        return machine.graph.module(receiver, positional, keywords, made[1], frame)
    if name in ("forward", "__init__", "__getattr__"):
        return UNSEEN
    return machine.opaque_call([receiver, *positional], keywords)


def _merge(machine: Attributes, receiver: Instance, key: str, value: Value, made: Any) -> None:
    """A name's own Parameter gives way to one that the module has under another name."""
    held = receiver.cell.get(key)
    if isinstance(held, Tensor) and held.is_parameter and isinstance(value, Tensor) and held.cell is not value.cell:
        others = [name for name, other in receiver.cell.items() if other is value and name != key]
        if others:
            machine.incident("merged", made, key, raises=False, function="register_parameter", other=others[0])


def unseen_walk(machine: Attributes, name: str) -> Value:
    """What ``modules()``, ``named_parameters()`` and the like yield of a module that is not known."""
    what = name.removeprefix("named_")
    one: Value = Unseen(sort="parameter" if what == "parameters" else "module" if what != "buffers" else None)
    if what != name:
        one = machine.items("tuple", (Unseen(), one))
    return Walk(machine.cell(), (), one, None)


def _listed(machine: Attributes, name: str, pairs: Sequence[tuple[str, Value]], rest: Value | None) -> Value:
    if name == "values":
        return machine.items("list", tuple(value for _, value in pairs), rest)
    if name == "keys":
        return machine.items("list", tuple(Const(key) for key, _ in pairs), None if rest is None else UNSEEN)
    known = tuple(machine.items("tuple", (Const(key), value)) for key, value in pairs)
    return machine.items("list", known, None if rest is None else machine.items("tuple", (Unseen(), rest)))


def _walk(machine: Attributes, root: Instance, name: str) -> Value:
    """``modules()``, ``named_parameters()`` and the like."""
    named = name.startswith("named_")
    what = name.removeprefix("named_")
    if machine.exhaustive and what != "children":
        return unseen_walk(machine, name)
    found: list[tuple[str, Value]] = []
    unseen = False
    if root.origin == "pretrained" and what == "children":
        return Walk(machine.cell(), (), machine.items("tuple", (Unseen(), root)) if named else root, root)
    if what == "children":
        found = list(machine.children(root))
    else:
        unseen = machine.has_unseen(root)
        for prefix, module in machine.tree(root):
            if what == "modules":
                found.append((prefix, module))
                continue
            for own, tensor in machine.tensors(module, buffers=what == "buffers"):
                if tensor.cell.get("#computed") is not None:
                    unseen = True  # it is no parameter any more; those that it is computed from are
                elif all(tensor is not seen for _, seen in found):
                    found.append((f"{prefix}.{own}" if prefix else own, tensor))
    values: list[Value] = []
    for key, value in found:
        label: Value = Unseen(pattern=key) if "*" in key else Const(key)
        values.append(machine.items("tuple", (label, value)) if named else value)
    rest = (machine.items("tuple", (Unseen(), Unseen())) if named else Unseen()) if unseen else None
    return Walk(machine.cell(), tuple(values), rest, root)


def _apply(machine: Attributes, root: Instance, function: Value, made: Any, frame: Frame | None) -> None:
    """``root.apply(function)``: children first, the module itself last."""
    name = getattr(function.node, "name", "lambda") if isinstance(function, Func) else "apply"
    if not isinstance(function, (Func, Partial)) or frame is None:
        machine.taint(function)
        machine.taint(root)
        return
    before = machine.application
    if not machine.exhaustive:
        certain = machine.repeating == 0 and machine.journal is None
        machine.applications.append(Applied(name, made, machine.now(), root, None, certain=certain))
        machine.application = len(machine.applications) - 1
    try:
        for _, module in machine.tree(root, upwards=True):
            machine.call(function, [module], {}, made[1], frame)
        if machine.has_unseen(root):
            machine.call(function, [Unseen()], {}, made[1], frame)
    finally:
        machine.application = before


def _reset(machine: Attributes, instance: Instance, made: Any) -> None:
    for _, tensor in machine.tensors(instance):
        machine.write(tensor, f"torch.nn.{instance.kind}.reset_parameters", {}, made)
