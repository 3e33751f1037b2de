"""The recorder: while a model is built it sees every write to every tensor, and whose statement it was.

A dispatch mode sees the operations, on whatever view or alias of a tensor; events are kept by storage and by
the bytes they set. What no operation shows is seen by patches that are there during construction only:
initialisers that return before they touch a meta tensor, ``Module.apply``, ``load_state_dict(assign=True)``,
``tensor.data = ``, ``tensor.numpy()`` (behind which writes go unseen), and modules being made or cloned.
"""

from __future__ import annotations

import copy
import functools
import inspect
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from types import FrameType, TracebackType
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.utils._python_dispatch import TorchDispatchMode

from initlint.facts import UNKNOWN
from initlint.live.events import (
    DATA,
    UNINITIALIZED,
    Applied,
    Event,
    Extent,
    Law,
    Memory,
    Run,
    author_of,
    storage_key,
)
from initlint.live.operations import Kind, Operation, plain
from initlint.live.provenance import Glance, Home, Site, Watcher, method_name
from initlint.live.recording import Birth, Recording

__all__ = ["Recorder", "Recording", "uninitialized_memory_filled"]

_INITIALIZERS: dict[str, Callable[..., Any]] = {
    name: function for name, function in vars(nn.init).items() if name in nn.init.__all__ and name != "calculate_gain"
}
_BY_CODE = {function.__code__: name for name, function in _INITIALIZERS.items() if name.endswith("_")}
_SIGNATURES = {
    name: inspect.signature(_INITIALIZERS.get(name + "_", function)) for name, function in _INITIALIZERS.items()
}


@contextmanager
def uninitialized_memory_filled() -> Iterator[None]:
    """Let torch fill fresh memory with NaN (the largest value for integers), so that what nobody writes shows."""
    strict = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    filled = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = True  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(strict, warn_only=warn_only)
        torch.utils.deterministic.fill_uninitialized_memory = filled  # type: ignore[attr-defined]


