"""What of a probed signal does not fit into the number format that a model is to be trained in."""

from __future__ import annotations

import math

from initlint.facts import Layer
from initlint.record import NamedTuple
from initlint.theory.precision import FORMATS, Format, Span

__all__ = ["Misfit", "loss_scale", "outside"]


class Misfit(NamedTuple):
    """Activations or gradients that leave a format's range: ``value`` is beyond ``limit``, on that side.

    A gradient's ``value`` is told with the loss scale in it.
    """

    gradient: bool
    over: bool
    value: float
    limit: float


def loss_scale(format_: Format, largest_gradient: float) -> float:
    """The power of two that brings the largest gradient up to half the range, where gradients are used scaled; else 1.

    As torch.amp.GradScaler finds it, which doubles the scale as long as nothing overflows.
    """
    if not format_.scaled or not largest_gradient:
        return 1.0
    return 2.0 ** math.floor(math.log2(format_.backward.largest / 2 / largest_gradient))


def outside(layer: Layer) -> Misfit | None:
    """What of a layer is beyond half the range of ``Probe.judged_dtype``, or mostly too small for it.

    Too small: under the smallest normal number, for gradients in fp16 and fp8 under the smallest of all. Activations go
    before gradients; None where both fit, or no format was asked for.
    """
    probe = layer.model.probe
    if probe.judged_dtype is None:
        return None
    format_ = FORMATS[probe.judged_dtype]
    found = _beyond(layer.probe.forward_extent, format_.forward, 1.0, gradient=False)
    if found is not None:
        return found
    scale = loss_scale(format_, probe.largest_gradient)
    return _beyond(layer.probe.gradient_extent, format_.backward, scale, gradient=True)


def _beyond(extent: tuple[float, float], span: Span, factor: float, *, gradient: bool) -> Misfit | None:
    largest, typical = extent
    if factor * largest > span.largest / 2:
        return Misfit(gradient, True, factor * largest, span.largest / 2)
    if factor * typical < span.smallest:
        return Misfit(gradient, False, factor * typical, span.smallest)
    return None
