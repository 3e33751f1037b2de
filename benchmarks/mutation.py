"""Would the tests notice? Every mutant of a module, against the tests that run its line.

    python benchmarks/mutation.py initlint/theory/*.py --tests tests/theory --out /tmp/theory.jsonl
    python benchmarks/mutation.py rules/scale/wrong_fan.py --rules --out /tmp/rules.jsonl
    python benchmarks/mutation.py --table /tmp/theory.jsonl /tmp/rules.jsonl

The operators are mutmut's, and none of our own. What runs the mutants is ours: mutmut copies the tree and renames what
it mutates, which does not go together with a package that is installed under another name (``rules``), leaves out
decorated functions, constants and tables, and starts pytest anew for each mutant. Here pytest collects once; then each
mutant is a fork of that process, in which the mutated statement takes the place of the original, the tests that run
its line are run, quickest first, and the first that fails kills it. A mutant costs a twentieth of a second, one that
survives as much as its tests do. A control, every statement in its own place, has to pass.

Left out: docstrings, annotations, ``__all__``, a rule's own examples (they are the tests), and strings with a space in
them, which are prose: tests do not hold its wording.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import importlib
import json
import math
import os
import random
import re
import resource
import signal
import sys
import time
import types
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import coverage
import libcst as cst
import pytest
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators

from initlint import record

ROOT = Path(__file__).resolve().parents[1]
CPU_SECONDS = 60


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One change of one top-level statement; ``lines`` are those of the node changed, ``name`` what it defines."""

    path: str
    lines: tuple[int, int]
    name: str
    code: str
    told: str


class Mutations(cst.CSTVisitor):
    """The mutations that mutmut's operators make below one statement."""

    def __init__(self) -> None:
        self.found: list[tuple[cst.CSTNode, cst.CSTNode]] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.Annotation | cst.Decorator | cst.Import | cst.ImportFrom | cst.ConcatenatedString):
            return False
        if isinstance(node, cst.SimpleStatementLine) and isinstance(node.body[0], cst.Expr) and _is_text(node.body[0]):
            return False  # a docstring
        if isinstance(node, cst.Assign | cst.AnnAssign):
            target = node.targets[0].target if isinstance(node, cst.Assign) else node.target
            name = target.value if isinstance(target, cst.Name) else ""
            if name in ("__all__", "__slots__", "bad", "good") or _is_type(node.value):
                return False
        if isinstance(node, cst.Call) and isinstance(node.func, cst.Name) and node.func.value in ("isinstance", "cast"):
            return False
        if isinstance(node, cst.SimpleString) and " " in node.value:
            return False
        for kind, operator in mutation_operators:
            if isinstance(node, kind):
                self.found += [(node, mutated) for mutated in operator(node)]
        return True


def _is_text(node: cst.Expr) -> bool:
    return isinstance(node.value, cst.SimpleString | cst.ConcatenatedString)


def _is_type(node: cst.BaseExpression | None) -> bool:
    """Whether what is assigned is only the name of a type."""
    return isinstance(node, cst.Subscript) and isinstance(node.value, cst.Name) and node.value.value[0].isupper()


Change = tuple[str, Any, str, cst.CSTNode, cst.CSTNode, cst.CSTNode]
"""Path, lines, name of what the statement defines, the statement, the node and what it becomes."""


def changes(path: str) -> list[Change]:
    """Every change that the operators make in a file, in its order."""
    wrapper = MetadataWrapper(cst.parse_module((ROOT / path).read_text()))
    spans = wrapper.resolve(PositionProvider)
    found: list[Change] = []
    for statement in wrapper.module.body:
        name = _defines(statement)
        if name is not None:
            visitor = Mutations()
            statement.visit(visitor)
            found += [
                (path, spans.get(node, spans[statement]), name, statement, node, mutated)
                for node, mutated in visitor.found
            ]
    return found


def made(change: Change) -> Mutant | None:
    """The mutant of a change; None where it is no Python or nothing changes."""
    path, span, name, statement, node, mutated = change
    changed, empty = statement.deep_replace(node, mutated), cst.Module([])
    code = empty.code_for_node(changed) if isinstance(changed, cst.CSTNode) else ""
    try:
        compile(code, path, "exec")
    except SyntaxError:
        return None
    was, told = (" ".join(empty.code_for_node(each).split()) for each in (node, mutated))
    if not code or was == told:
        return None
    return Mutant(path, (span.start.line, span.end.line), name, code, f"{was}  ->  {told}")


