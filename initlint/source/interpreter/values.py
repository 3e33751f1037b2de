"""The abstract values that the interpreter computes with.

Whatever can change while a program runs is kept in a ``Cell``, so that a branch which may or may not be taken can be
run, rolled back and joined with its alternative.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from initlint.record import NamedTuple, record

if TYPE_CHECKING:
    from initlint.source.interpreter.classes import ClassInfo
    from initlint.source.interpreter.state import Unit

Writes = tuple["Event", ...] | None
"""The events that wrote a tensor, in order; None where one may have been missed."""


class Cell(dict[str, Any]):
    """Mutable state. ``born`` is the time it came into being: what is younger than a branch needs no joining."""

    __slots__ = ("born",)

    def __init__(self, born: int) -> None:
        self.born = born


class Value:
    """Base of every abstract value."""

    __slots__ = ()


class Unseen(Value):
    """A value that is not known.

    ``text`` is how the source spells it. ``kinds`` are the layer kinds it can be where a test has said so;
    ``owner_kinds`` and ``attribute`` those of the module it is an attribute of. ``made`` is True where it may well be a
    module that some call has made. ``parameter_name`` holds the text of the name variable that a
    ``named_parameters()`` loop binds beside it. ``sort`` is "module" or "parameter" for what a walk over a tree yields.
    """

    __slots__ = ("attribute", "kinds", "made", "owner_kinds", "pattern", "sort", "text")

    def __init__(
        self,
        text: str = "",
        kinds: tuple[str, ...] | None = None,
        owner_kinds: tuple[str, ...] | None = None,
        attribute: str | None = None,
        made: bool = False,
        pattern: str | None = None,
        sort: str | None = None,
    ) -> None:
        self.text = text
        self.kinds = kinds
        self.owner_kinds = owner_kinds
        self.attribute = attribute
        self.made = made
        self.pattern = pattern
        self.sort = sort

    def spelled(self, text: str, kinds: tuple[str, ...] | None = None) -> Unseen:
        """The same value under a text, of these kinds where a test has said so."""
        own = self.kinds if kinds is None else kinds
        return Unseen(text, own, self.owner_kinds, self.attribute, self.made, self.pattern, self.sort)


class Index(Unseen):
    """A whole number that is not known: what a loop over a range counts."""

    __slots__ = ()


class Extent(Unseen):
    """A number computed from sizes of a tensor that is not known, spelled ``of``.

    ``axes`` are those that it may be taken from ("0", "1:" for the product of all but the first), empty for the whole
    shape; ``text`` is the name that was first given to it, ``named`` where.
    """

    __slots__ = ("axes", "named", "of")

    def __init__(
        self,
        of: str,
        axes: frozenset[str] = frozenset(),
        text: str = "",
        named: tuple[Unit, ast.AST] | None = None,
    ) -> None:
        super().__init__(text)
        self.of = of
        self.axes = axes
        self.named = named

    def spelled(self, text: str, kinds: tuple[str, ...] | None = None) -> Unseen:
        """The same number under a name."""
        return Extent(self.of, self.axes, text, self.named)


class Contents(Unseen):
    """What a module holds, by name: its state dict, its ``_parameters``. What is taken out of it may be written."""

    __slots__ = ("holder",)

    def __init__(self, holder: Value) -> None:
        super().__init__()
        self.holder = holder

    def spelled(self, text: str, kinds: tuple[str, ...] | None = None) -> Unseen:
        """The same contents; no name tells more of them."""
        return self


UNSEEN = Unseen()
MADE = Unseen(made=True)


class Const(Value):
    """A number, string, bool or None whose value is known."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


NONE = Const(None)
TRUE = Const(True)
FALSE = Const(False)


class Origin(NamedTuple):
    """Where an imported name comes from: ``from module import names`` in the file ``path`` (``level``: its dots)."""

    path: str
    level: int
    module: tuple[str, ...]
    names: tuple[str, ...] = ()

    def then(self, *names: str) -> Origin:
        """The origin of an attribute of it."""
        return self._replace(names=(*self.names, *names))


class Ref(Value):
    """Something imported or built in, by its canonical name; ``origin`` where it may be a file's of the project."""

    __slots__ = ("name", "origin")

    def __init__(self, name: str, origin: Origin | None = None) -> None:
        self.name = name
        self.origin = origin


