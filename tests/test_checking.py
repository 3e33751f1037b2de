"""What is not read because no rule would speak of it, no rule would have spoken of."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from initlint import api
from initlint.engine import load, registry

from .rules.harness import examples, marked, snippet

CODES = sorted({code for code, *_ in examples("bad", "source") if "suppression" not in registry()[code].subjects})


@pytest.mark.parametrize("code", CODES)
def test_a_rule_finds_its_examples_as_a_user_would_select_it(code: str, tmp_path: Path) -> None:
    wanted = {}
    for number, example in enumerate(load(code).bad):
        if "source" in example.by:
            path = tmp_path / str(number) / "model.py"
            path.parent.mkdir()
            (path.parent / "pyproject.toml").touch()  # a project of its own
            path.write_text(text := snippet(example))
            wanted[str(path)] = marked(text)
    report = api.check([str(tmp_path)], static=True, select=[code], jobs=1)
    found: dict[str, list[int]] = {path: [] for path in wanted}
    for finding in report.findings:
        assert finding.location is not None
        found[finding.location.path].append(finding.location.line)
    assert {path: sorted(set(lines)) for path, lines in found.items()} == wanted


def test_what_is_left_out_says_nothing(tmp_path: Path) -> None:
    """A rule that does not ask for every model says the same with them and without."""
    for kind in ("bad", "good"):
        for code, number, example in examples(kind, "source"):
            (tmp_path / f"{kind}_{code}_{number}.py").write_text(snippet(example))
    every = [code for code, entry in registry().items() if not entry.defaults]
    greedy = next(code for code, entry in registry().items() if entry.defaults)
    pruned = api.check([str(tmp_path)], static=True, select=every, jobs=1)
    thorough = api.check([str(tmp_path)], static=True, select=[*every, greedy], jobs=1)
    assert [f for f in thorough.findings if f.code != greedy] == list(pruned.findings)


FORMS = [
    "self.layers: list[nn.Linear] = [nn.Linear(4, 4), nn.Linear(4, 4)]",
    "self.layers = (nn.Linear(4, 4), nn.Linear(4, 4))",
    "layer = nn.Linear(4, 4)\nself.layers = nn.Sequential(*((layer,) * 6))",
    "layer = nn.Linear(4, 4)\nlayers = []\nlayers += [layer]\nlayers += [layer]\nself.layers = nn.Sequential(*layers)",
    "layer = nn.Linear(4, 4)\nlayers = []\nfor _ in range(6):\n    layers.extend([layer])\n"
    "self.layers = nn.Sequential(*layers)",
    "layer: nn.Module = nn.Linear(4, 4)\nlayers = []\nfor _ in range(6):\n    layers.append(layer)\n"
    "self.layers = nn.Sequential(*layers)",
    "self.weight = nn.Parameter(torch.ones(4, 8))",
    "self.weight = nn.Parameter(torch.ones((4, 8)))",
]


@pytest.mark.parametrize("form", FORMS)
def test_however_it_is_written_it_is_read(form: str, tmp_path: Path) -> None:
    """What makes a class worth a look is noticed in every way to write it that the reading itself follows."""
    forward = "x @ self.weight" if "weight" in form else "self.layers[1](self.layers[0](x))"
    forward = "self.layers(x)" if "Sequential" in form else forward
    text = "import torch\nfrom torch import nn\n\nclass Net(nn.Module):\n    def __init__(self):\n"
    text += (
        "        super().__init__()\n"
        + textwrap.indent(form, " " * 8)
        + f"\n\n    def forward(self, x):\n        return {forward}\n"
    )
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "model.py").write_text(text)
    every = [code for code, entry in registry().items() if not entry.defaults]
    greedy = next(code for code, entry in registry().items() if entry.defaults)
    pruned = api.check([str(tmp_path)], static=True, select=every, jobs=1)
    thorough = api.check([str(tmp_path)], static=True, select=[*every, greedy], jobs=1)
    assert pruned.findings or "ones" in form
    assert [f for f in thorough.findings if f.code != greedy] == list(pruned.findings)
