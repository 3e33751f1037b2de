"""What becomes of a model's parameters that no operation on memory shows: tied, parted, resized, computed anew, lazy.

The recorder tells of registrations and assignments as they happen; what they came to is judged when the model is
finished, for a later statement may mend what an earlier one broke.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from initlint.facts import Incident, known
from initlint.live.recorder.events import Event, place
from initlint.live.recorder.provenance import Home, Site, Watcher

__all__ = ["Computed", "Rewiring", "computed_weights"]

Sites = tuple[Site, ...]


class _Slot(NamedTuple):
    """A name of a module, under which a Parameter stands."""

    module: weakref.ref[nn.Module]
    name: str

    def held(self) -> Any:
        """What stands there now; None where nothing does."""
        module = self.module()
        return None if module is None else module._parameters.get(self.name)

    def same(self, other: _Slot) -> bool:
        """Whether two are one."""
        return self.name == other.name and self.module() is other.module()


@dataclass(frozen=True, slots=True)
class _Parted:
    """Two slots that held one Parameter, until ``slot`` was given another."""

    slot: _Slot
    other: _Slot
    tied: Sites
    sites: Sites
    function: str


@dataclass(frozen=True, slots=True)
class _Resized:
    parameter: weakref.ref[torch.Tensor]
    before: tuple[int, ...]
    after: tuple[int, ...]
    sites: Sites


@dataclass(frozen=True, slots=True)
class Computed:
    """A tensor that stands in the place of a weight: ``subject`` is the parametrization that computes it at each use,
    or the lazy Parameter that it is the empty data of."""

    subject: weakref.ref[Any]
    lazy: bool


class Rewiring:
    """What was noted of parameters while one model was made."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._holders: dict[int, tuple[weakref.ref[torch.Tensor], list[tuple[_Slot, Sites]]]] = {}
        self._slots: dict[tuple[int, str], tuple[_Slot, weakref.ref[torch.Tensor]]] = {}
        self._parted: list[_Parted] = []
        self._resized: list[_Resized] = []
        self._astray: list[tuple[Computed, Event]] = []

    def registered(self, module: nn.Module, name: str, parameter: torch.Tensor, frame: FrameType) -> None:
        """Note that a name of a module was given a Parameter."""
        sites = self._watcher.look(frame).sites
        slot = _Slot(weakref.ref(module), name)
        earlier = self._slots.get((id(module), name))
        if earlier is not None and earlier[0].same(slot):
            before = earlier[1]()
            if before is parameter:
                return
            if before is not None:
                self._leave(slot, before, sites)
        self._slots[id(module), name] = slot, weakref.ref(parameter)
        reference, holders = self._holders.get(id(parameter), (None, []))
        if reference is None or reference() is not parameter:
            holders = []
            self._holders[id(parameter)] = weakref.ref(parameter), holders
        holders.append((slot, sites))

    def _leave(self, slot: _Slot, before: torch.Tensor, sites: Sites) -> None:
        """A slot gives up its Parameter; where another holds it too, the two are parted."""
        reference, holders = self._holders.get(id(before), (None, []))
        if reference is None or reference() is not before:
            return
        mine = next((index for index, (held, _) in enumerate(holders) if held.same(slot)), None)
        if mine is None:
            return
        others = [index for index, (held, _) in enumerate(holders) if not held.same(slot) and held.held() is before]
        if others:
            _, tied = holders[max(mine, others[0])]
            self._parted.append(_Parted(slot, holders[others[0]][0], tied, sites, "torch.nn.Parameter"))
        del holders[mine]

    def emptied(self, shared: dict[int, list[tuple[nn.Module, str]]], frame: FrameType) -> None:
        """Note that ``to_empty`` ran over a module; ``shared`` are the places of each Parameter before."""
        sites = self._watcher.look(frame).sites
        for key, places in shared.items():
            (first, name), *rest = places
            reference, holders = self._holders.get(key, (None, []))
            if reference is None or not rest:
                continue
            for module, other in rest:
                if module._parameters.get(other) is not first._parameters.get(name):
                    mine, theirs = _Slot(weakref.ref(module), other), _Slot(weakref.ref(first), name)
                    tied = next((made for held, made in reversed(holders) if held.same(mine) or held.same(theirs)), ())
                    self._parted.append(_Parted(mine, theirs, tied, sites, "torch.nn.Module.to_empty"))

    def resized(self, tensor: torch.Tensor, before: tuple[int, ...], frame: FrameType) -> None:
        """Note that a tensor was given data of another shape by somebody's statement."""
        if self._watcher.home(frame.f_code.co_filename) is not Home.TORCH:
            sites = self._watcher.look(frame).sites
            self._resized.append(_Resized(weakref.ref(tensor), before, tuple(tensor.shape), sites))

    def strayed(self, computed: Computed, event: Event) -> None:
        """Note a write of the user's into what only stands in the place of a weight.

        Libraries do so in initialisers that run over every model of theirs, and mean the models without the wrap.
        """
        if event.author == "user":
            self._astray.append((computed, event))

    # What it came to

    def lost(self, subject: object) -> list[Event]:
        """The writes into what a parametrization gave, which are gone with it."""
        return [event for computed, event in self._astray if not computed.lazy and computed.subject() is subject]

    def incidents(self, root: nn.Module) -> Iterator[tuple[int, Incident]]:
        """What went wrong with the parameters of a finished model, each with a number to sort by."""
        names = {id(module): name for name, module in root.named_modules()}
        yield from ((0, incident) for incident in self._partings(names))
        owners = {id(p): (name, m, leaf) for name, m in root.named_modules() for leaf, p in m._parameters.items()}
        for change in self._resized:
            parameter = change.parameter()
            if parameter is None or id(parameter) not in owners or tuple(parameter.shape) != change.after:
                continue
            name, module, leaf = owners[id(parameter)]
            location, _ = place(change.sites)
            if location is not None and _sizes(module, leaf) == change.before != change.after:
                yield (
                    1,
                    Incident(
                        kind="resized",
                        location=location,
                        text=_dotted(name, leaf),
                        raises=False,
                        layer_kind=type(module).__name__,
                        before=change.before,
                        after=change.after,
                    ),
                )
        for computed, event in self._astray:
            subject = computed.subject()
            location, _ = place(event.sites)
            if computed.lazy and id(subject) in owners and location is not None:
                name, module, leaf = owners[id(subject)]
                yield (
                    event.order,
                    Incident(
                        kind="lazy",
                        location=location,
                        text=_dotted(name, leaf),
                        raises=False,
                        function=event.function,
                        layer_kind=type(module).__name__,
                    ),
                )

    def _partings(self, names: dict[int, str]) -> Iterator[Incident]:
        for parted in self._parted:
            module, other = parted.slot.module(), parted.other.module()
            if module is None or other is None or id(module) not in names or id(other) not in names:
                continue
            mine, theirs = parted.slot.held(), parted.other.held()
            location, _ = place(parted.sites)
            tied, _ = place(parted.tied)
            if mine is None or theirs is None or mine is theirs or location is None or tied is None:
                continue
            if _same_author(parted):
                yield Incident(
                    kind="untied",
                    location=location,
                    text=_dotted(names[id(module)], parted.slot.name),
                    raises=False,
                    function=parted.function,
                    layer_kind=type(module).__name__,
                    tied=tied,
                    other=_dotted(names[id(other)], parted.other.name),
                )


