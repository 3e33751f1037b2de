"""How many terms a layer's outputs sum (fan-in) and its inputs feed (fan-out).

Two answers exist. ``layer_fans`` counts what the layer does with its weight, which is what decides whether variance is
kept (Glorot & Bengio 2010; He et al. 2015, arXiv 1502.01852). ``torch_fans`` is what torch.nn.init reads off the shape,
knowing nothing of groups, transposition, packing or stacking. Where they differ, a fan-scaled initialiser misses its
mark.
"""

from __future__ import annotations

from collections.abc import Iterable

from initlint.facts import UNKNOWN, known, layer_family
from initlint.record import NamedTuple
from initlint.regex import pattern
from initlint.theory.contagion import product, size, sizes

__all__ = ["GATES", "IN_OUT", "OUT_IN", "Fans", "axes_fans", "layer_fans", "matrix_fans", "torch_fans"]

IN_OUT = "in_out"
"""A matrix stored (in, out) and used as ``x @ W``."""

OUT_IN = "out_in"
"""A matrix stored (out, in) and used as ``x @ W.T``, as torch.nn.Linear does."""

GATES = {"RNN": 1, "RNNCell": 1, "GRU": 3, "GRUCell": 3, "LSTM": 4, "LSTMCell": 4}
"""How many maps a recurrent layer stacks along dimension 0 of its weights."""

_CONVOLUTION = pattern(r"Conv(Transpose)?([123])d")


class Fans(NamedTuple):
    """``fan_in``: terms that one output sums; ``fan_out``: outputs that one input feeds. Each may be UNKNOWN."""

    fan_in: int
    fan_out: int


_NONE = Fans(UNKNOWN, UNKNOWN)


def torch_fans(shape: object) -> Fans:
    """What torch.nn.init computes from a shape: (shape[1], shape[0]) times the product of the rest.

    Unknown dimensions give unknown fans; so do fewer than two dimensions, where torch raises ValueError.
    """
    dimensions = sizes(shape)
    if not known(dimensions) or len(dimensions) < 2:
        return _NONE
    field = dimensions[2:]
    return Fans(product((dimensions[1], *field)), product((dimensions[0], *field)))


def matrix_fans(shape: object, orientation: str = UNKNOWN) -> Fans:
    """Fans of a bare matrix, or of a stack of them (experts, heads): the last two dimensions are the map.

    ``orientation`` is ``IN_OUT`` or ``OUT_IN``; a shape cannot tell, so without it nothing is known.
    Leading dimensions count maps that run side by side and are no part of either fan.
    """
    dimensions = sizes(shape)
    if not known(dimensions) or len(dimensions) < 2 or not known(orientation):
        return _NONE
    first, second = dimensions[-2:]
    if orientation == IN_OUT:
        return Fans(first, second)
    return Fans(second, first) if orientation == OUT_IN else _NONE


def axes_fans(shape: object, ins: Iterable[int], outs: Iterable[int]) -> Fans:
    """Fans of a bare tensor whose axes ``ins`` are summed over and whose axes ``outs`` are made."""
    dimensions = sizes(shape)
    if not known(dimensions):
        return _NONE
    return Fans(product(dimensions[axis] for axis in ins), product(dimensions[axis] for axis in outs))


def layer_fans(
    kind: str,
    shape: object,
    *,
    name: str = "weight",
    groups: int = 1,
    stride: int | Iterable[int] = 1,
    orientation: str = UNKNOWN,
) -> Fans:
    """The fans of one parameter of a layer, as the layer uses it; UNKNOWN for what is no linear map. Never raises.

    ``kind`` is a class name of torch.nn, ``name`` the parameter's name within the layer ("out_proj.weight" counts as
    MultiheadAttention's). For other kinds the shape is read by ``matrix_fans`` with ``orientation``.

    - Linear (out, in): in, out.
    - Conv (out, in / groups, *k): in / groups * prod(k), and out / groups * prod(k). Stride is left out of fan-out, as
      He et al. do: it would thin the gradient by prod(stride).
    - ConvTranspose (in, out / groups, *k): an output position is met by prod(k) / prod(stride) kernel taps on
      average, so fan-in is in / groups * prod(k) / prod(stride), rounded and at least 1; fan-out is out / groups *
      prod(k). An unknown stride leaves fan-in unknown.
    - Embedding (rows, dim): a lookup takes one row and sums nothing: 1, dim.
    - Bilinear (out, in1, in2): a linear map of the in1 * in2 products: in1 * in2, out.
    - RNN, GRU, LSTM: each gate is a map of its own, so (gates * H, I) has fans I, H; ``weight_hr`` (P, H) has H, P.
    - MultiheadAttention: ``in_proj_weight`` (3E, E) holds three maps: E, E; the others are (out, in).
    """
    dimensions = sizes(shape)
    if not known(kind) or not known(dimensions) or not known(name):
        return _NONE
    leaf = name.rpartition(".")[2]
    family = layer_family(kind)
    if family == "recurrent":
        return _recurrent(kind, dimensions, leaf)
    if family == "attention":
        return _attention(dimensions, leaf)
    if "bias" in leaf or family in ("norm", "activation"):
        return _NONE
    convolution = _CONVOLUTION.fullmatch(kind)
    if convolution is not None:
        if leaf != "weight" or len(dimensions) != 2 + int(convolution[2]):
            return _NONE
        return _transposed(dimensions, groups, stride) if convolution[1] else _convolution(dimensions, groups)
    if family == "linear":
        return Fans(dimensions[1], dimensions[0]) if len(dimensions) == 2 else _NONE
    if family == "embedding":
        return Fans(1, dimensions[1]) if len(dimensions) == 2 else _NONE
    if family == "bilinear":
        return Fans(product(dimensions[1:]), dimensions[0]) if len(dimensions) == 3 else _NONE
    return matrix_fans(dimensions, orientation)


def _share(whole: int, parts: int) -> int:
    """``whole / parts`` where both are known and it comes out even."""
    parts = size(parts)
    if not known(whole) or not known(parts) or whole % parts:
        return UNKNOWN  # type: ignore[no-any-return]
    return whole // parts


def _convolution(dimensions: tuple[int, ...], groups: int) -> Fans:
    taps = product(dimensions[2:])
    return Fans(product((dimensions[1], taps)), product((_share(dimensions[0], groups), taps)))


def _transposed(dimensions: tuple[int, ...], groups: int, stride: int | Iterable[int]) -> Fans:
    taps = product(dimensions[2:])
    terms = product((_share(dimensions[0], groups), taps))
    steps = sizes((stride,) * (len(dimensions) - 2) if not known(stride) or isinstance(stride, int) else stride)
    met = product(steps) if known(steps) and len(steps) == len(dimensions) - 2 else UNKNOWN
    fan_in = max(1, round(terms / met)) if known(terms) and known(met) else UNKNOWN
    return Fans(fan_in, product((dimensions[1], taps)))


def _recurrent(kind: str, dimensions: tuple[int, ...], leaf: str) -> Fans:
    if len(dimensions) != 2 or not leaf.startswith("weight"):
        return _NONE
    if leaf.startswith("weight_hr"):
        return Fans(dimensions[1], dimensions[0])
    return Fans(dimensions[1], _share(dimensions[0], GATES[kind]))


def _attention(dimensions: tuple[int, ...], leaf: str) -> Fans:
    if len(dimensions) != 2 or not leaf.endswith("weight"):
        return _NONE
    return Fans(dimensions[1], _share(dimensions[0], 3) if leaf == "in_proj_weight" else dimensions[0])
