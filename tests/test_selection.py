"""Which rules run: patterns, severities, the rules of plugins, and what is said of a code that no rule has."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from initlint import engine
from initlint.engine import (
    Selection,
    ask,
    check_patterns,
    enroll,
    judges_comments,
    judges_defaults,
    load,
    no_such_rule,
    registry,
)
from initlint.facts import (
    UNKNOWN,
    Chain,
    Facts,
    Guard,
    Incident,
    InitCall,
    Initializer,
    Layer,
    Model,
    Parameter,
    Script,
    Suppression,
    Target,
)
from initlint.facts import ClassFacts as Klass
from initlint.findings import Severity
from initlint.location import Location
from initlint.rule import SUBJECTS, Entry, Rule

ADVICE = {code for code, entry in registry().items() if entry.severity == Severity.ADVICE}
HERE = Location("net.py", 7)
DEFAULT = registry().keys() - ADVICE


class Named(Rule):
    """Says the name of whatever it is shown."""

    code, name, severity = "OURS001", "named", Severity.WARNING
    needs = ("source", "parameters", "probe")

    def say(self, fact: Any) -> Iterator[Any]:
        yield self.at(None, getattr(fact, "name", "") or type(fact).__name__, help="-")

    check_call = check_guard = check_incident = check_initializer = check_klass = check_script = say
    check_model = check_layer = check_parameter = check_chain = check_suppression = say


class Broken(Rule):
    """Stumbles over every model and layer."""

    code, name, severity = "OURS002", "broken", Severity.ERROR
    needs = ("source",)

    def check_layer(self, layer: Layer) -> Iterator[Any]:
        raise RuntimeError("stumbled")

    check_klass = check_model = check_script = check_layer


def entry_of(rule: type[Rule], **fields: Any) -> Entry:
    subjects = tuple(subject for subject in SUBJECTS if hasattr(rule, f"check_{subject}"))
    return Entry(rule.code, rule.name, rule.severity, "ours", **{"subjects": subjects, **fields})


@pytest.fixture
def plugins() -> Iterator[None]:
    """Two rules of a plugin, for as long as the test runs."""
    enroll(entry_of(Named), Named)
    enroll(entry_of(Broken), Broken)
    yield
    engine._enrolled.clear()
    registry.cache_clear()
    load.cache_clear()


def test_a_prefix_does_not_switch_advice_on_and_a_full_code_does() -> None:
    advised = sorted(ADVICE)[0]
    family = {code for code in registry() if code.startswith(advised[:4])}
    assert Selection(select=(advised[:4],)).codes() == family - ADVICE
    assert Selection(select=(advised,)).codes() == {advised}
    assert Selection(extend_select=(advised,)).codes() == DEFAULT | {advised}
    assert Selection(advice=True).codes() == registry().keys()
    assert Selection(select=("ALL",)).codes() == registry().keys()
    assert Selection(select=(advised[:4],), advice=True).codes() == family


def test_nothing_selected_is_nothing_and_extending_adds_to_it() -> None:
    assert Selection(select=()).codes() == frozenset()
    assert Selection(select=(), extend_select=("INI501",)).codes() == {"INI501"}
    assert Selection(select=("INI501",), extend_select=("INI305",)).codes() == {"INI501", "INI305"}


def test_ignoring_all_leaves_what_is_named_more_closely() -> None:
    assert Selection(ignore=("ALL",)).codes() == frozenset()
    assert Selection(select=("INI5",), ignore=("ALL",)).codes() == Selection(select=("INI5",)).codes()
    assert Selection(select=("ALL",), ignore=("ALL",)).codes() == frozenset()
    assert Selection(select=("ALL",), ignore=("INI5",)).codes() == {c for c in registry() if c[:4] != "INI5"}


def test_a_severity_that_is_given_moves_a_rule_into_the_default_set_or_out_of_it() -> None:
    advised = sorted(ADVICE)[0]
    given = Selection(severity=((advised, Severity.WARNING), ("INI501", Severity.ADVICE)))
    assert given.codes() == DEFAULT - {"INI501"} | {advised}
    assert given.severity_of(advised) == Severity.WARNING
    assert given.severity_of("INI305") is None


def test_the_longest_pattern_gives_the_severity_wherever_it_stands() -> None:
    patterns = (("INI305", Severity.ERROR), ("ALL", Severity.ADVICE), ("INI3", Severity.WARNING))
    for given in (patterns, patterns[::-1]):
        chosen = Selection(severity=given)
        assert chosen.severity_of("INI305") == Severity.ERROR
        assert chosen.severity_of("INI301") == Severity.WARNING
        assert chosen.severity_of("INI501") == Severity.ADVICE


@pytest.mark.parametrize("field", ["select", "extend_select", "ignore", "severity"])
def test_a_pattern_that_matches_nothing_is_refused_wherever_it_is_given(field: str) -> None:
    patterns: Any = (("INI999", Severity.ERROR),) if field == "severity" else ("INI999",)
    with pytest.raises(ValueError, match="no rule is called 'INI999'"):
        Selection(**{field: patterns}).codes()


def test_patterns_that_match_are_taken() -> None:
    check_patterns(("ALL", "INI", "INI3", "INI305"))
    with pytest.raises(ValueError, match="'all'"):
        check_patterns(("INI305", "all"))


def test_a_family_is_told_as_one() -> None:
    family = sorted(code for code in registry() if code.startswith("INI3"))
    assert no_such_rule("ini3") == f"'ini3' is {len(family)} rules, {family[0]} to {family[-1]}: write one of them"
    assert "lists them" in no_such_rule("XYZ"), "three letters are no family"
    assert "rules, " not in no_such_rule("INI"), "nor is the whole book"


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("INI35", "INI305"),
        ("INI3055", "INI305"),
        ("ini-305", "INI305"),
        ("norm-scale-of", "INI305"),
        ("NORM-SCALE-OFF", "INI305"),
        ("normscale", "INI305"),
        ("constant weight", "INI102"),
    ],
)
def test_a_near_miss_is_told_with_the_rules_name(asked: str, meant: str) -> None:
    said = no_such_rule(asked)
    assert said.startswith(f"no rule is called {asked!r}: did you mean ")
    assert f"{meant} ({registry()[meant].name})" in said
    assert said.count(" or ") <= 2


def test_the_code_that_differs_in_fewest_places_is_named_first_and_no_more_than_two() -> None:
    assert "did you mean INI206 (" in no_such_rule("INI2067")
    assert "did you mean INI102 (" in no_such_rule("INI1029")
    assert no_such_rule("INI2067").count(" or ") == 1
    assert no_such_rule("weight").count(" or ") == 2, "three at most that have the word"
    assert no_such_rule("wieght").count(" or ") <= 1, "two at most that are only alike"


def test_words_of_a_name_find_the_rules_that_have_them_all() -> None:
    said = no_such_rule("weight zero")
    assert f"INI102 ({registry()['INI102'].name})" in said or "zero-weight" in said
    assert no_such_rule("INI9999").endswith("'initlint rules' lists them"), "a code is no name"
    assert no_such_rule("qqqq").endswith("'initlint rules' lists them")


def test_which_rules_speak_of_comments_and_of_layers_left_alone() -> None:
    commented = {code for code, entry in registry().items() if "suppression" in entry.subjects}
    untouched = {code for code, entry in registry().items() if entry.defaults}
    for code in registry():
        assert judges_comments(frozenset({code})) == (code in commented)
        assert judges_defaults([code]) == (code in untouched)
    assert commented
    assert untouched
    assert not judges_defaults(["INI999"]), "what no rule is called speaks of nothing"


@pytest.mark.usefixtures("plugins")
def test_the_rules_of_a_plugin_run_where_it_is_named() -> None:
    assert list(registry())[-2:] == ["OURS001", "OURS002"]
    assert isinstance(load("OURS001"), Named)
    assert Selection(plugins=frozenset({"OURS001"})).codes() == DEFAULT | {"OURS001"}
    assert Selection(select=("OURS",), plugins=frozenset({"OURS002"})).codes() == {"OURS002"}
    assert Selection().codes() == DEFAULT


@pytest.mark.usefixtures("plugins")
def test_two_rules_have_neither_a_code_nor_a_name_in_common() -> None:
    enroll(entry_of(Named), Named)  # the same one, imported again
    with pytest.raises(ValueError, match=r"theirs\.Named has the code OURS001, and so has ours"):
        enroll(Entry("OURS001", "other", Severity.ERROR, "theirs", ("call",)), Named)
    with pytest.raises(ValueError, match=r"theirs\.Named has the name named, and so has ours"):
        enroll(Entry("OURS003", "named", Severity.ERROR, "theirs", ("call",)), Named)
    own = registry()["INI305"]
    with pytest.raises(ValueError, match="has the code INI305"):
        enroll(own, Named)
    assert "OURS003" not in registry()


def test_an_unknown_code_is_no_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyError):
        load("INI999")
    monkeypatch.setattr(engine.importlib, "import_module", lambda _: ModuleType("empty"))
    load.cache_clear()
    with pytest.raises(LookupError, match=r"norm_scale_off defines no rule with code INI305"):
        load("INI305")
    load.cache_clear()


def everything() -> Facts:
    """One subject of each kind, each with a name of its own or that of its class."""
    parameter = Parameter(name="fc.weight")
    layer = Layer(name="fc", parameters=(parameter,))
    return Facts(
        origin="live",
        calls=(InitCall(function="f", written="f", target=Target(text="w"), location=HERE),),
        guards=(Guard(form="type", text="t", location=HERE),),
        incidents=(Incident(kind="i", location=HERE, text="t"),),
        initializers=(Initializer(name="init_weights", location=HERE),),
        classes=(Klass(name="Net", location=HERE),),
        scripts=(Script(path="train.py"),),
        suppressions=(Suppression(location=HERE),),
        models=(Model(name="net", layers=(layer,), chains=(Chain(layers=(layer,)),)),),
    )


@pytest.mark.usefixtures("plugins")
def test_every_subject_is_shown_to_the_rules_that_look_at_its_kind() -> None:
    said = [finding.message for finding in ask(everything(), frozenset({"OURS001"}))]
    named = "InitCall Guard Incident init_weights Net Script net Suppression fc fc.weight Chain"
    assert said == named.split()


@pytest.mark.usefixtures("plugins")
def test_a_kind_of_subject_that_is_unknown_takes_no_other_along() -> None:
    bare = Facts(origin="live", models=(Model(name="net", layers=(Layer(name="fc"),), chains=UNKNOWN),))
    assert [finding.message for finding in ask(bare, frozenset({"OURS001"}))] == ["net", "fc"]


@pytest.mark.usefixtures("plugins")
def test_a_finding_tells_what_kinds_of_evidence_it_may_stand_on() -> None:
    net = (Klass(name="Net", location=HERE),)
    (read,) = ask(Facts(origin="source", classes=net), frozenset({"OURS001"}))
    (built,) = ask(Facts(origin="live", classes=net), frozenset({"OURS001"}))
    assert (read.sources, built.sources) == (("source",), ("parameters", "probe"))


def test_a_rule_that_has_nothing_to_say_of_source_is_not_asked_about_it(plugins: None) -> None:
    enroll(entry_of(type("Deaf", (Named,), {"code": "OURS003", "name": "deaf"}), measured=("klass",)), Named)
    net = (Klass(name="Net", location=HERE),)
    assert len(ask(Facts(origin="source", classes=net), frozenset({"OURS001", "OURS003"}))) == 1
    assert len(ask(Facts(origin="live", classes=net), frozenset({"OURS001", "OURS003"}))) == 2


@pytest.mark.usefixtures("plugins")
def test_a_rule_that_fails_says_on_what_and_how_often_and_no_other_rule_suffers() -> None:
    fc = Layer(name="fc", location=Location("net.py", 7))
    facts = Facts(
        origin="live",
        classes=(Klass(name="Net", location=Location("net.py", 3)),),
        models=(Model(name="net", layers=(fc, Layer(name=""))),),
    )
    notes: list[str] = []
    said = ask(facts, frozenset({"OURS001", "OURS002"}), notes=notes)
    assert {finding.code for finding in said} == {"OURS001"}
    assert notes == [
        "OURS002 failed on class Net (net.py:3) (RuntimeError: stumbled), and on 3 more; what it says of all else "
        "stands, please report this"
    ]
    notes.clear()
    ask(Facts(origin="live", models=(Model(name="", layers=()),)), frozenset({"OURS002"}), notes=notes)
    assert notes[0].startswith("OURS002 failed on a model (RuntimeError: stumbled); what")
    notes.clear()
    ask(Facts(origin="live", scripts=(Script(path="train.py"),)), frozenset({"OURS002"}), notes=notes)
    assert notes[0].startswith("OURS002 failed on a script (RuntimeError"), "what has neither a name nor a place"
    with pytest.raises(RuntimeError, match="stumbled"):
        ask(facts, frozenset({"OURS002"}))


@pytest.mark.usefixtures("plugins")
def test_a_severity_is_given_to_the_findings_of_a_code() -> None:
    facts = Facts(origin="live", classes=(Klass(name="Net", location=HERE), Klass(name="Other", location=HERE)))
    given = {"OURS001": Severity.ERROR}
    raised = ask(facts, frozenset({"OURS001"}), severity_of=given.get)
    assert [(f.severity, f.message) for f in raised] == [(Severity.ERROR, "Net"), (Severity.ERROR, "Other")]
    assert {f.severity for f in ask(facts, frozenset({"OURS001"}), severity_of={}.get)} == {Severity.WARNING}
