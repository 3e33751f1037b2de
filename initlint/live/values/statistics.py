"""What is measured on one parameter's values."""

from __future__ import annotations

import ctypes
import hashlib
import math

import torch
from torch import Tensor, nn

from initlint.facts import UNKNOWN, Distribution, Histogram, Statistics
from initlint.live.host.device import exact
from initlint.theory.recognition import Summary, recognise

__all__ = ["fourth_moment", "gradient_sizes", "histogram", "measured", "row_split", "statistics"]

_CHUNK = 1 << 22
_SAMPLE = 4096
_BINS = 40
_COUNTED = 1 << 16
_REACH = 5.0
"""A histogram ends at so many standard deviations from the mean: a few strays are not to squeeze all the rest."""


def gradient_sizes(module: nn.Module) -> dict[int, float | None]:
    """The root mean square of each parameter's gradient, by identity; None for one without. Read back at once."""
    found: dict[int, float | None] = {id(p): None for p in module.parameters() if p.requires_grad}
    held = {id(p): p.grad for p in module.parameters() if p.grad is not None and not p.grad.is_sparse and p.numel()}
    norms = [
        torch.linalg.vector_norm(g.detach(), dtype=torch.float32 if g.dtype.itemsize < 4 else None)
        for g in held.values()
    ]
    if norms:
        sizes = torch.stack([norm.to(norms[0].device, torch.float32) for norm in norms]).tolist()
        found |= {key: size / math.sqrt(g.numel()) for (key, g), size in zip(held.items(), sizes, strict=True)}
    return found


def _moments(values: Tensor) -> tuple[float, float, float]:
    """(mean, std, kurtosis) in float64, chunk by chunk: the mean first, then moments about it, so nothing cancels."""
    count = values.numel()
    chunks = values.split(_CHUNK)  # type: ignore[no-untyped-call]
    mean = math.fsum(chunk.sum(dtype=torch.float64).item() for chunk in chunks) / count
    second = fourth = 0.0
    for chunk in chunks:
        squares = (chunk.to(torch.float64) - mean).square_()
        second += squares.sum().item()
        fourth += squares.square_().sum().item()
    variance = second / count
    return mean, math.sqrt(variance), fourth / count / variance**2 if variance > 0 else 0.0


def _computable(tensor: Tensor) -> Tensor:
    """The values, on a device that has float64 and in no type narrower than float32."""
    values = tensor.detach()
    values = values if exact(values.device) == torch.float64 else values.cpu()
    return values if values.element_size() >= 4 else values.float()


def fourth_moment(values: Tensor, mean: float) -> float:
    """The sum of (w - mean)^4 over a 1-D tensor, in float64."""
    chunks = values.split(_CHUNK)  # type: ignore[no-untyped-call]
    return math.fsum((chunk.to(torch.float64) - mean).square_().square_().sum().item() for chunk in chunks)


def _row_spread(values: Tensor, largest: float) -> float:
    if values.dim() < 2 or values.shape[0] < 2 or not largest:
        return UNKNOWN  # type: ignore[no-any-return]
    rows = values.reshape(values.shape[0], -1)
    return float((rows[1:] - rows[:1]).abs().amax()) / largest


def row_split(tensor: Tensor) -> tuple[int, float, float] | None:
    """As Statistics.row_split, of a matrix on any device: the cut that parts the logarithms of the rows' stds best.

    Rows of one stretch lie within a factor of 3 of each other (16 elements drawn at random lie within 2), and either
    stretch has at least two rows.
    """
    if tensor.dim() != 2 or tensor.shape[0] < 4 or tensor.shape[1] < 16:
        return None
    norms = torch.linalg.vector_norm(_computable(tensor), dim=1, dtype=torch.float64).cpu()
    numbers = norms.nonzero().flatten()
    logs = norms[numbers].log()
    count = len(logs)
    if count < 4 or not bool(torch.isfinite(logs).all()):
        return None
    sizes = torch.arange(1, count, dtype=torch.float64)
    sums = logs.cumsum(0)[:-1]
    before, after = sums / sizes, (logs.sum() - sums) / (count - sizes)
    cut = 1 + int(((after - before).square() * sizes * (count - sizes)).argmax())
    parts = logs[:cut], logs[cut:]
    if any(len(part) < 2 or float(part.max() - part.min()) > math.log(3) for part in parts):
        return None
    first, second = (math.exp(float(part.mean())) / math.sqrt(tensor.shape[1]) for part in parts)
    return int(numbers[cut]), first, second


def digest(tensor: Tensor) -> str:
    """A hash of dtype, shape and bits."""
    plain = tensor.detach().cpu().contiguous()
    header = f"{plain.dtype}{tuple(plain.shape)}".encode()
    state = hashlib.blake2b(header, digest_size=16)
    size = plain.numel() * plain.element_size()
    if size:
        state.update((ctypes.c_char * size).from_address(plain.data_ptr()))
    return state.hexdigest()


