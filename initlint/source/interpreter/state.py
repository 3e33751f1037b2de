"""The interpreter's state: frames, time, and branches that are run, rolled back and joined."""

from __future__ import annotations

import ast
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from initlint.facts import Incident, UnknownFact
from initlint.record import field, record
from initlint.source.interpreter.values import (
    NONE,
    Applied,
    Cell,
    Class,
    Const,
    Either,
    Extent,
    Flow,
    Func,
    Instance,
    Items,
    Method,
    Partial,
    Ref,
    Table,
    Tensor,
    Unseen,
    Value,
)
from initlint.source.tables.initializers import KNOWN

if TYPE_CHECKING:
    from initlint.location import Location
    from initlint.source.dataflow.forward import Graph
    from initlint.source.interpreter.classes import ClassInfo
    from initlint.source.interpreter.imports import Imports
    from initlint.source.noticing.recorder import Recorder

NEXT, RETURN, RAISE, BREAK, CONTINUE, MAYBE = range(6)
"""How a block ended. MAYBE: some way through it left early, so that what follows may not run."""

MISSING: Any = object()
MOST_OPTIONS = 4


class OutOfBudget(Exception):
    """The interpretation of one subject took more steps than it is worth."""


Span = tuple[int, int, int, int]
"""The first line and its offset, the last line and its offset, as ``ast`` counts them."""


@record(slots=True, eq=False)
class Unit:
    """One file that was read: its path, tree, global names."""

    path: str
    tree: ast.Module
    globals: Cell
    stars: list[Ref | None] = field(default_factory=list)
    """The modules that it imports everything of (None: what that is cannot be told)."""
    lines: Sequence[str] | None = None
    """The lines of a file that is not all ASCII (columns are counted in code points there)."""
    places: dict[Span, Location] = field(default_factory=dict)
    """The spans that were asked for, by where they begin and end in the tree: the layers of a loop share theirs."""


Signature = tuple[list[str], int, dict[str, "ast.expr | None"]]
"""The names of positional parameters, how many of them have no default, and all parameters with their defaults."""

Refined = dict[str, tuple[str, ...]]
"""The kinds of layer that tests in force let through, by the text of what they were asked of."""

_UNREFINED: Refined = {}
_NOWHERE: Mapping[str, Cell] = {}


class Frame:
    """One running function. ``scopes`` are its own names first, then the enclosing ones.

    ``branches`` are the if-arms in force whose tests say something about a module, ``sized`` what has been asked for
    its number of dimensions: its kinds no longer tell which it has. ``outer`` are the scopes of the names that it binds
    but does not own; ``home`` is that of the function in which a comprehension runs.
    """

    __slots__ = (
        "branches",
        "function",
        "home",
        "outer",
        "owner",
        "receiver",
        "refined",
        "returns",
        "scopes",
        "sized",
        "unit",
        "yields",
    )

    def __init__(
        self,
        unit: Unit,
        scopes: tuple[Cell, ...],
        function: ast.AST | None = None,
        owner: ClassInfo | None = None,
        receiver: Value | None = None,
        refined: Refined = _UNREFINED,
        branches: tuple[ast.AST, ...] = (),
    ) -> None:
        self.unit = unit
        self.scopes = scopes
        self.function = function
        self.owner = owner
        self.receiver = receiver
        self.refined = refined
        self.branches = branches
        self.returns: list[Value] = []
        self.yields: list[Value] = []
        self.sized: set[str] = set()
        self.outer: Mapping[str, Cell] = _NOWHERE
        self.home: Frame | None = None


class Journal(dict[tuple[int, str], tuple[Cell, str, Any]]):
    """What a branch has changed, with the values from before it."""

    __slots__ = ("start",)

    def __init__(self, start: int) -> None:
        super().__init__()
        self.start = start


