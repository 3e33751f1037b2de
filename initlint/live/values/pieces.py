"""What is measured on one parameter that lies in pieces: each rank looks at its own, and the figures are merged."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from initlint.facts import UNKNOWN, Distribution, Sharding, Statistics, close, known
from initlint.live.host.sharded import Ranks, is_piece
from initlint.live.values.statistics import fourth_moment, measured, statistics

__all__ = ["extent", "merged_moments", "survey"]

_GATHERED = 1 << 22
"""Values of a tensor up to which one parameter at a time is put together, to look for orthogonal and identity matrices;
the forward pass of FSDP does so with a whole block."""
_SAMPLE = 4096
_TELLING = 16
"""Values from which two pieces do not agree bit for bit by chance."""

Key = tuple[int, ...]


@dataclass(slots=True)
class _Piece:
    """What one rank says of its piece. Equal ``key``: the same piece. ``rows``: equal where row 0 is shared."""

    key: Key
    rows: Key
    has_first_row: bool
    statistics: Statistics | None
    first_row: Tensor | None


def survey(tensor: Tensor, ranks: Ranks, fan_in: int, fan_out: int) -> tuple[Statistics, Distribution, Sharding]:
    """What is known of a DTensor: everything UNKNOWN where a sum over ranks is not carried out yet.

    Replicas are counted once, and pieces may be uneven or empty. Called on all ranks, in the same order.
    """
    lie: Any = tensor
    names = tuple(str(placement) for placement in lie.placements)
    if any(placement.is_partial() for placement in lie.placements) or tensor.is_meta or not tensor.numel():
        return UNKNOWN, UNKNOWN, Sharding(placements=names)
    values: Tensor = lie._local_tensor.detach()
    said = ranks.all(_piece(lie, values))
    distinct = _distinct(said)
    figures = [piece.statistics for piece in distinct.values() if piece.statistics is not None]
    facts = merged_moments(figures)
    spread = _spread(values, said, ranks)
    largest = max(abs(facts.minimum), abs(facts.maximum))
    rows = known(spread) and facts.finite and largest > 0
    facts = replace(
        facts, row_spread=spread / largest if rows else UNKNOWN, digest="".join(each.digest for each in figures)
    )
    kurtosis = _kurtosis(values, facts, said, ranks)
    if tensor.numel() <= _GATHERED:
        whole = lie.full_tensor()
    else:
        step = max(1, tensor.numel() // _SAMPLE)
        whole = torch.cat(ranks.all(_widened(values).reshape(-1)[::step].cpu()))
    law = measured(whole, facts, kurtosis, fan_in, fan_out)
    return facts, law, Sharding(placements=names, pieces=len(distinct), twins=_twins(said), strays=_strays(said))


def extent(tensor: Tensor, ranks: Ranks) -> tuple[float, float]:
    """(largest absolute value, largest difference of any row from the first over that, 0 for a zero tensor)."""
    if is_piece(tensor):
        lie: Any = tensor
        values: Tensor = lie._local_tensor.detach()
        said = ranks.all(_piece(lie, values))
        figures = [piece.statistics for piece in said if piece.statistics is not None]
        largest = max((max(abs(each.minimum), abs(each.maximum)) for each in figures), default=0.0)
        apart = _spread(values, said, ranks)
    else:
        rows = tensor.detach().reshape(tensor.shape[0], -1)
        largest = float(rows.abs().amax())
        apart = float((rows[1:] - rows[:1]).abs().amax())
    return largest, apart / largest if largest else 0.0


def merged_moments(figures: Sequence[Statistics]) -> Statistics:
    """The statistics of tensors taken together: (n, mean, M2) are merged in float64, pair by pair.

    Chan, Golub and LeVeque 1979, "Updating formulae and a pairwise algorithm for computing sample variances".
    """
    count, mean, second = 0, 0.0, 0.0
    for each in figures:
        both = count + each.count
        gap = each.mean - mean
        second += each.std**2 * each.count + gap * gap * count * each.count / both
        mean += gap * each.count / both
        count = both
    finite = all(each.finite for each in figures)
    low, high = min(each.minimum for each in figures), max(each.maximum for each in figures)
    return Statistics(
        count=count,
        mean=low if low == high else mean,
        std=0.0 if low == high else math.sqrt(second / count),
        minimum=low,
        maximum=high,
        zeros=math.fsum(each.zeros * each.count for each in figures) / count,
        finite=finite,
    )


def _piece(lie: Any, values: Tensor) -> _Piece:
    at = lie.device_mesh.get_coordinate()
    if at is None:  # this rank has no part in the tensor
        return _Piece((-1,), (), has_first_row=False, statistics=None, first_row=None)
    parted = [(where, p.dim) for where, p in zip(at, lie.placements, strict=True) if not p.is_replicate()]
    first = all(where == 0 for where, dim in parted if dim == 0)
    figures = statistics(values)[0] if values.numel() else None
    row = values[0].cpu() if first and values.dim() > 1 and values.shape[0] else None
    return _Piece(
        tuple(where for where, _ in parted), tuple(where for where, dim in parted if dim != 0), first, figures, row
    )


def _distinct(said: Sequence[_Piece]) -> dict[Key, _Piece]:
    """One rank's word on each piece: replicas count once."""
    found: dict[Key, _Piece] = {}
    for piece in said:
        if piece.statistics is not None:
            found.setdefault(piece.key, piece)
    return found


