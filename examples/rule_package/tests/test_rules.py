"""Every rule of the package against its own examples: found at the marked lines, and nowhere else."""

import textwrap
from pathlib import Path

import acme_rules
import pytest

import initlint

PRELUDE = "import math, torch; from torch import nn; import torch.nn.functional as F\n"
RULES = [getattr(acme_rules, name) for name in acme_rules.__all__]


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    (tmp_path / "initlint.toml").write_text('plugins = ["acme_rules"]')
    monkeypatch.chdir(tmp_path)


def found(rule, example):
    Path("model.py").write_text(PRELUDE + textwrap.dedent(example.code).lstrip("\n"))
    report = initlint.check(["model.py"], static=True, select=[rule.code])
    assert not report.failures
    return [finding.location.line for finding in report.findings]


@pytest.mark.parametrize("rule", RULES)
def test_bad(rule):
    for example in rule.bad:
        lines = found(rule, example)
        text = Path("model.py").read_text().splitlines()
        assert lines == [number for number, line in enumerate(text, 1) if line.endswith("#~")]


@pytest.mark.parametrize("rule", RULES)
def test_good(rule):
    for example in rule.good:
        assert found(rule, example) == []
