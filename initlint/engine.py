"""Facts and rules in, findings out: which rules run, on what, and how what they say becomes one report.

The path of a finding: ``ask`` hands every subject of one bundle of facts to every selected rule that looks at its
kind, and drops a subject about which the rule needed something unknown. ``conclude`` merges what several bundles,
front ends or parameters say of one defect, and turns a measured drift into the consequence of the finding that
explains it. ``judge`` is both. A file is asked about where it is read, and all files are concluded on together.
"""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from initlint.facts import Fact, Facts, UnknownFact, known
from initlint.findings import Finding, Severity
from initlint.location import Location
from initlint.record import record, replace
from initlint.rule import EFFECT, FLAW, STUCK, SUBJECTS, UNWRITTEN, Entry, Rule

__all__ = [
    "Selection",
    "ask",
    "check_patterns",
    "conclude",
    "enroll",
    "judge",
    "judges_comments",
    "load",
    "no_such_rule",
    "registry",
    "weighed",
]

SOURCES = ("source", "parameters", "graph", "probe")

Check = Callable[[Fact], Iterator[Finding]]
"""What a rule does with one fact."""

_enrolled: dict[str, tuple[Entry, Rule]] = {}
"""The rules of plugins, by code."""


@functools.cache
def registry() -> Mapping[str, Entry]:
    """Every rule's entry by its code, in order of codes; imports no rule. Those of plugins come after our own."""
    from initlint_rules import RULES

    own = {entry.code: entry for entry in sorted(RULES, key=lambda entry: entry.code)}
    return own | {code: entry for code, (entry, _) in sorted(_enrolled.items())}


def enroll(entry: Entry, rule: type[Rule]) -> None:
    """Make a plugin's rule known. Raises ValueError where another rule has its code or its name."""
    for other in registry().values():
        same = "code" if other.code == entry.code else "name" if other.name == entry.name else None
        if same is not None and (other != entry or entry.code not in _enrolled):
            raise ValueError(
                f"{entry.module}.{rule.__name__} has the {same} {getattr(entry, same)}, and so has {other.module}"
            )
    _enrolled[entry.code] = entry, rule()
    registry.cache_clear()
    load.cache_clear()
    _checks.cache_clear()


@functools.cache
def load(code: str) -> Rule:
    """The rule of that code, imported when first asked for; KeyError for a code that is not registered."""
    entry = registry()[code]
    if code in _enrolled:
        return _enrolled[code][1]
    for value in vars(importlib.import_module(entry.module)).values():
        if isinstance(value, type) and issubclass(value, Rule) and getattr(value, "code", None) == code:
            return value()
    raise LookupError(f"{entry.module} defines no rule with code {code}")


@record(frozen=True, slots=True)
class Selection:
    """Which rules run. Each pattern is a code, a prefix of codes, or ``ALL``; the longest match wins.

    ``select`` replaces the default set (everything but advice), ``extend_select`` adds to it, ``ignore`` takes away.
    A prefix does not switch advice on; a full code, ``ALL`` or ``advice`` does. ``severity`` gives codes another
    severity, by patterns too: a rule that it lifts above advice is in the default set, one made advice is not.
    ``plugins`` are the codes of plugins that there are besides ours.
    """

    select: tuple[str, ...] | None = None
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    advice: bool = False
    severity: tuple[tuple[str, Severity], ...] = ()
    plugins: frozenset[str] = frozenset()

    def codes(self) -> frozenset[str]:
        """The codes selected; ValueError, naming near misses, for a pattern that matches no rule."""
        check_patterns((*(self.select or ()), *self.extend_select, *self.ignore, *(p for p, _ in self.severity)))
        there = {code: entry for code, entry in registry().items() if code not in _enrolled or code in self.plugins}
        return frozenset(code for code, entry in there.items() if self._takes(code, entry))

    def _takes(self, code: str, entry: Entry) -> bool:
        chosen = (*(self.select if self.select is not None else ()), *self.extend_select)
        best = max((_rank(pattern, code) for pattern in chosen), default=-1)
        if self.select is None and best < 0:
            best = 0
        if best < 0 or max((_rank(pattern, code) for pattern in self.ignore), default=-1) >= max(best, 1):
            return False
        severity = self.severity_of(code) or entry.severity
        return severity > Severity.ADVICE or self.advice or code in chosen or "ALL" in chosen

    def left_out(self) -> set[str]:
        """The codes that measure effects and are neither selected nor ignored: causes are as grave as they show."""
        effects = {code for code in registry() if finds(code) == EFFECT}
        ignored = {code for code in effects if any(_rank(pattern, code) >= 0 for pattern in self.ignore)}
        return effects - self.codes() - ignored

    def severity_of(self, code: str) -> Severity | None:
        """The severity given to a code, None where it keeps its own."""
        rank, severity = max(
            ((_rank(pattern, code), severity) for pattern, severity in self.severity), default=(-1, None)
        )
        return severity if rank >= 0 else None


