"""What ``import initlint`` offers: check files and targets, audit a model at hand, look rules up."""

from __future__ import annotations

import inspect
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

from initlint.bulk import CACHE_DIRECTORY
from initlint.config import Config, Configurations, inline
from initlint.engine import load, no_such_rule, registry
from initlint.facts import absent, known
from initlint.findings import Finding, Severity
from initlint.fingerprint import with_fingerprints
from initlint.judgement import Judgement
from initlint.profile import rows
from initlint.result import ModelRun, Report, Summary
from initlint.survey import Survey
from initlint.theory.precision import FORMATS, canonical

if TYPE_CHECKING:
    import torch
    from torch import nn

    from initlint.baseline import Baseline
    from initlint.live.process import Outcome
    from initlint.location import Location
    from initlint.rule import Entry, Rule
    from initlint.settings import ModelTable

__all__ = ["audit", "catalogue", "check", "described", "explanation"]


def check(
    targets: Sequence[str] = (),
    *,
    static: bool = False,
    meta: bool = False,
    batch: Sequence[str] = (),
    arguments: Sequence[str] = (),
    loss: str | None = None,
    dtype: str | None = None,
    device: str | None = None,
    seed: int | None = None,
    seeds: int | None = None,
    widths: str | None = None,
    python: str | None = None,
    timeout: float | None = None,
    memory_limit: str | None = None,
    stdin: Callable[[], bytes] | None = None,
    stdin_filename: str | None = None,
    models: Sequence[ModelTable] | None = None,
    select: Sequence[str] | None = None,
    extend_select: Sequence[str] | None = None,
    ignore: Sequence[str] | None = None,
    advice: bool = False,
    fail_on: str | None = None,
    config: Sequence[str] = (),
    force_exclude: bool = False,
    baseline: str | None = None,
    update_baseline: bool = False,
    fix: bool = False,
    unsafe_fixes: bool = False,
    diff: bool = False,
    jobs: int | None = None,
    cache: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Report:
    """Read files and directories, build and probe the models of named files, and judge what was seen.

    ``targets``, ``batch`` (``8x3x32x32``), ``arguments`` (``width=64``), ``memory_limit`` (``4G``) and the rest are
    spelled as on the command line. Models are built in child processes with the caller's rights; with ``static``
    nothing is built; with ``meta`` models get no weights and are not run, and what a pass would measure is predicted.
    With ``seeds`` each model is built and probed that often, and what most seeds show is told; at ``widths``
    (``64,128,256``) it is built to see what grows with its width. ``timeout`` is in seconds for each model. ``stdin``
    gives the bytes of the target ``-``, which ``stdin_filename`` names. ``config`` holds a configuration file to use in
    place of those that lie about, and ``key = value`` lines; what is left open here is taken from the configuration.
    Without a target, the configured models and the working directory are checked; with ``models``, those of the
    configured models and nothing else. ``progress`` is called with a line before each model is built.
    ``baseline`` is a file of known findings, which are left out; ``update_baseline`` writes it.
    ``fix`` first applies the fixes that reading proposes to the files, with ``unsafe_fixes`` also those that may change
    what is right; the report is of what remains. ``diff`` only shows that, in ``Report.mended``, and builds nothing.
    ``jobs`` is how many processes read files, None for as many as pay. With ``cache``, what was said of the files of a
    directory is kept for the next run, in ``.initlint_cache`` or the directory that ``INITLINT_CACHE_DIR`` names.

    Raises ValueError for a code, batch, argument or size that means nothing, and for such a configuration; what goes
    wrong with one target is in ``Report.failures`` (asked for by name) or ``Report.notes`` (met on the way).
    """
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs is at least 1, not {jobs}")
    if update_baseline and (fix or diff):
        raise ValueError("a baseline is updated by a run that fixes nothing")
    if fix or diff:
        arguments_given = dict(locals())  # every one, whichever there will be: each reading is of what was asked for
        from initlint.mending import check_and_mend

        return check_and_mend(check, arguments_given, configurations_of(config).of)
    started = time.perf_counter()
    configurations = configurations_of(
        config,
        select=None if select is None else _some(select),
        extend_select=(*_patterns(extend_select or ()), *_asked_by(widths)) or None,
        ignore=None if ignore is None else _patterns(ignore),
        advice=advice or None,
        fail_on=None if fail_on is None else Severity.parse(fail_on),
        static=static or None,
        force_exclude=force_exclude or None,
    )
    root = configurations.within(os.getcwd())
    judgement = Judgement(_folders(targets) if root.static else ())
    judgement.plugins(root)
    judgement.codes(configurations.asked)  # what was asked for is not put down to a file
    judgement.codes(root)
    known_findings = _known_findings(root, baseline, update=update_baseline)
    survey = Survey(configurations, judgement, static=root.static, jobs=jobs, cache=_cache_of(root) if cache else None)
    asked = None
    if not root.static:
        from initlint.building import Asked, Construction, plan

        asked = Asked(
            tuple(batch),
            tuple(arguments),
            device,
            seed,
            python,
            timeout,
            memory_limit,
            loss,
            dtype,
            meta,
            seeds,
            widths,
        )
        plan(asked, root)
    elif not static and (
        batch
        or arguments
        or meta
        or {loss, dtype, device, seed, seeds, widths, python, timeout, memory_limit} != {None}
    ):
        raise ValueError(f"static is true in {root.shown}, and no model is built")
    if not targets:
        survey.look_at_models(root, models)
    for target in targets or ((os.curdir,) if models is None else ()):
        survey.look_at(target, stdin=stdin, stdin_filename=stdin_filename)
    if asked is None or not (survey.models or ((batch or arguments or widths) and not survey.failures)):
        return report_of(survey, root.fail_on, started, baseline=known_findings, update_baseline=update_baseline)
    construction = Construction()
    construction.build(asked, survey.models, progress)
    for its_config, facts in construction.facts:
        survey.judge(its_config, facts)
    return report_of(
        survey,
        root.fail_on,
        started,
        outcomes=construction.outcomes,
        notes=construction.notes,
        failures=construction.failures,
        baseline=known_findings,
        update_baseline=update_baseline,
    )


def audit(
    model: nn.Module | Callable[[], nn.Module | tuple[nn.Module, Any]],
    batch: Any = None,
    *,
    loss: str | Callable[[Any], torch.Tensor] | None = None,
    dtype: str | torch.dtype | None = None,
    device: str | None = None,
    select: str | Iterable[str] | None = None,
    ignore: str | Iterable[str] | None = None,
    advice: bool = False,
    seed: int = 0,
    meta: bool = False,
    seeds: int = 1,
    widths: str | Sequence[int] | None = None,
) -> Report:
    """Judge a model in this process: its parameters, and what one forward and backward on a batch measure.

    ``model`` is a module, of which only the values are known, or a function or class that takes no argument and
    returns a module or ``(module, batch)``: then the statement that wrote each parameter is known too. ``batch`` is a
    tensor, a tuple of positional inputs, a mapping of keyword inputs, or what ``--batch`` takes; None to take the
    factory's, or to have one inferred. ``loss`` maps the model's output to a scalar, or is "cross-entropy",
    "mse" or "module:function"; None for the model's own, or mean square to random targets where it returns none.
    ``dtype`` ("fp16", "bf16", "fp8", "fp32") is a format whose range the signal has to fit; the pass itself runs in
    the module's own. ``device`` is where the pass runs, None for where the module is. A function or class is built and
    probed with as many ``seeds``, and what most of them show is told, errors if all do; at ``widths`` (numbers, or as
    ``--widths`` takes them) it is built to see what grows with its width. ``select`` and ``ignore`` are codes or
    prefixes. The module and all random generators are left as they were. With ``meta`` nothing is run and a factory's
    large parameters get no memory: what a pass would measure is predicted, within ranges, from the distributions that
    the parameters are drawn from.

    Raises TypeError for a model that is none and for arguments of the wrong type, ValueError for codes and devices
    that there are not; whatever a factory raises goes through.
    """
    started = time.perf_counter()
    alone = Configurations(
        overrides=_asked(
            select=None if select is None else _some(select),
            extend_select=_asked_by(widths) or None,
            ignore=_patterns(ignore or ()),
            advice=advice,
        ),
        discover=False,
    )
    judgement = Judgement()
    judgement.codes(alone.asked)
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise TypeError(f"seed is an int, not {type(seed).__name__}")
    if not isinstance(seeds, int) or isinstance(seeds, bool) or seeds < 1:
        raise ValueError(f"seeds is a number of at least 1, not {seeds!r}")
    if loss is not None and not callable(loss) and not isinstance(loss, str):
        raise TypeError(f"loss is a function of the model's output or the name of one, not {type(loss).__name__}")
    judged = None if dtype is None else canonical(str(dtype))
    if dtype is not None and judged is None:
        raise ValueError(f"{dtype!r} is no dtype: {', '.join(FORMATS)}")
    from initlint.live.inprocess import audit_inprocess
    from initlint.live.process import Outcome

    for name, given in (("widths", widths), ("loss", loss), ("dtype", dtype)):
        if meta and given is not None:
            raise ValueError(f"{name} goes without meta, which runs nothing")
    every, notes = audit_inprocess(
        model, batch, loss=loss, dtype=judged, device=device, seed=seed, meta=meta, seeds=seeds, widths=widths
    )
    facts = every[0]
    name = facts.models[0].name
    not_run = facts.models[0].not_run
    failures: list[str] = []
    if known(not_run) and not absent(not_run):
        (notes if batch is None and loss is None else failures).append(f"{name} was not run: {not_run}")
    survey = Survey(alone, judgement, static=True)
    survey.judge(alone.asked, every)
    return report_of(
        survey,
        Severity.WARNING,
        started,
        outcomes=[Outcome(name, "audited", facts=facts)],
        notes=notes,
        failures=failures,
    )


def catalogue(
    codes: Iterable[str] = (), *, severity: str | None = None, needs: str | None = None, fixable: bool = False
) -> list[dict[str, Any]]:
    """Every rule as plain data: code, name, family, severity, the highest it may raise a finding to, needs, summary.

    ``codes`` leaves those that one of the codes, prefixes or families names; ``severity`` those that may say so,
    ``needs`` those that stand on that evidence, ``fixable`` those that propose a fix. The rules of plugins that the
    working directory's configuration names are among them, if a static check would take them. Raises ValueError for a
    code that no rule has, and for a configuration that means nothing.
    """
    _plugins_here()
    chosen = [code for code, entry in registry().items() if not codes or any(_named(entry, text) for text in codes)]
    for text in codes:
        if not any(_named(registry()[code], text) for code in chosen):
            raise ValueError(no_such_rule(text))
    return [
        entry
        for entry in map(_described, chosen)
        if severity in (None, entry["severity"], entry["highest"])
        and (needs is None or needs in entry["needs"])
        and (entry["fixable"] or not fixable)
    ]


def _named(entry: Entry, text: str) -> bool:
    """Whether a code, a prefix, a name or a family means a rule."""
    return entry.code.startswith(text.upper()) or text.lower().replace("-", "_") in (
        entry.name.replace("-", "_"),
        _family(entry),
    )


def _family(entry: Entry) -> str:
    """The folder of a built-in rule, the package of a plugin's."""
    package, _, rest = entry.module.partition(".")
    return rest.partition(".")[0] if package == "initlint_rules" else package


def described(codes: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The rules of these codes as ``catalogue`` has them, by code, with their ``documentation`` in Markdown."""
    return {
        code: {**_described(code), "documentation": _documentation(load(code))} for code in codes if code in registry()
    }


def _described(code: str) -> dict[str, Any]:
    entry, rule = registry()[code], load(code)
    return {
        "code": code,
        "name": entry.name,
        "family": _family(entry),
        "severity": entry.severity.label,
        "highest": (rule.highest or entry.severity).label,
        "default": entry.severity > Severity.ADVICE,
        "needs": list(rule.needs),
        "fixable": any(example.fixed is not None for example in rule.bad),
        "summary": _documentation(rule).partition("\n")[0],
    }


def explanation(code: str) -> str:
    """The documentation of a rule, by its code or name; ValueError, naming near misses, for neither.

    Rules of plugins as in ``catalogue``.
    """
    wanted = code.strip()
    if not any(wanted.lower() in (entry.code.lower(), entry.name) for entry in registry().values()):
        _plugins_here()
    named = {entry.name: known_code for known_code, entry in registry().items()}
    found = named.get(wanted.lower(), wanted.upper())
    if found not in registry():
        raise ValueError(no_such_rule(wanted))
    rule = load(found)
    highest = f", at most {rule.highest.label}" if rule.highest not in (None, rule.severity) else ""
    return f"{rule.code} {rule.name} [{rule.severity.label}{highest}]\n\n{_documentation(rule)}\n"


def _cache_of(root: Config) -> str:
    """Where what earlier runs said is kept: beside the configuration, or in the working directory."""
    return os.environ.get("INITLINT_CACHE_DIR") or os.path.join(
        os.path.dirname(root.path) if root.path is not None else os.getcwd(), CACHE_DIRECTORY
    )


def _plugins_here() -> None:
    """Make the rules known of plugins that the working directory's configuration names."""
    root = Configurations().within(os.getcwd())
    Judgement((os.getcwd(),)).plugins(root)


def _documentation(rule: Rule) -> str:
    return inspect.cleandoc(type(rule).__doc__ or "")


def _asked(**fields: Any) -> dict[str, Any]:
    """Those of the fields that were asked for. Raises ValueError for codes that there are not."""
    asked = {name: value for name, value in fields.items() if value is not None}
    if asked.get("fail_on") is Severity.ADVICE:
        asked["advice"] = True
    return asked


def configurations_of(config: Iterable[str], **fields: Any) -> Configurations:
    """The configurations of a run in which some fields were asked for, and some by ``key = value`` in ``config``."""
    said: dict[str, Any] = {}
    file: str | None = None
    for each in config:
        if "=" in each and not os.path.isfile(each):
            said.update(inline(each))
        elif file is None:
            file = each
        else:
            raise ValueError(f"--config names two files, {file} and {each}")
    return Configurations(file, {**said, **_asked(**fields)})


def _asked_by(widths: object) -> tuple[str, ...]:
    """The advice that asking for widths asks for."""
    return () if widths is None else ("INI713",)


def _folders(targets: Sequence[str]) -> tuple[str, ...]:
    """The directories that targets lie in."""
    paths = [os.path.abspath(target.rpartition("::")[0] or target) for target in targets or (os.curdir,)]
    return tuple(path if os.path.isdir(path) else os.path.dirname(path) for path in paths)


def _some(codes: str | Iterable[str]) -> tuple[str, ...]:
    chosen = _patterns(codes)
    if not chosen:
        raise ValueError("select names no code, and nothing would be checked")
    return chosen


def _patterns(codes: str | Iterable[str]) -> tuple[str, ...]:
    parts = codes.split(",") if isinstance(codes, str) else list(codes)
    for part in parts:
        if not isinstance(part, str):
            raise TypeError(f"a code is a str, not {type(part).__name__}")
    return tuple(part.strip().upper() for part in parts if part.strip())


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
    every = findings = tuple(with_fingerprints(said, lines)) if said else ()
    old, about_baseline = 0, None
    if baseline is not None:
        models = {run.facts.models[0].name for run in outcomes if run.target in probed and run.facts is not None}
        findings, old, about_baseline = baseline.settle(
            every, lines, lambda path, code, model: survey.would_say(path, code, model, models), update=update_baseline
        )
    count = Counter(finding.severity for finding in findings)
    return Report(
        findings=findings,
        models=tuple(_run(outcome, every) for outcome in outcomes),
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


def _known_findings(root: Config, file: str | None, *, update: bool) -> Baseline | None:
    """The baseline that a run asks for, else its configuration; None where neither does. Raises ValueError."""
    if file is None and root.baseline is None and not update:
        return None
    from initlint.baseline import DEFAULT_NAME, chosen

    folder = os.getcwd() if root.path is None else root.root
    return chosen(file or root.baseline or os.path.join(folder, DEFAULT_NAME), update=update)


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
    model = outcome.facts.models[0]
    probe = model.probe if known(model.probe) else None
    shapes = {parameter.name: parameter.shape for parameter in model.parameters if not parameter.is_buffer}
    return ModelRun(
        outcome.target,
        outcome.status,
        model.not_run if known(model.not_run) else None,
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
