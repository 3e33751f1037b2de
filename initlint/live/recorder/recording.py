"""What was recorded of one model, as facts."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from initlint.facts import UNKNOWN, Application, Distribution, Incident, InitCall, Target, Write
from initlint.live.recorder.applications import Applications, Owner, unique
from initlint.live.recorder.events import UNINITIALIZED, Birth, Event, Extent, Law, Run, place, storage_key
from initlint.live.recorder.ledger import Ledger
from initlint.live.recorder.provenance import Call, Home, Site, call_at
from initlint.live.recorder.rewiring import computed_weights
from initlint.location import Location
from initlint.theory.schemes import NOTHING_KNOWN

__all__ = ["Recording"]

_METHODS = frozenset(
    f"torch.Tensor.{name}_"
    for name in [
        "normal",
        "uniform",
        "fill",
        "zero",
        "random",
        "exponential",
        "bernoulli",
        "cauchy",
        "log_normal",
        "geometric",
    ]
)


_FEW = 0.02
"""The share of a tensor that may have been written by itself without its law being another."""


class Recording:
    """The writes, births and initialiser runs of one model; made by ``Recorder.finish``."""

    def __init__(self, root: nn.Module, ledger: Ledger, stale: Container[int] = ()) -> None:
        self._root = root
        self._ledger = ledger
        self._stale = stale
        self._owners: dict[int, list[Owner]] = {}
        self._tensors: dict[int, torch.Tensor] = {}
        for name, module in root.named_modules():
            for attribute, tensor in (*module._parameters.items(), *module._buffers.items()):
                if tensor is not None and not is_lazy(tensor):
                    self._owners.setdefault(id(tensor), []).append(Owner(name, kind_of(module), attribute))
                    self._tensors[id(tensor)] = tensor
        self._written: dict[int, tuple[Event, list[Owner]]] = {}
        for key, tensor in self._tensors.items():
            for event, _ in self._history(tensor) or ():
                if not event.inherited:
                    self._written.setdefault(event.order, (event, []))[1].extend(self._owners[key])
        self._bare: dict[int, tuple[int, int]] = {}
        self._applied = Applications(root, self._written.values(), self._birth)
        self._fresh = {
            key: write for key, tensor in self._tensors.items() if (write := self._settle(tensor)) is not None
        }

    # What was asked for

    def writes(self, tensor: torch.Tensor) -> tuple[Write, ...]:
        """The writes of a parameter or buffer in order, the framework's default first; UNKNOWN if one may be missed."""
        history = self._history(tensor)
        if history is None:
            return UNKNOWN  # type: ignore[no-any-return]
        writes = [self._write(event, overwrites) for event, overwrites in history]
        if (fresh := self._fresh.get(id(tensor))) is not None:
            writes.insert(0 if id(tensor) in self._bare else len(writes), fresh)
        return tuple(writes)

    def bare_rows(self, tensor: torch.Tensor) -> tuple[int, int] | None:
        """As Parameter.bare_rows."""
        if tensor.is_meta or self._history(tensor) is None:
            return UNKNOWN  # type: ignore[no-any-return]
        return self._bare.get(id(tensor))

    def padding_write(self, module: nn.Module, tensor: torch.Tensor) -> Write | None:
        """As Parameter.padding_write."""
        row = getattr(module, "padding_idx", None)
        if row is None or not isinstance(module, (nn.Embedding, nn.EmbeddingBag)) or tensor is not module.weight:
            return None
        if not -len(tensor) <= row < len(tensor):
            return None  # the table was replaced by a shorter one
        values = tensor.detach()[row]
        if not values.is_meta and not values.any():
            return None
        history = self._history(values)
        if history is None:
            return UNKNOWN  # type: ignore[no-any-return]
        drawn = [(event, whole) for event, whole in history if whole and event.function != "copy.deepcopy"]
        return self._write(*drawn[-1]) if drawn else None

    def left_out(self, tensor: torch.Tensor) -> Incident | None:
        """As Parameter.left_out."""
        history = self._history(tensor)
        if history is None:
            return UNKNOWN  # type: ignore[no-any-return]
        return self._ledger.loads.left_out(tensor, history[-1][0].order if history else 0)

    def computed(self, module: nn.Module) -> Iterator[tuple[str, str, tuple[Write, ...]]]:
        """The names under which a tensor stands that is computed from others: by what, and the writes that are lost."""
        for name, wrapper, subject in computed_weights(module):
            if isinstance(subject, nn.Module):
                lost = self._ledger.rewiring.lost(subject)
            elif (memory := self._ledger.memory_of(subject)) is None or any(
                memory is self._ledger.memory_of(parameter) for parameter in module._parameters.values()
            ):
                continue  # not watched, or one with a parameter: what is written there is not lost
            else:
                lost = [event for event in memory.events if event.author == "user"]
            yield name, wrapper, tuple(self._write(event, True) for event in lost)

    @property
    def incidents(self) -> tuple[Incident, ...]:
        """What went wrong while the model was put together, in order."""
        names = {id(module): name for name, module in self._root.named_modules()}
        found = [*self._ledger.rewiring.incidents(self._root), *self._ledger.loads.incidents(names)]
        found.sort(key=lambda pair: pair[0])
        return tuple(incident for _, incident in found)

    def has_values(self, tensor: torch.Tensor) -> bool:
        """Whether what a tensor holds is what was written to it; not so for one without memory."""
        return not tensor.is_meta and storage_key(tensor) not in self._stale

    def law(self, tensor: torch.Tensor) -> Distribution:
        """What a tensor was drawn from, as the writes to it tell; UNKNOWN where they do not tell all of it.

        A few elements that were written by themselves (the row of an embedding for padding) are passed over.
        """
        history = self._history(tensor)
        key = storage_key(tensor)
        if not history or key is None or id(tensor) in self._fresh:
            return UNKNOWN  # type: ignore[no-any-return]
        memory, extent = self._ledger.memories[key], Extent.of(tensor)
        if memory.law is not None and extent.covers(Extent(0, tensor.untyped_storage().nbytes(), True)):
            return memory.law.distribution()
        last = max((index for index, (_, overwrites) in enumerate(history) if overwrites), default=None)
        if last is None or (law := history[last][0].law) is None or law is UNINITIALIZED:
            return UNKNOWN  # type: ignore[no-any-return]
        later = [event.extent for event, _ in history[last + 1 :]]
        share = sum(part.end - part.start for part in later) / max(1, extent.end - extent.start)
        return law.distribution() if share <= _FEW else UNKNOWN

    def signature(self, tensor: torch.Tensor) -> str:
        """The same text for tensors that hold the same draw, by copying; UNKNOWN where some of it was drawn apart."""
        history = self._history(tensor)
        if not history or id(tensor) in self._fresh:
            return UNKNOWN  # type: ignore[no-any-return]
        drawn = [event for event, _ in history if event.function != "copy.deepcopy"]
        if not drawn or drawn[-1].law is None:
            return UNKNOWN  # type: ignore[no-any-return]
        orders = ",".join(f"{event.order}@{event.extent.start}" for event in drawn)
        return f"{tensor.dtype}{tuple(tensor.shape)}:{orders}"

    def made(self, module: nn.Module) -> tuple[int, Location | None]:
        """When a module was made (see Write.order) and the statement that made it; both UNKNOWN if not seen."""
        birth = self._birth(module)
        return (UNKNOWN, UNKNOWN) if birth is None else (birth.order, place(birth.sites)[0])

    def within(self, module: nn.Module) -> str:
        """The qualified name of the function whose statement made a module ("Net.__init__"); UNKNOWN if not seen."""
        birth = self._birth(module)
        if birth is None:
            return UNKNOWN  # type: ignore[no-any-return]
        location = place(birth.sites)[0]
        return next((site.function for site in birth.sites if site.location == location), UNKNOWN)

    def origin(self, module: nn.Module) -> str:
        """ "constructed", "cloned" (by copy.deepcopy) or UNKNOWN."""
        birth = self._birth(module)
        return UNKNOWN if birth is None else birth.origin

    def parameter_location(self, tensor: torch.Tensor) -> Location | None:
        """The statement that made a tensor a parameter, or made its memory; UNKNOWN if neither was seen."""
        reference, sites = self._ledger.parameters.get(id(tensor), (None, ()))
        if reference is not None and reference() is tensor:
            return place(sites)[0]
        key = storage_key(tensor)
        memory = None if key is None else self._ledger.memories.get(key)
        if memory is not None and memory.events and memory.events[-1].function == "copy.deepcopy":
            return place(memory.events[-1].sites)[0]
        if memory is not None and memory.allocation is not None:
            return place(memory.allocation.sites)[0]
        if memory is not None and memory.events:
            return place(memory.events[0].sites)[0]
        return UNKNOWN  # type: ignore[no-any-return]

    def applications(self, root: nn.Module) -> tuple[Application, ...]:
        """The runs of initialisers over several layers of ``root``, in order."""
        if root is not self._root:
            return UNKNOWN  # type: ignore[no-any-return]
        return self._applied.all()

    @property
    def calls(self) -> tuple[InitCall, ...]:
        """The calls of initialisers by the user's and libraries' code, in order, with what they were really given."""
        made: list[tuple[int, InitCall]] = []
        for run in self._ledger.runs:
            if not run.default and run.sites:
                made.append((run.order, self._run_call(run)))
        for event, owners in self._written.values():
            if event.function in _METHODS and event.author in ("user", "library") and event.sites:
                made.append((event.order, self._method_call(event, owners)))
        return tuple(call for _, call in sorted(made, key=lambda pair: pair[0]))

    # Events

    def _birth(self, module: nn.Module) -> Birth | None:
        birth = self._ledger.births.get(id(module))
        return birth if birth is not None and birth.module() is module else None

    def _history(self, tensor: torch.Tensor) -> list[tuple[Event, bool]] | None:
        """The events of a tensor and whether each set all of it; None if some may have been missed."""
        if self._ledger.lost or is_lazy(tensor) or (key := storage_key(tensor)) is None:
            return None
        memory = self._ledger.memories.get(key)
        if memory is None or not memory.complete:
            return None
        extent = Extent.of(tensor)
        reference, earlier = self._ledger.earlier.get(id(tensor), (None, ()))
        history = [(event, event.whole) for event in earlier] if reference is not None and reference() is tensor else []
        return history + [
            (event, event.whole and event.extent.covers(extent))
            for event in memory.events
            if event.extent.meets(extent)
        ]

    def _write(self, event: Event, overwrites: bool) -> Write:
        location, related = place(event.sites)
        law = event.law
        return Write(
            function=event.function,
            distribution=NOTHING_KNOWN if law is None else law.distribution(),
            author=event.author,
            location=location,
            order=event.order,
            arguments=event.arguments,
            overwrites=overwrites,
            application=self._applied.of(event),
            related=related,
            library_at=_library_statement(event.sites, location),
            dtype=UNKNOWN if event.dtype is None else str(event.dtype).removeprefix("torch."),
            of=event.of.distribution() if isinstance(event.of, Law) else event.of,
        )

    def _settle(self, tensor: torch.Tensor) -> Write | None:
        """The write that says a tensor, or a part of it, was never written; its filling becomes zeros."""
        history = self._history(tensor)
        key = storage_key(tensor)
        if history is None or key is None:
            return None
        allocation = self._ledger.memories[key].allocation
        full = [event for event, overwrites in history if overwrites]
        if full and full[-1].law is not UNINITIALIZED:
            return None
        source = full[-1] if full else allocation
        if source is None:
            return None
        if tensor.is_meta:
            untouched, partly = not history or bool(full), False
        else:
            filling = _filling(tensor)
            if filling is None:
                return None
            untouched, partly = bool(filling.all()), bool(filling.any())
            if partly and (tensor.is_floating_point() or tensor.is_complex() or (untouched and not history)):
                if not untouched and tensor.dim():
                    self._bare[id(tensor)] = _first_run(filling.reshape(len(filling), -1).any(dim=1).tolist())
                with torch.no_grad():
                    _clear(tensor.data, filling)
            elif not untouched or history:
                return None  # an integer of that value may as well have been written
        if not untouched and not partly:
            return None
        location, related = place(source.sites)
        if untouched:
            self._ledger.order += 1
        return Write(
            function=source.function,
            distribution=Distribution(family="uninitialized", known_by="recorded"),
            author=source.author,
            location=location,
            order=self._ledger.order if untouched else source.order,
            related=related,
        )

    # Calls

    def _run_call(self, run: Run) -> InitCall:
        location, _ = place(run.sites)
        assert location is not None
        call = call_at(run.sites[0].location)
        named = None if call is None or call.text.rpartition(".")[2] != run.initializer.rpartition(".")[2] else call
        names = tuple(run.arguments)
        positional, given = run.positional, run.given
        if named is not None and positional is None and named.positional is not None:
            positional = ("tensor", *names)[: named.positional]
            given = positional + named.keywords
        owners = self._written[run.order][1] if run.order in self._written else []
        law = None if run.event is None else run.event.law
        return InitCall(
            function=run.initializer,
            written=run.initializer.rpartition(".")[2] if named is None else named.text,
            target=_target(owners, run.shape, "" if named is None else named.target, is_module=run.key is None),
            location=location,
            arguments=run.arguments,
            given=UNKNOWN if given is None else given,
            positional=UNKNOWN if positional is None else positional,
            spellings={} if named is None else _spellings(named, ("tensor", *names)),
            distribution=NOTHING_KNOWN if law is None else law.distribution(),
            within=_within(run.sites[0]),
            evaluated=False,
        )

    def _method_call(self, event: Event, owners: list[Owner]) -> InitCall:
        location, _ = place(event.sites)
        assert location is not None
        call = call_at(event.sites[0].location)
        named = None if call is None or call.text.rpartition(".")[2] != event.function.rpartition(".")[2] else call
        names = tuple(event.arguments)
        positional: Any = UNKNOWN
        given: Any = UNKNOWN
        if named is not None and named.positional is not None:
            positional = names[: named.positional]
            given = positional + named.keywords
        return InitCall(
            function=event.function,
            written=event.function.rpartition(".")[2] if named is None else named.text,
            target=_target(owners, event.shape, "" if named is None else named.text.rpartition(".")[0]),
            location=location,
            arguments=event.arguments,
            given=given,
            positional=positional,
            spellings={} if named is None else _spellings(named, names),
            distribution=NOTHING_KNOWN if event.law is None else event.law.distribution(),
            within=_within(event.sites[0]),
            evaluated=False,
        )


