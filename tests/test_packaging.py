"""What a user installs: the wheel, its contents, and that it runs where there is nothing but click."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from initlint.version import __version__

ROOT = Path(__file__).parent.parent
BAD = "import torch.nn as nn\n\n\ndef init_weights(m):\n    nn.init.normal_(m.weight, 0.02)\n"


def packages() -> dict[str, Path]:
    """Every package of the tree by the name it is installed under."""
    found = {}
    for top, name in ((ROOT / "initlint", "initlint"), (ROOT / "rules", "initlint_rules")):
        for init in top.rglob("__init__.py"):
            found[".".join((name, *init.parent.relative_to(top).parts))] = init.parent
    return found


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what a release uploads: the source distribution, and the wheel that is built from it."""
    copy = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "MANIFEST.in", "mkdocs.yml"):
        shutil.copy(ROOT / name, copy)
    for name in ("initlint", "rules", "docs"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(copy / "dist"), str(copy)]
    subprocess.run(command, check=True, capture_output=True)
    return copy / "dist"


@pytest.fixture(scope="module")
def wheel(released: Path) -> Path:
    (built,) = released.glob("*.whl")
    return built


def test_the_index_would_take_what_is_built(released: Path) -> None:
    files = sorted(map(str, released.iterdir()))
    assert [Path(file).name for file in files] == [
        f"initlint-{__version__}-py3-none-any.whl",
        f"initlint-{__version__}.tar.gz",
    ]
    check = [sys.executable, "-m", "twine", "check", "--strict", *files]
    checked = subprocess.run(check, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_the_version_stands_in_one_place() -> None:
    news = (ROOT / "CHANGELOG.md").read_text()
    latest = re.search(r"^## (\d+\.\d+\.\d+) \((unreleased|\d{4}-\d\d-\d\d)\)$", news, re.MULTILINE)
    assert latest is not None
    assert latest[1] == __version__
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        shown = re.findall(r"(?:rev: |@)v(\d+\.\d+\.\d+)", page.read_text())
        assert set(shown) <= {__version__}, page


def test_every_package_is_listed() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    listed = re.search(r"^packages = \[(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    assert listed is not None
    assert sorted(re.findall(r'"([^"]+)"', listed[1])) == sorted(packages())


def test_the_wheel_holds_every_module_and_nothing_else(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    expected = {
        f"{package.replace('.', '/')}/{module.relative_to(folder)}"
        for package, folder in packages().items()
        for pattern in ("*.py", "py.typed", "templates/*", "schema.json")
        for module in folder.glob(pattern)
    }
    assert names == expected


def test_the_wheel_says_what_it_needs(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    metadata = next(archive.read(name).decode() for name in archive.namelist() if name.endswith("/METADATA"))
    assert "License-Expression: Apache-2.0" in metadata
    needs = {
        re.split(r"[<>=; ]", line)[1]
        for line in re.findall(r"^Requires-Dist: .*$", metadata, re.MULTILINE)
        if "extra" not in line
    }
    assert needs == {"click", "libcst", "pathspec", "rich", "tomli"}
    assert re.search(r"^Requires-Dist: torch>=2\.4; extra == .torch.$", metadata, re.MULTILINE)


def test_the_wheel_runs_in_an_empty_environment_with_click_alone(wheel: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv/bin/python"
    version = f"python{sysconfig.get_python_version()}"
    site = tmp_path / "venv/lib" / version / "site-packages"
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run(command, check=True, capture_output=True)
    click = importlib.util.find_spec("click")
    assert click is not None
    assert click.origin is not None
    (site / "click").symlink_to(Path(click.origin).parent)
    (tmp_path / "model.py").write_text(BAD)
    env = {"PATH": os.environ["PATH"]}
    script = str(tmp_path / "venv/bin/initlint")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([script, *arguments], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)

    found = run("check", "--static", "model.py")
    assert found.returncode == 1, found.stderr
    assert found.stdout.startswith("model.py:5:5: INI501 [error]")
    rules = run("rules")
    assert rules.returncode == 0, rules.stderr
    assert len(rules.stdout.splitlines()) >= 26
    assert run("--version").stdout.startswith("initlint ")
    installed = subprocess.run(
        [python, "-c", "import initlint, initlint_rules; print(initlint.__file__, initlint_rules.__file__)"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert all(Path(path).is_relative_to(site) for path in installed)


def test_ci_and_the_readme_run_the_same_tests() -> None:
    readme, script = (ROOT / "README.md").read_text(), (ROOT / ".ci/run").read_text()
    assert os.access(ROOT / ".ci/run", os.X_OK)
    for part in ("pip install -e '.[dev]'", "python -m pytest"):
        assert part in readme
        assert part in script.replace('"$bin/', "").replace('" ', " ").replace("--quiet ", "")


def test_the_hook_cannot_be_made_to_run_code_by_replacing_its_arguments() -> None:
    hook = (ROOT / ".pre-commit-hooks.yaml").read_text()
    assert re.search(r"^\s+entry: initlint check --static --force-exclude$", hook, re.MULTILINE)
    assert "args:" not in hook


def test_the_finding_in_the_readme_is_what_is_printed() -> None:
    command = "initlint check --static examples/flawed/std_as_mean.py"
    readme = (ROOT / "README.md").read_text()
    shown = re.search(rf"`{command}` prints:\n\n```text\n(.*?)```", readme, re.DOTALL)
    assert shown is not None
    run = subprocess.run(
        [sys.executable, "-m", *command.split()], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.stdout == shown[1]
