"""What transformers.PreTrainedModel asks of a class derived from it: that its construction ends with post_init()."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from initlint.facts import UNKNOWN
from initlint.source.classes import PLAIN_BASES, ClassInfo, torch_layer
from initlint.source.constructors import KINDS
from initlint.source.scan import Function, Scan
from initlint.source.state import Unit
from initlint.source.values import Class, Ref, Value

if TYPE_CHECKING:
    from initlint.source.project import Project

_INITIALISE = frozenset(
    {
        "post_init",
        "init_weights",
        "initialize_weights",
        "_initialize_weights",
        "_init_weights",
        "reset_parameters",
        "apply",
        "smart_apply",
        "modules",
        "named_modules",
        "parameters",
        "named_parameters",
        "from_pretrained",
        "load_state_dict",
    }
)
"""Methods by which a class may see to its own initial values."""


def is_pretrained_model(value: Value) -> bool:
    """Whether a base is PreTrainedModel, or one of the abstract classes that each model of transformers has."""
    return (
        isinstance(value, Ref)
        and value.name.startswith("transformers.")
        and value.name.endswith("PreTrainedModel")
        and not value.name.rpartition(".")[2].startswith(("TF", "Flax"))
    )


def finished(info: ClassInfo, infos: Sequence[ClassInfo], scan: Scan, unit: Unit, project: Project | None) -> Any:
    """As ClassFacts.finished."""
    constructor = info.methods.get("__init__")
    outside = list(info.outside)
    if constructor is None or not any(is_pretrained_model(base) for base in outside):
        return UNKNOWN
    if not all(_is_known(base) for base in outside) or "PreTrained" in info.name or info.is_abstract:
        return UNKNOWN
    if any(info in other.lineage for other in infos if other is not info):
        return UNKNOWN  # a base: what derives from it finishes the construction
    here = [part.node for part in info.lineage if part.unit is unit]
    if any(attribute.attr in _INITIALISE and _hold(here, attribute) for attribute in scan.attributes):
        return True
    for part in info.lineage:
        if part.unit is not unit and _initialises(part.node):
            return True
    if not _makes_layers(constructor, unit) or _hands_itself_on(constructor):
        return UNKNOWN
    return False if project is None or project.derives(info.name, unit.path) is False else UNKNOWN


def _is_known(base: Value) -> bool:
    """Whether what a base's constructor does is known, as far as post_init goes."""
    if not isinstance(base, Ref):
        return False
    mixin = base.name.startswith("transformers.") and base.name.endswith("Mixin")
    return mixin or is_pretrained_model(base) or base.name in PLAIN_BASES


def _hold(nodes: Sequence[ast.ClassDef], attribute: ast.Attribute) -> bool:
    return any(node.lineno <= attribute.lineno <= (node.end_lineno or node.lineno) for node in nodes)


def _initialises(node: ast.ClassDef) -> bool:
    return any(isinstance(part, ast.Attribute) and part.attr in _INITIALISE for part in ast.walk(node))


def _makes_layers(constructor: Function, unit: Unit) -> bool:
    """Whether a constructor makes a layer with parameters, or a module of a class that the file defines."""
    for node in ast.walk(constructor):
        if not isinstance(node, ast.Call):
            continue
        callee = node.func
        held: Value | None = None
        if isinstance(callee, ast.Name):
            held = unit.globals.get(callee.id)
        elif isinstance(callee, ast.Attribute) and isinstance(callee.value, ast.Name):
            base = unit.globals.get(callee.value.id)
            held = Ref(f"{base.name}.{callee.attr}") if isinstance(base, Ref) else None
        if isinstance(held, Class) and held.info.is_module:
            return True
        kind = torch_layer(held.name) if isinstance(held, Ref) else None
        if kind in KINDS and any(word in ("weight", "bias", "weight_ih_l0") for word in _parameters(kind)):
            return True
    return False


def _parameters(kind: str) -> list[str]:
    return [row.name for row in KINDS[kind].makes(dict(KINDS[kind].parameters))]


def _hands_itself_on(constructor: Function) -> bool:
    """Whether the constructor gives ``self`` to a function, which may initialise it."""
    own = constructor.args.args[0].arg if constructor.args.args else "self"
    return any(
        isinstance(argument, ast.Name) and argument.id == own
        for node in ast.walk(constructor)
        if isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and node.func.id == "super")
        for argument in (*node.args, *(keyword.value for keyword in node.keywords))
    )
