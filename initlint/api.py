"""What ``import initlint`` offers: check files and targets, audit a model at hand."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from initlint.bulk import CACHE_DIRECTORY
from initlint.concluding import report_of
from initlint.config import Config, Configurations, inline
from initlint.engine import asked_for_by
from initlint.findings import Severity
from initlint.judgement import Judgement
from initlint.survey import Survey

if TYPE_CHECKING:
    import torch
    from torch import nn

    from initlint.baseline import Baseline
    from initlint.result import Report
    from initlint.settings import ModelTable

__all__ = ["audit", "check", "codes_of", "configurations_of"]


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
        extend_select=(*codes_of(extend_select or ()), *_asked_by(widths)) or None,
        ignore=None if ignore is None else codes_of(ignore),
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
            batch=tuple(batch),
            arguments=tuple(arguments),
            device=device,
            seed=seed,
            python=python,
            timeout=timeout,
            memory_limit=memory_limit,
            loss=loss,
            dtype=dtype,
            meta=meta,
            seeds=seeds,
            widths=widths,
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
    loaded: str | Iterable[str] = (),
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
    prefixes. ``loaded`` names parameters that come from a checkpoint, as globs ("backbone.*"): nothing is said of what
    training has made of them, only what is broken in any weights is. The module and all random generators are left as
    they were. With ``meta`` nothing is run and a factory's large parameters get no memory: what a pass would measure is
    predicted, within ranges, from the distributions that the parameters are drawn from.

    Raises TypeError for a model that is none and for arguments of the wrong type, ValueError for codes and devices
    that there are not; whatever a factory raises goes through.
    """
    started = time.perf_counter()
    alone = Configurations(
        overrides=_asked(
            select=None if select is None else _some(select),
            extend_select=_asked_by(widths) or None,
            ignore=codes_of(ignore or ()),
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
    from initlint.theory.precision import FORMATS, canonical

    judged = None if dtype is None else canonical(str(dtype))
    if dtype is not None and judged is None:
        raise ValueError(f"{dtype!r} is no dtype: {', '.join(FORMATS)}")
    from initlint.live.child.process import Outcome
    from initlint.live.inprocess import audit_inprocess

    for name, given in (("widths", widths), ("loss", loss), ("dtype", dtype)):
        if meta and given is not None:
            raise ValueError(f"{name} goes without meta, which runs nothing")
    every, notes = audit_inprocess(
        model, batch, loss=loss, dtype=judged, device=device, seed=seed, meta=meta, seeds=seeds, widths=widths
    )
    facts = every[0]
    name = facts.models[0].name
    why = facts.models[0].why_not_run
    failures: list[str] = []
    if why is not None:
        (notes if batch is None and loss is None else failures).append(f"{name} was not run: {why}")
    from initlint.trained import about_loaded

    apart = about_loaded((loaded,) if isinstance(loaded, str) else tuple(loaded))
    survey = Survey(alone, judgement, static=True, apart=apart)
    survey.judge(alone.asked, every)
    return report_of(
        survey,
        Severity.WARNING,
        started,
        outcomes=[Outcome(name, "audited", facts=facts)],
        notes=notes,
        failures=failures,
    )


def _cache_of(root: Config) -> str:
    """Where what earlier runs said is kept: beside the configuration, or in the working directory."""
    chosen = os.environ.get("INITLINT_CACHE_DIR")
    if chosen:
        return os.path.realpath(chosen)  # a link that the user names is followed; one that lies about is not
    return os.path.join(os.path.dirname(root.path) if root.path is not None else os.getcwd(), CACHE_DIRECTORY)


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
    return () if widths is None else asked_for_by("widths")


def _folders(targets: Sequence[str]) -> tuple[str, ...]:
    """The directories that targets lie in."""
    paths = [os.path.abspath(target.rpartition("::")[0] or target) for target in targets or (os.curdir,)]
    return tuple(path if os.path.isdir(path) else os.path.dirname(path) for path in paths)


def _some(codes: str | Iterable[str]) -> tuple[str, ...]:
    chosen = codes_of(codes)
    if not chosen:
        raise ValueError("select names no code, and nothing would be checked")
    return chosen


def codes_of(codes: str | Iterable[str]) -> tuple[str, ...]:
    """Codes and prefixes as callers give them: several, or in one text with commas. Raises TypeError."""
    parts = codes.split(",") if isinstance(codes, str) else list(codes)
    for part in parts:
        if not isinstance(part, str):
            raise TypeError(f"a code is a str, not {type(part).__name__}")
    return tuple(part.strip().upper() for part in parts if part.strip())


def _known_findings(root: Config, file: str | None, *, update: bool) -> Baseline | None:
    """The baseline that a run asks for, else its configuration; None where neither does. Raises ValueError."""
    if file is None and root.baseline is None and not update:
        return None
    from initlint.baseline import DEFAULT_NAME, chosen

    if (
        file is None
        and root.baseline is not None
        and os.path.exists(root.baseline)
        and not os.path.isfile(root.baseline)
    ):
        raise ValueError(f"{root.shown}: baseline: is not a regular file")  # to open a pipe may be to wait for ever
    folder = os.getcwd() if root.path is None else root.root
    return chosen(file or root.baseline or os.path.join(folder, DEFAULT_NAME), update=update)