def drawn(changes: list[Change], size: int | None, seed: int) -> list[Mutant]:
    """A simple random sample of the changes, or all of them."""
    order = list(range(len(changes)))
    if size is not None and size < len(changes):
        order = sorted(random.Random(seed).sample(order, size))
    return [mutant for index in order if (mutant := made(changes[index])) is not None]


def unchanged(path: str) -> list[Mutant]:
    """The control: every statement in the place of itself, which no test may notice."""
    statements = cst.parse_module((ROOT / path).read_text()).body
    named = [(name, each) for each in statements if (name := _defines(each)) is not None]
    return [Mutant(path, (0, 0), name, cst.Module([]).code_for_node(each), "") for name, each in named]


def _defines(statement: cst.CSTNode) -> str | None:
    if isinstance(statement, cst.FunctionDef | cst.ClassDef):
        return statement.name.value
    if isinstance(statement, cst.SimpleStatementLine) and isinstance(statement.body[0], cst.Assign | cst.AnnAssign):
        assign = statement.body[0]
        target = assign.targets[0].target if isinstance(assign, cst.Assign) else assign.target
        return target.value if isinstance(target, cst.Name) and not _is_type(assign.value) else None
    return None


def module_of(path: str) -> types.ModuleType:
    parts = Path(path).with_suffix("").parts
    parts = ("initlint_rules", *parts[1:]) if parts[0] == "rules" else parts
    return importlib.import_module(".".join(parts))


def ours() -> list[types.ModuleType]:
    packages = ("initlint", "initlint_rules", "tests")
    return [module for name, module in list(sys.modules.items()) if name.partition(".")[0] in packages]


def put(mutant: Mutant) -> None:
    """Let the mutated statement take the place of the original, in every module that has it by name."""
    module = module_of(mutant.path)
    space = module.__dict__
    scratch = dict(space)
    future = "from __future__ import annotations\n"
    exec(compile(future + mutant.code, mutant.path, "exec"), scratch)
    old, new = space[mutant.name], scratch[mutant.name]
    if not graft(old, new):
        replace_constant(space, mutant.name, new)
        derived(module, mutant.name)
    forget()


def forget() -> None:
    """Empty every cache of ours, whose answers the original gave."""
    for each in ours():
        for value in list(vars(each).values()):
            if type(value) is functools._lru_cache_wrapper:
                value.cache_clear()


def graft(old: Any, new: Any) -> bool:
    """Give a function or a class the mutated code, and leave it the object it is. False for any other value."""
    if type(old) is type(new) is functools._lru_cache_wrapper:
        return graft(old.__wrapped__, new.__wrapped__)
    if isinstance(old, types.FunctionType) and isinstance(new, types.FunctionType):
        old.__code__, old.__defaults__, old.__kwdefaults__ = new.__code__, new.__defaults__, new.__kwdefaults__
        return True
    if not (isinstance(old, type) and isinstance(new, type)):
        return False
    for name, value in vars(new).items():
        was: Any = vars(old).get(name)
        if isinstance(value, types.FunctionType) and isinstance(was, types.FunctionType):
            if "made" in value.__code__.co_freevars:  # a record compiles what it is made by when it is first made
                held = dict(zip(value.__code__.co_freevars, value.__closure__ or (), strict=True))
                type.__setattr__(
                    old, name, record._compiled(*(held[n].cell_contents for n in ("every", "post", "frozen")))
                )
            elif value.__code__.co_freevars == was.__code__.co_freevars == ("__class__",) or not value.__closure__:
                graft(was, value)
            else:  # what dataclasses write holds the defaults in its closure
                made = types.FunctionType(value.__code__, was.__globals__, name, value.__defaults__, value.__closure__)
                type.__setattr__(old, name, made)
        elif isinstance(value, staticmethod | classmethod):
            graft(was.__func__, value.__func__)
        elif isinstance(value, property):
            graft(was.fget, value.fget)
        elif isinstance(value, functools.cached_property):
            graft(was.func, value.func)
        elif name[:2] != "__" and not isinstance(value, types.MemberDescriptorType):
            with contextlib.suppress(AttributeError, TypeError):
                type.__setattr__(old, name, value)
    return True


def replace_constant(space: dict[str, Any], name: str, value: Any) -> None:
    old = space[name]
    for module in ours():
        for alias, there in list(vars(module).items()):
            if there is old and alias.lstrip("_") == name.lstrip("_"):
                setattr(module, alias, value)
    space[name] = value


