"""Models built and probed in child processes, and what became of each."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from initlint.config import Config
from initlint.engine import asked_for_by
from initlint.facts import Facts, known
from initlint.live.batches.batch_spec import parse_spec, placed
from initlint.live.child.process import LiveJob, Outcome, run
from initlint.live.probing.width_spec import parse_widths
from initlint.live.targets import Target
from initlint.settings import ModelTable, bytes_of, is_device, is_loss
from initlint.survey import Planned
from initlint.theory.precision import FORMATS, canonical

__all__ = ["Asked", "Construction", "plan"]

MOST_SEEDS = 100
INSTALL = "pip install 'initlint[torch]'"

_ARGUMENT = re.compile(r"[^\W\d]\w*=.*", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How a run asks for models to be built, spelled as on the command line; None for what it leaves open."""

    batch: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    device: str | None = None
    seed: int | None = None
    python: str | None = None
    timeout: float | None = None
    memory_limit: str | None = None
    loss: str | None = None
    dtype: str | None = None
    meta: bool = False
    seeds: int | None = None
    widths: str | None = None


def plan(asked: Asked, config: Config, table: ModelTable | None = None) -> LiveJob:
    """How a model is to be built, as a job that names none yet: as asked, else as its table, else as the run has it.

    Raises ValueError, in one line, for a setting that means nothing.
    """

    def first(name: str) -> Any:
        """What the foremost of the three says."""
        said = (getattr(asked, name), getattr(table, name, None), getattr(config, name, None))
        return next((each for each in said if each is not None), None)

    arguments = {text.partition("=")[0]: text for text in (*(table.args if table else ()), *asked.arguments)}
    batch = asked.batch or (table.batch if table else ())
    widths, seeds = asked.widths if asked.meta else first("widths"), first("seeds")
    scale = None if widths is None else parse_widths(widths)
    seeds = 1 if seeds is None else seeds
    if not 0 < seeds <= MOST_SEEDS:
        raise ValueError(f"seeds are from 1 to {MOST_SEEDS}, not {seeds}")
    device, python, timeout, memory_limit = map(first, ("device", "python", "timeout", "memory_limit"))
    loss, dtype = first("loss"), first("dtype")
    folder = os.getcwd() if asked.batch or table is None else config.root
    batch = tuple(str(placed(parse_spec(text), folder)) for text in batch)
    for text in arguments.values():
        if not _ARGUMENT.fullmatch(text):
            raise ValueError(f"{text!r} is no argument: write NAME=VALUE")
    if device is not None and not is_device(device):
        raise ValueError(f"{device!r} is no device: auto, cpu, cuda, cuda:1 or mps")
    if loss is not None and not is_loss(loss):
        raise ValueError(f"{loss!r} is no loss: cross-entropy, mse, module:function, or a function of the model's file")
    if dtype is not None and canonical(dtype) is None:
        raise ValueError(f"{dtype!r} is no dtype: {', '.join(FORMATS)}")
    if timeout is not None and not 0 < timeout < float("inf"):
        raise ValueError(f"a timeout of {timeout} s is none")
    meta = asked.meta or bool(table and table.meta)
    if meta and asked.device is not None and asked.device not in ("auto", "cpu"):
        raise ValueError(f"device {asked.device} goes without meta, which runs nothing")
    if meta and (asked.loss is not None or asked.dtype is not None):
        raise ValueError(f"{'dtype' if asked.loss is None else 'loss'} goes without meta, which runs nothing")
    if meta and widths is not None:
        raise ValueError("widths goes without meta, which runs nothing")
    if python is not None and shutil.which(python) is None:
        raise ValueError(f"{python!r} is no program that can be run")
    return LiveJob(
        names=(),
        batches=batch,
        arguments=tuple(arguments.values()),
        device=device or "auto",
        seed=first("seed") or 0,
        seeds=seeds,
        widths=() if scale is None else scale.widths,
        width_argument=None if scale is None else scale.name,
        python=python,
        memory_limit=_memory(memory_limit) if memory_limit is not None else None,
        loss=loss,
        dtype=canonical(dtype) if dtype is not None else None,
        meta=meta,
        **({} if timeout is None else {"timeout": timeout}),
    )


def _memory(text: str) -> int:
    size = bytes_of(text)
    if size <= 0:
        raise ValueError(f"{text!r} is no size: write 4G or 500M")
    return size


