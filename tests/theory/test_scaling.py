"""The exponent of a power law, against an exact one and against numpy's least squares."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initlint.theory.scaling import exponent


@given(st.floats(-3, 3), st.floats(0.1, 10))
def test_a_power_law_has_its_exponent(power: float, scale: float) -> None:
    sizes = (64, 128, 256, 1024)
    assert exponent(sizes, [scale * size**power for size in sizes]) == pytest.approx(power, abs=1e-9)


def test_scatter_is_fitted_by_least_squares() -> None:
    numpy = pytest.importorskip("numpy")
    sizes, values = (16, 32, 128, 512), (1.0, 2.5, 3.0, 9.0)
    slope, _ = numpy.polyfit([math.log(size) for size in sizes], [math.log(value) for value in values], 1)
    assert exponent(sizes, values) == pytest.approx(slope)
