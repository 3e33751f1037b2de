"""The grammar of --batch, batches as callers hand them over, and batches inferred."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from initlint.facts import absent
from initlint.live.audit import audit_module
from initlint.live.batches.batch import as_batch, make
from initlint.live.batches.batch_files import read_safetensors
from initlint.live.batches.batch_spec import DTYPES, BatchSpec, FileSpec, NestSpec, Spec, parse_spec
from initlint.live.batches.inference import infer
from initlint.live.batches.variation import varied

pytestmark = pytest.mark.torch

NAMES = st.none() | st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
LETTERS = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
SMALL = {"int8": 127, "uint8": 255, "int16": 32767}


@st.composite
def tensors(draw: st.DrawFn, name: st.SearchStrategy[str | None]) -> BatchSpec:
    dtype = draw(st.sampled_from(DTYPES))
    shape = tuple(draw(st.lists(st.integers(1, 64), max_size=5)))
    bound = span = None
    if "int" in dtype:
        bound = draw(st.none() | st.integers(1, SMALL.get(dtype, 10**6)))
    elif "float" in dtype:
        span = draw(st.none() | st.sampled_from([(0.0, 1.0), (-1.0, 1.0), (-2.5, 1e-3)]))
    return BatchSpec(shape, dtype, bound, draw(name), span)


@st.composite
def specs(draw: st.DrawFn, depth: int = 2, name: st.SearchStrategy[str | None] = NAMES) -> Spec:
    kind = draw(st.sampled_from(["tensor", "file", *("([{" if depth else "")]))
    if kind == "file":
        return FileSpec(draw(st.sampled_from(["a.pt", "b c/d.npz", "/x.safetensors"])), draw(name))
    if kind == "tensor":
        return draw(tensors(name))
    inner = specs(depth - 1, LETTERS if kind == "{" else st.none())
    return NestSpec(kind, tuple(draw(st.lists(inner, min_size=1, max_size=3))), draw(name))


@given(specs())
def test_a_spec_reads_back_what_it_prints(spec: Spec) -> None:
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
        ("8x3x32x32:0..1", BatchSpec((8, 3, 32, 32), span=(0, 1))),
        ("adj=64x64:graph", BatchSpec((64, 64), name="adj", graph=True)),
        ("int64[8]: -3 .. 3", BatchSpec((8,), "int64", span=(-3, 3))),
        ("x=(4x3, [bool[2]])", NestSpec("(", (BatchSpec((4, 3)), NestSpec("[", (BatchSpec((2,), "bool"),))), "x")),
        ("{a=2x3,b=@f.npz}", NestSpec("{", (BatchSpec((2, 3), name="a"), FileSpec("f.npz", "b")))),
        ("@a=b,c.pt", FileSpec("a=b,c.pt")),
    ],
)
def test_grammar(text: str, spec: BatchSpec) -> None:
    assert parse_spec(text) == spec


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "8x",
        "8x0",
        "float99[2]",
        "float32[2]<3",
        "int64[2]<0",
        "8,3",
        "a=b=3",
        "int64[2",
        "9" * 40,
        "8x3\n9x",
        "4x5:graph",
        "int64[4,4]:graph",
    ],
)
def test_malformed(text: str) -> None:
    with pytest.raises(ValueError, match=r"batch|size|bound|number|dtype") as caught:
        parse_spec(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("int64[2,,3]", "at character 9 ("),
        ("x=8x3x0", "at character 7 ('0')"),
        ("(8x3,8x4", "at its end"),
        ("8x3:0", "at its end"),
        ("int64[3]:0.5..1", "at character 10 "),
        ("8x3:1..0", "at character 5 "),
        ("int8[3]<200", "at character 9 "),
        ("(a=8x3)", "at character 2 "),
        ("{8x3}", "at character 2 "),
        ("()", "at character 1 "),
        ("x=@a.bin", "at character 3 "),
        ("@", "at character 1 "),
        ("(" * 40, "lie too deep"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, place: str) -> None:
    with pytest.raises(ValueError, match="not a batch") as caught:
        parse_spec(text)
    assert place in str(caught.value)


def test_values_of_a_range_fill_it() -> None:
    image, ids, pair, nest = make(
        [parse_spec(text) for text in ("8x3x32x32:0..1", "int64[999]:-2..2", "(4x3,uint8[2])", "{a=2x3,b=4}")]
    ).args
    assert 0 <= float(image.min()) < 0.1
    assert 0.9 < float(image.max()) <= 1
    assert ids.unique().tolist() == [-2, -1, 0, 1, 2]
    assert isinstance(pair, tuple)
    assert pair[1].dtype == torch.uint8
    assert nest["a"].shape == (2, 3)
    (widest,) = make([parse_spec("8x8:-3e38..3e38")]).args
    assert widest.isfinite().all()
    assert float(widest.max()) > 1e38


def test_files(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    x, ids = torch.randn(4, 3), torch.tensor([[3, 1]])
    torch.save({"x": x, "ids": ids}, tmp_path / "both.pt")
    torch.save((x, ids), tmp_path / "pair.pt")
    numpy.savez(tmp_path / "both.npz", x=x.numpy(), ids=ids.numpy())
    numpy.savez(tmp_path / "pair.npz", x.numpy(), ids.numpy())
    (tmp_path / "both.safetensors").write_bytes(safetensors_file(x, ids))
    for name in ("both.pt", "both.npz", "both.safetensors"):
        batch = as_batch(f"@{tmp_path / name}")
        assert torch.equal(batch.kwargs["x"], x), name
        assert torch.equal(batch.kwargs["ids"], ids), name
    for name in ("pair.pt", "pair.npz"):
        assert [t.dtype for t in as_batch(f"@{tmp_path / name}").args] == [torch.float32, torch.int64]
    assert torch.equal(as_batch([f"(@{tmp_path / 'pair.pt'},2x2)"]).args[0][0][0], x)
    assert read_safetensors(str(tmp_path / "both.safetensors"))["x"].tolist() == x.tolist()


def safetensors_file(x: torch.Tensor, ids: torch.Tensor) -> bytes:
    header = {
        "__metadata__": {"format": "pt"},
        "x": {"dtype": "F32", "shape": list(x.shape), "data_offsets": [0, 48]},
        "ids": {"dtype": "I64", "shape": list(ids.shape), "data_offsets": [48, 64]},
    }
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + x.numpy().tobytes() + ids.numpy().tobytes()


class Harmful:
    """Makes a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return open, (self.path, "w")


