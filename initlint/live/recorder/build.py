"""Builds a model under the recorder, and once more to see whether the same seed gives the same values."""

from __future__ import annotations

import ast
import ctypes
import hashlib
import inspect
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from initlint.facts import UNKNOWN
from initlint.live.host.failures import said
from initlint.live.host.sharded import held
from initlint.live.recorder.lazy import give_shapes
from initlint.live.recorder.placement import BUDGETS, Placement
from initlint.live.recorder.record import Recorder, Recording, uninitialized_memory_filled

__all__ = [
    "Built",
    "NeedsValues",
    "NotAModel",
    "NotBuilt",
    "accepted",
    "arguments_for",
    "build",
    "keep",
    "literals",
    "needs",
    "seed_all",
]

_PATIENCE = 30.0
"""Seconds: what takes longer to build than this is not built a second time."""


class NotBuilt(Exception):
    """A model cannot be built as things are, through no fault of its own; the text is the reason."""


class NeedsArguments(NotBuilt):
    """A class or function cannot be called without some."""


class NeedsValues(NotBuilt):
    """A constructor reads values of weights, and there are none."""


class NotAModel(Exception):
    """What was named is no model and makes none; the text is the reason."""


@dataclass(frozen=True, slots=True)
class Built:
    """A model, the batch that came with it (None if none did), and how it was made.

    ``differing`` are the parameters and buffers that a second build under the same seed filled with other values;
    UNKNOWN where there was no second build.
    """

    module: nn.Module
    batch: Any
    recording: Recording
    differing: tuple[str, ...]


