"""What the constructors of torch.nn do: a layer with its parameters, a container with its content."""

from __future__ import annotations

import ast
import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from initlint.source.interpreter.modules import Walk, constant
from initlint.source.interpreter.values import MADE, NONE, UNSEEN, Const, Either, Event, Instance, Table, Tensor, Value
from initlint.source.tables.constructors import KINDS
from initlint.source.tables.layers import CONTAINERS
from initlint.source.tables.shapes import MAYBE, nothing

if TYPE_CHECKING:
    from initlint.source.interpreter.calls import Calls
    from initlint.source.interpreter.state import Unit

Keywords = dict[str, Value]


def bound(machine: Calls, kind: str, positional: Sequence[Value], keywords: Mapping[str, Value]) -> dict[str, Value]:
    """A layer's constructor arguments by name, torch's defaults included."""
    defaults = _defaults(kind)
    given: dict[str, Value] = dict(zip(defaults, positional, strict=False))
    given.update(keywords)
    unseen = given.pop("**", None) is not None or any(isinstance(value, Walk) for value in positional)
    for name, default in defaults.items():
        if name not in given:
            given[name] = UNSEEN if unseen else default
    return given


@functools.cache
def _reset(kind: str) -> str:
    """What draws a layer's parameters."""
    return f"torch.nn.{kind}.reset_parameters"


@functools.cache
def _defaults(kind: str) -> dict[str, Value]:
    """The parameters of a layer's constructor, and what they are where nothing is given."""
    return {name: UNSEEN if value is MAYBE else Const(value) for name, value in KINDS[kind].parameters}


def layer(
    machine: Calls, kind: str, positional: Sequence[Value], keywords: Mapping[str, Value], made: tuple[Unit, ast.AST]
) -> Instance:
    """A layer of torch.nn that a call makes."""
    instance = Instance(kind, kind, machine.cell(), made, machine.clock)
    fill(machine, instance, kind, positional, keywords, made)
    return instance


def lazy(
    machine: Calls, name: str, positional: Sequence[Value], keywords: Mapping[str, Value], made: tuple[Unit, ast.AST]
) -> Instance:
    """A layer that takes its first size from the first batch it sees; up to then its parameters are ``#lazy``."""
    instance = layer(machine, name.removeprefix("Lazy"), (UNSEEN, *positional), keywords, made)
    instance.class_name = name
    for cell in machine.cells(instance):
        if "#writes" in cell:
            cell["#lazy"] = True
    machine.lazy = True
    return instance


def fill(
    machine: Calls,
    instance: Instance,
    kind: str,
    positional: Sequence[Value],
    keywords: Mapping[str, Value],
    made: tuple[Unit, ast.AST],
) -> None:
    """What the constructor of a torch.nn class does to an instance of it (or of a class derived from it)."""
    if kind in CONTAINERS:
        _contain(machine, instance, kind, positional, keywords)
        return
    if kind not in KINDS:
        if kind in ("TransformerEncoderLayer", "TransformerDecoderLayer"):
            _transformer_layer(machine, instance, kind, positional, keywords, made)
        elif kind != "Module":
            machine.taint(machine.items("list", tuple(positional)))
            machine.put(instance.cell, "*", MADE)
        return
    given = bound(machine, kind, positional, keywords)
    instance.arguments = given
    makes = KINDS[kind].makes
    if makes is nothing:
        return
    constants = {name: constant(value, MAYBE) for name, value in given.items()}
    for row in makes(constants):
        if row.exists is False:
            machine.put(instance.cell, row.name, NONE)
            continue
        event = Event(_reset(kind), {}, "framework", made, machine.now())
        tensor = Tensor(machine.cell(), row.shape, (event,), made)
        tensor.is_parameter = True
        tensor.cell["#named"] = True
        machine.put(instance.cell, row.name, tensor if row.exists else Either((tensor, NONE)))
    if kind in ("LSTM", "GRU", "RNN") and not any(isinstance(v, Tensor) for v in instance.cell.values()):
        machine.put(instance.cell, "*", MADE)  # how many layers is not known
    if kind == "MultiheadAttention":
        size = given["embed_dim"]
        inner = layer(machine, "Linear", (size, size, given["bias"]), {}, made)
        inner.class_name = "NonDynamicallyQuantizableLinear"
        machine.put(instance.cell, "out_proj", inner)
    for name in ("_weight",):
        if given.get(name, NONE) is not NONE and constant(given[name]) is not None:
            machine.taint(instance)


def _transformer_layer(
    machine: Calls,
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
        machine.put(instance.cell, name, layer(machine, part, arguments, words, made))


def _contain(
    machine: Calls, instance: Instance, kind: str, positional: Sequence[Value], keywords: Mapping[str, Value]
) -> None:
    content: Value | None = positional[0] if positional else next(iter(keywords.values()), None)
    if kind == "Sequential" and not (len(positional) == 1 and isinstance(content, Table)):
        for index, value in enumerate(positional):
            if isinstance(value, Walk):  # *args of which not all are known
                machine.extend_module(instance, value)
            else:
                machine.put(instance.cell, str(index), value)
        return
    if content is None:
        return
    if isinstance(content, Table):
        for key, value in content.pairs:
            machine.enter(instance, str(key), value)
        if content.rest is not None:
            machine.put(instance.cell, "*", content.rest)
        return
    if kind in ("ModuleDict", "ParameterDict"):
        for key, value in machine.paired(content):
            machine.set_element(instance, key, value)
        return
    machine.extend_module(instance, content)


def stack_of_clones(machine: Calls, kind: str, positional: list[Value], keywords: Keywords, made: Any) -> Value:
    """nn.TransformerEncoder(layer, n): n deep copies of one layer."""
    given = dict(zip((f"{kind[11:].lower()}_layer", "num_layers", "norm"), positional, strict=False)) | keywords
    layer = given.get(f"{kind[11:].lower()}_layer", UNSEEN)
    count, norm = given.get("num_layers", UNSEEN), given.get("norm", NONE)
    instance = Instance(kind, kind, machine.cell(), made, machine.clock)
    stack = Instance("ModuleList", "ModuleList", machine.cell(), made, machine.clock)
    if isinstance(count, Const) and isinstance(count.value, int) and 0 <= count.value <= 64:
        for index in range(count.value):
            machine.put(stack.cell, str(index), machine.clone(layer, made, "library"))
    else:
        machine.put(stack.cell, "*", machine.clone(layer, made, "library"))
    machine.put(instance.cell, "layers", stack)
    if norm is not NONE:
        machine.put(instance.cell, "norm", norm)
    return instance
