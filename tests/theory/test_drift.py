"""Drift along a chain, as the rules of the probe define it."""

from __future__ import annotations

import math

import pytest

from initlint.facts import UNKNOWN, known
from initlint.theory.drift import deviating, drift


def test_a_short_chain_is_judged_by_its_ends() -> None:
    assert drift([2.0, 100.0, 1.0]) == 0.5
    assert drift([1.0, 3.0]) == 3.0


def test_a_long_chain_is_judged_by_the_medians_of_its_quarters() -> None:
    assert drift([1.0, 1.0, 9e9, *[5.0] * 6, 1e-9, 3.0, 3.0]) == 3.0
    assert drift([0.1**layer for layer in range(24)]) == pytest.approx(1e-18)


def test_exact_zeros_are_skipped() -> None:
    assert drift([0.0, 1.0, 0.0, 2.0, 0.0]) == 2.0
    assert not known(drift([0.0, 1.0, 0.0]))


def test_too_little_or_unknown() -> None:
    for values in ([], [1.0], [1.0, UNKNOWN], [1.0, math.nan], [math.inf, math.inf], UNKNOWN):
        assert not known(drift(values))
    assert drift([1.0, math.inf]) == math.inf


def test_the_first_deviating_layer() -> None:
    steady = [1.0] * 6
    assert deviating([*steady, 0.05, *steady]) == 6
    assert deviating([*steady, 0.0, 11.0, 1.0]) == 7
    assert deviating([*steady, 9.0, 0.11]) is None
    assert deviating([*steady, 3.0], factor=2.0) == 6
    assert not known(deviating([1.0, UNKNOWN]))
    assert not known(deviating([1.0]))
