"""Every fix against the rules' own examples: the bad one becomes exactly ``fixed``, and that is clean."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest

from initlint.engine import judge
from initlint.findings import Finding, Fix
from initlint.fix.rounds import mend
from initlint.rule import Bad

from .harness import PRELUDE, examples, read_facts, snippet

CASES = [pytest.param(code, example, id=f"{code}-{number}") for code, number, example in examples("bad", "source")]


def found(code: str, text: str) -> list[Finding]:
    return judge([read_facts(text, "snippet.py")], {code})


def unmarked(text: str) -> str:
    return re.sub(r" *#~$", "", text, flags=re.MULTILINE)


@pytest.mark.parametrize(("code", "example"), CASES)
def test_the_bad_becomes_what_its_author_would_write(code: str, example: Bad) -> None:
    before = unmarked(snippet(example))

    def ask(text: str) -> Iterable[Finding]:
        return found(code, text)

    outcome = mend(before, ask, unsafe=True)
    assert outcome.problems == [], "a fix was proposed that cannot be made"
    if example.fixed is None:
        assert outcome.text == before, "no fix is stated, and one was made"
        return
    wanted = snippet(Bad(example.fixed))
    assert outcome.text.removeprefix(PRELUDE) == wanted.removeprefix(PRELUDE)
    assert outcome.fixed >= 1
    assert found(code, outcome.text) == [], "the fix leaves the finding"


@pytest.mark.parametrize(("code", "example"), CASES)
def test_a_fix_survives_json(code: str, example: Bad) -> None:
    import json

    for finding in found(code, snippet(example)):
        if finding.fix is not None:
            assert Fix.from_plain(json.loads(json.dumps(finding.fix.as_plain()))) == finding.fix
