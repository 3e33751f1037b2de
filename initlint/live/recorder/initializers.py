"""The functions of torch.nn.init, as they are when nothing is recorded, and how their arguments bind."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

__all__ = ["BY_CODE", "DEFAULTS", "INITIALIZERS", "bound_arguments"]

INITIALIZERS: dict[str, Callable[..., Any]] = {
    name: function for name, function in vars(nn.init).items() if name in nn.init.__all__ and name != "calculate_gain"
}
"""The functions of torch.nn.init as they are when nothing is recorded."""
BY_CODE = {function.__code__: name for name, function in INITIALIZERS.items() if name.endswith("_")}
"""The name of the initialiser that a code object is the body of."""
DEFAULTS = {
    name: {key: p.default for key, p in inspect.signature(INITIALIZERS.get(name + "_", function)).parameters.items()}
    for name, function in INITIALIZERS.items()
}
"""The parameters of each initialiser with their defaults, ``Parameter.empty`` where there is none."""


def bound_arguments(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any] | None:
    """The arguments of an initialiser by name, defaults included; None where the call will be refused."""
    defaults = DEFAULTS[name]
    given = {**dict(zip(defaults, args, strict=False)), **kwargs}
    if len(args) > len(defaults) or not given.keys() <= defaults.keys():
        return None
    bound = {**defaults, **given}
    return None if any(value is inspect.Parameter.empty for value in bound.values()) else bound
