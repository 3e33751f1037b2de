"""What an elementwise function makes of a normal signal, by quadrature on the function itself."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from initlint.live.tracing.activations import Function
from initlint.theory.signals import Moments

__all__ = ["activated", "slopes"]

_STEP, _REACH = 0.2, 6.4


@functools.cache
def _nodes() -> tuple[Tensor, Tensor]:
    """Nodes and weights of the trapezium rule for the normal law."""
    z = torch.arange(-_REACH + _STEP / 2, _REACH, _STEP, dtype=torch.float64)
    weights = torch.exp(-0.5 * z * z)
    return z, weights / weights.sum()


@functools.cache
def _fine() -> tuple[Tensor, Tensor]:
    z = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    weights = torch.exp(-0.5 * z * z)
    return z, weights / weights.sum()


def activated(function: Function, x: Moments) -> Moments | None:
    """The moments of ``function`` of a normal signal; None where they are not finite.

    Two samples' values are u, v = a + b, a - b with independent a and b, so that nothing cancels, however alike they
    are (theory.variance.pair_step).
    """
    z, weights = _fine()
    y = function(x.mean + math.sqrt(x.variance) * z)
    mean = float((weights * y).sum())
    variance = float((weights * (y - mean).square()).sum())
    if not math.isfinite(mean) or not math.isfinite(variance):
        return None
    if not x.across:
        return Moments(mean, variance, 0.0)
    apart = max(x.across, 1e-12 * x.variance)
    nodes, weights = _nodes()
    outer = x.mean + math.sqrt(max(0.0, x.variance - apart / 2)) * nodes[:, None]
    inner = math.sqrt(apart / 2) * nodes[None, :]
    u, v = (function((outer + sign * inner).reshape(-1)) for sign in (1, -1))
    square = (u - v).square().reshape(len(nodes), len(nodes))
    across = float((weights[:, None] * weights[None, :] * square).sum()) / 2 * (x.across / apart)
    if not math.isfinite(across):
        return None
    return Moments(mean, variance, min(1.0, across / variance) if variance > 0 else 0.0)


def slopes(function: Function, x: Moments) -> tuple[float, float] | None:
    """E[f'^2] of a normal signal, and E[f'^4] / E[f'^2]^2 (1 where there is no slope); None if not finite.

    By the first a gradient's mean square is multiplied on its way back.
    """
    z, weights = _fine()
    values = (x.mean + math.sqrt(x.variance) * z).requires_grad_()
    with torch.enable_grad():
        y = function(values)
        slope = torch.autograd.grad(y.sum(), values)[0] if y.requires_grad else torch.zeros_like(z)
    square, fourth = (float((weights * slope.pow(power)).sum()) for power in (2, 4))
    if not math.isfinite(square) or not math.isfinite(fourth):
        return None
    return square, fourth / square**2 if square**2 > 0 else 1.0
