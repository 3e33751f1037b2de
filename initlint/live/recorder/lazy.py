"""Lazy layers of a model that is being built: a first batch gives them their shapes, and draws their values."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from initlint.live.batches.batch import as_batch
from initlint.live.host.failures import said
from initlint.live.host.state import is_lazy

__all__ = ["give_shapes", "has_lazy", "shapeless"]


def has_lazy(module: nn.Module) -> bool:
    """Whether some parameter or buffer has no shape."""
    return any(is_lazy(tensor) for tensor in (*module.parameters(), *module.buffers()))


def give_shapes(module: nn.Module, batch: Any) -> None:
    """Run the model once, without gradients and in eval mode, if it has parameters without shapes and there is a batch.

    Run it under the recorder: the layers draw their parameters then, and what drew them is known. Where the model does
    not take the batch its parameters stay as they are; that it cannot be run is found, and said, later.
    """
    if batch is None or not has_lazy(module):
        return
    _run(module, batch)


def shapeless(module: nn.Module, batch: Any, *, meta: bool) -> str | None:
    """Why layers have no shape still, and what to do, where ``give_shapes`` was called before; None if all have one."""
    if not has_lazy(module):
        return None
    if meta:
        return "its lazy layers get their shapes from a pass, and with --meta there is none: leave it out"
    if batch is None:
        return "its lazy layers have no shape before a batch gives them one: give it with --batch"
    trial = copy.deepcopy(module)  # a pass changes the classes of lazy layers
    failure = _run(trial, batch)
    if failure is not None:
        return f"its lazy layers get no shape from this batch: {said(failure)}"
    lacking = [name for name, tensor in (*trial.named_parameters(), *trial.named_buffers()) if is_lazy(tensor)]
    if lacking:
        return f"{lacking[0]} has no shape, for forward does not use its lazy layer"
    return "its lazy layers have no shape yet: run one forward first"


def _run(module: nn.Module, batch: Any) -> Exception | None:
    """Run a model without gradients and in eval mode; what it raised."""
    modes = [(child, child.training) for child in module.modules()]
    try:
        chosen = as_batch(batch)
        module.eval()
        with torch.no_grad():
            module(*chosen.args, **chosen.kwargs)
    except Exception as error:
        return error
    finally:
        for child, training in modes:
            child.training = training
    return None
