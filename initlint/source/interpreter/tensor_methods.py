"""The methods of tensors: views of the same memory, copies, changes in place."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from initlint.source.interpreter import views
from initlint.source.interpreter.modules import constant
from initlint.source.interpreter.tensors import ELEMENTWISE, MAPS, cast, factory, mapped
from initlint.source.interpreter.values import TRUE, UNSEEN, Const, Event, Instance, Items, Ref, Tensor, Unseen, Value
from initlint.source.tables import initializers
from initlint.source.text.names import spelled

if TYPE_CHECKING:
    from initlint.source.interpreter.attributes import Attributes

Keywords = dict[str, Value]


_CASTS = frozenset(["to", "cuda", "xpu", "cpu", "float", "half", "double", "type_as", "bfloat16"])

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

VIEWS = (
    _CASTS
    | _WHOLE
    | frozenset(
        [
            "tensor_split",
            "hsplit",
            "vsplit",
            "dsplit",
            "split_with_sizes",
            "unsafe_chunk",
            "unsafe_split",
            "unflatten",
            "unfold",
            "ravel",
            "swapdims",
            "moveaxis",
            "adjoint",
            "expand_as",
            "view_as_real",
            "view_as_complex",
            "expand",
            "narrow",
            "select",
            "chunk",
            "split",
            "unbind",
            "diagonal",
            "as_strided",
            "index_select",
            "__getitem__",
        ]
    )
)
"""Methods whose result may share the tensor's memory: those of torch's page on tensor views, and casts."""


def tensor_method(
    machine: Attributes, receiver: Tensor, name: str, positional: list[Value], keywords: Keywords, made: Any
) -> Value:
    """A method of a tensor."""
    if name in ("dim", "ndimension"):
        return Unseen() if receiver.shape is None else Const(len(receiver.shape))
    if name in ("size", "numel", "nelement"):
        shape = machine.of_tensor(receiver, "shape")
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
    if name in ("transpose", "swapaxes", "swapdims") and len(positional) == 2:
        return views.swapped(receiver, *positional)
    if name == "permute" and positional:
        order = positional[0].known if isinstance(positional[0], Items) else positional
        return views.permuted(receiver, order)
    if name == "t":
        return views.turned(receiver, last_two=False)
    if name == "unsqueeze" and positional:
        return views.widened(receiver, positional[0])
    if name in _CASTS and machine.graph is not None:
        return receiver  # what it is used for is the same
    if name in VIEWS:
        partial = name not in _WHOLE or receiver.partial
        if name in _CASTS:
            return _converted(machine, receiver, name, positional, keywords)
        if name in ("requires_grad_", "contiguous"):
            if name == "requires_grad_":
                machine.freeze(receiver, positional[0] if positional else keywords.get("requires_grad", TRUE))
                if receiver.trainable and not receiver.is_parameter:
                    machine.put(receiver.cell, "#asked", True)
            return receiver
        return receiver.detached() if name == "detach" else views.arranged(receiver, None, partial=partial)
    if name.startswith("new_"):
        short = name[4:]
        if short in ("empty", "zeros", "ones", "full"):
            return factory(machine, f"torch.{short}", positional, keywords, made)
        return machine.computed(())
    if name in initializers.CHANGING_METHODS or (name.endswith("_") and not name.endswith("__")):
        if receiver.leaf and receiver.trainable and machine.records_gradients:
            written = made[1].func if isinstance(made[1], ast.Call) else None
            text = spelled(written.value) if isinstance(written, ast.Attribute) else name
            machine.incident("leaf", made, text, raises=True, function=f"torch.Tensor.{name}")
        if receiver.writes is not None:
            _change(machine, receiver, name, positional, made)
        return receiver
    if name == "numpy":
        machine.taint(receiver)  # an array over the same memory
        return Unseen()
    if name in ("item", "tolist", "is_contiguous", "data_ptr", "element_size", "stride", "get_device"):
        return Unseen()
    if name == "clone":
        return machine.computed((receiver,))
    if name in MAPS and not positional:
        return mapped(machine, name, (receiver,), made)
    for value in positional:
        if isinstance(value, Instance):
            machine.taint(value)
    return machine.computed((receiver, *positional) if name in ELEMENTWISE else ())


def _converted(machine: Attributes, receiver: Tensor, name: str, positional: list[Value], keywords: Keywords) -> Tensor:
    """``tensor.to(...)`` and its kin: the tensor itself where it is so already, else a plain one.

    ``#same``: it may be the tensor itself. ``#derived``: it is certain that it is another, made so of the tensor.
    """
    other = name in ("cuda", "xpu", "half", "double")
    if name == "to":
        asked = [*positional, *keywords.values()]
        device = constant(asked[0], None) if asked else None
        other = (isinstance(device, str) and device.startswith(("cuda", "xpu", "mps"))) or any(
            isinstance(value, Ref) and value.name in _OTHER_TYPES for value in asked
        )
    if not receiver.is_parameter:
        receiver.cell["#placed"] = True
        return cast(machine, receiver, name, (*positional, *keywords.values()))
    made = machine.computed((receiver,))
    if other and not receiver.cell.get("#placed"):
        made.cell["#derived"] = (name, receiver)
    else:
        made.cell["#same"] = True
    return made


_OTHER_TYPES = frozenset(f"torch.{name}" for name in ("half", "float16", "bfloat16", "double", "float64"))


_ARITHMETIC = frozenset(["add", "sub", "mul", "div", "neg", "pow", "abs", "clamp", "sqrt", "exp", "tanh", "sigmoid"])
"""What computes values from those that are there, and so sets none that the memory was found with."""


def _change(machine: Attributes, receiver: Tensor, name: str, positional: list[Value], made: Any) -> None:
    """An in-place operation on what a tensor holds: the law of the result is not looked into."""
    writes = receiver.writes
    if writes is not None:
        rows = None if name.rstrip("_") in _ARITHMETIC else UNSEEN
        event = Event(f"torch.Tensor.{name}", {}, "user", made, machine.now(), False, machine.application, rows)
        machine.put(receiver.cell, "#writes", (*writes, event))
