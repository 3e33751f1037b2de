"""What holds of every fix: it is stable, leaves what parses, keeps the file's ways, and nothing else changes."""

from __future__ import annotations

import ast
import re
import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from initlint.api import check
from initlint.result import Report

settings.register_profile("fix", deadline=None, suppress_health_check=list(HealthCheck))
FEW = settings(settings.get_profile("fix"), max_examples=5)  # each takes libcst a second and more
MANY = settings(settings.get_profile("fix"), max_examples=400)

IMPORTS = [
    "import torch\nfrom torch import nn\n",
    "import torch, torch.nn as nn\n",
    "import math, torch\nimport torch.nn as nn\nfrom torch.nn import init\n",
    '"""A module."""\n\nfrom __future__ import annotations\n\nimport torch.nn as nn\nimport torch.nn.init as init\n',
    "from torch import nn  # layers\nfrom torch.nn.init import normal, normal_, xavier_uniform, uniform_\n",
]
FLAWS = [
    "nn.init.normal_(m.weight, 0.02)",
    "nn.init.normal_(\n        m.weight,  # the weight\n        0.02,\n    )",
    "nn.init.trunc_normal_(m.weight, (0.02))",
    "nn.init.uniform_(m.weight, 0.1); nn.init.uniform_(m.bias, - 0.1)",
    "nn.init.uniform_(m.weight, 1 / math.sqrt(m.weight.size(0)))",
    "nn.init.xavier_uniform(m.weight)",
    "normal(m.weight, 0, 0.02)",
    "xavier_uniform(m.weight, gain=2)",
    "init.kaiming_normal(m.weight.data, a=0.2, nonlinearity='relu')",
    "nn.init.kaiming_normal_(m.weight, 'fan_out', nonlinearity='relu')",
    "nn.init.kaiming_normal_(m.weight, nonlinearity='gelu')",
    "nn.init.kaiming_uniform_(m.weight, 0.2, mode='fan_out', nonlinearity='relu',)",
    "nn.init.zero_(m.bias)",
    "nn.init.xavier_normal_(m)",
    "m.weight.data.normal_(0, 0.02)",
    "m.weight.data.normal_(\n        0,\n        0.02)",
    "(m.weight.data).zero_()",
    "m.bias.data.zero_( )",
    "m.weight.data.mul_(0.1)",
    "if m.bias: m.bias.data.zero_()",
    "if not m.bias: pass",
    "m.bias.data.fill_(0.0)  # größe \u2028 \x0c",
]
LAYERS = [
    "self.layers = nn.ModuleList([nn.Linear(8, 8)] * 3)",
    "self.layers = nn.ModuleList(2 * [nn.Sequential(nn.Linear(8, 8), nn.ReLU())])",
    "self.parts = [nn.Linear(8, 8) for _ in range(3)]",
    "self.table = nn.Embedding(10, 8, padding_idx=0)",
    "nn.init.normal_(self.table.weight, std=0.02)",
    "self.fc = nn.Linear(8, 8, bias=False)",
    "self.fc.bias.data.zero_()",
    "self.gain = nn.Parameter(torch.ones(8))",
    "self.gain.mul_(2)",
    "self.apply(init_weights)",
    "self.head = nn.Linear(8, 2)",
    "self.scale = nn.Parameter(torch.ones(8)).cuda()",
]
HEAD = b"import torch; from torch import nn\ndef init(m): nn.init.xavier_uniform(m.weight); m.bias.data.zero_()\n"
PLAIN = ["pass", "# a comment", "x = [1,\n        2]", '"""text\n    of lines"""', "", "\x0c"]


