"""What the probe's pass costs, in units of the same forward and backward without hooks.

    python benchmarks/probe_cost.py [--side 224] [--batch 8] [--pairs 5] [--limit 1.3]

A 50-layer convolutional net with batch norms. Bare and hooked passes are run in turn, so that a slow moment of the
machine falls on both; the median of the ratios is printed. What is computed after the pass, once, is printed beside
it. Exit code 1 if the median is above --limit.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

import torch
from torch import nn

from initlint.live.probe import hooked, measure


def net(layers: int, width: int) -> nn.Module:
    stages: list[nn.Module] = [
        nn.Conv2d(3, width, 7, stride=4, padding=3),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    ]
    for i in range(1, layers):
        stride = 2 if i % 16 == 0 else 1
        stages += [
            nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))


def once(model: nn.Module, images: torch.Tensor) -> None:
    model.zero_grad()
    model(images).square().mean().backward()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--layers", type=int, default=50)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--limit", type=float, default=1.3)
    options = parser.parse_args()
    torch.manual_seed(0)
    model = net(options.layers, options.width).train()
    images = torch.randn(options.batch, 3, options.side, options.side)
    names = [name for name, child in model.named_modules() if isinstance(child, (nn.Conv2d, nn.BatchNorm2d, nn.Linear))]
    dims = dict.fromkeys(names, 0)
    channels = dict.fromkeys(names, 1)
    once(model, images)
    ratios, bare_times, afterwards = [], [], []
    for _ in range(options.pairs):
        start = time.perf_counter()
        once(model, images)
        bare = time.perf_counter() - start
        start = time.perf_counter()
        with hooked(model, names, options.batch, dims, channels) as measured:
            once(model, images)
        probed = time.perf_counter() - start
        start = time.perf_counter()
        measure(measured, {})
        afterwards.append(time.perf_counter() - start)
        ratios.append(probed / bare)
        bare_times.append(bare)
    ratio = statistics.median(ratios)
    print(f"bare pass           {statistics.median(bare_times):.3f} s (median of {options.pairs})")
    print(f"with the probe      {ratio:.3f} times that ({min(ratios):.3f} to {max(ratios):.3f})")
    print(f"figures afterwards  {statistics.median(afterwards):.3f} s, once")
    return int(ratio > options.limit)


if __name__ == "__main__":
    sys.exit(main())
