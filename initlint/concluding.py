"""What everything that was said of files and models amounts to: the report."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING

from initlint.facts import known
from initlint.findings import Finding, Severity
from initlint.record import replace
from initlint.result import ModelRun, Report, Summary

if TYPE_CHECKING:
    from initlint.baseline import Baseline
    from initlint.live.child.process import Outcome
    from initlint.location import Location
    from initlint.survey import Survey

__all__ = ["report_of"]


def report_of(
    survey: Survey,
    fail_on: Severity,
    started: float,
    *,
    outcomes: Sequence[Outcome] = (),
    notes: Iterable[str] = (),
    failures: Iterable[str] = (),
    baseline: Baseline | None = None,
    update_baseline: bool = False,
) -> Report:
    """What everything that was said amounts to: merged, suppressed where that is wished, with shown paths, counted."""
    files = sum(file is not None for file in survey.files.values())
    said: list[Finding] = []
    lines: dict[Location, str] = {}
    probed = {run.target for run in outcomes if run.facts is not None and known(run.facts.models[0].probe)}
    kept, suppressed = survey.concluded(probed)
    for finding in kept:
        where = finding.location
        said.append(shown := _shown(finding, survey))
        line = None if where is None else survey.file(where.path).line(where.line)
        if shown.location is not None and line is not None:
            lines[shown.location] = line
    every = findings = _marked(said, lines) if said else ()
    old, about_baseline = 0, None
    if baseline is not None:
        models = {run.facts.models[0].name for run in outcomes if run.target in probed and run.facts is not None}
        findings, old, about_baseline = baseline.settle(
            every, lines, lambda path, code, model: survey.would_say(path, code, model, models), update=update_baseline
        )
    count = Counter(finding.severity for finding in findings)
    return Report(
        findings=findings,
        models=tuple(_run(outcome, kept) for outcome in outcomes),
        notes=tuple(dict.fromkeys([*survey.notes, *notes, *([about_baseline] if about_baseline else ())])),
        failures=tuple(dict.fromkeys([*survey.failures, *failures])),
        summary=Summary(
            files=files,
            models=len(outcomes),
            error=count[Severity.ERROR],
            warning=count[Severity.WARNING],
            advice=count[Severity.ADVICE],
            suppressed=suppressed,
            baseline=old,
            seconds=time.perf_counter() - started,
        ),
        fail_on=fail_on,
        lines=lines,
    )


def _marked(said: Sequence[Finding], lines: Mapping[Location, str]) -> tuple[Finding, ...]:
    from initlint.fingerprint import with_fingerprints  # most files have nothing to mark

    return tuple(with_fingerprints(said, lines))


def _shown(finding: Finding, survey: Survey) -> Finding:
    """The finding with its places as reports give them; what stands in a notebook is not fixed."""

    def shown(where: Location) -> Location:
        return survey.file(where.path).shown(where)

    location = finding.location and shown(finding.location)
    return replace(
        finding,
        location=location,
        fix=finding.fix if location is None or location.cell is None else None,
        related=tuple(replace(other, location=shown(other.location)) for other in finding.related),
    )


def _run(outcome: Outcome, findings: Iterable[Finding]) -> ModelRun:
    """What became of a model, with its table where it was audited."""
    if outcome.facts is None:
        return ModelRun(outcome.target, outcome.status, outcome.reason)
    from initlint.profile import rows  # what is only read has no table

    model = outcome.facts.models[0]
    probe = model.probe if known(model.probe) else None
    shapes = {parameter.name: parameter.shape for parameter in model.parameters if not parameter.is_buffer}
    return ModelRun(
        outcome.target,
        outcome.status,
        model.why_not_run,
        batch=probe.batch if probe is not None and known(probe.batch) else None,
        inferred=probe is not None and probe.inferred,
        device=probe.device if probe is not None else None,
        parameters=sum(map(prod, shapes.values())) if all(map(known, shapes.values())) else None,
        layers=rows(model, findings),
        loss=None
        if probe is None or not known(probe.loss)
        else f"{probe.loss:.3g} ({_loss_in_words(probe.loss_kind)})",
    )


def _loss_in_words(kind: str) -> str:
    return {"model": "its own", "target": "mean square to random targets"}.get(kind, kind)
