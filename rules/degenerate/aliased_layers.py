"""INI107 aliased-layers."""

from collections.abc import Iterator

from initlint.changes import RepeatAnew
from initlint.facts import MAPS, Incident, Layer, absent, slot
from initlint.findings import Finding, Severity, unsafe
from initlint.rule import GRAPH, SOURCE, Bad, Good, Rule

_LEARNING = (*MAPS, "recurrent", "attention")


class AliasedLayers(Rule):
    """A list of layers holds one layer several times.

    ## What it does

    Finds containers whose slots are one instance: `nn.ModuleList([layer] * 6)`, `nn.Sequential(*[layer] * 6)`, a loop
    that appends the same object, or that hands one layer to each block it makes. Also a Parameter that is registered
    again under a name that has one of its own.

    ## Why it matters

    `*` on a list copies references. The model prints as six layers, has the parameters of one, and applies it six
    times. Depth is spent without the capacity that was meant, and nothing raises.

    ## Example

        self.layers = nn.ModuleList([nn.Linear(dim, dim)] * 6)

    ## Use instead

        self.layers = nn.ModuleList([nn.Linear(dim, dim) for _ in range(6)])

    ## When it is right to do this

    Sharing that is meant has a name: the layer is an attribute of its own, and the list repeats it (DETR's shared
    heads); or one layer is called in a loop (ALBERT). Layers without parameters can be repeated freely.

    ## Fix safety

    Unsafe: `[Layer(...)] * n` becomes a comprehension, which makes n layers. That is nearly always what was meant, but
    the number of parameters changes, and checkpoints of the shared layer load into n equal ones. A layer that was made
    under a name of its own before is left alone.
    """

    code, name, severity = "INI107", "aliased-layers", Severity.WARNING
    needs = (SOURCE, GRAPH)
    bad = [
        Bad(
            """
            class Block(nn.Module):
                def __init__(self, dim=16):
                    super().__init__()
                    self.up = nn.Linear(dim, dim)
                    self.down = nn.Linear(dim, dim)

                def forward(self, x):
                    return x + self.down(F.relu(self.up(x)))

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.blocks = nn.ModuleList([Block()] * 3)  #~

                def forward(self, x):
                    for block in self.blocks:
                        x = block(x)
                    return x
            """,
            by=("source", "live"),
            fixed="""
            class Block(nn.Module):
                def __init__(self, dim=16):
                    super().__init__()
                    self.up = nn.Linear(dim, dim)
                    self.down = nn.Linear(dim, dim)

                def forward(self, x):
                    return x + self.down(F.relu(self.up(x)))

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.blocks = nn.ModuleList([Block() for _ in range(3)])

                def forward(self, x):
                    for block in self.blocks:
                        x = block(x)
                    return x
            """,
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(16, 16)] * 6)  #~

                def forward(self, x):
                    for layer in self.layers:
                        x = torch.tanh(layer(x))
                    return x
            """,
            by=("source", "live"),
            fixed="""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(16, 16) for _ in range(6)])

                def forward(self, x):
                    for layer in self.layers:
                        x = torch.tanh(layer(x))
                    return x
            """,
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self, depth=4):
                    super().__init__()
                    block = nn.Linear(16, 16)  #~
                    self.body = nn.Sequential(*[block] * depth)

                def forward(self, x):
                    return self.body(x)
            """,
            by=("source", "live"),
        ),
        Bad("""
            class Cell(nn.Module):
                def __init__(self, width=16, bias=True):
                    super().__init__()
                    self.weight = nn.Parameter(torch.randn(width, width))
                    if bias:
                        self.bias_ih = nn.Parameter(torch.zeros(width))
                        self.register_parameter("bias_ih", self.bias_ih)
                        self.bias_hh = nn.Parameter(torch.zeros(width))
                        self.register_parameter("bias_ih", self.bias_hh)  #~
            """),
        Bad("""
            class Block(nn.Module):
                def __init__(self, attention, mlp, dim):
                    super().__init__()
                    self.attention, self.mlp = attention, mlp
                    self.norm = nn.LayerNorm(dim)

                def forward(self, x):
                    return x + self.mlp(self.norm(self.attention(x)))

            class Encoder(nn.Module):
                def __init__(self, dim, depth):
                    super().__init__()
                    mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.ReLU(), nn.Linear(4 * dim, dim))
                    self.blocks = nn.ModuleList([Block(nn.Linear(dim, dim), mlp, dim) for _ in range(depth)])  #~

                def forward(self, x):
                    for block in self.blocks:
                        x = block(x)
                    return x
        """),
    ]
    good = [
        Good("""
            class Block(nn.Module):
                def __init__(self, attention, mlp, positions, width):
                    super().__init__()
                    self.attention, self.mlp, self.positions = attention, mlp, positions
                    self.norm = nn.LayerNorm(width)

                def forward(self, x):
                    return x + self.mlp(self.norm(self.attention(x + self.positions.weight)))

            class Encoder(nn.Module):
                def __init__(self, width, depth, length):
                    super().__init__()
                    self.shared = nn.Linear(width, width)
                    positions = nn.Embedding(length, width)
                    self.blocks = nn.ModuleList(
                        [Block(self.shared, nn.Linear(width, width), positions, width) for _ in range(depth)]
                    )

                def forward(self, x):
                    for block in self.blocks:
                        x = block(x)
                    return x
        """),
        Good("""
            class Cell(nn.Module):
                def __init__(self, width=16, tie=False):
                    super().__init__()
                    self.weight_ih = nn.Parameter(torch.randn(width, width))
                    self.register_parameter("weight_ih", self.weight_ih)
                    self.weight_hh = nn.Parameter(torch.randn(width, width))
                    self.register_parameter("shared", self.weight_hh)
                    if tie:
                        self.weight_hh = self.weight_ih
            """),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(16, 16) for _ in range(6)])
                    self.acts = nn.ModuleList([nn.ReLU()] * 6)

                def forward(self, x):
                    for layer, act in zip(self.layers, self.acts):
                        x = act(layer(x))
                    return x
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Detector(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.box_head = nn.Linear(16, 4)
                    self.box_heads = nn.ModuleList([self.box_head for _ in range(6)])

                def forward(self, x):
                    return sum(head(x) for head in self.box_heads)
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Albert(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layer = nn.Linear(16, 16)

                def forward(self, x):
                    for _ in range(6):
                        x = torch.tanh(self.layer(x))
                    return x
            """,
            by=("source", "live"),
        ),
    ]

    def check_layer(self, layer: Layer) -> Iterator[Finding]:
        slots = {slot(alias) for alias in layer.aliases}
        if len(slots) == 1 and len(layer.aliases) > 1 and layer.parameters:  # none of the names is an attribute's own
            counted = "*" not in layer.aliases[-1]  # a slot by that name stands for any number of them
            yield self.at(
                layer.aliased_at,
                f"{layer.aliases[0]} to {layer.aliases[-1]} are one layer: {len(layer.aliases)} slots, the "
                "parameters of one"
                if counted
                else f"every slot of {slot(layer.aliases[0])} is one and the same layer",
                help="make one layer a slot: [Layer(...) for _ in range(n)]",
                evidence={"slots": len(layer.aliases)} if counted else {},
                parameters=layer.parameters,
                layer=layer,
                fix=lambda: unsafe(RepeatAnew(layer.repeated_at)),
            )
        elif not absent(layer.handed) and layer.family in _LEARNING:
            yield self.at(
                layer.handed,
                f"{layer.name} is one layer in every turn of the loop: it was made before, and is handed to each",
                help="make it in the loop, or hand over what makes it (a class, a function)",
                parameters=layer.parameters,
                layer=layer,
            )

    def check_incident(self, incident: Incident) -> Iterator[Finding]:
        if incident.kind == "merged":
            yield self.at(
                incident,
                f"{incident.text} is given the Parameter of {incident.other}, and its own is gone: one has two names",
                help=f'write register_parameter("{incident.other}", ...)',
            )
