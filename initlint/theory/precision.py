"""What the number formats that models are trained in can hold, and how a value fares in one."""

from __future__ import annotations

import math

from initlint.record import NamedTuple

__all__ = ["FORMATS", "Format", "Span", "canonical", "epsilon", "largest"]


class Span(NamedTuple):
    """Largest finite value, and the smallest that will do."""

    largest: float
    smallest: float


class Format(NamedTuple):
    """One name of ``--dtype``: what activations are held in, what gradients are, and whether the loss is scaled.

    Activations should be normal numbers. Gradients only have to be there: in 3 of 32 sound models (convnext's branches
    behind a scale of 1e-6, keys of attention) those of some layers lose digits in fp16 at any scale of the loss.
    ``scaled``: gradients of that range are only used with a loss scale (torch.amp.GradScaler), so that what counts is
    whether one power of two brings all of them into it.
    """

    forward: Span
    backward: Span
    scaled: bool


_FP32, _BF16 = Span(3.4028234663852886e38, 2.0**-126), Span(3.3895313892515355e38, 2.0**-126)
_FP16, _FP16_BACK = Span(65504.0, 2.0**-14), Span(65504.0, 2.0**-24)
_E4M3, _E5M2_BACK = Span(448.0, 2.0**-6), Span(57344.0, 2.0**-16)

FORMATS = {
    "fp16": Format(_FP16, _FP16_BACK, scaled=True),
    "bf16": Format(_BF16, _BF16, scaled=False),
    "fp8": Format(_E4M3, _E5M2_BACK, scaled=True),
    "fp32": Format(_FP32, _FP32, scaled=False),
}
"""By the name that --dtype takes. fp8 is e4m3 forward and e5m2 backward (Micikevicius et al. 2022, arXiv 2209.05433).
The figures are torch.finfo's: max, and tiny for activations; for scaled gradients the smallest subnormal number."""

_ALIASES = {"float16": "fp16", "half": "fp16", "bfloat16": "bf16", "float32": "fp32", "float": "fp32", "float8": "fp8"}


_EPSILONS = {"float64": 2.0**-52, "fp32": 2.0**-23, "fp16": 2.0**-10, "bf16": 2.0**-7, "fp8": 2.0**-3}


def epsilon(dtype: str) -> float:
    """The distance from 1 to the next number of a format, as --dtype or torch spells it; 0 for what is none."""
    return _EPSILONS.get(canonical(dtype) or dtype, 0.0)


def largest(dtype: str) -> float:
    """The largest finite number of a format, activations being held in it; infinity for float64 and what is none."""
    return FORMATS[name].forward.largest if (name := canonical(dtype)) is not None else math.inf


def canonical(text: str) -> str | None:
    """The name in ``FORMATS`` of what may be spelled as torch does ("torch.bfloat16"); None for what is none."""
    name = text.removeprefix("torch.")
    name = _ALIASES.get(name, name)
    return name if name in FORMATS else None
