"""What a network's operations make of a signal's moments, against signals that were drawn."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initlint.theory.signals import (
    Band,
    Moments,
    averaged,
    joined,
    linear,
    normalised,
    product,
    span,
    summed,
    widened,
)

SAMPLES, UNITS = 600, 600


def draw(moments: Moments, units: int = UNITS) -> Any:
    """A signal (samples, units) of these moments: one part differs between samples, the other between units only."""
    torch = pytest.importorskip("torch")
    fixed = torch.randn(1, units) * math.sqrt(moments.variance - moments.across)
    return moments.mean + fixed + torch.randn(SAMPLES, units) * math.sqrt(moments.across)


def measured(x: Any) -> Moments:
    variance = float(x.var())
    return Moments(float(x.mean()), variance, float(x.var(0).mean()) / variance)


def agree(said: Moments, x: Any, tolerance: float = 0.08) -> None:
    found = measured(x)
    assert said.mean == pytest.approx(found.mean, abs=tolerance * math.sqrt(said.second))
    assert said.variance == pytest.approx(found.variance, rel=tolerance)
    assert said.across == pytest.approx(found.across, rel=tolerance)


@pytest.fixture(autouse=True)
def seeded(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("torch"):
        pytest.importorskip("torch").manual_seed(6)


SIGNALS = [Moments(0.0, 1.0, 1.0), Moments(0.7, 2.0, 0.25), Moments(-1.5, 0.5, 0.6)]


@pytest.mark.torch
@pytest.mark.parametrize("x", SIGNALS)
def test_a_linear_map(x: Moments) -> None:
    import torch

    weight = torch.randn(UNITS, UNITS) * 0.1
    agree(linear(x, UNITS, 0.0, 0.1), draw(x) @ weight.T)


@pytest.mark.torch
@pytest.mark.parametrize("x", SIGNALS[1:])
def test_weights_with_a_mean_pass_on_what_all_terms_have_in_common(x: Moments) -> None:
    import torch

    weight = 0.05 + torch.randn(UNITS, UNITS) * 0.1
    each = linear(x, UNITS, 0.05, 0.1, aligned=0.0)
    y = draw(x) @ weight.T
    assert each.mean == pytest.approx(float(y.mean()), rel=0.1)
    common = x.mean + math.sqrt(x.variance) * torch.randn(SAMPLES * 20, 1).expand(-1, UNITS)
    together = linear(x._replace(share=1.0), UNITS, 0.05, 0.1, aligned=1.0)
    agree(together, common @ weight.T, 0.1)
    half = linear(x, UNITS, 0.05, 0.1, aligned=0.5)
    assert each.variance < half.variance < linear(x, UNITS, 0.05, 0.1, aligned=1.0).variance
    assert half.variance - each.variance == pytest.approx(0.5 * (UNITS * 0.05) ** 2 * x.variance)


@pytest.mark.torch
@pytest.mark.parametrize("correlation", [0.0, 0.8, -0.6])
def test_a_sum(correlation: float) -> None:
    a = Moments(0.7, 2.0, 0.25)
    torch = pytest.importorskip("torch")
    x, y = draw(a) - a.mean, draw(a) - a.mean
    other = Moments(-0.2, 8.0, 0.25)
    z = other.mean + 2 * (correlation * x + math.sqrt(1 - correlation**2) * y)
    agree(summed(a, other, correlation), a.mean + x + z)
    assert torch.is_tensor(x)


def test_a_sum_with_its_negative_is_nothing() -> None:
    x = Moments(0.5, 2.0, 0.5)
    assert summed(x, Moments(-0.5, 2.0, 0.5), -1.0) == Moments(0.0, 0.0, 0.0)
    assert summed(x, Moments(1.0, 0.0, 0.0)) == Moments(1.5, 2.0, 0.5)


@pytest.mark.torch
@pytest.mark.parametrize("x", SIGNALS)
@pytest.mark.parametrize("y", SIGNALS)
def test_a_product(x: Moments, y: Moments) -> None:
    agree(product(x, y), draw(x) * draw(y), 0.12)


@pytest.mark.torch
@pytest.mark.parametrize("x", SIGNALS)
def test_norms(x: Moments) -> None:
    signal = draw(x)
    mean, std = signal.mean(1, keepdim=True), signal.std(1, keepdim=True)
    agree(normalised(x, 0.0), (signal - mean) / std)
    agree(normalised(x, 0.0, centred=False), signal / signal.square().mean(1, keepdim=True).sqrt())
    agree(normalised(x, 0.5), (signal - mean) / (std.square() + 0.5).sqrt())
    agree(normalised(x, 0.5, units=True), (signal - signal.mean(0)) / (signal.var(0) + 0.5).sqrt())


def test_a_norm_of_nothing_is_nothing() -> None:
    nothing = Moments(0.0, 0.0, 0.0)
    assert normalised(nothing, 0.0) == normalised(nothing, 0.0, centred=False) == nothing
    assert normalised(Moments(3.0, 2.0, 0.0), 0.0, units=True) == nothing, "a unit that is the same for all samples"
    assert normalised(Moments(3.0, 0.0, 0.0), 1.0) == nothing
    assert normalised(Moments(2.0, 0.0, 0.0), 0.0, centred=False) == Moments(1.0, 0.0, 0.0)
    tiny = Moments(0.0, 1e-12, 1.0)
    assert normalised(tiny, 1e-5, units=True).variance == pytest.approx(1e-7)


@pytest.mark.torch
def test_a_mean_over_four_values_that_have_nothing_in_common() -> None:
    x = Moments(0.7, 2.0, 0.25)
    signal = draw(x, 4 * UNITS).reshape(SAMPLES, UNITS, 4).mean(2)
    agree(averaged(x, 1 / 4, 1 / 4), signal)
    assert averaged(x, 1.0, 1.0) == x
    kept = averaged(x, 0.0, 1.0)
    assert (kept.mean, kept.variance, kept.share) == (0.7, 1.5, 0.0)


def test_moments_of_moments() -> None:
    x = Moments(-3.0, 4.0, 0.25)
    assert (x.second, x.across) == (13.0, 1.0)


def test_a_bands_corners() -> None:
    band = Band((-1.0, 2.0), (3.0, 4.0), (0.5, 0.5), 0.1)
    corners = {Moments(m, v, 0.5) for m in (-1.0, 2.0) for v in (3.0, 4.0)}
    assert set(band.corners()) == corners
    assert len(band.corners()) == 4
    assert Band.of(1.0, 2.0, 0.5).corners() == [Moments(1.0, 2.0, 0.5)]
    assert Band.of(1.0, 2.0, 0.5).scatter == 0.0
    assert Band.of(1.0, 2.0, 0.5, 0.3).scatter == 0.3


def test_bounds_of_a_std_leave_room_for_two_sigma_of_scatter() -> None:
    low, high = Band((0.0, 0.0), (4.0, 9.0), (0.25, 1.0), 0.05).total_std()
    room = math.exp(math.sqrt(0.05 + 0.01))  # half of two sigmas of the logarithm of a variance, which are sampled
    assert (low, high) == (pytest.approx(2 / room), pytest.approx(3 * room))
    low, high = Band((0.0, 0.0), (4.0, 9.0), (0.25, 1.0), 0.05).across_std()
    assert (low, high) == (pytest.approx(1 / room), pytest.approx(3 * room))
    assert Band.of(0.0, 1.0, 0.0).across_std() == (0.0, 0.0)
    tiny = Band((0.0, 0.0), (1.0, 1.0), (0.0, 1e-20))
    assert tiny.across_std()[1] == pytest.approx(1e-6 * tiny.total_std()[1]), "rounding makes as much"
    assert math.isfinite(Band.of(0.0, 1.0, 1.0, 1e9).total_std()[1])


def test_a_span_holds_what_a_rule_makes_of_every_corner() -> None:
    band = Band((-1.0, 2.0), (1.0, 4.0), (0.25, 0.5), 0.1)
    other = Band.of(1.0, 1.0, 1.0, 0.3)

    def rule(x: Moments, y: Moments) -> Moments | None:
        return summed(x, y)

    image = span(rule, band, other)
    assert image is not None
    assert (image.mean, image.variance, image.scatter) == ((0.0, 3.0), (2.0, 5.0), 0.3)
    assert image.share == (pytest.approx(2 / 5), pytest.approx(3 / 4))
    without = span(rule, band, other, scatter=0.0)
    assert without is not None
    assert without.scatter == 0.0
    assert span(lambda x: x, Band.of(1.0, 2.0, 1.0)) == Band.of(1.0, 2.0, 1.0)


@pytest.mark.parametrize(
    "rule",
    [
        lambda x: None if x.mean > 0 else x,
        lambda x: x._replace(variance=math.inf if x.mean > 0 else 1.0),
        lambda x: x._replace(share=math.nan),
    ],
)
def test_what_is_not_known_at_one_corner_is_not_known(rule: Callable[[Moments], Moments | None]) -> None:
    assert span(rule, Band((-1.0, 1.0), (1.0, 1.0), (1.0, 1.0))) is None


def test_the_least_band_that_holds_several() -> None:
    a, b = Band((-1.0, 0.0), (1.0, 2.0), (0.5, 0.6), 0.2), Band((1.0, 3.0), (0.5, 1.5), (0.1, 0.9), 0.1)
    assert joined(a, b) == Band((-1.0, 3.0), (0.5, 2.0), (0.1, 0.9), 0.2)
    assert joined(a, b, scatter=0.7).scatter == 0.7
    beyond = Band((0.0, 0.0), (-1e-9, 1.0), (-1e-9, 1 + 1e-9))
    assert joined(beyond) == Band((0.0, 0.0), (0.0, 1.0), (0.0, 1.0))


def test_a_band_is_widened_in_its_variance_and_by_the_root_in_its_mean() -> None:
    wide = widened(Band((-1.0, 2.0), (1.0, 3.0), (0.5, 0.5), 0.2), 0.25, 4.0)
    assert wide == Band((-2.0, 4.0), (0.25, 12.0), (0.5, 0.5), 0.2)


@given(st.floats(-5, 5), st.floats(0, 10), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_no_rule_makes_a_share_that_is_none(mean: float, variance: float, share: float, one: float, two: float) -> None:
    x = Moments(mean, variance, share)
    for y in (summed(x, x, -1.0), summed(x, x, 1.0), product(x, x), averaged(x, one, two), linear(x, 9.0, one, two)):
        assert y.variance >= 0
        assert 0 <= y.share <= 1
