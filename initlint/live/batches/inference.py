"""The first plausible batch that a module runs on.

What a model carries for the purpose comes first (Lightning's example_input_array), then what its configuration tells
(transformers, diffusers). Others are listed from the names in forward's signature and the sizes that the layers take,
tried on fake tensors, which cost no memory, and then for real, those first that got furthest. Images on which some map
shrinks to one pixel are made larger: parameters look dead there that are not.
"""

from __future__ import annotations

import contextlib
import inspect
import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from initlint.live.batches.batch import Batch, as_batch, make
from initlint.live.batches.batch_spec import DTYPES, BatchSpec
from initlint.live.batches.candidates import Candidate, candidates
from initlint.live.batches.configured import configured
from initlint.live.host.failures import told_at
from initlint.live.host.state import quiet_dropout

__all__ = ["NoSampleBatch", "faked", "first_batch", "infer"]

_BATCH = 8
_SMALL = 1 << 17
_PATIENCE = 20.0
"""Seconds of processor time after which no further batch is tried, on fakes and again for real."""
_QUICK = 300_000_000
"""Parameters up to which a likely batch is tried for real before any is tried on fakes."""
_LARGER = (128, 224)
_UNLIKE = "forward takes inputs that cannot be guessed"
_SHRINKING = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)


class NoSampleBatch(ValueError):
    """What a model takes cannot be told, and the user has to."""


def infer(module: nn.Module, *, device: str = "cpu", batch: int = _BATCH) -> Batch:
    """The first plausible batch that the module runs on.

    NoSampleBatch if there is none, with what befell the one that got furthest. Run it inside ``state.preserved``: the
    module's buffers may change.
    """
    trial = _Trial(module, device)
    dtype = _dtype(module)
    named = [_in(dtype, candidate) for candidate in configured(module, batch)]
    weights = sum(parameter.numel() for parameter in module.parameters())
    likely = named if weights <= _QUICK else []
    first: list[Candidate] = [*_offered(module, "example_input_array"), *likely]
    for candidate in first:
        if (ran := trial.run(candidate)) is not None:
            return trial.large_enough(candidate, *ran)
    guesses = [*named[len(likely) :], *(_in(dtype, candidate) for candidate in candidates(module, batch))]
    small, rest = guesses[:0], guesses
    if guesses and _elements(guesses[0]) <= _SMALL:
        small, rest = guesses[:1], guesses[1:]  # as quick as a fake, which takes a second to set up
    deadline = None
    for candidate in itertools.chain(_offered(module, "dummy_inputs"), small, _by_fake(module, rest)):
        if deadline is None:
            deadline = time.thread_time() + _PATIENCE
        elif time.thread_time() > deadline:
            break
        if (ran := trial.run(candidate)) is not None:
            return trial.large_enough(candidate, *ran)
    raise _nothing(module, trial)


def first_batch(module: nn.Module, run: Callable[[Batch], None], *, batch: int = _BATCH) -> Batch:
    """The first plausible batch for which ``run`` does not raise; NoSampleBatch if there is none, as for ``infer``."""
    trial = _Trial(module, "cpu", run)
    deadline = time.monotonic() + _PATIENCE
    listed = (configured(module, batch), candidates(module, batch), _offered(module, "dummy_inputs"))
    dtype = _dtype(module)
    for guess in itertools.chain(_offered(module, "example_input_array"), *listed):
        candidate = _in(dtype, guess)
        if (ran := trial.run(candidate)) is not None:
            return trial.large_enough(candidate, *ran)
        if time.monotonic() > deadline:
            break
    raise _nothing(module, trial)


def _dtype(module: nn.Module) -> str:
    """The one that all parameters have which are no integers; torch's usual where they differ, or there are none."""
    found = {p.dtype for p in module.parameters() if p.is_floating_point() or p.is_complex()}
    name = str(found.pop()).removeprefix("torch.") if len(found) == 1 else ""
    return name if name in DTYPES else "float32"


def _in(dtype: str, candidate: Candidate) -> Candidate:
    """A guess whose real numbers are of the model's dtype; a batch at hand as it is."""
    if isinstance(candidate, Batch) or dtype == "float32":
        return candidate
    return tuple(
        replace(spec, dtype=dtype) if isinstance(spec, BatchSpec) and spec.dtype == "float32" else spec
        for spec in candidate
    )


def _nothing(module: nn.Module, trial: _Trial) -> NoSampleBatch:
    each = _inputs(module)
    several = f" for each of {', '.join(each)}" if len(each) > 1 else ""
    if trial.failure is None:
        return NoSampleBatch(f"no sample batch could be inferred, give one with --batch{several}: {_UNLIKE}")
    told = f"forward raised {trial.failure}, the likeliest batch"
    return NoSampleBatch(f"{told}; if it takes another, give it with --batch{several}")


def _inputs(module: nn.Module) -> list[str]:
    """The inputs that forward cannot do without, by name."""
    try:
        parameters = inspect.signature(module.forward).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def _elements(candidate: Candidate) -> int:
    """How many numbers a batch holds; of one at hand only its tensors' are counted."""
    if isinstance(candidate, Batch):
        return sum(tensor.numel() for tensor in candidate.tensors())
    return sum(math.prod(spec.shape) for spec in candidate)


