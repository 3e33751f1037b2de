"""Networks of vectors as other people write them: functional calls, named layers, shared weights, towers, mixtures."""

from __future__ import annotations

import math
from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH = 48


def glorot_tanh(module: nn.Module) -> None:
    """For ``apply``: Xavier's scheme with the gain of tanh."""
    if isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d)):
        nn.init.xavier_uniform_(module.weight, gain=nn.init.calculate_gain("tanh"))
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _orthogonal(layer: nn.Linear, gain: float = math.sqrt(2)) -> nn.Linear:
    """As policy gradient code has it."""
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.constant_(layer.bias, 0.0)
    return layer


class NamedConv(nn.Module):
    """Two kernels, average pools and three dense layers under tanh, after LeNet."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            OrderedDict(
                [
                    ("conv1", nn.Conv2d(1, 8, 5, padding=2)),
                    ("act1", nn.Tanh()),
                    ("pool1", nn.AvgPool2d(2)),
                    ("conv2", nn.Conv2d(8, 16, 5)),
                    ("act2", nn.Tanh()),
                    ("pool2", nn.AvgPool2d(2)),
                ]
            )
        )
        self.classifier = nn.Sequential(
            OrderedDict(
                [
                    ("flat", nn.Flatten()),
                    ("fc1", nn.Linear(64, WIDTH)),
                    ("act3", nn.Tanh()),
                    ("fc2", nn.Linear(WIDTH, 32)),
                    ("act4", nn.Tanh()),
                    ("fc3", nn.Linear(32, 10)),
                ]
            )
        )
        self.apply(glorot_tanh)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))


class Maxout(nn.Module):
    """Each unit is the larger of two; that of two N(0, 1) has a second moment of 1, so 1 / fan_in keeps the signal."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(inputs, 2 * WIDTH) for inputs in (32, WIDTH, WIDTH, WIDTH)])
        self.out = nn.Linear(WIDTH, 10)
        for layer in [*self.layers, self.out]:
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x, _ = layer(x).unflatten(-1, (WIDTH, 2)).max(dim=-1)
        return self.out(x)


class ActorCritic(nn.Module):
    """A policy that starts nearly even, and what the state is worth, from one trunk."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            _orthogonal(nn.Linear(32, 64)),
            nn.Tanh(),
            _orthogonal(nn.Linear(64, 64)),
            nn.Tanh(),
        )
        self.actor = _orthogonal(nn.Linear(64, 10), 0.01)
        self.critic = _orthogonal(nn.Linear(64, 1), 1.0)

    def forward(self, state: Tensor) -> tuple[Tensor, Tensor]:
        seen = self.trunk(state)
        return self.actor(seen), self.critic(seen).squeeze(-1)


class Flow(nn.Module):
    """A field whose stream is followed for eight steps: the same weights at each, and the time as one more input."""

    def __init__(self, steps: int = 8) -> None:
        super().__init__()
        self.steps = steps
        self.lift = nn.Linear(32, WIDTH)
        self.field = nn.Sequential(nn.Linear(WIDTH + 1, 2 * WIDTH), nn.Tanh(), nn.Linear(2 * WIDTH, WIDTH))
        self.readout = nn.Linear(WIDTH, 10)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_normal_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        state, dt = self.lift(x), 1.0 / self.steps
        for step in range(self.steps):
            time = torch.full((state.shape[0], 1), step * dt, dtype=state.dtype, device=state.device)
            state = state + dt * self.field(torch.cat((state, time), dim=1))
        return self.readout(state)


class RandomFeatures(nn.Module):
    """Coordinates in fixed random sines and cosines, a perceptron that is shown them again half-way."""

    frequencies: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.randn(2, 24))
        self.fc1 = nn.Linear(48, 64)
        self.fc2 = nn.Linear(64, 64)
        self.fc3 = nn.Linear(64 + 48, 64)
        self.fc4 = nn.Linear(64, 1)
        for layer in (self.fc1, self.fc2, self.fc3):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            layer.bias.data.fill_(0.0)
        nn.init.xavier_uniform_(self.fc4.weight)

    def forward(self, at: Tensor) -> Tensor:
        phases = 2 * at @ self.frequencies
        shown = math.sqrt(2) * torch.cat([phases.sin(), phases.cos()], dim=-1)
        h = F.relu(self.fc2(F.relu(self.fc1(shown))))
        return self.fc4(F.relu(self.fc3(torch.cat([h, shown], dim=-1))))


class TwoTowers(nn.Module):
    """Two views of one thing, each by a tower of its own, are to be nearest to each other; torch draws the weights."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = self._tower(24), self._tower(16)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(10.0)))

    @staticmethod
    def _tower(inputs: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Linear(inputs, 64), nn.LayerNorm(64), nn.GELU(), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 16)
        )

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        a, b = F.normalize(self.left(left), dim=-1), F.normalize(self.right(right), dim=-1)
        return self.logit_scale.exp() * a @ b.t()


class LowRankFusion(nn.Module):
    """What two inputs say, multiplied unit by unit: a bilinear form of low rank."""

    def __init__(self) -> None:
        super().__init__()
        self.question = nn.Linear(12, 64)
        self.picture = nn.Linear(12, 64)
        self.fused = nn.Linear(64, 64)
        self.answer = nn.Linear(64, 2)
        for layer in self.children():
            nn.init.xavier_normal_(layer.weight, gain=1.25)
            nn.init.zeros_(layer.bias)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        both = torch.tanh(self.question(a)) * torch.tanh(self.picture(b))
        return self.answer(F.elu(self.fused(2 * both)))


class MixtureDensity(nn.Module):
    """Tells a mixture of four Gaussians: log-shares, means and log-widths."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, WIDTH), nn.Tanh(), nn.Linear(WIDTH, WIDTH), nn.Tanh())
        self.shares = nn.Linear(WIDTH, 4)
        self.means = nn.Linear(WIDTH, 4)
        self.widths = nn.Linear(WIDTH, 4)
        self.apply(glorot_tanh)
        for layer, gain in ((self.shares, 0.3), (self.means, 1.0), (self.widths, 0.3)):
            nn.init.xavier_normal_(layer.weight, gain)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = self.body(x)
        return self.shares(h).log_softmax(dim=-1), self.means(h), self.widths(h)


class HyperFusion(nn.Module):
    """What one input says is written into the weights that the other is judged by, which are drawn to be He's."""

    def __init__(self) -> None:
        super().__init__()
        self.hyper = nn.Linear(12, 32)
        self.write = nn.Linear(32, 16 * 12)
        self.inner = nn.Linear(16, 32)
        self.readout = nn.Linear(32, 2)
        for layer in (self.hyper, self.inner, self.readout):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="linear" if layer is self.readout else "relu")
        nn.init.normal_(self.write.weight, std=math.sqrt(2 / 12 / 32))
        for layer in self.children():
            nn.init.zeros_(layer.bias)

    def forward(self, writes: Tensor, judged: Tensor) -> Tensor:
        weights = self.write(F.relu(self.hyper(writes))).view(-1, 16, 12)
        h = F.relu(torch.bmm(weights, judged.unsqueeze(-1)).squeeze(-1))
        return self.readout(F.relu(self.inner(h)))
