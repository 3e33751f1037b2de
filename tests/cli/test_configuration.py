"""``initlint check`` under a configuration: what is selected, left out, excluded, and built."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

BAD = textwrap.dedent("""\
    import torch.nn as nn


    def init_weights(m):
        nn.init.normal_(m.weight, 0.02)
        nn.init.uniform_(m.bias, 0.1)
    """)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: str, text: str) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)
    return path


@pytest.fixture
def found(initlint: Run) -> Callable[..., list[tuple[str, str, str]]]:
    """(path, code, severity) of every finding of a static run that ends with exit 0 or 1."""

    def run(*arguments: str) -> list[tuple[str, str, str]]:
        result = initlint("check", "--static", "--format", "json", *arguments)
        assert result.code in (0, 1), result.err
        return [(each["path"], each["code"], each["severity"]) for each in json.loads(result.out)["findings"]]

    return run


Found = Callable[..., list[tuple[str, str, str]]]
MEAN, BOUND = ("model.py", "INI501", "error"), ("model.py", "INI502", "warning")


@pytest.mark.parametrize(
    ("configured", "arguments", "expected"),
    [
        ("", (), [MEAN, BOUND]),
        ('ignore = ["INI501"]', (), [BOUND]),
        ('ignore = ["INI501"]', ("--select", "INI5"), [BOUND]),
        ('ignore = ["INI501"]', ("--select", "INI501"), [MEAN]),
        ('ignore = ["INI501"]', ("--ignore", "INI502"), [MEAN]),
        ('select = ["INI502"]', (), [BOUND]),
        ('select = ["INI502"]', ("--select", "INI501"), [MEAN]),
        ('select = ["INI502"]', ("--extend-select", "INI501"), [MEAN, BOUND]),
        ('select = ["INI7"]\nextend-select = ["INI501"]', (), [MEAN]),
        ('severity = { INI501 = "warning", INI5 = "error" }', (), [(*MEAN[:2], "warning"), (*BOUND[:2], "error")]),
        ('severity = { INI501 = "advice" }', (), [BOUND]),
        ('severity = { INI501 = "advice" }\nadvice = true', (), [(*MEAN[:2], "advice"), BOUND]),
        ('per-file-ignores = { "model.py" = ["INI501"] }', (), [BOUND]),
        ('per-file-ignores = { "!src/" = ["INI501"] }', (), [BOUND]),
        ('per-file-ignores = { "src/" = ["INI501"] }', (), [MEAN, BOUND]),
        ("", ("--config", 'ignore = ["INI501"]'), [BOUND]),
        ('ignore = ["INI501"]', ("--config", 'ignore = ["INI502"]'), [MEAN]),
        ('ignore = ["INI501"]', ("--config", 'ignore = ["INI502"]', "--ignore", "INI5"), []),
    ],
)
def test_what_is_said(
    found: Found, configured: str, arguments: tuple[str, ...], expected: list[tuple[str, str, str]]
) -> None:
    write("initlint.toml", configured)
    assert found(write("model.py", BAD), *arguments) == expected


def test_each_file_has_the_nearest_configuration(found: Found) -> None:
    write("pyproject.toml", '[tool.initlint]\nignore = ["INI501"]\n')
    write("a/initlint.toml", 'ignore = ["INI502"]\n')
    for path in ("model.py", "a/model.py", "b/model.py"):
        write(path, BAD)
    assert [(path, code) for path, code, _ in found()] == [
        ("a/model.py", "INI501"),
        ("b/model.py", "INI502"),
        ("model.py", "INI502"),
    ]
    assert [(path, code) for path, code, _ in found("--config", "a/initlint.toml", "b")] == [("b/model.py", "INI501")]


def test_the_threshold(initlint: Run) -> None:
    write("model.py", BAD)
    write("initlint.toml", 'fail-on = "error"\nignore = ["INI501"]\n')
    assert initlint("check", "--static", "model.py").code == 0
    assert initlint("check", "--static", "model.py", "--fail-on", "warning").code == 1


def test_parameters_of_which_nothing_is_to_be_said(found: Found) -> None:
    write(
        "model.py",
        """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Parameter(torch.empty(4, 4))
        self.b = nn.Parameter(torch.empty(4, 4))

    def forward(self, x):
        return x @ self.a @ self.b
