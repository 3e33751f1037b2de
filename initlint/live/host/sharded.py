"""A model whose parameters lie in pieces over the processes of one run: DTensor, as FSDP2 and tensor parallel make it.

Every process ("rank") runs the same passes on the same batch under the same seeds, so that all meet in the same
collectives; what steers the passes is settled between them first. Nothing is gathered but figures, and everything
goes through the default group of torch.distributed.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from initlint import wire
from initlint.facts import UNKNOWN, Facts, LayerProbe, known
from initlint.live.batches.batch import as_batch

__all__ = [
    "OutOfStep",
    "Ranks",
    "from_first",
    "held",
    "in_step",
    "is_piece",
    "is_sharder",
    "local",
    "own_class",
    "rest",
    "resting",
    "unwrapped",
]

_Value = TypeVar("_Value")

_PATIENCE = 20.0
"""Seconds that a rank waits for the others once it is through; they run in step, so it is short."""


class OutOfStep(RuntimeError):
    """One rank failed where others did not, or they were asked different things; the text says which and how."""


def _dtensor() -> type[Any] | None:
    """DTensor, if anything has imported it (nothing is sharded before that)."""
    for name in ("torch.distributed.tensor", "torch.distributed._tensor"):
        kind = getattr(sys.modules.get(name), "DTensor", None)
        if isinstance(kind, type):
            return kind
    return None


def is_piece(tensor: object) -> bool:
    """Whether a tensor is a DTensor, of which this process may hold a part."""
    kind = _dtensor()
    return kind is not None and isinstance(tensor, kind)


def local(tensor: Tensor) -> Tensor:
    """What this process holds of a tensor, sharing its memory: the tensor itself unless it is a DTensor.

    Of a sum that is not yet carried out (a Partial placement) that is the finished sum, in memory of its own.
    """
    if not is_piece(tensor):
        return tensor
    piece: Any = tensor
    if any(placement.is_partial() for placement in piece.placements):
        from torch.distributed.tensor import Replicate

        piece = piece.redistribute(placements=[Replicate() if p.is_partial() else p for p in piece.placements])
    held: Tensor = piece._local_tensor
    wait = getattr(held, "wait", None)  # an AsyncCollectiveTensor is one on its way
    return wait() if callable(wait) else held


def held(tensor: Tensor) -> Tensor:
    """The tensor in which this process keeps what it holds of a DTensor, finished or not; any other as it is."""
    if not is_piece(tensor):
        return tensor
    inside: Tensor = tensor._local_tensor  # type: ignore[attr-defined]
    return getattr(inside, "elem", inside)


def own_class(module: nn.Module) -> type[Any]:
    """A module's class as its author wrote it: fully_shard puts one of torch.distributed's in front."""
    return next(kind for kind in type(module).__mro__ if not kind.__module__.startswith("torch.distributed"))


def unwrapped(module: nn.Module) -> nn.Module:
    """The module inside DistributedDataParallel, of which every rank holds a whole; any other as it is.

    Raises TypeError for the older FullyShardedDataParallel.
    """
    for child in module.modules():
        if type(child).__name__ == "FullyShardedDataParallel":
            raise TypeError(
                "FullyShardedDataParallel holds its parameters flattened, which tells nothing of them: audit the model "
                "before it is wrapped, or shard it with torch.distributed.fsdp.fully_shard"
            )
    if type(module).__name__ == "DistributedDataParallel" and isinstance(module.module, nn.Module):
        return module.module
    return module


def _sharders(module: nn.Module) -> list[Any]:
    """The submodules that gather their parameters before a pass and let them go after it (fully_shard)."""
    names = ("FSDPModule", "FSDP")
    return [
        child
        for child in module.modules()
        if any(k.__name__ in names and k.__module__.startswith("torch.distributed") for k in type(child).__mro__)
    ]


def is_sharder(module: nn.Module) -> bool:
    """Whether fully_shard was called on a module itself."""
    return any(child is module for child in _sharders(module))


def rest(module: nn.Module) -> None:
    """Every parameter in its pieces again, wherever a pass without a backward, or that failed, has left it gathered."""
    for child in _sharders(module):
        state = child._get_fsdp_state() if hasattr(child, "_get_fsdp_state") else None
        reset = getattr(state, "_reset_iter_state", None)
        if reset is not None and getattr(getattr(state, "_state_ctx", None), "iter_forward_root", None) is state:
            reset()
        child.reshard()


@contextlib.contextmanager
def resting(module: nn.Module) -> Iterator[None]:
    """Parameters are in their pieces after every forward of ``module`` and at the end; backward gathers them again."""
    if not _sharders(module):
        yield
        return

    def after(root: nn.Module, _: Any, __: Any) -> None:
        for child in _sharders(root):
            child.reshard()

    try:
        with module.register_forward_hook(after):
            yield
    finally:
        rest(module)


def in_step(module: nn.Module, batch: object, seed: int, ranks: Ranks) -> tuple[object, int]:
    """The batch and the seed of rank 0, with which all ranks go on.

    Raises OutOfStep on all of them where they hold different models.
    """
    if not ranks.same([(name, tuple(tensor.shape)) for name, tensor in module.named_parameters()]):
        raise OutOfStep("the ranks hold different models: audit each stage of a pipeline in a run of its own")
    return ranks.first((None if batch is None else as_batch(batch).to("cpu"), seed))


def from_first(facts: Facts, ranks: Ranks) -> Facts:
    """Rank 0's facts."""
    held: Facts = wire.loads(ranks.first(wire.dumps(facts) if ranks.rank == 0 else ""))
    return held


