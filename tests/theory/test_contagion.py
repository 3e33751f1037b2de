"""Arithmetic in which one unknown operand makes the result unknown."""

from __future__ import annotations

import math

import pytest

from initlint.facts import UNKNOWN, known
from initlint.theory.contagion import number, product, size, sizes


@pytest.mark.parametrize("value", [UNKNOWN, True, False, None, "3", math.nan, 10**400, 1j, [3]])
def test_what_is_no_number_is_unknown(value: object) -> None:
    assert not known(number(value))


def test_a_number_is_a_float() -> None:
    assert [number(value) for value in (3, -0.5, 0, math.inf)] == [3.0, -0.5, 0.0, math.inf]
    assert type(number(3)) is float


@pytest.mark.parametrize("value", [UNKNOWN, True, None, "3", 3.0, 0, -1])
def test_what_is_no_size_is_unknown(value: object) -> None:
    assert not known(size(value))


def test_a_shape_is_known_dimension_by_dimension() -> None:
    assert size(1) == 1
    assert sizes([3, 1]) == (3, 1)
    first, second = sizes((UNKNOWN, 2))
    assert (known(first), second) == (False, 2)
    assert sizes(()) == ()
    for shape in (UNKNOWN, "34", b"34", 3, None):
        assert not known(sizes(shape))


def test_the_product_of_what_is_known() -> None:
    assert product(()) == 1
    assert product(iter((2, 3, 0.5))) == 3
    assert not known(product((2, UNKNOWN, 3)))
