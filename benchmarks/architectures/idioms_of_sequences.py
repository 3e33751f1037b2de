"""Networks of sequences, tables and sets as other people write them: gated dilations, recurrences, mixing, ALiBi."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from architectures.idioms import glorot_tanh

WIDTH = 48


def _bert(module: nn.Module) -> None:
    """For ``apply``: BERT's scheme, of which 0.02 at a width of 768 is 0.08 at 48."""
    if isinstance(module, (nn.Linear, nn.Embedding)):
        module.weight.data.normal_(mean=0.0, std=0.08)
    if isinstance(module, nn.Linear) and module.bias is not None:
        module.bias.data.zero_()


class _Gated(nn.Module):
    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.dilated = nn.Conv1d(width, 2 * width, 2, dilation=dilation)
        self.res = nn.Conv1d(width, width, 1)
        self.skip = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        wave, gate = self.dilated(F.pad(x, (self.dilation, 0))).chunk(2, dim=1)
        z = torch.tanh(wave) * torch.sigmoid(gate)
        return (x + self.res(z)) * math.sqrt(0.5), self.skip(z)


class GatedWaves(nn.Module):
    """WaveNet's layers: causal, dilated, a tanh and the gate that it passes, and a sum of what each has to say."""

    residual = ("res",)

    def __init__(self) -> None:
        super().__init__()
        self.input = nn.Conv1d(4, 24, 1)
        self.stages = nn.ModuleList(_Gated(24, 2**i) for i in range(4))
        self.hidden = nn.Conv1d(24, 24, 1)
        self.output = nn.Linear(24, 8)
        self.apply(glorot_tanh)

    def forward(self, series: Tensor) -> Tensor:
        x = self.input(series.transpose(1, 2))
        told = torch.zeros_like(x)
        for stage in self.stages:
            x, skip = stage(x)
            told = told + skip
        return self.output(F.relu(self.hidden(F.relu(told + x))).mean(dim=2))