class Recorder:
    """Records the construction of a model in the thread that enters it::

        with Recorder(project_root) as recorder:
            model = Net()
        recording = recorder.finish(model)

    ``project_root`` is the folder whose code counts as the user's (site-packages below it does not); None counts all that is
    not installed. On leaving, also by an exception, everything patched is as it was.
    """

    def __init__(self, project_root: str | None = None) -> None:
        self._watcher = Watcher(project_root)
        self._memories: dict[int, Memory] = {}
        self._earlier: dict[int, tuple[weakref.ref[torch.Tensor], tuple[Event, ...]]] = {}
        self._parameters: dict[int, tuple[weakref.ref[torch.Tensor], tuple[Site, ...]]] = {}
        self._births: dict[int, Birth] = {}
        self._runs: list[Run] = []
        self._applied: list[Applied] = []
        self._run: Run | None = None
        self._run_frame: FrameType | None = None
        self._order = 0
        self._operations: dict[Any, Operation] = {}
        self._stack = ExitStack()
        self._thread: int | None = None

    def __enter__(self) -> Recorder:
        with ExitStack() as stack:
            stack.callback(self._leave)
            self._thread = threading.get_ident()
            stack.enter_context(uninitialized_memory_filled())
            for name, function in _INITIALIZERS.items():
                stack.enter_context(_patched(nn.init, name, self._initializer(name, function)))
            for owner, name, make in (
                (nn.Module, "__init__", self._module_init),
                (nn.Module, "__setstate__", self._module_setstate),
                (nn.Module, "apply", self._module_apply),
                (nn.Module, "load_state_dict", self._module_load),
                (torch.Tensor, "numpy", self._tensor_numpy),
            ):
                original = getattr(owner, name)
                stack.enter_context(_patched(owner, name, functools.wraps(original)(make(original))))
            stack.enter_context(_patched(torch.Tensor, "data", self._tensor_data()))
            stack.callback(register_module_parameter_registration_hook(self._registered).remove)
            stack.enter_context(_Mode(self))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def finish(self, root: nn.Module) -> Recording:
        """What was recorded of a model; its uninitialised elements are found by their filling and become zeros."""
        return Recording(
            root,
            memories=self._memories,
            earlier=self._earlier,
            parameters=self._parameters,
            births=self._births,
            runs=tuple(self._runs),
            order=self._order,
        )

    def _leave(self) -> None:
        self._thread = None
        self._run = self._run_frame = None
        self._watcher.forget()

    @property
    def _here(self) -> bool:
        """Whether the running thread is the one that is recorded."""
        return self._thread == threading.get_ident()

    def _next(self) -> int:
        self._order += 1
        return self._order

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
        if key is None or key in self._memories or self._run is not None:
            return
        glance = self._watcher.look(frame)
        if self._running_initializer(glance) is not None:
            return  # an initialiser's own temporary
        memory = self._memories[key] = Memory(tensor.untyped_storage(), complete=True)
        sources = [value for value in arguments if isinstance(value, torch.Tensor)]
        source = self._memory_of(sources[0]) if sources else None
        if operation.kind is Kind.CAST and source is not None:
            memory.copy_history(source, Extent.of(sources[0]), cloned=False)
            return
        bound = operation.bind(arguments, keywords)
        law = self._law_of(operation, sources, source, bound, tuple(tensor.shape))
        function = operation.canonical
        if operation.kind is Kind.COMPUTATION and law is not None and law is not DATA:
            function, bound = law.function, law.arguments  # "randn" says more of randn(n, m) * 0.02 than "mul" does
        event = self._event(function, bound, law, glance, Extent.of(tensor), shape=tuple(tensor.shape))
        memory.law = law
        if operation.kind is Kind.ALLOCATION:
            memory.allocation = event
            return
        if _is_cloning(glance):
            if source is None:
                memory.complete = False
            else:
                memory.copy_history(source, Extent.of(sources[0]), cloned=True)
            event = replace(event, function="copy.deepcopy", arguments={})
        memory.events.append(event)

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
        laws = [None if (memory := self._memory_of(value)) is None else memory.law for value in sources]
        if laws and all(law is DATA for law in laws):
            return DATA
        if source is None or source.law is None or len(sources) != 1:
            return None
        if operation.kind is Kind.COPY:
            return source.law
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
            glance = self._watcher.look(frame)
            run = self._run_of_frames(glance)
        if run is not None:
            if run.key == key:
                self._note_run(run, tensor)
            return
        assert glance is not None
        memory = self._memories.get(key)
        if memory is None:
            memory = self._memories[key] = Memory(tensor.untyped_storage(), complete=False)
            if (
                operation.name == "copy_"
                and _is_cloning(glance)
                and (origin := self._memory_of(arguments[1])) is not None
            ):
                # a buffer's storage is cloned as a whole, by a tensor of bytes laid over it
                memory.copy_history(origin, Extent.of(arguments[1]), cloned=True)
                event = self._event("copy.deepcopy", {}, origin.law, glance, Extent.of(tensor))
                memory.events.append(event)
                return
        bound = operation.bind(arguments, keywords)
        shape = tuple(tensor.shape)
        law: Law | None = None
        whole = operation.overwrites
        if operation.name == "copy_":
            source = self._memory_of(arguments[1])
            law = DATA if source is None and glance.loading else None if source is None else source.law
        elif operation.overwrites:
            law = Law(operation.canonical, bound, shape)
        elif (factors := operation.affine(bound)) is not None and memory.law is not None:
            law = memory.law.affine(*factors)
        event = self._event(operation.canonical, bound, law, glance, Extent.of(tensor), whole=whole, shape=shape)
        memory.events.append(event)
        complete = event.extent.covers(Extent(0, tensor.untyped_storage().nbytes(), True))
        memory.law = law if complete else None

    def _event(
        self,
        function: str,
        bound: Mapping[str, Any],
        law: Law | None,
        glance: Glance,
        extent: Extent,
        *,
        whole: bool = True,
        shape: tuple[int, ...] = (),
    ) -> Event:
        author = author_of(glance.sites)
        if glance.loading:
            function, bound, author = "torch.nn.Module.load_state_dict", {}, "checkpoint"
        elif glance.inner and self._is_framework(glance):
            author = "framework"
            outermost = glance.inner[-1]
            if str(outermost.f_globals.get("__name__", "")).startswith("torch.nn.utils."):
                function, bound = method_name(outermost), {}
            elif _is_reset(glance):
                author, function, bound = author_of(glance.sites), method_name(outermost), {}
        applied = self._applied[-1] if self._applied else None
        return Event(self._next(), function, bound, law, author, glance.sites, extent, whole, applied, shape)

    def _is_framework(self, glance: Glance) -> bool:
        """Whether torch's layers stand between the event and the statement, and not merely a method of Tensor."""
        return any(
            str(frame.f_globals.get("__name__", "")).startswith(("torch.nn.modules.", "torch.nn.utils."))
            for frame in glance.inner
        )

    def _memory_of(self, tensor: object) -> Memory | None:
        if not isinstance(tensor, torch.Tensor):
            return None
        key = storage_key(tensor)
        return None if key is None else self._memories.get(key)

    # Runs of torch.nn.init's functions

    def _running_initializer(self, glance: Glance) -> FrameType | None:
        """The outermost frame of torch.nn.init among torch's innermost frames, if there is one."""
        found = None
        for frame in glance.inner:
            if self._watcher.home(frame.f_code.co_filename) is Home.INIT and frame.f_code in _BY_CODE:
                found = frame
        return found

    def _run_of_frames(self, glance: Glance) -> Run | None:
        """The run of an initialiser that was imported before the patches were there, by its frame."""
        frame = self._running_initializer(glance)
        if frame is None:
            return None
        if frame is not self._run_frame:
            name = _BY_CODE[frame.f_code]
            arguments = {key: frame.f_locals.get(key, UNKNOWN) for key in _SIGNATURES[name].parameters}
            beyond = replace(glance, inner=glance.inner[glance.inner.index(frame) + 1 :])
            self._run_frame = frame
            self._runs.append(self._new_run(name, arguments, beyond))
        return self._runs[-1]

    def _new_run(self, name: str, arguments: Mapping[str, Any], glance: Glance) -> Run:
        target = next(iter(arguments.values()), None)
        key = storage_key(target) if isinstance(target, torch.Tensor) else None
        inside = bool(glance.inner) and self._is_framework(glance)
        author = "framework" if inside and not _is_reset(glance) else author_of(glance.sites)
        function = "torch.nn.init." + name
        return Run(
            order=self._next(),
            function=method_name(glance.inner[-1]) if inside and author != "framework" else function,
            initializer=function,
            arguments={key: plain(value) for key, value in list(arguments.items())[1:] if key != "generator"},
            author=author,
            sites=glance.sites,
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
        memory = self._memories.get(run.key)
        if memory is None:
            memory = self._memories[run.key] = Memory(tensor.untyped_storage(), complete=False)
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
        )
        memory.events.append(run.event)
        memory.law = law if run.extent.covers(Extent(0, tensor.untyped_storage().nbytes(), True)) else None

    def _initializer(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def initializer(*args: Any, **kwargs: Any) -> Any:
            if not self._here or self._run is not None:
                return original(*args, **kwargs)
            try:
                bound = _SIGNATURES[name].bind(*args, **kwargs)
            except TypeError:
                return original(*args, **kwargs)  # which says so itself
            given = tuple(bound.arguments)
            bound.apply_defaults()
            glance = self._watcher.look(sys._getframe(1))
            run = self._new_run(name, bound.arguments, glance)
            run.positional = tuple(_SIGNATURES[name].parameters)[: len(args)]
            run.given = given
            self._runs.append(run)
            self._run = run
            try:
                result = original(*args, **kwargs)
            finally:
                self._run = None
            target = next(iter(bound.arguments.values()))
            if isinstance(target, torch.Tensor):  # on meta some return before any operation
                self._note_run(run, target)
            return result

        return initializer

    # What operations do not show

    def _module_init(self, original: Callable[..., None]) -> Callable[..., None]:
        def init(module: nn.Module, *args: Any, **kwargs: Any) -> None:
            if self._here:
                self._born(module, "constructed")
            original(module, *args, **kwargs)

        return init

    def _module_setstate(self, original: Callable[..., None]) -> Callable[..., None]:
        def setstate(module: nn.Module, state: Any) -> None:
            if self._here:
                self._born(module, "cloned" if _in_deepcopy(sys._getframe(1)) else UNKNOWN)
            original(module, state)

        return setstate

    def _born(self, module: nn.Module, origin: str) -> None:
        glance = self._watcher.look(sys._getframe(2))
        sites = list(glance.sites)
        while sites and sites[0].code.co_name == "__init__":
            reference = sites[0].activation.module
            if reference is None or reference() is not module:
                break
            sites.pop(0)  # its own constructor, which calls the base's
        earlier = self._births.get(id(module))
        if earlier is None or earlier.module() is not module:
            self._births[id(module)] = Birth(weakref.ref(module), self._next(), tuple(sites), origin)

    def _module_apply(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def apply(module: nn.Module, fn: Callable[[nn.Module], Any]) -> Any:
            if not self._here or (self._applied and self._applied[-1].function is fn):
                return original(module, fn)  # Module.apply calls itself for the children
            name = getattr(fn, "__name__", None) or getattr(getattr(fn, "func", None), "__name__", type(fn).__name__)
            sites = self._watcher.look(sys._getframe(1)).sites
            self._applied.append(Applied(str(name), fn, self._next(), sites, weakref.ref(module)))
            try:
                return original(module, fn)
            finally:
                self._applied.pop()

        return apply

    def _module_load(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def load_state_dict(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            before = {name: storage_key(tensor) for name, tensor in module.state_dict(keep_vars=True).items()}
            result = original(module, *args, **kwargs)
            if self._here:
                glance = replace(self._watcher.look(sys._getframe(1)), loading=True)
                for name, tensor in module.state_dict(keep_vars=True).items():
                    key = storage_key(tensor)
                    if key is not None and key != before.get(name):  # assign=True puts the checkpoint's own tensors in
                        self._memories[key] = self._given(tensor, "torch.nn.Module.load_state_dict", DATA, glance)
            return result

        return load_state_dict

    def _tensor_numpy(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def numpy(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            if self._here and (memory := self._memory_of(tensor)) is not None:
                memory.complete = False
            return original(tensor, *args, **kwargs)

        return numpy

    def _tensor_data(self) -> property:
        raw = torch._C.TensorBase.data

        def get(tensor: torch.Tensor) -> Any:
            return raw.__get__(tensor)

        def put(tensor: torch.Tensor, value: Any) -> None:
            if not self._here or not isinstance(value, torch.Tensor):
                raw.__set__(tensor, value)
                return
            before, after = self._memory_of(tensor), self._memory_of(value)
            history = self._history(tensor)
            raw.__set__(tensor, value)
            key = storage_key(tensor)
            if key is None or before is after is not None:
                return
            glance = self._watcher.look(sys._getframe(1))
            if after is None:
                self._memories[key] = self._given(tensor, "torch.Tensor.data", None, glance)
            elif before is not None and before.events and after.events[: len(before.events)] != before.events:
                self._earlier[id(tensor)] = (weakref.ref(tensor), history)

        return property(get, put)

    def _history(self, tensor: torch.Tensor) -> tuple[Event, ...]:
        """The events of a tensor so far, those before it was given other memory included."""
        reference, earlier = self._earlier.get(id(tensor), (None, ()))
        if reference is None or reference() is not tensor:
            earlier = ()
        memory = self._memory_of(tensor)
        if memory is None:
            return earlier
        extent = Extent.of(tensor)
        return earlier + tuple(event for event in memory.events if event.extent.meets(extent))

    def _given(self, tensor: torch.Tensor, function: str, law: Law | None, glance: Glance) -> Memory:
        """A memory that was filled elsewhere and handed to a tensor as a whole."""
        storage = tensor.untyped_storage()
        memory = Memory(storage, complete=True)
        memory.law = law
        extent = Extent(0, storage.nbytes(), True)
        memory.events.append(self._event(function, {}, law, glance, extent, shape=tuple(tensor.shape)))
        return memory

    def _registered(self, module: nn.Module, name: str, parameter: Any) -> None:
        """torch's hook for register_parameter; returning None leaves the parameter as it is."""
        if self._here and isinstance(parameter, torch.Tensor):
            earlier = self._parameters.get(id(parameter))
            if earlier is not None and earlier[0]() is parameter:
                return
            sites = self._watcher.look(sys._getframe(1)).sites
            self._parameters[id(parameter)] = (weakref.ref(parameter), sites)


class _Mode(TorchDispatchMode):
    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        self._recorder.saw(func, args, kwargs or {}, result, sys._getframe(1))
        return result


@contextmanager
def _patched(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Set an attribute of a class or module; afterwards its own is back, or none where it had inherited it."""
    own = vars(owner).get(name, _patched)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if own is _patched:
            delattr(owner, name)
        else:
            setattr(owner, name, own)


def _is_reset(glance: Glance) -> bool:
    """Whether somebody called a torch layer's reset_parameters himself (not as the base's, from his own)."""
    name = glance.inner[-1].f_code.co_name
    if not name.lstrip("_").startswith("reset_"):
        return False
    return bool(glance.sites) and glance.sites[0].code.co_name != name


def _is_cloning(glance: Glance) -> bool:
    """Whether copy.deepcopy asked a tensor for its copy."""
    return any(frame.f_code.co_name == "__deepcopy__" for frame in glance.inner)


def _in_deepcopy(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code is copy.deepcopy.__code__:
            return True
        frame = frame.f_back
    return False
