"""What the trace says of each layer's output, on models written for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from initlint.facts import Layer, Model, UnknownFact, absent, known
from initlint.live.audit import audit_module

pytestmark = pytest.mark.torch


def audit(module: nn.Module, batch: object = None) -> Model:
    torch.manual_seed(0)
    model = audit_module(module, batch, name="m").models[0]
    assert absent(model.not_run)
    return model


def layer(model: Model, name: str) -> Layer:
    return next(layer for layer in model.layers if layer.name == name)


class Two(nn.Module):
    """Two linear maps with something in between."""

    def __init__(self, between: Callable[[torch.Tensor], torch.Tensor], width: int = 16) -> None:
        super().__init__()
        self.first = nn.Linear(8, 16)
        self.between = between
        self.second = nn.Linear(width, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.between(self.first(x)))


def own_leaky(x: torch.Tensor) -> torch.Tensor:
    return torch.maximum(x, 0.2 * x)


def swiglu(x: torch.Tensor) -> torch.Tensor:
    value, gate = x.chunk(2, dim=-1)
    return value * F.silu(gate)


ACTIVATIONS = {
    "relu": [F.relu, torch.relu_, lambda x: x.clamp(min=0), lambda x: torch.where(x > 0, x, torch.zeros_like(x)),
             lambda x: torch.maximum(x, torch.tensor(0.0)), nn.ReLU(inplace=True)],
    "leaky_relu": [lambda x: F.leaky_relu(x, 0.1), own_leaky],
    "gelu": [F.gelu, lambda x: F.gelu(x, approximate="tanh"), nn.GELU(),
             lambda x: 0.5 * x * (1 + torch.tanh(0.7978845608028654 * (x + 0.044715 * x**3)))],
    "silu": [F.silu, lambda x: x * torch.sigmoid(x), nn.SiLU(inplace=True)],
    "tanh": [torch.tanh, nn.Tanh()],
    "sigmoid": [torch.sigmoid],
    "selu": [F.selu],
    "elu": [F.elu],
    "mish": [F.mish, lambda x: x * torch.tanh(F.softplus(x))],
    "hardswish": [F.hardswish, lambda x: x * F.relu6(x + 3) / 6],
    "relu6": [F.relu6, nn.ReLU6()],
    "relu_squared": [lambda x: F.relu(x) ** 2, lambda x: F.relu(x).square()],
    "prelu": [nn.PReLU()],
    "identity": [lambda x: x, lambda x: F.dropout(x, 0.1), lambda x: 0.5 * x],
    "custom": [lambda x: torch.sin(x) + torch.tanh(x)],
}  # fmt: skip


@pytest.mark.parametrize(("name", "act"), [(name, act) for name, acts in ACTIVATIONS.items() for act in acts])
def test_activation_is_named(name: str, act: Callable[[torch.Tensor], torch.Tensor]) -> None:
    first = layer(audit(Two(act)), "first")
    assert first.activation is not None
    assert first.activation.name == name
    assert not first.normalized
    assert not first.is_head


def test_gain_is_that_of_the_function_that_ran() -> None:
    scaled = layer(audit(Two(lambda x: 2 * F.relu(x))), "first").activation
    assert scaled is not None
    assert scaled.gain == pytest.approx(2**0.5 / 2, rel=1e-4)
    leaky = layer(audit(Two(own_leaky)), "first").activation
    assert leaky is not None
    assert leaky.slope == pytest.approx(0.2, rel=1e-4)
    assert leaky.gain == pytest.approx((2 / 1.04) ** 0.5, rel=1e-4)


@pytest.mark.parametrize(("name", "act"), [("swiglu", swiglu), ("glu", F.glu)])
def test_gated_units(name: str, act: Callable[[torch.Tensor], torch.Tensor]) -> None:
    first = layer(audit(Two(act, width=8)), "first")
    assert first.activation is not None
    assert first.activation.name == name


def wave(x: torch.Tensor) -> torch.Tensor:
    value, gate = x.chunk(2, dim=-1)
    return torch.tanh(value) * torch.sigmoid(gate)


def test_a_gated_unit_of_two_nonlinearities_needs_the_gain_of_both() -> None:
    unit = layer(audit(Two(wave, width=8)), "first").activation
    assert unit is not None
    values = wave(torch.randn(1000, 512, generator=torch.Generator().manual_seed(0)))
    assert unit.gain == pytest.approx(float((values * values).mean()) ** -0.5, rel=0.02)


def test_two_different_consumers_are_not_one_activation() -> None:
    first = layer(audit(Two(lambda x: torch.cat([F.relu(x), torch.tanh(x)], -1), width=32)), "first")
    assert not known(first.activation)


class Residual(nn.Module):
    def __init__(self, *, post_norm: bool = False) -> None:
        super().__init__()
        self.stem = nn.Linear(8, 16)
        self.up = nn.Linear(16, 32)
        self.down = nn.Linear(32, 16)
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, 4)
        self.post_norm = post_norm

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        y = self.down(F.gelu(self.up(x)))
        y = x + F.dropout(y, 0.1)
        return self.head(self.norm(y) if self.post_norm else y)


@pytest.mark.parametrize("post_norm", [False, True])
def test_residual_branch(post_norm: bool) -> None:
    model = audit(Residual(post_norm=post_norm))
    assert layer(model, "down").ends_branch
    assert [c.kind for c in layer(model, "down").consumers] == ["sum"]
    assert not layer(model, "up").ends_branch
    assert layer(model, "head").is_head
    assert not layer(model, "down").is_head
    assert not known(layer(model, "down").activation)


@pytest.mark.parametrize(
    "last", [lambda x: x, torch.sigmoid, lambda x: F.softmax(x, -1), lambda x: F.log_softmax(x, -1)]
)
def test_a_head_gives_shares_too(last: Callable[[torch.Tensor], torch.Tensor]) -> None:
    class Classifier(Two):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return last(super().forward(x))

    model = audit(Classifier(F.relu))
    assert layer(model, "second").is_head
    assert not layer(model, "first").is_head
    assert not layer(audit(Two(lambda x: torch.softmax(x, -1))), "first").is_head  # used within


def test_a_norm_between_layer_and_activation() -> None:
    model = audit(
        nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3)), torch.randn(4, 3, 16, 16)
    )
    conv = layer(model, "0")
    assert conv.normalized
    assert conv.activation is not None
    assert conv.activation.name == "relu"
    assert layer(model, "1").activation.name == "relu"


class HandRMSNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.g = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.g


def test_hand_written_rms_norm() -> None:
    model = audit(nn.Sequential(nn.Linear(8, 16), HandRMSNorm(16), nn.Linear(16, 4)))
    assert layer(model, "0").normalized
    assert layer(model, "1").parameters[0].role == "norm_scale"


class Bare(nn.Module):
    """Bare parameters, told apart by what is done with them."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.randn(8, 32) * 0.1)
        self.offset = nn.Parameter(torch.zeros(32))
        self.position = nn.Parameter(torch.randn(1, 5, 32) * 0.02)
        self.temperature = nn.Parameter(torch.ones(32))
        self.experts = nn.Parameter(torch.randn(4, 32, 6) * 0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = (x @ self.matrix + self.offset + self.position) * self.temperature
        return torch.einsum("btd,edf->btef", F.relu(x), self.experts)


def test_roles_and_fans_of_bare_parameters() -> None:
    model = audit(Bare(), torch.randn(4, 5, 8))
    roles = {p.name: p.role for p in model.parameters}
    assert roles == {
        "matrix": "weight", "offset": "bias", "position": "token", "temperature": "scale", "experts": "weight",
    }  # fmt: skip
    matrix = next(p for p in model.parameters if p.name == "matrix")
    assert (matrix.fan_in, matrix.fan_out) == (8, 32)


def test_attention_and_recurrence() -> None:
    torch.manual_seed(0)
    encoder = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    model = audit(encoder, torch.randn(4, 6, 16))
    attention = layer(model, "self_attn")
    packed = attention.parameter("in_proj_weight")
    assert packed is not None
    assert (packed.role, packed.fan_in, packed.fan_out) == ("weight", 16, 16)
    assert layer(model, "linear1").activation.name == "relu"
    assert layer(model, "linear2").ends_branch
    assert layer(model, "self_attn.out_proj").ends_branch

    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(8, 16, batch_first=True)
            self.head = nn.Linear(16, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.lstm(x)[0])

    model = audit(Tagger(), torch.randn(4, 6, 8))
    lstm = layer(model, "lstm")
    roles = {p.name.rpartition(".")[2]: p.role for p in lstm.parameters}
    assert roles["weight_hh_l0"] == "recurrent_weight"
    assert roles["weight_ih_l0"] == "weight"
    assert [c.name for c in lstm.consumers] == ["head"]
    with pytest.raises(UnknownFact):
        bool(lstm.activation)


def test_reparametrised_weights_keep_their_layer() -> None:
    old = torch.nn.utils.weight_norm
    model = audit(nn.Sequential(old(nn.Linear(8, 16)), nn.Tanh(), nn.Linear(16, 2)))
    assert layer(model, "0").activation.name == "tanh"
    new = torch.nn.utils.parametrizations.weight_norm(nn.Linear(8, 16))
    model = audit(nn.Sequential(new, nn.ReLU(), nn.Linear(16, 2)))
    assert layer(model, "0").activation.name == "relu"
    assert layer(model, "2").is_head
    spectral = torch.nn.utils.spectral_norm(nn.Linear(8, 16))
    model = audit(nn.Sequential(spectral, nn.ReLU(), nn.Linear(16, 2)))
    assert layer(model, "0").activation.name == "relu"


def test_shared_modules_and_tensors_come_once() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(11, 8)
            self.block = nn.Linear(8, 8)
            self.again = self.block
            self.head = nn.Linear(8, 11, bias=False)
            self.head.weight = self.embed.weight

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.head(self.again(F.relu(self.block(self.embed(ids)))))

    model = audit(Tied(), torch.randint(0, 11, (4, 5)))
    assert layer(model, "block").aliases == ("block", "again")
    names = [p.name for p in model.parameters]
    assert names == ["embed.weight", "block.weight", "block.bias"]
    assert layer(model, "embed").weight.names == ("embed.weight", "head.weight")
    assert not known(layer(model, "block").activation)


class Does(nn.Module):
    """Layers, and what is done with them."""

    def __init__(self, forward: Callable[..., torch.Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.does = forward
        for name, child in layers.items():
            setattr(self, name, child)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.does(self, x)


SEQUENCES = torch.randn(8, 6, 16, generator=torch.manual_seed(1))


def test_parallel_branches_all_end_in_the_stream() -> None:
    def forward(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
        x = m.stem(x)
        y = m.norm(x)
        return m.head(x + m.down(F.gelu(m.up(y))) + m.mix(y))

    model = audit(
        Does(
            forward,
            stem=nn.Linear(8, 8),
            norm=nn.LayerNorm(8),
            up=nn.Linear(8, 16),
            down=nn.Linear(16, 8),
            mix=nn.Linear(8, 8),
            head=nn.Linear(8, 3),
        ),
        torch.randn(8, 8),
    )
    assert layer(model, "down").ends_branch
    assert layer(model, "mix").ends_branch
    assert not layer(model, "stem").ends_branch
    assert [[each.name for each in chain.layers] for chain in model.chains] == [["stem", "head"]]


def test_projections_of_attention_have_no_activation() -> None:
    def forward(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (f(x).unflatten(-1, (2, 8)).transpose(1, 2) for f in (m.q, m.k, m.v))
        return m.head(x + m.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)))

    own = audit(Does(forward, **{name: nn.Linear(16, 16) for name in ("q", "k", "v", "out", "head")}), SEQUENCES)
    torchs = audit(
        Does(
            lambda m, x: m.head(x + m.mix(x, x, x, need_weights=False)[0]),
            mix=nn.MultiheadAttention(16, 2, batch_first=True),
            head=nn.Linear(16, 16),
        ),
        SEQUENCES,
    )
    for model, names, out in ((own, ("q", "k", "v"), "out"), (torchs, ("mix",), "mix.out_proj")):
        for name in names:
            assert not known(layer(model, name).activation)
            assert not layer(model, name).ends_branch
            assert not layer(model, name).normalized
        assert layer(model, out).ends_branch
    assert [p.fan_in for p in layer(torchs, "mix").parameters if p.role == "weight"] == [16]


def test_recurrent_cells_keep_their_gates_to_themselves() -> None:
    def forward(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
        h = x.new_zeros(x.shape[0], 8)
        for step in range(x.shape[1]):
            h = m.cell(F.relu(m.into(x[:, step])), h)
        return m.head(h)

    model = audit(Does(forward, into=nn.Linear(16, 16), cell=nn.GRUCell(16, 8), head=nn.Linear(8, 3)), SEQUENCES)
    assert layer(model, "into").activation.name == "relu"
    assert layer(model, "into").probe.calls == 6
    assert not known(layer(model, "cell").activation)
    roles = {p.name: p.role for p in layer(model, "cell").parameters}
    assert roles["cell.weight_ih"] == "weight"
    assert roles["cell.weight_hh"] == "recurrent_weight"


def test_a_layer_called_with_two_activations_has_neither() -> None:
    def forward(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
        return m.head(torch.tanh(m.twice(F.relu(m.twice(x)))))

    model = audit(Does(forward, twice=nn.Linear(8, 8), head=nn.Linear(8, 3)), torch.randn(8, 8))
    assert not known(layer(model, "twice").activation)
    assert {consumer.name for consumer in layer(model, "twice").consumers} == {"relu", "tanh"}


def test_a_branch_not_taken_is_unknown() -> None:
    def forward(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
        return m.head(F.relu(m.taken(x)) if x.isfinite().all() else torch.tanh(m.other(x)))

    model = audit(Does(forward, taken=nn.Linear(8, 8), other=nn.Linear(8, 8), head=nn.Linear(8, 3)), torch.randn(8, 8))
    assert layer(model, "taken").activation.name == "relu"
    other = layer(model, "other")
    assert not any(map(known, (other.activation, other.consumers, other.normalized, other.ends_branch, other.probe)))


class Swish(torch.autograd.Function):
    """x * sigmoid(3 x), with a backward of its own."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x * torch.sigmoid(3 * x)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(3 * x)
        return gradients[0] * (s + 3 * x * s * (1 - s))


def snake(x: torch.Tensor) -> torch.Tensor:
    return x + torch.sin(x) ** 2


@pytest.mark.parametrize(
    ("between", "phi"),
    [
        (snake, snake),
        (lambda x: checkpoint(snake, x, use_reentrant=False), snake),
        (lambda x: checkpoint(snake, x, use_reentrant=True), snake),
        (torch.jit.script(snake), snake),
        (Swish.apply, lambda x: x * torch.sigmoid(3 * x)),
    ],
    ids=["plain", "checkpoint", "reentrant", "scripted", "autograd.Function"],
)
@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
def test_an_activation_of_ones_own_has_its_own_gain(between: Any, phi: Callable[[torch.Tensor], torch.Tensor]) -> None:
    first = layer(audit(Two(between)), "first")
    assert first.activation is not None
    assert first.activation.name == "custom"
    z = torch.randn(2_000_000, generator=torch.manual_seed(0)).requires_grad_()
    y = phi(z)
    (slope,) = torch.autograd.grad(y.sum(), z)
    assert first.activation.gain == pytest.approx(float(y.detach().square().mean()) ** -0.5, rel=0.01)
    assert first.activation.backward_gain == pytest.approx(float(slope.square().mean()) ** -0.5, rel=0.01)
    assert [consumer.kind for consumer in first.consumers] == ["activation"]


def test_autocast_hides_no_activation() -> None:
    def forward(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return m.head(F.gelu(m.first(x)))

    model = audit(Does(forward, first=nn.Linear(8, 8), head=nn.Linear(8, 3)), torch.randn(8, 8))
    assert layer(model, "first").activation.name == "gelu"
    assert layer(model, "head").is_head


def test_an_output_in_log_sigmoids() -> None:
    model = audit(nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3), nn.LogSigmoid()))
    assert layer(model, "2").activation.name == "logsigmoid"
    assert layer(model, "2").is_head


def test_an_adapter_beside_its_layer() -> None:
    class Adapted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.base = nn.Linear(8, 8).requires_grad_(False)
            self.a, self.b = nn.Parameter(torch.randn(2, 8)), nn.Parameter(torch.zeros(8, 2))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.base(x) + x @ self.a.t() @ self.b.t()

    model = audit(nn.Sequential(Adapted(), nn.ReLU(), nn.Linear(8, 3)), torch.randn(8, 8))
    a, b = layer(model, "0").parameters
    assert (a.role, a.fan_in, a.fan_out) == ("weight", 8, 2)
    assert (b.role, b.fan_in, b.fan_out) == ("weight", 2, 8)
    assert [consumer.kind for consumer in layer(model, "0.base").consumers] == ["sum"]