class _StateSpace(nn.Module):
    def __init__(self, width: int, states: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.enter = nn.Linear(width, states, bias=False)
        self.log_rate = nn.Parameter(torch.linspace(math.log(0.05), math.log(2.0), states))
        self.leave = nn.Linear(states, width)
        self.gate = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        decay = torch.exp(-self.log_rate.exp())
        driven = torch.sqrt(1 - decay**2) * self.enter(y)
        state, states = torch.zeros_like(driven[:, 0]), []
        for t in range(x.size(1)):
            state = decay * state + driven[:, t]
            states.append(state)
        return x + self.leave(torch.stack(states, dim=1)) * torch.sigmoid(self.gate(y))


class StateSpace(nn.Module):
    """Linear recurrences with decays of their own, normalised to what they gather, between gates."""

    residual = ("leave",)

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(4, 32)
        self.layers = nn.ModuleList([_StateSpace(32, 32), _StateSpace(32, 32)])
        self.norm = nn.LayerNorm(32)
        self.decoder = nn.Linear(32, 8)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                nn.init.xavier_uniform_(parameter)
            elif name.endswith("bias") and "norm" not in name:
                nn.init.zeros_(parameter)

    def forward(self, series: Tensor) -> Tensor:
        x = self.encoder(series)
        for layer in self.layers:
            x = layer(x)
        return self.decoder(F.gelu(self.norm(x)).mean(dim=1))


class Attended(nn.Module):
    """A recurrent encoder, and a recurrent decoder whose states ask it by a dot product; torch draws the weights."""

    def __init__(self) -> None:
        super().__init__()
        self.source = nn.Embedding(64, 32, padding_idx=0)
        self.target = nn.Embedding(64, 32, padding_idx=0)
        self.encoder = nn.GRU(32, 32, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(64, 32)
        self.decoder = nn.GRU(32, 32, batch_first=True)
        self.combine = nn.Linear(64, 32)
        self.vocabulary = nn.Linear(32, 64)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        heard, last = self.encoder(self.source(source))
        memory = self.bridge(heard)
        start = torch.tanh(self.bridge(torch.cat([last[0], last[1]], dim=-1)))
        states, _ = self.decoder(self.target(target), start.unsqueeze(0))
        weights = F.softmax(torch.bmm(states, memory.transpose(1, 2)), dim=-1)
        context = torch.bmm(weights, memory)
        return self.vocabulary(torch.tanh(self.combine(torch.cat([states, context], dim=-1))))


class _FourierBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.mixing_norm = nn.LayerNorm(width)
        self.intermediate = nn.Linear(width, 2 * width)
        self.output = nn.Linear(2 * width, width)
        self.output_norm = nn.LayerNorm(width)

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = self.mixing_norm(hidden + torch.fft.fft2(hidden, norm="ortho").real)
        return self.output_norm(hidden + self.output(F.gelu(self.intermediate(hidden))))


class FourierMixer(nn.Module):
    """FNet: a Fourier transform where others attend, norms after the sums, BERT's scheme."""

    residual = ("output",)

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(4, WIDTH)
        self.positions = nn.Embedding(24, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.encoder = nn.ModuleList([_FourierBlock(WIDTH) for _ in range(2)])
        self.pooler = nn.Linear(WIDTH, WIDTH)
        self.classifier = nn.Linear(WIDTH, 8)
        self.apply(_bert)

    def forward(self, series: Tensor) -> Tensor:
        ids = torch.arange(series.size(1), device=series.device)
        hidden = self.norm(self.embed(series) + self.positions(ids))
        for block in self.encoder:
            hidden = block(hidden)
        return self.classifier(torch.tanh(self.pooler(hidden[:, 0])))


class _ParallelBlock(nn.Module):
    """Attention of many queries to one key by distance, and a perceptron beside it, from one norm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.size = heads, width // heads
        self.norm = nn.LayerNorm(width, bias=False)
        self.fused = nn.Linear(width, width + 2 * self.size + 2 * width, bias=False)
        self.attn_out = nn.Linear(width, width, bias=False)
        self.ff_out = nn.Linear(2 * width, width, bias=False)

    def forward(self, x: Tensor, slopes: Tensor) -> Tensor:
        b, n, d = x.shape
        q, k, v, ff = self.fused(self.norm(x)).split([d, self.size, self.size, 2 * d], dim=-1)
        q = q.view(b, n, self.heads, self.size).transpose(1, 2)
        scores = torch.einsum("bhid,bjd->bhij", q * self.size**-0.5, k)
        at = torch.arange(n, device=x.device)
        distance = at[:, None] - at[None, :]
        scores = scores - slopes[:, None, None] * distance
        scores = scores.masked_fill(distance < 0, torch.finfo(scores.dtype).min)
        mixed = torch.einsum("bhij,bjd->bhid", scores.softmax(dim=-1), v).transpose(1, 2).reshape(b, n, d)
        return x + self.attn_out(mixed) + self.ff_out(F.silu(ff))


class ParallelDecoder(nn.Module):
    """PaLM's parallel blocks with one key for all heads, and ALiBi's slopes for positions."""

    residual = ("attn_out", "ff_out")
    slopes: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.wte = nn.Embedding(64, WIDTH)
        self.blocks = nn.ModuleList([_ParallelBlock(WIDTH, 4) for _ in range(3)])
        self.ln_f = nn.LayerNorm(WIDTH, bias=False)
        self.lm_head = nn.Linear(WIDTH, 64, bias=False)
        self.register_buffer("slopes", 2.0 ** -torch.arange(2, 10, 2), persistent=False)
        for name, p in self.named_parameters():
            if p.dim() == 2 and "wte" not in name:
                nn.init.normal_(p, 0.0, 1 / math.sqrt(p.size(1)))
                if "_out" in name:
                    p.data.div_(math.sqrt(2 * 3))
        nn.init.normal_(self.wte.weight)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.wte(tokens)
        for block in self.blocks:
            x = block(x, self.slopes)
        return self.lm_head(self.ln_f(x)) / 2


class _Tokenizer(nn.Module):
    """A direction and an offset for each numerical feature."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(features, width))
        self.bias = nn.Parameter(torch.empty(features, width))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(width**-0.5), width**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        return x[..., None] * self.weight + self.bias


class FeatureTokens(nn.Module):
    """A table's columns as tokens, torch's encoder with its norm first, what the class token gathered."""

    def __init__(self) -> None:
        super().__init__()
        self.tokenizer = _Tokenizer(16, 32)
        self.cls = nn.Parameter(torch.empty(1, 1, 32).uniform_(-(32**-0.5), 32**-0.5))
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(32), enable_nested_tensor=False)
        self.head = nn.Linear(32, 2)
        for p in self.encoder.parameters():
            if p.dim() > 1:
                nn.init.xavier_uniform_(p)

    def forward(self, x: Tensor) -> Tensor:
        tokens = torch.cat([self.cls.expand(x.shape[0], -1, -1), self.tokenizer(x)], dim=1)
        return self.head(self.encoder(tokens)[:, 0])


class _Equivariant(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.gamma = nn.Linear(inputs, outputs)
        self.lambda_ = nn.Linear(inputs, outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.gamma(x) - self.lambda_(x.mean(dim=1, keepdim=True))


class DeepSets(nn.Module):
    """Layers that see each element beside the mean of all, and a mean over the set."""

    def __init__(self) -> None:
        super().__init__()
        self.phi = nn.Sequential(
            _Equivariant(3, WIDTH),
            nn.Tanh(),
            _Equivariant(WIDTH, WIDTH),
            nn.Tanh(),
            _Equivariant(WIDTH, WIDTH),
            nn.Tanh(),
        )
        self.rho = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh(), nn.Linear(WIDTH, 8))
        self.apply(glorot_tanh)

    def forward(self, points: Tensor) -> Tensor:
        return self.rho(self.phi(points).mean(dim=1))
