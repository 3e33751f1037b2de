"""Expressions to abstract values."""

from __future__ import annotations

import ast
import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from initlint.source.interpreter import comprehensions, folding, views
from initlint.source.interpreter.comprehensions import UNROLL
from initlint.source.interpreter.conditions import Conditions
from initlint.source.interpreter.patterns import added, pattern_of, patterned, percent
from initlint.source.interpreter.state import NEXT, Frame, Refined
from initlint.source.interpreter.values import (
    FALSE,
    NONE,
    TRUE,
    UNSEEN,
    Cell,
    Const,
    Either,
    Extent,
    Flow,
    Func,
    Instance,
    Items,
    Ref,
    Table,
    Tensor,
    Unseen,
    Value,
)
from initlint.source.text.names import BUILTINS, spelled

UNROLL_WALK = 512
"""The same of a loop over modules or parameters, where each turn matters."""


class Expressions(Conditions):
    """Evaluates expressions."""

    def eval(self, node: ast.expr, frame: Frame) -> Value:
        """The value of an expression."""
        self.budget -= 1
        if self.budget < 0:
            self.spend(0)
        method = _EVALUATE.get(type(node))
        return UNSEEN if method is None else method(self, node, frame)

    def _constant(self, node: ast.Constant, frame: Frame) -> Value:
        value = node.value
        if value is None:
            return NONE
        if value is True:
            return TRUE
        if value is False:
            return FALSE
        kind = type(value)
        if kind is int and abs(value) > folding.LARGEST:  # type: ignore[arg-type]
            return UNSEEN
        return Const(value) if kind is str or kind is int or kind is float else UNSEEN

    def _name(self, node: ast.Name, frame: Frame) -> Value:
        name = node.id
        for scope in frame.scopes:
            found = scope.get(name)
            if found is not None:
                if type(found) is Ref and found.origin is not None:
                    found = self.resolved(found)
                return self._refined(found, name, frame) if frame.refined else found
        if frame.unit.stars:
            starred = self.imports.starred(frame.unit.stars, name) if self.imports is not None else Unseen(name)
            if starred is not None:
                return starred
        return Ref(name) if name in BUILTINS else Unseen(name)

    def _refined(self, value: Value, text: str, frame: Frame) -> Value:
        kinds = frame.refined.get(text)
        return value.spelled(value.text or text, kinds) if kinds is not None and isinstance(value, Unseen) else value

    def _attribute(self, node: ast.Attribute, frame: Frame) -> Value:
        base = self.eval(node.value, frame)
        if base is NONE:
            self.nothing(node.value, frame, node.attr)
        value = self.attribute(base, node.attr, frame, "")
        if isinstance(value, Unseen) and frame.refined:
            return self._refined(value, spelled(node), frame)
        return value

    def nothing(self, node: ast.expr, frame: Frame, function: str) -> None:
        """Something is asked of an expression that is None, by the name of ``function``."""
        if self.incidents is not None and isinstance(node, ast.Attribute) and node.attr in ("weight", "bias"):
            owner = self.eval(node.value, frame)
            if isinstance(owner, Instance) and owner.cell.get(node.attr) is NONE:
                self.incident(
                    "none",
                    (frame.unit, node),
                    spelled(node),
                    raises=True,
                    function=function,
                    layer_kind=owner.kind if owner.info is None else owner.class_name,
                )

    def _sequence(self, node: ast.List | ast.Tuple | ast.Set, frame: Frame) -> Value:
        kind = {ast.List: "list", ast.Tuple: "tuple", ast.Set: "set"}[type(node)]
        if len(node.elts) > 256:
            self.spend(len(node.elts) // 64)
            return self.items(kind, (), UNSEEN)
        known: list[Value] = []
        rest: list[Value] = []
        for element in node.elts:
            if isinstance(element, ast.Starred):
                inner = self.iterate(self.eval(element.value, frame))
                target = rest if rest else known
                target.extend(inner[0])
                if inner[1] is not None:
                    rest.append(inner[1])
            else:
                (rest if rest else known).append(self.eval(element, frame))
        return self.items(kind, tuple(known), self.join(rest) if rest else None)

    def _dict(self, node: ast.Dict, frame: Frame) -> Value:
        made = Table(self.cell(), ())
        if len(node.keys) > 256:
            return Table(made.cell, (), UNSEEN)
        entries: list[tuple[Value, Value]] = []
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                entries += self.entries(self.eval(value, frame))
            else:
                entries.append((self.eval(key, frame), self.eval(value, frame)))
        self.enter_all(made, entries)  # at once: one by one, each would copy those before it
        return made

    def _binary(self, node: ast.BinOp, frame: Frame) -> Value:
        left, right = self.eval(node.left, frame), self.eval(node.right, frame)
        if isinstance(left, Const) and isinstance(left.value, str) and isinstance(node.op, ast.Mod):
            return percent(left.value, right)
        if isinstance(left, Const) and isinstance(right, Const):
            value = folding.binary(node.op, left.value, right.value)
            return Const(value) if value is not folding.FAILED else UNSEEN
        if isinstance(left, Const) and isinstance(right, Extent):
            return right
        if isinstance(left, Extent) and isinstance(right, Const):
            return left
        if self.graph is not None and (isinstance(left, Flow) or isinstance(right, Flow)):
            return self.graph.binary(node.op, left, right)
        text = added(left, right) if isinstance(node.op, ast.Add) else None
        return self.combined(node.op, left, right) if text is None else text

    def combined(self, op: ast.operator, left: Value, right: Value) -> Value:
        """``left op right`` for lists and tensors."""
        if isinstance(op, ast.Add) and isinstance(left, Items) and isinstance(right, Items):
            if left.rest is None:
                return self.items(left.kind, left.known + right.known, right.rest)
            return self.items(left.kind, left.known, self.join([left.rest, *right.known]))
        if isinstance(op, ast.Mult):
            for one, other in ((left, right), (right, left)):
                if isinstance(one, Items) and not isinstance(other, (Tensor, Items)):
                    return self._repeated(one, other)
        if isinstance(left, Tensor) or isinstance(right, Tensor):
            return self._derived(op, left, right)
        return UNSEEN

    def _derived(self, op: ast.operator, left: Value, right: Value) -> Tensor:
        """The tensor that an operator makes; ``#derived`` as in ``tensor_methods``."""
        made = self.computed(() if isinstance(op, ast.MatMult) else (left, right))
        parameters = [value for value in (left, right) if isinstance(value, Tensor) and value.is_parameter]
        if len(parameters) == 1:
            made.cell["#derived"] = (_SIGNS.get(type(op), "an operator"), parameters[0])
        return made

    def _repeated(self, items: Items, times: Value) -> Value:
        count = times.value if isinstance(times, Const) and isinstance(times.value, int) else None
        if count is not None and items.rest is None and len(items.known) * count <= UNROLL:
            return self.items(items.kind, items.known * count)
        if items.rest is None and len(items.known) == 1:
            return self.items(items.kind, items.known, items.known[0])
        return self.items(items.kind, (), self.join(items.known) if items.known else UNSEEN)

    def computed(self, operands: Iterable[Value]) -> Tensor:
        """A new tensor computed from others: its values have no law that is looked into here."""
        shape = None
        tensors = [operand for operand in operands if isinstance(operand, Tensor)]
        if len(tensors) == 1:
            shape = tensors[0].shape
        return Tensor(self.cell(), shape, None)

    def _unary(self, node: ast.UnaryOp, frame: Frame) -> Value:
        if isinstance(node.op, ast.Not):
            verdict = self.truth(node.operand, frame)[0]
            return UNSEEN if verdict is None else (FALSE if verdict else TRUE)
        value = self.eval(node.operand, frame)
        if isinstance(value, Const):
            result = folding.unary(node.op, value.value)
            return Const(result) if result is not folding.FAILED else UNSEEN
        if self.graph is not None and isinstance(value, Flow):
            return self.graph.linear(value)
        if isinstance(value, Extent):
            return value
        return self.computed((value,)) if isinstance(value, Tensor) else UNSEEN

    def _bool(self, node: ast.BoolOp, frame: Frame) -> Value:
        options: list[Value] = []
        self._operands(node, 0, options, frame)
        return self.join(options)  # type: ignore[no-any-return]

    def _operands(self, node: ast.BoolOp, first: int, options: list[Value], frame: Frame) -> int:
        """Evaluate an ``and`` (``or``) from an operand on; ``options`` is what it may come to."""
        conjunction = isinstance(node.op, ast.And)
        for index, part in enumerate(node.values[first:], first + 1):
            value = self.eval(part, frame)
            verdict = self.truthiness(value)
            if verdict is not conjunction or index == len(node.values):
                options.append(value)
            if verdict is (not conjunction):
                break
            if verdict is None and not first and index < len(node.values):
                return self.perhaps(functools.partial(self._operands, node, index, options, frame))
        return NEXT

    def _compare(self, node: ast.Compare, frame: Frame) -> Value:
        if len(node.ops) == 1:
            verdict = self.truth(node, frame)[0]
            return UNSEEN if verdict is None else (TRUE if verdict else FALSE)
        for part in (node.left, *node.comparators):
            self.eval(part, frame)
        return UNSEEN

    def _ternary(self, node: ast.IfExp, frame: Frame) -> Value:
        verdict, yes, no = self.truth(node.test, frame)
        if verdict is not None and not self.exhaustive:
            return self.eval(node.body if verdict else node.orelse, frame)
        values: list[Value] = []

        def arm(expression: ast.expr, kinds: dict[str, tuple[str, ...]]) -> Callable[[], int]:
            def run() -> int:
                with refining(frame, kinds):
                    values.append(self.eval(expression, frame))
                return 0

            return run

        self.fork([arm(node.body, yes), arm(node.orelse, no)])
        if verdict is not None:
            return values[0 if verdict else 1]
        return self.join(values)  # type: ignore[no-any-return]

    def _subscript(self, node: ast.Subscript, frame: Frame) -> Value:
        base = self.eval(node.value, frame)
        key = self.eval(node.slice, frame) if not isinstance(node.slice, ast.Slice) else None
        if key is None and isinstance(node.slice, ast.Slice):
            for part in (node.slice.lower, node.slice.upper, node.slice.step):
                if part is not None:
                    self.eval(part, frame)
            return self._sliced(base, node.slice, frame)
        assert key is not None
        text = ""
        if isinstance(base, Unseen):
            text = self.spellings.get(id(node)) or self.spellings.setdefault(id(node), spelled(node))
        return self.element(base, key, text)

    def element(self, base: Value, key: Value, text: str = "") -> Value:
        """``base[key]``."""
        if isinstance(base, (Items, Instance)) and isinstance(key, Const) and isinstance(key.value, int):
            known, rest = self.iterate(base)
            if -len(known) <= key.value < len(known) and (rest is None or key.value >= 0):
                return known[key.value]
            return rest if rest is not None else UNSEEN
        if isinstance(base, Instance) and isinstance(key, Const) and isinstance(key.value, str):
            held = base.cell.get(key.value)
            if held is not None:
                return held  # type: ignore[no-any-return]
        if isinstance(base, (Items, Instance)):
            known, rest = self.iterate(base)
            options = [*known, rest] if rest is not None else list(known)
            return self.join(options) if options else UNSEEN
        if isinstance(base, Table):
            if isinstance(key, Const):
                found = base.get(key.value)
                if found is not None:
                    return found
                return base.rest if base.rest is not None else UNSEEN
            options = [value for _, value in base.pairs] + ([base.rest] if base.rest is not None else [])
            return self.join(options) if options else UNSEEN
        if isinstance(base, Tensor):
            return views.picked(base, key, row(key))
        if isinstance(base, Flow) and self.graph is not None:
            return self.graph.part(base)
        if isinstance(base, Extent):
            return _extent(base, key, "")
        if isinstance(base, Unseen):
            self.taint(base)
            return Unseen(text, None, base.owner_kinds, None, base.made)
        if isinstance(base, Either):
            return self.join([self.element(option, key, text) for option in base.options])  # type: ignore[no-any-return]
        return UNSEEN

    def _sliced(self, base: Value, part: ast.Slice, frame: Frame) -> Value:
        if isinstance(base, (Items, Instance)):
            bounds = [None if p is None else self.eval(p, frame) for p in (part.lower, part.upper, part.step)]
            known, rest = self.iterate(base)
            certain = all(b is None or (isinstance(b, Const) and _index(b.value)) for b in bounds)
            if rest is None and certain and not (isinstance(bounds[2], Const) and bounds[2].value == 0):
                kept = known[slice(*(b.value if isinstance(b, Const) else None for b in bounds))]
                return self.items("list", tuple(kept))
            options = [*known, rest] if rest is not None else list(known)
            return self.items("list", (), self.join(options) if options else UNSEEN)
        if isinstance(base, Tensor):
            first, end = (None if p is None else _number(self.eval(p, frame)) for p in (part.lower, part.upper))
            first = 0 if part.lower is None else first
            certain = part.step is None and first is not None and (part.upper is None or end is not None)
            return base.part((first, end) if certain and first is not None else UNSEEN)
        if isinstance(base, Flow) and self.graph is not None:
            return self.graph.part(base)
        if isinstance(base, Const) and isinstance(base.value, str):
            return UNSEEN
        if isinstance(base, Extent):
            whole = part.lower is None or part.upper is not None or part.step is not None
            return UNSEEN if whole else _extent(base, self.eval(part.lower, frame), ":")  # type: ignore[arg-type]
        return Unseen(base.text) if isinstance(base, Unseen) else UNSEEN

    def _string(self, node: ast.JoinedStr, frame: Frame) -> Value:
        text, certain = "", True
        for part in node.values:
            self.spend(len(text) >> 6)
            if isinstance(part, ast.Constant):
                text += str(part.value)
                continue
            value = self.eval(part.value, frame) if isinstance(part, ast.FormattedValue) else UNSEEN
            plain = isinstance(part, ast.FormattedValue) and part.format_spec is None and part.conversion == -1
            if isinstance(value, Const) and plain:
                text += str(value.value)
            else:
                text, certain = text + ((pattern_of(value) if plain else None) or "*"), False
        return patterned(text, certain)

    def _lambda(self, node: ast.Lambda, frame: Frame) -> Value:
        if self.recorder is not None and self.depth == 0:
            self.recorder.inner(node, frame)
        return Func(node, frame.unit, frame.scopes, defaults=self.defaults(node.args, frame))

    def defaults(self, arguments: ast.arguments, frame: Frame) -> dict[str, Value] | None:
        """The values of a function's defaults where it is defined, but for plain constants."""
        names = [*arguments.posonlyargs, *arguments.args]
        given = (
            *zip(names[len(names) - len(arguments.defaults) :], arguments.defaults, strict=True),
            *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
        )
        found = [(parameter.arg, default) for parameter, default in given if default is not None]
        computed = [(name, default) for name, default in found if not isinstance(default, ast.Constant)]
        return {name: self.eval(default, frame) for name, default in computed} or None

    @contextlib.contextmanager
    def repeated(self, many: bool) -> Iterator[None]:
        """While what happens may happen any number of times."""
        outer = self.turn
        self.repeating += many
        if many:
            self.turn = self.clock
        try:
            yield
        finally:
            self.repeating -= many
            self.turn = outer

    def iterate(self, value: Value) -> tuple[tuple[Value, ...], Value | None]:
        """The elements a loop over ``value`` meets, and what stands for unknown many more (None: there are none)."""
        raise NotImplementedError

    def assign(self, target: ast.expr, value: Value, frame: Frame) -> None:
        """``target = value``."""
        raise NotImplementedError

    def cells(self, value: Value) -> list[Cell]:
        """The state that can be reached through a value."""
        raise NotImplementedError

    def set_element(self, holder: Value, key: Value, value: Value) -> None:
        """``holder[key] = value``."""
        raise NotImplementedError

    def enter_all(self, table: Table, entries: Sequence[tuple[Value, Value]]) -> None:
        """``table[key] = value`` for each of the entries."""
        raise NotImplementedError

    def entries(self, content: Value) -> list[tuple[Value, Value]]:
        """The keys and values of a dictionary, or of pairs."""
        raise NotImplementedError

    def _walrus(self, node: ast.NamedExpr, frame: Frame) -> Value:
        value = self.eval(node.value, frame)
        self.assign(node.target, value, frame.home or frame)
        return value

    def _starred(self, node: ast.Starred, frame: Frame) -> Value:
        self.eval(node.value, frame)
        return UNSEEN

    def _awaited(self, node: ast.Await, frame: Frame) -> Value:
        self.eval(node.value, frame)
        return UNSEEN

    def _yield(self, node: ast.Yield, frame: Frame) -> Value:
        frame.yields.append(NONE if node.value is None else self.eval(node.value, frame))
        return UNSEEN

    def _yield_from(self, node: ast.YieldFrom, frame: Frame) -> Value:
        known, rest = self.iterate(self.eval(node.value, frame))
        frame.yields.extend(known if rest is None else (*known, rest))
        return UNSEEN

    def _call(self, node: ast.Call, frame: Frame) -> Value:
        return self.call_node(node, frame)

    def call_node(self, node: ast.Call, frame: Frame) -> Value:
        """The value of a call."""
        raise NotImplementedError


def _extent(shape: Extent, key: Value, more: str) -> Value:
    """One size of a shape, or (``more``) those from there on."""
    number = _number(key)
    return UNSEEN if shape.axes or number is None else Extent(shape.of, frozenset({f"{number}{more}"}))


def row(key: Value) -> tuple[int, int | None] | Value:
    """The rows of a tensor that are meant by an index."""
    if isinstance(key, Const) and type(key.value) is int:
        return (key.value, key.value + 1 if key.value != -1 else None)
    return UNSEEN if isinstance(key, (Items, Tensor, Const)) else key


def _number(value: Value) -> int | None:
    return value.value if isinstance(value, Const) and type(value.value) is int else None


def _index(value: Any) -> bool:
    return isinstance(value, int) or value is None


class refining:  # noqa: N801 (it reads as a function)
    """While a test that says something about kinds is known to have held."""

    __slots__ = ("before", "branch", "frame", "kinds")

    def __init__(self, frame: Frame, kinds: Refined, branch: ast.AST | None = None) -> None:
        self.frame = frame
        self.kinds = kinds
        self.branch = branch

    def __enter__(self) -> None:
        frame = self.frame
        self.before = frame.refined, frame.branches
        if self.kinds:
            frame.refined = {**frame.refined, **self.kinds}
            if self.branch is not None:
                frame.branches = (*frame.branches, self.branch)

    def __exit__(self, *_: object) -> None:
        self.frame.refined, self.frame.branches = self.before


_SIGNS = {ast.Mult: "*", ast.Div: "/", ast.Add: "+", ast.Sub: "-", ast.MatMult: "@", ast.Pow: "**"}

_EVALUATE: dict[type[ast.expr], Callable[[Any, Any, Frame], Value]] = {
    ast.Constant: Expressions._constant,
    ast.Name: Expressions._name,
    ast.Attribute: Expressions._attribute,
    ast.List: Expressions._sequence,
    ast.Tuple: Expressions._sequence,
    ast.Set: Expressions._sequence,
    ast.Dict: Expressions._dict,
    ast.BinOp: Expressions._binary,
    ast.UnaryOp: Expressions._unary,
    ast.BoolOp: Expressions._bool,
    ast.Compare: Expressions._compare,
    ast.IfExp: Expressions._ternary,
    ast.Subscript: Expressions._subscript,
    ast.JoinedStr: Expressions._string,
    ast.Lambda: Expressions._lambda,
    ast.ListComp: comprehensions.listed,
    ast.SetComp: comprehensions.listed,
    ast.GeneratorExp: comprehensions.listed,
    ast.DictComp: comprehensions.tabled,
    ast.NamedExpr: Expressions._walrus,
    ast.Starred: Expressions._starred,
    ast.Await: Expressions._awaited,
    ast.YieldFrom: Expressions._yield_from,
    ast.Yield: Expressions._yield,
    ast.Call: Expressions._call,
}
