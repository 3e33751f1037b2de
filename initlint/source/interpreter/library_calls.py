"""Calls of what other files define, by canonical name: layers, initialisers, tensor factories, pure functions."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from initlint.source.interpreter import folding
from initlint.source.interpreter.binding import bind_call
from initlint.source.interpreter.builtin_calls import SPECIAL
from initlint.source.interpreter.classes import torch_layer
from initlint.source.interpreter.constructing import fill, layer, lazy, stack_of_clones
from initlint.source.interpreter.loading import LIBRARIES, pretrained
from initlint.source.interpreter.modules import constant
from initlint.source.interpreter.patterns import spelled_out
from initlint.source.interpreter.reparametrizing import WRAPPERS, wrap
from initlint.source.interpreter.tensor_methods import VIEWS, tensor_method
from initlint.source.interpreter.tensors import FACTORIES, factory, mapped
from initlint.source.interpreter.values import NONE, UNSEEN, Const, Extent, Flow, Instance, Items, Tensor, Unseen, Value
from initlint.source.tables import initializers
from initlint.source.tables.constructors import KINDS
from initlint.source.tables.module_initializers import deeds

if TYPE_CHECKING:
    from initlint.source.interpreter.calls import Calls
    from initlint.source.interpreter.state import Frame

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
    "bytes",
    "slice",
    "torch.utils.checkpoint.",
    "torch.jit.is_scripting",
)
"""Functions that write into no parameter that they are given."""

_HANDING_ON = ("iter", "next", "frozenset", "collections.", "itertools.", "functools.", "operator.")
"""Functions whose result holds what they are given, so that it may be written through it."""

_OF_NUMBERS = frozenset({"math.sqrt", "numpy.sqrt", "math.prod", "numpy.prod", "float", "int"})
"""Functions of sizes whose result is as good as them to tell which these were."""

_SAME_MODULE = (
    "torch.compile",
    "torch.jit.script",
    "torch.nn.DataParallel",
    "torch.nn.SyncBatchNorm.convert_sync_batchnorm",
    "torch.nn.parallel.DistributedDataParallel",
)


def call_name(
    machine: Calls, name: str, positional: list[Value], keywords: Keywords, node: ast.AST, frame: Frame
) -> Value:
    """Call what a canonical name stands for; what is not known may write into whatever it is given."""
    if len(positional) == 1 and isinstance(positional[0], Extent) and name in _OF_NUMBERS:
        return positional[0]
    made = (frame.unit, node)
    special = SPECIAL.get(name)
    if special is not None:
        return special(machine, positional, keywords, made, frame)
    kind = torch_layer(name)
    if kind is not None:
        if kind in ("TransformerEncoder", "TransformerDecoder"):
            return stack_of_clones(machine, kind, positional, keywords, made)
        if kind == "Transformer" or kind.startswith("_"):
            return machine.opaque_call(positional, keywords)
        return layer(machine, kind, positional, keywords, made)
    if name.startswith("torch.nn.Lazy") and name[13:] in KINDS:
        return lazy(machine, name[9:], positional, keywords, made)
    row = machine.table.lookup(name)
    if row is not None:
        return _initialise(machine, row, positional, keywords, made, frame)
    if machine.graph is not None and any(_carries(value) for value in (*positional, *keywords.values())):
        return machine.graph.function(name, positional, keywords, node, frame)
    out = keywords.get("out")
    if isinstance(out, Tensor):  # what is computed is written into it, and it is what is returned
        machine.taint(out)
        return out
    if name in FACTORIES:
        return factory(machine, name, positional, keywords, made)
    if name == "torch.nn.init.calculate_gain":
        given = [constant(value) for value in (*positional, *keywords.values())]
        value = folding.calculate_gain(*given[:2]) if given else folding.FAILED
        return UNSEEN if value is folding.FAILED else Const(value)
    if positional and not keywords and all(isinstance(value, Const) for value in positional):
        value = folding.call(name, [value.value for value in positional if isinstance(value, Const)])
        if value is not folding.FAILED:
            return Const(value)
    if name == "str" and len(positional) == 1 and isinstance(positional[0], Unseen):
        return spelled_out(positional[0])
    if name in ("max", "min", "sum") and len(positional) == 1 and isinstance(positional[0], Items):
        numbers = constant(positional[0])
        if isinstance(numbers, tuple) and all(isinstance(number, (int, float)) for number in numbers):
            value = folding.call(name, [numbers])
            return UNSEEN if value is folding.FAILED else Const(value)
        return UNSEEN
    if name == "torch.nn.utils.skip_init" and positional:
        skipped = machine.call(positional[0], positional[1:], keywords, node, frame)
        if isinstance(skipped, Instance):
            for _, tensor in machine.tensors(skipped):
                machine.write(tensor, "torch.empty", {}, made)
        return skipped
    if name.endswith(".__init__") and positional and isinstance(positional[0], Instance):
        base = torch_layer(name[:-9])
        if base is not None:
            fill(machine, positional[0], base, positional[1:], keywords, made)
        else:
            machine.opaque_call(positional, keywords)
        return NONE
    if name.startswith(WRAPPERS) and (positional or "module" in keywords):
        return wrap(machine, name, positional, keywords)
    if name in _SAME_MODULE and positional and isinstance(positional[0], Instance):
        if name.endswith(("DataParallel", "SyncBatchNorm.convert_sync_batchnorm")):
            machine.taint(positional[0])
        return positional[0]
    if name.endswith("set_grad_enabled"):
        machine.records_gradients = False  # from here on, whichever way it was set, it is not followed
        return Unseen()
    if name.startswith(_HANDING_ON):
        machine.opaque_call(positional, keywords)
        return Unseen()
    if name.startswith(_HARMLESS):
        return Unseen()
    if name.startswith(LIBRARIES):
        loaded = pretrained(machine, name, positional, keywords, made)
        if loaded is not None:
            return loaded
    if name.startswith("torch.") and not name.startswith(
        ("torch.nn.utils", "torch.nn.init", "torch.load", "torch.hub", "torch.distributed", "torch.ops")
    ):
        short = name.rpartition(".")[2]
        if short in VIEWS and positional and isinstance(positional[0], Tensor):
            return tensor_method(machine, positional[0], short, positional[1:], keywords, made)
        if any(isinstance(value, Tensor) for value in positional):
            if name.endswith("_"):
                machine.taint(positional[0])
                return positional[0]
            return mapped(machine, short, positional, made)
        if not short[:1].isupper() and not short.endswith("_"):
            return Unseen()
    return machine.opaque_call(positional, keywords)


def _initialise(
    machine: Calls, row: initializers.Row, positional: list[Value], keywords: Keywords, made: Any, frame: Frame
) -> Value:
    bound = bind_call(row, positional, keywords)
    target = bound.target
    if target is NONE and len(made[1].args) > row.target >= 0:
        machine.nothing(made[1].args[row.target], frame, row.function)
    if row.deprecated or row.same_as or not row.takes_module:
        if isinstance(target, Instance) and row.function.startswith("torch_geometric."):
            for _, module in machine.tree(target):
                for _, tensor in machine.tensors(module):
                    machine.write(tensor, row.function, bound.arguments, made)
        elif row.own or row.function in initializers.ROWS:
            machine.write(target, row.function, bound.arguments, made)
        else:
            machine.taint(target)
    elif isinstance(target, Instance) and (done := deeds(row.function, bound.arguments)):
        held = dict(machine.tensors(target))
        for attribute, function, arguments in done:
            if attribute in held:
                machine.write(held[attribute], function, arguments, made)
    else:
        machine.taint(target)
    return target


def _carries(value: Value) -> bool:
    if isinstance(value, Items):
        return any(isinstance(item, Flow) for item in value.known) or isinstance(value.rest, Flow)
    return isinstance(value, Flow)