def statistics(tensor: Tensor) -> tuple[Statistics, float]:
    """The statistics of a floating-point tensor with elements, and its kurtosis (for ``measured``).

    Where some values are not finite the moments are of all of them, and so NaN or infinite themselves.
    """
    values = _computable(tensor)
    flat = values.reshape(-1)
    low, high = (float(v) for v in torch.aminmax(flat))
    finite = math.isfinite(low) and math.isfinite(high)
    if not finite:
        mean, std, kurtosis = math.nan, math.nan, 0.0
    elif low == high:
        mean, std, kurtosis = low, 0.0, 0.0
    else:
        mean, std, kurtosis = _moments(flat)
    facts = Statistics(
        count=flat.numel(),
        mean=mean,
        std=std,
        minimum=low,
        maximum=high,
        zeros=1 - float(torch.count_nonzero(flat)) / flat.numel(),
        finite=finite,
        row_spread=_row_spread(values, max(abs(low), abs(high))) if finite else UNKNOWN,
        digest=digest(tensor),
    )
    return facts, kurtosis


def histogram(tensor: Tensor, facts: Statistics) -> Histogram | None:
    """How the values of a tensor with these statistics spread; None where they are all one or not all finite."""
    if not facts.finite or facts.minimum == facts.maximum:
        return None
    low = max(facts.minimum, facts.mean - _REACH * facts.std)
    high = min(facts.maximum, facts.mean + _REACH * facts.std)
    if not low < high:
        return None
    step = -(-facts.count // _COUNTED) | 1  # odd, or it would take few columns of a matrix whose rows are 2^k long
    values = tensor.detach().reshape(-1)[::step].cpu().double()
    bins = ((values - low) * (_BINS / (high - low))).clamp(0, _BINS - 1).long()
    return Histogram(low=low, high=high, counts=tuple(torch.bincount(bins, minlength=_BINS).tolist()))


def measured(
    tensor: Tensor, facts: Statistics, kurtosis: float, fan_in: int = UNKNOWN, fan_out: int = UNKNOWN
) -> Distribution:
    """The law that the values follow; UNKNOWN where some are not finite."""
    if not facts.finite:
        return UNKNOWN  # type: ignore[no-any-return]
    values = _computable(tensor)
    shape = tuple(tensor.shape)
    sample: list[float] = []
    gram = identity = UNKNOWN
    if facts.minimum != facts.maximum:
        step = max(1, -(-facts.count // _SAMPLE))
        sample = values.reshape(-1)[::step].sort().values.tolist()
        gram = _gram_deviation(values)
        identity = _identity_deviation(values)
    summary = Summary(
        shape=shape,
        count=facts.count,
        mean=facts.mean,
        std=facts.std,
        minimum=facts.minimum,
        maximum=facts.maximum,
        kurtosis=kurtosis,
        zero_fraction=facts.zeros,
        sample=sample,
        gram_deviation=gram,
        identity_deviation=identity,
        resolution=torch.finfo(tensor.dtype).eps,
    )
    return recognise(summary, fan_in, fan_out)


def _gram_deviation(values: Tensor) -> float:
    """max |G / c - I| of the smaller Gram matrix; a lower bound of it where the rows' norms rule orthogonality out."""
    if values.dim() < 2 or values.shape[0] < 2:
        return UNKNOWN  # type: ignore[no-any-return]
    matrix = values.reshape(values.shape[0], -1)
    if matrix.shape[0] > matrix.shape[1]:
        matrix = matrix.t()
    if matrix.shape[0] < 2:
        return UNKNOWN  # type: ignore[no-any-return]
    norms = matrix.square().sum(dim=1)
    scale = norms.mean()
    if not float(scale):
        return UNKNOWN  # type: ignore[no-any-return]
    rough = float((norms / scale - 1).abs().max())
    if rough > 0.01:
        return rough
    gram = matrix @ matrix.t() / scale
    gram.diagonal().sub_(1)
    return float(gram.abs().max())


def _identity_deviation(values: Tensor) -> float:
    if not 2 <= values.dim() <= 5:
        return UNKNOWN  # type: ignore[no-any-return]
    at: tuple[slice | int, ...] = (slice(None), slice(None), *(size // 2 for size in values.shape[2:]))
    diagonal = values[at].diagonal()
    rough = float((diagonal - 1).abs().max()) if diagonal.numel() else math.inf
    if rough > 1e-3:
        return rough
    ideal = torch.zeros_like(values)
    ideal[at].fill_diagonal_(1)
    return float((values - ideal).abs().max())
