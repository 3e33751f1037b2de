"""What a stretch of elementwise operations is called: found by running it again and comparing values."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from initlint.facts import UNKNOWN, Activation, known
from initlint.live.tracing.graph import Node, Ref, Trace
from initlint.theory import gains
from initlint.theory.nonlinearities import names, nonlinearity

__all__ = ["Function", "describe", "replay"]

Function = Callable[[Tensor], Tensor]

_REACH, _POINTS = 8.0, 4001
_GATED = frozenset({"glu", "reglu", "geglu", "swiglu"})
_BY_SLOPE = frozenset({"leaky_relu", "prelu", "identity"})
_PRIMARY = {"celu": "elu", "reglu": "relu"}


def replay(trace: Trace, start: int, end: int, members: set[int]) -> Function | None:
    """The elementwise function from node ``start`` to node ``end`` through ``members``; None if it cannot be run.

    It takes and gives a 1-D float64 tensor.
    """
    path = [index for index in sorted(members) if start < index <= end]
    nodes = trace.nodes

    def function(z: Tensor) -> Tensor:
        values: dict[int, Tensor] = {start: z}

        def fill(value: Any) -> Any:
            if isinstance(value, Ref):
                if value.index in values:
                    return values[value.index]
                number = _constant(trace, value.index)
                if number is None:
                    raise ValueError("an operand is not known")
                return torch.tensor(number, dtype=z.dtype)
            if isinstance(value, tuple):
                return [fill(item) for item in value]
            return value

        for index in path:
            node = nodes[index]
            if node.category in ("view", "dropout", "part"):
                source = next((i for i in node.inputs if i in values), None)
                if source is not None:
                    values[index] = values[source]
                continue
            arguments = [fill(argument) for argument in node.arguments]
            keywords = {
                key: fill(value) for key, value in node.keywords.items() if key not in ("dtype", "device", "out")
            }
            values[index] = _call(node, arguments, keywords)
        return values[end].to(z.dtype).reshape(z.shape)

    try:
        with torch.no_grad():
            function(torch.linspace(-2, 2, 5, dtype=torch.float64))
    except Exception:  # whatever an operation says to arguments it was not recorded with: the function stays unknown
        return None
    return function


def _constant(trace: Trace, index: int) -> float | None:
    node = trace.nodes[index]
    while node.value is None and node.category == "view" and node.inputs:
        node = trace.nodes[node.inputs[0]]
    return node.value


def _call(node: Node, arguments: list[Any], keywords: dict[str, Any]) -> Tensor:
    """Run one recorded operation out of place."""
    functional = getattr(torch.ops.aten, node.op)
    overload = node.function._overloadname
    try:
        operation = getattr(functional, overload)
    except AttributeError:  # the in-place variant has an overload of its own
        operation = functional
    result = operation(*arguments, **keywords)
    return result if isinstance(result, Tensor) else result[0]


@functools.cache
def _grid() -> tuple[Tensor, Tensor]:
    """Abscissae and weights of the trapezoidal rule under the standard normal density."""
    z = torch.linspace(-_REACH, _REACH, _POINTS, dtype=torch.float64)
    return z, torch.exp(-0.5 * z * z) / math.sqrt(2 * math.pi) * (2 * _REACH / (_POINTS - 1))


@functools.cache
def _references() -> tuple[tuple[str, Tensor], ...]:
    z = _grid()[0][::40].tolist()
    table = names() - _GATED - _BY_SLOPE - set(_PRIMARY)
    rows = [(name, torch.tensor([nonlinearity(name).phi(x) for x in z], dtype=torch.float64)) for name in sorted(table)]
    tanh_gelu = torch.nn.functional.gelu(_grid()[0][::40], approximate="tanh")
    return (*rows, ("gelu", tanh_gelu))


def describe(function: Function) -> Activation | None:
    """The activation that a function is, None for one that is affine (no activation at all).

    The name is that of the function it agrees with on [-8, 8], up to a constant factor; "custom" if there is none.
    Gains are of the function as it ran, factor included.
    """
    z, weights = _grid()
    with torch.no_grad():
        y = function(z)
    if not bool(torch.isfinite(y).all()):
        return Activation(name="custom")
    coarse_z, coarse = z[::40], y[::40]
    slope = (coarse[-1] - coarse[0]) / (coarse_z[-1] - coarse_z[0])
    line = coarse[0] + slope * (coarse_z - coarse_z[0])
    if bool((coarse - line).abs().max() <= 1e-6 * (1e-30 + coarse.abs().max())):
        return None
    name, negative = _name(coarse_z, coarse)
    forward = float((weights * y * y).sum())
    z = z.clone().requires_grad_()
    with torch.enable_grad():
        again = function(z)
        derivative = torch.autograd.grad(again.sum(), z)[0] if again.requires_grad else torch.zeros_like(z)
    backward = float((weights * derivative * derivative).sum())
    exact = gains.activation(name, negative if known(negative) else None) if name != "custom" else None
    unit = exact is not None and known(exact.gain) and math.isclose(exact.gain, forward**-0.5, rel_tol=1e-3)
    if unit and exact is not None and name != "gelu":
        return exact
    return Activation(
        name=name,
        gain=forward**-0.5 if forward > 0 else UNKNOWN,
        backward_gain=backward**-0.5 if backward > 0 else UNKNOWN,
        slope=negative,
    )


def _name(z: Tensor, y: Tensor) -> tuple[str, float]:
    tolerance = 1e-5 * max(1e-30, float(y.abs().max()))
    for name, reference in _references():
        factor = float((y * reference).sum() / (reference * reference).sum())
        if factor > 0 and float((y - factor * reference).abs().max()) <= tolerance:
            return name, UNKNOWN
    positive, negative = z > 0, z < 0
    rise = float(y[positive][-1] / z[positive][-1])
    fall = float(y[negative][0] / z[negative][0])
    if rise > 0 and 0 < fall < rise:
        kinked = torch.where(positive, rise * z, fall * z)
        if float((y - kinked).abs().max()) <= tolerance:
            return "leaky_relu", round(fall / rise, 6)
    return "custom", UNKNOWN


def gated(activation: Activation, value: Activation | None = None) -> Activation:
    """The gated unit whose gate is ``activation`` ("silu" gives "swiglu"), and what it gates is ``value`` of the other
    part (None: that part as it is); "custom" for one without a name.

    For two parts that are independent and of unit variance E[(f(a) g(b))^2] is E[f(a)^2] E[g(b)^2].
    """
    name = {"sigmoid": "glu", "relu": "reglu", "gelu": "geglu", "silu": "swiglu"}.get(activation.name)
    if name is not None and value is None:
        return gains.activation(name)
    factors = [activation.gain, 1.0 if value is None else value.gain]
    return Activation(name="custom", gain=math.prod(factors) if all(map(known, factors)) else UNKNOWN)


def prelu(slopes: Sequence[float]) -> Activation:
    """PReLU with the slopes it holds."""
    return gains.activation("prelu", sum(slopes) / len(slopes))