def derived(module: types.ModuleType, name: str) -> None:
    """Compute the constants again that are made of the one that changed."""
    assert module.__file__ is not None
    names = {name}
    for statement in cst.parse_module(Path(module.__file__).read_text()).body:
        other = _defines(statement)
        if other is None or other in names or isinstance(statement, cst.FunctionDef | cst.ClassDef):
            continue
        code = cst.Module([statement]).code
        if any(re.search(rf"\b{each}\b", code) for each in names):
            scratch = dict(vars(module))
            exec(compile("from __future__ import annotations\n" + code, "derived", "exec"), scratch)
            replace_constant(vars(module), other, scratch[other])
            names.add(other)


class Runner:
    """A pytest plugin: instead of running the tests once, runs each mutant's share of them in a fork."""

    def __init__(self, drawn: list[Mutant], out: Path, remember: bool) -> None:
        self.drawn, self.out, self.remember = drawn, out, remember
        self.failed = False
        self.seconds: dict[str, float] = {}
        self.running: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.failed = self.failed or report.failed

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        import hypothesis

        kept = [phase for phase in hypothesis.Phase if phase.name in ("explicit", "generate")]
        hypothesis.settings.register_profile("mutants", database=None, phases=kept, deadline=None, derandomize=True)
        hypothesis.settings.load_profile("mutants")
        if self.remember:
            remember_facts()
        items = self.measure(session.items)
        paths = sorted({mutant.path for mutant in self.drawn})
        control = self.fork([each for path in paths for each in unchanged(path)], items)
        assert control == "survived", f"a module does not stand being replaced by itself: {control}"
        self.out.parent.mkdir(parents=True, exist_ok=True)
        with self.out.open("a") as results:
            for mutant in self.drawn:
                started = time.monotonic()
                chosen = self.tests(mutant, items)
                outcome = self.fork([mutant], chosen) if chosen else "survived"
                row = {**dataclasses.asdict(mutant), "outcome": outcome, "tests": len(chosen)}
                row["seconds"] = round(time.monotonic() - started, 2)
                results.write(json.dumps(row) + "\n")
                results.flush()
        return True

    def measure(self, items: list[pytest.Item]) -> list[pytest.Item]:
        """Run each test once, unmutated: which lines it runs, how long it takes; those that pass, quickest first."""
        measuring = coverage.Coverage(
            data_file=None, include=[str(ROOT / each.path) for each in self.drawn], branch=False, config_file=False
        )
        passed: list[pytest.Item] = []
        measuring.start()
        for number, item in enumerate(items):
            measuring.switch_context(item.nodeid)
            self.failed = False
            forget()  # or only the first test that asks would run what is remembered
            started = time.process_time()
            following = items[number + 1] if number + 1 < len(items) else None
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            self.seconds[item.nodeid] = time.process_time() - started
            if self.failed:
                print("fails without any mutant, left out:", item.nodeid, file=sys.stderr)
            else:
                passed.append(item)
        measuring.stop()
        data = measuring.get_data()
        for path in data.measured_files():
            for line, contexts in data.contexts_by_lineno(path).items():
                self.running[str(Path(path).resolve())][line] |= set(contexts)
        print(f"{len(passed)} tests, {sum(self.seconds.values()):.0f} s of CPU", file=sys.stderr)
        return sorted(passed, key=lambda item: self.seconds[item.nodeid])

    def tests(self, mutant: Mutant, items: list[pytest.Item]) -> list[pytest.Item]:
        """The tests that run a line of what is mutated; of a constant, a line that names it."""
        lines = self.running[str((ROOT / mutant.path).resolve())]
        first, last = mutant.lines
        wanted = {each for line in range(first, last + 1) for each in lines.get(line, ())} - {""}
        if not wanted:
            value = getattr(module_of(mutant.path), mutant.name)
            if not isinstance(value, types.FunctionType | functools._lru_cache_wrapper):
                wanted = self.contexts_naming(mutant, items)
        return [item for item in items if item.nodeid in wanted]

    def contexts_naming(self, mutant: Mutant, items: list[pytest.Item]) -> set[str]:
        """Tests that run a line with the constant's name in it, or have it in their own file; all, where none has."""
        word = re.compile(rf"\b{mutant.name}\b")
        found = {item.nodeid for item in items if word.search(_text(item.path))}
        for path, lines in self.running.items():
            for number, line in enumerate(_text(Path(path)).splitlines(), 1):
                if word.search(line):
                    found |= lines.get(number, set())
        return found - {""} or {item.nodeid for item in items}

    def fork(self, mutants: list[Mutant], chosen: list[pytest.Item]) -> str:
        child = os.fork()
        if child == 0:
            limit = CPU_SECONDS + int(3 * sum(self.seconds[item.nodeid] for item in chosen))
            resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
            signal.alarm(20 * limit)
            with open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), 1)
                os.dup2(nowhere.fileno(), 2)
            os._exit(self.killed_by(mutants, chosen))
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            return "timeout"
        return {0: "survived", 1: "killed", 2: "no import"}.get(os.WEXITSTATUS(status), "killed")

    def killed_by(self, mutants: list[Mutant], chosen: list[pytest.Item]) -> int:
        try:
            for mutant in mutants:
                put(mutant)
        except BaseException:  # the module would not have been importable
            return 2
        self.failed = False
        for item in chosen:
            try:
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            except BaseException:
                return 1
            if self.failed:
                return 1
        return 0


