"""Calls of initialisers as they stand in the source: read function by function, whatever their arguments may be."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from initlint.facts import UNKNOWN, Distribution, InitCall, Target, known
from initlint.record import field, record
from initlint.source.interpreter.binding import Bound, bind_call
from initlint.source.interpreter.places import place
from initlint.source.interpreter.state import Frame, Unit
from initlint.source.interpreter.values import Cell, Either, Instance, Ref, Tensor, Unseen, Value
from initlint.source.noticing.evaluated import Scope, only_evaluated
from initlint.source.noticing.guards import Guards
from initlint.source.noticing.pretrained import held
from initlint.source.tables import initializers
from initlint.source.tables.constructors import KINDS
from initlint.source.tables.layers import CONTAINERS, dimensions
from initlint.source.text.names import spelled
from initlint.source.text.scan import Scan
from initlint.source.text.walking import walked
from initlint.theory import library_schemes, schemes

if TYPE_CHECKING:
    from initlint.source.interpreter.calls import Calls
    from initlint.source.interpreter.classes import ClassInfo

_PLAIN_NODES = (ast.Name, ast.Attribute, ast.Subscript, ast.Constant)
_COPIES = frozenset(["clone", *(name.rpartition(".")[2] for name in initializers.NEW_LIKE)])
_TENSOR_ATTRIBUTES = ("weight", "bias", "in_proj_weight", "in_proj_bias", "weight_g", "weight_v")


@record(slots=True)
class Seen:
    """One time that a call was come upon."""

    row: initializers.Row
    node: ast.Call
    unit: Unit
    written: str
    bound: Bound
    target: Target
    spellings: Mapping[str, str]
    function: ast.AST | None
    owner: ClassInfo | None
    branch: ast.AST | None
    kinds: tuple[str, ...] | None


@record(slots=True)
class Inner:
    """A function inside another one, to be read too."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    scopes: tuple[Cell, ...]
    unit: Unit
    owner: ClassInfo | None
    receiver: Value | None