class _Trial:
    """Runs candidates for real, and remembers how far they came."""

    def __init__(self, module: nn.Module, device: str, call: Callable[[Batch], None] | None = None) -> None:
        self.module = module
        self.call = call or self._really
        self.device = device
        self.failure: str | None = None
        self.furthest = -1

    def run(self, candidate: Candidate) -> tuple[Batch, bool] | None:
        """The batch, and whether a map shrank to one pixel on it; None where the module does not run on it."""
        batch = candidate.to(self.device) if isinstance(candidate, Batch) else make(candidate, device=self.device)
        with _progress() as progress:
            try:
                self.call(batch)
            except Exception as error:
                if progress.calls > self.furthest:
                    self.furthest = progress.calls
                    self.failure = f"{told_at(error, 160)} on {batch.description or 'no input'}"
                return None
        return batch, progress.shrunk

    def _really(self, batch: Batch) -> None:
        with torch.no_grad(), quiet_dropout(self.module):
            self.module(*batch.args, **batch.kwargs)

    def large_enough(self, candidate: Candidate, batch: Batch, shrunk: bool) -> Batch:
        """The batch that ran, or one of larger images where a convolution or a pool left one pixel of its map."""
        if not shrunk or isinstance(candidate, Batch):
            return batch
        for side in _LARGER:
            larger = tuple(_enlarged(spec, side) for spec in candidate)
            ran = self.run(larger) if larger != candidate else None
            if ran is not None and not ran[1]:
                return ran[0]
        return batch


def _enlarged(spec: BatchSpec, side: int) -> BatchSpec:
    """Square images of a longer side; anything else as it is."""
    if len(spec.shape) != 4 or spec.shape[2] != spec.shape[3] or spec.shape[3] >= side:
        return spec
    return replace(spec, shape=(*spec.shape[:2], side, side))


@dataclass(slots=True)
class _Progress:
    """How many calls of modules came to an end, and whether one of them left a single pixel of a map."""

    calls: int = 0
    shrunk: bool = False


@contextlib.contextmanager
def _progress() -> Iterator[_Progress]:
    progress = _Progress()

    def count(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        progress.calls += 1
        if isinstance(module, _SHRINKING) and args and isinstance(args[0], Tensor) and isinstance(output, Tensor):
            before, after = args[0].shape[2:], output.shape[2:]
            progress.shrunk |= len(after) == 2 and max(after) == 1 < max(before)

    with register_module_forward_hook(count):
        yield progress


def _by_fake(module: nn.Module, candidates: list[Candidate]) -> Iterator[Candidate]:
    """The candidate that runs on fake tensors first, then the others, those first that got furthest.

    Fakes cannot run everything: a model that reads a value stops there, whichever the batch.
    """
    if len(candidates) < 2:
        yield from candidates
        return
    reached: dict[int, float] = {}
    for index, calls in _runs_on_fakes(module, candidates):
        reached[index] = calls
        if calls == math.inf:
            break
    for index in sorted(range(len(candidates)), key=lambda index: -reached.get(index, -1.0)):
        yield candidates[index]


def _runs_on_fakes(module: nn.Module, candidates: list[Candidate]) -> Iterator[tuple[int, float]]:
    """How far each candidate gets with tensors that have a shape and no memory: calls of modules, infinite at the end.

    Nothing where the module has tensors of a make that has no fake.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode

    if any(isinstance(child, torch.jit.ScriptModule) for child in module.modules()):
        return
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    try:
        fakes: dict[int, Tensor] = {id(t): mode.from_tensor(t) for t in (*module.parameters(), *module.buffers())}
    except Exception:
        return
    deadline = time.thread_time() + _PATIENCE
    for index, candidate in enumerate(candidates):
        if time.thread_time() > deadline:
            return
        with faked(module, fakes), mode, torch.no_grad(), _progress() as progress:
            try:
                fake = candidate if isinstance(candidate, Batch) else make(candidate)
                module(*fake.args, **fake.kwargs)
                reached = math.inf
            except Exception:
                reached = float(progress.calls)
        yield index, reached


@contextlib.contextmanager
def faked(module: nn.Module, fakes: dict[int, Tensor]) -> Iterator[None]:
    """Fakes in place of the parameters and buffers, by identity; no fake stays behind in any attribute.

    (``torch.func.functional_call`` leaves them in modules that are registered under two names.)
    """
    children = list(module.modules())
    attributes = [dict(child.__dict__) for child in children]
    tables: list[dict[str, Any]] = [table for child in children for table in (child._parameters, child._buffers)]
    contents = [dict(table) for table in tables]
    try:
        for child in children:
            if isinstance(child, nn.RNNBase):
                child.__dict__["_flat_weights"] = [fakes.get(id(weight), weight) for weight in child._flat_weights]
        for table in tables:
            table.update({name: fakes[id(tensor)] for name, tensor in table.items() if tensor is not None})
        yield
    finally:
        for child, before in zip(children, attributes, strict=True):
            child.__dict__.clear()
            child.__dict__.update(before)
        for table, content in zip(tables, contents, strict=True):
            table.clear()
            table.update(content)


def _offered(module: nn.Module, name: str) -> Iterator[Batch]:
    """A batch that the model itself carries: Lightning's example_input_array, transformers' dummy_inputs."""
    try:
        value = getattr(module, name, None)
        if isinstance(value, (Tensor, tuple)) or (isinstance(value, dict) and value):
            yield as_batch(value)
    except Exception:  # it may be a property of the model's
        return
