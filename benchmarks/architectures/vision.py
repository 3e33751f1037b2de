"""Networks of images: convolutional stacks, residual, dense, separable, U-shaped, patches."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from architectures.dense import he

WIDTH = 16


class PlainConv(nn.Module):
    """Six convolutions without a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, WIDTH, 3, stride=2, padding=1)
        self.body = nn.ModuleList([nn.Conv2d(WIDTH, WIDTH, 3, padding=1) for _ in range(5)])
        self.head = nn.Linear(WIDTH * 16, 10)
        he(self)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(x))
        for conv in self.body:
            x = F.relu(conv(x))
        return self.head(F.max_pool2d(x, 2).flatten(1))


class NormedConv(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *[
                nn.Sequential(
                    nn.Conv2d(3 if i == 0 else WIDTH, WIDTH, 3, stride=2 if i in (0, 2) else 1, padding=1, bias=False),
                    nn.BatchNorm2d(WIDTH),
                    nn.ReLU(),
                )
                for i in range(5)
            ]
        )
        self.head = nn.Linear(WIDTH * 16, 10)
        he(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).flatten(1))


class ResidualBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x))))))


class ResNet(nn.Module):
    """The last norm of each branch starts at zero, as is usual."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, WIDTH, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(WIDTH)
        self.blocks = nn.Sequential(*[ResidualBlock(WIDTH) for _ in range(3)])
        self.head = nn.Linear(WIDTH * 4, 10)
        he(self)
        for block in self.blocks:
            nn.init.zeros_(block.norm2.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(F.relu(self.norm(self.stem(x))))
        return self.head(F.adaptive_avg_pool2d(x, 2).flatten(1))


class PreActivation(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(4, width)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.norm2 = nn.GroupNorm(4, width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.silu(self.norm2(self.conv1(F.silu(self.norm1(x))))))


class GroupNormed(nn.Module):
    """Pre-activation residual blocks with group norm."""

    residual = ("conv2",)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, WIDTH, 3, stride=2, padding=1)
        self.blocks = nn.Sequential(*[PreActivation(WIDTH) for _ in range(3)])
        self.norm = nn.GroupNorm(4, WIDTH)
        self.head = nn.Linear(WIDTH * 4, 10)
        he(self)
        for block in self.blocks:
            nn.init.normal_(block.conv2.weight, std=0.5 / math.sqrt(9 * WIDTH * 3))

    def forward(self, x: Tensor) -> Tensor:
        x = F.silu(self.norm(self.blocks(self.stem(x))))
        return self.head(F.adaptive_avg_pool2d(x, 2).flatten(1))


class FixupNet(nn.Module):
    """Residual convolutions without a norm; the second of each branch starts at zero."""

    residual = ("second",)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, WIDTH, 3, stride=2, padding=1)
        self.blocks = nn.ModuleList([_Fixup() for _ in range(10)])
        self.head = nn.Linear(WIDTH * 4, 10)
        he(self)
        for block in self.blocks:
            nn.init.zeros_(block.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        for block in self.blocks:
            x = block(x)
        return self.head(F.adaptive_avg_pool2d(x, 2).flatten(1))


class _Fixup(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.second = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(x)))


class Dense(nn.Module):
    """Every layer sees the outputs of all before it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, WIDTH, 3, stride=2, padding=1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(WIDTH + 8 * i) for i in range(4)])
        self.convs = nn.ModuleList([nn.Conv2d(WIDTH + 8 * i, 8, 3, padding=1, bias=False) for i in range(4)])
        self.norm = nn.BatchNorm2d(WIDTH + 32)
        self.head = nn.Linear(4 * (WIDTH + 32), 10)
        he(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for norm, conv in zip(self.norms, self.convs, strict=True):
            x = torch.cat([x, conv(F.relu(norm(x)))], dim=1)
        return self.head(F.adaptive_avg_pool2d(F.relu(self.norm(x)), 2).flatten(1))


class Separable(nn.Module):
    """MobileNet's blocks: a wide point, a depthwise kernel, a narrow point."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, WIDTH, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(WIDTH), nn.ReLU6()
        )
        self.blocks = nn.ModuleList([_Inverted() for _ in range(3)])
        self.head = nn.Linear(4 * WIDTH, 10)
        he(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(F.adaptive_avg_pool2d(x, 2).flatten(1))


class _Inverted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        wide = 3 * WIDTH
        self.body = nn.Sequential(
            nn.Conv2d(WIDTH, wide, 1, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU6(),
            nn.Conv2d(wide, wide, 3, padding=1, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU6(),
            nn.Conv2d(wide, WIDTH, 1, bias=False),
            nn.BatchNorm2d(WIDTH),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class ConvNext(nn.Module):
    """Depthwise kernels, a layer norm, a wide pair of points, a scale that starts small."""

    residual = ("down",)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, WIDTH, 4, stride=2, padding=1)
        self.blocks = nn.ModuleList([_ConvNextBlock() for _ in range(3)])
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, 10)
        for m in self.modules():
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                nn.init.trunc_normal_(m.weight, std=0.1)
                nn.init.zeros_(m.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x.mean((2, 3))))


class _ConvNextBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(WIDTH, WIDTH, 5, padding=2, groups=WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.up = nn.Linear(WIDTH, 4 * WIDTH)
        self.down = nn.Linear(4 * WIDTH, WIDTH)
        self.scale = nn.Parameter(0.1 * torch.ones(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + (self.scale * self.down(F.gelu(self.up(y)))).permute(0, 3, 1, 2)


class Squeezed(nn.Module):
    """Convolutions whose channels are weighed by what the whole map says."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(3 if i == 0 else WIDTH, WIDTH, 3, padding=1) for i in range(4)])
        self.norms = nn.ModuleList([nn.BatchNorm2d(WIDTH) for _ in range(4)])
        self.squeeze = nn.ModuleList([nn.Linear(WIDTH, 4) for _ in range(4)])
        self.excite = nn.ModuleList([nn.Linear(4, WIDTH) for _ in range(4)])
        self.head = nn.Linear(16 * WIDTH, 10)
        he(self)

    def forward(self, x: Tensor) -> Tensor:
        x = F.avg_pool2d(x, 2)
        for conv, norm, squeeze, excite in zip(self.convs, self.norms, self.squeeze, self.excite, strict=True):
            x = F.relu(norm(conv(x)))
            weights = torch.sigmoid(excite(F.relu(squeeze(x.mean((2, 3))))))
            x = x * weights[:, :, None, None]
        return self.head(F.adaptive_avg_pool2d(x, 4).flatten(1))


class UNet(nn.Module):
    """Down two levels and up again, with shortcuts between equals."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = _double(1, 8)
        self.down = _double(8, 16)
        self.bottom = _double(16, 32)
        self.rise1 = nn.ConvTranspose2d(32, 16, 2, stride=2)
        self.up1 = _double(32, 16)
        self.rise2 = nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.up2 = _double(16, 8)
        self.head = nn.Conv2d(8, 3, 1)
        he(self)
        for rise in (self.rise1, self.rise2):
            nn.init.normal_(rise.weight, std=1 / math.sqrt(rise.in_channels))
            nn.init.zeros_(rise.bias)

    def forward(self, x: Tensor) -> Tensor:
        high = self.enter(x)
        middle = self.down(F.max_pool2d(high, 2))
        low = self.bottom(F.max_pool2d(middle, 2))
        middle = self.up1(torch.cat([self.rise1(low), middle], dim=1))
        return self.head(self.up2(torch.cat([self.rise2(middle), high], dim=1)))


def _double(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class ConvAutoencoder(nn.Module):
    """Strided convolutions down, transposed ones up, no norm."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 16, 4, stride=2, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 4, stride=2, padding=1), nn.ReLU()
        )
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(16, 16, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 1, 3, padding=1),
        )
        he(self)
        for m in self.decoder:
            if isinstance(m, nn.ConvTranspose2d):
                nn.init.normal_(m.weight, std=math.sqrt(2 / (m.in_channels * 4)))  # each output sums over 2 x 2 taps
                nn.init.zeros_(m.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


class PatchMixer(nn.Module):
    """MLP-Mixer: across patches, then across channels."""

    residual = ("tokens_out", "channels_out")

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 32, 4, stride=4)
        self.blocks = nn.ModuleList([_Mixing() for _ in range(3)])
        self.norm = nn.LayerNorm(32)
        self.head = nn.Linear(32, 10)
        for m in self.modules():
            if isinstance(m, (nn.Linear, nn.Conv2d)):
                nn.init.xavier_uniform_(m.weight)
                nn.init.zeros_(m.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x).mean(1))