""",
    )
    assert [code for _, code, _ in found("model.py", "--select", "INI104")] == ["INI104"] * 2
    for globs, count in ((["Net.a"], 1), (["*.a", "b"], 0), (["Other.*"], 2), (["Net.*"], 0)):
        write("initlint.toml", f"ignore-parameters = {json.dumps(globs)}\n")
        assert len(found("model.py", "--select", "INI104")) == count


@pytest.mark.parametrize(
    ("configured", "expected"),
    [
        ("", ["model.py", "src/a.py", "src/gen/b.py"]),
        ('exclude = ["src"]', [".hidden/h.py", "build/c.py", "model.py"]),
        ('exclude = ["*.py"]', []),
        ('extend-exclude = ["src/gen/"]', ["model.py", "src/a.py"]),
        ('extend-exclude = ["gen"]', ["model.py", "src/a.py"]),
        ('extend-exclude = ["/a.py"]', ["model.py", "src/a.py", "src/gen/b.py"]),
        ('extend-exclude = ["a.py", "!build/"]', ["build/c.py", "model.py", "src/gen/b.py"]),
    ],
)
def test_what_a_walk_leaves_out(found: Found, configured: str, expected: list[str]) -> None:
    for path in ("model.py", "src/a.py", "src/gen/b.py", "build/c.py", ".hidden/h.py"):
        write(path, BAD)
    write("initlint.toml", configured)
    assert sorted({path for path, _, _ in found()}) == expected


def test_a_nested_configuration_excludes_below_itself(found: Found) -> None:
    for path in ("a/x.py", "b/x.py"):
        write(path, BAD)
    write("a/initlint.toml", 'exclude = ["x.py"]\n')
    assert {path for path, _, _ in found()} == {"b/x.py"}


def test_gitignore_can_be_left_aside(found: Found) -> None:
    write(".gitignore", "made/\n")
    write("made/model.py", BAD)
    assert found() == []
    assert len(found("--config", "respect-gitignore = false")) == 2


def test_a_directory_of_which_all_is_left_out_says_by_what(initlint: Run) -> None:
    Path("empty").mkdir()
    for path in ("gen/a.py", "old.py", "made/b.py"):
        write(f"src/{path}", BAD)
    write("src/.gitignore", "made/\n")
    write("initlint.toml", 'extend-exclude = ["gen", "old.py"]\n')
    result = initlint("check", "--static", "src", "empty")
    assert (result.code, result.out) == (0, "Nothing was checked (0 files read)\n")
    empty, left = sorted(result.err.splitlines())
    assert empty.startswith("initlint: note: empty: no Python file or notebook in it to read")
    assert left == (
        "initlint: note: src: no Python file or notebook in it to read: exclude leaves out src/gen, src/old.py, "
        ".gitignore leaves out src/made (what is named is read all the same)"
    )


def test_what_is_named_is_excluded_only_by_force(found: Found, initlint: Run) -> None:
    write("initlint.toml", 'extend-exclude = ["legacy/"]\n')
    for path in ("legacy/model.py", "build/model.py", "src/model.py"):
        write(path, BAD)
        assert len(found(path)) == 2
    for path in ("legacy/model.py", "build/model.py", "legacy", "src/../legacy/model.py"):
        assert found(path, "--force-exclude") == []
        assert found(path, "--config", "force-exclude = true") == []
    assert len(found("src/model.py", "--force-exclude")) == 2
    piped = ("check", "--static", "-", "--force-exclude", "--stdin-filename")
    assert initlint(*piped, "legacy/new.py", stdin=BAD.encode()).code == 0
    assert initlint(*piped, "src/new.py", stdin=BAD.encode()).code == 1


def test_the_size_of_a_file(initlint: Run) -> None:
    write("initlint.toml", 'max-file-size = "2kB"\n')
    result = initlint("check", "--static", write("model.py", BAD + "#" * 3000))
    assert result.code == 0
    assert result.err == "initlint: note: model.py: skipped, larger than 2 kB\n"


INITIALISER = """
[[initializer]]
name = "ours.init.trunc_"
signature = "(w, scale=0.02, cutoff=2.0)"
std = "scale"
like = "trunc_normal_"
"""
USES_IT = """\
from torch import nn
IMPORT


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(64, 64)
        CALL
        nn.init.constant_(self.fc.bias, 0.02)

    def forward(self, x):
        return self.fc(x)