class State(ABC):
    """Time, mutable cells, and the joining of branches."""

    def __init__(self) -> None:
        self.clock = 0
        self.budget = 0
        self.journal: Journal | None = None
        self.frozen = -1
        """Cells born up to this time are read only: what is being run is not part of the construction."""
        self.repeating = 0
        self.turn: int | None = None
        """When the turn began of the innermost loop whose turns are not followed one by one."""
        self.depth = 0
        self.stack: list[ast.AST] = []
        self.sites: list[tuple[ast.AST, tuple[Unit, ast.AST]]] = []
        """The functions that are running, each with the call that runs it."""
        self.ran: set[int] = set()
        """The functions that have run (by the id of their node)."""
        self.exhaustive = False
        """Run both arms of every if, even where the test's outcome is known (to see every call in a function)."""
        self.recorder: Recorder | None = None
        self.imports: Imports | None = None
        """Follows names into other files; None where this file is all there is."""
        self.incidents: dict[int, Incident] | None = None
        """What cannot do what it says, by the id of its node; None while what is run need not happen so."""
        self.lazy = False
        """Whether a layer has been made that has no shape before its first batch."""
        self.doubts = 0
        """How many branches are being run that may not be taken, and blocks whose exceptions are caught."""
        self.records_gradients = True
        self.table = KNOWN
        """The initialisers that are known."""
        self.graph: Graph | None = None
        self.applications: list[Applied] = []
        self.application: int | None = None
        self.signatures: dict[int, Signature] = {}
        """What functions take, by the id of the node that says so."""
        self.spellings: dict[int, str] = {}
        """What was spelled out, by the id of its node: to write a subscript anew takes as long as to read twenty."""
        self.every: list[Cell] = []
        """All mutable state that was made."""

    @abstractmethod
    def eval(self, node: ast.expr, frame: Frame) -> Value:
        """The value of an expression."""

    @abstractmethod
    def run(self, body: Sequence[ast.stmt], frame: Frame) -> int:
        """Run statements; says how the block ended."""

    @abstractmethod
    def call(
        self, function: Value, positional: list[Value], keywords: dict[str, Value], node: ast.AST, frame: Frame
    ) -> Value:
        """Call a value."""

    @abstractmethod
    def attribute(self, value: Value, name: str, frame: Frame, text: str = "") -> Value:
        """An attribute of a value."""

    @abstractmethod
    def taint(self, value: Value) -> None:
        """Something that was not understood got hold of ``value`` and may write into it."""

    @abstractmethod
    def opaque_call(self, positional: list[Value], keywords: dict[str, Value]) -> Value:
        """The result of calling what is not known; everything handed to it may be written by it."""

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """While something is read that is no part of what is being run."""
        kept = self.journal, self.recorder, self.graph, self.exhaustive, self.repeating
        self.journal, self.recorder, self.graph, self.exhaustive, self.repeating = None, None, None, False, 0
        try:
            yield
        finally:
            self.journal, self.recorder, self.graph, self.exhaustive, self.repeating = kept

    def resolved(self, value: Value) -> Value:
        """What a name stands for in the file of the project that it comes from; other values are what they are."""
        if isinstance(value, Ref) and value.origin is not None and self.imports is not None:
            return self.imports.resolved(value)
        return value

    def now(self) -> int:
        """A new point in time."""
        self.clock += 1
        return self.clock

    def spend(self, steps: int = 1) -> None:
        """Count work; raises OutOfBudget."""
        self.budget -= steps
        if self.budget < 0:
            raise OutOfBudget

    def cell(self) -> Cell:
        """New mutable state."""
        self.clock += 1
        made = Cell(self.clock)
        self.every.append(made)
        return made

    def items(self, kind: str, items: tuple[Value, ...], rest: Value | None = None) -> Items:
        """A new list, tuple or set; a long one costs steps, for one that is added to itself doubles."""
        self.spend(len(items) >> 6)
        if kind == "set":
            items = tuple({repr(item.value) if isinstance(item, Const) else id(item): item for item in items}.values())
        return Items(kind, self.cell(), items, rest)

    def put(self, cell: Cell, key: str, value: Any) -> None:
        """Change state, so that the change can be taken back."""
        if cell.born <= self.frozen:
            return
        journal = self.journal
        if journal is not None and cell.born <= journal.start:
            mark = (id(cell), key)
            if mark not in journal:
                journal[mark] = (cell, key, cell.get(key, MISSING))
        cell[key] = value

    def fork(self, arms: Sequence[Callable[[], int]], *, doubtful: bool = True) -> int:
        """Run alternatives of which exactly one happens, and join what they leave behind.

        ``doubtful``: it may be that some of them never happens to what is at hand.
        """
        outer = self.journal
        outcomes: list[tuple[int, dict[tuple[int, str], Any]]] = []
        touched: dict[tuple[int, str], tuple[Cell, str, Any]] = {}
        for arm in arms:
            journal = self.journal = Journal(self.clock)
            self.doubts += doubtful
            try:
                status = arm()
            finally:
                self.journal = outer
                self.doubts -= doubtful
                left = {mark: cell.get(key, MISSING) for mark, (cell, key, _) in journal.items()}
                for cell, key, before in journal.values():
                    _restore(cell, key, before)
            touched.update(journal)
            outcomes.append((status, left))
        live = [outcome for outcome in outcomes if outcome[0] != RAISE]
        for mark, (cell, key, before) in touched.items():
            values = [left.get(mark, before) for _, left in live]
            joined = self.join(values, key) if values else before
            if joined is not before:
                if joined is MISSING:
                    continue
                self.put(cell, key, joined)
        return _status([status for status, _ in outcomes])

    def perhaps(self, happens: Callable[[], int]) -> int:
        """Run what may happen, or not."""
        return self.fork([happens, _passed_by])

    def fork_each(self, turn: Callable[[], int], certain: frozenset[int]) -> int:
        """Run one turn of a loop that may have none; what it does to ``certain`` cells happens to all of them."""
        outer = self.journal
        journal = self.journal = Journal(self.clock)
        try:
            status = turn()
        finally:
            self.journal = outer
            left = [(cell, key, cell.get(key, MISSING), before) for cell, key, before in journal.values()]
            for cell, key, before in journal.values():
                _restore(cell, key, before)
        for cell, key, after, before in left:
            value = after if id(cell) in certain else self.join([after, before], key)
            if value is not before and value is not MISSING:
                self.put(cell, key, value)
        return status

    def join(self, values: Sequence[Any], key: str = "") -> Any:
        """What is known of a value that is one of ``values``."""
        if "*" in key:  # stands for any number, none among them
            values = [value for value in values if value is not MISSING] or values
        first = values[0]
        for value in values:
            if value is not first:
                break
        else:
            return first
        if key.startswith("#"):
            return self._join_state(values, key)
        options: list[Value] = []
        for value in values:
            for option in value.options if isinstance(value, Either) else (NONE if value is MISSING else value,):
                if len(options) > MOST_OPTIONS and self.graph is None:
                    if isinstance(option, (Instance, Tensor)) or _made(option):
                        return self._lost(values)
                elif not any(_same(option, seen) for seen in options):
                    options.append(option)
        if len(options) == 1:
            return options[0]
        if all(isinstance(option, Extent) for option in options):
            return _either_extent(options)
        if self.graph is not None and any(isinstance(option, Flow) for option in options):
            return self.graph.merge(options)
        if len(options) <= MOST_OPTIONS and all(_worth(option) for option in options):
            return Either(tuple(options))
        return self._lost(options)

    def _lost(self, values: Sequence[Value]) -> Value:
        """What may be any of so many values. The modules among them are marked: they stand where nothing tells."""
        options = [option for value in values for option in (value.options if isinstance(value, Either) else (value,))]
        if self.graph is None:
            for option in options:
                if isinstance(option, Instance):
                    option.cell["#lost"] = True
        return Unseen(made=any(isinstance(option, (Instance, Tensor)) or _made(option) for option in options))

    def _join_state(self, values: Sequence[Any], key: str) -> Any:
        if key == "#items":
            return self._join_items([value for value in values if value is not MISSING])
        if key == "#flag":
            return any(value is not MISSING and value for value in values)
        known = [value for value in values if value is not MISSING]
        return known[0] if len(known) == len(values) and all(_equal(value, known[0]) for value in known) else None

    def _join_items(self, values: list[Any]) -> Any:
        shortest = min(len(items) for items, _ in values)
        common: list[Any] = []
        for index in range(shortest):
            element = values[0][0][index]
            if all(_alike(items[index], element) for items, _ in values):
                common.append(element)
            else:
                break
        others: list[Value] = []
        for items, rest in values:
            others += [item[1] if isinstance(item, tuple) else item for item in items[len(common) :]]
            if rest is not None:
                others.append(rest)
        return tuple(common), self.join(others) if others else None

    def incident(self, kind: str, where: tuple[Unit, ast.AST], text: str, **more: Any) -> None:
        """Something cannot do what it says; kept if it is certain to happen, once for each statement."""
        if self.incidents is not None and not self.doubts and self.graph is None:
            from initlint.source.interpreter.places import place

            self.incidents.setdefault(id(where[1]), Incident(kind=kind, location=place(*where), text=text, **more))

    def bind(self, frame: Frame, name: str, value: Value) -> None:
        """Give a local name a value."""
        self.put(frame.outer.get(name, frame.scopes[0]), name, value)

    def lookup(self, name: str, frame: Frame) -> Value | None:
        """What a name means, None if nothing in sight binds it."""
        for scope in frame.scopes:
            found = scope.get(name)
            if found is not None:
                return found  # type: ignore[no-any-return]
        return None


