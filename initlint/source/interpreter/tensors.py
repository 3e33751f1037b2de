"""Tensors made from sizes: ``torch.empty(n, m)`` and its kin."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from initlint.facts import UNKNOWN
from initlint.regex import pattern
from initlint.source.interpreter.modules import Walk, constant
from initlint.source.interpreter.values import UNSEEN, Const, Event, Items, Ref, Tensor, Unseen, Value

if TYPE_CHECKING:
    from initlint.source.interpreter.modules import Modules
    from initlint.source.interpreter.state import Unit

_SIZED = ("empty", "zeros", "ones", "rand", "randn")
_LIKE = tuple(f"{name}_like" for name in (*_SIZED, "full"))
FACTORIES = frozenset(
    f"torch.{name}"
    for name in (
        *_SIZED,
        *_LIKE,
        "full",
        "eye",
        "normal",
        "arange",
        "linspace",
        "tensor",
        "as_tensor",
        "from_numpy",
        "Tensor",
        "FloatTensor",
        "DoubleTensor",
        "HalfTensor",
        "LongTensor",
        "cuda.FloatTensor",
        "randint",
        "randperm",
    )
)
"""Functions of torch that make a tensor."""

_NUMBER = pattern(
    r"(?:^|[._])(?:dim|features|channels|hidden_size|embed_size|d_model|units|width|heads|classes|(?:n|num|in|out)_\w+)$"
)
"""Names that are given to one number, never to a shape."""

MAPS = frozenset(["log", "log2", "log10", "reciprocal", "rsqrt", "exp", "softplus"])
"""Functions of torch, of each value by itself, of which it is remembered what they were applied to."""

_OTHERS = (
    "abs absolute add sub subtract mul multiply div divide true_divide neg negative pow square sqrt exp2 expm1 log1p "
    "sigmoid tanh sin cos tan asin acos atan sinh cosh erf erfc erfinv floor ceil round trunc frac sign clamp clip "
    "clamp_min clamp_max relu gelu silu selu elu leaky_relu hardtanh softmax log_softmax cumsum cumprod flip roll "
    "nan_to_num lerp fmod remainder dropout normalize deg2rad rad2deg tril triu bernoulli clone"
)
ELEMENTWISE = MAPS | frozenset(_OTHERS.split())
"""Functions and methods of torch whose result has the shape of what they are given first."""

_DTYPES = {
    "torch.float16": "float16",
    "torch.half": "float16",
    "torch.bfloat16": "bfloat16",
    "torch.float32": "float32",
    "torch.float": "float32",
    "torch.float64": "float64",
    "torch.double": "float64",
}

_OLD = ("Tensor", "FloatTensor", "DoubleTensor", "HalfTensor", "LongTensor", "cuda.FloatTensor")


def _dimension(value: Value) -> int | None:
    number = constant(value)
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def sizes(positional: Sequence[Value], keywords: Mapping[str, Value]) -> tuple[int | None, ...] | None:
    """The shape that size arguments ask for, None where the number of dimensions is not known."""
    if not positional:
        size = keywords.get("size")
        positional = [size] if size is not None else []
        if size is None:
            return None
    first = positional[0]
    if len(positional) == 1 and isinstance(first, Items):
        return None if first.rest is not None else tuple(_dimension(value) for value in first.known)
    if any(isinstance(value, Walk) for value in positional):
        return None
    if len(positional) == 1 and not isinstance(first, Const):
        known_number = isinstance(first, Unseen) and _NUMBER.search(first.text) is not None
        return (None,) if known_number else None  # else a number, or a tuple of them
    return tuple(_dimension(value) for value in positional)


def _given(positional: Sequence[Value], keywords: Mapping[str, Value]) -> tuple[Value, ...]:
    """The values that ``sizes`` read."""
    size = keywords.get("size")
    values = positional or ((size,) if size is not None else ())
    first = values[0] if values else None
    return first.known if len(values) == 1 and isinstance(first, Items) else tuple(values)


def factory(
    machine: Modules, name: str, positional: list[Value], keywords: Mapping[str, Value], made: tuple[Unit, ast.AST]
) -> Value:
    """The tensor that a call of ``name`` makes."""
    short = name[6:]
    arguments: dict[str, Any] = {}
    shape: tuple[int | None, ...] | None
    function = name
    if short in _LIKE:
        source = positional[0] if positional else UNSEEN
        shape = source.shape if isinstance(source, Tensor) else None
        if short == "full_like":
            arguments["fill_value"] = constant(
                positional[1] if len(positional) > 1 else keywords.get("fill_value", UNSEEN)
            )
    elif short in _SIZED:
        shape = sizes(positional, keywords)
    elif short == "full":
        shape = sizes(positional[:1], keywords)
        arguments["fill_value"] = constant(positional[1] if len(positional) > 1 else keywords.get("fill_value", UNSEEN))
    elif short == "eye":
        rows = _dimension(positional[0]) if positional else None
        shape = (rows, _dimension(positional[1]) if len(positional) > 1 else rows)
    elif short == "normal":
        arguments["mean"] = constant(positional[0] if positional else keywords.get("mean", UNSEEN))
        arguments["std"] = constant(positional[1] if len(positional) > 1 else keywords.get("std", UNSEEN))
        shape = sizes(positional[2:3], keywords)
    elif short in _OLD:
        shape = sizes(positional, {})
        whole = bool(positional) and all(
            isinstance(value, Const) and isinstance(value.value, int) and not isinstance(value.value, bool)
            for value in positional
        )
        several = len(positional) > 1 and all(not isinstance(value, Items) for value in positional)
        if not (whole or several) or any(isinstance(value, Walk) for value in positional):
            return Tensor(machine.cell(), None, None)  # values, or a size: it is not known which
        function = "torch.empty"
    else:
        return _data(machine, short, positional, made)
    dtype = named_dtype(keywords.get("dtype"))
    event = Event(function, arguments, "user", made, machine.now(), dtype=dtype)
    tensor = Tensor(machine.cell(), shape, (event,), made)
    tensor.cell["#dtype"] = dtype
    if short == "LongTensor" or (dtype is None and isinstance(keywords.get("dtype"), Ref)):
        tensor.cell["#coded"] = True  # whole numbers or 8 bits: codes, which nobody trains
    if short in _SIZED or short in _OLD:
        given = _given(positional, keywords)
        tensor.sizes = given if shape is not None and len(given) == len(shape) else None
    if "device" in keywords or "dtype" in keywords or short not in (*_SIZED, "full", *_OLD[:2]):
        tensor.cell["#placed"] = True
    asked = keywords.get("requires_grad")
    if isinstance(asked, Const) and asked.value is True:
        tensor.cell["#asked"] = True
    return tensor


def named_dtype(value: Value | None) -> str | None:
    """The name of a floating dtype ("bfloat16"), None where it is not known."""
    return _DTYPES.get(value.name) if isinstance(value, Ref) else None


def cast(machine: Modules, tensor: Tensor, name: str, positional: Sequence[Value]) -> Tensor:
    """``tensor.half()``, ``tensor.to(dtype)``: the values that it holds, in another dtype."""
    dtype = _DTYPES.get(f"torch.{name}") or next(filter(None, map(named_dtype, positional)), None)
    if dtype is None:
        return tensor
    copy = Tensor(machine.cell(), tensor.shape, tensor.writes, tensor.made)
    copy.sizes, copy.partial, copy.rows = tensor.sizes, tensor.partial, tensor.rows
    copy.cell["#dtype"], copy.cell["#placed"] = dtype, True
    return copy


def mapped(machine: Modules, name: str, operands: Sequence[Value], made: tuple[Unit, ast.AST]) -> Value:
    """What a function of torch makes of tensors; that of a single draw is remembered as one."""
    result = machine.computed(operands if name in ELEMENTWISE else ())
    first = operands[0] if len(operands) == 1 else None
    if name not in MAPS or not isinstance(result, Tensor) or not isinstance(first, Tensor) or not first.writes:
        return result
    draw = first.writes[-1]
    if draw.overwrites and not first.partial:
        event = Event(f"torch.{name}", {}, "user", made, machine.now(), dtype=draw.dtype, of=draw)
        result.cell["#writes"] = (event,)
    return result


def _data(machine: Modules, short: str, positional: list[Value], made: tuple[Unit, ast.AST]) -> Value:
    first = positional[0] if positional else UNSEEN
    if short in ("tensor", "as_tensor"):
        value = constant(first)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            event = Event("torch.full", {"fill_value": value}, "user", made, machine.now())
            return Tensor(machine.cell(), (), (event,), made)
        shape = None
        if isinstance(value, tuple) and value and all(isinstance(v, (int, float)) for v in value):
            shape = (len(value),)
        event = Event("torch.tensor", {}, "user", made, machine.now())
        return Tensor(machine.cell(), shape, (event,), made)
    event = Event(f"torch.{short}", {}, "user", made, machine.now())
    known = constant(first, UNKNOWN)
    one = (known,) if short in ("arange", "randperm") and isinstance(known, int) and len(positional) == 1 else (None,)
    return Tensor(machine.cell(), one if short in ("arange", "linspace", "randperm") else None, (event,), made)
