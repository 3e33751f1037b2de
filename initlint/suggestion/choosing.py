"""Which scheme each layer of a model gets: by what its output goes into, and by what the model means by it.

What the model's own code draws and no finding is about is said again as it is (a branch that starts at zero, a prior in
a bias, the 0.02 of a transformer); everything else follows from theory. Sources: He et al. 2015 (ReLU), Glorot & Bengio
2010 (tanh, sigmoid), Klambauer et al. 2017 (SELU), Radford et al. 2019 (residual branches by 1/sqrt(2L)), Saxe et al.
2014 (orthogonal recurrent weights), Jozefowicz et al. 2015 (forget gates).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator

from initlint.facts import Layer, Model, Parameter, known
from initlint.suggestion.deliberate import deliberate, is_zero, left_alone, restated
from initlint.suggestion.maps import FEW_BRANCHES, derived, fan_of_bare
from initlint.suggestion.setting import BARE, TIED, Setting, number

__all__ = ["choose"]

_GATES = {"RNN": 1, "GRU": 3, "LSTM": 4, "RNNCell": 1, "GRUCell": 3, "LSTMCell": 4}
_MAPS = frozenset({"linear", "convolution", "transposed", "bilinear"})
_KINDS = {"NonDynamicallyQuantizableLinear": "Linear"}
"""Subclasses of torch's own that a user does not name."""
_TOKEN_STD = 0.02
_AS_IS = "as the model has it"


def choose(model: Model, flagged: Collection[str]) -> list[Setting]:
    """What the function does with every layer and bare parameter of a probed model, in the model's order.

    ``flagged`` names the layers and parameters that findings are about.
    """
    return [*_Chooser(model, flagged).settings()]


