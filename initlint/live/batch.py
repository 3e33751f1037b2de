"""A sample batch for a module: made from specifications, taken as given, or inferred.

Inference lists a few plausible batches, from the names in forward's signature and from the first layers, and keeps the
first that the module runs on: tried on fake tensors, which cost no memory, and then for real.
"""

from __future__ import annotations

import contextlib
import inspect
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from initlint.live.batch_spec import BatchSpec, parse_spec
from initlint.live.state import quiet_dropout
from initlint.live.variation import map_tensors

__all__ = ["Batch", "BatchSpec", "as_batch", "infer", "make", "parse_spec"]


@dataclass(frozen=True, slots=True)
class Batch:
    """What a model is called with; ``description`` is how --batch would spell it."""

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""

    def to(self, device: str) -> Batch:
        """The same on another device."""
        args, kwargs = map_tensors((self.args, dict(self.kwargs)), lambda tensor: tensor.to(device))
        return replace(self, args=args, kwargs=kwargs)


def make(specs: Sequence[BatchSpec], *, device: str = "cpu") -> Batch:
    """Tensors as specified, from torch's global generator.

    4-D float inputs of 1 to 4 channels are images, low-frequency noise of unit std; other floats are N(0, 1), integers
    uniform below their bound (2 where none is given), booleans all true.
    """
    args = tuple(_tensor(spec).to(device) for spec in specs if spec.name is None)
    kwargs = {spec.name: _tensor(spec).to(device) for spec in specs if spec.name is not None}
    return Batch(args, kwargs, " ".join(str(spec) for spec in specs))


def _tensor(spec: BatchSpec) -> Tensor:
    dtype: torch.dtype = getattr(torch, spec.dtype)
    if dtype == torch.bool:
        return torch.ones(spec.shape, dtype=dtype)
    if not dtype.is_floating_point:
        return torch.randint(0, spec.bound or 2, spec.shape, dtype=dtype)
    if len(spec.shape) == 4 and spec.shape[1] <= 4 and min(spec.shape[2:]) >= 8:
        return images(spec.shape).to(dtype)
    return torch.randn(spec.shape).to(dtype)


def images(shape: tuple[int, ...]) -> Tensor:
    """Noise of unit std over the batch with most of its power in long waves, as photographs have (N, C, H, W)."""
    height, width = shape[2:]
    layers = []
    for cells, weight in ((4, 1.0), (8, 0.6), (16, 0.35)):
        size = (min(cells, height), min(cells, width))
        coarse = torch.randn(*shape[:2], *size)
        layers.append(
            weight * nn.functional.interpolate(coarse, size=(height, width), mode="bilinear", align_corners=False)
        )
    mixed = torch.stack(layers).sum(0) + 0.1 * torch.randn(shape)
    return mixed / mixed.std().clamp_min(1e-6)


def as_batch(value: Any) -> Batch:
    """A batch as a caller may hand it over: a tensor, a tuple of positional inputs, a mapping of keyword inputs, specs.

    Raises TypeError for anything else.
    """
    if isinstance(value, Batch):
        return value
    if isinstance(value, Tensor):
        return Batch((value,), {}, _spell(value))
    if isinstance(value, Mapping):
        words = [_spell(v, str(k)) for k, v in value.items()]
        return Batch((), {str(k): v for k, v in value.items()}, " ".join(word for word in words if word))
    if isinstance(value, (tuple, list)):
        if value and all(isinstance(item, BatchSpec) for item in value):
            return make(value)
        if value and all(isinstance(item, str) for item in value):
            return make([parse_spec(item) for item in value])
        if len(value) == 2 and isinstance(value[0], tuple) and isinstance(value[1], Mapping):
            args, kwargs = as_batch(value[0]), as_batch(value[1])
            return Batch(args.args, kwargs.kwargs, f"{args.description} {kwargs.description}".strip())
        return Batch(tuple(value), {}, " ".join(word for word in (_spell(item) for item in value) if word))
    if isinstance(value, str):
        return make([parse_spec(value)])
    raise TypeError(f"a batch is a tensor, a tuple or a mapping, not {type(value).__name__}")


def _spell(value: Any, name: str | None = None) -> str:
    """A tensor as --batch spells it; "" for anything else."""
    if not isinstance(value, Tensor):
        return ""
    dtype = str(value.dtype).removeprefix("torch.")
    bound = None
    if not value.is_floating_point() and value.dtype != torch.bool and value.numel() and not value.is_complex():
        bound = max(1, int(value.max()) + 1)
    return str(BatchSpec(tuple(value.shape), dtype, bound, name))


# -- inference