class Ranks:
    """The processes that a model lies over; where it lies in this one alone, every question is answered by itself."""

    _audits = itertools.count()

    def __init__(self, module: nn.Module | None = None) -> None:
        self.shared = module is not None and any(is_piece(tensor) for tensor in module.parameters())
        self.rank, self.world = 0, 1
        if self.shared:
            import torch.distributed as dist

            if not dist.is_initialized():
                raise ValueError("its parameters are DTensors, and torch.distributed is not initialised")
            self.rank, self.world = dist.get_rank(), dist.get_world_size()
            self.audit, self.asked = next(self._audits), 0
            self.began = time.monotonic()

    def all(self, value: _Value) -> list[_Value]:
        """What each rank has to say, in order."""
        if not self.shared:
            return [value]
        import torch.distributed as dist

        words: list[Any] = [None] * self.world
        dist.all_gather_object(words, value)
        return words

    def first(self, value: _Value) -> _Value:
        """What rank 0 has to say."""
        if not self.shared:
            return value
        import torch.distributed as dist

        words: list[Any] = [value if self.rank == 0 else None]
        dist.broadcast_object_list(words, src=0)
        word: _Value = words[0]
        return word

    def same(self, value: object) -> bool:
        """Whether all ranks say the same."""
        words = self.all(value)
        return all(word == words[0] for word in words)

    def any(self, flags: Tensor) -> Tensor:
        """For each of a row of truths, whether it is one on some rank."""
        return self._reduced(flags.to(torch.float32), "MAX") > 0 if self.shared else flags

    def largest(self, values: Tensor) -> Tensor:
        """For each of a row of figures, the largest over the ranks."""
        return self._reduced(values, "MAX")

    def sum(self, values: Tensor) -> Tensor:
        """For each of a row of figures, the sum over the ranks."""
        return self._reduced(values, "SUM")

    def _reduced(self, values: Tensor, operation: str) -> Tensor:
        if self.shared:
            import torch.distributed as dist

            values = values.clone()
            dist.all_reduce(values, op=getattr(dist.ReduceOp, operation))
        return values

    def generator(self, device: torch.device) -> torch.Generator | None:
        """Where this rank draws what lies in pieces of its own: the pieces differ, and all stay in step."""
        return torch.Generator(device).manual_seed(self.rank + 1) if self.shared else None

    def merged(self, probes: Mapping[str, LayerProbe]) -> dict[str, LayerProbe]:
        """What the ranks measured of one layer each: the same where all ran the same, a part where they share it."""
        if not self.shared:
            return dict(probes)
        each = self.all(dict(probes))
        return {name: _mean([probes[name] for probes in each if name in probes]) for name in each[0]}

    def settle(self, failure: str | None) -> str | None:
        """Why the passes failed on every rank alike, None where they failed on none.

        Raises OutOfStep on all ranks that can still speak where one failed and others did not: these wait for it in a
        collective, and can be told only through the store by which the ranks found each other.
        """
        if not self.shared:
            return failure
        from torch.distributed.distributed_c10d import _get_default_store

        store = _get_default_store()
        self.asked += 1
        over = f"initlint/{self.audit}/over"  # set by the first that gives up: what others met then follows from it
        keys = [f"initlint/{self.audit}/{self.asked}/{rank}" for rank in range(self.world)]
        store.set(keys[self.rank], json.dumps([time.time(), failure]))
        patience = max(_PATIENCE, time.monotonic() - self.began)
        last = time.monotonic() + patience
        while not store.check(keys) and not store.check([over]) and time.monotonic() < last:
            time.sleep(0.05)
        if store.check([over]):
            raise OutOfStep(store.get(over).decode())
        heard = {rank: json.loads(store.get(key)) for rank, key in enumerate(keys) if store.check([key])}
        failed = {rank: (when, why) for rank, (when, why) in heard.items() if why is not None}
        if len(failed) == self.world or (not failed and len(heard) == self.world):
            return failure
        if failed:
            rank = min(failed, key=lambda each: failed[each][0])
            text = f"rank {rank} failed, and the other ranks cannot go on without it: {failed[rank][1]}"
        else:
            absent = ", ".join(str(rank) for rank in range(self.world) if rank not in heard)
            text = f"rank {absent} was not heard of for {patience:.0f} s: audit() is called on every rank"
        store.set(over, text)
        raise OutOfStep(text)


