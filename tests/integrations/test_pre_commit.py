"""The hooks under the real pre-commit, at ``git commit``."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integrations.conftest import ROOT, Command

HOOKS = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
HEAD = "import torch.nn as nn\n\n\ndef init_weights(m, std=0.02):\n"
SOUND = f"{HEAD}    nn.init.normal_(m.weight, std=std)\n"
FLAWED = f"{HEAD}    nn.init.normal_(m.weight, std)\n"
NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.first, self.last = nn.Linear(8, width), nn.Linear(width, 8)
        for parameter in self.parameters():
            with torch.no_grad():
                parameter.copy_(torch.full_like(parameter, 0.1))

    def forward(self, x):
        return self.last(torch.relu(self.first(x)))
"""
CONFIGURED = '[[tool.initlint.model]]\ntarget = "net.py::Net"\nargs = { width = 16 }\nbatch = "4x8"\n'


@pytest.fixture
def project(tmp_path: Path, command: Command) -> Path:
    assert command("git", "init", "-q").returncode == 0
    return tmp_path / "project"


def use(command: Command, project: Path, repository: dict[str, Any]) -> None:
    """Have git run a repository's hooks at each commit."""
    (project / ".pre-commit-config.yaml").write_text(yaml.safe_dump({"repos": [repository]}))
    installed = command(sys.executable, "-m", "pre_commit", "install")
    assert installed.returncode == 0, installed.stdout


def here(name: str) -> dict[str, Any]:
    """A hook as the manifest has it, but for its environment: this one, for nothing has to be installed."""
    return {"repo": "local", "hooks": [{**HOOKS[name], "language": "system"}]}


def commit(command: Command, **environment: str) -> subprocess.CompletedProcess[str]:
    assert command("git", "add", ".").returncode == 0
    return command("git", "commit", "-q", "-m", "a change", **environment)


def test_the_manifest_is_one(command: Command) -> None:
    assert set(HOOKS) == {"initlint", "initlint-fix", "initlint-live"}
    assert HOOKS["initlint-live"]["language"] == "system"
    assert all("args" not in hook for hook in HOOKS.values())  # users replace them, and --static with them
    checked = command(sys.executable, "-m", "pre_commit", "validate-manifest", ROOT / ".pre-commit-hooks.yaml")
    assert checked.returncode == 0, checked.stdout


def test_a_clean_commit_passes_and_a_flawed_one_is_stopped(project: Path, command: Command) -> None:
    use(command, project, here("initlint"))
    (project / "model.py").write_text(SOUND)
    passed = commit(command)
    assert passed.returncode == 0, passed.stdout
    (project / "other.py").write_text(FLAWED)
    (project / "notes.txt").write_text(FLAWED)
    stopped = commit(command)
    assert stopped.returncode == 1
    assert "other.py:5:5: INI501 [error]" in stopped.stdout
    assert "model.py" not in stopped.stdout
    assert "notes.txt" not in stopped.stdout


def test_the_fixing_hook_edits_and_the_next_commit_passes(project: Path, command: Command) -> None:
    use(command, project, here("initlint-fix"))
    (project / "model.py").write_text(FLAWED)
    stopped = commit(command)
    assert stopped.returncode == 1
    assert "files were modified by this hook" in stopped.stdout
    assert (project / "model.py").read_text() == SOUND
    passed = commit(command)
    assert passed.returncode == 0, passed.stdout


@pytest.mark.torch
def test_the_live_hook_builds_what_is_configured(project: Path, command: Command) -> None:
    use(command, project, here("initlint-live"))
    (project / "pyproject.toml").write_text(CONFIGURED)
    (project / "net.py").write_text(NET)
    stopped = commit(command)
    assert stopped.returncode == 1
    assert "INI103" in stopped.stdout or "INI102" in stopped.stdout
    assert "net.py::Net: 280 parameters" in stopped.stdout


@pytest.mark.slow
def test_the_hooks_install_from_a_clone_and_without_torch(project: Path, command: Command, tmp_path: Path) -> None:
    source = tmp_path / "initlint"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", ".pre-commit-hooks.yaml"):
        shutil.copy(ROOT / name, source)
    for name in ("initlint", "rules"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for arguments in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "all")):
        assert command("git", "-C", source, *arguments).returncode == 0
    revision = command("git", "-C", source, "rev-parse", "HEAD").stdout.strip()
    hooks = [{"id": "initlint"}, {"id": "initlint-fix"}]
    use(command, project, {"repo": str(source), "rev": revision, "hooks": hooks})
    (project / "model.py").write_text(FLAWED)
    stopped = commit(command, PYTHONPATH="")
    assert stopped.returncode == 1
    assert "model.py:5:5: INI501 [error]" in stopped.stdout
    assert (project / "model.py").read_text() == SOUND
    passed = commit(command, PYTHONPATH="")
    assert passed.returncode == 0, passed.stdout
    installed = {path.name for path in (tmp_path / "pre-commit").rglob("site-packages/*")}
    assert "click" in installed
    assert not {"torch", "numpy"} & installed
