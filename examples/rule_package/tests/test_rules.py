"""Every rule of the package against its own examples: found at the marked lines, and nowhere else."""

import textwrap

import acme_rules
import pytest

import initlint

PRELUDE = "import math, torch; from torch import nn; import torch.nn.functional as F\n"
RULES = [getattr(acme_rules, name) for name in acme_rules.__all__]


def found(rule, example, path):
    path.write_text(PRELUDE + textwrap.dedent(example.code).lstrip("\n"))
    report = initlint.check([str(path)], static=True, select=[rule.code], config=["plugins = ['acme_rules']"])
    assert not report.failures
    return [finding.location.line for finding in report.findings]


@pytest.mark.parametrize("rule", RULES)
def test_bad(rule, tmp_path):
    for example in rule.bad:
        lines = found(rule, example, tmp_path / "model.py")
        text = (tmp_path / "model.py").read_text().splitlines()
        assert lines == [number for number, line in enumerate(text, 1) if line.endswith("#~")]


@pytest.mark.parametrize("rule", RULES)
def test_good(rule, tmp_path):
    for example in rule.good:
        assert found(rule, example, tmp_path / "model.py") == []
