"""A sample batch for a module: made from specifications, or taken as given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from initlint.live.batches.batch_files import load_batch
from initlint.live.batches.batch_spec import BatchSpec, FileSpec, NestSpec, Spec, parse_spec
from initlint.live.batches.variation import map_tensors

__all__ = ["Batch", "BatchSpec", "as_batch", "make", "parse_spec"]


_DEGREE = 4
"""Edges of a random graph's node, about."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What a model is called with; ``description`` is how --batch would spell it."""

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""

    def to(self, device: str) -> Batch:
        """The same on another device."""
        args, kwargs = map_tensors((self.args, dict(self.kwargs)), lambda tensor: tensor.to(device))
        return replace(self, args=args, kwargs=kwargs)

    def bounded(self, bounds: Sequence[int | None]) -> Batch:
        """The same, described with a bound for each integer tensor that has none (``bounds``, as in ``tensors``)."""
        words = self.description.split()
        spelled = [_spell(tensor) != "" for tensor in self.tensors()]
        if len(words) != sum(spelled):
            return self
        told = iter(words)
        described = []
        for tensor, bound, has_word in zip(self.tensors(), bounds, spelled, strict=True):
            if not has_word:
                continue
            word = next(told)
            if bound is not None and "<" not in word and tensor.dtype in (torch.int64, torch.int32):
                word += f"<{bound}"
            described.append(word)
        return replace(self, description=" ".join(described))

    def tensors(self) -> list[Tensor]:
        """The inputs that are tensors themselves, positional ones first."""
        return [value for value in (*self.args, *self.kwargs.values()) if isinstance(value, Tensor)]


def make(specs: Sequence[Spec], *, device: str = "cpu") -> Batch:
    """Tensors as specified, from torch's global generator, and those that files hold.

    4-D float inputs of 1 to 4 channels are images, low-frequency noise of unit std; other floats are N(0, 1); with a
    range, values lie all over it; graphs have about four edges a node. Integers are uniform below their bound (2 where
    none is given), booleans all true.
    Raises ValueError for a file that cannot be read.
    """
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for spec in specs:
        if isinstance(spec, FileSpec) and spec.name is None:
            held = as_batch(load_batch(spec.path))
            args += held.args
            kwargs |= held.kwargs
        elif spec.name is None:
            args.append(_value(spec))
        else:
            kwargs[spec.name] = _value(spec)
    words = [spec.shown if isinstance(spec, FileSpec) else str(spec) for spec in specs]
    return Batch(tuple(args), kwargs, " ".join(words)).to(device)


def _value(spec: Spec) -> Any:
    """What one specification stands for."""
    if isinstance(spec, BatchSpec):
        return _tensor(spec)
    if isinstance(spec, FileSpec):
        held = load_batch(spec.path)
        return next(iter(held.values())) if isinstance(held, Mapping) and len(held) == 1 else held
    if spec.kind == "{":
        return {str(item.name): _value(item) for item in spec.items}
    values = [_value(item) for item in spec.items]
    return tuple(values) if spec.kind == "(" else values


def _tensor(spec: BatchSpec) -> Tensor:
    dtype: torch.dtype = getattr(torch, spec.dtype)
    if dtype == torch.bool:
        return torch.ones(spec.shape, dtype=dtype)
    if dtype.is_complex:
        return torch.randn(spec.shape, dtype=dtype)
    if not dtype.is_floating_point:
        first, last = (0, (spec.bound or 2) - 1) if spec.span is None else map(int, spec.span)
        return torch.randint(first, min(last + 1, 2**63 - 1), spec.shape, dtype=dtype)
    if spec.graph:
        return _graphs(spec.shape).to(dtype)
    if len(spec.shape) == 4 and spec.shape[1] <= 4 and min(spec.shape[2:]) >= 8:
        values = images(spec.shape)
    else:
        values = torch.randn(spec.shape)
    if spec.span is not None:
        low, high = spec.span
        share = torch.special.ndtr(values)  # of a normal's values those below: even
        values = (low * (1 - share) + high * share).clamp(low, high)  # high - low may be too large a number
    return values.to(dtype)


def _graphs(shape: tuple[int, ...]) -> Tensor:
    """Adjacency matrices (..., N, N) of undirected random graphs with self-loops, each row divided by its sum."""
    edges = torch.rand(shape) < _DEGREE / 2 / shape[-1]
    linked = (edges | edges.transpose(-1, -2) | torch.eye(shape[-1], dtype=torch.bool)).float()
    return linked / linked.sum(-1, keepdim=True)


def images(shape: tuple[int, ...]) -> Tensor:
    """Noise of unit std over the batch with most of its power in long waves, as photographs have (N, C, H, W)."""
    height, width = shape[2:]
    layers = []
    for cells, weight in ((4, 1.0), (8, 0.6), (16, 0.35)):
        size = (min(cells, height), min(cells, width))
        coarse = torch.randn(*shape[:2], *size)
        layers.append(
            weight * nn.functional.interpolate(coarse, size=(height, width), mode="bilinear", align_corners=False)
        )
    mixed = torch.stack(layers).sum(0) + 0.1 * torch.randn(shape)
    return mixed / mixed.std().clamp_min(1e-6)


def as_batch(value: Any) -> Batch:
    """A batch as a caller may hand it over: a tensor, a tuple of positional inputs, a mapping of keyword inputs, specs.

    Raises TypeError for anything else, ValueError for text that is no batch and for files that cannot be read.
    """
    if isinstance(value, Batch):
        return value
    if isinstance(value, Tensor):
        return Batch((value,), {}, _spell(value))
    if isinstance(value, (BatchSpec, NestSpec, FileSpec)):
        return make([value])
    if isinstance(value, Mapping):
        words = [_spell(v, str(k)) for k, v in value.items()]
        return Batch((), {str(k): v for k, v in value.items()}, " ".join(word for word in words if word))
    if isinstance(value, (tuple, list)):
        if value and all(isinstance(item, (BatchSpec, NestSpec, FileSpec)) for item in value):
            return make(value)
        if value and all(isinstance(item, str) for item in value):
            return make([parse_spec(item) for item in value])
        if len(value) == 2 and isinstance(value[0], tuple) and isinstance(value[1], Mapping):
            args, kwargs = as_batch(value[0]), as_batch(value[1])
            return Batch(args.args, kwargs.kwargs, f"{args.description} {kwargs.description}".strip())
        return Batch(tuple(value), {}, " ".join(word for word in (_spell(item) for item in value) if word))
    if isinstance(value, str):
        return make([parse_spec(value)])
    raise TypeError(f"a batch is a tensor, a tuple or a mapping, not {type(value).__name__}")


def _spell(value: Any, name: str | None = None) -> str:
    """A tensor as --batch spells it, without a bound, of which the values tell nothing; "" for anything else."""
    if not isinstance(value, Tensor) or value.is_nested:
        return ""
    return str(BatchSpec(tuple(value.shape), str(value.dtype).removeprefix("torch."), None, name))
