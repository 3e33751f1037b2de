"""Which lines of a file are about other things than what was asked for by name.

A file is its statements at module level, and what one of them mentions leads on to those that bind it. What is asked
for reaches its class, the classes that it derives from and is made of, the functions that it calls. Nothing here looks
into what a name is worth: a mention is enough to keep the lines of a class.
"""

from __future__ import annotations

import ast
import symtable
from collections import defaultdict
from collections.abc import Iterable, Iterator

from initlint.record import record
from initlint.source.text.parsing import SourceError, decoded, parsed

__all__ = ["unconcerned"]

_HARMLESS = frozenset({"dataclass", "final", "total_ordering"})
"""Decorators that keep no hold of a class."""
_OPEN = frozenset({"__init_subclass__", "__subclasses__", "eval", "exec", "globals", "import_module", "metaclass"})
"""Names by which a class may get at others that it does not mention."""
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@record(frozen=True, slots=True)
class _Part:
    """A statement at module level: the names that it binds or may change, and those that it mentions.

    ``guarded``: under ``if __name__ == "__main__"``, which nobody who builds a model runs.
    """

    lines: range
    binds: frozenset[str]
    mentions: frozenset[str]
    is_class: bool = False
    is_function: bool = False
    guarded: bool = False


def unconcerned(data: bytes, names: Iterable[str]) -> tuple[range, ...]:
    """The lines of a file that do not concern any of ``names``, which it binds at module level.

    These are the bodies of classes that none of them reaches, the functions and statements that reach such a class and
    none that they do, and the functions that nothing but these mentions. Nothing where that cannot be told: for a name
    that is imported or bound in no sight, and where classes are looked up by other means than their names.
    """
    try:
        tree = parsed(decoded(data), "")
        parts, kept = _parts(tree)
    except (SourceError, SyntaxError, RecursionError, MemoryError, ValueError):
        return ()
    binding: defaultdict[str, list[_Part]] = defaultdict(list)
    for part in parts:
        for name in part.binds:
            binding[name].append(part)
    asked = {name.partition(".")[0] for name in names}
    if not asked or any(all(part.guarded for part in binding[name]) for name in asked):
        return ()
    classes = {name for part in parts if part.is_class for name in part.binds}
    unguarded = {name: [each for each in found if not each.guarded] for name, found in binding.items()}
    reached = _reached(asked, unguarded)
    if reached & _OPEN:
        return ()
    ours = (_reached(asked | kept, unguarded) & classes) | asked

    def is_of_others(part: _Part) -> bool:
        if part.is_class:
            return part.binds.isdisjoint(ours)
        if not part.guarded and not part.binds.isdisjoint(reached):
            return False
        led_to = _reached(part.mentions | part.binds, binding)
        return led_to.isdisjoint(ours) and not led_to.isdisjoint(classes)

    others = {part.lines: part for part in parts if is_of_others(part)}
    doubtful = [
        part for part in parts if part.is_function and part.lines not in others and reached.isdisjoint(part.binds)
    ]
    users = {part.lines: _users(part, parts) for part in doubtful}
    while found := [part for part in doubtful if users[part.lines] and others.keys() >= users[part.lines]]:
        others |= {part.lines: part for part in found}
        doubtful = [part for part in doubtful if part.lines not in others]
    return tuple(others)


def _users(part: _Part, parts: Iterable[_Part]) -> set[range]:
    """The statements, by their lines, that mention what a part binds."""
    return {other.lines for other in parts if other is not part and not other.mentions.isdisjoint(part.binds)}


def _reached(names: Iterable[str], binding: dict[str, list[_Part]]) -> set[str]:
    """The names, and all that what binds them mentions, one after another."""
    met = set(names)
    queue = list(met)
    while queue:
        for part in binding.get(queue.pop(), ()):
            new = part.mentions - met
            met |= new
            queue += new
    return met


def _parts(tree: ast.Module) -> tuple[list[_Part], set[str]]:
    """The statements at module level, and the classes that something else may keep hold of."""
    statements = list(_statements(tree.body, guarded=False))
    classes = {node.name for node, _ in statements if isinstance(node, ast.ClassDef)}
    imported = {
        (alias.asname or alias.name).partition(".")[0]
        for node, _ in statements
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    parts: list[_Part] = []
    kept: set[str] = set()
    for node, guarded in statements:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        mentions = frozenset(_mentioned(node, classes))
        first = node.lineno
        if isinstance(node, _DEFINITIONS):
            binds = frozenset({node.name})
            first = min([first, *(each.lineno for each in node.decorator_list)])
            if isinstance(node, ast.ClassDef) and not _HARMLESS.issuperset(map(_last, node.decorator_list)):
                kept.add(node.name)
        else:
            targets = _targets(node)
            binds = mentions - imported if targets is None else frozenset(targets)
            if not guarded:
                kept |= {name for name in _handed(node) if name in classes}
        lines = range(first, (node.end_lineno or first) + 1)
        is_class = isinstance(node, ast.ClassDef)
        parts.append(_Part(lines, binds, mentions, is_class, isinstance(node, _DEFINITIONS) and not is_class, guarded))
    return parts, kept


def _statements(body: Iterable[ast.stmt], *, guarded: bool) -> Iterator[tuple[ast.stmt, bool]]:
    """The statements of a block, with those of an ``if`` or ``try`` in it."""
    for node in body:
        handlers = getattr(node, "handlers", None)
        if handlers is None and not isinstance(node, ast.If):
            yield node, guarded
            continue
        here = guarded or (isinstance(node, ast.If) and "__name__" in ast.unparse(node.test))
        for held in (node, *(handlers or ())):
            for block in ("body", "orelse", "finalbody"):
                yield from _statements(getattr(held, block, ()), guarded=here)


def _mentioned(node: ast.stmt, classes: set[str]) -> Iterator[str]:
    """The names of the module that a statement mentions, and the classes that it names otherwise or in a string."""
    tables = [symtable.symtable(ast.unparse(node), "", "exec")]
    outermost = tables[0]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        for symbol in table.get_symbols():
            if symbol.is_referenced() if table is outermost else symbol.is_global():
                yield symbol.get_name()
    for each in ast.walk(node):
        said: object = None
        if isinstance(each, ast.Attribute):
            said = "globals" if ast.unparse(each) == "sys.modules" else each.attr
        elif isinstance(each, ast.Constant):
            said = each.value
        elif isinstance(each, ast.FunctionDef):
            said = each.name
        elif isinstance(each, ast.keyword):
            said = each.arg
        if isinstance(said, str) and (said in _OPEN or said.rpartition(".")[2] in classes):
            yield said.rpartition(".")[2]


def _targets(node: ast.stmt) -> list[str] | None:
    """The names that an assignment binds; None for one to something else, and for other statements."""
    if not isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        return None
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    names = [each.id for each in targets if isinstance(each, ast.Name)]
    return names if len(names) == len(targets) else None


def _handed(node: ast.stmt) -> Iterator[str]:
    """The names that a statement hands to calls as they are."""
    for each in ast.walk(node):
        if isinstance(each, ast.Call):
            given = (*each.args, *(keyword.value for keyword in each.keywords))
            yield from (value.id for value in given if isinstance(value, ast.Name))


def _last(decorator: ast.expr) -> str:
    """The last name of what decorates."""
    if isinstance(decorator, ast.Call):
        decorator = decorator.func
    return decorator.attr if isinstance(decorator, ast.Attribute) else getattr(decorator, "id", "")
