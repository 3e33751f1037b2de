"""Gains against the measured table, closed forms, torch's own functions and autograd."""

from __future__ import annotations

import math
from typing import Any

import pytest

from initlint.facts import UNKNOWN, known
from initlint.theory import gains
from initlint.theory.nonlinearities import DEFAULT_SLOPES, names, nonlinearity, passes_on, rests_at_zero
from initlint.theory.quadrature import gaussian_mean

MEASURED = {
    "relu": (1.4142, 1.4142),
    "relu6": (1.4142, 1.4142),
    "leaky_relu": (1.4141, 1.4141),
    "prelu": (1.3720, 1.3720),
    "elu": (1.2452, 1.2234),
    "celu": (1.2452, 1.2234),
    "selu": (1.0000, 0.9660),
    "gelu": (1.5335, 1.4811),
    "silu": (1.6765, 1.6233),
    "mish": (1.4868, 1.4448),
    "hardswish": (1.7367, 1.6701),
    "sigmoid": (1.8462, 4.7226),
    "hardsigmoid": (1.8978, 6.0081),
    "softplus": (1.0419, 1.8462),
    "logsigmoid": (1.0419, 1.8462),
    "tanh": (1.5925, 1.4674),
    "hardtanh": (1.3920, 1.2103),
    "softsign": (2.3375, 2.0958),
    "relu_squared": (0.8165, 0.7071),
    "quick_gelu": (1.5395, 1.4915),
    "sin": (1.5209, 1.3273),
}


@pytest.mark.parametrize("name", sorted(MEASURED))
def test_gains_agree_with_what_was_measured(name: str) -> None:
    forward, backward = MEASURED[name]
    assert gains.gain(name) == pytest.approx(forward, abs=1.01e-4)
    assert gains.backward_gain(name) == pytest.approx(backward, abs=1.01e-4)


@pytest.mark.parametrize(("name", "forward"), [("glu", 1.846), ("geglu", 1.535), ("swiglu", 1.678)])
def test_gated_units_agree_with_what_was_measured(name: str, forward: float) -> None:
    assert gains.gain(name) == pytest.approx(forward, abs=2e-3)  # the table has them from samples


@pytest.mark.parametrize("name", sorted(names() - set(DEFAULT_SLOPES)))
def test_tabulated_gains_are_those_of_the_moments(name: str) -> None:
    assert gains.gain(name) == pytest.approx(gains.second_moment(name) ** -0.5, rel=1e-9)
    assert gains.backward_gain(name) == pytest.approx(gains.derivative_moment(name) ** -0.5, rel=1e-9)


def test_a_slope_is_used() -> None:
    assert gains.gain("leaky_relu", 0.2) == pytest.approx(1.3868, abs=1.01e-4)
    for slope in (0.0, 0.01, 0.2, 0.25, 1.0):
        exact = math.sqrt(2 / (1 + slope**2))  # He et al. 2015, eq. 15
        assert gains.gain("leaky_relu", slope) == pytest.approx(exact, rel=1e-9)
        assert gains.backward_gain("prelu", slope) == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize("power", range(0, 9, 2))
def test_quadrature_gives_the_moments_of_the_normal_law(power: int) -> None:
    assert gaussian_mean(lambda z: z**power) == pytest.approx(math.prod(range(1, power, 2)), rel=1e-9)


def test_quadrature_finds_a_jump_that_nobody_told_it_of() -> None:
    assert gaussian_mean(lambda z: float(z > 0.7391)) == pytest.approx(0.5 * math.erfc(0.7391 / math.sqrt(2)), rel=1e-9)


@pytest.mark.parametrize("q", [1e-12, 1e-3, 0.5, 4.0, 1e6])
def test_second_moments_in_closed_form(q: float) -> None:
    assert gains.second_moment("relu", q) == pytest.approx(q / 2, rel=1e-9)
    assert gains.second_moment("identity", q) == pytest.approx(q, rel=1e-9)
    assert gains.second_moment("relu_squared", q) == pytest.approx(1.5 * q * q, rel=1e-9)
    assert gains.second_moment("sin", min(q, 400.0)) == pytest.approx(-math.expm1(-2 * min(q, 400.0)) / 2, rel=1e-8)
    assert gains.second_moment("reglu", q) == pytest.approx(q * q / 2, rel=1e-9)
    # E[erf(a z)^2] = 2/pi asin(2 a^2 / (1 + 2 a^2)) (Williams 1998)
    assert gains.second_moment(math.erf, q) == pytest.approx(2 / math.pi * math.asin(2 * q / (1 + 2 * q)), rel=1e-8)


def test_a_function_of_the_users_own_has_gains() -> None:
    def shifted(x: float) -> float:
        return max(x - 0.3, 0.0)

    tail, density = 0.5 * math.erfc(0.3 / math.sqrt(2)), math.exp(-0.045) / math.sqrt(2 * math.pi)
    assert gains.gain(shifted) == pytest.approx((tail * 1.09 - 0.3 * density) ** -0.5, rel=1e-7)
    assert gains.backward_gain(shifted) == pytest.approx(tail**-0.5, rel=1e-4)
    assert gains.backward_gain(math.tanh) == pytest.approx(gains.backward_gain("tanh"), rel=1e-6)