def _widened(values: Tensor) -> Tensor:
    return values if values.dtype in (torch.float32, torch.float64) else values.float()


def _spread(values: Tensor, said: Sequence[_Piece], ranks: Ranks) -> float:
    """The largest difference of any row from row 0 of the whole tensor; UNKNOWN where it has no rows."""
    apart, own = 0.0, said[ranks.rank]
    if values.dim() > 1 and own.statistics is not None:
        row = next((p.first_row for p in said if p.first_row is not None and p.rows == own.rows), None)
        if row is not None:
            apart = float((_widened(values) - _widened(row.to(values.device))).abs().max())
    largest = max(ranks.all(apart))
    return largest if values.dim() > 1 else UNKNOWN


def _kurtosis(values: Tensor, facts: Statistics, said: Sequence[_Piece], ranks: Ranks) -> float:
    """mean((w - mean)^4) / std^4, each piece about the mean of the whole."""
    own = said[ranks.rank]
    mine = fourth_moment(values.reshape(-1), facts.mean) if own.statistics is not None and facts.finite else 0.0
    sums = dict(zip((piece.key for piece in said), ranks.all(mine), strict=True))
    return math.fsum(sums.values()) / facts.count / facts.std**4 if facts.finite and facts.std > 0 else 0.0


def _twins(said: Sequence[_Piece]) -> tuple[int, int] | None:
    """The first two ranks that hold different pieces with the same bits."""
    for (a, one), (b, other) in itertools.combinations(enumerate(said), 2):
        if one.statistics is None or other.statistics is None or one.key == other.key:
            continue
        if one.statistics.count >= _TELLING and one.statistics.digest == other.statistics.digest:
            return a, b
    return None


def _strays(said: Sequence[_Piece]) -> tuple[int, int] | None:
    """The first two ranks that hold one piece with different values, and not by rounding alone."""
    for (a, one), (b, other) in itertools.combinations(enumerate(said), 2):
        if one.statistics is not None and other.statistics is not None and one.key == other.key:
            mine, theirs = one.statistics, other.statistics
            if mine.digest != theirs.digest and not (mine.finite and theirs.finite and _agree(mine, theirs)):
                return a, b
    return None


def _agree(one: Statistics, other: Statistics) -> bool:
    size = max(abs(one.minimum), abs(one.maximum)) * 1e-5
    pairs = ((one.mean, other.mean), (one.std, other.std), (one.minimum, other.minimum), (one.maximum, other.maximum))
    return all(close(a, b, relative=1e-5, absolute=size) for a, b in pairs)
