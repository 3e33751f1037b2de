"""Variance maps against closed forms, published figures and wide networks of the real torch."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest

from initlint.facts import UNKNOWN, known
from initlint.theory.variance import (
    ChainLayer,
    chi,
    correlation_depth,
    fixed_point,
    pair_step,
    predicted_drift,
    step,
)


def chain(depth: int, phi: Any, *, gain: float, width: int = 256, bias: float = 0.0) -> list[ChainLayer]:
    return [ChainLayer(gain / math.sqrt(width), width, width, bias, phi)] * depth


def test_closed_forms() -> None:
    assert step(3.0, 2.0, 0.25, "relu") == pytest.approx(3.25)
    assert chi(3.0, 2.0, "relu") == pytest.approx(1.0)
    assert step(1.0, 1.0, 0.0, "selu") == pytest.approx(1.0, abs=1e-9)  # Klambauer et al. 2017: q = 1 is fixed ...
    assert fixed_point(1.0, 0.0, "selu", start=1.5) == pytest.approx(1.0, abs=1e-6)  # ... and attracting
    assert fixed_point(0.9, 0.0, "relu") == 0.0
    assert not known(fixed_point(3.0, 0.0, "relu"))
    assert fixed_point(1.0, 0.5, "relu") == pytest.approx(1.0)  # q = q / 2 + 1 / 2


def test_correlation_depth() -> None:
    q = fixed_point(1.0, 0.1, "tanh")
    assert correlation_depth(q, 1.0, "tanh") == pytest.approx(-1 / math.log(chi(q, 1.0, "tanh")))
    assert correlation_depth(1.0, 2.0, "relu") == math.inf
    assert correlation_depth(1.0, 1.0, "relu") == pytest.approx(1 / math.log(2))
    assert not known(correlation_depth(1.0, 3.0, "relu")), "the chaotic phase has another fixed point"


def test_two_inputs_under_relu_follow_the_arc_cosine_kernel() -> None:
    """E[relu(u) relu(v)] = q (sin t + (pi - t) cos t) / (2 pi), cos t = correlation (Cho & Saul 2009)."""
    for correlation in (0.0, 0.5, 0.9, 0.999, 1 - 1e-5):
        angle = math.acos(correlation)
        kernel = (math.sin(angle) + (math.pi - angle) * math.cos(angle)) / (2 * math.pi)
        expected = 2 * (0.5 - kernel)
        tolerance = 0.02 if correlation > 0.99 else 5e-3  # the grid meets the kink
        assert pair_step(1.0, 1 - correlation, 2.0, "relu") == pytest.approx(expected, rel=tolerance)
    assert pair_step(1.0, 1e-12, 2.0, "relu") == pytest.approx(1e-12, rel=1e-6)
    assert pair_step(2.0, 2.0, 1.0, "identity") == pytest.approx(2.0)


def test_the_collapse_that_biases_hide() -> None:
    """A default ReLU MLP of 20 layers keeps 5e-3 of its variance, and across the batch 6e-16 (measured)."""
    drift = predicted_drift(chain(20, "relu", gain=3**-0.5, width=128, bias=(3 * 128) ** -0.5))
    assert 1e-3 < drift.forward**2 < 2e-2
    assert 1e-16 < drift.across_batch**2 < 3e-15
    assert drift.backward**2 == pytest.approx(6.0**-19)


def test_moments_are_taken_at_the_variance_that_is_there() -> None:
    """At its gain of 1.5335, gelu goes from 1 to 0.785 in 50 layers and to nothing in 200 (measured)."""
    start = 1 / 1.5335**2  # so that the first pre-activations have variance 1
    assert predicted_drift(chain(51, "gelu", gain=1.5335), input_moment=start).forward ** 2 == pytest.approx(
        0.785, abs=0.01
    )
    assert predicted_drift(chain(201, "gelu", gain=1.5335), input_moment=start).forward ** 2 < 1e-25


@pytest.mark.torch
@pytest.mark.parametrize(
    ("phi", "gain", "bias"), [("relu", 1.0, 0.05), ("tanh", 1.3, 0.1), ("gelu", 1.2, 0.0), ("leaky_relu", 1.4, 0.3)]
)
def test_wide_networks_do_what_is_predicted(phi: str, gain: float, bias: float) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    width, depth, samples = 1024, 6, 64
    function = getattr(torch, phi, None) or getattr(torch.nn.functional, phi)
    x = torch.randn(samples, width)
    outputs = []
    for layer in range(depth):
        x = x @ (torch.randn(width, width) * gain / math.sqrt(width)).requires_grad_() + bias * torch.randn(width)
        x.retain_grad()
        outputs.append(x)
        x = function(x) if layer < depth - 1 else x
    (x * torch.randn_like(x)).sum().backward()
    drift = predicted_drift(chain(depth, phi, gain=gain, width=width, bias=bias))
    first, last = outputs[0].detach(), outputs[-1].detach()
    rms = [float(one.square().mean().sqrt()) for one in (last, first)]
    across = [float(one.var(0).mean().sqrt()) for one in (last, first)]
    back = [float(one.grad.square().mean().sqrt()) for one in (outputs[0], outputs[-1])]
    assert drift.forward == pytest.approx(rms[0] / rms[1], rel=0.05)
    assert drift.across_batch == pytest.approx(across[0] / across[1], rel=0.05)
    assert drift.backward == pytest.approx(back[0] / back[1], rel=0.05)


def test_fans_and_functions_may_differ_from_layer_to_layer() -> None:
    layers = [
        ChainLayer(0.1, 100, 400, 0.0, "relu"),
        ChainLayer(0.1, 400, 50, 0.0, math.tanh),
        ChainLayer(0.1, 50, 10, 0.0, "identity"),
    ]
    drift = predicted_drift(layers)
    variances = [1.0]
    variances.append(step(variances[-1], 4.0, 0.0, "relu"))
    variances.append(step(variances[-1], 0.5, 0.0, "tanh"))
    assert drift.forward == pytest.approx(math.sqrt(variances[-1]))
    assert drift.backward == pytest.approx(math.sqrt(0.5 * chi(1.0, 0.5, "relu") * 0.1 * chi(2.0, 1.0, "tanh") / 0.5))


def test_unknown_is_contagious_and_no_further_than_it_must_be() -> None:
    layers = chain(4, "relu", gain=1.0)
    for field, unknown in (
        ("weight_std", {"forward", "across_batch", "backward"}),
        ("fan_in", {"forward", "across_batch", "backward"}),  # phi' is taken at a variance that nobody knows
        ("fan_out", {"backward"}),
        ("bias_std", {"forward", "across_batch", "backward"}),
        ("phi", {"forward", "across_batch", "backward"}),
    ):
        drift = predicted_drift([layers[0], layers[1], layers[2]._replace(**{field: UNKNOWN}), layers[3]])
        assert {name for name in drift._fields if not known(getattr(drift, name))} == unknown
    assert all(not known(ratio) for ratio in predicted_drift(layers[:1]))
    assert all(not known(ratio) for ratio in predicted_drift([]))
    assert known(predicted_drift([*layers[:3], layers[3]._replace(phi=UNKNOWN)]).forward), "nothing follows the last"
    assert not any(known(one) for one in (step(UNKNOWN, 1.0, 0.0, "relu"), chi(1.0, UNKNOWN, "relu")))
    for earlier, later in pairwise([0.5, 1.0, 2.0]):
        assert step(earlier, 1.0, 0.0, "tanh") < step(later, 1.0, 0.0, "tanh")


def test_the_slope_that_is_given_counts_everywhere() -> None:
    half = {"slope": 0.5}
    assert step(2.0, 1.5, 0.25, "leaky_relu", **half) == pytest.approx(1.5 * 2.0 * 0.625 + 0.25)
    assert chi(2.0, 1.5, "leaky_relu", **half) == pytest.approx(1.5 * 0.625)
    for difference in (1e-9, 0.5):
        slow = pair_step(1.0, difference, 1.0, "leaky_relu", **half)
        assert slow > pair_step(1.0, difference, 1.0, "leaky_relu", slope=0.1)
    assert pair_step(1.0, 1e-9, 1.0, "leaky_relu", **half) == pytest.approx(0.625e-9)
    assert correlation_depth(1.0, 1.0, "leaky_relu", **half) == pytest.approx(-1 / math.log(0.625))
    assert fixed_point(1.0, 0.375, "leaky_relu", **half) == pytest.approx(1.0, rel=1e-6)
    layers = [ChainLayer(0.1, 100, 100, 0.0, "leaky_relu", 0.5)] * 3
    drift = predicted_drift(layers)
    assert (drift.forward, drift.backward) == (pytest.approx(0.625), pytest.approx(0.625))


def test_pairs_at_the_edges() -> None:
    assert pair_step(0.0, 0.0, 1.0, "relu") == 0.0
    assert not known(pair_step(-1.0, 0.1, 1.0, "relu"))
    assert pair_step(1.0, 5.0, 1.0, "relu") == pair_step(1.0, 1.0, 1.0, "relu"), "no more than all there is"
    assert pair_step(1.0, 0.3, 1.0, math.tanh) == pytest.approx(pair_step(1.0, 0.3, 1.0, "tanh"), rel=1e-6)
    assert not known(pair_step(1.0, 0.3, 1.0, "swiglu")), "of gated units it is not followed"
    assert correlation_depth(1.0, 0.0, "relu") == 0.0
