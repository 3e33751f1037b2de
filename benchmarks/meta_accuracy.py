"""How often what ``--meta`` predicts holds what a pass measures: small models, each measured under several seeds.

    python benchmarks/meta_accuracy.py [--seeds K]

Prints, for the signal's standard deviation across the batch and for the gradient's, by model: of how many layers one is
predicted, the share of those whose measured one lies in the predicted range, how far apart the range's ends are, how
far from the nearer end what lies outside is at most, and the ratio of the range's middle to what is measured: its
median, and the one that is furthest from 1.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from initlint.facts import UNKNOWN, bounds, known
from initlint.live.inprocess import audit_inprocess


class MLP(nn.Module):
    def __init__(self, act: Callable[[Tensor], Tensor], gain: float, width: int = 256, depth: int = 16) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
        for layer in self.layers:
            nn.init.normal_(layer.weight, std=gain / math.sqrt(width))  # type: ignore[arg-type]
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = self.act(layer(x))
        return x


def cnn(*, normed: bool) -> nn.Module:
    layers: list[nn.Module] = []
    for index, (given, made) in enumerate([(3, 32), (32, 32), (32, 64), (64, 64), (64, 128), (128, 128)]):
        layers.append(nn.Conv2d(given, made, 3, padding=1, stride=2 if index in (2, 4) else 1))
        nn.init.kaiming_normal_(layers[-1].weight)  # type: ignore[arg-type]
        layers += [nn.BatchNorm2d(made)] if normed else []
        layers.append(nn.ReLU())
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10))


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, padding=1)
        self.first = nn.ModuleList([nn.Conv2d(32, 32, 3, padding=1, bias=False) for _ in range(6)])
        self.norms = nn.ModuleList([nn.BatchNorm2d(32) for _ in range(6)])
        self.second = nn.ModuleList([nn.Conv2d(32, 32, 3, padding=1, bias=False) for _ in range(6)])

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for first, norm, second in zip(self.first, self.norms, self.second, strict=True):
            x = x + second(F.relu(norm(first(x))))
        return x


class Encoder(nn.Module):
    def __init__(self, *, first: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(1000, 128)
        self.blocks = nn.ModuleList(
            [nn.TransformerEncoderLayer(128, 4, 512, dropout=0.0, batch_first=True, norm_first=first) for _ in range(6)]
        )
        self.head = nn.Linear(128, 1000)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x)
        return self.head(x)  # type: ignore[no-any-return]


class Gated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.RMSNorm(256) for _ in range(6)])
        self.gates = nn.ModuleList([nn.Linear(256, 512, bias=False) for _ in range(6)])
        self.ups = nn.ModuleList([nn.Linear(256, 512, bias=False) for _ in range(6)])
        self.downs = nn.ModuleList([nn.Linear(512, 256, bias=False) for _ in range(6)])

    def forward(self, x: Tensor) -> Tensor:
        for norm, gate, up, down in zip(self.norms, self.gates, self.ups, self.downs, strict=True):
            y = norm(x)
            x = x + down(F.silu(gate(y)) * up(y))
        return x


MODELS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Any]]] = {
    "MLP, ReLU, He": (lambda: MLP(F.relu, math.sqrt(2)), lambda: torch.randn(64, 256)),
    "MLP, ReLU, a tenth": (lambda: MLP(F.relu, 0.2), lambda: torch.randn(64, 256)),
    "MLP, ReLU, width 64": (lambda: MLP(F.relu, math.sqrt(2), 64), lambda: torch.randn(64, 64)),
    "MLP, tanh": (lambda: MLP(torch.tanh, 5 / 3), lambda: torch.randn(64, 256)),
    "MLP, GELU": (lambda: MLP(F.gelu, 1.5), lambda: torch.randn(64, 256)),
    "CNN": (lambda: cnn(normed=False), lambda: torch.randn(8, 3, 32, 32)),
    "CNN, batch norm": (lambda: cnn(normed=True), lambda: torch.randn(8, 3, 32, 32)),
    "residual CNN": (Residual, lambda: torch.randn(8, 3, 32, 32)),
    "transformer, pre-norm": (lambda: Encoder(first=True), lambda: torch.randint(1000, (8, 32))),
    "transformer, post-norm": (lambda: Encoder(first=False), lambda: torch.randint(1000, (8, 32))),
    "gated, RMS norm": (Gated, lambda: torch.randn(8, 16, 256)),
}


Bounds = tuple[float, float]


def figures(name: str, seed: int, *, meta: bool) -> dict[str, dict[str, Bounds]]:
    """Bounds of the std across the batch and of the gradient's, by layer, as predicted or measured."""
    factory, sample = MODELS[name]
    torch.manual_seed(seed + 1000)  # the targets are drawn under the seed itself
    batch = sample()
    (facts,), _ = audit_inprocess(factory, batch, loss=None, device=None, seed=seed, meta=meta)
    found: dict[str, dict[str, Bounds]] = {figure: {} for figure in FIGURES}
    for layer in facts.models[0].layers:
        for figure, of_layer in found.items():
            value = getattr(layer.probe, figure) if known(layer.probe) else UNKNOWN
            if known(value):
                of_layer[layer.name] = bounds(value)
    return found


FIGURES = {"forward_std": "signal across the batch", "gradient_std": "gradient"}


@dataclass
class Tally:
    """How predictions of one figure compare with what was measured."""

    told: int = 0
    every: int = 0
    held: int = 0
    widths: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    outside: float = 1.0

    def take(self, predicted: dict[str, Bounds], measured: dict[str, Bounds]) -> None:
        for layer, (value, _) in measured.items():
            self.every += 1
            if layer not in predicted:
                continue
            low, high = predicted[layer]
            self.told += 1
            self.held += low <= value <= high
            if low > 0 and value > 0:
                self.widths.append(high / low)
                self.ratios.append(math.sqrt(low * high) / value)
                self.outside = max(self.outside, low / value, value / high)

    def __str__(self) -> str:
        ratios = self.ratios or [math.nan]
        worst = max(ratios, key=lambda ratio: abs(math.log(ratio)))
        width = statistics.median(self.widths) if self.widths else math.nan
        return (
            f"{self.told:>4}/{self.every:<4} {self.held / max(1, self.told):6.0%} {width:7.2f} {self.outside:7.2f} "
            f"{statistics.median(ratios):7.2f} {worst:7.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2)
    seeds = range(parser.parse_args().seeds)
    every: dict[str, dict[str, Tally]] = {figure: {"all": Tally()} for figure in FIGURES}
    for name in MODELS:
        for seed in seeds:
            predicted, measured = figures(name, seed, meta=True), figures(name, seed, meta=False)
            for figure, tallies in every.items():
                for tally in (tallies.setdefault(name, Tally()), tallies["all"]):
                    tally.take(predicted[figure], measured[figure])
    for figure, words in FIGURES.items():
        print(f"{words:24} {'told':>9} {'held':>6} {'width':>7} {'outside':>7} {'ratio':>7} {'worst':>7}")
        for name in (*MODELS, "all"):
            print(f"{name:24} {every[figure][name]}")


if __name__ == "__main__":
    main()
