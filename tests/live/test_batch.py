"""The grammar of --batch, batches as callers hand them over, and batches inferred."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from initlint.facts import absent
from initlint.live.audit import audit_module
from initlint.live.batch import as_batch, make
from initlint.live.batch_spec import DTYPES, BatchSpec, parse_spec
from initlint.live.inference import infer

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
    assert both.description == "4x3 ids=int64[2]"
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


class Late(nn.Module):
    """Registers the body before the layer that reads the images."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(12, 12, 3, padding=1)
        self.stem = nn.Conv2d(3, 12, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(self.stem(x))


class LateLinear(nn.Module):
    """Three widths, the input's last."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(24, 2)
        self.body = nn.Linear(48, 24)
        self.stem = nn.Linear(7, 48)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(self.stem(x)))


class LateEmbedding(nn.Module):
    """Positions are registered before tokens, and tokens after another table."""

    def __init__(self) -> None:
        super().__init__()
        self.position = nn.Embedding(16, 8)
        self.embed = nn.Embedding(90, 8)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.embed(input_ids) + self.position(torch.arange(input_ids.shape[1]))


def atari() -> nn.Module:
    """Four frames of 84 x 84 in, which only the width of the linear layer tells."""
    return nn.Sequential(
        nn.Conv2d(4, 8, 8, stride=4), nn.ReLU(), nn.Conv2d(8, 4, 4, stride=2), nn.Flatten(), nn.Linear(4 * 81, 2)
    )


@pytest.mark.parametrize(
    ("build", "start"),
    [(Late, "8x3x64x64"), (LateLinear, "64x7"), (LateEmbedding, "int64[8,16]"), (atari, "8x4x84x84")],
)
def test_the_layer_that_reads_the_input_need_not_come_first(build: type[nn.Module], start: str) -> None:
    module = build()
    batch = infer(module)
    assert batch.description.startswith(start)
    module(*batch.args, **batch.kwargs)


def test_latents_of_a_transformer_with_a_fixed_grid_times_and_classes() -> None:
    class Latents(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches = nn.Conv2d(4, 8, 2, 2)
            self.classes = nn.Embedding(11, 8)
            self.positions = nn.Parameter(torch.randn(1, 64, 8))

        def forward(self, x: torch.Tensor, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            x = self.patches(x).flatten(2).transpose(1, 2) + self.positions
            return x + (t[:, None].float() + self.classes(y))[:, None]

    assert infer(Latents()).description == "8x4x16x16 int64[8]<11 int64[8]<11"


@pytest.mark.parametrize("reads", [False, True])
def test_no_fake_stays_behind(reads: bool) -> None:
    class Shared(nn.Module):
        """One block at three places, a buffer that is made anew, a cache, and perhaps a value that is read."""

        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 8, 16, stride=16)
            self.blocks = nn.Sequential(*[nn.Linear(8, 8)] * 3)
            self.register_buffer("mean", torch.zeros(8))
            self.head = nn.Linear(4 * 8, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.stem(x).flatten(2).transpose(1, 2)
            self.mean = x.mean((0, 1))
            self.cache = torch.arange(8)
            if reads and float(x.abs().sum()) < 0:
                raise AssertionError
            return self.head(self.blocks(x + self.mean + self.cache).flatten(1))

    from torch._subclasses.fake_tensor import FakeTensor

    module = Shared()
    assert infer(module).description == "8x3x32x32"
    held = [*module.parameters(), *module.buffers(), module.cache]
    assert not any(isinstance(tensor, FakeTensor) for tensor in held)
    assert module.blocks[0].weight is module.blocks[2].weight
    model = audit_module(Shared(), None, name="m").models[0]
    assert absent(model.not_run)


def test_the_failure_told_is_that_of_the_batch_that_got_furthest() -> None:
    class Picky(nn.Module):
        """Refuses every batch, images after its first layer."""

        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)
            self.head = nn.Linear(9, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.conv(x)
            raise RuntimeError("needs a graph")

    with pytest.raises(ValueError, match=r"give one with --batch \(8x3x.* gave RuntimeError: needs a graph"):
        infer(Picky())


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        (torch.tensor([[3, 7], [1, 0]]), "int64[2,2]<90"),
        ({"input_ids": torch.tensor([[3, 7], [1, 0]])}, "input_ids=int64[2,2]<90"),
        ("int64[2,4]<30", "int64[2,4]<30"),
    ],
)
def test_integers_are_described_by_the_embedding_that_reads_them(batch: object, said: str) -> None:
    model = audit_module(LateEmbedding(), batch, name="m").models[0]
    assert model.probe.batch == said


def test_integers_that_no_embedding_reads_have_no_bound() -> None:
    class Times(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(1, 4)

        def forward(self, t: torch.Tensor) -> torch.Tensor:
            return self.layer(t[:, None].float())

    assert audit_module(Times(), torch.arange(8), name="m").models[0].probe.batch == "int64[8]"


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
