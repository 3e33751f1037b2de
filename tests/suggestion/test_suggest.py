"""``initlint.suggest`` on small models of every kind: what the function writes, and what it leaves alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import initlint

pytestmark = pytest.mark.torch


def applied(make: Callable[[], nn.Module], suggestion: initlint.Suggestion) -> nn.Module:
    """A fresh model with the suggested function called on it."""
    assert suggestion.source is not None, suggestion
    names: dict[str, Any] = {}
    exec(suggestion.source, names)
    torch.manual_seed(1)
    model = make()
    names["init_weights"](model)
    return model


class Deep(nn.Module):
    """A chain that dies unless each layer has the gain of its activation."""

    def __init__(self, activation: Callable[[], nn.Module] = nn.ReLU, depth: int = 12) -> None:
        super().__init__()
        self.body = nn.Sequential(*(part for _ in range(depth) for part in (nn.Linear(64, 64), activation())))
        for module in self.body:
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)
        self.head = nn.Linear(64, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


@pytest.mark.parametrize(
    ("activation", "gain"),
    [(nn.ReLU, math.sqrt(2)), (nn.SELU, 1.0), (nn.Tanh, 5 / 3), (nn.GELU, 1.53), (nn.SiLU, 1.68)],
)
def test_the_gain_is_that_of_the_activation_that_follows(activation: Callable[[], nn.Module], gain: float) -> None:
    suggestion = initlint.suggest(lambda: Deep(activation), torch.randn(32, 64))
    assert suggestion.ok, suggestion
    model = applied(lambda: Deep(activation), suggestion)
    hidden = model.get_parameter("body.4.weight")
    assert float(hidden.detach().std()) * math.sqrt(64) == pytest.approx(gain, rel=0.05)
    assert float(model.get_parameter("head.weight").detach().std()) * math.sqrt(64) == pytest.approx(1.0, rel=0.15)


class Kept(Deep):
    """What a good init function leaves alone, around a chain that is broken."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.Linear(64, 64)
        self.frozen.requires_grad_(False)
        self.normed = nn.utils.parametrizations.weight_norm(nn.Linear(64, 64))
        nn.init.constant_(self.head.bias, -2.0)
        self.closed = nn.Linear(64, 64)
        nn.init.zeros_(self.closed.weight)
        nn.init.zeros_(self.closed.bias)
        self.norm = nn.LayerNorm(64)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.frozen(x) + self.normed(x))
        x = x + self.closed(torch.relu(x))
        return super().forward(x)


def test_what_is_meant_is_kept() -> None:
    suggestion = initlint.suggest(Kept, torch.randn(32, 64))
    assert suggestion.ok, suggestion
    torch.manual_seed(1)
    untouched, model = Kept(), applied(Kept, suggestion)
    for name in ("frozen.weight", "frozen.bias", "normed.weight", "normed.bias", "head.bias"):
        holder, _, attribute = name.partition(".")
        assert torch.equal(
            getattr(untouched.get_submodule(holder), attribute), getattr(model.get_submodule(holder), attribute)
        ), name
    assert not model.get_parameter("closed.weight").any()
    assert (model.get_parameter("norm.weight") == 1).all()
    said = " ".join(f"{what} {why}" for what, why in suggestion.kept)
    assert "frozen" in said
    assert "normed" in said


class Block(nn.Module):
    """Pre-norm, one branch; its last layer is drawn as all others are."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(32), nn.Linear(32, 64), nn.Linear(64, 32)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(nn.functional.gelu(self.up(self.norm(x))))


class Language(nn.Module):
    """A tied head, eight branches, an LSTM; and experts that nobody wrote."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(50, 32, padding_idx=0)
        self.blocks = nn.ModuleList(Block() for _ in range(8))
        self.rnn = nn.LSTM(32, 32, batch_first=True)
        self.experts = nn.Parameter(torch.empty(4, 32, 32))
        self.norm = nn.LayerNorm(32)
        self.head = nn.Linear(32, 50, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
        self.head.weight = self.embed.weight

    def forward(self, input_ids: Tensor) -> Tensor:
        x = self.embed(input_ids)
        for block in self.blocks:
            x = block(x)
        x = x + self.rnn(self.norm(x))[0]
        x = torch.einsum("btd,edh->bteh", self.norm(x), self.experts).sum(2)
        return self.head(self.norm(x))


def test_roles_and_depth() -> None:
    suggestion = initlint.suggest(Language, torch.randint(1, 50, (8, 6)))
    assert suggestion.ok, suggestion
    model = applied(Language, suggestion)

    def std(name: str) -> float:
        return float(model.get_parameter(name).detach().std())

    assert model.get_parameter("head.weight") is model.get_parameter("embed.weight")
    assert not model.get_parameter("embed.weight")[0].any()
    assert std("blocks.3.up.weight") == pytest.approx(0.02, rel=0.1)  # as the model has it
    assert std("blocks.3.down.weight") == pytest.approx(0.02 / 3, rel=0.15)  # nine branches add up
    assert std("experts") == pytest.approx(32**-0.5, rel=0.1)
    gate = model.get_parameter("rnn.weight_hh_l0")[32:64]
    assert torch.allclose(gate @ gate.T, torch.eye(32), atol=1e-4)
    assert model.get_parameter("rnn.bias_ih_l0").tolist() == [0.0] * 32 + [1.0] * 32 + [0.0] * 64


def test_a_module_at_hand_is_left_as_it_was() -> None:
    model = Deep()
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    state = torch.get_rng_state()
    suggestion = initlint.suggest(model, torch.randn(16, 64, generator=torch.Generator().manual_seed(0)))
    assert suggestion.ok
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[name], parameter) for name, parameter in model.named_parameters())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_sound_and_unrunnable() -> None:
    fine = initlint.suggest(nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2)), torch.randn(8, 8))
    assert fine.ok
    assert fine.source is None
    failed = initlint.suggest(nn.Linear(8, 8), torch.randn(8, 9))
    assert not failed.ok
    assert failed.failures
