"""The one walk over a file's tree: what is defined, what is mentioned, where calls of initialisers may stand."""

from __future__ import annotations

import ast
import re
from dataclasses import field

from initlint.record import record
from initlint.source import initializers
from initlint.source.names import imported

Function = ast.FunctionDef | ast.AsyncFunctionDef

_LAST_NAMES = frozenset(name.rpartition(".")[2] for name in initializers.ROWS)
INIT_LIKE = re.compile(
    r"_*(?:re)?(?:init|initiali[sz]e|reset)_?\w*(?:weights?|params?|parameters?|bias(?:es)?|modules?|layers?|model)\w*$|"
    r"_*weights?_+(?:init|reset)\w*$|_*(?:params?|parameters?|model|module|layer)_+init\w*$|_*init_?$"
)
"""Names of functions whose job is to initialise."""

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
    strings: set[str] = field(default_factory=set)
    mentions: dict[int, set[str]] = field(default_factory=dict)
    """For each class (by its id), the names that stand in it."""
    handed: set[str] = field(default_factory=set)
    """The names given as an argument to some call within a function (but isinstance's and super's)."""

    def catches(self, node: ast.expr) -> bool:
        """Whether a handler may catch what an expression raises, in the function that it stands in."""
        return any(first <= node.lineno <= last for first, last in self.caught)


def scan(tree: ast.Module, path: str, table: initializers.Initializers = initializers.KNOWN) -> Scan:
    """Walk the tree once."""
    found = Scan(table)
    local = _LAST_NAMES | table.names
    modules = {"init", "I"}  # names of torch.nn.init, whatever it is that they call there
    here: set[str] = set()
    stack: list[tuple[ast.AST, ast.AST | None, ast.AST | None, set[str]]] = [(tree, None, None, here)]
    calls: list[tuple[ast.Call, ast.AST | None]] = []
    nested: list[tuple[set[str], set[str]]] = []
    names, attributes, strings, handed = found.names, found.attributes, found.strings, found.handed
    while stack:
        node, outermost, within, here = stack.pop()
        kind = type(node)
        if kind is ast.Name:
            names.append(node)  # type: ignore[arg-type]
            here.add(node.id)  # type: ignore[attr-defined]
            continue
        if kind is ast.Constant:
            value = node.value  # type: ignore[attr-defined]
            if type(value) is str and len(value) < 60:
                strings.add(value)
            continue
        if kind is ast.Attribute:
            attributes.append(node)  # type: ignore[arg-type]
            stack.append((node.value, outermost, within, here))  # type: ignore[attr-defined]
            continue
        if kind is ast.Try and node.handlers:  # type: ignore[attr-defined]
            found.caught.append((node.body[0].lineno, node.body[-1].end_lineno))  # type: ignore[attr-defined]
        if kind is ast.Expr:
            found.discarded.add(id(node.value))  # type: ignore[attr-defined]
        if kind is ast.Call:
            calls.append((node, outermost))  # type: ignore[arg-type]
        elif kind is ast.Assign or kind is ast.AugAssign:
            for target in node.targets if kind is ast.Assign else (node.target,):  # type: ignore[attr-defined]
                if _is_values(target):
                    found.assigning.setdefault(outermost, []).append(node)  # type: ignore[arg-type]
        elif kind is ast.FunctionDef or kind is ast.AsyncFunctionDef:
            found.functions[node] = within  # type: ignore[index, assignment]
            outermost, within = outermost or node, node
        elif kind is ast.ClassDef:
            found.classes.append(node)  # type: ignore[arg-type]
            found.holders[id(node)] = within  # type: ignore[assignment]
            inner: set[str] = set()
            nested.append((here, inner))
            found.mentions[id(node)] = here = inner
            within = node
        elif kind is ast.Import:
            modules |= {name for name, full in imported(node, path) if full == "torch.nn.init"}  # type: ignore[arg-type]
        elif kind is ast.ImportFrom:
            module = node.module or ""  # type: ignore[attr-defined]
            if table.names:
                local |= {name for name, full in imported(node, path) if table.own(full)}  # type: ignore[arg-type]
            if "init" in module or "timm" in module or "mm" in module or "fvcore" in module or module == "torch.nn":
                for name, full in imported(node, path):  # type: ignore[arg-type]
                    if full == "torch.nn.init":
                        modules.add(name)
                    elif initializers.lookup(full) is not None:
                        local |= {name}
        for name in node._fields:
            value = getattr(node, name, None)
            if type(value) is list:
                for item in value:
                    if isinstance(item, ast.AST):
                        stack.append((item, outermost, within, here))
            elif isinstance(value, ast.AST) and not isinstance(value, (ast.expr_context, ast.operator)):
                stack.append((value, outermost, within, here))
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
            found.broad.setdefault(owner, []).append(call)
        elif "seed" in last:
            found.seeding.append(call)
    return found


def _is_values(target: ast.expr) -> bool:
    """Whether assigning to something changes the values that a layer holds: ``m.weight.data``, ``m.bias[:]``."""
    if type(target) is ast.Subscript:
        target = target.value
    return type(target) is ast.Attribute and target.attr in ("data", "weight", "bias")
