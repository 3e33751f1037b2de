"""What a gradient comes to on its way back: held against products of matrices drawn for the purpose."""

from __future__ import annotations

import math

import pytest

from initlint.theory.gradients import NONE, Gradient, added, back_through, random_targets


def test_a_map_hands_back_fan_out_times_the_variance() -> None:
    given = Gradient(1.0, 2.0)
    handed = back_through(given, 100.0, (0.0, 0.0), (0.01, 0.04), 1.0)
    assert (handed.least, handed.most) == pytest.approx((1.0, 8.0))
    leaning = back_through(given, 100.0, (0.1, 0.1), (0.01, 0.04), 1.0)
    assert leaning.least == pytest.approx(1.0)
    assert leaning.most == pytest.approx(8.0 + 2.0 * 100**2 * 0.1**2)


def test_gradients_add_in_the_square_or_in_any_way() -> None:
    a, b = Gradient(4.0, 4.0), Gradient(1.0, 1.0)
    assert added(a, b, independent=True)[:2] == (5.0, 5.0)
    assert added(a, b, independent=False)[:2] == (1.0, 9.0)
    assert added(a, NONE, independent=False) == a


def test_what_the_output_sends_back_of_itself_grows_with_the_maps_that_made_it() -> None:
    """Of a square ReLU network at He's scale (m2 / m1^2 - 1 = 2 a layer) J'J x is 1 + 2 L times as large as J'g."""
    given = random_targets((1e12, 1e12), 64, 0.0)
    for _ in range(8):
        given = back_through(given.times(0.5, 0.5).peaked(2.0), 64.0, (0.0, 0.0), (2 / 64, 2 / 64), 1.0)
    low, high = given.std()
    assert high / low == pytest.approx(math.sqrt(17) * math.exp(2 * math.sqrt(0.01)), rel=1e-3)
