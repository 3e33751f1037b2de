"""Comprehensions: what each turn yields, and whether it certainly happens."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from initlint.source.interpreter.state import Frame
from initlint.source.interpreter.values import Const, Table, Value

if TYPE_CHECKING:
    from initlint.source.interpreter.expressions import Expressions

Keywords = dict[str, Value]

UNROLL = 64
"""The most elements that a loop is run over one by one."""


def listed(machine: Expressions, node: ast.ListComp | ast.SetComp | ast.GeneratorExp, frame: Frame) -> Value:
    """The list, set or generator that a comprehension makes."""
    known: list[Value] = []
    rest: list[Value] = []

    def each(inner: Frame, certain: bool) -> None:
        value = machine.eval(node.elt, inner)
        (known if certain and not rest else rest).append(value)

    _generate(machine, node.generators, frame, each)
    kind = "set" if isinstance(node, ast.SetComp) else "list"
    return machine.items(kind, tuple(known), machine.join(rest) if rest else None)


def tabled(machine: Expressions, node: ast.DictComp, frame: Frame) -> Value:
    """The dictionary that a comprehension makes."""
    pairs: dict[Any, Value] = {}
    rest: list[Value] = []

    def each(inner: Frame, certain: bool) -> None:
        key, value = machine.eval(node.key, inner), machine.eval(node.value, inner)
        if certain and isinstance(key, Const):
            pairs[key.value] = value
        else:
            rest.append(value)

    _generate(machine, node.generators, frame, each)
    return Table(machine.cell(), tuple(pairs.items()), machine.join(rest) if rest else None)


def _generate(
    machine: Expressions,
    generators: Sequence[ast.comprehension],
    frame: Frame,
    each: Callable[[Frame, bool], None],
    certain: bool = True,
) -> None:
    """Run a comprehension's loops; ``each`` is told whether its turn certainly happens, exactly once."""
    if not generators:
        each(frame, certain)
        return
    generator, *inner = generators
    known, rest = machine.iterate(machine.eval(generator.iter, frame))
    turns = [(value, certain) for value in known[:UNROLL]]
    for value in known[UNROLL:]:  # their turns are not followed, and may write
        machine.taint(value)
    if rest is not None or len(known) > UNROLL:
        turns.append((rest if rest is not None else known[-1], False))
    for value, exact in turns:
        sure = exact
        turn = Frame(
            frame.unit,
            (machine.cell(), *frame.scopes),
            frame.function,
            frame.owner,
            frame.receiver,
            refined=frame.refined,
            branches=frame.branches,
        )
        machine.assign(generator.target, value, turn)
        for test in generator.ifs:
            verdict, yes, _ = machine.truth(test, turn)
            turn.refined = {**turn.refined, **yes}
            if verdict is False:
                break
            sure = sure and verdict is True
        else:
            with machine.repeated(not sure):
                _generate(machine, inner, turn, each, sure)