@record(slots=True)
class Recorder:
    """Collects the calls of initialisers that the function being read makes itself."""

    machine: Calls
    scan: Scan
    guards: Guards
    seen: dict[int, list[Seen]] = field(default_factory=dict)
    waiting: list[Inner] = field(default_factory=list)
    prototypes: dict[str, Instance] = field(default_factory=dict)
    """An instance of each class of the file, by name."""

    def inner(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, frame: Frame) -> None:
        """A function is defined within the one being read."""
        if all(other.node is not node for other in self.waiting) and len(self.waiting) < 200:
            self.waiting.append(Inner(node, frame.scopes, frame.unit, frame.owner, frame.receiver))

    def call(
        self, node: ast.Call, frame: Frame, callee: Value, positional: Sequence[Value], keywords: Mapping[str, Value]
    ) -> None:
        """A call; it is kept if it calls an initialiser."""
        if not isinstance(callee, Ref):
            return
        row = self.machine.table.lookup(callee.name)
        if row is None and callee.name in initializers.NEW_LIKE and id(node) in self.scan.discarded:
            row = initializers.NEW_LIKE[callee.name]
        if row is None:
            return
        bound = bind_call(row, positional, keywords)
        argument: ast.expr | None = None
        if row.target < len(node.args):
            argument = node.args[row.target]
        for keyword in node.keywords:
            if keyword.arg == row.target_name:
                argument = keyword.value
        self._keep(row, node, frame, bound, argument, bound.target)

    def tensor_method(
        self,
        node: ast.Call,
        frame: Frame,
        row: initializers.Row,
        base: Value,
        positional: Sequence[Value],
        keywords: Mapping[str, Value],
    ) -> None:
        """A call of an in-place method such as ``normal_``."""
        assert isinstance(node.func, ast.Attribute)
        self._keep(row, node, frame, bind_call(row, positional, keywords), node.func.value, base)

    def _keep(
        self, row: initializers.Row, node: ast.Call, frame: Frame, bound: Bound, argument: ast.expr | None, value: Value
    ) -> None:
        refined = frame.refined
        branch = frame.branches[-1] if frame.branches else None
        kinds: tuple[str, ...] | None = None
        target = Target(text="")
        if argument is not None:
            target, kinds = self._target(argument, value, frame, row)
        if kinds is None and branch is not None and refined:
            kinds = next(reversed(refined.values()))
        spellings = {}
        for name, where in bound.places.items():
            passed = _argument(node, where)
            text = (
                passed.id
                if isinstance(passed, ast.Name)
                else passed.attr
                if isinstance(passed, ast.Attribute)
                else None
            )
            if text is not None:
                spellings[name] = text
        found = Seen(
            row,
            node,
            frame.unit,
            spelled(node.func),
            bound,
            target,
            spellings,
            frame.function,
            frame.owner,
            branch,
            kinds,
        )
        self.seen.setdefault(id(node), []).append(found)

    def _target(
        self, node: ast.expr, value: Value, frame: Frame, row: initializers.Row
    ) -> tuple[Target, tuple[str, ...] | None]:
        through_data = False
        location = place(frame.unit, node)
        while isinstance(node, ast.Attribute) and node.attr == "data" and not _is_self(node.value):
            node = node.value
            through_data = True
        text = spelled(node)
        attribute: Any = UNKNOWN
        kinds: tuple[str, ...] | None = None
        shape: Any = UNKNOWN
        is_module: Any = UNKNOWN
        if isinstance(value, Unseen):
            kinds = value.owner_kinds if value.attribute is not None else value.kinds
            if value.attribute is not None and (kinds or value.attribute in _TENSOR_ATTRIBUTES):
                attribute = value.attribute
                is_module = False if value.attribute in _TENSOR_ATTRIBUTES else UNKNOWN
            elif kinds and all(self._is_module(kind) for kind in kinds):
                is_module = True
        owner = None
        if isinstance(node, ast.Attribute) and all(isinstance(n, _PLAIN_NODES) for n in walked(node)):
            owner = self.machine.eval(node.value, frame)
            found = kinds_of(owner)
            if found is not None:
                kinds, attribute = found, node.attr
        if isinstance(value, Instance):
            is_module, kinds, attribute = True, kinds_of(value), None
        elif isinstance(value, Tensor):
            is_module = False
            shape = _shape(value)
            if attribute is UNKNOWN and not value.is_parameter:
                attribute = None
        elif isinstance(value, Either) and all(isinstance(option, Tensor) for option in value.options):
            is_module = False
        if row.takes_module:
            is_module = True
        if text in frame.sized:
            kinds = None
        return (
            Target(
                text=text,
                kinds=kinds if kinds else UNKNOWN,
                held=held(kinds, frame.function, frame.owner, self.scan) if kinds else UNKNOWN,
                attribute=attribute,
                dimensions=self._dimensions(kinds, attribute, shape),
                shape=shape,
                is_module=is_module,
                through_data=through_data,
                is_copy=isinstance(node, ast.Call) and spelled(node.func).rpartition(".")[2] in _COPIES,
                location=location,
            ),
            kinds,
        )

    def _is_module(self, kind: str) -> bool:
        """Whether a class is certainly a module's: a test by isinstance may also name some tensor's class."""
        own = self.machine.classes.get(kind)
        return own.info.is_module if own is not None else kind in KINDS or kind in CONTAINERS

    def _dimensions(self, kinds: tuple[str, ...] | None, attribute: Any, shape: Any) -> Any:
        if known(shape):
            return len(shape)
        if not kinds or not isinstance(attribute, str):
            return UNKNOWN
        counts = {self._dimension(kind, attribute) for kind in kinds}
        count = counts.pop() if len(counts) == 1 else None
        return UNKNOWN if count is None else count

    def _dimension(self, kind: str, attribute: str) -> int | None:
        prototype = self.prototypes.get(kind)
        if prototype is not None:
            tensor = prototype.cell.get(attribute)
            return len(tensor.shape) if isinstance(tensor, Tensor) and tensor.shape is not None else None
        return dimensions(kind, attribute)

    def facts(self) -> list[tuple[InitCall, list[Seen]]]:
        """Every call that was seen, once each, in the order of the source."""
        evaluated = self._evaluated()
        calls = [(_merged(seen, self.scan, evaluated), seen) for seen in self.seen.values()]
        calls.sort(key=lambda pair: (pair[0].location.line, pair[0].location.column))
        return calls

    def _evaluated(self) -> set[int]:
        """The calls (by their id) that write into a model which is only evaluated."""
        if not self.seen or "eval" not in self.scan.attributes:
            return set()
        first = [seen[0] for seen in self.seen.values()]
        scopes = {id(scope): scope for one in first if isinstance(scope := one.function or one.unit.tree, Scope)}
        return {id(call) for scope in scopes.values() for call in only_evaluated(scope)}


