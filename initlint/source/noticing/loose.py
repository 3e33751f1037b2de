"""What a class does with what it holds: layers and tensors that it does not register, buffers that methods fill."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any

from initlint.facts import Loose
from initlint.source.interpreter.classes import ClassInfo
from initlint.source.interpreter.places import place
from initlint.source.interpreter.values import Either, Instance, Items, Table, Tensor, Value
from initlint.source.text.walking import walked

_OWN_REGISTRY = frozenset(
    {"parameters", "named_parameters", "modules", "named_modules", "children", "_apply", "state_dict", "__setattr__"}
)
"""A class that defines one of these may well look after what it holds."""

_HANDLING = frozenset(
    [
        "parameters",
        "named_parameters",
        "state_dict",
        "load_state_dict",
        "modules",
        "apply",
        "grad",
        "to",
        "cuda",
        "train",
        "eval",
        "share_memory",
        "requires_grad_",
        "add_module",
        "register_module",
        "register_parameter",
        "register_buffer",
    ]
)
_REGISTERING = frozenset(
    [
        "add_module",
        "register_module",
        "register_parameter",
        "setattr",
        "__setattr__",
        "ModuleList",
        "ModuleDict",
        "Sequential",
        "ParameterList",
        "ParameterDict",
        "extend",
        "update",
    ]
)
"""Calls that may give what they are handed to the module, in a method that is not followed."""

_INSIDES = frozenset({"_modules", "_parameters", "__dict__"})
_OPTIMISERS = ("Adam", "SGD", "optim", "LBFGS", "autograd")
_GRADIENTS = frozenset({"grad", "vjp", "jacobian"})


def loose(instance: Instance, info: ClassInfo, registered: Callable[[Instance | Tensor], bool]) -> Iterator[Loose]:
    """What an instance of a class that was built holds so; ``registered`` tells what stands in its tree."""
    if any(info.method(name) is not None for name in _OWN_REGISTRY):
        return
    for name, held in instance.cell.items():
        made = instance.cell.get(f"#at:{name}")
        if name.startswith("#") or made is None:
            continue
        found: dict[str, Any] | None = None
        if isinstance(held, (Items, Table)):
            found = _layers(held, registered)
        elif isinstance(held, Tensor) and not held.is_parameter and not held.buffer:
            found = _tensor(held, registered)
        if found is not None:
            used, handled = _mentions(info, name)
            yield Loose(name=name, location=place(*made), used=used, handled=handled, **found)


def _layers(held: Items | Table, registered: Callable[[Instance | Tensor], bool]) -> dict[str, Any] | None:
    held_within = list(inside(held, 0))
    if isinstance(held, Items) and len(held.known) == 1 and held.rest is None:
        return None  # the usual way to hide a module on purpose
    kinds = dict.fromkeys(one.class_name for one in held_within if _is_trained(one, 0) and not registered(one))
    return {"holder": held.kind if isinstance(held, Items) else "dict", "kinds": tuple(kinds)} if kinds else None


def inside(value: Value | None, depth: int) -> Iterator[Instance]:
    """The modules in a list, a tuple or a dictionary, and in those within."""
    if isinstance(value, Instance):
        yield value
    elif isinstance(value, Either):
        for option in value.options:
            yield from inside(option, depth)
    elif isinstance(value, (Items, Table)) and depth < 3:
        held = value.known if isinstance(value, Items) else tuple(one for _, one in value.pairs)
        for one in (*held, value.rest):
            yield from inside(one, depth + 1)


def _is_trained(module: Instance, depth: int) -> bool:
    """Whether it certainly holds a Parameter that is not frozen."""
    return any(
        (isinstance(held, Tensor) and held.is_parameter and held.trainable is True)
        or (isinstance(held, Instance) and depth < 6 and _is_trained(held, depth + 1))
        for held in module.cell.values()
    )


def _tensor(held: Tensor, registered: Callable[[Instance | Tensor], bool]) -> dict[str, Any] | None:
    derived = held.cell.get("#derived")
    if derived is not None:
        how, source = derived
        return None if registered(source) else {"holder": "tensor", "derived_by": how}
    return {"holder": "tensor", "derived_by": None} if held.cell.get("#asked") else None


def _mentions(info: ClassInfo, name: str) -> tuple[bool, bool]:
    """Whether other methods than the constructor use an attribute, and whether some method looks after it by itself."""
    used = handled = False
    for method, function in ((method, found) for one in info.lineage for method, found in one.methods.items()):
        nodes = walked(function)
        asked = [node for node in nodes if isinstance(node, ast.Attribute)]
        here = [node for node in asked if node.attr == name and _is_self(node.value)]
        if not here:
            continue
        used = used or (method != "__init__" and any(isinstance(node.ctx, ast.Load) for node in here))
        handled = (
            handled
            or any(node.attr in _HANDLING and _of(node.value, name, nodes) for node in asked)
            or any(node.attr in _INSIDES for node in asked)
            or any(isinstance(node, ast.Call) and _spells(node.func).startswith(_OPTIMISERS) for node in nodes)
            or any(_registers(node, name, nodes) for node in nodes)
            or any(_differentiates(node, name) for node in nodes)
        )
    return used, handled


def _registers(node: ast.AST, name: str, nodes: list[ast.AST]) -> bool:
    """Whether the attribute, or what it holds, is handed to something that may register it."""
    return (
        isinstance(node, ast.Call)
        and _spells(node.func) in _REGISTERING
        and any(
            isinstance(part, ast.expr) and _of(part, name, nodes)
            for argument in (*node.args, *(keyword.value for keyword in node.keywords))
            for part in walked(argument)
        )
    )


def _differentiates(node: ast.AST, name: str) -> bool:
    """Whether gradients are asked for by the attribute: an input of which one wants to know what it does."""
    return (
        isinstance(node, ast.Call)
        and _spells(node.func) in _GRADIENTS
        and any(
            isinstance(part, ast.Attribute) and part.attr == name and _is_self(part.value)
            for argument in (*node.args, *(keyword.value for keyword in node.keywords))
            for part in walked(argument)
        )
    )


def refilled(info: ClassInfo | None, name: str) -> bool:
    """Whether a buffer may be filled, or is not even read, by the methods of the class that registers it."""
    read = False
    for function in (found for one in (info.lineage if info is not None else ()) for found in one.methods.values()):
        for node in walked(function):
            if isinstance(node, ast.Constant) and node.value == name and function.name != "__init__":
                return True  # it is reached by its name
            if isinstance(node, (ast.Call, ast.Assign, ast.AugAssign)) and _fills(node, name):
                return True
            if isinstance(node, ast.Attribute) and node.attr == name and isinstance(node.ctx, ast.Load):
                read = read or function.name != "__init__"
    return not read


def _fills(node: ast.Call | ast.Assign | ast.AugAssign, name: str) -> bool:
    if not isinstance(node, ast.Call):
        return any(
            _is_part(target, name) for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        )
    function = node.func
    pure = False
    if isinstance(function, ast.Attribute):
        if function.attr.endswith("_") and _is_part(function.value, name):
            return True
        pure = isinstance(function.value, ast.Name) and function.value.id in ("torch", "F")
    given = [] if pure else list(node.args)
    given += [keyword.value for keyword in node.keywords if keyword.arg == "out" or not pure]
    return any(_is_part(argument, name) for argument in given)


def _is_part(node: ast.expr, name: str) -> bool:
    """Whether an expression is ``self.<name>`` or a part of it."""
    while isinstance(node, (ast.Subscript, ast.Attribute, ast.Call)):
        if isinstance(node, ast.Attribute) and node.attr == name:
            return True
        node = node.func if isinstance(node, ast.Call) else node.value
    return False


def _of(node: ast.expr, name: str, nodes: list[ast.AST]) -> bool:
    """Whether an expression is the attribute, one of its elements, or a variable of a loop over it."""
    while isinstance(node, (ast.Subscript, ast.Call)):
        node = node.value if isinstance(node, ast.Subscript) else node.func
    if isinstance(node, ast.Attribute):
        return (node.attr == name and _is_self(node.value)) or _of(node.value, name, nodes)
    if not isinstance(node, ast.Name):
        return False
    for loop in nodes:
        if not isinstance(loop, (ast.For, ast.comprehension)):
            continue
        bound = any(isinstance(part, ast.Name) and part.id == node.id for part in walked(loop.target))
        if bound and any(isinstance(part, ast.Attribute) and part.attr == name for part in walked(loop.iter)):
            return True
    return False


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def _spells(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
