"""What the initialisers of other libraries draw: timm, transformers, torch_geometric.

Formulae as in timm 1.0, transformers 5 and torch_geometric 2.8, whose names often mean something else than torch's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from initlint.facts import UNKNOWN, Distribution, known
from initlint.theory import schemes
from initlint.theory.contagion import number, sizes
from initlint.theory.fans import torch_fans

__all__ = ["LAWS", "drawn"]

TRUNCATED_AT_TWO = 0.87962566103423978
"""The std of a standard normal truncated to [-2, 2], as those libraries write it."""

Law = Callable[[Mapping[str, Any], Any], Distribution]


def drawn(function: str, arguments: Mapping[str, Any], shape: object = UNKNOWN) -> Distribution:
    """What a call of ``function``, a name in ``LAWS``, draws into a tensor of ``shape``; see ``schemes.drawn``."""
    try:
        return LAWS[function](arguments, sizes(shape))
    except (ValueError, OverflowError, ZeroDivisionError):
        return schemes.NOTHING_KNOWN


def _truncated_tf(given: Mapping[str, Any], _: Any) -> Distribution:
    """The bounds are those of a standard normal, which is scaled and shifted afterwards."""
    mean, std = number(given.get("mean", 0.0)), number(given.get("std", 1.0))
    low, high = number(given.get("a", -2.0)), number(given.get("b", 2.0))
    if not all(known(value) for value in (mean, std, low, high)):
        return schemes.truncated_normal(mean, UNKNOWN, UNKNOWN, UNKNOWN)
    return schemes.truncated_normal(mean, std, mean + std * low, mean + std * high)


def _fan(shape: Any, mode: object) -> float:
    if not known(mode):
        return UNKNOWN  # type: ignore[no-any-return]
    fan_in, fan_out = torch_fans(shape)
    if mode == "fan_avg":
        return (fan_in + fan_out) / 2 if known(fan_in) and known(fan_out) else UNKNOWN
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(mode)
    return fan_in if mode == "fan_in" else fan_out


def _variance_scaling(given: Mapping[str, Any], shape: Any) -> Distribution:
    scale, mode, family = (
        given.get(name, default) for name, default in (("scale", 1.0), ("mode", "fan_in"), ("distribution", "normal"))
    )
    size = number(scale)
    gain = math.sqrt(size) if known(size) else UNKNOWN
    if not known(family):
        return schemes.NOTHING_KNOWN
    scheme = "lecun_normal" if known(gain) and gain == 1 and known(mode) and mode == "fan_in" else "variance_scaling"
    if family == "truncated_normal":
        law = schemes.fan_scaled(scheme, "normal", gain, mode, _fan(shape, mode))
        bound = 2 * law.std / TRUNCATED_AT_TWO if known(law.std) else UNKNOWN
        low = -bound if known(bound) else UNKNOWN
        return Distribution(
            family=family, mean=0.0, std=law.std, low=low, high=bound, gain=gain, mode=mode, scheme=scheme
        )
    if family not in ("normal", "uniform"):
        raise ValueError(family)
    return schemes.fan_scaled(scheme, family, gain, mode, _fan(shape, mode))


def _lecun(given: Mapping[str, Any], shape: Any) -> Distribution:
    return _variance_scaling({"distribution": "truncated_normal"}, shape)


def _lecun_of_transformers(given: Mapping[str, Any], shape: Any) -> Distribution:
    """Cut off at -2 and 2, which lie far beyond what a fan of any size leaves to cut: so wider by 1 / 0.88."""
    return schemes.fan_scaled("lecun_normal", "normal", 1 / TRUNCATED_AT_TWO, "fan_in", _fan(shape, "fan_in"))


def _glorot(given: Mapping[str, Any], shape: Any) -> Distribution:
    """Of the last two dimensions, whatever the others are."""
    last = shape[-2:] if known(shape) else ()
    if len(last) < 2 or not all(known(size) for size in last):
        return Distribution(family="uniform", mean=0.0)
    if len(shape) == 2:
        return schemes.drawn("torch.nn.init.xavier_uniform_", {}, shape)
    return _between(math.sqrt(6 / sum(last)))


def _glorot_orthogonal(given: Mapping[str, Any], shape: Any) -> Distribution:
    scale = number(given.get("scale", UNKNOWN))
    last = shape[-2:] if known(shape) else ()
    if not known(scale) or len(last) < 2 or not all(known(size) for size in last):
        return Distribution(family="orthogonal", mean=0.0)
    return Distribution(family="orthogonal", mean=0.0, std=math.sqrt(scale / sum(last)))


def _uniform(given: Mapping[str, Any], _: Any) -> Distribution:
    size = number(given.get("size", UNKNOWN))
    return _between(1 / math.sqrt(size) if known(size) else UNKNOWN)


def _kaiming_uniform(given: Mapping[str, Any], _: Any) -> Distribution:
    fan, slope = number(given.get("fan", UNKNOWN)), number(given.get("a", UNKNOWN))
    return _between(math.sqrt(6 / ((1 + slope**2) * fan)) if known(fan) and known(slope) else UNKNOWN)


def _between(bound: float) -> Distribution:
    return schemes.uniform(-bound, bound) if known(bound) else Distribution(family="uniform", mean=0.0)


def _as_torch(function: str) -> Law:
    return lambda given, shape: schemes.drawn(f"torch.nn.init.{function}", given, shape)


LAWS: Mapping[str, Law] = {
    "timm.layers.trunc_normal_tf_": _truncated_tf,
    "timm.layers.variance_scaling_": _variance_scaling,
    "timm.layers.lecun_normal_": _lecun,
    "transformers.initialization.lecun_normal_": _lecun_of_transformers,
    "transformers.initialization.default_flax_embed_init_": lambda given, shape: _variance_scaling({}, shape),
    "torch_geometric.nn.inits.glorot": _glorot,
    "torch_geometric.nn.inits.glorot_orthogonal": _glorot_orthogonal,
    "torch_geometric.nn.inits.uniform": _uniform,
    "torch_geometric.nn.inits.kaiming_uniform": _kaiming_uniform,
    "torch_geometric.nn.inits.constant": _as_torch("constant_"),
    "torch_geometric.nn.inits.normal": _as_torch("normal_"),
}
