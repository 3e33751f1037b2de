"""A model audited in the process that holds it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from initlint.facts import Facts
from initlint.live.audit import audit_module
from initlint.live.batches.batch import as_batch
from initlint.live.host.device import usable
from initlint.live.host.sharded import own_class, unwrapped
from initlint.live.host.state import preserved
from initlint.live.probing.objective import Loss, named_loss
from initlint.live.probing.width_spec import parse_widths, width_argument
from initlint.live.probing.widths import scaled
from initlint.live.recorder.build import Built, NeedsValues, NotAModel, NotBuilt, accepted, build, needs, seed_all
from initlint.live.recorder.lazy import give_shapes, has_lazy
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
    seeds: int = 1,
    widths: str | Sequence[int] | None = None,
) -> tuple[list[Facts], list[str]]:
    """Facts about a module, or about what a factory makes, which is then built under the recorder; and notes.

    There are as many facts as ``seeds``, but one of a module, which cannot be built again: a note says so.

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
            if widths is not None:
                raise TypeError("widths need a function or class that takes one, not a module")
            notes = ["a module cannot be built with other seeds: give audit() its class or a function for that"]
            if chosen is not None and not meta and has_lazy(model):
                model = copy.deepcopy(model)  # a batch gives it its shapes, which cannot be taken back
                seed_all(seed)
                give_shapes(model, chosen)
            with preserved(model) if initialize is not None else nullcontext():
                if initialize is not None:
                    seed_all(seed)
                    initialize(model)
                facts = audit_module(
                    model,
                    chosen,
                    name=own_class(model).__name__,
                    loss=wanted,
                    dtype=dtype,
                    device=where or own,
                    seed=seed,
                    meta=meta,
                )
            return [facts], notes if seeds > 1 else []
        if not callable(model):
            raise TypeError(f"a model is an nn.Module or a function that returns one, not {type(model).__name__}")
        name = getattr(model, "__name__", type(model).__name__)
        given, argument, spec = {}, None, None
        if widths is not None:
            spec = parse_widths(widths)
            argument = width_argument(spec, accepted(model))
            if argument is None:
                raise ValueError(f"{name} takes no {spec.name or 'argument that is a width (hidden=64,128 names one)'}")
            given = {argument: spec.widths[0]} if needs(model, argument) else {}
        every = []
        for each in range(seed, seed + seeds):
            built = _built(
                name,
                model,
                given,
                device=where or "cpu",
                seed=each,
                initialize=initialize,
                meta=meta,
                twice=each == seed,
                batch=chosen,
            )
            facts = audit_module(
                built.module,
                built.batch if chosen is None else chosen,
                recording=built.recording,
                name=name,
                loss=wanted,
                dtype=dtype,
                device=where or "cpu",
                seed=each,
                differing=built.differing,
                meta=meta,
            )
            every.append(facts)
        if spec is None or argument is None:
            return every, []
        make = _Maker(model, argument)
        notes = []
        for number, facts in enumerate(every):
            every[number], said = scaled(facts, make, argument, spec.widths, chosen, seed + number, where or "cpu")
            notes += [f"{name} {line}" for line in said]
        return every, notes


@dataclass(frozen=True, slots=True)
class _Maker:
    """Calls a factory with a width."""

    factory: Callable[..., Any]
    argument: str

    def __call__(self, width: int) -> Any:
        return self.factory(**{self.argument: width})


def _built(
    name: str,
    factory: Callable[..., Any],
    given: dict[str, Any],
    *,
    device: str,
    seed: int,
    initialize: Callable[[nn.Module], None] | None,
    meta: bool,
    twice: bool,
    batch: Any,
) -> Built:
    how: dict[str, Any] = {"seed": seed, "device": device, "initialize": initialize, "meta": meta, "twice": twice}
    try:
        return build(name, factory, given, **how, batch=batch)
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
