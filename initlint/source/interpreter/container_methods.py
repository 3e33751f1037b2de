"""The methods of lists, dictionaries and strings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initlint.source.interpreter.modules import constant
from initlint.source.interpreter.patterns import formatted
from initlint.source.interpreter.values import FALSE, NONE, TRUE, UNSEEN, Const, Items, Table, Unseen, Value

if TYPE_CHECKING:
    from initlint.source.interpreter.attributes import Attributes

Keywords = dict[str, Value]


def list_method(machine: Attributes, receiver: Items, name: str, positional: list[Value]) -> Value:
    """A method of a list, tuple or set; one that is not known may have changed all of it."""
    if name in ("append", "add") and positional:
        machine.append(receiver, positional[0])
        return NONE
    if name == "extend" and positional:
        machine.extend(receiver, positional[0])
        return NONE
    if name == "insert" and len(positional) > 1:
        known, rest = receiver.known, receiver.rest
        index = constant(positional[0])
        if rest is None and isinstance(index, int):
            items = list(known)
            items.insert(index, positional[1])
            machine.put(receiver.cell, "#items", (tuple(items), None))
            return NONE
    if name == "pop":
        known, rest = receiver.known, receiver.rest
        index = constant(positional[0]) if positional else -1
        if rest is None and isinstance(index, int) and -len(known) <= index < len(known) and not machine.repeating:
            items = list(known)
            value = items.pop(index)
            machine.put(receiver.cell, "#items", (tuple(items), None))
            return value
    if name in ("copy", "index", "count", "__len__"):
        return machine.items(receiver.kind, receiver.known, receiver.rest) if name == "copy" else UNSEEN
    options = [*receiver.known, *((receiver.rest,) if receiver.rest is not None else ()), *positional]
    whole: Value = machine.join(options) if options else UNSEEN
    machine.put(receiver.cell, "#items", ((), whole))
    return whole if name == "pop" else UNSEEN


def dict_method(machine: Attributes, receiver: Table, name: str, positional: list[Value], keywords: Keywords) -> Value:
    """A method of a dictionary, likewise."""
    if name in ("values", "items", "keys"):
        known = [(key, value) for key, value in receiver.pairs]
        if name == "keys":
            return machine.items(
                "list", tuple(Const(key) for key, _ in known), None if receiver.rest is None else UNSEEN
            )
        if name == "values":
            return machine.items("list", tuple(value for _, value in known), receiver.rest)
        rows = tuple(machine.items("tuple", (Const(key), value)) for key, value in known)
        rest = None if receiver.rest is None else machine.items("tuple", (Unseen(), receiver.rest))
        return machine.items("list", rows, rest)
    if name in ("get", "pop", "setdefault") and positional:
        key = positional[0]
        fallback = positional[1] if len(positional) > 1 else NONE
        if isinstance(key, Const):
            found = receiver.get(key.value)
            if found is None:
                found = fallback if receiver.rest is None else machine.join([receiver.rest, fallback])
                if name == "setdefault":
                    machine.set_element(receiver, key, found)
            elif name == "pop":
                machine.remove(receiver, key)
            return found
        options = [value for _, value in receiver.pairs]
        found = machine.join([*options, *filter(None, [receiver.rest]), fallback])
        if name == "pop":
            machine.remove(receiver, key)
        elif name == "setdefault":
            machine.set_element(receiver, key, found)
        return found  # type: ignore[no-any-return]
    if name == "update":
        for value in positional:
            machine.update(receiver, value)
        for word, held in keywords.items():
            machine.set_element(receiver, Const(word) if word != "**" else UNSEEN, held)
        return NONE
    if name == "copy":
        return Table(machine.cell(), receiver.pairs, receiver.rest)
    machine.remove(receiver, UNSEEN)
    return UNSEEN


def string_method(machine: Attributes, text: str, name: str, positional: list[Value], keywords: Keywords) -> Value:
    """A method of a constant string, folded where it is one of the common tests."""
    if name == "format":
        return formatted(text, positional, keywords)
    given = [constant(value, None) for value in positional]
    if all(isinstance(part, str) for part in given):
        if name == "startswith" and len(given) == 1:
            return TRUE if text.startswith(given[0]) else FALSE
        if name == "endswith" and len(given) == 1:
            return TRUE if text.endswith(given[0]) else FALSE
        if name in ("find", "count") and len(given) == 1:
            return Const(text.find(given[0]) if name == "find" else text.count(given[0]))
        if name in ("lower", "upper", "strip") and not given:
            return Const(getattr(text, name)())
        if name == "split" and len(given) <= 1 and given != [""]:
            return machine.items("list", tuple(Const(part) for part in text.split(*given)))
        if name == "replace" and len(given) == 2:
            return Const(text.replace(given[0], given[1])[:4096])
    return Unseen()
