"""One built module, audited: its parameters, how signal runs through it, and what one forward and backward measure."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from initlint.facts import (
    UNKNOWN,
    Chain,
    Distribution,
    Facts,
    Layer,
    LayerProbe,
    Model,
    Parameter,
    ResidualStream,
    known,
    middle,
)
from initlint.live.batches.inference import NoSampleBatch
from initlint.live.host.failures import said
from initlint.live.host.sharded import OutOfStep, Ranks, from_first, in_step, own_class, rest
from initlint.live.probing.objective import Loss
from initlint.live.probing.running import Run, Unrunnable, run_module
from initlint.live.recorder.lazy import shapeless
from initlint.live.tracing.chains import NormReading, chain_names
from initlint.live.tracing.flow import Fate
from initlint.live.tracing.streams import stream_names
from initlint.live.values.parameters import describe_computed, describe_parameter, layer_kind, moments, owned_tensors
from initlint.location import Location

__all__ = ["audit_module"]


def audit_module(
    module: nn.Module,
    batch: object,
    *,
    recording: Any | None = None,
    name: str,
    seed: int = 0,
    device: str = "cpu",
    loss: Loss = None,
    dtype: str | None = None,
    differing: tuple[str, ...] = UNKNOWN,
    meta: bool = False,
) -> Facts:
    """Facts about one module; never raises for a model that cannot be run.

    ``batch`` is a tensor, a tuple of positional inputs, a mapping of keyword inputs, a ``Batch``, or None to have one
    inferred. What could not be run leaves ``Model.probe`` UNKNOWN and says why in ``Model.not_run``; the parameters are
    audited all the same. ``recording`` is what was seen of the construction (None: provenance is UNKNOWN). ``loss``
    maps the model's output to a scalar, or is "cross-entropy" or "mse"; ``dtype`` is a name in theory.precision, for
    the range to be judged in it. ``differing`` is what a second build said. With ``meta`` nothing is run, and the
    figures are predicted from the distributions that the parameters were drawn from. The module, its gradients and
    modes and all generators are left as they were. A module whose
    parameters lie in pieces over several processes is audited by all of them together, on rank 0's batch, and all get
    the same facts; raises OutOfStep where they cannot go on together.
    """
    ranks = Ranks(module)
    run = Run()
    failure: str | None = None
    try:
        if ranks.shared:
            rest(module)
            batch, seed = in_step(module, batch, seed, ranks)
        if (lacking := shapeless(module, batch, meta=meta)) is not None:
            raise Unrunnable(lacking)
        if meta:
            from initlint.live.predicting.symbolic import predict_module  # fake tensors take a second to import

            predict_module(module, batch, run, seed=seed, laws=_laws(module, recording))
        else:
            run_module(module, batch, run, seed=seed, device=device, loss=loss, dtype=dtype, ranks=ranks)
    except OutOfStep:
        raise
    except Exception as error:  # the model is the user's: whatever it raises is a reason, not a crash
        failure = _reason(error)
    run.reason = ranks.settle(failure) or run.reason
    model = replace(_Assembly(module, run, recording, name, ranks).model(), differing=differing)
    if recording is None:
        facts = Facts(origin="live", models=(model,))
    else:
        facts = Facts(origin="live", calls=recording.calls, incidents=recording.incidents, models=(model,))
    return from_first(facts, ranks) if ranks.shared else facts


def _laws(module: nn.Module, recording: Any | None) -> dict[int, Distribution]:
    """What each parameter is drawn from, by identity: measured where it has values."""
    return {
        id(owned.tensor): moments(owned.tensor, recording)
        for several in owned_tensors(module).values()
        for owned in several
    }


def _reason(error: BaseException) -> str:
    return str(error) if isinstance(error, (NoSampleBatch, Unrunnable)) else said(error)


class _Assembly:
    def __init__(self, module: nn.Module, run: Run, recording: Any | None, name: str, ranks: Ranks) -> None:
        self.ranks = ranks
        self.module = module
        self.run = run
        self.recording = recording
        self.name = name
        self.named = dict(module.named_modules(remove_duplicate=False))

    def model(self) -> Model:
        """Everything known, put together."""
        aliases: dict[int, list[str]] = {}
        for name, child in self.module.named_modules(remove_duplicate=False):
            aliases.setdefault(id(child), []).append(name)
        owned = owned_tensors(self.module)
        layers = []
        for name, child in self.module.named_modules():
            computed = describe_computed(name, child, self.recording)
            if name not in owned and name not in self.run.fates and not computed:
                continue
            parameters = tuple(
                describe_parameter(
                    tensor,
                    child,
                    self.run.trace,
                    self.run.escapes.get(id(tensor.tensor), UNKNOWN),
                    self.run.gradients.get(id(tensor.tensor), UNKNOWN),
                    self.recording,
                    self.ranks,
                )
                for tensor in owned.get(name, [])
            )
            layer = self._layer(name, child, parameters + computed, tuple(aliases[id(child)]))
            layers.append(replace(layer, aliased_at=self._shared_at(name, aliases)))
        by_name = {layer.name: layer for layer in layers}
        return Model(
            name=self.name,
            class_name=own_class(self.module).__qualname__,
            location=self._defined(),
            layers=tuple(layers),
            chains=self._chains(by_name),
            streams=self._streams(by_name),
            applications=self.recording.applications(self.module) if self.recording is not None else UNKNOWN,
            probe=self.run.probe,
            not_run=self.run.reason,
        )

    def _shared_at(self, name: str, aliases: Mapping[int, list[str]]) -> Any:
        """As Layer.aliased_at."""
        parts = name.split(".")
        for index in range(1, len(parts) + 1):
            holder = self.named.get(".".join(parts[:index]))
            if holder is not None and len(aliases[id(holder)]) > 1:
                return self._made(holder)[1]
        return None

    def _defined(self) -> Any:
        """Where the model's class is written, or for a class of torch's own (nn.Sequential) where it was made."""
        kind = own_class(self.module)
        if not kind.__module__.startswith("torch."):
            try:
                path, line = inspect.getsourcefile(kind), inspect.getsourcelines(kind)[1]
            except (OSError, TypeError):  # made by exec, or its file is gone
                path, line = None, 0
            if path is not None:
                return Location(path, line)
        return self._made(self.module)[1]

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
            class_name=own_class(child).__qualname__,
            parameters=parameters,
            location=location,
            order=order,
            consumers=fate.consumers,
            activation=fate.activation,
            normalized=fate.normalized,
            product_normalized=fate.product_normalized,
            ends_branch=fate.ends_branch,
            sum_normalized=fate.sum_normalized,
            joined=self._joined(name, fate),
            returns=fate.returns,
            is_head=fate.is_head,
            returned_too=fate.returned_too,
            within=self.recording.within(child) if self.recording is not None else UNKNOWN,
            origin=self._origin(name, child),
            aliases=aliases,
            probe=self._layer_probe(name, fate),
        )

    def _origin(self, name: str, child: nn.Module) -> str:
        """As Layer.origin: only a slot of a container is a clone; what belongs to a copied model is a copy."""
        if self.recording is None:
            return UNKNOWN  # type: ignore[no-any-return]
        if self.recording.origin(child) != "cloned":
            origin: str = self.recording.origin(child)
            return origin
        parts = name.split(".")
        root = next(
            index
            for index in range(1, len(parts) + 1)
            if self.recording.origin(self.named[".".join(parts[:index])]) == "cloned"
        )
        return "cloned" if parts[root - 1].isdigit() else "copied"

    def _joined(self, name: str, fate: Fate) -> tuple[str, ...]:
        trace = self.run.trace
        if trace is None or not fate.sums:
            return UNKNOWN  # type: ignore[no-any-return]
        terms = (trace.nodes[term].layer for sum in fate.sums if sum is not None for term in sum.terms)
        return tuple(dict.fromkeys(layer for layer in terms if layer != name))

    def _layer_probe(self, name: str, fate: Fate) -> LayerProbe:
        probe: LayerProbe = self.run.probes.get(name, UNKNOWN)
        one_hot = self.run.one_hot.get(name)
        if one_hot is not None:
            probe = probe if known(probe) else LayerProbe(forward_std=UNKNOWN)
            probe = replace(
                probe,
                one_hot_fraction=one_hot.share,
                one_hot_gates=one_hot.gates,
                scores_only=one_hot.scores_only,
            )
        if not known(probe) or fate.through is None:
            return probe
        beyond: LayerProbe = self.run.probes.get(fate.through, UNKNOWN)
        if not known(beyond):
            return probe
        return replace(
            probe,
            dead_fraction=beyond.dead_fraction,
            saturated_fraction=beyond.saturated_fraction,
            samples=beyond.samples,
        )

    def _streams(self, layers: Mapping[str, Layer]) -> tuple[ResidualStream, ...]:
        trace, reader = self.run.trace, self.run.reader
        names = (
            stream_names(trace, reader.ancestors, reader.depths) if trace is not None and reader is not None else None
        )
        if names is None:
            return UNKNOWN  # type: ignore[no-any-return]

        def those(chosen: tuple[str, ...]) -> tuple[Layer, ...]:
            return tuple(layers[name] for name in chosen) if all(name in layers for name in chosen) else UNKNOWN

        return tuple(
            ResidualStream(
                ends=those(stream.ends),
                inner=tuple(map(those, stream.inner)) if all(known(those(each)) for each in stream.inner) else UNKNOWN,
                entry=None if stream.entry is None else layers.get(stream.entry, UNKNOWN),
            )
            for stream in names
            if known(those(stream.ends))
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
                    total = probe.total_std if not known(probe.total_std) else middle(probe.total_std)
                    readings[norm] = NormReading(replace(probe, total_std=total), _scale(layers[name]))

        def wanted(name: str) -> bool:
            return name in layers and name in self.run.probes and not reader.is_norm(name)

        def ends(name: str) -> bool:
            value = layers[name].ends_branch
            return known(value) and value

        names = chain_names(trace, reader.ancestors, reader.depths, readings, wanted=wanted, ends_branch=ends)
        if names is None:
            return UNKNOWN  # type: ignore[no-any-return]
        return tuple(Chain(layers=tuple(layers[name] for name in chain)) for chain in names)


def _scale(layer: Layer) -> float:
    """Root mean square of a norm's scale; 1 where it has none."""
    for parameter in layer.parameters:
        if parameter.role == "norm_scale" and known(parameter.statistics):
            return math.sqrt(parameter.statistics.mean**2 + parameter.statistics.std**2)
    return 1.0
