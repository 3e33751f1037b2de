"""The gain that each nonlinearity needs: how much larger its weights must be so that variance is kept.

With z ~ N(0, 1) the forward gain is 1 / sqrt(E[phi(z)^2]) and the backward gain 1 / sqrt(E[phi'(z)^2]); a weight of
std gain / sqrt(fan) then keeps the second moment of the signal, or of the gradient (He et al. 2015, arXiv 1502.01852;
Kumar 2017, arXiv 1704.08863). torch.nn.init.calculate_gain differs on purpose; ``torch_gain`` is its table.

At another pre-activation variance q the moments are others, and ``second_moment`` takes q: over depth a gain that is
right at 1 need not hold the signal there.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

from initlint.facts import UNKNOWN, Activation, known
from initlint.location import Location
from initlint.theory.contagion import number
from initlint.theory.nonlinearities import DEFAULT_SLOPES, Nonlinearity, nonlinearity
from initlint.theory.quadrature import gaussian_mean

__all__ = [
    "CALCULATE_GAIN_NAMES",
    "Function",
    "activation",
    "backward_gain",
    "derivative_moment",
    "gain",
    "second_moment",
    "torch_gain",
]

Function = str | Callable[[float], float]
"""A nonlinearity: its name, or the scalar function itself."""

_DIFFERENCE = 1e-5  # step of the central difference: truncation 1e-10, rounding 1e-11


def _resolve(phi: Function | Nonlinearity, slope: float | None) -> Nonlinearity:
    """The nonlinearity meant by a name or a scalar function; UNKNOWN for a name without a table row."""
    if isinstance(phi, Nonlinearity):
        return phi
    if not known(phi):
        return UNKNOWN  # type: ignore[no-any-return]
    if isinstance(phi, str):
        return nonlinearity(phi, slope)
    function = phi

    def derivative(x: float) -> float:
        h = _DIFFERENCE * max(1.0, abs(x))
        return (function(x + h) - function(x - h)) / (2 * h)

    return Nonlinearity("custom", function, derivative, (0.0,))


def _mean_square(function: Callable[[float], float], q: float, kinks: tuple[float, ...]) -> float:
    """E[f(sqrt(q) z)^2]; UNKNOWN where it is not finite (or f is not, in the reach of the normal law)."""
    scale = math.sqrt(q)
    places = [kink / scale for kink in kinks] if scale else []
    bend = 1.0  # most functions bend at x = 1 or so, which may be a narrow strip of z
    while bend < scale:
        places += (-bend / scale, bend / scale)
        bend *= 4
    try:
        value = gaussian_mean(lambda z: function(scale * z) ** 2, places)
    except (OverflowError, ValueError, ZeroDivisionError):
        return UNKNOWN  # type: ignore[no-any-return]
    return value if math.isfinite(value) else UNKNOWN


def second_moment(phi: Function | Nonlinearity, q: float = 1.0, *, slope: float | None = None) -> float:
    """E[phi(sqrt(q) z)^2], z ~ N(0, 1): what a layer passes on when its pre-activations have variance ``q``.

    ``slope`` as in ``gain``. For a gated unit the gate and the value are independent, both of variance q. UNKNOWN
    for an unknown nonlinearity or variance, and where the moment is not finite. Errors that a given function raises
    other than arithmetic ones pass through.
    """
    unit, variance = _resolve(phi, slope), number(q)
    if not known(unit) or not known(variance) or variance < 0 or math.isinf(variance):
        return UNKNOWN  # type: ignore[no-any-return]
    moment = _mean_square(unit.phi, variance, unit.kinks)
    return moment * variance if unit.gated and known(moment) else moment


def derivative_moment(phi: Function | Nonlinearity, q: float = 1.0, *, slope: float | None = None) -> float:
    """E[phi'(sqrt(q) z)^2]: what a gradient is multiplied with on its way back through the nonlinearity.

    Without a known derivative a central difference stands in. A gated unit hands its gradient to two inputs; their mean
    square is (E[g^2] + q E[g'^2]) / 2. UNKNOWN as in ``second_moment``.
    """
    unit, variance = _resolve(phi, slope), number(q)
    if not known(unit) or not known(variance) or variance < 0 or math.isinf(variance):
        return UNKNOWN  # type: ignore[no-any-return]
    moment = _mean_square(unit.derivative, variance, unit.kinks)
    if not unit.gated or not known(moment):
        return moment
    through = _mean_square(unit.phi, variance, unit.kinks)
    return (through + variance * moment) / 2 if known(through) else UNKNOWN


def gain(phi: Function, slope: float | None = None) -> float:
    """The forward gain 1 / sqrt(E[phi(z)^2]) of a named nonlinearity or of any scalar function.

    ``slope`` is the negative slope of leaky_relu (0.01 where None) and prelu (0.25). UNKNOWN for a name that is not in
    the table, an unknown slope, and a function that gives nothing.
    """
    return _gain(second_moment, phi, slope)


def backward_gain(phi: Function, slope: float | None = None) -> float:
    """The backward gain 1 / sqrt(E[phi'(z)^2]); arguments as in ``gain``."""
    return _gain(derivative_moment, phi, slope)


def _gain(moment: Callable[..., float], phi: Function, slope: float | None) -> float:
    if not known(phi) or not known(slope):
        unit = _resolve(phi, slope)
        return _root(moment(unit)) if known(unit) else UNKNOWN
    if isinstance(phi, str):
        return _named_gain(moment, phi, slope)
    return _root(moment(phi))


@functools.cache
def _named_gain(moment: Callable[..., float], name: str, slope: float | None) -> float:
    return _root(moment(name, slope=slope))


def _root(moment: float) -> float:
    return 1 / math.sqrt(moment) if known(moment) and moment > 0 else UNKNOWN


def activation(name: str, slope: float | None = UNKNOWN, location: Location | None = None) -> Activation:
    """The fact that a nonlinearity of that name follows a layer, with the gains it needs.

    ``slope`` matters to leaky_relu and prelu only: None means torch's default, UNKNOWN leaves the gains unknown. Alpha,
    beta and bounds of other nonlinearities are taken to be torch's defaults; one with others is "custom", and
    its gains come from ``gain(function)``.
    """
    if known(name) and name in DEFAULT_SLOPES and slope is None:
        slope = DEFAULT_SLOPES[name]
    return Activation(
        name=name,
        gain=gain(name, slope),
        backward_gain=backward_gain(name, slope),
        slope=slope if slope is not None else UNKNOWN,
        location=location,
    )


_TORCH_GAINS = {
    "linear": 1.0,
    "conv1d": 1.0,
    "conv2d": 1.0,
    "conv3d": 1.0,
    "conv_transpose1d": 1.0,
    "conv_transpose2d": 1.0,
    "conv_transpose3d": 1.0,
    "sigmoid": 1.0,
    "tanh": 5 / 3,
    "relu": math.sqrt(2),
    "selu": 3 / 4,
}

CALCULATE_GAIN_NAMES = frozenset({*_TORCH_GAINS, "leaky_relu"})
"""What torch.nn.init.calculate_gain accepts; it raises ValueError for every other name."""


def torch_gain(name: str, param: float | None = None) -> float:
    """torch.nn.init.calculate_gain's answer, UNKNOWN where an argument that matters is.

    Raises ValueError where torch does: for another name, and for a slope of leaky_relu that is no number.
    """
    if not known(name):
        return UNKNOWN  # type: ignore[no-any-return]
    if name not in CALCULATE_GAIN_NAMES:
        raise ValueError(f"calculate_gain does not know {name!r}")
    if name != "leaky_relu":
        return _TORCH_GAINS[name]
    if not known(param):
        return UNKNOWN  # type: ignore[no-any-return]
    slope = 0.01 if param is None else number(param)
    if not known(slope):
        raise ValueError(f"leaky_relu's slope is no number: {param!r}")
    return math.sqrt(2 / (1 + slope**2))
