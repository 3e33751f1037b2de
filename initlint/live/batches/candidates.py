"""The inputs that a module may take, likeliest first: read off forward's signature and off the first layers."""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from initlint.live.batches.batch import Batch, images
from initlint.live.batches.batch_spec import BatchSpec

__all__ = ["Candidate", "candidates"]

Candidate = tuple[BatchSpec, ...] | Batch
"""Inputs still to be drawn, or ready."""

_ROWS = 64
_LENGTHS = (16, 128)
_SIDES = (64, 32, 224, 28, 128, 256)
_RARER_SIDES = (84, 96, 16, 48, 192, 8)
_SMALLEST = 28
"""Pixels along the smallest images that are usual (MNIST's)."""
_MAKES, _MOST_LAYERS, _MOST_TENSORS = 4, 12, 200
_TOKENS = frozenset(
    [
        "input_ids",
        "inputs_ids",
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
        "decoder_input_ids",
    ]
)
_MASKS = frozenset(
    ["mask", "attention_mask", "src_mask", "padding_mask", "src_key_padding_mask", "key_padding_mask", "attn_mask"]
)
_IMAGES = frozenset(["pixel_values", "images", "image", "img", "imgs", "pixels", "frames"])
_TIMES = frozenset(["t", "timestep", "timesteps", "time", "times"])
_LENGTH_NAMES = ("lengths", "lens", "length", "seq_len", "seqlen")
"""How the names end of what says how long each sequence is."""
_ADJACENCIES = frozenset(["adj", "adjacency", "adj_matrix", "adj_mat", "adjacency_matrix", "adj_norm", "a_hat"])
_CLASSES = frozenset(["y", "label", "labels", "class_labels", "classes", "targets"])
_ANY = BatchSpec((1, 1))
_MOST_UNLIKE, _MOST_PAIRS, _STEM = 3, 150, 4
"""How many inputs may each be read by a layer of its own, in how many ways that is tried, and how many letters the name
of such a layer begins with that its input begins with, too."""
_EDGES = 4
"""Edges of a graph for each of its nodes."""
_CONVOLUTIONS = {
    nn.Conv1d: 1,
    nn.Conv2d: 2,
    nn.Conv3d: 3,
    nn.ConvTranspose1d: 1,
    nn.ConvTranspose2d: 2,
    nn.ConvTranspose3d: 3,
}


