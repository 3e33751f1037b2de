"""Instances that were built, as facts: layers, parameters, and the writes of each."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from initlint.facts import UNKNOWN, Application, Chain, InitCall, Layer, Model, Parameter, known
from initlint.record import record
from initlint.source.dataflow import sizing
from initlint.source.dataflow.flows import Flow, Flows, Node
from initlint.source.dataflow.layouts import Uses
from initlint.source.interpreter.classes import ClassInfo
from initlint.source.interpreter.modules import constant
from initlint.source.interpreter.places import place
from initlint.source.interpreter.state import Unit
from initlint.source.interpreter.values import NONE, Applied, Either, Instance, Tensor, Unseen, Value
from initlint.source.noticing.exposure import Exposure, loads_itself
from initlint.source.noticing.loose import loose, refilled
from initlint.source.noticing.recorder import Seen
from initlint.source.tables.constructors import KINDS
from initlint.source.tables.shapes import MAYBE
from initlint.source.text.scan import Scan
from initlint.source.writes import Subject, law, lost, padding_write, seen, written
from initlint.theory import fans
from initlint.theory.misfit import PLAUSIBLE_SIZES

if TYPE_CHECKING:
    from initlint.location import Location

_MAPS = ("weight", "recurrent_weight")
MOST_LAYERS = 3_000
DEEPEST = 14

Recorded = Sequence[tuple[InitCall, list[Seen]]]


@record(slots=True)
class Built:
    """A class whose constructor was run. ``complete`` is False where that was given up."""

    info: ClassInfo
    instance: Instance
    applications: tuple[Applied, ...]
    complete: bool
    ran: frozenset[int] = frozenset()


@record(slots=True)
class _Named:
    """A module (or what may be one) under its names."""

    value: Value
    names: list[str]
    uncertain: bool = False


class Emission:
    """Writes one built class down."""

    def __init__(
        self,
        built: Built,
        exposure: Exposure,
        flows: Flows | None,
        uses: Uses,
        unit: Unit,
        scan: Scan,
    ) -> None:
        self.scan = scan
        self.built = built
        self.exposure = exposure
        self.flows = flows
        self.uses = uses
        self.unit = unit
        self.found: dict[int, _Named] = {}
        self.by_name: dict[str, _Named] = {}
        self.tensor_names: dict[int, list[str]] = {}
        self.emitted: set[int] = set()
        self.by_index: dict[int, Application] = {}
        self.too_many = False
        self.visits = 0
        self.handed: dict[int, Instance] = {}
        """What was made before a loop, and what holds it of all that the loop made."""
        self.stacked: set[int] = set()
        """The clones that are (part of) one of several slots."""

    def model(self, recorded: Recorded) -> Model:
        """The class as a Model."""
        self._name(self.built.instance, "", 0, False)
        self.by_name = {named.names[0]: named for named in self.found.values()}
        applications = self._applications(recorded)
        layers: dict[int, Layer] = {}
        for key, named in self.found.items():
            layer = self._layer(named)
            if layer is not None:
                layers[key] = layer
        chains: Any = UNKNOWN
        flows = self.flows
        if flows is not None and flows.chains is not None and self.built.complete and not self.too_many:
            listed = []
            for chain in flows.chains:
                members = [layers[id(instance)] for instance in chain if id(instance) in layers]
                if len(members) == len(chain):
                    listed.append(Chain(layers=tuple(members)))
            chains = tuple(listed)
        info = self.built.info
        return Model(
            name=info.name,
            class_name=info.name,
            location=place(info.unit, info.node),
            layers=tuple(layers.values()),
            chains=chains,
            applications=applications,
            loose=tuple(loose(self.built.instance, info, self._registered)) if self.built.complete else UNKNOWN,
        )

    def _registered(self, value: Instance | Tensor) -> bool:
        """Whether a module or parameter stands in the tree, or may well do."""
        if isinstance(value, Tensor):
            return id(value.cell) in self.tensor_names
        return id(value) in self.found or "#lost" in value.cell

    def _name(
        self,
        value: Value,
        name: str,
        depth: int,
        uncertain: bool,
        in_stack: bool | None = None,
        siblings: int = 1,
    ) -> None:
        self.visits += 1
        if depth > DEEPEST or self.visits > MOST_LAYERS:
            self.too_many = True
            return
        named = self.found.get(id(value))
        if named is not None:
            if name not in named.names:
                named.names.append(name)
        else:
            self.found[id(value)] = named = _Named(value, [name], uncertain)
        if not isinstance(value, Instance):
            return
        slot = name.rpartition(".")[2]
        if value.origin == "cloned" and in_stack is None:
            in_stack = "*" in slot or (slot.isdigit() and siblings > 1)
        if in_stack:
            self.stacked.add(id(value))
        clones = sum(isinstance(held, Instance) and held.origin == "cloned" for held in value.cell.values())
        for key, held in value.cell.items():
            if key.startswith("#"):
                continue
            path = f"{name}.{key}" if name else key
            if isinstance(held, Instance):
                if value.turn is not None and held.order <= value.turn and "*" in name.split("."):
                    self.handed.setdefault(id(held), value)
                self._name(held, path, depth + 1, uncertain, in_stack, clones)
            elif isinstance(held, Either) and any(isinstance(option, Instance) for option in held.options):
                options = [option for option in held.options if option is not NONE]
                if all(isinstance(option, Instance) for option in options):
                    for option in options:
                        self._name(option, path, depth + 1, True, in_stack)
                else:
                    self.found[id(held)] = _Named(held, [path], True)
            elif isinstance(held, Unseen) and held.made:
                unseen = _Named(held, [path], True)
                self.found[id(unseen)] = unseen
            for option in held.options if isinstance(held, Either) else (held,):
                if isinstance(option, Tensor):
                    names = self.tensor_names.setdefault(id(option.cell), [])
                    if path not in names:
                        names.append(path)

    def _layer(self, named: _Named) -> Layer | None:
        value, name = named.value, named.names[0]
        if not isinstance(value, Instance):
            return Layer(name=name, origin="unknown")
        if value.origin == "pretrained" and value.kind == "Module":
            return Layer(name=name, origin="unknown", location=place(*value.made) if value.made is not None else None)
        parameters: list[Parameter] = []
        for key, held in value.cell.items():
            options = held.options if isinstance(held, Either) else (held,)
            for option in options:
                if isinstance(option, Tensor) and (option.is_parameter or option.buffer):
                    parameter = self._parameter(
                        value, key, option, f"{name}.{key}" if name else key, named, len(options) > 1
                    )
                    if parameter is not None:
                        parameters.append(parameter)
                    break
        if not parameters and not (value.arguments and KINDS[value.kind].makes(_constants(value))):
            return None
        location: Location | None = UNKNOWN
        if value.made is not None and isinstance(value.made[1], ast.Call):
            location = place(*value.made)
        elif value is self.built.instance:
            location = place(self.built.info.unit, self.built.info.node)
        flow = self._flow(value) if not named.uncertain else None
        origin = value.origin if value.origin != "cloned" or id(value) in self.stacked else "unknown"
        return Layer(
            name=name,
            kind=UNKNOWN if named.uncertain else value.kind,
            class_name=value.class_name,
            parameters=tuple(parameters),
            arguments={key: constant(argument) for key, argument in value.arguments.items()},
            location=location,
            order=value.order,
            within=_within(self.scan, value.made[1])
            if value.made is not None and value.made[0] is self.unit
            else UNKNOWN,
            consumers=flow.consumers if flow is not None else UNKNOWN,
            activation=flow.activation if flow is not None else UNKNOWN,
            normalized=flow.normalized if flow is not None else UNKNOWN,
            product_normalized=flow.product_normalized if flow is not None else UNKNOWN,
            ends_branch=flow.ends_branch if flow is not None else UNKNOWN,
            joined=flow.joined if flow is not None else UNKNOWN,
            is_head=flow.is_head if flow is not None else UNKNOWN,
            origin=UNKNOWN if named.uncertain else origin,
            aliases=UNKNOWN if named.uncertain else tuple(named.names),
            aliased_at=UNKNOWN if named.uncertain else self._shared_at(name),
            handed=UNKNOWN if named.uncertain or not self.built.complete else self._handed(name),
            repeated_at=self._repeated_at(name) if len(named.names) > 1 else None,
            template_at=self._template_at(value),
        )

    def _flow(self, layer: Instance) -> Flow | None:
        """What becomes of a layer's output; of a module's with bare matrices, what becomes of their products."""
        if self.flows is None:
            return None
        products: list[Node] = []
        if layer.kind not in KINDS:
            for held in layer.cell.values():
                if isinstance(held, Tensor) and held.is_parameter:
                    products += self.uses.nodes.get(id(held.cell), [])
        return self.flows.of(layer, products)

    def _repeated_at(self, name: str) -> Location | None:
        """As Layer.repeated_at."""
        holder = self._shared(name)
        made = holder.value.made if holder is not None and isinstance(holder.value, Instance) else None
        if made is None or made[0] is not self.unit:
            return None
        found = self.scan.repetitions.get(id(made[1]))
        return None if found is None else place(self.unit, found)

    def _template_at(self, layer: Instance) -> Location | None:
        """As Layer.template_at."""
        original, made = layer.template, layer.made
        if original is None or made is None or original[0] is not self.unit or made[0] is not self.unit:
            return None
        home, own = _within(self.scan, original[1]), _within(self.scan, made[1])
        if not known(home) or not known(own) or home != own or not isinstance(original[1], ast.Call):
            return None
        return place(*original)

    def _shared_at(self, name: str) -> Location | None:
        """As Layer.aliased_at."""
        holder = self._shared(name)
        if holder is None:
            return None
        made = holder.value.made if isinstance(holder.value, Instance) else None
        return place(*made) if made is not None and isinstance(made[1], ast.Call) else UNKNOWN

    def _handed(self, name: str) -> Location | None:
        """As Layer.handed; each module is spoken of once."""
        parts = name.split(".")
        for index in range(1, len(parts) + 1):
            module = self.by_name.get(".".join(parts[:index]))
            holder = self.handed.pop(id(module.value), None) if module is not None else None
            if module is not None and holder is not None and len(module.names) == 1 and holder.made is not None:
                return place(*holder.made)
        return None

    def _shared(self, name: str) -> _Named | None:
        """The outermost module with several names that a name leads through."""
        parts = name.split(".")
        for index in range(1, len(parts) + 1):
            holder = self.by_name.get(".".join(parts[:index]))
            if holder is not None and len(holder.names) > 1:
                return holder
        return None

    def _parameter(
        self, layer: Instance, key: str, tensor: Tensor, name: str, named: _Named, maybe: bool
    ) -> Parameter | None:
        if id(tensor.cell) in self.emitted:
            return None
        self.emitted.add(id(tensor.cell))
        shape: Any = UNKNOWN
        if tensor.shape is not None and not tensor.partial:
            shape = tuple(UNKNOWN if size is None else size for size in tensor.shape)
        role = self._role(layer, key, tensor)
        used = role if known(role) else ""
        fan_in, fan_out = UNKNOWN, UNKNOWN
        if layer.kind in KINDS:
            arguments = layer.arguments
            fan_in, fan_out = fans.layer_fans(
                layer.kind,
                shape,
                name=key,
                groups=constant(arguments["groups"]) if "groups" in arguments else 1,
                stride=constant(arguments["stride"]) if "stride" in arguments else 1,
            )
        layout = self.uses.layout(tensor) if used == "weight" and layer.kind not in KINDS else None
        if layout is not None:
            fan_in, fan_out = fans.axes_fans(shape, layout.ins, layout.outs)
        optional = maybe and layer.kind in KINDS and bool(layer.arguments)  # a bias that a layer may be made without
        writes = UNKNOWN if named.uncertain or optional else self._writes(layer, key, tensor, shape)
        misfit, gain, cases = UNKNOWN, UNKNOWN, []
        if known(writes) and tensor.writes and used in _MAPS:
            last = tensor.writes[-1]
            drawn = writes[-1].distribution if last.author == "framework" else law(last, seen(last), self.scan.table)
            if last.author == "user":
                cases = sizing.cases(layer, key, tensor, layout)
                misfit = sizing.misfit_of(last, drawn, layer, cases)
            if not known(fan_in) or not known(writes[-1].distribution.std):
                gain = sizing.gain_of(last, drawn, layer, cases)
        return Parameter(
            name=name,
            role=role,
            shape=shape,
            fan_in=fan_in,
            fan_out=fan_out,
            writes=writes,
            misfit=misfit,
            gain=gain,
            projects=self._projects(tensor, shape) if used == "embedding" else None,
            logits_std=None,
            least_fans=UNKNOWN if known(fan_in) and known(fan_out) else sizing.least_fans(cases),
            trainable=False if tensor.buffer else UNKNOWN if maybe or tensor.trainable is None else tensor.trainable,
            is_buffer=tensor.buffer,
            read_bare=True if tensor.buffer else UNKNOWN,
            computed_by=tensor.cell.get("#computed"),
            lost=lost(self._history(layer, key, tensor, shape)),
            padding_write=padding_write(layer, key, tensor, writes),
            names=tuple(self.tensor_names.get(id(tensor.cell), [name])),
            location=place(*tensor.made)
            if tensor.made is not None and isinstance(tensor.made[1], ast.Call)
            else UNKNOWN,
        )

    def _projects(self, tensor: Tensor, shape: Any) -> Any:
        """As Parameter.projects, for the table of an embedding."""
        products = list(self.uses.nodes.get(id(tensor.cell), ()))
        tied = False
        looked_up = "embedding" in self.uses.roles.get(id(tensor.cell), ())
        for name in self.tensor_names.get(id(tensor.cell), ()):
            holder = self.by_name.get(name.rpartition(".")[0])
            if holder is None or not isinstance(holder.value, Instance):
                continue
            calls = self.flows.by_instance.get(id(holder.value), ()) if self.flows is not None else ()
            if holder.value.kind == "Linear":
                tied = True
                products += calls
            elif calls:
                looked_up = True
        if not products:
            return UNKNOWN if tied or self.flows is None else None
        if not looked_up:
            return UNKNOWN  # a table of numbers to multiply by, as far as is known
        scaled = self.flows.scaled(products) if self.flows is not None else None
        if scaled is None or not known(shape):
            return UNKNOWN
        return None if scaled else (shape[1] if known(shape[1]) else PLAUSIBLE_SIZES[0])

    def _role(self, layer: Instance, key: str, tensor: Tensor) -> Any:
        if layer.kind in KINDS and layer.arguments:
            for row in KINDS[layer.kind].makes(_constants(layer)):
                if row.name == key:
                    return row.role
        used = self.uses.roles.get(id(tensor.cell))
        if used is not None and len(used) == 1:
            return next(iter(used))
        if used:
            return UNKNOWN
        if tensor.shape is not None and len(tensor.shape) == 0:
            return "scale"
        if tensor.shape is not None and len(tensor.shape) == 1 and (key == "bias" or key.endswith(("_bias", ".bias"))):
            return "bias"
        return UNKNOWN

    def _writes(self, layer: Instance, key: str, tensor: Tensor, shape: Any) -> Any:
        events = tensor.writes
        if events is None or not self.built.complete or self.too_many or self.exposure.everything:
            return UNKNOWN
        if not events:
            return UNKNOWN
        last = events[-1]
        whole = next((event for event in reversed(events) if event.overwrites), last)
        bare = whole.function in ("torch.empty", "torch.empty_like")
        if bare and (self.exposure.uninitialised or (tensor.buffer and refilled(layer.info, key))):
            return UNKNOWN
        if bare and layer.info is not None and loads_itself(layer.info):
            return UNKNOWN
        if bare and _is_loaded(tensor):
            return UNKNOWN
        if bare and tensor.shape is not None and 0 in tensor.shape:
            return UNKNOWN  # there is nothing in it
        if self.exposure.default and (last.author == "framework" or last.function == "copy.deepcopy"):
            return UNKNOWN
        return written(events, self._history(layer, key, tensor, shape))

    def _history(self, layer: Instance, key: str, tensor: Tensor, shape: Any) -> Subject:
        return Subject(layer, key, tensor, shape, self.by_index, self.scan.table)

    def _applications(self, recorded: Recorded) -> Any:
        """The runs of initialisers over a tree, and which layers each of them wrote."""
        found: list[Application] = []
        certain = self.built.complete
        for index, applied in enumerate(self.built.applications):
            inside = [seen[0] for _, seen in recorded if _belongs(seen[0], applied)]
            covered, hidden = self._covered(index, applied.order)
            root = self.found.get(id(applied.root))
            if (not inside and not covered) or root is None:
                continue
            certain = certain and applied.certain
            kinds: Any = tuple(dict.fromkeys(kind for seen in inside if seen.kinds for kind in seen.kinds))
            if not inside or any(seen.kinds is None for seen in inside):
                kinds = UNKNOWN
            application = Application(
                initializer=applied.initializer,
                location=place(*applied.node),
                order=applied.order,
                root=root.names[0],
                within=_within(self.scan, applied.node[1]) if applied.node[0] is self.unit else UNKNOWN,
                kinds=kinds,
                covered=UNKNOWN if hidden else covered,
                whole=True,
            )
            self.by_index[index] = application
            found.append(application)
        return tuple(found) if certain else UNKNOWN

    def _covered(self, index: int, order: int) -> tuple[tuple[str, ...], bool]:
        """The layers that the ``index``-th application wrote, and whether it may have written others unseen."""
        covered: list[str] = []
        hidden = False
        for named in self.found.values():
            if not isinstance(named.value, Instance):
                hidden = True
                continue
            hidden = hidden or (named.value.origin == "pretrained" and named.value.opaque)
            for held in named.value.cell.values():
                for option in held.options if isinstance(held, Either) else (held,):
                    if not isinstance(option, Tensor) or not option.is_parameter:
                        continue
                    if option.writes is None:
                        hidden = hidden or named.value.order < order
                    elif named.names[0] not in covered and any(event.application == index for event in option.writes):
                        covered.append(named.names[0])
        return tuple(covered), hidden


def _within(scan: Scan, node: ast.AST) -> Any:
    """The qualified name of the function that a node stands in."""
    name = scan.within(getattr(node, "lineno", 0))
    return UNKNOWN if name is None else name


def _is_loaded(tensor: Tensor) -> bool:
    """Whether what was left bare only makes sense where a checkpoint fills it.

    So it is with codes, which no initialiser draws, with what is not trained, and with a buffer that is saved.
    """
    if tensor.cell.get("#coded"):
        return True
    return tensor.cell.get("#saved") is not False if tensor.buffer else tensor.trainable is not True


def _constants(instance: Instance) -> dict[str, Any]:
    return {name: constant(value, MAYBE) for name, value in instance.arguments.items()}


def _belongs(seen: Seen, applied: Applied) -> bool:
    """Whether a call stands in what a run of an initialiser executes."""
    node = applied.node[1]
    if isinstance(node, (ast.For, ast.AsyncFor)):
        return node.lineno <= seen.node.lineno <= (node.end_lineno or node.lineno)
    name = getattr(seen.function, "name", "lambda")
    if name == "lambda" and isinstance(node, ast.Call):
        return applied.initializer == "lambda" and node.lineno <= seen.node.lineno <= (node.end_lineno or node.lineno)
    return bool(name == applied.initializer)
