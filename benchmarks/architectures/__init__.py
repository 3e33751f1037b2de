"""Small sound architectures, each with the task that it is trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from architectures import dense, sequence, vision
from architectures.tasks import TASKS, Task

__all__ = ["ARCHITECTURES", "Architecture"]


@dataclass(frozen=True)
class Architecture:
    """A way to build a sound network, and what it is to learn."""

    name: str
    build: Callable[[], nn.Module]
    task: Task


_TABLE: dict[str, list[type[nn.Module]]] = {
    "clusters": [
        dense.ReluStack,
        dense.TanhStack,
        dense.GeluStack,
        dense.SeluStack,
        dense.Shallow,
        dense.BatchNormed,
        dense.LayerNormed,
        dense.ResidualStack,
        dense.GatedStack,
        dense.Highway,
        dense.WeightNormed,
        dense.Mixture,
        dense.SparseMixture,
        dense.Adapted,
    ],
    "product": [dense.LeakyRegressor],
    "manifold": [dense.Autoencoder],
    "variational": [dense.Variational],
    "contest": [dense.Adversaries],
    "noise": [dense.Denoiser],
    "wave": [dense.Waves],
    "images": [
        vision.PlainConv,
        vision.NormedConv,
        vision.ResNet,
        vision.GroupNormed,
        vision.FixupNet,
        vision.Dense,
        vision.Separable,
        vision.ConvNext,
        vision.Squeezed,
        vision.PatchMixer,
        vision.VisionTransformer,
    ],
    "segments": [vision.UNet],
    "restored": [vision.ConvAutoencoder],
    "language": [sequence.Gpt, sequence.Llama, sequence.GruLanguage],
    "translation": [sequence.Translator],
    "topics": [sequence.Classifier, sequence.LstmClassifier, sequence.TextConv, sequence.WordBag],
    "signals": [sequence.CellLoop, sequence.Temporal],
    "graphs": [sequence.Graph, sequence.GraphAttention],
    "points": [sequence.PointCloud, sequence.SetAttention],
    "ratings": [sequence.Recommender],
}

ARCHITECTURES = {
    made.__name__: Architecture(made.__name__, made, TASKS[task])
    for task, several in _TABLE.items()
    for made in several
}
