"""Runs one module: trace, probe and escape test, on one batch, with everything put back afterwards."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from initlint.facts import (
    UNKNOWN,
    Activation,
    Escape,
    LayerProbe,
    Probe,
    known,
    layer_family,
    slot,
)
from initlint.live.batches.batch import Batch, as_batch
from initlint.live.batches.inference import NoSampleBatch, infer
from initlint.live.batches.variation import batch_size, differing, take, tiled, varied
from initlint.live.host.failures import said
from initlint.live.host.sharded import Ranks, is_piece, local, rest, resting
from initlint.live.host.state import preserved, quiet_dropout
from initlint.live.probing.escape import EscapeTest
from initlint.live.probing.leak import batch_leak
from initlint.live.probing.objective import Loss, Objective, cross_entropy_classes, in_reals, primary_output
from initlint.live.probing.probe import hooked, measure, output_shapes
from initlint.live.probing.recurrent import recurrences, watched
from initlint.live.recorder.build import seed_all
from initlint.live.tracing.flow import Fate, Reader
from initlint.live.tracing.graph import Trace
from initlint.live.tracing.one_hot import OneHot, one_hot_rows
from initlint.live.tracing.summed import calls_of
from initlint.live.tracing.trace import trace_forward
from initlint.live.values.parameters import layer_kind
from initlint.live.values.pieces import extent
from initlint.live.values.statistics import gradient_sizes

__all__ = ["Run", "Unrunnable", "enlarged", "measurable", "run_module"]

_LEAST_BATCH = 8
_LARGE = 200_000_000  # values in one forward beyond which the escape test does with fewer samples
_WEIGHT_FAMILIES = frozenset({"linear", "bilinear", "convolution", "transposed", "recurrent"})


class Unrunnable(ValueError):
    """A model cannot be run as it was asked; the text says why, and what to do."""


@dataclass(slots=True)
class Run:
    """What running the model gave; whatever is missing was not reached, and ``reason`` says why."""

    reason: str | None = None
    batch: str = UNKNOWN
    inferred: bool = False
    size: int | None = None
    dims: dict[str, int] = field(default_factory=dict)
    trace: Trace | None = None
    fates: dict[str, Fate] = field(default_factory=dict)
    reader: Reader | None = None
    one_hot: dict[str, OneHot] = field(default_factory=dict)
    probes: dict[str, LayerProbe] = field(default_factory=dict)
    escapes: dict[int, Escape] = field(default_factory=dict)
    gradients: dict[int, float | None] = field(default_factory=dict)
    probe: Probe = UNKNOWN


def _move(module: nn.Module, device: str) -> None:
    """To another device, where some of it is elsewhere (``to`` is the model's own, and some warn)."""
    wanted = torch.device(device)
    held = {tensor.device for tensor in (*module.parameters(), *module.buffers())}
    if any(at.type == "meta" for at in held):
        raise Unrunnable(
            "parameters are on the meta device, where there are no values to run it with: --meta predicts them"
        )
    if any(at.type != wanted.type or (wanted.index is not None and at.index != wanted.index) for at in held):
        module.to(wanted)


def run_module(
    module: nn.Module,
    batch: object,
    run: Run,
    *,
    seed: int,
    device: str,
    loss: Loss,
    dtype: str | None,
    ranks: Ranks,
) -> None:
    """Trace, probe and test ``module`` in train mode on ``batch`` (None: inferred), noting in ``run`` as it goes.

    Raises whatever the model raises, and ValueError where no batch can be inferred; ``run`` keeps what came before.
    """
    with preserved(module), resting(module):
        seed_all(seed)
        module.train()
        if ranks.shared and batch is None:
            raise NoSampleBatch("a model in pieces is not run on a batch that was made up: give audit() one")
        if not ranks.shared:
            _move(module, device)
        chosen = infer(module, device=device) if batch is None else as_batch(batch).to(device)
        run.batch, run.inferred = chosen.description, batch is None
        seed_all(seed)
        with _vocabularies(module) as vocabularies:
            larger = _traced(module, chosen, run, ranks)
        bounds = [vocabularies.get(_address(tensor)) for tensor in larger.tensors()]
        run.batch = chosen.bounded(bounds).description
        _probed(module, larger, chosen, run, seed=seed, device=device, loss=loss, dtype=dtype, ranks=ranks)
    if known(run.probe) and not ranks.shared:  # gradients of inputs alone leave fully_shard in the middle of a pass
        with preserved(module):  # from the start again, for what the escape test did to the parameters
            seed_all(seed)
            _move(module, device)
            run.probe = replace(run.probe, batch_leak=batch_leak(module, larger, run.size, run.trace, run.dims))


def _address(tensor: Tensor) -> int | None:
    """Of a tensor's storage; None for one without (a sparse one)."""
    return tensor.untyped_storage().data_ptr() if tensor.layout == torch.strided else None


@contextlib.contextmanager
def _vocabularies(module: nn.Module) -> Iterator[dict[int | None, int]]:
    """Rows of the embedding that reads a tensor, by the address of its storage (the fewest, where several read it)."""
    rows: dict[int | None, int] = {}

    def note(layer: nn.Module, args: tuple[Any, ...]) -> None:
        address = _address(local(args[0])) if args and isinstance(args[0], Tensor) else None
        if address is not None:
            rows[address] = min(int(layer.num_embeddings), rows.get(address, sys.maxsize))  # type: ignore[arg-type]

    with contextlib.ExitStack() as hooks:
        for child in module.modules():
            if isinstance(child, (nn.Embedding, nn.EmbeddingBag)):
                hooks.enter_context(child.register_forward_pre_hook(note))
        yield rows


def enlarged(batch: Batch) -> Batch:
    """At least eight samples, where it is plain which dimension they lie in."""
    size = batch_size(batch.args, batch.kwargs)
    if size is None or not 0 < size < _LEAST_BATCH:
        return batch
    args, kwargs = varied(tiled((batch.args, dict(batch.kwargs)), -(-_LEAST_BATCH // size)))
    return Batch(args=args, kwargs=kwargs, description=batch.description)


def _traced(module: nn.Module, batch: Batch, run: Run, ranks: Ranks) -> Batch:
    """Trace the model; on a larger batch if it takes one. Returns the batch that it ran on.

    Where several ranks run it, none goes on to another attempt before all are known to have failed.
    """
    larger = enlarged(batch)
    attempts = [larger] if larger is batch else [larger, batch]
    failure: Exception | None = None
    for attempt in attempts:
        try:
            with quiet_dropout(module):
                run.trace = trace_forward(module, attempt.args, attempt.kwargs, primary_output)
        except Exception as error:
            failure = error
            _failed_alike(module, ranks, error)
            continue
        ranks.settle(None)
        run.reader = Reader(run.trace)
        run.fates = run.reader.fates()
        run.one_hot = one_hot_rows(run.trace)
        return attempt
    for attempt in attempts:  # the trace may be at fault: does the model run without it?
        try:
            module(*attempt.args, **attempt.kwargs)
        except Exception as error:
            failure = error
            _failed_alike(module, ranks, error)
            continue
        ranks.settle(None)
        return attempt
    assert failure is not None
    raise failure


def _failed_alike(module: nn.Module, ranks: Ranks, error: Exception) -> None:
    """Make ready for another attempt. Raises OutOfStep where only some ranks failed."""
    ranks.settle(said(error))
    rest(module)


def _probed(
    module: nn.Module,
    batch: Batch,
    given: Batch,
    run: Run,
    *,
    seed: int,
    device: str,
    loss: Loss,
    dtype: str | None,
    ranks: Ranks,
) -> None:
    """Measure one pass on ``batch``, then test the escape (on the smaller batch ``given`` where a pass is costly)."""
    names = measurable(module, run)
    size = batch_size(batch.args, batch.kwargs)
    dims: dict[str, int] = {}
    if size is not None and size > 1:
        dims = _batch_dims(module, batch, size, names, run.trace)
    run.size, run.dims = size if dims else None, dims
    objective = Objective(loss, _heads(module, run))
    kinds = _kinds(module)
    channels = {
        n: 1
        for n in names
        if layer_family(kinds[n]) in ("convolution", "transposed")
        or kinds[n].startswith(("Batch", "Sync", "Group", "Inst"))
    }
    seed_all(seed)
    for parameter in module.parameters():
        parameter.grad = None
    with hooked(module, names, size, dims, channels) as measured, watched(module, dims) as calls, torch.enable_grad():
        output = module(*batch.args, **batch.kwargs)
        value = objective(output)
        measured.recording = False
        classes = cross_entropy_classes(value) if value is not None else None
        if value is not None and value.requires_grad:
            torch.autograd.backward(value)
    escape = EscapeTest(module, lambda args, kwargs: module(*args, **kwargs), objective, ranks=ranks)
    escape.note()
    run.probes = ranks.merged(
        measure(
            measured,
            _activations(run, measured.samples),
            _sums(run, measured.samples),
            {name: fate.halves for name, fate in run.fates.items()},
            extents=dtype is not None,
        )
    )
    if not ranks.shared:
        for name, inside in recurrences(module, calls).items():
            run.probes[name] = replace(run.probes.get(name, LayerProbe(forward_std=UNKNOWN)), recurrences=inside)
    finite = all(ranks.all(_finite(module, output, value))) and all(p.finite for p in run.probes.values())
    broken = next((n for n in measured.samples if n in run.probes and not run.probes[n].finite), None)
    run.probe = Probe(
        batch=run.batch,
        inferred=run.inferred,
        batch_size=run.size if run.size is not None else UNKNOWN,
        batch_spread=differing(batch.args, batch.kwargs),
        device=device,
        dtype=_dtype(module),
        seed=seed,
        loss=float(value.detach()) if value is not None else UNKNOWN,
        loss_kind=objective.kind if value is not None else UNKNOWN,
        classes=classes if value is not None else UNKNOWN,
        finite=finite,
        first_non_finite=broken if broken is not None or finite else UNKNOWN,
        judged_dtype=dtype,
        largest_gradient=_largest_gradient(module, run.probes, ranks) if dtype is not None else UNKNOWN,
    )
    if value is None or not value.requires_grad:
        run.reason = "no output has a gradient: nothing to run backward from"
        return
    if not ranks.shared:  # of a tensor in pieces each process has the gradient of its own
        run.gradients = gradient_sizes(module)
    escape.watched = _alike(module, ranks)
    escape.copies = _copies(module)
    fewer = given if run.trace is not None and _elements(run.trace) > _LARGE else batch
    with quiet_dropout(module), torch.enable_grad():
        escape.to_fixpoint(fewer.args, dict(fewer.kwargs))
        rows, copies = escape.row_spreads(), escape.copies_spreads()
        escape.note_held(fewer.args, dict(fewer.kwargs))
        escape.excuse_unreachable(fewer.args, dict(fewer.kwargs))
    run.escapes = {id(p): escape.escape(p, rows, copies) for p in escape.parameters()}


def _largest_gradient(module: nn.Module, probes: Mapping[str, LayerProbe], ranks: Ranks) -> float:
    """As Probe.largest_gradient."""
    held = [local(p.grad) for p in module.parameters() if p.grad is not None and not p.grad.is_sparse]
    sizes = [gradient.abs().amax().float() for gradient in held if gradient.numel()]
    largest = torch.stack([size.to(sizes[0].device) for size in sizes]).tolist() if sizes else []
    largest += [probe.gradient_extent[0] for probe in probes.values() if known(probe.gradient_extent)]
    found = max(ranks.all(max(largest, default=0.0)))
    return found if math.isfinite(found) else UNKNOWN


def _heads(module: nn.Module, run: Run) -> frozenset[str]:
    """The families of the layers whose output leaves the model; empty where some are not known."""
    heads = {name for name, fate in run.fates.items() if known(fate.is_head) and fate.is_head}
    if any(not known(fate.is_head) for fate in run.fates.values()):
        return frozenset()
    kinds = _kinds(module)
    return frozenset(layer_family(kinds[name]) for name in heads)


def _kinds(module: nn.Module) -> dict[str, str]:
    """The kind of each submodule, by name."""
    return {name: layer_kind(child) for name, child in module.named_modules()}


def _elements(trace: Trace) -> int:
    """How many values one forward computes."""
    return sum(node.numel for node in trace.nodes if node.category not in ("view", "part", "parameter"))


def _finite(module: nn.Module, output: Any, loss: Tensor | None) -> bool:
    chosen = primary_output(output)
    tensors = [in_reals(local(t.detach())) for t in (chosen, loss) if t is not None]
    tensors += [local(p.grad) for p in module.parameters() if p.grad is not None and not p.grad.is_sparse]
    checks = [torch.isfinite(t).all() for t in tensors]
    return all(torch.stack([c.to(checks[0].device) for c in checks]).tolist()) if checks else True


def _dtype(module: nn.Module) -> str:
    for parameter in module.parameters():
        if parameter.is_floating_point():
            return str(parameter.dtype).removeprefix("torch.")
    return "float32"


def _alike(module: nn.Module, ranks: Ranks) -> dict[int, Tensor]:
    """Trainable matrices in float32 or wider whose rows start out equal, or nearly so, and are not all zero."""
    found: dict[int, Tensor] = {}
    for parameter in module.parameters():
        if not parameter.requires_grad or parameter.is_meta or parameter.dim() < 2 or parameter.shape[0] < 2:
            continue
        if parameter.dtype not in (torch.float32, torch.float64) or math.prod(parameter.shape[1:]) < 2:
            continue
        largest, spread = extent(parameter, ranks)
        if largest > 0 and spread < 1e-2:
            found[id(parameter)] = parameter
    return found


def _copies(module: nn.Module) -> list[list[nn.Parameter]]:
    """Trainable matrices in float32 or wider, in the same place of a stack or of one module, that hold the same
    different values."""
    places: dict[tuple[Any, ...], list[nn.Parameter]] = {}
    for name, p in module.named_parameters():
        if not p.requires_grad or p.is_meta or is_piece(p) or p.dim() < 2 or p.numel() < 2:
            continue
        if p.dtype in (torch.float32, torch.float64):
            kind = (p.shape, p.dtype, p.device)
            if "*" in slot(name):
                places.setdefault((slot(name), *kind), []).append(p)
            owner, _, leaf = name.rpartition(".")
            if not leaf.isdigit():
                places.setdefault((owner, "", *kind), []).append(p)
    found: list[list[nn.Parameter]] = []
    for alike in places.values():
        if len(alike) < 2:
            continue
        groups: dict[tuple[float, ...], list[nn.Parameter]] = {}
        for p in alike:
            values = p.detach().reshape(-1)
            groups.setdefault(tuple(values[:4].tolist()), []).append(p)
        for first, *others in groups.values():
            equal = [first, *(p for p in others if torch.equal(p, first))]
            if len(equal) > 1 and bool((first != first.reshape(-1)[0]).any()):
                found.append(equal)
    return found


def measurable(module: nn.Module, run: Run) -> list[str]:
    """The submodules whose output is a weight's or a norm's result itself, and so says something of that layer."""
    families = {n: layer_family(kind) for n, kind in _kinds(module).items()}
    if run.trace is None or run.reader is None:
        return [n for n, family in families.items() if family in _WEIGHT_FAMILIES | {"norm", "embedding"}]
    names = []
    for name, returned in run.trace.returned.items():
        if families.get(name) == "embedding" or (returned and run.reader.gives_own_result(name, returned[0])):
            names.append(name)
    return names


def _batch_dims(module: nn.Module, batch: Batch, size: int, names: list[str], trace: Trace | None) -> dict[str, int]:
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


def _sums(run: Run, names: Any) -> dict[str, list[list[tuple[str, int]]]]:
    """For each call of a layer whose output is summed up before its activation: the (layer, call) of all terms.

    A call that is not known to be of such a sum has none.
    """
    if run.trace is None:
        return {}
    calls = calls_of(run.trace)
    found: dict[str, list[list[tuple[str, int]]]] = {}
    for name in names:
        sums = [sum for sum in run.fates[name].sums if sum is not None] if name in run.fates else []
        if not sums:
            continue
        terms = found[name] = [[] for _ in run.trace.returned.get(name, [])]
        for sum in sums:
            several = [calls[term] for term in sum.terms if term in calls] if sum.whole else []
            if len(several) == len(sum.terms):
                for call in (call for layer, call in several if layer == name):
                    terms[call] = several
    return found


def _activations(run: Run, names: Any) -> dict[str, tuple[Activation, Callable[[Tensor], Tensor]]]:
    """The function that acts directly on what a layer gives (a norm in between has its own)."""
    found: dict[str, tuple[Activation, Callable[[Tensor], Tensor]]] = {}
    for name in names:
        fate = run.fates.get(name)
        if fate is None or fate.function is None or fate.through is not None:
            continue
        if known(fate.activation) and fate.activation is not None:
            found[name] = (fate.activation, fate.function)
    return found
