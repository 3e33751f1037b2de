"""The flake8 plugin in runs of the real flake8."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

pytest.importorskip("flake8")
from flake8.main.cli import main

import initlint
from initlint.integrations import flake8_plugin

ROOT = Path(__file__).parents[2]
PLUGIN = "initlint.integrations.flake8_plugin:Checker"
BAD = "nn.init.normal_(m.weight, 0.02)"
MODEL = f"from torch import nn\n\n\ndef init_weights(m):\n    {BAD}\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project to run flake8 in; the plugin comes by its entry point where the installation has that."""
    local = "" if list(entry_points(group="flake8.extension", name="INI")) else "[flake8:local-plugins]\n"
    (tmp_path / ".flake8").write_text(f"{local}extension =\n    INI = {PLUGIN}\n" if local else "[flake8]\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def flake8(project: Path, capsys: pytest.CaptureFixture[str]):
    """Run flake8 here and return what it prints, line by line."""

    def run(*arguments: str) -> list[str]:
        flake8_plugin._here.cache_clear()  # flake8 runs once in a process
        main(["--jobs=1", "--max-line-length=200", *arguments])
        return capsys.readouterr().out.splitlines()

    return run


def test_a_finding_has_its_line_column_and_help(project: Path, flake8) -> None:
    (project / "model.py").write_text(MODEL)
    (project / "other.py").write_text("import os\n")
    found = flake8("model.py", "other.py")
    assert [line.split()[:2] for line in found] == [["model.py:5:5:", "INI501"], ["other.py:1:1:", "F401"]]
    assert "std=0.02" in found[0]


def test_columns_count_code_points_whatever_the_encoding(project: Path, flake8) -> None:
    text = f"# coding: latin-1\n{MODEL}".replace(f"    {BAD}", f'    "é"; {BAD}')
    (project / "model.py").write_bytes(text.replace("\n", "\r\n").encode("latin-1"))
    (project / "marked.py").write_text(MODEL.replace(f"    {BAD}", f'    "é"; {BAD}'), "utf-8-sig")
    places = [line.split()[0] for line in flake8("--select=INI", "model.py", "marked.py")]
    assert sorted(places) == ["marked.py:5:10:", "model.py:6:10:"]


@pytest.mark.parametrize(
    "comment", ["# noqa: INI501", "# noqa: INI5", "# noqa", "# initlint: ignore[INI501]", "# initlint: ignore"]
)
def test_both_ways_to_silence_work(project: Path, flake8, comment: str) -> None:
    (project / "model.py").write_text(MODEL.replace(BAD, f"{BAD}  {comment}"))
    assert flake8("model.py") == []


def test_flake8_selects_among_our_codes(project: Path, flake8) -> None:
    (project / "model.py").write_text(MODEL)
    assert flake8("--extend-ignore=INI5", "model.py") == []


def test_our_configuration_holds(project: Path, flake8) -> None:
    package = project / "package"
    (package / "vendored").mkdir(parents=True)
    for path in (project / "model.py", package / "model.py", package / "vendored" / "model.py"):
        path.write_text(MODEL)
    (project / "pyproject.toml").write_text('[tool.initlint.per-file-ignores]\n"package/" = ["INI5"]\n')
    assert [line.split()[0] for line in flake8(".")] == ["./model.py:5:5:"]
    (package / "initlint.toml").write_text('extend-exclude = ["vendored/"]\n')
    assert sorted(line.split()[0] for line in flake8(".")) == ["./model.py:5:5:", "./package/model.py:5:5:"]


def test_what_the_baseline_knows_is_not_told_again(project: Path, flake8) -> None:
    (project / "model.py").write_text(MODEL)
    initlint.check(["model.py"], static=True, baseline="known.json", update_baseline=True)
    (project / "initlint.toml").write_text('baseline = "known.json"\n')
    (project / "model.py").write_text(f"{MODEL}    nn.init.kaiming_normal(m.weight)\n")
    assert [line.split()[1] for line in flake8("model.py")] == ["INI503"]


def test_an_initialiser_of_ones_own_is_enough_to_be_read(project: Path, flake8) -> None:
    (project / "model.py").write_text("from ours import fill_\n\n\ndef setup(layer):\n    fill_(layer.weight, 0.0)\n")
    assert flake8("model.py") == []
    (project / "pyproject.toml").write_text(
        '[[tool.initlint.initializer]]\nname = "ours.fill_"\nsignature = "(tensor, mean=0.0, std=1.0)"\n'
        'mean = "mean"\nstd = "std"\nlike = "normal_"\n'
    )
    assert flake8("--select=E9,INI", "model.py") == []


def test_a_wrong_configuration_is_one_line(project: Path, flake8, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "model.py").write_text(MODEL)
    (project / "package").mkdir()
    (project / "package" / "model.py").write_text(MODEL)
    (project / "package" / "initlint.toml").write_text('ignore = ["INI999"]\n')
    nested = flake8("package/model.py")
    assert [line.split()[:2] for line in nested] == [["package/model.py:1:1:", "INI000"]]
    assert "INI999" in nested[0]
    (project / "initlint.toml").write_text("selct = []\n")
    printed = " ".join(flake8("model.py"))
    assert "selct" in printed
    assert "Traceback" not in printed


def test_standard_input_has_a_name_and_little_is_imported(project: Path) -> None:
    (project / "pyproject.toml").write_text('[tool.initlint.per-file-ignores]\n"loud/" = ["INI503"]\n')
    program = (
        "import sys; from flake8.main.cli import main; code = main(sys.argv[1:]); "
        "print(code, sorted({'torch', 'libcst', 'numpy', 'click', 'rich'} & set(sys.modules)), "
        "'initlint.engine' in sys.modules)"
    )

    def run(name: str, text: str) -> list[str]:
        command = [sys.executable, "-c", program, "--jobs=1", f"--stdin-display-name={name}", "-"]
        path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(ROOT))))
        ran = subprocess.run(
            command, input=text, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": path}
        )
        return ran.stdout.splitlines()

    found, ended = run("loud/model.py", f"{MODEL}    nn.init.kaiming_normal(m.weight)\n")
    assert found.startswith("loud/model.py:5:5: INI501 ")
    assert ended == "1 [] True"
    assert run("loud/plain.py", "print('hello')\n") == ["0 [] False"]
