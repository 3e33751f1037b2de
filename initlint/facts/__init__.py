"""The vocabulary that both front ends fill and every rule reads.

A fact is immutable and says one thing about a model or its source. What could not be established is
``UNKNOWN``, a value that cannot be reasoned with: comparing it, testing its truth, computing with it,
formatting it or taking an attribute of it raises ``UnknownFact``, which the engine catches to drop that
subject for that rule only. So a rule is written as if everything were known, and is silent where it is not.

Two things need care in a rule. ``x is None`` cannot raise, so ask ``absent(x)`` whether a fact is *known*
to be absent. And ``known(x)`` is for front ends and reports; a rule may use it only to leave a detail out
of its message. A number that is known within bounds only is a ``Range``, met as a number is.

This module imports neither torch nor libcst nor click.
"""

from __future__ import annotations

from initlint.facts.code import Branch, Change, ClassFacts, Guard, Incident, InitCall, Initializer, Repeat, Target
from initlint.facts.layers import (
    KERNELS,
    MAPS,
    Activation,
    Chain,
    Consumer,
    Layer,
    LayerProbe,
    Recurrence,
    ResidualStream,
    layer_family,
    parameter_dimensions,
)
from initlint.facts.models import Application, Loose, Model, Probe, WidthScaling
from initlint.facts.parameters import Parameter
from initlint.facts.ranges import Range, bounds, middle, ranged
from initlint.facts.scripts import Mishap, Script, Step
from initlint.facts.unknown import UNKNOWN, Fact, UnknownFact, absent, close, known, slot
from initlint.facts.values import Distribution, Escape, Gain, Histogram, Misfit, Sharding, Statistics, Write
from initlint.location import Location
from initlint.record import record

__all__ = [
    "KERNELS",
    "MAPS",
    "UNKNOWN",
    "Activation",
    "Application",
    "Branch",
    "Chain",
    "Change",
    "ClassFacts",
    "Consumer",
    "Distribution",
    "Escape",
    "Fact",
    "Facts",
    "Gain",
    "Guard",
    "Histogram",
    "Incident",
    "InitCall",
    "Initializer",
    "Layer",
    "LayerProbe",
    "Loose",
    "Misfit",
    "Mishap",
    "Model",
    "Parameter",
    "Probe",
    "Range",
    "Recurrence",
    "Repeat",
    "ResidualStream",
    "Script",
    "Sharding",
    "Statistics",
    "Step",
    "Target",
    "UnknownFact",
    "WidthScaling",
    "Write",
    "absent",
    "bounds",
    "close",
    "known",
    "layer_family",
    "middle",
    "parameter_dimensions",
    "ranged",
    "slot",
]


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Suppression(Fact):
    """A comment that names codes to be silent about.

    ``idle`` are those that it silenced no finding of, though all their evidence was gathered; ``missing`` those that
    look like a rule's and are none.
    """

    location: Location
    idle: tuple[str, ...] = UNKNOWN
    missing: tuple[str, ...] = UNKNOWN


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Facts(Fact):
    """Everything one front end says of one file or one target. ``origin`` is "source" or "live"."""

    origin: str
    calls: tuple[InitCall, ...] = ()
    guards: tuple[Guard, ...] = ()
    incidents: tuple[Incident, ...] = ()
    initializers: tuple[Initializer, ...] = ()
    classes: tuple[ClassFacts, ...] = ()
    models: tuple[Model, ...] = ()
    scripts: tuple[Script, ...] = ()
    suppressions: tuple[Suppression, ...] = ()
