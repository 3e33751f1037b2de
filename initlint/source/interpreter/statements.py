"""Statements: assignments, branches, loops, and what they leave behind."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from initlint.source.interpreter.classes import ClassInfo
from initlint.source.interpreter.comprehensions import UNROLL
from initlint.source.interpreter.expressions import UNROLL_WALK, refining
from initlint.source.interpreter.imports import bindings
from initlint.source.interpreter.modules import Modules, Walk
from initlint.source.interpreter.state import BREAK, CONTINUE, MAYBE, NEXT, RAISE, RETURN, Frame
from initlint.source.interpreter.values import (
    NONE,
    UNSEEN,
    Class,
    Const,
    Either,
    Extent,
    Flow,
    Func,
    Instance,
    Items,
    Ref,
    Table,
    Tensor,
    Unseen,
    Value,
)
from initlint.source.tables.layers import CONTAINERS
from initlint.source.text.walking import walked

_EXITS = (ast.Return, ast.Raise, ast.Continue, ast.Break)


def quiet(node: ast.expr) -> bool:
    """Whether a context manager or decorator may stop gradients from being recorded (one that is not known may)."""
    if isinstance(node, ast.Call):
        node = node.func
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name not in ("staticmethod", "classmethod", "property", "enable_grad", "open", "record_function", "device")


def _leaves(body: Sequence[ast.stmt]) -> bool:
    """Whether a block certainly ends by leaving."""
    if not body:
        return False
    last = body[-1]
    if isinstance(last, ast.If):
        return _leaves(last.body) and _leaves(last.orelse)
    return isinstance(last, _EXITS)


_SIMPLE = frozenset({ast.Expr, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Pass})
"""Statements that hold no others."""


class Statements(Modules):
    """Runs statements."""

    def run(self, body: Sequence[ast.stmt], frame: Frame) -> int:
        """Run statements; says how the block ended."""
        for index, statement in enumerate(body):
            self.budget -= 1
            if self.budget < 0:
                self.spend(0)
            if type(statement) is ast.If:
                status, done = self._if(statement, frame, body[index + 1 :])
                if done:
                    return status
            else:
                method = _RUN.get(type(statement))
                status = NEXT if method is None else method(self, statement, frame)
            if status == MAYBE:
                rest = body[index + 1 :]
                endings: list[int] = []
                if rest:
                    self.perhaps(functools.partial(self._noted, rest, frame, endings))
                after = endings[0] if endings else NEXT
                certain = after in (RETURN, RAISE) and not _jumps(body[: index + 1], ast.Break, ast.Continue)
                return RETURN if certain else MAYBE
            if status != NEXT:
                return status
        return NEXT

    def _noted(self, body: Sequence[ast.stmt], frame: Frame, endings: list[int]) -> int:
        """Run statements, and keep how they ended."""
        endings.append(self.run(body, frame))
        return endings[0]

    def _if(self, node: ast.If, frame: Frame, rest: Sequence[ast.stmt]) -> tuple[int, bool]:
        """Run an if; says how it ended, and whether what follows it in its block was run as part of an arm."""
        verdict, yes, no = self.truth(node.test, frame)
        if self.recorder is not None and self.depth == 0:
            self.recorder.guards.branched(node)
        if verdict is not None:
            if self.exhaustive:
                self._look(node, frame, not verdict)
            with refining(frame, yes if verdict else no, node):
                return self.run(node.body if verdict else node.orelse, frame), False
        first, second = _leaves(node.body), _leaves(node.orelse)
        taken = rest if first != second else ()

        def arm(body: Sequence[ast.stmt], kinds: dict[str, tuple[str, ...]], follow: bool) -> Callable[[], int]:
            def run() -> int:
                with refining(frame, kinds, node):
                    status = self.run(body, frame)
                    return self.run(taken, frame) if follow and status == NEXT else status

            return run

        arms = [arm(node.body, yes, second and not first), arm(node.orelse, no, first and not second)]
        return self.fork(arms, doubtful=not self._asks_for_options(node.test, frame)), first != second

    def _asks_for_options(self, test: ast.expr, frame: Frame) -> bool:
        """Whether a test asks for nothing but options that a function was given, or that its object keeps."""
        given = getattr(frame.function, "args", None)
        if given is None or self.incidents is None:
            return False
        names = {argument.arg for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs)}
        for part in walked(test):
            if isinstance(part, ast.Call):
                return False
            if isinstance(part, ast.Name):
                held = self.lookup(part.id, frame)
                if part.id not in names or (held is not frame.receiver and not isinstance(held, (Unseen, Const))):
                    return False
        return True

    def _look(self, node: ast.If, frame: Frame, arm: bool) -> None:
        """Run the arm that defaults rule out, only to see what calls stand in it."""
        body = node.body if arm else node.orelse
        if not body:
            return
        tested = [part.id for part in walked(node.test) if isinstance(part, ast.Name)]
        held = [value for value in (self.lookup(name, frame) for name in tested) if value is not frame.receiver]
        if any(isinstance(value, (Instance, Tensor, Either)) for value in held):
            return  # what rules it out is the module at hand, not a default

        def run() -> int:
            for name in tested:
                if isinstance(frame.scopes[0].get(name), Const):
                    self.bind(frame, name, Unseen(name))
            self.run(body, frame)
            return RAISE

        self.fork([run, lambda: NEXT])

    def _for(self, node: ast.For | ast.AsyncFor, frame: Frame) -> int:
        value = self.eval(node.iter, frame)
        known, rest = self.iterate(value)
        if len(known) > (UNROLL_WALK if isinstance(value, Walk) else UNROLL):
            for element in known:  # each is written by its own turn, which nobody follows
                self.taint(element)
            known, rest = (), self.join(known)
        walk = self.walking(value, node, frame) if isinstance(value, Walk) else None
        status = self._turns(node, list(known), rest, frame)
        if walk is not None:
            self.application = walk
        return self._after(node, status, frame)

    def _after(self, node: ast.For | ast.AsyncFor | ast.While, status: int, frame: Frame) -> int:
        """What comes of a loop with that of its ``else``, which a ``break`` passes by."""
        if status == BREAK:
            return NEXT
        if not node.orelse or status not in (NEXT, MAYBE):
            return status
        if not _jumps(node.body, ast.Break):
            return self.run(node.orelse, frame)
        return self.fork([lambda: self.run(node.orelse, frame), lambda: status])

    def _turns(self, node: ast.For | ast.AsyncFor, turns: list[Value], rest: Value | None, frame: Frame) -> int:
        for index, turn in enumerate(turns):
            self.assign(node.target, turn, frame)
            status = self.run(node.body, frame)
            if status in (BREAK, RETURN, RAISE):
                return status
            if status == MAYBE and _jumps(node.body, ast.Break, ast.Return):
                left = turns[index + 1 :]
                if left or rest is not None:
                    self.fork([lambda left=left: self._turns(node, left, rest, frame), lambda: NEXT])  # type: ignore[misc]
                return MAYBE if _jumps(node.body, ast.Return) else NEXT
        if rest is not None:
            return self._many(node.body, frame, node.target, rest)
        return NEXT

    def _many(self, body: Sequence[ast.stmt], frame: Frame, target: ast.expr | None, element: Value) -> int:
        """Run a loop's body once for what may happen any number of times (with each of the elements once)."""
        for name in _assigned(body):
            scope = frame.outer.get(name, frame.scopes[0])
            if name in scope:
                held = scope[name]
                if not isinstance(held, (Items, Table, Instance)):
                    self.bind(frame, name, self.graph.merge([held, UNSEEN]) if self._flows(held) else Unseen(name))  # type: ignore[union-attr]
        certain = frozenset(id(cell) for cell in self.cells(element)) if target is not None else frozenset()

        def turn() -> int:
            with self.repeated(True):
                if target is not None:
                    self.assign(target, element, frame)
                return self.run(body, frame)

        status = self.fork_each(turn, certain)
        return MAYBE if status in (RETURN, MAYBE) and _jumps(body, ast.Return) else NEXT

    def _flows(self, value: object) -> bool:
        return self.graph is not None and isinstance(value, Flow)

    def _while(self, node: ast.While, frame: Frame) -> int:
        status = self._many(node.body, frame, None, UNSEEN)
        if isinstance(node.test, ast.Constant) and node.test.value and not _jumps(node.body, ast.Break):
            return RETURN if status == MAYBE else RAISE  # it ends in no other way
        return self._after(node, status, frame)

    def _try(self, node: ast.Try, frame: Frame) -> int:
        self.doubts += bool(node.handlers)
        try:
            status = self.run(node.body, frame)
        finally:
            self.doubts -= bool(node.handlers)
        if status == NEXT and node.orelse:
            status = self.run(node.orelse, frame)
        arms: list[Callable[[], int]] = [lambda: status]
        for handler in node.handlers:

            def handle(handler: ast.ExceptHandler = handler) -> int:
                if handler.name:
                    self.bind(frame, handler.name, UNSEEN)
                return self.run(handler.body, frame)

            arms.append(handle)
        if len(arms) > 1:
            status = self.fork(arms)
        if node.finalbody:
            last = self.run(node.finalbody, frame)
            return last if last != NEXT else status
        return status

    def _with(self, node: ast.With | ast.AsyncWith, frame: Frame) -> int:
        before = self.records_gradients
        try:
            for item in node.items:
                value = self.eval(item.context_expr, frame)
                self.records_gradients &= not quiet(item.context_expr)
                if item.optional_vars is not None:
                    self.assign(item.optional_vars, value if isinstance(value, Unseen) else UNSEEN, frame)
            return self.run(node.body, frame)
        finally:
            self.records_gradients = before

    def _match(self, node: ast.Match, frame: Frame) -> int:
        subject = self.eval(node.subject, frame)
        arms: list[Callable[[], int]] = []
        total = False
        for case in node.cases:
            verdict, kinds = self.matched(case.pattern, subject, node.subject, frame)
            total = total or (isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None and not case.guard)
            if verdict is False and not self.exhaustive:
                continue

            def arm(case: ast.match_case = case, kinds: dict[str, tuple[str, ...]] = kinds) -> int:
                for part in walked(case.pattern):
                    if isinstance(part, (ast.MatchAs, ast.MatchStar)) and part.name:
                        whole = part is case.pattern and isinstance(part, ast.MatchAs)
                        self.bind(frame, part.name, subject if whole else Unseen(part.name))
                with refining(frame, kinds, case.body[0]):
                    return self.run(case.body, frame)

            if verdict is True and case.guard is None and not self.exhaustive:
                if not arms:
                    return arm()
                total = True
            arms.append(arm)
            if total:
                break
        if not total:
            arms.append(lambda: NEXT)
        return self.fork(arms)

    def _expression(self, node: ast.Expr, frame: Frame) -> int:
        if isinstance(node.value, ast.Constant):
            return NEXT
        if frame.function is None and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name):
            called = self.lookup(node.value.func.id, frame)
            if isinstance(called, Func) or (
                isinstance(called, Ref) and called.origin is not None
            ):  # a script's main(): read as a function of its own
                for argument in (*node.value.args, *(keyword.value for keyword in node.value.keywords)):
                    self.taint(self.eval(argument, frame))
                return NEXT
        self.eval(node.value, frame)
        return NEXT

    def _return(self, node: ast.Return, frame: Frame) -> int:
        frame.returns.append(NONE if node.value is None else self.eval(node.value, frame))
        return RETURN

    def _raise(self, node: ast.Raise, frame: Frame) -> int:
        return RAISE

    def _break(self, node: ast.Break, frame: Frame) -> int:
        return BREAK

    def _continue(self, node: ast.Continue, frame: Frame) -> int:
        return CONTINUE

    def _assign(self, node: ast.Assign, frame: Frame) -> int:
        value = self.eval(node.value, frame)
        for target in node.targets:
            self.assign(target, value, frame)
        return NEXT

    def _annotated(self, node: ast.AnnAssign, frame: Frame) -> int:
        if node.value is not None:
            self.assign(node.target, self.eval(node.value, frame), frame)
        return NEXT

    def _augmented(self, node: ast.AugAssign, frame: Frame) -> int:
        held = self.eval(node.target, frame)
        value = self.eval(node.value, frame)
        if isinstance(held, Tensor):
            self.in_place(held, type(node.op).__name__.lower(), node.target, frame)
            self.changed(held)
        elif not self._grown(held, node.op, value):
            self.assign(node.target, self.operate(node.op, held, value), frame)
        return NEXT

    def _grown(self, held: Value, op: ast.operator, value: Value) -> bool:
        """Do ``held op= value`` where that changes what is held, under all of its names."""
        if isinstance(held, Items) and held.kind != "tuple":
            if isinstance(op, ast.Add):
                self.extend(held, value)
            else:
                made = self.operate(op, held, value)
                if isinstance(made, Items):
                    self.put(held.cell, "#items", (made.known, made.rest))
                else:
                    self.append(held, self.join([*held.known, UNSEEN]))
        elif isinstance(held, Table) and isinstance(op, ast.BitOr):
            self.update(held, value)
        elif isinstance(held, Instance) and held.kind in CONTAINERS:
            if isinstance(op, ast.Add) and held.kind != "ParameterDict":
                self.extend_module(held, value)
            else:
                self.blur(held)
        else:
            return False
        return True

    def operate(self, op: ast.operator, left: Value, right: Value) -> Value:
        """``left op right``."""
        if self.graph is not None and (isinstance(left, Flow) or isinstance(right, Flow)):
            return self.graph.binary(op, left, right)
        if isinstance(left, Const) and isinstance(right, Const):
            from initlint.source.interpreter import folding

            value = folding.binary(op, left.value, right.value)
            return UNSEEN if value is folding.FAILED else Const(value)
        return self.combined(op, left, right)

    def assign(self, target: ast.expr, value: Value, frame: Frame) -> None:
        """``target = value``."""
        if type(target) is ast.Attribute:
            self.set_attribute(self.eval(target.value, frame), target.attr, value, (frame.unit, target))
        elif isinstance(target, ast.Name):
            if isinstance(value, Unseen) and not value.text:
                if isinstance(value, Extent):
                    value.named = (frame.unit, target)
                value = value.spelled(target.id)
            self.bind(frame, target.id, value)
            if target.id in frame.refined:
                frame.refined = {text: kinds for text, kinds in frame.refined.items() if text != target.id}
        elif isinstance(target, (ast.Tuple, ast.List)):
            self._unpack(target, value, frame)
        elif isinstance(target, ast.Subscript):
            holder = self.eval(target.value, frame)
            self.in_place(holder, "__setitem__", target, frame)
            if isinstance(holder, Tensor) and isinstance(value, Const) and type(value.value) in (int, float):
                part, fills = self.eval(target, frame), {"value": value.value}
                self.write(part, "torch.Tensor.fill_", fills, (frame.unit, target), overwrites=False)
                return
            self.set_element(holder, self.eval(target.slice, frame), value)
        elif isinstance(target, ast.Starred):
            self.assign(target.value, value, frame)

    def _unpack(self, target: ast.Tuple | ast.List, value: Value, frame: Frame) -> None:
        known, rest = self.iterate(value)
        star = next((i for i, part in enumerate(target.elts) if isinstance(part, ast.Starred)), None)
        if isinstance(value, Flow) and self.graph is not None:
            known, rest = (), self.graph.part(value)
        if rest is None and star is None and len(known) == len(target.elts):
            for part, item in zip(target.elts, known, strict=True):
                self.assign(part, item, frame)
            return
        options = [*known, rest] if rest is not None else list(known)
        whole = self.join(options) if options and star is None else (rest if rest is not None else UNSEEN)
        for part in target.elts:
            if isinstance(part, ast.Starred):
                self.assign(part.value, self.items("list", (), whole), frame)
            else:
                self.assign(part, Unseen() if isinstance(whole, Unseen) and not whole.made else whole, frame)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, frame: Frame) -> int:
        self.bind(frame, node.name, self.defined(node, frame))
        if self.recorder is not None and self.depth == 0 and frame.function is not None:
            self.recorder.inner(node, frame)
        return NEXT

    def defined(self, node: ast.FunctionDef | ast.AsyncFunctionDef, frame: Frame) -> Value:
        """What a function's definition binds: what those of its decorators make of it that can be read."""
        made: Value = Func(node, frame.unit, frame.scopes, defaults=self.defaults(node.args, frame))
        for mark in reversed(node.decorator_list):
            if isinstance(self.eval(mark.func if isinstance(mark, ast.Call) else mark, frame), Func):
                made = self.call(self.eval(mark, frame), [made], {}, mark, frame)
        return made

    def _class(self, node: ast.ClassDef, frame: Frame) -> int:
        self.bind(frame, node.name, Class(self.make_class(node, frame)))
        return NEXT

    def make_class(self, node: ast.ClassDef, frame: Frame) -> ClassInfo:
        """The class that a statement defines."""
        bases = tuple(self.eval(base, frame) for base in node.bases if not isinstance(base, ast.Starred))
        cell = self.cell()
        info = ClassInfo(node.name, node, frame.unit, bases, cell, frame.scopes)
        inside = Frame(frame.unit, (cell, *frame.scopes), node)
        for statement in node.body:
            if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
                info.methods[statement.name] = statement
                info.decorated.pop(statement.name, None)
                if statement.decorator_list:
                    made = self.defined(statement, inside)
                    if not isinstance(made, Func) or made.node is not statement:
                        info.decorated[statement.name] = made
            elif type(statement) in _SIMPLE or not any(
                isinstance(part, (ast.FunctionDef, ast.ClassDef)) for part in walked(statement)
            ):
                self.run([statement], inside)
        if frame.function is None:
            self.classes.setdefault(node.name, Class(info))
        return info

    def _import(self, node: ast.Import | ast.ImportFrom, frame: Frame) -> int:
        for local, ref in bindings(node, frame.unit.path, self.imports is not None):
            if local == "*":
                if ref not in frame.unit.stars:
                    frame.unit.stars.append(ref)
                self._overlay(ref, frame)
            else:
                self.bind(frame, local, ref)
        return NEXT

    def _overlay(self, star: Ref, frame: Frame) -> None:
        """What a star import brings stands for names that had other values before."""
        for name, held in list(frame.scopes[0].items()):
            if isinstance(held, (Const, Items, Table)) and self.imports is not None:
                brought = self.imports.brought(star, name)
                if brought is not None:
                    self.bind(frame, name, brought)

    def _nonlocal(self, node: ast.Nonlocal, frame: Frame) -> int:
        for name in node.names:
            scope = next((scope for scope in frame.scopes[1:] if name in scope), None)
            if scope is not None:
                frame.outer = {**frame.outer, name: scope}
        return NEXT

    def _delete(self, node: ast.Delete, frame: Frame) -> int:
        for target in node.targets:
            if isinstance(target, ast.Attribute):
                self.drop(self.eval(target.value, frame), Const(target.attr))
            elif isinstance(target, ast.Subscript):
                held = self.eval(target.value, frame)
                if isinstance(held, (Items, Table)):
                    self.remove(held, self.eval(target.slice, frame))
                elif isinstance(held, Instance) and held.kind in CONTAINERS:
                    self.blur(held)
                else:
                    self.taint(held)
        return NEXT


