"""Which law a tensor's values were drawn from, told from a few numbers measured on them.

The family is chosen by likelihood. Count, mean, std, minimum and maximum are all that the likelihoods of the normal,
the uniform and the (evenly) truncated normal law need; kurtosis and the Kolmogorov distance of a sample then decide
whether the best of them fits at all. A fan-scaled scheme is looked for among those of torch and LeCun's, by the
standard error of the std, std * sqrt((kurtosis - 1) / (4 n)), or by the maximum, which for a uniform law is far
sharper.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from initlint.facts import UNKNOWN, Distribution, known
from initlint.record import NamedTuple, record
from initlint.theory.contagion import size
from initlint.theory.fans import Fans, torch_fans

__all__ = ["Summary", "recognise"]

_FLOAT32 = 2.0**-23


@record(frozen=True, slots=True, kw_only=True)
class Summary:
    """What is measured on a tensor w of n elements before it can be recognised; all but the sample in float64 or
    float32.

    ``std`` is sqrt(mean((w - mean)^2)), ``kurtosis`` mean((w - mean)^4) / std^4 (0 where std is), ``zero_fraction``
    the share of exact zeros. ``sample`` is up to 4096 of the values, taken at even distances in memory (*before*
    sorting), then sorted.

    With W the tensor flattened to (shape[0], rest), G = W W^T or W^T W, whichever is smaller, and c = trace(G) / m
    for G of m rows: ``gram_deviation`` is max |G / c - I|. ``identity_deviation`` is max |W - eye(*shape)| for two
    dimensions, max |w - dirac| (groups = 1) for three to five. Either is UNKNOWN where it was not computed or is not
    defined.

    ``resolution`` is the relative spacing of the dtype (torch.finfo(dtype).eps).
    """

    shape: tuple[int, ...]
    count: int
    mean: float
    std: float
    minimum: float
    maximum: float
    kurtosis: float
    zero_fraction: float = 0.0
    sample: Sequence[float] = ()
    gram_deviation: float = UNKNOWN
    identity_deviation: float = UNKNOWN
    resolution: float = _FLOAT32


def recognise(summary: Summary, fan_in: int = UNKNOWN, fan_out: int = UNKNOWN) -> Distribution:
    """The distribution that the values were drawn from, ``known_by`` "measured"; never raises for finite numbers.

    ``fan_in`` and ``fan_out`` are those of the map as the layer uses it; schemes are tried on the fans that torch
    reads off the shape first, then on these. Family is "constant", "identity", "dirac", "orthogonal", "sparse",
    "normal", "truncated_normal" or "uniform"; "data" where none of them fits; UNKNOWN for an empty or non-finite
    tensor. Mean and std are the measured ones.

    ``confidence`` is the probability that family and scheme are right: the family's share of the likelihood, times
    the share of the scheme among those that fit (half for a square matrix that fits xavier and LeCun alike; among
    equals the order of ``_SCHEMES`` decides). Below 32 elements it is at most 0.5, and below 8 a tensor that is not
    constant is "data". A normal law truncated at k std takes about 500 elements to tell from a normal one for k = 2,
    and 8000 for k = 3; fewer are called normal, with that doubt in the confidence.
    """
    moments = (summary.mean, summary.std, summary.minimum, summary.maximum, summary.kurtosis)
    if summary.count < 1 or not all(math.isfinite(moment) for moment in moments):
        return Distribution(family=UNKNOWN, known_by="measured", confidence=0.0)
    if summary.minimum == summary.maximum:
        return _measured(summary, "constant", 1.0, std=0.0)
    structured = _structured(summary, fan_in, fan_out)
    if structured is not None:
        return structured
    if summary.count < 8:
        return _measured(summary, "data", 0.2)
    values = _Values.of(summary)
    family, confidence = _family(values, summary.resolution)
    if summary.count < 32:
        confidence = min(confidence, 0.5)
    if family == "data":
        return _measured(summary, "data", confidence)
    if summary.zero_fraction >= _SPARSE:
        return _measured(summary, "sparse" if family == "normal" else "data", confidence)
    return _with_scheme(summary, values, family, confidence, Fans(fan_in, fan_out))


_SPARSE = 0.05
"""Share of exact zeros from which a tensor is sparse; fewer are a padding row or a coarse dtype."""


def _measured(
    summary: Summary,
    family: str,
    confidence: float,
    *,
    std: float | None = None,
    gain: float = UNKNOWN,
    mode: str = UNKNOWN,
    scheme: str | None = None,
) -> Distribution:
    unbounded = family in ("normal", "sparse")
    return Distribution(
        family=family,
        mean=summary.mean,
        std=summary.std if std is None else std,
        low=-math.inf if unbounded else summary.minimum,
        high=math.inf if unbounded else summary.maximum,
        gain=gain,
        mode=mode,
        scheme=scheme,
        known_by="measured",
        confidence=confidence,
    )


def _structured(summary: Summary, fan_in: int, fan_out: int) -> Distribution | None:
    """Identity, dirac or orthogonal: laws of the matrix as a whole."""
    if known(summary.identity_deviation) and summary.identity_deviation <= 1e-6:
        return _measured(summary, "identity" if len(summary.shape) == 2 else "dirac", 1.0)
    if not known(summary.gram_deviation) or len(summary.shape) < 2:
        return None
    rows, columns = summary.shape[0], summary.count // max(1, summary.shape[0])
    longer = max(rows, columns)
    # Independent rows overlap by about 1 / sqrt(longer); rounding leaves some 8 / sqrt(longer) units of resolution.
    rounding = max(summary.resolution, _FLOAT32)
    if min(rows, columns) < 2 or summary.gram_deviation > min(0.03, 0.002 + 8 * rounding) / math.sqrt(longer) + 2e-6:
        return None
    if rows > columns and known(fan_out) and known(fan_in) and fan_in == columns and rows % fan_out == 0:
        longer = max(fan_out, fan_in)  # gates stacked, each orthogonal by itself
    gain = math.sqrt(summary.std**2 + summary.mean**2) * math.sqrt(longer)
    mode = "fan_in" if longer == columns else "fan_out" if len(summary.shape) == 2 else UNKNOWN
    return _measured(summary, "orthogonal", 0.999, gain=gain, mode=mode, scheme="orthogonal")


class _Values(NamedTuple):
    """The numbers of a summary with the exact zeros taken out, where there are enough of them to matter."""

    n: int
    mean: float
    std: float
    minimum: float
    maximum: float
    kurtosis: float
    sample: Sequence[float]

    @classmethod
    def of(cls, summary: Summary) -> _Values:
        """Raw moments scale by 1 / (1 - zero fraction), since zeros add nothing to any of them."""
        count = round(summary.count * (1 - summary.zero_fraction))
        if count == summary.count or count < 2:
            sample = summary.sample
            return cls(
                summary.count, summary.mean, summary.std, summary.minimum, summary.maximum, summary.kurtosis, sample
            )
        share = count / summary.count
        mean, variance = summary.mean / share, (summary.std**2 + summary.mean**2) / share
        variance -= mean**2
        # The fourth moment about a mean near 0; a mean that is not near 0 fails the tests below in any case.
        kurtosis = summary.kurtosis * summary.std**4 / (share * variance**2) if variance > 0 else 0.0
        sample = [value for value in summary.sample if value != 0]
        return cls(count, mean, math.sqrt(max(variance, 0.0)), summary.minimum, summary.maximum, kurtosis, sample)


def _family(values: _Values, resolution: float) -> tuple[str, float]:
    """The family that fits best and the probability of it against its rivals; "data" where even that does not fit."""
    if values.std <= 0 or values.n < 8:  # a few values, or one, among zeros
        return "data", 0.5
    n, std = values.n, values.std
    low, high = values.minimum, values.maximum
    bound = max(high - values.mean, values.mean - low)
    parent, mass = _truncated_fit(std, bound)
    normal = -n * (math.log(std) + 0.5 * math.log(2 * math.pi) + 0.5)
    uniform = -n * math.log(high - low)
    truncated = -n * (math.log(parent * mass) + 0.5 * math.log(2 * math.pi) + 0.5 * (std / parent) ** 2)
    truncated -= 1 + math.log(n)  # it bends to either of the others, and its bound is one more thing fitted
    scores = {"normal": normal, "uniform": uniform, "truncated_normal": truncated}
    best = max(scores, key=scores.__getitem__)
    total = math.fsum(math.exp(max(-700.0, score - scores[best])) for score in scores.values())
    if not _fits(values, best, parent, resolution):
        return "data", 0.9
    return best, min(0.999, 1 / total)


def _truncated_fit(std: float, bound: float) -> tuple[float, float]:
    """(parent std, mass within) of the normal law that has this std once truncated at +-bound; by bisection.

    That is the maximum of the likelihood. With k = bound / parent the truncated variance is
    parent^2 (1 - 2 k density(k) / mass(k)); its root lies between 0 and bound / sqrt(3), the uniform law's.
    """
    low, high = 1 / 30, max(bound / std, 1.0)
    for _ in range(40):
        k = (low + high) / 2
        shrunk = 1 - 2 * k * math.exp(-0.5 * k * k) / math.sqrt(2 * math.pi) / math.erf(k / math.sqrt(2))
        if shrunk * bound * bound > std * std * k * k:
            low = k
        else:
            high = k
    k = (low + high) / 2
    return bound / k, math.erf(k / math.sqrt(2))


_SIGNIFICANT = 5.0  # standard errors of the kurtosis
_KOLMOGOROV = 2.2  # exceeded with probability 0.0001 by sqrt(n) D under the right law
_TOO_EVEN = 0.25  # undercut with probability below 1e-6: spaced by rule, not drawn


def _fits(values: _Values, family: str, parent: float, resolution: float) -> bool:
    """Whether kurtosis and Kolmogorov distance agree with the family."""
    mean, std, low, high = values.mean, values.std, values.minimum, values.maximum
    expected, spread = {"normal": (3.0, 24.0), "uniform": (1.8, 1.32)}.get(family, (0.0, 0.0))
    if spread:
        # n Var(kurtosis) tends to ``spread``; in small samples its law has a long upper tail, hence the second factor.
        tolerance = _SIGNIFICANT * math.sqrt(spread / values.n) * (1 + 10 / math.sqrt(values.n))
        if abs(values.kurtosis - expected) > tolerance + 4 * resolution:
            return False
    n = len(values.sample)
    if n < 8:
        return True
    if family == "uniform":
        distances = _distances(values.sample, lambda x: (x - low) / (high - low))
    elif family == "normal":
        distances = _distances(values.sample, lambda x: _cdf((x - mean) / std))
    else:
        start, end = _cdf((low - mean) / parent), _cdf((high - mean) / parent)
        distances = _distances(values.sample, lambda x: (_cdf((x - mean) / parent) - start) / (end - start))
    furthest = max(distances) * math.sqrt(n)
    slack = 2 * resolution * math.sqrt(n)
    return furthest < _KOLMOGOROV + slack and (n < 64 or furthest > _TOO_EVEN)


def _cdf(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


def _distances(sample: Sequence[float], cdf: Callable[[float], float]) -> Iterator[float]:
    """|F_n - F| on both sides of up to 512 steps of the sample's distribution function."""
    n = len(sample)
    for index in range(0, n, max(1, n // 512)):
        at = cdf(sample[index])
        yield max(at - index / n, (index + 1) / n - at)


class _Scheme(NamedTuple):
    name: str
    mode: str
    gain: float


_SCHEMES = (
    _Scheme("default", "fan_in", 1 / math.sqrt(3)),  # uniform only
    _Scheme("kaiming", "fan_in", math.sqrt(2)),
    _Scheme("xavier", "fan_avg", 1.0),
    _Scheme("kaiming", "fan_out", math.sqrt(2)),
    _Scheme("lecun", "fan_in", 1.0),
    _Scheme("xavier", "fan_avg", 5 / 3),
    _Scheme("xavier", "fan_avg", math.sqrt(2)),
    _Scheme("xavier", "fan_avg", math.sqrt(1 / 2)),
)

_ROUND = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
"""Scales that people write by hand; one that fits as well speaks against a scheme."""

_STRAY = 3.5  # standard errors


def _with_scheme(summary: Summary, values: _Values, family: str, confidence: float, used: Fans) -> Distribution:
    """The family's distribution, with the scheme that explains its scale best, where one does."""
    plain = _measured(summary, family, confidence)
    if abs(values.mean) > 4 * values.std / math.sqrt(values.n):
        return plain
    fitting: list[tuple[float, _Scheme]] = []
    for fans in (torch_fans(summary.shape), used):
        for scheme in _SCHEMES:
            fan = _fan(fans, scheme.mode)
            if not known(fan) or (scheme.name == "default" and family != "uniform"):
                continue
            if fan == scheme.gain == 1:  # a std of 1, as nn.Embedding has it
                continue
            weight = _agreement(values, family, scheme.gain / math.sqrt(fan), summary.resolution)
            named = ((one.name, one.gain) for _, one in fitting)
            if weight > 0 and (scheme.name, scheme.gain) not in named:
                fitting.append((weight, scheme))
        if fitting:
            break
    if not fitting:
        return plain
    weight, scheme = max(fitting, key=lambda pair: round(pair[0], 6))  # the first among equals
    unit = 1 / math.sqrt(3) if family == "uniform" else 1.0  # a uniform law is written by its bound
    by_hand = max(_agreement(values, family, scale * unit, summary.resolution) for scale in _ROUND)
    if by_hand > weight:
        return plain
    share = weight / (math.fsum(other for other, _ in fitting) + by_hand)
    name = scheme.name if scheme.name == "default" else f"{scheme.name}_{_SUFFIX[family]}"
    return _measured(summary, family, confidence * share, gain=scheme.gain, mode=scheme.mode, scheme=name)


_SUFFIX = {"uniform": "uniform", "normal": "normal", "truncated_normal": "normal"}


def _fan(fans: Fans, mode: str) -> float:
    fan_in, fan_out = size(fans.fan_in), size(fans.fan_out)
    if mode != "fan_avg":
        return fan_in if mode == "fan_in" else fan_out
    return (fan_in + fan_out) / 2 if known(fan_in) and known(fan_out) else UNKNOWN


def _agreement(values: _Values, family: str, std: float, resolution: float) -> float:
    """The likelihood, relative to the best, of the law having this std; 0 beyond what chance allows."""
    if family == "uniform":  # the maximum of n draws lies below the bound by 1/n of it or so, never above
        ratio = math.sqrt(3) * std / max(abs(values.minimum), abs(values.maximum))
        exponent = values.n * math.log(max(ratio * (1 - 2 * resolution), 1.0))
        return math.exp(-exponent) if ratio > 1 - 2 * resolution and exponent < _STRAY**2 / 2 else 0.0
    error = math.sqrt(max(values.kurtosis - 1, 0.5) / (4 * values.n)) + resolution / 4
    strayed = (values.std / std - 1) / error
    return math.exp(-0.5 * strayed * strayed) if abs(strayed) < _STRAY else 0.0
