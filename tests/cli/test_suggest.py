"""``initlint suggest``: the function alone on stdout, the proof on stderr, and the exit code."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.torch

Run = Callable[..., Any]

MODELS = textwrap.dedent("""\
    import torch
    from torch import nn


    class Deep(nn.Module):
        def __init__(self):
            super().__init__()
            layers = []
            for _ in range(16):
                layers += [nn.Linear(32, 32), nn.ReLU()]
            self.body = nn.Sequential(*layers)
            self.head = nn.Linear(32, 4)

        def forward(self, x):
            return self.head(self.body(x))


    class Sound(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(8, 4)

        def forward(self, x):
            return self.fc(x)


    class Alias(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = nn.ModuleList([nn.Linear(16, 16)] * 4)

        def forward(self, x):
            for block in self.blocks:
                x = torch.relu(block(x))
            return x


    class Picky(Sound):
        def forward(self, x, y):
            raise RuntimeError("not like this")
""")


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models.py").write_text(MODELS)
    return tmp_path


def test_the_function_alone_goes_to_stdout_and_mends_the_model(initlint: Run, models: Path) -> None:
    import torch

    import initlint as library

    result = initlint("suggest", "models.py::Deep")
    assert result.code == 0
    namespace: dict[str, Any] = {}
    exec(result.out, namespace)  # it is all there is on stdout, and needs nothing but torch
    assert "initlint" not in result.out

    def mended() -> torch.nn.Module:
        names: dict[str, Any] = {}
        exec(MODELS, names)
        model: torch.nn.Module = names["Deep"]()
        namespace["init_weights"](model)
        return model

    assert not library.audit(mended, torch.randn(64, 32)).findings
    # Both profiles, side by side: the signal that died, and the one that does not.
    row = next(line for line in result.err.splitlines() if line.startswith("head"))
    before, after = (float(figure) for figure in row.partition("head")[2].split()[:3:2])
    assert before < 1e-3
    assert 0.1 < after < 10
    assert "INI201" in result.err
    assert "after: nothing at warning or above" in result.err


ODD = MODELS.replace(
    """        self.head = nn.Linear(32, 4)
""",
    """        self.head = nn.Linear(32, 4)
        self.heads = nn.ModuleDict({'a"b': nn.Linear(4, 4), "c, d\\ne": nn.Linear(4, 4)})
        for each in self.heads.values():
            nn.init.normal_(each.weight, std=0.2)
""",
).replace("self.head(self.body(x))", "sum(each(self.head(self.body(x))) for each in self.heads.values())")


@pytest.mark.slow
def test_names_that_hold_quotes_commas_and_line_ends_are_spelled_as_source(initlint: Run, models: Path) -> None:
    (models / "models.py").write_text(ODD)
    result = initlint("suggest", "models.py::Deep", "--format", "html", "--output", "page.html")
    assert (result.code, result.err.count("Error")) == (0, 0), result.err
    compile(result.out, "suggested", "exec")
    assert 'a\\"b' in result.out
    assert "d\\ne" in result.err  # a line end of a name ends no line of the table
    page = (models / "page.html").read_text()
    assert "a&#34;b" in page
    assert page.count("<svg") > 2


@pytest.mark.slow
def test_the_proof_is_a_pass_although_the_configuration_predicts_one(initlint: Run, models: Path) -> None:
    (models / "initlint.toml").write_text('[[model]]\ntarget = "models.py::Deep"\nmeta = true\n')
    result = initlint("suggest", "models.py::Deep")
    assert result.code == 0
    row = next(line for line in result.err.splitlines() if line.startswith("head"))
    assert float(row.split()[1]) < 1e-3  # a prediction would be a range, and no figure of this one


def test_a_sound_model_needs_none(initlint: Run, models: Path) -> None:
    result = initlint("suggest", "models.py::Sound")
    assert (result.code, result.out) == (0, "")
    assert "fine as it is" in result.err


def test_what_no_values_mend_is_said_and_exits_1(initlint: Run, models: Path) -> None:
    result = initlint("suggest", "models.py::Alias")
    assert (result.code, result.out) == (1, "")
    assert "INI107" in result.err.splitlines()[-1]


@pytest.mark.slow
def test_json_holds_the_function_and_both_reports(initlint: Run, models: Path) -> None:
    result = initlint("suggest", "models.py::Deep", "--format", "json", "--output", "out.json")
    assert (result.code, result.out) == (0, "")
    said = json.loads((models / "out.json").read_text())
    assert said["status"] == "suggested"
    assert said["source"].startswith("import torch\n")
    assert said["before"]["summary"]["error"] + said["before"]["summary"]["warning"] > 0
    assert said["after"]["summary"]["error"] + said["after"]["summary"]["warning"] == 0
    assert len(said["before"]["models"][0]["layers"]) == len(said["after"]["models"][0]["layers"])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["models.py"], "models.py::Deep"),  # several models: which one
        (["missing.py::Net"], "missing.py"),
        (["models.py::Sound", "--arg", "width=3"], "width"),
        (["models.py::Picky"], "not run"),
        (["models.py::Sound", "--batch", "nonsense["], "nonsense"),
    ],
)
def test_what_cannot_be_told_is_one_line_and_exits_2(
    initlint: Run, models: Path, arguments: list[str], told: str
) -> None:
    result = initlint("suggest", *arguments)
    assert (result.code, result.out) == (2, "")
    assert told in result.err
    assert "Traceback" not in result.err
