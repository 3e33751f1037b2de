"""The one walk over a file's tree: what is defined, what is mentioned, where calls of initialisers may stand."""

from __future__ import annotations

import ast
from typing import Any

from initlint.record import field, record
from initlint.regex import pattern
from initlint.source.tables import initializers
from initlint.source.text.names import imported

Function = ast.FunctionDef | ast.AsyncFunctionDef

_LAST_NAMES = frozenset(name.rpartition(".")[2] for name in initializers.ROWS)
_BEGINS = ("init", "reset", "reinit", "rereset")
_INITIALISED = ("weight", "param", "bias", "module", "layer", "model")
_ONE_OF_THEM = frozenset({"param", "params", "parameter", "parameters", "model", "module", "layer"})


def init_like(name: str) -> bool:
    """Whether a function of that name has the job to initialise: ``_init_weights``, ``reset_parameters``, ``init_``."""
    bare = name.lstrip("_")
    if bare in ("init", "init_"):
        return True
    for begin in _BEGINS:
        if bare.startswith(begin):
            return any(part in bare[len(begin) :] for part in _INITIALISED)
    first, _, rest = bare.partition("_")
    begins = ("init", "reset") if first in ("weight", "weights") else ("init",) if first in _ONE_OF_THEM else ()
    return rest.lstrip("_").startswith(begins)


_LIBRARIES = frozenset({"torch", "np", "numpy"})

_BROAD = frozenset(
    {
        "apply",
        "load_state_dict",
        "from_pretrained",
        "load_from_checkpoint",
        "load_checkpoint",
        "_load_from_state_dict",
        "load_pretrained",
        "load_weights",
    }
)


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
    names: list[ast.Name] = field(default_factory=list)
    attributes: list[ast.Attribute] = field(default_factory=list)
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
    handed: set[str] = field(default_factory=set)
    """The names given as an argument to some call within a function (but isinstance's and super's)."""
    events: set[int] = field(default_factory=set)
    """The classes (by their ids) with a statement that makes them worth a look, whatever it names: a tensor of a part
    used or replaced, a list multiplied or kept as an attribute, one instance handed to several."""

    def catches(self, node: ast.expr) -> bool:
        """Whether a handler may catch what an expression raises, in the function that it stands in."""
        return any(first <= node.lineno <= last for first, last in self.caught)


_LEAVES = frozenset(
    {"arg", "asname", "attr", "conversion", "ctx", "id", "is_async", "kind", "level", "module", "name", "op", "ops"}
    | {"simple", "type_comment", "type_ignores"}
)
"""Fields of nodes that hold text, numbers, or what an operator is called."""

_parts: dict[type, tuple[str, ...]] = {type(None): (), str: (), bool: ()}
"""The fields of a node that hold others worth visiting, by its kind; None and texts stand in lists beside nodes, and
True in ``case True``."""


