"""The one walk over a file's tree: what is defined, what is mentioned, where calls of initialisers may stand."""

from __future__ import annotations

import ast
import functools
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from initlint.record import field, record
from initlint.regex import pattern
from initlint.source.tables import initializers
from initlint.source.text.sites import imported_initialisers, sort_out
from initlint.source.text.walking import fields_of

Function = ast.FunctionDef | ast.AsyncFunctionDef

_LAST_NAMES = frozenset(name.rpartition(".")[2] for name in initializers.ROWS)
_BEGINS = ("init", "reset", "reinit", "rereset")
_INITIALISED = ("weight", "param", "bias", "module", "layer", "model")
_ONE_OF_THEM = frozenset({"param", "params", "parameter", "parameters", "model", "module", "layer"})


def init_like(name: str) -> bool:
    """Whether a function of that name has the job to initialise: ``_init_weights``, ``reset_parameters``, ``init_``."""
    if "init" not in name and "reset" not in name:
        return False
    bare = name.lstrip("_")
    if bare in ("init", "init_"):
        return True
    for begin in _BEGINS:
        if bare.startswith(begin):
            return any(part in bare[len(begin) :] for part in _INITIALISED)
    first, _, rest = bare.partition("_")
    begins = ("init", "reset") if first in ("weight", "weights") else ("init",) if first in _ONE_OF_THEM else ()
    return rest.lstrip("_").startswith(begins)


