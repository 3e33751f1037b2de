"""The first plausible batch that a module runs on.

A few are listed, from the names in forward's signature and from the sizes that the layers take, then tried on fake
tensors, which cost no memory, and then for real, those first that got furthest.
"""

from __future__ import annotations

import contextlib
import inspect
import itertools
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from initlint.live.batch import Batch, BatchSpec, as_batch, make
from initlint.live.state import quiet_dropout

__all__ = ["NoSampleBatch", "infer"]

_BATCH = 8
_SMALL = 1 << 17
_ROWS = 64
_LENGTHS = (16, 128)
_SIDES = (64, 32, 224, 28, 128, 256)
_RARER_SIDES = (84, 96, 16, 48, 192, 8)
_MAKES, _MOST_LAYERS = 4, 12
_PATIENCE = 20.0
"""Seconds after which no further batch is tried, on fakes and again for real."""
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


class NoSampleBatch(ValueError):
    """What a model takes cannot be told, and the user has to."""


def infer(module: nn.Module, *, device: str = "cpu", batch: int = _BATCH) -> Batch:
    """The first plausible batch that the module runs on.

    ValueError if there is none, with what befell the one that got furthest. Run it inside ``state.preserved``: the
    module's buffers may change.
    """
    given = _offered(module)
    if given is not None:
        with contextlib.suppress(Exception):
            offered = given.to(device)
            _try(module, offered)
            return offered
    specified = list(_candidates(module, batch))
    small, rest = [], specified
    if specified and sum(math.prod(spec.shape) for spec in specified[0]) <= _SMALL:
        small, rest = specified[:1], specified[1:]  # as quick as a fake, which takes a second to set up
    furthest = -1
    failure = "forward takes inputs that cannot be guessed"
    deadline = None
    for specs in itertools.chain(small, _by_fake(module, rest)):
        if deadline is None:
            deadline = time.monotonic() + _PATIENCE
        elif time.monotonic() > deadline:
            break
        candidate = make(specs, device=device)
        with _progress() as calls:
            try:
                _try(module, candidate)
            except Exception as error:
                if calls[0] > furthest:
                    furthest = calls[0]
                    said = (str(error).strip().splitlines() or [""])[0][:160]
                    failure = f"{candidate.description or 'no input'} gave {type(error).__name__}: {said}"
                continue
        return candidate
    raise NoSampleBatch(f"no sample batch could be inferred, give one with --batch ({failure})")


def _try(module: nn.Module, candidate: Batch) -> None:
    with torch.no_grad(), quiet_dropout(module):
        module(*candidate.args, **candidate.kwargs)


@contextlib.contextmanager
def _progress() -> Iterator[list[int]]:
    """One number: how many calls of modules came to an end so far."""
    calls = [0]

    def count(*_: object) -> None:
        calls[0] += 1

    handle = register_module_forward_hook(count)
    try:
        yield calls
    finally:
        handle.remove()


def _by_fake(module: nn.Module, candidates: list[tuple[BatchSpec, ...]]) -> Iterator[tuple[BatchSpec, ...]]:
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


def _runs_on_fakes(module: nn.Module, candidates: list[tuple[BatchSpec, ...]]) -> Iterator[tuple[int, float]]:
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
    deadline = time.monotonic() + _PATIENCE
    for index, specs in enumerate(candidates):
        if time.monotonic() > deadline:
            return
        with _faked(module, fakes), mode, torch.no_grad(), _progress() as calls:
            try:
                fake = make(specs)
                module(*fake.args, **fake.kwargs)
                reached = math.inf
            except Exception:
                reached = float(calls[0])
        yield index, reached


@contextlib.contextmanager
def _faked(module: nn.Module, fakes: dict[int, Tensor]) -> Iterator[None]:
    """Fakes in place of the parameters and buffers, by identity; no fake stays behind in any attribute.

    (``torch.func.functional_call`` leaves them in modules that are registered under two names.)
    """
    children = list(module.modules())
    attributes = [dict(child.__dict__) for child in children]
    tables: list[dict[str, Any]] = [table for child in children for table in (child._parameters, child._buffers)]
    contents = [dict(table) for table in tables]
    try:
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
    layers = _first_layers(module)
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


def _first_layers(module: nn.Module) -> list[nn.Module]:
    """Layers whose input has a size that can be read: the first of each make, then those of other sizes.

    Layers are registered in an order of their own: an inner one may come before the one that reads the input. After
    the first few makes, each further size is taken, the smallest first, since inputs are mostly narrower than what
    follows.
    """
    first: list[nn.Module] = []
    further: list[nn.Module] = []
    makes: set[object] = set()
    sizes: set[object] = set()
    for child in module.modules():
        dimensions = _CONVOLUTIONS.get(type(child), 0)
        measured = dimensions or isinstance(
            child, (nn.Linear, nn.Embedding, nn.EmbeddingBag, nn.RNNBase, nn.RNNCellBase)
        )
        if not measured and _width(child) is None:
            continue
        size = (type(child), _input_size(child))
        if size in sizes:
            continue
        if type(child) not in makes and len(first) < _MAKES:
            first.append(child)
        elif measured:
            further.append(child)
        else:
            continue
        sizes.add(size)
        makes.add(type(child))
    further.sort(key=lambda layer: (not _CONVOLUTIONS.get(type(layer)), _input_size(layer)))
    return [*first, *further][:_MOST_LAYERS]


def _input_size(layer: nn.Module) -> int:
    """in_channels, in_features, num_embeddings or the like."""
    if isinstance(layer, (nn.Embedding, nn.EmbeddingBag)):
        return layer.num_embeddings
    return _width(layer) or 0


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
    return (*first, *((28, 32) if channels == 1 else ()), *_SIDES, *_RARER_SIDES)


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
