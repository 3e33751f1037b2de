"""One parameter of a layer, with everything that is known of its values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from initlint.facts.unknown import UNKNOWN, Fact, UnknownFact, absent
from initlint.facts.values import SURE, Distribution, Escape, Histogram, Misfit, Sharding, Statistics, Write
from initlint.location import Location
from initlint.record import field, record

if TYPE_CHECKING:
    from initlint.facts.code import Incident
    from initlint.facts.layers import Layer


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Parameter(Fact):
    """One parameter (or buffer) of a layer.

    ``name`` is dotted within the model. ``role`` is one of ``ROLES``. ``fan_in`` and ``fan_out`` are those of
    the map *as the layer uses it* (groups, transposed, packed, stacked experts); UNKNOWN for what is no
    linear map. ``writes`` are in order, the framework's default first; the whole tuple is UNKNOWN where some
    write may have been missed. ``names`` are all names of one shared tensor, ``name`` among them.
    ``computed_by``: what computes it anew from other parameters at each forward
    ("torch.nn.utils.weight_norm"), so that it is none itself and only stands in the place of one; None for all others.
    ``lost`` are the writes into it since then. ``padding_write``: the event that last set the row of an embedding that
    its ``padding_idx`` names; None where there is no such row, and where that was the layer itself, which zeroes it.
    ``bare_rows``: the first (first, end) of dimension 0 of which every row holds something that nothing has set since
    its memory was allocated, where that was seen of the memory; None where all is set.
    ``read_bare``: of a buffer, whether the model reads it before it writes it. ``left_out``: the load ("missed") that
    left it as it was, though a key of what was loaded has its shape and all but its name; None where there is none.
    ``misfit`` is that of the last write, None where that is no fan-scaled draw. ``least_fans``: what fan-in and fan-out
    are at least, where they depend on sizes that were not read (each of those taken to be 16). ``projects``: of an
    embedding that is the output projection too, and no constant scales what goes in or comes out, how many terms a
    logit sums at least; else None. ``logits_std``: the std of what such a product gave when the model was run, the
    largest of several; None where it was not run. ``gain``: std x sqrt(fan_in), where it follows from the scheme
    whatever the sizes that were not read are. ``sharding``: how it lies over the ranks of a distributed run, None where
    it lies in one process. ``histogram``: how its values spread, None where they are all one or not all finite.
    ``gradient``: the root mean square of the loss's gradient with respect to it at the first backward, None where none
    reaches it.
    """

    name: str
    role: str = UNKNOWN
    shape: tuple[int, ...] = UNKNOWN
    fan_in: int = UNKNOWN
    fan_out: int = UNKNOWN
    writes: tuple[Write, ...] = UNKNOWN
    trainable: bool = UNKNOWN
    is_buffer: bool = False
    names: tuple[str, ...] = UNKNOWN
    location: Location | None = UNKNOWN
    statistics: Statistics = UNKNOWN
    measured: Distribution = UNKNOWN
    escape: Escape = UNKNOWN
    gradient: float | None = UNKNOWN
    computed_by: str | None = UNKNOWN
    lost: tuple[Write, ...] = UNKNOWN
    padding_write: Write | None = UNKNOWN
    bare_rows: tuple[int, int] | None = UNKNOWN
    read_bare: bool = UNKNOWN
    left_out: Incident | None = UNKNOWN
    misfit: Misfit | None = UNKNOWN
    least_fans: tuple[int, int] = UNKNOWN
    projects: int | None = UNKNOWN
    logits_std: float | None = UNKNOWN
    gain: float = UNKNOWN
    sharding: Sharding | None = UNKNOWN
    histogram: Histogram | None = UNKNOWN
    layer: Layer = field(default=UNKNOWN, repr=False)

    @property
    def distribution(self) -> Distribution:
        """What it holds when construction is over: measured if that is sure, else what the last write drew."""
        measured = self.measured
        if measured is UNKNOWN:
            return self.last_write.distribution
        if measured.confidence < SURE and self.writes is not UNKNOWN and self.writes and self.writes[-1].overwrites:
            drawn = self.writes[-1].distribution
            return measured if drawn.family is UNKNOWN else drawn
        return measured

    @property
    def last_write(self) -> Write:
        """The last event that set its values."""
        if not self.writes:
            raise UnknownFact
        last = self.writes[-1]
        if not last.overwrites:  # what a partial write leaves is not what it drew
            raise UnknownFact
        return last

    @property
    def gain_as_used(self) -> float:
        """std x sqrt(fan_in): what the layer multiplies the scale of its inputs by."""
        std = self.distribution.std
        return self.gain if std is UNKNOWN or self.fan_in is UNKNOWN else std * math.sqrt(self.fan_in)

    @property
    def least_fan_in(self) -> int:
        """Fan-in, or what it is at least."""
        return self.least_fans[0] if self.fan_in is UNKNOWN else self.fan_in

    @property
    def least_fan_out(self) -> int:
        """Fan-out, or what it is at least."""
        return self.least_fans[1] if self.fan_out is UNKNOWN else self.fan_out

    @property
    def unset_rows(self) -> tuple[int, int] | None:
        """The first (first, end) of dimension 0 that nothing has set since its memory was allocated, None if all is."""
        if self.bare_rows is not UNKNOWN:
            return self.bare_rows
        set_rows: list[tuple[int, int]] = []
        bare = False
        for write in self.writes:
            if write.overwrites:
                bare, set_rows = write.distribution.is_uninitialized, []
            elif not absent(write.rows) and write.rows is not None:
                set_rows.append(write.rows)
        if not bare:
            return None
        first = 0
        for start, end in sorted(set_rows):
            if start > first:
                return (first, start)
            first = max(first, end)
        return (first, self.shape[0]) if first < self.shape[0] else None

    @property
    def statement(self) -> Location | None:
        """Where the finding points: the statement that wrote the values, else where it was made."""
        if self.writes is not UNKNOWN and self.writes:
            where = self.writes[-1].location
            if where is not UNKNOWN and where is not None:
                return where
        return self.location

    @property
    def is_bias(self) -> bool:
        """Added to an output, as its name says."""
        own = self.name.rpartition(".")[2]
        return own == "bias" or own.startswith("bias_") or own.endswith("_bias")

    @property
    def is_weight(self) -> bool:
        """The matrix or kernel of a linear map (not a bias, scale, embedding or token)."""
        return self.role in ("weight", "recurrent_weight")


ROLES = frozenset(
    {
        "weight",  # matrix or kernel of a linear map
        "recurrent_weight",
        "bias",
        "norm_scale",
        "norm_bias",
        "embedding",
        "scale",  # LayerScale, PReLU, temperature, gate: 0-D, 1-D, or broadcast-multiplied
        "token",  # cls, mask, position tables, queries: added or concatenated, not multiplied
        "other",
    }
)
