"""What the docs show is what a reader gets: the first steps, and the worked package of rules."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run(command: list[str], folder: Path, *path: Path) -> subprocess.CompletedProcess[str]:
    """A command, with packages in ``path`` installed besides; its streams as one."""
    env = {
        **os.environ,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": os.pathsep.join([*map(str, path), os.environ.get("PYTHONPATH", "")]).strip(":"),
    }
    return subprocess.run(
        command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )


def test_the_quick_start_prints_what_it_says(tmp_path: Path) -> None:
    page = (ROOT / "docs/index.md").read_text()
    model = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    shown = re.search(r"```console\n\$ initlint (check --static model\.py)\n(.*?)```", page, re.DOTALL)
    assert model is not None
    assert shown is not None
    (tmp_path / "model.py").write_text(model[1])
    assert run([sys.executable, "-m", "initlint", *shown[1].split()], tmp_path).stdout == shown[2]


@pytest.mark.torch
def test_a_package_of_rules_is_installed_and_used(tmp_path: Path) -> None:
    package, site = tmp_path / "package", tmp_path / "site"
    shutil.copytree(ROOT / "examples/rule_package", package, ignore=shutil.ignore_patterns("__pycache__"))
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target"]
    installed = run([sys.executable, *install, str(site), str(package)], tmp_path)
    assert installed.returncode == 0, installed.stdout

    own = run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"], package, site)
    assert own.returncode == 0, own.stdout
    assert "2 passed" in own.stdout

    project = tmp_path / "project"
    project.mkdir()
    (project / "initlint.toml").write_text('plugins = ["acme_rules"]\n')
    (project / "model.py").write_text(
        "from torch import nn\n\n\nclass Tokens(nn.Sequential):\n"
        "    def __init__(self):\n        super().__init__(nn.Embedding(100, 16))\n"
    )
    found = run(
        [sys.executable, "-m", "initlint", "check", "--static", "model.py", "--format", "concise"], project, site
    )
    assert found.returncode == 1, found.stdout
    assert "model.py:6:26: ACME001" in found.stdout