class Items(Value):
    """A list, tuple or set. ``cell["#items"]`` is (known elements, element that stands for unknown many or None)."""

    __slots__ = ("cell", "kind")

    def __init__(self, kind: str, cell: Cell, items: tuple[Value, ...], rest: Value | None = None) -> None:
        self.kind = kind
        self.cell = cell
        cell["#items"] = (items, rest)

    @property
    def known(self) -> tuple[Value, ...]:
        """The elements in order."""
        known: tuple[Value, ...] = self.cell["#items"][0]
        return known

    @property
    def rest(self) -> Value | None:
        """What stands for any number of further elements, None if there are none."""
        rest: Value | None = self.cell["#items"][1]
        return rest


class Table(Value):
    """A dict. ``cell["#items"]`` is (tuple of (key, value) pairs, value of unknown further keys or None)."""

    __slots__ = ("cell",)

    def __init__(self, cell: Cell, pairs: tuple[tuple[Any, Value], ...], rest: Value | None = None) -> None:
        self.cell = cell
        cell["#items"] = (pairs, rest)

    @property
    def pairs(self) -> tuple[tuple[Any, Value], ...]:
        """The known pairs, keys being Python constants."""
        pairs: tuple[tuple[Any, Value], ...] = self.cell["#items"][0]
        return pairs

    @property
    def rest(self) -> Value | None:
        """What stands for further values, None if there are none."""
        rest: Value | None = self.cell["#items"][1]
        return rest

    def get(self, key: object) -> Value | None:
        """The value under a constant key."""
        for known, value in self.pairs:
            if known == key:
                return value
        return None


class Held(Table):
    """The ``_modules`` of a module: what is entered there is the module's own, what is taken out is gone from it."""

    __slots__ = ("holder",)

    def __init__(self, cell: Cell, pairs: tuple[tuple[Any, Value], ...], holder: Instance) -> None:
        super().__init__(cell, pairs)
        self.holder = holder


class Func(Value):
    """A function, method or lambda of a file, with the environments it closes over.

    ``defaults`` are the values of its parameters that were computed where it was defined.
    """

    __slots__ = ("closure", "defaults", "node", "owner", "receiver", "unit")

    def __init__(
        self,
        node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda,
        unit: Unit,
        closure: tuple[Cell, ...] = (),
        owner: ClassInfo | None = None,
        receiver: Value | None = None,
        defaults: Mapping[str, Value] | None = None,
    ) -> None:
        self.node = node
        self.unit = unit
        self.closure = closure
        self.owner = owner
        self.receiver = receiver
        self.defaults = defaults

    def bound(self, receiver: Value) -> Func:
        """The method that it is of a receiver, where a class has it as an attribute."""
        return Func(self.node, self.unit, self.closure, self.owner, receiver, self.defaults)


class Class(Value):
    """A class of a file that was read."""

    __slots__ = ("info",)

    def __init__(self, info: ClassInfo) -> None:
        self.info = info


class Super(Value):
    """``super()``: the receiver, looked up after one of its classes."""

    __slots__ = ("after", "receiver")

    def __init__(self, receiver: Value, after: ClassInfo | None) -> None:
        self.receiver = receiver
        self.after = after


class Method(Value):
    """A method that the file does not define, of a value that is known."""

    __slots__ = ("name", "receiver")

    def __init__(self, receiver: Value, name: str) -> None:
        self.receiver = receiver
        self.name = name


class Partial(Value):
    """functools.partial(function, …)."""

    __slots__ = ("function", "keywords", "positional")

    def __init__(self, function: Value, positional: list[Value], keywords: dict[str, Value]) -> None:
        self.function = function
        self.positional = positional
        self.keywords = keywords


class TypeOf(Value):
    """``type(m)`` of an unknown m, or (``named``) its class's name; ``found`` is a substring looked for in it."""

    __slots__ = ("found", "named", "text")

    def __init__(self, text: str, named: bool = False, found: str | None = None) -> None:
        self.text = text
        self.named = named
        self.found = found


class Either(Value):
    """Exactly one of several values, it is not known which."""

    __slots__ = ("options",)

    def __init__(self, options: tuple[Value, ...]) -> None:
        self.options = options


class Flow(Value):
    """A tensor that runs through forward: the node of the data-flow graph that it comes from."""

    __slots__ = ("node", "parts")

    def __init__(self, node: Any, parts: bool = False) -> None:
        self.node = node
        self.parts = parts


class Event(NamedTuple):
    """One write of a tensor, before it is made a fact. ``target`` is what was handed to the function: it, or a view."""

    function: str
    arguments: Mapping[str, Any]
    author: str
    node: tuple[Unit, ast.AST] | None
    order: int
    overwrites: bool = True
    application: int | None = None
    rows: Any = None
    """As Tensor.rows."""
    target: Tensor | None = None
    dtype: str | None = None
    """What it was drawn in, where the code says so."""
    of: Event | None = None
    """The draw that ``function`` was applied to, value by value."""