def _same_author(parted: _Parted) -> bool:
    """Whether one class of the project's ties and parts: what a subclass takes apart it means to."""
    if not parted.sites or not parted.tied or parted.sites[0].home is not Home.PROJECT:
        return False
    if parted.function.endswith("to_empty"):
        return parted.tied[0].home is Home.PROJECT
    there, here = parted.tied[0], parted.sites[0]
    if there.code.co_filename != here.code.co_filename or not known(here.function):
        return False
    return there.function.rpartition(".")[0] == here.function.rpartition(".")[0]


def _dotted(owner: str, leaf: str) -> str:
    return f"{owner}.{leaf}" if owner else leaf


_SIZES: dict[type[nn.Module], tuple[str, ...]] = {
    nn.Linear: ("out_features", "in_features"),
    nn.Embedding: ("num_embeddings", "embedding_dim"),
    nn.EmbeddingBag: ("num_embeddings", "embedding_dim"),
    nn.GroupNorm: ("num_channels",),
    nn.modules.batchnorm._NormBase: ("num_features",),
}


def _sizes(module: nn.Module, leaf: str) -> tuple[int, ...] | None:
    """The shape of a weight by the sizes that its layer keeps; None where it keeps none."""
    for kind, attributes in _SIZES.items():
        if isinstance(module, kind) and leaf == "weight":
            return tuple(getattr(module, attribute) for attribute in attributes)
    return None


# Weights that are computed

_PARAMETRIZATIONS = {"_WeightNorm": "weight_norm", "_SpectralNorm": "spectral_norm", "_Orthogonal": "orthogonal"}


def computed_weights(module: nn.Module) -> Iterator[tuple[str, str, Any]]:
    """(name, what computes it, subject) of every tensor of a module that is computed from other parameters.

    The subject is the ParametrizationList, or the tensor that stands there for the wrappers from before those.
    """
    if parametrize.is_parametrized(module):
        for name, steps in module.parametrizations.items():  # type: ignore[union-attr, operator]
            kind = type(next(iter(steps.children()), steps)).__name__
            wrapper = _PARAMETRIZATIONS.get(kind)
            yield name, f"torch.nn.utils.parametrizations.{wrapper}" if wrapper else kind, steps
    for hook in module._forward_pre_hooks.values():
        if isinstance(hook, (WeightNorm, SpectralNorm)):
            tensor = module.__dict__.get(hook.name)
            wrapper = "weight_norm" if isinstance(hook, WeightNorm) else "spectral_norm"
            if isinstance(tensor, torch.Tensor):
                yield hook.name, f"torch.nn.utils.{wrapper}", tensor
