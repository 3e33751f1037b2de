"""Other batches like the one at hand: more samples, or the same number drawn anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from initlint.facts import UNKNOWN

__all__ = ["batch_size", "differing", "map_tensors", "take", "tiled", "varied"]


def map_tensors(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """A nest of lists, tuples and dicts with ``function`` applied to each tensor in it."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(map_tensors(item, function) for item in value))
    if isinstance(value, (list, tuple)):
        return type(value)(map_tensors(item, function) for item in value)
    if type(value) is dict:
        return {key: map_tensors(item, function) for key, item in value.items()}
    return value


def _only_tensors(value: Any) -> list[Tensor] | None:
    """The tensors among arguments, None where some sit inside a list or an object, or are sparse (a graph)."""
    items = value.values() if isinstance(value, Mapping) else value
    tensors: list[Tensor] = []
    for item in items:
        if isinstance(item, Tensor) and item.layout == torch.strided and not item.is_nested:
            tensors.append(item)
        elif isinstance(item, (list, tuple)) or hasattr(item, "__dict__"):
            return None
        elif isinstance(item, Mapping):
            inner = _only_tensors(item)
            if inner is None:
                return None
            tensors += inner
    return tensors


def batch_size(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int | None:
    """The length of dimension 0 if all tensors given agree on it: the batch, unless a smaller one shows otherwise."""
    positional, keyword = _only_tensors(args), _only_tensors(kwargs)
    if positional is None or keyword is None:
        return None
    sizes = {int(t.shape[0]) for t in [*positional, *keyword] if t.dim()}
    return sizes.pop() if len(sizes) == 1 else None


def differing(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> float:
    """How much of a batch differs between its samples, in [0, 1]: of the tensor given of which most does.

    Of one of real numbers the share of its standard deviation that is across the batch, of any other that of its
    entries which are not as in the first sample. UNKNOWN where it is not plain where the samples lie, or is one alone.
    """
    size = batch_size(args, kwargs)
    if size is None or size < 2:
        return UNKNOWN  # type: ignore[no-any-return]
    tensors = [*(_only_tensors(args) or ()), *(_only_tensors(kwargs) or ())]
    shares = [_differing(tensor.detach()) for tensor in tensors if tensor.dim() and tensor.numel()]
    return max(shares, default=UNKNOWN)


def _differing(tensor: Tensor) -> float:
    if not tensor.is_floating_point():
        return float((tensor != tensor[:1]).float().mean())
    values = tensor.float()
    total = float(values.var(correction=0))
    return min(1.0, (float(values.var(0, correction=0).mean()) / total) ** 0.5) if total > 0 else 0.0


def take(value: Any, count: int) -> Any:
    """The first ``count`` samples of every tensor."""
    return map_tensors(value, lambda t: t[:count] if t.dim() else t)


def tiled(value: Any, times: int) -> Any:
    """Every sample ``times`` over."""
    return map_tensors(value, lambda t: t.repeat(times, *(1,) * (t.dim() - 1)) if t.dim() else t)


def _is_mask(tensor: Tensor) -> bool:
    return bool(((tensor == 0) | (tensor == 1)).all()) or bool((tensor == tensor.reshape(-1)[0]).all())


def _is_graph(tensor: Tensor) -> bool:
    """Whether it is square and nowhere negative, and symmetric or with rows that sum to 1: an adjacency matrix."""
    if tensor.dim() not in (2, 3) or tensor.shape[-1] != tensor.shape[-2] or tensor.shape[-1] < 3:
        return False
    symmetric = torch.equal(tensor, tensor.transpose(-1, -2))
    return bool((tensor >= 0).all()) and (symmetric or bool(((tensor.float().sum(-1) - 1).abs() < 1e-2).all()))


def _vary_integers(tensor: Tensor) -> Tensor:
    """Values drawn anew from those present; positions where all samples agree (special tokens, counters) stay."""
    values = tensor.reshape(tensor.shape[0], -1)
    if tensor.shape[0] == 1:
        row = values[0]
        steps = row[1:] - row[:-1]
        if row.numel() < 4 or bool((steps >= 0).all()):
            return tensor
        free = torch.ones(row.numel(), dtype=torch.bool, device=tensor.device)
        free[0] = free[-1] = False
    else:
        free = (values != values[:1]).any(dim=0)
    if not bool(free.any()):
        return tensor
    pool = values[:, free].reshape(-1)
    drawn = pool[torch.randint(pool.numel(), (values.shape[0], int(free.sum())), device=tensor.device)]
    result = values.clone()
    result[:, free] = drawn
    return result.reshape(tensor.shape)


def _vary_floats(tensor: Tensor) -> Tensor:
    """Each sample mixed with another, in the proportion that keeps the spread, and some noise a tenth as strong."""
    centre = tensor.mean() if tensor.dtype in (torch.float32, torch.float64) else tensor.float().mean().to(tensor.dtype)
    away = tensor - centre
    spread = away.float().std() if tensor.numel() > 1 else away.float().abs().max()
    other = away[torch.randperm(tensor.shape[0], device=tensor.device)]
    signs = (torch.randint(0, 2, (tensor.shape[0], *(1,) * (tensor.dim() - 1)), device=tensor.device) * 2 - 1).to(
        tensor.dtype
    )
    smooth = torch.randn_like(tensor)
    if tensor.dim() == 4:
        smooth = _low_frequency(tensor)
    mixed = 0.6 * away * signs + 0.6 * other + 0.53 * spread.to(tensor.dtype) * smooth
    return centre + mixed


def _low_frequency(tensor: Tensor) -> Tensor:
    """Unit noise of few waves a side, shaped like a batch of images (N, C, H, W)."""
    size = (max(1, min(8, tensor.shape[2])), max(1, min(8, tensor.shape[3])))
    coarse = torch.randn(*tensor.shape[:2], *size, device=tensor.device)
    fine = torch.nn.functional.interpolate(coarse, size=tuple(tensor.shape[2:]), mode="bilinear", align_corners=False)
    return (fine / fine.std().clamp_min(1e-6)).to(tensor.dtype)


def _vary(tensor: Tensor) -> Tensor:
    if tensor.is_meta:  # which has no values to vary
        return tensor
    if not tensor.dim() or not tensor.numel() or tensor.dtype == torch.bool or tensor.is_complex() or _is_mask(tensor):
        return tensor
    if not tensor.is_floating_point():
        return _vary_integers(tensor)
    if _is_graph(tensor):
        return tensor
    if tensor.dim() == 1 or float(tensor.min()) >= 0:  # times, distances, images in [0, 1]: stay in range
        return _vary_nonnegative(tensor)
    return _vary_floats(tensor)


def _vary_nonnegative(tensor: Tensor) -> Tensor:
    other = tensor[torch.randperm(tensor.shape[0], device=tensor.device)]
    share = torch.rand(tensor.shape[0], *(1,) * (tensor.dim() - 1), device=tensor.device).to(tensor.dtype)
    mixed = share * tensor + (1 - share) * other
    if tensor.dim() < 2:
        return mixed
    noise = torch.rand_like(tensor) if tensor.dim() != 4 else (_low_frequency(tensor) + 2).clamp(0, 4) / 4
    low, high = tensor.min(), tensor.max()
    return 0.5 * mixed + 0.5 * (low + (high - low) * noise)


def varied(value: Any) -> Any:
    """The same number of samples, drawn anew around those given. Masks, graphs, constants and special tokens stay."""
    with torch.no_grad():
        return map_tensors(value, _vary)