_BATCH = 8
_SMALL = 1 << 17
_ROWS = 64
_LENGTHS = (16, 128)
_SIDES = (64, 32, 224, 28, 128, 256)
_TOKENS = frozenset(
    [
        "input_ids",
        "tokens",
        "token_ids",
        "ids",
        "idx",
        "indices",
        "src",
        "tgt",
        "source",
        "target",
        "text",
        "inputs_ids",
    ]
)
_MASKS = frozenset(
    ["mask", "attention_mask", "src_mask", "padding_mask", "src_key_padding_mask", "key_padding_mask", "attn_mask"]
)
_IMAGES = frozenset(["pixel_values", "images", "image", "img", "imgs", "pixels", "frames"])
_TIMES = frozenset(["t", "timestep", "timesteps", "time", "times"])
_CONVOLUTIONS = {
    nn.Conv1d: 1,
    nn.Conv2d: 2,
    nn.Conv3d: 3,
    nn.ConvTranspose1d: 1,
    nn.ConvTranspose2d: 2,
    nn.ConvTranspose3d: 3,
}


def infer(module: nn.Module, *, device: str = "cpu", batch: int = _BATCH) -> Batch:
    """The first plausible batch that the module runs on; ValueError if there is none.

    Run it inside ``state.preserved``: the module's buffers may change.
    """
    given = _offered(module)
    candidates = [] if given is None else [given]
    specified = list(_candidates(module, batch))
    failure = "forward takes inputs that cannot be guessed"
    for candidate in candidates:
        with contextlib.suppress(Exception):
            _try(module, candidate.to(device))
            return candidate.to(device)
    small, rest = [], specified
    if specified and sum(math.prod(spec.shape) for spec in specified[0]) <= _SMALL:
        small, rest = specified[:1], specified[1:]  # as quick as a fake, which takes a second to set up
    for specs in itertools.chain(small, _by_fake(module, rest)):
        candidate = make(specs, device=device)
        try:
            _try(module, candidate)
        except Exception as error:
            failure = f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:160]}"
            continue
        return candidate
    raise ValueError(f"no sample batch could be inferred ({failure}); give one with --batch")


def _try(module: nn.Module, candidate: Batch) -> None:
    with torch.no_grad(), quiet_dropout(module):
        module(*candidate.args, **candidate.kwargs)


def _by_fake(module: nn.Module, candidates: list[tuple[BatchSpec, ...]]) -> Iterator[tuple[BatchSpec, ...]]:
    """The candidate that runs on fake tensors first, then the others in order (fakes cannot run everything)."""
    chosen = _runs_on_fakes(module, candidates) if len(candidates) > 1 else None
    if chosen is not None:
        yield chosen
    yield from (specs for specs in candidates if specs is not chosen)


def _runs_on_fakes(module: nn.Module, candidates: list[tuple[BatchSpec, ...]]) -> tuple[BatchSpec, ...] | None:
    """The first candidate that the module runs on with tensors that have a shape and no memory."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    mode = FakeTensorMode(allow_non_fake_inputs=True)
    try:
        state: dict[str, Tensor] = {
            name: mode.from_tensor(t) for name, t in [*module.named_parameters(), *module.named_buffers()]
        }
    except Exception:  # tensors of a make that has no fake
        return None
    for specs in candidates:
        with contextlib.suppress(Exception), mode, torch.no_grad():
            fake = make(specs)
            torch.func.functional_call(module, state, fake.args, dict(fake.kwargs))
            return specs
    return None


def _offered(module: nn.Module) -> Batch | None:
    """A batch that the model itself carries: Lightning's example_input_array, transformers' dummy_inputs."""
    for name in ("example_input_array", "dummy_inputs"):
        try:
            value = getattr(module, name, None)
        except Exception:
            continue
        if isinstance(value, (Tensor, tuple)) or (isinstance(value, dict) and value):
            with contextlib.suppress(TypeError):
                return as_batch(value)
    return None


def _candidates(module: nn.Module, batch: int) -> Iterator[tuple[BatchSpec, ...]]:
    try:
        signature = inspect.signature(module.forward)
    except (TypeError, ValueError):
        return
    required = [
        p
        for p in signature.parameters.values()
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    keyword = [p for p in signature.parameters.values() if p.default is p.empty and p.kind is p.KEYWORD_ONLY]
    named = False
    if not required:
        optional = [p for p in signature.parameters.values() if p.name in _TOKENS | _IMAGES]
        if optional:
            required, named = optional[:1], True
        elif any(p.kind is p.VAR_POSITIONAL for p in signature.parameters.values()):
            required = [inspect.Parameter("x", inspect.Parameter.POSITIONAL_ONLY)]
        else:
            yield ()
            return
    if keyword:
        return
    seen: set[tuple[BatchSpec, ...]] = set()
    for first in _first_inputs(module, required[0], batch):
        specs = [first]
        for parameter in required[1:]:
            specs.append(_further_input(module, parameter, first))
        if named:
            specs[0] = replace(first, name=required[0].name)
        candidate = tuple(specs)
        if candidate not in seen:
            seen.add(candidate)
            yield candidate


def _first_inputs(module: nn.Module, parameter: inspect.Parameter, batch: int) -> Iterator[BatchSpec]:
    """What the first input may be, likeliest first: read off its name and off the first layers."""
    layers = list(_first_layers(module))
    embeddings = [layer for layer in layers if isinstance(layer, (nn.Embedding, nn.EmbeddingBag))]
    name, annotation = parameter.name, str(parameter.annotation)
    tokens = bool(embeddings) and (name in _TOKENS or "Long" in annotation or "Int" in annotation)
    if tokens:
        yield from _token_batches(embeddings, batch)
    for layer in layers:
        if isinstance(layer, (nn.Embedding, nn.EmbeddingBag)):
            if not tokens:
                yield from _token_batches([layer], batch)
        else:
            yield from _inputs_of(module, layer, batch)


def _token_batches(embeddings: Iterable[nn.Embedding | nn.EmbeddingBag], batch: int) -> Iterator[BatchSpec]:
    bound = next(iter(embeddings)).num_embeddings
    for length in _LENGTHS:
        yield BatchSpec((batch, length), "int64", bound)
    yield BatchSpec((batch,), "int64", bound)


def _first_layers(module: nn.Module, count: int = 4) -> Iterator[nn.Module]:
    """Layers whose input has a size that can be read, in order of registration, the first few of different makes."""
    makes: set[object] = set()
    for child in module.modules():
        dimensions = _CONVOLUTIONS.get(type(child), 0)
        measured = dimensions or isinstance(
            child, (nn.Linear, nn.Embedding, nn.EmbeddingBag, nn.RNNBase, nn.RNNCellBase)
        )
        if not measured and _width(child) is None:
            continue
        make_of = (type(child), dimensions)
        if make_of not in makes:
            makes.add(make_of)
            yield child
        if len(makes) >= count:
            return


def _width(layer: nn.Module) -> int | None:
    """The last dimension that a layer without a class of torch's own takes: in_features, d_model and the like."""
    for name in (
        "in_features",
        "in_channels",
        "input_size",
        "d_model",
        "embed_dim",
        "normalized_shape",
        "num_features",
    ):
        value = getattr(layer, name, None)
        if isinstance(value, tuple) and value:
            value = value[-1]
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


