"""The recorder's book: what happened to which memory, by whose statement.

It is told of operations, initialiser runs, assignments and births as they happen, and looks up the stack for who is
behind them. How it comes to be told is record.py's affair, and what it all means for a model is recording.py's.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import replace
from types import FrameType
from typing import Any

import torch
from torch import nn

from initlint.facts import UNKNOWN
from initlint.live.recorder.behind import attributed, is_cloning, is_framework, is_pretrained, is_reset
from initlint.live.recorder.events import (
    DATA,
    UNINITIALIZED,
    Applied,
    Birth,
    Event,
    Extent,
    Law,
    Memory,
    Run,
    author_of,
    storage_key,
)
from initlint.live.recorder.initializers import BY_CODE, DEFAULTS, bound_arguments
from initlint.live.recorder.libraries import as_one, library_call
from initlint.live.recorder.loads import Loads
from initlint.live.recorder.operations import Kind, Operation, plain
from initlint.live.recorder.provenance import Glance, Home, Site, Watcher, method_name
from initlint.live.recorder.rewiring import Computed, Rewiring

__all__ = ["Ledger"]

_FIRST_FORWARD = nn.modules.lazy.LazyModuleMixin._infer_parameters.__code__
"""What gives a lazy layer, which it calls ``module``, its shapes and values."""
_CROWD = 4096
"""Storages at which those that are gone are first forgotten."""


class Ledger:
    """What was noted while one model was made. ``lost`` says that something could not be noted."""

    def __init__(self, project_root: str | None) -> None:
        self.memories: dict[int, Memory] = {}
        self.earlier: dict[int, tuple[weakref.ref[torch.Tensor], tuple[Event, ...]]] = {}
        self.parameters: dict[int, tuple[weakref.ref[torch.Tensor], tuple[Site, ...]]] = {}
        self.births: dict[int, Birth] = {}
        self.runs: list[Run] = []
        self.order = 0
        self.watcher = Watcher(project_root)
        self.rewiring = Rewiring(self.watcher)
        self.loads = Loads()
        self._applied: list[Applied] = []
        self._run: Run | None = None
        self._run_frame: FrameType | None = None
        self._operations: dict[Any, Operation] = {}
        self._crowded = _CROWD
        self.lost = False

    def close(self) -> None:
        """Let go of the frames that were looked at last."""
        self._run = self._run_frame = None
        self.watcher.forget()

    def _next(self) -> int:
        self.order += 1
        return self.order

    # Operations

    def saw(
        self, function: Any, arguments: tuple[Any, ...], keywords: Mapping[str, Any], result: Any, frame: FrameType
    ) -> None:
        """Note one operation that ran."""
        operation = self._operations.get(function)
        if operation is None:
            operation = self._operations[function] = Operation(function)
        if operation.kind is Kind.VIEW:
            return
        if operation.kind is Kind.WRITE:
            for tensor in operation.written(arguments, keywords):
                self._wrote(operation, tensor, arguments, keywords, frame)
            return
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(tensor, torch.Tensor):
                self._made(operation, tensor, arguments, keywords, frame)

    def _made(
        self,
        operation: Operation,
        tensor: torch.Tensor,
        arguments: tuple[Any, ...],
        keywords: Mapping[str, Any],
        frame: FrameType,
    ) -> None:
        key = storage_key(tensor)
        if key is None or key in self.memories or self._run is not None:
            return
        glance = self.watcher.look(frame)
        if self._running_initializer(glance) is not None:
            return  # an initialiser's own temporary
        self._prune()
        memory = self.memories[key] = Memory(tensor.untyped_storage(), complete=True)
        sources = [value for value in arguments if isinstance(value, torch.Tensor)]
        source = self.memory_of(sources[0]) if sources else None
        if operation.kind is Kind.CAST and source is not None:
            memory.copy_history(source, sources[0], tensor, cloned=False)
            return
        bound: Mapping[str, Any] = operation.bind(arguments, keywords)
        law = self._law_of(operation, sources, source, bound, tuple(tensor.shape))
        function: str = operation.canonical
        if operation.kind is Kind.COMPUTATION and law is not None and law.is_factory:
            function, bound = law.function, law.arguments  # "randn" says more of randn(n, m) * 0.02 than "mul" does
        event = self._event(function, bound, law, glance, Extent.of(tensor), tensor)
        if operation.kind is Kind.COMPUTATION and function is operation.canonical:
            event = _of_another(event, source if len(sources) == 1 else None)
        memory.law = law
        if operation.kind is Kind.ALLOCATION:
            memory.allocation = event
            return
        if is_cloning(glance):
            if source is None:
                memory.complete = False
            else:
                memory.copy_history(source, sources[0], tensor, cloned=True)
            event = replace(event, function="copy.deepcopy", arguments={})
        memory.events.append(event)

    def _prune(self) -> None:
        """Forget memory that is gone, now and then: a constructor may compute with a million temporaries."""
        if len(self.memories) >= self._crowded:
            self.memories = {key: memory for key, memory in self.memories.items() if not memory.is_gone}
            self._crowded = 2 * len(self.memories) + _CROWD

    def _law_of(
        self,
        operation: Operation,
        sources: list[torch.Tensor],
        source: Memory | None,
        bound: Mapping[str, Any],
        shape: tuple[int, ...],
    ) -> Law | None:
        """The law of what an operation returns."""
        if operation.kind is Kind.ALLOCATION:
            return UNINITIALIZED
        if operation.kind is Kind.GIVEN:
            return DATA
        if operation.kind is Kind.FACTORY:
            return Law(operation.canonical, bound, shape)
        laws = [None if (memory := self.memory_of(value)) is None else memory.law for value in sources]
        if laws and all(law is DATA for law in laws):
            return None if operation.is_random else DATA
        if source is None or source.law is None or any(value.dim() for value in sources[1:]):
            return None
        if operation.kind is Kind.COPY:
            return None if _repeats(sources[0]) else source.law
        factors = operation.affine(bound)
        return None if factors is None else source.law.affine(*factors)

    def _wrote(
        self,
        operation: Operation,
        tensor: torch.Tensor,
        arguments: tuple[Any, ...],
        keywords: Mapping[str, Any],
        frame: FrameType,
    ) -> None:
        key = storage_key(tensor)
        if key is None:
            return
        glance = None
        run = self._run
        if run is None:
            glance = self.watcher.look(frame)
            run = self._run_of_frames(glance)
        if run is not None:
            if run.key == key:
                self._note_run(run, tensor)
            return
        assert glance is not None
        memory = self.memories.get(key)
        if memory is None:
            memory = self.memories[key] = Memory(tensor.untyped_storage(), complete=False)
            if (
                operation.name == "copy_"
                and is_cloning(glance)
                and (origin := self.memory_of(arguments[1])) is not None
            ):
                # a buffer's storage is cloned as a whole, by a tensor of bytes laid over it
                memory.copy_history(origin, arguments[1], tensor, cloned=True)
                event = self._event("copy.deepcopy", {}, origin.law, glance, Extent.of(tensor), tensor)
                memory.events.append(event)
                return
        bound = operation.bind(arguments, keywords)
        law: Law | None = None
        whole = operation.overwrites
        if operation.name == "copy_":
            law = self._copied(arguments[1], tensor)
        elif operation.draws:
            law = Law(operation.canonical, bound, tuple(tensor.shape))
        elif (factors := operation.affine(bound)) is not None and memory.law is not None:
            law = memory.law.affine(*factors)
        event = self._event(operation.canonical, bound, law, glance, Extent.of(tensor), tensor, whole=whole)
        if (call := library_call(glance.sites)) is not None and event.author == "user":
            before = memory.events[-1] if memory.events and memory.events[-1].call is call else None
            if before is not None and before.extent == event.extent:
                event = as_one(event, call, memory.events.pop())
            else:
                event = as_one(event, call, None)
            law = event.law
        memory.events.append(event)
        if memory.stands_for is not None:
            self.rewiring.strayed(memory.stands_for, event)
        complete = event.extent.covers(Extent(0, tensor.untyped_storage().nbytes(), True))
        memory.law = law if complete else None

    def _copied(self, source: object, tensor: torch.Tensor) -> Law | None:
        """The law of what ``copy_`` leaves; unknown where one value of the source goes to several places."""
        memory = self.memory_of(source)
        if memory is None or not isinstance(source, torch.Tensor) or source.shape != tensor.shape:
            return None
        return None if _repeats(source) else memory.law

    def _event(
        self,
        function: str,
        bound: Mapping[str, Any],
        law: Law | None,
        glance: Glance,
        extent: Extent,
        tensor: torch.Tensor,
        *,
        whole: bool = True,
    ) -> Event:
        function, bound, author = attributed(function, bound, glance)
        applied = self._applied[-1] if self._applied else None
        return Event(
            order=self._next(),
            function=function,
            arguments=bound,
            law=law,
            author=author,
            sites=self._sites(glance),
            extent=extent,
            whole=whole,
            applied=applied,
            shape=tuple(tensor.shape),
            dtype=tensor.dtype,
        )

    def _sites(self, glance: Glance) -> tuple[Site, ...]:
        """Where an event belongs; what a lazy layer draws in the first forward, to the statement that made it."""
        for frame in glance.inner:
            if frame.f_code is _FIRST_FORWARD and (birth := self.births.get(id(frame.f_locals.get("module")))):
                return birth.sites
        return glance.sites

    def memory_of(self, tensor: object) -> Memory | None:
        """What is known of a tensor's storage, None if it was not seen."""
        if not isinstance(tensor, torch.Tensor):
            return None
        key = storage_key(tensor)
        return None if key is None else self.memories.get(key)

    # Runs of torch.nn.init's functions

    def _running_initializer(self, glance: Glance) -> FrameType | None:
        """The outermost frame of torch.nn.init among torch's innermost frames, if there is one."""
        found = None
        for frame in glance.inner:
            if self.watcher.home(frame.f_code.co_filename) is Home.INIT and frame.f_code in BY_CODE:
                found = frame
        return found

    def _run_of_frames(self, glance: Glance) -> Run | None:
        """The run of an initialiser that was imported before the patches were there, by its frame."""
        frame = self._running_initializer(glance)
        if frame is None:
            return None
        if frame is not self._run_frame:
            name = BY_CODE[frame.f_code]
            arguments = {key: frame.f_locals.get(key, UNKNOWN) for key in DEFAULTS[name]}
            beyond = glance._replace(inner=glance.inner[glance.inner.index(frame) + 1 :])
            self._run_frame = frame
            self.runs.append(self._new_run(name, arguments, beyond))
        return self.runs[-1]

    def _new_run(self, name: str, arguments: Mapping[str, Any], glance: Glance) -> Run:
        target = next(iter(arguments.values()), None)
        key = storage_key(target) if isinstance(target, torch.Tensor) else None
        inside = bool(glance.inner) and is_framework(glance)
        author = "framework" if inside and not is_reset(glance) else author_of(glance.sites)
        function = "torch.nn.init." + name
        return Run(
            order=self._next(),
            function=method_name(glance.inner[-1]) if inside and author != "framework" else function,
            initializer=function,
            arguments={key: plain(value) for key, value in list(arguments.items())[1:] if key != "generator"},
            author=author,
            sites=self._sites(glance),
            default=inside,
            key=key,
            extent=Extent.of(target) if isinstance(target, torch.Tensor) and key is not None else None,
            shape=tuple(target.shape) if isinstance(target, torch.Tensor) and key is not None else None,
            applied=self._applied[-1] if self._applied else None,
        )

    def _note_run(self, run: Run, tensor: torch.Tensor) -> None:
        """Note that a run of an initialiser writes its target; what it does there in several steps is one event."""
        if run.event is not None or run.key is None or run.extent is None or run.shape is None:
            return
        memory = self.memories.get(run.key)
        if memory is None:
            memory = self.memories[run.key] = Memory(tensor.untyped_storage(), complete=False)
        law = Law(run.initializer, run.arguments, run.shape, default=run.default)
        run.event = Event(
            order=run.order,
            function=run.function,
            arguments=run.arguments,
            law=law,
            author=run.author,
            sites=run.sites,
            extent=run.extent,
            applied=run.applied,
            shape=run.shape,
            dtype=tensor.dtype,
        )
        memory.events.append(run.event)
        if memory.stands_for is not None:
            self.rewiring.strayed(memory.stands_for, run.event)
        memory.law = law if run.extent.covers(Extent(0, tensor.untyped_storage().nbytes(), True)) else None

    def begin(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], frame: FrameType) -> Run | None:
        """Note that an initialiser is called; None if it is called by another, or will refuse its arguments."""
        bound = bound_arguments(name, args, kwargs) if self._run is None else None
        if bound is None:
            return None
        run = self._new_run(name, bound, self.watcher.look(frame))
        run.positional = tuple(bound)[: len(args)]
        run.given = run.positional + tuple(kwargs)
        self.runs.append(run)
        self._run = run
        return run

    def end(self, run: Run, target: object) -> None:
        """Note that it has returned: on meta some do so before any operation. ``target`` is None where it raised."""
        self._run = None
        if isinstance(target, torch.Tensor):
            self._note_run(run, target)

    def left_undone(self, tensor: torch.Tensor, frame: FrameType) -> None:
        """Note that an initialiser found its target without memory, and is about to return."""
        if self._run is None:
            run = self._run_of_frames(self.watcher.look(frame))
            if run is not None and run.key is not None and run.key == storage_key(tensor):
                self._note_run(run, tensor)

    # What operations do not show

    def born(self, module: nn.Module, origin: str, frame: FrameType) -> None:
        """Note that a module came to be; its own constructors' frames are not the statement that made it."""
        earlier = self.births.get(id(module))
        if earlier is not None and earlier.module() is module:
            return
        sites = list(self.watcher.look(frame).sites)
        while sites and sites[0].code.co_name == "__init__":
            reference = sites[0].activation.module
            if reference is None or reference() is not module:
                break
            sites.pop(0)
        self.births[id(module)] = Birth(weakref.ref(module), self._next(), tuple(sites), origin)

    def registered(self, parameter: torch.Tensor, frame: FrameType) -> None:
        """Note that a tensor became a module's parameter, for the first time."""
        earlier = self.parameters.get(id(parameter))
        if earlier is None or earlier[0]() is not parameter:
            glance = self.watcher.look(frame)
            self.parameters[id(parameter)] = (weakref.ref(parameter), glance.sites)
            key = storage_key(parameter)
            if key is not None and key not in self.memories and is_pretrained(glance):
                self.memories[key] = self._filled(parameter, "", DATA, glance._replace(loading=True))

    def begin_apply(self, module: nn.Module, function: Any, frame: FrameType) -> bool:
        """Note that Module.apply begins; False where it is only on its way down to the children."""
        if self._applied and self._applied[-1].function is function:
            return False
        inner = getattr(function, "func", None)  # functools.partial
        name = getattr(function, "__name__", None) or getattr(inner, "__name__", type(function).__name__)
        sites = self.watcher.look(frame).sites
        self._applied.append(Applied(str(name), function, self._next(), sites, weakref.ref(module)))
        return True

    def end_apply(self) -> None:
        """Note that it has ended."""
        self._applied.pop()

    def exposed(self, tensor: torch.Tensor) -> None:
        """Note that a tensor's memory was given to code that can write there unseen."""
        memory = self.memory_of(tensor)
        if memory is not None:
            memory.complete = False

    def stands_for(self, tensor: torch.Tensor, subject: Any, *, lazy: bool) -> None:
        """Note that a tensor only stands in the place of a weight: ``subject`` computes it, or is lazy: no data."""
        memory = self.memory_of(tensor)
        if memory is not None:
            memory.stands_for = Computed(weakref.ref(subject), lazy)

    def replaced(
        self, tensor: torch.Tensor, history: tuple[Event, ...], before: Memory | None, frame: FrameType
    ) -> None:
        """Note ``tensor.data = other``; ``history`` and ``before`` are the tensor's as they were."""
        key = storage_key(tensor)
        after = self.memory_of(tensor)
        if key is None or (after is not None and after is before):
            return
        if after is None:
            self.memories[key] = self._filled(tensor, "torch.Tensor.data", None, self.watcher.look(frame))
        elif before is not None and before.events and not _continues(after.events, before.events):
            self.earlier[id(tensor)] = (weakref.ref(tensor), history)

    def loaded(self, tensor: torch.Tensor, frame: FrameType) -> None:
        """Note that load_state_dict(assign=True) put a checkpoint's own tensor in."""
        key = storage_key(tensor)
        if key is not None:
            glance = self.watcher.look(frame)._replace(loading=True)
            self.memories[key] = self._filled(tensor, "torch.nn.Module.load_state_dict", DATA, glance)

    def loaded_loosely(self, module: nn.Module, state: object, outcome: object, frame: FrameType) -> None:
        """Note a load_state_dict that was not strict, and what it said of the keys."""
        self.loads.note(module, state, outcome, self._next(), self.watcher.look(frame).sites)

    def history(self, tensor: torch.Tensor) -> tuple[Event, ...]:
        """The events of a tensor so far, those before it was given other memory included."""
        reference, earlier = self.earlier.get(id(tensor), (None, ()))
        if reference is None or reference() is not tensor:
            earlier = ()
        memory = self.memory_of(tensor)
        if memory is None:
            return earlier
        extent = Extent.of(tensor)
        return earlier + tuple(
            replace(event, whole=event.whole and event.extent.covers(extent))
            for event in memory.events
            if event.extent.meets(extent)
        )

    def _filled(self, tensor: torch.Tensor, function: str, law: Law | None, glance: Glance) -> Memory:
        """A memory that was filled elsewhere and handed to a tensor as a whole."""
        storage = tensor.untyped_storage()
        memory = Memory(storage, complete=True)
        memory.law = law
        extent = Extent(0, storage.nbytes(), True)
        memory.events.append(self._event(function, {}, law, glance, extent, tensor))
        return memory


def _continues(events: list[Event], before: list[Event]) -> bool:
    """Whether events begin with those of another memory, wherever in it (in a cast they lie elsewhere)."""
    return [(e.order, e.inherited) for e in events[: len(before)]] == [(e.order, e.inherited) for e in before]


def _of_another(event: Event, source: Memory | None) -> Event:
    """A computation's event with what it was applied to, and the type which that was drawn in."""
    if source is None or source.law is None or not source.events:
        return replace(event, of=UNKNOWN, dtype=None)
    return replace(event, of=source.law, dtype=source.events[-1].dtype)


def _repeats(tensor: torch.Tensor) -> bool:
    """Whether one element in memory stands in several places of a tensor, as after expand()."""
    return any(size > 1 and stride == 0 for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