"""


@pytest.mark.parametrize(
    ("statement", "call", "count"),
    [
        ("from ours.init import trunc_", "trunc_(self.fc.weight)", 1),
        ("from ours.init import trunc_ as t", "t(self.fc.weight, 0.02)", 1),
        ("import ours.init", "ours.init.trunc_(self.fc.weight, scale=0.02)", 1),
        ("from .init import trunc_", "trunc_(w=self.fc.weight)", 1),
        ("from ours.init import trunc_", "trunc_(self.fc.weight, 0.1)", 0),
        ("from ours.init import trunc_", "trunc_(self.fc.weight, 0.1, 0.02)", 0),
        ("from ours.init import trunc_", "trunc_(self.fc.weight, scale)", 0),
        ("from theirs.init import trunc_", "trunc_(self.fc.weight)", 0),
    ],
)
def test_initialisers_of_ones_own(found: Found, statement: str, call: str, count: int) -> None:
    write("initlint.toml", INITIALISER)
    write("ours/__init__.py", "")
    write("ours/init.py", "from magic import trunc_\n")
    write("ours/model.py", USES_IT.replace("IMPORT", statement).replace("CALL", call))
    codes = [code for _, code, _ in found("--select", "INI307")]
    assert codes == ["INI307"] * count
    Path("initlint.toml").unlink()
    assert found("--select", "INI307") == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--config", "gone.toml"), "gone.toml: cannot be read"),
        (("--config", "a.toml", "--config", "b.toml"), "--config names two files, a.toml and b.toml"),
        (("--config", "advice = 3"), "--config: advice holds true or false, not 3"),
        (("--select", "INI777"), "no rule is called 'INI777'"),
        ((), "sub/initlint.toml: no rule is called 'INI888'"),
        (("--config", "static = true", "--batch", "3x3"), "static is true"),
        (("--config", 'per-file-ignores = { "a.py" = ["INI99"] }'), "no rule is called 'INI99'"),
        (("--config", "severity = { INI99 = 'error' }"), "no rule is called 'INI99'"),
    ],
)
def test_what_means_nothing_is_one_line_and_exit_2(initlint: Run, arguments: tuple[str, ...], said: str) -> None:
    write("sub/model.py", BAD)
    write("sub/initlint.toml", 'ignore = ["INI888"]\n')
    write("a.toml", "")
    result = initlint("check", ".", *arguments)
    assert result.code == 2
    assert result.err.startswith(f"initlint: error: {said}")
    assert len(result.err.splitlines()) == 1


def test_without_a_configuration_nothing_is_loaded_for_one() -> None:
    write("model.py", BAD)
    write("pyproject.toml", "[project]\nname = 'x'\n")
    program = (
        "import sys; from initlint.cli import main\n"
        "sys.argv = ['initlint', 'check', '--static', 'model.py']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(sorted({'tomllib', 'pathspec', 'initlint.settings', 'difflib'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"


NETS = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc = nn.Linear(width, 4)

    def forward(self, x):
        return self.fc(x)


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        return self.fc(x)
"""
MODEL = """
[[tool.initlint.model]]
target = "nets.py::Net"
args = { width = 16 }
batch = "3x16"
"""


