"""How many rows of a softmax are one-hot, hand-written ones and those inside fused attention, and whose doing it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from initlint.live.tracing.graph import Trace

__all__ = ["OneHot", "one_hot_rows", "one_hot_share"]

_SURE = 0.99
"""A probability from which the slope p (1 - p) is under 4% of its largest."""
_MASKED = -9e3
"""Scores that a mask brought below this are none."""
_ROWS, _QUERIES = 512, 32
_LOOKED_AT = 40
_UNTURNED = frozenset({"view", "_unsafe_view", "reshape", "_to_copy", "clone", "alias", "detach"})
"""Views and copies that leave dimensions in their order."""
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def one_hot_share(op: str, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor | None:
    """Share of the rows of one softmax or fused attention that put nearly everything on one of several entries.

    A 0-d tensor, of some of the rows; NaN where no row has a choice. None for an operation that was not understood.
    """
    given = {argument.name: value for argument, value in zip(func._schema.arguments, args, strict=False)} | dict(kwargs)
    if op in ("_softmax", "_safe_softmax"):
        scores = given["self"].detach().movedim(given["dim"], -1)
        rows = scores.reshape(-1, scores.shape[-1])
        return _share(rows[:: max(1, rows.shape[0] // _ROWS)])
    query, key = given.get("query"), given.get("key")
    if not isinstance(query, Tensor) or not isinstance(key, Tensor) or query.dim() != 4 or key.shape[1] == 0:
        return None
    query, key = query.detach()[:2], key.detach()[:2]
    key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)[:, :4]
    step = max(1, query.shape[2] // _QUERIES)
    picked = query[:, :4, ::step].float()
    scale = given.get("scale")
    scores = picked @ key.float().transpose(-1, -2) * (query.shape[-1] ** -0.5 if scale is None else scale)
    mask = given.get("attn_mask", given.get("attn_bias"))
    if isinstance(mask, Tensor):
        mask = mask.reshape((1,) * (4 - mask.dim()) + tuple(mask.shape))
        mask = mask[:2, :4, ::step] if mask.shape[2] > 1 else mask[:2, :4]
        scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask.float()
    if given.get("is_causal"):
        queries = torch.arange(query.shape[2], device=query.device)[::step, None]
        scores = scores.masked_fill(torch.arange(key.shape[2], device=query.device) > queries, -math.inf)
    return _share(scores.reshape(-1, scores.shape[-1]))


def _share(rows: Tensor) -> Tensor:
    rows = rows.float()
    largest = rows.amax(dim=1, keepdim=True)
    chosen = 1 / (rows - largest).exp().sum(dim=1)
    free = _open(rows).sum(dim=1) >= 2
    return ((chosen > _SURE) & free).sum() / free.sum()


def _open(rows: Tensor) -> Tensor:
    """The entries that no mask takes away, be it one of -1e9 or of -100.

    The milder ones are told by what they leave: two heaps of scores, and nothing in the middle half between the least
    and the largest of all. Scores that are far apart by themselves fill it.
    """
    unmasked = rows > _MASKED
    least = rows.masked_fill(~unmasked, math.inf).amin()
    largest = rows.masked_fill(~unmasked, -math.inf).amax()
    quarter = (largest - least) / 4
    between = ((rows > least + quarter) & (rows < largest - quarter)).any()
    return unmasked & (between | (rows >= largest - quarter))


class OneHot(NamedTuple):
    """The share of a softmax's rows that are one-hot, whether that softmax is a gate, and all that takes the scores.

    See facts.LayerProbe.
    """

    share: float
    gates: bool
    scores_only: bool


def one_hot_rows(trace: Trace) -> dict[str, OneHot]:
    """The largest such share by layer: the one that gives the scores, or of attention the queries."""
    if not trace.one_hot:
        return {}
    shares = torch.stack([share.cpu().double() for share in trace.one_hot.values()]).tolist()
    found: dict[str, OneHot] = {}
    for index, share in zip(trace.one_hot, shares, strict=True):
        if math.isnan(share):
            continue
        source = _behind(trace, trace.nodes[index].inputs[0])
        if source is not None:
            before = found.get(trace.nodes[source].layer, OneHot(0.0, True, True))
            found[trace.nodes[source].layer] = OneHot(
                max(share, before.share),
                before.gates and _gates(trace, index),
                before.scores_only and _goes_nowhere_else(trace, source, index) and _meets_others(trace, index),
            )
    return found


def _goes_nowhere_else(trace: Trace, source: int, softmax: int) -> bool:
    """Whether all that is made of a value goes through a softmax, and through no weights before."""
    stack, seen = [source], {softmax}
    while stack and len(seen) < _LOOKED_AT:
        index = stack.pop()
        if index in trace.outputs:
            return False
        for following in trace.consumers[index]:
            if following in seen:
                continue
            if trace.nodes[following].category == "application":
                return False
            seen.add(following)
            stack.append(following)
    return not stack


def _gates(trace: Trace, index: int) -> bool:
    """Whether a softmax is over the units of the layer that gives its scores, and weighs or chooses other values."""
    node = trace.nodes[index]
    if node.op not in ("_softmax", "_safe_softmax"):
        return False
    scores = trace.nodes[node.inputs[0]]
    while (
        scores.category in ("bias", "scale", "dropout")
        or scores.op in _UNTURNED
        or (scores.op in ("mul", "div") and len(scores.inputs) == 1)  # a temperature
    ):
        scores = trace.nodes[scores.inputs[0]]
    dims = [argument for argument in node.arguments if isinstance(argument, int) and not isinstance(argument, bool)]
    if scores.category != "application" or not dims:
        return False
    over = dims[0] % len(node.shape)
    if isinstance(trace.modules.get(scores.layer), _CONVOLUTIONS):
        own = over == 1 and scores.shape == node.shape
    else:  # which torch may run over all but the last dimension at once
        own = over == len(node.shape) - 1 and scores.shape[-1:] == node.shape[-1:]
    return own and scores.numel == node.numel and _meets_others(trace, index)


def _meets_others(trace: Trace, index: int) -> bool:
    """Whether a value goes into a product with others, or through weights, before it leaves the model."""
    stack, seen = list(trace.consumers[index]), set[int]()
    while stack and len(seen) < _LOOKED_AT:
        following = stack.pop()
        if following in seen:
            continue
        seen.add(following)
        if trace.nodes[following].category in ("product", "application"):
            return True
        stack.extend(trace.consumers[following])
    return False


def _behind(trace: Trace, index: int) -> int | None:
    """The layer's result that a value comes from, by its first operand throughout; None where there is none."""
    for _ in range(60):
        node = trace.nodes[index]
        if node.category == "application":
            return index if node.layer in trace.modules else None
        moving = [i for i in node.inputs if trace.nodes[i].data]
        if not moving or node.category in ("input", "embedding"):
            return None
        index = moving[0]
    return None
