"""A decoder of 70 billion parameters: 80 layers of width 8192, RMSNorm, grouped-query attention, SwiGLU.

Too large for most machines, and audited on any of them without a weight being made:

    initlint check examples/sound/decoder_70b.py::decoder_70b --meta
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass(frozen=True)
class Config:
    vocabulary: int = 128_256
    width: int = 8192
    layers: int = 80
    heads: int = 64
    kv_heads: int = 8
    hidden: int = 28_672
    base: float = 500_000.0
    std: float = 0.02


class RMSNorm(nn.Module):
    def __init__(self, width, eps=1e-5):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps))


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.heads, self.kv_heads = config.heads, config.kv_heads
        self.size = config.width // config.heads
        self.query = nn.Linear(config.width, config.heads * self.size, bias=False)
        self.key = nn.Linear(config.width, config.kv_heads * self.size, bias=False)
        self.value = nn.Linear(config.width, config.kv_heads * self.size, bias=False)
        self.output = nn.Linear(config.heads * self.size, config.width, bias=False)

    def forward(self, x, cos, sin):
        batch, length, _ = x.shape
        q = self.query(x).view(batch, length, self.heads, self.size).transpose(1, 2)
        k = self.key(x).view(batch, length, self.kv_heads, self.size).transpose(1, 2)
        v = self.value(x).view(batch, length, self.kv_heads, self.size).transpose(1, 2)
        k, v = (each.repeat_interleave(self.heads // self.kv_heads, dim=1) for each in (k, v))
        mixed = F.scaled_dot_product_attention(rotated(q, cos, sin), rotated(k, cos, sin), v, is_causal=True)
        return self.output(mixed.transpose(1, 2).reshape(batch, length, -1))


def rotated(x, cos, sin):
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


class FeedForward(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.gate = nn.Linear(config.width, config.hidden, bias=False)
        self.up = nn.Linear(config.width, config.hidden, bias=False)
        self.down = nn.Linear(config.hidden, config.width, bias=False)

    def forward(self, x):
        return self.down(F.silu(self.gate(x)) * self.up(x))


class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.attention_norm = RMSNorm(config.width)
        self.attention = Attention(config)
        self.feed_forward_norm = RMSNorm(config.width)
        self.feed_forward = FeedForward(config)

    def forward(self, x, cos, sin):
        x = x + self.attention(self.attention_norm(x), cos, sin)
        return x + self.feed_forward(self.feed_forward_norm(x))


class Decoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        self.blocks = nn.ModuleList([Block(config) for _ in range(config.layers)])
        self.norm = RMSNorm(config.width)
        self.head = nn.Linear(config.width, config.vocabulary, bias=False)
        size = config.width // config.heads
        frequencies = config.base ** -(torch.arange(0, size, 2) / size)
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.apply(self.init_weights)
        for block in self.blocks:  # what the residual stream adds up, over the depth
            for last in (block.attention.output, block.feed_forward.down):
                nn.init.normal_(last.weight, std=config.std / math.sqrt(2 * config.layers))

    def init_weights(self, module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=self.config.std)

    def forward(self, tokens):
        angles = torch.arange(tokens.shape[1], device=tokens.device)[:, None] * self.frequencies
        angles = torch.cat((angles, angles), dim=-1)
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, angles.cos(), angles.sin())
        return self.head(self.norm(x))


def decoder_70b(layers=80):
    return Decoder(Config(layers=layers))
