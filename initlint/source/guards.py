"""Tests in code that initialises: what they ask of a layer's class, or of the truth of a tensor."""

from __future__ import annotations

import ast
import math
from dataclasses import field
from typing import Any

from initlint.facts import UNKNOWN, Guard, known, layer_family
from initlint.record import record
from initlint.source.classes import torch_layer
from initlint.source.names import spelled
from initlint.source.places import place
from initlint.source.scan import Scan
from initlint.source.state import Frame
from initlint.source.values import NONE, Either, Ref, Tensor, TypeOf, Unseen, Value

_HOLD_TENSORS = ("linear", "bilinear", "convolution", "transposed", "norm", "embedding")
"""Families whose ``weight`` and ``bias`` are tensors or None (a recurrent layer's ``bias`` is a bool)."""


@record(slots=True)
class Guards:
    """Collects the tests that the functions being read make themselves."""

    scan: Scan
    seen: dict[int, Guard] = field(default_factory=dict)
    plain: set[int] = field(default_factory=set)
    """The tests of truth (by their id) that have met something else than a tensor."""

    def truth(self, node: ast.expr, frame: Frame, value: Value) -> None:
        """A value is tested for its truth; kept if it is a tensor every time the test is met."""
        several = _several(value, node, frame)
        before = self.seen.get(id(node))
        if several is None:
            self.plain.add(id(node))
            if before is None:
                return
        if id(node) in self.plain or (before is not None and before.several is not several):
            several = UNKNOWN
        self._keep(node, frame, "truth", several=several)

    def kinds(self, node: ast.expr, frame: Frame, asked: TypeOf, kinds: tuple[str, ...]) -> None:
        """The class of a module is compared, or its name is."""
        self._keep(node, frame, "class_name" if asked.named else "exact_type", kinds=kinds)

    def _keep(self, node: ast.expr, frame: Frame, form: str, **more: Any) -> None:
        self.seen[id(node)] = Guard(
            form=form, text=spelled(node), location=place(frame.unit, node), caught=self.scan.catches(node), **more
        )

    def facts(self) -> tuple[Guard, ...]:
        """Every test that was seen, once each, in the order of the source."""
        return tuple(sorted(self.seen.values(), key=lambda guard: (guard.location.line, guard.location.column)))


def _several(value: Value, node: ast.expr, frame: Frame) -> Any:
    """Whether a value is a tensor of more than one element wherever it is not None; None for what is no tensor."""
    if isinstance(value, Tensor):
        if value.partial or not value.is_parameter:
            return UNKNOWN
        if value.shape is None:
            return True if isinstance(node, ast.Attribute) and node.attr in ("weight", "bias") else UNKNOWN
        sizes = [2 if size is None else size for size in value.shape]  # of a size that is not read, several are meant
        return math.prod(sizes) > 1
    if isinstance(value, Unseen):
        if value.attribute not in ("weight", "bias") or not value.owner_kinds:
            return None
        sure = all(layer_family(kind) in _HOLD_TENSORS and not _is_own(kind, frame) for kind in value.owner_kinds)
        return True if sure else UNKNOWN
    if isinstance(value, Either):
        found = [_several(option, node, frame) for option in value.options if option is not NONE]
        if found and all(known(one) and one is True for one in found):
            return True
    return None


def _is_own(kind: str, frame: Frame) -> bool:
    """Whether the file knows another class by the name of a layer of torch's."""
    held = frame.unit.globals.get(kind)
    return held is not None and not (isinstance(held, Ref) and torch_layer(held.name) == kind)
