"""A finding on a parameter names the user's statement that caused it, wherever that stands, and never torch's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch")

FILES = {
    "package/__init__.py": "",
    "package/helpers.py": """
        from torch import nn

        def draw(layer, std):
            nn.init.normal_(layer.weight, std=std)  # tiny

        def draw_all(model):
            for module in model.modules():
                if isinstance(module, nn.Linear):
                    draw(module, 1e-9)  # in a loop
        """,
    "site-packages/blocks.py": """
        import torch
        from torch import nn

        def rescale(norm):
            with torch.no_grad():
                norm.weight.copy_(torch.randn_like(norm.weight) * 0.02)  # by a library

        class Normed(nn.Module):
            def __init__(self, width):
                super().__init__()
                self.norm = nn.LayerNorm(width)
                rescale(self.norm)

            def forward(self, x):
                return self.norm(x)
        """,
    "package/model.py": """
        import os
        import sys

        from torch import nn

        sys.path.insert(0, os.path.join(os.path.dirname(__file__), os.pardir, "site-packages"))
        from blocks import Normed

        from package.helpers import draw_all

        class Net(nn.Module):
            def __init__(self, width=16):
                super().__init__()
                self.layers = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
                self.norm = Normed(width)  # of a library
                draw_all(self)  # from here
                layer = nn.TransformerEncoderLayer(width, 2, 32, batch_first=True)
                self.encoder = nn.TransformerEncoder(layer, 3)  # cloned

            def forward(self, x):
                return self.encoder(self.norm(self.layers(x)))
        """,
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from textwrap import dedent

    root = tmp_path_factory.mktemp("project")
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"))
    (root / "pyproject.toml").write_text("[tool.initlint]\n")
    return root


def test_through_helpers_loops_and_libraries(
    initlint: Callable[..., object], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)

    def line(name: str, comment: str) -> int:
        texts = (project / name).read_text().splitlines()
        return next(number for number, text in enumerate(texts, 1) if text.endswith(f"# {comment}"))

    result = initlint("check", "package/model.py::Net", "--batch", "8x5x16", "--format", "json", "--no-cache")
    said = json.loads(result.out)["findings"]  # type: ignore[attr-defined]
    findings = {finding["code"]: finding for finding in said}
    tiny, norm, clones = (findings[code] for code in ("INI214", "INI305", "INI106"))

    assert (tiny["path"], tiny["line"]) == ("package/helpers.py", line("package/helpers.py", "tiny"))
    assert tiny["parameters"] == ["layers.0.weight", "layers.2.weight"]
    assert [(other["path"], other["line"]) for other in tiny["related"]] == [
        ("package/helpers.py", line("package/helpers.py", "in a loop")),
        ("package/model.py", line("package/model.py", "from here")),
    ]

    assert (norm["path"], norm["line"]) == ("package/model.py", line("package/model.py", "of a library"))
    assert [(other["path"], other["line"], other["message"]) for other in norm["related"]] == [
        ("site-packages/blocks.py", line("site-packages/blocks.py", "by a library"), "written by this statement")
    ]

    assert (clones["path"], clones["line"]) == ("package/model.py", line("package/model.py", "cloned"))
    assert [finding["code"] for finding in said].count("INI106") == 1, "once a stack"
    assert "3 layers of encoder.layers" in clones["message"]
    assert len(clones["parameters"]) == 12  # four matrices in each of three layers
    everywhere = [place for finding in findings.values() for place in (finding, *finding["related"])]
    assert not any("torch" in (place["path"] or "") for place in everywhere)
