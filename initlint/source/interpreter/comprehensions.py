"""Comprehensions: what each turn yields, and whether it certainly happens."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from initlint.source.interpreter.state import NEXT, Frame
from initlint.source.interpreter.values import UNSEEN, Table, Value

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
    made = Table(machine.cell(), ())

    def each(inner: Frame, certain: bool) -> None:
        key, value = machine.eval(node.key, inner), machine.eval(node.value, inner)
        machine.set_element(made, key if certain else UNSEEN, value)

    _generate(machine, node.generators, frame, each)
    return made


def _generate(
    machine: Expressions,
    generators: Sequence[ast.comprehension],
    frame: Frame,
    each: Callable[[Frame, bool], None],
    certain: bool = True,
) -> int:
    """Run a comprehension's loops; ``each`` is told whether its turn certainly happens, exactly once."""
    if not generators:
        each(frame, certain)
        return NEXT
    generator, *inner = generators
    known, rest = machine.iterate(machine.eval(generator.iter, frame))
    turns = [(value, certain) for value in known[:UNROLL]]
    for value in known[UNROLL:]:  # their turns are not followed, and may write
        machine.taint(value)
    if rest is not None or len(known) > UNROLL:
        turns.append((rest if rest is not None else known[-1], False))
    for value, exact in turns:
        tested = True
        turn = Frame(
            frame.unit,
            (machine.cell(), *frame.scopes),
            frame.function,
            frame.owner,
            frame.receiver,
            refined=frame.refined,
            branches=frame.branches,
        )
        turn.home = frame.home or frame
        machine.assign(generator.target, value, turn)
        for test in generator.ifs:
            verdict, yes, _ = machine.truth(test, turn)
            turn.refined = {**turn.refined, **yes}
            if verdict is False:
                break
            tested = tested and verdict is True
        else:
            sure = exact and tested
            if sure:
                _generate(machine, inner, turn, each, sure)
                continue
            every = frozenset(id(cell) for cell in machine.cells(value)) if tested else frozenset()
            with machine.repeated(True):
                machine.fork_each(lambda turn=turn: _generate(machine, inner, turn, each, False), every)  # type: ignore[misc]
    return NEXT
