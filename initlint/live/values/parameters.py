"""Every parameter and float buffer of a built module, as facts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from initlint.facts import UNKNOWN, Distribution, Escape, Parameter, Sharding, Statistics, Write, known, layer_family
from initlint.live.host.sharded import Ranks, is_piece
from initlint.live.host.state import is_lazy
from initlint.live.tracing.graph import Trace, Use
from initlint.live.tracing.projection import logits_std, projects
from initlint.live.values.pieces import survey
from initlint.live.values.statistics import histogram, measured, row_split, statistics
from initlint.theory.fans import GATES, Fans, layer_fans
from initlint.theory.misfit import misfit as misfit_of

__all__ = ["Owned", "describe_computed", "describe_parameter", "layer_kind", "moments", "owned_tensors"]


@dataclass(slots=True)
class Owned:
    """One tensor of a module: who owns it, under which names."""

    tensor: Tensor
    owner: str
    leaf: str
    names: tuple[str, ...]
    is_buffer: bool

    @property
    def name(self) -> str:
        """Dotted within the model."""
        return f"{self.owner}.{self.leaf}" if self.owner else self.leaf


def layer_kind(module: nn.Module) -> str:
    """The nearest torch.nn class that belongs to a family, "Module" if there is none."""
    for base in type(module).__mro__:
        if base.__module__.startswith("torch.nn.modules") and layer_family(base.__name__) != "other":
            return base.__name__
    return "Module"


def owned_tensors(module: nn.Module) -> dict[str, list[Owned]]:
    """Parameters and floating-point buffers by the module that registered them first; a shared tensor comes once."""
    names: dict[int, list[str]] = {}
    for name, tensor in [
        *module.named_parameters(remove_duplicate=False),
        *module.named_buffers(remove_duplicate=False),
    ]:
        names.setdefault(id(tensor), []).append(name)
    found: dict[str, list[Owned]] = {}
    seen: set[int] = set()
    for owner, child in module.named_modules():
        pairs: list[tuple[str, Any, bool]] = [(n, p, False) for n, p in child._parameters.items()]
        pairs += [(n, b, True) for n, b in child._buffers.items()]
        for leaf, tensor, is_buffer in pairs:
            if tensor is None or id(tensor) in seen or is_lazy(tensor) or not tensor.is_floating_point():
                continue
            seen.add(id(tensor))
            found.setdefault(owner, []).append(Owned(tensor, owner, leaf, tuple(names.get(id(tensor), ())), is_buffer))
    return found


_ROLES_BY_USE = {
    "matmul": "weight",
    "convolution": "weight",
    "bilinear": "weight",
    "recurrent": "recurrent_weight",
    "embedding": "embedding",
    "bias": "bias",
    "scale": "scale",
    "norm_scale": "norm_scale",
    "norm_bias": "norm_bias",
    "token": "token",
}
_STRONGEST = ("weight", "embedding", "norm_scale", "norm_bias", "token", "bias", "scale")
_MODULE_ROLES: dict[str, Mapping[str, str]] = {
    "linear": {"weight": "weight", "bias": "bias"},
    "bilinear": {"weight": "weight", "bias": "bias"},
    "convolution": {"weight": "weight", "bias": "bias"},
    "transposed": {"weight": "weight", "bias": "bias"},
    "norm": {"weight": "norm_scale", "bias": "norm_bias"},
    "embedding": {"weight": "embedding"},
    "activation": {"weight": "scale"},
}


def _role_in_module(kind: str, leaf: str) -> str | None:
    """The role that a layer of torch's gives its own parameter."""
    family = layer_family(kind)
    if family == "recurrent":
        if leaf.startswith("weight_hh"):
            return "recurrent_weight"
        return "weight" if leaf.startswith("weight") else "bias"
    if family == "attention":
        if leaf.endswith("weight"):
            return "weight"
        return "token" if leaf in ("bias_k", "bias_v") else "bias"
    return _MODULE_ROLES.get(family, {}).get(leaf)


def _role(kind: str, owned: Owned, uses: list[Use]) -> str:
    if owned.is_buffer:
        return "other"
    by_module = _role_in_module(kind, owned.leaf)
    if by_module is not None:
        return by_module
    roles = {_ROLES_BY_USE.get(use.kind, "other") for use in uses}
    if not roles:
        return UNKNOWN  # type: ignore[no-any-return]
    role = next((role for role in _STRONGEST if role in roles), "other")
    if role == "weight" and sum(size > 1 for size in owned.tensor.shape) < 2:
        return "scale"  # the g of a weight norm, the magnitude of a factored weight
    return role


def _fans(kind: str, child: nn.Module, owned: Owned, role: str, uses: list[Use]) -> Fans:
    unknown = Fans(UNKNOWN, UNKNOWN)
    if owned.is_buffer or not known(role) or role not in ("weight", "recurrent_weight", "embedding"):
        return unknown
    if kind != "Module" and _role_in_module(kind, owned.leaf) is not None:
        stride: Any = getattr(child, "stride", 1)
        groups: Any = getattr(child, "groups", 1)
        numeric = isinstance(stride, int) or (isinstance(stride, tuple) and all(isinstance(s, int) for s in stride))
        return layer_fans(
            kind,
            tuple(owned.tensor.shape),
            name=owned.leaf,
            groups=groups if isinstance(groups, int) else UNKNOWN,
            stride=stride if numeric else UNKNOWN,
        )
    if role == "embedding":
        return Fans(1, int(owned.tensor.shape[-1]))
    maps = {(use.fan_in, use.fan_out) for use in uses if use.kind in ("matmul", "convolution")}
    if len(maps) != 1:
        return unknown
    fan_in, fan_out = maps.pop()
    return Fans(UNKNOWN if fan_in is None else fan_in, UNKNOWN if fan_out is None else fan_out)