class _Chooser:
    def __init__(self, model: Model, flagged: Collection[str]) -> None:
        self.model = model
        self.flagged = flagged
        self.kinds = {layer.name: layer.kind for layer in model.layers if known(layer.kind)}
        ends = [layer for layer in model.layers if known(layer.ends_branch) and layer.ends_branch]
        self.has_stream = bool(ends)
        self.branches = Counter(_stream(layer.name) for layer in ends)
        growing = [layer for layer in ends if known(layer.sum_normalized) and not layer.sum_normalized]
        self.growing = Counter(_stream(layer.name) for layer in growing)

    def settings(self) -> Iterator[Setting]:
        for layer in self.model.layers:
            yield from self._tied(layer)
            own = [parameter for parameter in layer.parameters if not parameter.is_buffer]
            if not own:
                continue
            if self._kind(layer) == BARE:
                yield from (self._bare(layer, parameter) for parameter in own)
            else:
                yield self._layer(layer)
                taken = _parameters_of(layer.family)
                yield from (self._bare(layer, p) for p in own if not p.name.rpartition(".")[2].startswith(taken))

    @staticmethod
    def _kind(layer: Layer) -> str:
        if not known(layer.kind) or layer.kind == "Module" or layer.family == "other":
            return BARE
        return _KINDS.get(layer.kind, layer.kind)

    def _tied(self, layer: Layer) -> Iterator[Setting]:
        """The other owners of a layer's parameters, which must not be written a second time."""
        aliases = layer.aliases if known(layer.aliases) else (layer.name,)
        for parameter in layer.parameters:
            for name in parameter.names[1:] if known(parameter.names) else ():
                owner = name.rpartition(".")[0]
                if owner not in aliases and not any(owner.startswith(f"{alias}.") for alias in aliases if alias):
                    yield Setting(owner, TIED, keeps=f"shares {parameter.name}", why=f"shares {parameter.name}")

    def _layer(self, layer: Layer) -> Setting:
        family = layer.family
        if family in _MAPS:
            return self._map(layer)
        if family == "norm":
            return self._norm(layer)
        if family == "embedding":
            return self._embedding(layer)
        if family in ("recurrent", "attention"):
            return self._packed(layer)
        return Setting(layer.name, self._kind(layer), keeps=_AS_IS)

    def _is_flagged(self, layer: Layer, parameter: Parameter) -> bool:
        return layer.name in self.flagged or parameter.name in self.flagged

    def _bias(self, layer: Layer) -> str:
        """What becomes of a layer's bias: a value that the model's code gives it is a prior, unless it is a finding."""
        bias = layer.parameter("bias")
        if bias is None:
            return "none"
        if left_alone(bias) is not None:
            return "keep"
        if bias.name not in self.flagged and deliberate(bias) and not is_zero(bias):
            return "keep"
        return "zero"

    def _map(self, layer: Layer) -> Setting:
        kind, bias = self._kind(layer), self._bias(layer)
        weight = layer.parameter("weight")
        if weight is None:
            reason = "its weight is another layer's, or computed from other parameters"
            return Setting(layer.name, kind, bias="keep", keeps=reason, why=reason)
        reason = left_alone(weight) or ""
        if reason:
            return Setting(layer.name, kind, bias="keep", keeps=reason, why=reason)
        branches = self._scaled_by(layer)
        if not self._is_flagged(layer, weight) and deliberate(weight):
            return self._restated(layer, weight, bias, branches)
        lines, why = derived(layer, weight, branches)
        return Setting(layer.name, kind, lines, bias, why, _kept_bias(bias))

    def _restated(self, layer: Layer, weight: Parameter, bias: str, branches: int) -> Setting:
        kind, target = self._kind(layer), "module.weight"
        draw = restated(weight)
        if draw is not None and draw.function == "zeros_":
            return Setting(layer.name, kind, (draw.written(target),), bias, "starts at zero, as the model has it")
        if branches:
            sum_of = f"one of {branches} branches that add up"
            unscaled = restated(weight, times=math.sqrt(branches))
            if draw is None and unscaled is not None and unscaled.scalable:
                return Setting(layer.name, kind, (unscaled.written(target, f"math.sqrt({branches})"),), bias, sum_of)
            if draw is not None and draw.scalable and not self._is_scaled_already(layer, weight):
                return Setting(layer.name, kind, (draw.written(target, f"math.sqrt({branches})"),), bias, sum_of)
        if draw is None:
            return Setting(layer.name, kind, (), bias, f"weights {_AS_IS}", f"weights {_AS_IS}")
        return Setting(layer.name, kind, (draw.written(target),), bias, "", _kept_bias(bias))

    def _is_scaled_already(self, layer: Layer, weight: Parameter) -> bool:
        """Whether a layer that ends a branch is drawn smaller than the others of its kind."""
        others = sorted(
            parameter.distribution.std
            for other in self.model.layers
            if known(other.kind) and other.kind == layer.kind and known(other.ends_branch) and not other.ends_branch
            for parameter in other.parameters
            if parameter.name.endswith("weight") and known(parameter.measured) and known(parameter.measured.std)
        )
        own = weight.measured
        return not others or not known(own) or not known(own.std) or own.std < 0.75 * others[len(others) // 2]

    def _scaled_by(self, layer: Layer) -> int:
        """How many branches add up in the stream that a layer writes to; 0 where it is not to be scaled for that."""
        ends = known(layer.ends_branch) and layer.ends_branch
        if not ends or not known(layer.normalized) or layer.normalized:
            return 0
        stream = _stream(layer.name)
        count = self.branches[stream]
        grows = 2 * self.growing[stream] >= count  # a norm behind each sum keeps it; one behind the last does not
        return count if grows and count >= FEW_BRANCHES else 0

    def _norm(self, layer: Layer) -> Setting:
        kind, bias = self._kind(layer), self._bias(layer)
        scale = layer.parameter("weight")
        if scale is None:
            return Setting(layer.name, kind, bias=bias)
        reason = left_alone(scale)
        if reason:
            return Setting(layer.name, kind, bias="keep", keeps=reason, why=reason)
        if not self._is_flagged(layer, scale) and deliberate(scale):
            draw = restated(scale)
            if draw is None:
                return Setting(layer.name, kind, (), bias, f"scales {_AS_IS}", f"scales {_AS_IS}")
            why = "the branch starts closed, as the model has it" if draw.function == "zeros_" else ""
            return Setting(layer.name, kind, (draw.written("module.weight"),), bias, why)
        return Setting(layer.name, kind, ("nn.init.ones_(module.weight)",), bias)

    def _embedding(self, layer: Layer) -> Setting:
        kind, table = self._kind(layer), layer.weight
        reason = left_alone(table)
        if reason:
            return Setting(layer.name, kind, keeps=reason, why=reason)
        why = ""
        tied = any(self.kinds.get(name.rpartition(".")[0]) != kind for name in table.names[1:])
        if not self._is_flagged(layer, table) and deliberate(table):
            draw = restated(table)
            if draw is None:
                return Setting(layer.name, kind, keeps=_AS_IS, why=_AS_IS)
            line = draw.written("module.weight")
        elif tied:
            line, why = "nn.init.normal_(module.weight, std=module.embedding_dim**-0.5)", "also the output projection"
        elif self.has_stream:
            line, why = f"nn.init.normal_(module.weight, std={_TOKEN_STD})", "small, so that no branch is drowned"
        else:
            line, why = "nn.init.normal_(module.weight)", "a lookup sums nothing: unit scale is what comes out"
        lines = [line]
        if _has_padding_row(table):
            lines += ["if module.padding_idx is not None:", "    nn.init.zeros_(module.weight[module.padding_idx])"]
        return Setting(layer.name, kind, tuple(lines), why=why)

    def _packed(self, layer: Layer) -> Setting:
        """Recurrent layers and attention, whose weights hold several maps: each is drawn by itself."""
        kind = self._kind(layer)
        own = [parameter for parameter in layer.parameters if not parameter.is_buffer]
        reason = next((reason for reason in map(left_alone, own) if reason), "")
        if not reason and not any(self._is_flagged(layer, p) for p in own) and any(map(deliberate, own)):
            reason = _AS_IS
        if reason:
            return Setting(layer.name, kind, keeps=reason, why=reason)
        if layer.family == "attention":
            return Setting(layer.name, kind, _attention(own), why="query, key and value are maps of their own")
        return Setting(layer.name, kind, _recurrent(kind), why=_RECURRENT[_GATES[kind] > 1])

    def _bare(self, layer: Layer, parameter: Parameter) -> Setting:
        """A parameter by itself: what is not found wanting is left as the model has it."""
        flagged = parameter.name in self.flagged
        role = parameter.role if known(parameter.role) else "other"
        if role in ("weight", "recurrent_weight") and layer.name in self.flagged:
            flagged = True
        reason = left_alone(parameter) or ("" if flagged else _AS_IS)
        if reason:
            return Setting(parameter.name, BARE, keeps=reason)
        if role in ("weight", "recurrent_weight"):
            fan = fan_of_bare(parameter)
            if fan is None:
                line = f"nn.init.normal_(parameter, std={_TOKEN_STD})"
                return Setting(parameter.name, BARE, (line,), why="what it sums over was not seen")
            alone = sum(known(p.role) and p.is_weight for p in layer.parameters) == 1
            activation = layer.activation if alone and known(layer.activation) else None
            gain = activation.gain if activation is not None and known(activation.gain) else 1.0
            line = f"nn.init.normal_(parameter, std={number(gain)} / math.sqrt({fan}))"
            return Setting(parameter.name, BARE, (line,), why="the axis that is summed over sets the scale")
        if role in ("token", "embedding"):
            line = f"nn.init.trunc_normal_(parameter, std={_TOKEN_STD})"
        elif role in ("bias", "norm_bias"):
            line = "nn.init.zeros_(parameter)"
        elif role in ("scale", "norm_scale"):
            line = "nn.init.ones_(parameter)"
        else:
            return Setting(parameter.name, BARE, keeps="it is not known what it is for")
        return Setting(parameter.name, BARE, (line,))


def _has_padding_row(table: Parameter) -> bool:
    """Whether a row was written over that is to be zero, or as many values are zero as such a row has."""
    if known(table.padding_write) and table.padding_write is not None:
        return True
    return known(table.statistics) and known(table.statistics.zeros) and table.statistics.zeros * table.shape[0] >= 0.99


def _kept_bias(bias: str) -> str:
    return f"bias {_AS_IS}" if bias == "keep" else ""


def _stream(name: str) -> str:
    """What a layer's name says before its first index: the stack of blocks that it belongs to."""
    parts = name.split(".")
    return ".".join(parts[: next((i for i, part in enumerate(parts) if part.isdigit()), 0)])


def _parameters_of(family: str) -> tuple[str, ...]:
    """How the names begin of the parameters that torch's layers of a family have."""
    if family == "recurrent":
        return ("weight_", "bias_")
    if family == "attention":
        return ("in_proj", "q_proj", "k_proj", "v_proj", "bias_")
    return ("weight", "bias")


def _attention(own: Collection[Parameter]) -> tuple[str, ...]:
    lines = []
    if any(p.name.endswith("in_proj_weight") for p in own):
        lines += ["for weight in module.in_proj_weight.chunk(3):", "    nn.init.xavier_uniform_(weight)"]
    else:
        lines += [
            "for weight in (module.q_proj_weight, module.k_proj_weight, module.v_proj_weight):",
            "    nn.init.xavier_uniform_(weight)",
        ]
    if any(p.name.endswith("in_proj_bias") for p in own):
        lines.append("nn.init.zeros_(module.in_proj_bias)")
    return tuple(lines)


_RECURRENT = ("orthogonal from step to step", "each gate is a map of its own: orthogonal from step to step")


def _recurrent(kind: str) -> tuple[str, ...]:
    """Xavier for what comes in, orthogonal for what comes back, forget gates open."""
    gates = _GATES[kind]
    gate = "gate" if gates > 1 else "parameter"
    loop = [f"for gate in parameter.chunk({gates}):"] if gates > 1 else []
    indent = "    " * len(loop)
    return (
        "for key, parameter in module.named_parameters():",
        '    if "weight_hh" in key:',
        *(f"        {line}" for line in [*loop, f"{indent}nn.init.orthogonal_({gate})"]),
        '    elif "weight" in key:',
        *(f"        {line}" for line in [*loop, f"{indent}nn.init.xavier_uniform_({gate})"]),
        "    else:",
        "        nn.init.zeros_(parameter)",
        *(
            [
                '    if "bias_ih" in key:  # the forget gate starts open (Jozefowicz et al. 2015)',
                "        nn.init.ones_(parameter.chunk(4)[1])",
            ]
            if gates == 4
            else []
        ),
    )
