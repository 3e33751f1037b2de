"""The named nonlinearities, each with its derivative and the places where it has a kink.

Names are those of torch.nn.functional, in lower case, and a few that have none there ("relu_squared", "quick_gelu",
"sin", "identity", "reglu", "geglu", "swiglu"). Parameters other than a negative slope stand at torch's defaults.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

from initlint.facts import UNKNOWN, known
from initlint.record import NamedTuple
from initlint.theory.contagion import number

__all__ = ["DEFAULT_SLOPES", "RECTIFIERS", "Nonlinearity", "names", "nonlinearity", "passes_on", "rests_at_zero"]

Scalar = Callable[[float], float]


class Nonlinearity(NamedTuple):
    """``phi`` and its ``derivative``, both R -> R; ``kinks`` are where either jumps.

    A ``gated`` unit is value * phi(gate): ``phi`` is then the gate's function.
    """

    name: str
    phi: Scalar
    derivative: Scalar
    kinks: tuple[float, ...] = ()
    gated: bool = False


DEFAULT_SLOPES = {"leaky_relu": 0.01, "prelu": 0.25}
"""The nonlinearities that have a negative slope, and torch's default for it."""

RECTIFIERS = frozenset({"identity", "relu", *DEFAULT_SLOPES})
"""The nonlinearities that are linear on either side of zero, with slope 1 above: phi(a x) = a phi(x) for a > 0."""

_LARGE = 100.0
"""Beyond every bend of the nonlinearities, and far above every bound of one."""

_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946
_SQRT2 = math.sqrt(2)


def names() -> frozenset[str]:
    """Every name that ``nonlinearity`` knows."""
    return frozenset(_table()) | frozenset(DEFAULT_SLOPES)


def nonlinearity(name: str, slope: float | None = None) -> Nonlinearity:
    """The nonlinearity of that name; UNKNOWN for a name not in ``names()`` or a slope that matters and is unknown.

    ``slope`` is the negative slope of leaky_relu and prelu; None stands for torch's default.
    """
    if not known(name):
        return UNKNOWN  # type: ignore[no-any-return]
    if name in DEFAULT_SLOPES:
        negative = DEFAULT_SLOPES[name] if slope is None else number(slope)
        return _rectifier(name, negative) if known(negative) else UNKNOWN
    unit: Nonlinearity = _table().get(name, UNKNOWN)
    return unit


def passes_on(name: str) -> bool:
    """Whether a nonlinearity gives a large input on about as large as it is; False for a gated unit, or an unknown one.

    So a ReLU does and its smooth kin; what is bounded, a sine, or a square does not.
    """
    unit = nonlinearity(name)
    return known(unit) and not unit.gated and math.isclose(unit.phi(_LARGE), _LARGE, rel_tol=0.1)


def rests_at_zero(name: str) -> bool:
    """Whether a nonlinearity makes hidden units of a layer, which give nothing where nothing comes in.

    A sigmoid or softplus, which gives something then, may stand for a rate or a prior, as half of a gated unit does for
    a gate; a bias before a sine is a phase. False for an unknown one.
    """
    unit = nonlinearity(name)
    return known(unit) and not unit.gated and name not in ("identity", "sin") and unit.phi(0.0) == 0.0


def _rectifier(name: str, slope: float) -> Nonlinearity:
    return Nonlinearity(name, lambda x: x if x > 0 else slope * x, lambda x: 1.0 if x > 0 else slope, (0.0,))


def _sigmoid(x: float) -> float:
    if x >= 0:
        return 1 / (1 + math.exp(-x))
    e = math.exp(x)
    return e / (1 + e)


def _sigmoid_prime(x: float) -> float:
    s = _sigmoid(x)
    return s * _sigmoid(-x)


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def _cdf(x: float) -> float:
    return 0.5 * math.erfc(-x / _SQRT2)


def _density(x: float) -> float:
    return math.exp(-0.5 * min(x * x, 1400.0)) / math.sqrt(2 * math.pi)


def _expm1(x: float) -> float:
    """exp(x) - 1 on the negative side, where the exponential units use it."""
    return math.expm1(min(x, 0.0))


