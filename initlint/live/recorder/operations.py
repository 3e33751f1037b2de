"""What an operation of torch's dispatcher does to memory: makes it, looks at it, or writes to it."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from initlint.facts import UNKNOWN

__all__ = ["Kind", "Operation", "plain"]


class Kind(enum.Enum):
    """What becomes of memory."""

    VIEW = "no memory is made or written"
    ALLOCATION = "memory is made and left as it was found"
    FACTORY = "memory is made and filled, from no other tensor's values"
    GIVEN = "values of Python's come in (torch.tensor)"
    CAST = "the same values in another type or on another device"
    COPY = "the same values again"
    COMPUTATION = "values computed from other tensors"
    WRITE = "memory that was there is written"


_ALLOCATIONS = frozenset(
    {"empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided", "empty_permuted", "_efficientzerotensor"}
)
_FACTORIES = frozenset(
    [
        "arange",
        "bernoulli",
        "eye",
        "full",
        "full_like",
        "linspace",
        "logspace",
        "new_full",
        "new_ones",
        "new_zeros",
        "normal",
        "ones",
        "ones_like",
        "rand",
        "rand_like",
        "randint",
        "randint_like",
        "randn",
        "randn_like",
        "randperm",
        "tril_indices",
        "triu_indices",
        "zeros",
        "zeros_like",
    ]
)
_OVERWRITING = frozenset(
    [
        "fill_",
        "zero_",
        "normal_",
        "uniform_",
        "copy_",
        "random_",
        "exponential_",
        "bernoulli_",
        "cauchy_",
        "log_normal_",
        "geometric_",
    ]
)
_RANDOM = frozenset(
    {"normal", "bernoulli", "binomial", "poisson", "multinomial", "_standard_gamma", "_sample_dirichlet"}
)
"""They draw from tensors of parameters: what they give is none of the values that they take."""
_BOOKKEEPING = frozenset({"set_", "resize_", "resize_as_", "requires_grad_"})
"""They have a tensor written in their schema, and set no element."""
_SELF_EVIDENT = frozenset(
    {"self", "src", "size", "generator", "dtype", "layout", "device", "pin_memory", "memory_format"}
)


class Operation:
    """One overload of one operation, described once.

    ``name`` is torch's ("normal_"), ``canonical`` as a user knows it ("torch.Tensor.normal_", "torch.randn").
    ``overwrites``: no old value survives in the tensor that it writes. ``draws``: the new ones come from its numbers
    alone. ``is_random``: it draws from laws whose parameters are tensors.
    """

    __slots__ = (
        "_defaults",
        "_names",
        "_skipped",
        "_targets",
        "canonical",
        "draws",
        "is_random",
        "kind",
        "name",
        "overwrites",
    )

    def __init__(self, function: Any) -> None:
        schema = function._schema
        self.name: str = schema.name.rpartition("::")[2]
        self._names = tuple(argument.name for argument in schema.arguments)
        self._defaults = {a.name: a.default_value for a in schema.arguments if a.has_default_value()}
        self._targets = tuple(
            (index, argument.name, argument.kwarg_only)
            for index, argument in enumerate(schema.arguments)
            if argument.alias_info is not None and argument.alias_info.is_write
        )
        self._skipped = _SELF_EVIDENT | {name for _, name, _ in self._targets}
        out = bool(self._targets) and all(keyword_only for _, _, keyword_only in self._targets)
        self.overwrites = out or self.name in _OVERWRITING
        self.draws = self.name in _OVERWRITING - {"copy_"} or self._draws(schema)
        self.is_random = self.name in _RANDOM and not self.draws
        self.kind = self._kind(schema)
        if out or (self.kind is not Kind.WRITE and not self.name.startswith("new_")):
            self.canonical = "torch.tensor" if self.kind is Kind.GIVEN else "torch." + self.name
        else:
            self.canonical = "torch.Tensor." + self.name

    def _kind(self, schema: Any) -> Kind:
        if self.name in _BOOKKEEPING:
            return Kind.VIEW
        if self._targets:
            return Kind.WRITE
        if self.name == "lift_fresh":
            return Kind.GIVEN
        if any(result.alias_info is not None for result in schema.returns):
            return Kind.VIEW
        if self.name in _ALLOCATIONS:
            return Kind.ALLOCATION
        if self._draws(schema):
            return Kind.FACTORY
        if self.name == "_to_copy":
            return Kind.CAST
        return Kind.COPY if self.name == "clone" else Kind.COMPUTATION

    def _draws(self, schema: Any) -> bool:
        """Whether it fills what it makes from numbers alone (torch.normal and bernoulli may take tensors of them)."""
        from_tensors = self.name in ("normal", "bernoulli") and any(
            str(argument.type) == "Tensor" and argument.alias_info is None for argument in schema.arguments
        )
        return self.name in _FACTORIES and not from_tensors

    def written(self, arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> Iterator[torch.Tensor]:
        """The tensors that a call writes."""
        for index, name, _ in self._targets:
            value = arguments[index] if index < len(arguments) else keywords.get(name)
            for tensor in value if isinstance(value, (tuple, list)) else (value,):
                if isinstance(tensor, torch.Tensor):
                    yield tensor

    def bind(self, arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments that say what is done, by name, defaults included; a further tensor is UNKNOWN."""
        bound = {**self._defaults, **dict(zip(self._names, arguments, strict=False)), **keywords}
        return {name: plain(value) for name, value in bound.items() if name not in self._skipped}

    def affine(self, bound: Mapping[str, Any]) -> tuple[float, float] | None:
        """``(scale, shift)`` where the operation maps its one tensor x to scale * x + shift, else None."""
        base = self.name.rstrip("_")
        other = bound.get("other")
        if base == "neg":
            return -1.0, 0.0
        if isinstance(other, bool) or not isinstance(other, (int, float)) or not math.isfinite(other):
            return None
        alpha = bound.get("alpha", 1)
        if base == "mul":
            return float(other), 0.0
        if base == "div" and other != 0 and bound.get("rounding_mode") is None:
            return 1.0 / other, 0.0
        if not isinstance(alpha, (int, float)):
            return None
        if base == "add":
            return 1.0, float(alpha * other)
        if base == "sub":
            return 1.0, -float(alpha * other)
        return (-float(alpha), float(other)) if base == "rsub" else None


def plain(value: object) -> Any:
    """A value as JSON can hold it: a number, text, bool, None or a list of them; UNKNOWN for anything else.

    A tensor of one element that is at hand is its number.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        items = [plain(item) for item in value]
        return UNKNOWN if any(item is UNKNOWN for item in items) else items
    if type(value) is torch.Tensor and value.dim() == 0 and value.device.type == "cpu" and not value.is_complex():
        return value.item()
    return UNKNOWN
