"""What initialisers of timm, transformers and torch_geometric draw, against their formulae written out."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initlint.facts import UNKNOWN, Distribution, known
from initlint.theory.library_schemes import LAWS, TRUNCATED_AT_TWO, drawn
from initlint.theory.truncation import truncated_moments

SHAPE = (64, 32, 3, 3)
FANS = {"fan_in": 32 * 9, "fan_out": 64 * 9, "fan_avg": 48 * 9}
TIMM = "timm.layers."
GEOMETRIC = "torch_geometric.nn.inits."


def law(name: str, shape: object = SHAPE, **arguments: Any) -> Distribution:
    return drawn(name, arguments, shape)


def uniform(law: Distribution) -> float:
    """The bound of a uniform law around 0, whose other figures must be those that follow from it."""
    assert (law.family, law.mean) == ("uniform", 0.0)
    assert (law.low, law.std) == (-law.high, pytest.approx(law.high / math.sqrt(3)))
    return law.high


def test_bounds_of_the_tensorflow_way_are_scaled_with_the_law() -> None:
    mean, std = truncated_moments(0.0, 1.0, -1.0, 3.0)
    found = law(f"{TIMM}trunc_normal_tf_", mean=0.5, std=0.1, a=-1.0, b=3.0)
    assert (found.mean, found.std) == (pytest.approx(0.5 + 0.1 * mean), pytest.approx(0.1 * std))
    assert (found.low, found.high) == (pytest.approx(0.4), pytest.approx(0.8))
    plain = law(f"{TIMM}trunc_normal_tf_")
    assert (plain.mean, plain.std) == (pytest.approx(0.0), pytest.approx(TRUNCATED_AT_TWO))
    assert (plain.low, plain.high) == (-2.0, 2.0)
    for name in ("mean", "std", "a", "b"):
        unknown = law(f"{TIMM}trunc_normal_tf_", **{name: UNKNOWN})
        assert unknown.family == "truncated_normal"
        assert not known(unknown.std)


@pytest.mark.parametrize("mode", list(FANS))
@pytest.mark.parametrize("family", ["normal", "uniform", "truncated_normal"])
def test_variance_scaling(mode: str, family: str) -> None:
    found = law(f"{TIMM}variance_scaling_", scale=2.0, mode=mode, distribution=family)
    std = math.sqrt(2.0 / FANS[mode])
    assert (found.family, found.mean, found.std) == (family, 0.0, pytest.approx(std))
    assert (found.gain, found.mode, found.scheme) == (pytest.approx(math.sqrt(2)), mode, "variance_scaling")
    bound = {"normal": math.inf, "uniform": std * math.sqrt(3), "truncated_normal": 2 * std / TRUNCATED_AT_TWO}[family]
    assert (found.low, found.high) == (pytest.approx(-bound), pytest.approx(bound))


def test_variance_scaling_by_default_is_lecuns() -> None:
    found = law(f"{TIMM}variance_scaling_")
    assert (found.family, found.scheme, found.mode, found.gain) == ("normal", "lecun_normal", "fan_in", 1.0)
    assert found.std == pytest.approx(FANS["fan_in"] ** -0.5)
    assert law(f"{TIMM}variance_scaling_", mode="fan_out").scheme == "variance_scaling"
    assert law(f"{TIMM}variance_scaling_", scale=4.0).scheme == "variance_scaling"
    flax = law("transformers.initialization.default_flax_embed_init_")
    assert (flax.family, flax.scheme, flax.std) == ("normal", "lecun_normal", found.std)


def test_variance_scaling_as_far_as_it_is_known() -> None:
    scaling = f"{TIMM}variance_scaling_"
    scale = law(scaling, scale=UNKNOWN)
    assert (scale.family, scale.mode, scale.scheme) == ("normal", "fan_in", "variance_scaling")
    assert not known(scale.std)
    mode = law(scaling, mode=UNKNOWN)
    assert (mode.family, mode.gain, known(mode.std)) == ("normal", 1.0, False)
    assert mode.scheme == "variance_scaling"
    assert not known(law(scaling, distribution=UNKNOWN).family)
    for shape in (UNKNOWN, (UNKNOWN, 8)):
        cut = law(scaling, shape, mode="fan_avg", distribution="truncated_normal")
        assert cut.family == "truncated_normal"
        assert not any(known(value) for value in (cut.std, cut.low, cut.high))
    assert known(law(scaling, (UNKNOWN, 8)).std), "fan-in is all it takes"


@pytest.mark.parametrize("arguments", [{"mode": "fan"}, {"distribution": "cauchy"}, {"scale": -1.0}])
def test_what_the_library_would_refuse_is_not_known(arguments: dict[str, Any]) -> None:
    assert not known(law(f"{TIMM}variance_scaling_", **arguments).family)


def test_lecun_normal_is_cut_off_in_timm_and_as_good_as_whole_in_transformers() -> None:
    std = FANS["fan_in"] ** -0.5
    timm = law(f"{TIMM}lecun_normal_")
    assert (timm.family, timm.scheme, timm.mode) == ("truncated_normal", "lecun_normal", "fan_in")
    assert (timm.std, timm.high) == (pytest.approx(std), pytest.approx(2 * std / TRUNCATED_AT_TWO))
    other = law("transformers.initialization.lecun_normal_")
    assert (other.family, other.scheme, other.mode) == ("normal", "lecun_normal", "fan_in")
    assert (other.mean, other.std) == (0.0, pytest.approx(std / TRUNCATED_AT_TWO))


def test_glorot_is_of_the_last_two_dimensions() -> None:
    matrix = law(f"{GEOMETRIC}glorot", (20, 30))
    assert uniform(matrix) == pytest.approx(math.sqrt(6 / 50))
    assert matrix.scheme == "xavier_uniform"
    stack = law(f"{GEOMETRIC}glorot", (8, 20, 30))
    assert uniform(stack) == pytest.approx(math.sqrt(6 / 50))
    for shape in (UNKNOWN, (30,), (UNKNOWN, 30), (4, 30, UNKNOWN)):
        open_ = law(f"{GEOMETRIC}glorot", shape)
        assert (open_.family, open_.mean, known(open_.std)) == ("uniform", 0.0, False)


def test_glorot_orthogonal_has_the_variance_that_is_asked_for() -> None:
    name = f"{GEOMETRIC}glorot_orthogonal"
    found = law(name, (20, 30), scale=2.0)
    assert (found.family, found.mean, found.std) == ("orthogonal", 0.0, pytest.approx(math.sqrt(2 / 50)))
    assert law(name, (7, 20, 30), scale=2.0).std == found.std
    for shape, arguments in ((UNKNOWN, {"scale": 2.0}), ((30,), {"scale": 2.0}), ((20, 30), {})):
        open_ = law(name, shape, **arguments)
        assert (open_.family, open_.mean, known(open_.std)) == ("orthogonal", 0.0, False)
    assert not known(law(name, (UNKNOWN, 30), scale=2.0).std)


def test_uniform_laws_of_a_size_that_is_given() -> None:
    assert uniform(law(f"{GEOMETRIC}uniform", UNKNOWN, size=16)) == pytest.approx(0.25)
    assert uniform(law(f"{GEOMETRIC}kaiming_uniform", UNKNOWN, fan=10, a=math.sqrt(5))) == pytest.approx(10**-0.5)
    for name, arguments in (
        ("uniform", {}),
        ("uniform", {"size": UNKNOWN}),
        ("kaiming_uniform", {"fan": 10}),
        ("kaiming_uniform", {"a": 1.0}),
    ):
        open_ = law(GEOMETRIC + name, UNKNOWN, **arguments)
        assert (open_.family, open_.mean, known(open_.std)) == ("uniform", 0.0, False)
    assert not known(law(f"{GEOMETRIC}uniform", UNKNOWN, size=0).family), "divides by zero"


def test_what_is_torchs_under_another_name() -> None:
    assert law(f"{GEOMETRIC}constant", val=0.5).value == 0.5
    normal = law(f"{GEOMETRIC}normal", mean=1.0, std=2.0)
    assert (normal.family, normal.mean, normal.std) == ("normal", 1.0, 2.0)


def test_nothing_raises_whatever_is_given() -> None:
    strange = (UNKNOWN, None, "x", -1.0, 0, math.nan, 10**400)
    for name in LAWS:
        for value in strange:
            for key in ("mean", "std", "a", "b", "scale", "mode", "distribution", "size", "fan", "val"):
                found = law(name, (4, 4), **{key: value})
                assert not known(found.std) or not math.isnan(found.std)


@given(std=st.floats(1e-6, 1e3), bound=st.floats(1e-3, 1e3))
def test_bounds_that_are_even_around_the_mean_keep_it_exactly(std: float, bound: float) -> None:
    assert truncated_moments(0.0, std, -bound, bound)[0] == 0.0
