"""A model: its layers, what ran over it, and what a pass through it measured."""

from __future__ import annotations

from collections.abc import Iterator

from initlint.facts.layers import Chain, Layer, ResidualStream
from initlint.facts.parameters import Parameter
from initlint.facts.unknown import UNKNOWN, Fact, _own, known
from initlint.location import Location
from initlint.record import record


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Application(Fact):
    """One run of an initialiser over a module tree: ``self.apply(fn)`` or a loop over modules().

    ``root`` is the dotted name of the module it ran over ("" is the model). ``covered`` are the names of the layers
    that it wrote, ``kinds`` the kinds of layer it handles (read from its filters, or seen written). ``whole``: it
    visits all that stands below the root at that moment; of a loop that was seen by its effect alone that is not
    known, for it may go over a list. ``within`` is the qualified name of the function that holds the statement
    ("Net.__init__").
    """

    initializer: str
    location: Location | None
    order: int
    root: str = ""
    kinds: tuple[str, ...] = UNKNOWN
    covered: tuple[str, ...] = UNKNOWN
    whole: bool = UNKNOWN
    within: str = UNKNOWN

    def holds(self, name: str) -> bool:
        """Whether the layer or parameter of that dotted name stands below the root."""
        return not self.root or name.startswith(self.root + ".")


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Probe(Fact):
    """One forward and backward of the whole model on a sample batch.

    ``batch`` says what went in, as --batch would spell it, and ``inferred`` that nobody gave it; ``batch_size`` is how
    many samples it holds, and ``batch_spread`` how much of it differs between them, in [0, 1].
    ``loss`` is the value at the first step, ``loss_kind`` "model" (its own), "target" (mean square to random
    targets), "cross-entropy", "mse", the name of the function asked for, or "given" for one without. ``classes``: over
    how many the loss is known to be a mean cross-entropy, None where it is known to be something else.
    ``first_non_finite`` names the first layer whose output is NaN or infinite, None if
    all were finite; ``finite`` covers outputs, loss and gradients. ``judged_dtype`` is the format that the range of
    activations and gradients is judged in ("fp16", "bf16", "fp8", "fp32"; theory.precision), None where none was
    asked for. ``largest_gradient``: the largest absolute value in the gradient of any layer's output (as sampled) or
    parameter, 0 where there is none; known where a dtype was asked for. ``batch_leak``: in eval mode, the root mean
    square of the gradient of one sample's output with respect to the other samples' inputs, over that with respect to
    its own. ``predicted``: nothing was run, and what is
    said of the layers follows from the distributions of their parameters, within ranges.
    """

    batch: str
    inferred: bool = False
    batch_size: int = UNKNOWN
    batch_spread: float = UNKNOWN
    device: str = "cpu"
    dtype: str = "float32"
    seed: int = 0
    loss: float = UNKNOWN
    loss_kind: str = UNKNOWN
    classes: int | None = UNKNOWN
    finite: bool = UNKNOWN
    first_non_finite: str | None = UNKNOWN
    judged_dtype: str | None = UNKNOWN
    largest_gradient: float = UNKNOWN
    batch_leak: float = UNKNOWN
    predicted: bool = False


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Loose(Fact):
    """What a module holds as an attribute without registering it, though it is to be trained.

    ``holder``: "list", "tuple", "set" or "dict" of layers, or "tensor". ``kinds``: the classes of the layers in it that
    stand nowhere in the module's tree. ``derived_by``: the method or operator that made a tensor of a Parameter that
    stands nowhere ("cuda", "*"), None for one that asks for gradients itself. ``used``: methods other than the
    constructor use it. ``handled``: some method looks after it by itself (for an optimiser, a device, a checkpoint).
    """

    name: str
    location: Location
    holder: str
    kinds: tuple[str, ...] = ()
    derived_by: str | None = None
    used: bool = UNKNOWN
    handled: bool = UNKNOWN


@record(frozen=True, slots=True, eq=False, kw_only=True)
class WidthScaling(Fact):
    """A model built at several widths: how far its layers' outputs spread at each.

    ``argument`` is what the width is called, ``widths`` are ascending. ``stds`` holds for each of ``layers`` the
    standard deviation of its output across the batch at each width, a mean over draws.
    """

    argument: str
    widths: tuple[int, ...]
    layers: tuple[Layer, ...]
    stds: tuple[tuple[float, ...], ...]


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Model(Fact):
    """The layers of one model (or of one class, where it was only read), and how signal runs through them.

    ``not_run`` says in one line why the probe could not be run, or not to its end; None where it was.
    ``differing`` names the parameters and buffers that a second build under the same seed filled with other values;
    UNKNOWN where it could not be built twice. ``scaling`` is UNKNOWN where no widths were asked for.
    """

    name: str
    class_name: str = UNKNOWN
    location: Location | None = UNKNOWN
    layers: tuple[Layer, ...] = ()
    chains: tuple[Chain, ...] = UNKNOWN
    streams: tuple[ResidualStream, ...] = UNKNOWN
    applications: tuple[Application, ...] = UNKNOWN
    probe: Probe = UNKNOWN
    not_run: str | None = UNKNOWN
    differing: tuple[str, ...] = UNKNOWN
    loose: tuple[Loose, ...] = UNKNOWN
    scaling: WidthScaling = UNKNOWN

    def __post_init__(self) -> None:
        for layer in self.layers:
            _own(layer, "model", self)

    @property
    def why_not_run(self) -> str | None:
        """``not_run`` where that is known; None where it was run, and where nobody tried."""
        return self.not_run if known(self.not_run) else None

    @property
    def parameters(self) -> Iterator[Parameter]:
        """Every parameter, layer by layer; a shared tensor comes once."""
        for layer in self.layers:
            yield from layer.parameters
