"""Unknown means silent: every fact that a finding rests on, replaced by UNKNOWN one at a time, silences it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from initlint.engine import _subjects, load, registry
from initlint.facts import UNKNOWN, Fact, Facts, Layer, Parameter, Target, UnknownFact, known
from initlint.findings import Finding
from initlint.rule import Bad, Rule

from .harness import built_facts, examples, read_facts, snippet

Place = tuple[int, str]

POINTING = {"location", "related"}
"""Where a finding points is not what it rests on: a bare module has no places, and its findings stand."""

STEADY = {("LayerProbe", "forward_std"), ("Model", "chains"), ("Model", "probe"), ("Probe", "predicted")}
"""By what it is known that the signal keeps its scale, which makes a warning advice."""

MILD = {("Layer", "is_head"), ("LayerProbe", "total_std"), ("Model", "probe"), ("Probe", "predicted")}
MILD |= {("Layer", "model")}
"""By what it is known that a model's outputs are of a usual size, which makes a warning advice as well."""

TOLD = {
    "INI106": {("Parameter", "escape"), ("Parameter", "name"), ("Escape", "received"), ("Escape", "copies_spread")}
    | {("Escape", "held_by_copies")},
    "INI202": STEADY,
    "INI203": MILD | {("Layer", "joined")},
    "INI205": STEADY,
    "INI206": {("Misfit", "taken"), ("Misfit", "own")} | STEADY | MILD,
    "INI211": {("Layer", "is_head")},
    "INI213": MILD,
    "INI305": {("Distribution", "std")},
    "INI501": {("Target", "kinds"), ("Target", "attribute")},
    "INI701": {("LayerProbe", "total_std")},
    "INI706": {("LayerProbe", "saturated_fraction"), ("LayerProbe", "one_hot_fraction"), ("Parameter", "role")},
    "INI708": {("Probe", "first_non_finite")},
    "INI712": {("Model", "chains")},
    "INI709": {("Layer", "is_head"), ("Model", "chains"), ("Probe", "loss_kind")},
}
"""Facts that a rule only tells where they are known: that copies stay one, which makes a warning an error, and what
else stands still for it, the two fans where their ratio is what matters, the std of a scale drawn around 0, which is
off whatever that is, that an output is huge, that other layers are not saturated, where a NaN and the logits come
from, and what a call writes, on which hangs only whether its fix is safe."""


def has_a_second(owner: Fact, name: str, doubled: set[int]) -> bool:
    """Whether the vocabulary names a fact to fall back on: what was drawn, what is predicted, what its kinds have."""
    if isinstance(owner, Parameter):
        return (name == "measured" and known(owner.writes)) or (name == "writes" and known(owner.measured))
    if isinstance(owner, Target):
        return name == "dimensions" and known(owner.kinds)
    return (isinstance(owner, Layer) and name == "probe") or (name == "family" and id(owner) in doubled)


def doubly_known(bundles: list[Facts]) -> set[int]:
    """Distributions of parameters that were both measured and seen drawn."""
    found: set[int] = set()
    for facts in bundles:
        for model in facts.models:
            for parameter in model.parameters:
                if known(parameter.measured) and known(parameter.writes) and parameter.writes:
                    found |= {id(parameter.measured), id(parameter.writes[-1].distribution)}
    return found


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
            if seen is not None and not pointing:
                seen[id(self), name] = self
            if unknown == (id(self), name):
                return UNKNOWN
        return object.__getattribute__(self, name)

    pointing: list[bool] = []
    at = Rule.at

    def quietly(self: Rule, *args: Any, **options: Any) -> Finding:
        pointing.append(True)
        try:
            return at(self, *args, **options)
        finally:
            pointing.pop()

    Rule.at = quietly  # type: ignore[method-assign]
    Fact.__getattribute__ = get  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        del Fact.__getattribute__
        Rule.at = at  # type: ignore[method-assign]


def ask(rule: Rule, subject: str, fact: Fact) -> list[Finding]:
    try:
        return list(getattr(rule, f"check_{subject}")(fact))
    except UnknownFact:
        return []


def check(code: str, bundles: list[Facts]) -> int:
    rule = load(code)
    doubled = doubly_known(bundles)
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
                    (kind, place[1]) in TOLD.get(code, ())
                    or place[1] in POINTING
                    or has_a_second(owner, place[1], doubled)
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
    assert check(code, [read_facts(snippet(example), "snippet.py")]) > 0, "not found with everything known, either"


@pytest.mark.torch
@pytest.mark.parametrize(
    ("code", "example"), [pytest.param(c, e, id=f"{c}-{n}") for c, n, e in examples("bad", "live")]
)
def test_what_was_run(code: str, example: Bad, tmp_path: Path) -> None:
    assert check(code, built_facts(snippet(example), tmp_path)) > 0, "not found with everything known, either"
