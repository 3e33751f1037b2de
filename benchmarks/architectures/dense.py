"""Networks of vectors: plain, gated, residual and normalised stacks, autoencoders, experts."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH = 48


def he(model: nn.Module) -> None:
    """Kaiming's scheme for every linear map and convolution, zero biases."""
    for m in model.modules():
        if isinstance(m, (nn.Linear, nn.Conv1d, nn.Conv2d)):
            nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
            if m.bias is not None:
                nn.init.zeros_(m.bias)


def glorot(model: nn.Module, gain: float = 1.0) -> None:
    """Xavier's scheme for every linear map, zero biases."""
    for m in model.modules():
        if isinstance(m, nn.Linear):
            nn.init.xavier_uniform_(m.weight, gain=gain)
            nn.init.zeros_(m.bias)


class Stack(nn.Module):
    """A plain perceptron of ``depth`` hidden layers."""

    def __init__(self, depth: int, activation: type[nn.Module], inputs: int = 32, outputs: int = 10) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, WIDTH)
        self.hidden = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(depth - 1)])
        self.head = nn.Linear(WIDTH, outputs)
        self.activation = activation()

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation(self.first(x))
        for layer in self.hidden:
            x = self.activation(layer(x))
        return self.head(x)


class ReluStack(Stack):
    def __init__(self) -> None:
        super().__init__(8, nn.ReLU)
        he(self)


class TanhStack(Stack):
    def __init__(self) -> None:
        super().__init__(6, nn.Tanh)
        glorot(self, nn.init.calculate_gain("tanh"))


class GeluStack(Stack):
    def __init__(self) -> None:
        super().__init__(6, nn.GELU)
        he(self)


class SeluStack(Stack):
    def __init__(self) -> None:
        super().__init__(8, nn.SELU)
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.kaiming_normal_(m.weight, nonlinearity="linear")
                nn.init.zeros_(m.bias)


class LeakyRegressor(Stack):
    def __init__(self) -> None:
        super().__init__(4, lambda: nn.LeakyReLU(0.1), inputs=16, outputs=2)
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.kaiming_uniform_(m.weight, a=0.1, nonlinearity="leaky_relu")
                nn.init.zeros_(m.bias)


class Shallow(Stack):
    """Two hidden layers with what torch draws by itself."""

    def __init__(self) -> None:
        super().__init__(2, nn.ReLU)


class Normed(nn.Module):
    """Linear, norm, activation, again and again."""

    def __init__(self, norm: type[nn.Module], activation: type[nn.Module], depth: int = 6) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(32, WIDTH), norm(WIDTH), activation())
        self.body = nn.Sequential(
            *[nn.Sequential(nn.Linear(WIDTH, WIDTH), norm(WIDTH), activation()) for _ in range(depth - 1)]
        )
        self.head = nn.Linear(WIDTH, 10)
        he(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(self.first(x)))


class BatchNormed(Normed):
    def __init__(self) -> None:
        super().__init__(nn.BatchNorm1d, nn.ReLU)


class LayerNormed(Normed):
    def __init__(self) -> None:
        super().__init__(nn.LayerNorm, nn.SiLU)


class ScaledBranch(nn.Module):
    """A residual branch whose last layer is drawn small, as there is no norm to hold the stream."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)
        nn.init.kaiming_normal_(self.up.weight, nonlinearity="relu")
        nn.init.normal_(self.down.weight, std=1 / math.sqrt(2 * width * depth))
        nn.init.zeros_(self.up.bias)
        nn.init.zeros_(self.down.bias)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(F.relu(self.up(x)))


class ResidualStack(nn.Module):
    """Sixteen residual branches and no norm."""

    residual = ("down",)

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(32, WIDTH)
        self.blocks = nn.ModuleList([ScaledBranch(WIDTH, 16) for _ in range(16)])
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class GatedUnit(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.gate = nn.Linear(width, 2 * width)
        self.value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        return self.out(F.silu(self.gate(x)) * self.value(x))


class GatedStack(nn.Module):
    """Pre-normed residual branches of SwiGLU."""

    residual = ("out",)

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(32, WIDTH)
        self.blocks = nn.ModuleList([GatedUnit(WIDTH) for _ in range(4)])
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, 10)
        glorot(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(self.norm(x))


class Highway(nn.Module):
    """Each layer keeps or replaces its input by a gate, biased to keep."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(32, WIDTH)
        self.layers = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(5)])
        self.gates = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(5)])
        self.head = nn.Linear(WIDTH, 10)
        he(self)
        for gate in self.gates:
            nn.init.xavier_uniform_(gate.weight)
            nn.init.constant_(gate.bias, -1.0)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(x))
        for layer, gate in zip(self.layers, self.gates, strict=True):
            kept = torch.sigmoid(gate(x))
            x = kept * F.relu(layer(x)) + (1 - kept) * x
        return self.head(x)


class WeightNormed(nn.Module):
    """A perceptron under weight normalisation, initialised before it is wrapped."""

    def __init__(self) -> None:
        super().__init__()
        layers = [nn.Linear(32, WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)]
        self.head = nn.Linear(WIDTH, 10)
        for m in (*layers, self.head):
            nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
            nn.init.zeros_(m.bias)
        self.layers = nn.ModuleList([nn.utils.parametrizations.weight_norm(layer) for layer in layers])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = F.relu(layer(x))
        return self.head(x)