def kinds_of(value: Value) -> tuple[str, ...] | None:
    """The layer kinds that a module can be: torch's name, or the class's own where it derives from nn.Module alone."""
    if isinstance(value, Instance):
        return (value.class_name if value.kind == "Module" else value.kind,)
    if isinstance(value, Either):
        found = [kinds_of(option) for option in value.options]
        if all(kinds is not None for kinds in found):
            return tuple(dict.fromkeys(kind for kinds in found if kinds is not None for kind in kinds))
    return None


def _is_self(node: ast.expr) -> bool:
    """``self.data`` is an attribute of the class's own."""
    return isinstance(node, ast.Name) and node.id == "self"


def _shape(tensor: Tensor) -> Any:
    if tensor.shape is None or tensor.partial:
        return UNKNOWN
    return tuple(UNKNOWN if size is None else size for size in tensor.shape)


def _argument(node: ast.Call, where: int | str) -> ast.expr | None:
    if isinstance(where, int):
        return node.args[where] if where < len(node.args) else None
    return next((keyword.value for keyword in node.keywords if keyword.arg == where), None)


def _merged(seen: list[Seen], scan: Scan, evaluated: set[int]) -> InitCall:
    first = seen[0]
    arguments = dict(first.bound.arguments)
    target = first.target
    for other in seen[1:]:
        for name, value in arguments.items():
            another = other.bound.arguments.get(name, UNKNOWN)
            if not known(value) or not known(another) or type(value) is not type(another) or value != another:
                arguments[name] = UNKNOWN
        target = _common(target, other.target)
    row = first.row
    owner = first.owner
    extent = first.bound.extent
    function = first.function
    return InitCall(
        function=row.function,
        written=first.written,
        target=target,
        location=place(first.unit, first.node),
        arguments=arguments,
        given=first.bound.given if first.bound.given is not None else UNKNOWN,
        positional=first.bound.positional if first.bound.positional is not None else UNKNOWN,
        spellings=first.spellings,
        places={
            name: place(first.unit, passed)
            for name, where in first.bound.places.items()
            if (passed := _argument(first.node, where)) is not None
        },
        distribution=drawn(row, arguments, target.shape),
        fan_name=extent.text if extent is not None else None,
        fan_at=place(*extent.named) if extent is not None and extent.named is not None else None,
        fan_axes=tuple(sorted(extent.axes)) if extent is not None else (),
        within=getattr(function, "name", "<lambda>") if function is not None else None,
        class_name=owner.name if owner is not None else None,
        discarded=id(first.node) in scan.discarded,
        caught=scan.catches(first.node),
        evaluated=id(first.node) in evaluated,
    )


def _common(a: Target, b: Target) -> Target:
    def same(one: Any, other: Any) -> Any:
        return one if known(one) and known(other) and type(one) is type(other) and _equal(one, other) else UNKNOWN

    def either(one: Any, other: Any) -> Any:
        return tuple(dict.fromkeys((*one, *other))) if known(one) and known(other) else UNKNOWN

    return Target(
        text=a.text,
        kinds=either(a.kinds, b.kinds),
        held=either(a.held, b.held),
        attribute=same(a.attribute, b.attribute),
        dimensions=same(a.dimensions, b.dimensions),
        shape=same(a.shape, b.shape),
        is_module=same(a.is_module, b.is_module),
        through_data=same(a.through_data, b.through_data),
        is_copy=same(a.is_copy, b.is_copy),
        location=a.location,
    )


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, tuple):
        return len(a) == len(b) and all(known(x) and known(y) and x == y for x, y in zip(a, b, strict=True))
    return bool(a == b)


def drawn(row: initializers.Row, arguments: Mapping[str, Any], shape: Any = UNKNOWN) -> Distribution:
    """What a call of the initialiser of that row draws."""
    if row.takes_module:
        return schemes.NOTHING_KNOWN
    if row.own and row.same_as is None:
        return Distribution(family=UNKNOWN, mean=arguments.get("mean", UNKNOWN), std=arguments.get("std", UNKNOWN))
    if row.function in library_schemes.LAWS:
        return library_schemes.drawn(row.function, arguments, shape)
    return schemes.drawn(
        row.same_as if row.same_as and not row.function.startswith("torch.") else row.function, arguments, shape
    )
