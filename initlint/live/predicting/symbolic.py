"""The audit of a model that is not run: traced on tensors without memory, its signal told by theory.

The forward pass runs once on fake tensors in place of parameters and inputs, which have a shape and no values. The
graph that it leaves is the one that a real pass leaves, and what a real pass would have measured is computed along it
from the distributions that were recorded.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
)
from torch.overrides import TorchFunctionMode

from initlint.facts import UNKNOWN, Distribution, LayerProbe, Probe, ranged
from initlint.live.batches.batch import Batch, as_batch
from initlint.live.batches.inference import faked, first_batch
from initlint.live.batches.variation import batch_size, map_tensors
from initlint.live.host.state import preserved, quiet_dropout
from initlint.live.predicting.backward import Backward
from initlint.live.predicting.propagation import Propagation
from initlint.live.probing.objective import own_loss, primary_output
from initlint.live.probing.running import Run, Unrunnable, enlarged, measurable
from initlint.live.recorder.build import seed_all
from initlint.live.tracing.flow import Reader
from initlint.live.tracing.graph import tensors_in
from initlint.live.tracing.trace import trace_forward
from initlint.theory.gradients import Gradient, random_targets

__all__ = ["predict_module"]

_STOPS = frozenset({Tensor.detach, Tensor.detach_, Tensor.data.__get__})  # type: ignore[attr-defined]
_VALUE = "--meta has no values, and the forward pass reads one"


def predict_module(module: nn.Module, batch: object, run: Run, *, seed: int, laws: Mapping[int, Distribution]) -> None:
    """Trace ``module`` in train mode on fakes of ``batch`` (None: inferred) and predict what a pass would measure.

    ``laws`` are what its parameters were drawn from, by identity. Notes in ``run`` what it comes to, as it goes.
    Raises whatever the model raises, ValueError where no batch can be inferred, Unrunnable where it needs values.
    """
    with preserved(module):
        seed_all(seed)
        module.train()
        stand_ins, course = _StandIns(module), _Course()
        traced: list[Batch] = []

        def follow(candidate: Batch) -> None:
            traced.append(_traced(module, candidate, stand_ins, run, course))

        if batch is None:
            first_batch(module, follow)
        else:
            follow(as_batch(batch))
        run.size, run.batch = batch_size(traced[-1].args, traced[-1].kwargs), traced[-1].description
        assert run.trace is not None
        run.reader = Reader(run.trace)
        run.fates = run.reader.fates()
        _predicted(module, traced[-1], run, seed, laws, course)


class _StandIns:
    """Fakes of a module's parameters and buffers, all on the CPU whatever device the originals are on."""

    def __init__(self, module: nn.Module) -> None:
        self.mode = FakeTensorMode(allow_non_fake_inputs=True)
        self.fakes: dict[int, Tensor] = {}
        self.originals: dict[int, Tensor] = {}
        for tensor in (*module.parameters(), *module.buffers()):
            if id(tensor) not in self.fakes:
                fake = self.of(tensor)
                self.fakes[id(tensor)] = fake
                self.originals[id(fake)] = tensor
        self.module = module

    def of(self, tensor: Tensor) -> Tensor:
        """A tensor of the same shape without values."""
        with self.mode:
            fake = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cpu")
            return nn.Parameter(fake, requires_grad=tensor.requires_grad) if isinstance(tensor, nn.Parameter) else fake

    def batch(self, batch: Batch) -> tuple[Any, Any]:
        """Fakes of what a model is called with."""
        args, kwargs = map_tensors((batch.args, dict(batch.kwargs)), self.of)
        return args, kwargs

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Fakes where the module's own tensors are, dropout off, and torch not telling of what it cannot do."""
        logger = logging.getLogger("torch._subclasses.fake_tensor")
        silent, logger.disabled = logger.disabled, True
        try:
            with faked(self.module, self.fakes), quiet_dropout(self.module):
                yield
        finally:
            logger.disabled = silent


class _Course(TorchFunctionMode):
    """What a pass shows besides its operations."""

    def __init__(self) -> None:
        super().__init__()
        self.stopped = False
        """Whether the model stops a gradient on its way."""
        self.has_loss = False
        """Whether the model returns a loss of its own."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _STOPS and isinstance(args[0], Tensor) and args[0].requires_grad:
            self.stopped |= not isinstance(args[0], nn.Parameter)
        return func(*args, **(kwargs or {}))

    def primary(self, output: Any) -> Tensor | None:
        """As ``primary_output``."""
        self.has_loss = own_loss(output) is not None
        return primary_output(output)


@contextmanager
def _told() -> Iterator[None]:
    """Say of a model that needs values what to do."""
    try:
        yield
    except DataDependentOutputException as error:
        raise Unrunnable(f"{_VALUE} ({_operation(error)}): leave --meta out") from None
    except DynamicOutputShapeException as error:
        raise Unrunnable(f"{_VALUE} (a shape hangs on it, {_operation(error)}): leave --meta out") from None


def _operation(error: Any) -> str:
    return str(getattr(error, "func", "")).removesuffix(".default")


def _traced(module: nn.Module, batch: Batch, stand_ins: _StandIns, run: Run, course: _Course) -> Batch:
    """Trace the model, on a larger batch if it takes one; returns the batch that it was."""
    larger = enlarged(batch)
    attempts = [larger] if larger is batch else [larger, batch]
    for attempt in attempts:
        args, kwargs = stand_ins.batch(attempt)
        try:
            with stand_ins.in_place(), stand_ins.mode, _told(), course:
                run.trace = trace_forward(module, args, kwargs, course.primary, stand_ins.originals)
        except Exception:
            if attempt is attempts[-1]:
                raise
            continue
        break
    return attempt


def _predicted(
    module: nn.Module, batch: Batch, run: Run, seed: int, laws: Mapping[int, Distribution], course: _Course
) -> None:
    assert run.trace is not None
    assert run.reader is not None
    if not run.trace.complete:
        run.reason = "its graph is too large to be followed"
        return
    inputs = list(tensors_in((batch.args, dict(batch.kwargs))))
    forward = Propagation(run.trace, run.reader, laws, inputs)
    trainable = frozenset(id(parameter) for parameter in module.parameters() if parameter.requires_grad)
    backward = Backward(forward, trainable, {} if course.stopped or course.has_loss else _seeds(forward))
    for name in measurable(module, run):
        returned = run.trace.returned.get(name, [])
        band = forward.bands[returned[0]] if returned else None
        if band is not None:
            gradient = backward.std(returned[0])
            run.probes[name] = LayerProbe(
                forward_std=ranged(*band.across_std()),
                total_std=ranged(*band.total_std()),
                gradient_std=UNKNOWN if gradient is None else ranged(*gradient),
                calls=len(returned),
            )
    run.probe = Probe(
        batch=run.batch,
        batch_size=run.size if run.size is not None else 1,
        device="meta",
        seed=seed,
        loss_kind="target",
        predicted=True,
    )


def _seeds(forward: Propagation) -> dict[int, Gradient]:
    """The gradient of the loss that a model without one of its own is probed with, by the value; {} if not known."""
    trace = forward.trace
    bands = {index: forward.bands[index] for index in trace.primary}
    return {
        index: random_targets(band.second(), trace.nodes[index].numel, band.scatter)
        for index, band in bands.items()
        if band is not None
    }
