"""What transformers.PreTrainedModel asks of a class derived from it: that its construction ends with post_init()."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from initlint.facts import UNKNOWN, layer_family
from initlint.source.interpreter.classes import PLAIN_BASES, ClassInfo, torch_layer
from initlint.source.interpreter.state import Unit
from initlint.source.interpreter.values import Class, Ref, Value
from initlint.source.tables.constructors import KINDS
from initlint.source.text.scan import Function, Scan
from initlint.source.text.walking import walked

if TYPE_CHECKING:
    from initlint.source.project.project import Project

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


def held(kinds: tuple[str, ...], function: ast.AST | None, owner: ClassInfo | None, scan: Scan) -> tuple[str, ...]:
    """As Target.held, of a call in ``function``, which may be a method of the class ``owner``."""
    if owner is None or not isinstance(function, ast.FunctionDef) or function.name != "_init_weights":
        return kinds
    norms = [kind for kind in kinds if layer_family(kind) == "norm"]
    if not norms or not any(is_pretrained_model(base) for base in owner.outside):
        return kinds
    own = range(function.lineno, (function.end_lineno or function.lineno) + 1)
    spans = [range(node.lineno, (node.end_lineno or node.lineno) + 1) for node in scan.classes]
    made = {
        name
        for node, name in (
            *((node, node.id) for node in scan.mentioned(norms)),
            *((node, node.attr) for node in scan.asked(norms)),
        )
        if node.lineno not in own and any(node.lineno in span for span in spans)
    }
    return tuple(kind for kind in kinds if kind not in norms or kind in made)


def finished(info: ClassInfo, infos: Sequence[ClassInfo], scan: Scan, unit: Unit, project: Project | None) -> Any:
    """As ClassFacts.finished."""
    constructor = info.methods.get("__init__")
    outside = list(info.outside)
    if constructor is None or not any(is_pretrained_model(base) for base in outside):
        return UNKNOWN
    if not all(_is_known(base) for base in outside) or "PreTrained" in info.name or info.is_abstract:
        return UNKNOWN
    if constructor.decorator_list:
        return UNKNOWN  # what wraps a constructor may finish it, or build the model empty, for weights that are loaded
    if any(info in other.lineage for other in infos if other is not info):
        return UNKNOWN  # a base: what derives from it finishes the construction
    here = [part.node for part in info.lineage if part.unit is unit]
    if any(_hold(here, attribute) for attribute in scan.asked(_INITIALISE)):
        return True
    for part in info.lineage:
        if part.unit is not unit and _initialises(part.node):
            return True
    if any(isinstance(part, ast.Constant) and part.value == "post_init" for node in here for part in walked(node)):
        return UNKNOWN  # it may be called by its name
    if not _makes_layers(constructor, unit) or _hands_itself_on(constructor):
        return UNKNOWN
    derived = False if project is None else project.derives(info.name, unit.path)
    whole = derived is None and "forward" in info.methods and _offers(unit, info.name)
    return False if derived is False or whole else UNKNOWN


def _offers(unit: Unit, name: str) -> bool:
    """Whether a file's ``__all__`` has a name: then it is there to be used as it is, whoever else derives from it."""
    return any(
        isinstance(node, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets)
        and isinstance(node.value, (ast.List, ast.Tuple))
        and any(isinstance(element, ast.Constant) and element.value == name for element in node.value.elts)
        for node in unit.tree.body
    )


def _is_known(base: Value) -> bool:
    """Whether what a base's constructor does is known, as far as post_init goes."""
    if not isinstance(base, Ref):
        return False
    mixin = base.name.startswith("transformers.") and base.name.endswith("Mixin")
    return mixin or is_pretrained_model(base) or base.name in PLAIN_BASES


def _hold(nodes: Sequence[ast.ClassDef], attribute: ast.Attribute) -> bool:
    return any(node.lineno <= attribute.lineno <= (node.end_lineno or node.lineno) for node in nodes)


def _initialises(node: ast.ClassDef) -> bool:
    return any(isinstance(part, ast.Attribute) and part.attr in _INITIALISE for part in walked(node))


def _makes_layers(constructor: Function, unit: Unit) -> bool:
    """Whether a constructor makes a layer with parameters, or a module of a class that the file defines."""
    for node in walked(constructor):
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
        for node in walked(constructor)
        if isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and node.func.id == "super")
        for argument in (*node.args, *(keyword.value for keyword in node.keywords))
    )
