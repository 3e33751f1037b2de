"""Flaw: apply() runs before the head exists, so the head keeps PyTorch's default."""

import torch
from torch import nn


class Encoder(nn.Module):
    """Two hidden layers and a head, all of them meant to be drawn from N(0, 0.05)."""

    def __init__(self, features: int = 64, hidden: int = 128, classes: int = 10) -> None:
        super().__init__()
        self.fc1 = nn.Linear(features, hidden)
        self.norm1 = nn.LayerNorm(hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.norm2 = nn.LayerNorm(hidden)
        self.apply(self._init_weights)  # flaw: INI402
        self.head = nn.Linear(hidden, classes)

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.05)
            nn.init.zeros_(module.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm1(self.fc1(x)))
        x = torch.relu(self.norm2(self.fc2(x)))
        return self.head(x)
