"""Flaw: the initialiser is looked up by a name from the configuration, and that name zeroes every layer."""

import json

import torch
from torch import nn

CONFIG = """{"initializer": "zeros_", "width": 64}"""  # stands for a file of settings


def initialize(model: nn.Module, name: str) -> None:
    init = getattr(nn.init, name)
    for module in model.modules():
        if isinstance(module, nn.Linear):
            init(module.weight)  # flaw: INI101
            nn.init.zeros_(module.bias)


class Forecaster(nn.Module):
    """The last 32 values of a series (batch, 32) to the next one (batch, 1)."""

    def __init__(self) -> None:
        super().__init__()
        config = json.loads(CONFIG)
        width = config["width"]
        self.fc1 = nn.Linear(32, width)
        self.fc2 = nn.Linear(width, width)
        self.head = nn.Linear(width, 1)
        initialize(self, config["initializer"])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.fc1(x))
        x = torch.relu(self.fc2(x))
        return self.head(x)
