"""What lists, dictionaries and containers of torch hold: what is put in, taken out, and met by a loop over them."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from initlint.source.interpreter.expressions import Expressions
from initlint.source.interpreter.patterns import pattern_of
from initlint.source.interpreter.state import Unit
from initlint.source.interpreter.values import (
    MADE,
    UNSEEN,
    Cell,
    Const,
    Contents,
    Either,
    Flow,
    Held,
    Instance,
    Items,
    Table,
    Tensor,
    Unseen,
    Value,
)
from initlint.source.tables.layers import CONTAINERS

MOST_ALIKE = 64
"""How many modules are told apart whose names share a pattern."""


class Holding(Expressions):
    """Follows what is held."""

    def set_attribute(self, holder: Value, name: str, value: Value, made: tuple[Unit, ast.AST] | None = None) -> None:
        """``holder.name = value``; ``made`` is the target of the assignment, where it is one."""
        raise NotImplementedError

    def extend_module(self, instance: Instance, content: Value) -> None:
        """``container.extend(content)``."""
        known, rest = self.iterate(content) if isinstance(content, (Items, Instance)) else ((), MADE)
        for value in known:
            self.append_module(instance, value)
        if rest is not None:
            self.many_more(instance.cell, rest)

    def append_module(self, instance: Instance, value: Value) -> None:
        """``container.append(value)``."""
        again = self.repeating and not (self.journal is not None and instance.cell.born > self.journal.start)
        if again or "*" in instance.cell:  # after so many that are not counted its number is not known
            self.many_more(instance.cell, value)
            return
        self.enter(instance, str(sum(1 for key in instance.cell if key.isdigit())), value)

    def enter(self, container: Instance, key: str, value: Value) -> None:
        """A container holds a value by a name; torch's lists of parameters make parameters of tensors."""
        if container.kind.startswith("Parameter") and isinstance(value, Tensor) and not value.is_parameter:
            value = value.as_parameter(value.made, True)
        self.put(container.cell, key, value)

    def blur(self, instance: Instance) -> None:
        """What a container holds is there still, or not, or under another name."""
        for key, value in list(instance.cell.items()):
            if "#" not in key and "*" not in key and isinstance(value, (Instance, Either, Tensor, Unseen)):
                self.many_more(instance.cell, value)
                self.put(instance.cell, key, UNSEEN)
        self.many_more(instance.cell, MADE)
        self.put(instance.cell, "#flag", True)

    def many_more(self, cell: Cell, value: Value) -> None:
        """``value`` may stand in any number of further slots of a container."""
        held = cell.get("*")
        self.put(cell, "*", value if held is None else self.join([held, value]))

    def many(self, container: Instance) -> Value | None:
        """What stands for those of a container's modules whose names are not known in full, None if there are none."""
        held = [value for key, value in container.cell.items() if "*" in key and not key.startswith("#")]
        return self.join(held) if held else None

    def register(self, holder: Value, name: Value, value: Value) -> None:
        """``holder`` gets a module or tensor by a name; what only shares its pattern with another goes beside it."""
        key = pattern_of(name) or "*"
        if isinstance(holder, Instance) and "*" in key:
            taken = sum(1 for held in holder.cell if held.rstrip("*") == key.rstrip("*"))
            if taken > MOST_ALIKE:
                self.many_more(holder.cell, value)
                return
            while holder.cell.get(key, value) is not value:
                key += "*"
        self.set_attribute(holder, key, value)

    def children(self, instance: Instance) -> list[tuple[str, Value]]:
        """The attributes of a module that are modules (or may be), in order."""
        return [
            (name, value)
            for name, value in instance.cell.items()
            if isinstance(value, (Instance, Either)) or (isinstance(value, Unseen) and value.made)
        ]

    def set_element(self, holder: Value, key: Value, value: Value) -> None:
        """``holder[key] = value``."""
        if isinstance(holder, Table):
            self.enter_all(holder, [(key, value)])
        elif isinstance(holder, Instance) and holder.kind in CONTAINERS:
            known = [name for name in holder.cell if name.isdigit()]
            if isinstance(key, Const) and isinstance(key.value, int) and key.value < 0 and not holder.cell.get("*"):
                key = Const(len(known) + key.value)
            if isinstance(key, Const):
                self.enter(holder, str(key.value), value)
                return
            if pattern_of(key) in (None, "*"):
                for other in known:
                    self.put(holder.cell, other, self.join([holder.cell[other], value]))
            if holder.kind == "ModuleDict":
                self.register(holder, key, value)
        elif isinstance(holder, Items):
            known_items, rest = holder.known, holder.rest
            if (
                isinstance(key, Const)
                and isinstance(key.value, int)
                and -len(known_items) <= key.value < len(known_items)
            ):
                changed = list(known_items)
                changed[key.value] = value
                self.put(holder.cell, "#items", (tuple(changed), rest))
            else:
                options = [*known_items, *((rest,) if rest is not None else ()), value]
                self.put(holder.cell, "#items", ((), self.join(options)))
        elif isinstance(holder, Tensor):
            if holder.writes is not None:
                self.taint(holder)
        elif isinstance(holder, Either):
            self.taint(holder)
            self.taint(value)
        else:
            self.taint(holder)
            self.taint(value)

    def remove(self, holder: Items | Table, key: Value) -> None:
        """``del holder[key]``; which ones are left is known only where it happens once, to what is known."""
        if isinstance(holder, Held):
            for name, _ in holder.pairs:
                if not isinstance(key, Const) or key.value == name:
                    self.drop(holder.holder, Const(name))
        if isinstance(key, Const) and not self.repeating:
            if isinstance(holder, Table):
                pairs = tuple(pair for pair in holder.pairs if pair[0] != key.value)
                self.put(holder.cell, "#items", (pairs, holder.rest))
                return
            count = len(holder.known)
            if holder.rest is None and isinstance(key.value, int) and -count <= key.value < count:
                left = list(holder.known)
                del left[key.value]
                self.put(holder.cell, "#items", (tuple(left), None))
                return
        held = [value for _, value in holder.pairs] if isinstance(holder, Table) else list(holder.known)
        self.put(holder.cell, "#items", ((), self.join([*held, *filter(None, [holder.rest]), UNSEEN])))

    def drop(self, holder: Value, name: Value) -> None:
        """``delattr(holder, name)``."""
        if not isinstance(holder, Instance) or not isinstance(name, Const):
            self.taint(holder)
        elif name.value in holder.cell:
            self.put(holder.cell, name.value, UNSEEN)

    def update(self, table: Table, content: Value) -> None:
        """``table.update(content)``: that of another dictionary, or pairs."""
        self.enter_all(table, self.entries(content))

    def enter_all(self, table: Table, entries: Sequence[tuple[Value, Value]]) -> None:
        """``table[key] = value`` for each of the entries; under a key that is unseen any of them may stand."""
        if not entries:
            return
        known, rest = dict(table.pairs), table.rest
        for key, value in entries:
            if isinstance(key, Const):
                known[key.value] = value
            else:
                known = {name: self.join([held, value]) for name, held in known.items()}
                rest = value if rest is None else self.join([rest, value])
        self.put(table.cell, "#items", (tuple(known.items()), rest))
        if isinstance(table, Held):
            for key, value in entries:
                self.register(table.holder, key, value)

    def entries(self, content: Value) -> list[tuple[Value, Value]]:
        """The keys and values of a dictionary, or of pairs."""
        if not isinstance(content, Table):
            return self.paired(content)
        found: list[tuple[Value, Value]] = [(Const(key), value) for key, value in content.pairs]
        return found if content.rest is None else [*found, (UNSEEN, content.rest)]

    def paired(self, content: Value) -> list[tuple[Value, Value]]:
        """The keys and values of an iterable of pairs; of what is not known to be one there may be any."""
        known, rest = self.iterate(content)
        found: list[tuple[Value, Value]] = []
        for pair in known if rest is None else (*known, rest):
            inner, more = self.iterate(pair)
            key = inner[0] if len(inner) == 2 and more is None and pair is not rest else UNSEEN
            found.append((key, inner[1] if len(inner) == 2 else UNSEEN))
        return found

    def extend(self, items: Items, value: Value) -> None:
        """``items.extend(value)``."""
        known, rest = self.iterate(value) if isinstance(value, (Items, Instance, Table)) else ((), UNSEEN)
        for item in known:
            self.append(items, item)
        if rest is not None:
            self.put(items.cell, "#items", (items.known, rest if items.rest is None else self.join([items.rest, rest])))

    def append(self, items: Items, value: Value) -> None:
        """``items.append(value)``."""
        if items.rest is not None:
            self.put(items.cell, "#items", (items.known, self.join([items.rest, value])))
        else:
            self.spend(len(items.known) >> 6)
            known = (*items.known, value)
            if items.kind == "set":
                known = self.items("set", known).known
            self.put(items.cell, "#items", (known, None))

    def iterate(self, value: Value) -> tuple[tuple[Value, ...], Value | None]:
        """The elements a loop over ``value`` meets, and what stands for unknown many more (None: there are none)."""
        if isinstance(value, Items):
            if value.kind == "set" and len(value.known) > 1 and any(type(v) in (Const, Unseen) for v in value.known):
                return (), UNSEEN  # in any order, and what was not read may be equal
            return value.known, value.rest
        if isinstance(value, Table):
            return tuple(Const(key) for key, _ in value.pairs), (None if value.rest is None else UNSEEN)
        if isinstance(value, Instance):
            if value.kind == "ModuleDict":
                keys = tuple(Const(key) for key, _ in self.children(value) if "*" not in key)
                return keys, (UNSEEN if self.many(value) is not None else None)
            if value.kind in CONTAINERS:
                listed = tuple(
                    held
                    for key, held in value.cell.items()
                    if "*" not in key
                    and not key.startswith("#")
                    and isinstance(held, (Instance, Either, Tensor, Unseen))
                )
                return listed, self.many(value)
            return (), UNSEEN
        if isinstance(value, Const) and isinstance(value.value, (str, tuple)) and len(value.value) <= 64:
            return tuple(Const(item) for item in value.value), None
        if isinstance(value, Flow) and self.graph is not None:
            return (), self.graph.part(value)
        if isinstance(value, Either):
            known: list[Value] = []
            for option in value.options:
                inner, rest = self.iterate(option)
                known += [*inner, rest] if rest is not None else inner
            return (), self.join(known) if known else UNSEEN
        if isinstance(value, Tensor):
            return (), value.view(partial=True)
        if isinstance(value, Contents):
            self.taint(value)
        return (), Unseen()
