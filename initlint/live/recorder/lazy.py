"""Lazy layers of a model that is being built: a first batch gives them their shapes, and draws their values."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from initlint.live.batches.batch import as_batch
from initlint.live.host.state import is_lazy

__all__ = ["give_shapes"]


def give_shapes(module: nn.Module, batch: Any) -> None:
    """Run the model once, without gradients and in eval mode, if it has parameters without shapes and there is a batch.

    Run it under the recorder: the layers draw their parameters then, and what drew them is known. Where the model does
    not take the batch its parameters stay as they are; that it cannot be run is found, and said, later.
    """
    if batch is None or not any(is_lazy(tensor) for tensor in (*module.parameters(), *module.buffers())):
        return
    modes = [(child, child.training) for child in module.modules()]
    try:
        chosen = as_batch(batch)
        module.eval()
        with torch.no_grad():
            module(*chosen.args, **chosen.kwargs)
    except Exception:
        return
    finally:
        for child, training in modes:
            child.training = training
