"""Selecting rules, merging what front ends say, and telling effects as consequences of their cause."""

from __future__ import annotations

from typing import Any

import pytest

from initlint.engine import Selection, explain, judge, merge, registry, weighed
from initlint.facts import UNKNOWN, Distribution, Facts, Layer, Model, Parameter, Statistics, Write
from initlint.findings import Finding, Severity
from initlint.location import Location

HERE, THERE = Location("net.py", 7, 9), Location("net.py", 20, 9)


def finding(code: str, severity: Severity = Severity.WARNING, **fields: Any) -> Finding:
    return Finding(
        code=code, name=registry()[code].name, severity=severity, message=fields.pop("message", code), **fields
    )


def test_the_default_is_everything_but_advice() -> None:
    assert Selection().codes() == {code for code, entry in registry().items() if entry.severity > Severity.ADVICE}


def test_the_longest_match_wins() -> None:
    family = {c for c, entry in registry().items() if c[:4] == "INI5" and entry.severity > Severity.ADVICE}
    assert Selection(select=("INI5",), ignore=("INI501",)).codes() == family - {"INI501"}
    assert Selection(select=("INI501",), ignore=("INI5",)).codes() == {"INI501"}
    assert Selection(ignore=("INI",), extend_select=("INI104",)).codes() == {"INI104"}
    assert "INI501" not in Selection(select=("INI501",), ignore=("INI501",)).codes()


def test_an_unknown_code_names_its_neighbours() -> None:
    with pytest.raises(ValueError, match=r"no rule is called 'INI502x'.*INI502"):
        Selection(select=("INI502x",)).codes()
    with pytest.raises(ValueError, match=r"did you mean INI305"):
        Selection(ignore=("norm-scale-of",)).codes()


def test_two_front_ends_are_one_finding_with_both_sources() -> None:
    read = finding("INI501", Severity.ERROR, location=HERE, sources=("source",), message="read")
    built = finding(
        "INI501",
        Severity.ERROR,
        location=Location("net.py", 7),
        sources=("parameters",),
        message="built",
        model="Net",
        parameter="fc.weight",
        parameters=("fc.weight",),
        evidence={"std": 1.0},
    )
    (merged,) = merge([read, built])
    assert merged.sources == ("source", "parameters")
    assert (merged.message, merged.model, merged.parameters) == ("built", "Net", ("fc.weight",))
    assert merged.location == HERE or merged.location == Location("net.py", 7)


def test_parameters_of_one_statement_are_listed_once() -> None:
    each = [
        finding("INI305", location=HERE, model="Net", parameter=f"bn{i}.weight", parameters=(f"bn{i}.weight",))
        for i in range(3)
    ]
    (merged,) = merge(each)
    assert merged.parameters == ("bn0.weight", "bn1.weight", "bn2.weight")
    assert merged.message.endswith("(and 2 more like it)")


def test_other_statements_and_codes_stay_apart() -> None:
    apart = [finding("INI305", location=HERE), finding("INI305", location=THERE), finding("INI501", location=HERE)]
    assert len(merge(apart)) == 3


def test_an_effect_becomes_the_consequence_of_its_cause_and_lends_its_severity() -> None:
    cause = finding(
        "INI305", location=HERE, model="Net", layer="bn1", parameters=("bn1.weight",), sources=("parameters",)
    )
    effect = finding(
        "INI701",
        Severity.ERROR,
        location=THERE,
        model="Net",
        layer="conv9",
        suspects=("conv1", "bn1", "conv9"),
        message="signal std falls 0.2 -> 6e-31",
        sources=("probe",),
    )
    (told,) = explain([cause, effect])
    assert told.code == "INI305"
    assert told.severity == Severity.ERROR
    assert told.consequences == ("signal std falls 0.2 -> 6e-31",)
    assert told.sources == ("parameters", "probe")


