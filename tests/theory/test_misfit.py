"""How far a fan-scaled draw lies off, held against the formulae of the schemes."""

from __future__ import annotations

import math

import pytest

from initlint.facts import UNKNOWN, known
from initlint.theory.fans import Fans, torch_fans
from initlint.theory.misfit import fan_of, misfit


def test_experts_read_as_a_convolution_are_off_by_the_root_of_the_fans() -> None:
    found = misfit("fan_avg", [(torch_fans((8, 64, 32)), Fans(64, 32))])
    taken, own = (64 * 32 + 8 * 32) / 2, (64 + 32) / 2
    assert found.least == found.most == pytest.approx(math.sqrt(own / taken))
    assert (found.taken, found.own) == (taken, own)


def test_four_gates_as_one_orthogonal_matrix_have_half_the_scale() -> None:
    assert misfit("longer", [(torch_fans((128, 32)), Fans(32, 32))]).least == pytest.approx(0.5)


def test_fan_out_of_a_matrix_stored_the_other_way_round_is_its_fan_in() -> None:
    assert misfit("fan_out", [(torch_fans((64, 512)), Fans(64, 512))]).least == pytest.approx(1)
    assert misfit("fan_in", [(torch_fans((64, 512)), Fans(64, 512))]).least < 0.5


def test_several_cases_give_a_range_and_no_single_fans() -> None:
    cases = [(torch_fans((4, n, 32)), Fans(n, 32)) for n in (16, 64, 512)]
    found = misfit("fan_avg", cases)
    assert found.least < found.most < 0.5
    assert not known(found.taken)
    assert not known(found.own)


def test_what_is_not_known_of_one_case_leaves_the_answer_open() -> None:
    assert not known(misfit("fan_in", [(Fans(UNKNOWN, 4), Fans(4, 4))]))
    assert not known(misfit("fan_in", []))


def test_the_fan_that_a_scheme_divides_by() -> None:
    fans = Fans(4, 9)
    assert [fan_of(fans, mode) for mode in ("fan_in", "fan_out", "fan_avg", "longer")] == [4, 9, 6.5, 9]
    assert not known(fan_of(fans, "shorter"))
    for half in (Fans(UNKNOWN, 9), Fans(4, UNKNOWN)):
        assert not known(fan_of(half, "fan_avg"))
        assert not known(fan_of(half, "longer"))
    assert fan_of(Fans(UNKNOWN, 9), "fan_out") == 9
    assert fan_of(Fans(4, UNKNOWN), "fan_in") == 4


def test_of_two_fans_that_may_be_meant_the_nearer_counts() -> None:
    assert misfit("fan_out", [(torch_fans((512, 64)), Fans(64, 512))]).least == pytest.approx(1)
    far = misfit("fan_out", [(torch_fans((512, 4)), Fans(64, 128))])
    assert far.own == 128
    assert far.least == pytest.approx(0.5)
    assert not known(misfit("fan_out", [(torch_fans((512, 4)), Fans(UNKNOWN, 512))])), "it may be the other one"
