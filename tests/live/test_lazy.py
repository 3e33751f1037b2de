"""Models with layers that have no shape before the first batch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

import initlint

pytestmark = pytest.mark.torch


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.LazyConv2d(8, 3)  # made here
        self.norm = nn.LazyBatchNorm2d()
        self.body = nn.Sequential(nn.LazyLinear(16), nn.ReLU())
        self.head = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.body(self.norm(self.conv(x)).mean((2, 3))))
        return out


def test_what_the_first_batch_draws_belongs_to_the_statement_that_made_the_layer() -> None:
    report = initlint.audit(Net, torch.randn(8, 3, 12, 12), select="INI306")  # the bias that the norm takes away
    (model,) = report.to_dict()["models"]
    shapes = {layer["name"]: layer["shape"] for layer in model["layers"]}
    assert model["status"] == "audited"
    assert (shapes["conv"], shapes["body.0"]) == ([8, 3, 3, 3], [16, 8])
    (finding,) = report.findings
    made = next(n for n, line in enumerate(Path(__file__).read_text().splitlines(), 1) if "# made here" in line)
    assert finding.location is not None
    assert finding.location.line == made


def test_a_module_that_is_given_is_left_as_it_is() -> None:
    module = nn.Sequential(nn.LazyLinear(4), nn.ReLU())
    report = initlint.audit(module, torch.randn(4, 3))
    assert isinstance(module[0], nn.LazyLinear)
    assert "lazy" in json.dumps(report.to_dict())
