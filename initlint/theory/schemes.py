"""What each initialiser of torch draws: family, elementwise mean and std, bounds, and the scheme's gain and fan.

Formulae: Glorot & Bengio 2010 (xavier), He et al. 2015 (kaiming), Saxe et al. 2014 (orthogonal), Martens 2010
(sparse), LeCun et al. 1998 (1 / sqrt(fan_in)); signatures and defaults as in torch 2.13.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

from initlint.facts import UNKNOWN, Distribution, UnknownFact, known
from initlint.theory.contagion import number, product, size, sizes
from initlint.theory.fans import torch_fans
from initlint.theory.gains import torch_gain

__all__ = [
    "DEPRECATED",
    "NOTHING_KNOWN",
    "constant",
    "drawn",
    "fan_scaled",
    "normal",
    "torch_initializers",
    "truncated_normal",
    "uniform",
    "uninitialized",
]

NOTHING_KNOWN = Distribution(family=UNKNOWN)
"""What a function draws that is not in the table."""


DEPRECATED = (
    "uniform",
    "normal",
    "constant",
    "eye",
    "dirac",
    "xavier_uniform",
    "xavier_normal",
    "kaiming_uniform",
    "kaiming_normal",
    "orthogonal",
    "sparse",
)
"""Names in torch.nn.init from before PyTorch 0.4, without the underscore."""


def constant(value: float) -> Distribution:
    """One value everywhere."""
    value = number(value)
    return Distribution(family="constant", mean=value, std=0.0, low=value, high=value)


def uninitialized() -> Distribution:
    """Memory as it was found."""
    return Distribution(family="uninitialized")


def normal(mean: float, std: float) -> Distribution:
    """N(mean, std^2); a constant where std is 0."""
    mean, std = number(mean), _deviation(std)
    if known(std) and std == 0:
        return constant(mean)
    return Distribution(family="normal", mean=mean, std=std, low=-math.inf, high=math.inf)


def uniform(low: float, high: float) -> Distribution:
    """U(low, high); a constant where the bounds coincide."""
    low, high = number(low), number(high)
    if not known(low) or not known(high) or not low <= high:
        return Distribution(family="uniform", low=low, high=high)
    if low == high:
        return constant(low)
    return Distribution(family="uniform", mean=(low + high) / 2, std=(high - low) / math.sqrt(12), low=low, high=high)


def truncated_normal(mean: float, std: float, low: float, high: float) -> Distribution:
    """N(mean, std^2) redrawn until it lies in [low, high] (absolute bounds), with its moments after truncation.

    A lone unknown moment of the parent leaves both of the result unknown, except the mean where the bounds lie evenly.
    """
    mean, std, low, high = number(mean), _deviation(std), number(low), number(high)
    if all(known(value) for value in (mean, std, low, high)):
        if low < high and std > 0:
            from initlint.theory.truncation import truncated_moments

            mean, std = truncated_moments(mean, std, low, high)
            return Distribution(family="truncated_normal", mean=mean, std=std, low=low, high=high)
        if std == 0 and low <= mean <= high:
            return constant(mean)
        return Distribution(family="truncated_normal", low=low, high=high)
    even = (
        known(mean) and known(low) and known(high) and low < high and math.isclose(low + high, 2 * mean, abs_tol=1e-12)
    )
    return Distribution(family="truncated_normal", mean=mean if even else UNKNOWN, low=low, high=high)


def fan_scaled(scheme: str, family: str, gain: float, mode: str, fan: float) -> Distribution:
    """A "normal" or "uniform" law around 0 of std gain / sqrt(fan); gain and mode are kept where std is unknown."""
    gain = _scale(gain)
    std = gain / math.sqrt(fan) if known(gain) and known(fan) and fan > 0 else UNKNOWN
    if known(gain) and gain == 0:
        return constant(0.0)
    bound = UNKNOWN if not known(std) else math.sqrt(3) * std
    if family == "normal":
        low, high = -math.inf, math.inf
    else:
        low, high = (-bound, bound) if known(bound) else (UNKNOWN, UNKNOWN)
    return Distribution(family=family, mean=0.0, std=std, low=low, high=high, gain=gain, mode=mode, scheme=scheme)


def _deviation(value: object) -> float:
    """A standard deviation; torch refuses a negative one."""
    std = number(value)
    return std if known(std) and 0 <= std < math.inf else UNKNOWN


def _scale(value: object) -> float:
    """A gain by its size: a negative one only turns the signs round."""
    scale = number(value)
    return abs(scale) if known(scale) and math.isfinite(scale) else UNKNOWN


class _Arguments:
    """A call's bound arguments by their parameter's name; one that was not given has the default."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def get(self, *names: str, default: Any = UNKNOWN) -> Any:
        """The value of the first of ``names`` (spellings of one parameter) that is there."""
        for name in names:
            if name in self._values:
                return self._values[name]
        return default


