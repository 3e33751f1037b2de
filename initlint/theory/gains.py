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
from initlint.theory.nonlinearities import DEFAULT_SLOPES, RECTIFIERS, Nonlinearity, nonlinearity

__all__ = [
    "CALCULATE_GAIN_NAMES",
    "Function",
    "activation",
    "backward_gain",
    "derivative_moment",
    "gain",
    "resolve",
    "second_moment",
    "torch_gain",
]

Function = str | Callable[[float], float]
"""A nonlinearity: its name, or the scalar function itself."""

_DIFFERENCE = 1e-5  # step of the central difference: truncation 1e-10, rounding 1e-11


def resolve(phi: Function | Nonlinearity, slope: float | None) -> Nonlinearity:
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


def _rectified(unit: Nonlinearity) -> float:
    """E[phi(z)^2] and E[phi'(z)^2] of a rectifier, (1 + slope^2) / 2 (He et al. 2015, eq. 15)."""
    return (1 + unit.phi(-1.0) ** 2) / 2


def _mean_square(function: Callable[[float], float], q: float, kinks: tuple[float, ...]) -> float:
    """E[f(sqrt(q) z)^2]; UNKNOWN where it is not finite (or f is not, in the reach of the normal law)."""
    from initlint.theory.quadrature import gaussian_mean

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


_named_mean_square = functools.lru_cache(maxsize=4096)(_mean_square)
"""The blocks of a network are alike, and several rules ask."""


def _moment(unit: Nonlinearity, function: Callable[[float], float], q: float) -> float:
    """``_mean_square`` of a nonlinearity's phi or derivative, kept where it is one of the table's."""
    return (_mean_square if unit.name == "custom" else _named_mean_square)(function, q, unit.kinks)


def second_moment(phi: Function | Nonlinearity, q: float = 1.0, *, slope: float | None = None) -> float:
    """E[phi(sqrt(q) z)^2], z ~ N(0, 1): what a layer passes on when its pre-activations have variance ``q``.

    ``slope`` as in ``gain``. For a gated unit the gate and the value are independent, both of variance q. UNKNOWN
    for an unknown nonlinearity or variance, and where the moment is not finite. Errors that a given function raises
    other than arithmetic ones pass through.
    """
    unit, variance = resolve(phi, slope), number(q)
    if not known(unit) or not known(variance) or variance < 0 or math.isinf(variance):
        return UNKNOWN  # type: ignore[no-any-return]
    if unit.name in RECTIFIERS:
        return variance * _rectified(unit)
    moment = _moment(unit, unit.phi, variance)
    return moment * variance if unit.gated and known(moment) else moment


def derivative_moment(phi: Function | Nonlinearity, q: float = 1.0, *, slope: float | None = None) -> float:
    """E[phi'(sqrt(q) z)^2]: what a gradient is multiplied with on its way back through the nonlinearity.

    Without a known derivative a central difference stands in. A gated unit hands its gradient to two inputs; their mean
    square is (E[g^2] + q E[g'^2]) / 2. UNKNOWN as in ``second_moment``.
    """
    unit, variance = resolve(phi, slope), number(q)
    if not known(unit) or not known(variance) or variance < 0 or math.isinf(variance):
        return UNKNOWN  # type: ignore[no-any-return]
    if unit.name in RECTIFIERS:
        return _rectified(unit)
    moment = _moment(unit, unit.derivative, variance)
    if not unit.gated or not known(moment):
        return moment
    through = _moment(unit, unit.phi, variance)
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
    unit = resolve(phi, slope)
    if not known(unit):
        return UNKNOWN  # type: ignore[no-any-return]
    if isinstance(phi, str) and phi in _GAINS:
        return _GAINS[phi][moment is derivative_moment]
    return _root(moment(unit))


def _root(moment: float) -> float:
    return 1 / math.sqrt(moment) if known(moment) and moment > 0 else UNKNOWN


_GAINS = {
    "celu": (1.2451983007007066, 1.223428557552621),
    "elu": (1.2451983007007066, 1.223428557552621),
    "geglu": (1.5335304411955353, 1.506639024150971),
    "gelu": (1.5335304411955353, 1.481114412708348),
    "glu": (1.8462285453386054, 2.431746992475445),
    "hardsigmoid": (1.8978404247295588, 6.008115825196682),
    "hardswish": (1.7366572127665416, 1.670076367441382),
    "hardtanh": (1.3920361404483097, 1.2102870624325224),
    "identity": (1.0, 1.0),
    "logsigmoid": (1.0418668355353016, 1.8462285453386054),
    "mish": (1.4868475812732078, 1.4447552325473194),
    "quick_gelu": (1.5394587622988314, 1.4914592267500513),
    "reglu": (math.sqrt(2), math.sqrt(2)),
    "relu": (math.sqrt(2), math.sqrt(2)),
    "relu6": (1.4142135650950736, 1.4142135637683406),
    "relu_squared": (math.sqrt(2 / 3), math.sqrt(1 / 2)),
    "selu": (1.0, 0.9660257769739012),
    "sigmoid": (1.8462285453386054, 4.722646085937974),
    "silu": (1.6765324703310913, 1.6233202579524972),
    "sin": (1.520866623178815, 1.3272506002845748),
    "softplus": (1.0418668355353016, 1.8462285453386054),
    "softsign": (2.3375333631085398, 2.095780608943311),
    "swiglu": (1.6765324703310913, 1.6492829013063102),
    "tanh": (1.5925374197228312, 1.467413591630795),
}
"""(forward, backward) of the nonlinearities without a slope, as the quadrature gives them: 1 ms each in pure Python,
which a static check would pay every time. The tests hold the table to the moments."""


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
    if not isinstance(name, str) or name not in CALCULATE_GAIN_NAMES:  # what is read may be anything
        raise ValueError(f"calculate_gain does not know {name!r}")
    if name != "leaky_relu":
        return _TORCH_GAINS[name]
    if not known(param):
        return UNKNOWN  # type: ignore[no-any-return]
    slope = 0.01 if param is None else number(param)
    if not known(slope):
        raise ValueError(f"leaky_relu's slope is no number: {param!r}")
    return math.sqrt(2 / (1 + slope**2))
