"""What a script does, in the order it does it: seeds, builds, loads, makes optimisers, replaces layers, trains.

A script is a file that runs something: its top level, what stands under ``if __name__ == "__main__"``, and the
functions of the file that these call, followed call by call. Models are told apart by the call that made them, and
branches by the arms of the ifs that a statement stands in: what happens on another path does not happen before.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from initlint.facts import Mishap, Script, Step
from initlint.source.interpreter.classes import torch_layer
from initlint.source.interpreter.places import place
from initlint.source.interpreter.state import Unit
from initlint.source.interpreter.values import Func, Ref
from initlint.source.scripts.script_kind import is_main
from initlint.source.scripts.script_log import Log
from initlint.source.scripts.script_steps import (
    NOTHING,
    Maker,
    Params,
    Thing,
    is_optimizer,
    is_plainly_seed,
    is_seed,
    makes,
    seeds_by_itself,
    wraps,
)
from initlint.source.scripts.state_dicts import StateDict, read_state_dict, save
from initlint.source.text.names import BUILTINS, LIBRARIES, spelled
from initlint.source.text.scan import Scan

if TYPE_CHECKING:
    from initlint.source.project.project import Project

DEEPEST = 6
MOST_STEPS = 20_000
_SAME = frozenset(
    ["to", "cuda", "cpu", "train", "eval", "half", "float", "double", "bfloat16", "xpu", "requires_grad_", "compile"]
)
_TRAINS = frozenset({"backward", "fit"})
_STEADY: tuple[type[ast.AST], ...] = (
    *(ast.Name, ast.Attribute, ast.Constant, ast.Compare, ast.cmpop),
    *(ast.BoolOp, ast.boolop, ast.UnaryOp, ast.unaryop, ast.expr_context),
)
"""What a test may be made of that tells the same until a name in it is bound anew."""
_LEAVES = (ast.Return, ast.Raise, ast.Continue, ast.Break)

KNOWN = LIBRARIES | BUILTINS
"""What calls begin with that leave models and optimisers as they are, or are steps of their own."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Env = dict[str, Any]


def scripts_of(unit: Unit, scan: Scan, project: Project | None) -> tuple[Script, ...]:
    """The script that a file is, which ``script_kind.is_script`` says it is."""
    flow = _Flow(unit, scan)
    try:
        flow.run([node for node in unit.tree.body if not isinstance(node, (ast.ClassDef, *_FUNCTIONS))], flow.globals)
    except _TooLong:
        return ()
    flow.log.regrouped = "param_groups" in scan.attributes
    return (flow.log.script(unit, project),)


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class _TooLong(Exception):
    """There is more of it than is worth following."""


