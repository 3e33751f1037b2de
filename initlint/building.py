"""Models built and probed in child processes, and what became of each."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from initlint.facts import Facts
from initlint.live.batch_spec import parse_spec
from initlint.live.process import LiveJob, Outcome, run
from initlint.live.targets import Target

__all__ = ["Construction", "plan"]

INSTALL = "pip install 'initlint[torch]'"

_ARGUMENT = re.compile(r"[^\W\d]\w*=.*", re.DOTALL)
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?b)?", re.IGNORECASE)


def plan(
    *,
    batch: Sequence[str],
    arguments: Sequence[str],
    device: str,
    seed: int,
    python: str | None,
    timeout: float | None,
    memory_limit: str | None,
) -> LiveJob:
    """How every model of a run is to be built, as a job that names none yet.

    Raises ValueError, in one line, for a setting that means nothing.
    """
    for text in batch:
        parse_spec(text)
    for text in arguments:
        if not _ARGUMENT.fullmatch(text):
            raise ValueError(f"{text!r} is no argument: write NAME=VALUE")
    if not _DEVICE.fullmatch(device):
        raise ValueError(f"{device!r} is no device: auto, cpu, cuda, cuda:1 or mps")
    if timeout is not None and not 0 < timeout < float("inf"):
        raise ValueError(f"a timeout of {timeout} s is none")
    if python is not None and shutil.which(python) is None:
        raise ValueError(f"{python!r} is no program that can be run")
    job = LiveJob(
        names=(),
        batches=tuple(batch),
        arguments=tuple(arguments),
        device=device,
        seed=seed,
        python=python,
        memory_limit=_bytes(memory_limit) if memory_limit is not None else None,
    )
    return job if timeout is None else replace(job, timeout=timeout)


def _bytes(text: str) -> int:
    match = _SIZE.fullmatch(text.strip())
    size = int(float(match[1]) * 1024 ** " kmgt".index(match[2].lower() or " ")) if match else 0
    if size <= 0:
        raise ValueError(f"{text!r} is no size: write 4G or 500M")
    return size


@dataclass(slots=True)
class Construction:
    """What came of building models: facts, notes, failures, and the outcomes in order."""

    facts: list[Facts] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    def build(
        self, job: LiveJob, models: Iterable[tuple[Target, bool]], progress: Callable[[str], None] | None = None
    ) -> None:
        """Build each model, those of one file in one process; each target comes with whether it was asked for by name.

        ``progress`` is called with a line before each.
        """
        wanted = list(dict.fromkeys(models))
        done = 0
        for (path, module), group in groupby(wanted, key=lambda item: (item[0].path, item[0].module)):
            members = list(group)
            names = tuple(target.name or "" for target, _ in members)
            full = os.path.abspath(path) if path is not None else None
            outcomes = run(replace(job, names=names, path=full, module=module))
            for target, named in members:
                done += 1
                if progress is not None:
                    progress(f"building and probing {target.text} ({done} of {len(wanted)})")
                self._take(target, next(outcomes), named=named)
        self.failures.extend(list(self._unused(job)))

    def _unused(self, job: LiveJob) -> Iterator[str]:
        """A line for each option that no model could take: it was asked for, and nothing came of it."""
        built = [outcome for outcome in self.outcomes if outcome.facts is not None]
        if not built:
            if not self.failures:
                options = [f"--arg {text}" for text in job.arguments] + [f"--batch {text}" for text in job.batches]
                yield from (f"{option}: no model was built that could take it" for option in options)
            return
        for text in job.arguments:
            name = text.partition("=")[0]
            if all(outcome.takes is not None and name not in outcome.takes for outcome in built):
                taken = "; ".join(f"{each.target} takes {', '.join(each.takes or ()) or 'none'}" for each in built[:3])
                yield f"--arg {text}: no model that was built takes it ({taken})"
        if job.batches and not self.failures and all(outcome.notes for outcome in built):  # notes: it was not run
            yield f"--batch {' '.join(job.batches)}: no model could be run on it ({built[0].notes[0]})"

    def _take(self, target: Target, outcome: Outcome, *, named: bool) -> None:
        if outcome.torch_missing:
            self.failures.append(
                f"{outcome.reason}, and models are built with it: {INSTALL}, or --python PATH, or --static"
            )
        elif outcome.facts is None:
            line = f"{target.text}: {outcome.reason}"
            if outcome.unmet:  # it is the same for every model
                self.failures.append(str(outcome.reason))
            else:
                (self.failures if named else self.notes).append(line if named else f"{line} (skipped)")
        else:
            self.facts.append(outcome.facts)
        status = "skipped" if outcome.status == "failed" and not named else outcome.status
        name = target.name or ""
        notes = [f"{target.text} {note.removeprefix(name).lstrip()}" for note in outcome.notes]
        (self.failures if named else self.notes).extend(notes)  # a model that was named was to be run
        self.outcomes.append(replace(outcome, target=target.text, status=status))
