"""The table of initialisers: what each is called, what it takes, and which argument is the thing it writes.

Rows are by canonical name. ``trunc_normal_(w, 0.02)`` passes a mean in torch and a standard deviation elsewhere,
so nothing may be concluded from a name alone.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from initlint.record import NamedTuple
from initlint.theory.schemes import DEPRECATED

REQUIRED: Any = object()


class Row(NamedTuple):
    """One initialiser.

    ``parameters`` are (name, default) in order, the written tensor or module left out; ``target`` is its position
    among the positional arguments (-1: the receiver of a method). ``same_as`` names the torch function that draws
    the same values from the same arguments, None where there is none. ``takes_module``: it is given a module and
    writes its weight and bias. ``deprecated``: a spelling that torch has kept only for old code.

    ``own``: a function that a configuration names. ``meanings`` then maps the names of torch's parameters to its own,
    and nothing is known of its other ones.
    """

    function: str
    target_name: str
    parameters: tuple[tuple[str, Any], ...]
    target: int = 0
    same_as: str | None = None
    takes_module: bool = False
    deprecated: bool = False
    own: bool = False
    meanings: tuple[tuple[str, str], ...] = ()


_SCHEMES: dict[str, tuple[tuple[str, Any], ...]] = {
    "uniform_": (("a", 0.0), ("b", 1.0), ("generator", None)),
    "normal_": (("mean", 0.0), ("std", 1.0), ("generator", None)),
    "trunc_normal_": (("mean", 0.0), ("std", 1.0), ("a", -2.0), ("b", 2.0), ("generator", None)),
    "constant_": (("val", REQUIRED),),
    "ones_": (),
    "zeros_": (),
    "eye_": (),
    "dirac_": (("groups", 1),),
    "xavier_uniform_": (("gain", 1.0), ("generator", None)),
    "xavier_normal_": (("gain", 1.0), ("generator", None)),
    "kaiming_uniform_": (("a", 0), ("mode", "fan_in"), ("nonlinearity", "leaky_relu"), ("generator", None)),
    "kaiming_normal_": (("a", 0), ("mode", "fan_in"), ("nonlinearity", "leaky_relu"), ("generator", None)),
    "orthogonal_": (("gain", 1), ("generator", None)),
    "sparse_": (("sparsity", REQUIRED), ("std", 0.01), ("generator", None)),
}
NOT_INITIALISERS = frozenset(
    {
        "calculate_gain",
        "_calculate_fan_in_and_fan_out",
        "_calculate_correct_fan",
        "torch",
        "math",
        "warnings",
        "Tensor",
        "annotations",
        "_no_grad_trunc_normal_",
        "_no_grad_normal_",
        "_no_grad_uniform_",
        "_no_grad_fill_",
        "_no_grad_zero_",
        "__name__",
        "__doc__",
        "__file__",
        "__all__",
    }
)
"""Attributes of torch.nn.init that initialise nothing themselves."""


def _rows() -> dict[str, Row]:
    rows: dict[str, Row] = {}

    def add(function: str, *parameters: tuple[str, Any], target_name: str = "tensor", **more: Any) -> None:
        rows[function] = Row(function, target_name, parameters, **more)

    for name, parameters in _SCHEMES.items():
        torch_name = f"torch.nn.init.{name}"
        add(torch_name, *parameters, same_as=torch_name)
        add(f"transformers.initialization.{name}", *parameters, same_as=torch_name)
    add("transformers.initialization.copy_", ("other", REQUIRED))
    for old in DEPRECATED:
        add(f"torch.nn.init.{old}", *_SCHEMES[old + "_"], same_as=f"torch.nn.init.{old}_", deprecated=True)

    for name, given, same in (
        ("normal_", (("mean", 0.0), ("std", 1.0), ("generator", None)), "torch.nn.init.normal_"),
        ("uniform_", (("from", 0.0), ("to", 1.0), ("generator", None)), "torch.nn.init.uniform_"),
        ("zero_", (), "torch.nn.init.zeros_"),
        ("fill_", (("value", REQUIRED),), "torch.nn.init.constant_"),
        ("copy_", (("src", REQUIRED), ("non_blocking", False)), None),
        ("random_", (("from", 0), ("to", None), ("generator", None)), None),
        ("log_normal_", (("mean", 1.0), ("std", 2.0), ("generator", None)), None),
        ("exponential_", (("lambd", 1.0), ("generator", None)), None),
        ("bernoulli_", (("p", 0.5), ("generator", None)), None),
        ("cauchy_", (("median", 0.0), ("sigma", 1.0), ("generator", None)), None),
        ("geometric_", (("p", REQUIRED), ("generator", None)), None),
    ):
        add(f"torch.Tensor.{name}", *given, target_name="self", target=-1, same_as=same)

    truncated = _SCHEMES["trunc_normal_"][:-1]
    add("timm.layers.trunc_normal_", *truncated, same_as="torch.nn.init.trunc_normal_")
    add("timm.layers.trunc_normal_tf_", *truncated)
    add("timm.layers.variance_scaling_", ("scale", 1.0), ("mode", "fan_in"), ("distribution", "normal"))
    add("timm.layers.lecun_normal_")
    add("transformers.initialization.lecun_normal_")
    add("transformers.initialization.default_flax_embed_init_")
    called, classifier = ("name", REQUIRED), ("classifier_name", "head")
    own: dict[str, Any] = {"target_name": "module", "takes_module": True}
    add("timm.layers.init_weight_vit", called, ("init_bias", 0.02), ("head_bias", 0.0), classifier, **own)
    add("timm.layers.init_weight_jax", called, ("head_bias", 0.0), classifier, **own)

    mean, bias, kind = ("mean", 0), ("bias", 0), ("distribution", "normal")
    of_modules: dict[str, tuple[tuple[str, Any], ...]] = {
        "constant_init": (("val", REQUIRED), bias),
        "xavier_init": (("gain", 1), bias, kind),
        "normal_init": (mean, ("std", 1), bias),
        "trunc_normal_init": (mean, ("std", 1), ("a", -2), ("b", 2), bias),
        "uniform_init": (("a", 0), ("b", 1), bias),
        "kaiming_init": (("a", 0), ("mode", "fan_out"), ("nonlinearity", "relu"), bias, kind),
        "caffe2_xavier_init": (bias,),
    }
    for name, passed in of_modules.items():
        add(f"mmengine.model.{name}", *passed, **own)
    add("fvcore.nn.weight_init.c2_xavier_fill", **own)
    add("fvcore.nn.weight_init.c2_msra_fill", **own)

    pyg = "torch_geometric.nn.inits."
    add(f"{pyg}glorot", target_name="value")
    add(f"{pyg}glorot_orthogonal", ("scale", REQUIRED))
    add(f"{pyg}zeros", target_name="value", same_as="torch.nn.init.zeros_")
    add(f"{pyg}ones", target_name="tensor", same_as="torch.nn.init.ones_")
    add(f"{pyg}constant", ("fill_value", REQUIRED), target_name="value")
    add(f"{pyg}uniform", ("size", REQUIRED), target_name="value", target=1)
    add(f"{pyg}kaiming_uniform", ("fan", REQUIRED), ("a", REQUIRED), target_name="value")
    add(f"{pyg}normal", ("mean", REQUIRED), ("std", REQUIRED), target_name="value")
    return rows


ROWS = _rows()

NEW_LIKE = {
    f"torch.{name}_like": Row(f"torch.{name}_like", "input", ())
    for name in ("empty", "zeros", "ones", "full", "rand", "randn")
}
"""Functions that make a new tensor of another one's shape: as a statement by itself, an initialisation that is lost."""

