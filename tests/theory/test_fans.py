"""Fans against counts: a layer of ones, fed ones, tells how many terms each output sums and each input feeds."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initlint.facts import UNKNOWN, known
from initlint.theory.fans import IN_OUT, OUT_IN, Fans, axes_fans, layer_fans, matrix_fans, torch_fans


def counted(module: Any, *inputs: Any) -> tuple[float, float]:
    """(terms an output sums, outputs an input feeds), each averaged over what padding does not touch."""
    torch = pytest.importorskip("torch")
    with torch.no_grad():
        module.weight.fill_(1.0)
    leaves = [one.requires_grad_() for one in inputs]
    output = module(*leaves)
    output.sum().backward()

    def inner(tensor: Any) -> float:
        core = tensor.detach()
        for dimension in range(2, tensor.dim()):
            core = core.narrow(dimension, tensor.shape[dimension] // 4, tensor.shape[dimension] // 2)
        return float(core.mean())

    return inner(output), inner(leaves[0].grad)


@pytest.mark.torch
@pytest.mark.parametrize(
    ("kind", "arguments", "groups", "size"),
    [
        ("Conv1d", (6, 8, 3), 1, (1, 6, 32)),
        ("Conv2d", (6, 8, 3), 2, (1, 6, 16, 16)),
        ("Conv2d", (6, 12, (1, 5)), 6, (1, 6, 16, 16)),
        ("Conv3d", (4, 6, 3), 1, (1, 4, 12, 12, 12)),
        ("ConvTranspose1d", (6, 8, 4), 1, (1, 6, 32)),
        ("ConvTranspose2d", (6, 8, 4), 2, (1, 6, 16, 16)),
    ],
)
def test_convolutions(kind: str, arguments: tuple[Any, ...], groups: int, size: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch")
    module = getattr(torch.nn, kind)(*arguments, groups=groups, bias=False)
    fans = layer_fans(kind, tuple(module.weight.shape), groups=groups)
    assert fans == pytest.approx(counted(module, torch.ones(size)))


@pytest.mark.torch
@pytest.mark.parametrize(("kernel", "stride"), [(4, 2), (2, 2), (6, 3), (8, 4)])
def test_a_transposed_convolution_thins_its_fan_in_by_the_stride(kernel: int, stride: int) -> None:
    torch = pytest.importorskip("torch")
    module = torch.nn.ConvTranspose2d(6, 8, kernel, stride=stride, bias=False)
    fans = layer_fans("ConvTranspose2d", tuple(module.weight.shape), stride=stride)
    assert fans == pytest.approx(counted(module, torch.ones(1, 6, 24, 24)))
    assert fans == layer_fans("ConvTranspose2d", tuple(module.weight.shape), stride=(stride, stride))
    assert not known(layer_fans("ConvTranspose2d", tuple(module.weight.shape), stride=UNKNOWN).fan_in)


@pytest.mark.torch
def test_linear_and_bilinear() -> None:
    torch = pytest.importorskip("torch")
    linear = torch.nn.Linear(5, 7, bias=False)
    assert layer_fans("Linear", (7, 5)) == counted(linear, torch.ones(1, 5)) == (5, 7)
    bilinear = torch.nn.Bilinear(3, 4, 5, bias=False)
    terms, _ = counted(bilinear, torch.ones(1, 3), torch.ones(1, 4))
    assert layer_fans("Bilinear", (5, 3, 4)) == Fans(int(terms), 5)


def test_what_is_packed_counts_as_its_parts() -> None:
    assert layer_fans("MultiheadAttention", (192, 64), name="in_proj_weight") == (64, 64)
    assert layer_fans("MultiheadAttention", (64, 32), name="k_proj_weight") == (32, 64)
    assert layer_fans("MultiheadAttention", (64, 64), name="out_proj.weight") == (64, 64)
    assert layer_fans("LSTM", (4 * 20, 10), name="weight_ih_l0") == (10, 20)
    assert layer_fans("GRU", (3 * 20, 20), name="weight_hh_l0") == (20, 20)
    assert layer_fans("RNNCell", (20, 10), name="weight_ih") == (10, 20)
    assert layer_fans("LSTM", (4 * 20, 5), name="weight_hh_l1_reverse") == (5, 20)  # proj_size 5
    assert layer_fans("LSTM", (5, 20), name="weight_hr_l0") == (20, 5)
    assert layer_fans("Embedding", (1000, 64)) == (1, 64)
    assert layer_fans("Module", (8, 64, 256), orientation=IN_OUT) == (64, 256)
    assert layer_fans("Module", (8, 256, 64), orientation=OUT_IN) == (64, 256)


def test_what_is_no_linear_map_or_not_known_has_unknown_fans() -> None:
    for fans in (
        layer_fans("Linear", (7,), name="bias"),
        layer_fans("LayerNorm", (7,)),
        layer_fans("Module", (8, 64)),
        layer_fans("Linear", (4096,)),  # flattened by a sharding wrapper
        layer_fans("Conv2d", (3, 3)),
        layer_fans("LSTM", (80,), name="bias_ih_l0"),
        layer_fans("MultiheadAttention", (192,), name="in_proj_bias"),
        layer_fans(UNKNOWN, (3, 3)),
        layer_fans("Linear", UNKNOWN),
        matrix_fans((3, 3)),
        torch_fans((3,)),
        torch_fans(UNKNOWN),
    ):
        assert not known(fans.fan_in)
        assert not known(fans.fan_out)
    assert layer_fans("Linear", (UNKNOWN, 5)).fan_in == 5
    assert not known(layer_fans("Linear", (UNKNOWN, 5)).fan_out)
    assert not known(layer_fans("Conv2d", (8, 4, 3, 3), groups=UNKNOWN).fan_out)


@pytest.mark.torch
@given(st.lists(st.integers(1, 6), min_size=2, max_size=5))
def test_torch_fans_are_torchs(shape: list[int]) -> None:
    torch = pytest.importorskip("torch")
    assert torch_fans(shape) == torch.nn.init._calculate_fan_in_and_fan_out(torch.empty(shape))


dimension = st.one_of(st.integers(-1, 9), st.builds(lambda: UNKNOWN), st.sampled_from([None, "x"]))
kinds = st.sampled_from(["Linear", "Conv2d", "ConvTranspose1d", "LSTM", "MultiheadAttention", "Bilinear", "Module"])


@given(kinds, st.lists(dimension, max_size=5), dimension, st.one_of(dimension, st.lists(dimension, max_size=3)))
def test_fans_never_raise(kind: str, shape: list[Any], groups: Any, stride: Any) -> None:
    for name in ("weight", "bias", "in_proj_weight", "weight_hh_l0"):
        fans = layer_fans(kind, shape, name=name, groups=groups, stride=stride, orientation=OUT_IN)
        for fan in fans:
            assert not known(fan) or (isinstance(fan, int) and 1 <= fan <= math.prod([9] * 5))


def test_gates_of_cells_and_layers() -> None:
    for kind, gates in (("RNN", 1), ("RNNCell", 1), ("GRU", 3), ("GRUCell", 3), ("LSTM", 4), ("LSTMCell", 4)):
        assert layer_fans(kind, (gates * 20, 10), name="weight_ih") == (10, 20)
        assert not known(layer_fans(kind, (gates * 20, 10, 2), name="weight_ih").fan_in)


def test_axes_say_what_is_summed_and_what_is_made() -> None:
    assert axes_fans((2, 3, 4), (0,), (1, 2)) == (2, 12)
    fans = axes_fans((UNKNOWN, 3), (0,), (1,))
    assert (known(fans.fan_in), fans.fan_out) == (False, 3)
    assert not known(axes_fans(UNKNOWN, (0,), (1,)).fan_out)


def test_an_orientation_makes_no_linear_map_of_what_is_none() -> None:
    for kind, shape in (("LayerNorm", (8, 16)), ("PReLU", (8, 16)), ("BatchNorm2d", (8, 16))):
        assert not known(layer_fans(kind, shape, orientation=OUT_IN).fan_in), kind
    for kind, shape in (("Embedding", (8,)), ("Linear", (8, 4, 2)), ("Bilinear", (8, 4)), ("Conv1d", (8, 4, 3, 3))):
        assert not known(layer_fans(kind, shape, orientation=OUT_IN).fan_out), kind
    assert matrix_fans((2, 3), "in_out") == (2, 3)
    assert matrix_fans((2, 3), "out_in") == (3, 2)
    assert not known(matrix_fans((2, 3), "sideways").fan_in)


def test_a_transposed_convolution_meets_fewer_taps_the_wider_its_steps() -> None:
    assert layer_fans("ConvTranspose1d", (1, 4, 2), stride=4) == (1, 8), "at least one"
    fans = layer_fans("ConvTranspose2d", (8, 4, 3, 3), stride=UNKNOWN)
    assert (known(fans.fan_in), fans.fan_out) == (False, 36)
    assert not known(layer_fans("ConvTranspose2d", (8, 4, 3, 3), stride=(2,)).fan_in), "two steps for two dimensions"
    assert not known(layer_fans("Conv2d", (9, 4, 3, 3), groups=2).fan_out), "nine do not come in two groups"
    assert all(isinstance(fan, int) for fan in layer_fans("Conv2d", (8, 4, 3, 3), groups=2))
