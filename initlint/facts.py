"""The vocabulary that both front ends fill and every rule reads.

A fact is immutable and says one thing about a model or its source. What could not be established is
``UNKNOWN``, a value that cannot be reasoned with: comparing it, testing its truth, computing with it,
formatting it or taking an attribute of it raises ``UnknownFact``, which the engine catches to drop that
subject for that rule only. So a rule is written as if everything were known, and is silent where it is not.

Two things need care in a rule. ``x is None`` cannot raise, so ask ``absent(x)`` whether a fact is *known*
to be absent. And ``known(x)`` is for front ends and reports; a rule may use it only to leave a detail out
of its message.

This module imports neither torch nor libcst nor click.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any, NoReturn

from initlint.location import Location
from initlint.record import record

__all__ = [
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
    "Repeat",
    "Script",
    "Statistics",
    "Step",
    "Target",
    "UnknownFact",
    "Write",
    "absent",
    "close",
    "known",
    "layer_family",
    "parameter_dimensions",
    "slot",
]


class UnknownFact(Exception):
    """A rule reasoned about something that is not known."""


class _Unknown:
    """The value of what could not be established; every use of it raises UnknownFact."""

    __slots__ = ()

    def _raise(self, *_: object) -> NoReturn:
        raise UnknownFact

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _raise
    __bool__ = __hash__ = __len__ = __iter__ = __contains__ = __getitem__ = __call__ = _raise
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _raise
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = __matmul__ = __rmatmul__ = _raise
    __neg__ = __pos__ = __abs__ = __int__ = __float__ = __index__ = __round__ = _raise
    __str__ = __format__ = _raise

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # copy, pickle and inspection ask for these: not reasoning
            raise AttributeError(name)
        raise UnknownFact

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __copy__(self) -> _Unknown:
        return self

    def __deepcopy__(self, _: object) -> _Unknown:
        return self

    def __reduce__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Any = _Unknown()


def known(value: object) -> bool:
    """Whether a value is known (for front ends and reports; a rule lets UNKNOWN raise)."""
    return value is not UNKNOWN


def slot(name: str) -> str:
    """A dotted name with its indices left out ("layers.*.fc"): what the slots of one container have in common."""
    return ".".join("*" if part.isdigit() else part for part in name.split("."))


def absent(value: object) -> bool:
    """Whether something is known not to exist; raises UnknownFact where that is not known."""
    if value is UNKNOWN:
        raise UnknownFact
    return value is None


def close(a: float, b: float, *, relative: float = 0.02, absolute: float = 1e-12) -> bool:
    """Whether two numbers agree within a tolerance (measured numbers are never compared with ==)."""
    return math.isclose(a + 0.0, b + 0.0, rel_tol=relative, abs_tol=absolute)


class Fact:
    """Base of every fact; facts compare by identity."""

    __slots__ = ()


def _own(fact: Fact, name: str, value: object) -> None:
    """Set a back reference while the owner is being made; nothing else ever changes a fact."""
    object.__setattr__(fact, name, value)


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
    was addressed to this parameter directly. ``rows``: the (first, end) of dimension 0 that it sets, None if it sets
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
    rows: tuple[int, int] | None = UNKNOWN
    dtype: str = UNKNOWN
    of: Distribution | None = UNKNOWN

    @property
    def is_deliberate(self) -> bool:
        """Written by the project's own code rather than by a layer's default."""
        return self.author == "user"


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Statistics(Fact):
    """What was measured on a parameter's values, before any training step.

    ``row_spread`` is the largest difference between any row (index of dimension 0) and the first row, over
    max |w|: 0 where all rows are equal, UNKNOWN for fewer than two rows or dimensions.
    ``mean_z`` is the mean in standard errors (mean / (std / sqrt(n))). ``digest`` is equal for bit-identical
    tensors of one shape and dtype. ``finite`` is False if any element is NaN or infinite.
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

    @property
    def mean_z(self) -> float:
        """The mean in units of its standard error."""
        return abs(self.mean) / (self.std / math.sqrt(self.count)) if self.std > 0 else math.inf


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Escape(Fact):
    """What the escape test saw of one parameter (DESIGN.md, Live front end).

    ``reached``: some backward gave it a gradient (not None), and not one that is zero whatever the parameters hold
    (behind a slice that leaves it out, or times an input that is zero by construction). ``received``: some backward
    gave it a gradient that is not exactly zero. ``steps``: backwards run until the fixpoint. ``row_spread``: as in
    Statistics, at the fixpoint with dropout and drop-path at 0. Frozen parameters have no Escape: it is UNKNOWN.
    """

    reached: bool
    received: bool
    steps: int
    row_spread: float = UNKNOWN

    @property
    def rows_are_one(self) -> bool:
        """Its rows moved together up to rounding, which parts them by 1e-7."""
        return self.row_spread < 1e-5

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
    ``misfit`` is that of the last write, None where that is no fan-scaled draw. ``least_fans``: what fan-in and fan-out
    are at least, where they depend on sizes that were not read (each of those taken to be 16). ``projects``: of an
    embedding that is the output projection too, and no constant scales what goes in or comes out, how many terms a
    logit sums at least; else None. ``gain``: std x sqrt(fan_in), where it follows from the scheme whatever the sizes
    that were not read are.
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
    computed_by: str | None = UNKNOWN
    lost: tuple[Write, ...] = UNKNOWN
    padding_write: Write | None = UNKNOWN
    misfit: Misfit | None = UNKNOWN
    least_fans: tuple[int, int] = UNKNOWN
    projects: int | None = UNKNOWN
    gain: float = UNKNOWN
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


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Activation(Fact):
    """A nonlinearity that follows a layer.

    ``name`` is lower case as in torch.nn.functional ("relu", "leaky_relu", "gelu", "tanh", "identity" where it
    is known that none follows before the next linear map, "custom" for one that has no name).
    ``gain`` and ``backward_gain`` are 1/sqrt(E[phi(z)^2]) and 1/sqrt(E[phi'(z)^2]) for z ~ N(0, 1).
    """

    name: str
    gain: float = UNKNOWN
    backward_gain: float = UNKNOWN
    slope: float = UNKNOWN
    location: Location | None = None

    @property
    def is_relu_like(self) -> bool:
        """Half of the pre-activations give nothing, or next to nothing."""
        return self.name in ("relu", "relu6") or (self.name == "leaky_relu" and self.slope < 0.3)


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Consumer(Fact):
    """One thing that takes a layer's output.

    ``kind``: "activation", "norm", "layer" (another linear map), "sum" (residual), "product" (gate),
    "softmax", "output" (leaves the model), "other". ``name``: the activation's, the layer's, or the operation's.
    """

    kind: str
    name: str = UNKNOWN