def _parts_of(kind: type[ast.AST]) -> tuple[str, ...]:
    """The same of a kind that was not met before."""
    found = _parts[kind] = tuple(name for name in kind._fields if name not in _LEAVES)
    return found


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
    calls: list[tuple[ast.Call, ast.AST | None]] = []
    nested: list[tuple[set[str], set[str]]] = []
    names, attributes, strings, handed = found.names, found.attributes, found.strings, found.handed
    eventful: list[set[str]] = []  # the mentions of the class stand for it until the walk is over
    made: set[str] = set()
    shares: list[tuple[set[str], list[str]]] = []
    while stack:
        node = stack.pop()
        kind = type(node)
        if kind is ast.Name:
            names.append(node)
            here.add(node.id)
            continue
        if kind is ast.Constant:
            value = node.value
            if type(value) is str and len(value) < 60:
                strings.add(value)
            continue
        if kind is ast.Attribute:
            attributes.append(node)
            attribute, value = node.attr, node.value
            if attribute in _NOTED:
                here.add(attribute)
            elif attribute in ("weight", "bias"):
                if type(value) is ast.Attribute or type(node.ctx) is ast.Store:
                    eventful.append(here)
            elif attribute in _HARMLESS and type(value) is ast.Attribute:
                attributes.append(value)
                value = value.value
            stack.append(value)
            continue
        if kind is ast.Try and node.handlers:
            found.caught.append((node.body[0].lineno, node.body[-1].end_lineno))
        if kind is ast.Expr:
            found.discarded.add(id(node.value))
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
        elif kind is ast.Assign or kind is ast.AugAssign:
            for target in node.targets if kind is ast.Assign else (node.target,):
                if _is_values(target):
                    found.assigning.setdefault(outermost, []).append(node)
            if kind is ast.Assign:
                _note_assignment(node, here, made, eventful)
            else:
                shares += ((here, held) for held in _elements(node.value))
        elif kind is ast.AnnAssign:
            _note_assignment(node, here, made, eventful)
        elif kind is ast.ListComp or kind is ast.GeneratorExp:
            shares.append((here, _arguments(node.elt)))
        elif kind is ast.BinOp:
            if type(node.op) is ast.Mult and (_holds_values(node.left) or _holds_values(node.right)):
                eventful.append(here)
        elif kind is ast.keyword:
            if node.arg is not None and _SETTING.search(node.arg):
                eventful.append(here)
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
        elif kind is ast.Import:
            modules |= {name for name, full in imported(node, path) if full == "torch.nn.init"}
        elif kind is ast.ImportFrom:
            module = node.module or ""
            if table.names:
                local |= {name for name, full in imported(node, path) if table.own(full)}
            if "init" in module or "timm" in module or "mm" in module or "fvcore" in module or module == "torch.nn":
                for name, full in imported(node, path):
                    if full == "torch.nn.init":
                        modules.add(name)
                    elif initializers.lookup(full) is not None:
                        local |= {name}
        elif kind is _Left:
            outermost, within, here = node.outermost, node.within, node.here
            continue
        parts = _parts.get(kind)
        for name in _parts_of(kind) if parts is None else parts:
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
    for call, owner in calls:
        function = call.func
        if owner is not None and (type(function) is not ast.Name or function.id not in ("super", "isinstance")):
            handed.update(node.id for node in call.args if type(node) is ast.Name)
            handed.update(keyword.value.id for keyword in call.keywords if type(keyword.value) is ast.Name)
        if type(function) is ast.Attribute:
            last = function.attr
            base = function.value
            if (type(base) is ast.Name and base.id in modules) or (type(base) is ast.Attribute and base.attr == "init"):
                found.initialising.setdefault(owner, []).append(call)
                continue
            if "seed" in last:
                found.seeding.append(call)
                continue
            if (
                type(base) is ast.Name
                and base.id in _LIBRARIES
                and last[-1:] != "_"
                and id(call) not in found.discarded
            ):
                continue  # torch.ones makes a tensor, and has its name from there
        elif type(function) is ast.Name:
            last = function.id
        else:
            continue
        if last in local or (id(call) in found.discarded and "torch." + last in initializers.NEW_LIKE):
            found.initialising.setdefault(owner, []).append(call)
        elif last in _BROAD:
            if last == "apply" and _is_of_text(call):
                continue
            found.broad.setdefault(owner, []).append(call)
        elif "seed" in last:
            found.seeding.append(call)
    return found


_OF_TEXT = frozenset({"split", "rsplit", "strip", "lower", "upper", "replace", "startswith", "endswith", "int", "len"})


def _is_of_text(call: ast.Call) -> bool:
    """Whether ``apply`` is handed a lambda that only asks things of texts: pandas' column.apply, no initialiser."""
    given = call.args[0] if call.args else None
    if type(given) is not ast.Lambda:
        return False
    calls = [node.func for node in ast.walk(given.body) if isinstance(node, ast.Call)]
    names = [f.attr if isinstance(f, ast.Attribute) else f.id if isinstance(f, ast.Name) else "" for f in calls]
    return bool(names) and _OF_TEXT.issuperset(names)


def _is_values(target: ast.expr) -> bool:
    """Whether assigning to something changes the values that a layer holds: ``m.weight.data``, ``m.bias[:]``."""
    if type(target) is ast.Subscript:
        target = target.value
    return type(target) is ast.Attribute and target.attr in ("data", "weight", "bias")


_SETTING = pattern("init|gain|std|requires_grad")
"""Arguments by which a class settles how its parts start out, wherever these are defined."""
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


def _note_assignment(
    node: ast.Assign | ast.AnnAssign, here: set[str], made: set[str], eventful: list[set[str]]
) -> None:
    """Note what a statement makes under a local name, and plain containers that it keeps as an attribute."""
    value = node.value
    kind = type(value)
    if value is None:
        return
    for target in node.targets if isinstance(node, ast.Assign) else (node.target,):
        if kind is ast.Call and type(target) is ast.Name:
            made.add(target.id)
        elif (
            type(target) is ast.Attribute and ("lora" in target.attr.lower() or "adapter" in target.attr.lower())
        ) or (
            (kind in (ast.List, ast.Tuple, ast.ListComp, ast.Dict, ast.DictComp))
            and type(target) is ast.Attribute
            and _may_hold_layers(value)
        ):
            eventful.append(here)


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
