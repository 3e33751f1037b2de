"""The steps of a script as they were met, and what comes of them: what is left untrained, what is wiped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from initlint.facts import Mishap, Script, Step
from initlint.record import field, record
from initlint.source.interpreter.state import Unit
from initlint.source.scripts.script_steps import Thing

if TYPE_CHECKING:
    from initlint.source.project.project import Project

Part = tuple[Thing, str]
"""A model and the dotted name of a part of it; "" is all of it."""


@record(slots=True)
class Log:
    """What a script was seen to do, in order."""

    seeds: list[Step] = field(default_factory=list)
    may_seed: list[Step] = field(default_factory=list)
    trains: list[Step] = field(default_factory=list)
    made: list[tuple[Step, Thing]] = field(default_factory=list)
    optimizers: list[tuple[Step, list[Part]]] = field(default_factory=list)
    """Optimisers and the parameters they are given; none for ``add_param_group``."""
    replaced: list[tuple[Step, Thing, str]] = field(default_factory=list)
    frozen: list[tuple[Step, Thing, str]] = field(default_factory=list)
    thawed: list[Step] = field(default_factory=list)
    loaded: list[tuple[Step, Thing, str]] = field(default_factory=list)
    partial: set[int] = field(default_factory=set)
    """The orders of those loads that may leave a part of the model as it is."""
    handed: list[tuple[Step, list[Part]]] = field(default_factory=list)
    """What is given to calls that are not followed."""
    reset: list[tuple[Step, list[Part]]] = field(default_factory=list)
    """Parts that are set anew."""
    regrouped: bool = False
    """Whether the script has to do with an optimiser's parameters by itself."""
    applied: list[tuple[Step, Thing, str]] = field(default_factory=list)
    unmatched: list[Mishap] = field(default_factory=list)
    seeded_elsewhere: bool = False

    def script(self, unit: Unit, project: Project | None) -> Script:
        """What was seen, as a fact."""
        for _, of in self.optimizers:
            for thing, _ in of:
                thing.root.trained = True
        builds = tuple(step for step, thing in self.made if thing.root.trained and thing.maker.drawn)
        elsewhere = self.seeded_elsewhere
        if not self.seeds and not self.may_seed and not elsewhere and project is not None and builds:
            found = [project.mentions(word, unit.path) for word in ("manual_seed", "seed_everything", "set_seed")]
            elsewhere = any(one is not False for one in found)
        return Script(
            path=unit.path,
            seeds=tuple(self.seeds),
            may_seed=tuple(self.may_seed),
            builds=builds,
            trains=tuple(self.trains),
            seeded_elsewhere=elsewhere,
            untrained=tuple(self._untrained()),
            wiped=tuple(self._wiped()),
            unmatched=tuple(self.unmatched),
        )

    def _untrained(self) -> Iterator[Mishap]:
        for step, thing, part in self.replaced:
            if not any(step.precedes(train) for train in self.trains):
                continue
            later = [one for one in self.optimizers if step.precedes(one[0])]
            before = [one[0] for one in self.optimizers if one[0].precedes(step) and _covers(one[1], thing, part)]
            if before and not later and not self.regrouped and not self._told(step, thing):
                related = (before[-1].location,)
                yield Mishap(form="late", text=step.text, location=step.location, related=related)
                continue
            frozen = [one[0] for one in self.frozen if _covers([one[1:]], thing, part) and self._in_time(step, one[0])]
            trained = any(_covers(one[1], thing, part) or _within(one[1], thing, part) for one in later)
            filled = any(step.precedes(one[0]) and one[1].root is thing.root for one in self.loaded)
            if frozen and self._told(frozen[-1], thing):
                continue
            if frozen and trained and not filled and not any(frozen[-1].order < one.order for one in self.thawed):
                yield Mishap(form="frozen", text=step.text, location=frozen[-1].location, related=(step.location,))

    def _told(self, step: Step, thing: Thing) -> bool:
        """Whether a call that is not followed takes a model, or its parameters, after a step."""
        return any(
            step.order < one.order and any(taken.root is thing.root for taken, _ in of) for one, of in self.handed
        )

    def _in_time(self, replaced: Step, freeze: Step) -> bool:
        """Whether a freeze comes after a replacement and before anything is trained."""
        return (
            replaced.precedes(freeze)
            and any(freeze.precedes(train) for train in self.trains)
            and not any(replaced.order < train.order < freeze.order for train in self.trains)
        )

    def _changed(self, load: Step, run: Step, thing: Thing) -> bool:
        """Whether a model is no longer all that was loaded, for all that is known."""
        return any(
            load.order < one.order < run.order and any(taken.root is thing.root for taken, _ in of)
            for one, of in (*self.handed, *self.reset)
        )

    def _wiped(self) -> Iterator[Mishap]:
        for run, thing, part in self.applied:
            if any(run.precedes(one[0]) and one[1].root is thing.root for one in self.loaded):
                continue  # loaded again
            for load, other, where in self.loaded:
                if load.order in self.partial or self._changed(load, run, thing):
                    continue
                if load.precedes(run) and _covers([(thing, part)], other, where):
                    yield Mishap(form="apply", text=run.text, location=run.location, related=(load.location,))
                    break


def _covers(of: Sequence[Part], thing: Thing, part: str) -> bool:
    """Whether one of some parts of models holds this one."""
    return any(one.root is thing.root and (not held or part == held or part.startswith(held + ".")) for one, held in of)


def _within(of: Sequence[Part], thing: Thing, part: str) -> bool:
    """Whether one of some parts of models is held by this one."""
    return any(one.root is thing.root and held.startswith(part + ".") for one, held in of)
