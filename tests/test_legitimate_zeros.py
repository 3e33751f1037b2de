"""Zeros that are meant stay silent, read and run, under every rule at once: training leaves them, and that is tried."""

from __future__ import annotations

from pathlib import Path

import pytest

from initlint.engine import Selection, judge

from .rules.harness import PRELUDE, built_facts, read_facts

ZERO_INIT_RESIDUAL = """
class Block(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.conv1 = nn.Conv2d(dim, dim, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(dim)
        self.conv2 = nn.Conv2d(dim, dim, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(dim)
        nn.init.zeros_(self.bn2.weight)

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(x + self.bn2(self.conv2(out)))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.blocks = nn.Sequential(*[Block(16) for _ in range(3)])
        self.head = nn.Linear(16, 10)

    def forward(self, x):
        return self.head(self.blocks(F.relu(self.stem(x))).mean((2, 3)))
"""

LORA = """
class LoRALinear(nn.Module):
    def __init__(self, dim, rank=4):
        super().__init__()
        self.base = nn.Linear(dim, dim)
        self.lora_a = nn.Parameter(torch.empty(rank, dim))
        self.lora_b = nn.Parameter(torch.zeros(dim, rank))
        nn.init.kaiming_uniform_(self.lora_a, a=math.sqrt(5))

    def forward(self, x):
        return self.base(x) + x @ self.lora_a.t() @ self.lora_b.t()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = LoRALinear(32)
        self.down = LoRALinear(32)

    def forward(self, x):
        return self.down(F.relu(self.up(x)))


def build():
    return Net(), torch.randn(16, 32)
"""

CONTROLNET = """
def zero_conv(channels):
    conv = nn.Conv2d(channels, channels, 1)
    for parameter in conv.parameters():
        nn.init.zeros_(parameter)
    return conv


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.control = nn.Conv2d(3, 16, 3, padding=1)
        self.zero_in = zero_conv(16)
        self.copy = nn.Conv2d(16, 16, 3, padding=1)
        self.zero_out = zero_conv(16)
        self.out = nn.Conv2d(16, 3, 3, padding=1)

    def forward(self, x):
        hidden = self.stem(x)
        control = F.silu(self.copy(hidden + self.zero_in(self.control(x))))
        return self.out(F.silu(hidden + self.zero_out(control)))
"""

ADALN_ZERO = """
class Block(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm = nn.LayerNorm(dim, elementwise_affine=False)
        self.up = nn.Linear(dim, 2 * dim)
        self.down = nn.Linear(2 * dim, dim)
        self.modulation = nn.Linear(dim, 3 * dim)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x, condition):
        shift, scale, gate = self.modulation(F.silu(condition)).chunk(3, -1)
        return x + gate * self.down(F.gelu(self.up(self.norm(x) * (1 + scale) + shift)))


class DiT(nn.Module):
    def __init__(self, dim=32):
        super().__init__()
        self.embed = nn.Linear(8, dim)
        self.time = nn.Linear(1, dim)
        self.blocks = nn.ModuleList([Block(dim) for _ in range(3)])
        self.final = nn.Linear(dim, 8)
        nn.init.zeros_(self.final.weight)
        nn.init.zeros_(self.final.bias)

    def forward(self, x, t):
        condition = self.time(t)
        x = self.embed(x)
        for block in self.blocks:
            x = block(x, condition)
        return self.final(x)


def build():
    return DiT(), (torch.randn(16, 8), torch.rand(16, 1))
"""

LAYER_SCALE = """
class Block(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.up = nn.Linear(dim, 4 * dim)
        self.down = nn.Linear(4 * dim, dim)
        self.gamma = nn.Parameter(1e-5 * torch.ones(dim))

    def forward(self, x):
        return x + self.gamma * self.down(F.gelu(self.up(self.norm(x))))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(*[Block(32) for _ in range(12)])
        self.norm = nn.LayerNorm(32)
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        return self.head(self.norm(self.blocks(x)))
"""

ZERO_HEAD = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.head = nn.Linear(64, 10)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x):
        return self.head(self.body(x))
"""

LEGITIMATE = {
    "zero_init_residual": ZERO_INIT_RESIDUAL,
    "lora": LORA,
    "controlnet": CONTROLNET,
    "adaln_zero": ADALN_ZERO,
    "layer_scale": LAYER_SCALE,
    "zero_head": ZERO_HEAD,
}
CODES = Selection(select=("ALL",)).codes()


@pytest.mark.parametrize("name", list(LEGITIMATE))
def test_read(name: str) -> None:
    assert judge([read_facts(PRELUDE + LEGITIMATE[name], "model.py")], CODES) == []


@pytest.mark.torch
@pytest.mark.parametrize("name", list(LEGITIMATE))
def test_run(name: str, tmp_path: Path) -> None:
    (facts,) = built_facts(PRELUDE + LEGITIMATE[name], tmp_path)
    (model,) = facts.models
    assert model.not_run is None
    assert any(
        p.distribution.is_zero or p.distribution.value < 1e-4 for p in model.parameters if p.measured.is_constant
    )
    assert judge([facts], CODES) == []