@dataclass(slots=True)
class Construction:
    """What came of building models: facts (a target's configuration, and those of each seed), notes, failures, outcomes
    in order."""

    facts: list[tuple[Config, tuple[Facts, ...]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    _passed_over: dict[tuple[str, str], list[Target]] = field(default_factory=dict)
    """The models met on the way that cannot be built, by their file and the reason, which many may share."""

    def build(
        self,
        asked: Asked,
        models: Iterable[Planned],
        progress: Callable[[str], None] | None = None,
        initializer: str | None = None,
    ) -> None:
        """Build each model, in one process those of one file that are built alike.

        ``initializer`` is the source of a function that is called on each once it is built. ``progress`` is called with
        a line before each. Raises ValueError for a setting that means nothing.
        """
        wanted = list({planned.target.text: planned for planned in models}.values())
        jobs = [(planned, replace(_job(asked, planned), initializer=initializer)) for planned in wanted]
        done = 0
        for job, group in groupby(jobs, key=lambda item: item[1]):
            members = [planned for planned, _ in group]
            outcomes = run(replace(job, names=tuple(planned.target.name or "" for planned in members)))
            for planned in members:
                done += 1
                if progress is not None:
                    progress(f"building and probing {planned.target.text} ({done} of {len(wanted)})")
                outcome = next(outcomes)
                self._take(planned, outcome)
                self.failures.extend(_not_taken(planned, outcome))
        for (origin, reason), targets in self._passed_over.items():
            if len(targets) == 1:
                self.notes.append(f"{targets[0].text}: {reason} (skipped)")
            else:
                names = ", ".join(target.name or "" for target in targets)
                self.notes.append(f"{origin}: {reason} ({len(targets)} models skipped: {names})")
        self._passed_over.clear()
        self.failures.extend(list(self._unused(plan(asked, Config()))))

    def _unused(self, job: LiveJob) -> Iterator[str]:
        """A line for each option that no model could take: it was asked for, and nothing came of it."""
        built = [outcome for outcome in self.outcomes if outcome.facts is not None]
        if not built:
            if not self.failures:
                options = [f"--arg {text}" for text in job.arguments] + [f"--batch {text}" for text in job.batches]
                options += [f"--widths {','.join(map(str, job.widths))}"] if job.widths else []
                yield from (f"{option}: no model was built that could take it" for option in options)
            return
        for text in job.arguments:
            name = text.partition("=")[0]
            if all(outcome.takes is not None and name not in outcome.takes for outcome in built):
                taken = "; ".join(f"{each.target} takes {', '.join(each.takes or ()) or 'none'}" for each in built[:3])
                yield f"--arg {text}: no model that was built takes it ({taken})"
        if job.widths and not self.failures and all(_unscaled(outcome) for outcome in built):
            taken = "; ".join(f"{each.target} takes {', '.join(each.takes or ()) or 'none'}" for each in built[:3])
            lacking = job.width_argument or "an argument that is called as widths are (hidden=64,128 names one)"
            yield f"--widths {','.join(map(str, job.widths))}: no model that was built takes {lacking} ({taken})"
        if job.batches and not self.failures and all(outcome.notes for outcome in built):  # notes: it was not run
            yield f"--batch {' '.join(job.batches)}: no model could be run on it ({built[0].notes[0]})"

    def _take(self, planned: Planned, outcome: Outcome) -> None:
        target, named = planned.target, planned.named
        if outcome.torch_missing:
            self.failures.append(
                f"{outcome.reason}, and models are built with it: {INSTALL}, or --python PATH, or --static"
            )
        elif outcome.facts is not None and not named and not any(outcome.facts.models[0].parameters):
            outcome = replace(outcome, status="skipped", reason="it has no parameters", facts=None, others=(), notes=())
        elif outcome.facts is None:
            if outcome.unmet:  # it is the same for every model
                self.failures.append(str(outcome.reason))
            elif named:
                self.failures.append(f"{target.text}: {outcome.reason}")
            else:
                origin = target.text.removesuffix(f"::{target.name}")
                self._passed_over.setdefault((origin, str(outcome.reason)), []).append(target)
        else:
            config = planned.config
            if planned.table is not None and planned.table.widths is not None:  # the advice that this asks for
                config = replace(config, extend_select=(*config.extend_select, *asked_for_by("widths")))
            self.facts.append((config, (outcome.facts, *outcome.others)))
        status = "skipped" if outcome.status == "failed" and not named else outcome.status
        name = target.name or ""
        notes = [f"{target.text} {note.removeprefix(name).lstrip()}" for note in outcome.notes]
        (self.failures if named else self.notes).extend(notes)  # a model that was named was to be run
        self.outcomes.append(replace(outcome, target=target.text, status=status))


def _unscaled(outcome: Outcome) -> bool:
    """Whether a model was not built at several widths."""
    return outcome.facts is None or not known(outcome.facts.models[0].scaling)


def _job(asked: Asked, planned: Planned) -> LiveJob:
    target = planned.target
    try:
        job = plan(asked, planned.config, planned.table)
    except ValueError as error:
        if planned.table is None:
            raise
        raise ValueError(f"{planned.config.shown}: model {planned.table.target}: {error}") from None
    if target.path is not None:
        return replace(job, path=os.path.abspath(target.path))
    return replace(job, module=target.module, cwd=None if planned.table is None else planned.config.root)


def _not_taken(planned: Planned, outcome: Outcome) -> Iterator[str]:
    """A line for each argument that a model's table gives and the model does not take."""
    if planned.table is None or outcome.facts is None or outcome.takes is None:
        return
    for text in planned.table.args:
        name = text.partition("=")[0]
        if name not in outcome.takes:
            yield f"{planned.target.text}: takes no argument {name}, which its configuration gives it"
