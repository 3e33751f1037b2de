"""What calls in a script mean: which set the seed, make a model, wrap one, or make an optimiser."""

from __future__ import annotations

import ast
from typing import Any

from initlint.record import record
from initlint.source.interpreter.classes import torch_layer
from initlint.source.interpreter.state import Unit
from initlint.source.interpreter.values import Class, Func, Ref
from initlint.source.tables.constructors import KINDS
from initlint.source.tables.layers import CONTAINERS

NOTHING: Any = object()
"""What is nothing that is followed."""


@record(frozen=True, slots=True)
class Maker:
    """What is known of the call that made something: ``fresh``: a layer with parameters that are new; ``drawn``: what
    it makes may well be a model drawn at random (and not loaded)."""

    fresh: bool = False
    drawn: bool = False


class Thing:
    """What a call made, perhaps a model. ``inner`` is the model that it wraps and stores under "module"."""

    __slots__ = ("inner", "maker", "trained")

    def __init__(self, maker: Maker, inner: Thing | None = None) -> None:
        self.maker = maker
        self.inner = inner
        self.trained = False

    @property
    def root(self) -> Thing:
        """The model itself."""
        return self if self.inner is None else self.inner.root


class Params:
    """The parameters of some models, or of parts of them, as (model, dotted part)."""

    __slots__ = ("of",)

    def __init__(self, of: list[tuple[Thing, str]]) -> None:
        self.of = of


_NOT_TORCH = ("numpy.random.", "np.random.", "random.", "tensorflow.", "tf.", "jax.")
_SEED_WORDS = ("seed", "determin", "reproduc")


def is_seed(name: str) -> bool:
    """Whether a call sets torch's global seed, as far as its name tells (a generator's own does not)."""
    last = name.rpartition(".")[2].lower()
    if "(" in name or name.startswith(_NOT_TORCH) or not any(word in last for word in _SEED_WORDS):
        return False
    if last in ("seed", "initial_seed", "use_deterministic_algorithms", "get_seed", "parse_seed"):
        return False
    if last.startswith("manual_seed"):
        return name.startswith("torch.")
    return not last.startswith(("get_", "make_", "parse_", "generate_", "sample_"))


_SEEDING = frozenset(
    {
        *("seed", "seeds", "seeding", "everything", "all", "random", "manual", "global", "torch", "pytorch", "rng"),
        *("set", "setup", "fix", "init", "initialize", "ensure", "enable", "deterministic", "determinism"),
        *("reproducible", "reproducibility"),
    }
)


def is_plainly_seed(name: str) -> bool:
    """Whether a function that sets a seed, as far as its name tells, has a name that says nothing else.

    ``set_seed``, ``seed_everything``, ``fix_all_seeds``; not ``exclude_seed_edges``, of which nothing is known.
    """
    words = name.rpartition(".")[2].lower().strip("_").split("_")
    return _SEEDING.issuperset(words)


def seeds_by_itself(name: str, node: ast.Call) -> bool:
    """Whether what a call makes seeds torch, it is not known when: transformers' Trainer, a ``seed=`` handed on."""
    last = name.rpartition(".")[2]
    if last.endswith(("Trainer", "TrainingArguments")):
        return not name.startswith(("lightning", "pytorch_lightning", "pl."))
    return any(keyword.arg is not None and "seed" in keyword.arg for keyword in node.keywords) and not last.startswith(
        ("add_argument", "train_test_split", "RandomState", "default_rng", "KFold")
    )


def is_optimizer(name: str) -> bool:
    """Whether a call makes an optimiser of torch's, or a library's of the same kind."""
    module, _, last = name.rpartition(".")
    return (module in ("torch.optim", "transformers", "transformers.optimization") and last[:1].isupper()) and (
        module == "torch.optim" or last in ("AdamW", "Adafactor")
    )


def wraps(name: str) -> str:
    """The prefix that wrapping a model adds to its keys ("module."), "same" where none is added, "" for no wrapper."""
    if name in ("torch.nn.DataParallel", "torch.nn.parallel.DistributedDataParallel", "torch.nn.parallel.DataParallel"):
        return "module."
    return "same" if name in ("torch.compile", "torch.jit.script") or name.endswith(".convert_sync_batchnorm") else ""


def makes(name: str, node: ast.Call, unit: Unit) -> Maker:
    """What a call of that canonical name makes."""
    loads = any(
        keyword.arg in ("pretrained", "weights", "checkpoint", "ckpt")
        and not (isinstance(keyword.value, ast.Constant) and not keyword.value.value)
        for keyword in node.keywords
    )
    kind = torch_layer(name)
    if kind is not None:
        inner = [part for part in node.args if isinstance(part, ast.Call)]
        fresh = (kind in KINDS and _has_parameters(kind)) or (
            kind in CONTAINERS and any(makes(_full(part.func, unit), part, unit).fresh for part in inner)
        )
        return Maker(fresh, fresh)
    held = unit.globals.get(name)
    if isinstance(held, Class):
        return Maker(held.info.is_module and _holds_layers(held), held.info.is_module and not loads)
    if isinstance(held, Func):
        return Maker()
    words = name.lower()
    library = name.startswith(("torchvision.models.", "timm.create_model", "segmentation_models_pytorch."))
    if loads or "pretrained" in words or "load" in words or name.startswith("segmentation_models_pytorch."):
        return Maker()
    return Maker(False, library or name.rpartition(".")[2][:1].isupper())


def _has_parameters(kind: str) -> bool:
    return bool(KINDS[kind].makes(dict(KINDS[kind].parameters)))


def _holds_layers(held: Class) -> bool:
    """Whether the constructor of a class assigns calls, as those of modules with parts do."""
    constructor = held.info.methods.get("__init__")
    return constructor is not None and any(
        isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) for node in ast.walk(constructor)
    )


def _full(node: ast.expr, unit: Unit) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return "?"
    held = unit.globals.get(node.id)
    return ".".join((held.name if isinstance(held, Ref) else node.id, *reversed(parts)))
