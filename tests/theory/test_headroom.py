"""Number formats against torch's own figures, and what of a signal does not fit into them."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initlint.facts import Layer, LayerProbe, Model, Probe
from initlint.theory.headroom import Misfit, loss_scale, outside
from initlint.theory.precision import FORMATS, canonical, epsilon, largest


@pytest.mark.torch
def test_formats_are_those_of_torch() -> None:
    torch = pytest.importorskip("torch")
    for name, forward, backward, smallest in (
        ("fp16", torch.float16, torch.float16, "smallest_subnormal"),
        ("bf16", torch.bfloat16, torch.bfloat16, "tiny"),
        ("fp32", torch.float32, torch.float32, "tiny"),
        ("fp8", torch.float8_e4m3fn, torch.float8_e5m2, "smallest_subnormal"),
    ):
        there, back = torch.finfo(forward), torch.finfo(backward)
        assert FORMATS[name].forward == pytest.approx((there.max, there.tiny), rel=1e-9, abs=0)
        least = 2.0 ** math.log2(back.tiny * back.eps) if smallest == "smallest_subnormal" else back.tiny
        assert FORMATS[name].backward == pytest.approx((back.max, least), rel=1e-9, abs=0)
    assert {name for name, format_ in FORMATS.items() if format_.scaled} == {"fp16", "fp8"}


@pytest.mark.torch
def test_the_grain_and_the_end_of_a_format_are_torchs() -> None:
    torch = pytest.importorskip("torch")
    for name in ("float64", "torch.float32", "fp16", "bfloat16"):
        figures = torch.finfo(getattr(torch, {"fp16": "float16"}.get(name, name.removeprefix("torch."))))
        assert epsilon(name) == figures.eps
        assert largest(name) == (math.inf if name == "float64" else pytest.approx(figures.max, rel=1e-9))
    assert epsilon("fp8") == torch.finfo(torch.float8_e4m3fn).eps
    assert (epsilon("int8"), largest("int8")) == (0.0, math.inf)


def test_a_format_goes_by_torchs_names_too() -> None:
    spelled = {
        "fp16": ("fp16", "float16", "half", "torch.float16", "torch.half"),
        "bf16": ("bf16", "bfloat16", "torch.bfloat16"),
        "fp32": ("fp32", "float32", "float", "torch.float32"),
        "fp8": ("fp8", "float8"),
    }
    for name, spellings in spelled.items():
        assert {canonical(text) for text in spellings} == {name}
    assert canonical("torch.int8") is None
    assert canonical("float16.torch.") is None


@given(st.floats(1e-30, 1e30))
def test_the_loss_is_scaled_by_a_power_of_two_up_to_half_the_range(largest: float) -> None:
    for name in ("fp16", "fp8"):
        scale, limit = loss_scale(FORMATS[name], largest), FORMATS[name].backward.largest
        assert math.log2(scale) == round(math.log2(scale))
        assert limit / 4 < scale * largest <= limit / 2
    assert loss_scale(FORMATS["bf16"], largest) == 1


def test_without_a_gradient_nothing_is_scaled() -> None:
    assert loss_scale(FORMATS["fp16"], 0.0) == 1


def probed(
    forward: tuple[float, float], gradient: tuple[float, float], dtype: Any = "fp16", largest: float = 1.0
) -> Layer:
    layer = Layer(name="fc", probe=LayerProbe(forward_std=1.0, forward_extent=forward, gradient_extent=gradient))
    probe = Probe(batch="x", judged_dtype=dtype, largest_gradient=largest)
    return Model(name="net", layers=(layer,), probe=probe).layers[0]


def test_what_fits_and_what_does_not() -> None:
    fits = (1.0, 1e-2)
    half = 65504.0 / 2
    assert outside(probed(fits, fits)) is None
    assert outside(probed((half, 1.0), fits)) is None
    assert outside(probed((half * 1.01, 1.0), fits)) == Misfit(False, True, half * 1.01, half)
    assert outside(probed((1.0, 2.0**-14), fits)) is None
    assert outside(probed((1.0, 2.0**-15), fits)) == Misfit(False, False, 2.0**-15, 2.0**-14)
    assert outside(probed((1e9, 1.0), (1e9, 1.0), None)) is None, "no format was asked for"


def test_a_gradient_is_judged_as_the_loss_scale_leaves_it() -> None:
    fits = (1.0, 1e-2)
    scale = 2.0**14  # brings 1.0 to a quarter of the range or more
    assert outside(probed(fits, (1.0, 2.0**-38))) is None
    assert outside(probed(fits, (1.0, 2.0**-39))) == Misfit(True, False, 2.0**-39 * scale, 2.0**-24)
    assert outside(probed(fits, (3.0, 1.0))) == Misfit(True, True, 3.0 * scale, 65504.0 / 2)
    assert outside(probed(fits, (1.0, 1e-39), "bf16")) == Misfit(True, False, 1e-39, 2.0**-126)
    assert outside(probed((1e9, 1.0), (3.0, 1.0))) == Misfit(False, True, 1e9, 65504.0 / 2), "activations first"
