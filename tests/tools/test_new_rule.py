"""What tools/new_rule.py begins is a rule to the rest of the tree, and its examples fail until it is written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BEGIN = ["INI499", "gate-never-opens", "--family", "wiring", "--subject", "parameter"]
AS_TESTED = """
import sys
from initlint.engine import load, registry
from tests.rules import harness, test_docs, test_examples
print(registry()["INI499"].module)
test_docs.test_the_registry_is_the_folder()
for test in (test_docs.test_a_rule_is_what_its_entry_says, test_docs.test_a_rule_has_every_section,
             test_docs.test_the_code_in_a_rules_doc_is_python):
    test("INI499")
rule = load("INI499")
for example in rule.good:
    test_examples.test_reading_leaves_the_good_alone("INI499", example)
for example in rule.bad:
    try:
        test_examples.test_reading_finds_the_bad("INI499", example)
    except AssertionError:
        print("fails until it is written")
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the tool touches, in which the rest is this tree's."""
    shutil.copytree(ROOT / "rules", tmp_path / "rules", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(
        ROOT / "tests" / "rules", tmp_path / "tests" / "rules", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("tests/__init__.py", "tests/ranks.py", "tools/new_rule.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "initlint_rules").symlink_to("rules")
    (tmp_path / "initlint").symlink_to(ROOT / "initlint")
    return tmp_path


def _run(tree: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(tree)}
    return subprocess.run(
        [sys.executable, *command], cwd=tree, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.torch
def test_what_it_begins_is_a_rule(tree: Path) -> None:
    begun = _run(tree, "tools/new_rule.py", *BEGIN)
    assert begun.returncode == 0, begun.stderr
    assert "rules/wiring/gate_never_opens.py written" in begun.stdout
    tested = _run(tree, "-c", AS_TESTED)
    assert tested.stdout.splitlines() == [
        "initlint_rules.wiring.gate_never_opens",
        "fails until it is written",
        "fails until it is written",
    ], tested.stderr
    again = _run(tree, "tools/new_rule.py", *BEGIN)
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr == "new_rule.py: INI499 or gate-never-opens is taken: see rules/__init__.py\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["INI49", *BEGIN[1:]], "INI49 is no code: INI and three digits"),
        (["INI499", "Gate", *BEGIN[2:]], "Gate is no name of a rule: words in lower case, joined by hyphens"),
        ([*BEGIN[:3], "gates", *BEGIN[4:]], "no family gates: api, bias_and_norm"),
    ],
)
def test_what_does_not_fit_is_one_line(tree: Path, arguments: list[str], said: str) -> None:
    before = (tree / "rules" / "__init__.py").read_bytes()
    refused = _run(tree, "tools/new_rule.py", *arguments)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert said in refused.stderr
    assert (tree / "rules" / "__init__.py").read_bytes() == before