class _Mixing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(32)
        self.tokens_in = nn.Linear(16, 32)
        self.tokens_out = nn.Linear(32, 16)
        self.norm2 = nn.LayerNorm(32)
        self.channels_in = nn.Linear(32, 64)
        self.channels_out = nn.Linear(64, 32)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x).transpose(1, 2)
        x = x + self.tokens_out(F.gelu(self.tokens_in(y))).transpose(1, 2)
        return x + self.channels_out(F.gelu(self.channels_in(self.norm2(x))))


class VisionTransformer(nn.Module):
    """Patches, a class token, position table, pre-normed attention."""

    residual = ("project", "down")

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 32, 4, stride=4)
        self.token = nn.Parameter(torch.zeros(1, 1, 32))
        self.position = nn.Parameter(torch.empty(1, 17, 32))
        self.blocks = nn.ModuleList([AttentionBlock(32, 4) for _ in range(3)])
        self.norm = nn.LayerNorm(32)
        self.head = nn.Linear(32, 10)
        nn.init.trunc_normal_(self.position, std=0.02)
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.xavier_uniform_(m.weight)
                nn.init.zeros_(m.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.position
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


class AttentionBlock(nn.Module):
    """Pre-normed self-attention and a two-layer perceptron; ``causal`` hides what comes later."""

    def __init__(self, width: int, heads: int, *, causal: bool = False) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm1(x)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        x = x + self.project(mixed.transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm2(x))))
