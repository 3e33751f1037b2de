"""What ``import initlint`` offers: check files and targets, audit a model at hand, look rules up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from initlint.engine import Selection, judge, load, registry, rows
from initlint.findings import Finding, Severity
from initlint.fingerprint import with_fingerprints
from initlint.result import ModelRun, Report, Summary
from initlint.survey import Survey, shown_path

if TYPE_CHECKING:
    import torch
    from torch import nn

    from initlint.facts import Facts

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
    spelled as on the command line. Models are built in child processes with the caller's rights; with ``static`` nothing
    is built. ``timeout`` is in seconds for each model. ``stdin`` gives the bytes of the target ``-``, which
    ``stdin_filename`` names. ``progress`` is called with a line before each model is built.

    Raises ValueError for a code, batch, argument or size that means nothing; what goes wrong with one target is in
    ``Report.failures`` (asked for by name) or ``Report.notes`` (met on the way).
    """
    started = time.perf_counter()
    threshold = Severity.parse(fail_on)
    codes = _codes(select, ignore, extend_select=extend_select, advice=advice or threshold is Severity.ADVICE)
    plan = None
    if not static:
        from initlint.building import Plan

        plan = Plan.parse(
            batch=batch,
            arguments=arguments,
            device=device,
            seed=seed,
            python=python,
            timeout=timeout,
            memory_limit=memory_limit,
        )
    survey = Survey()
    for target in targets:
        survey.look_at(target, static=static, stdin=stdin, stdin_filename=stdin_filename)
    facts, models = list(survey.facts), []