@st.composite
def sources(draw: st.DrawFn) -> str:
    """A module with flaws in it, in one of the many ways there are to lay out a file."""
    lines = [draw(st.sampled_from(["", "# -*- coding: utf-8 -*-\n", "#!/usr/bin/env python\n"]))]
    lines.append(draw(st.sampled_from(IMPORTS)))
    test = draw(st.sampled_from(["isinstance(m, nn.Linear)", "isinstance(m, (nn.Linear, nn.BatchNorm2d))", "True"]))
    flaws = draw(st.lists(st.sampled_from(FLAWS + PLAIN), min_size=1, max_size=5))
    lines.append(f"\ndef init_weights(m):\n    if {test}:\n")
    lines += [f"        {flaw}\n" for flaw in flaws] + ["        pass\n"]
    layers = draw(st.lists(st.sampled_from(LAYERS + PLAIN), max_size=6))
    lines.append("\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n")
    lines += [f"        {layer}\n" for layer in layers]
    lines.append(
        "\n    def forward(self, x):\n        for part in self.parts:\n            x = part(x)\n        return x\n"
    )
    text = "".join(lines)
    if draw(st.booleans()):
        text = re.sub(r"^( {4})+", lambda match: "\t" * (len(match[0]) // 4), text, flags=re.MULTILINE)
    text = text.rstrip("\n") if draw(st.booleans()) else text
    newlines = draw(st.sampled_from([("\n",), ("\r\n",), ("\n", "\r\n")]))
    return re.sub("\n", lambda _: draw(st.sampled_from(newlines)) if len(newlines) > 1 else newlines[0], text)


def fixed(data: bytes, *, unsafe: bool) -> tuple[bytes, Report]:
    report = check(("-",), static=True, stdin=lambda: data, select=("ALL",), fix=True, unsafe_fixes=unsafe)
    assert report.mended is not None
    assert report.mended.source is not None
    return report.mended.source, report


def parses(data: bytes) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def newlines(data: bytes) -> set[bytes]:
    return set(re.findall(rb"\r\n|\r|\n", data))


def holds(data: bytes, *, unsafe: bool) -> None:
    once, report = fixed(data, unsafe=unsafe)
    assert parses(once) or not parses(data)
    assert newlines(once) <= newlines(data)
    assert once.startswith(b"\xef\xbb\xbf") == data.startswith(b"\xef\xbb\xbf")
    left = [finding for finding in report.findings if finding.fix is not None and (finding.fix.safe or unsafe)]
    told = [note for note in report.notes if "was not fixed" in note]
    assert len(left) <= len(told), [finding.message for finding in left]
    again, second = fixed(once, unsafe=unsafe)
    assert again == once
    assert second.mended is not None
    assert second.mended.fixed == 0
    if report.mended is not None and report.mended.fixed == 0:
        assert once == data


@FEW
@given(sources(), st.booleans(), st.booleans())
def test_flawed_modules(text: str, unsafe: bool, mark: bool) -> None:
    holds(text.encode("utf-8-sig" if mark else "utf-8"), unsafe=unsafe)


@FEW
@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_any_text(text: str) -> None:
    data = text.encode("utf-8", "replace")
    holds(HEAD + data, unsafe=True)
    holds(data + b"\n" + HEAD, unsafe=True)


@pytest.mark.slow
@MANY
@given(sources(), st.booleans(), st.booleans())
def test_many_flawed_modules(text: str, unsafe: bool, mark: bool) -> None:
    holds(text.encode("utf-8-sig" if mark else "utf-8"), unsafe=unsafe)


def modules() -> st.SearchStrategy[str]:
    import hypothesmith  # which takes some seconds to make its grammar: none of the quick tests asks for it

    made: st.SearchStrategy[str] = hypothesmith.from_grammar() | hypothesmith.from_node()
    return made


@pytest.mark.slow
@settings(MANY, max_examples=100)
@given(st.deferred(modules), sources(), st.booleans())
def test_whole_modules(text: str, flawed: str, unsafe: bool) -> None:
    data = text.encode("utf-8", "surrogatepass")
    holds(data, unsafe=unsafe)
    holds(data + b"\n" + flawed.encode(), unsafe=unsafe)
