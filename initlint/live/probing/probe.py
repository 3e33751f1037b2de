"""One forward and backward with a sample of each layer's output and gradient kept, and the figures taken afterwards.

Hooks only clone a small strided sample: statistics computed inside them would cost more than the pass. Everything
else happens once the pass is over, on the device, with a single read-back. Strided layers read their input on a
lattice, and leave a gradient on that lattice alone, so no sample may keep step with it.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from initlint.facts import UNKNOWN, Activation, LayerProbe, known
from initlint.live.host.device import exact
from initlint.live.host.sharded import is_piece

__all__ = ["FLAT", "Measured", "Sample", "hooked", "measure", "output_shapes"]

_UNITS, _MAX_ROWS = 28, 64
_BUDGET = 2048
"""Elements kept of each output: a batch of 8 leaves 256 units, 28 channels at 9 positions each."""
_CALLS = 32
"""Calls of one layer that are sampled."""
_WALK = 4096
"""Elements kept of each gradient, of which a few in a hundred may be all that is not zero."""


@dataclass(slots=True)
class Sample:
    """What the hooks kept of one call of a layer: clones of some of its output, and of some of its gradient."""

    forward: Tensor
    batch_dim: int | None
    channel_dim: int
    rows: int = 1  # kept of each sample, in the batch dimension
    gradient: Tensor | None = None


@dataclass(slots=True)
class Measured:
    """Samples by layer name, one a call."""

    samples: dict[str, list[Sample]] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    recording: bool = True


def _first_tensor(output: Any) -> Tensor | None:
    if isinstance(output, Tensor):
        return None if is_piece(output) else output
    if isinstance(output, (tuple, list)) and output:
        return _first_tensor(output[0])
    return None


def _grid(
    shape: Sequence[int], batch_dim: int | None, channel_dim: int, batch: int | None
) -> tuple[tuple[slice, ...], int]:
    """A slice a dimension (the batch first, then channels, then positions, within the budget), and rows kept a sample.

    Windows and the like that are folded into the batch dimension (size batch * fold, samples outermost) are thinned
    evenly, so that the rows kept still divide by the batch.
    """
    steps = [1] * len(shape)
    taken, rows = 1, 1
    if batch_dim is not None and batch is not None:
        fold = shape[batch_dim] // batch
        wanted = max(1, _MAX_ROWS // batch)
        if batch > _MAX_ROWS:
            steps[batch_dim] = fold * -(-batch // _MAX_ROWS)
        elif fold > wanted:
            steps[batch_dim] = next(step for step in range(-(-fold // wanted), fold + 1) if fold % step == 0)
            rows = fold // steps[batch_dim]
        else:
            rows = fold
        taken = -(-shape[batch_dim] // steps[batch_dim])
    others = [d for d in range(len(shape)) if d not in (batch_dim, channel_dim)]
    positions = 1
    for d in others:
        positions *= max(1, shape[d])
    room = max(1, _BUDGET // taken)
    if channel_dim != batch_dim:
        wanted = min(_UNITS, room) if positions > 1 else room
        steps[channel_dim] = max(1, -(-shape[channel_dim] // wanted))
        taken *= max(1, -(-shape[channel_dim] // steps[channel_dim]))
    index = [slice(0, None, step) for step in steps]
    room = max(1, _BUDGET // taken)
    for left, d in enumerate(others):
        index[d] = _positions(shape[d], max(1, round(room ** (1 / (len(others) - left)))))
        room = max(1, room // max(1, len(range(shape[d])[index[d]])))
    return tuple(index), rows


def _positions(size: int, most: int) -> slice:
    """At most ``most`` of ``size`` positions, in steps of 1 or coprime to 2 and 3, the usual strides of layers.

    A start inside the step keeps clear of the padded border, where biases speak louder than the signal. Maps too small
    for a step of 5 give one half, in which border and inside have the shares that they have in the whole.
    """
    if size <= most:
        return slice(0, None, 1)
    if size <= max(2 * most, 6):
        start = 0 if size <= 6 else size // 4
        return slice(start, start + min(most, -(-size // 2)), 1)
    step = next(s for s in itertools.count(5) if s % 2 and s % 3 and -(-(size - s // 2) // s) <= most)
    start = step // 2
    if most > 1 and start + step >= size > step:
        start = (size - step) // 2
    return slice(start, None, step)


def _walk(gradient: Tensor) -> Tensor | None:
    """Every n-th element as they lie in memory, within the budget; None where they overlap or leave gaps.

    With n coprime to 2, 3 and every size the walk falls on all rows, columns and channels alike, and so on each residue
    of a lattice as often as on any other, which no grid of a few positions can do.
    """
    if not gradient.numel() or type(gradient) is not Tensor or gradient.layout != torch.strided:
        return None
    extent = 1
    for size, stride in sorted(zip(gradient.shape, gradient.stride(), strict=True), key=lambda pair: pair[1]):
        if size > 1 and stride != extent:
            return None
        extent *= size
    numel = gradient.numel()
    least = -(-numel // _WALK)
    step = next(s for s in itertools.count(least) if s == 1 or math.gcd(s, 6 * numel) == 1)
    start = step // 2
    count = -(-(numel - start) // step)
    return gradient.as_strided((count,), (step,), gradient.storage_offset() + start)


@contextlib.contextmanager
def hooked(
    module: nn.Module,
    names: Sequence[str],
    batch: int | None,
    batch_dims: Mapping[str, int],
    channel_dims: Mapping[str, int],
) -> Iterator[Measured]:
    """Sample the outputs of the submodules called ``names`` during the pass that runs inside, and their gradients."""
    measured = Measured()
    modules = dict(module.named_modules())

    def hook_for(name: str) -> Callable[..., None]:
        samples = measured.samples.setdefault(name, [])

        def hook(_: nn.Module, __: Any, output: Any) -> None:
            tensor = _first_tensor(output)
            if not measured.recording or tensor is None or not tensor.dim() or not tensor.is_floating_point():
                return
            measured.calls[name] = measured.calls.get(name, 0) + 1
            if len(samples) == _CALLS:
                return
            channel = channel_dims.get(name, tensor.dim() - 1)
            if channel >= tensor.dim():
                channel = tensor.dim() - 1
            dim = batch_dims.get(name)
            if dim is not None and (dim >= tensor.dim() or not batch or tensor.shape[dim] % batch):
                dim = None
            index, rows = _grid(tensor.shape, dim, channel, batch)
            sample = Sample(tensor.detach()[index].clone(), dim, channel, rows)
            samples.append(sample)
            if tensor.requires_grad:

                def keep(gradient: Tensor) -> None:
                    if sample.gradient is None:
                        walk = _walk(gradient)
                        sample.gradient = (gradient[index] if walk is None else walk).clone()

                tensor.register_hook(keep)  # type: ignore[no-untyped-call]

        return hook

    with contextlib.ExitStack() as hooks:
        for name in names:
            hooks.enter_context(modules[name].register_forward_hook(hook_for(name)))
        yield measured


@contextlib.contextmanager
def output_shapes(module: nn.Module, names: Sequence[str]) -> Iterator[dict[str, list[tuple[int, ...]]]]:
    """The shapes that the submodules called ``names`` give, call by call, during the pass that runs inside."""
    shapes: dict[str, list[tuple[int, ...]]] = {}
    modules = dict(module.named_modules())

    def hook_for(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            tensor = _first_tensor(output)
            shapes.setdefault(name, []).append(tuple(tensor.shape) if tensor is not None else ())

        return hook

    with contextlib.ExitStack() as hooks:
        for name in names:
            hooks.enter_context(modules[name].register_forward_hook(hook_for(name)))
        yield shapes


def _figures(sample: Sample) -> list[Tensor]:
    """[across-batch variance, total variance, gradient mean square, whether anything is not finite] as 0-d tensors."""
    x = sample.forward
    x = x.to(torch.float64 if x.device.type == "cpu" else torch.float32)
    nan = x.new_full((), float("nan"))
    across = nan
    if sample.batch_dim is not None:
        rows = x.movedim(sample.batch_dim, 0)
        samples = rows.shape[0] // sample.rows
        if samples > 1:
            across = rows.reshape(samples, -1).var(dim=0).mean()
    total = x.var(unbiased=False) if x.numel() > 1 else nan
    gradient = nan
    if sample.gradient is not None:
        gradient = sample.gradient.to(x.dtype).square().mean()
    return [across, total, gradient, (~torch.isfinite(x)).any().to(x.dtype)]


def _extent(values: Tensor | None, like: Tensor) -> list[Tensor]:
    """[largest, median] of the absolute values that are not 0, as 0-d tensors; NaN for none."""
    nan = like.new_full((), float("nan"))
    if values is None or not values.numel():
        return [nan, nan]
    sizes = values.to(like.dtype).abs()
    return [sizes.amax(), torch.where(sizes > 0, sizes, nan).nanmedian()]


def _dead(samples: Sequence[Sample], function: Callable[[Tensor], Tensor]) -> tuple[Tensor, int]:
    """Share of channels that the activation makes zero for all samples, positions and calls; how many values each had.

    Calls that give another number of channels than the first are left out.
    """
    silent: Tensor | None = None
    values = 0
    for sample in samples:
        x = sample.forward.to(exact(sample.forward.device))
        rows = x.movedim(sample.channel_dim, 0).reshape(x.shape[sample.channel_dim], -1)
        zero = (function(rows.reshape(-1)).reshape(rows.shape) == 0).all(dim=1)
        if silent is None or silent.shape == zero.shape:
            silent = zero if silent is None else silent & zero
            values += rows.shape[1]
    assert silent is not None
    return silent.float().mean(), values


def _added(measured: Measured, sums: Sequence[Sequence[tuple[str, int]]], samples: Sequence[Sample]) -> list[Sample]:
    """The samples of a layer, each with those of the other terms of its sum added; what cannot be added is left out."""
    found = []
    for sample, terms in zip(samples, sums, strict=False):
        others = [measured.samples.get(layer, [])[call : call + 1] for layer, call in terms]
        forwards = [other[0].forward for other in others if other]
        if forwards and len(forwards) == len(terms) and all(f.shape == sample.forward.shape for f in forwards):
            found.append(replace(sample, forward=torch.stack(forwards).sum(0)))
    return found


FLAT = {"sigmoid": 5.98, "tanh": 2.99, "hardtanh": 1.0, "hardsigmoid": 3.0, "softsign": 9.0}
"""|x| beyond which the slope is under 1% of its largest."""


def measure(
    measured: Measured,
    activations: Mapping[str, tuple[Activation, Callable[[Tensor], Tensor]]],
    sums: Mapping[str, Sequence[Sequence[tuple[str, int]]]],
    halves: Mapping[str, Sequence[str]],
    *,
    extents: bool = False,
) -> dict[str, LayerProbe]:
    """The figures of every sampled layer, over its calls (of which the first ``_CALLS`` were kept).

    Where it is not known in which dimension the samples lie, across-batch figures are UNKNOWN. ``activations`` are the
    functions that follow, by layer; ``sums`` names for each call of a layer what they act on the sum of, as (layer,
    call). ``halves`` are the functions that act on parts of what a layer gives: of these layers the values count at
    which all of them are flat. ``extents``: how large the values are, too.
    """
    columns: list[Tensor] = []
    plan: list[_Asked] = []
    for name, samples in measured.samples.items():
        if not samples:
            continue
        for sample in samples:
            columns.extend(_figures(sample))
        like = columns[-1]
        activation, function = activations.get(name, (None, None))
        asked = _Asked(name, len(samples), measured.calls.get(name, len(samples)))
        acted = samples if name not in sums else _added(measured, sums[name], samples)
        if function is not None and acted:
            fraction, asked.values = _dead(acted, function)
            columns.append(fraction.to(like.device))
        behind = [activation.name] if activation is not None else halves.get(name, ())
        flat = max((FLAT.get(each, math.inf) for each in behind), default=math.inf)
        if flat < math.inf and acted:
            asked.saturated = True
            beyond = [(s.forward.abs() > flat).float().mean().to(like.device) for s in acted]
            columns.append(torch.stack(beyond).mean())
        if extents:
            asked.extents = True
            for kept in ("forward", "gradient"):
                each = torch.stack([torch.stack(_extent(getattr(s, kept), like)) for s in samples])
                columns += [torch.where(each.isnan(), -1.0, each)[:, 0].amax(), each[:, 1].nanmedian()]
        plan.append(asked)
    if not columns:
        return {}
    numbers = iter(torch.stack([c.to(exact(c.device)) for c in columns]).tolist())
    return {asked.name: asked.probe(numbers) for asked in plan}


@dataclass(slots=True)
class _Asked:
    """Which figures of a layer were computed, in the order in which they are read back."""

    name: str
    kept: int
    calls: int
    values: int | None = None
    saturated: bool = False
    extents: bool = False

    def probe(self, numbers: Iterator[float]) -> LayerProbe:
        """The figures that come next."""
        calls = [[next(numbers) for _ in range(4)] for _ in range(self.kept)]
        across, total, gradient, _ = calls[0]
        dead = next(numbers) if self.values is not None else UNKNOWN
        saturated = next(numbers) if self.saturated else UNKNOWN
        sizes = [_size(next(numbers)) for _ in range(4)] if self.extents else [UNKNOWN] * 4
        return LayerProbe(
            forward_std=_root(across),
            total_std=_root(total),
            gradient_std=_root(gradient),
            dead_fraction=dead,
            saturated_fraction=saturated,
            samples=self.values if self.values is not None else UNKNOWN,
            finite=not any(call[3] for call in calls),
            calls=self.calls,
            forward_stds=tuple(_root(call[0]) for call in calls),
            gradient_stds=tuple(_root(call[2]) for call in calls),
            forward_extent=(sizes[0], sizes[1]) if known(sizes[0]) and known(sizes[1]) else UNKNOWN,
            gradient_extent=(sizes[2], sizes[3]) if known(sizes[2]) and known(sizes[3]) else UNKNOWN,
        )


def _size(value: float) -> float:
    return value if 0 < value < math.inf else UNKNOWN


def _root(variance: float) -> float:
    if not known(variance) or math.isnan(variance):
        return UNKNOWN  # type: ignore[no-any-return]
    return float(max(0.0, variance) ** 0.5)
