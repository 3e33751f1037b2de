"""Calls of names with a meaning of their own: builtins, ``copy``, ``functools.partial``, ``nn.Parameter``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from initlint.source.interpreter.comprehensions import UNROLL
from initlint.source.interpreter.modules import Walk, constant
from initlint.source.interpreter.patterns import pattern_of
from initlint.source.interpreter.values import (
    FALSE,
    MADE,
    NONE,
    TRUE,
    UNSEEN,
    Const,
    Either,
    Index,
    Instance,
    Items,
    Partial,
    Table,
    Tensor,
    Unseen,
    Value,
)
from initlint.source.tables.attributes import ATTRIBUTES
from initlint.source.tables.layers import CONTAINERS

if TYPE_CHECKING:
    from initlint.source.interpreter.calls import Calls
    from initlint.source.interpreter.state import Frame

Keywords = dict[str, Value]


def _range(machine: Calls, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
    numbers = [constant(value) for value in positional]
    if numbers and all(isinstance(number, int) for number in numbers) and 0 not in numbers[2:3]:
        turns = range(*numbers[:3])
        if len(turns) <= 256:
            return machine.items("list", tuple(Const(index) for index in turns))
    return machine.items("list", (), Index())


def _len(machine: Calls, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
    value = positional[0] if positional else UNSEEN
    if isinstance(value, (Items, Table)) or (isinstance(value, Instance) and value.kind in CONTAINERS):
        known, rest = machine.iterate(value)
        if rest is None:
            return Const(len(known))
    if isinstance(value, Const) and isinstance(value.value, (str, tuple)):
        return Const(len(value.value))
    return UNSEEN


def _zip(machine: Calls, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
    parts = [machine.iterate(value) for value in positional]
    shortest = min((len(known) for known, rest in parts if rest is None), default=None)
    if shortest is not None and all(rest is None or len(known) >= shortest for known, rest in parts):
        turns = (tuple(known[index] for known, _ in parts) for index in range(shortest))
        return machine.items("list", tuple(machine.items("tuple", turn) for turn in turns))
    rest = machine.items("tuple", tuple(_any_of(machine, *part) for part in parts))
    return machine.items("list", (), rest)


def _any_of(machine: Calls, known: tuple[Value, ...], rest: Value | None) -> Value:
    options = [*known, rest] if rest is not None else list(known)
    return machine.join(options) if options else UNSEEN


def _enumerate(machine: Calls, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
    known, rest = machine.iterate(positional[0]) if positional else ((), UNSEEN)
    start = constant(positional[1] if len(positional) > 1 else keywords.get("start", Const(0)))
    counts = [Const(start + index) if isinstance(start, int) else Index() for index in range(len(known))]
    pairs = tuple(machine.items("tuple", pair) for pair in zip(counts, known, strict=True))
    last = None if rest is None else machine.items("tuple", (Index(), rest))
    return machine.items("list", pairs, last)


def _list(machine: Calls, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
    if not positional:
        return machine.items("list", ())
    known, rest = machine.iterate(positional[0])
    root = positional[0].root if isinstance(positional[0], Walk) else None
    return Walk(machine.cell(), known, rest, root) if root is not None else machine.items("list", known, rest)


def _set(machine: Calls, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
    listed = _list(machine, positional, keywords, made, frame)
    return machine.items("set", listed.known, listed.rest) if type(listed) is Items else listed


def _sorted(machine: Calls, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
    """Constants, and pairs that begin with them, in their order; modules and tensors in any, as it hardly matters."""
    listed = _list(machine, positional, keywords, made, frame)
    if type(listed) is not Items or listed.rest is not None:
        return listed
    heads = [value.known[0] if isinstance(value, Items) and value.known else value for value in listed.known]
    keys = [constant(head, None) for head in heads]  # None compares with nothing
    falling = constant(keywords.get("reverse", FALSE))
    if "key" not in keywords and isinstance(falling, bool) and len(set(map(repr, keys))) == len(keys):
        try:
            order = sorted(range(len(keys)), key=keys.__getitem__, reverse=falling)
        except TypeError:
            pass
        else:
            return machine.items("list", tuple(listed.known[index] for index in order))
    if any(isinstance(value, Const) for value in listed.known):
        return machine.items("list", (), machine.join(listed.known))
    return listed


def _reversed(machine: Calls, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
    known, rest = machine.iterate(positional[0]) if positional else ((), UNSEEN)
    return (
        machine.items("list", known[::-1]) if rest is None else machine.items("list", (), _any_of(machine, known, rest))
    )


def _map(machine: Calls, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
    if len(positional) != 2:
        return machine.opaque_call(positional, keywords)
    known, rest = machine.iterate(positional[1])
    if len(known) > UNROLL:
        return machine.opaque_call(positional, keywords)
    results = tuple(machine.call(positional[0], [value], {}, made[1], frame) for value in known)
    if rest is not None:
        for value in (positional[0], rest):
            machine.taint(value)
    return machine.items("list", results, None if rest is None else MADE)


def _filter(machine: Calls, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
    if len(positional) != 2:
        return machine.opaque_call(positional, keywords)
    return machine.items("list", (), _any_of(machine, *machine.iterate(positional[1])))


def _dictionary(machine: Calls, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
    table = Table(machine.cell(), ())
    for content in positional[:1]:
        machine.update(table, content)
    if "**" in keywords:  # none of them is named beside it
        machine.set_element(table, UNSEEN, UNSEEN)
    machine.enter_all(table, [(Const(name), value) for name, value in keywords.items() if name != "**"])
    return table


def _isinstance(machine: Calls, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
    verdict = machine.is_instance(positional[0], positional[1]) if len(positional) == 2 else None
    return UNSEEN if verdict is None else (TRUE if verdict else FALSE)


def _hasattr(machine: Calls, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
    if len(positional) == 2 and isinstance(positional[0], Instance) and isinstance(positional[1], Const):
        holder, name = positional[0], str(positional[1].value)
        if name in holder.cell:
            held = holder.cell[name]
            return UNSEEN if isinstance(held, (Unseen, Either)) else TRUE
        if not isinstance(machine.attribute(holder, name, frame), Unseen):
            return TRUE
        info = holder.info
        if holder.opaque or "*" in holder.cell or holder.cell.get("#flag") or holder.kind == "MultiheadAttention":
            return UNSEEN
        if name.startswith("__") or name in ATTRIBUTES or name in holder.arguments:
            return UNSEEN
        if info is not None and (info.method(name) or info.method("__getattr__") or not info.is_plain):
            return UNSEEN
        return UNSEEN if info is not None and any(name in one.cell for one in info.lineage) else FALSE
    return UNSEEN


def _getattr(machine: Calls, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
    if len(positional) < 2:
        return UNSEEN
    holder, name = positional[0], positional[1]
    key = pattern_of(name)
    if isinstance(name, Const) and key is not None:
        found = machine.attribute(holder, key, frame)
        return machine.join([found, positional[2]]) if isinstance(found, Unseen) and len(positional) > 2 else found
    if isinstance(holder, Instance) and key not in (None, "*"):
        alike = [held for other, held in holder.cell.items() if "*" in other and other.rstrip("*") == key.rstrip("*")]
        if alike:
            return machine.join(alike)  # type: ignore[no-any-return]
    machine.taint(holder)
    return MADE


def _setattr(machine: Calls, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
    if len(positional) == 3:
        holder, name, value = positional
        if pattern_of(name) in (None, "*"):
            machine.taint(holder)  # any of its attributes may be another one now
        machine.register(holder, name, value)
    return NONE


def _delattr(machine: Calls, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
    if len(positional) == 2:
        machine.drop(*positional)
    return NONE


def _type(machine: Calls, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
    if len(positional) != 1:
        return UNSEEN
    return machine.attribute(positional[0], "__class__", frame)


def _deepcopy(machine: Calls, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
    return machine.clone(positional[0], made, "user") if positional else UNSEEN


def _copy(machine: Calls, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
    value = positional[0] if positional else UNSEEN
    if isinstance(value, Items):
        return machine.items(value.kind, value.known, value.rest)
    machine.taint(value)
    return UNSEEN


def _partial(machine: Calls, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
    return Partial(positional[0], positional[1:], dict(keywords)) if positional else UNSEEN


def _parameter(machine: Calls, positional: list[Value], keywords: Keywords, made: Any, frame: Frame) -> Value:
    data = positional[0] if positional else keywords.get("data", NONE)
    asked = constant(positional[1] if len(positional) > 1 else keywords.get("requires_grad", TRUE))
    trainable = asked if isinstance(asked, bool) else None
    if isinstance(data, Tensor) and not data.partial:
        return data.as_parameter(made, trainable)
    machine.taint(data)
    return Tensor(machine.cell(), None, None).as_parameter(made, trainable)


SPECIAL: Mapping[str, Callable[[Calls, list[Value], Keywords, Any, Frame], Value]] = {
    "range": _range,
    "len": _len,
    "zip": _zip,
    "enumerate": _enumerate,
    "list": _list,
    "tuple": _list,
    "set": _set,
    "sorted": _sorted,
    "reversed": _reversed,
    "map": _map,
    "filter": _filter,
    "dict": _dictionary,
    "OrderedDict": _dictionary,
    "isinstance": _isinstance,
    "hasattr": _hasattr,
    "getattr": _getattr,
    "setattr": _setattr,
    "delattr": _delattr,
    "type": _type,
    "copy.deepcopy": _deepcopy,
    "copy.copy": _copy,
    "functools.partial": _partial,
    "torch.nn.Parameter": _parameter,
}