TENSOR_METHODS = {name.rpartition(".")[2]: row for name, row in ROWS.items() if name.startswith("torch.Tensor.")}
"""In-place methods that set every value of a tensor, by method name."""

CHANGING_METHODS = frozenset(
    [
        "mul_",
        "div_",
        "add_",
        "sub_",
        "clamp_",
        "clamp_min_",
        "clamp_max_",
        "abs_",
        "neg_",
        "sqrt_",
        "rsqrt_",
        "pow_",
        "exp_",
        "log_",
        "log1p_",
        "expm1_",
        "sign_",
        "tanh_",
        "sigmoid_",
        "erfinv_",
        "masked_fill_",
        "index_fill_",
        "index_copy_",
        "scatter_",
        "masked_scatter_",
        "fill_diagonal_",
        "lerp_",
        "addcmul_",
        "addcdiv_",
        "squeeze_",
        "unsqueeze_",
        "transpose_",
        "t_",
        "resize_",
        "set_",
        "triu_",
        "tril_",
        "renorm_",
        "round_",
        "floor_",
        "put_",
        "index_put_",
        "index_add_",
        "scatter_add_",
        "swapaxes_",
    ]
)
"""In-place methods that change a tensor in a way that depends on what it held (or where)."""

_PREFIXES = (
    ("torch.nn.init.", "torch.nn.init."),
    ("transformers.initialization.", "transformers.initialization."),
    ("timm.layers.weight_init.", "timm.layers."),
    ("timm.models.layers.weight_init.", "timm.layers."),
    ("timm.models.layers.", "timm.layers."),
    ("timm.layers.", "timm.layers."),
    ("mmengine.model.weight_init.", "mmengine.model."),
    ("mmengine.model.", "mmengine.model."),
    ("mmcv.cnn.utils.weight_init.", "mmengine.model."),
    ("mmcv.cnn.weight_init.", "mmengine.model."),
    ("mmcv.cnn.", "mmengine.model."),
    ("fvcore.nn.weight_init.", "fvcore.nn.weight_init."),
    ("fvcore.nn.", "fvcore.nn.weight_init."),
    ("torch_geometric.nn.inits.", "torch_geometric.nn.inits."),
)


@functools.lru_cache(maxsize=4_000)
def lookup(name: str) -> Row | None:
    """The row of a canonical dotted name, None if it is no initialiser that is known.

    A function that torch.nn.init does not have still gives a row (rule INI511 looks for those), whose
    ``target_name`` is "tensor" and which has no parameters.
    """
    for prefix, home in _PREFIXES:
        if name.startswith(prefix):
            rest = name[len(prefix) :]
            row = ROWS.get(home + rest)
            if row is not None:
                return row
            if home == "torch.nn.init." and "." not in rest and rest not in NOT_INITIALISERS:
                return Row(home + rest, "tensor", ())
            if home == prefix:
                return None
    return None


class Initializers:
    """The initialisers that are known to the reading of one file: those above, and those that a configuration adds."""

    def __init__(self, own: Iterable[Row] = ()) -> None:
        self._own: dict[str, list[Row]] = {}
        for row in own:
            self._own.setdefault(row.function.rpartition(".")[2], []).append(row)
        self.names = frozenset(self._own)
        """The last names of those that are added."""

    def lookup(self, name: str) -> Row | None:
        """The row of a canonical dotted name, which begins with directories where a file imports it relatively."""
        return self.own(name) or lookup(name)

    def own(self, name: str) -> Row | None:
        """The same, of those that are added alone."""
        for row in self._own.get(name.rpartition(".")[2], ()) if self._own else ():
            if name == row.function or name.endswith("." + row.function):
                return row
        return None

    def mentioned(self, data: bytes) -> bool:
        """Whether a file's bytes mention one that is added."""
        return any(name.encode() in data for name in self.names)


KNOWN = Initializers()
