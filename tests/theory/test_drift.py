"""Drift along a chain, as the rules of the probe define it."""

from __future__ import annotations

import math

import pytest

from initlint.facts import UNKNOWN, Range, bounds, known
from initlint.theory.drift import beyond, deviating, drift, least_ratio


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


def test_what_departs_is_more_than_a_factor_of_ten_from_the_beginning() -> None:
    assert deviating([2.0, 15.0, 21.0]) == 2
    assert deviating([1.0, 10.0, 10.0]) is None
    assert deviating([1.0, 0.5, 0.1]) is None
    assert deviating([2.0, 0.21, 0.19]) == 2
    assert deviating([1.0, 11.0, 1.5]) == 1, "the chain's end tells which way it goes"
    assert deviating([1.0, 11.0, 0.05]) == 2


def test_medians_of_quarters_of_any_size() -> None:
    middle = [7.0] * 10
    assert drift([1.0, 3.0, *middle[:4], 4.0, 8.0]) == pytest.approx(6 / 2)
    assert drift([5.0, 1.0, 2.0, 4.0, 3.0, *middle, 60.0, 20.0, 30.0, 40.0, 50.0]) == pytest.approx(40 / 3)
    assert drift([1.0, 100.0, *middle[:4], 6.0]) == 6.0, "seven values are judged by their ends"


def test_ranges_and_infinities() -> None:
    ratio = drift([Range(1.0, 2.0), Range(3.0, 4.0)])
    assert bounds(ratio) == (1.5, 4.0)
    assert drift([math.inf, 1.0]) == 0.0
    assert not known(drift([Range(1.0, math.inf), math.inf]))
    assert deviating([Range(0.5, 2.0), Range(8.0, 13.0), Range(10.0, 12.0)]) == 1


def test_a_limit_is_passed_by_all_of_a_range_or_not_at_all() -> None:
    for ratio, limit, passed in (
        (0.09, 0.1, True),
        (0.1, 0.1, False),
        (11.0, 10.0, True),
        (10.0, 10.0, False),
        (0.5, 10.0, False),
        (Range(0.01, 0.09), 0.1, True),
        (Range(0.01, 0.2), 0.1, False),
        (Range(5.0, 20.0), 10.0, False),
        (Range(11.0, 20.0), 10.0, True),
        (0.5, 1.0, False),
    ):
        assert beyond(ratio, limit) == passed, (ratio, limit)


def test_a_shallow_stack_may_lose_more() -> None:
    assert [least_ratio(layers) for layers in (2, 9, 10, 100)] == [1e-3, 1e-3, 1e-2, 1e-2]
