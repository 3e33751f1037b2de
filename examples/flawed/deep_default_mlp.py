"""Flaw: 24 linear layers with ReLU and PyTorch's default initialisation: the signal dies on the way."""

import torch
from torch import nn


class DeepMLP(nn.Module):
    """Features (batch, 64) to logits (batch, 10)."""

    def __init__(self, width: int = 128, depth: int = 24) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        features = 64
        for _ in range(depth - 1):
            layers += [nn.Linear(features, width), nn.ReLU()]  # flaw: INI201
            features = width
        layers.append(nn.Linear(width, 10))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)
