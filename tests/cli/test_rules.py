"""``initlint rules``, ``initlint explain``, ``--version``, ``--help``."""

from __future__ import annotations

import json
import sys
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


NEAR = [
    ("INI5O1", "INI501 (std-passed-as-mean)"),
    ("INI05", "INI"),
    ("std-as-mean", "INI501"),
    ("zero", "INI101 (zero-weight)"),
    ("unintialized-parameter", "INI104"),
    ("INI5", "rules, INI501 to INI514"),
]


@pytest.mark.parametrize(("wrong", "near"), NEAR)
def test_explain_suggests(initlint: Run, wrong: str, near: str) -> None:
    result = initlint("explain", wrong)
    assert result.code == 2
    assert len(result.err.splitlines()) == 1
    assert near in result.err


def listed(initlint: Run, *arguments: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads(initlint("rules", *arguments, "--format", "json").out)
    return entries


def test_rules_can_be_filtered(initlint: Run) -> None:
    every = listed(initlint)
    assert listed(initlint, "ini5", "INI203") == [e for e in every if e["code"].startswith(("INI5", "INI203"))]
    assert listed(initlint, "bias-and-norm") == [e for e in every if e["family"] == "bias_and_norm"] != []
    assert listed(initlint, "--severity", "error") == [e for e in every if "error" in (e["severity"], e["highest"])]
    assert listed(initlint, "--needs", "probe") == [e for e in every if "probe" in e["needs"]]
    fixable = listed(initlint, "INI5", "--fixable")
    assert "INI501" in [e["code"] for e in fixable]
    assert all(e["fixable"] for e in fixable)
    assert listed(initlint, "INI7", "--fixable") == []
    nothing = initlint("rules", "INI7", "--fixable")
    assert (nothing.code, nothing.out) == (0, "")
    assert nothing.err == "initlint: note: no rule is all of that\n"
    unknown = initlint("rules", "INI9")
    assert unknown.code == 2
    assert len(unknown.err.splitlines()) == 1


@pytest.mark.parametrize("columns", [60, 160])
def test_on_a_terminal_both_are_laid_out_for_it(initlint: Run, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    rules, documentation = initlint("rules", "INI1").out, initlint("explain", "INI501").out
    for text in (rules, documentation):
        assert "\x1b" not in text
        assert max(map(len, text.splitlines())) <= columns
    assert "zero-weight" in rules
    assert "##" not in documentation
    assert "nn.init.normal_(self.fc.weight, std=0.02)" in documentation
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b[" in initlint("rules", "INI1").out
    assert "\x1b[" in initlint("explain", "INI501").out


COMPLETED = [
    ("explain INI50", "plain,INI501"),
    ("check --ignore INI1,INI50", "plain,INI1,INI501"),
    ("check mod", "file,mod"),  # the shell knows its files
    ("suggest mod", "file,mod"),
    ("check --output rep", "file,rep"),
]


@pytest.mark.parametrize(("line", "first"), COMPLETED)
def test_the_shell_completes(initlint: Run, monkeypatch: pytest.MonkeyPatch, line: str, first: str) -> None:
    monkeypatch.setenv("_INITLINT_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", f"initlint {line}")
    monkeypatch.setenv("COMP_CWORD", str(len(line.split())))
    assert initlint().out.splitlines()[0] == first


def test_what_is_near_no_rule_names_none(initlint: Run) -> None:
    assert initlint("explain", "INI999").err == (
        "initlint: error: no rule is called 'INI999': 'initlint rules' lists them\n"
    )
    assert initlint("rules", "scal").err == (
        "initlint: error: no family of rules is called 'scal': did you mean scale?\n"
    )
