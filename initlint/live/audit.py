"""One built module, audited: its parameters, how signal runs through it, and what one forward and backward measure."""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from initlint.facts import (
    UNKNOWN,
    Activation,
    Chain,
    Escape,
    Facts,
    Layer,
    LayerProbe,
    Model,
    Parameter,
    Probe,
    known,
    layer_family,
)
from initlint.live.batch import Batch, as_batch, infer
from initlint.live.chains import NormReading, chain_names
from initlint.live.escape import EscapeTest, spread
from initlint.live.flow import Fate, Reader
from initlint.live.objective import Objective, primary_output
from initlint.live.parameters import describe_parameter, layer_kind, owned_tensors
from initlint.live.probe import hooked, measure, output_shapes
from initlint.live.state import preserved, quiet_dropout
from initlint.live.trace import Trace, trace_forward
from initlint.live.variation import batch_size, take, tiled, varied

__all__ = ["audit_module"]

_LEAST_BATCH = 8
_WEIGHT_FAMILIES = frozenset({"linear", "bilinear", "convolution", "transposed", "recurrent"})


@dataclass(slots=True)
class _Run:
    """What running the model gave; whatever is missing was not reached, and ``reason`` says why."""

    reason: str | None = None
    batch: str = UNKNOWN
    size: int | None = None
    trace: Trace | None = None
    fates: dict[str, Fate] = field(default_factory=dict)
    reader: Reader | None = None
    probes: dict[str, LayerProbe] = field(default_factory=dict)
    escapes: dict[int, Escape] = field(default_factory=dict)
    probe: Probe = UNKNOWN


def audit_module(
    module: nn.Module,
    batch: object,
    *,
    recording: Any | None = None,
    name: str,
    seed: int = 0,
    device: str = "cpu",
    loss: Callable[[Any], Tensor] | None = None,
) -> Facts:
    """Facts about one module; never raises for a model that cannot be run.

    ``batch`` is a tensor, a tuple of positional inputs, a mapping of keyword inputs, a ``Batch``, or None to have one
    inferred. What could not be run leaves ``Model.probe`` UNKNOWN and says why in ``Model.not_run``; the parameters are
    audited all the same. ``recording`` is what was seen of the construction (None: provenance is UNKNOWN). ``loss`` maps
    the model's output to a scalar. The module, its gradients and modes and all generators are left as they were.
    """
    run = _Run()
    try:
        _run(module, batch, run, seed=seed, device=device, loss=loss)
    except Exception as error:  # the model is the user's: whatever it raises is a reason, not a crash
        run.reason = _reason(error)
    model = _Assembly(module, run, recording, name).model()
    return Facts(origin="live", calls=tuple(recording.calls) if recording is not None else (), models=(model,))