def kind_of(module: nn.Module) -> str:
    """The nearest class of torch.nn among a module's ancestors; "Module" if it has none but that."""
    for owner in type(module).__mro__:
        if owner.__module__.startswith("torch.nn.modules."):
            return owner.__name__
    return "Module"


def _filling(tensor: torch.Tensor) -> torch.Tensor | None:
    """Which elements hold what torch fills fresh memory with; None for a type that it does not fill."""
    values = tensor.detach()
    if values.layout is not torch.strided or values.is_quantized or values.numel() == 0:
        return None
    if values.is_floating_point() or values.is_complex():
        try:
            return torch.isnan(values)
        except (RuntimeError, NotImplementedError):  # some eight-bit floats
            return None
    return values if values.dtype is torch.bool else values == torch.iinfo(values.dtype).max


def _clear(values: torch.Tensor, filling: torch.Tensor) -> None:
    try:
        values.masked_fill_(filling, 0)
    except NotImplementedError:  # eight-bit floats, unsigned integers
        values.copy_(values.float().masked_fill_(filling, 0))


def _library_statement(sites: tuple[Site, ...], chosen: Location | None) -> Location | None:
    """As Write.library_at: where installed code, and not the project's, wrote the innermost statement."""
    if not sites or sites[0].home is not Home.LIBRARY or sites[0].location == chosen:
        return None
    # What is handed a tensor (transformers.initialization.normal_) does what the library's own statement asks for.
    asking = next((site for site in sites if site.activation.handed is None), sites[0])
    return (asking if asking.home is Home.LIBRARY else sites[0]).location


