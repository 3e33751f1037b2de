"""Tests in code that initialises: what they ask of a layer's class, or of the truth of a tensor."""

from __future__ import annotations

import ast
import math
from typing import TYPE_CHECKING, Any

from initlint.facts import MAPS, UNKNOWN, Guard, known, layer_family
from initlint.record import field, record
from initlint.source.interpreter.classes import torch_layer
from initlint.source.interpreter.places import place
from initlint.source.interpreter.state import Frame, Unit
from initlint.source.interpreter.values import NONE, Class, Const, Either, Items, Ref, Tensor, TypeOf, Unseen, Value
from initlint.source.tables.layers import CLASS_NAMES, is_subclass
from initlint.source.text.names import LIBRARIES, spelled
from initlint.source.text.scan import Scan

if TYPE_CHECKING:
    from initlint.source.project.project import Project

_HOLD_TENSORS = (*MAPS, "norm", "embedding")
"""Families whose ``weight`` and ``bias`` are tensors or None (a recurrent layer's ``bias`` is a bool)."""

_OF_LIBRARIES = frozenset({"Conv1D", "MultiHeadAttention"})
"""Classes of well-known libraries whose names are one slip away from one of torch.nn's."""


@record(slots=True)
class Guards:
    """Collects the tests that the functions being read make themselves."""

    scan: Scan
    unit: Unit
    project: Project | None = None
    seen: dict[int, Guard] = field(default_factory=dict)
    plain: set[int] = field(default_factory=set)
    """The tests of truth (by their id) that have met something else than a tensor."""
    passable: set[int] = field(default_factory=set)
    """The tests by isinstance (by their id) that have met something which may pass them."""
    asked: dict[int, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    """What such tests are asked of, as written, and the kinds that they let through."""
    chained: dict[int, ast.If] = field(default_factory=dict)
    """The ifs that were met, by their id."""

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

    def instance(
        self, node: ast.Call, frame: Frame, subject: Value, classes: Value, kinds: tuple[str, ...] | None
    ) -> None:
        """``isinstance(subject, classes)``; kept if nothing can pass it, or it names classes that it never looks at."""
        tested = node.args[1]
        if isinstance(subject, Tensor):
            return  # it is one as the class is built here; built otherwise, the same attribute may hold a layer
        if kinds is not None:
            self.asked[id(node)] = spelled(node.args[0]), kinds
        obstacle = _obstacle(subject, classes)
        if obstacle is None:
            self.passable.add(id(node))
            self.seen.pop(id(node), None)
            if isinstance(tested, ast.BoolOp) and kinds is not None:
                left_out = tested.values[1:] if isinstance(tested.op, ast.Or) else tested.values[:-1]
                ignored = tuple(spelled(value) for value in left_out)
                self._keep(node, frame, "instance", kinds=kinds, obstacle=None, ignored=ignored)
        elif id(node) not in self.passable:
            self._keep(node, frame, "instance", kinds=() if kinds is None else kinds, obstacle=obstacle)

    def compared(self, node: ast.Compare, frame: Frame, op: ast.cmpop, left: Value, right: Value) -> None:
        """``type(m) == …`` and its kin; kept if the two sides can never be equal."""
        asked, other = (left, right) if isinstance(left, TypeOf) else (right, left)
        if not isinstance(asked, TypeOf):
            return
        if asked.found is not None:
            self.named(node, frame, asked.found, "in")
        elif isinstance(other, Const) and isinstance(other.value, str) and asked.named:
            if isinstance(op, ast.Eq):
                self.named(node, frame, other.value, "==")
            elif isinstance(op, ast.In) and asked is right:
                self.named(node, frame, other.value, "in")
        elif isinstance(op, (ast.Eq, ast.Is)):
            if isinstance(other, Const) and isinstance(other.value, str):
                self._keep(node, frame, "exact_type", obstacle="class")
            elif asked.named and (isinstance(other, Class) or (isinstance(other, Ref) and torch_layer(other.name))):
                self._keep(node, frame, "class_name", obstacle="name")

    def named(self, node: ast.expr, frame: Frame, text: str, how: str) -> None:
        """The name of a class is compared with a text; kept if no class has it, and one of torch.nn nearly does."""
        meant = _nearly(text, how)
        if meant is None or text in _OF_LIBRARIES or _has_other_layers(frame.unit):
            return
        here = (*(node.name for node in self.scan.classes), *frame.unit.globals)
        elsewhere = False if self.project is None else self.project.mentions(text, frame.unit.path)
        if elsewhere is False and not any(_fits(text, name, how) for name in here):
            self._keep(node, frame, "class_name", obstacle="misspelt", meant=meant)

    def both(self, node: ast.expr, frame: Frame, some: tuple[str, ...], others: tuple[str, ...]) -> None:
        """Something is to be of some kinds and of others at once; kept if no layer of torch.nn is."""
        if all(_apart(one, other) for one in some for other in others):
            self._keep(node, frame, "instance", kinds=(), obstacle="contradiction")

    def branched(self, node: ast.If) -> None:
        """An if, which may be the first of several arms."""
        self.chained[id(node)] = node

    def _taken_before(self) -> dict[int, tuple[ast.Call, ast.expr]]:
        """The tests by isinstance all of whose kinds an earlier arm has taken, by id, each with that arm's test."""
        found: dict[int, tuple[ast.Call, ast.expr]] = {}
        for node in self.chained.values():
            first = self.asked.get(id(node.test))
            following = node.orelse
            while first is not None and len(following) == 1 and isinstance(following[0], ast.If):
                arm = following[0]
                later = self.asked.get(id(arm.test))
                if (
                    isinstance(arm.test, ast.Call)
                    and later is not None
                    and later[0] == first[0]
                    and all(any(is_subclass(kind, taken) for taken in first[1]) for kind in later[1])
                ):
                    found.setdefault(id(arm.test), (arm.test, node.test))
                following = arm.orelse
        return found

    def _keep(self, node: ast.expr, frame: Frame, form: str, **more: Any) -> None:
        self.seen[id(node)] = Guard(
            form=form, text=spelled(node), location=place(frame.unit, node), caught=self.scan.catches(node), **more
        )

    def facts(self) -> tuple[Guard, ...]:
        """Every test that was seen, once each, in the order of the source."""
        for key, (node, earlier) in self._taken_before().items():
            self.seen.setdefault(
                key,
                Guard(
                    form="instance",
                    text=spelled(node),
                    location=place(self.unit, node),
                    kinds=self.asked[key][1],
                    obstacle="earlier",
                    related=(place(self.unit, earlier),),
                ),
            )
        return tuple(sorted(self.seen.values(), key=lambda guard: (guard.location.line, guard.location.column)))


def _obstacle(subject: Value, classes: Value) -> str | None:
    """Why nothing like ``subject`` can be an instance of ``classes``, None where it may be."""
    tested = classes.known if isinstance(classes, Items) and classes.rest is None else (classes,)
    if tested and all(_is_module(one) for one in tested):
        if isinstance(subject, Unseen) and subject.sort == "parameter":
            return "parameter"
        if isinstance(subject, Items) and subject.kind == "tuple" and len(subject.known) == 2:
            second = subject.known[1]
            return "pair" if isinstance(second, Unseen) and second.sort is not None else None
    elif tested and all(isinstance(one, Ref) and one.name in ("torch.Tensor", "torch.nn.Parameter") for one in tested):
        return "module" if isinstance(subject, Unseen) and subject.sort == "module" else None
    return None


def _is_module(value: Value) -> bool:
    if isinstance(value, Class):
        return value.info.is_module
    return isinstance(value, Ref) and torch_layer(value.name) is not None


def _fits(text: str, name: str, how: str) -> bool:
    """Whether a class of that name passes a test of its name."""
    if how == "in":
        return text in name
    if how == "==":
        return text == name
    return name.startswith(text) if how == "startswith" else name.endswith(text)


def _nearly(text: str, how: str) -> str | None:
    """The class of torch.nn (or the family of classes: "Conv") that a text is one slip away from, if it fits none."""
    if len(text) < 4 or any(_fits(text, name, how) for name in CLASS_NAMES):
        return None
    stems = (*CLASS_NAMES, *(("Conv", "BatchNorm", "InstanceNorm", "ConvTranspose", "Norm") if how != "==" else ()))
    return next((name for name in stems if _one_slip(text, name, how == "==")), None)


def _one_slip(text: str, name: str, whole: bool) -> bool:
    """Whether two words differ in case only, or by two letters that changed places; or, as a ``whole`` name, by one
    letter more, less or other. A part of a name may be of any class: "Embeddings" is of BertEmbeddings."""
    if text.lower() == name.lower():
        return True
    if abs(len(text) - len(name)) > 1 or min(len(text), len(name)) < 5:
        return False
    start = next((i for i, (a, b) in enumerate(zip(text, name, strict=False)) if a != b), min(len(text), len(name)))
    a, b = text[start:], name[start:]
    swapped = a[:2] == b[1::-1] and a[2:] == b[2:]
    return swapped or (whole and (a[1:] == b or a == b[1:] or a[1:] == b[1:]))


def _apart(one: str, other: str) -> bool:
    """Whether no module is of both kinds, both being of torch.nn."""
    return is_subclass(one, other) is False and is_subclass(other, one) is False


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


def _has_other_layers(unit: Unit) -> bool:
    """Whether a file imports a library with layers of its own, whose names are not known."""
    roots = {held.name.partition(".")[0] for held in unit.globals.values() if isinstance(held, Ref)}
    return not roots.isdisjoint(LIBRARIES - {"torch"})


def _is_own(kind: str, frame: Frame) -> bool:
    """Whether the file knows another class by the name of a layer of torch's."""
    held = frame.unit.globals.get(kind)
    return held is not None and not (isinstance(held, Ref) and torch_layer(held.name) == kind)