@record(frozen=True, slots=True, eq=False, kw_only=True)
class LayerProbe(Fact):
    """What one forward and backward measured at a layer's output (pre-activation), over its calls.

    ``forward_std`` is across the batch: the root mean over units of the variance over samples; biases do not
    hide a collapse. ``total_std`` is over all elements. ``gradient_std`` is of dLoss/d(output).
    ``dead_fraction``: units that are zero after the activation for every sample; ``saturated_fraction``: share of
    values in the flat region of the sigmoid, tanh or softmax that follows. ``samples`` is how many values a unit had.
    """

    forward_std: float
    total_std: float = UNKNOWN
    gradient_std: float = UNKNOWN
    dead_fraction: float = UNKNOWN
    saturated_fraction: float = UNKNOWN
    samples: int = UNKNOWN
    finite: bool = True
    calls: int = 1


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Layer(Fact):
    """A module that owns parameters, or (static) a statement that makes such modules.

    ``kind`` is the nearest class of torch.nn ("Linear", "Conv2d", "BatchNorm2d", …) or "Module" for a class
    of the user's that owns bare parameters; ``class_name`` is the class itself. ``family`` groups kinds.
    ``activation`` is what acts on its output before the next linear map, None if it is known that the
    question has no answer (several different ones), ``Activation(name="identity")`` for none.
    ``normalized``: a norm consumes its output before any nonlinearity or linear map does.
    ``ends_branch``: its output goes into a residual sum, directly or through dropout, scale or norm.
    ``is_head``: its output leaves the model. ``origin``: "constructed", "cloned" (in a slot of a
    container, deepcopy of the layer that fills the other slots) or "copied" (part of a copied model).
    ``aliases``: every name of one instance, in order, ``name`` first; ``aliased_at``: where the outermost module was
    made that stands under several names and holds this layer, None where the layer has one name. ``handed``: the call
    that a loop makes layers by, each of which is handed one and the same module, made before the loop and held by
    nothing else, whose first layer this is; None where there is no such loop. ``order``: see Write.order.
    ``within``: qualified name of the function whose statement made it ("Net.__init__"). Where it is to be mended:
    ``repeated_at`` is the ``[Layer(...)] * n`` that holds the layer of ``aliased_at``; ``template_at`` is where the
    layer was made that this one is a copy of, in the same function. Both are None where there is no such place.
    """

    name: str
    kind: str = UNKNOWN
    class_name: str = UNKNOWN
    parameters: tuple[Parameter, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    location: Location | None = UNKNOWN
    order: int = UNKNOWN
    within: str = UNKNOWN
    consumers: tuple[Consumer, ...] = UNKNOWN
    activation: Activation | None = UNKNOWN
    normalized: bool = UNKNOWN
    ends_branch: bool = UNKNOWN
    is_head: bool = UNKNOWN
    origin: str = UNKNOWN
    aliases: tuple[str, ...] = UNKNOWN
    aliased_at: Location | None = UNKNOWN
    handed: Location | None = None
    repeated_at: Location | None = None
    template_at: Location | None = None
    probe: LayerProbe = UNKNOWN
    model: Model = field(default=UNKNOWN, repr=False)

    def __post_init__(self) -> None:
        for parameter in self.parameters:
            _own(parameter, "layer", self)

    @property
    def family(self) -> str:
        """ "linear", "convolution", "transposed", "norm", "embedding", "recurrent", "attention" or "other"."""
        return layer_family(self.kind)

    @property
    def weight(self) -> Parameter:
        """The parameter called weight; UnknownFact if the layer has none."""
        found = self.parameter("weight")
        if found is None:
            raise UnknownFact
        return found

    @property
    def bias(self) -> Parameter | None:
        """The parameter called bias, None if the layer is known to have none."""
        return self.parameter("bias")

    def parameter(self, name: str) -> Parameter | None:
        """The layer's own parameter of that (undotted) name, or None."""
        for parameter in self.parameters:
            if parameter.name.rpartition(".")[2] == name:
                return parameter
        return None


_FAMILIES_OF_KINDS: dict[str, str] = {
    "Linear": "linear",
    "NonDynamicallyQuantizableLinear": "linear",
    "Bilinear": "bilinear",
    "Conv1d": "convolution",
    "Conv2d": "convolution",
    "Conv3d": "convolution",
    "ConvTranspose1d": "transposed",
    "ConvTranspose2d": "transposed",
    "ConvTranspose3d": "transposed",
    "BatchNorm1d": "norm",
    "BatchNorm2d": "norm",
    "BatchNorm3d": "norm",
    "SyncBatchNorm": "norm",
    "LayerNorm": "norm",
    "GroupNorm": "norm",
    "InstanceNorm1d": "norm",
    "InstanceNorm2d": "norm",
    "InstanceNorm3d": "norm",
    "RMSNorm": "norm",
    "Embedding": "embedding",
    "EmbeddingBag": "embedding",
    "RNN": "recurrent",
    "LSTM": "recurrent",
    "GRU": "recurrent",
    "RNNCell": "recurrent",
    "LSTMCell": "recurrent",
    "GRUCell": "recurrent",
    "MultiheadAttention": "attention",
    "PReLU": "activation",
}


def layer_family(kind: str) -> str:
    """The family of a torch.nn class name; "other" for what is not in the table."""
    if kind is UNKNOWN:
        raise UnknownFact
    return _FAMILIES_OF_KINDS.get(kind, "other")


_WEIGHT_DIMENSIONS = {"Linear": 2, "Bilinear": 3, "Embedding": 2, "EmbeddingBag": 2, "PReLU": 1, "GroupNorm": 1}


def parameter_dimensions(kind: str, attribute: str | None) -> int | None:
    """How many dimensions a parameter of a torch.nn layer has; None where that depends on the layer (LayerNorm)."""
    family = layer_family(kind)
    vector = kind in ("GroupNorm", "SyncBatchNorm") or kind.startswith(("BatchNorm", "InstanceNorm"))
    if attribute == "bias":
        return 1 if vector or family in ("linear", "bilinear", "convolution", "transposed") else None
    if attribute != "weight":
        return None
    if family in ("convolution", "transposed"):
        return 2 + int(kind[-2])
    return 1 if vector else _WEIGHT_DIMENSIONS.get(kind)


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Chain(Fact):
    """Layers one after another along which signal flows with nothing normalising it in between.

    In order from input to output. A norm ends a chain unless it was measured not to restore the scale.
    A residual sum does not end a chain; the layers inside a branch form chains of their own.
    """

    layers: tuple[Layer, ...]


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Application(Fact):
    """One run of an initialiser over a module tree: ``self.apply(fn)`` or a loop over modules().

    ``root`` is the dotted name of the module it ran over ("" is the model). ``covered`` are the names of the
    layers that it wrote, ``kinds`` the kinds of layer it handles (read from its filters, or seen written).
    ``within`` is the qualified name of the function that holds the statement ("Net.__init__").
    """

    initializer: str
    location: Location | None
    order: int
    root: str = ""
    kinds: tuple[str, ...] = UNKNOWN
    covered: tuple[str, ...] = UNKNOWN
    within: str = UNKNOWN


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Probe(Fact):
    """One forward and backward of the whole model on a sample batch.

    ``batch`` says what went in, as --batch would spell it; ``batch_size`` is how many samples it holds.
    ``loss`` is the value at the first step, ``loss_kind`` "model", "target" (mean square to random
    targets) or the name given. ``first_non_finite`` names the first layer whose output is NaN or infinite, None if
    all were finite; ``finite`` covers outputs, loss and gradients.
    """

    batch: str
    batch_size: int = UNKNOWN
    device: str = "cpu"
    dtype: str = "float32"
    seed: int = 0
    loss: float = UNKNOWN
    loss_kind: str = UNKNOWN
    finite: bool = UNKNOWN
    first_non_finite: str | None = UNKNOWN
    escape_steps: int = UNKNOWN


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
class Model(Fact):
    """The layers of one model (or of one class, where it was only read), and how signal runs through them.

    ``not_run`` says in one line why the probe could not be run, or not to its end; None where it was.
    ``differing`` names the parameters and buffers that a second build under the same seed filled with other values;
    UNKNOWN where it could not be built twice.
    """

    name: str
    class_name: str = UNKNOWN
    location: Location | None = UNKNOWN
    layers: tuple[Layer, ...] = ()
    chains: tuple[Chain, ...] = UNKNOWN
    applications: tuple[Application, ...] = UNKNOWN
    probe: Probe = UNKNOWN
    not_run: str | None = UNKNOWN
    differing: tuple[str, ...] = UNKNOWN
    loose: tuple[Loose, ...] = UNKNOWN

    def __post_init__(self) -> None:
        for layer in self.layers:
            _own(layer, "model", self)

    @property
    def parameters(self) -> Iterator[Parameter]:
        """Every parameter, layer by layer; a shared tensor comes once."""
        for layer in self.layers:
            yield from layer.parameters


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Target(Fact):
    """What an initialiser call writes.

    ``kinds``: the layer kinds it can be ("Linear", "BatchNorm2d"), from isinstance filters or from the layer itself.
    ``held``: those of them of which something that the call reaches may hold one: all, but of the ``_init_weights`` of
    a transformers.PreTrainedModel, which leaves the models that it holds to their own, the norms that no class of its
    file makes.
    ``attribute``: "weight", "bias", … (None where the target is a tensor without such a name).
    ``text``: as written ("m.weight", "self.fc.bias"). ``dimensions``: how many, where all kinds agree.
    ``is_module``: the target is a module and not a tensor. ``through_data``: it is reached by ``.data``.
    ``is_copy``: the expression makes a new tensor of another one's (``m.weight.clone()``), which alone is written.
    ``location``: where the expression stands, as it is handed over; None where it was not read.
    """

    text: str
    kinds: tuple[str, ...] = UNKNOWN
    held: tuple[str, ...] = UNKNOWN
    attribute: str | None = UNKNOWN
    dimensions: int = UNKNOWN
    shape: tuple[int, ...] = UNKNOWN
    is_module: bool = UNKNOWN
    through_data: bool = UNKNOWN
    is_copy: bool = UNKNOWN
    location: Location | None = None

    @property
    def fewest_dimensions(self) -> int:
        """Of the tensors that the call may write: how many dimensions the smallest has."""
        if self.dimensions is not UNKNOWN:
            return self.dimensions
        found = [parameter_dimensions(kind, self.attribute) for kind in self.kinds]
        return min((n for n in found if n is not None), default=UNKNOWN)


@record(frozen=True, slots=True, eq=False, kw_only=True)
class InitCall(Fact):
    """One call of an initialiser, read in source or recorded while it ran.

    So is ``torch.zeros_like(w)`` and its kin, where nothing takes the tensor that they make.

    ``function`` is canonical ("torch.nn.init.normal_"), ``written`` is how the source spells it
    ("init.normal_"). ``arguments`` are bound by parameter name, defaults included, each value UNKNOWN
    where it is; ``given`` are the names passed by the caller, ``positional`` those passed by position.
    ``spellings`` maps an argument to the identifier it was passed as ("init_std"), where it was one. ``places`` says
    where the value of an argument stands that the caller gives, as far as that was read: for fixes, not for verdicts.
    ``within`` is the name of the enclosing function ("_init_weights"), None at module level.
    ``discarded``: the call is a statement by itself, so that nothing takes what it returns.
    ``caught``: it stands in a ``try`` with a handler, so that what it raises may be meant.
    ``fan_name``: the name ("fan_in") of a number that was taken from sizes of a tensor, and that an argument was then
    computed from; None where there is none. ``fan_axes``: the axes that it is taken from, on one branch or another:
    "0" for the first, "1:" for the product of all others. ``fan_at``: where it is, on the branch of the first.
    """

    function: str
    written: str
    target: Target
    location: Location
    arguments: Mapping[str, Any] = field(default_factory=dict)
    given: tuple[str, ...] = ()
    positional: tuple[str, ...] = ()
    spellings: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, Location] = field(default_factory=dict)
    distribution: Distribution = UNKNOWN
    within: str | None = UNKNOWN
    class_name: str | None = UNKNOWN
    discarded: bool = UNKNOWN
    caught: bool = UNKNOWN
    fan_name: str | None = UNKNOWN
    fan_axes: tuple[str, ...] = UNKNOWN
    fan_at: Location | None = UNKNOWN


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Guard(Fact):
    """A test in code that initialises, of a module's class or of a tensor's truth.

    ``form`` is "truth" (``if m.bias:``), "exact_type" (``type(m) == nn.Linear``), "class_name"
    (``"Linear" in m.__class__.__name__``) or "instance" (``isinstance(m, nn.Linear)``, kept only where it lets nothing
    through, or less than it says). ``text``: the test as written. ``kinds``: the layer kinds that a
    test of the class lets through. ``several``: what is tested for its truth is, where it is not None, a tensor of
    more than one element (a size that was not read is taken to be more than one). ``caught``: see InitCall.

    ``obstacle`` says why a test of the class can never hold: what it is asked of is a "parameter", a "module" (and the
    class a tensor's), a (name, module) "pair", a "class" (compared with text) or a "name" (compared with a class); it
    is "misspelt", a "contradiction", or every kind was taken by an "earlier" arm; None where it can hold.
    ``meant``: the class of torch.nn that a misspelt name is one slip away from. ``related``: that arm's test.
    ``ignored``: the classes, as written, that a test names and never looks at: ``nn.Linear or nn.Conv2d`` is its first.
    """

    form: str
    text: str
    location: Location
    kinds: tuple[str, ...] = UNKNOWN
    several: bool = UNKNOWN
    caught: bool = UNKNOWN
    obstacle: str | None = UNKNOWN
    meant: str = UNKNOWN
    related: tuple[Location, ...] = ()
    ignored: tuple[str, ...] = UNKNOWN


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Incident(Fact):
    """A statement, met while modules are made and initialised, that cannot do to a parameter what it says.

    ``kind``: "none" (asks something of a weight or bias that is None), "not_a_parameter" (puts a plain tensor under the
    name of a Parameter), "merged" (gives a name, whose own Parameter goes, the one that its module has as ``other``),
    "resized" (gives it data of another shape), "leaf" (changes a Parameter in place while
    gradients are recorded), "lazy" (writes a parameter that has no shape yet), "untied" (parts two names of one
    Parameter). ``raises``: Python or torch refuses it. ``text``: what it is done to, as written or as its layer has it
    ("m.bias"); ``function``: the function or method that does it. ``layer_kind``: of the layer that holds it.
    ``before`` and ``after``: the shapes of a resized one. ``tied``: where the two names were made one.
    """

    kind: str
    location: Location
    text: str
    raises: bool = UNKNOWN
    function: str | None = UNKNOWN
    layer_kind: str = UNKNOWN
    before: tuple[int, ...] = UNKNOWN
    after: tuple[int, ...] = UNKNOWN
    tied: Location | None = UNKNOWN
    other: str = UNKNOWN


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Branch(Fact):
    """One arm of an initialiser: the layer kinds its test lets through, and what it does with them."""

    kinds: tuple[str, ...] = UNKNOWN
    calls: tuple[InitCall, ...] = ()
    location: Location | None = None


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Repeat(Fact):
    """An attribute that two statements of one block initialise by the same call.

    ``text``: as written ("self.lin1", "self.lin1.weight"). ``location``: the second statement, ``related`` the first.
    ``forgotten``: the attributes that the constructor makes in the same way and that nothing which initialises
    mentions.
    """

    text: str
    location: Location
    related: tuple[Location, ...] = ()
    forgotten: tuple[str, ...] = UNKNOWN


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Change(Fact):
    """A statement of an initialiser that scales a tensor (``text``, as written) in place.

    ``fresh``: the same function has drawn it anew before, so that calling it twice scales it once.
    """

    text: str
    location: Location
    fresh: bool = UNKNOWN


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Initializer(Fact):
    """A function or method that initialises a module it is given.

    ``callers``: the places in reach that call or apply it (by name, as a callback, through a base class);
    UNKNOWN where they cannot all be seen (the class has a base that may call it, the name is exported, …).
    ``repeats``: the attributes that it sets twice. ``seeds``: the places in it that set torch's global seed for good.
    ``rescales``: what it scales in place, if it is one that frameworks may call again (``reset_parameters``, and
    ``_init_weights`` of a transformers model).
    """

    name: str
    location: Location
    class_name: str | None = None
    branches: tuple[Branch, ...] = UNKNOWN
    callers: tuple[Location, ...] = UNKNOWN
    repeats: tuple[Repeat, ...] = UNKNOWN
    seeds: tuple[Location, ...] = UNKNOWN
    rescales: tuple[Change, ...] = UNKNOWN


