"""``initlint rules``, ``initlint explain``, ``--version``, ``--help``."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

import initlint as package
from initlint.engine import registry

Run = Callable[..., Any]


def test_version_and_help(initlint: Run) -> None:
    assert initlint("--version").out == f"initlint {package.__version__}\n"
    assert initlint("check", "--help").code == 0
    assert "--static" in initlint("check", "-h").out


def test_rules_lists_every_rule(initlint: Run) -> None:
    entries = json.loads(initlint("rules", "--format", "json").out)
    assert [entry["code"] for entry in entries] == sorted(registry())
    assert all(entry["summary"] and entry["needs"] for entry in entries)
    text = initlint("rules").out
    assert all(entry["code"] in text and entry["name"] in text for entry in entries)


@pytest.mark.parametrize("spelling", ["INI501", "ini501", "std-passed-as-mean"])
def test_explain(initlint: Run, spelling: str) -> None:
    result = initlint("explain", spelling)
    assert result.code == 0
    assert result.out.startswith("INI501 std-passed-as-mean [error]\n")
    for section in ("What it does", "Why it matters", "Example", "Use instead", "When it is right", "Fix safety"):
        assert section in result.out


@pytest.mark.parametrize("code", sorted(registry()))
def test_every_rule_explains_itself(initlint: Run, code: str) -> None:
    assert len(initlint("explain", code).out.splitlines()) > 15


@pytest.mark.parametrize(("wrong", "near"), [("INI5O1", "INI501"), ("INI05", "INI"), ("std-as-mean", "INI501")])
def test_explain_suggests(initlint: Run, wrong: str, near: str) -> None:
    result = initlint("explain", wrong)
    assert result.code == 2
    assert len(result.err.splitlines()) == 1
    assert near in result.err
