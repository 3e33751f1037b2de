"""Unknown means silent: every fact that a finding rests on, replaced by UNKNOWN one at a time, silences it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from initlint.engine import _subjects, load, registry
from initlint.facts import UNKNOWN, Fact, Facts, UnknownFact
from initlint.findings import Finding
from initlint.rule import Bad, Rule

from .harness import built_facts, examples, read_facts, snippet

Place = tuple[int, str]

POINTING = {"location", "related"}
"""Where a finding points is not what it rests on: a bare module has no places, and its findings stand."""

TWICE = {("Parameter", "measured"), ("Layer", "probe")}
"""Facts for which the vocabulary itself names a second one to fall back on (what was drawn, what is predicted)."""


@contextmanager
def reading(seen: dict[Place, Fact] | None = None, unknown: Place | None = None) -> Iterator[None]:
    """Note which fields of facts are read, or let one of them read as UNKNOWN."""
    fields: dict[type, frozenset[str]] = {}

    def get(self: Fact, name: str) -> Any:
        kind = type(self)
        if kind not in fields:
            fields[kind] = (
                frozenset(field.name for field in dataclasses.fields(kind)) if kind is not Fact else frozenset()
            )
        if name in fields[kind]:
            if seen is not None:
                seen[id(self), name] = self
            if unknown == (id(self), name):
                return UNKNOWN
        return object.__getattribute__(self, name)

    Fact.__getattribute__ = get  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        del Fact.__getattribute__


def ask(rule: Rule, subject: str, fact: Fact) -> list[Finding]:
    try:
        return list(getattr(rule, f"check_{subject}")(fact))
    except UnknownFact:
        return []


def check(code: str, bundles: list[Facts]) -> int:
    rule = load(code)
    tried = 0
    for facts in bundles:
        for subject, fact in _subjects(facts):
            if subject not in registry()[code].subjects or not ask(rule, subject, fact):
                continue
            seen: dict[Place, Fact] = {}
            with reading(seen=seen):
                ask(rule, subject, fact)
            for place, owner in seen.items():
                kind = type(owner).__name__
                if (
                    place[1] in POINTING
                    or (kind, place[1]) in TWICE
                    or object.__getattribute__(owner, place[1]) is UNKNOWN
                ):
                    continue
                with reading(unknown=place):
                    said = ask(rule, subject, fact)
                assert not said, f"{code} still speaks with {kind}.{place[1]} unknown: {said[0].message}"
                tried += 1
    return tried


@pytest.mark.parametrize(
    ("code", "example"), [pytest.param(c, e, id=f"{c}-{n}") for c, n, e in examples("bad", "source")]
)
def test_what_was_read(code: str, example: Bad) -> None:
    assert check(code, [read_facts(snippet(example), "snippet.py")]) > 0


@pytest.mark.torch
@pytest.mark.parametrize(
    ("code", "example"), [pytest.param(c, e, id=f"{c}-{n}") for c, n, e in examples("bad", "live")]
)
def test_what_was_run(code: str, example: Bad, tmp_path: Path) -> None:
    assert check(code, built_facts(snippet(example), tmp_path)) > 0
