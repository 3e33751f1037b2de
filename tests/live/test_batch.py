"""The grammar of --batch, batches as callers hand them over, and batches inferred."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from initlint.live.batch import as_batch, infer, make
from initlint.live.batch_spec import DTYPES, BatchSpec, parse_spec

pytestmark = pytest.mark.torch

NAMES = st.none() | st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)


@st.composite
def specs(draw: st.DrawFn) -> BatchSpec:
    dtype = draw(st.sampled_from(DTYPES))
    shape = tuple(draw(st.lists(st.integers(1, 64), max_size=5)))
    bound = draw(st.none() | st.integers(1, 10**6)) if dtype.startswith("int") else None
    return BatchSpec(shape, dtype, bound, draw(NAMES))


@given(specs())
def test_a_spec_reads_back_what_it_prints(spec: BatchSpec) -> None:
    assert parse_spec(str(spec)) == spec


@given(st.text(max_size=30))
def test_any_text_gives_a_spec_or_one_line(text: str) -> None:
    try:
        said = str(parse_spec(text))
    except ValueError as error:
        said = str(error)
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("8x3x32x32", BatchSpec((8, 3, 32, 32))),
        ("int64[2,128]<50257", BatchSpec((2, 128), "int64", 50257)),
        ("input_ids=int64[2, 16]<500", BatchSpec((2, 16), "int64", 500, "input_ids")),
        ("bool[4,7]", BatchSpec((4, 7), "bool")),
        ("float16[]", BatchSpec((), "float16")),
    ],
)
def test_grammar(text: str, spec: BatchSpec) -> None:
    assert parse_spec(text) == spec


@pytest.mark.parametrize(
    "text",
    ["", "x", "8x", "8x0", "float99[2]", "float32[2]<3", "int64[2]<0", "8,3", "a=b=3", "int64[2", "9" * 40, "8x3\n9x"],
)
def test_malformed(text: str) -> None:
    with pytest.raises(ValueError, match=r"batch|size|bound|number|dtype") as caught:
        parse_spec(text)
    assert "\n" not in str(caught.value)


def test_tensors_are_what_was_asked_for() -> None:
    batch = make([parse_spec("2x3x32x32"), parse_spec("int64[2,9]<7"), parse_spec("mask=bool[2,9]")])
    image, ids = batch.args
    assert image.shape == (2, 3, 32, 32)
    assert image.std() == pytest.approx(1, rel=1e-3)
    rough = (image[..., 1:] - image[..., :-1]).std()
    assert rough < 0.5  # neighbouring pixels are alike
    assert ids.dtype == torch.int64
    assert 0 <= int(ids.min()) <= int(ids.max()) < 7
    assert batch.kwargs["mask"].all()
    assert batch.description == "2x3x32x32 int64[2,9]<7 mask=bool[2,9]"


def test_a_batch_as_a_caller_has_it() -> None:
    x = torch.zeros(4, 3)
    assert as_batch(x).description == "4x3"
    assert as_batch({"x": x}).description == "x=4x3"
    both = as_batch(((x,), {"ids": torch.tensor([1, 4])}))
    assert both.description == "4x3 ids=int64[2]<5"
    assert as_batch(["4x3", "n=4"]).kwargs["n"].shape == (4,)
    with pytest.raises(TypeError):
        as_batch(3)


class Named(nn.Module):
    """Tokens and a mask by name."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(31, 8)
        self.head = nn.Linear(8, 2)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        assert input_ids.shape == attention_mask.shape
        return self.head(self.embed(input_ids) * attention_mask[..., None])


class Large(nn.Module):
    """Takes images of 64 pixels only."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 8, stride=8)
        self.head = nn.Linear(4 * 64, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv(x).flatten(1))


@pytest.mark.parametrize(
    ("build", "start"),
    [
        (lambda: nn.Linear(13, 2), "64x13"),
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), "8x3x"),
        (lambda: nn.Sequential(nn.Conv1d(5, 4, 3)), "8x5x"),
        (Large, "8x3x64x64"),
        (lambda: nn.LSTM(6, 4, batch_first=True), "8x16x6"),
        (lambda: nn.Sequential(nn.Embedding(17, 4), nn.Linear(4, 2)), "int64[8,16]<17"),
        (Named, "int64[8,16]<31 bool[8,16]"),
        (lambda: nn.TransformerEncoderLayer(16, 2, 32), ""),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), "64x784"),
    ],
)
def test_inferred(build: type[nn.Module], start: str) -> None:
    module = build()
    batch = infer(module)
    assert batch.description.startswith(start)
    module(*batch.args, **batch.kwargs)


def test_what_cannot_be_inferred_is_said() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, graph: object, *, edges: object) -> torch.Tensor:
            raise NotImplementedError

    with pytest.raises(ValueError, match="--batch"):
        infer(Odd())


def test_a_model_that_carries_its_own_example() -> None:
    class Lightningish(nn.Module):
        example_input_array = torch.zeros(2, 5)

        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(5, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x)

    assert infer(Lightningish()).description == "2x5"