@record(slots=True)
class Applied:
    """One run of an initialiser over the modules of a tree."""

    initializer: str
    node: tuple[Unit, ast.AST]
    order: int
    root: Instance
    kinds: tuple[str, ...] | None
    certain: bool = True


class Tensor(Value):
    """A tensor. Views and the Parameter made of it share its cell; ``#writes`` in it are the events so far.

    ``shape`` holds None for a dimension that is not known and is None as a whole where not even their number is.
    ``rows`` are None where dimension 0 is that of the whole; of a ``partial`` one (first, end), end None being the
    last, or the value that it was indexed by; UNSEEN where it is another part, or turned. ``whole`` is the shape of all
    that the cell holds, ``sizes`` the values that its dimensions were given as; ``axes`` says which axis of the whole
    each axis of this view is (see ``views``). Each is None where it is not known.
    """

    __slots__ = (
        "_leaf",
        "axes",
        "buffer",
        "cell",
        "is_parameter",
        "made",
        "partial",
        "rows",
        "shape",
        "sizes",
        "whole",
    )

    def __init__(
        self,
        cell: Cell,
        shape: tuple[int | None, ...] | None,
        writes: Writes,
        made: tuple[Unit, ast.AST] | None = None,
    ) -> None:
        self.cell = cell
        self.shape = shape
        self.made = made
        self.is_parameter = False
        self.buffer = False
        self.partial = False
        self._leaf = False
        self.rows: tuple[int, int | None] | Value | None = None
        self.whole = shape
        self.axes: tuple[int | None, ...] | None = None if shape is None else tuple(range(len(shape)))
        self.sizes: tuple[Value, ...] | None = None
        if "#writes" not in cell:
            cell.setdefault("#trainable", True)
            cell["#writes"] = writes

    @property
    def trainable(self) -> bool | None:
        """Whether it requires gradients, None if that is not known."""
        trainable: bool | None = self.cell["#trainable"]
        return trainable

    @property
    def writes(self) -> Writes:
        """The events that wrote it, None if some may have been missed."""
        writes: Writes = self.cell["#writes"]
        return writes

    def view(self, *, partial: bool = False, shape: tuple[int | None, ...] | None = None) -> Tensor:
        """The same memory, or (``partial``) some of it."""
        view = Tensor(self.cell, shape if partial or shape is not None else self.shape, self.writes, self.made)
        view.partial = self.partial or partial
        view.rows = UNSEEN if partial else self.rows
        view.whole, view.sizes = self.whole, self.sizes
        view.axes = self.axes if not partial and shape is None else None
        view._leaf = self.leaf
        return view

    @property
    def leaf(self) -> bool:
        """Whether it is a Parameter, or a view of one through which gradients run."""
        return self.is_parameter or self._leaf

    def detached(self) -> Tensor:
        """The same memory, out of sight of autograd."""
        view = self.view()
        view._leaf = False
        return view

    def part(self, rows: tuple[int, int | None] | Value) -> Tensor:
        """Some rows of it, as ``rows`` has them."""
        view = self.view(partial=True)
        if self.rows is None:
            view.rows = rows
        return view

    def as_parameter(self, made: tuple[Unit, ast.AST] | None, trainable: bool | None) -> Tensor:
        """nn.Parameter(tensor): the same memory under a new object."""
        parameter = Tensor(self.cell, self.shape, self.writes, made)
        parameter.is_parameter = True
        parameter.sizes = self.sizes
        parameter.cell["#trainable"] = trainable
        return parameter


class Instance(Value):
    """A module that was made: a layer of torch, or an instance of a class that was read.

    ``cell`` maps attribute names to values; elements of containers are attributes "0", "1", … ("*" stands for
    unknown many). ``kind`` is the nearest torch.nn class, ``info`` the class that was read, if any. ``turn`` is when
    the turn of a loop began that made it, for any number of others.
    """

    __slots__ = (
        "arguments",
        "cell",
        "class_name",
        "info",
        "kind",
        "made",
        "opaque",
        "order",
        "origin",
        "template",
        "turn",
    )

    def __init__(
        self,
        kind: str,
        class_name: str,
        cell: Cell,
        made: tuple[Unit, ast.AST] | None,
        order: int,
        info: ClassInfo | None = None,
    ) -> None:
        self.kind = kind
        self.class_name = class_name
        self.cell = cell
        self.made = made
        self.order = order
        self.info = info
        self.arguments: dict[str, Value] = {}
        self.origin = "constructed"
        self.template: tuple[Unit, ast.AST] | None = None
        self.opaque = False
        self.turn: int | None = None
