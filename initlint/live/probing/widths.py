"""A model built at several widths, and the scale of each layer's output at each: a coordinate check at the start.

Yang and Hu 2021, arXiv 2011.14522; Yang et al. 2022, arXiv 2203.03466, appendix D.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from initlint.facts import Facts, Model, WidthScaling
from initlint.live.batches.batch import Batch, as_batch
from initlint.live.batches.inference import infer
from initlint.live.host.failures import said
from initlint.live.host.state import preserved, quiet_dropout
from initlint.live.recorder.build import seed_all

__all__ = ["scaled"]

_DRAWS = 3
"""How often each width is built; what differs between draws is luck."""


def _width_scaling(
    make: Callable[[int], Any],
    argument: str,
    widths: tuple[int, ...],
    batch: Any,
    model: Model,
    *,
    seed: int = 0,
    device: str = "cpu",
) -> WidthScaling:
    """How the output of the layers of ``model`` moves with the width; raises whatever building or running raises."""
    found: list[dict[str, float]] = []
    kept: Batch | None = None if batch is None else as_batch(batch).to(device)
    for width in widths:
        draws = []
        for draw in range(_DRAWS):
            seed_all(seed + draw)
            made = make(width)
            module, own = made if isinstance(made, (tuple, list)) else (made, None)
            module = module.to(device)
            with preserved(module):
                module.train()
                if own is not None and batch is None:
                    kept = as_batch(own).to(device)
                elif kept is None:
                    kept = infer(module, device=device)
                draws.append(_output_stds(module, kept))
        found.append({name: sum(each.get(name, 0.0) for each in draws) / len(draws) for name in draws[0]})
    layers = [layer for layer in model.layers if all(stds.get(layer.name, 0.0) > 0 for stds in found)]
    return WidthScaling(
        argument=argument,
        widths=widths,
        layers=tuple(layers),
        stds=tuple(tuple(stds[layer.name] for stds in found) for layer in layers),
    )


def scaled(
    facts: Facts,
    make: Callable[[int], Any],
    argument: str,
    widths: tuple[int, ...],
    batch: Any,
    seed: int,
    device: str,
) -> tuple[Facts, list[str]]:
    """The facts of a model with ``Model.scaling``; a line where it could not be had.

    ``make`` gives a module, or a module and its batch, for a width. ``batch`` is as ``audit_module`` takes it; it goes
    before that of ``make``. Never raises for what the model does.
    """
    (model,) = facts.models
    try:
        scaling = _width_scaling(make, argument, widths, batch, model, seed=seed, device=device)
    except Exception as error:  # the model is the user's
        return facts, [f"could not be run at every {argument} of {widths}: {said(error)}"]
    return replace(facts, models=(replace(model, scaling=scaling),)), []


def _output_stds(module: nn.Module, batch: Batch) -> dict[str, float]:
    """The std across the batch of what each layer with a weight gives, root mean square over units; first call only."""
    kept: dict[str, Tensor] = {}
    with _measured(module, kept), torch.no_grad(), quiet_dropout(module):
        module(*batch.args, **batch.kwargs)
    if not kept:
        return {}
    values = torch.stack([value.to("cpu") for value in kept.values()]).tolist()
    return {name: value for name, value in zip(kept, values, strict=True) if math.isfinite(value)}


@contextmanager
def _measured(module: nn.Module, kept: dict[str, Tensor]) -> Iterator[None]:
    def note(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            value = output[0] if isinstance(output, (tuple, list)) and output else output
            if name in kept or not isinstance(value, Tensor) or not value.is_floating_point():
                return
            if value.dim() > 1 and value.shape[0] > 1:
                kept[name] = value.detach().float().var(0).mean().sqrt()

        return hook

    with ExitStack() as hooks:
        for name, child in module.named_modules():
            if any(parameter.dim() > 1 for parameter in child.parameters(recurse=False)):
                hooks.enter_context(child.register_forward_hook(note(name)))
        yield
