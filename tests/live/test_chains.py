"""Chains and what the probe measures along them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from initlint.facts import Model
from initlint.live.audit import audit_module

pytestmark = pytest.mark.torch


def audit(module: nn.Module, batch: object = None) -> Model:
    return audit_module(module, batch, name="m").models[0]


def names(model: Model) -> list[list[str]]:
    return [[layer.name for layer in chain.layers] for chain in model.chains]


def test_default_relu_mlp_collapses_across_the_batch() -> None:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for _ in range(24):
        layers += [nn.Linear(64, 64), nn.ReLU()]
    model = audit(nn.Sequential(*layers, nn.Linear(64, 10)))
    (chain,) = model.chains
    assert len(chain.layers) == 25
    stds = [layer.probe.forward_std for layer in chain.layers]
    assert stds[0] > 0.1
    assert stds[-1] < 1e-6
    assert chain.layers[-1].probe.total_std > 1e-2  # the biases hide it
    gradients = [layer.probe.gradient_std for layer in chain.layers]
    assert gradients[0] < 1e-6 * gradients[-1]


def test_he_relu_mlp_holds() -> None:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for _ in range(24):
        layers += [nn.Linear(128, 128), nn.ReLU()]
        nn.init.kaiming_normal_(layers[-2].weight)
        nn.init.zeros_(layers[-2].bias)
    (chain,) = audit(nn.Sequential(*layers)).chains
    stds = [layer.probe.forward_std for layer in chain.layers]
    assert 0.05 < stds[-1] / stds[0] < 20
    assert max(layer.probe.dead_fraction for layer in chain.layers) < 0.75


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(width)
        self.reduce = nn.Conv2d(width, width // 4, 1)
        self.expand = nn.Conv2d(width // 4, width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.silu(self.bn(self.conv(x)))
        gate = torch.sigmoid(self.expand(F.silu(self.reduce(x.mean((2, 3), keepdim=True)))))
        return x * gate


def conv_net(scale_std: float | None) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), *(Block(16) for _ in range(6)))
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.BatchNorm2d)) and scale_std is not None:
            nn.init.normal_(module.weight, 0, scale_std)
    return model


def test_batch_norm_scales_around_zero_collapse_over_the_depth() -> None:
    model = audit(conv_net(0.02))
    deepest = max(model.chains, key=lambda chain: len(chain.layers))
    convolutions = [layer for layer in deepest.layers if layer.name.endswith(".conv")]
    assert len(convolutions) == 6
    stds = [layer.probe.forward_std for layer in deepest.layers]
    assert stds[-1] < 1e-3 * stds[0]


def test_working_batch_norms_end_chains() -> None:
    assert all(len({n for n in chain if n.endswith(".conv")}) < 2 for chain in names(audit(conv_net(None))))


def test_branch_layers_form_chains_of_their_own() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Linear(8, 16)
            self.ups = nn.ModuleList(nn.Linear(16, 16) for _ in range(3))
            self.mids = nn.ModuleList(nn.Linear(16, 16) for _ in range(3))
            self.downs = nn.ModuleList(nn.Linear(16, 16) for _ in range(3))
            self.head = nn.Linear(16, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.stem(x)
            for up, mid, down in zip(self.ups, self.mids, self.downs, strict=True):
                x = x + down(F.relu(mid(F.relu(up(x)))))
            return self.head(x)

    found = names(audit(Net()))
    assert ["stem", "head"] in found
    for i in range(3):
        assert [f"ups.{i}", f"mids.{i}"] in found
    assert len(found) == 4


def test_global_pooling_starts_anew() -> None:
    model = audit(
        nn.Sequential(
            nn.Conv2d(3, 8, 3),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, 4),
        )
    )
    assert names(model) == [["0", "2"]]


def test_samples_that_are_windows_are_told_apart() -> None:
    class Windows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 4)
            nn.init.zeros_(self.inner.weight)
            self.table = nn.Parameter(torch.randn(6, 4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            batch = x.shape[0]
            rows = (0 * x + self.table).reshape(batch * 6, 4)
            return self.inner(rows).reshape(batch, 6, 4)

    model = Windows()
    nn.init.eye_(model.inner.weight)
    probe = next(layer.probe for layer in audit(model, torch.randn(8, 6, 4)).layers if layer.name == "inner")
    assert probe.total_std > 0.1
    assert probe.forward_std == 0  # the same for every sample, whatever the positions say


def test_the_batch_dimension_is_found_and_not_assumed() -> None:
    class SequenceFirst(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 4, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            positions = torch.arange(5.0).reshape(5, 1, 1)
            return self.inner(0.001 * x.transpose(0, 1) + positions).transpose(0, 1)

    probe = next(layer.probe for layer in audit(SequenceFirst(), torch.randn(8, 5, 4)).layers if layer.name == "inner")
    assert probe.forward_std < 0.01 * probe.total_std


class Highway(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second, self.gate = (nn.Linear(width, width) for _ in range(3))
        self.own, self.others = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.head = nn.Linear(width, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.first(x))
        share = torch.sigmoid(self.gate(x))
        x = share * F.relu(self.second(x)) + (1 - share) * x
        x = F.relu(self.own(x) + self.others(x.flip(0)))
        return self.head(x)


def test_a_signal_goes_on_through_a_highway_and_through_two_maps_that_are_summed() -> None:
    assert ["first", "own", "head"] in names(audit(Highway(16), torch.randn(8, 16)))


class Gated(nn.Module):
    """Layers each of which gives a wave and its gate in one."""

    def __init__(self, act: str) -> None:
        super().__init__()
        self.act = act
        self.layers = nn.ModuleList([nn.Linear(32, 64) for _ in range(4)])
        self.head = nn.Linear(32, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            wave, gate = layer(x).chunk(2, dim=-1)
            wave = torch.tanh(wave) if self.act == "tanh" else wave
            x = wave * torch.sigmoid(gate)
        return self.head(x)


@pytest.mark.parametrize("act", ["tanh", "none"])
def test_a_signal_goes_on_through_gated_units_that_are_written_out(act: str) -> None:
    assert names(audit(Gated(act), torch.randn(8, 32))) == [[*(f"layers.{i}" for i in range(4)), "head"]]
