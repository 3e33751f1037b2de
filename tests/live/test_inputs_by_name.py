"""Batches inferred for models whose inputs say by their names what they are: each is one that the model runs on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from initlint.live.batches.inference import infer

pytestmark = pytest.mark.torch


class Nodes(nn.Module):
    """Every node has a row of a table; edges are all that comes in."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(20, 6), nn.Linear(6, 2)

    def forward(self, edge_index: Tensor) -> Tensor:
        source, target = edge_index
        return self.head(self.table.weight.index_add(0, target, self.table(source)))


class Molecules(nn.Module):
    """Atoms by their numbers and places, of one molecule each."""

    def __init__(self) -> None:
        super().__init__()
        self.atoms, self.head = nn.Embedding(10, 6), nn.Linear(6, 2)

    def forward(self, z: Tensor, pos: Tensor, batch: Tensor) -> Tensor:
        assert pos.shape == (len(z), 3)
        near = torch.exp(-torch.cdist(pos, pos))
        found = near @ self.atoms(z)
        return self.head(found.new_zeros(int(batch.max()) + 1, 6).index_add(0, batch, found))


class Weighted(nn.Module):
    """A graph whose edges weigh."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        source, target = edge_index
        return x.new_zeros(len(x), 3).index_add(0, target, edge_weight[:, None] * self.layer(x)[source])


class Volumes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv3d(2, 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x).mean((2, 3, 4))


class Sized(nn.Module):
    """Images of one side alone, which the model says of itself."""

    def __init__(self, **said: object) -> None:
        super().__init__()
        self.body, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4 * 40 * 40, 2)
        for name, value in said.items():
            setattr(self, name, value)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).flatten(1))


class Both(nn.Module):
    """Two texts of one vocabulary."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(30, 4)

    def forward(self, input_ids: Tensor, decoder_input_ids: Tensor) -> Tensor:
        return self.table(input_ids) + self.table(decoder_input_ids)


class Normed(nn.Module):
    """Nothing but a norm says how wide the input is."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.norm = nn.Parameter(torch.ones(7)), nn.LayerNorm(7)

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * self.norm(x)


class Windows(nn.Module):
    """Patches of 4 pixels, and a table of nine entries that are no positions."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.table = nn.Conv2d(3, 4, 4, 4), nn.Parameter(torch.zeros(9, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.patches(x).flatten(1) * self.table.mean()


class Towers(nn.Module):
    """Each input has a tower, called as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.item_tower, self.user_tower = nn.Linear(9, 4), nn.Linear(5, 4)

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        return (self.user_tower(user) * self.item_tower(item)).sum(1)


class Crossed(nn.Module):
    """Two sequences of vectors, whose widths differ."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.kv = nn.Linear(6, 4), nn.Linear(10, 8)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        keys, values = self.kv(context).chunk(2, -1)
        return torch.softmax(self.q(x) @ keys.transpose(1, 2), -1) @ values


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (Windows, "8x3x64x64"),
        (Towers, "64x5 64x9"),
        (Crossed, "8x16x6 8x16x10"),
        (Nodes, "int64[2,80]<20"),
        (Molecules, "int64[64]<10 64x3 int64[64]<1"),
        (Weighted, "64x5 int64[2,256]<64 256"),
        (Volumes, "8x2x16x16x16"),
        (lambda: Sized(img_size=(40, 40)), "8x3x40x40"),
        (lambda: Sized(image_size=40), "8x3x40x40"),
        (lambda: Sized(pretrained_cfg={"fixed_input_size": True, "input_size": (3, 40, 40)}), "8x3x40x40"),
        (Both, "int64[8,16]<30 int64[8,16]<30"),
        (Normed, "64x7"),
    ],
)
def test_inputs_by_their_names(build: Callable[[], nn.Module], said: str) -> None:
    module = build()
    found = infer(module)
    assert found.description == said
    module(*found.args, **found.kwargs)


def test_a_model_without_inputs_needs_none() -> None:
    class Alone(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.latent = nn.Parameter(torch.randn(4, 4))

        def forward(self) -> Tensor:
            return self.latent.tanh()

    assert infer(Alone()).args == ()