def test_a_file_runs_nothing_and_breaks_nothing(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    proof = tmp_path / "proof"
    torch.save(Harmful(str(proof)), tmp_path / "harm.pt")
    numpy.save(tmp_path / "harm.npy", numpy.array([Harmful(str(proof))]), allow_pickle=True)
    good = safetensors_file(torch.randn(4, 3), torch.tensor([[3, 1]]))
    for name, content in {
        "short.safetensors": good[:5],
        "cut.safetensors": good[:-1],
        "long.safetensors": (1 << 62).to_bytes(8, "little") + good[8:],
        "shape.safetensors": good.replace(b"[4, 3]", b"[4, 9]"),
        "minus.safetensors": good.replace(b"[4, 3]", b"[-4,3]"),
        "text.pt": b"x,y\n1,2\n",
        "empty.npz": b"",
    }.items():
        (tmp_path / name).write_bytes(content)
        if name.endswith("safetensors"):
            with pytest.raises(ValueError, match=r"safetensors|'x'|'ids'"):
                read_safetensors(str(tmp_path / name))
    for name in sorted(path.name for path in tmp_path.iterdir()):
        with pytest.raises(ValueError, match="tensors") as caught:
            as_batch(f"@{tmp_path / name}")
        assert len(str(caught.value).splitlines()) == 1
    assert not proof.exists()


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

    with pytest.raises(ValueError, match=r"RuntimeError: needs a graph \(.*test_batch.py:\d+\) on 8x3x"):
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


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(12, 4)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.fc(x) + self.fc(y)  # no classes, for all that it is called y


class ByName(Pair):
    def forward(self, *, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return super().forward(x, y)


class Optional(Pair):
    def forward(self, x: torch.Tensor | None = None) -> torch.Tensor:  # type: ignore[override]
        assert x is not None
        return self.fc(x)


@pytest.mark.parametrize(("build", "said"), [(Pair, "64x12 64x12"), (ByName, "x=64x12 y=64x12"), (Optional, "x=64x12")])
def test_inputs_that_say_little_of_themselves(build: type[nn.Module], said: str) -> None:
    assert infer(build()).description == said


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


def test_images_are_large_enough_that_no_map_ends_as_one_pixel() -> None:
    def strided(strides: int, *end: nn.Module) -> nn.Module:
        layers = [nn.Conv2d(3 if not i else 4, 4, 3, stride=2, padding=1) for i in range(strides)]
        return nn.Sequential(*layers, *end)

    pooled = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)]
    assert infer(strided(4, *pooled)).description == "8x3x64x64"
    assert infer(strided(6, *pooled)).description == "8x3x128x128"
    assert infer(strided(6, nn.Flatten(), nn.Linear(4, 2))).description == "8x3x64x64"  # made for that size


