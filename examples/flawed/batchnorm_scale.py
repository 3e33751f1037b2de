"""Flaw: one isinstance branch for linear, convolution and batch norm draws the norms' scale from N(0, 0.02) too."""

import torch
from torch import nn


def init_weights(module: nn.Module) -> None:
    if isinstance(module, (nn.Linear, nn.Conv2d, nn.BatchNorm2d)):
        nn.init.normal_(module.weight, mean=0.0, std=0.02)  # flaw: INI305
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class ConvNet(nn.Module):
    """Six convolutions, each with batch norm and ReLU: images (batch, 3, 32, 32) to logits (batch, 10)."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in (32, 32, 64, 64, 128, 128):
            layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(channels, 10)
        self.apply(init_weights)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.pool(self.features(x)).flatten(1))
