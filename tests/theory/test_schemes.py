"""Moments of every scheme against a million draws of the real torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initlint.facts import UNKNOWN, Distribution, known
from initlint.theory.schemes import DEPRECATED, drawn, torch_initializers, truncated_normal, uniform
from initlint.theory.truncation import parent_std, truncated_moments

Agree = Callable[[Distribution, Any], None]

INIT: list[tuple[str, dict[str, Any], tuple[int, ...], str]] = [
    ("normal_", {}, (1000, 1000), "normal"),
    ("normal_", {"mean": 0.02}, (1000, 1000), "normal"),
    ("normal_", {"mean": -1.0, "std": 0.3}, (1000, 1000), "normal"),
    ("uniform_", {}, (1000, 1000), "uniform"),
    ("uniform_", {"a": 0.1}, (1000, 1000), "uniform"),
    ("uniform_", {"a": -0.1, "b": 0.3}, (1000, 1000), "uniform"),
    ("trunc_normal_", {}, (1000, 1000), "truncated_normal"),
    ("trunc_normal_", {"std": 0.02}, (1000, 1000), "truncated_normal"),
    ("trunc_normal_", {"mean": 0.02}, (1000, 1000), "truncated_normal"),
    ("trunc_normal_", {"mean": 1.5, "std": 1.0, "a": -0.5, "b": 2.0}, (1000, 1000), "truncated_normal"),
    ("trunc_normal_", {"std": 10.0, "a": -0.02, "b": 0.02}, (1000, 1000), "truncated_normal"),
    ("constant_", {"val": 0.3}, (10, 10), "constant"),
    ("zeros_", {}, (10, 10), "constant"),
    ("ones_", {}, (10,), "constant"),
    ("eye_", {}, (20, 50), "identity"),
    ("dirac_", {}, (16, 8, 3, 3), "dirac"),
    ("dirac_", {"groups": 4}, (16, 8, 3), "dirac"),
    ("xavier_uniform_", {}, (800, 1250), "uniform"),
    ("xavier_uniform_", {"gain": 5 / 3}, (200, 500, 3, 3), "uniform"),
    ("xavier_normal_", {"gain": 0.5}, (2000, 500), "normal"),
    ("kaiming_uniform_", {}, (2000, 500), "uniform"),
    ("kaiming_uniform_", {"a": math.sqrt(5)}, (2000, 500), "uniform"),
    ("kaiming_uniform_", {"mode": "fan_out", "nonlinearity": "tanh"}, (200, 500, 3, 3), "uniform"),
    ("kaiming_normal_", {"nonlinearity": "relu", "mode": "FAN_OUT"}, (2000, 500), "normal"),
    ("kaiming_normal_", {"a": 0.2}, (200, 500, 3, 3), "normal"),
    ("kaiming_normal_", {"a": 7.0, "nonlinearity": "linear"}, (2000, 500), "normal"),
    ("orthogonal_", {}, (500, 2000), "orthogonal"),
    ("orthogonal_", {"gain": -1.4}, (1500, 700), "orthogonal"),
    ("orthogonal_", {"gain": 2.0}, (1300, 300, 3), "orthogonal"),
    ("sparse_", {"sparsity": 0.1}, (1000, 1000), "sparse"),
    ("sparse_", {"sparsity": 0.333, "std": 0.5}, (10, 100000), "sparse"),
]


@pytest.mark.torch
@pytest.mark.parametrize(("name", "arguments", "shape", "family"), INIT)
def test_init_functions(
    name: str, arguments: dict[str, Any], shape: tuple[int, ...], family: str, agree: Agree
) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    tensor = getattr(torch.nn.init, name)(torch.empty(shape), **arguments)
    distribution = drawn(f"torch.nn.init.{name}", arguments, shape)
    assert distribution.family == family
    assert distribution.known_by == "read"
    agree(distribution, tensor)
    deprecated = drawn(f"torch.nn.init.{name.removesuffix('_')}", arguments, shape)
    if hasattr(torch.nn.init, name.removesuffix("_")):
        assert (deprecated.family, deprecated.std) == (family, distribution.std)


@pytest.mark.torch
@pytest.mark.parametrize(
    ("name", "given_arguments", "arguments"),
    [
        ("normal_", (0.5, 0.1), {"mean": 0.5, "std": 0.1}),
        ("uniform_", (-2.0, 1.0), {"from": -2.0, "to": 1.0}),
        ("fill_", (0.3,), {"value": 0.3}),
        ("zero_", (), {}),
        ("log_normal_", (0.1, 0.3), {"mean": 0.1, "std": 0.3}),
        ("exponential_", (4.0,), {"lambd": 4.0}),
        ("bernoulli_", (0.2,), {"p": 0.2}),
    ],
)
def test_tensor_methods(
    name: str, given_arguments: tuple[float, ...], arguments: dict[str, float], agree: Agree
) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(2)
    agree(drawn(f"torch.Tensor.{name}", arguments, (10**6,)), getattr(torch.empty(10**6), name)(*given_arguments))


@pytest.mark.torch
def test_constructors(agree: Agree) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(3)
    n = 10**6
    agree(drawn("torch.randn", {}, (n,)), torch.randn(n))
    agree(drawn("torch.rand", {}, (n,)), torch.rand(n))
    agree(drawn("torch.normal", {"mean": 1.0, "std": 2.0}, (n,)), torch.normal(1.0, 2.0, (n,)))
    agree(drawn("torch.full", {"fill_value": 2.5}, (9,)), torch.full((9,), 2.5))
    agree(drawn("torch.eye", {}, (9, 9)), torch.eye(9))
    assert drawn("torch.zeros_like", {}).is_zero
    assert drawn("torch.ones", {}).value == 1
    assert drawn("torch.empty", {}, (3,)).is_uninitialized
    assert drawn("torch.linspace", {}, (3,)).family == "data"


def test_the_scheme_is_known_where_the_shape_is_not() -> None:
    for shape in (UNKNOWN, (UNKNOWN, 3)):
        xavier = drawn("torch.nn.init.xavier_normal_", {"gain": 2.0}, shape)
        assert (xavier.family, xavier.gain, xavier.mode, xavier.scheme) == ("normal", 2.0, "fan_avg", "xavier_normal")
        assert not known(xavier.std)
    kaiming = drawn("torch.nn.init.kaiming_uniform_", {"a": math.sqrt(5)})
    assert kaiming.gain == pytest.approx(1 / math.sqrt(3))
    assert (kaiming.mode, kaiming.scheme, kaiming.mean) == ("fan_in", "kaiming_uniform", 0.0)
    assert drawn("torch.nn.init.kaiming_normal_", {}, (UNKNOWN, 8)).std == pytest.approx(0.5)
    assert not known(drawn("torch.nn.init.kaiming_normal_", {"mode": "fan_out"}, (UNKNOWN, 8)).std)
    assert drawn("torch.nn.init.orthogonal_", {"gain": 2.0}).gain == 2.0


def test_an_unknown_argument_leaves_only_its_own_moments_unknown() -> None:
    law = drawn("torch.nn.init.normal_", {"mean": 0.1, "std": UNKNOWN})
    assert (law.family, law.mean) == ("normal", 0.1)
    assert not known(law.std)
    assert not known(drawn("torch.nn.init.constant_", {"val": UNKNOWN}).mean)
    assert drawn("torch.nn.init.constant_", {"val": UNKNOWN}).is_constant
    assert drawn("torch.nn.init.trunc_normal_", {"std": UNKNOWN}).mean == 0
    assert not known(drawn("torch.nn.init.trunc_normal_", {"mean": 0.3, "std": UNKNOWN}).mean)
    law = drawn("torch.nn.init.kaiming_normal_", {"nonlinearity": UNKNOWN}, (4, 4))
    assert not known(law.gain)
    assert law.mode == "fan_in"
    assert not known(drawn("torch.nn.init.kaiming_normal_", {"mode": UNKNOWN}, (4, 4)).std)
    assert known(drawn("torch.nn.init.kaiming_normal_", {"nonlinearity": "relu", "a": UNKNOWN}, (4, 4)).std)


def test_a_law_without_spread_is_a_constant() -> None:
    assert drawn("torch.nn.init.normal_", {"mean": 0.0, "std": 0.0}).is_zero
    assert drawn("torch.nn.init.xavier_uniform_", {"gain": 0.0}).is_zero
    assert uniform(0.5, 0.5).value == 0.5
    assert drawn("torch.nn.init.sparse_", {"sparsity": 1.0}, (3, 4)).is_zero


def test_what_torch_would_refuse_or_the_table_lacks_is_wholly_unknown() -> None:
    for law in (
        drawn("timm.layers.trunc_normal_", {"std": 0.02}),
        drawn("torch.Tensor.mul_", {"other": 2.0}),
        drawn(UNKNOWN, {}),
        drawn("torch.nn.init.kaiming_normal_", {"nonlinearity": "gelu"}, (4, 4)),
        drawn("torch.nn.init.kaiming_normal_", {"mode": "fan_avg"}, (4, 4)),
        drawn("torch.nn.init.orthogonal_", {}, (4,)),
    ):
        assert not known(law.family)


@pytest.mark.parametrize("start", [-40.0, -8.0, -1.0, 0.0, 3.0, 30.0])
def test_truncated_moments_in_the_tails(start: float) -> None:
    mean, std = truncated_moments(0.0, 1.0, start, math.inf)
    if start <= 3:  # the closed form: inverse Mills ratio
        hazard = math.exp(-start * start / 2) / math.sqrt(2 * math.pi) / (0.5 * math.erfc(start / math.sqrt(2)))
        assert mean == pytest.approx(hazard, abs=1e-7)
        assert std**2 == pytest.approx(1 + start * hazard - hazard**2, abs=1e-7)
    else:  # asymptotically exponential: Mills' series to second order
        assert mean == pytest.approx(start + 1 / start - 2 / start**3, rel=1e-5)
        assert std == pytest.approx(1 / start, rel=1e-2)
    assert truncated_normal(0.0, 1.0, start, math.inf).std == std


anything = st.one_of(
    st.floats(),
    st.integers(-5, 10**400),
    st.builds(lambda: UNKNOWN),
    st.sampled_from([None, "relu", "fan_in", True, [1]]),
)
FUNCTIONS = sorted(
    {f"torch.nn.init.{name}" for name, *_ in INIT} | {"torch.Tensor.uniform_", "torch.Tensor.log_normal_"}
)


@given(
    st.sampled_from(FUNCTIONS),
    st.dictionaries(
        st.sampled_from(
            ["mean", "std", "a", "b", "gain", "mode", "nonlinearity", "val", "sparsity", "groups", "from", "to"]
        ),
        anything,
    ),
    st.one_of(anything, st.lists(anything, max_size=4)),
)
def test_drawn_never_raises_and_never_says_nan(function: str, arguments: dict[str, Any], shape: Any) -> None:
    law = drawn(function, arguments, shape)
    for moment in (law.mean, law.std, law.low, law.high, law.gain):
        assert not known(moment) or not math.isnan(moment)
    assert not known(law.std) or law.std >= 0


@pytest.mark.torch
def test_the_functions_are_those_of_torch() -> None:
    torch = pytest.importorskip("torch")
    public = {name for name in dir(torch.nn.init) if name[0].islower() and callable(getattr(torch.nn.init, name))}
    assert set(torch_initializers()) == {name for name in public if name.endswith("_")}
    assert set(DEPRECATED) == {name for name in public if f"{name}_" in public}


def test_arguments_by_every_name_that_torch_gives_them() -> None:
    for low, high in (("a", "b"), ("from", "to"), ("from_", "to"), ("low", "high")):
        law = drawn("torch.Tensor.uniform_", {low: -3.0, high: 5.0})
        assert (law.low, law.high) == (-3.0, 5.0)
    for name in ("val", "value", "fill_value"):
        assert drawn("torch.nn.init.constant_", {name: 0.5}).value == 0.5


@pytest.mark.parametrize(
    "name",
    ["randint", "randint_like", "randperm", "arange", "linspace", "logspace", "Tensor.cauchy_", "Tensor.random_"],
)
def test_what_is_no_law_of_a_weight_is_data(name: str) -> None:
    law = drawn(f"torch.{name}", {})
    assert law.family == "data"
    assert not known(law.std)


def test_the_rest_of_the_constructors() -> None:
    for name in ("zeros", "zeros_like", "Tensor.new_zeros"):
        assert drawn(f"torch.{name}", {}).is_zero
    for name in ("ones", "ones_like", "Tensor.new_ones"):
        assert drawn(f"torch.{name}", {}).value == 1.0
    for name in ("empty", "empty_like", "empty_strided", "Tensor.new_empty"):
        assert drawn(f"torch.{name}", {}).is_uninitialized
    for name in ("full", "full_like", "Tensor.new_full"):
        assert drawn(f"torch.{name}", {"fill_value": 3.0}).value == 3.0
    assert drawn("torch.Tensor.new_tensor", {}).family == "data"
    for like in ("", "_like"):
        assert (drawn(f"torch.randn{like}", {}).family, drawn(f"torch.rand{like}", {}).high) == ("normal", 1.0)


def test_what_is_left_of_a_law_with_one_unknown() -> None:
    half = uniform(UNKNOWN, 2.0)
    assert (half.family, half.high, known(half.low), known(half.mean)) == ("uniform", 2.0, False, False)
    assert (uniform(2.0, UNKNOWN).low, known(uniform(3.0, 2.0).std)) == (2.0, False)
    cut = truncated_normal(0.0, UNKNOWN, -1.0, 1.0)
    assert (cut.mean, cut.low, cut.high) == (0.0, -1.0, 1.0)
    assert not known(truncated_normal(0.0, UNKNOWN, -1.0, 2.0).mean)
    assert truncated_normal(0.5, 0.0, 0.0, 1.0).value == 0.5
    assert not known(truncated_normal(2.0, 0.0, 0.0, 1.0).mean)
    for arguments in ({"sparsity": UNKNOWN}, {"sparsity": 0.5, "std": UNKNOWN}):
        law = drawn("torch.nn.init.sparse_", arguments, (4, 4))
        assert (law.family, law.mean, known(law.std)) == ("sparse", 0.0, False)
    assert not known(drawn("torch.nn.init.sparse_", {"sparsity": 0.5}, (UNKNOWN, 4)).std)
    assert not known(drawn("torch.nn.init.sparse_", {"sparsity": 0.5}, (4, 4, 4)).std)
    assert drawn("torch.nn.init.sparse_", {"sparsity": 0.5}, (4, 4)).std == pytest.approx(0.01 * math.sqrt(0.5))
    for shape in (UNKNOWN, (3,), (UNKNOWN, 3)):
        law = drawn("torch.nn.init.eye_", {}, shape)
        assert (law.family, known(law.std), law.low, law.high) == ("identity", False, 0.0, 1.0)
    for shape, groups in ((UNKNOWN, 1), ((4, UNKNOWN, 3), 1), ((4, 4, 3), UNKNOWN)):
        law = drawn("torch.nn.init.dirac_", {"groups": groups}, shape)
        assert (law.family, known(law.std), law.low, law.high) == ("dirac", False, 0.0, 1.0)
    for shape, groups in (((4, 4), 1), ((4, 4, 1, 1, 1, 1), 1), ((4, 4, 3), 3)):
        assert not known(drawn("torch.nn.init.dirac_", {"groups": groups}, shape).family), "torch refuses it"


def test_laws_of_tensors_at_their_edges() -> None:
    assert drawn("torch.Tensor.bernoulli_", {}).mean == 0.5
    coin = drawn("torch.Tensor.bernoulli_", {"p": 0.2})
    assert (coin.std, coin.low, coin.high) == (pytest.approx(0.4), 0.0, 1.0)
    for share, std in ((0.0, 0.0), (1.0, 0.0)):
        assert drawn("torch.Tensor.bernoulli_", {"p": share}).std == std
    for share in (1.5, -0.5, UNKNOWN):
        law = drawn("torch.Tensor.bernoulli_", {"p": share})
        assert (law.family, law.low, law.high, known(law.mean)) == ("data", 0.0, 1.0, False)
    assert drawn("torch.Tensor.exponential_", {}).mean == 1.0
    for rate in (0.0, -1.0, UNKNOWN):
        law = drawn("torch.Tensor.exponential_", {"lambd": rate})
        assert (law.family, law.low, known(law.mean), known(law.std)) == ("data", 0.0, False, False)
    plain = drawn("torch.Tensor.log_normal_", {})
    assert plain.mean == pytest.approx(math.exp(1.0 + 2.0))
    assert plain.std == pytest.approx(plain.mean * math.sqrt(math.exp(4.0) - 1))
    for argument in ("mean", "std"):
        law = drawn("torch.Tensor.log_normal_", {argument: UNKNOWN})
        assert (law.family, law.low, law.high, known(law.mean)) == ("data", 0.0, math.inf, False)


def test_an_orthogonal_matrix_is_scaled_by_its_longer_side() -> None:
    for shape, mode, longer in (((3, 12), "fan_in", 12), ((12, 3), "fan_out", 12), ((4, 4), "fan_in", 4)):
        law = drawn("torch.nn.init.orthogonal_", {"gain": 2.0}, shape)
        assert (law.mode, law.std, law.low, law.high) == (mode, pytest.approx(2 / math.sqrt(longer)), -2.0, 2.0)
    assert not known(drawn("torch.nn.init.orthogonal_", {}, (40, 3, 2)).mode)
    assert drawn("torch.nn.init.orthogonal_", {}, (4, 3, 2)).mode == "fan_in"
    assert drawn("torch.nn.init.orthogonal_", {"gain": 0.0}, (4, 3)).is_zero
    assert not known(drawn("torch.nn.init.orthogonal_", {"gain": UNKNOWN}, (4, 3)).std)


@pytest.mark.parametrize("cut", [1.9, 2.0, 3.0, 8.0])
def test_the_parent_of_a_truncated_law(cut: float) -> None:
    """Found again from what was left of it; the bounds are so many of its std."""
    _, std = truncated_moments(0.3, 0.5, 0.3 - cut * 0.5, 0.3 + cut * 0.5)
    assert parent_std(0.3, std, 0.3 - cut * 0.5, 0.3 + cut * 0.5) == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize("law", [(0.0, 0.0, -1.0, 1.0), (0.0, 1.0, 1.0, 1.0), (0.0, -1.0, 0.0, 1.0)])
def test_no_truncated_law(law: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="no truncated normal law"):
        truncated_moments(*law)
