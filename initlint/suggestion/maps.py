"""The call that draws the weight of a linear map, by what its output goes into."""

from __future__ import annotations

import math

from initlint.facts import Activation, Layer, Parameter, known
from initlint.suggestion.setting import number
from initlint.theory.remedies import scheme_for

__all__ = ["FEW_BRANCHES", "derived", "fan_of_bare"]

FEW_BRANCHES = 4
"""Fewer residual branches than this are not scaled down: their sum grows by less than sqrt(4)."""

_SHOWN = {"relu": "ReLU", "relu6": "ReLU6", "gelu": "GELU", "silu": "SiLU", "selu": "SELU", "elu": "ELU"}


def derived(layer: Layer, weight: Parameter, branches: int) -> tuple[tuple[str, ...], str]:
    """The statements that draw ``module.weight`` as theory has it, and why.

    ``branches`` is how many residual branches add up where this layer ends one of them, 0 where that does not matter.
    """
    activation = layer.activation if known(layer.activation) else None
    name = activation.name if activation is not None else ""
    if layer.family == "transposed":
        return (
            "fan_in = module.weight.numel() / (module.out_channels * math.prod(module.stride))",
            f"nn.init.normal_(module.weight, std={number(_gain(activation))} / math.sqrt(fan_in))",
        ), f"{_before(name) or 'unit gain'}; transposed, so fan-in is not what torch.nn.init takes it to be"
    if branches:
        line = f"nn.init.normal_(module.weight, std=1 / math.sqrt({branches} * module.weight[0].numel()))"
        return (line,), f"one of {branches} branches that add up"
    if layer.family == "bilinear":  # torch counts the first of the two inputs alone
        return (_by_formula(activation),), "every pair of inputs is a term"
    chosen = scheme_for(activation, "normal") if activation is not None else _LINEAR
    if chosen is None:
        return (_by_formula(activation),), f"{_before(name)}: 1/sqrt(E[f(z)^2]) = {number(_gain(activation))}"
    function, arguments = chosen
    spelled = [f"{key}={_spelled(value)}" for key, value in arguments]
    why = _before(name)
    if "kaiming" in function and _keeps_gradient(layer, weight):
        spelled.insert(0, 'mode="fan_out"')
        why = "a norm sets the signal's scale: fan_out keeps the gradient's"
    return (f"nn.init.{function.rpartition('.')[2]}({', '.join(['module.weight', *spelled])})",), why


_LINEAR: tuple[str, tuple[tuple[str, str | float | tuple[str, str]], ...]] = (
    "torch.nn.init.kaiming_normal_",
    (("nonlinearity", "linear"),),
)


def _spelled(value: str | float | tuple[str, str]) -> str:
    if isinstance(value, tuple):
        return f'{value[0].removeprefix("torch.")}("{value[1]}")'
    return f'"{value}"' if isinstance(value, str) else number(value)


def _by_formula(activation: Activation | None) -> str:
    gain = number(_gain(activation))
    return f"nn.init.normal_(module.weight, std={gain} / math.sqrt(module.weight[0].numel()))"


def _gain(activation: Activation | None) -> float:
    return activation.gain if activation is not None and known(activation.gain) else 1.0


def _before(name: str) -> str:
    """What follows, in words; nothing where that is not known, or not one thing."""
    if not name:
        return ""
    return "no nonlinearity follows" if name == "identity" else f"{_SHOWN.get(name, name)} follows"


def _keeps_gradient(layer: Layer, weight: Parameter) -> bool:
    """Whether a norm follows a convolution without groups, whose fan-out torch reads off the shape rightly."""
    if layer.family != "convolution" or not known(layer.normalized) or not layer.normalized:
        return False
    return known(weight.fan_out) and weight.fan_out == weight.shape[0] * math.prod(weight.shape[2:])


def fan_of_bare(parameter: Parameter) -> str | None:
    """Fan-in of a bare parameter, as an expression of ``parameter``; None where it is not known."""
    if not known(parameter.fan_in) or not known(parameter.shape):
        return None
    for axis in (-1, -2):
        if len(parameter.shape) >= -axis and parameter.shape[axis] == parameter.fan_in:
            return f"parameter.size({axis})"
    if math.prod(parameter.shape[1:]) == parameter.fan_in:
        return "parameter[0].numel()"
    return str(parameter.fan_in)