def describe_parameter(
    owned: Owned,
    child: nn.Module,
    trace: Trace | None,
    escape: Escape,
    gradient: float | None,
    recording: Any | None,
    ranks: Ranks,
) -> Parameter:
    """One tensor's facts. ``recording`` gives its writes and its place, where construction was watched."""
    kind = layer_kind(child)
    tensor = owned.tensor
    uses = trace.uses.get(id(tensor), []) if trace is not None else []
    role = _role(kind, owned, uses)
    fans = _fans(kind, child, owned, role, uses)
    held = recording is None or recording.has_values(tensor)
    facts, law, sharding = _values(tensor, fans, ranks) if held else (*_told(tensor, recording), None)
    writes: tuple[Write, ...] = UNKNOWN
    plain = held and sharding is None
    if plain and known(facts) and known(role) and role in ("embedding", "weight") and facts.finite:
        facts = replace(facts, row_split=row_split(tensor))
    spread = histogram(tensor, facts) if plain and known(facts) and not owned.is_buffer else UNKNOWN
    location, misfit, padding, bare, left = UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN
    if recording is not None:
        left = recording.left_out(tensor)
        padding, bare = recording.padding_write(child, tensor), recording.bare_rows(tensor)
        writes = recording.writes(tensor)
        location = recording.parameter_location(tensor)
        misfit = _misfit(kind, writes, fans)
    return Parameter(
        name=owned.name,
        role=role,
        shape=tuple(tensor.shape),
        fan_in=fans.fan_in,
        fan_out=fans.fan_out,
        writes=writes,
        trainable=bool(tensor.requires_grad) and not owned.is_buffer,
        is_buffer=owned.is_buffer,
        names=owned.names,
        location=location,
        statistics=facts,
        measured=law,
        escape=escape,
        gradient=gradient,
        computed_by=None,
        padding_write=padding,
        bare_rows=bare,
        read_bare=id(tensor) in trace.read if trace is not None and trace.complete else UNKNOWN,
        left_out=left,
        projects=projects(trace, id(tensor)) if known(role) and role == "embedding" else None,
        logits_std=logits_std(trace, id(tensor)),
        misfit=misfit,
        sharding=sharding,
        histogram=spread,
    )


def describe_computed(owner: str, child: nn.Module, recording: Any | None) -> tuple[Parameter, ...]:
    """What stands in the place of a parameter, is computed from others at each use, and was written all the same."""
    if recording is None:
        return ()
    return tuple(
        Parameter(
            name=f"{owner}.{leaf}" if owner else leaf,
            trainable=False,
            computed_by=wrapper,
            lost=lost,
        )
        for leaf, wrapper, lost in recording.computed(child)
        if lost
    )


def _misfit(kind: str, writes: Any, fans: Fans) -> Any:
    """How the last write's fans lie to those of the map.

    The fan that was taken follows from what was drawn: the tensor may have been drawn in another shape than it has.
    """
    if not known(writes) or not writes or not writes[-1].overwrites:
        return UNKNOWN
    law = writes[-1].distribution
    if law.scheme is None or writes[-1].author != "user":
        return None if known(law.family) else UNKNOWN
    orthogonal = law.scheme == "orthogonal"
    if orthogonal and kind != "Module" and kind not in GATES:
        return UNKNOWN
    mode, gain = ("longer", law.high) if orthogonal else (law.mode, law.gain)
    if not known(mode) or not known(gain) or not known(law.std):
        return UNKNOWN
    taken = round((gain / law.std) ** 2, 3)
    return misfit_of(mode, [(Fans(taken, taken), fans)])


def moments(tensor: Tensor, recording: Any | None) -> Distribution:
    """The law of a parameter as far as its mean and std go: as it is measured, or else as it was drawn."""
    if recording is not None and not recording.has_values(tensor):
        law: Distribution = recording.law(tensor)
        return law
    if tensor.is_meta or not tensor.is_floating_point() or tensor.numel() == 0 or type(tensor) is not nn.Parameter:
        return UNKNOWN  # type: ignore[no-any-return]
    facts, _ = statistics(tensor)
    return Distribution(family=UNKNOWN, mean=facts.mean, std=facts.std, known_by="measured")


def _told(tensor: Tensor, recording: Any) -> tuple[Any, Distribution]:
    """Of a tensor without values, what its distribution tells of them."""
    law: Distribution = recording.law(tensor)
    if not known(law) or not known(law.mean) or not known(law.std):
        return UNKNOWN, law
    constant = known(law.family) and law.is_constant
    facts = Statistics(
        count=tensor.numel(),
        mean=law.mean,
        std=law.std,
        minimum=law.mean if constant else UNKNOWN,
        maximum=law.mean if constant else UNKNOWN,
        zeros=float(law.mean == 0) if constant else UNKNOWN,
        finite=math.isfinite(law.mean) and math.isfinite(law.std),
        row_spread=0.0 if constant and tensor.dim() > 1 and tensor.shape[0] > 1 else UNKNOWN,
        digest=recording.signature(tensor),
    )
    return facts, law


def _values(tensor: Tensor, fans: Fans, ranks: Ranks) -> tuple[Any, Distribution, Sharding | None]:
    if is_piece(tensor):
        return survey(tensor, ranks, fans.fan_in, fans.fan_out)
    plain = type(tensor) in (Tensor, nn.Parameter, nn.Buffer)
    if not plain or tensor.is_meta or not tensor.numel() or tensor.layout is not torch.strided:
        return UNKNOWN, UNKNOWN, None
    facts, kurtosis = statistics(tensor)
    return facts, measured(tensor, facts, kurtosis, fans.fan_in, fans.fan_out), None
