"""Leaves a module, and the process, as they were found."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from initlint.live.host.sharded import local

__all__ = ["is_lazy", "preserved", "quiet_dropout"]

_REGISTRIES = ("_parameters", "_buffers", "_modules")
_DROP_RATES = (
    "p",
    "drop_prob",
    "drop_path",
    "drop_path_prob",
    "dropout",
    "attn_drop",
    "attn_dropout",
    "attention_dropout",
)


def is_lazy(tensor: object) -> bool:
    """Whether a parameter or buffer has no shape before the first forward."""
    return isinstance(tensor, (nn.UninitializedParameter, nn.UninitializedBuffer))


def _cuda_started() -> bool:
    return torch.cuda.is_available() and bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def _random_state() -> Iterator[None]:
    numpy: Any = sys.modules.get("numpy")
    python, cpu = random.getstate(), torch.get_rng_state()
    devices = torch.cuda.get_rng_state_all() if _cuda_started() else None
    array = numpy.random.get_state() if numpy is not None else None
    try:
        yield
    finally:
        random.setstate(python)
        torch.set_rng_state(cpu)
        if devices is not None:
            torch.cuda.set_rng_state_all(devices)
        if numpy is not None and array is not None:
            numpy.random.set_state(array)


def _set_deterministic(strict: bool, warn_only: bool) -> None:
    """As torch.use_deterministic_algorithms, which imports the compiler for it: two seconds where nobody has yet."""
    now = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    if now == (strict, warn_only):
        return
    if "torch._inductor.config" in sys.modules:  # which keeps the switch as well
        torch.use_deterministic_algorithms(strict, warn_only=warn_only)
    else:
        torch._C._set_deterministic_algorithms(strict, warn_only=warn_only)


@contextlib.contextmanager
def _settings() -> Iterator[None]:
    """The switches of torch that a model may turn: deterministic algorithms, cuDNN's, the fused path, default dtype."""
    deterministic = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic
    fills = memory.fill_uninitialized_memory
    cudnn = [(name, getattr(torch.backends.cudnn, name)) for name in ("enabled", "benchmark", "deterministic")]
    fastpath = torch.backends.mha.get_fastpath_enabled()
    dtype, gradients = torch.get_default_dtype(), torch.is_grad_enabled()
    try:
        yield
    finally:
        _set_deterministic(deterministic, warns)
        memory.fill_uninitialized_memory = fills
        for name, value in cudnn:
            if getattr(torch.backends.cudnn, name) != value:
                setattr(torch.backends.cudnn, name, value)
        torch.backends.mha.set_fastpath_enabled(fastpath)
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(gradients)


@contextlib.contextmanager
def preserved(module: nn.Module) -> Iterator[None]:
    """Whatever happens inside, ``module`` and the random generators are afterwards as they were before.

    Values of parameters and buffers, the tensors themselves (a forward may rebind a buffer), gradients,
    ``requires_grad``, training modes, hooks and plain attributes of every submodule (old weight_norm leaves its product
    there, others cache masks), the generators of torch, CUDA, numpy and random, torch's own switches. Nothing is
    deep-copied: what a forward changes inside a container of the user's, or in a scripted module's attributes, stays
    changed. Modules with lazy parameters cannot be preserved (ValueError), since the first forward gives them another
    class.
    """
    if any(is_lazy(tensor) for tensor in (*module.parameters(), *module.buffers())):
        raise ValueError("lazy parameters have no shape yet: run one forward first")
    modules = [child for child in module.modules() if not isinstance(child, torch.jit.ScriptModule)]
    attributes = [dict(child.__dict__) for child in modules]
    registries = [{name: dict(child.__dict__[name]) for name in _REGISTRIES} for child in modules]
    hooks = [
        {
            name: dict(value)
            for name, value in child.__dict__.items()
            if name.endswith("_hooks") and isinstance(value, dict)
        }
        for child in modules
    ]
    tensors = list({id(t): t for t in [*module.parameters(), *module.buffers()]}.values())
    with torch.no_grad():
        held = [local(tensor) for tensor in tensors]  # of a parameter in pieces, this process's own
        values = [(tensor, tensor.data, None if tensor.is_meta else tensor.detach().clone()) for tensor in held]
    gradients = [(p, p.grad, p.requires_grad) for p in module.parameters()]
    for parameter, _, _ in gradients:
        parameter.grad = None
    with _random_state(), _settings(), contextlib.ExitStack() as afterwards:  # what cannot be put back stops no other
        afterwards.callback(_put_gradients_back, gradients)
        for child, before, tables, callbacks in zip(modules, attributes, registries, hooks, strict=True):
            afterwards.callback(_put_attributes_back, child, before, {**tables, **callbacks})
        for tensor, data, value in values:
            afterwards.callback(_put_values_back, tensor, data, value)
        torch.backends.mha.set_fastpath_enabled(False)
        yield


def _put_values_back(tensor: Tensor, data: Tensor, value: Tensor | None) -> None:
    """``data`` is the tensor's memory as it was, ``value`` a copy of what was in it (None: it had none)."""
    with torch.no_grad():
        if _place(tensor) != _place(data) or tensor.shape != data.shape:
            tensor.data = data
        if value is not None and not _identical(tensor, value):
            tensor.copy_(value)


def _put_attributes_back(child: nn.Module, before: dict[str, Any], tables: dict[str, dict[Any, Any]]) -> None:
    """``tables`` are the contents of the dicts among the attributes that the module itself writes to."""
    child.__dict__.clear()
    child.__dict__.update(before)
    for name, table in tables.items():
        child.__dict__[name].clear()
        child.__dict__[name].update(table)


def _put_gradients_back(gradients: list[tuple[nn.Parameter, Tensor | None, bool]]) -> None:
    for parameter, gradient, requires in gradients:
        parameter.grad = gradient
        if parameter.requires_grad != requires:
            parameter.requires_grad_(requires)


def _place(tensor: Tensor) -> int | None:
    """Where a tensor's memory is; None for one that is not in one piece (sparse ones, some subclasses)."""
    try:
        return tensor.data_ptr()
    except RuntimeError:
        return None


def _identical(tensor: Tensor, value: Tensor) -> bool:
    """Whether the numbers are the same, so that an untouched tensor keeps its version; False for what has no equal."""
    try:
        return torch.equal(tensor, value)
    except NotImplementedError:  # sparse ones
        return False


@contextlib.contextmanager
def quiet_dropout(module: nn.Module) -> Iterator[None]:
    """Dropout and drop-path at rate 0, the training mode as it is (batch norm keeps to the batch)."""
    changed: list[tuple[nn.Module, str, float]] = []
    for child in module.modules():
        kind = type(child).__name__.lower()
        drops = "drop" in kind or "stochasticdepth" in kind
        for name in _DROP_RATES:
            rate = child.__dict__.get(name)
            if isinstance(rate, float) and 0 < rate <= 1 and (drops or name != "p"):
                changed.append((child, name, rate))
                child.__dict__[name] = 0.0
        if isinstance(child, nn.RNNBase) and child.dropout:
            changed.append((child, "dropout", child.dropout))
            child.dropout = 0.0
    try:
        yield
    finally:
        for child, name, rate in reversed(changed):
            child.__dict__[name] = rate