MARKS = frozenset(
    {
        *("deepcopy", "UninitializedParameter", "ParameterList", "skip_init", "to_empty"),
        *("weight_norm", "spectral_norm", "orthogonal", "parametrize", "parametrizations"),
        *("register_parameter", "register_parametrization", "setattr", "load_state_dict"),
        *("LazyLinear", "LazyConv1d", "LazyConv2d", "LazyConv3d"),
        *("LazyConvTranspose1d", "LazyConvTranspose2d", "LazyConvTranspose3d"),
        *("SELU", "selu", "AlphaDropout", "TransformerEncoder", "TransformerDecoder", "Transformer"),
    }
)
"""Names of what makes a class worth a look by itself, wherever in it they stand."""
_UNINITIALISED = frozenset(
    {
        *("empty", "empty_like", "new_empty", "Tensor"),
        *("FloatTensor", "HalfTensor", "BFloat16Tensor", "DoubleTensor"),
    }
)
"""Calls that leave memory as it is, by the last name."""
_NOTED = MARKS | {"Linear", "Conv1d", "Conv2d", "Conv3d", "ReLU", "relu", "LeakyReLU", "leaky_relu"}
_NOTED |= {"LayerNorm", "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "GroupNorm", "RMSNorm"}
_HARMLESS = frozenset({"dtype", "device", "shape", "ndim", "size", "numel", "is_cuda", "element_size"})
"""What is asked of a tensor without having anything to do with its values."""


@record(slots=True)
class Scan:
    """What the walk found; ``table`` has the initialisers that it knew."""

    table: initializers.Initializers = initializers.KNOWN
    functions: dict[Function, Function | ast.ClassDef | None] = field(default_factory=dict)
    """Every function, with the function or class that directly encloses it."""
    classes: list[ast.ClassDef] = field(default_factory=list)
    holders: dict[int, Function | ast.ClassDef | None] = field(default_factory=dict)
    """For each class (by its id), the function or class that directly encloses it."""
    initialising: dict[ast.AST | None, list[ast.Call]] = field(default_factory=dict)
    """The calls by name alike to an initialiser's, by the outermost function (None: module level) they stand in."""
    broad: dict[ast.AST | None, list[ast.Call]] = field(default_factory=dict)
    """Calls that may write whatever a module holds (apply, load_state_dict), likewise."""
    assigning: dict[ast.AST | None, list[ast.stmt]] = field(default_factory=dict)
    """Assignments to what layers hold, likewise."""
    names: dict[str, list[ast.Name]] = field(default_factory=lambda: defaultdict(list))
    """Every mention of a name, by the name."""
    attributes: dict[str, list[ast.Attribute]] = field(default_factory=lambda: defaultdict(list))
    """Everything that is asked of something else, by how it is called."""
    calls: list[tuple[ast.Call, ast.AST | None]] = field(default_factory=list)
    """Every call, with the outermost function that it stands in."""
    seeding: list[ast.Call] = field(default_factory=list)
    """Calls that may set a seed, by their name."""
    discarded: set[int] = field(default_factory=set)
    """The calls (by their id) that are a statement by themselves: nothing takes what they return."""
    caught: list[tuple[int, int]] = field(default_factory=list)
    """The first and last lines of blocks whose exceptions a handler catches."""
    rebound: set[str] = field(default_factory=set)
    """The global names that functions give other values."""
    strings: set[str] = field(default_factory=set)
    allocating: list[ast.Call] = field(default_factory=list)
    """The calls that may make a tensor of memory as it was found."""
    mentions: dict[int, set[str]] = field(default_factory=dict)
    """For each class (by its id), the names that stand in it."""
    events: set[int] = field(default_factory=set)
    """The classes (by their ids) with a statement that makes them worth a look, whatever it names: a tensor of a part
    used or replaced, a list multiplied or kept as an attribute, one instance handed to several."""

    repetitions: dict[int, ast.BinOp] = field(default_factory=dict)
    """The multiplications of lists of one element, by the id of that element."""
    _within: dict[int, str | None] = field(default_factory=dict)

    def within(self, line: int) -> str | None:
        """The qualified name of the innermost function that a line stands in, its first one left out."""
        if line not in self._within:
            self._within[line] = self._enclosing(line)
        return self._within[line]

    def _enclosing(self, line: int) -> str | None:
        inner: Function | None = None
        for function in self.functions:
            if function.lineno <= line <= (function.end_lineno or 0) and (
                inner is None or function.lineno > inner.lineno
            ):
                inner = function
        if inner is None or inner.lineno == line:
            return None
        name = inner.name
        outer = self.functions[inner]
        while outer is not None:
            if isinstance(outer, ast.ClassDef):
                name = f"{outer.name}.{name}"
                outer = self.holders.get(id(outer))
            else:
                name = f"{outer.name}.<locals>.{name}"
                outer = self.functions.get(outer)
        return name

    def handed(self) -> set[str]:
        """The names given as an argument to some call within a function (but isinstance's and super's)."""
        found: set[str] = set()
        for call, owner in self.calls:
            function = call.func
            if owner is not None and (type(function) is not ast.Name or function.id not in ("super", "isinstance")):
                found.update(node.id for node in call.args if type(node) is ast.Name)
                found.update(keyword.value.id for keyword in call.keywords if type(keyword.value) is ast.Name)
        return found

    def mentioned(self, wanted: Iterable[str]) -> Iterator[ast.Name]:
        """Every mention of some names."""
        for name in wanted:
            yield from self.names.get(name, ())

    def asked(self, wanted: Iterable[str]) -> Iterator[ast.Attribute]:
        """Everything that is asked for by some names."""
        for name in wanted:
            yield from self.attributes.get(name, ())

    def catches(self, node: ast.expr) -> bool:
        """Whether a handler may catch what an expression raises, in the function that it stands in."""
        return any(first <= node.lineno <= last for first, last in self.caught)


_LOOKED_AT = (
    *(ast.Call, ast.keyword, ast.Expr, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.BinOp, ast.ListComp),
    *(ast.GeneratorExp, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Try),
    ast.Global,
)
"""The kinds of node of which more is noted than what they hold."""
_looked_at = {kind: fields_of(kind) for kind in _LOOKED_AT}
_passed: dict[type, tuple[str, ...]] = {}
"""The fields to be visited of the other kinds that were met."""


class _Left:
    """Stands on the stack under what a function or class holds, and says where the walk was before."""

    __slots__ = ("here", "outermost", "within")

    def __init__(self, outermost: ast.AST | None, within: ast.AST | None, here: set[str]) -> None:
        self.outermost = outermost
        self.within = within
        self.here = here


def scan(tree: ast.Module, path: str, table: initializers.Initializers = initializers.KNOWN) -> Scan:
    """Walk the tree once."""
    found = Scan(table)
    local = _LAST_NAMES | table.names
    modules = {"init", "I"}  # names of torch.nn.init, whatever it is that they call there
    here: set[str] = set()
    outermost: ast.AST | None = None
    within: ast.AST | None = None
    stack: list[Any] = [tree]
    nested: list[tuple[set[str], set[str]]] = []
    names, attributes, strings, calls = found.names, found.attributes, found.strings, found.calls
    eventful: list[set[str]] = []  # the mentions of the class stand for it until the walk is over
    made: set[str] = set()
    shares: list[tuple[set[str], list[str]]] = []
    name_kind, attribute_kind, constant_kind = ast.Name, ast.Attribute, ast.Constant
    while stack:
        node = stack.pop()
        kind = type(node)
        if kind is name_kind:
            name = node.id
            names[name].append(node)
            here.add(name)
            continue
        if kind is constant_kind:
            value = node.value
            if type(value) is str and len(value) < 60:
                strings.add(value)
            continue
        if kind is attribute_kind:
            attribute, value = node.attr, node.value
            attributes[attribute].append(node)
            if attribute in _NOTED:
                here.add(attribute)
            elif attribute in ("weight", "bias"):
                if type(value) is ast.Attribute or type(node.ctx) is ast.Store:
                    eventful.append(here)
            elif attribute in _HARMLESS and type(value) is ast.Attribute:
                attributes[value.attr].append(value)
                value = value.value
            stack.append(value)
            continue
        fields = _passed.get(kind)
        if fields is None and kind in _looked_at:
            fields = _looked_at[kind]
            if kind is ast.Call:
                calls.append((node, outermost))
                function = node.func
                called = function.attr if type(function) is ast.Attribute else getattr(function, "id", "")
                if called in _ADDING:
                    shares += ((here, held) for each in node.args for held in _elements(each))
                elif called in _UNINITIALISED:
                    found.allocating.append(node)
                    eventful.append(here)
                elif called == "requires_grad_" or (called == "Parameter" and not _is_scale(node)):
                    eventful.append(here)
                stack.append(function)
                stack += node.args
                for keyword in node.keywords:
                    stack.append(keyword.value)
                    if keyword.arg is not None and _settles(keyword.arg):
                        eventful.append(here)
                continue
            if kind is ast.keyword:  # of a class
                if node.arg is not None and _settles(node.arg):
                    eventful.append(here)
            elif kind is ast.Expr:
                found.discarded.add(id(node.value))
            elif kind is ast.Assign:
                value = node.value
                for target in node.targets:
                    if type(target) is not name_kind:
                        if _is_values(target):
                            found.assigning.setdefault(outermost, []).append(node)
                        if type(target) is attribute_kind and _is_eventful(target.attr, value):
                            eventful.append(here)
                    elif type(value) is ast.Call:
                        made.add(target.id)
            elif kind is ast.AugAssign:
                if _is_values(node.target):
                    found.assigning.setdefault(outermost, []).append(node)
                shares += ((here, held) for held in _elements(node.value))
            elif kind is ast.AnnAssign:
                if type(node.target) is attribute_kind and node.value is not None:
                    if _is_eventful(node.target.attr, node.value):
                        eventful.append(here)
                elif type(node.value) is ast.Call and type(node.target) is name_kind:
                    made.add(node.target.id)
            elif kind is ast.BinOp:
                if type(node.op) is ast.Mult:
                    if _holds_values(node.left) or _holds_values(node.right):
                        eventful.append(here)
                    for side in (node.left, node.right):
                        if type(side) is ast.List and len(side.elts) == 1:
                            found.repetitions[id(side.elts[0])] = node
            elif kind is ast.ListComp or kind is ast.GeneratorExp:
                shares.append((here, _arguments(node.elt)))
            elif kind is ast.FunctionDef or kind is ast.AsyncFunctionDef:
                found.functions[node] = within  # type: ignore[assignment]
                stack.append(_Left(outermost, within, here))
                outermost, within = outermost or node, node
            elif kind is ast.ClassDef:
                found.classes.append(node)
                found.holders[id(node)] = within  # type: ignore[assignment]
                stack.append(_Left(outermost, within, here))
                inner: set[str] = set()
                nested.append((here, inner))
                found.mentions[id(node)] = here = inner
                within = node
            elif kind is ast.Global:
                found.rebound.update(node.names)
            elif kind is ast.Try:
                if node.handlers:
                    found.caught.append((node.body[0].lineno, node.body[-1].end_lineno))
            else:
                own, names_of_init = imported_initialisers(node, path, table)
                local |= own
                modules |= names_of_init
        elif kind is _Left:
            outermost, within, here = node.outermost, node.within, node.here
            continue
        if fields is None:
            fields = _passed[kind] = fields_of(kind)
        for name in fields:
            value = getattr(node, name, None)
            if type(value) is list:
                stack += value
            elif value is not None:
                stack.append(value)
    eventful += (where for where, arguments in shares if not made.isdisjoint(arguments))
    classes = {id(mentions): key for key, mentions in found.mentions.items()}
    found.events.update(classes[id(where)] for where in eventful if id(where) in classes)
    for outer, inner in reversed(nested):  # a class is met before those within it
        outer.update(inner)
    sort_out(found, local, modules)
    return found


def _is_values(target: ast.expr) -> bool:
    """Whether assigning to something changes the values that a layer holds: ``m.weight.data``, ``m.bias[:]``."""
    if type(target) is ast.Subscript:
        target = target.value
    return type(target) is ast.Attribute and target.attr in ("data", "weight", "bias")


_SETTING = pattern("init|gain|std|requires_grad")


@functools.lru_cache(maxsize=2_000)
def _settles(argument: str) -> bool:
    """Whether by an argument of that name a class settles how its parts start out, wherever these are defined."""
    return _SETTING.search(argument) is not None


_ADDING = frozenset({"append", "add_module", "extend", "insert"})


def _arguments(node: ast.expr) -> list[str]:
    """The local names that an element is made of: itself, or the arguments of the call that makes it."""
    if type(node) is ast.Name:
        return [node.id]
    if type(node) is not ast.Call:
        return []
    given = (*node.args, *(keyword.value for keyword in node.keywords))
    return [value.id for value in given if type(value) is ast.Name]


def _elements(node: ast.expr) -> list[list[str]]:
    """The same for each of what is added: the elements of a display, or the one thing itself."""
    return [_arguments(each) for each in (node.elts if type(node) in (ast.List, ast.Tuple) else (node,))]  # type: ignore[attr-defined]


_CONTAINERS = (ast.List, ast.Tuple, ast.ListComp, ast.Dict, ast.DictComp)


def _is_eventful(attribute: str, value: ast.expr) -> bool:
    """Whether an attribute keeps a plain container that may hold layers, or is called as an adapter is."""
    if type(value) in _CONTAINERS and _may_hold_layers(value):
        return True
    return _ADAPTER.search(attribute) is not None


_ADAPTER = pattern("lora|adapter", re.IGNORECASE)


def _is_scale(made: ast.Call) -> bool:
    """Whether a Parameter is made of a vector of ones or zeros: a norm's, as sound as they come."""
    given = made.args[0] if made.args else None
    if type(given) is not ast.Call or type(given.func) is not ast.Attribute:
        return False
    vector = len(given.args) == 1 and type(given.args[0]) not in (ast.Tuple, ast.List, ast.Starred)
    return vector and given.func.attr in ("ones", "zeros")


def _holds_values(node: ast.expr) -> bool:
    """Whether it is a list or tuple of something else than constants."""
    if type(node) is not ast.List and type(node) is not ast.Tuple:
        return False
    return any(type(each) not in (ast.Constant, ast.UnaryOp) for each in node.elts)


def _may_hold_layers(container: ast.expr) -> bool:
    """Whether a display or comprehension is empty, to be filled later, or holds what some call returns."""
    if isinstance(container, ast.ListComp):
        return type(container.elt) is ast.Call
    if isinstance(container, ast.DictComp):
        return type(container.value) is ast.Call
    held = container.elts if isinstance(container, (ast.List, ast.Tuple)) else getattr(container, "values", [])
    if not held:
        return type(container) is not ast.Tuple  # which nothing can be added to
    return any(type(each) in (ast.Call, ast.Name, ast.Attribute, ast.Starred) for each in held)
