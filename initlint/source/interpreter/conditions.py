"""What a test says: whether it holds, and what kinds of layer it lets through."""

from __future__ import annotations

import ast
import functools
from collections.abc import Sequence

from initlint.source.interpreter import folding
from initlint.source.interpreter.classes import class_name, torch_layer
from initlint.source.interpreter.state import NEXT, Frame, State
from initlint.source.interpreter.values import (
    Class,
    Const,
    Either,
    Flow,
    Func,
    Instance,
    Items,
    Method,
    Ref,
    Table,
    Tensor,
    TypeOf,
    Unseen,
    Value,
)
from initlint.source.tables.constructors import KINDS
from initlint.source.tables.layers import ABSTRACT, is_subclass
from initlint.source.text.names import spelled
from initlint.source.text.walking import walked

Kinds = dict[str, tuple[str, ...]]
"""Layer kinds by the text of the expression that they were tested of."""

_NOTHING: Kinds = {}
_HAVE_PARAMETERS = tuple(
    name
    for name in KINDS
    if name in ("PReLU", "Bilinear")
    or name.startswith(
        (
            "Linear",
            "Conv",
            "Embedding",
            "LSTM",
            "GRU",
            "RNN",
            "BatchNorm",
            "SyncBatchNorm",
            "LayerNorm",
            "GroupNorm",
            "InstanceNorm",
            "RMSNorm",
            "Multihead",
        )
    )
)