class _Flow:
    """Follows a script."""

    def __init__(self, unit: Unit, scan: Scan) -> None:
        self.unit = unit
        self.scan = scan
        self.globals: Env = {}
        self.arms: tuple[tuple[int, int], ...] = ()
        self.stack: list[ast.AST] = []
        self.left = MOST_STEPS
        self.order = 0
        self.calls = [0]
        """The calls of functions that are being followed, by their number; the last is the one at hand."""
        self.followed = 0
        self.rebound: dict[str, int] = {}
        """How often a name was bound."""
        self.tests: dict[tuple[object, ...], int] = {}
        """Tests, by their text and by what its names are bound to, numbered."""
        self.returned: Any = NOTHING
        self.log = Log()
        self.saved: dict[str, StateDict] = {}

    # statements

    def run(self, body: Sequence[ast.stmt], env: Env) -> bool:
        """Follow a block; says whether it certainly leaves the function or loop that it stands in."""
        for index, node in enumerate(body):
            self._spend()
            if isinstance(node, ast.If):
                if is_main(node.test):
                    self.run(node.body, env)
                    continue
                self.eval(node.test, env)
                outer = self.arms
                test, flipped = self._test(node.test)
                ends = []
                for arm, inner in enumerate((node.body, node.orelse)):
                    self.arms = (*outer, (test, arm ^ flipped))
                    ends.append(self.run(inner, env))
                if all(ends):
                    self.arms = outer
                    return True
                if any(ends):  # what follows stands in the arm that goes on
                    self.arms = (*outer, (test, ends.index(False) ^ flipped))
                    left = self.run(body[index + 1 :], env)
                    self.arms = outer
                    return left
                self.arms = outer
            elif isinstance(node, (ast.For, ast.AsyncFor)):
                self._for(node, env)
            elif isinstance(node, ast.While):
                self.eval(node.test, env)
                self.run(node.body, env)
            elif isinstance(node, (ast.With, ast.AsyncWith)):
                for item in node.items:
                    value = self.eval(item.context_expr, env)
                    if item.optional_vars is not None:
                        self._bind(item.optional_vars, value, env)
                if self.run(node.body, env):
                    return True
            elif isinstance(node, ast.Try):
                self.run(node.body, env)
                for handler in node.handlers:
                    self.run(handler.body, env)
                self.run(node.finalbody, env)
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                self._assign(node, env)
            elif isinstance(node, ast.AugAssign):
                self.eval(node.value, env)
                self._rebind(node.target)
            elif isinstance(node, ast.Return):
                if node.value is not None:
                    self.returned = self.eval(node.value, env)
                return True
            elif isinstance(node, _LEAVES):
                return True
            elif isinstance(node, ast.Expr):
                self.eval(node.value, env)
        return False

    def _assign(self, node: ast.Assign | ast.AnnAssign, env: Env) -> None:
        if node.value is None:
            return
        value = self.eval(node.value, env)
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            holder = target.value if isinstance(target, (ast.Attribute, ast.Subscript)) else None
            if holder is not None and isinstance(target, ast.Attribute) and target.attr == "requires_grad":
                self._grad(holder, node.value, env)
                continue
            found = self._path(target, env) if holder is not None else None
            if found is not None:
                self.log.reset.append((self._step(node, spelled(target)), [found]))
            if found is not None and isinstance(value, Thing) and value.maker.fresh:
                self.log.replaced.append((self._step(node, spelled(target)), *found))
            self._bind(target, value, env)

    def _test(self, node: ast.expr) -> tuple[int, bool]:
        """The number of a test, and whether it is the opposite of the one that bears it.

        Two are the same that are written alike, in the same run of a function, with nothing bound in between.
        """
        flipped = False
        while isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            node, flipped = node.operand, not flipped
        parts = list(ast.walk(node))
        if not all(isinstance(part, _STEADY) for part in parts):
            return self.tests.setdefault((id(node),), len(self.tests)), flipped
        text = ast.unparse(node)
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.IsNot, ast.NotEq)) and len(node.ops) == 1:
            same = ast.Is() if isinstance(node.ops[0], ast.IsNot) else ast.Eq()
            text = ast.unparse(ast.Compare(node.left, [same], node.comparators))
            flipped = not flipped
        names = [(part.id, self.rebound.get(part.id, 0)) for part in parts if isinstance(part, ast.Name)]
        return self.tests.setdefault((self.calls[-1], text, *names), len(self.tests)), flipped

    def _rebind(self, target: ast.expr) -> None:
        while isinstance(target, (ast.Attribute, ast.Subscript, ast.Starred)):
            target = target.value
        if isinstance(target, ast.Name):
            self.rebound[target.id] = self.rebound.get(target.id, 0) + 1

    def _bind(self, target: ast.expr, value: Any, env: Env) -> None:
        self._rebind(target)
        if isinstance(target, (ast.Tuple, ast.List)):
            values = value if isinstance(value, tuple) and len(value) == len(target.elts) else None
            for index, part in enumerate(target.elts):
                self._bind(part, NOTHING if values is None else values[index], env)
        elif isinstance(target, ast.Subscript):
            read_state_dict(target, env)
        elif isinstance(target, (ast.Name, ast.Attribute)):
            env[spelled(target)] = value

    def _for(self, node: ast.For | ast.AsyncFor, env: Env) -> None:
        over = self.eval(node.iter, env)
        if isinstance(over, Params):
            wanted = _sets_gradients(node)
            if wanted is not None:
                step = self._step(node, spelled(node.iter))
                if wanted:
                    self.log.thawed.append(step)
                else:
                    self.log.frozen.extend((step, thing, part) for thing, part in over.of)
                return
        self._bind(node.target, NOTHING, env)
        self.run(node.body, env)

    def _grad(self, holder: ast.expr, value: ast.expr, env: Env) -> None:
        if not (isinstance(value, ast.Constant) and value.value is False):
            self.log.thawed.append(self._step(holder, spelled(holder)))

    # expressions

    def eval(self, node: ast.expr, env: Env) -> Any:
        """What an expression stands for: a Thing, Params, a StateDict, a tuple of them, or NOTHING."""
        self._spend()
        if isinstance(node, (ast.Name, ast.Attribute)):
            text = spelled(node)
            held = env.get(text, self.globals.get(text))
            if held is None and isinstance(node, ast.Attribute):
                base = self.eval(node.value, env)
                if node.attr == "module" and isinstance(base, Thing) and base.inner is not None:
                    return base.inner
            return NOTHING if held is None else held
        if isinstance(node, ast.Call):
            return self._call(node, env)
        if isinstance(node, ast.Tuple):
            return tuple(self.eval(part, env) for part in node.elts)
        if isinstance(node, (ast.DictComp, ast.Dict)):
            for part in ast.iter_child_nodes(node):
                if isinstance(part, ast.expr):
                    self.eval(part, env)
            return read_state_dict(node, env)
        if isinstance(node, (ast.Lambda, ast.Constant)):
            return NOTHING
        found = [self.eval(part, env) for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr)]
        if isinstance(node, (ast.IfExp, ast.BoolOp)):
            return next((one for one in found if isinstance(one, Thing)), NOTHING)
        of = [pair for one in found if isinstance(one, Params) for pair in one.of]
        if isinstance(node, (ast.ListComp, ast.GeneratorExp)):
            of += [pair for part in node.generators for pair in _of(self.eval(part.iter, env))]
        return Params(of) if of else NOTHING

    def _call(self, node: ast.Call, env: Env) -> Any:
        callee = node.func
        written = spelled(callee)
        last = written.rpartition(".")[2]
        values = [self.eval(argument, env) for argument in node.args]
        named = {keyword.arg: self.eval(keyword.value, env) for keyword in node.keywords}
        name = self._canonical(callee)
        if seeds_by_itself(name, node):
            self.log.seeded_elsewhere = True
        if isinstance(callee, ast.Name):
            held = self.unit.globals.get(callee.id)
            if isinstance(held, Func) and isinstance(held.node, _FUNCTIONS) and callee.id not in env:
                if len(self.stack) < DEEPEST and held.node not in self.stack:
                    return self._follow(held.node, values, named)
                name = written
        if name.partition(".")[0] not in KNOWN:
            taken = [pair for value in (*values, *named.values()) for pair in _taken(value)]
            if taken:
                self.log.handed.append((self._step(node, written), taken))
        if is_seed(name):
            imported = isinstance(callee, ast.Name) or isinstance(self.unit.globals.get(written.partition(".")[0]), Ref)
            plain = imported and is_plainly_seed(name)
            (self.log.seeds if plain else self.log.may_seed).append(self._step(node, written))
            return NOTHING
        if is_optimizer(name):
            of = [pair for value in (*values, *named.values()) for pair in _of(value)]
            of += [(value, "") for value in values if isinstance(value, Thing)]
            self.log.optimizers.append((self._step(node, written), of))
            return NOTHING
        if wraps(name) and values and isinstance(values[0], Thing):
            return Thing(values[0].maker, inner=values[0]) if wraps(name) == "module." else values[0]
        if name == "torch.save" and len(node.args) > 1:
            save(self.saved, node, values[0])
            return NOTHING
        if name == "torch.load" and node.args:
            return self.saved.get(ast.unparse(node.args[0]), NOTHING)
        if isinstance(callee, ast.Attribute):
            return self._method(node, callee, last, values, named, env)
        return self._make(node, name)

    def _method(
        self, node: ast.Call, callee: ast.Attribute, last: str, values: list[Any], named: dict[Any, Any], env: Env
    ) -> Any:
        found = self._path(callee, env)
        receiver = self.eval(callee.value, env)
        if last in ("parameters", "named_parameters") and found is not None:
            return Params([(found[0], found[1].rpartition(".")[0])])
        if last in _TRAINS or (last in ("train", "train_epoch") and "trainer" in spelled(callee.value).lower()):
            self.log.trains.append(self._step(node, spelled(callee)))
            for value in values:
                if isinstance(value, Thing):
                    value.root.trained = True
        if last == "add_param_group":
            self.log.optimizers.append((self._step(node, spelled(callee)), []))
        if found is not None:
            thing, part = found[0], found[1].rpartition(".")[0]
            if last == "requires_grad_":
                off = bool(node.args) and isinstance(node.args[0], ast.Constant) and node.args[0].value is False
                if off:
                    self.log.frozen.append((self._step(node, spelled(callee)), thing, part))
                else:
                    self.log.thawed.append(self._step(node, spelled(callee)))
            elif last == "load_state_dict":
                step = self._step(node, spelled(callee.value))
                self.log.loaded.append((step, thing, part))
                if _strictness(node) is not True:
                    self.log.partial.add(step.order)
                self._compare(node, thing, part, values)
            elif last == "apply" and node.args and self._initialises(node.args[0]):
                self.log.applied.append((self._step(node, spelled(callee.value)), thing, part))
            elif last == "state_dict":
                return StateDict("module." if receiver is thing and thing.inner is not None else "")
        if isinstance(receiver, Thing) and last in _SAME:
            return receiver
        if isinstance(receiver, Params) or last in ("parameters", "named_parameters"):
            return receiver if isinstance(receiver, Params) else NOTHING
        return self._make(node, self._canonical(callee))

    def _make(self, node: ast.Call, name: str) -> Any:
        """What a call makes that is no step of its own."""
        maker = makes(name, node, self.unit)
        of = [pair for argument in node.args for pair in _of(self.eval(argument, {}))] if name in _PASSES else []
        if of:
            return Params(of)
        thing = Thing(maker)
        self.log.made.append((self._step(node, spelled(node.func)), thing))
        return thing

    def _follow(self, function: Function, values: list[Any], named: dict[Any, Any]) -> Any:
        if len(self.stack) >= DEEPEST or function in self.stack:
            return Thing(Maker())
        parameters = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
        env: Env = dict(zip(parameters, values, strict=False))
        env.update((name, value) for name, value in named.items() if name is not None)
        outer, self.returned = self.returned, NOTHING
        self.stack.append(function)
        self.followed += 1
        self.calls.append(self.followed)
        arms = self.arms
        try:
            self.run(function.body, env)
        finally:
            self.stack.pop()
            self.calls.pop()
            self.arms = arms
        result, self.returned = self.returned, outer
        return result

    # what is asked of names

    def _path(self, node: ast.expr, env: Env) -> tuple[Thing, str] | None:
        """The model that an attribute belongs to and its dotted place in it: (model, "fc.weight")."""
        parts: list[str] = []
        while isinstance(node, (ast.Attribute, ast.Subscript)):
            held = env.get(spelled(node), self.globals.get(spelled(node)))
            if isinstance(held, Thing) and parts:
                return held, ".".join(reversed(parts))
            parts.append(node.attr if isinstance(node, ast.Attribute) else spelled(node.slice))
            node = node.value
        held = env.get(node.id, self.globals.get(node.id)) if isinstance(node, ast.Name) else None
        if not isinstance(held, Thing) or not parts:
            return None
        if parts[-1] == "module" and held.inner is not None and len(parts) > 1:
            parts.pop()
            held = held.inner
        return held, ".".join(reversed(parts))

    def _canonical(self, node: ast.expr) -> str:
        text = spelled(node)
        root, _, rest = text.partition(".")
        held = self.unit.globals.get(root)
        if isinstance(held, Ref):
            return f"{held.name}.{rest}" if rest else held.name
        return text

    def _initialises(self, node: ast.expr) -> bool:
        """Whether a callback is a function of the file that initialises whatever it meets, not a part sought out.

        One that asks for convolutions, or for several kinds of layers, writes what was loaded; one that asks for a
        class of the project's, or for one kind alone, may be after the new head.
        """
        held = self.unit.globals.get(node.id) if isinstance(node, ast.Name) else None
        if not isinstance(held, Func) or held.node not in self.scan.initialising:
            return False
        tests = [part.test for part in ast.walk(held.node) if isinstance(part, (ast.If, ast.IfExp))]
        asked = {part for test in tests for part in ast.walk(test)}
        words = {part.value for part in asked if isinstance(part, ast.Constant) and isinstance(part.value, str)}
        words |= {torch_layer(self._canonical(p)) or "" for p in asked if isinstance(p, (ast.Name, ast.Attribute))}
        words -= {"", "weight", "bias"}
        return not tests or any("Conv" in word for word in words) or len(words) > 1

    def _compare(self, node: ast.Call, thing: Thing, part: str, values: list[Any]) -> None:
        """A load that is told not to mind keys that do not match, and none of which does."""
        if _strictness(node) is not False or part:
            return
        held = values[0] if values else NOTHING
        wanted = "module." if thing.inner is not None else ""
        if isinstance(held, StateDict) and held.prefix != wanted and (held.prefix or thing.inner is not None):
            self.log.unmatched.append(
                Mishap(
                    form="nested" if held.prefix == "nested" else ("prefixed" if held.prefix else "bare"),
                    text=spelled(node.func),
                    location=place(self.unit, node),
                )
            )

    def _step(self, node: ast.AST, text: str) -> Step:
        self.order += 1
        return Step(location=place(self.unit, node), text=text, order=self.order, arms=self.arms)

    def _spend(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise _TooLong


def _strictness(node: ast.Call) -> bool | None:
    """Whether a load minds keys that are missing; None where that is not written out."""
    given = [keyword.value for keyword in node.keywords if keyword.arg in ("strict", None)] or node.args[1:2]
    if not given:
        return True
    only = given[0].value if isinstance(given[0], ast.Constant) else None
    return only if isinstance(only, bool) else None


_PASSES = frozenset({"filter", "list", "iter", "tuple", "itertools.chain", "set"})


def _taken(value: Any) -> list[tuple[Thing, str]]:
    """The models, and the parts of them, that an argument hands over."""
    if isinstance(value, tuple):
        return [pair for part in value for pair in _taken(part)]
    return [(value, "")] if isinstance(value, Thing) else _of(value)


def _of(value: Any) -> list[tuple[Thing, str]]:
    return value.of if isinstance(value, Params) else []


def _sets_gradients(node: ast.For | ast.AsyncFor) -> bool | None:
    """What a loop that does nothing else sets requires_grad to, of every parameter; None for other loops."""
    if len(node.body) != 1:
        return None
    only = node.body[0]
    value: ast.expr | None = None
    if isinstance(only, ast.Assign) and isinstance(only.targets[0], ast.Attribute):
        value = only.value if only.targets[0].attr == "requires_grad" else None
    elif isinstance(only, ast.Expr) and isinstance(only.value, ast.Call) and len(only.value.args) == 1:
        callee = only.value.func
        value = only.value.args[0] if isinstance(callee, ast.Attribute) and callee.attr == "requires_grad_" else None
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, bool) else None
