"""Arithmetic on constants, as far as it is certain and cheap."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from initlint.facts import Gain

LARGEST = 10**15
_LONGEST = 4096


def _power(a: Any, b: Any) -> Any:
    if isinstance(a, int) and isinstance(b, int) and (abs(b) > 64 or abs(a) > 10**6):
        raise ValueError("too large")
    return a**b


def _times(a: Any, b: Any) -> Any:
    if (isinstance(a, (str, tuple)) and (not isinstance(b, int) or len(a) * b > _LONGEST)) or isinstance(
        b, (str, tuple)
    ):
        raise ValueError("too long")
    return a * b


_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: _times,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    **{
        f"math.{name}": getattr(math, name)
        for name in (
            "sqrt",
            "exp",
            "log",
            "log2",
            "log10",
            "pow",
            "floor",
            "ceil",
            "sin",
            "cos",
            "tanh",
            "prod",
            "fabs",
            "gcd",
        )
    },
    "numpy.sqrt": math.sqrt,
    "numpy.log": math.log,
    "numpy.exp": math.exp,
    "numpy.prod": math.prod,
    "int": int,
    "float": float,
    "abs": abs,
    "round": round,
    "bool": bool,
    "str": str,
    "pow": _power,
    "max": max,
    "min": min,
    "sum": sum,
}
CONSTANTS: Mapping[str, Any] = {
    "math.pi": math.pi,
    "math.e": math.e,
    "math.inf": math.inf,
    "numpy.pi": math.pi,
    "torch.pi": math.pi,
    "math.tau": math.tau,
    "float": float,
}

FAILED: Any = object()

_SINGLE = (bool, type(None))
"""Of these kinds, values that are equal are the same."""


def _bounded(value: Any) -> Any:
    if isinstance(value, int) and abs(value) > LARGEST:
        return FAILED
    if isinstance(value, (str, tuple)) and len(value) > _LONGEST:
        return FAILED
    return value if isinstance(value, (int, float, str, bool, tuple)) or value is None else FAILED


def binary(op: ast.operator, a: Any, b: Any) -> Any:
    """``a op b``, FAILED where it has no certain value."""
    function = _BINARY.get(type(op))
    if function is None or (isinstance(a, str) and isinstance(op, ast.Mod)):
        return FAILED
    try:
        return _bounded(function(a, b))
    except (ArithmeticError, TypeError, ValueError):
        return FAILED


def unary(op: ast.unaryop, a: Any) -> Any:
    """``op a``, FAILED where it has no certain value."""
    try:
        if isinstance(op, ast.USub):
            return _bounded(-a)
        if isinstance(op, ast.Not):
            return not a
        if isinstance(op, ast.UAdd):
            return _bounded(+a)
    except TypeError:
        pass
    return FAILED


def compare(op: ast.cmpop, a: Any, b: Any) -> Any:
    """``a op b``, FAILED where it has no certain value."""
    try:
        if isinstance(op, ast.In):
            return a in b
        if isinstance(op, ast.NotIn):
            return a not in b
        if isinstance(op, (ast.Is, ast.IsNot)) and type(a) is type(b) and a == b and not isinstance(a, _SINGLE):
            return FAILED  # whether equal numbers and texts are one object is for the compiler to say
        return bool(_COMPARE[type(op)](a, b))
    except TypeError:
        return FAILED


def call(name: str, arguments: list[Any]) -> Any:
    """The value of a pure function of the standard library or numpy, FAILED where it has none that is certain."""
    function = _FUNCTIONS.get(name)
    if function is None:
        return FAILED
    try:
        return _bounded(function(*arguments))
    except (ArithmeticError, TypeError, ValueError):
        return FAILED


_GAINS = {
    "linear": 1.0,
    "conv1d": 1.0,
    "conv2d": 1.0,
    "conv3d": 1.0,
    "conv_transpose1d": 1.0,
    "conv_transpose2d": 1.0,
    "conv_transpose3d": 1.0,
    "sigmoid": 1.0,
    "tanh": 5 / 3,
    "relu": math.sqrt(2),
    "selu": 0.75,
}


def calculate_gain(nonlinearity: Any, parameter: Any = None) -> Any:
    """torch.nn.init.calculate_gain, FAILED where it would raise or the arguments are not constants."""
    if not isinstance(nonlinearity, str):
        return FAILED
    if nonlinearity == "leaky_relu":
        slope = 0.01 if parameter is None else parameter
        number = isinstance(slope, (int, float)) and not isinstance(slope, bool)
        return Gain.of(math.sqrt(2 / (1 + slope**2)), nonlinearity) if number else FAILED
    gain = _GAINS.get(nonlinearity)
    return FAILED if gain is None else Gain.of(gain, nonlinearity)
