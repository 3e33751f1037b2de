"""Calls of libraries that make a model whose weights are already trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from initlint.source.interpreter.constructing import layer
from initlint.source.interpreter.values import NONE, UNSEEN, Const, Event, Instance, Ref, Tensor, Value

if TYPE_CHECKING:
    from initlint.source.interpreter.calls import Calls

LIBRARIES = ("torchvision.models.", "timm.", "transformers.")
TRUNKS = frozenset({"features", "layer1", "layer2", "layer3", "layer4", "encoder", "backbone", "base_model", "trunk"})
"""What a part of such a model is called that has the layers which stand for the whole."""

_WITHOUT_LINEAR = ("gpt2", "gpt-2", "openai-gpt", "openaigpt", "resnet", "convnext", "regnet", "efficientnet")
"""Parts of the names of transformers' models in which no layer may be an nn.Linear."""


def pretrained(
    machine: Calls, name: str, positional: Sequence[Value], keywords: Mapping[str, Value], made: Any
) -> Instance | None:
    """The model that a call loads, None where it is not certain that it does.

    One layer of a kind that it surely has stands for all that it holds; the rest of it is not known.
    """
    kind = _surely_holds(name, positional, keywords)
    if kind is None:
        return None
    instance = Instance("Module", name, machine.cell(), made, machine.clock)
    instance.opaque = True
    instance.origin = "pretrained"
    given = (UNSEEN, UNSEEN, UNSEEN) if kind == "Conv2d" else (UNSEEN, UNSEEN)
    part = layer(machine, kind, given, {"bias": Const(False)}, made)
    part.origin = "pretrained"
    for tensor in part.cell.values():
        if isinstance(tensor, Tensor) and tensor.writes is not None:
            event = Event(name, {}, "checkpoint", made, machine.now())
            tensor.cell["#writes"] = (*tensor.writes, event)
    instance.cell["*"] = part
    return instance


def _surely_holds(name: str, positional: Sequence[Value], keywords: Mapping[str, Value]) -> str | None:
    """A kind of layer that a loaded model has, whichever it is; None for what is not certainly loaded."""
    short = name.rpartition(".")[2]
    if name.startswith("transformers.") and short == "from_pretrained":
        if name.split(".")[-2].startswith("Auto"):
            return None  # what a text stands for on the hub holds whatever it holds
        words = [name.split(".")[-2].lower()]
        given = [value.value for value in positional if isinstance(value, Const)]
        words += [value.lower() for value in given if isinstance(value, str)]
        model = "model" in words[0] or "for" in words[0]
        return "Linear" if model and not any(part in word for word in words for part in _WITHOUT_LINEAR) else None
    if name.startswith("torchvision.models.") and short[:1].islower():
        weights = keywords.get("weights", NONE)
        named = (isinstance(weights, Ref) and weights.name.startswith("torchvision.models.")) or (
            isinstance(weights, Const) and isinstance(weights.value, str)
        )
        return "Conv2d" if named or _asked(keywords.get("pretrained"), positional[:1]) else None
    if name in ("timm.create_model", "timm.models.create_model"):
        return "Conv2d" if _asked(keywords.get("pretrained"), positional[1:2]) else None
    return None


def _asked(named: Value | None, positional: Sequence[Value]) -> bool:
    value = named if named is not None else (positional[0] if positional else NONE)
    return isinstance(value, Const) and value.value is True
