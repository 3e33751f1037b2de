"""A model audited in the process that holds it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from initlint.facts import Facts
from initlint.live.audit import audit_module
from initlint.live.batch import as_batch
from initlint.live.build import Built, NeedsValues, NotAModel, NotBuilt, build, seed_all
from initlint.live.device import usable
from initlint.live.objective import Loss, named_loss
from initlint.live.sharded import own_class, unwrapped
from initlint.live.state import preserved
from initlint.live.suggested import initializer_of

__all__ = ["audit_inprocess"]


def audit_inprocess(
    model: nn.Module | Callable[[], Any],
    batch: Any,
    *,
    loss: str | Callable[[Any], Tensor] | None,
    dtype: str | None = None,
    device: str | None,
    seed: int,
    initializer: str | None = None,
    meta: bool = False,
) -> Facts:
    """Facts about a module, or about what a factory makes, which is then built under the recorder.

    ``initializer`` is the source of a function that is called on it first; a module is afterwards as it was before.

    Raises TypeError for what is no model, makes none or needs arguments, and for a batch that is none; ValueError for a
    device or a loss that there is not. What a factory raises goes through. Random generators are left as they were.
    With ``meta`` nothing is run, and a factory's large parameters get no memory.
    """
    where = _device(device)
    wanted: Loss = named_loss(loss, None) if isinstance(loss, str) else loss
    with preserved(nn.Identity()):  # of a module with nothing in it, the state of the generators is all there is
        chosen = None if batch is None else as_batch(batch)
        initialize = None if initializer is None else initializer_of(initializer)
        if isinstance(model, nn.Module):
            model = unwrapped(model)
            own = next((str(tensor.device) for tensor in model.parameters()), "cpu")
            with preserved(model) if initialize is not None else nullcontext():
                if initialize is not None:
                    seed_all(seed)
                    initialize(model)
                return audit_module(
                    model,
                    chosen,
                    name=own_class(model).__name__,
                    loss=wanted,
                    dtype=dtype,
                    device=where or own,
                    seed=seed,
                    meta=meta,
                )
        if not callable(model):
            raise TypeError(f"a model is an nn.Module or a function that returns one, not {type(model).__name__}")
        name = getattr(model, "__name__", type(model).__name__)
        built = _built(name, model, device=where or "cpu", seed=seed, initialize=initialize, meta=meta)
        return audit_module(
            built.module,
            built.batch if chosen is None else chosen,
            recording=built.recording,
            name=name,
            loss=wanted,
            dtype=dtype,
            device=where or "cpu",
            seed=seed,
            differing=built.differing,
            meta=meta,
        )


def _built(
    name: str,
    factory: Callable[[], Any],
    *,
    device: str,
    seed: int,
    initialize: Callable[[nn.Module], None] | None,
    meta: bool,
) -> Built:
    try:
        return build(name, factory, {}, seed=seed, device=device, initialize=initialize, meta=meta)
    except NeedsValues as error:
        raise ValueError(str(error).replace("--meta", "meta")) from None
    except NotBuilt as error:
        reason = str(error).replace("--arg ", "").replace("=VALUE", "")  # as the command line says it
        raise TypeError(f"{reason}; give audit() a function that needs none, such as lambda: {name}(...)") from None
    except NotAModel as error:
        raise TypeError(str(error)) from None


def _device(device: str | None) -> str | None:
    if device is None:
        return None
    if not isinstance(device, (str, torch.device)):
        raise TypeError(f"a device is a str, not {type(device).__name__}")
    return usable(device)
