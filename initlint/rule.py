"""What a rule is written with.

A rule is a class with a docstring (its documentation), a code, a name, a default severity, what it needs, and
examples. It has one ``check_<subject>`` method for each kind of fact it looks at, which yields findings made with
``self.at``. It never asks which front end made a fact, and it never asks whether a fact is known: what is
unknown raises, and the engine drops that subject for that rule.

The subjects: ``call`` (InitCall), ``guard`` (Guard), ``incident`` (Incident), ``initializer`` (Initializer), ``klass``
(ClassFacts), ``script`` (Script), ``model`` (Model), ``layer`` (Layer), ``parameter`` (Parameter), ``chain`` (Chain),
``suppression`` (Suppression).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from initlint.facts import (
    UNKNOWN,
    Application,
    Fact,
    InitCall,
    Layer,
    Model,
    Parameter,
    Range,
    UnknownFact,
    known,
)
from initlint.findings import Finding, Fix, Related, Severity
from initlint.location import Location
from initlint.record import record

__all__ = ["SUBJECTS", "Bad", "Entry", "Good", "Rule"]

SUBJECTS = (
    "call",
    "guard",
    "incident",
    "initializer",
    "klass",
    "script",
    "model",
    "layer",
    "parameter",
    "chain",
    "suppression",
)

SOURCE, PARAMETERS, GRAPH, PROBE = "source", "parameters", "graph", "probe"
FLAW, EFFECT, UNWRITTEN, STUCK = "flaw", "effect", "unwritten", "stuck"


@record(frozen=True, slots=True)
class Bad:
    """A snippet in which the rule must find something on every line that ends in ``#~``, and nowhere else.

    ``by`` names the front ends that must see it: "source" reads it, "live" builds and probes it. A live snippet
    defines one root nn.Module that needs no argument, or ``build()`` returning a module or ``(module, batch)``; with
    ``widths``, a tuple, it is built at each of these too. "ranks" calls its ``build()`` in two processes that
    torch.distributed joins, for what one process cannot show.
    ``import math, torch``, ``nn`` and ``F`` are there without being imported.
    ``severity`` is what the finding must have where that is not the rule's default. ``fixed`` is the snippet after
    every fix that the rule proposes, safe or not; None where it proposes none.
    """

    code: str
    by: tuple[str, ...] = ("source",)
    severity: Severity | None = None
    fixed: str | None = None


@record(frozen=True, slots=True)
class Good:
    """A snippet in which the rule must find nothing: a sound way, or a legitimate look-alike."""

    code: str
    by: tuple[str, ...] = ("source",)


@record(frozen=True, slots=True)
class Entry:
    """A row of the registry: enough to select a rule and to know when it is worth importing.

    ``defaults``: it also speaks of classes in which nothing is written, shared or copied, but for what torch's layers
    do by themselves. ``measured``: of these subjects it has nothing to say where only source was read. ``finds``,
    ``asked_by``: as the rule says it.
    """

    code: str
    name: str
    severity: Severity
    module: str
    subjects: tuple[str, ...]
    defaults: bool = True
    measured: tuple[str, ...] = ()
    finds: str = FLAW
    asked_by: str | None = None


class Rule:
    """Base of every rule; see the module's docstring."""

    code: ClassVar[str]
    name: ClassVar[str]
    severity: ClassVar[Severity]
    highest: ClassVar[Severity | None] = None
    """The severity it may raise a finding to, where that is above its default."""
    needs: ClassVar[tuple[str, ...]]
    """The kinds of evidence it can stand on: of "source", "parameters", "graph", "probe"."""
    finds: ClassVar[str] = FLAW
    """What its findings are to others of the same model. EFFECT: measured, and told as a consequence where another
    finding names the cause. UNWRITTEN: memory as it was found, so that what is measured behind it means nothing.
    STUCK: a part that cannot train, whose echo is whatever else gets no gradient. FLAW: none of these."""
    asked_by: ClassVar[str | None] = None
    """The option of a check ("widths") that asks for what it finds, so that it is selected though it is advice."""
    of_any_weights: ClassVar[bool] = False
    """Whether what it finds is broken in trained weights as in fresh ones, and no judgement of how they were drawn."""
    since: ClassVar[str] = "0.1.0"
    """The version of its package that had it first; what came after the first release says its own."""
    bad: ClassVar[Sequence[Bad]] = ()
    good: ClassVar[Sequence[Good]] = ()

    def at(
        self,
        subject: Fact | Location | None,
        message: str,
        *,
        help: str,
        severity: Severity | None = None,
        evidence: Mapping[str, Any] | None = None,
        parameters: Iterable[Parameter] = (),
        related: Iterable[Related] = (),
        layer: Layer | None = None,
        suspects: Iterable[Layer] = (),
        fix: Fix | Callable[[], Fix | None] | None = None,
    ) -> Finding:
        """A finding that points at a fact.

        A parameter's finding points at the statement that wrote it, and names those that led there. ``parameters`` are
        those that share the defect, where they are more than the subject itself. ``layer`` is the layer it is about,
        where the subject is
        a place and not a layer or a parameter. ``suspects`` are the layers whose findings would explain this one.
        ``fix`` mends it (``safe(...)`` or ``unsafe(...)`` of ``initlint.findings``), or a function that says it,
        where that takes facts on which the finding does not rest; what is not known leaves the finding without a fix.
        """
        names = tuple(parameter.name for parameter in parameters)
        if isinstance(subject, Parameter):
            names = names or (subject.name,)
            if layer is None and known(subject.layer):
                layer = subject.layer
        elif isinstance(subject, Layer):
            layer = subject
        model: Model = layer.model if layer is not None else UNKNOWN
        if isinstance(subject, Model):
            model = subject
        return Finding(
            code=self.code,
            name=self.name,
            severity=self.severity if severity is None else severity,
            message=message,
            location=_place(subject),
            model=model.name if known(model) else None,
            layer=layer.name if layer is not None else None,
            parameter=names[0] if names else None,
            parameters=names,
            help=help,
            evidence={} if evidence is None else _told(evidence),
            related=(*related, *_trail(subject)),
            suspects=tuple(suspect.name for suspect in suspects),
            fix=_known_fix(fix),
        )


