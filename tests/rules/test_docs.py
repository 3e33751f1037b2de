"""Every rule documents itself, and the registry is the folder."""

from __future__ import annotations

import ast
import inspect
import re
import statistics
from pathlib import Path

import pytest

from initlint.engine import load, registry
from initlint.rule import SUBJECTS

SECTIONS = [
    "What it does",
    "Why it matters",
    "Example",
    "Use instead",
    "When it is right to do this",
    "Fix safety",
]
RULES = Path(__file__).resolve().parents[2] / "rules"


def documentation(code: str) -> str:
    """A rule's docstring without its indentation, which Python 3.13 and later leave out anyway."""
    return inspect.cleandoc(type(load(code)).__doc__ or "")


def test_the_registry_is_the_folder() -> None:
    files = {
        "initlint_rules." + ".".join(path.relative_to(RULES).with_suffix("").parts)
        for path in RULES.rglob("*.py")
        if not path.name.startswith("_")
    }
    assert {entry.module for entry in registry().values()} == files


@pytest.mark.parametrize("code", list(registry()))
def test_a_rule_is_what_its_entry_says(code: str) -> None:
    rule, entry = load(code), registry()[code]
    assert (rule.code, rule.name, rule.severity) == (entry.code, entry.name, entry.severity)
    assert {subject for subject in SUBJECTS if hasattr(rule, f"check_{subject}")} == set(entry.subjects)
    assert rule.highest is None or rule.highest > rule.severity
    assert (rule.finds, rule.asked_by) == (entry.finds, entry.asked_by)


@pytest.mark.parametrize("code", list(registry()))
def test_a_rule_has_every_section(code: str) -> None:
    doc = documentation(code)
    summary, *_ = doc.splitlines()
    assert summary.endswith(".")
    assert re.findall(r"^## (.+)$", doc, re.MULTILINE) == SECTIONS
    bodies = re.split(r"^## .+$", doc, flags=re.MULTILINE)[1:]
    assert all(body.strip() for body in bodies)


@pytest.mark.parametrize("code", list(registry()))
def test_the_code_in_a_rules_doc_is_python(code: str) -> None:
    doc = documentation(code)
    for title in ("Example", "Use instead"):
        body = doc.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]
        block = "\n".join(line[4:] for line in body.splitlines() if line.startswith(" " * 4) or not line.strip())
        ast.parse(block)
        assert block.strip()


def test_a_rule_is_read_on_a_screen_or_two() -> None:
    """Its documentation and its logic; the examples between them are as many as it has look-alikes."""
    lines: dict[str, int] = {}
    for path in RULES.rglob("[!_]*.py"):
        text = path.read_text()
        (rule,) = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
        examples = [node for node in rule.body if isinstance(node, ast.Assign)]
        tables = [node for node in examples if ast.unparse(node.targets[0]) in ("bad", "good")]
        shown = sum(node.end_lineno - node.lineno + 1 for node in tables if node.end_lineno is not None)
        lines[path.stem] = len(text.splitlines()) - shown
    assert {name: count for name, count in lines.items() if count > 120} == {}
    assert statistics.median(lines.values()) < 80
