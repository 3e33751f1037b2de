"""Every rule against its own examples: each bad one is found at its marked lines, each good one is left alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from initlint.engine import _subjects, load, registry
from initlint.facts import known
from initlint.findings import Finding, Severity
from initlint.rule import Bad, Good
from initlint.wire import loads

from ..ranks import once
from .harness import built_facts, examples, lines, marked, read_facts, said, snippet
from .test_unknown import ask, check


def _parameters(kind: str, by: str) -> list[object]:
    return [pytest.param(code, example, id=f"{code}-{number}") for code, number, example in examples(kind, by)]


def _expected_severity(code: str, example: Bad) -> Severity:
    return example.severity if example.severity is not None else registry()[code].severity


def assert_told_well(findings: list[Finding]) -> None:
    """One line, help, no value that was not there put into words, and evidence by names that JSON's readers can use."""
    for finding in findings:
        assert finding.help
        assert "\n" not in finding.message
        assert not re.search(r"(?<!is )\bNone\b", finding.message), finding.message
        measured = re.search(r"\d\.\d|\de[-+]\d|\d%", finding.message) and finding.sources != ("source",)
        assert finding.evidence or not measured, "what is measured is there as a number too"
        assert all(re.fullmatch(r"[a-z][a-z0-9_]*", key) for key in finding.evidence)


@pytest.mark.parametrize(("code", "example"), _parameters("bad", "source"))
def test_reading_finds_the_bad(code: str, example: Bad) -> None:
    text = snippet(example)
    findings = said([read_facts(text, "snippet.py", code)], code)
    assert sorted(set(lines(findings))) == marked(text)
    assert {finding.sources for finding in findings} == {("source",)}
    assert_told_well(findings)


@pytest.mark.parametrize(("code", "example"), _parameters("good", "source"))
def test_reading_leaves_the_good_alone(code: str, example: Good) -> None:
    assert said([read_facts(snippet(example), "snippet.py", code)], code) == []


@pytest.mark.parametrize(
    "code", [each.code for each in registry().values() if set() < {*each.measured} < {*each.subjects}]
)
def test_of_what_is_measured_reading_says_nothing(code: str) -> None:
    rule = load(code)
    for example in (*rule.bad, *rule.good):
        for subject, fact in _subjects(read_facts(snippet(example), "snippet.py")):
            assert subject not in registry()[code].measured or not ask(rule, subject, fact)


@pytest.mark.torch
@pytest.mark.parametrize(("code", "example"), _parameters("bad", "live"))
def test_running_finds_the_bad(code: str, example: Bad, tmp_path: Path) -> None:
    text = snippet(example)
    findings = said(built_facts(text, tmp_path), code)
    assert sorted(set(lines(findings))) == marked(text)
    assert _expected_severity(code, example) in {finding.severity for finding in findings}
    assert all("source" not in finding.sources and finding.sources for finding in findings)
    assert_told_well(findings)


@pytest.mark.torch
@pytest.mark.parametrize(("code", "example"), _parameters("good", "live"))
def test_running_leaves_the_good_alone(code: str, example: Good, tmp_path: Path) -> None:
    facts = built_facts(snippet(example), tmp_path)
    if {"graph", "probe"} & set(load(code).needs):
        assert all(known(model.probe) for part in facts for model in part.models), "silent because it was not run"
    assert said(facts, code) == []


@pytest.fixture(scope="module")
def on_ranks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the facts lie of the examples that need several processes."""
    pytest.importorskip("torch.distributed.fsdp")
    return once(tmp_path_factory, "on_ranks", "tests.rules.on_ranks")


@pytest.mark.torch
@pytest.mark.parametrize(("code", "number", "example"), list(examples("bad", "ranks")))
def test_ranks_find_the_bad(code: str, number: int, example: Bad, on_ranks: Path) -> None:
    facts = [loads((on_ranks / f"{code}-bad-{number}.json").read_text())]
    findings = said(facts, code)
    assert sorted(set(lines(findings))) == marked(snippet(example))
    assert _expected_severity(code, example) in {finding.severity for finding in findings}
    assert check(code, facts) > 0, "unknown means silent: as in test_unknown"


@pytest.mark.torch
@pytest.mark.parametrize(("code", "number", "example"), list(examples("good", "ranks")))
def test_ranks_leave_the_good_alone(code: str, number: int, example: Good, on_ranks: Path) -> None:
    facts = loads((on_ranks / f"{code}-good-{number}.json").read_text())
    assert known(facts.models[0].probe), "silent because it was not run"
    assert said([facts], code) == []


@pytest.mark.parametrize("code", list(registry()))
def test_a_rule_has_examples_of_every_kind_of_evidence(code: str) -> None:
    rule = load(code)
    assert len(rule.bad) >= 2
    assert len(rule.good) >= 2
    shown = {by for example in (*rule.bad,) for by in example.by}
    assert ("source" in rule.needs) <= ("source" in shown)
    # What lies over several processes cannot be shown in one: there the examples run in two, joined by gloo.
    assert bool(set(rule.needs) - {"source"}) <= bool({"live", "ranks"} & shown)
