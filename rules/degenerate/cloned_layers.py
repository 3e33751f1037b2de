"""INI106 cloned-layers."""

from collections.abc import Callable, Iterable, Iterator

from initlint.changes import MakeAnew
from initlint.facts import Layer, Model, Parameter, known, slot
from initlint.findings import Finding, Fix, Severity, unsafe
from initlint.rule import PARAMETERS, SOURCE, Bad, Good, Rule

from ._copies import ANEW, is_loaded, still_one


class ClonedLayers(Rule):
    """The layers of a stack are copies of one layer and start bit-identical.

    ## What it does

    Finds stacks (ModuleList, Sequential, nn.TransformerEncoder) whose layers hold the same random numbers: made by
    `copy.deepcopy` of one layer and not drawn anew, or found equal bit by bit in the model that was built. So it does
    with matrices of one module that are copies of each other and are all trained (`self.k = nn.Parameter(
    self.q.clone())`). It is an error where training moves them and they stay one (experts that all see the same input,
    behind a router of zeros).

    ## Why it matters

    Copies of a random layer are no independent draws. In a stack they differ only by their place, in parallel
    (experts, heads) not even by that. torch's documentation of
    [nn.TransformerEncoder](https://docs.pytorch.org/docs/stable/generated/torch.nn.TransformerEncoder.html) warns
    that its layers start with the same parameters and recommends to initialise them anew.

    ## Example

        self.layers = nn.ModuleList([copy.deepcopy(layer) for _ in range(6)])

    ## Use instead

        self.layers = nn.ModuleList([EncoderLayer(dim) for _ in range(6)])

    or draw them anew after the copy, with a loop or `self.apply(init_weights)`.

    ## When it is right to do this

    When a later loop draws every copy anew (DETR), for a teacher, target or average of another model, and for
    parameters that are shared, constant or computed.

    ## Fix safety

    Unsafe: where the layer is made in the function that copies it, each copy becomes a layer made in the same way, and
    the template goes if nothing else needs it. What is drawn changes, which is the purpose; a template that was
    loaded or changed before it was copied would be lost.
    """

    code, name, severity = "INI106", "cloned-layers", Severity.WARNING
    highest = Severity.ERROR
    needs = (SOURCE, PARAMETERS)
    bad = [
        Bad(
            """
            import copy

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    layer = nn.Linear(16, 16)
                    self.layers = nn.ModuleList([copy.deepcopy(layer) for _ in range(4)])  #~

                def forward(self, x):
                    for layer in self.layers:
                        x = torch.tanh(layer(x))
                    return x
            """,
            by=("source", "live"),
            fixed="""
            import copy

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(16, 16) for _ in range(4)])

                def forward(self, x):
                    for layer in self.layers:
                        x = torch.tanh(layer(x))
                    return x
            """,
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
                    self.encoder = nn.TransformerEncoder(layer, 3)  #~

                def forward(self, x):
                    return self.encoder(x)
            """,
            by=("source", "live"),
        ),
        Bad(
            """
            import copy

            class Experts(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.router = nn.Linear(16, 4)
                    nn.init.zeros_(self.router.weight)
                    nn.init.zeros_(self.router.bias)
                    expert = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
                    self.experts = nn.ModuleList(copy.deepcopy(expert) for _ in range(4))  #~
                    self.head = nn.Linear(16, 3)

                def forward(self, x):
                    weight = self.router(x).softmax(-1)
                    return self.head(sum(weight[:, i, None] * expert(x) for i, expert in enumerate(self.experts)))
            """,
            by=("live",),
            severity=Severity.ERROR,
        ),
        Bad(
            """
            class Attention(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.q = nn.Parameter(torch.randn(16, 16) / 4)
                    self.k = nn.Parameter(self.q.detach().clone())  #~
                    self.v = nn.Parameter(torch.randn(16, 16) / 4)

                def forward(self, x):
                    q, k, v = x @ self.q, x @ self.k, x @ self.v
                    return (q @ k.transpose(1, 2) / 4).softmax(-1) @ v

            def build():
                return Attention(), torch.randn(8, 5, 16)
            """,
            by=("live",),
        ),
        Bad(
            """
            class Experts(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.first = nn.Parameter(torch.randn(16, 16) / 4)
                    self.second = nn.Parameter(self.first.detach().clone())  #~
                    self.head = nn.Linear(16, 4)

                def forward(self, x):
                    return self.head(F.relu(x @ self.first) + F.relu(x @ self.second))
            """,
            by=("live",),
            severity=Severity.ERROR,
        ),
    ]
    good = [
        Good(
            """
            import copy

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    layer = nn.Linear(16, 16)
                    self.layers = nn.ModuleList([copy.deepcopy(layer) for _ in range(4)])
                    for p in self.parameters():
                        if p.dim() > 1:
                            nn.init.xavier_uniform_(p)

                def forward(self, x):
                    for layer in self.layers:
                        x = torch.tanh(layer(x))
                    return x
            """,
            by=("source", "live"),
        ),
        Good(
            """
            import copy

            class Student(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(16, 16) for _ in range(3)])

                def forward(self, x):
                    for layer in self.layers:
                        x = torch.tanh(layer(x))
                    return x

            class Byol(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.online = Student()
                    self.target = copy.deepcopy(self.online)

                def forward(self, x):
                    return self.online(x) - self.target(x).detach()
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Experts(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.router = nn.Linear(16, 4)
                    nn.init.zeros_(self.router.weight)
                    nn.init.zeros_(self.router.bias)
                    self.experts = nn.ModuleList(nn.Linear(16, 16) for _ in range(4))
                    self.head = nn.Linear(16, 3)

                def forward(self, x):
                    weight = self.router(x).softmax(-1)
                    return self.head(sum(weight[:, i, None] * expert(x) for i, expert in enumerate(self.experts)))
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Averaged(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.weight = nn.Parameter(torch.randn(16, 16) / 4)
                    self.average = nn.Parameter(self.weight.detach().clone(), requires_grad=False)
                    self.target = nn.Parameter(self.weight.detach().clone())
                    self.gates = nn.Parameter(torch.eye(16))
                    self.others = nn.Parameter(torch.eye(16))

                def forward(self, x):
                    gap = x @ self.weight - (x @ self.average + x @ self.target).detach()
                    return gap @ self.gates + torch.tanh(gap) @ self.others
            """,
            by=("live",),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.norms = nn.ModuleList([nn.LayerNorm(16) for _ in range(4)])
                    self.gates = nn.ParameterList([nn.Parameter(torch.eye(16)) for _ in range(4)])

                def forward(self, x):
                    for norm, gate in zip(self.norms, self.gates):
                        x = norm(x) @ gate
                    return x
            """,
            by=("live",),
        ),
    ]

    def check_layer(self, layer: Layer) -> Iterator[Finding]:
        if layer.origin == "cloned" and "*" in slot(layer.name):
            copied = [p for p in layer.parameters if self._is_copied(p)]
            if copied:
                what = f"{layer.name} is a copy of a layer that was drawn once"
                yield self._finding(copied[0], copied, what, lambda: self._fix(layer))

    def check_parameter(self, parameter: Parameter) -> Iterator[Finding]:
        """Matrices of one module; those of a list have a stack of their own."""
        if parameter.is_buffer or not parameter.is_weight or not parameter.distribution.is_random:
            return
        leaf = parameter.name.rpartition(".")[2]
        alike = [p for p in parameter.layer.parameters if p.statistics.digest == parameter.statistics.digest]
        if leaf.isdigit() or alike[1:2] != [parameter] or is_loaded(parameter):
            return
        if all(p.trainable and p.escape.received for p in alike):
            names = [p.name for p in alike]
            start = f"{', '.join(names[:-1])} and {names[-1]} start bit-identical"
            draw = f"draw each of them of its own, as by nn.init.xavier_uniform_({leaf})"
            yield self._finding(parameter, alike, start, still=still_one(alike), help=draw)

    def check_model(self, model: Model) -> Iterator[Finding]:
        groups: dict[tuple[str, str], list[Parameter]] = {}
        for parameter in model.parameters:
            if parameter.is_weight and parameter.distribution.is_random and not parameter.is_buffer:
                groups.setdefault((slot(parameter.name), parameter.statistics.digest), []).append(parameter)
        stacks: dict[str, list[list[Parameter]]] = {}
        for (place, _), group in groups.items():
            if len(group) > 1 and not any(is_loaded(parameter) for parameter in group):
                stacks.setdefault(place.split(".*", 1)[0], []).append(group)
        for stack, equal in stacks.items():
            first = equal[0]
            copies = [parameter for group in equal for parameter in group]
            start, still = f"{len(first)} layers of {stack or 'the model'} start bit-identical", still_one(copies)
            if still:
                held = [p.name for p in model.parameters if known(p.escape) and p.escape.held_by_copies]
                still += f", and {held[0]} gets no gradient for it" if held else ""
            else:
                start += f" ({first[0].name} equals {first[1].name})"
            yield self._finding(first[-1], copies, start, still=still)

    def _finding(
        self,
        where: Parameter,
        parameters: Iterable[Parameter],
        what: str,
        fix: Callable[[], Fix | None] | None = None,
        still: str = "",
        help: str = ANEW,
    ) -> Finding:
        message = f"{what}{still}: the copies are no independent draws"
        severity = Severity.ERROR if still else None
        return self.at(where, message, help=help, parameters=parameters, fix=fix, severity=severity)

    def _fix(self, layer: Layer) -> Fix | None:
        return None if layer.template_at is None else unsafe(MakeAnew(layer.location, layer.template_at))

    def _is_copied(self, parameter: Parameter) -> bool:
        """Its values are still those of the copy, and they were drawn at random."""
        written = parameter.last_write
        return written.function == "copy.deepcopy" and written.distribution.is_random and len(parameter.shape) > 1