Law = Callable[[_Arguments, Any], Distribution]


def torch_initializers() -> tuple[str, ...]:
    """The functions of torch.nn.init that write in place: "normal_", "zeros_" and so on."""
    module = "torch.nn.init."
    return tuple(name.removeprefix(module) for name in _laws() if name.startswith(module))


def drawn(function: str, arguments: Mapping[str, Any], shape: object = UNKNOWN) -> Distribution:
    """What a call of ``function`` draws into a tensor of ``shape``.

    ``function`` is canonical: "torch.nn.init.normal_", "torch.Tensor.uniform_", "torch.randn". ``arguments`` are bound
    by parameter name; one that is missing has torch's default, one that is UNKNOWN leaves what depends on it
    UNKNOWN. A function that is not torch's, or that does not set every element, gives ``NOTHING_KNOWN``, and so does a
    call that torch would refuse. Never raises.
    """
    if not known(function):
        return NOTHING_KNOWN
    laws = _laws()
    law = laws.get(function)
    if law is None and function.startswith("torch.nn.init."):
        law = laws.get(function + "_")  # the deprecated spelling
    if law is None:
        return NOTHING_KNOWN
    try:
        return law(_Arguments(arguments), sizes(shape))
    except (UnknownFact, ValueError, OverflowError):
        return NOTHING_KNOWN


def _xavier(family: str) -> Law:
    def law(given: _Arguments, shape: Any) -> Distribution:
        fan_in, fan_out = torch_fans(shape)
        fan = (fan_in + fan_out) / 2 if known(fan_in) and known(fan_out) else UNKNOWN
        return fan_scaled(f"xavier_{family}", family, given.get("gain", default=1.0), "fan_avg", fan)

    return law


def _kaiming(family: str) -> Law:
    def law(given: _Arguments, shape: Any) -> Distribution:
        name = given.get("nonlinearity", default="leaky_relu")
        mode = given.get("mode", default="fan_in")
        if known(mode):
            mode = mode.lower() if isinstance(mode, str) else ""
            if mode not in ("fan_in", "fan_out"):
                raise ValueError(f"kaiming has no mode {mode!r}")
        gain = torch_gain(name, given.get("a", default=0.0))
        fan = getattr(torch_fans(shape), mode) if known(mode) else UNKNOWN
        return fan_scaled(f"kaiming_{family}", family, gain, mode, fan)

    return law


def _orthogonal(given: _Arguments, shape: Any) -> Distribution:
    """Elements of a Haar-distributed semi-orthogonal matrix have mean 0 and second moment 1 / max(rows, columns)."""
    gain = _scale(given.get("gain", default=1.0))
    if known(gain) and gain == 0:
        return constant(0.0)
    mode, std = UNKNOWN, UNKNOWN
    if known(shape):
        if len(shape) < 2:
            raise ValueError("orthogonal_ takes at least two dimensions")
        rows, columns = shape[0], product(shape[1:])
        if known(rows) and known(columns):
            if rows <= columns:
                mode = "fan_in"
            elif len(shape) == 2:
                mode = "fan_out"
            std = gain / math.sqrt(max(rows, columns)) if known(gain) else UNKNOWN
    low, high = (-gain, gain) if known(gain) else (UNKNOWN, UNKNOWN)
    return Distribution(
        family="orthogonal", mean=0.0, std=std, low=low, high=high, gain=gain, mode=mode, scheme="orthogonal"
    )


def _sparse(given: _Arguments, shape: Any) -> Distribution:
    """ceil(sparsity * rows) zeros in each column among N(0, std^2)."""
    std, sparsity = _deviation(given.get("std", default=0.01)), number(given.get("sparsity"))
    rows = shape[0] if known(shape) and len(shape) == 2 else UNKNOWN
    total = UNKNOWN
    if known(std) and known(sparsity) and known(rows):
        total = std * math.sqrt(max(0.0, 1 - math.ceil(sparsity * rows) / rows))
        if total == 0:
            return constant(0.0)
    return Distribution(family="sparse", mean=0.0, std=total, low=-math.inf, high=math.inf)


def _bernoulli(family: str, ones: int, of: int) -> Distribution:
    share = ones / of if known(ones) and known(of) else UNKNOWN
    std = math.sqrt(share * (1 - share)) if known(share) else UNKNOWN
    return Distribution(family=family, mean=share, std=std, low=0.0, high=1.0)


def _eye(_: _Arguments, shape: Any) -> Distribution:
    if not known(shape) or len(shape) != 2:
        return Distribution(family="identity", low=0.0, high=1.0)
    ones = min(shape) if all(known(dimension) for dimension in shape) else UNKNOWN
    return _bernoulli("identity", ones, product(shape))


