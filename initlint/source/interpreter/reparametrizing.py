"""Reparametrisations: a parameter becomes something that is computed from others at each forward."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from initlint.source.interpreter.modules import constant
from initlint.source.interpreter.values import UNSEEN, Const, Instance, Tensor, Value

if TYPE_CHECKING:
    from initlint.source.interpreter.modules import Modules

_COMPUTING = frozenset(
    [
        "torch.nn.utils.weight_norm",
        "torch.nn.utils.parametrizations.weight_norm",
        "torch.nn.utils.parametrizations.spectral_norm",
        "torch.nn.utils.parametrizations.orthogonal",
    ]
)
"""What is read afterwards shares no memory with what was there (the old spectral_norm's does, up to a forward)."""

_UNDOING = frozenset(["torch.nn.utils.remove_weight_norm", "torch.nn.utils.parametrize.remove_parametrizations"])

WRAPPERS = (
    "torch.nn.utils.weight_norm",
    "torch.nn.utils.spectral_norm",
    "torch.nn.utils.remove_",
    "torch.nn.utils.parametrizations.",
    "torch.nn.utils.parametrize.",
    "torch.nn.utils.prune.",
)


def wrap(machine: Modules, function: str, positional: list[Value], keywords: dict[str, Value]) -> Value:
    """Call one of ``WRAPPERS``; returns the module that it is given.

    ``#lost`` in the cell of a tensor that is computed from then on collects what is written into it, ``#computed`` says
    what computes it.
    """
    module = positional[0] if positional else keywords.get("module", UNSEEN)
    given = positional[1] if len(positional) > 1 else keywords.get("name", keywords.get("tensor_name", Const("weight")))
    machine.taint(module)
    name = constant(given, None)
    held: Any = module.cell.get(name) if isinstance(module, Instance) and isinstance(name, str) else None
    if isinstance(held, Tensor):
        computing = function in _COMPUTING
        if computing or function in _UNDOING:
            machine.put(held.cell, "#computed", function if computing else None)
            machine.put(held.cell, "#lost", () if computing else None)
    return module
