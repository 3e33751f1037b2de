"""Faults of initialisation, each planted in a sound network as somebody would write it.

An operator writes into the model and returns the names of the parameters (or layers) that it spoilt; None where the
model has nothing for it. ``all`` spoils every weight matrix, ``one`` a single one in the middle.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["OPERATORS", "Operator"]

Planted = list[str] | None
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm)


@dataclass(frozen=True)
class Operator:
    """``kind``: "degenerate", "scale", "scheme" or "bias" are judged by what training makes of them; "certain" are
    faults whatever a short training says (memory that nobody wrote, layers that are copies, an init without effect)."""

    name: str
    kind: str
    plant: Callable[[nn.Module], Planted]


OPERATORS: dict[str, Operator] = {}


def operator(name: str, kind: str) -> Callable[[Callable[[nn.Module], Planted]], Callable[[nn.Module], Planted]]:
    def enter(plant: Callable[[nn.Module], Planted]) -> Callable[[nn.Module], Planted]:
        OPERATORS[name] = Operator(name, kind, plant)
        return plant

    return enter


def matrices(model: nn.Module) -> dict[str, nn.Parameter]:
    """The trainable weights of linear maps, in the order in which they are registered; no tables, no tied heads."""
    tables = {id(p) for m in model.modules() if isinstance(m, (nn.Embedding, nn.EmbeddingBag)) for p in m.parameters()}
    found: dict[str, nn.Parameter] = {}
    for name, parameter in model.named_parameters():
        own = name.rpartition(".")[2]
        linear = own == "weight" or own.startswith(("weight_ih", "weight_hh", "in_proj_weight", "up", "down"))
        if linear and parameter.dim() > 1 and parameter.requires_grad and id(parameter) not in tables:
            found[name] = parameter
    return found


def some(model: nn.Module, scope: str) -> dict[str, nn.Parameter]:
    """All matrices, or the middle one of those that are neither first nor last."""
    found = matrices(model)
    if scope == "all":
        return found
    hidden = list(found)[1:-1]
    if not hidden:
        return {}
    name = hidden[len(hidden) // 2]
    return {name: found[name]}


def bias_of(model: nn.Module, name: str) -> tuple[str, nn.Parameter] | None:
    """The bias that goes with a weight."""
    holder, _, own = name.rpartition(".")
    bias = own.replace("weight", "bias")
    found = getattr(model.get_submodule(holder), bias, None) if bias != own else None
    return (f"{holder}.{bias}" if holder else bias, found) if isinstance(found, nn.Parameter) else None


def _written(chosen: dict[str, nn.Parameter], write: Callable[[nn.Parameter], object]) -> Planted:
    for parameter in chosen.values():
        write(parameter)
    return list(chosen) or None


def _both(
    name: str, kind: str, write: Callable[[nn.Parameter], object], scopes: tuple[str, ...] = ("all", "one")
) -> None:
    for scope in scopes:
        operator(f"{name}, {scope}", kind)(lambda model, scope=scope: _written(some(model, scope), write))


_both("zero weights", "degenerate", nn.init.zeros_)
_both("ones", "degenerate", nn.init.ones_)
_both("constant 0.1", "degenerate", lambda p: nn.init.constant_(p, 0.1))
_both("U(0, 1)", "degenerate", nn.init.uniform_)
_both("N(0, 1)", "scale", nn.init.normal_)


def _zero_weights_and_biases(model: nn.Module, scope: str) -> Planted:
    chosen = some(model, scope)
    for name in list(chosen):
        bias = bias_of(model, name)
        if bias is not None:
            chosen[bias[0]] = bias[1]
    return _written(chosen, nn.init.zeros_)


@operator("zero weights and biases, all", "degenerate")
def zero_weights_and_biases(model: nn.Module) -> Planted:
    return _zero_weights_and_biases(model, "all")


@operator("zero weights and biases, one", "degenerate")
def zero_weight_and_bias(model: nn.Module) -> Planted:
    return _zero_weights_and_biases(model, "one")


def _rescaled(model: nn.Module, scope: str, factor: float) -> Planted:
    chosen = {name: p for name, p in some(model, scope).items() if float(p.std()) > 0}
    return _written(chosen, lambda p: nn.init.normal_(p, std=factor * float(p.std())))


for _factor in (0.01, 0.1, 4, 10, 100):
    for _scope in ("all", "one") if _factor in (0.01, 100) else ("all",):
        operator(f"std x {_factor:g}, {_scope}", "scale")(
            lambda model, scope=_scope, factor=_factor: _rescaled(model, scope, factor)
        )


def _fan_in(model: nn.Module, name: str, parameter: Tensor) -> int:
    module = model.get_submodule(name.rpartition(".")[0])
    if isinstance(module, nn.ConvTranspose2d):
        taps = parameter[0, 0].numel() // (module.stride[0] * module.stride[1])
        return parameter.shape[0] * max(1, taps)
    if parameter.dim() == 3 and not isinstance(module, _CONVOLUTIONS):
        return parameter.shape[1]
    return parameter[0].numel()


def _gain(model: nn.Module, name: str, parameter: Tensor) -> float:
    return float(parameter.std()) * math.sqrt(_fan_in(model, name, parameter))


@operator("scheme swapped", "scheme")
def scheme_swapped(model: nn.Module) -> Planted:
    chosen = {n: p for n, p in matrices(model).items() if float(p.std()) > 0 and not n.endswith((".up", ".down"))}
    for name, parameter in chosen.items():
        if _gain(model, name, parameter) > 1.2:
            nn.init.xavier_normal_(parameter)
        else:
            nn.init.kaiming_normal_(parameter, nonlinearity="relu")
    return list(chosen) or None


@operator("wrong gain", "scheme")
def wrong_gain(model: nn.Module) -> Planted:
    chosen = {n: p for n, p in matrices(model).items() if float(p.std()) > 0 and not n.endswith((".up", ".down"))}
    for name, parameter in chosen.items():
        if _gain(model, name, parameter) > 1.2:
            nn.init.kaiming_uniform_(parameter, a=math.sqrt(5))
        else:
            nn.init.kaiming_uniform_(parameter, nonlinearity="tanh")
    return list(chosen) or None


@operator("wrong fan", "scheme")
def wrong_fan(model: nn.Module) -> Planted:
    spoilt = []
    for name, parameter in matrices(model).items():
        module = model.get_submodule(name.rpartition(".")[0])
        if float(parameter.std()) == 0:
            continue
        if isinstance(module, nn.ConvTranspose2d):
            nn.init.kaiming_normal_(parameter, nonlinearity="relu")  # reads out x taps
        elif isinstance(module, (nn.Conv1d, nn.Conv2d)) and module.groups > 1:
            nn.init.kaiming_normal_(parameter, mode="fan_out", nonlinearity="relu")  # reads all channels
        elif isinstance(module, (nn.Conv1d, nn.Conv2d)):
            nn.init.normal_(parameter, std=math.sqrt(2 / module.in_channels))  # the taps left out
        elif parameter.dim() == 3:
            nn.init.xavier_uniform_(parameter)  # reads a stack of matrices as a convolution
        elif isinstance(module, nn.Linear) and max(parameter.shape) > 1.5 * min(parameter.shape):
            nn.init.normal_(parameter, std=math.sqrt(2 / parameter.shape[0]))
        else:
            continue
        spoilt.append(name)
    return spoilt or None


@operator("empty weight", "certain")
def empty_weight(model: nn.Module) -> Planted:
    for name, parameter in some(model, "one").items():
        holder, _, own = name.rpartition(".")
        setattr(model.get_submodule(holder), own, nn.Parameter(torch.empty_like(parameter)))
        return [name]
    return None


@operator("empty bias", "certain")
def empty_bias(model: nn.Module) -> Planted:
    for name in list(matrices(model))[1:]:
        bias = bias_of(model, name)
        if bias is not None:
            holder, _, own = bias[0].rpartition(".")
            setattr(model.get_submodule(holder), own, nn.Parameter(torch.empty(bias[1].shape)))
            return [bias[0]]
    return None


def _containers(model: nn.Module) -> Iterator[tuple[str, nn.ModuleList | nn.Sequential]]:
    """Those whose elements are alike and have matrices."""
    for name, module in model.named_modules():
        if isinstance(module, (nn.ModuleList, nn.Sequential)) and len(module) > 1:
            shapes = [[(n, p.shape) for n, p in element.named_parameters()] for element in module]
            random = any(float(p.detach().std()) > 0 for p in module[0].parameters() if p.dim() > 1 and p.requires_grad)
            if random and all(shape == shapes[0] for shape in shapes):
                yield name, module


@operator("cloned layers", "certain")
def cloned_layers(model: nn.Module) -> Planted:
    for name, container in _containers(model):
        for i in range(1, len(container)):
            container[i] = copy.deepcopy(container[0])
        return [f"{name}.{i}" for i in range(len(container))]
    return None


@operator("aliased layers", "certain")
def aliased_layers(model: nn.Module) -> Planted:
    for name, container in _containers(model):
        holder, _, own = name.rpartition(".")
        setattr(model.get_submodule(holder), own, type(container)(*_as_given(container)))
        return [f"{name}.{i}" for i in range(len(container))]
    return None


def _as_given(container: nn.ModuleList | nn.Sequential) -> list[object]:
    several = [container[0]] * len(container)
    return [several] if isinstance(container, nn.ModuleList) else list(several)


@operator("norm scale N(0, .02)", "bias")
def norm_scale(model: nn.Module) -> Planted:
    chosen = {
        f"{name}.weight" if name else "weight": module.weight
        for name, module in model.named_modules()
        if (isinstance(module, _NORMS) or type(module).__name__ == "RootNorm") and module.weight is not None
    }
    return _written(chosen, lambda p: nn.init.normal_(p, std=0.02))


@operator("biases 10", "bias")
def huge_bias(model: nn.Module) -> Planted:
    chosen = dict(found for name in list(matrices(model))[:-1] if (found := bias_of(model, name)) is not None)
    return _written(chosen, lambda p: nn.init.constant_(p, 10.0))


@operator("padding row", "certain")
def padding_row(model: nn.Module) -> Planted:
    for name, module in model.named_modules():
        if isinstance(module, (nn.Embedding, nn.EmbeddingBag)) and module.padding_idx is not None:
            nn.init.normal_(module.weight, std=0.02)
            return [f"{name}.weight"]
    return None


def _draw(module: nn.Module) -> None:
    if isinstance(module, (nn.Linear, *_CONVOLUTIONS)) and type(module.weight) is nn.Parameter:
        nn.init.xavier_uniform_(module.weight)


@operator("init after load", "certain")
def init_after_load(model: nn.Module) -> Planted:
    stored = {name: 0.9 * tensor + 0.01 for name, tensor in model.state_dict().items() if tensor.is_floating_point()}
    model.load_state_dict(stored, strict=False)
    model.apply(_draw)
    return list(matrices(model))


def _normed(model: nn.Module, wrap: Callable[[nn.Module], nn.Module]) -> Planted:
    names = [n for n, m in model.named_modules() if type(m) in (nn.Linear, nn.Conv1d, nn.Conv2d)]
    names = [n for n in names if f"{n}.weight" in matrices(model)]
    if len(names) < 2:
        return None
    name = names[len(names) // 2]
    layer = model.get_submodule(name)
    if "torch.nn.modules.transformer" in {type(m).__module__ for m in model.modules()} and "head" not in name:
        layer, name = model.head, "head"  # torch's fused encoder asks its layers for a weight of their own
    wrap(layer)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return [name]


@operator("init on weight_norm", "certain")
def init_on_weight_norm(model: nn.Module) -> Planted:
    return _normed(model, nn.utils.parametrizations.weight_norm)


@operator("init on weight_norm, old", "certain")
def init_on_old_weight_norm(model: nn.Module) -> Planted:
    return _normed(model, nn.utils.weight_norm)


@operator("two zeros in sequence", "degenerate")
def two_zeros(model: nn.Module) -> Planted:
    names = list(matrices(model))
    if len(names) < 3:
        return None
    middle = len(names) // 2
    chosen = {n: p for n, p in matrices(model).items() if n in names[middle : middle + 2]}
    return _written(chosen, nn.init.zeros_)


@operator("residual scale missing", "scale")
def residual_scale(model: nn.Module) -> Planted:
    last = getattr(model, "residual", ())
    chosen = {}
    for name, parameter in matrices(model).items():
        parts = name.split(".")
        if parts[-1] in last or (parts[-1] == "weight" and parts[-2] in last):
            chosen[name] = parameter
    for name, parameter in chosen.items():
        nn.init.normal_(parameter, std=math.sqrt(2 / _fan_in(model, name, parameter)))
    return list(chosen) or None


@operator("tied embedding N(0, 1)", "scale")
def tied_embedding(model: nn.Module) -> Planted:
    head = getattr(model, "head", None)
    for name, module in reversed(list(model.named_modules())):
        if isinstance(module, nn.Embedding) and head is not None and head.weight.shape == module.weight.shape:
            nn.init.normal_(module.weight)
            head.weight = module.weight
            return [f"{name}.weight", "head.weight"]
    return None
