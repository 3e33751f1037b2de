"""Recall: faults of initialisation planted in sound networks, and which of them an audit finds.

    python benchmarks/mutants.py [--only ARCHITECTURE ...] [--operators NAME ...] [--verbose] [--label]

Every architecture of ``architectures/`` is spoilt by every operator of ``operators.py`` that has something to spoil in
it. What becomes of each mutant was found by training it (``training.py``) and stands in ``mutants_labels.json``, by
architecture, operator and a digest of their source; ``--label`` trains those that are not there. Faults that are
certain whatever a short training says (kind "certain") have no label and are to be found all.

A mutant is found if ``initlint.audit(factory, batch)`` says something of warning or above that it does not say of the
sound network, and that is on a parameter, or on the layer of one, that was spoilt, or measures a consequence (INI203,
INI204, INI7xx: signal and gradient of the chain that it lies in). Anything else that is new is printed as "elsewhere".
An alarm is any new finding of a mutant of the scale and scheme operators that trains as the sound network does.
The figures are printed for all, and apart for the eight networks that are held out: they were labelled last, nobody
has looked at what is missed or said too much there, and no rule is changed for it. They are half of the sixteen of
``architectures/idioms*.py``, drawn at random once all sixteen had been audited; the other half was then looked at.
INI404 by itself counts for nothing: to plant a fault is to write over what the sound network wrote.

Exit code 1 if, of the architectures that are not held out, less than 99% of what fails or 80% of what is slower is
found, or 5% of what makes no difference is warned of, or if a sound one is.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import inspect
import json
import math
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FunctionType

import torch
from architectures import ARCHITECTURES, Architecture
from operators import OPERATORS, Operator
from torch import Generator, nn
from training import FAILS, NO_DIFFERENCE, SLOWER, Referee

import initlint
from initlint.findings import Finding, Severity

_LABELS = Path(__file__).with_name("mutants_labels.json")
_MEASURED = ("INI203", "INI204", "INI7")
_ALARMING = ("scale", "scheme")
_PLANTING = "INI404"

_HELD_OUT = frozenset(
    [
        "ActorCritic",
        "Attended",
        "Flow",
        "HyperFusion",
        "LowRankFusion",
        "Maxout",
        "MixtureDensity",
        "RandomFeatures",
    ]
)


def held_out(name: str) -> bool:
    """Whether an architecture is one of those that nothing is tuned on."""
    return name in _HELD_OUT


def mutant(architecture: Architecture, operator: Operator) -> Callable[[], nn.Module]:
    """A factory of the spoilt network."""

    def build() -> nn.Module:
        model = architecture.build()
        operator.plant(model)
        return model

    return build


def planted(architecture: Architecture, operator: Operator) -> list[str] | None:
    """What the operator spoils in the architecture; None if it has nothing for it, or leaves everything as it was."""
    torch.manual_seed(0)
    model = architecture.build()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    names = operator.plant(model)
    after = model.state_dict()
    same = before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    return None if names is None or (same and operator.kind != "certain") else names


def digest(architecture: Architecture, operator: Operator) -> str:
    """Of the source of all that a label hangs on."""
    kinds = {k for m in architecture.build().modules() for k in type(m).__mro__ if "architectures" in k.__module__}
    task = architecture.task
    drawn = task.sample.func if isinstance(task.sample, functools.partial) else task.sample
    made = [*sorted(kinds, key=lambda kind: kind.__name__), drawn, task.loss, *called(operator.plant)]
    return hashlib.sha256("".join([*map(inspect.getsource, made), operator.name]).encode()).hexdigest()[:12]


def called(function: Callable[..., object]) -> list[FunctionType]:
    """A function and those of its own file that it calls, by name or handed in, directly or not."""
    found: dict[FunctionType, None] = {}
    left: list[object] = [function]
    while left:
        each = left.pop()
        if not isinstance(each, FunctionType) or each.__module__ != function.__module__ or each in found:
            continue
        found[each] = None
        codes = [each.__code__]
        while codes:
            code = codes.pop()
            codes += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
            left += [each.__globals__.get(name) for name in code.co_names]
        left += [cell.cell_contents for cell in each.__closure__ or ()]
    return sorted(found, key=lambda each: each.__code__.co_firstlineno)


class Labels:
    """What training made of each mutant, kept in a file."""

    def __init__(self) -> None:
        self.known: dict[str, list[str | float]] = json.loads(_LABELS.read_text()) if _LABELS.exists() else {}

    def of(self, architecture: Architecture, operator: Operator) -> str | None:
        """The label, None where there is none for this source."""
        if operator.kind == "certain":
            return "certain"
        entry = self.known.get(f"{architecture.name}/{operator.name}")
        return str(entry[1]) if entry is not None and entry[0] == digest(architecture, operator) else None

    def add(self, architecture: Architecture, operator: Operator, referee: Referee) -> None:
        """Train the mutant and keep what became of it."""
        label, gain = referee.judge(mutant(architecture, operator))
        shown = round(gain, 3) if math.isfinite(gain) else "none"
        self.known[f"{architecture.name}/{operator.name}"] = [digest(architecture, operator), label, shown]

    def write(self) -> None:
        """One line a mutant, in order; what another process has added since is kept."""
        self.known = Labels().known | self.known
        lines = [f"  {json.dumps(key)}: {json.dumps(self.known[key])}" for key in sorted(self.known)]
        _LABELS.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def label(architectures: list[Architecture], operators: list[Operator]) -> None:
    """Train what has no label yet."""
    for architecture in architectures:
        labels = Labels()  # others may be at it too
        missing = [o for o in operators if labels.of(architecture, o) is None and planted(architecture, o) is not None]
        if not missing:
            continue
        referee = Referee(architecture)
        print(
            f"{architecture.name}: uninformed {referee.floor:.3f}, sound {referee.sound.half:.3f} half-way and "
            f"{referee.sound.end:.3f} at the end, {referee.order[0]} {referee.rates}",
            flush=True,
        )
        for operator in missing:
            labels.add(architecture, operator, referee)
            labels.write()


def findings(build: Callable[[], nn.Module], architecture: Architecture) -> list[Finding]:
    """What is said of a model by default, warning and above."""
    inputs, _ = architecture.task.sample(32, Generator().manual_seed(1))
    report = initlint.audit(build, inputs)
    if report.failures:
        print(f"NOT RUN {architecture.name}: {report.failures}", flush=True)
    return [finding for finding in report.findings if finding.severity >= Severity.WARNING]


def on(finding: Finding, names: list[str]) -> bool:
    """Whether a finding is on what was spoilt, or measures what comes of it."""
    if finding.code.startswith(_MEASURED) or finding.consequences:
        return True
    said = {*finding.parameters, finding.parameter or "", finding.layer or ""} - {""}
    layers = {name.rpartition(".")[0] for name in names}
    return any(
        name in names or name in layers or name.rpartition(".")[0] in layers or name.startswith(f"{spoilt}.")
        for name in said
        for spoilt in names
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", help="architectures")
    parser.add_argument("--operators", nargs="*")
    parser.add_argument("--label", action="store_true", help="train what has no label yet, and audit nothing")
    parser.add_argument("--verbose", action="store_true", help="print what is said of every mutant, labelled or not")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    architectures = [ARCHITECTURES[name] for name in arguments.only or ARCHITECTURES]
    operators = [OPERATORS[name] for name in arguments.operators or OPERATORS]
    if arguments.label:
        label(architectures, operators)
        return 0
    labels = Labels()
    tables: dict[bool, dict[str, Counter[str]]] = {part: defaultdict(Counter) for part in (False, True)}
    loud = []
    for architecture in architectures:
        sound = findings(architecture.build, architecture)
        if sound:
            loud.append(architecture.name)
            print(f"SOUND {architecture.name}: {_told(sound)}", flush=True)
        known = {(finding.code, finding.parameter) for finding in sound}
        for operator in operators:
            names = planted(architecture, operator)
            if names is None:
                continue
            became = labels.of(architecture, operator) or "no label"
            if became == "no label" and not arguments.verbose:
                tables[held_out(architecture.name)][operator.name][became] += 1
                continue
            said = findings(mutant(architecture, operator), architecture)
            new = [f for f in said if (f.code, f.parameter) not in known and (f.code != _PLANTING or f.consequences)]
            hit = any(on(finding, names) for finding in new)
            counts = tables[held_out(architecture.name)][operator.name]
            counts[became] += 1
            counts[f"{became}, found"] += hit
            counts[f"{became}, new"] += bool(new)
            _tell(architecture, operator, became, new, hit, verbose=arguments.verbose)
    return conclude(tables, len(architectures), loud)


def _told(said: list[Finding]) -> str:
    return "; ".join(f"{f.code} [{f.severity.label}] {f.message}" for f in said) or "nothing"


def _tell(
    architecture: Architecture, operator: Operator, became: str, new: list[Finding], hit: bool, *, verbose: bool
) -> None:
    mutant_name = f"{architecture.name} / {operator.name} ({became})"
    alarm = bool(new) and became == NO_DIFFERENCE and operator.kind in _ALARMING
    if became in (FAILS, SLOWER, "certain") and not hit:
        print(f"MISSED {mutant_name}" + (f": elsewhere {_told(new)}" if new else ""), flush=True)
    elif alarm:
        print(f"ALARM {mutant_name}: {_told(new)}", flush=True)
    elif verbose:
        print(f"{mutant_name}: {_told(new)}", flush=True)


def conclude(tables: dict[bool, dict[str, Counter[str]]], architectures: int, loud: list[str]) -> int:
    """Print the table and the three figures; 1 where one is short of what is asked of what is not held out.

    Of the eight that are held out nothing is asked: a figure that is worked towards would no longer say what to expect
    of a network that nobody has looked at.
    """
    heads = ("certain", FAILS, SLOWER, NO_DIFFERENCE, "no label")
    print(f"\n{'operator':30}{'mutants':>8}" + "".join(f"{head:>16}" for head in heads))
    both = {
        name: tables[False][name] + tables[True][name] for name in OPERATORS if any(name in t for t in tables.values())
    }
    for name, counts in both.items():
        cells = [f"{counts[f'{head}, found']} of {counts[head]}" if counts[head] else "" for head in heads]
        mutants = sum(counts[head] for head in heads)
        print(f"{name:30}{mutants:>8}" + "".join(f"{cell:>16}" for cell in cells))
    mutants = sum(counts[head] for counts in both.values() for head in heads)
    print(f"\n{mutants} mutants of {architectures} architectures; found of those that")
    _figures("all", both)
    _figures("held out", tables[True])
    shares = _figures("the others", tables[False])
    print(f"sound architectures with a warning: {len(loud)} {' '.join(loud)}")
    return int(shares[0] < 0.99 or shares[1] < 0.8 or shares[2] >= 0.05 or bool(loud))


def _figures(part: str, table: dict[str, Counter[str]]) -> list[float]:
    """Print and return recall on what fails and what is slower, and the share of alarms."""
    total: Counter[str] = sum(table.values(), Counter())
    alarms: Counter[str] = sum((c for name, c in table.items() if OPERATORS[name].kind in _ALARMING), Counter())
    figures = {
        "recall on fails": (total[f"{FAILS}, found"] + total["certain, found"], total[FAILS] + total["certain"]),
        "recall on slower": (total[f"{SLOWER}, found"], total[SLOWER]),
        "alarms on no difference": (alarms[f"{NO_DIFFERENCE}, new"], alarms[NO_DIFFERENCE]),
    }
    for told, (found, of) in figures.items():
        print(f"  {part:12}{told:26} {found} of {of}" + (f" ({found / of:.1%})" if of else ""))
    return [found / of if of else math.nan for found, of in figures.values()]


if __name__ == "__main__":
    sys.exit(main())
