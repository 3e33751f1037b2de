"""Reading runs nothing: whatever lies in the checked tree, no line of it is executed by a static check."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FLAW = "import torch.nn as nn\n\n\ndef init_weights(m):\n    nn.init.xavier_uniform(m.weight)\n"
CANARY = "from pathlib import Path\nPath({0!r}).touch()\n"

MODULE = [sys.executable, "-m", "initlint"]
SCRIPT = [sys.executable, "-c", "import sys; del sys.path[0]; from initlint.cli import main; main()"]
"""As the console script does it, whose directory stands on the path in place of the working one."""

LOADED = """
import sys
before = {name.partition(".")[0] for name in sys.modules}
del sys.path[0]
from initlint.cli import main
sys.argv[1:] = ["check", "--static", "--format", "json", "--advice", "."]
try:
    main()
except SystemExit:
    pass
print("", *{name.partition(".")[0] for name in sys.modules} - before)
"""


def slow(value: object) -> object:
    """A variant that is left to ``-m slow``: "." reads all files already, and a configuration is found in one way."""
    return pytest.param(value, marks=pytest.mark.slow)


def run(command: list[str], directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    return subprocess.run(
        [*command, *arguments], cwd=directory, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def findings(result: subprocess.CompletedProcess[str]) -> list[tuple[str, int, str]]:
    found = json.loads(result.stdout)["findings"]
    return [(each["path"], each["line"], each["code"]) for each in found if each["code"] == "INI503"]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A project every file of which leaves a mark beside itself when it is run."""
    project = tmp_path / "project"
    (project / "pkg").mkdir(parents=True)
    traps = ["net.py", "pkg/__init__.py", "pkg/net.py", "conftest.py", "setup.py", "sitecustomize.py", "our_rules.py"]
    traps += ["usercustomize.py", "noxfile.py", "__main__.py", "__init__.py", "pkg/__main__.py"]
    for name in traps:
        (project / name).write_text(FLAW + CANARY.format(str(tmp_path / f"ran-{name.replace('/', '-')}")))
    (project / "net.pth").write_text(f"import pathlib; pathlib.Path({str(tmp_path / 'ran-pth')!r}).touch()\n")
    cell = {"cell_type": "code", "source": FLAW + CANARY.format(str(tmp_path / "ran-notebook")), "metadata": {}}
    (project / "nb.ipynb").write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4}))
    return project


def marks(tree: Path) -> list[str]:
    return sorted(path.name for path in tree.parent.iterdir() if path != tree)


def contents(tree: Path) -> dict[str, bytes]:
    return {str(path.relative_to(tree)): path.read_bytes() for path in tree.rglob("*") if path.is_file()}


@pytest.mark.parametrize("command", [MODULE, SCRIPT], ids=["module", "script"])
@pytest.mark.parametrize("target", [".", "net.py", *map(slow, ["pkg/net.py", "nb.ipynb", "net.py::init_weights"])])
def test_nothing_is_run_and_nothing_written(tree: Path, command: list[str], target: str) -> None:
    before = contents(tree)
    result = run(command, tree, "check", "--static", "--format", "json", target)
    assert result.returncode == 1, result.stderr
    assert findings(result)
    assert marks(tree) == []
    assert {name: data for name, data in contents(tree).items() if not name.startswith(".")} == before


@pytest.mark.parametrize("command", [MODULE, SCRIPT], ids=["module", "script"])
def test_modules_of_the_working_directory_shadow_nothing(tree: Path, command: list[str]) -> None:
    """Every module that a check loads has a namesake there, but for those that Python itself loads for ``-m``."""
    bare = tree.parent / "elsewhere" / "bare"
    bare.mkdir(parents=True)
    (bare / "__init__.py").touch()
    (bare / "__main__.py").write_text("import sys\nprint(*{name.partition('.')[0] for name in sys.modules})\n")
    by_python = set(run([sys.executable, "-m", "bare"], bare.parent).stdout.split())
    [*_, loaded] = run([sys.executable, "-c", LOADED], tree).stdout.splitlines()
    names = {*loaded.split(), "torch", "numpy", "libcst", "rich", "pathspec", "tomllib", "initlint_rules"}
    names -= {"initlint", "bare", *by_python}
    assert {"click", "ast", "dataclasses", "tokenize", "json", "typing"} <= names
    shutil.rmtree(bare.parent)
    for name in names:
        (tree / f"{name}.py").write_text(CANARY.format(str(tree.parent / f"ran-{name}")) + "raise SystemExit(3)\n")
    result = run(command, tree, "check", "--static", "--format", "json", "net.py")
    assert marks(tree) == []
    assert findings(result) == [("net.py", 5, "INI503")], result.stderr


@pytest.mark.parametrize("command", [MODULE, SCRIPT], ids=["module", "script"])
def test_a_plugin_on_the_path_is_not_taken_from_the_checked_tree(tmp_path: Path, command: list[str]) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "net.py").write_text(FLAW)
    (project / "our_rules.py").write_text(CANARY.format(str(tmp_path / "ran")))
    (project / "initlint.toml").write_text('plugins = ["our_rules"]\n')
    path = os.pathsep.join([str(project), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path}
    line = [*command, "check", "--static", "net.py"]
    result = subprocess.run(line, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert marks(project) == []
    assert result.returncode in (1, 2)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", '[tool.initlint]\nplugins = ["our_rules"]\n'),
        ("initlint.toml", 'plugins = ["our_rules", "pkg.net"]\n'),
        ("pyproject.toml", '[build-system]\nbuild-backend = "our_rules"\nbackend-path = ["."]\n[tool.initlint]\n'),
        ("initlint.toml", '[[model]]\ntarget = "net.py"\n[[model]]\ntarget = "pkg.net:init_weights"\n'),
        ("initlint.toml", 'static = false\npython = "./net.py"\n'),
        ("initlint.toml", "\x00"),
        ("initlint.toml", "select = " + "[" * 2000),
    ],
)
@pytest.mark.parametrize("command", [slow(MODULE), SCRIPT], ids=["module", "script"])
def test_no_configuration_makes_it_run_the_tree(tree: Path, command: list[str], name: str, text: str) -> None:
    (tree / name).write_text(text)
    result = run(command, tree, "check", "--static", "--format", "json", ".")
    assert marks(tree) == []
    assert result.returncode in (1, 2)
    assert "Traceback" not in result.stderr
