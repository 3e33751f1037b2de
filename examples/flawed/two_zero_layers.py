"""Flaw: two layers in sequence start with zero weights and zero biases, and neither ever gets a gradient."""

import torch
from torch import nn


class Policy(nn.Module):
    """Observations (batch, 24) to action logits (batch, 6)."""

    def __init__(self, observations: int = 24, hidden: int = 64, actions: int = 6) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(observations, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.mixer = nn.Linear(hidden, hidden)
        self.head = nn.Linear(hidden, actions)
        for layer in (self.mixer, self.head):
            nn.init.zeros_(layer.weight)  # flaw: INI101
            nn.init.zeros_(layer.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.mixer(self.body(x))))
