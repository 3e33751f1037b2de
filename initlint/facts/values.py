"""What a tensor holds: how it was drawn, who wrote it, what was measured on it, and what training does to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from initlint.facts.unknown import UNKNOWN, Fact, UnknownFact
from initlint.location import Location
from initlint.record import field, record

if TYPE_CHECKING:
    from initlint.facts.models import Application


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Distribution(Fact):
    """What values a tensor holds, or a statement draws.

    ``family`` is one of ``FAMILIES``. ``mean`` and ``std`` are the elementwise moments (a truncated normal's
    std is that *after* truncation); a constant has ``std == 0`` and its value as ``mean``. ``low`` and
    ``high`` are the bounds of the support (+-inf for a normal).

    ``gain`` and ``mode`` describe a fan-scaled scheme: std = gain / sqrt(fan), the fan being
    ``"fan_in"``, ``"fan_out"`` or ``"fan_avg"`` = (fan_in + fan_out) / 2 of the layout that the
    *initialiser* sees. They can be known where ``std`` is not (the shape was not read). ``scheme`` is the
    scheme's name ("xavier_uniform", "kaiming_normal", "lecun_normal", "default", …), None if it has none.

    ``known_by`` is "read" (from source), "recorded" (the statement was seen to run) or "measured".
    """

    family: str
    mean: float = UNKNOWN
    std: float = UNKNOWN
    low: float = UNKNOWN
    high: float = UNKNOWN
    gain: float = UNKNOWN
    mode: str = UNKNOWN
    scheme: str | None = None
    known_by: str = "read"
    confidence: float = 1.0

    @property
    def is_constant(self) -> bool:
        """One value everywhere."""
        return self.family == "constant"

    @property
    def value(self) -> float:
        """The value of a constant."""
        if not self.is_constant:
            raise UnknownFact
        return self.mean

    @property
    def is_zero(self) -> bool:
        """Exactly zero everywhere."""
        return self.is_constant and self.mean == 0

    @property
    def is_random(self) -> bool:
        """Drawn elementwise or as a whole from a random distribution."""
        return self.family in RANDOM_FAMILIES

    @property
    def is_uninitialized(self) -> bool:
        """Memory that nobody wrote."""
        return self.family == "uninitialized"


SURE = 0.9
"""Confidence from which a recognised distribution outweighs what a statement was seen to draw."""
ROUNDING = 1e-5
"""What begins equal and gets the same gradient differs by less after some steps: rounding parts it by 1e-7."""


RANDOM_FAMILIES = frozenset({"normal", "truncated_normal", "uniform", "orthogonal", "sparse"})


FAMILIES = RANDOM_FAMILIES | {"constant", "identity", "dirac", "uninitialized", "data"}
"""``data`` is values taken from somewhere (arange, a checkpoint, numpy) whose law is not one of the others."""


class Gain(float):
    """A number that calculate_gain gave, among the arguments of a call; ``nonlinearity`` is what it was asked for."""

    nonlinearity: str

    @classmethod
    def of(cls, value: float, nonlinearity: str) -> Gain:
        """That number under that name."""
        gain = cls(value)
        gain.nonlinearity = nonlinearity
        return gain


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Write(Fact):
    """One event that set values of a parameter.

    ``function`` is canonical: "torch.nn.init.normal_", "torch.Tensor.zero_", "torch.empty",
    "torch.nn.Linear.reset_parameters", "copy.deepcopy", "torch.nn.Module.load_state_dict".
    ``author`` is "framework" (torch's own default), "library" (installed code that is not the project),
    "user" (code of the project) or "checkpoint". ``location`` is the user's statement (innermost frame in
    the project, else the innermost that is not torch), None where there is none. ``order`` counts events of
    one construction: a later write has a larger one. ``overwrites`` is False where old values survive
    (a slice, mul_, a masked write). ``application`` is the apply()/modules() loop it happened in, None if it
    was addressed to this parameter directly. ``related``: the statements of the project that led to ``location``, inner
    ones first; ``library_at``: the innermost statement of a library's that stands behind it, None where there is none.
    ``rows``: the (first, end) of dimension 0 that it sets, None if it sets
    all of them, or none (``mul_`` changes what is there). ``dtype`` is what it was drawn in ("bfloat16"). ``of``: the
    draw that ``function`` was applied to, value by value ("torch.log"); None where it draws itself.
    """

    function: str
    distribution: Distribution
    author: str = UNKNOWN
    location: Location | None = UNKNOWN
    order: int = UNKNOWN
    arguments: Mapping[str, Any] = field(default_factory=dict)
    overwrites: bool = True
    application: Application | None = None
    related: tuple[Location, ...] = ()
    library_at: Location | None = None
    rows: tuple[int, int] | None = UNKNOWN
    dtype: str = UNKNOWN
    of: Distribution | None = UNKNOWN

    @property
    def short(self) -> str:
        """The function's own name ("normal_")."""
        return self.function.rpartition(".")[2]

    @property
    def is_deliberate(self) -> bool:
        """Written by the project's own code rather than by a layer's default."""
        return self.author == "user"


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Statistics(Fact):
    """What was measured on a parameter's values, before any training step.

    ``row_spread`` is the largest difference between any row (index of dimension 0) and the first row, over
    max |w|: 0 where all rows are equal, UNKNOWN for fewer than two rows or dimensions.
    ``row_split``: of a matrix whose rows fall into two stretches of different std, (the first row of the second
    stretch, the std before it, the std from it on), rows of zeros left aside; None where they do not.
    ``digest`` is equal for bit-identical tensors of one shape and dtype. ``finite`` is False if any element is NaN or
    infinite.
    """

    count: int
    mean: float
    std: float
    minimum: float
    maximum: float
    zeros: float = UNKNOWN
    finite: bool = UNKNOWN
    row_spread: float = UNKNOWN
    digest: str = UNKNOWN
    row_split: tuple[int, float, float] | None = UNKNOWN


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Histogram(Fact):
    """How many values of a parameter fall into each of several bins of one width, for charts.

    The bins reach from ``low`` to ``high``; what lies beyond them counts in the first and the last. Of a large tensor
    ``counts`` are those of values taken from it evenly.
    """

    low: float
    high: float
    counts: tuple[int, ...]


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Sharding(Fact):
    """How one parameter lies over the processes ("ranks") of a distributed run.

    ``placements``: as torch writes them, one for each dimension of the device mesh. ``pieces``: in how many different
    parts it lies. ``twins``: the first two ranks that hold different pieces which are bit-identical (of 16 values or
    more). ``strays``: the first two that hold one and the same piece, with values that differ by more than rounding.
    Both are None where there is no such pair.
    """

    placements: tuple[str, ...]
    pieces: int = UNKNOWN
    twins: tuple[int, int] | None = UNKNOWN
    strays: tuple[int, int] | None = UNKNOWN


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Escape(Fact):
    """What the escape test saw of one parameter.

    ``reached``: some backward gave it a gradient (not None), and not one that is zero whatever the parameters hold
    (behind a slice that leaves it out, or times an input that is zero by construction). ``received``: some backward
    gave it a gradient that is not exactly zero. ``steps``: backwards run until the fixpoint. ``row_spread``: as in
    Statistics, at the fixpoint with dropout and drop-path at 0. ``copies_spread``: of a matrix that begins equal, bit
    by bit, to others in the same place of a stack or of one module, the largest difference between any of them by then,
    in value over the largest value or in gradient over the largest gradient. ``held_by_copies``: it is ``stuck``, and
    gets a gradient as soon as such copies that stayed one are drawn anew. Frozen parameters have no Escape: it is
    UNKNOWN.
    """

    reached: bool
    received: bool
    steps: int
    row_spread: float = UNKNOWN
    copies_spread: float = UNKNOWN
    held_by_copies: bool = UNKNOWN

    @property
    def copies_are_one(self) -> bool:
        """It and those that it begins equal to moved, and moved together up to rounding."""
        return self.received and self.copies_spread < ROUNDING

    @property
    def rows_are_one(self) -> bool:
        """Its rows moved together up to rounding."""
        return self.row_spread < ROUNDING

    @property
    def rows_are_alike(self) -> bool:
        """Its rows hardly parted: random outgoing weights part them by more than 1% in as many steps."""
        return self.row_spread < 1e-2

    @property
    def stuck(self) -> bool:
        """The loss reaches it, and training never moves it."""
        return self.reached and not self.received


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Misfit(Fact):
    """How far a fan-scaled draw lies off the one that its scheme prescribes for the map that the parameter is.

    ``least`` and ``most`` bound the std that was drawn over the std prescribed: they are one where every size is
    known, and range over plausible sizes (16 to 512 features) where some were not read. ``mode`` is "fan_in",
    "fan_out", "fan_avg" or "longer" (the longer side of an orthogonal matrix). ``taken`` and ``own`` are the two fans,
    where every size is known.
    """

    mode: str
    least: float
    most: float
    taken: float = UNKNOWN
    own: float = UNKNOWN
