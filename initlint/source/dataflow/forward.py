"""The data flow of a forward: which activation, norm or sum takes each layer's output."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from initlint.source.dataflow import layouts
from initlint.source.dataflow.flows import Flows, Node
from initlint.source.dataflow.layouts import Layout, Uses
from initlint.source.interpreter.classes import torch_layer
from initlint.source.interpreter.modules import constant
from initlint.source.interpreter.places import place
from initlint.source.interpreter.state import Frame, Unit
from initlint.source.interpreter.values import (
    NONE,
    UNSEEN,
    Const,
    Either,
    Flow,
    Func,
    Instance,
    Items,
    Table,
    Tensor,
    Unseen,
    Value,
)
from initlint.source.tables.operations import (
    ACTIVATION_LAYERS,
    ACTIVATIONS,
    NORMS,
    QUESTIONS,
    REDUCING,
    RESHAPING,
    RESHAPING_LAYERS,
)

if TYPE_CHECKING:
    from initlint.source.interpreter.calls import Calls

__all__ = ["Flows", "Graph"]


DEEPEST_FORWARD = 12


class Graph:
    """Collects nodes while a forward is run abstractly.

    ``understood`` is False once something was met that may be anything; ``complete`` once the run broke off.
    """

    def __init__(self, machine: Calls, uses: Uses) -> None:
        self.machine = machine
        self.uses = uses
        self.nodes: list[Node] = []
        self.understood = True
        self.complete = True
        self.depth = 0

    def run(self, instance: Instance, unit: Unit) -> None:
        """Run the forward of a module on unknown inputs."""
        machine = self.machine
        found = instance.info.method("forward") if instance.info is not None else None
        if found is None:
            result = self._sequential(instance, self.node("input", []), Frame(unit, (unit.globals,)), unit.tree)
        else:
            function, holder = found
            names = [*function.args.posonlyargs, *function.args.args][1:]
            needed = len(names) - len(function.args.defaults)
            given: list[Value] = [self.node("input", []) for _ in names[: max(needed, 0)]]
            result = machine.call(
                Func(function, holder.unit, holder.closure, holder, instance),
                given,
                {},
                function,
                Frame(unit, (unit.globals,)),
            )
        self._output(result, 0)

    def _output(self, value: Value, depth: int) -> None:
        if isinstance(value, Flow):
            self.node("output", [value])
        elif isinstance(value, Items) and depth < 4:
            for item in (*value.known, *((value.rest,) if value.rest is not None else ())):
                self._output(item, depth + 1)
        elif isinstance(value, Table) and depth < 4:
            for _, item in value.pairs:
                self._output(item, depth + 1)
        elif not isinstance(value, Const):
            self.understood = False

    def let_go(self) -> None:
        """Take apart what refers to itself, as ``Reading.let_go`` does."""
        for node in self.nodes:
            node.outs.clear()

    def node(
        self,
        kind: str,
        inputs: Sequence[Flow],
        name: str = "",
        instance: Instance | None = None,
        setting: float | None = None,
        location: Any = None,
    ) -> Flow:
        """Add a node behind others."""
        machine = self.machine
        machine.spend()
        node = Node(
            kind, name, instance, [flow.node for flow in inputs], machine.journal is not None, setting, location
        )
        node.index = len(self.nodes)
        for flow in inputs:
            flow.node.outs.append(node)
        self.nodes.append(node)
        if kind in ("unknown", "merge") or node.uncertain:
            self.understood = False
        return Flow(node)

    def unknown(self, flows: Sequence[Flow]) -> Flow:
        """Something that is not understood takes these."""
        return self.node("unknown", flows)

    def lost(self, flow: Flow) -> None:
        """A tensor was handed to what is not understood, and nothing is known to come back."""
        self.node("unknown", [flow])

    def merge(self, options: Sequence[Value]) -> Flow:
        """One of several tensors, it is not known which."""
        return self.node("merge", [option for option in options if isinstance(option, Flow)])

    def part(self, flow: Flow) -> Flow:
        """An element, slice or share of a tensor."""
        return self.node("shape", [flow], "part")

    def linear(self, flow: Flow) -> Flow:
        """A tensor times a constant."""
        return self.node("scale", [flow])

    def binary(self, op: ast.operator, left: Value, right: Value) -> Value:
        """``left op right``, one of them at least a tensor of the flow."""
        flows = [value for value in (left, right) if isinstance(value, Flow)]
        other = right if isinstance(left, Flow) else left
        if isinstance(op, ast.MatMult):
            if len(flows) == 2:
                return self.node("other", flows, "matmul")
            if isinstance(other, Tensor):
                return self._map(other, flows, layouts.matmul(other, on_the_right=other is right), "matmul")
            return self.unknown(flows)
        if isinstance(op, (ast.Add, ast.Sub)):
            if len(flows) == 2:
                return self.node("sum", flows)
            if isinstance(other, Tensor):
                one = other.shape is not None and len(other.shape) == 1
                self.uses.note(other, "bias" if one else "token")
                return self.node("shape", flows, "add")
            return self.node("shape", flows, "add") if isinstance(other, Const) else self.unknown(flows)
        if isinstance(op, (ast.Mult, ast.Div)):
            if len(flows) == 2:
                return self.node("product", flows)
            if isinstance(other, Tensor):
                self.uses.note(other, "scale")
                return self.node("scale", flows)
            return self.node("scale", flows) if isinstance(other, (Const, Unseen)) else self.unknown(flows)
        if isinstance(op, ast.Pow) and len(flows) == 1:
            return self.node("activation", flows, "custom")
        return self.node("other", flows, type(op).__name__.lower())

    def _map(self, weight: Tensor, flows: Sequence[Flow], layout: Layout | None, name: str) -> Flow:
        """A bare tensor is the matrix or kernel of a linear map."""
        flow = self.node("layer", flows, name)
        self.uses.note(weight, "weight", layout, flow.node)
        return flow

    def module(
        self,
        instance: Instance,
        positional: Sequence[Value],
        keywords: Mapping[str, Value],
        node: ast.AST,
        frame: Frame,
    ) -> Value:
        """A module is called."""
        flows = [value for value in (*positional, *keywords.values()) if isinstance(value, Flow)]
        own = instance.info.method("forward") if instance.info is not None else None
        if own is not None:
            if self.depth >= DEEPEST_FORWARD:
                return self.unknown(flows)
            function, holder = own
            self.depth += 1
            try:
                bound = Func(function, holder.unit, holder.closure, holder, instance)
                result = self.machine.call(bound, list(positional), dict(keywords), node, frame)
            finally:
                self.depth -= 1
            return result if not isinstance(result, Unseen) else self.unknown(flows)
        if instance.info is not None and not instance.info.is_plain:
            return self.unknown(flows)
        if instance.kind == "Sequential":
            return self._sequential(instance, flows[0], frame, node) if flows else UNSEEN
        if not flows:
            return self.node("input", []) if instance.kind in ("Embedding", "EmbeddingBag") else UNSEEN
        return self._layer(instance, flows, node, frame)

    def _sequential(self, instance: Instance, flow: Flow, frame: Frame, node: ast.AST) -> Value:
        if self.machine.many(instance) is not None or instance.cell.get("#flag"):
            return self.unknown([flow])
        current: Value = flow
        for key, child in list(instance.cell.items()):
            if key.startswith("#"):
                continue
            if isinstance(child, (Instance, Either)):
                current = self.machine.call(child, [current], {}, node, frame)
            elif isinstance(child, Unseen) and isinstance(current, Flow):
                current = self.unknown([current])
        return current

    def _layer(self, instance: Instance, flows: Sequence[Flow], node: ast.AST, frame: Frame) -> Value:
        kind = instance.kind
        name = ACTIVATION_LAYERS.get(kind)
        if name is not None:
            where = (
                place(*instance.made) if instance.made is not None and isinstance(instance.made[1], ast.Call) else None
            )
            result = self.node("activation", flows[:1], name, None, _setting(instance, kind), where)
            return self._in_place(flows[0], result, "", instance.arguments)
        if kind.endswith(("Norm1d", "Norm2d", "Norm3d")) or kind in (
            "LayerNorm",
            "GroupNorm",
            "RMSNorm",
            "SyncBatchNorm",
        ):
            return self.node("norm", flows[:1], kind, instance)
        if kind.startswith(RESHAPING_LAYERS):
            return self.node("shape", flows[:1], kind, None, _setting(instance, kind))
        if kind.startswith(("AvgPool", "AdaptiveAvg", "LPPool", "LocalResponse")):
            return self.node("reduce", flows[:1], kind)
        if kind in ("Softmax", "LogSoftmax", "Softmin", "Softmax2d"):
            return self.node("softmax", flows[:1], kind)
        if kind.startswith(("Linear", "Conv", "Bilinear", "Embedding")):
            return self.node("layer", flows, kind, instance)
        if kind in ("LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell", "MultiheadAttention"):
            return self.node("layer", flows, kind, instance)
        if kind == "GLU":
            return self.node("product", flows[:1], kind)
        if kind.startswith("Transformer"):
            return self.node("other", flows, kind)
        return self.unknown(flows)

    def function(
        self, name: str, positional: Sequence[Value], keywords: Mapping[str, Value], node: ast.AST, frame: Frame
    ) -> Value:
        """A function of torch (or of another library) is called on tensors of the flow."""
        values = [*positional, *keywords.values()]
        flows = [value for value in values if isinstance(value, Flow)]
        short = name.rpartition(".")[2]
        if not name.startswith("torch.") and name not in (
            "einops.rearrange",
            "einops.repeat",
            "len",
            "print",
            "isinstance",
        ):
            return self.unknown([*flows, *self._within(values)])
        if name in ("len", "print", "isinstance"):
            return UNSEEN
        if torch_layer(name) is not None:
            return self.unknown(flows)
        if short in ("cat", "concat", "concatenate", "stack", "hstack", "vstack"):
            return self.node("other", [*flows, *self._within(values)], short)
        if short in ("add", "sub", "mul", "div", "matmul", "multiply", "subtract") and len(positional) >= 2:
            op = {
                "add": ast.Add(),
                "sub": ast.Sub(),
                "subtract": ast.Sub(),
                "mul": ast.Mult(),
                "multiply": ast.Mult(),
                "div": ast.Div(),
                "matmul": ast.MatMult(),
            }[short]
            return self.binary(op, positional[0], positional[1])
        if short in ("bmm", "mm", "mv") and len(positional) == 2:
            return self.binary(ast.MatMult(), positional[0], positional[1])
        if short in ("einsum", "tensordot") and len(flows) == 1:
            weights = [value for value in values if isinstance(value, Tensor)]
            if len(weights) == 1:
                contracted = layouts.einsum if short == "einsum" else layouts.tensordot
                return self._map(weights[0], flows, contracted(positional, keywords, weights[0]), short)
        if short in ("bmm", "einsum", "baddbmm", "scaled_dot_product_attention", "mm", "cdist", "outer", "dot"):
            return self.node("other", flows, short)
        if not flows:
            return self.unknown(self._within(values))
        if short in (
            "linear",
            "conv1d",
            "conv2d",
            "conv3d",
            "conv_transpose1d",
            "conv_transpose2d",
            "conv_transpose3d",
        ):
            weight = positional[1] if len(positional) > 1 else keywords.get("weight", NONE)
            self.uses.note(positional[2] if len(positional) > 2 else keywords.get("bias", NONE), "bias")
            if not isinstance(weight, Tensor):
                return self.node("layer", flows[:1] if not isinstance(weight, Flow) else flows, short)
            return self._map(weight, flows[:1], layouts.functional(short, positional, keywords, weight), short)
        if short in ("layer_norm", "batch_norm", "group_norm", "rms_norm"):
            self.uses.note(keywords.get("weight", NONE), "norm_scale")
            self.uses.note(keywords.get("bias", NONE), "norm_bias")
        setting = None
        if short.rstrip("_") in _SET:
            name, default = _SET[short.rstrip("_")]
            setting = constant(positional[1] if len(positional) > 1 else keywords.get(name, Const(default)), None)
        if short.rstrip("_") in CUTS:
            return self._in_place(flows[0], self._cut(positional, keywords, place(frame.unit, node)), short, keywords)
        return self._in_place(
            flows[0], self._operation(short, flows, place(frame.unit, node), setting), short, keywords
        )

    def _within(self, values: Sequence[Value]) -> list[Flow]:
        found: list[Flow] = []
        for value in values:
            if isinstance(value, Items):
                parts = (*value.known, *((value.rest,) if value.rest is not None else ()))
                found += [part for part in parts if isinstance(part, Flow)]
        return found

    def _operation(self, name: str, flows: Sequence[Flow], where: Any, setting: Any = None) -> Value:
        plain = name.rstrip("_") if name.endswith("_") else name
        if not isinstance(setting, (int, float)):
            setting = None
        if plain in ACTIVATIONS:
            return self.node("activation", flows[:1], "silu" if plain == "swish" else plain, None, setting, where)
        if plain in RESHAPING:
            return self.node("shape", flows[:1], plain, None, setting)
        if plain in REDUCING:
            return self.node("reduce", flows[:1], plain)
        if plain in ("softmax", "log_softmax", "gumbel_softmax"):
            return self.node("softmax", flows[:1], plain)
        if plain in NORMS:
            return self.node("norm", flows[:1], plain)
        if plain in QUESTIONS:
            return Unseen()
        if plain in (
            "sin",
            "cos",
            "exp",
            "log",
            "sqrt",
            "rsqrt",
            "pow",
            "square",
            "abs",
            "reciprocal",
            "sign",
            "neg",
            "erf",
        ):
            return self.node("activation", flows[:1], plain if plain in ("sin", "cos") else "custom", None, None, where)
        return self.unknown(flows)

    def method(
        self,
        flow: Flow,
        name: str,
        positional: Sequence[Value],
        keywords: Mapping[str, Value],
        node: ast.AST,
        frame: Frame,
    ) -> Value:
        """A method of a tensor of the flow is called."""
        plain = name.rstrip("_") if name.endswith("_") else name
        if plain in ("add", "sub", "mul", "div", "matmul") and positional:
            op = {"add": ast.Add(), "sub": ast.Sub(), "mul": ast.Mult(), "div": ast.Div(), "matmul": ast.MatMult()}[
                plain
            ]
            return self._in_place(flow, self.binary(op, flow, positional[0]), name, keywords)
        if plain in ("bmm", "mm") and positional:
            return self.binary(ast.MatMult(), flow, positional[0])
        if plain == "dot":
            others = [value for value in positional if isinstance(value, Flow)]
            return self.node("other", [flow, *others], plain)
        if plain in QUESTIONS:
            return Unseen()
        if plain in CUTS:
            result: Value = self._cut([flow, *positional], keywords, place(frame.unit, node))
        else:
            result = self._operation(name, [flow], place(frame.unit, node))
        return self._in_place(flow, result, name, keywords)

    def _cut(self, given: Sequence[Value], keywords: Mapping[str, Value], where: Any) -> Flow:
        """``clamp(x, min, max)``: a rectifier where it cuts off what is negative, else something of its own."""
        low = given[1] if len(given) > 1 else keywords.get("min", NONE)
        high = given[2] if len(given) > 2 else keywords.get("max", NONE)
        flows = [value for value in given[:1] if isinstance(value, Flow)]
        bounds = constant(low, UNSEEN), constant(high, UNSEEN)
        name = "relu" if bounds == (0, None) else "relu6" if bounds == (0, 6) else ""
        return self.node("activation", flows, name, location=where) if name else self.node("other", flows, "clamp")

    def _in_place(self, flow: Flow, result: Value, name: str, keywords: Mapping[str, Value]) -> Value:
        """The result of an operation; one that works in place is met under every name of what it was done to."""
        changes = name.endswith("_") and not name.endswith("__")
        if isinstance(result, Flow) and (changes or constant(keywords.get("inplace", NONE), None) is True):
            flow.node = result.node
        return result


CUTS = frozenset(["clamp", "clip"])


_DROPOUTS = ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout")
_SET = {"leaky_relu": ("negative_slope", 0.01), **dict.fromkeys(_DROPOUTS, ("p", 0.5))}
"""The argument that an operation's effect hangs on, the second one, and its default."""


def _setting(instance: Instance, kind: str) -> float | None:
    """The same of a layer of torch's; None where it has none, or it was not read."""
    name = "p" if "Dropout" in kind else {"LeakyReLU": "negative_slope", "PReLU": "init"}.get(kind)
    value = constant(instance.arguments[name], None) if name in instance.arguments else None
    return float(value) if isinstance(value, (int, float)) else None