def _dirac(given: _Arguments, shape: Any) -> Distribution:
    groups = size(given.get("groups", default=1))
    if not known(shape) or not known(groups) or not all(known(dimension) for dimension in shape):
        return Distribution(family="dirac", low=0.0, high=1.0)
    if not 3 <= len(shape) <= 5 or shape[0] % groups:
        raise ValueError("dirac_ takes convolution kernels whose outputs the groups divide")
    return _bernoulli("dirac", groups * min(shape[0] // groups, shape[1]), product(shape))


def _lognormal(given: _Arguments, _: Any) -> Distribution:
    mean, std = number(given.get("mean", default=1.0)), _deviation(given.get("std", default=2.0))
    if not known(mean) or not known(std):
        return Distribution(family="data", low=0.0, high=math.inf)
    first = math.exp(mean + std * std / 2)
    return Distribution(family="data", mean=first, std=first * math.sqrt(math.expm1(std * std)), low=0.0, high=math.inf)


def _exponential(given: _Arguments, _: Any) -> Distribution:
    rate = number(given.get("lambd", default=1.0))
    mean = 1 / rate if known(rate) and rate > 0 else UNKNOWN
    return Distribution(family="data", mean=mean, std=mean, low=0.0, high=math.inf)


def _coin(given: _Arguments, _: Any) -> Distribution:
    share = number(given.get("p", default=0.5))
    if not known(share) or not 0 <= share <= 1:
        return Distribution(family="data", low=0.0, high=1.0)
    return Distribution(family="data", mean=share, std=math.sqrt(share * (1 - share)), low=0.0, high=1.0)


@functools.cache
def _laws() -> dict[str, Law]:
    def normal_law(given: _Arguments, _: Any) -> Distribution:
        return normal(given.get("mean", default=0.0), given.get("std", default=1.0))

    def uniform_law(given: _Arguments, _: Any) -> Distribution:
        return uniform(given.get("a", "from", "from_", "low", default=0.0), given.get("b", "to", "high", default=1.0))

    def truncated_law(given: _Arguments, _: Any) -> Distribution:
        return truncated_normal(
            given.get("mean", default=0.0),
            given.get("std", default=1.0),
            given.get("a", default=-2.0),
            given.get("b", default=2.0),
        )

    def constant_law(given: _Arguments, _: Any) -> Distribution:
        return constant(given.get("val", "value", "fill_value"))

    def exactly(distribution: Callable[[], Distribution]) -> Law:
        return lambda given, shape: distribution()

    zeros, ones, empty = (exactly(lambda: constant(0.0)), exactly(lambda: constant(1.0)), exactly(uninitialized))
    standard, unit = exactly(lambda: normal(0.0, 1.0)), exactly(lambda: uniform(0.0, 1.0))
    data = exactly(lambda: Distribution(family="data"))
    by_prefix: dict[str, dict[str, Law]] = {
        "torch.nn.init.": {
            "normal_": normal_law,
            "uniform_": uniform_law,
            "trunc_normal_": truncated_law,
            "constant_": constant_law,
            "zeros_": zeros,
            "ones_": ones,
            "eye_": _eye,
            "dirac_": _dirac,
            "xavier_uniform_": _xavier("uniform"),
            "xavier_normal_": _xavier("normal"),
            "kaiming_uniform_": _kaiming("uniform"),
            "kaiming_normal_": _kaiming("normal"),
            "orthogonal_": _orthogonal,
            "sparse_": _sparse,
        },
        "torch.Tensor.": {
            "normal_": normal_law,
            "uniform_": uniform_law,
            "fill_": constant_law,
            "zero_": zeros,
            "log_normal_": _lognormal,
            "exponential_": _exponential,
            "bernoulli_": _coin,
            "cauchy_": data,
            "random_": data,
            "new_zeros": zeros,
            "new_ones": ones,
            "new_full": constant_law,
            "new_empty": empty,
            "new_tensor": data,
        },
        "torch.": {
            "normal": normal_law,
            "randn": standard,
            "randn_like": standard,
            "rand": unit,
            "rand_like": unit,
            "randint": data,
            "randint_like": data,
            "randperm": data,
            "zeros": zeros,
            "zeros_like": zeros,
            "ones": ones,
            "ones_like": ones,
            "full": constant_law,
            "full_like": constant_law,
            "empty": empty,
            "empty_like": empty,
            "empty_strided": empty,
            "eye": _eye,
            "arange": data,
            "linspace": data,
            "logspace": data,
        },
    }
    return {prefix + name: law for prefix, laws in by_prefix.items() for name, law in laws.items()}
