"""What is told of figures given by hand, on either side of each limit: no tensor is drawn, so that it takes no time.

How often real draws are told rightly is measured in test_recognition.py.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import pytest

from initlint.facts import UNKNOWN, Distribution, known
from initlint.theory.recognition import Summary, recognise
from initlint.theory.truncation import truncated_moments

UNIT = NormalDist()
KURTOSIS = {"normal": 3.0, "uniform": 1.8}
SPREAD = {"normal": 24.0, "uniform": 1.32}  # n times the variance of a sample's kurtosis, in the limit


def quantile(family: str, share: float) -> float:
    """Of the law with mean 0 and std 1."""
    return UNIT.inv_cdf(share) if family == "normal" else math.sqrt(12) * (share - 0.5)


def sample(family: str, size: int, distance: float) -> list[float]:
    """Values whose Kolmogorov distance from their law is ``distance`` / sqrt(size): its quantiles, all moved aside."""
    aside = distance / math.sqrt(size) - 0.5 / size
    shares = [(index + 0.5) / size + aside for index in range(size)]
    return [quantile(family, min(max(share, 1e-9), 1 - 1e-9)) for share in shares]


def summary(
    family: str = "normal", std: float = 1.0, count: int = 10_000, *, off: float = 0.0, **fields: Any
) -> Summary:
    """What a tensor of that law comes to, its extremes where they are to be expected, its kurtosis ``off``."""
    extreme = UNIT.inv_cdf(1 - 0.5 / count) if family == "normal" else math.sqrt(3) * (1 - 0.5 / count)
    values = {
        "shape": (count // 100, 100) if count >= 100 else (1, count),
        "count": count,
        "mean": 0.0,
        "std": std,
        "minimum": -std * extreme,
        "maximum": std * extreme,
        "kurtosis": KURTOSIS[family] + off,
        "sample": [std * value for value in sample(family, 400, 0.8)],
    }
    return Summary(**{**values, **fields})


FAMILIES = ["normal", "uniform"]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_law_is_told_by_its_extremes(family: str) -> None:
    found = recognise(summary(family, 0.3, mean=0.01))
    assert (found.family, found.mean, found.std, found.known_by) == (family, 0.01, 0.3, "measured")
    assert found.confidence > 0.99
    assert found.scheme is None
    bounds = (-math.inf, math.inf) if family == "normal" else (pytest.approx(-0.3 * 3**0.5, rel=1e-3), -found.low)
    assert (found.low, found.high) == bounds


@pytest.mark.parametrize("cut", [1.0, 1.5, 2.0, 2.5])
def test_a_truncated_normal_law_is_told_by_both(cut: float) -> None:
    _, std = truncated_moments(0.0, 1.0, -cut, cut)
    low, inside = UNIT.cdf(-cut), 1 - 2 * UNIT.cdf(-cut)

    def told(distance: float, mean: float = 0.0) -> Distribution:
        """As in ``sample``: quantiles of the law, moved aside."""
        shares = [index / 400 + distance / 20 for index in range(400)]
        values = [mean + UNIT.inv_cdf(low + inside * min(share, 1.0)) for share in shares]
        return recognise(
            summary(
                std=std, count=100_000, mean=mean, minimum=mean - cut, maximum=mean + cut, kurtosis=2.2, sample=values
            )
        )

    found = told(2.1)
    assert (found.family, found.low, found.high, found.std) == ("truncated_normal", -cut, cut, std)
    assert found.confidence > 0.99
    assert told(2.3).family == told(0.2).family == "data"
    assert told(0.3).family == "truncated_normal"
    assert told(2.1, 7.0).family == "truncated_normal"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("count", [100, 10_000])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_kurtosis_may_stray_by_five_standard_errors(family: str, count: int, sign: int) -> None:
    most = 5 * math.sqrt(SPREAD[family] / count) * (1 + 10 / math.sqrt(count))
    near, far = (recognise(summary(family, count=count, off=sign * most * share)) for share in (0.999, 1.001))
    assert (near.family, far.family, far.confidence) == (family, "data", 0.9)
    coarse = recognise(summary(family, count=count, off=sign * most * 1.001, resolution=2.0**-7))
    assert coarse.family == family, "a coarse number format rounds it"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("size", "distance", "expected"),
    [
        (400, 2.15, True),
        (400, 2.25, False),
        (2048, 2.15, True),
        (2048, 2.25, False),
        (400, 0.26, True),
        (400, 0.24, False),
        (64, 0.24, False),
        (63, 0.24, True),
        (8, 2.25, False),
        (7, 2.25, True),
    ],
)
def test_a_sample_may_be_neither_too_far_off_nor_too_even(
    family: str, size: int, distance: float, expected: bool
) -> None:
    found = recognise(summary(family, sample=sample(family, size, distance)))
    assert (found.family == family) == expected


def test_what_a_coarse_number_format_moves_is_allowed() -> None:
    assert recognise(summary(sample=sample("normal", 400, 2.4), resolution=2.0**-7)).family == "normal"
    assert recognise(summary(sample=sample("normal", 400, 2.7), resolution=2.0**-7)).family == "data"


SHAPE = (130, 300)
GAINS = [
    ("kaiming_normal", "fan_in", math.sqrt(2), 300),
    ("kaiming_normal", "fan_out", math.sqrt(2), 130),
    ("lecun_normal", "fan_in", 1.0, 300),
    ("xavier_normal", "fan_avg", 1.0, 215),
    ("xavier_normal", "fan_avg", 5 / 3, 215),
    ("xavier_normal", "fan_avg", math.sqrt(0.5), 215),
]


@pytest.mark.parametrize(("name", "mode", "gain", "fan"), GAINS)
def test_a_scheme_is_told_by_its_std(name: str, mode: str, gain: float, fan: int) -> None:
    std, error = gain / math.sqrt(fan), math.sqrt(2 / (4 * 33_000))
    found = recognise(summary(std=std, count=33_000, shape=SHAPE))
    assert (found.scheme, found.mode, found.gain) == (name, mode, gain)
    assert found.confidence > 0.9
    for strayed, expected in ((3.4, True), (-3.4, True), (3.6, False), (-3.6, False)):
        found = recognise(summary(std=std * (1 + strayed * error), count=33_000, shape=SHAPE))
        assert (found.scheme == name) == expected
        assert known(found.gain) == (found.scheme is not None)


@pytest.mark.parametrize(
    ("name", "gain", "fan"),
    [("default", 3**-0.5, 300), ("kaiming_uniform", math.sqrt(2), 300), ("xavier_uniform", 1.0, 215)],
)
def test_a_uniform_scheme_is_told_by_its_bound(name: str, gain: float, fan: int) -> None:
    bound = gain * math.sqrt(3 / fan)

    def told(share: float, resolution: float = 2.0**-23) -> str | None:
        ends = {"minimum": -bound * share, "maximum": bound * share * 0.9999}
        made = summary("uniform", bound / math.sqrt(3), 33_000, shape=SHAPE, resolution=resolution, **ends)
        return recognise(made).scheme

    assert told(1.0) == told(math.exp(-6.0 / 33_000)) == name
    assert told(math.exp(-6.2 / 33_000)) is told(1 + 1e-6) is None
    assert told(1 + 1e-6, 2.0**-10) == name, "rounded up"


def test_of_two_bounds_the_nearer_one_is_told() -> None:
    made = summary("uniform", 0.1 / math.sqrt(3), 5_000, shape=(5_000,), maximum=0.1, minimum=-0.1)
    assert recognise(made, 600, 598).scheme == "kaiming_uniform"  # xavier's, of gain sqrt(2), is 0.08 % further out


def test_torchs_default_is_uniform() -> None:
    assert recognise(summary(std=1 / math.sqrt(3 * 300), count=33_000, shape=SHAPE)).scheme is None


def test_a_mean_off_zero_is_no_schemes() -> None:
    std = math.sqrt(2 / 300)
    error = std / math.sqrt(33_000)
    told = [
        recognise(summary(std=std, count=33_000, shape=SHAPE, mean=sign * off * error)).scheme
        for off in (3.9, 4.1)
        for sign in (1, -1)
    ]
    assert told == ["kaiming_normal"] * 2 + [None] * 2


def test_the_fans_as_the_layer_uses_them_come_second() -> None:
    std = math.sqrt(2 / 75)
    made = summary(std=std, count=33_000, shape=SHAPE)
    assert recognise(made).scheme is None
    found = recognise(made, fan_in=75, fan_out=500)
    assert (found.scheme, found.mode) == ("kaiming_normal", "fan_in")
    assert recognise(made, fan_in=UNKNOWN, fan_out=75).mode == "fan_out"
    assert recognise(summary(std=math.sqrt(2 / 300), count=33_000, shape=SHAPE), 300, 130).confidence > 0.9


def test_equals_share_the_confidence() -> None:
    square = recognise(summary(std=1 / math.sqrt(333), count=333 * 333, shape=(333, 333)))
    assert (square.scheme, square.confidence) == ("xavier_normal", pytest.approx(0.5, abs=0.02))
    by_hand = recognise(summary(std=0.05, count=40_000, shape=(100, 400)))
    assert (by_hand.scheme, by_hand.confidence) == ("lecun_normal", pytest.approx(0.5, abs=0.02))


@pytest.mark.parametrize("scale", [0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001])
def test_a_round_number_that_fits_better_speaks_against_a_scheme(scale: float) -> None:
    fan = round(2 / (1.01 * scale) ** 2)  # Kaiming's std is a hundredth above, 1.4 standard errors

    def told(std: float) -> str | None:
        return recognise(summary(std=std, shape=(10_000,)), fan_in=fan, fan_out=7).scheme

    assert (told(scale), told(1.01 * scale), told(1.02 * scale)) == (None, "kaiming_normal", "kaiming_normal")


def test_a_uniform_law_is_written_by_its_bound() -> None:
    found = recognise(summary("uniform", 0.1 / math.sqrt(3), 60_000, shape=(100, 600), maximum=0.1, minimum=-0.0999))
    assert (found.scheme, found.confidence) == ("kaiming_uniform", pytest.approx(0.5, abs=0.02))


@pytest.mark.parametrize(("deviation", "family"), [(0.9e-6, "identity"), (1.1e-6, "normal")])
def test_an_identity(deviation: float, family: str) -> None:
    assert recognise(summary(identity_deviation=deviation)).family == family
    dirac = recognise(summary(identity_deviation=deviation, shape=(10, 10, 100)))
    assert (dirac.family, dirac.confidence == 1.0) == (("dirac", True) if family == "identity" else ("normal", False))


def orthogonal(shape: tuple[int, ...], deviation: float, *fans: int, **fields: Any) -> Any:
    made = summary(std=0.1, count=math.prod(shape), shape=shape, gram_deviation=deviation, **fields)
    return recognise(made, *fans)


@pytest.mark.parametrize(("resolution", "most"), [(2.0**-23, 0.002 + 8 * 2.0**-23), (2.0**-8, 0.03), (2.0**-60, 0.002)])
@pytest.mark.parametrize("shape", [(64, 400), (400, 64)])
def test_rows_that_are_orthogonal(shape: tuple[int, ...], resolution: float, most: float) -> None:
    limit = max(most, 0.002 + 8 * 2.0**-23) / math.sqrt(400) + 2e-6
    near, far = (orthogonal(shape, limit * share, resolution=resolution) for share in (0.999, 1.001))
    assert (near.family, near.scheme, near.confidence) == ("orthogonal", "orthogonal", 0.999)
    assert near.gain == pytest.approx(0.1 * 20)
    assert near.mode == ("fan_in" if shape == (64, 400) else "fan_out")
    assert far.family == "normal"


def test_what_is_orthogonal_in_parts_or_has_no_rows_to_compare() -> None:
    assert orthogonal((1, 400), 0.0).family == orthogonal((400, 1), 0.0).family == "normal"
    assert orthogonal((2, 400), 0.0).family == orthogonal((400, 2), 0.0).family == "orthogonal"
    assert orthogonal((400,), 0.0).family == orthogonal((64, 400), UNKNOWN).family == "normal"
    assert not known(orthogonal((400, 4, 16), 0.0).mode)
    assert orthogonal((64, 20, 20), 0.0).mode == "fan_in"
    gates = orthogonal((256, 64), 0.0, 64, 64)
    assert (gates.gain, gates.mode) == (pytest.approx(0.1 * 8), "fan_in")
    for fans in ((32, 64), (64, 60)):
        assert orthogonal((256, 64), 0.0, *fans).gain == pytest.approx(0.1 * 16)
    shifted = orthogonal((64, 400), 0.0, mean=0.1)
    assert shifted.gain == pytest.approx(math.hypot(0.1, 0.1) * 20)


def test_a_constant_and_what_cannot_be_told() -> None:
    constant = recognise(summary(minimum=0.5, maximum=0.5, mean=0.5, std=1e-9))
    assert (constant.family, constant.mean, constant.std, constant.confidence) == ("constant", 0.5, 0.0, 1.0)
    assert (constant.low, constant.high) == (0.5, 0.5)
    for bad in ({"count": 0}, {"mean": math.nan}, {"std": math.inf}, {"minimum": -math.inf}, {"kurtosis": math.nan}):
        nothing = recognise(summary(**bad) if "count" not in bad else Summary(**{**fields_of(summary()), **bad}))
        assert (known(nothing.family), nothing.confidence, nothing.known_by) == (False, 0.0, "measured")


def fields_of(made: Summary) -> dict[str, Any]:
    names = ("shape", "count", "mean", "std", "minimum", "maximum", "kurtosis", "sample")
    return {name: getattr(made, name) for name in names}


@pytest.mark.parametrize(
    ("count", "family", "most"), [(7, "data", 0.2), (8, "normal", 0.5), (31, "normal", 0.5), (40, "normal", 1.0)]
)
def test_few_values_tell_little(count: int, family: str, most: float) -> None:
    ends = {"minimum": -2.5, "maximum": 2.5}
    found = recognise(summary(count=count, sample=sample("normal", min(count, 7), 0.8), **ends))
    assert (found.family, found.confidence <= most) == (family, True)
    assert count < 8 or found.confidence > most - 0.5


def sparse(share: float, family: str = "normal") -> Any:
    """A tensor of which that share is zero and the rest drawn with std 1: its moments are those of all of it."""
    left = 1 - share
    made = summary(family, math.sqrt(left), 100_000, zero_fraction=share, kurtosis=KURTOSIS[family] / left)
    kept = round(100_000 * left)
    extreme = UNIT.inv_cdf(1 - 0.5 / kept) if family == "normal" else math.sqrt(3)
    values = [*sample(family, 400, 0.8), *[0.0] * 40]
    return recognise(
        Summary(
            **{**fields_of(made), "sample": values, "minimum": -extreme, "maximum": extreme, "zero_fraction": share}
        )
    )


def test_zeros_among_drawn_values() -> None:
    many = sparse(0.3)
    assert (many.family, many.low, many.high, many.scheme) == ("sparse", -math.inf, math.inf, None)
    assert many.std == pytest.approx(math.sqrt(0.7))
    assert [sparse(share).family for share in (0.05, 0.049)] == ["sparse", "normal"]
    assert [sparse(share, "uniform").family for share in (0.3, 0.01)] == ["data", "uniform"]
    few = summary(count=100, zero_fraction=0.93, kurtosis=3 / 0.07)
    assert (recognise(few).family, recognise(few).confidence) == ("data", 0.5)


def test_laws_of_no_family() -> None:
    skewed = summary(minimum=-0.1, maximum=9.0, kurtosis=9.0)
    assert (recognise(skewed).family, recognise(skewed).confidence) == ("data", 0.9)
    schemes = summary(std=math.sqrt(2 / 300), count=33_000, shape=SHAPE, kurtosis=9.0)
    assert (recognise(schemes).family, recognise(schemes).scheme) == ("data", None), "a scale that fits is no scheme"
    two = summary(minimum=-1.0, maximum=1.0, kurtosis=1.0, sample=[-1.0] * 200 + [1.0] * 200)
    assert recognise(two).family == "data"