@record(frozen=True, slots=True, eq=False, kw_only=True)
class ClassFacts(Fact):
    """A class as it was read. ``bases`` are canonical names; ``model`` holds the layers of a module class.

    ``calls``: the calls of initialisers in its methods. ``constructor``: its own ``__init__``, None where it has none.
    ``finished``: of a class derived from transformers.PreTrainedModel that makes layers in an ``__init__`` of its own,
    whether anything in the class or its bases calls post_init() or initialises otherwise; UNKNOWN of every other class,
    of one that others derive from, and where what is out of sight may do so: in a project too large to be looked
    through, another file may derive from any class but those that ``__all__`` offers to be used as they are.
    ``seeds``: the places in the constructor that set torch's global seed for good.
    """

    name: str
    location: Location
    bases: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    is_module: bool = UNKNOWN
    model: Model = UNKNOWN
    constructor: Location | None = UNKNOWN
    finished: bool = UNKNOWN
    calls: tuple[InitCall, ...] = UNKNOWN
    seeds: tuple[Location, ...] = UNKNOWN


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

    ``seeds`` set torch's global seed; ``builds`` make models at random that are then trained; ``trains`` are backward
    passes and calls of a trainer. ``seeded_elsewhere``: something may seed at a time that is not known (transformers'
    Trainer, a ``seed=`` that is handed on, another file of the project).
    ``untrained``: layers put in "late", when the optimiser was built, or "frozen" with all the rest.
    ``wiped``: an initialiser is applied ("apply") to what has just been loaded.
    ``unmatched``: loads that are not strict and match no key, for these are "prefixed", "bare" or "nested".
    """

    path: str
    seeds: tuple[Step, ...] = ()
    builds: tuple[Step, ...] = ()
    trains: tuple[Step, ...] = ()
    seeded_elsewhere: bool = UNKNOWN
    untrained: tuple[Mishap, ...] = UNKNOWN
    wiped: tuple[Mishap, ...] = UNKNOWN
    unmatched: tuple[Mishap, ...] = UNKNOWN


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
