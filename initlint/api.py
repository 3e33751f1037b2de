"""What ``import initlint`` offers: check files and targets, audit a model at hand, look rules up."""

from __future__ import annotations

import inspect
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

from initlint.engine import Selection, ask, conclude, load, no_such_rule, registry, rows
from initlint.facts import absent, known
from initlint.findings import Finding, Severity
from initlint.fingerprint import with_fingerprints
from initlint.result import ModelRun, Report, Summary
from initlint.survey import Survey, shown_path

if TYPE_CHECKING:
    import torch
    from torch import nn

    from initlint.facts import Facts
    from initlint.live.process import Outcome
    from initlint.location import Location
    from initlint.rule import Rule

__all__ = ["audit", "catalogue", "check", "explanation"]


def check(
    targets: Sequence[str] = (".",),
    *,
    static: bool = False,
    batch: Sequence[str] = (),
    arguments: Sequence[str] = (),
    device: str = "auto",
    seed: int = 0,
    python: str | None = None,
    timeout: float | None = None,
    memory_limit: str | None = None,
    stdin: Callable[[], bytes] | None = None,
    stdin_filename: str | None = None,
    select: Sequence[str] | None = None,
    extend_select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    advice: bool = False,
    fail_on: str = "warning",
    progress: Callable[[str], None] | None = None,
) -> Report:
    """Read files and directories, build and probe the models of named files, and judge what was seen.

    ``targets``, ``batch`` (``8x3x32x32``), ``arguments`` (``width=64``), ``memory_limit`` (``4G``) and the rest are
    spelled as on the command line. Models are built in child processes with the caller's rights; with ``static``
    nothing is built. ``timeout`` is in seconds for each model. ``stdin`` gives the bytes of the target ``-``, which
    ``stdin_filename`` names. ``progress`` is called with a line before each model is built.

    Raises ValueError for a code, batch, argument or size that means nothing; what goes wrong with one target is in
    ``Report.failures`` (asked for by name) or ``Report.notes`` (met on the way).
    """
    started = time.perf_counter()
    threshold = Severity.parse(fail_on)
    codes = _codes(select, ignore, extend_select=extend_select, advice=advice or threshold is Severity.ADVICE)
    job = None
    if not static:
        from initlint.building import plan

        job = plan(
            batch=batch,
            arguments=arguments,
            device=device,
            seed=seed,
            python=python,
            timeout=timeout,
            memory_limit=memory_limit,
        )
    survey = Survey(static=static, codes=codes)
    for target in targets:
        survey.look_at(target, stdin=stdin, stdin_filename=stdin_filename)
    if job is None or not (survey.models or ((batch or arguments) and not survey.failures)):
        return _report(survey, (), codes, threshold, started)
    from initlint.building import Construction

    construction = Construction()
    construction.build(job, survey.models, progress)
    return _report(
        survey,
        construction.facts,
        codes,
        threshold,
        started,
        outcomes=construction.outcomes,
        notes=construction.notes,
        failures=construction.failures,
    )


def audit(
    model: nn.Module | Callable[[], nn.Module | tuple[nn.Module, Any]],
    batch: Any = None,
    *,
    loss: Callable[[Any], torch.Tensor] | None = None,
    device: str | None = None,
    select: str | Iterable[str] | None = None,
    ignore: str | Iterable[str] | None = None,
    advice: bool = False,
    seed: int = 0,
) -> Report:
    """Judge a model in this process: its parameters, and what one forward and backward on a batch measure.

    ``model`` is a module, of which only the values are known, or a function or class that takes no argument and
    returns a module or ``(module, batch)``: then the statement that wrote each parameter is known too. ``batch`` is a
    tensor, a tuple of positional inputs, a mapping of keyword inputs, or what ``--batch`` takes; None to take the
    factory's, or to have one inferred. ``loss`` maps the model's output to a scalar. ``device`` is where the pass runs,
    None for where the module is. ``select`` and ``ignore`` are codes or prefixes. The module and all random generators
    are left as they were.

    Raises TypeError for a model that is none and for arguments of the wrong type, ValueError for codes and devices
    that there are not; whatever a factory raises goes through.
    """
    started = time.perf_counter()
    codes = _codes(select, ignore, advice=advice)
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise TypeError(f"seed is an int, not {type(seed).__name__}")
    if loss is not None and not callable(loss):
        raise TypeError(f"loss is a function of the model's output, not {type(loss).__name__}")
    from initlint.live.inprocess import audit_inprocess
    from initlint.live.process import Outcome

    facts = audit_inprocess(model, batch, loss=loss, device=device, seed=seed)
    name = facts.models[0].name
    not_run = facts.models[0].not_run
    notes: list[str] = []
    failures: list[str] = []
    if known(not_run) and not absent(not_run):
        (notes if batch is None else failures).append(f"{name} was not run: {not_run}")
    return _report(
        Survey(static=True, codes=codes),
        [facts],
        codes,
        Severity.WARNING,
        started,
        outcomes=[Outcome(name, "audited", facts=facts)],
        notes=notes,
        failures=failures,
    )


