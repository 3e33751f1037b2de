"""What the suggested function changes: the facts of a model that has it, and what is said of it before and after."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import replace

from initlint.facts import Chain, Facts, Layer, Model, Parameter, ResidualStream, Write, known
from initlint.findings import Finding, Severity
from initlint.location import Location
from initlint.record import record
from initlint.result import Report
from initlint.rule import SOURCE

__all__ = ["Defect", "defects", "flagged", "narrowed", "replaced_statements", "settled", "statements"]

_SERIOUS = Severity.WARNING


@record(frozen=True, slots=True)
class Defect:
    """One thing that is said of one layer or parameter, whatever other parameters it is said of in the same breath."""

    code: str
    name: str


def defects(findings: Iterable[Finding]) -> set[Defect]:
    """What is said at warning or above, layer by layer and parameter by parameter."""
    return {
        Defect(finding.code, name)
        for finding in findings
        if finding.severity >= _SERIOUS
        for name in (finding.parameters or (finding.parameter or finding.layer or "",))
    }


def flagged(model: Model, findings: Iterable[Finding]) -> set[str]:
    """The names of the layers and parameters that findings are about.

    Of a drift, those of the whole chain; of a statement, those of all that it writes; so too where one weight that a
    statement draws is among them.
    """
    names: set[str] = set()
    for finding in findings:
        if finding.severity < _SERIOUS:
            continue
        layers = {*finding.suspects, *({finding.layer} - {None})} | {
            parameter.rpartition(".")[0] for parameter in finding.parameters if "bias" not in parameter
        }
        names |= {*finding.parameters, *(name for name in layers if name)}
        if "probe" in finding.sources or finding.consequences:
            for chain in model.chains if known(model.chains) else ():
                members = {layer.name for layer in chain.layers}
                names |= members if members & layers else set()
    blamed = {_place(finding.location) for finding in findings if finding.severity >= _SERIOUS}
    written = [p for p in model.parameters if _statement(p) is not None]
    names |= {p.name for p in written if _statement(p) in blamed}
    drawn = [p for p in written if known(p.role) and p.is_weight]
    wrong = {_statement(p) for p in drawn if names & {p.name, p.name.rpartition(".")[0]}}
    return names | {p.name for p in drawn if _statement(p) in wrong}


def _statement(parameter: Parameter) -> Location | None:
    """Where the user's code last wrote a parameter."""
    if not known(parameter.writes) or not parameter.writes:
        return None
    last = parameter.writes[-1]
    return _place(last.location) if known(last.author) and last.author == "user" else None


def settled(facts: Facts, file: str) -> Facts:
    """Facts about a model as if nothing but the function in ``file`` had written what it writes whole.

    The statements that it takes the place of are to be deleted, and say nothing of the model any more.
    """
    (model,) = facts.models
    old: set[Location] = set()
    kept: set[Location] = set()
    renewed: set[str] = set()
    layers = []
    for layer in model.layers:
        parameters = []
        for parameter in layer.parameters:
            own, before = _own_writes(parameter, file)
            (old if own else kept).update(place for write in before if (place := _place(write.location)) is not None)
            if own:
                renewed.add(parameter.name)
            parameters.append(replace(parameter, writes=own) if own else parameter)
        layers.append(replace(layer, parameters=tuple(parameters)))
    gone = old - kept
    by_name = {layer.name: layer for layer in layers}
    return replace(
        facts,
        calls=tuple(call for call in facts.calls if _place(call.location) not in gone),
        models=(
            replace(
                model,
                layers=tuple(layers),
                chains=_chains(model, by_name),
                streams=_streams(model, by_name),
                applications=tuple(
                    application
                    for application in model.applications
                    if not known(application.covered) or not _is_renewed(application.covered, by_name, renewed)
                )
                if known(model.applications)
                else model.applications,
            ),
        ),
    )


def _own_writes(parameter: Parameter, file: str) -> tuple[tuple[Write, ...], tuple[Write, ...]]:
    """The writes of the function from its last whole one on, and the writes before."""
    if not known(parameter.writes):
        return (), ()
    mine = [
        known(write.location) and write.location is not None and os.path.basename(write.location.path) == file
        for write in parameter.writes
    ]
    if not any(mine):
        return (), parameter.writes
    start = mine.index(True)
    return parameter.writes[start:], parameter.writes[:start]


def _place(location: object) -> Location | None:
    """The line that a statement begins on; None for what is not known or nowhere."""
    return Location(os.path.abspath(location.path), location.line) if isinstance(location, Location) else None


def _chains(model: Model, layers: dict[str, Layer]) -> tuple[Chain, ...]:
    if not known(model.chains):
        return model.chains
    return tuple(Chain(layers=tuple(layers[layer.name] for layer in chain.layers)) for chain in model.chains)


def _streams(model: Model, layers: dict[str, Layer]) -> tuple[ResidualStream, ...]:
    if not known(model.streams):
        return model.streams

    def renewed(stream: ResidualStream) -> ResidualStream:
        inner, entry = stream.inner, stream.entry
        return ResidualStream(
            ends=tuple(layers[layer.name] for layer in stream.ends),
            inner=tuple(tuple(layers[layer.name] for layer in each) for each in inner) if known(inner) else inner,
            entry=layers[entry.name] if known(entry) and entry is not None else entry,
        )

    return tuple(map(renewed, model.streams))


def _is_renewed(names: Iterable[str], layers: dict[str, Layer], renewed: set[str]) -> bool:
    """Whether every parameter of the layers of those names was written anew."""
    return all(
        parameter.name in renewed or parameter.is_buffer
        for name in names
        if name in layers
        for parameter in layers[name].parameters
    )


def statements(facts: Facts) -> set[Location]:
    """The lines of the user's code that wrote what a model's parameters hold, as far as it is known."""
    return {place for parameter in facts.models[0].parameters if (place := _statement(parameter)) is not None}


def narrowed(report: Report, places: Collection[Location]) -> Report:
    """The report without what was only read, but for what was read of the lines ``places``."""
    findings = tuple(f for f in report.findings if f.sources != (SOURCE,) or _place(f.location) in places)
    count = Counter(finding.severity for finding in findings)
    summary = replace(
        report.summary,
        error=count[Severity.ERROR],
        warning=count[Severity.WARNING],
        advice=count[Severity.ADVICE],
    )
    return replace(report, findings=findings, summary=summary)


def replaced_statements(before: Facts, after: Facts, file: str) -> list[Location]:
    """The statements of the user's that write nothing but what the function in ``file`` writes too, in order."""
    renewed = {p.name for p in after.models[0].parameters if _own_writes(p, file)[0]}
    replaced: set[Location] = set()
    needed: set[Location] = set()
    for parameter in before.models[0].parameters:
        for write in parameter.writes if known(parameter.writes) else ():
            place = _place(write.location)
            if place is not None and known(write.author) and write.author == "user":
                (replaced if parameter.name in renewed else needed).add(place)
    return sorted(replaced - needed)