class Conditions(State):
    """Tests of if, while, ternaries, comprehensions and match."""

    classes: dict[str, Class]
    """The classes of the file, by name: a test on a class's name can mean them too."""

    def truth(self, node: ast.expr, frame: Frame) -> tuple[bool | None, Kinds, Kinds]:
        """Whether a test holds (None: not known), and the kinds it says where it does and where it does not."""
        if isinstance(node, ast.BoolOp):
            return self._joined(node, frame)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            verdict, yes, no = self.truth(node.operand, frame)
            return (None if verdict is None else not verdict), no, yes
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            return self._compared(node, frame)
        if isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Name) and len(node.args) == 2 and function.id in ("isinstance", "issubclass"):
                return self._isinstance(node, frame)
            if isinstance(function, ast.Attribute) and function.attr in ("startswith", "endswith") and node.args:
                name = self.eval(function.value, frame)
                if isinstance(name, TypeOf) and name.named:
                    part = self.eval(node.args[0], frame)
                    if isinstance(part, Const) and isinstance(part.value, str):
                        kinds = self._by_name(name.text, function.attr, part.value)
                        self._note_kinds(node, frame, name, kinds)
                        if self.recorder is not None and self.depth == 0 and not kinds:
                            self.recorder.guards.named(node, frame, part.value, function.attr)
                        return None, kinds, _NOTHING
        value = self.eval(node, frame)
        if self.recorder is not None and self.depth == 0:
            self.recorder.guards.truth(node, frame, value)
        return self.truthiness(value), _NOTHING, _NOTHING

    def _note_kinds(self, node: ast.expr, frame: Frame, asked: TypeOf, kinds: Kinds) -> None:
        if self.recorder is not None and self.depth == 0 and kinds:
            self.recorder.guards.kinds(node, frame, asked, next(iter(kinds.values())))

    def _joined(self, node: ast.BoolOp, frame: Frame) -> tuple[bool | None, Kinds, Kinds]:
        outer = frame.refined
        conjunction = isinstance(node.op, ast.And)
        verdicts: list[bool | None] = []
        told: list[Kinds] = []
        self._each(node, 0, verdicts, told, frame)
        frame.refined = outer
        if conjunction:
            verdict = False if False in verdicts else (None if None in verdicts else True)
            merged: Kinds = {}
            for kinds in told:
                for text in merged.keys() & kinds.keys():
                    if self.recorder is not None and self.depth == 0:
                        self.recorder.guards.both(node, frame, merged[text], kinds[text])
                merged.update(kinds)
            return verdict, merged, _NOTHING
        verdict = True if True in verdicts else (None if None in verdicts else False)
        common: Kinds = {}
        for text in set.intersection(*(set(kinds) for kinds in told)) if told else ():
            common[text] = tuple(dict.fromkeys(kind for kinds in told for kind in kinds[text]))
        return verdict, common, _NOTHING

    def _each(self, node: ast.BoolOp, first: int, verdicts: list[bool | None], told: list[Kinds], frame: Frame) -> int:
        """Test the operands of an ``and`` (``or``) from one on, as far as it comes to them."""
        conjunction = isinstance(node.op, ast.And)
        for index, value in enumerate(node.values[first:], first + 1):
            verdict, yes, no = self.truth(value, frame)
            verdicts.append(verdict)
            told.append(no if verdict is True and not conjunction else yes)
            if conjunction and yes:
                frame.refined = {**frame.refined, **yes}
            if verdict is (not conjunction):
                break
            if verdict is None and not first and index < len(node.values):
                return self.perhaps(functools.partial(self._each, node, index, verdicts, told, frame))
        return NEXT

    def _compared(self, node: ast.Compare, frame: Frame) -> tuple[bool | None, Kinds, Kinds]:
        if self.recorder is not None and self.depth == 0:
            for part in walked(node):
                if isinstance(part, ast.Attribute) and part.attr in ("dim", "ndim", "ndimension", "shape"):
                    frame.sized.add(spelled(part.value))
        op, left, right = node.ops[0], self.eval(node.left, frame), self.eval(node.comparators[0], frame)
        if isinstance(left, TypeOf) or isinstance(right, TypeOf):
            verdict, yes, no = self._type_compared(op, left, right)
            self._note_kinds(node, frame, left if isinstance(left, TypeOf) else right, yes or no)  # type: ignore[arg-type]
            if self.recorder is not None and self.depth == 0:
                self.recorder.guards.compared(node, frame, op, left, right)
            return verdict, yes, no
        verdict = self.compare(op, left, right)
        return verdict, _NOTHING, _NOTHING

    def compare(self, op: ast.cmpop, left: Value, right: Value) -> bool | None:
        """Whether ``left op right`` holds."""
        if isinstance(left, Const) and isinstance(right, Const):
            value = folding.compare(op, left.value, right.value)
            return None if value is folding.FAILED else bool(value)
        if isinstance(op, (ast.Is, ast.IsNot, ast.Eq, ast.NotEq)):
            same = self._identical(left, right)
            if same is not None:
                return same if isinstance(op, (ast.Is, ast.Eq)) else not same
            return None
        if isinstance(op, (ast.In, ast.NotIn)):
            held = self._contains(left, right)
            return None if held is None else held is isinstance(op, ast.In)
        return None

    def _identical(self, left: Value, right: Value) -> bool | None:
        for one, other in ((left, right), (right, left)):
            if isinstance(one, Const) and one.value is None:
                if isinstance(other, (Instance, Tensor, Class, Func, Items, Table, Ref, Method, Flow)):
                    return False
                return None
        if isinstance(left, Class) and isinstance(right, Class):
            return left.info is right.info
        if isinstance(left, Ref) and isinstance(right, Ref):
            if left.name == right.name:
                return True
            return False if torch_layer(left.name) and torch_layer(right.name) else None
        if isinstance(left, (Class, Ref)) and isinstance(right, (Class, Ref)):
            return False if isinstance(left, Class) and isinstance(right, Ref) and torch_layer(right.name) else None
        if isinstance(left, Instance) and isinstance(right, Instance):
            return left is right
        return None

    def _contains(self, left: Value, right: Value) -> bool | None:
        if isinstance(right, Table) and isinstance(left, Const):
            if right.get(left.value) is not None:
                return True
            return False if right.rest is None else None
        if isinstance(right, Items) and right.rest is None:
            verdicts = [self.compare(ast.Eq(), left, item) for item in right.known]
            if True in verdicts:
                return True
            return None if None in verdicts else False
        return None

    def _type_compared(self, op: ast.cmpop, left: Value, right: Value) -> tuple[bool | None, Kinds, Kinds]:
        if isinstance(left, TypeOf) and left.found is not None and isinstance(right, Const):
            holds = (isinstance(op, ast.NotEq) and right.value == -1) or (
                (isinstance(op, ast.Gt) and right.value == -1) or (isinstance(op, ast.GtE) and right.value == 0)
            )
            kinds = self._by_name(left.text, "in", left.found)
            if holds:
                return None, kinds, _NOTHING
            return None, _NOTHING, kinds if isinstance(op, ast.Eq) and right.value == -1 else _NOTHING
        kind, other = (left, right) if isinstance(left, TypeOf) else (right, left)
        assert isinstance(kind, TypeOf)
        yes: Kinds = {}
        if kind.named and kind is left and isinstance(op, (ast.Eq, ast.NotEq)):
            if isinstance(other, Const) and isinstance(other.value, str):
                yes = self._by_name(kind.text, "==", other.value)
        elif kind.named and kind is right and isinstance(op, (ast.In, ast.NotIn)):
            if isinstance(other, Const) and isinstance(other.value, str):
                yes = self._by_name(kind.text, "in", other.value)
        elif kind.named and isinstance(op, (ast.In, ast.NotIn)) and isinstance(other, Items) and other.rest is None:
            named = [item.value for item in other.known if isinstance(item, Const) and isinstance(item.value, str)]
            if len(named) == len(other.known):
                yes = {kind.text: tuple(named)}
        elif not kind.named and not isinstance(op, (ast.Lt, ast.Gt)):
            tested = self.kinds_of(other, exact=True)
            if tested is not None:
                yes = {kind.text: tested}
        return (None, _NOTHING, yes) if isinstance(op, (ast.NotEq, ast.IsNot, ast.NotIn)) else (None, yes, _NOTHING)

    def _by_name(self, text: str, how: str, part: str) -> Kinds:
        """The kinds whose class name passes a test on its text."""
        names = (*_HAVE_PARAMETERS, *self.classes)
        if how == "in":
            kinds = tuple(name for name in names if part in name)
        elif how == "==":
            kinds = (part,)
        elif how == "startswith":
            kinds = tuple(name for name in names if name.startswith(part))
        else:
            kinds = tuple(name for name in names if name.endswith(part))
        return {text: tuple(dict.fromkeys(kinds))} if kinds else {}

    def matched(self, pattern: ast.pattern, subject: Value, node: ast.expr, frame: Frame) -> tuple[bool | None, Kinds]:
        """Whether a pattern of a match statement fits its subject (None: not known), and the kinds that do."""
        patterns = pattern.patterns if isinstance(pattern, ast.MatchOr) else [pattern]
        classes = [self.eval(one.cls, frame) for one in patterns if isinstance(one, ast.MatchClass)]
        if len(classes) == len(patterns):
            bare = not any(getattr(one, "patterns", ()) or getattr(one, "kwd_patterns", ()) for one in patterns)
            verdicts = [self.is_instance(subject, one) for one in classes]
            found = [self.kinds_of(one) for one in classes]
            kinds = tuple(dict.fromkeys(kind for several in found for kind in several or ()))
            named = isinstance(node, ast.Name) and None not in found
            verdict = _any(verdicts)
            if verdict and not bare:
                verdict = None  # its attributes are looked at too
            return verdict, ({node.id: kinds} if named and isinstance(node, ast.Name) else {})
        if any(isinstance(one, ast.MatchSingleton) for one in patterns):
            return self._single(patterns, subject, frame), {}
        texts = [self.eval(one.value, frame) for one in patterns if isinstance(one, ast.MatchValue)]
        if len(texts) != len(patterns):
            return None, {}
        if isinstance(subject, TypeOf) and subject.named:
            names = tuple(text.value for text in texts if isinstance(text, Const) and isinstance(text.value, str))
            return None, ({subject.text: names} if len(names) == len(texts) else {})
        return _any([self.compare(ast.Eq(), subject, text) for text in texts]), {}

    def _single(self, patterns: Sequence[ast.pattern], subject: Value, frame: Frame) -> bool | None:
        """Whether one of several patterns fits, None, True and False among them."""
        verdicts: list[bool | None] = []
        for one in patterns:
            if isinstance(one, ast.MatchSingleton):
                verdicts.append(self.compare(ast.Is(), subject, Const(one.value)))
            else:
                verdicts.append(self.matched(one, subject, ast.Constant(None), frame)[0])
        return _any(verdicts)

    def _isinstance(self, node: ast.Call, frame: Frame) -> tuple[bool | None, Kinds, Kinds]:
        subject, classes = self.eval(node.args[0], frame), self.eval(node.args[1], frame)
        verdict = self.is_instance(subject, classes)
        if self.recorder is not None and self.depth == 0:
            self.recorder.guards.instance(node, frame, subject, classes, self.kinds_of(classes))
        if verdict is None and isinstance(subject, (Unseen, Either)):
            kinds = self.kinds_of(classes)
            if kinds is not None:
                return None, {spelled(node.args[0]): kinds}, _NOTHING
        return verdict, _NOTHING, _NOTHING

    def kinds_of(self, classes: Value, exact: bool = False) -> tuple[str, ...] | None:
        """The layer kinds that a class, or a tuple of classes, stands for; None if some of it is not known.

        A class of the user's is a kind by its own name. "Module" and "Parameter" say nothing about a kind.
        """
        if isinstance(classes, Items):
            if classes.rest is not None:
                return None
            found: dict[str, None] = {}
            for item in classes.known:
                kinds = self.kinds_of(item, exact)
                if kinds is None:
                    return None
                found.update(dict.fromkeys(kinds))
            return tuple(found) or None
        if isinstance(classes, Ref):
            name = torch_layer(classes.name)
            if name == "Module" or classes.name in ("torch.nn.Parameter", "torch.Tensor"):
                return None
            if name is not None:
                return ABSTRACT.get(name, (name,)) if not exact else (name,)
            last = class_name(classes.name)
            return (last,) if last[:1].isupper() or "." in classes.name else None
        if isinstance(classes, Class):
            return (classes.info.name,)
        return None

    def is_instance(self, subject: Value, classes: Value) -> bool | None:
        """Whether isinstance(subject, classes), None where that is not certain."""
        if isinstance(classes, Items):
            verdicts: Sequence[bool | None] = [self.is_instance(subject, item) for item in classes.known]
            if True in verdicts:
                return True
            return None if None in verdicts or classes.rest is not None else False
        if isinstance(subject, Either):
            verdicts = [self.is_instance(option, classes) for option in subject.options]
            return verdicts[0] if all(verdict is verdicts[0] for verdict in verdicts) else None
        if isinstance(subject, Instance):
            return _instance_of(subject, classes)
        if not isinstance(classes, Ref):
            return None
        if isinstance(subject, Const):
            known = {"int": int, "float": float, "str": str, "bool": bool, "tuple": tuple, "list": list, "dict": dict}
            if classes.name in known:
                return isinstance(subject.value, known[classes.name])
            return False if torch_layer(classes.name) or classes.name == "torch.Tensor" else None
        if isinstance(subject, Tensor):
            if classes.name == "torch.nn.Parameter":
                return subject.is_parameter
            if classes.name == "torch.Tensor":
                return True
            return False if torch_layer(classes.name) else None
        if isinstance(subject, Items) and classes.name in ("list", "tuple", "set"):
            return subject.kind == classes.name
        return None

    def truthiness(self, value: Value) -> bool | None:
        """Whether a value counts as true, None where that is not known."""
        if isinstance(value, Const):
            return bool(value.value)
        if isinstance(value, (Class, Func, Method)) or (isinstance(value, Ref) and torch_layer(value.name)):
            return True
        if isinstance(value, Instance):
            return True if value.info is None and value.kind in KINDS else None
        if isinstance(value, Items):
            return True if value.known else (False if value.rest is None else None)
        if isinstance(value, Table):
            return True if value.pairs else (False if value.rest is None else None)
        return None


def _any(verdicts: Sequence[bool | None]) -> bool | None:
    return True if True in verdicts else (None if None in verdicts else False)


def _instance_of(subject: Instance, classes: Value) -> bool | None:
    if isinstance(classes, Class):
        if subject.info is None:
            return False
        if classes.info in subject.info.lineage:
            return True
        return False if subject.info.is_plain else None
    if isinstance(classes, Ref):
        if classes.name in ("torch.Tensor", "torch.nn.Parameter", "list", "tuple", "str", "int", "float", "dict"):
            return False
        base = torch_layer(classes.name)
        if base is None:
            if subject.info is not None:
                named = {other.name for other in subject.info.outside if isinstance(other, Ref)}
                return True if classes.name in named else None
            return None
        verdict = is_subclass(subject.kind, base)
        if verdict is False and subject.info is not None and not subject.info.is_plain:
            return None
        return verdict
    return None
