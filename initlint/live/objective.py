"""What a model is trained on, as far as a linter can know: its own loss, else random targets for its primary output."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = ["Objective", "primary_output"]

_PRIMARY = (
    "logits",
    "prediction_logits",
    "last_hidden_state",
    "sample",
    "out",
    "output",
    "predictions",
    "reconstruction",
)


def _fields(output: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(output, Mapping):
        yield from ((str(key), value) for key, value in output.items())
    elif hasattr(output, "_fields"):
        yield from ((name, getattr(output, name)) for name in output._fields)
    elif isinstance(output, (list, tuple)):
        yield from (("", value) for value in output)
    elif hasattr(output, "__dict__"):
        yield from vars(output).items()


def _tensors(output: Any, depth: int = 4) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
    elif depth:
        for _, value in _fields(output):
            yield from _tensors(value, depth - 1)


def _usable(tensor: Any) -> bool:
    return isinstance(tensor, Tensor) and tensor.is_floating_point() and tensor.numel() > 0


def primary_output(output: Any) -> Tensor | None:
    """The tensor that the model is for: logits, last_hidden_state, the first one with a gradient; None for none."""
    if isinstance(output, Tensor):
        return output if _usable(output) else None
    fields = dict(_fields(output))
    for name in _PRIMARY:
        value = fields.get(name)
        if isinstance(value, Tensor) and _usable(value) and value.requires_grad:
            return value
    tensors = [tensor for tensor in _tensors(output) if _usable(tensor)]
    return next((t for t in tensors if t.requires_grad and t.dim()), next(iter(tensors), None))


def _own_loss(output: Any) -> Tensor | None:
    """The loss that a model returned: ``.loss``, ``["loss"]``, a dict of scalar losses, or a scalar."""
    if isinstance(output, Tensor):
        return output if output.dim() == 0 and output.requires_grad else None
    fields = dict(_fields(output)) if not isinstance(output, (list, tuple)) or hasattr(output, "_fields") else {}
    loss = fields.get("loss")
    if isinstance(loss, Tensor) and loss.numel() == 1 and loss.requires_grad:
        return loss.reshape(())
    values = list(fields.values())
    if isinstance(output, Mapping) and values and all(isinstance(v, Tensor) and v.dim() == 0 for v in values):
        trainable = [v for v in values if v.requires_grad]
        return torch.stack([v.float() for v in trainable]).sum() if trainable else None
    return None


class Objective:
    """The loss of one output. ``kind`` is "model", "target" (mean square to random targets) or "given"."""

    def __init__(self, loss: Callable[[Any], Tensor] | None = None) -> None:
        self.loss = loss
        self._lasting: Tensor | None = None
        self.kind = "given" if loss is not None else "target"

    def __call__(self, output: Any) -> Tensor | None:
        """A scalar to call backward on; None where nothing in the output has a gradient."""
        if self.loss is not None:
            return self.loss(output)
        own = _own_loss(output)
        if own is not None:
            self.kind = "model"
            return own
        chosen = primary_output(output)
        if chosen is None or not chosen.requires_grad:
            return None
        values = chosen.float() if chosen.dtype in (torch.float16, torch.bfloat16) else chosen
        self.kind = "target"
        return (values - self._targets(values)).square().mean()

    def _targets(self, values: Tensor) -> Tensor:
        """N(0, 1): half the variance drawn anew for each call, half lasting and the same along dimension 0.

        Real targets have something to learn in them, by which the rows of a head part.
        """
        fresh = torch.randn_like(values)
        if self._lasting is None and values.dim():
            self._lasting = torch.randn_like(values[0])
        if self._lasting is None or self._lasting.shape != values.shape[1:]:
            return fresh
        targets: Tensor = (fresh + self._lasting) * 0.5**0.5
        return targets