def test_a_graph_and_its_edges() -> None:
    class Graph(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(5, 3)

        def forward(self, x: torch.Tensor, edge_index: torch.Tensor) -> torch.Tensor:
            source, target = edge_index
            return torch.zeros(len(x), 3).index_add_(0, target, self.layer(x)[source])

    assert infer(Graph()).description == "64x5 int64[2,256]<64"


class Patched(nn.Module):
    """Squares of an image, read one by one: each alone would do, for all that the layers say."""

    def __init__(self, side: int = 4, count: int = 8) -> None:
        super().__init__()
        self.side, self.positions = side, nn.Parameter(torch.randn(1, count * count + 1, 12))
        self.embed = nn.Linear(3 * side * side, 12)

    def forward(self, img: torch.Tensor) -> torch.Tensor:
        across = img.shape[2] // self.side
        cut = img.reshape(len(img), 3, across, self.side, across, self.side).permute(0, 2, 4, 1, 3, 5)
        patches = self.embed(cut.reshape(len(img), across * across, -1))
        return patches + self.positions[:, 1 : across * across + 1]


class Convolved(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(7, 3))

    def forward(self, x: torch.Tensor, adj: torch.Tensor) -> torch.Tensor:
        return adj @ (x @ self.weight)


class Packed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.lstm = nn.Embedding(9, 5), nn.LSTM(5, 3, batch_first=True)

    def forward(self, text: torch.Tensor, text_lengths: torch.Tensor) -> torch.Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(self.embedding(text), text_lengths, batch_first=True)
        return self.lstm(packed)[1][0][-1]


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (Patched, "8x3x32x32"),
        (lambda: Patched(8, 5), "8x3x40x40"),
        (Convolved, "64x7 64x64:graph"),
        (Packed, "int64[8,16]<9 int64[8]:16..16"),
    ],
)
def test_patches_graphs_and_lengths(build: Callable[[], nn.Module], said: str) -> None:
    assert infer(build()).description == said


def test_a_graph_passes_on_what_it_gets_and_stays_a_graph() -> None:
    (graph,) = make([parse_spec("3x20x20:graph")]).args
    assert torch.allclose(graph.sum(-1), torch.ones(3, 20))
    assert bool((graph.diagonal(dim1=-2, dim2=-1) > 0).all())
    assert float((graph == 0).float().mean()) > 0.5
    assert torch.equal(varied(graph), graph)


class Configured(nn.Module):
    """As transformers has them: all inputs optional, sizes in a configuration, two of them needed together."""

    main_input_name = "input_ids"
    dummy_inputs = {"input_ids": torch.zeros(3, 5, dtype=torch.int64)}

    def __init__(self) -> None:
        super().__init__()
        text, vision = SimpleNamespace(vocab_size=37), SimpleNamespace(image_size=24, num_channels=1)
        self.config = SimpleNamespace(text_config=text, vision_config=vision)
        self.embed = nn.Embedding(37, 4)
        self.patches = nn.Conv2d(1, 4, 12, stride=12)

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
    ) -> torch.Tensor:
        if input_ids is None or pixel_values is None:
            raise ValueError("both are needed")
        return self.embed(input_ids).mean(1) + self.patches(pixel_values).mean((2, 3))


def test_what_a_configuration_says() -> None:
    assert infer(Configured()).description == "input_ids=int64[8,16]<37 pixel_values=8x1x24x24"


def test_a_detector_is_given_boxes() -> None:
    class Detector(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, images: list[torch.Tensor], targets: list[dict[str, torch.Tensor]] | None = None) -> Any:
            assert targets is not None
            assert all((target["boxes"][:, 2:] > target["boxes"][:, :2]).all() for target in targets)
            return self.conv(torch.stack(images))

    assert infer(Detector()).description == "[3x128x128,3x128x128] with 3 boxes each"


def test_each_input_to_give_is_named() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, left: torch.Tensor, right: object) -> torch.Tensor:
            raise NotImplementedError("of no use")

    with pytest.raises(ValueError, match="--batch for each of left, right"):
        infer(Odd())