def _assigned(body: Sequence[ast.stmt]) -> Iterator[str]:
    for statement in body:
        for node in walked(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id


def _jumps(body: Sequence[ast.stmt], *ways: type[ast.stmt]) -> bool:
    """Whether some statement leaves a block in one of these ways."""
    return any(isinstance(node, ways) for statement in body for node in walked(statement))


_RUN: dict[type[ast.stmt], Callable[[Any, Any, Frame], int]] = {
    ast.Expr: Statements._expression,
    ast.Assign: Statements._assign,
    ast.AnnAssign: Statements._annotated,
    ast.AugAssign: Statements._augmented,
    ast.For: Statements._for,
    ast.AsyncFor: Statements._for,
    ast.While: Statements._while,
    ast.Try: Statements._try,
    ast.With: Statements._with,
    ast.AsyncWith: Statements._with,
    ast.Match: Statements._match,
    ast.Return: Statements._return,
    ast.Raise: Statements._raise,
    ast.Break: Statements._break,
    ast.Continue: Statements._continue,
    ast.FunctionDef: Statements._function,
    ast.AsyncFunctionDef: Statements._function,
    ast.ClassDef: Statements._class,
    ast.Import: Statements._import,
    ast.ImportFrom: Statements._import,
    ast.Delete: Statements._delete,
    ast.Nonlocal: Statements._nonlocal,
}
if hasattr(ast, "TryStar"):
    _RUN[ast.TryStar] = Statements._try