def _told(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of the evidence; a range, which nobody measured, as its two ends, and said to be predicted."""
    told = {key: value for key, value in evidence.items() if known(value)}
    if not any(isinstance(value, Range) for value in told.values()):
        return told
    ends = {key: [value.low, value.high] if isinstance(value, Range) else value for key, value in told.items()}
    return {**ends, "known_by": "predicted"}


def _known_fix(fix: Fix | Callable[[], Fix | None] | None) -> Fix | None:
    """A fix whose places are all known; None for any other."""
    try:
        found = fix if fix is None or isinstance(fix, Fix) else fix()
    except UnknownFact:
        return None
    if found is None or any(not known(change.at) or change.at is None for change in found.changes):
        return None
    return found


def _trail(subject: Fact | Location | None) -> Iterator[Related]:
    """How the last write of a parameter came about, beyond the statement that its finding points at."""
    if not isinstance(subject, Parameter) or not known(subject.writes) or not subject.writes:
        return
    write = subject.writes[-1]
    if known(write.library_at) and write.library_at is not None:
        yield Related(write.library_at, "written by this statement")
    for place in write.related:
        yield Related(place, "called from here")


def _place(subject: Fact | Location | None) -> Location | None:
    """Where a subject stands; None where it has no place in a file."""
    where: Any = None
    if isinstance(subject, Location) or subject is None:
        return subject
    if isinstance(subject, Parameter):
        where = subject.statement
    elif isinstance(subject, (InitCall, Layer, Model, Application)) or hasattr(subject, "location"):
        where = subject.location
    return where if known(where) else None
