"""Networks of sequences and sets: language models, translators, recurrent cells, graphs, clouds of points."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from architectures.dense import glorot, he
from architectures.vision import AttentionBlock

VOCABULARY, WIDTH = 64, 48


class Gpt(nn.Module):
    """GPT-2's scheme: N(0, 0.02), residual projections smaller by the root of their number, a tied head."""

    residual = ("project", "down")

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, WIDTH)
        self.position = nn.Parameter(torch.empty(16, WIDTH))
        self.blocks = nn.ModuleList([AttentionBlock(WIDTH, 4, causal=True) for _ in range(4)])
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.head.weight = self.tokens.weight
        nn.init.normal_(self.position, std=0.02)
        for name, parameter in self.named_parameters():
            if name.endswith(("project.weight", "down.weight")):
                nn.init.normal_(parameter, std=0.02 / math.sqrt(8))
            elif parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.tokens(tokens) + self.position[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class RootNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)


class _LlamaBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = RootNorm(WIDTH), RootNorm(WIDTH)
        self.q = nn.Linear(WIDTH, WIDTH, bias=False)
        self.k = nn.Linear(WIDTH, WIDTH // 2, bias=False)
        self.v = nn.Linear(WIDTH, WIDTH // 2, bias=False)
        self.o = nn.Linear(WIDTH, WIDTH, bias=False)
        self.gate = nn.Linear(WIDTH, 2 * WIDTH, bias=False)
        self.up = nn.Linear(WIDTH, 2 * WIDTH, bias=False)
        self.down = nn.Linear(2 * WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        q, k, v = (m(y).unflatten(2, (-1, 12)).transpose(1, 2) for m in (self.q, self.k, self.v))
        k, v = k.repeat_interleave(2, 1), v.repeat_interleave(2, 1)
        scores = (q @ k.transpose(2, 3)) / math.sqrt(12)
        hidden = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
        mixed = scores.masked_fill(hidden, -torch.inf).softmax(-1) @ v
        x = x + self.o(mixed.transpose(1, 2).flatten(2))
        y = self.norm2(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class Llama(nn.Module):
    """Root-mean-square norms, grouped queries, SwiGLU, a head of its own."""

    residual = ("o", "down")

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, WIDTH, padding_idx=0)
        self.position = nn.Parameter(torch.empty(16, WIDTH))
        self.blocks = nn.ModuleList([_LlamaBlock() for _ in range(3)])
        self.norm = RootNorm(WIDTH)
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, std=0.02)
        nn.init.normal_(self.position, std=0.02)
        nn.init.normal_(self.tokens.weight, std=0.02)
        with torch.no_grad():
            self.tokens.weight[0].zero_()

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.tokens(tokens) + self.position[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class Translator(nn.Module):
    """torch's own encoder and decoder, drawn anew as its documentation asks."""

    def __init__(self) -> None:
        super().__init__()
        self.source = nn.Embedding(VOCABULARY, WIDTH, padding_idx=0)
        self.target = nn.Embedding(VOCABULARY, WIDTH, padding_idx=0)
        self.transformer = nn.Transformer(
            WIDTH, 4, num_encoder_layers=2, num_decoder_layers=2, dim_feedforward=96, dropout=0.0, batch_first=True
        )
        self.head = nn.Linear(WIDTH, VOCABULARY)
        for parameter in self.transformer.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        hidden = torch.ones(target.shape[1], target.shape[1], dtype=torch.bool).triu(1)
        return self.head(self.transformer(self.source(source), self.target(target), tgt_mask=hidden))


class Classifier(nn.Module):
    """BERT's kin: torch's encoder after its norm, the mean of what it says."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, WIDTH, padding_idx=0)
        self.position = nn.Parameter(torch.empty(16, WIDTH))
        nn.init.normal_(self.position, std=0.02)
        self.layers = nn.ModuleList(
            [nn.TransformerEncoderLayer(WIDTH, 4, 96, dropout=0.0, batch_first=True) for _ in range(3)]
        )
        self.head = nn.Linear(WIDTH, 8)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.tokens(tokens) + self.position
        for layer in self.layers:
            x = layer(x)
        return self.head(x.mean(1))


class LstmClassifier(nn.Module):
    """Two layers, forget gates biased to remember."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, 32, padding_idx=0)
        self.cell = nn.LSTM(32, 32, num_layers=2, batch_first=True)
        self.head = nn.Linear(32, 8)
        for name, parameter in self.cell.named_parameters():
            if name.startswith("weight_ih"):
                nn.init.xavier_uniform_(parameter)
            elif name.startswith("weight_hh"):
                for gate in parameter.chunk(4):
                    nn.init.orthogonal_(gate)
            elif name.startswith("bias_ih"):
                nn.init.zeros_(parameter)
                with torch.no_grad():
                    parameter[32:64].fill_(1.0)
            else:
                nn.init.zeros_(parameter)

    def forward(self, tokens: Tensor) -> Tensor:
        states, _ = self.cell(self.tokens(tokens))
        return self.head(states.mean(1))


class GruLanguage(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, WIDTH)
        self.cell = nn.GRU(WIDTH, WIDTH, batch_first=True)
        self.head = nn.Linear(WIDTH, VOCABULARY)

    def forward(self, tokens: Tensor) -> Tensor:
        states, _ = self.cell(self.tokens(tokens))
        return self.head(states)


class CellLoop(nn.Module):
    """A recurrent cell written out by hand over a series."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Linear(4, WIDTH)
        self.recur = nn.Linear(WIDTH, WIDTH)
        self.head = nn.Linear(WIDTH, 8)
        glorot(self)
        nn.init.orthogonal_(self.recur.weight)

    def forward(self, series: Tensor) -> Tensor:
        state, heard = series.new_zeros(len(series), WIDTH), []
        for step in series.unbind(1):
            state = torch.tanh(self.enter(step) + self.recur(state))
            heard.append(state)
        return self.head(torch.stack(heard).mean(0))


class Temporal(nn.Module):
    """Dilated convolutions over a series with shortcuts."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(4, 32, 1)
        self.convs = nn.ModuleList([nn.Conv1d(32, 32, 3, padding=2**i, dilation=2**i) for i in range(4)])
        self.norms = nn.ModuleList([nn.BatchNorm1d(32) for _ in range(4)])
        self.head = nn.Linear(32 * 4, 8)
        he(self)

    def forward(self, series: Tensor) -> Tensor:
        x = self.first(series.transpose(1, 2))
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = x + F.relu(norm(conv(x)))
        return self.head(F.adaptive_avg_pool1d(x, 4).flatten(1))


class TextConv(nn.Module):
    """Windows of three widths over words, the strongest of each."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, 32, padding_idx=0)
        self.windows = nn.ModuleList([nn.Conv1d(32, 24, size) for size in (2, 3, 4)])
        self.hidden = nn.Linear(72, WIDTH)
        self.head = nn.Linear(WIDTH, 8)
        he(self)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.tokens(tokens).transpose(1, 2)
        found = torch.cat([F.relu(window(x)).amax(2) for window in self.windows], dim=1)
        return self.head(F.relu(self.hidden(found)))


class WordBag(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.EmbeddingBag(VOCABULARY, 32, padding_idx=0)
        self.hidden = nn.Linear(32, WIDTH)
        self.head = nn.Linear(WIDTH, 8)
        glorot(self)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(torch.tanh(self.hidden(self.words(tokens))))


class Graph(nn.Module):
    """Three rounds in which nodes hear the mean of their neighbours."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(8, WIDTH)
        self.own = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(3)])
        self.others = nn.ModuleList([nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(3)])
        self.head = nn.Linear(WIDTH, 4)
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.xavier_uniform_(m.weight)

    def forward(self, nodes: Tensor, links: Tensor) -> Tensor:
        shares = links / links.sum(2, keepdim=True)
        x = F.relu(self.first(nodes))
        for own, others in zip(self.own, self.others, strict=True):
            x = F.relu(own(x) + others(shares @ x))
        return self.head(x)


class GraphAttention(nn.Module):
    """Nodes choose to whom of their neighbours they listen."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(8, WIDTH)
        self.values = nn.ModuleList([nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(2)])
        self.asks = nn.ModuleList([nn.Linear(WIDTH, 1, bias=False) for _ in range(2)])
        self.tells = nn.ModuleList([nn.Linear(WIDTH, 1, bias=False) for _ in range(2)])
        self.norms = nn.ModuleList([nn.LayerNorm(WIDTH) for _ in range(2)])
        self.head = nn.Linear(WIDTH, 4)
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.xavier_uniform_(m.weight)

    def forward(self, nodes: Tensor, links: Tensor) -> Tensor:
        x = F.elu(self.first(nodes))
        for value, ask, tell, norm in zip(self.values, self.asks, self.tells, self.norms, strict=True):
            seen = value(x)
            scores = F.leaky_relu(ask(seen) + tell(seen).transpose(1, 2), 0.2)
            shares = scores.masked_fill(links == 0, -torch.inf).softmax(-1)
            x = norm(x + F.elu(shares @ seen))
        return self.head(x)


class PointCloud(nn.Module):
    """The same perceptron at every point, the largest of each feature, another perceptron."""

    def __init__(self) -> None:
        super().__init__()
        self.each = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH))
        self.together = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 8))
        he(self)

    def forward(self, points: Tensor) -> Tensor:
        return self.together(self.each(points).amax(1))


class SetAttention(nn.Module):
    """A learned query that asks the points, by torch's MultiheadAttention."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Linear(3, WIDTH)
        self.query = nn.Parameter(torch.randn(1, 4, WIDTH))
        self.attention = nn.MultiheadAttention(WIDTH, 4, batch_first=True)
        self.norm = nn.LayerNorm(WIDTH)
        self.hidden = nn.Linear(WIDTH, WIDTH)
        self.head = nn.Linear(4 * WIDTH, 8)

    def forward(self, points: Tensor) -> Tensor:
        x = F.relu(self.enter(points))
        asked, _ = self.attention(self.query.expand(len(x), -1, -1), x, x, need_weights=False)
        return self.head(F.relu(self.hidden(self.norm(asked))).flatten(1))


class Recommender(nn.Module):
    """Neural collaborative filtering: users and items looked up and compared by a perceptron."""

    def __init__(self) -> None:
        super().__init__()
        self.users = nn.Embedding(VOCABULARY, 24)
        self.items = nn.Embedding(VOCABULARY, 24)
        self.layers = nn.Sequential(nn.Linear(48, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU())
        self.head = nn.Linear(WIDTH, 1)
        he(self)
        for table in (self.users, self.items):
            nn.init.normal_(table.weight, std=0.5)

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        return self.head(self.layers(torch.cat([self.users(users), self.items(items)], dim=1)))