def _reason(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    first = lines[0][:200] if lines else ""
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _seed(seed: int) -> None:
    torch.manual_seed(seed)
    random.seed(seed)
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(seed % 2**32)


def _run(
    module: nn.Module,
    batch: object,
    run: _Run,
    *,
    seed: int,
    device: str,
    loss: Callable[[Any], Tensor] | None,
) -> None:
    with preserved(module):
        _seed(seed)
        module.train()
        module.to(device)
        if batch is None:
            chosen = infer(module, device=device)
        else:
            chosen = as_batch(batch).to(device)
        run.batch = chosen.description
        _seed(seed)
        chosen = _traced(module, chosen, run)
        _probed(module, chosen, run, seed=seed, device=device, loss=loss)


def _enlarged(batch: Batch) -> Batch:
    """At least eight samples, where it is plain which dimension they lie in."""
    size = batch_size(batch.args, batch.kwargs)
    if size is None or not 0 < size < _LEAST_BATCH:
        return batch
    args, kwargs = varied(tiled((batch.args, dict(batch.kwargs)), -(-_LEAST_BATCH // size)))
    return Batch(args=args, kwargs=kwargs, description=batch.description)


def _traced(module: nn.Module, batch: Batch, run: _Run) -> Batch:
    """Trace the model; on a larger batch if it takes one. Returns the batch that it ran on."""
    larger = _enlarged(batch)
    attempts = [larger] if larger is batch else [larger, batch]
    failure: Exception | None = None
    for attempt in attempts:
        try:
            with quiet_dropout(module):
                run.trace = trace_forward(module, attempt.args, attempt.kwargs, primary_output)
        except Exception as error:
            failure = error
            continue
        run.reader = Reader(run.trace)
        run.fates = run.reader.fates()
        return attempt
    for attempt in attempts:  # the trace may be at fault: does the model run without it?
        try:
            module(*attempt.args, **attempt.kwargs)
        except Exception as error:
            failure = error
            continue
        return attempt
    assert failure is not None
    raise failure


def _probed(
    module: nn.Module, batch: Batch, run: _Run, *, seed: int, device: str, loss: Callable[[Any], Tensor] | None
) -> None:
    names = _measurable(module, run)
    size = batch_size(batch.args, batch.kwargs)
    dims: dict[str, int] = {}
    if size is not None and size > 1:
        dims = _batch_dims(module, batch, size, names, run.trace)
    run.size = size if dims else None
    objective = Objective(loss)
    channels = {n: 1 for n in names if layer_family(layer_kind(module.get_submodule(n))) in ("convolution", "transposed")}
    channels |= {n: 1 for n in names if layer_kind(module.get_submodule(n)).startswith(("Batch", "Sync", "Group", "Inst"))}
    _seed(seed)
    for parameter in module.parameters():
        parameter.grad = None
    with hooked(module, names, size, dims, channels) as measured, torch.enable_grad():
        output = module(*batch.args, **batch.kwargs)
        value = objective(output)
        measured.recording = False
        if value is not None and value.requires_grad:
            value.backward()
    escape = EscapeTest(module, lambda args, kwargs: module(*args, **kwargs), objective)
    escape.note()
    run.probes = measure(measured, _activations(run, measured.samples))
    finite = _finite(module, output, value) and all(p.finite for p in run.probes.values())
    broken = next((n for n in measured.samples if n in run.probes and not run.probes[n].finite), None)
    run.probe = Probe(
        batch=run.batch,
        batch_size=run.size if run.size is not None else UNKNOWN,
        device=device,
        dtype=_dtype(module),
        seed=seed,
        loss=float(value.detach()) if value is not None else UNKNOWN,
        loss_kind=objective.kind if value is not None else UNKNOWN,
        finite=finite,
        first_non_finite=broken if broken is not None or finite else UNKNOWN,
        escape_steps=UNKNOWN,
    )
    if value is None or not value.requires_grad:
        run.reason = "no output has a gradient: nothing to run backward from"
        return
    escape.watched = _alike(module)
    with quiet_dropout(module), torch.enable_grad():
        escape.to_fixpoint(batch.args, dict(batch.kwargs))
        spreads = escape.row_spreads()
        escape.excuse_unreachable(batch.args, dict(batch.kwargs))
    run.escapes = {id(p): escape.escape(p, spreads) for p in escape.parameters()}
    run.probe = replace(run.probe, escape_steps=escape.steps)


def _finite(module: nn.Module, output: Any, loss: Tensor | None) -> bool:
    chosen = primary_output(output)
    tensors = [t.detach() for t in (chosen, loss) if t is not None]
    tensors += [p.grad for p in module.parameters() if p.grad is not None and not p.grad.is_sparse]
    checks = [torch.isfinite(t).all() for t in tensors]
    return all(torch.stack([c.to(checks[0].device) for c in checks]).tolist()) if checks else True


def _dtype(module: nn.Module) -> str:
    for parameter in module.parameters():
        if parameter.is_floating_point():
            return str(parameter.dtype).removeprefix("torch.")
    return "float32"


def _alike(module: nn.Module) -> dict[int, Tensor]:
    """Trainable matrices in float32 or wider whose rows start out equal, or nearly so, and are not all zero."""
    found: dict[int, Tensor] = {}
    for parameter in module.parameters():
        if not parameter.requires_grad or parameter.dim() < 2 or parameter.shape[0] < 2 or parameter.is_meta:
            continue
        if parameter.dtype not in (torch.float32, torch.float64) or not parameter.numel():
            continue
        values = parameter.detach()
        if float(values.abs().amax()) > 0 and spread(values) < 1e-2:
            found[id(parameter)] = parameter
    return found


def _measurable(module: nn.Module, run: _Run) -> list[str]:
    """The submodules whose output is a weight's or a norm's result itself, and so says something of that layer."""
    families = {n: layer_family(layer_kind(child)) for n, child in module.named_modules()}
    if run.trace is None or run.reader is None:
        return [n for n, family in families.items() if family in _WEIGHT_FAMILIES | {"norm", "embedding"}]
    names = []
    for name, returned in run.trace.returned.items():
        if families.get(name) == "embedding" or (returned and run.reader.gives_own_result(name, returned[0])):
            names.append(name)
    return names


def _batch_dims(
    module: nn.Module, batch: Batch, size: int, names: list[str], trace: Trace | None
) -> dict[str, int]:
    """In which dimension of each layer's output the samples lie: the one that shrinks in step with the batch."""
    fewer = 3 if size > 3 else size - 1
    if trace is not None:
        whole = {n: [trace.nodes[i].shape for i in trace.returned.get(n, [])] for n in names}
    else:
        with output_shapes(module, names) as whole, torch.no_grad():
            module(*batch.args, **batch.kwargs)
    try:
        with output_shapes(module, names) as part, torch.no_grad(), quiet_dropout(module):
            module(*take(batch.args, fewer), **take(dict(batch.kwargs), fewer))
    except Exception:  # it does not take fewer samples: then what looked like the batch is none
        return {}
    dims: dict[str, int] = {}
    for name in names:
        if not whole.get(name) or not part.get(name):
            continue
        large, small = whole[name][0], part[name][0]
        if len(large) != len(small):
            continue
        moved = [d for d, (a, b) in enumerate(zip(large, small, strict=True)) if a != b]
        if len(moved) == 1 and large[moved[0]] * fewer == small[moved[0]] * size and large[moved[0]] % size == 0:
            dims[name] = moved[0]
    return dims


def _activations(run: _Run, names: Any) -> dict[str, tuple[Activation, Callable[[Tensor], Tensor]]]:
    """The function that acts directly on what a layer gives (a norm in between has its own)."""
    found: dict[str, tuple[Activation, Callable[[Tensor], Tensor]]] = {}
    for name in names:
        fate = run.fates.get(name)
        if fate is not None and fate.function is not None and fate.through is None and known(fate.activation):
            if fate.activation is not None:
                found[name] = (fate.activation, fate.function)
    return found


class _Assembly:
    def __init__(self, module: nn.Module, run: _Run, recording: Any | None, name: str) -> None:
        self.module = module
        self.run = run
        self.recording = recording
        self.name = name

    def model(self) -> Model:
        """Everything known, put together."""
        aliases: dict[int, list[str]] = {}
        for name, child in self.module.named_modules(remove_duplicate=False):
            aliases.setdefault(id(child), []).append(name)
        owned = owned_tensors(self.module)
        layers = []
        for name, child in self.module.named_modules():
            if name not in owned and name not in self.run.fates:
                continue
            parameters = tuple(
                describe_parameter(
                    tensor, child, self.run.trace, self.run.escapes.get(id(tensor.tensor), UNKNOWN), self.recording
                )
                for tensor in owned.get(name, [])
            )
            layers.append(self._layer(name, child, parameters, tuple(aliases[id(child)])))
        by_name = {layer.name: layer for layer in layers}
        return Model(
            name=self.name,
            class_name=type(self.module).__qualname__,
            location=self._made(self.module)[1],
            layers=tuple(layers),
            chains=self._chains(by_name),
            applications=self.recording.applications(self.module) if self.recording is not None else UNKNOWN,
            probe=self.run.probe,
            not_run=self.run.reason,
        )

    def _made(self, child: nn.Module) -> tuple[Any, Any]:
        if self.recording is None:
            return UNKNOWN, UNKNOWN
        made: tuple[Any, Any] = self.recording.made(child)
        return made

    def _layer(self, name: str, child: nn.Module, parameters: tuple[Parameter, ...], aliases: tuple[str, ...]) -> Layer:
        fate = self.run.fates.get(name, Fate())
        order, location = self._made(child)
        return Layer(
            name=name,
            kind=layer_kind(child),
            class_name=type(child).__qualname__,
            parameters=parameters,
            location=location,
            order=order,
            consumers=fate.consumers,
            activation=fate.activation,
            normalized=fate.normalized,
            ends_branch=fate.ends_branch,
            is_head=fate.is_head,
            origin=self.recording.origin(child) if self.recording is not None else UNKNOWN,
            aliases=aliases,
            probe=self._layer_probe(name, fate),
        )

    def _layer_probe(self, name: str, fate: Fate) -> LayerProbe:
        probe = self.run.probes.get(name, UNKNOWN)
        if not known(probe) or fate.through is None:
            return probe
        beyond = self.run.probes.get(fate.through, UNKNOWN)
        if not known(beyond):
            return probe
        return replace(
            probe,
            dead_fraction=beyond.dead_fraction,
            saturated_fraction=beyond.saturated_fraction,
            samples=beyond.samples,
        )

    def _chains(self, layers: Mapping[str, Layer]) -> tuple[Chain, ...]:
        trace, reader = self.run.trace, self.run.reader
        if trace is None or reader is None or not known(self.run.probe):
            return UNKNOWN  # type: ignore[no-any-return]
        readings: dict[int, NormReading] = {}
        for name, returned in trace.returned.items():
            probe = self.run.probes.get(name)
            if probe is None or name not in layers:
                continue
            for index in returned:
                norm = reader.norm_inside(index, name)
                if norm is not None:
                    readings[norm] = NormReading(probe, _scale(layers[name]))

        def wanted(name: str) -> bool:
            return name in layers and name in self.run.probes and not reader.is_norm(name)

        def ends(name: str) -> bool:
            value = layers[name].ends_branch
            return known(value) and value

        names = chain_names(trace, reader.ancestors, reader.depths, readings, wanted, ends)
        if names is None:
            return UNKNOWN  # type: ignore[no-any-return]
        return tuple(Chain(layers=tuple(layers[name] for name in chain)) for chain in names)


def _scale(layer: Layer) -> float:
    """Root mean square of a norm's scale; 1 where it has none."""
    for parameter in layer.parameters:
        if parameter.role == "norm_scale" and known(parameter.statistics):
            return math.sqrt(parameter.statistics.mean**2 + parameter.statistics.std**2)
    return 1.0