def check_patterns(patterns: Iterable[str]) -> None:
    """Raise ValueError, naming near misses, for a pattern that matches no rule."""
    for pattern in patterns:
        if pattern != "ALL" and not any(code.startswith(pattern) for code in registry()):
            raise ValueError(no_such_rule(pattern))


def finds(code: str) -> str:
    """What the rule of that code finds (``Rule.finds``); FLAW of one that there is not."""
    entry = registry().get(code)
    return FLAW if entry is None else entry.finds


def asked_for_by(option: str) -> tuple[str, ...]:
    """The codes of the advice that an option of a check asks for (``Rule.asked_by``)."""
    return tuple(code for code, entry in registry().items() if entry.asked_by == option)


def judges_defaults(codes: Iterable[str]) -> bool:
    """Whether some of the rules speak of classes in which nothing is written, shared or copied (``Entry.defaults``)."""
    known_rules = registry()
    return any(known_rules[code].defaults for code in codes if code in known_rules)


def _rank(pattern: str, code: str) -> int:
    """How specific a match is: the length of the prefix, 1 for ALL, -1 for no match."""
    if pattern == "ALL":
        return 1
    return len(pattern) if code.startswith(pattern) else -1


def no_such_rule(pattern: str) -> str:
    """What to say of a code or name that no rule has, near misses included."""
    import difflib

    wanted, codes = pattern.upper(), list(registry())
    family = [code for code in codes if len(wanted) > 3 and code.startswith(wanted)]
    if family:
        return f"{pattern!r} is {len(family)} rules, {family[0]} to {family[-1]}: write one of them"
    names = {entry.name: code for code, entry in registry().items()}
    close = difflib.get_close_matches(wanted, codes, n=len(codes), cutoff=0.8)  # one character is another one
    near = sorted(close, key=lambda code: sum(a != b for a, b in zip(code, wanted, strict=False)))[:2]
    if not near and not re.fullmatch(r"[A-Z]{2,}\d+", wanted):
        words = re.findall(r"[a-z]{3,}", pattern.lower())
        alike = [name for name in names if words and all(word in name for word in words)][:3]
        near = [names[name] for name in alike or difflib.get_close_matches(pattern.lower(), list(names), n=2)]
    found = " or ".join(f"{code} ({registry()[code].name})" for code in near)
    return f"no rule is called {pattern!r}: " + (f"did you mean {found}?" if found else "'initlint rules' lists them")


def judge(facts: Sequence[Facts], codes: Iterable[str], *, notes: list[str] | None = None) -> list[Finding]:
    """What the rules of ``codes`` say of the facts: merged, explained and in order; ``notes`` as in ``ask``."""
    chosen = frozenset(codes)
    return conclude(finding for part in facts for finding in ask(part, chosen, notes=notes))


def ask(
    facts: Facts,
    codes: frozenset[str],
    *,
    notes: list[str] | None = None,
    severity_of: Callable[[str], Severity | None] | None = None,
) -> list[Finding]:
    """What each rule of ``codes`` says of one bundle of facts by itself.

    A rule that fails on a fact it did not expect loses that subject only: one line in ``notes`` says so, however many
    they are (without ``notes`` the exception goes through, as tests want it). ``severity_of`` gives a code another
    severity.
    """
    said: list[Finding] = []
    failures: dict[str, list[str]] | None = None if notes is None else {}
    for subject, fact in _subjects(facts):
        for rule, check in _checks(codes, facts.origin, subject):
            said += _ask(rule, check, subject, fact, facts.origin, failures)
    for code, (first, *others) in (failures or {}).items():
        more = f", and on {len(others)} more" if others else ""
        assert notes is not None
        notes.append(f"{code} failed on {first}{more}; what it says of all else stands, please report this")
    if severity_of is None:
        return said
    return [replace(finding, severity=severity_of(finding.code) or finding.severity) for finding in said]


