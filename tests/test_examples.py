"""The examples are what they say: the sound ones give nothing, the flawed ones their code at the marked line."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import initlint

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SOUND = sorted(set(EXAMPLES.glob("sound/*.py")) - {EXAMPLES / "sound/decoder_70b.py"})  # that one: live/test_meta.py
FLAWED = sorted([*EXAMPLES.glob("flawed/*.py"), *EXAMPLES.glob("flawed/*/model.py")])
HIDDEN = [EXAMPLES / "flawed/hidden_by_getattr.py"]
"""Flaws that reading alone cannot show."""

_MARK = re.compile(r"# flaw: (INI\d+)")

pytestmark = pytest.mark.torch


def checked(path: Path, *options: str) -> tuple[int, dict[str, list[dict[str, object]]], str]:
    command = [sys.executable, "-m", "initlint", "check", str(path), "--format", "json", *options]
    run = subprocess.run(command, cwd=EXAMPLES.parent, capture_output=True, text=True, check=False)
    return run.returncode, json.loads(run.stdout), run.stderr


def marks(path: Path) -> set[tuple[str, int, str]]:
    """The marked places of an example: path as reported, line, code."""
    folder = path.parent if path.parent.parent.name == "flawed" else None
    found = set()
    for file in sorted(folder.glob("*.py")) if folder else [path]:
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            if match := _MARK.search(line):
                found.add((str(file.relative_to(EXAMPLES.parent)), number, match[1]))
    return found


def test_there_are_enough_of_them() -> None:
    assert len(SOUND) >= 2
    assert len({code for path in FLAWED for _, _, code in marks(path)}) >= 6


def audited(path: Path) -> initlint.Report:
    """What is found in the example's model as a user's own test would ask for it: in this process, which has torch."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # inspect looks for a class there
    try:
        spec.loader.exec_module(module)
        *_, root = (value for value in vars(module).values() if getattr(value, "__module__", "") == path.stem)
        return initlint.audit(root)
    finally:
        del sys.modules[path.stem]


@pytest.mark.parametrize("path", SOUND, ids=lambda path: path.stem)
def test_sound(path: Path) -> None:
    report = audited(path)
    assert report.findings == ()
    (model,) = report.models
    assert model.layers[0].forward_std is not None


@pytest.mark.slow
@pytest.mark.parametrize("path", SOUND, ids=lambda path: path.stem)
def test_sound_from_the_command_line(path: Path) -> None:
    code, report, err = checked(path)
    assert (code, report["findings"], err) == (0, [], "")
    assert [model["status"] for model in report["models"]] == ["audited"]
    assert all(layer["forward_std"] is not None for model in report["models"] for layer in model["layers"][:1])  # type: ignore[attr-defined]


READ = {
    path for path in FLAWED if path.name in ("std_as_mean.py", "batchnorm_scale.py", "two_zero_layers.py", "model.py")
}
"""Flaws that reading finds too."""


@pytest.mark.parametrize("path", sorted(READ), ids=lambda path: path.stem)
def test_flawed_as_read(path: Path) -> None:
    code, report, err = checked(path, "--static")
    assert (code, err) == (1, "")
    assert marks(path) <= {(f["path"], f["line"], f["code"]) for f in report["findings"]}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("flawed/*.py")), ids=lambda path: path.name)
def test_flawed(path: Path) -> None:
    assert len(marks(path)) == 1
    places = [(finding.location, finding.code) for finding in audited(path).findings]
    found = {
        (str(Path(at.path).resolve().relative_to(EXAMPLES.parent)), at.line, code)
        for at, code in places
        if at is not None
    }
    assert marks(path) <= found


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(
            path, id=str(path.relative_to(EXAMPLES / "flawed")), marks=() if path in HIDDEN else pytest.mark.slow
        )
        for path in FLAWED
    ],
)
def test_flawed_from_the_command_line(path: Path) -> None:
    code, report, err = checked(path)
    found = {(f["path"], f["line"], f["code"]) for f in report["findings"]}
    assert code == 1, err
    assert marks(path) <= found
    assert err == ""
    assert [model["status"] for model in report["models"]] == ["audited"]


@pytest.mark.parametrize("path", HIDDEN, ids=lambda path: path.name)
def test_some_flaws_only_show_when_the_model_is_built(path: Path) -> None:
    code, report, _ = checked(path, "--static")
    assert (code, report["findings"]) == (0, [])


def test_reading_follows_a_helper_into_its_file() -> None:
    path = EXAMPLES / "flawed/hidden_in_helper/model.py"
    code, report, _ = checked(path, "--static")
    assert code == 1
    assert {(f["path"], f["line"], f["code"]) for f in report["findings"]} == marks(path)