@functools.cache
def _text(path: Path) -> str:
    return path.read_text()


def remember_facts() -> None:
    """A rule says something of facts and does not make them: the examples' facts are made once."""
    import tempfile

    from tests.rules import harness, test_edges, test_examples, test_fixes, test_unknown

    read = functools.cache(harness.read_facts)
    built: dict[str, Any] = {}

    def build(text: str, directory: Path) -> Any:
        if text not in built:
            built[text] = harness_built(text, Path(tempfile.mkdtemp()))
        return built[text]

    harness_built = harness.built_facts
    for module in (harness, test_edges, test_examples, test_fixes, test_unknown):
        for name, value in (("read_facts", read), ("built_facts", build)):
            if hasattr(module, name):
                setattr(module, name, value)


def table(files: Iterable[Path]) -> Iterator[str]:
    """What came of it, as Markdown: a row a module, and the mutants that survived."""
    rows = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    by_path: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        by_path[row["path"]]["survived" if row["outcome"] == "survived" else "killed"] += 1
    yield "| Module | Mutants | Killed | Survived | Share |\n| --- | ---: | ---: | ---: | ---: |"
    for path, count in sorted(by_path.items()):
        yield _row(path, count["killed"], count["survived"])
    killed = sum(count["killed"] for count in by_path.values())
    yield _row("all", killed, len(rows) - killed)
    for row in rows:
        if row["outcome"] == "survived":
            yield f"- `{row['path']}:{row['lines'][0]}` `{row['told']}` ({row['tests']} tests)"


def _row(name: str, killed: int, survived: int) -> str:
    there = killed + survived
    low, high = wilson(killed, there)
    return f"| {name} | {there} | {killed} | {survived} | {killed / there:.0%} ({low:.0%} to {high:.0%}) |"


def wilson(killed: int, there: int) -> tuple[float, float]:
    """The 95 % confidence interval of a share (Wilson 1927)."""
    z = 1.96
    share = killed / there
    middle = (share + z * z / (2 * there)) / (1 + z * z / there)
    half = z * math.sqrt(share * (1 - share) / there + z * z / (4 * there * there)) / (1 + z * z / there)
    return middle - half, middle + half


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*")
    parser.add_argument("--tests", nargs="*", default=[], help="where pytest collects")
    parser.add_argument("--rules", action="store_true", help="the modules are rules: their own examples are the tests")
    parser.add_argument("--sample", type=int, help="draw so many mutants at random")
    parser.add_argument("--each", action="store_true", help="draw so many of each module")
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--only", nargs="*", help="lines (path:line) whose mutants to run")
    parser.add_argument("--out", type=Path, default=Path("mutants.jsonl"))
    parser.add_argument("--table", nargs="*", type=Path)
    options = parser.parse_args()
    if options.table:
        print("\n".join(table(options.table)))
        return
    os.chdir(ROOT)
    there = [changes(path) for path in options.modules]
    if options.only:
        there = [[each for each in some if f"{each[0]}:{each[1].start.line}" in options.only] for some in there]
    if not options.each:
        there = [[each for some in there for each in some]]
    chosen = [mutant for some in there for mutant in drawn(some, options.sample, options.seed)]
    random.Random(options.seed).shuffle(chosen)  # what is done when one looks is a sample too
    print(f"{len(chosen)} mutants of {sum(map(len, there))}", file=sys.stderr)
    arguments = ["-n", "0", "-p", "no:cacheprovider", "-q", "--no-header"]
    if options.rules:
        codes = [value.code for path in options.modules for value in _rules_in(path) if hasattr(value, "code")]
        arguments += ["-k", " or ".join([*codes, "edges", "by_hand"]), "tests/rules"]
    raise SystemExit(pytest.main([*arguments, *options.tests], plugins=[Runner(chosen, options.out, options.rules)]))


def _rules_in(path: str) -> list[Any]:
    values = vars(module_of(path)).values()
    return [value for value in values if isinstance(value, type) and value.__module__ == module_of(path).__name__]


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
