"""Small sound architectures, each with the task that it is trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from architectures import dense, idioms, idioms_of_sequences, sequence, vision
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
        idioms.Maxout,
        idioms.Flow,
    ],
    "product": [dense.LeakyRegressor, idioms_of_sequences.FeatureTokens],
    "manifold": [dense.Autoencoder],
    "variational": [dense.Variational],
    "contest": [dense.Adversaries],
    "noise": [dense.Denoiser],
    "wave": [dense.Waves, idioms.RandomFeatures],
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
    "language": [sequence.Gpt, sequence.Llama, sequence.GruLanguage, idioms_of_sequences.ParallelDecoder],
    "translation": [sequence.Translator, idioms_of_sequences.Attended],
    "topics": [sequence.Classifier, sequence.LstmClassifier, sequence.TextConv, sequence.WordBag],
    "signals": [
        sequence.CellLoop,
        sequence.Temporal,
        idioms_of_sequences.GatedWaves,
        idioms_of_sequences.StateSpace,
        idioms_of_sequences.FourierMixer,
    ],
    "graphs": [sequence.Graph, sequence.GraphAttention],
    "points": [sequence.PointCloud, sequence.SetAttention, idioms_of_sequences.DeepSets],
    "ratings": [sequence.Recommender],
    "grey images": [idioms.NamedConv],
    "policy": [idioms.ActorCritic],
    "views": [idioms.TwoTowers],
    "fusion": [idioms.LowRankFusion, idioms.HyperFusion],
    "forked": [idioms.MixtureDensity],
}

ARCHITECTURES = {
    made.__name__: Architecture(made.__name__, made, TASKS[task])
    for task, several in _TABLE.items()
    for made in several
}
