"""Zeros and constants: which of them training leaves, and which are fatal."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from initlint.facts import Model, Parameter, known
from initlint.live.audit import audit_module

pytestmark = pytest.mark.torch


def audit(module: nn.Module, batch: object = None) -> Model:
    return audit_module(module, batch, name="m").models[0]


def stuck(module: nn.Module, batch: object = None) -> set[str]:
    return {p.name for p in audit(module, batch).parameters if known(p.escape) and p.escape.stuck}


def parameter(model: Model, name: str) -> Parameter:
    return next(p for p in model.parameters if p.name == name)


def zero(*modules: nn.Module) -> None:
    for module in modules:
        for p in module.parameters():
            nn.init.zeros_(p)


class ZeroInitResidual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.conv1 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 4)
        nn.init.zeros_(self.bn2.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.stem(x))
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return self.head(F.relu(x + y).mean((2, 3)))


class LoRA(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.base = nn.Linear(8, 8)
        self.a = nn.Linear(8, 2, bias=False)
        self.b = nn.Linear(2, 8, bias=False)
        nn.init.zeros_(self.b.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.base(x) + self.b(self.a(x))


class ChainOfZeros(nn.Module):
    """A zero head; before it a copy that ends in a zero layer; in that a branch behind a zero gate; in that a LoRA."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(8, 8)
        self.copy = nn.Linear(8, 8)
        self.gate = nn.Parameter(torch.zeros(8))
        self.lora = LoRA()
        self.leave = nn.Linear(8, 8)
        self.head = nn.Linear(8, 3)
        zero(self.leave, self.head)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        control = self.copy(x) + self.gate * torch.tanh(self.lora(x))
        return self.head(self.body(x) + self.leave(control))


class AdaLNZero(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(8, elementwise_affine=False)
        self.modulation = nn.Linear(8, 24)
        self.mlp = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
        self.final = nn.Linear(8, 8)
        zero(self.modulation, self.final)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shift, scale, gate = self.modulation(F.silu(x)).chunk(3, dim=-1)
        return self.final(x + gate * self.mlp(self.norm(x) * (1 + scale) + shift))


class LayerScale(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.branch = nn.Sequential(nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 8))
        self.gamma = nn.Parameter(torch.full((8,), 1e-5))
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x + self.gamma * self.branch(x))


def zero_head() -> nn.Module:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    zero(model[2])
    return model


def zero_before(act: nn.Module) -> nn.Module:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), act, nn.Linear(16, 4))
    zero(model[2])
    return model


def two_zero_layers() -> nn.Module:
    model = nn.Sequential(
        nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4)
    )
    zero(model[2], model[4])
    return model


SOUND = [ZeroInitResidual, LoRA, ChainOfZeros, AdaLNZero, LayerScale, zero_head, lambda: zero_before(nn.GELU())]


@pytest.mark.parametrize("build", SOUND)
def test_legitimate_zeros_escape(build: type[nn.Module]) -> None:
    torch.manual_seed(0)
    model = audit(build())
    assert known(model.probe)
    assert all(p.escape.received for p in model.parameters if not p.is_buffer)


def test_a_zero_layer_before_relu_is_stuck() -> None:
    names = stuck(zero_before(nn.ReLU()))
    assert {"2.weight", "2.bias"} <= names


def test_two_zero_layers_in_sequence_are_stuck() -> None:
    assert {"2.weight", "4.weight"} <= stuck(two_zero_layers())


def test_what_no_initialisation_would_reach_is_not_stuck() -> None:
    class Queries(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.memory = nn.Linear(8, 8)
            self.value = nn.Linear(8, 8)
            self.unread = nn.Linear(8, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            start = torch.zeros_like(x)
            rest = torch.cat([self.memory(x) + self.value(start), self.unread(x)], dim=-1)
            return rest[..., :8]

    model = audit(Queries(), torch.randn(8, 8))
    assert not parameter(model, "value.weight").escape.stuck
    assert not parameter(model, "unread.weight").escape.stuck
    assert parameter(model, "value.bias").escape.received


def test_unreached_and_frozen_parameters() -> None:
    class Spare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used = nn.Linear(8, 4)
            self.spare = nn.Linear(8, 4)
            self.frozen = nn.Linear(8, 8)
            self.frozen.requires_grad_(False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.used(self.frozen(x))

    model = audit(Spare())
    assert not parameter(model, "spare.weight").escape.reached
    assert not known(parameter(model, "frozen.weight").escape)
    assert not parameter(model, "frozen.weight").trainable


def constant_mlp(constant: tuple[int, ...], *, dropout: float = 0.0, zero_bias: bool = True) -> nn.Module:
    torch.manual_seed(1)
    layers: list[nn.Module] = []
    for _ in range(3):
        layers += [nn.Linear(32, 32), nn.ReLU(), nn.Dropout(dropout)]
    model = nn.Sequential(*layers, nn.Linear(32, 10))
    linears = [m for m in model if isinstance(m, nn.Linear)]
    for position, linear in enumerate(linears):
        nn.init.kaiming_normal_(linear.weight)
        if zero_bias:
            nn.init.zeros_(linear.bias)
        if position in constant:
            nn.init.constant_(linear.weight, 0.05)
    return model


@pytest.mark.parametrize("constant", [(0,), (1,), (3,)])
def test_one_constant_layer_parts(constant: tuple[int, ...]) -> None:
    model = audit(constant_mlp(constant))
    spreads = [p.escape.row_spread for p in model.parameters if known(p.escape) and known(p.escape.row_spread)]
    assert len(spreads) == 1
    assert spreads[0] > 1e-2


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_all_layers_constant_never_part(dropout: float) -> None:
    model = audit(constant_mlp((0, 1, 2, 3), dropout=dropout))
    hidden = [parameter(model, name).escape.row_spread for name in ("0.weight", "3.weight", "6.weight")]
    assert max(hidden) < 1e-5


def test_all_layers_constant_with_random_biases_part_slowly() -> None:
    model = audit(constant_mlp((0, 1, 2), zero_bias=False))
    spreads = [parameter(model, name).escape.row_spread for name in ("0.weight", "3.weight", "6.weight")]
    assert all(value > 1e-5 for value in spreads)
