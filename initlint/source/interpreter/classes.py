"""Classes as they were read: bases, methods, and how a name is looked up along them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from initlint.record import field, record
from initlint.regex import pattern
from initlint.source.interpreter.values import Cell, Class, Ref, Value
from initlint.source.tables.constructors import KINDS
from initlint.source.tables.layers import ABSTRACT, CONTAINERS

if TYPE_CHECKING:
    from initlint.source.interpreter.state import Unit

Function = ast.FunctionDef | ast.AsyncFunctionDef

_OTHER_LAYERS = frozenset(
    {
        "Transformer",
        "TransformerEncoder",
        "TransformerDecoder",
        "TransformerEncoderLayer",
        "TransformerDecoderLayer",
        "NonDynamicallyQuantizableLinear",
    }
)
_MODULE_NAMES = (
    "LightningModule",
    "PreTrainedModel",
    "BaseModule",
    "ModelMixin",
    "GradientCheckpointingLayer",
    "MessagePassing",
    "PyTorchModelHubMixin",
    "BaseModel",
    "ScriptModule",
    "FairseqEncoder",
    "FairseqDecoder",
    "FairseqIncrementalDecoder",
    "FairseqModel",
    "FairseqEncoderDecoderModel",
    "FairseqEncoderModel",
    "FairseqLanguageModel",
    "AbsESPnetModel",
    "Module",
)
_MODULES_OF_LIBRARIES = pattern(
    r"(?:timm\.(?:models|layers)|torchvision\.(?:models|ops)|torch_geometric\.nn|mmcv\.(?:cnn|ops)|diffusers\.models)\."
    r"(?:\w+\.)*[A-Z]\w*(?<!Weights)(?<!Config)(?<!Output)(?<!Cfg)$|"
    r"transformers\.(?:\w+\.)*[A-Z]\w*(?:Model|Layer|Encoder|Decoder|Attention|MLP|Embeddings|For[A-Z]\w*)$"
)
PLAIN_BASES = frozenset(
    {
        "torch.nn.Module",
        "object",
        "abc.ABC",
        "typing.Generic",
        "typing.Protocol",
        "lightning.LightningModule",
        "pytorch_lightning.LightningModule",
        "lightning.pytorch.LightningModule",
        "torch.jit.ScriptModule",
        "transformers.modeling_layers.GradientCheckpointingLayer",
    }
)
"""Bases outside the file that neither make, initialise nor ask for the initialisation of parameters."""


@record(slots=True, eq=False)
class ClassInfo:
    """One class statement. ``bases`` are what its base expressions evaluated to, ``cell`` its attributes."""

    name: str
    node: ast.ClassDef
    unit: Unit
    bases: tuple[Value, ...]
    cell: Cell
    closure: tuple[Cell, ...] = ()
    methods: dict[str, Function] = field(default_factory=dict)
    decorated: dict[str, Value] = field(default_factory=dict)
    """What decorators that were read made of methods, by their names."""
    lineage: tuple[ClassInfo, ...] = ()
    """The class itself and those of its ancestors that were read, in the order names are looked up (nearly)."""
    _is_plain: bool | None = None
    _is_module: bool | None = None
    _kind: str | None = None

    def __post_init__(self) -> None:
        seen: dict[int, ClassInfo] = {id(self): self}
        for base in self.bases:
            if isinstance(base, Class):
                for info in base.info.lineage:
                    seen.setdefault(id(info), info)
        self.lineage = tuple(seen.values())

    @property
    def outside(self) -> Iterator[Value]:
        """The bases of the whole lineage that were not read (canonical names, or wholly unknown)."""
        for info in self.lineage:
            for base in info.bases:
                if not isinstance(base, Class):
                    yield base

    @property
    def is_plain(self) -> bool:
        """Whether every base that was not read is known to leave parameters alone."""
        if self._is_plain is None:
            self._is_plain = all(
                isinstance(base, Ref) and (base.name in PLAIN_BASES or torch_layer(base.name) is not None)
                for base in self.outside
            )
        return self._is_plain

    @property
    def is_module(self) -> bool:
        """Whether it derives from nn.Module as far as can be told; a base of unknown kind counts as no."""
        if self._is_module is None:
            self._is_module = any(isinstance(base, Ref) and is_module_name(base.name) for base in self.outside)
        return self._is_module

    @property
    def kind(self) -> str:
        """The nearest class of torch.nn that it derives from, "Module" at the least."""
        if self._kind is None:
            names = (torch_layer(base.name) for base in self.outside if isinstance(base, Ref))
            self._kind = next((name for name in names if name is not None and name != "Module"), "Module")
        return self._kind

    def method(self, name: str) -> tuple[Function, ClassInfo] | None:
        """The function that ``name`` is looked up to, and the class that holds it."""
        for info in self.lineage:
            found = info.methods.get(name)
            if found is not None:
                return found, info
        return None

    @property
    def is_abstract(self) -> bool:
        """Whether some method of it is still abstract."""
        if any(isinstance(base, Ref) and base.name.rpartition(".")[2] == "Protocol" for base in self.outside):
            return True
        concrete: set[str] = set()
        for info in self.lineage:
            for name, function in info.methods.items():
                if name in concrete:
                    continue
                concrete.add(name)
                if any(_last(decorator).startswith("abstract") for decorator in function.decorator_list):
                    return True
        return False


def _last(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def torch_layer(name: str) -> str | None:
    """The undotted name of a class of torch.nn that is a module, None for anything else."""
    if not name.startswith("torch.nn."):
        return None
    rest = name[9:]
    if rest == "Module" or rest in KINDS or rest in CONTAINERS or rest in ABSTRACT or rest in _OTHER_LAYERS:
        return rest
    return None


def is_module_name(name: str) -> bool:
    """Whether a class outside the file is an nn.Module, going by its name."""
    if torch_layer(name) is not None or name.rpartition(".")[2].endswith(_MODULE_NAMES):
        return True
    return _MODULES_OF_LIBRARIES.match(name) is not None


def class_name(name: str) -> str:
    """The last part of a dotted name."""
    return name.rpartition(".")[2]