def conclude(said: Iterable[Finding], apart: Callable[[Finding], bool] = lambda _: False) -> list[Finding]:
    """What was said of all bundles as a whole: one finding a defect, effects told with their causes, in order.

    Findings that are to be left out afterwards, as ``apart`` says, are not merged with others.
    """
    return sorted(explain(merge(said, apart)), key=order)


@functools.cache
def judges_comments(codes: frozenset[str]) -> bool:
    """Whether some rule of ``codes`` speaks of comments that silence findings."""
    return any("suppression" in entry.subjects for code, entry in registry().items() if code in codes)


@functools.cache
def _checks(codes: frozenset[str], origin: str, subject: str) -> list[tuple[Rule, Check]]:
    """The rules of ``codes`` that look at one kind of fact, with what they do: imported when there is the first."""
    entries = [entry for code, entry in registry().items() if code in codes and subject in entry.subjects]
    rules = [load(entry.code) for entry in entries if origin != "source" or subject not in entry.measured]
    return [(rule, getattr(rule, f"check_{subject}")) for rule in rules]


def ready(codes: frozenset[str]) -> None:
    """Import what judges the facts that reading makes, before processes are copied from this one."""
    for subject in SUBJECTS:
        _checks(codes, "source", subject)


def _subjects(facts: Facts) -> Iterator[tuple[str, Fact]]:
    """Everything in a bundle of facts that some rule may look at, with its kind."""
    for kind, several in (
        ("call", facts.calls),
        ("guard", facts.guards),
        ("incident", facts.incidents),
        ("initializer", facts.initializers),
        ("klass", facts.classes),
        ("script", facts.scripts),
        ("model", facts.models),
        ("suppression", facts.suppressions),
    ):
        for fact in several:
            yield kind, fact
    for model in facts.models:
        for layer in model.layers:
            yield "layer", layer
            for parameter in layer.parameters:
                yield "parameter", parameter
        if known(model.chains):
            for chain in model.chains:
                yield "chain", chain


def _ask(
    rule: Rule, check: Check, subject: str, fact: Fact, origin: str, failures: dict[str, list[str]] | None
) -> list[Finding]:
    try:
        found = list(check(fact))
    except UnknownFact:
        return []
    except Exception as error:
        if failures is None:
            raise
        failures.setdefault(rule.code, []).append(f"{_called(subject, fact)} ({type(error).__name__}: {error})")
        return []
    if not found:
        return found
    if origin == "source":
        sources: tuple[str, ...] = ("source",)
    else:
        sources = tuple(need for need in rule.needs if need != "source") or ("parameters",)
    return [replace(finding, sources=sources) for finding in found]


def _called(subject: str, fact: Fact) -> str:
    """How a note names what a rule was looking at."""
    where, name = getattr(fact, "location", None), getattr(fact, "name", "")
    kind = "class" if subject == "klass" else subject
    called = f"{kind} {name}" if isinstance(name, str) and name else f"a {kind}"
    return f"{called} ({where.path}:{where.line})" if isinstance(where, Location) else called


def order(finding: Finding) -> tuple[str, int, int, str, str, str]:
    """What findings are sorted by."""
    place = finding.location
    return (
        place.path if place else "",
        place.line if place else 0,
        place.column if place else 0,
        finding.code,
        finding.model or "",
        finding.parameter or "",
    )


def merge(findings: Iterable[Finding], apart: Callable[[Finding], bool] = lambda _: False) -> list[Finding]:
    """One finding for one defect: the same code at the same statement, or, without a place, on like parameters.

    Those of which ``apart`` is true are merged among themselves.
    """
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        where = finding.location
        if where is not None:
            key: tuple[object, ...] = (finding.code, where.path, where.cell, where.line)
        else:
            kind = (finding.parameter or "").rpartition(".")[2]
            key = (finding.code, finding.model, kind, finding.parameter is None and finding.layer)
        groups.setdefault((apart(finding), *key), []).append(finding)
    return [_merged(group) for group in groups.values()]


