"""A layer, what consumes its output, and the chains along which signal flows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from initlint.facts.parameters import Parameter
from initlint.facts.unknown import UNKNOWN, Fact, UnknownFact, _own
from initlint.location import Location
from initlint.record import field, record

if TYPE_CHECKING:
    from initlint.facts.models import Model


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

    ``kind``: "activation", "norm", "layer" (another linear map), "sum" (residual), "product" (gate), "softmax",
    "output" (leaves the model), "other"; and besides these "scale", where a constant multiplies the output or a sum
    that it goes into. ``name``: the activation's, the layer's, or the operation's.
    """

    kind: str
    name: str = UNKNOWN


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Recurrence(Fact):
    """One layer of a recurrent layer of torch's, in one direction, run again step by step on inputs that it was given.

    ``depth`` is how many layers come before it, ``steps`` how many were run; ``weight`` and ``recurrent_weight`` are
    its matrices' own names ("weight_ih_l0", "weight_hh_l0"). ``gated``: its state is kept by gates, as in GRU and LSTM.
    ``activation`` makes a new state of what the matrices give. ``input_std`` and ``state_std``: across the batch, of
    what it takes and of the states that it gives, over the steps. ``saturated_fraction``: share of what that
    function, if it is tanh, is given where it is flat (a gate may be held open or closed on purpose).
    """

    weight: str
    recurrent_weight: str
    depth: int
    steps: int
    gated: bool
    activation: Activation
    input_std: float = UNKNOWN
    state_std: float = UNKNOWN
    saturated_fraction: float = UNKNOWN


@record(frozen=True, slots=True, eq=False, kw_only=True)
class LayerProbe(Fact):
    """What one forward and backward measured at a layer's output (pre-activation), over its calls.

    ``forward_std`` is across the batch: the root mean over units of the variance over samples; biases do not hide a
    collapse. ``total_std`` is over all elements. ``gradient_std`` is of dLoss/d(output). ``dead_fraction``: units that
    are zero after the activation for every sample; ``saturated_fraction``: share of values in the flat region of the
    sigmoid or tanh that follows; ``one_hot_fraction``: share of the rows of the softmax that takes them as scores (or
    of attention, as queries) that are one-hot though several entries were open to them; ``one_hot_gates``: that softmax
    is over the layer's units and weighs, or chooses from, what others give, as a router does; ``scores_only``: nothing
    else takes its output, and other values are weighed by that softmax. ``samples`` is how many values a unit had.
    These two are over all ``calls`` of the layer; the standard deviations are those of its first call, and
    ``forward_stds`` and ``gradient_stds`` hold them call by call. ``finite`` is of all calls. ``forward_extent`` and
    ``gradient_extent``: the largest absolute value sampled, and the median of those that are not 0. Of a model that was
    not run (``Probe.predicted``) the figures are ranges. ``recurrences``: of a recurrent layer of torch's, its layers
    and directions in the order of computation.
    """

    forward_std: float
    total_std: float = UNKNOWN
    gradient_std: float = UNKNOWN
    dead_fraction: float = UNKNOWN
    saturated_fraction: float = UNKNOWN
    one_hot_fraction: float = UNKNOWN
    one_hot_gates: bool = UNKNOWN
    scores_only: bool = UNKNOWN
    samples: int = UNKNOWN
    finite: bool = True
    calls: int = 1
    forward_stds: tuple[float, ...] = UNKNOWN
    gradient_stds: tuple[float, ...] = UNKNOWN
    forward_extent: tuple[float, float] = UNKNOWN
    gradient_extent: tuple[float, float] = UNKNOWN
    recurrences: tuple[Recurrence, ...] = UNKNOWN


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Layer(Fact):
    """A module that owns parameters, or (static) a statement that makes such modules.

    ``kind`` is the nearest class of torch.nn ("Linear", "Conv2d", "BatchNorm2d", …) or "Module" for a class
    of the user's that owns bare parameters; ``class_name`` is the class itself. ``family`` groups kinds.
    ``activation`` is what acts on its output before the next linear map, None if it is known that the
    question has no answer (several different ones), ``Activation(name="identity")`` for none.
    ``normalized``: a norm consumes its output before any nonlinearity or linear map does.
    ``product_normalized``: a norm does so with what products of its output and other values come to, so that how large
    it is makes no difference.
    ``ends_branch``: its output goes into a residual sum, directly or through dropout, scale or norm.
    ``sum_normalized``: of a layer that ends a branch, whether nothing but a norm takes the residual sum.
    ``joined``: the other layers to whose outputs its own is added first, as in ``tanh(i(x) + h(state))``; what is said
    of activation and norm is said of the sum. ``returns``: how often in a row its output comes back to it through such
    sums and activations alone, with no gate, norm or shortcut (a recurrent cell written out, over so many steps).
    ``is_head``: its output leaves the model. ``returned_too``: what it gives, or an elementwise function of that, is
    used within the model and is besides one of its outputs, but not the one that a loss was measured from. ``origin``:
    "constructed", "cloned" (in a slot of a container, deepcopy of the layer that fills the other slots) or "copied"
    (part of a copied model). ``aliases``: every name of one instance, in order, ``name`` first; ``aliased_at``: where
    the outermost module was made that stands under several names and holds this layer, None where the layer has one
    name. ``handed``: the call that a loop makes layers by, each of which is handed one and the same module, made before
    the loop and held by nothing else, whose first layer this is; None where there is no such loop. ``order``: see
    Write.order. ``within``: qualified name of the function whose statement made it ("Net.__init__"). Where it is to be
    mended: ``repeated_at`` is the ``[Layer(...)] * n`` that holds the layer of ``aliased_at``; ``template_at`` is where
    the layer was made that this one is a copy of, in the same function. Both are None where there is no such place.
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
    product_normalized: bool = UNKNOWN
    ends_branch: bool = UNKNOWN
    sum_normalized: bool = UNKNOWN
    joined: tuple[str, ...] = UNKNOWN
    returns: int = UNKNOWN
    is_head: bool = UNKNOWN
    returned_too: bool = UNKNOWN
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
        """One of ``MAPS``, or "norm", "embedding", "recurrent", "attention", "activation" or "other"."""
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


KERNELS = ("convolution", "transposed")
MAPS = ("linear", "bilinear", *KERNELS)
"""Families of layers whose weight is all there is of a linear map."""

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
        return 1 if vector or family in MAPS else None
    if attribute != "weight":
        return None
    if family in KERNELS:
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
class ResidualStream(Fact):
    """A signal to which branches are added one after another, with no norm on it nor on any of the branches.

    ``ends`` are the last layers of the branches, in order, two at least; a layer that ends several comes as often.
    ``inner`` are, branch by branch, the layers before that one. ``entry``: the layer that gives the signal which the
    first branch takes, None where no one layer does (an embedding, a position added).
    """

    ends: tuple[Layer, ...]
    inner: tuple[tuple[Layer, ...], ...] = UNKNOWN
    entry: Layer | None = UNKNOWN
