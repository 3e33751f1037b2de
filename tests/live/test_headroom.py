"""What a pass says of number formats, of softmaxes, and of layers that are called more than once."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import initlint
from initlint.facts import Model, known
from initlint.live.audit import audit_module

pytestmark = pytest.mark.torch


def audit(module: nn.Module, batch: object, **options: object) -> Model:
    (model,) = audit_module(module, batch, name="m", **options).models
    return model


def codes(module: nn.Module, dtype: str | None) -> list[str]:
    torch.manual_seed(0)
    return [
        finding.code for finding in initlint.audit(module, torch.randn(16, 64), dtype=dtype, select="INI712").findings
    ]


@pytest.mark.parametrize(
    ("scale", "fits"),
    [
        (1.0, {None, "fp32", "bf16", "fp16", "fp8"}),
        (1e3, {None, "fp32", "bf16", "fp16"}),  # beyond 224, half of what e4m3 holds
        (1e-3, {None, "fp32", "bf16", "fp16"}),  # under 0.016, where e4m3 stops being normal
        (1e6, {None, "fp32", "bf16"}),
        (1e-6, {None, "fp32", "bf16"}),
        (5e37, {None}),
    ],
)
def test_each_format_has_its_own_range(scale: float, fits: set[str | None]) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(64, 64)
            self.norm = nn.LayerNorm(64, eps=0.0)
            nn.init.normal_(self.inner.weight, std=0.125 * scale)
            nn.init.zeros_(self.inner.bias)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.norm(x) + self.inner(x).clamp(-scale, scale) / scale

    for dtype in (None, "fp32", "bf16", "fp16", "fp8"):
        assert (codes(Net(), dtype) == []) == (dtype in fits), dtype


def test_small_gradients_are_what_loss_scaling_is_for() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))
    small = initlint.audit(net, torch.randn(16, 64), loss=lambda out: out.square().mean() * 1e-9, dtype="fp16")
    assert small.ok


def test_gradients_that_no_loss_scale_brings_together() -> None:
    """One branch gets 1e-15 of what the other does: whatever the scale, one of them is 0 or infinite in fp16."""
    torch.manual_seed(0)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.main, self.side = nn.Linear(64, 64), nn.Linear(64, 64)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.main(x) + 1e-15 * self.side(x)

    report = initlint.audit(Net(), torch.randn(16, 64), dtype="fp16", select="INI712")
    assert [(finding.code, finding.layer) for finding in report.findings] == [("INI712", "side")]
    assert initlint.audit(Net(), torch.randn(16, 64), dtype="bf16", select="INI712").ok


class Attends(nn.Module):
    def __init__(self, gain: float, *, fused: bool) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(32, 32, bias=False) for _ in range(3))
        nn.init.xavier_normal_(self.query.weight, gain=gain)
        self.fused = fused

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (layer(x).unflatten(-1, (2, 16)).transpose(1, 2) for layer in (self.query, self.key, self.value))
        if self.fused:
            return F.scaled_dot_product_attention(q, k, v, is_causal=True)
        mask = torch.full((x.shape[1], x.shape[1]), float("-inf")).triu(1)
        return (q @ k.transpose(-1, -2) / 4 + mask).softmax(-1) @ v


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("gain", [1.0, 100.0])
def test_one_hot_attention(fused: bool, gain: float) -> None:
    torch.manual_seed(0)
    model = audit(Attends(gain, fused=fused), torch.randn(8, 12, 32))
    query, key = (next(layer for layer in model.layers if layer.name == name) for name in ("query", "key"))
    assert query.probe.one_hot_fraction == pytest.approx(0.0 if gain == 1.0 else 0.9, abs=0.1)
    assert not known(key.probe.one_hot_fraction)


class Chooses(nn.Module):
    """Scores that come of a layer, and what is done with the softmax over them."""

    def __init__(self, use: str) -> None:
        super().__init__()
        self.scores = nn.Conv1d(12, 4, 1) if use == "channels" else nn.Linear(16, 4)
        self.others = nn.ModuleList([nn.Linear(16, 16) for _ in range(4)])
        self.out, self.use = nn.Linear(16, 4), use
        nn.init.normal_(self.scores.weight, std=20.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = self.scores(x)
        if self.use == "positions":  # which a head each attends to, by what it holds
            return self.out(torch.tanh(scores.softmax(1).transpose(1, 2) @ x))
        if self.use == "tempered":
            scores = scores / 0.5
        shares = scores.softmax(1 if self.use == "channels" else -1)
        if self.use == "expectation":
            return (shares * torch.arange(4.0)).sum(-1)
        if self.use == "output":
            return shares.log()
        if self.use == "channels":
            return self.out(sum(shares[:, i : i + 1] * other(x) for i, other in enumerate(self.others)))
        given = torch.stack([other(x) for other in self.others], dim=-2)
        if self.use == "best":
            best, which = shares.max(-1, keepdim=True)
            return self.out(best * given.gather(-2, which.unsqueeze(-1).expand(-1, -1, 1, 16)).squeeze(-2))
        return self.out((shares.unsqueeze(-1) * given).sum(-2))


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        ("weights", "advice"),
        ("best", "advice"),
        ("channels", "advice"),
        ("tempered", "advice"),
        ("positions", "warning"),
        ("expectation", "warning"),
        ("output", "warning"),
    ],
)
def test_a_router_is_no_attention(use: str, expected: str) -> None:
    torch.manual_seed(0)
    report = initlint.audit(Chooses(use), torch.randn(8, 12, 16), select="INI706")
    assert [finding.severity.label for finding in report.findings] == [expected]


def test_a_layer_called_again_is_measured_call_by_call() -> None:
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(32, 32)
            nn.init.normal_(self.fc.weight, std=2 / 32**0.5)
            nn.init.zeros_(self.fc.bias)
            self.unused = nn.Linear(32, 32)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for _ in range(4):
                x = self.fc(x)
            return x

    torch.manual_seed(0)
    probe = next(layer for layer in audit(Loop(), torch.randn(64, 32)).layers if layer.name == "fc").probe
    assert probe.calls == len(probe.forward_stds) == 4
    growth = [later / before for before, later in zip(probe.forward_stds, probe.forward_stds[1:], strict=False)]
    assert growth == pytest.approx([2.0] * 3, rel=0.2)
    shrinking = [later / before for before, later in zip(probe.gradient_stds, probe.gradient_stds[1:], strict=False)]
    assert all(0.2 < ratio < 0.7 for ratio in shrinking)
    assert probe.forward_std == probe.forward_stds[0]


def test_what_rounding_drowns_is_lost_in_that_format() -> None:
    """Across the batch a hundredth of what biases hold the signal at: much in float32, nothing in bfloat16."""

    def severities(dtype: str | None) -> set[str]:
        torch.manual_seed(0)
        stack = nn.Sequential(*(layer for _ in range(12) for layer in (nn.Linear(64, 64), nn.Tanh())))
        for parameter in stack.parameters():
            nn.init.normal_(parameter, std=0.06)
        found = initlint.audit(stack, torch.randn(16, 64), dtype=dtype, select="INI701").findings
        return {finding.severity.label for finding in found}

    assert severities(None) == {"warning"}
    assert severities("bf16") == {"error"}
