"""How often what ``--meta`` predicts holds what a pass measures: small models, each measured under several seeds.

    python benchmarks/meta_accuracy.py [--seeds K]

Prints, for each model, the share of layers whose measured standard deviation across the batch lies in the range that
was predicted, how far apart the ranges' ends are, and how far from the nearer end what lies outside is.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from initlint.facts import bounds, known
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


def figures(name: str, seed: int, *, meta: bool) -> dict[str, tuple[float, float]]:
    """Bounds of the std across the batch by layer, as predicted or measured."""
    factory, sample = MODELS[name]
    torch.manual_seed(seed)
    batch = sample()
    (facts,), _ = audit_inprocess(factory, batch, loss=None, device=None, seed=seed, meta=meta)
    probes = {layer.name: layer.probe for layer in facts.models[0].layers}
    return {
        layer: bounds(probe.forward_std) for layer, probe in probes.items() if known(probe) and known(probe.forward_std)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2)
    seeds = range(parser.parse_args().seeds)
    inside = every = 0
    print(f"{'model':24} {'held':>9} {'share':>6} {'width':>6} {'worst':>6}")
    for name in MODELS:
        held, total, worst, widths = 0, 0, 1.0, []
        for seed in seeds:
            predicted, measured = figures(name, seed, meta=True), figures(name, seed, meta=False)
            for layer, (value, _) in measured.items():
                if layer not in predicted:
                    continue
                low, high = predicted[layer]
                total += 1
                held += low <= value <= high
                if low > 0 and value > 0:
                    widths.append(high / low)
                    worst = max(worst, low / value, value / high)
        inside, every = inside + held, every + total
        share, width = held / max(1, total), statistics.median(widths) if widths else math.nan
        print(f"{name:24} {held:>4}/{total:<4} {share:6.0%} {width:6.2f} {worst:6.2f}")
    print(f"{'all':24} {inside:>4}/{every:<4} {inside / max(1, every):6.0%}")


if __name__ == "__main__":
    main()
