"""Whether what a model says of one sample depends on the samples beside it, in eval mode."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from initlint.facts import UNKNOWN
from initlint.live.batches.batch import Batch
from initlint.live.batches.variation import map_tensors, take
from initlint.live.probing.objective import primary_output
from initlint.live.tracing.graph import Trace, tensors_in

__all__ = ["batch_leak"]

_COUNTS = (5, 7, 6, 3, 4)
_FAINT = 1e-4
"""A share below which nothing more is asked: rounding, at most."""
_ALIKE = 1e-4


def batch_leak(
    module: nn.Module, batch: Batch, size: int | None, trace: Trace | None, dims: Mapping[str, int]
) -> float:
    """How strongly one sample's output hangs on the others' inputs, as a share of how it hangs on its own.

    The root mean square of the gradient with respect to inputs (of integers: what their embedding gives), of the other
    samples over that of its own; 0 for none. UNKNOWN where it is not certain that dimension 0 holds samples: an output
    without it, a sequence or set that came without a batch, time before the batch, relations between all pairs (a
    contrastive model, a graph). ``size`` samples are given, and ``dims`` says where each layer has them. Modes are the
    caller's to restore; no gradient of a parameter is touched.
    """
    count = _count(size, batch, trace)
    if count is None or any(_by_choice(child) for child in module.modules()):
        return UNKNOWN  # type: ignore[no-any-return]
    module.eval()
    try:
        with torch.enable_grad():
            return _share(module, batch, count, dims)
    except Exception:  # it does not run in eval mode, or not on fewer samples
        return UNKNOWN  # type: ignore[no-any-return]


def _by_choice(child: nn.Module) -> bool:
    """A batch norm that was told to use the batch in eval mode too."""
    return isinstance(child, nn.modules.batchnorm._BatchNorm) and not child.track_running_stats


def _count(size: int | None, batch: Batch, trace: Trace | None) -> int | None:
    """How many samples to run: as many as no other dimension has, so that the batch's can be told."""
    if size is None or size < 3:
        return None
    shapes = [tuple(tensor.shape)[1:] for tensor in batch.tensors()]
    shapes += [node.shape for node in trace.nodes] if trace is not None else []
    taken = {length for shape in shapes for length in shape}
    return next((count for count in _COUNTS if count < size and count not in taken), None)


def _share(module: nn.Module, batch: Batch, count: int, dims: Mapping[str, int]) -> float:
    args, kwargs = take(batch.args, count), take(dict(batch.kwargs), count)
    sources: list[Tensor] = []

    def leaf(tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point():
            return tensor
        sources.append(tensor.detach().clone().requires_grad_())
        return sources[-1]

    def keep(name: str) -> Any:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.requires_grad and output.shape[0] == count:
                sources.append(output)

        return hook if dims.get(name) == 0 else None

    hooks = {name: keep(name) for name, child in module.named_modules() if isinstance(child, nn.Embedding)}
    args, kwargs = map_tensors(args, leaf), map_tensors(kwargs, leaf)
    with _hooked(module, hooks):
        output = primary_output(module(*args, **kwargs))
    if output is None or not output.requires_grad or output.is_complex() or output.layout != torch.strided:
        return UNKNOWN  # type: ignore[no-any-return]
    if output.dim() < 1 or list(output.shape).count(count) != 1:
        return UNKNOWN  # type: ignore[no-any-return]
    if output.shape[0] != count or not sources:
        return UNKNOWN  # type: ignore[no-any-return]
    middle = count // 2  # leaks may run one way only: what is summed up along the batch
    score = (output[middle] * torch.randn_like(output[middle])).sum()
    gradients = torch.autograd.grad(score, sources, allow_unused=True)
    mine = theirs = torch.zeros((), device=output.device, dtype=torch.float32)
    for gradient in gradients:
        if gradient is not None:
            squares = gradient.detach().float().reshape(count, -1).square().sum(dim=1)
            mine = mine + squares[middle]
            theirs = theirs + torch.cat([squares[:middle], squares[middle + 1 :]]).mean()
    own, others = torch.stack([mine, theirs]).tolist()
    if not 0 < own < float("inf") or not 0 <= others < float("inf"):
        return UNKNOWN  # type: ignore[no-any-return]
    share = float((others / own) ** 0.5)
    if share > _FAINT and not _certain(module, args, kwargs, output.detach(), count):
        return UNKNOWN  # type: ignore[no-any-return]
    return share


def _certain(module: nn.Module, args: Any, kwargs: Any, output: Tensor, count: int) -> bool:
    """Whether dimension 0 can be nothing but the batch."""
    inputs = list(tensors_in((args, kwargs)))
    if any(tensor.dim() < 2 for tensor in inputs):
        return False
    unbatched: list[bool] = []
    hooks = {name: _tell_unbatched(child, unbatched) for name, child in module.named_modules()}
    pairs = _Pairs(count)
    with torch.no_grad(), _hooked(module, hooks), pairs:
        module(*args, **kwargs)
    if any(unbatched):
        return False
    time_first = any(isinstance(m, nn.MultiheadAttention) and not m.batch_first for m in module.modules())
    if pairs.seen and not time_first:
        return False
    lengths = {tensor.shape[1] for tensor in inputs}
    features = all(tensor.dim() == 2 and tensor.is_floating_point() for tensor in inputs)
    if features or len(lengths) > 1 or output.dim() < 2 or {output.shape[1]} != lengths:
        return not (features and pairs.seen)
    with torch.no_grad():  # samples may change places: if those along dimension 1 may, they are the samples
        rolled = primary_output(module(*_rolled(args), **_rolled(kwargs)))
    if rolled is None or rolled.shape != output.shape:
        return False
    difference = (rolled - output.roll(1, 1)).abs().amax()
    return bool(difference > _ALIKE * output.abs().amax())


def _rolled(value: Any) -> Any:
    return map_tensors(value, lambda tensor: tensor.roll(1, 1))


def _tell_unbatched(child: nn.Module, told: list[bool]) -> Any:
    """A hook that notes whether a layer that takes input with and without a batch got it without; None for others."""
    if isinstance(child, (nn.RNNBase, nn.MultiheadAttention)):
        batched = 3
    elif isinstance(child, nn.modules.conv._ConvNd):
        batched = child.weight.dim()
    else:
        return None

    def hook(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        first = next(tensors_in((inputs, output)), None)
        told.append(first is not None and first.dim() < batched)

    return hook


class _Pairs(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes whether any value has two dimensions of the batch's length: a relation between all pairs of samples."""

    def __init__(self, count: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = count
        self.seen = False

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """False: as in trace._Recorder."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if any(list(tensor.shape).count(self.count) > 1 for tensor in tensors_in(result)):
            self.seen = True
        return result


@contextlib.contextmanager
def _hooked(module: nn.Module, hooks: Mapping[str, Any]) -> Iterator[None]:
    modules = dict(module.named_modules())
    with contextlib.ExitStack() as registered:
        for name, hook in hooks.items():
            if hook is not None:
                registered.enter_context(modules[name].register_forward_hook(hook))
        yield
