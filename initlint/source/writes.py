"""What wrote a tensor, as facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from initlint.facts import UNKNOWN, Application, Distribution, Write, known
from initlint.record import record
from initlint.regex import pattern
from initlint.source.interpreter.modules import constant
from initlint.source.interpreter.places import place
from initlint.source.interpreter.values import NONE, Event, Instance, Tensor, Unseen, Value
from initlint.source.noticing.recorder import drawn
from initlint.source.tables import initializers
from initlint.theory import defaults, fans, schemes

_PADS = pattern(r"\w*pad\w*")
"""The names of arguments that are asked for a padding index and have no default."""


@record(frozen=True, slots=True)
class Subject:
    """The tensor in question, the layer that holds it as ``key``, and the runs of initialisers by their number.

    ``table`` has the initialisers that are known.
    """

    layer: Instance
    key: str
    tensor: Tensor
    shape: Any
    applications: Mapping[int, Application]
    table: initializers.Initializers


def written(events: Sequence[Event], subject: Subject) -> tuple[Write, ...]:
    """Events in order, as facts."""
    writes: list[Write] = []
    for event in events:
        whole = bool(writes) and writes[-1].overwrites
        before = writes[-1].distribution if whole else schemes.NOTHING_KNOWN
        applied = subject.applications.get(event.application) if event.application is not None else None
        writes.append(
            Write(
                function=event.function,
                distribution=_distribution(event, subject, before),
                author=event.author,
                location=place(*event.node) if event.node is not None and hasattr(event.node[1], "lineno") else None,
                order=event.order,
                arguments=event.arguments,
                overwrites=event.overwrites,
                application=applied,
                rows=_rows(event, subject.tensor),
                dtype=UNKNOWN if event.dtype is None else event.dtype,
                of=None if event.of is None else law(event.of, subject.shape, subject.table),
            )
        )
    return tuple(writes)


def lost(subject: Subject) -> Any:
    """As Parameter.lost."""
    cell = subject.tensor.cell
    events = cell.get("#lost")
    if events is None:
        return UNKNOWN if cell.get("#computed") else ()
    return written(events, subject)


def padding_write(layer: Instance, key: str, tensor: Tensor, writes: Any) -> Any:
    """As Parameter.padding_write."""
    if key != "weight" or "padding_idx" not in layer.arguments:
        return None
    index = layer.arguments["padding_idx"]
    if constant(index) is None:
        return None
    if isinstance(index, Unseen) and not _PADS.fullmatch(index.text):
        return UNKNOWN  # it may be None
    last: Any = UNKNOWN
    for event, write in zip(tensor.writes or (), writes if known(writes) else (), strict=False):
        hit = True if event.overwrites else _sets(event.rows, write.rows, index, tensor)
        if hit:
            last = None if event.function == f"torch.nn.{layer.kind}.reset_parameters" else write
        elif hit is None:
            last = UNKNOWN
    return last


def _sets(given: Any, rows: Any, index: Value, tensor: Tensor) -> bool | None:
    """Whether a write to ``given`` sets the row ``index``, None where that is not known."""
    if given is index:
        return True
    number = constant(index)
    if given is None or not known(rows) or not isinstance(number, int):
        return None
    size = tensor.shape[0] if tensor.shape else None
    if number < 0 and size is None:
        return None
    return bool(rows[0] <= (number + (size or 0) if number < 0 else number) < rows[1])


def _rows(event: Event, tensor: Tensor) -> Any:
    """As Write.rows."""
    if not isinstance(event.rows, tuple):
        return None if event.rows is None else UNKNOWN
    first, end = event.rows
    size = tensor.shape[0] if tensor.shape else None
    if size is None:
        return (first, end) if end is not None and 0 <= first <= end else UNKNOWN
    return slice(first, end).indices(size)[:2]


def _distribution(event: Event, subject: Subject, before: Distribution) -> Distribution:
    layer, key, shape = subject.layer, subject.key, subject.shape
    if event.function.endswith(".reset_parameters"):
        kind = event.function.split(".")[-2]
        if kind != layer.kind:  # of another layer, whose parameter this one took over
            return defaults.default_distribution(kind, key, shape)
        if layer.kind == "PReLU":
            return schemes.constant(constant(layer.arguments.get("init", NONE)))
        weight = layer.cell.get("weight")
        fan_in = UNKNOWN
        if isinstance(weight, Tensor) and weight.shape is not None:
            sizes = tuple(UNKNOWN if size is None else size for size in weight.shape)
            fan_in = sizes[1] if layer.kind == "Bilinear" and len(sizes) == 3 else fans.torch_fans(sizes).fan_in
        hidden = constant(layer.arguments["hidden_size"]) if "hidden_size" in layer.arguments else UNKNOWN
        return defaults.default_distribution(layer.kind, key, shape, fan_in=fan_in, hidden_size=hidden)
    if event.function == "copy.deepcopy":
        return before
    if not event.overwrites:
        if event.rows is None:
            return schemes.NOTHING_KNOWN
        shape = UNKNOWN  # what is drawn is some part of it
    if event.author == "checkpoint":
        return Distribution(family="data")
    return law(event, shape, subject.table)


def law(event: Event, shape: Any, table: initializers.Initializers) -> Distribution:
    """What an event draws into a tensor of that shape."""
    row = table.own(event.function) or initializers.ROWS.get(event.function)
    if row is not None:
        return drawn(row, event.arguments, shape)
    return schemes.drawn(event.function, event.arguments, shape)


def seen(event: Event) -> Any:
    """The shape of what was handed to the function."""
    target = event.target
    if target is None or target.shape is None:
        return UNKNOWN
    return tuple(UNKNOWN if size is None else size for size in target.shape)