def _passed_by() -> int:
    return NEXT


def _either_extent(options: Sequence[Any]) -> Value:
    """A number computed from these sizes of one tensor, or from those."""
    first: Extent = options[0]
    if any((other.of, other.text) != (first.of, first.text) or not other.axes for other in options):
        return Unseen()
    named = next((other.named for other in options if "0" in other.axes), first.named)
    return Extent(first.of, frozenset().union(*(other.axes for other in options)), first.text, named)


def _restore(cell: Cell, key: str, before: Any) -> None:
    if before is MISSING:
        cell.pop(key, None)
    else:
        cell[key] = before


def _status(statuses: list[int]) -> int:
    live = {status for status in statuses if status != RAISE}
    if not live:
        return RAISE
    if len(live) == 1:
        return live.pop()
    return NEXT if live <= {NEXT, CONTINUE} and CONTINUE not in live else MAYBE


def _same(a: Value, b: Value) -> bool:
    if a is b:
        return True
    if isinstance(a, Const) and isinstance(b, Const):
        return type(a.value) is type(b.value) and bool(a.value == b.value)
    if isinstance(a, Ref) and isinstance(b, Ref):
        return a.name == b.name
    if isinstance(a, Class) and isinstance(b, Class):
        return a.info is b.info
    if isinstance(a, Func) and isinstance(b, Func):
        return (a.node, a.receiver, a.defaults) == (b.node, b.receiver, b.defaults) and a.closure is b.closure
    return isinstance(a, Flow) and isinstance(b, Flow) and a.node is b.node


def _alike(a: Any, b: Any) -> bool:
    if isinstance(a, tuple) and isinstance(b, tuple):
        return a[0] == b[0] and _same(a[1], b[1])
    return _same(a, b)


def _worth(option: Value) -> bool:
    return option is NONE or isinstance(option, (Instance, Tensor, Class, Ref, Func, Method, Partial, Items, Table))


def _made(option: Value) -> bool:
    return isinstance(option, Unseen) and option.made


def _equal(a: Any, b: Any) -> bool:
    """Whether two states agree; what is unknown agrees with nothing else."""
    try:
        return a is b or bool(a == b)
    except UnknownFact:
        return False
