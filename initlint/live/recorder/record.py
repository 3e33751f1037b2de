"""The recorder: while a model is built it sees every write to every tensor, and whose statement it was.

A dispatch mode sees the operations, on whatever view or alias of a tensor. What no operation shows is seen by
patches that are there during construction only: initialisers that return before they touch a meta tensor,
``Module.apply``, ``load_state_dict(assign=True)``, ``tensor.data = ``, ``tensor.numpy()`` and its kin (behind which
writes go unseen), and modules being made or cloned.
"""

from __future__ import annotations

import copy
import functools
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType, TracebackType
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize
from torch.utils._python_dispatch import TorchDispatchMode

from initlint.facts import UNKNOWN
from initlint.live.recorder.events import storage_key
from initlint.live.recorder.initializers import INITIALIZERS
from initlint.live.recorder.ledger import Ledger
from initlint.live.recorder.placement import Placement
from initlint.live.recorder.recording import Recording

__all__ = ["Recorder", "Recording", "uninitialized_memory_filled"]


@contextmanager
def uninitialized_memory_filled() -> Iterator[None]:
    """Let torch fill fresh memory with NaN (the largest value for integers), so that what nobody writes shows."""
    strict = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    filled = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    # torch.use_deterministic_algorithms does this and imports the compiler, which takes two seconds.
    torch._C._set_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = True  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch._C._set_deterministic_algorithms(strict, warn_only=warn_only)
        torch.utils.deterministic.fill_uninitialized_memory = filled  # type: ignore[attr-defined]


_EXPOSING = ("numpy", "__dlpack__", "apply_", "map_")
"""Methods of Tensor behind which its memory is written by what no operation shows."""