def models(result: Any) -> dict[str, tuple[str, str | None]]:
    return {each["target"]: (each["status"], each["batch"]) for each in json.loads(result.out)["models"]}


@pytest.mark.torch
def test_configured_models_are_built_as_configured(initlint: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write("nets.py", NETS)
    write("pyproject.toml", MODEL + '\n[[tool.initlint.model]]\ntarget = "nets:Plain"\nbatch = ["5x8"]\n')
    both = models(initlint("check", "--format", "json"))
    assert {name: status for name, (status, _) in both.items()} == {
        "nets.py::Net": "audited",
        "nets:Plain": "audited",
    }
    assert "3x16" in str(both["nets.py::Net"][1])
    assert "5x8" in str(both["nets:Plain"][1])
    Path("sub").mkdir()
    monkeypatch.chdir("sub")
    assert models(initlint("check", ".", "--format", "json")) == {}
    assert models(initlint("check", "--static", "--format", "json")) == {}


@pytest.mark.torch
@pytest.mark.slow
def test_configured_models_of_a_file_that_is_named_or_lies_above(
    initlint: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("nets.py", NETS)
    write("pyproject.toml", MODEL + '\n[[tool.initlint.model]]\ntarget = "nets:Plain"\nbatch = ["5x8"]\n')
    in_file = models(initlint("check", "nets.py", "--format", "json"))
    assert {name: status for name, (status, _) in in_file.items()} == {
        "nets.py::Net": "audited",
        "nets.py::Plain": "audited",
    }
    named = models(initlint("check", "nets.py::Net", "--batch", "7x16", "--format", "json"))
    assert "7x16" in str(named["nets.py::Net"][1])
    Path("sub").mkdir()
    monkeypatch.chdir("sub")
    below = models(initlint("check", "--format", "json"))
    assert [status for status, _ in below.values()] == ["audited"] * 2


@pytest.mark.torch
@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('target = "gone.py::Net"', "pyproject.toml: model: no such file: 'gone.py'"),
        pytest.param('target = "nets.py::Gone"', "Gone", marks=pytest.mark.slow),
        ('target = "nets.py::Net"', "needs arguments"),
        pytest.param(
            'target = "nets.py::Plain"\nargs = { depth = 3 }', "takes no argument depth", marks=pytest.mark.slow
        ),
        ('target = "nets.py::Plain"\nbatch = "3xx3"', "pyproject.toml: model nets.py::Plain: "),
        ('target = "sub"', "pyproject.toml: model: 'sub' names no model"),
    ],
)
def test_a_configured_model_that_cannot_be_built_is_exit_2(initlint: Run, table: str, said: str) -> None:
    write("nets.py", NETS)
    Path("sub").mkdir()
    write("pyproject.toml", f"[[tool.initlint.model]]\n{table}\n")
    result = initlint("check")
    assert result.code == 2
    assert said in result.err
    assert "Traceback" not in result.err
    assert initlint("check", "--static").code == 0


@pytest.mark.torch
def test_a_run_may_be_made_static_by_configuration(initlint: Run) -> None:
    write("initlint.toml", "static = true\n")
    write("model.py", BAD + "open('ran', 'w')\n\nclass Net(nn.Module):\n    pass\n")
    result = initlint("check", "model.py")
    assert result.code == 1
    assert not Path("ran").exists()


@pytest.mark.torch
@pytest.mark.parametrize("option", ["--loss=mse", "--dtype=fp16", "--device=cuda"])
def test_what_a_configured_model_without_a_pass_cannot_take_is_refused(initlint: Run, option: str) -> None:
    write("nets.py", NETS)
    write("pyproject.toml", '[[tool.initlint.model]]\ntarget = "nets.py::Plain"\nmeta = true\n')
    result = initlint("check", "nets.py::Plain", option)
    assert result.code == 2
    assert "goes without meta" in result.err