def _inputs_of(module: nn.Module, layer: nn.Module, batch: int) -> Iterator[BatchSpec]:
    dimensions = _CONVOLUTIONS.get(type(layer), 0)
    if dimensions:
        channels: int = layer.in_channels  # type: ignore[assignment]
        transposed = isinstance(layer, (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d))
        sides: Sequence[int] = (4, 8, *_SIDES) if transposed else _sides(module, channels, dimensions)
        for side in sides:
            yield BatchSpec((batch, channels, *(side,) * dimensions))
        return
    if isinstance(layer, (nn.RNNBase, nn.RNNCellBase)):
        width: int = layer.input_size
        yield BatchSpec((batch, 16, width) if isinstance(layer, nn.RNNBase) else (batch, width))
        return
    features = layer.in_features if isinstance(layer, nn.Linear) else _width(layer)
    if features is None:
        return
    yield BatchSpec((_ROWS, int(features)))
    yield BatchSpec((batch, 16, int(features)))
    side = round(int(features) ** 0.5)
    for channels in (1, 3):
        side = round((int(features) / channels) ** 0.5)
        if channels * side * side == features and side >= 8:
            yield BatchSpec((_ROWS, channels, side, side))


def _sides(module: nn.Module, channels: int, dimensions: int) -> Sequence[int]:
    if dimensions == 1:
        return (64, 1024, 16, 16000)
    if dimensions == 3:
        return (16, 32, 64)
    configured = [getattr(module, name, None) for name in ("image_size", "img_size", "input_size")]
    config = getattr(module, "config", None)
    configured += [getattr(config, name, None) for name in ("image_size", "img_size")]
    first = [side for side in configured if isinstance(side, int) and 4 <= side <= 1024]
    return (*first, *((28, 32) if channels == 1 else ()), *_SIDES)


def _further_input(module: nn.Module, parameter: inspect.Parameter, first: BatchSpec) -> BatchSpec:
    """An input after the first: a mask, times, tokens, or another like the first."""
    name = parameter.name
    if name in _MASKS:
        return BatchSpec(first.shape[:2], "bool")
    if name in _TIMES:
        bound = next((m.num_embeddings for m in module.modules() if isinstance(m, nn.Embedding)), None)
        return BatchSpec(first.shape[:1], "int64", bound or 100)
    if name in _TOKENS and first.dtype == "int64":
        return first
    if name in ("y", "label", "labels", "class_labels", "classes"):
        bound = next((m.num_embeddings for m in module.modules() if isinstance(m, nn.Embedding)), None)
        return BatchSpec(first.shape[:1], "int64", bound or 2)
    return first
