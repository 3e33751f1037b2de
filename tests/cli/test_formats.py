"""``--format`` and ``--output`` as a CI job uses them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from initlint.report.formats import MACHINE
from tests.report.test_machine_formats import GOLDEN, valid

Run = Callable[..., Any]
FLAWED = "import torch.nn as nn\n\n\ndef init_weights(m):\n    nn.init.normal_(m.weight, 0.02)\n"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(FLAWED)
    return tmp_path


@pytest.mark.parametrize("name", MACHINE)
def test_a_format_in_a_file_leaves_the_text_on_the_terminal(initlint: Run, project: Path, name: str) -> None:
    result = initlint("check", "--static", "model.py", "--format", name, "--output", "report")
    assert result.code == 1
    assert result.out.startswith("model.py:5:5: INI501 [error]")
    printed = initlint("check", "--static", "model.py", "--format", name)
    assert printed.code == 1
    written = (project / "report").read_text()
    assert "INI501" in written
    if name in GOLDEN:
        valid(name, written)
    if name not in ("json", "junit"):  # they say how long it took
        assert printed.out == written


def test_concise_is_a_line_a_finding(initlint: Run) -> None:
    out = initlint("check", "--static", "model.py", "--format", "concise").out
    assert out.startswith("model.py:5:5: INI501 nn.init.normal_(m.weight, 0.02) sets the mean")
    assert out.count("\n") == 1


def test_sarif_has_the_rules_help_and_the_fix_that_was_worked_out(initlint: Run, project: Path) -> None:
    result = initlint("check", "--static", "model.py", "--diff", "--unsafe-fixes", "--format", "sarif")
    (run,) = valid("sarif", result.out)["runs"]
    (rule,) = run["tool"]["driver"]["rules"]
    assert rule["name"] == "std-passed-as-mean"
    assert "## Why it matters" in rule["help"]["markdown"]
    (change,) = run["results"][0]["fixes"][0]["artifactChanges"]
    (replacement,) = change["replacements"]
    region, line = replacement["deletedRegion"], FLAWED.splitlines()[4]
    mended = (
        line[: region["startColumn"] - 1] + replacement["insertedContent"]["text"] + line[region["endColumn"] - 1 :]
    )
    assert mended.strip() == "nn.init.normal_(m.weight, std=0.02)"
    assert (project / "model.py").read_text() == FLAWED
    plain = initlint("check", "--static", "model.py", "--format", "sarif").out
    assert "fixes" not in json.loads(plain)["runs"][0]["results"][0]


def test_known_findings_are_in_no_format(initlint: Run) -> None:
    initlint("check", "--static", "model.py", "--baseline", "known.json", "--update-baseline")
    for name in sorted(GOLDEN):
        result = initlint("check", "--static", "model.py", "--baseline", "known.json", "--format", name)
        assert result.code == 0
        assert "INI501" not in result.out


def test_fixed_standard_input_is_printed_also_beside_a_report(initlint: Run, project: Path) -> None:
    arguments = ("check", "--static", "--fix", "--unsafe-fixes", "-", "--format", "sarif", "--output", "report.sarif")
    result = initlint(*arguments, stdin=FLAWED.encode())
    assert "std=0.02" in result.out
    assert valid("sarif", (project / "report.sarif").read_text())["runs"][0]["results"] == []


def test_the_format_is_one_of_those(initlint: Run) -> None:
    result = initlint("check", "--static", "model.py", "--format", "sarf")
    assert result.code == 2
    assert len(result.err.splitlines()) == 1
    assert "sarif" in result.err
    refused = initlint("check", "--static", "model.py", "--format", "sarif", "--statistics")
    assert refused.code == 2
    beside = initlint("check", "--static", "model.py", "--format", "sarif", "--statistics", "--output", "x")
    assert beside.out.endswith("1  INI501  std-passed-as-mean\n")