def catalogue() -> list[dict[str, Any]]:
    """Every rule as plain data: code, name, severity, the highest it may raise a finding to, needs, summary."""
    entries = []
    for code, entry in registry().items():
        rule = load(code)
        entries.append(
            {
                "code": code,
                "name": entry.name,
                "severity": entry.severity.label,
                "highest": (rule.highest or entry.severity).label,
                "default": entry.severity > Severity.ADVICE,
                "needs": list(rule.needs),
                "summary": _documentation(rule).partition("\n")[0],
            }
        )
    return entries


def explanation(code: str) -> str:
    """The documentation of a rule, by its code or name; ValueError, naming near misses, for neither."""
    wanted = code.strip()
    named = {entry.name: known_code for known_code, entry in registry().items()}
    found = named.get(wanted.lower(), wanted.upper())
    if found not in registry():
        raise ValueError(no_such_rule(wanted))
    rule = load(found)
    highest = f", at most {rule.highest.label}" if rule.highest not in (None, rule.severity) else ""
    return f"{rule.code} {rule.name} [{rule.severity.label}{highest}]\n\n{_documentation(rule)}\n"


def _documentation(rule: Rule) -> str:
    return inspect.cleandoc(type(rule).__doc__ or "")


def _codes(
    select: str | Iterable[str] | None,
    ignore: str | Iterable[str] | None,
    *,
    extend_select: Iterable[str] = (),
    advice: bool = False,
) -> frozenset[str]:
    """The codes chosen; ValueError for one that there is not, TypeError for what is no text."""
    chosen = None if select is None else _patterns(select)
    if chosen == ():
        raise ValueError("select names no code, and nothing would be checked")
    return Selection(chosen, _patterns(extend_select), _patterns(ignore or ()), advice).codes()


def _patterns(codes: str | Iterable[str]) -> tuple[str, ...]:
    parts = codes.split(",") if isinstance(codes, str) else list(codes)
    for part in parts:
        if not isinstance(part, str):
            raise TypeError(f"a code is a str, not {type(part).__name__}")
    return tuple(part.strip().upper() for part in parts if part.strip())


def _report(
    survey: Survey,
    facts: Sequence[Facts],
    codes: frozenset[str],
    fail_on: Severity,
    started: float,
    *,
    outcomes: Sequence[Outcome] = (),
    notes: Iterable[str] = (),
    failures: Iterable[str] = (),
) -> Report:
    """What was read, and ``facts`` of models that were built, amount to.

    They are judged, suppressed where comments say so, given shown paths and counted.
    """
    remarks = [*survey.notes, *notes]
    files = len(survey.files)
    said: list[Finding] = []
    lines: dict[Location, str] = {}
    suppressed = 0
    stated = [*survey.said, *(finding for part in facts for finding in ask(part, codes, notes=remarks))]
    for finding in conclude(stated):
        where = finding.location
        if where is not None and survey.file(where.path).suppressions.silence(finding.code, where.line):
            suppressed += 1
            continue
        said.append(shown := _shown(finding))
        line = None if where is None else survey.line(where)
        if shown.location is not None and line is not None:
            lines[shown.location] = line
    findings = tuple(with_fingerprints(said, lines)) if said else ()
    count = Counter(finding.severity for finding in findings)
    return Report(
        findings=findings,
        models=tuple(_run(outcome, findings) for outcome in outcomes),
        notes=tuple(dict.fromkeys(remarks)),
        failures=tuple(dict.fromkeys([*survey.failures, *failures])),
        summary=Summary(
            files=files,
            models=len(outcomes),
            error=count[Severity.ERROR],
            warning=count[Severity.WARNING],
            advice=count[Severity.ADVICE],
            suppressed=suppressed,
            seconds=time.perf_counter() - started,
        ),
        fail_on=fail_on,
        lines=lines,
    )


def _shown(finding: Finding) -> Finding:
    """The finding with its paths as reports give them."""
    where = finding.location
    return replace(
        finding,
        location=where and replace(where, path=shown_path(where.path)),
        related=tuple(
            replace(other, location=replace(other.location, path=shown_path(other.location.path)))
            for other in finding.related
        ),
    )


def _run(outcome: Outcome, findings: Iterable[Finding]) -> ModelRun:
    """What became of a model, with its table where it was audited."""
    if outcome.facts is None:
        return ModelRun(outcome.target, outcome.status, outcome.reason)
    model = outcome.facts.models[0]
    probe = model.probe if known(model.probe) else None
    shapes = {parameter.name: parameter.shape for parameter in model.parameters if not parameter.is_buffer}
    return ModelRun(
        outcome.target,
        outcome.status,
        model.not_run if known(model.not_run) else None,
        batch=probe.batch if probe is not None and known(probe.batch) else None,
        device=probe.device if probe is not None else None,
        parameters=sum(map(prod, shapes.values())) if all(map(known, shapes.values())) else None,
        layers=rows(model, findings),
    )
