"""Selecting rules, merging what front ends say, and telling effects as consequences of their cause."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from initlint.engine import (
    Selection,
    conclude,
    explain,
    judge,
    merge,
    order,
    registry,
    weighed,
)
from initlint.facts import UNKNOWN, Distribution, Facts, Layer, Model, Parameter, Statistics, Write
from initlint.findings import Finding, Fix, Related, Severity
from initlint.location import Location
from initlint.rule import EFFECT, STUCK, UNWRITTEN

HERE, THERE = Location("net.py", 7, 9), Location("net.py", 20, 9)


def finding(code: str, severity: Severity = Severity.WARNING, **fields: Any) -> Finding:
    return Finding(
        code=code, name=registry()[code].name, severity=severity, message=fields.pop("message", code), **fields
    )


def rules_that_find(what: str) -> list[str]:
    return [code for code, entry in registry().items() if entry.finds == what]


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


def merged(*findings: Finding) -> Finding:
    (one,) = merge(findings)
    return one


def test_the_gravest_speaks_and_between_equals_the_one_that_measured() -> None:
    read = finding("INI305", Severity.ERROR, location=HERE, sources=("source",), message="read")
    built = finding("INI305", location=HERE, sources=("parameters",), message="built", parameters=("bn.weight",))
    probed = finding("INI305", location=HERE, sources=("probe",), message="probed")
    assert merged(built, read).message.startswith("read")
    assert merged(replace(read, severity=Severity.WARNING), probed).message == "probed"
    assert merged(probed, built).message == "built", "what can name a parameter says more"
    assert merged(built, probed).message == "built"


def test_names_as_the_built_model_has_them_replace_patterns() -> None:
    read = finding("INI305", Severity.ERROR, location=HERE, sources=("source",), parameters=("bn*.weight",))
    built = [
        finding(
            "INI305", location=HERE, sources=("parameters",), parameters=(f"bn{i}.weight",), parameter=f"bn{i}.weight"
        )
        for i in range(2)
    ]
    both = merged(read, *built)
    assert both.parameters == ("bn0.weight", "bn1.weight")
    assert both.parameter == "bn0.weight"
    assert both.message == "INI305 (and 1 more like it)"
    assert merged(read, finding("INI305", location=HERE, sources=("probe",))).parameters == ("bn*.weight",)
    graver = [replace(each, severity=Severity.ERROR) for each in built]
    assert merged(read, *graver).parameters == ("bn0.weight", "bn1.weight"), "the pattern is not one more parameter"
    assert merged(read, replace(read, parameters=("ln*.weight",))).parameters == ("bn*.weight", "ln*.weight")


def test_what_is_merged_keeps_what_each_has_to_give() -> None:
    fix, other = Fix(True, ()), Fix(False, ())
    related = Related(THERE, "called from here")
    place = replace(HERE, end_line=8, end_column=3)
    read = finding(
        "INI305", location=place, sources=("source",), evidence={"std": 1, "a": 2}, fix=fix, related=(related,)
    )
    built = finding(
        "INI305",
        location=HERE,
        sources=("probe", "parameters"),
        model="Net",
        layer="bn",
        suspects=("a", "b"),
        evidence={"std": 1.5, "b": 3},
        related=(related,),
        parameters=("bn.weight",),
        parameter="bn.weight",
    )
    for both in (merged(read, built), merged(built, read)):
        assert both.evidence == {"std": 1.5, "a": 2, "b": 3}, "of the same thing, what the speaker measured"
        assert both.sources == ("source", "parameters", "probe")
        assert (both.model, both.layer, both.suspects, both.related) == ("Net", "bn", ("a", "b"), (related,))
        assert both.location == place, "the place whose end is known can be underlined"
        assert both.fix is fix
        assert both.parameter == "bn.weight"
    assert merged(replace(built, fix=other), read).fix is other
    poor = replace(read, suspects=("c",), related=())
    assert merged(poor, built).suspects == ("c", "a", "b")
    assert merged(built, replace(read, severity=Severity.ERROR, related=())).related == (related,)
    assert merged(replace(built, related=()), replace(read, suspects=())).related == (related,)
    assert merged(built, replace(read, severity=Severity.ERROR, suspects=())).suspects == ("a", "b")


def test_the_model_and_layer_of_what_measured_are_told_before_those_of_what_was_read() -> None:
    read = finding("INI305", location=HERE, sources=("source",), model="Read", layer="r")
    graver = replace(read, severity=Severity.ERROR, model=None, layer=None)
    built = finding("INI305", location=HERE, sources=("graph",), model="Built", layer="b")
    both = merged(graver, read, built)
    assert (both.model, both.layer) == ("Built", "b")


def test_without_a_place_like_parameters_of_one_model_are_one() -> None:
    def at(parameter: str | None, model: str = "Net", layer: str | None = None) -> Finding:
        return finding(
            "INI305", model=model, layer=layer, parameter=parameter, parameters=(parameter,) if parameter else ()
        )

    assert len(merge([at("a.weight"), at("b.c.weight")])) == 1
    assert len(merge([at("a.weight"), at("a.bias")])) == 2
    assert len(merge([at("a.weight"), at("a.weight", "Other")])) == 2
    assert len(merge([at(None, layer="a"), at(None, layer="b"), at(None, layer="a")])) == 2
    assert len(merge([at("a.weight", layer="a"), at("b.weight", layer="b")])) == 1


def test_cells_lines_and_files_are_other_places() -> None:
    places = [HERE, replace(HERE, cell=2), replace(HERE, path="other.py"), replace(HERE, line=8), None]
    assert len(merge(finding("INI305", location=place) for place in places)) == len(places)
    assert len(merge([finding("INI305", location=HERE), finding("INI305", location=replace(HERE, column=30))])) == 1


def test_what_is_left_out_afterwards_is_not_merged_with_what_stays() -> None:
    old, new = finding("INI305", location=HERE, message="old"), finding("INI305", location=HERE, message="new")

    def is_old(each: Finding) -> bool:
        return each.message == "old"

    assert {each.message for each in merge([old, new, old], is_old)} == {"old", "new"}
    assert {each.message for each in conclude([old, new, old], is_old)} == {"old", "new"}
    assert len(conclude([old, new])) == 1


def test_findings_come_in_the_order_of_their_places() -> None:
    last = finding("INI305", location=Location("z.py", 1))
    in_order = [
        finding("INI501", model="A"),
        finding("INI501", model="B"),
        finding("INI501", model="B", parameter="x", parameters=("x",)),
        finding("INI301", location=Location("net.py", 3, 1)),
        finding("INI305", location=Location("net.py", 7, 1)),
        finding("INI305", location=Location("net.py", 20, 9)),
        finding("INI501", location=Location("net.py", 20, 9)),
        last,
    ]
    assert conclude(reversed(in_order)) == in_order
    assert order(finding("INI305")) == ("", 0, 0, "INI305", "", "")
    columns = [finding("INI305", location=Location("net.py", 7, column)) for column in (4, 1)]
    assert sorted(columns, key=order) == columns[::-1]


@pytest.mark.parametrize("code", rules_that_find(EFFECT))
def test_whatever_measures_an_effect_is_told_with_its_cause(code: str) -> None:
    cause = finding("INI104", Severity.ERROR, location=HERE, model="Net", layer="fc", sources=("source",))
    effect = finding(code, location=THERE, model="Net", layer="fc", message="effect", sources=("source",))
    (told,) = explain([effect, cause])
    assert (told.code, told.consequences) == ("INI104", ("effect",))


def test_effects_are_told_once_each_and_with_what_they_explain_themselves() -> None:
    cause = finding("INI305", location=HERE, model="Net", layer="fc", consequences=("told already",))
    small = finding("INI204", location=THERE, model="Net", layer="fc", message="small")
    falls = finding("INI701", location=THERE, model="Net", layer="fc", message="falls")
    again = finding("INI702", location=THERE, model="Net", layer="fc", message="falls")
    (told,) = explain([falls, small, again, cause])
    assert told.code == "INI305"
    assert set(told.consequences) == {"told already", "small", "falls"}
    assert len(told.consequences) == 3
    (told,) = explain([falls, small])
    assert (told.code, told.consequences) == ("INI204", ("falls",)), "the lesser code is nearer the cause"
    assert len(explain([falls, finding("INI701", location=THERE, model="Net", layer="fc")])) == 2, "no cause of itself"


def test_an_effect_goes_by_way_of_another_to_a_cause_that_it_does_not_see_itself() -> None:
    cause = finding("INI305", location=HERE, model="Net", layer="norm")
    small = finding("INI204", location=HERE, model="Net", layer="fc", message="small")
    falls = finding("INI701", location=THERE, model="Net", layer="head", suspects=("fc",), message="falls")
    for findings in ([cause, small, falls], [falls, small, cause]):
        (told,) = explain(findings)
        assert (told.code, told.consequences) == ("INI305", ("small", "falls"))


def test_a_cause_is_preferred_to_an_effect_that_has_none() -> None:
    small = finding("INI204", location=HERE, model="Net", layer="a", message="small")
    cause = finding("INI305", location=THERE, model="Net", layer="b")
    falls = finding("INI701", model="Net", layer="c", suspects=("a", "b"), message="falls")
    for findings in ([small, cause, falls], [cause, small, falls]):
        told = {each.code: each.consequences for each in explain(findings)}
        assert told == {"INI204": (), "INI305": ("falls",)}


def test_an_effect_in_the_middle_without_a_cause_stops_no_other() -> None:
    cause = finding("INI305", location=HERE, model="Net", layer="fc")
    alone = finding("INI709", model="Other", layer="x")
    effect = finding("INI701", model="Net", layer="fc", message="falls")
    assert [each.code for each in explain([cause, effect, alone])] == ["INI305", "INI709"]


def test_advice_explains_nothing() -> None:
    advice = finding("INI305", Severity.ADVICE, location=HERE, model="Net", layer="fc")
    effect = finding("INI701", location=HERE, model="Net", layer="fc")
    assert len(explain([advice, effect])) == 2


def test_what_explains_stands_at_the_same_statement_or_is_suspected() -> None:
    effect = finding("INI701", location=HERE, model="Net", layer="conv9", suspects=("conv1",))
    at_it = finding("INI305", location=replace(HERE, column=40), model="Net", layer="far")
    read = finding("INI305", location=HERE, layer="far")
    far = finding("INI305", location=THERE, model="Net", layer="conv9")
    suspect = finding("INI305", location=THERE, model="Net", parameters=("conv1.weight",))
    no_layer = finding("INI305", location=THERE, model="Net")
    for cause, explains in ((at_it, True), (read, True), (far, False), (suspect, True), (no_layer, False)):
        assert len(explain([cause, effect])) == (1 if explains else 2), cause
    nowhere = replace(effect, location=None, suspects=(), layer=None)
    assert len(explain([no_layer, nowhere])) == 2, "two layers that nobody names are not one layer"
    assert len(explain([replace(at_it, location=replace(HERE, cell=3)), effect])) == 2
    assert len(explain([finding("INI305", model="Other", layer="conv1"), effect])) == 2
    assert len(explain([finding("INI305", location=HERE, model="Other", layer="x"), effect])) == 1, "one statement"


def test_only_what_stops_training_echoes_in_the_whole_model() -> None:
    stuck = finding("INI707", Severity.ERROR, location=THERE, model="Net", layer="fc1")
    assert len(explain([finding("INI305", location=HERE, model="Net", layer="fc2"), stuck])) == 2
    assert len(explain([finding("INI101", location=HERE, model="Other", layer="fc2"), stuck])) == 2
    assert (
        len(explain([finding("INI101", location=HERE, model="Net", layer="fc2"), replace(stuck, code="INI705")])) == 2
    )
    own = finding("INI101", location=HERE, model="Net", layer="fc1", parameters=("fc1.weight",))
    (told,) = explain([own, replace(stuck, parameter="fc1.bias", message="fc1.bias")])
    assert told.consequences == ("fc1.bias",), "another parameter than the zero one is news"


def test_unwritten_memory_silences_only_what_was_measured_on_it() -> None:
    for code in rules_that_find(UNWRITTEN):
        unwritten = finding(code, location=HERE, model="Net", layer="a")
        for echo in (*rules_that_find(STUCK), "INI709"):
            assert explain([unwritten, finding(echo, location=THERE, model="Net", layer="b", sources=("probe",))]) == [
                unwritten
            ]
        of_values = finding("INI305", location=THERE, model="Net", layer="b", sources=("parameters",))
        assert explain([unwritten, of_values]) == [unwritten, of_values]
    nameless = finding("INI104", location=HERE)
    zero = finding("INI101", location=THERE, sources=("probe",))
    assert explain([nameless, zero]) == [nameless, zero]
