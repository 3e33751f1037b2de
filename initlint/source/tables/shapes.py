"""The parameters that constructors of torch.nn make: name, role and shape, from the arguments.

Shapes follow the torch documentation of each class. A dimension that is not known is None; a shape whose number of
dimensions is not known is None as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from initlint.record import NamedTuple

Shape = tuple["int | None", ...]

Arguments = Mapping[str, Any]
"""Constructor arguments by name: Python constants, or ``MAYBE`` for what is not known."""

MAYBE: Any = object()
"""An argument whose value is not known."""


class Made(NamedTuple):
    """One parameter that a constructor makes. ``exists`` is None where that depends on what is not known."""

    name: str
    role: str
    shape: Shape | None
    exists: bool | None = True


def _int(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _flag(value: Any) -> bool | None:
    if value is MAYBE:
        return None
    return bool(value)


def _over(a: int | None, b: int | None) -> int | None:
    if a is None or not b or a % b:
        return None
    return a // b


def _times(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else a * b


def linear(given: Arguments) -> list[Made]:
    """``Linear``."""
    fan_in, out = _int(given["in_features"]), _int(given["out_features"])
    return [Made("weight", "weight", (out, fan_in)), Made("bias", "bias", (out,), _flag(given["bias"]))]


def bilinear(given: Arguments) -> list[Made]:
    """``Bilinear``."""
    out = _int(given["out_features"])
    shape = (out, _int(given["in1_features"]), _int(given["in2_features"]))
    return [Made("weight", "weight", shape), Made("bias", "bias", (out,), _flag(given["bias"]))]


def _kernel(value: Any, dimensions: int) -> Shape:
    if isinstance(value, (tuple, list)):
        sizes = tuple(_int(size) for size in value)
        return sizes if len(sizes) == dimensions else (None,) * dimensions
    return (_int(value),) * dimensions


def conv(dimensions: int, transposed: bool) -> Callable[[Arguments], list[Made]]:
    """The convolutions over so many dimensions."""

    def makes(given: Arguments) -> list[Made]:
        channels, out, groups = _int(given["in_channels"]), _int(given["out_channels"]), _int(given["groups"])
        first: Shape = (channels, _over(out, groups)) if transposed else (out, _over(channels, groups))
        shape = first + _kernel(given["kernel_size"], dimensions)
        return [Made("weight", "weight", shape), Made("bias", "bias", (out,), _flag(given["bias"]))]

    return makes


def batch_norm(given: Arguments) -> list[Made]:
    """``BatchNorm`` and ``InstanceNorm``."""
    size, affine = _int(given["num_features"]), _flag(given["affine"])
    return [Made("weight", "norm_scale", (size,), affine), Made("bias", "norm_bias", (size,), affine)]


def group_norm(given: Arguments) -> list[Made]:
    """``GroupNorm``."""
    size, affine = _int(given["num_channels"]), _flag(given["affine"])
    return [Made("weight", "norm_scale", (size,), affine), Made("bias", "norm_bias", (size,), affine)]


def _normalized_shape(value: Any) -> Shape | None:
    if value is MAYBE:
        return None
    return tuple(_int(size) for size in value) if isinstance(value, (tuple, list)) else (_int(value),)


def layer_norm(given: Arguments) -> list[Made]:
    """``LayerNorm``."""
    shape, affine = _normalized_shape(given["normalized_shape"]), _flag(given["elementwise_affine"])
    bias = _flag(given["bias"])
    has_bias = False if affine is False or bias is False else (True if affine and bias else None)
    return [Made("weight", "norm_scale", shape, affine), Made("bias", "norm_bias", shape, has_bias)]


def rms_norm(given: Arguments) -> list[Made]:
    """``RMSNorm``."""
    shape = _normalized_shape(given["normalized_shape"])
    return [Made("weight", "norm_scale", shape, _flag(given["elementwise_affine"]))]


def embedding(given: Arguments) -> list[Made]:
    """``Embedding`` and ``EmbeddingBag``."""
    return [Made("weight", "embedding", (_int(given["num_embeddings"]), _int(given["embedding_dim"])))]


def prelu(given: Arguments) -> list[Made]:
    """``PReLU``."""
    return [Made("weight", "scale", (_int(given["num_parameters"]),))]


def recurrent(gates: int) -> Callable[[Arguments], list[Made]]:
    """``RNN``, ``LSTM`` and ``GRU``, with 1, 4 and 3 gates."""

    def makes(given: Arguments) -> list[Made]:
        size, hidden = _int(given["input_size"]), _int(given["hidden_size"])
        layers, bias, projected = _int(given["num_layers"]), _flag(given["bias"]), given.get("proj_size", 0)
        both = given["bidirectional"]
        if layers is None or layers > 64 or both is MAYBE or _int(projected) is None:
            return []
        ways = ("", "_reverse") if both else ("",)
        out = _int(projected) or hidden
        made = []
        for layer in range(layers):
            below = size if layer == 0 else _times(out, len(ways))
            rows = _times(hidden, gates)
            for way in ways:
                end = f"_l{layer}{way}"
                made.append(Made("weight_ih" + end, "weight", (rows, below)))
                made.append(Made("weight_hh" + end, "recurrent_weight", (rows, out)))
                made.append(Made("bias_ih" + end, "bias", (rows,), bias))
                made.append(Made("bias_hh" + end, "bias", (rows,), bias))
                if projected:
                    made.append(Made("weight_hr" + end, "weight", (out, hidden)))
        return made

    return makes


def cell(gates: int) -> Callable[[Arguments], list[Made]]:
    """``RNNCell``, ``LSTMCell`` and ``GRUCell``, likewise."""

    def makes(given: Arguments) -> list[Made]:
        size, hidden, bias = _int(given["input_size"]), _int(given["hidden_size"]), _flag(given["bias"])
        rows = _times(hidden, gates)
        return [
            Made("weight_ih", "weight", (rows, size)),
            Made("weight_hh", "recurrent_weight", (rows, hidden)),
            Made("bias_ih", "bias", (rows,), bias),
            Made("bias_hh", "bias", (rows,), bias),
        ]

    return makes


def attention(given: Arguments) -> list[Made]:
    """``MultiheadAttention`` without its ``out_proj``, which is a layer of its own."""
    size, key, value = _int(given["embed_dim"]), given["kdim"], given["vdim"]
    if key is MAYBE or value is MAYBE:
        return []
    bias = _flag(given["bias"])
    if (key is None or key == size) and (value is None or value == size):
        made = [Made("in_proj_weight", "weight", (_times(size, 3), size))]
    else:
        made = [
            Made("q_proj_weight", "weight", (size, size)),
            Made("k_proj_weight", "weight", (size, _int(key) if key is not None else size)),
            Made("v_proj_weight", "weight", (size, _int(value) if value is not None else size)),
        ]
    made.append(Made("in_proj_bias", "bias", (_times(size, 3),), bias))
    extra = _flag(given["add_bias_kv"])
    made += [Made("bias_k", "bias", (1, 1, size), extra), Made("bias_v", "bias", (1, 1, size), extra)]
    return made


def nothing(_: Arguments) -> list[Made]:
    """Layers without parameters."""
    return []