def candidates(module: nn.Module, batch: int) -> Iterator[Candidate]:
    """Batches of ``batch`` samples (some of more) to try; none where forward's inputs are like nothing known."""
    try:
        signature = inspect.signature(module.forward)
    except (TypeError, ValueError):
        return
    yield from _detections(signature)
    given = list(signature.parameters.values())
    inputs = [p for p in given if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if not inputs:
        named = [p for p in given if p.name in _TOKENS | _IMAGES]
        if not named and any(p.kind is p.VAR_POSITIONAL for p in given):
            inputs = [inspect.Parameter("x", inspect.Parameter.POSITIONAL_ONLY)]
        elif not named:
            yield ()
            named = [p for p in given if p.default is None]
        inputs = inputs or [p.replace(kind=p.KEYWORD_ONLY) for p in named[:1]]
    if not inputs:
        return
    seen: set[tuple[BatchSpec, ...]] = set()
    for by_name in (True, False):  # further inputs may also be like the first, whatever they are called
        lead = next((p for p in inputs if p.name.lower() not in _ADJACENCIES), inputs[0])
        for first in _first_inputs(module, lead, batch):
            each = (first if p is lead or not by_name else _further_input(module, p, first) for p in inputs)
            candidate = tuple(
                replace(spec, name=p.name) if p.kind is p.KEYWORD_ONLY else spec
                for p, spec in zip(inputs, each, strict=True)
            )
            if candidate not in seen:
                seen.add(candidate)
                yield candidate
    yield from _unlike(module, inputs, batch)


def _unlike(module: nn.Module, inputs: Sequence[inspect.Parameter], batch: int) -> Iterator[tuple[BatchSpec, ...]]:
    """Inputs that differ in width, each read by a layer of its own: queries and keys, the inputs of two towers.

    First come those whose layers are called as the inputs are, and of these the ones with as many dimensions each.
    """
    free = [p for p in inputs if _further_input(module, p, _ANY) is _ANY and p.kind is not p.KEYWORD_ONLY]
    if not 2 <= len(free) <= _MOST_UNLIKE:
        return
    names = {id(layer): name.lower() for name, layer in module.named_modules()}
    kinds: dict[tuple[int, ...], tuple[BatchSpec, str]] = {}
    for layer in _first_layers(module):
        if isinstance(layer, (nn.Embedding, nn.EmbeddingBag)):
            continue
        for spec in itertools.islice(_inputs_of(module, layer, batch), 2):
            kinds.setdefault((len(spec.shape), *spec.shape), (spec, names[id(layer)]))
    found = []
    for chosen in itertools.product(kinds.values(), repeat=len(free)):
        samples = min(spec.shape[0] for spec, _ in chosen)
        specs = [replace(spec, shape=(samples, *spec.shape[1:])) for spec, _ in chosen]
        if len({spec.shape for spec in specs}) > 1:
            called_alike = sum(p.name.lower()[:_STEM] in name for p, (_, name) in zip(free, chosen, strict=True))
            found.append((-called_alike, len({len(spec.shape) for spec in specs}), specs))
    for *_, specs in sorted(found, key=lambda each: each[:2])[:_MOST_PAIRS]:
        given = dict(zip((p.name for p in free), specs, strict=True))
        yield tuple(given.get(p.name) or _further_input(module, p, specs[0]) for p in inputs)


def _detections(signature: inspect.Signature) -> Iterator[Batch]:
    """Images with boxes, labels and masks, as torchvision's detectors are trained with."""
    annotations = {name: str(parameter.annotation).lower() for name, parameter in signature.parameters.items()}
    if "list[" not in annotations.get("images", "") or "dict[" not in annotations.get("targets", ""):
        return
    side, count = 128, 2
    pictures = list(images((count, 3, side, side)).sigmoid())
    targets = []
    for _ in range(count):
        corner = torch.rand(3, 2) * side / 2
        masks = torch.zeros(3, side, side, dtype=torch.uint8)
        masks[:, 32:96, 32:96] = 1
        targets.append(
            {
                "boxes": torch.cat([corner, corner + side / 4 + torch.rand(3, 2) * side / 4], 1),
                "labels": torch.ones(3, dtype=torch.int64),
                "masks": masks,
                "keypoints": torch.cat([torch.full((3, 17, 2), side / 2.0), torch.ones(3, 17, 1)], 2),
            }
        )
    picture = f"3x{side}x{side}"
    yield Batch((pictures, targets), {}, f"[{','.join([picture] * count)}] with 3 boxes each")


def _first_inputs(module: nn.Module, parameter: inspect.Parameter, batch: int) -> Iterator[BatchSpec]:
    """What the first input may be, likeliest first: read off its name and off the first layers."""
    layers = _first_layers(module)
    embeddings = [layer for layer in layers if isinstance(layer, (nn.Embedding, nn.EmbeddingBag))]
    name, annotation = parameter.name, str(parameter.annotation)
    if name == "edge_index":
        yield _edges(_rows(embeddings, _ROWS))
    if name == "z" and embeddings:
        yield BatchSpec((_ROWS,), "int64", embeddings[0].num_embeddings)
    tokens = bool(embeddings) and (name in _TOKENS or "Long" in annotation or "Int" in annotation)
    if tokens:
        yield from _token_batches(embeddings, batch)
    if name in _IMAGES:
        for layer in layers:
            yield from _taken_apart(module, layer, batch)
    for layer in layers:
        if isinstance(layer, (nn.Embedding, nn.EmbeddingBag)):
            if not tokens:
                yield from _token_batches([layer], batch)
        else:
            yield from _inputs_of(module, layer, batch)
    if any(_dimensions(layer) == 2 for layer in layers) and not any(
        _dimensions(layer) == 2 and _input_size(layer) <= 4 for layer in layers
    ):  # the image is taken apart before the first convolution
        for side in _sides(module, 3, 2):
            yield BatchSpec((batch, 3, side, side))
    yield from _of_bare_matrices(module, batch)


def _rows(embeddings: Sequence[nn.Embedding | nn.EmbeddingBag], otherwise: int) -> int:
    return embeddings[0].num_embeddings if embeddings else otherwise


def _edges(nodes: int) -> BatchSpec:
    return BatchSpec((2, _EDGES * min(nodes, _ROWS)), "int64", nodes)


def _token_batches(embeddings: Iterable[nn.Embedding | nn.EmbeddingBag], batch: int) -> Iterator[BatchSpec]:
    bound = next(iter(embeddings)).num_embeddings
    for length in _LENGTHS:
        yield BatchSpec((batch, length), "int64", bound)
    yield BatchSpec((batch,), "int64", bound)


def _dimensions(layer: nn.Module) -> int:
    """Of the space that a convolution, or a class made of one, moves in; 0 for any other layer."""
    return next((count for kind, count in _CONVOLUTIONS.items() if isinstance(layer, kind)), 0)


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
        measured = _dimensions(child) or isinstance(
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
    further.sort(key=lambda layer: (not _dimensions(layer), _input_size(layer)))
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
    dimensions = _dimensions(layer)
    if dimensions:
        channels: int = layer.in_channels  # type: ignore[assignment]
        transposed = isinstance(layer, (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d))
        sides: Iterable[int] = (4, 8, *_SIDES) if transposed else _sides(module, channels, dimensions)
        if dimensions == 2 and layer.stride == layer.kernel_size and layer.stride[0] > 1:  # type: ignore[index]
            patch: int = layer.stride[0]  # type: ignore[index,assignment]
            counted = [patch * count for count in _patches(module)]
            sides = dict.fromkeys([*_said_sides(module), *_of_images(counted), *sides, *counted])
        for side in sides:
            yield BatchSpec((batch, channels, *(side,) * dimensions))
        return
    if isinstance(layer, (nn.RNNBase, nn.RNNCellBase)):
        width: int = layer.input_size
        yield BatchSpec((batch, 16, width) if isinstance(layer, nn.RNNBase) else (batch, width))
        return
    features = _input_size(layer)
    yield BatchSpec((_ROWS, features))
    yield BatchSpec((batch, 16, features))
    yield from _taken_apart(module, layer, batch)


def _taken_apart(module: nn.Module, layer: nn.Module, batch: int) -> Iterator[BatchSpec]:
    """Images that a layer of features may read in patches, or flattened: of several patches first, at last of one."""
    features = None if _dimensions(layer) else _width(layer)
    whole = []
    for channels in (3, 1, 4) if features is not None and not isinstance(layer, nn.RNNBase) else ():
        patch = math.isqrt(features // channels)  # type: ignore[operator]
        if channels * patch * patch != features or patch < 2:
            continue
        said, counted = list(_said_sides(module)), [patch * count for count in _patches(module)]
        known = [side for side in _SIDES if side % patch == 0 and side > patch]
        for side in dict.fromkeys([*said, *_of_images(counted), *known[:3], 8 * patch, *counted]):
            yield BatchSpec((batch, channels, side, side))
        if patch >= 8:
            whole.append(BatchSpec((_ROWS, channels, patch, patch)))
    yield from whole


def _of_images(sides: Iterable[int]) -> list[int]:
    """Those that images have: what else counts something may be taken for patches."""
    return [side for side in sides if side >= _SMALLEST]


def _patches(module: nn.Module) -> Iterator[int]:
    """Patches along a side, as tables of positions and maps between patches count them: squares, or one more."""
    tensors = itertools.chain(module.parameters(), module.buffers(), _plain_tensors(module))
    sizes = dict.fromkeys(size for tensor in itertools.islice(tensors, _MOST_TENSORS) for size in tensor.shape[:2])
    counts = dict.fromkeys(
        math.isqrt(size - extra) for extra in (1, 0) for size in sizes if math.isqrt(size - extra) ** 2 == size - extra
    )
    return itertools.islice((count for count in counts if 2 <= count <= 64), 4)


def _plain_tensors(module: nn.Module) -> Iterator[torch.Tensor]:
    for child in module.modules():
        yield from (value for value in vars(child).values() if isinstance(value, torch.Tensor))


def _of_bare_matrices(module: nn.Module, batch: int) -> Iterator[BatchSpec]:
    """What may be multiplied by the first matrices that are Parameters of no layer of torch's."""
    for child in itertools.islice(module.modules(), _MOST_TENSORS):
        if _width(child) is not None or _dimensions(child):
            continue
        for matrix in child.parameters(recurse=False):
            if matrix.dim() == 2 and min(matrix.shape) > 1:
                for features in matrix.shape:
                    yield BatchSpec((_ROWS, features))
                    yield BatchSpec((batch, 16, features))
                return


def _sides(module: nn.Module, channels: int, dimensions: int) -> Sequence[int]:
    """Lengths of a side to try, the one that the model says of itself first."""
    if dimensions == 1:
        return (64, 1024, 16, 16000)
    if dimensions == 3:
        return (16, 32, 64)
    first = dict.fromkeys([*_said_sides(module), *((28, 32) if channels == 1 else ()), *_SIDES, *_RARER_SIDES])
    return tuple(first)


def _said_sides(module: nn.Module) -> Iterator[int]:
    """What a model, its configuration or its layer of patches says an image's side is (timm: also its last resort)."""
    for holder in (module, getattr(module, "config", None), *module.modules()):
        for name in ("image_size", "img_size", "input_size"):
            value = getattr(holder, name, None)
            if isinstance(value, (tuple, list)) and len(value) == 2:
                value = value[0]
            if type(value) is int and 4 <= value <= 1024 and not isinstance(holder, (nn.RNNBase, nn.RNNCellBase)):
                yield value
                return
    said = getattr(module, "pretrained_cfg", None)
    if isinstance(said, Mapping) and said.get("fixed_input_size"):
        size: Any = said.get("input_size")
        if isinstance(size, (tuple, list)) and len(size) == 3 and type(size[1]) is int:
            yield size[1]


def _further_input(module: nn.Module, parameter: inspect.Parameter, first: BatchSpec) -> BatchSpec:
    """An input after the first: a mask, times, tokens, edges, positions, or another like the first."""
    name = parameter.name
    if name in _MASKS:
        return BatchSpec(first.shape[:2], "bool")
    if name.endswith(_LENGTH_NAMES):
        longest = first.shape[1] if len(first.shape) > 1 else 1
        return BatchSpec(first.shape[:1], "int64", span=(longest, longest))
    if name.lower() in _ADJACENCIES:
        nodes = first.shape[-2] if len(first.shape) > 1 else first.shape[0]
        return BatchSpec((*first.shape[:-2], nodes, nodes), graph=True)
    if name in _TIMES:
        bound = next((m.num_embeddings for m in module.modules() if isinstance(m, nn.Embedding)), None)
        return BatchSpec(first.shape[:1], "int64", bound or 100)
    if name in _TOKENS and first.dtype == "int64":
        return first
    if name in _CLASSES:
        bound = next((m.num_embeddings for m in module.modules() if isinstance(m, nn.Embedding)), None)
        return BatchSpec(first.shape[:1], "int64", bound or 2)
    if name == "edge_index":
        return _edges(first.shape[0])
    if name in ("edge_weight", "edge_attr"):
        return BatchSpec((_EDGES * first.shape[0],))
    if name == "batch":
        return BatchSpec(first.shape[:1], "int64", 1)
    if name in ("pos", "coords", "positions"):
        return BatchSpec((*first.shape[: max(1, len(first.shape) - 1)], 3))
    return first
