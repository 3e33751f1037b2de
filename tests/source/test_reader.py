"""The reader's door: what is refused, what is passed over, what a file offers to be built."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from initlint.facts import known
from initlint.source.reader import might_matter, read
from initlint.source.text.parsing import SourceError

from .reading import PRELUDE, facts, net, source

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"import torch\nx = (\n", 2),
        (b"import torch\n\nx = 1 +* 2\n", 3),
        (b"import torch\nx = '\xff'\n", 2),
        (b"# coding: no-such-thing\n", 1),
        (b"import torch\n\0", 2),
        (b"\xef\xbb\xbf# coding: latin-1\n", 1),
        (b"# vim: set fileencoding=punycode :\n#-", 1),  # the line feed that Python adds at the end is no punycode
    ],
)
def test_what_python_cannot_parse_is_a_source_error_with_its_line(data: bytes, line: int) -> None:
    with pytest.raises(SourceError) as caught:
        read(data, "x.py")
    assert caught.value.line == line
    assert "\n" not in caught.value.message


def test_deep_nesting_is_no_traceback() -> None:
    for text in ("(" * 500, "x = " + "-" * 100_000 + "1", "f" + "()" * 5_000, "x = " + "+".join("a" * 20_000)):
        with contextlib.suppress(SourceError):
            read(text.encode(), "x.py")


@pytest.mark.parametrize("data", [b"", b"\n", b"# nothing\n", b"\xef\xbb\xbf", b"x = 1\r\ny = 2\r"])
def test_an_empty_file_is_clean(data: bytes) -> None:
    assert read(data, "x.py").facts.models == ()


def test_a_declared_encoding_and_a_byte_order_mark_are_honoured() -> None:
    text = "# -*- coding: latin-1 -*-\nimport torch.nn as nn\ndef f(m):\n    s = 'é'; nn.init.zeros_(m.weight)\n"
    (call,) = read(text.encode("latin-1"), "x.py").facts.calls
    assert call.location.column == 14
    (call,) = read(b"\xef\xbb\xbfimport torch.nn as nn\nnn.init.zeros_(w)\n", "x.py").facts.calls
    assert (call.location.line, call.location.column) == (2, 1)


def test_the_look_at_the_bytes_lets_pass_what_matters() -> None:
    assert might_matter(b"import torch\n")
    assert might_matter(b"def f(w):\n    w.normal_(0, 1)\n")
    assert not might_matter(b"import os\nprint('hello')\n")


def test_roots_are_the_classes_nothing_else_uses_and_the_builders() -> None:
    text = (
        net("self.fc = nn.Linear(dim, 2)")
        + """
import abc
class Base(nn.Module):
    @abc.abstractmethod
    def make(self): ...
class Part(nn.Module):
    pass
class Whole(nn.Module):
    def __init__(self):
        super().__init__()
        self.part = Part()
class Data:
    pass
def build():
    return Whole()
def make_model(n):
    return Whole()
def get_model():
    return 3
