"""One file from tree to facts: its classes are built, its functions read, and what was seen is written down."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Sequence

from initlint.facts import UNKNOWN, ClassFacts, Facts, Incident, InitCall, Model, Script
from initlint.location import Location
from initlint.source.dataflow.forward import Flows, Graph
from initlint.source.dataflow.layouts import Uses
from initlint.source.demand import demanded
from initlint.source.interpreter.calls import Calls
from initlint.source.interpreter.classes import ClassInfo
from initlint.source.interpreter.imports import Imports, bindings
from initlint.source.interpreter.modules import Walk
from initlint.source.interpreter.places import place
from initlint.source.interpreter.state import Frame, OutOfBudget, Unit
from initlint.source.interpreter.values import Cell, Class, Func, Instance, Ref, Table, Unseen, Value
from initlint.source.models import Built, Emission
from initlint.source.noticing.alternatives import left_out
from initlint.source.noticing.callers import initializers_of
from initlint.source.noticing.exposure import Exposures, uses
from initlint.source.noticing.guards import Guards
from initlint.source.noticing.pretrained import finished
from initlint.source.noticing.recorder import Recorder, Seen
from initlint.source.noticing.side_effects import seeds_in
from initlint.source.project.project import Project
from initlint.source.reader import Source
from initlint.source.roots import roots_of, trains_at_import, whole_classes
from initlint.source.scripts.script_kind import is_script
from initlint.source.speaking import speaks
from initlint.source.tables.initializers import Initializers
from initlint.source.text.parsing import lines_of
from initlint.source.text.scan import Function, Scan, scan

STEPS_A_CLASS = 30_000
STEPS_A_FUNCTION = 6_000
STEPS_AT_TOP = 15_000
STEPS_A_FLOW = 30_000
STEPS_A_FILE = 400_000


class Reading:
    """Reads one file."""

    def __init__(self, tree: ast.Module, text: str, path: str, project: Project | None, table: Initializers) -> None:
        lines: Sequence[str] | None = None if text.isascii() else lines_of(text)
        self.machine = Calls()
        self.machine.table = table
        self.machine.classes = {}
        self.unit = Unit(path, tree, self.machine.cell(), lines=lines)
        self.project = project
        if project is not None and os.path.basename(path) != "-":
            self.machine.imports = Imports(self.machine, project, self.unit)
        self.scan: Scan = scan(tree, path, table)
        self.recorder = Recorder(self.machine, self.scan, Guards(self.scan, self.unit, project))
        self.infos: list[ClassInfo] = []
        self.built: dict[int, Built] = {}
        self.wholes: set[int] | None = None
        self.left = STEPS_A_FILE
        self.thorough = True
        self.incidents: dict[int, Incident] = {}
        self.graphs: list[Graph] = []

    def source(self, *, roots: bool, thorough: bool) -> Source:
        """Everything the file says; without ``roots``, but for what it offers to be built.

        Unless it is to be ``thorough``, classes in which nothing happens that a rule could speak of are not built.
        """
        self._top()
        self.thorough = thorough
        every = {id(info) for info in self.infos}
        used = uses(self.infos, self.scan)
        needed, wanted = (every, every) if thorough else demanded(self.scan, self.infos, used)
        for info in self.infos:
            if id(info) in needed and info.is_module:
                self.built[id(info)] = self._build(info)
        for name, built in ((info.name, self.built.get(id(info))) for info in self.infos):
            if built is not None and built.instance is not None:
                self.recorder.prototypes[name] = built.instance
        self._read_functions()
        recorded = self.recorder.facts()
        calls = tuple(call for call, _ in recorded)
        initializers = initializers_of(self.scan, self.unit, recorded, self.infos, self.project)
        exposures = Exposures(self.scan, self.infos, self.unit.path, self.project, used)
        classes, models = self._classes(recorded, wanted, exposures)
        return Source(
            facts=Facts(
                origin="source",
                calls=calls,
                guards=self.recorder.guards.facts(),
                incidents=tuple(sorted(self.incidents.values(), key=lambda found: _start(found.location))),
                initializers=initializers,
                classes=classes,
                models=models,
                scripts=self._scripts(),
            ),
            roots=roots_of(self.scan, self.infos, self.unit) if roots else (),
            trains_at_import=trains_at_import(self.unit) if roots else None,
        )

    def let_go(self) -> None:
        """Take apart what refers to itself, so that it goes without being looked for."""
        for cell in self.machine.every:
            cell.clear()
        for info in self.infos:
            info.lineage = ()
        for graph in self.graphs:
            graph.let_go()
        self.machine.__dict__.clear()

    def _scripts(self) -> tuple[Script, ...]:
        if not is_script(self.unit):
            return ()
        from initlint.source.scripts.scripts import scripts_of

        return scripts_of(self.unit, self.scan, self.project)

    def _top(self) -> None:
        """Bind the names of the module: first what is defined and imported, then what statements compute."""
        frame = Frame(self.unit, (self.unit.globals,))
        machine = self.machine
        machine.budget = STEPS_AT_TOP
        for statement in _top_level(self.unit.tree.body):
            if isinstance(statement, (ast.Import, ast.ImportFrom)):
                for local, ref in bindings(statement, self.unit.path, machine.imports is not None):
                    if local == "*":
                        self.unit.stars.append(ref)
                    elif local not in self.unit.globals:
                        self.unit.globals[local] = ref
            elif isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
                self.unit.globals[statement.name] = Func(statement, self.unit, frame.scopes)
        machine.recorder = self.recorder if None in self.scan.initialising else None
        machine.exhaustive = True
        machine.incidents = self.incidents
        for statement in self.unit.tree.body:
            if isinstance(statement, ast.Import) or (
                isinstance(statement, ast.ImportFrom) and statement.names[0].name != "*"
            ):
                continue
            try:
                if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    self.unit.globals[statement.name] = machine.defined(statement, frame)
                else:
                    machine.run([statement], frame)
            except OutOfBudget:
                machine.budget = 500
                machine.journal = None
                machine.depth = 0
                machine.stack.clear()
        machine.exhaustive = False
        machine.recorder = machine.incidents = None
        for name in self.scan.rebound & self.unit.globals.keys():
            if not isinstance(self.unit.globals[name], (Class, Func)):
                self.unit.globals[name] = Unseen(name)
        self._collect_classes(frame)

    def _collect_classes(self, frame: Frame) -> None:
        for value in list(self.unit.globals.values()):
            if isinstance(value, Class) and value.info.unit is self.unit and value.info not in self.infos:
                self.infos.append(value.info)
        known = {id(info.node) for info in self.infos}
        for node in sorted(self.scan.classes, key=lambda node: node.lineno):
            if id(node) not in known:
                self.machine.budget = STEPS_A_FUNCTION
                try:
                    self.infos.append(
                        self.machine.make_class(node, Frame(self.unit, (self.machine.cell(), *frame.scopes), node))
                    )
                except OutOfBudget:
                    continue
        self.infos.sort(key=lambda info: info.node.lineno)

    def _build(self, info: ClassInfo, left_open: frozenset[str] = frozenset()) -> Built:
        """Run a class's constructor with its parameters' defaults, but for those that are to be left open."""
        machine = self.machine
        machine.clock += 1
        machine.applications = []
        machine.application = None
        machine.journal = None
        machine.repeating = machine.depth = 0
        machine.stack = [info.node]
        machine.ran = set()
        machine.budget = given = min(STEPS_A_CLASS, self.left)
        machine.incidents = self.incidents
        instance = Instance(info.kind, info.name, machine.cell(), (self.unit, info.node), machine.clock, info)
        instance.opaque = not info.is_plain
        complete = True
        try:
            machine.construct(instance, info, [], {name: Unseen(name) for name in left_open}, (self.unit, info.node))
        except (OutOfBudget, RecursionError):
            complete = False
        self.left -= given - max(machine.budget, 0)
        machine.journal = machine.incidents = None
        machine.stack = []
        return Built(info, instance, tuple(machine.applications), complete, frozenset(machine.ran))

    def _read_functions(self) -> None:
        """Read every function in which a call of an initialiser may stand."""
        machine = self.machine
        machine.frozen = machine.clock
        machine.exhaustive = True
        machine.recorder = self.recorder
        holders = {id(function): info for info in self.infos for function in info.methods.values()}
        for owner in self.scan.initialising:
            if not isinstance(owner, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            info = holders.get(id(owner))
            built = self.built.get(id(info)) if info is not None else None
            receiver: Value | None = (
                built.instance if built is not None else (Unseen("self") if info is not None else None)
            )
            if info is not None and any(_is_static(mark) for mark in owner.decorator_list):
                receiver = None
            scopes = info.closure if info is not None else (self.unit.globals,)
            self._read(owner, scopes, info, receiver)
        for owner, calls in self.scan.broad.items() if self.built else ():
            applies = any(isinstance(call.func, ast.Attribute) and call.func.attr == "apply" for call in calls)
            plain = isinstance(owner, (ast.FunctionDef, ast.AsyncFunctionDef)) and id(owner) not in holders
            if applies and plain and owner not in self.scan.initialising:
                self._read(owner, (self.unit.globals,), None, None)  # type: ignore[arg-type]
        machine.exhaustive = False
        machine.recorder = None
        machine.frozen = -1

    def _read(
        self,
        node: Function | ast.Lambda,
        scopes: tuple[Cell, ...],
        owner: ClassInfo | None,
        receiver: Value | None,
        inner: bool = False,
    ) -> None:
        """Read one function; ``receiver`` is its first argument unless it stands in (``inner``) a method."""
        machine = self.machine
        local = machine.cell()
        frame = Frame(self.unit, (local, *scopes), node, owner, receiver)
        machine.journal = None
        machine.depth = machine.repeating = 0
        machine.stack = [node]
        machine.budget = given = min(STEPS_A_FUNCTION, max(self.left, 2_000))
        machine.incidents = self.incidents if receiver is None else None  # one that is built may have changed since
        try:
            first = None if inner else receiver
            function = Func(node, self.unit, scopes, owner, first)
            machine.bind_parameters(function, [] if first is None else [first], {}, local)
            self._annotate(node, local)
            if node.args.vararg is not None:
                local[node.args.vararg.arg] = Walk(machine.cell(), (), Unseen(), None)
            if node.args.kwarg is not None:
                local[node.args.kwarg.arg] = Table(machine.cell(), (), Unseen())
            if isinstance(node, ast.Lambda):
                machine.eval(node.body, frame)
            else:
                machine.run(node.body, frame)
        except (OutOfBudget, RecursionError):
            pass
        self.left -= given - max(machine.budget, 0)
        machine.journal = machine.incidents = None
        waiting, self.recorder.waiting = self.recorder.waiting, []
        for one in waiting:
            self._read(one.node, one.scopes, one.owner, one.receiver, inner=True)

    def _annotate(self, node: Function | ast.Lambda, local: Cell) -> None:
        """A parameter annotated with a torch layer is one."""
        frame = Frame(self.unit, (self.unit.globals,))
        for parameter in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
            held = local.get(parameter.arg)
            if parameter.annotation is None or not isinstance(held, Unseen):
                continue
            annotated = self.machine.eval(parameter.annotation, frame)
            kinds = (
                self.machine.kinds_of(annotated)
                if isinstance(annotated, Ref) and annotated.name.startswith("torch.nn.")
                else None
            )
            if kinds is not None:
                local[parameter.arg] = Unseen(parameter.arg, kinds)

    def _classes(
        self, recorded: list[tuple[InitCall, list[Seen]]], wanted: set[int], exposures: Exposures
    ) -> tuple[tuple[ClassFacts, ...], tuple[Model, ...]]:
        classes: list[ClassFacts] = []
        models: list[Model] = []
        for info in self.infos:
            built = self.built.get(id(info))
            model = UNKNOWN
            if built is not None and id(info) in wanted:
                written = [self._written_down(each, exposures, recorded) for each in (built, *self._alternatives(info))]
                model = UNKNOWN if written[0] is None else written[0]
                models += [each for each in written if each is not None]
            classes.append(
                ClassFacts(
                    name=info.name,
                    location=place(info.unit, info.node),
                    bases=tuple(
                        base.info.name if isinstance(base, Class) else base.name if isinstance(base, Ref) else "?"
                        for base in info.bases
                    ),
                    methods=tuple(info.methods),
                    is_module=True if info.is_module else (False if info.is_plain else UNKNOWN),
                    model=model,
                    constructor=place(info.unit, made) if (made := info.methods.get("__init__")) else None,
                    seeds=seeds_in(info.methods.get("__init__"), self.scan, info.unit)
                    if info.unit is self.unit
                    else (),
                    finished=finished(info, self.infos, self.scan, self.unit, self.project),
                    calls=tuple(call for call, seen in recorded if seen[0].owner is info),
                )
            )
        return tuple(classes), tuple(models)

    def _alternatives(self, info: ClassInfo) -> Iterator[Built]:
        """The class built with options left open by whose default it skips an allocation of bare memory."""
        options = left_out(info, self.scan)
        if options:
            yield self._build(info, options)

    def _written_down(
        self, built: Built, exposures: Exposures, recorded: list[tuple[InitCall, list[Seen]]]
    ) -> Model | None:
        """What was built, as a Model; None where no rule could speak of it."""
        exposure = exposures.of(built.info, set(built.ran))
        if not self.thorough and not speaks(built, exposure):
            return None
        if self.wholes is None:
            self.wholes = whole_classes(self.scan, self.infos, self.unit)
        flows, used = self._flows(built, id(built.info) in self.wholes)
        return Emission(built, exposure, flows, used, self.unit, self.scan).model(recorded)

    def _flows(self, built: Built, root: bool) -> tuple[Flows | None, Uses]:
        """What runs through the class's forward; None where it has none that can be followed."""
        machine = self.machine
        uses = Uses()
        found = built.info.method("forward")
        if found is None and built.instance.kind != "Sequential":
            return None, uses
        graph = machine.graph = Graph(machine, uses)
        self.graphs.append(graph)
        machine.journal = None
        machine.depth = machine.repeating = 0
        machine.stack = []
        machine.frozen = machine.clock
        machine.budget = given = max(0, min(STEPS_A_FLOW, self.left))
        try:
            graph.run(built.instance, self.unit)
        except (OutOfBudget, RecursionError):
            graph.understood = False
            graph.complete = False
        finally:
            machine.graph = None
            machine.frozen = -1
            machine.journal = None
        self.left -= given - max(machine.budget, 0)
        return (Flows(graph, root) if graph.complete else None), uses


def _start(where: Location) -> tuple[str, int, int]:
    return where.path, where.line, where.column


def _is_static(mark: ast.expr) -> bool:
    return isinstance(mark, ast.Name) and mark.id == "staticmethod"


def _top_level(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module, those under if, try and with included."""
    for statement in body:
        yield statement
        if isinstance(statement, (ast.If, ast.Try, ast.With)):
            yield from _top_level(statement.body)
            if isinstance(statement, (ast.If, ast.Try)):
                yield from _top_level(statement.orelse)
            if isinstance(statement, ast.Try):
                for handler in statement.handlers:
                    yield from _top_level(handler.body)
