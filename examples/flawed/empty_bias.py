"""Flaw: the bias is made from empty memory, and reset_parameters forgets it."""

import math

import torch
import torch.nn.functional as F
from torch import nn


class ScaledLinear(nn.Module):
    """A linear map whose weight is divided by sqrt(fan_in) in the forward pass."""

    def __init__(self, features_in: int, features_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(features_out, features_in))
        self.bias = nn.Parameter(torch.empty(features_out))  # flaw: INI301
        self.scale = 1 / math.sqrt(features_in)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.weight * self.scale, self.bias)


class Regressor(nn.Module):
    """Features (batch, 32) to one value (batch, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(32, 64)
        self.fc2 = ScaledLinear(64, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(torch.tanh(self.fc1(x)))
