"""Suggests an init function for one model, and proves it: build and probe, choose, apply, probe again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from initlint.api import configurations_of
from initlint.concluding import report_of
from initlint.config import Configurations
from initlint.facts import Facts, known, slot
from initlint.findings import Severity
from initlint.judgement import Judgement
from initlint.opened import shown_path
from initlint.proposal import Suggestion
from initlint.result import Report
from initlint.suggestion.choosing import choose
from initlint.suggestion.proving import (
    Defect,
    defects,
    flagged,
    narrowed,
    replaced_statements,
    settled,
    statements,
)
from initlint.suggestion.writing import source_of
from initlint.survey import Survey

if TYPE_CHECKING:
    import torch
    from torch import nn

    from initlint.building import Asked
    from initlint.location import Location
    from initlint.suggestion.setting import Setting
    from initlint.survey import Planned

__all__ = ["suggest", "suggest_for_target"]


class _Seen(NamedTuple):
    """A model as it was found: its facts (None where it could not be built), and what is said of it."""

    facts: Facts | None
    report: Report


Look = Callable[[str | None], _Seen]
"""Builds and probes the model, with the function of that source text called on it."""


def suggest(
    model: nn.Module | Callable[[], nn.Module | tuple[nn.Module, Any]],
    batch: Any = None,
    *,
    loss: str | Callable[[Any], torch.Tensor] | None = None,
    device: str | None = None,
    seed: int = 0,
) -> Suggestion:
    """Write an ``init_weights(model)`` for a model at hand, apply it in this process, and probe the model again.

    The arguments are those of ``audit``, which also says what is raised. A module is left as it was; of a module, the
    values alone tell what was meant, so a function or class that makes one gives better advice.
    """

    from initlint.live.child.process import Outcome
    from initlint.live.inprocess import audit_inprocess

    alone = Configurations(discover=False)

    def look(source: str | None) -> _Seen:
        started = time.perf_counter()
        (facts,), _ = audit_inprocess(model, batch, loss=loss, device=device, seed=seed, initializer=source)
        facts = facts if source is None else _settle(facts)
        survey = Survey(alone, Judgement(), static=True)
        survey.judge(alone.asked, [facts])
        name = facts.models[0].name
        outcomes = [Outcome(name, "audited", facts=facts)]
        return _Seen(facts, report_of(survey, Severity.WARNING, started, outcomes=outcomes))

    return _suggestion(getattr(model, "__name__", type(model).__name__), look)


def suggest_for_target(
    target: str,
    *,
    batch: Sequence[str] = (),
    arguments: Sequence[str] = (),
    loss: str | None = None,
    device: str | None = None,
    seed: int | None = None,
    python: str | None = None,
    timeout: float | None = None,
    memory_limit: str | None = None,
    config: Sequence[str] = (),
    progress: Callable[[str], None] | None = None,
) -> Suggestion:
    """Write an ``init_weights(model)`` for what ``target`` names, apply it in a child process, and probe it again.

    The arguments are those of ``check``. Raises ValueError for one that means nothing; what goes wrong with the model
    is in ``Suggestion.failures``.
    """
    from initlint.building import Asked, plan

    configurations = configurations_of(config)
    judgement = Judgement()
    asked = Asked(
        batch=tuple(batch),
        arguments=tuple(arguments),
        device=device,
        seed=seed,
        python=python,
        timeout=timeout,
        memory_limit=memory_limit,
        loss=loss,
        seeds=1,
    )
    started = time.perf_counter()

    def read() -> Survey:
        survey = Survey(configurations, judgement, static=False)
        survey.look_at(target, stdin=None, stdin_filename=None)
        return survey

    survey = read()
    chosen = _the_model(survey, target)
    if isinstance(chosen, str):
        failures = survey.failures or [chosen]
        bare = Survey(configurations, judgement, static=True)
        return Suggestion(target, "failed", report_of(bare, Severity.WARNING, started, failures=failures))
    if chosen.table is not None:  # a function is proven by one run, not by predictions or at several widths
        chosen = replace(chosen, table=replace(chosen.table, meta=False, widths=None))
    plan(asked, chosen.config, chosen.table)

    def look(source: str | None) -> _Seen:
        return _built(asked, chosen, source, survey if source is None else read(), progress)

    return _suggestion(chosen.target.text, look)


def _the_model(survey: Survey, target: str) -> Planned | str:
    """The one model that a target names, as one that was asked for; else why there is none."""
    models = {planned.target.text: planned for planned in survey.models}
    if len(models) == 1:
        return replace(next(iter(models.values())), named=True)
    if models:
        return f"{target}: names several models: write one of {', '.join(sorted(models))}"
    return next(iter(survey.notes), f"{target}: no model that could be built was found there: write path.py::Name")


def _built(
    asked: Asked, planned: Planned, source: str | None, survey: Survey, progress: Callable[[str], None] | None
) -> _Seen:
    """The model built and probed in a child process; what was read counts where it is about what wrote its values."""
    from initlint.building import Construction

    started = time.perf_counter()
    construction = Construction()
    construction.build(asked, [planned], progress, source)
    facts: Facts | None = None
    for its_config, (found, *_) in construction.facts:
        facts = found if source is None else _settle(found)
        survey.judge(its_config, [facts])
    outcomes = [
        outcome if outcome.facts is None or facts is None else replace(outcome, facts=facts)
        for outcome in construction.outcomes
    ]
    notes, failures = construction.notes, construction.failures
    report = report_of(survey, Severity.WARNING, started, outcomes=outcomes, notes=notes, failures=failures)
    return _Seen(facts, narrowed(report, statements(facts) if facts is not None else ()))


def _settle(facts: Facts) -> Facts:
    from initlint.live.suggested import FILE

    return settled(facts, FILE)


def _suggestion(target: str, look: Look) -> Suggestion:
    before = look(None)
    problem = _not_probed(before)
    if problem is not None:
        return Suggestion(target, "failed", problem)
    assert before.facts is not None
    wrong = defects(before.report.findings)
    if not wrong:
        return Suggestion(target, "fine", before.report)
    (model,) = before.facts.models
    settings = choose(model, flagged(model, before.report.findings))
    source = source_of(model.class_name if known(model.class_name) else model.name, settings)
    kept = _kept(settings)
    after = look(source)
    problem = _not_probed(after)
    if problem is not None:
        return Suggestion(target, "failed", before.report, problem, kept=kept)
    assert after.facts is not None
    still = defects(after.report.findings)
    gone, new = wrong - still, still - wrong
    improved = bool(gone) and not new
    return Suggestion(
        target,
        "suggested" if improved else "not improved",
        before.report,
        after.report,
        source=source if improved else None,
        mended=_codes(gone, but=still),
        remaining=_codes(still & wrong),
        new=_codes(new),
        kept=kept,
        replaces=_replaced(before.facts, after.facts),
    )


def _not_probed(seen: _Seen) -> Report | None:
    """The report with what kept the model from being probed among its failures; None where it was probed."""
    report = seen.report
    if seen.facts is None or report.failures:
        return report
    (model,) = seen.facts.models
    if known(model.probe) and model.why_not_run is None:
        return None
    why = model.why_not_run or "no batch was run"
    return replace(report, failures=(f"{model.name} was not run: {why}",))


def _codes(found: Iterable[Defect], but: Iterable[Defect] = ()) -> tuple[str, ...]:
    """The codes of defects, in order, but for those that others have too."""
    return tuple(sorted({defect.code for defect in found} - {defect.code for defect in but}))


def _kept(settings: Iterable[Setting]) -> tuple[tuple[str, str], ...]:
    """What is left alone, by the reason; layers that differ in their indices alone are named once."""
    groups: dict[str, dict[str, None]] = {}
    for setting in settings:
        if setting.keeps:
            groups.setdefault(setting.keeps, {})[slot(setting.name)] = None
    return tuple((", ".join(names), why) for why, names in groups.items())


def _replaced(before: Facts, after: Facts) -> tuple[Location, ...]:
    from initlint.live.suggested import FILE

    return tuple(replace(place, path=shown_path(place.path)) for place in replaced_statements(before, after, FILE))