def test_an_effect_without_a_cause_speaks_for_itself() -> None:
    effect = finding("INI701", model="Net", layer="conv9", suspects=("conv1", "conv9"))
    other = finding("INI305", location=HERE, model="Other", layer="conv1")
    assert {f.code for f in explain([effect, other])} == {"INI701", "INI305"}


def test_stuck_parameters_are_the_echo_of_a_zero_weight() -> None:
    cause = finding("INI101", Severity.ERROR, location=HERE, model="Net", layer="fc2")
    echo = finding("INI707", Severity.ERROR, location=THERE, model="Net", layer="fc1", message="fc1.weight is stuck")
    (told,) = explain([cause, echo])
    assert told.code == "INI101"
    assert told.consequences == ("fc1.weight is stuck",)


def test_an_effect_goes_to_the_cause_and_not_to_another_effect() -> None:
    cause = finding("INI101", Severity.ERROR, location=HERE, model="Net", layer="fc", parameters=("fc.weight",))
    dead = finding("INI705", location=HERE, model="Net", layer="fc", message="dead")
    stuck = finding(
        "INI707", Severity.ERROR, location=HERE, model="Net", layer="fc", parameter="fc.weight", message="stuck"
    )
    (told,) = explain([cause, dead, stuck])
    assert told.code == "INI101"
    assert told.consequences == ("dead",)


def test_what_is_measured_on_unwritten_memory_is_not_told() -> None:
    unwritten = finding("INI104", Severity.ERROR, location=HERE, model="Net", layer="a", sources=("parameters",))
    echo = finding("INI101", Severity.ERROR, location=THERE, model="Net", layer="b", sources=("probe",))
    other = finding("INI101", Severity.ERROR, location=THERE, model="Other", layer="b", sources=("probe",))
    read = finding("INI101", Severity.ERROR, location=THERE, model="Net", layer="c", sources=("source",))
    assert explain([unwritten, echo, other, read]) == [unwritten, other, read]


def test_a_cause_is_as_grave_selected_alone_as_with_its_effects() -> None:
    cause = finding("INI201", location=HERE, model="Net", layer="a", parameters=("a.weight",), sources=("graph",))
    effect = finding("INI701", Severity.ERROR, location=THERE, model="Net", suspects=("a",), sources=("probe",))
    (alone,) = weighed([cause, effect], frozenset({"INI201"}))
    (whole,) = explain([cause, effect])
    assert (alone.severity, alone.consequences) == (whole.severity, whole.consequences) == (Severity.ERROR, ("INI701",))
    assert weighed([cause, effect], frozenset({"INI701"})) == [effect]
    assert "INI701" not in Selection(select=("INI201",), ignore=("INI7",)).left_out()


def model_with(parameter: Parameter) -> Facts:
    return Facts(origin="live", models=(Model(name="Net", layers=(Layer(name="fc", parameters=(parameter,)),)),))


def test_what_is_unknown_drops_the_subject_and_no_other() -> None:
    nan = Statistics(count=4, mean=0.0, std=0.0, minimum=0.0, maximum=0.0, finite=False)
    layer = Layer(
        name="fc",
        parameters=(Parameter(name="fc.a", statistics=UNKNOWN), Parameter(name="fc.b", statistics=nan)),
    )
    findings = judge([Facts(origin="live", models=(Model(name="Net", layers=(layer,)),))], {"INI105"})
    assert [f.parameter for f in findings] == ["fc.b"]


def test_a_rule_that_fails_loses_its_subject_and_says_so() -> None:
    broken = Distribution(family="normal", mean=0.0, std="wide")  # type: ignore[arg-type]
    write = Write(function="torch.nn.init.normal_", distribution=broken)
    facts = model_with(Parameter(name="fc.weight", role="norm_scale", trainable=True, writes=(write,), shape=(4,)))
    notes: list[str] = []
    assert judge([facts], {"INI305"}, notes=notes) == []
    assert len(notes) == 1
    assert "INI305" in notes[0]