def _merged(group: list[Finding]) -> Finding:
    # The gravest speaks; between equals the one that measured, and can name a parameter.
    first = max(group, key=lambda f: (f.severity, f.sources != ("source",), bool(f.parameters)))
    if len(group) == 1:
        return first
    names = tuple(dict.fromkeys(n for f in (first, *group) for n in f.parameters))
    measured = [f for f in group if f.sources != ("source",)]
    if measured and first not in measured:  # a name as the built model has it says more than a pattern
        names = tuple(dict.fromkeys(n for f in measured for n in f.parameters)) or names
    elif measured:
        names = tuple(dict.fromkeys(n for f in (first, *measured) for n in f.parameters))
    evidence: dict[str, object] = {}
    for finding in (*group, first):
        evidence.update(finding.evidence)
    others = len(names) - len(first.parameters)
    spans = [f.location for f in group if f.location is not None and f.location.end_line is not None]
    return replace(
        first,
        message=first.message + (f" (and {others} more like it)" if others > 0 else ""),
        location=first.location if first.location is None or not spans else spans[0],
        model=next((f.model for f in (first, *measured, *group) if f.model), None),
        layer=next((f.layer for f in (first, *measured, *group) if f.layer), None),
        parameter=names[0] if names else None,
        parameters=names,
        sources=tuple(s for s in SOURCES if any(s in f.sources for f in group)),
        evidence=evidence,
        related=tuple(dict.fromkeys(r for f in group for r in f.related)),
        suspects=tuple(dict.fromkeys(s for f in group for s in f.suspects)),
        fix=next((f.fix for f in (first, *group) if f.fix is not None), None),
    )


def explain(findings: list[Finding]) -> list[Finding]:
    """Turn what only measures an effect into a consequence of the finding that names its cause."""
    kept = dict(enumerate(_without_echoes(findings)))
    effects = [number for number, finding in kept.items() if finds(finding.code) == EFFECT]
    # From the last cause to the first, so that 701 can go to 204 and both to what made the weights small.
    for number in sorted(effects, key=lambda number: kept[number].code, reverse=True):
        effect = kept[number]
        causes = [each for each, finding in kept.items() if each != number and _explains(finding, effect)]
        if not causes:
            continue
        cause = min(causes, key=lambda each: finds(kept[each].code) == EFFECT)  # a cause rather than another effect
        del kept[number]
        told = kept[cause]
        # That a zero weight gets no gradient is what INI101 says of it already.
        news = () if effect.code == "INI707" and effect.parameter in told.parameters else (effect.message,)
        kept[cause] = replace(
            told,
            severity=max(told.severity, effect.severity),
            consequences=tuple(dict.fromkeys((*told.consequences, *news, *effect.consequences))),
            sources=tuple(s for s in SOURCES if s in (*told.sources, *effect.sources)),
        )
    return list(kept.values())


def weighed(said: list[Finding], codes: frozenset[str]) -> list[Finding]:
    """The findings of ``codes``, as grave as all that was said makes them: selecting a cause alone changes nothing."""

    def same(finding: Finding) -> tuple[object, ...]:
        return finding.code, finding.location, finding.model, finding.layer, finding.parameter, finding.message

    explained = {same(finding): finding for finding in explain(said)}
    kept = [finding for finding in said if finding.code in codes]
    return [explained.get(same(finding), finding) for finding in kept]


def _without_echoes(findings: list[Finding]) -> list[Finding]:
    """Leave out what was measured on memory that nobody wrote: initlint put zeros there to be able to run at all."""
    unwritten = {f.model for f in findings if finds(f.code) == UNWRITTEN and f.model is not None}
    return [
        f for f in findings if f.model not in unwritten or "source" in f.sources or finds(f.code) not in (STUCK, EFFECT)
    ]


def _explains(cause: Finding, effect: Finding) -> bool:
    if cause.severity == Severity.ADVICE or (finds(cause.code) == EFFECT and cause.code >= effect.code):
        return False
    if effect.code == "INI707" and finds(cause.code) == STUCK:
        return cause.model == effect.model
    if effect.location is not None and _same_statement(cause, effect):
        return True
    layers: set[str | None] = {cause.layer, *(name.rpartition(".")[0] for name in cause.parameters)}
    suspects: set[str | None] = set(effect.suspects) or {effect.layer}
    return cause.model == effect.model and bool(layers & suspects - {None})


def _same_statement(a: Finding, b: Finding) -> bool:
    return (
        a.location is not None
        and b.location is not None
        and (a.location.path, a.location.cell, a.location.line) == (b.location.path, b.location.cell, b.location.line)
    )
