"""What state dicts were loaded into a model that is not strict about them, and what they left as it was."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from initlint.facts import Incident
from initlint.live.recorder.events import place
from initlint.live.recorder.provenance import Site

__all__ = ["Load", "Loads"]

_CALL = "load_state_dict(strict=False)"


@dataclass(frozen=True, slots=True)
class Load:
    """One call of load_state_dict.

    ``matched``: some key of it was one of the module's. ``form``: why none was, as Incident says of "unmatched".
    ``left`` are the parameters that it left as they were, by id, each with the key of the same shape, unused, whose
    name differs in one place.
    """

    module: weakref.ref[nn.Module]
    order: int
    sites: tuple[Site, ...]
    matched: bool
    form: str
    left: Mapping[int, tuple[weakref.ref[torch.Tensor], str]]


class Loads:
    """Every load of one construction, in order."""

    def __init__(self) -> None:
        self._all: list[Load] = []

    def note(self, module: nn.Module, state: Any, outcome: Any, order: int, sites: tuple[Site, ...]) -> None:
        """Note a load by what it was given and the keys that it says are missing or unexpected."""
        missing, unexpected = getattr(outcome, "missing_keys", None), getattr(outcome, "unexpected_keys", None)
        if not isinstance(state, Mapping) or missing is None or unexpected is None:
            return
        matched = not state or len(unexpected) < len(state)
        form = "" if matched or not missing else _form(state, missing)
        left = {} if not matched else _left(module, state, missing, unexpected)
        self._all.append(Load(weakref.ref(module), order, sites, matched, form, left))

    def incidents(self, names: Mapping[int, str]) -> Iterator[tuple[int, Incident]]:
        """The loads that matched nothing, each with its order; ``names`` are those of the finished model's modules."""
        for index, load in enumerate(self._all):
            module = load.module()
            location, _ = place(load.sites)
            if not load.form or module is None or id(module) not in names or location is None:
                continue
            if not any(later.matched and later.module() is module for later in self._all[index + 1 :]):
                yield (
                    load.order,
                    Incident(kind="unmatched", location=location, text=_CALL, raises=False, other=load.form),
                )

    def left_out(self, parameter: torch.Tensor, since: int) -> Incident | None:
        """As Parameter.left_out; ``since`` is the order of the parameter's last write."""
        for load in reversed(self._all):
            reference, key = load.left.get(id(parameter), (None, ""))
            location, _ = place(load.sites)
            if reference is not None and reference() is parameter and since < load.order and location is not None:
                return Incident(kind="missed", location=location, text=_CALL, raises=False, other=key)
        return None


def _form(state: Mapping[str, Any], own: list[str]) -> str:
    """Why none of the keys is one of the module's ``own``."""
    if any(isinstance(value, Mapping) for value in state.values()):
        return "nested"
    wanted = set(own)
    for form, keys, others in (("prefixed", list(state), wanted), ("bare", own, set(state))):
        bare = [key.removeprefix("module.") for key in keys]
        if all(key.startswith("module.") for key in keys) and not others.isdisjoint(bare):
            return form
    return "other"


def _left(
    module: nn.Module, state: Mapping[str, Any], missing: list[str], unexpected: list[str]
) -> dict[int, tuple[weakref.ref[torch.Tensor], str]]:
    if not missing or not unexpected:
        return {}
    parameters = dict(module.named_parameters())
    alike: dict[Any, str] = {}
    for key in reversed(unexpected):  # so that the first of several stays
        if isinstance(value := state.get(key), torch.Tensor):
            alike.update(dict.fromkeys(((pattern, value.shape) for pattern in _patterns(key)), key))
    found: dict[int, tuple[weakref.ref[torch.Tensor], str]] = {}
    for name in missing:
        if (parameter := parameters.get(name)) is not None:
            wanted = ((pattern, parameter.shape) for pattern in _patterns(name))
            if (match := next((each for each in wanted if each in alike), None)) is not None:
                found[id(parameter)] = weakref.ref(parameter), alike[match]
    return found


def _patterns(name: str) -> Iterator[tuple[str | None, ...]]:
    """A dotted name without each part that may be renamed: not the last, and not the first of many, by which another
    part of the model is named."""
    parts = name.split(".")
    for index in range(len(parts) > 2, len(parts) - 1):
        yield (*parts[:index], None, *parts[index + 1 :])