def test_what_is_unknown_stays_unknown() -> None:
    assert not known(gains.gain("no_such_nonlinearity"))
    assert not known(gains.gain("leaky_relu", UNKNOWN))
    assert not known(gains.gain(UNKNOWN))
    assert not known(gains.second_moment("relu", UNKNOWN))
    assert not known(gains.second_moment(lambda x: math.exp(x * x)))
    assert not known(gains.second_moment("sin", 1e6)), "a million radians: too fast to follow"
    assert not known(gains.gain(lambda x: 0.0))
    assert known(gains.gain("relu", UNKNOWN)), "a relu has no slope that could matter"


def test_activation_facts() -> None:
    leaky = gains.activation("leaky_relu", 0.2)
    assert (leaky.name, leaky.slope) == ("leaky_relu", 0.2)
    assert leaky.gain == pytest.approx(1.3868, abs=1e-4)
    assert gains.activation("leaky_relu", None).slope == DEFAULT_SLOPES["leaky_relu"]
    assert not known(gains.activation("leaky_relu").gain)
    assert gains.activation("relu").gain == pytest.approx(math.sqrt(2))
    assert not known(gains.activation("custom").gain)
    assert not known(gains.activation(UNKNOWN).gain)


@pytest.mark.torch
def test_functions_and_derivatives_are_torchs() -> None:
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    own: dict[str, Any] = {
        "identity": lambda x: x,
        "relu_squared": lambda x: F.relu(x) ** 2,
        "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
        "sin": torch.sin,
        "prelu": lambda x: F.prelu(x, torch.tensor([0.25], dtype=x.dtype)),
    }
    points = torch.linspace(-40, 40, 4001, dtype=torch.float64) + 1e-3  # beside the kinks
    for name in sorted(names()):
        unit = nonlinearity(name)
        if unit.gated:
            continue
        x = points.clone().requires_grad_()
        y = (own[name] if name in own else getattr(F, name))(x)
        y.sum().backward()
        ours = torch.tensor([[unit.phi(v), unit.derivative(v)] for v in points.tolist()], dtype=torch.float64)
        assert torch.allclose(ours[:, 0], y.detach(), rtol=1e-9, atol=1e-8), name
        assert torch.allclose(ours[:, 1], x.grad, rtol=1e-6, atol=1e-8), name


@pytest.mark.torch
@pytest.mark.parametrize("name", ["glu", "reglu", "geglu", "swiglu"])
def test_gated_units_against_samples(name: str) -> None:
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    gate = {"glu": torch.sigmoid, "reglu": F.relu, "geglu": F.gelu, "swiglu": F.silu}[name]
    torch.manual_seed(0)
    q = 2.0
    x = (torch.randn(10**6, 2, dtype=torch.float64) * q**0.5).requires_grad_()
    y = x[:, 0] * gate(x[:, 1])
    y.sum().backward()
    assert gains.second_moment(name, q) == pytest.approx(float(y.detach().square().mean()), rel=0.02)
    assert gains.derivative_moment(name, q) == pytest.approx(float(x.grad.square().mean()), rel=0.02)


def test_what_passes_a_large_signal_on_is_neither_bounded_nor_a_product() -> None:
    bounded = {"relu6", "sigmoid", "hardsigmoid", "tanh", "hardtanh", "softsign", "sin", "logsigmoid"}
    products = {"relu_squared", "glu", "reglu", "geglu", "swiglu"}
    assert {name for name in names() if not passes_on(name)} == bounded | products
    assert not passes_on("custom")


def test_a_hidden_unit_rests_at_zero() -> None:
    gated = {"glu", "geglu", "reglu", "swiglu"}
    otherwise = {"identity", "sin", "sigmoid", "hardsigmoid", "logsigmoid", "softplus"}
    assert {name for name in names() if not rests_at_zero(name)} == gated | otherwise
    assert not rests_at_zero("custom")


@pytest.mark.torch
def test_torch_gain_is_calculate_gain() -> None:
    torch = pytest.importorskip("torch")
    for name in gains.CALCULATE_GAIN_NAMES:
        assert gains.torch_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name), rel=1e-12)
    for slope in (0, 0.2, math.sqrt(5), -1.0):
        expected = torch.nn.init.calculate_gain("leaky_relu", slope)
        assert gains.torch_gain("leaky_relu", slope) == pytest.approx(expected, rel=1e-12)
    for name in names() - gains.CALCULATE_GAIN_NAMES:
        with pytest.raises(ValueError, match="Unsupported"):
            torch.nn.init.calculate_gain(name)
        with pytest.raises(ValueError, match=name):
            gains.torch_gain(name)
    for other in (["relu"], {"relu": 1}, ("relu",), 3):
        with pytest.raises(ValueError, match="Unsupported"):
            torch.nn.init.calculate_gain(other)
        with pytest.raises(ValueError, match="does not know"):
            gains.torch_gain(other)  # type: ignore[arg-type]
    for wrong in (True, "fan_out"):
        with pytest.raises(ValueError, match="not a valid number"):
            torch.nn.init.calculate_gain("leaky_relu", wrong)
        with pytest.raises(ValueError, match="no number"):
            gains.torch_gain("leaky_relu", wrong)  # type: ignore[arg-type]
    assert not known(gains.torch_gain("leaky_relu", UNKNOWN))
    assert not known(gains.torch_gain(UNKNOWN))


def test_every_nonlinearity_without_a_slope_has_its_gains_at_hand() -> None:
    """A misspelt row would cost each static check a quadrature, and nothing else would tell."""
    assert gains._GAINS.keys() == names() - DEFAULT_SLOPES.keys()