class Experts(nn.Module):
    """Four experts in one tensor each, mixed by a router."""

    def __init__(self, width: int = WIDTH, count: int = 4) -> None:
        super().__init__()
        self.router = nn.Linear(width, count)
        self.up = nn.Parameter(torch.empty(count, width, 2 * width))
        self.down = nn.Parameter(torch.empty(count, 2 * width, width))
        nn.init.normal_(self.up, std=math.sqrt(2 / width))
        nn.init.normal_(self.down, std=math.sqrt(1 / (2 * width)))
        nn.init.normal_(self.router.weight, std=0.02)
        nn.init.zeros_(self.router.bias)

    def forward(self, x: Tensor) -> Tensor:
        shares = self.router(x).softmax(dim=-1)
        hidden = F.relu(torch.einsum("bi,eij->bej", x, self.up))
        return torch.einsum("be,beo->bo", shares, torch.einsum("bej,ejo->beo", hidden, self.down))


class Mixture(nn.Module):
    residual = ("down",)

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(32, WIDTH)
        self.norms = nn.ModuleList([nn.LayerNorm(WIDTH) for _ in range(3)])
        self.experts = nn.ModuleList([Experts() for _ in range(3)])
        self.head = nn.Linear(WIDTH, 10)
        nn.init.xavier_normal_(self.first.weight)
        nn.init.xavier_normal_(self.head.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for norm, experts in zip(self.norms, self.experts, strict=True):
            x = x + experts(norm(x))
        return self.head(x)


class SparseMixture(nn.Module):
    """Experts that are modules of their own; each sample goes to the one that the router prefers."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(32, WIDTH)
        self.router = nn.Linear(WIDTH, 4)
        self.experts = nn.ModuleList(
            [nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH)) for _ in range(4)]
        )
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, 10)
        he(self)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(x))
        shares = self.router(x).softmax(dim=-1)
        best, chosen = shares.max(dim=-1)
        made = torch.stack([expert(x) for expert in self.experts], dim=1)
        taken = made[torch.arange(len(x)), chosen] * best[:, None]
        return self.head(self.norm(x + taken))


class Autoencoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(32, WIDTH), nn.ELU(), nn.Linear(WIDTH, WIDTH), nn.ELU(), nn.Linear(WIDTH, 6)
        )
        self.decoder = nn.Sequential(
            nn.Linear(6, WIDTH), nn.ELU(), nn.Linear(WIDTH, WIDTH), nn.ELU(), nn.Linear(WIDTH, 32)
        )
        glorot(self, 1.2)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


class Variational(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(32, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU())
        self.mean = nn.Linear(WIDTH, 6)
        self.log_variance = nn.Linear(WIDTH, 6)
        self.decoder = nn.Sequential(
            nn.Linear(6, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 32)
        )
        he(self)
        nn.init.normal_(self.log_variance.weight, std=0.02)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        hidden = self.encoder(x)
        mean, log_variance = self.mean(hidden), self.log_variance(hidden)
        latent = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
        return self.decoder(latent), mean, log_variance


class _Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return -0.1 * gradient


class Adversaries(nn.Module):
    """A generator and the discriminator that it plays against, in one pass: its gradient comes back reversed."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = nn.Sequential(
            nn.Linear(8, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 8)
        )
        self.discriminator = nn.Sequential(
            nn.Linear(8, WIDTH), nn.LeakyReLU(0.2), nn.Linear(WIDTH, WIDTH), nn.LeakyReLU(0.2), nn.Linear(WIDTH, 1)
        )
        he(self)

    def forward(self, latent: Tensor, real: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        made = self.generator(latent)
        return self.discriminator(_Reversed.apply(made)), self.discriminator(real), made


class Denoiser(nn.Module):
    """A diffusion model's network: every block is shifted and scaled by what the time says."""

    residual = ("out",)

    def __init__(self) -> None:
        super().__init__()
        self.time = nn.Sequential(nn.Linear(1, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH), nn.SiLU())
        self.first = nn.Linear(32, WIDTH)
        self.blocks = nn.ModuleList([_Conditioned() for _ in range(3)])
        self.head = nn.Linear(WIDTH, 32)
        glorot(self)
        for block in self.blocks:
            nn.init.zeros_(block.modulation.weight)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        told = self.time(time)
        x = self.first(x)
        for block in self.blocks:
            x = block(x, told)
        return self.head(x)


class _Conditioned(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH, elementwise_affine=False)
        self.modulation = nn.Linear(WIDTH, 2 * WIDTH)
        self.up = nn.Linear(WIDTH, 2 * WIDTH)
        self.out = nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        scale, shift = self.modulation(told).chunk(2, dim=-1)
        return x + self.out(F.gelu(self.up(self.norm(x) * (1 + scale) + shift)))


class Waves(nn.Module):
    """A SIREN: sines of sines, with its own scheme."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(2, WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)])
        self.head = nn.Linear(WIDTH, 1)
        nn.init.uniform_(self.layers[0].weight, -4 / 2, 4 / 2)
        for layer in self.layers[1:]:
            nn.init.uniform_(layer.weight, -math.sqrt(6 / WIDTH), math.sqrt(6 / WIDTH))
        nn.init.xavier_uniform_(self.head.weight)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.sin(layer(x))
        return self.head(x)


class Adapted(nn.Module):
    """A frozen network with a low-rank adapter at each layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(32, WIDTH), nn.Linear(WIDTH, WIDTH)])
        he(self.layers)
        for parameter in self.layers.parameters():
            parameter.requires_grad_(False)
        self.a = nn.ModuleList([nn.Linear(layer.in_features, 8, bias=False) for layer in self.layers])
        self.b = nn.ModuleList([nn.Linear(8, WIDTH, bias=False) for _ in self.layers])
        self.head = nn.Linear(WIDTH, 10)
        for layer in self.b:
            nn.init.zeros_(layer.weight)

    def forward(self, x: Tensor) -> Tensor:
        for layer, a, b in zip(self.layers, self.a, self.b, strict=True):
            x = F.relu(layer(x) + b(a(x)))
        return self.head(x)
