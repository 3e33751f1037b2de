"""What a model may change of its process that the next one would notice."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import CodeType, ModuleType
from typing import Any

import torch
from torch import nn

__all__ = ["Surroundings"]

_MODULES = (
    "builtins",
    "contextlib",
    "copy",
    "functools",
    "inspect",
    "io",
    "json",
    "math",
    "os",
    "random",
    "threading",
    "torch",
    "torch.autograd",
    "torch.nn",
    "torch.nn.functional",
    "torch.nn.init",
    "torch.overrides",
    "torch.utils._python_dispatch",
)
_SIGNALS = ("SIGABRT", "SIGALRM", "SIGCHLD", "SIGHUP", "SIGINT", "SIGPIPE", "SIGTERM")
_TORCH = os.path.join(os.path.dirname(torch.__file__), "")
_MANY = 256
_MISSING = object()


class Surroundings:
    """The process as it is now: what stands under the names of torch, of Python and of initlint, and what is set.

    What is added under a new name counts as no change, nor does what torch wraps itself: it imports parts of itself
    when they are first used.
    """

    def __init__(self) -> None:
        self._held = [(owner, dict(vars(owner))) for owner in _owners()]
        self._set = _settings()

    def changed(self) -> bool:
        """Whether something is another than it was."""
        return self._set != _settings() or any(
            not _is_torchs(now)
            for owner, held in self._held
            for name, value in held.items()
            if (now := vars(owner).get(name, _MISSING)) is not value
        )


def _owners() -> Iterator[ModuleType | type]:
    """The modules and classes of which something may have been replaced."""
    for name, module in list(sys.modules.items()):
        if isinstance(module, ModuleType) and (name in _MODULES or name.startswith("initlint.")):
            yield module
    yield torch.Tensor
    yield from {value for value in vars(nn).values() if isinstance(value, type)}


def _is_torchs(value: object) -> bool:
    """Whether something is a function that was written in torch."""
    code = getattr(value, "__code__", None)
    return isinstance(code, CodeType) and code.co_filename.startswith(_TORCH)


def _descriptors() -> int:
    """How many are open, in steps of many; -1 where that cannot be told, also for want of another one."""
    try:
        return len(os.listdir("/proc/self/fd")) // _MANY
    except OSError:
        return -1


def _settings() -> tuple[Any, ...]:
    """What is switched and set, as values to compare."""
    try:
        folder = os.getcwd()
    except OSError:  # it is no more
        folder = ""
    hooks = (value for name, value in vars(nn.modules.module).items() if name.startswith("_global_"))
    return (
        folder,
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.get_num_threads(),
        torch._C._len_torch_function_stack(),
        torch._C._len_torch_dispatch_stack(),
        sys.getrecursionlimit(),
        threading.active_count(),
        _descriptors(),
        *(len(value) for value in hooks if isinstance(value, dict)),
        *(signal.getsignal(getattr(signal, name)) for name in _SIGNALS if hasattr(signal, name)),
    )