class Recorder:
    """Records the construction of a model in the thread that enters it::

        with Recorder(project_root) as recorder:
            model = Net()
        recording = recorder.finish(model)

    ``project_root`` is the folder whose code counts as the user's (site-packages below it does not); None counts all
    that is not installed. ``placement`` keeps weights off the memory. On leaving, also by an exception, everything
    patched is as it was.
    """

    def __init__(self, project_root: str | None = None, placement: Placement | None = None) -> None:
        self._ledger = Ledger(project_root)
        self._placement = placement
        self._stack = ExitStack()
        self._thread: int | None = None

    def __enter__(self) -> Recorder:
        with ExitStack() as stack:
            stack.callback(self._leave)
            self._thread = threading.get_ident()
            stack.enter_context(uninitialized_memory_filled())
            for name, function in INITIALIZERS.items():
                stack.enter_context(_patched(nn.init, name, self._initializer(name, function)))
            for owner, name, make in (
                (nn.Module, "__init__", self._init),
                (nn.Module, "__setstate__", self._setstate),
                (nn.Module, "apply", self._apply),
                (nn.Module, "load_state_dict", self._load_state_dict),
                (nn.Module, "to_empty", self._to_empty),
                (parametrize.ParametrizationList, "forward", self._parametrized),
                *((torch.Tensor, name, self._exposing) for name in _EXPOSING),
            ):
                original = getattr(owner, name)
                stack.enter_context(_patched(owner, name, functools.wraps(original)(make(original))))
            stack.enter_context(_patched(torch.Tensor, "data", self._data()))
            stack.enter_context(_patched(torch.Tensor, "is_meta", self._is_meta()))
            stack.callback(register_module_parameter_registration_hook(self._registered).remove)
            if self._placement is not None:
                stack.enter_context(self._placement)  # below the recorder, which sees what comes of it
            stack.enter_context(_Mode(self._ledger))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def finish(self, root: nn.Module) -> Recording:
        """What was recorded of a model; its uninitialised elements are found by their filling and become zeros."""
        return Recording(root, self._ledger, {} if self._placement is None else self._placement.stale)

    def _leave(self) -> None:
        self._thread = None
        self._ledger.close()

    @property
    def _here(self) -> bool:
        """Whether the running thread is the one that is recorded."""
        return self._thread == threading.get_ident()

    def _initializer(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def initializer(*args: Any, **kwargs: Any) -> Any:
            run = self._ledger.begin(name, args, kwargs, sys._getframe(1)) if self._here else None
            if run is None:
                return original(*args, **kwargs)
            result = None
            try:
                result = original(*args, **kwargs)
            finally:
                self._ledger.end(run, result)
            return result

        return initializer

    def _init(self, original: Callable[..., None]) -> Callable[..., None]:
        def init(module: nn.Module, *args: Any, **kwargs: Any) -> None:
            if self._here:
                self._ledger.born(module, "constructed", sys._getframe(1))
            original(module, *args, **kwargs)

        return init

    def _setstate(self, original: Callable[..., None]) -> Callable[..., None]:
        def setstate(module: nn.Module, state: Any) -> None:
            if self._here:
                frame = sys._getframe(1)
                self._ledger.born(module, "cloned" if _in_deepcopy(frame) else UNKNOWN, frame)
            original(module, state)

        return setstate

    def _apply(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def apply(module: nn.Module, fn: Callable[[nn.Module], Any]) -> Any:
            if not self._here or not self._ledger.begin_apply(module, fn, sys._getframe(1)):
                return original(module, fn)
            try:
                return original(module, fn)
            finally:
                self._ledger.end_apply()

        return apply

    def _load_state_dict(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def load_state_dict(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            before = {name: storage_key(tensor) for name, tensor in _tensors(module)}
            result = original(module, *args, **kwargs)
            if self._here:
                for name, tensor in _tensors(module):
                    if before.get(name) != storage_key(tensor):
                        self._ledger.loaded(tensor, sys._getframe(1))
                state = args[0] if args else kwargs.get("state_dict")
                self._ledger.loaded_loosely(module, state, result, sys._getframe(1))
            return result

        return load_state_dict

    def _to_empty(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def to_empty(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            if not self._here:
                return original(module, *args, **kwargs)
            shared = _places(module)
            result = original(module, *args, **kwargs)
            self._ledger.rewiring.emptied(shared, sys._getframe(1))
            return result

        return to_empty

    def _parametrized(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def forward(steps: parametrize.ParametrizationList) -> Any:
            result = original(steps)
            if self._here and isinstance(result, torch.Tensor):
                own = {storage_key(tensor) for tensor in steps.parameters(recurse=False)}
                if storage_key(result) not in own:
                    self._ledger.stands_for(result, steps, lazy=False)
            return result

        return forward

    def _exposing(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def exposing(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            if self._here:
                self._ledger.exposed(tensor)
            return original(tensor, *args, **kwargs)

        return exposing

    def _data(self) -> property:
        raw: Any = torch._C.TensorBase.data

        def get(tensor: torch.Tensor) -> Any:
            found = raw.__get__(tensor)
            if is_lazy(tensor) and self._here:
                self._ledger.stands_for(found, tensor, lazy=True)
            return found

        def put(tensor: torch.Tensor, value: Any) -> None:
            if not self._here:
                raw.__set__(tensor, value)
                return
            frame = sys._getframe(1)
            history, before = self._ledger.history(tensor), self._ledger.memory_of(tensor)
            shape = None if is_lazy(tensor) else tuple(tensor.shape)
            raw.__set__(tensor, value)
            self._ledger.replaced(tensor, history, before, frame)
            if shape is not None and shape != tuple(tensor.shape):
                self._ledger.rewiring.resized(tensor, shape, frame)

        return property(get, put)

    def _is_meta(self) -> property:
        """Initialisers ask this, and return: those that were imported under another name show nowhere else."""
        raw: Any = torch._C.TensorBase.is_meta

        def get(tensor: torch.Tensor) -> bool:
            answer = bool(raw.__get__(tensor))
            if answer and self._here and sys._getframe(1).f_globals.get("__name__") == "torch.nn.init":
                self._ledger.left_undone(tensor, sys._getframe(1))
            return answer

        return property(get)

    def _registered(self, module: nn.Module, name: str, parameter: Any) -> None:
        """torch's hook for register_parameter; returning None leaves the parameter as it is."""
        if self._here and isinstance(parameter, torch.Tensor):
            frame = sys._getframe(1)
            self._ledger.registered(parameter, frame)
            self._ledger.rewiring.registered(module, name, parameter, frame)


class _Mode(TorchDispatchMode):
    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """torch asks whether to keep dynamo out of the mode, for which it would import it: one to two seconds."""
        return False

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._ledger = ledger

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        try:
            self._ledger.saw(func, args, kwargs or {}, result, sys._getframe(1))
        except Exception:  # a kind of tensor that cannot be looked at must not cost the user his model
            self._ledger.lost = True
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


def _tensors(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    yield from module.named_parameters()
    yield from module.named_buffers()


def _places(module: nn.Module) -> dict[int, list[tuple[nn.Module, str]]]:
    """Under which names of which modules each parameter stands."""
    found: dict[int, list[tuple[nn.Module, str]]] = {}
    for child in module.modules():
        for name, parameter in child._parameters.items():
            found.setdefault(id(parameter), []).append((child, name))
    return found


def _in_deepcopy(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code is copy.deepcopy.__code__:
            return True
        frame = frame.f_back
    return False
