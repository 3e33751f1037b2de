"""What torch's layers hold by themselves, against the layers themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from initlint.facts import UNKNOWN, known
from initlint.theory.defaults import default_distribution
from initlint.theory.fans import torch_fans

LAYERS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("Linear", (300, 3000), {}),
    ("Conv1d", (64, 2000, 5), {}),
    ("Conv2d", (64, 1000, 3), {"groups": 4}),
    ("ConvTranspose2d", (64, 1000, 3), {"groups": 2}),
    ("Embedding", (1000, 500), {}),
    ("EmbeddingBag", (1000, 500), {}),
    ("LSTM", (100, 300), {"bidirectional": True}),
    ("LSTM", (100, 300), {"proj_size": 50}),
    ("GRU", (100, 300), {}),
    ("RNN", (100, 300), {}),
    ("LSTMCell", (100, 300), {}),
    ("GRUCell", (100, 300), {}),
    ("Bilinear", (30, 40, 500), {}),
    ("MultiheadAttention", (256, 8), {"kdim": 100, "add_bias_kv": True}),
    ("MultiheadAttention", (256, 8), {}),
    ("BatchNorm2d", (8,), {}),
    ("LayerNorm", (8,), {}),
    ("GroupNorm", (2, 8), {}),
    ("RMSNorm", (8,), {}),
    ("InstanceNorm1d", (8,), {"affine": True}),
    ("PReLU", (8,), {}),
]


@pytest.mark.torch
@pytest.mark.parametrize(("kind", "arguments", "keywords"), LAYERS)
def test_defaults(kind: str, arguments: tuple[Any, ...], keywords: dict[str, Any], agree: Callable[..., None]) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(4)
    layer = getattr(torch.nn, kind)(*arguments, **keywords)
    weight = getattr(layer, "weight", None)
    fan_in: Any = UNKNOWN
    if weight is not None and weight.dim() > 1:
        fan_in = weight.shape[1] if kind == "Bilinear" else torch_fans(tuple(weight.shape)).fan_in
    checked = 0
    for name, parameter in layer.named_parameters():
        law = default_distribution(kind, name, tuple(parameter.shape), fan_in=fan_in)
        agree(law, parameter.detach())
        checked += 1
        if law.scheme is not None and known(law.gain):
            fans = torch_fans(tuple(parameter.shape))
            fan = fans.fan_in if law.mode == "fan_in" else (fans.fan_in + fans.fan_out) / 2
            assert law.std == pytest.approx(law.gain / fan**0.5)
    assert checked


def test_the_scheme_is_known_without_a_shape() -> None:
    law = default_distribution("Linear", "weight")
    assert (law.family, law.scheme, law.mode) == ("uniform", "default", "fan_in")
    assert law.gain == pytest.approx(3**-0.5)
    assert not known(law.std)
    assert default_distribution("Linear", "weight", fan_in=48).std == pytest.approx(1 / 12)
    assert default_distribution("Linear", "bias", fan_in=48).high == pytest.approx(48**-0.5)
    assert not known(default_distribution("Linear", "bias", (10,)).std), "a bias does not tell the fan-in"
    assert default_distribution("LSTM", "bias_hh_l0", hidden_size=64).high == 0.125
    assert default_distribution("NonDynamicallyQuantizableLinear", "bias").is_zero


def test_what_has_no_default_is_wholly_unknown() -> None:
    for law in (
        default_distribution("Module", "weight", (3, 3)),
        default_distribution("Linear", "weight_g", (3, 1)),
        default_distribution(UNKNOWN, "weight"),
        default_distribution("Linear", UNKNOWN),
    ):
        assert not known(law.family)


def test_the_running_moments_of_a_norm_are_those_of_a_standard_signal() -> None:
    values = {
        name: default_distribution("BatchNorm2d", name).value
        for name in ("weight", "bias", "running_mean", "running_var")
    }
    assert values == {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}
    assert not known(default_distribution("BatchNorm2d", "num_batches_tracked").family)


def test_a_weight_whose_shape_is_not_known_has_the_fan_that_is_told() -> None:
    weight = default_distribution("Linear", "weight", fan_in=48)
    assert (weight.mode, weight.scheme) == ("fan_in", "default")
    assert weight.gain == pytest.approx(3**-0.5)
    bias = default_distribution("Linear", "bias", fan_in=48)
    assert (bias.scheme, known(bias.gain), known(bias.mode)) == ("default", False, False)
    assert default_distribution("Bilinear", "weight", fan_in=48).high == pytest.approx(48**-0.5)
    assert default_distribution("Bilinear", "weight", (5, 48)).family == "uniform"
    assert not known(default_distribution("Bilinear", "weight", (5, 48)).std)


def test_a_recurrent_layers_hidden_size_is_what_is_told_or_read_off_the_shape() -> None:
    assert default_distribution("GRU", "weight_ih_l0", (3 * 64, 10), hidden_size=16).high == pytest.approx(0.25)
    assert default_distribution("GRU", "weight_ih_l0", (3 * 64, 10)).high == pytest.approx(0.125)
    assert default_distribution("LSTM", "weight_hr_l0", (10, 64)).high == pytest.approx(0.125)
    assert not known(default_distribution("LSTM", "weight_ih_l0", (66, 10)).high), "no four gates"
    assert not known(default_distribution("LSTM", "weight_hr_l0", (64,)).high)
    square, other = (default_distribution("GRU", "weight_hh_l0", (3 * 64, columns)) for columns in (64, 10))
    assert square.mode == "fan_in"
    assert not known(other.mode)
    assert not known(default_distribution("GRU", "other", (3 * 64, 10)).family)


def test_attention_starts_without_biases_and_its_output_as_a_linear_layer() -> None:
    for name in ("in_proj_bias", "out_proj.bias"):
        assert default_distribution("MultiheadAttention", name).is_zero
    law = default_distribution("MultiheadAttention", "out_proj.weight", (64, 64))
    assert (law.scheme, law.mode) == ("default", "fan_in")
    assert law.high == pytest.approx(0.125)
    for name in ("q_proj_weight", "k_proj_weight", "v_proj_weight", "in_proj_weight"):
        assert default_distribution("MultiheadAttention", name, (64, 64)).scheme == "xavier_uniform"
    for name in ("bias_k", "bias_v"):
        assert default_distribution("MultiheadAttention", name, (1, 1, 64)).scheme == "xavier_normal"
    assert not known(default_distribution("MultiheadAttention", "other", (64, 64)).family)
