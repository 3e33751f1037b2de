"""Batches drawn anew from the one at hand: what may vary does, what must not does not, and all stays where it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from initlint.facts import known
from initlint.live.batches.variation import batch_size, differing, map_tensors, take, tiled, varied

pytestmark = pytest.mark.torch


class Pair(NamedTuple):
    first: Tensor
    second: Any


class Wrapped:
    def __init__(self) -> None:
        self.tensor = torch.zeros(3)


NEST = {"a": [torch.arange(6).reshape(3, 2)], "b": Pair(torch.zeros(3), None), "c": (torch.tensor(1.0), "text")}


def test_a_nest_keeps_its_form() -> None:
    twice = tiled(NEST, 2)
    assert (type(twice["b"]), twice["b"].second, twice["c"][1]) == (Pair, None, "text")
    assert (len(twice["a"][0]), len(twice["b"].first), twice["c"][0].dim()) == (6, 6, 0)
    assert torch.equal(take(twice, 3)["a"][0], NEST["a"][0])  # type: ignore[index]
    assert map_tensors(Wrapped, lambda t: t) is Wrapped


@pytest.mark.parametrize(
    ("args", "kwargs", "size"),
    [
        ((torch.zeros(3, 2), torch.zeros(3)), {"mask": torch.zeros(3)}, 3),
        ((torch.zeros(3, 2),), {"more": {"x": torch.zeros(3), "scale": torch.tensor(1.0)}}, 3),
        ((torch.zeros(3, 2), torch.zeros(4)), {}, None),
        ((torch.zeros(3, 2),), {"more": {"x": [torch.zeros(3)]}}, None),
        (([torch.zeros(3, 2)],), {}, None),
        ((torch.zeros(3, 2), Wrapped()), {}, None),
        ((torch.eye(3).to_sparse(),), {}, None),
        ((torch.tensor(1.0), 3, "text"), {}, None),
    ],
)
def test_the_batch_is_what_all_tensors_agree_on(args: Any, kwargs: Mapping[str, Any], size: int | None) -> None:
    assert batch_size(args, kwargs) == size


@pytest.mark.parametrize(
    "value",
    [
        torch.rand(4, 5) > 0.5,
        torch.tensor([[1, 0, 1], [0, 1, 1]]),
        torch.full((3, 4), 2.5),
        torch.tensor(0.3),
        torch.zeros(0, 3),
        torch.randn(3, dtype=torch.complex64),
        torch.arange(6)[None],
        torch.tensor([[5, 2, 7]]),
        torch.tensor([[3, 1, 4], [3, 1, 4]]),
        torch.tensor([[0.0, 2.0, 1.0], [2.0, 0.0, 3.0], [1.0, 3.0, 0.0]]),
        torch.softmax(torch.randn(4, 4), -1),
        "text",
    ],
    ids=["bool", "mask", "constant", "number", "empty", "complex", "places", "few", "alike", "graph", "walk", "text"],
)
def test_what_is_no_sample_stays(value: Any) -> None:
    again = varied(value)
    assert again is value or torch.equal(again, value)


@pytest.mark.parametrize("rows", [1, 4])
def test_tokens_are_drawn_from_those_present_between_the_special_ones(rows: int) -> None:
    torch.manual_seed(0)
    ids = torch.randint(5, 50, (rows, 40))
    ids[:, 0], ids[:, -1] = 1, 2
    again = varied(ids)
    assert (again.shape, again.dtype) == (ids.shape, ids.dtype)
    assert not torch.equal(again, ids)
    assert set(again[:, 1:-1].flatten().tolist()) <= set(ids.flatten().tolist())
    assert set(again[:, 0].tolist()) == {1}
    assert set(again[:, -1].tolist()) == {2}


@pytest.mark.parametrize("shape", [(64,), (64, 8), (16, 3, 12, 12), (16, 2, 8)])
@pytest.mark.parametrize("positive", [True, False])
def test_numbers_stay_in_their_range_and_keep_their_spread(shape: tuple[int, ...], positive: bool) -> None:
    torch.manual_seed(0)
    value = torch.rand(shape) if positive else torch.randn(shape)
    again = varied(value)
    assert again.shape == value.shape
    assert not torch.equal(again, value)
    if positive or len(shape) == 1:
        assert value.min() <= again.min()
        assert again.max() <= value.max()
    else:
        assert float(again.std()) == pytest.approx(float(value.std()), rel=0.25)
        assert float(again.mean()) == pytest.approx(float(value.mean()), abs=0.2)


def test_how_much_of_a_batch_differs_between_its_samples() -> None:
    noise, same = torch.randn(64, 32, generator=torch.Generator().manual_seed(0)), torch.randn(1, 32).expand(64, -1)
    tokens = torch.arange(64)[:, None] * torch.tensor([0, 0, 0, 1])
    assert differing((noise,), {}) > 0.95
    assert differing((same + 0.01 * noise,), {}) < 0.05
    assert differing((same,), {"mask": torch.ones(64, 32, dtype=torch.bool)}) == 0.0
    assert differing((same, noise), {}) > 0.95, "one input that varies is enough"
    assert differing((tokens,), {}) == pytest.approx(0.25, abs=0.01)
    assert not known(differing((noise[:1],), {}))
    assert not known(differing((noise, noise[:8]), {})), "where do the samples lie?"