def _gated_by_sigmoid(rate: float) -> tuple[Scalar, Scalar]:
    """X sigmoid(rate x) and its derivative: silu at 1, quick_gelu at 1.702."""
    return (
        lambda x: x * _sigmoid(rate * x),
        lambda x: _sigmoid(rate * x) + rate * x * _sigmoid_prime(rate * x),
    )


def _mish_prime(x: float) -> float:
    t = math.tanh(_softplus(x))
    return t + x * (1 - t * t) * _sigmoid(x)


def _hardswish_prime(x: float) -> float:
    if x <= -3:
        return 0.0
    return 1.0 if x >= 3 else (2 * x + 3) / 6


@functools.cache
def _table() -> dict[str, Nonlinearity]:
    silu, silu_prime = _gated_by_sigmoid(1.0)
    quick, quick_prime = _gated_by_sigmoid(1.702)

    def inside(low: float, high: float, inner: float) -> Scalar:
        return lambda x: inner if low < x < high else 0.0

    def gelu(x: float) -> float:
        return x * _cdf(x)

    def gelu_prime(x: float) -> float:
        return _cdf(x) + x * _density(x)

    def relu(x: float) -> float:
        return max(x, 0.0)

    rows = (
        Nonlinearity("identity", lambda x: x, lambda x: 1.0),
        Nonlinearity("relu", relu, lambda x: 1.0 if x > 0 else 0.0, (0.0,)),
        Nonlinearity("relu6", lambda x: min(max(x, 0.0), 6.0), inside(0.0, 6.0, 1.0), (0.0, 6.0)),
        Nonlinearity("relu_squared", lambda x: max(x, 0.0) ** 2, lambda x: 2 * max(x, 0.0), (0.0,)),
        Nonlinearity("elu", lambda x: x if x > 0 else _expm1(x), lambda x: 1.0 if x > 0 else math.exp(x), (0.0,)),
        Nonlinearity("celu", lambda x: x if x > 0 else _expm1(x), lambda x: 1.0 if x > 0 else math.exp(x), (0.0,)),
        Nonlinearity(
            "selu",
            lambda x: _SELU_SCALE * (x if x > 0 else _SELU_ALPHA * _expm1(x)),
            lambda x: _SELU_SCALE * (1.0 if x > 0 else _SELU_ALPHA * math.exp(x)),
            (0.0,),
        ),
        Nonlinearity("gelu", gelu, gelu_prime),
        Nonlinearity("silu", silu, silu_prime),
        Nonlinearity("quick_gelu", quick, quick_prime),
        Nonlinearity("mish", lambda x: x * math.tanh(_softplus(x)), _mish_prime),
        Nonlinearity("hardswish", lambda x: x * min(max(x + 3, 0.0), 6.0) / 6, _hardswish_prime, (-3.0, 3.0)),
        Nonlinearity("sigmoid", _sigmoid, _sigmoid_prime),
        Nonlinearity("hardsigmoid", lambda x: min(max(x + 3, 0.0), 6.0) / 6, inside(-3.0, 3.0, 1 / 6), (-3.0, 3.0)),
        Nonlinearity("softplus", _softplus, _sigmoid),
        Nonlinearity("logsigmoid", lambda x: -_softplus(-x), lambda x: _sigmoid(-x)),
        Nonlinearity("tanh", math.tanh, lambda x: 1 - math.tanh(x) ** 2),
        Nonlinearity("hardtanh", lambda x: min(max(x, -1.0), 1.0), inside(-1.0, 1.0, 1.0), (-1.0, 1.0)),
        Nonlinearity("softsign", lambda x: x / (1 + abs(x)), lambda x: (1 + abs(x)) ** -2, (0.0,)),
        Nonlinearity("sin", math.sin, math.cos),
        Nonlinearity("glu", _sigmoid, _sigmoid_prime, gated=True),
        Nonlinearity("reglu", relu, lambda x: 1.0 if x > 0 else 0.0, (0.0,), gated=True),
        Nonlinearity("geglu", gelu, gelu_prime, gated=True),
        Nonlinearity("swiglu", silu, silu_prime, gated=True),
    )
    return {row.name: row for row in rows}