def literals(given: Sequence[str]) -> dict[str, Any]:
    """``NAME=VALUE`` pairs as arguments; a value that is no Python literal is text. ValueError without a name."""
    arguments = {}
    for pair in given:
        name, equals, text = pair.partition("=")
        if not equals or not name.isidentifier():
            raise ValueError(f"{pair!r} is no argument: write NAME=VALUE")
        try:
            arguments[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            arguments[name] = text
    return arguments


def arguments_for(name: str, factory: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the given arguments that a class or function takes.

    Raises NotBuilt where it needs others, or is abstract.
    """
    if inspect.isabstract(factory):
        raise NotBuilt(f"{name} is abstract")
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (ValueError, TypeError):  # a callable of C's does not say
        return dict(given)
    missing = [
        parameter.name
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        and (parameter.name not in given or parameter.kind is parameter.POSITIONAL_ONLY)
    ]
    if missing:
        flags = " ".join(f"--arg {argument}=VALUE" for argument in missing)
        raise NeedsArguments(f"{name} needs arguments: {flags}")
    names = accepted(factory)
    return {key: value for key, value in given.items() if names is None or key in names}


def accepted(factory: Callable[..., Any]) -> tuple[str, ...] | None:
    """The keyword arguments that a class or function takes, in order; None where it takes any, or does not say."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (ValueError, TypeError):
        return None
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return tuple(p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))


def needs(factory: Callable[..., Any], argument: str) -> bool:
    """Whether a class or function has to be given an argument, having no default for it."""
    try:
        parameter = inspect.signature(factory).parameters.get(argument)
    except (ValueError, TypeError):
        return False
    return parameter is not None and parameter.default is parameter.empty


def build(
    name: str,
    factory: Callable[..., Any],
    given: Mapping[str, Any],
    *,
    seed: int = 0,
    device: str = "cpu",
    project_root: str | None = None,
    initialize: Callable[[nn.Module], None] | None = None,
    meta: bool = False,
    twice: bool = True,
    batch: Any = None,
) -> Built:
    """Make a model with a class or function, under the recorder, on ``device``.

    ``initialize`` is called on it last, as if its constructor ended so. With ``meta`` its large parameters get no
    memory, wherever it is to go. ``twice`` builds it once more under the same seed, to compare. ``batch``, or the one
    that comes with the model, gives lazy layers their shapes.

    Raises NotBuilt where arguments are missing, NotAModel where something else comes out, and what the factory raises.
    """
    arguments = arguments_for(name, factory, given)

    def make() -> tuple[nn.Module, Any]:
        return _model_of(name, factory(**arguments), initialize, batch)

    if meta:
        return _without_weights(name, lambda: factory(**arguments), seed, project_root, initialize)
    started = time.monotonic()
    seed_all(seed)
    with Recorder(project_root) as recorder:
        module, came = make()
        module = module.to(device=device)
    seconds = time.monotonic() - started
    first = _digests(module) if twice and seconds <= _PATIENCE else None
    recording = recorder.finish(module)
    differing: tuple[str, ...] = UNKNOWN
    if first is not None:
        second = _again(lambda: make()[0], seed, device)
        if second is not None and second.keys() == first.keys():
            differing = tuple(key for key, digest in first.items() if second[key] != digest)
    return Built(module, came, recording, differing)


def keep(
    name: str,
    load: Callable[[], Any],
    *,
    seed: int = 0,
    device: str = "cpu",
    project_root: str | None = None,
    initialize: Callable[[nn.Module], None] | None = None,
    meta: bool = False,
    batch: Any = None,
) -> Built:
    """Take a model that a module holds ready; ``load`` runs that module again, under the recorder, and returns it.

    ``initialize``, ``meta`` and ``batch`` as for ``build``.
    """
    if meta:
        return _without_weights(name, load, seed, project_root, initialize)
    seed_all(seed)
    with Recorder(project_root) as recorder:
        module, came = _model_of(name, load(), initialize, batch)
        module = module.to(device=device)
    return Built(module, came, recorder.finish(module), UNKNOWN)


def _without_weights(
    name: str,
    make: Callable[[], Any],
    seed: int,
    project_root: str | None,
    initialize: Callable[[nn.Module], None] | None,
) -> Built:
    """Make a model whose large parameters get no memory; a constructor that reads values of tensors gets more of them.

    Raises NeedsValues, in one line that says what to do, for a model that cannot be made so.
    """
    failure: Exception | None = None
    for drawn, filled in BUDGETS:
        placement = Placement(drawn, filled)
        seed_all(seed)
        try:
            with Recorder(project_root, placement) as recorder:
                module, batch = _model_of(name, make(), initialize)
        except NotAModel:
            raise
        except Exception as error:
            if not placement.placed:
                raise
            failure = failure or error
            continue
        return Built(module, batch, recorder.finish(module), UNKNOWN)
    assert failure is not None
    raise NeedsValues(f"{name} cannot be built without weights: leave --meta out ({said(failure, 160)})")


def seed_all(seed: int) -> None:
    """Seed every generator that a constructor or a forward pass is likely to draw from."""
    torch.manual_seed(seed)
    random.seed(seed)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(seed % 2**32)


def _model_of(
    name: str, made: Any, initialize: Callable[[nn.Module], None] | None = None, given: Any = None
) -> tuple[nn.Module, Any]:
    batch = None
    if isinstance(made, (tuple, list)) and len(made) == 2 and isinstance(made[0], nn.Module):
        made, batch = made
    if not isinstance(made, nn.Module):
        raise NotAModel(f"{name} gives a {type(made).__name__}, and neither an nn.Module nor (module, batch)")
    give_shapes(made, batch if given is None else given)
    if initialize is not None:
        initialize(made)
    return made, batch


def _again(make: Callable[[], nn.Module], seed: int, device: str) -> dict[str, str] | None:
    """The digests of a second build; None where it cannot be built twice."""
    seed_all(seed)
    with uninitialized_memory_filled() if torch.device(device).type != "meta" else nullcontext():
        try:
            return _digests(make().to(device=device))
        except Exception:  # whatever the user's constructor raises the second time
            return None


def _digests(module: nn.Module) -> dict[str, str]:
    """A digest of each parameter's and buffer's bits, by name."""
    return {name: _digest(tensor) for name, tensor in _tensors(module) if not is_lazy(tensor) and not tensor.is_meta}


def _tensors(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    yield from module.named_parameters()
    yield from module.named_buffers()


def _digest(tensor: torch.Tensor) -> str:
    try:
        values = held(tensor.detach()).cpu().contiguous()
        content = (ctypes.c_char * (values.numel() * values.element_size())).from_address(values.data_ptr())
    except (RuntimeError, NotImplementedError, ValueError):  # sparse and quantised tensors, subclasses without memory
        return ""
    return hashlib.blake2b(content, digest_size=16).hexdigest() if len(content) else ""
