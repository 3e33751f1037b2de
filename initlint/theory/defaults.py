"""What torch's own layers hold before anybody initialises them (their ``reset_parameters``, torch 2.13)."""

from __future__ import annotations

import math
from typing import Any

from initlint.facts import UNKNOWN, Distribution, known, layer_family
from initlint.theory.contagion import size, sizes
from initlint.theory.fans import GATES, torch_fans
from initlint.theory.schemes import NOTHING_KNOWN, constant, drawn, fan_scaled, normal

__all__ = ["default_distribution"]

_GAIN = 1 / math.sqrt(3)  # U(+-1 / sqrt(fan)) has std 1 / sqrt(3 fan)


def default_distribution(
    kind: str, parameter: str, shape: object = UNKNOWN, *, fan_in: int = UNKNOWN, hidden_size: int = UNKNOWN
) -> Distribution:
    """The law that a torch layer's constructor draws a parameter from; never raises.

    ``kind`` is a class name of torch.nn, ``parameter`` the name within the layer ("weight", "bias", "weight_hh_l0",
    "in_proj_weight", "out_proj.bias"). A weight's ``shape`` gives its fan-in; for a bias, ``fan_in`` is the *torch*
    fan-in of the layer's weight (``torch_fans``; a Bilinear's in1). ``hidden_size`` is a recurrent layer's, else read
    from the shape. What these leave open is UNKNOWN in the answer; kinds and parameters without a default are wholly
    so.

    The weights of Linear, Conv and ConvTranspose are kaiming_uniform_(a=sqrt(5)), which is U(+-1 / sqrt(fan_in)):
    scheme "default", gain 1 / sqrt(3). An embedding's padding row, zero among N(0, 1), is not counted in.
    """
    if not known(kind) or not known(parameter):
        return NOTHING_KNOWN
    leaf = parameter.rpartition(".")[2]
    family = layer_family(kind)
    dimensions = sizes(shape)
    if family in ("linear", "convolution", "transposed"):
        return _affine(kind, leaf, dimensions, size(fan_in))
    if family == "norm":
        known_values = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}
        return constant(known_values[leaf]) if leaf in known_values else NOTHING_KNOWN
    if family == "embedding" and leaf == "weight":
        return normal(0.0, 1.0)
    if kind == "PReLU" and leaf == "weight":
        return constant(0.25)
    if family == "bilinear" and leaf in ("weight", "bias"):
        first = dimensions[1] if leaf == "weight" and known(dimensions) and len(dimensions) == 3 else size(fan_in)
        return _bounded_by(first)
    if family == "recurrent":
        return _recurrent(kind, leaf, dimensions, size(hidden_size))
    return _attention(parameter, dimensions) if family == "attention" else NOTHING_KNOWN


def _bounded_by(fan: int, mode: str = UNKNOWN) -> Distribution:
    """U(+-1 / sqrt(fan)); ``mode`` says which fan that is of the parameter itself, where it is one."""
    law = fan_scaled("default", "uniform", _GAIN, "fan_in", fan)
    if known(mode):
        return law
    return Distribution(family="uniform", mean=law.mean, std=law.std, low=law.low, high=law.high, scheme="default")


def _affine(kind: str, leaf: str, dimensions: Any, fan_in: int) -> Distribution:
    if leaf == "weight":
        seen = torch_fans(dimensions).fan_in
        return _bounded_by(seen if known(seen) else fan_in, "fan_in")
    if leaf != "bias":
        return NOTHING_KNOWN
    # That Linear is only made by MultiheadAttention, which sets its bias to zero.
    return constant(0.0) if kind == "NonDynamicallyQuantizableLinear" else _bounded_by(fan_in)


def _recurrent(kind: str, leaf: str, dimensions: Any, hidden: int) -> Distribution:
    """Everything U(+-1 / sqrt(hidden_size)), biases too; weight_hr (projection) is (proj_size, hidden_size)."""
    if not leaf.startswith(("weight", "bias")):
        return NOTHING_KNOWN
    projection = leaf.startswith("weight_hr")
    if not known(hidden) and known(dimensions) and dimensions:
        if projection and len(dimensions) == 2:
            hidden = dimensions[1]
        elif not projection and known(dimensions[0]) and dimensions[0] % GATES[kind] == 0:
            hidden = dimensions[0] // GATES[kind]
    columns = dimensions[1] if known(dimensions) and len(dimensions) == 2 else UNKNOWN
    is_fan_in = known(columns) and known(hidden) and columns == hidden
    return _bounded_by(hidden, "fan_in" if is_fan_in else UNKNOWN)


def _attention(parameter: str, dimensions: Any) -> Distribution:
    if parameter in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
        return drawn("torch.nn.init.xavier_uniform_", {}, dimensions)
    if parameter in ("bias_k", "bias_v"):
        return drawn("torch.nn.init.xavier_normal_", {}, dimensions)
    if parameter in ("in_proj_bias", "out_proj.bias"):
        return constant(0.0)
    return _affine("Linear", "weight", dimensions, UNKNOWN) if parameter == "out_proj.weight" else NOTHING_KNOWN
