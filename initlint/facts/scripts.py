"""What a script does at its top level, in the order it does it."""

from __future__ import annotations

from initlint.facts.unknown import UNKNOWN, Fact
from initlint.location import Location
from initlint.record import record


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Step(Fact):
    """One thing that a script does. ``text``: what is called or set, as written.

    ``order`` counts the steps of a script as it runs. ``arms`` are the branches that it stands in, outermost first:
    (the if, the arm of it).
    """

    location: Location
    text: str = UNKNOWN
    order: int = UNKNOWN
    arms: tuple[tuple[int, int], ...] = ()

    def precedes(self, other: Step) -> bool:
        """Whether it happens before another, on some path through the script."""
        chosen = dict(self.arms)
        return self.order < other.order and all(chosen.get(test, arm) == arm for test, arm in other.arms)


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Mishap(Fact):
    """A step that undoes an earlier one (``related``), or is undone. ``form``: told by the field that holds it."""

    form: str
    text: str
    location: Location
    related: tuple[Location, ...] = ()


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Script(Fact):
    """What a file does that is run as a program: its top level and the functions of the file that this calls.

    ``seeds`` set torch's global seed, and ``may_seed`` may, going by their names; ``builds`` make models at random that
    are then trained; ``trains`` are backward passes and calls of a trainer. ``seeded_elsewhere``: something may seed at
    a time that is not known (transformers' Trainer, a ``seed=`` that is handed on, another file of the project).
    ``untrained``: layers put in "late", when the optimiser was built, or "frozen" with all the rest.
    ``wiped``: an initialiser is applied ("apply") to what has just been loaded.
    ``unmatched``: loads that are not strict and match no key, for these are "prefixed", "bare" or "nested".
    """

    path: str
    seeds: tuple[Step, ...] = ()
    may_seed: tuple[Step, ...] = ()
    builds: tuple[Step, ...] = ()
    trains: tuple[Step, ...] = ()
    seeded_elsewhere: bool = UNKNOWN
    untrained: tuple[Mishap, ...] = UNKNOWN
    wiped: tuple[Mishap, ...] = UNKNOWN
    unmatched: tuple[Mishap, ...] = UNKNOWN