instance = Net()
"""
    )
    assert source(text).roots == ("Net", "Whole", "build", "instance")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("loss.backward()\n", 5),
        ("for x in y:\n    optimizer.step()\n", 6),
        ("trainer.fit(model)\n", 5),
        ("if __name__ == '__main__':\n    loss.backward()\n", None),
        ("def train():\n    loss.backward()\n", None),
    ],
)
def test_training_at_module_level_is_noticed(text: str, line: int | None) -> None:
    where = source(text).trains_at_import
    assert (where.line if where is not None else None) == line


def test_reading_is_light_and_imports_no_torch() -> None:
    code = (
        "import sys; import initlint.source.reader as r; r.read(b'import torch.nn as nn\\nclass A(nn.Module): pass', 'x.py');"
        "print([m for m in ('torch', 'libcst', 'inspect', 'dataclasses', 'json', 'asyncio', 'click') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True).stdout
    assert "torch" not in said
    assert "libcst" not in said
    assert "dataclasses" not in said


def test_reading_runs_nothing(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    facts(f"open({str(trap)!r}, 'w')\nimport torch\n")
    assert not trap.exists()


# ruff: noqa: E501 (snippets are kept on one line each)
SAMPLES = [
    net(
        "self.fc = nn.Linear(dim, 2)\nfor m in self.modules():\n    nn.init.zeros_(m.weight)",
        "return F.relu(self.fc(x))",
    ),
    "from torch.nn.init import *\nclass A(B, metaclass=C):\n    x: int = 3\n    def f(self, *a, k=1, **kw): yield self\n",
    "async def f():\n    async for x in y:\n        await z\n    return [a async for a in b if c]\n",
    "match x:\n    case [1, *rest] if rest: pass\n    case {'a': nn.Linear(), **k}: pass\n    case _: pass\n",
    "class A(A): pass\nclass B(nn.Module):\n    def __init__(self):\n        self.b = B()\n        self.c = self\n        self.apply(self.apply)\n",
    "def f(m): f(m); f(f); m.apply(f)\nf(f)\nwhile True: f = lambda x: f(x)\n",
    "x = y = [x, y]\nx.append(x)\nx += x\nfor i in x: x.append(i)\nprint(*x, **x)\n",
    "class L(nn.ModuleList):\n    def __init__(self):\n        super().__init__([self, *self, L()])\n        self[0] = self\n        self += self\n",
    "class S(nn.Sequential):\n    def __init__(self):\n        super().__init__(nn.Linear(), nn.Conv2d(1), nn.LSTM(1, 2, 10**9), nn.LayerNorm((1, '')))\n",
    "class E(nn.Module):\n    def __init__(s, n=-1, *, k=1e400):\n        s.w = nn.Parameter(torch.empty(n, k, 'x'))\n        torch.nn.init.normal_()\n",
]


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=400))
@example("\ud800")
@example("\x0c\nclass A:\n\x0c  pass")
def test_no_text_makes_it_raise_anything_else(text: str) -> None:
    with contextlib.suppress(SourceError):
        read(text.encode("utf-8", "surrogatepass"), "x.py")


TOKENS = sorted({token for sample in SAMPLES for token in sample.replace("\n", " \n ").split(" ") if token})


@settings(max_examples=250, deadline=None)
@given(st.lists(st.sampled_from([*TOKENS, "\n", "\n    ", "self.", "nn.", "(", ")", ":", ",", "="]), max_size=60))
def test_no_heap_of_tokens_makes_it_raise(tokens: list[str]) -> None:
    with contextlib.suppress(SourceError):
        read((PRELUDE + " ".join(tokens)).encode(), "x.py")


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(SAMPLES), st.integers(0, 2**32))
def test_mutated_modules_are_read_or_refused(sample: str, seed: int) -> None:
    """Lines and words of a real module, swapped about."""
    chance = random.Random(seed)
    lines = (sample + chance.choice(SAMPLES)).splitlines()
    for _ in range(chance.randrange(6)):
        one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
        lines[one], lines[other] = lines[other], lines[one]
    words = "\n".join(lines).split(" ")
    for _ in range(chance.randrange(4)):
        words[chance.randrange(len(words))] = chance.choice(words)
    with contextlib.suppress(SourceError):
        read((PRELUDE + " ".join(words)).encode(), "x.py")


@pytest.mark.parametrize("sample", SAMPLES)
def test_odd_modules_are_read(sample: str) -> None:
    facts(sample)


@pytest.mark.parametrize(
    "base",
    [
        "pytorch_lightning.LightningModule",
        "lightning.pytorch.LightningModule",
        "lightning.LightningModule",
        "transformers.PreTrainedModel",
        "transformers.BertForMaskedLM",
        "transformers.models.bert.modeling_bert.BertModel",
        "mmengine.model.BaseModule",
        "mmcv.runner.BaseModule",
        "timm.models.vision_transformer.VisionTransformer",
        "timm.layers.Mlp",
        "torchvision.models.ResNet",
        "torchvision.ops.FeaturePyramidNetwork",
        "torch_geometric.nn.MessagePassing",
        "fairseq.models.FairseqIncrementalDecoder",
        "espnet2.train.abs_espnet_model.AbsESPnetModel",
    ],
)
def test_classes_of_libraries_are_modules(base: str) -> None:
    module, _, name = base.rpartition(".")
    for text in (f"import {module} as library\n", f"from {module} import {name} as Base\n"):
        spelled = f"library.{name}" if " as library" in text else "Base"
        source_text = f"{text}class Net({spelled}):\n    def __init__(self):\n        super().__init__()\n"
        (found,) = facts(source_text + "        self.fc = nn.Linear(3, 4)\n").classes
        assert found.is_module
        assert [layer.name for layer in found.model.layers if known(layer.kind)] == ["fc"]


@pytest.mark.parametrize(
    "base", ["torchvision.models.ResNet50_Weights", "transformers.BertConfig", "transformers.Trainer", "enum.Enum"]
)
def test_other_classes_of_libraries_are_not(base: str) -> None:
    module, _, name = base.rpartition(".")
    (found,) = facts(f"from {module} import {name}\nclass Net({name}):\n    pass\n").classes
    assert not known(found.is_module) or not found.is_module
