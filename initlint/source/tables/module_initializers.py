"""Initialisers that are given a module: what each of them does to its weight and bias.

As in mmengine 0.10 (mmcv before 2.0 had them too) and fvcore 0.1.5; a weight or bias that is None is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from initlint.facts import known

Deed = tuple[str, str, Mapping[str, Any]]
"""An attribute, the torch function that writes it, and its arguments."""


def _filled(bias: Any) -> Deed:
    return "bias", "torch.nn.init.constant_", {"val": bias}


def _plainly(function: str, *names: str) -> Callable[[Mapping[str, Any]], tuple[Deed, ...]]:
    def deeds(given: Mapping[str, Any]) -> tuple[Deed, ...]:
        passed = {name: given[name] for name in names}
        return ("weight", f"torch.nn.init.{function}", passed), _filled(given["bias"])

    return deeds


def _by_distribution(function: str, *names: str) -> Callable[[Mapping[str, Any]], tuple[Deed, ...]]:
    """``distribution`` chooses between the normal and the uniform kind."""

    def deeds(given: Mapping[str, Any]) -> tuple[Deed, ...]:
        kind = given["distribution"]
        if not known(kind) or kind not in ("normal", "uniform"):
            return ()
        passed = {name: given[name] for name in names}
        return ("weight", f"torch.nn.init.{function}_{kind}_", passed), _filled(given["bias"])

    return deeds


def _fixed(function: str, **passed: Any) -> Callable[[Mapping[str, Any]], tuple[Deed, ...]]:
    return lambda given: (("weight", f"torch.nn.init.{function}", passed), _filled(given.get("bias", 0)))


_DEEDS: Mapping[str, Callable[[Mapping[str, Any]], tuple[Deed, ...]]] = {
    "mmengine.model.constant_init": _plainly("constant_", "val"),
    "mmengine.model.normal_init": _plainly("normal_", "mean", "std"),
    "mmengine.model.trunc_normal_init": _plainly("trunc_normal_", "mean", "std", "a", "b"),
    "mmengine.model.uniform_init": _plainly("uniform_", "a", "b"),
    "mmengine.model.xavier_init": _by_distribution("xavier", "gain"),
    "mmengine.model.kaiming_init": _by_distribution("kaiming", "a", "mode", "nonlinearity"),
    "mmengine.model.caffe2_xavier_init": _fixed("kaiming_uniform_", a=1, mode="fan_in", nonlinearity="leaky_relu"),
    "fvcore.nn.weight_init.c2_xavier_fill": _fixed("kaiming_uniform_", a=1, mode="fan_in", nonlinearity="leaky_relu"),
    "fvcore.nn.weight_init.c2_msra_fill": _fixed("kaiming_normal_", a=0, mode="fan_out", nonlinearity="relu"),
}


def deeds(function: str, arguments: Mapping[str, Any]) -> tuple[Deed, ...]:
    """What a call of ``function`` writes of the module it is given; nothing where that is not known."""
    found = _DEEDS.get(function)
    return () if found is None else found(arguments)
