"""Truths that the theory is held against: draws of the real torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from initlint.facts import UNKNOWN, Distribution
from initlint.theory.recognition import Summary


@pytest.fixture
def agree() -> Callable[[Distribution, Any], None]:
    """Asserts that a distribution's moments are those of a tensor drawn from it."""
    return _agree


def _agree(distribution: Distribution, values: Any, spread: float = 6.0) -> None:
    """Mean, std and bounds within ``spread`` standard errors of what was drawn."""
    values = values.double().flatten()
    mean, std = float(values.mean()), float(values.std(correction=0))
    if std == 0:
        assert distribution.family in ("constant", "identity")
        assert (distribution.mean, distribution.std) == (pytest.approx(mean, rel=1e-6), 0.0)
        return
    n = values.numel()
    kurtosis = float(((values - mean) / std).pow(4).mean())
    random = distribution.family not in ("identity", "dirac")
    error = spread / math.sqrt(n) if random else 1e-9
    assert distribution.mean == pytest.approx(mean, abs=std * error)
    assert distribution.std == pytest.approx(std, rel=error * math.sqrt(max(kurtosis - 1, 0.01)) / 2 + 1e-6)
    slack = 1e-6 * std
    assert distribution.low - slack <= float(values.min()) <= float(values.max()) <= distribution.high + slack


@pytest.fixture
def summarise() -> Callable[[Any], Summary]:
    """Measures a tensor as Summary's documentation says."""
    return _summarise


def _summarise(tensor: Any) -> Summary:
    import torch

    tensor = tensor.detach()
    values = tensor.double().flatten()
    n, mean = values.numel(), values.mean()
    variance = (values - mean).square().mean()
    gram, identity = UNKNOWN, UNKNOWN
    if tensor.dim() > 1:
        matrix = tensor.double().reshape(tensor.shape[0], -1)
        product = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
        scale = product.diagonal().mean()
        gram = float((product / scale - torch.eye(len(product))).abs().max()) if scale > 0 else UNKNOWN
        neutral = torch.nn.init.eye_ if tensor.dim() == 2 else torch.nn.init.dirac_
        if tensor.dim() <= 5:
            identity = float((tensor.double() - neutral(torch.empty(tensor.shape))).abs().max())
    return Summary(
        shape=tuple(tensor.shape),
        count=n,
        mean=float(mean),
        std=float(variance.sqrt()),
        minimum=float(values.min()),
        maximum=float(values.max()),
        kurtosis=float((values - mean).pow(4).mean() / variance**2) if variance > 0 else 0.0,
        zero_fraction=float((values == 0).double().mean()),
        sample=values[:: -(-n // 4096)].sort().values.tolist(),
        gram_deviation=gram,
        identity_deviation=identity,
        resolution=torch.finfo(tensor.dtype).eps,
    )