def _first_run(flags: list[bool]) -> tuple[int, int]:
    """The (first, end) of the first stretch that is true."""
    first = flags.index(True)
    end = next((index for index, flag in enumerate(flags) if index > first and not flag), len(flags))
    return first, end


def _target(owners: list[Owner], shape: tuple[int, ...] | None, text: str, *, is_module: bool = False) -> Target:
    kinds = unique(owner.kind for owner in owners) if owners else UNKNOWN
    return Target(
        text=text or (owners[0].attribute if owners else ""),
        kinds=kinds,
        held=kinds,
        attribute=owners[0].attribute if owners else UNKNOWN,
        dimensions=UNKNOWN if shape is None else len(shape),
        shape=UNKNOWN if shape is None else shape,
        is_module=is_module,
    )


def _spellings(call: Call, names: tuple[str, ...]) -> dict[str, str]:
    """The identifiers that arguments were passed as, by the argument's name."""
    spelled = {}
    for key, identifier in call.identifiers.items():
        if isinstance(key, str):
            spelled[key] = identifier
        elif call.positional is not None and key < len(names):
            spelled[names[key]] = identifier
    spelled.pop("tensor", None)
    return spelled


def _within(site: Site) -> str | None:
    return None if site.code.co_name == "<module>" else site.code.co_name
