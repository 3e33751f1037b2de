"""Live figures are those of the model, the seed and the threads: not of the process, the hash seed or the company."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

pytestmark = pytest.mark.torch

MODELS = """
import torch
from torch import nn

class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(16, 32), nn.Linear(32, 4)
        nn.init.normal_(self.a.weight, std=1e-4)
    def forward(self, x):
        return self.b(torch.relu(self.a(x)))

class Noisy(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleDict({name: nn.Linear(16, 16) for name in {"x", "y", "z"}})
        self.drop, self.norm = nn.Dropout(0.5), nn.BatchNorm1d(16)
    def forward(self, x):
        for name in sorted(self.layers):
            x = self.drop(self.norm(torch.tanh(self.layers[name](x))))
        return x

class Images(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout2d(0.2),
                                 nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))
    def forward(self, image):
        return self.net(image)
"""


def report(folder: Path, hash_seed: int, *names: str, threads: int = 1) -> dict[str, Any]:
    targets = [f"models.py::{name}" for name in names]
    options = ["--format", "json", "--device", "cpu", "--seed", "3", "--exit-zero", "--no-cache", "--advice"]
    done = subprocess.run(
        [sys.executable, "-m", "initlint", "check", *targets, *options],
        cwd=folder,
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed), "OMP_NUM_THREADS": str(threads)},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["summary"].pop("seconds") > 0
    return found


@pytest.mark.slow
def test_a_report_is_the_same_over_processes_and_hash_seeds(tmp_path: Path) -> None:
    (tmp_path / "models.py").write_text(MODELS.replace('{"x", "y", "z"}', '("x", "y", "z")'))
    first = report(tmp_path, 1, "Plain", "Noisy", "Images")
    assert len(first["models"]) == 3
    assert all(model["status"] == "audited" and model["layers"] for model in first["models"])
    assert json.dumps(first) == json.dumps(report(tmp_path, 2, "Plain", "Noisy", "Images"))


@pytest.mark.slow
def test_a_model_has_the_figures_that_it_has_alone(tmp_path: Path) -> None:
    (tmp_path / "models.py").write_text(MODELS)
    together = report(tmp_path, 1, "Plain", "Noisy", "Images", threads=2)
    for model in together["models"]:
        name = model["target"].removeprefix("models.py::")
        if name != "Noisy":  # made in the order of a set, which is its own
            alone = report(tmp_path, 5, name, threads=2)
            assert alone["models"] == [model]
            assert alone["findings"] == [found for found in together["findings"] if found["model"] == name]