def _mean(probes: list[LayerProbe]) -> LayerProbe:
    """One layer's figures over the ranks: stds are roots of mean squares, shares are means, extents the largest."""

    def each(name: str, merge: Callable[[Sequence[Any]], Any]) -> Any:
        values = [getattr(probe, name) for probe in probes]
        return merge(values) if all(map(known, values)) else UNKNOWN

    def by_call(values: Sequence[Sequence[float]]) -> Any:
        calls = list(zip(*values, strict=False))
        return tuple(_power(call) if all(map(known, call)) else UNKNOWN for call in calls)

    def largest(values: Sequence[tuple[float, float]]) -> tuple[float, float]:
        return max(value[0] for value in values), math.fsum(value[1] for value in values) / len(values)

    return LayerProbe(
        forward_std=each("forward_std", _power),
        total_std=each("total_std", _power),
        gradient_std=each("gradient_std", _power),
        dead_fraction=each("dead_fraction", _average),
        saturated_fraction=each("saturated_fraction", _average),
        one_hot_fraction=each("one_hot_fraction", _average),
        one_hot_gates=probes[0].one_hot_gates,
        scores_only=probes[0].scores_only,
        samples=probes[0].samples,
        finite=all(probe.finite for probe in probes),
        calls=probes[0].calls,
        forward_stds=each("forward_stds", by_call),
        gradient_stds=each("gradient_stds", by_call),
        forward_extent=each("forward_extent", largest),
        gradient_extent=each("gradient_extent", largest),
    )


def _power(values: Sequence[float]) -> float:
    return math.sqrt(math.fsum(value * value for value in values) / len(values))


def _average(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
