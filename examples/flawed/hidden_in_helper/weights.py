"""How this project fills tensors."""

import torch


@torch.no_grad()
def fill(tensor: torch.Tensor, value: float = 1.0, *, spread: float = 0.0) -> torch.Tensor:
    """Every element becomes ``value``, give or take a uniform ``spread``."""
    tensor.fill_(value)  # flaw: INI102
    if spread:
        tensor.add_(torch.empty_like(tensor).uniform_(-spread, spread))
    return tensor
