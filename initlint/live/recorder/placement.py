"""Where tensors are made while a model is built without its weights: large ones that hold no data on the meta device.

Parameters are made empty, filled with one number or drawn, and most are large. What a constructor computes with
(``[x.item() for x in torch.linspace(0, 0.1, depth)]``, tables of positions) comes of other operations or is small, and
stays real. Where the two meet, the real operand's shape goes on alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from initlint.live.recorder.operations import Operation

__all__ = ["BUDGETS", "Placement"]

BUDGETS = ((1 << 10, 1 << 22), (1 << 20, 1 << 24))
"""Elements up to which a tensor is made for real: one that is empty or drawn, and one that is filled with a number.

The second pair is for a constructor that reads values of tensors beyond the first.
"""
_TOTAL = 1 << 26
"""Elements of the larger real tensors, all together, beyond which those filled with a number are not made for real."""
_SMALL = 1 << 12

_EMPTY = frozenset(
    [
        "empty",
        "empty_like",
        "new_empty",
        "empty_strided",
        "new_empty_strided",
        "empty_permuted",
        "rand",
        "rand_like",
        "randn",
        "randn_like",
        "normal",
    ]
)
_FILLED = frozenset(
    ["zeros", "zeros_like", "ones", "ones_like", "full", "full_like", "new_zeros", "new_ones", "new_full", "eye"]
)


class Placement(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps what is large and holds no data off the memory. ``placed`` says that something was."""

    def __init__(self, drawn: int, filled: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._limits = {**dict.fromkeys(_EMPTY, drawn), **dict.fromkeys(_FILLED, filled)}
        self._left = _TOTAL
        self._operations: dict[Any, Operation] = {}
        self.placed = False
        self.stale: dict[int, StorageWeakRef] = {}
        """Storages of real tensors that should have been given values that there are not."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """False: torch would import dynamo to keep it out of the mode, which takes a second or two."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        operation = self._operations.get(func)
        if operation is None:
            operation = self._operations[func] = Operation(func)
        name, targets = operation.name, list(operation.written(args, kwargs))
        limit = self._limits.get(name)
        if limit is not None and not targets:
            if not _has_meta(args) and self._is_large(name, limit, args):
                kwargs["device"] = torch.device("meta")
                self.placed = True
            return func(*args, **kwargs)
        if not _has_meta((args, tuple(kwargs.values()))):
            return func(*args, **kwargs)
        if name == "_to_copy":
            kwargs.pop("device", None)  # what has no values goes nowhere
            kwargs.pop("pin_memory", None)
            return func(*args, **kwargs)
        real = [tensor for tensor in targets if not _has_meta(tensor)]
        for tensor in real:
            storage = tensor.untyped_storage()
            self.stale[storage._cdata] = StorageWeakRef(storage)  # type: ignore[no-untyped-call]
        if real or (targets and operation.draws):
            # There is nothing to write to, and torch would import its compiler's library to find out.
            return targets[0] if len(targets) == 1 else targets
        if name != "copy_":
            args, kwargs = tree_map_only(Tensor, _shape_alone, (args, kwargs))
        return func(*args, **kwargs)

    def _is_large(self, name: str, limit: int, args: tuple[Any, ...]) -> bool:
        """Whether what an operation makes is to be kept off the memory."""
        first = args[0] if args else ()
        if name.startswith("new_"):
            size = math.prod(args[1])
        elif isinstance(first, Tensor):  # *_like, and normal of tensors of means
            size = first.numel()
        elif isinstance(first, (list, tuple)):
            size = math.prod(first)
        elif name == "eye":
            size = int(first) * int(args[1] if len(args) > 1 and isinstance(args[1], int) else first)
        else:  # normal(mean, std, size)
            size = math.prod(args[2]) if len(args) > 2 and isinstance(args[2], (list, tuple)) else 0
        if size > limit or (size > _SMALL and size > self._left):
            return True
        if size > _SMALL:
            self._left -= size
        return False


def _has_meta(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.device.type == "meta"
    return isinstance(value, (list, tuple)) and any(map(_has_meta, value))


def _shape_alone(tensor: Tensor) -> Tensor:
    if _has_meta(tensor):
        return tensor
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
