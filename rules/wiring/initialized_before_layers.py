"""INI402 initialized-before-layers."""

from collections.abc import Iterator

from initlint.changes import MoveToEnd
from initlint.facts import Application, Layer, Model
from initlint.findings import Finding, Related, Severity, unsafe
from initlint.rule import PARAMETERS, SOURCE, Bad, Good, Rule


class InitializedBeforeLayers(Rule):
    """The initialiser runs before some of the layers it should cover exist.

    ## What it does

    Finds `self.apply(fn)` and loops over `self.modules()` that are followed, in the same function, by the making of
    layers of a kind that the initialiser handles, where nothing initialises these later.

    ## Why it matters

    `apply` visits the modules that exist at that moment
    ([Module.apply](https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html)). What is assigned afterwards
    keeps torch's default, so one model is drawn from two schemes; the head is the usual victim.

    ## Example

        self.body = nn.Linear(64, 64)
        self.apply(self._init_weights)
        self.head = nn.Linear(64, 10)

    ## Use instead

        self.body = nn.Linear(64, 64)
        self.head = nn.Linear(64, 10)
        self.apply(self._init_weights)

    ## When it is right to do this

    When the later layer is initialised by a statement of its own, or is of a kind that the initialiser leaves alone. A
    loop over some layers, as over a list of hidden ones before the head is made, says nothing of others.

    ## Fix safety

    Unsafe: the statement becomes the last of its function. What the later layers hold changes, which is the purpose; so
    do layers between that were initialised otherwise on purpose and that the initialiser handles too.
    """

    code, name, severity = "INI402", "initialized-before-layers", Severity.ERROR
    needs = (SOURCE, PARAMETERS)
    bad = [
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Linear(16, 16)
                    self.apply(self._init_weights)  #~
                    self.head = nn.Linear(16, 4)

                def _init_weights(self, m):
                    if isinstance(m, nn.Linear):
                        nn.init.trunc_normal_(m.weight, std=0.2)
                        nn.init.zeros_(m.bias)

                def forward(self, x):
                    return self.head(F.relu(self.body(x)))
            """,
            by=("source", "live"),
            fixed="""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Linear(16, 16)
                    self.head = nn.Linear(16, 4)
                    self.apply(self._init_weights)

                def _init_weights(self, m):
                    if isinstance(m, nn.Linear):
                        nn.init.trunc_normal_(m.weight, std=0.2)
                        nn.init.zeros_(m.bias)

                def forward(self, x):
                    return self.head(F.relu(self.body(x)))
            """,
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.conv = nn.Conv2d(3, 8, 3)
                    for m in self.modules():  #~
                        if isinstance(m, nn.Conv2d):
                            nn.init.kaiming_normal_(m.weight)
                    self.out = nn.Conv2d(8, 8, 3)

                def forward(self, x):
                    return self.out(F.relu(self.conv(x)))
            """,
            fixed="""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.conv = nn.Conv2d(3, 8, 3)
                    self.out = nn.Conv2d(8, 8, 3)
                    for m in self.modules():
                        if isinstance(m, nn.Conv2d):
                            nn.init.kaiming_normal_(m.weight)

                def forward(self, x):
                    return self.out(F.relu(self.conv(x)))
            """,
        ),
    ]
    good = [
        Good(
            """
            class Policy(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.first = nn.Linear(16, 32)
                    self.hidden = nn.ModuleList([nn.Linear(32, 32) for _ in range(3)])
                    for layer in (self.first, *self.hidden):
                        nn.init.orthogonal_(layer.weight)
                    self.head = nn.Linear(32, 4)

                def forward(self, x):
                    x = torch.tanh(self.first(x))
                    for layer in self.hidden:
                        x = torch.tanh(layer(x))
                    return self.head(x)
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(16, 16) for _ in range(3)])
                    self.draw()
                    self.head = nn.Linear(16, 4)

                def draw(self):
                    for layer in self.layers:
                        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

                def forward(self, x):
                    for layer in self.layers:
                        x = F.relu(layer(x))
                    return self.head(x)
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Linear(16, 16)
                    self.apply(self._init_weights)
                    self.head = nn.Linear(16, 4)
                    nn.init.zeros_(self.head.weight)
                    nn.init.zeros_(self.head.bias)
                    self.norm = nn.LayerNorm(4)

                def _init_weights(self, m):
                    if isinstance(m, nn.Linear):
                        nn.init.trunc_normal_(m.weight, std=0.2)
                        nn.init.zeros_(m.bias)

                def forward(self, x):
                    return self.norm(self.head(F.relu(self.body(x))))
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Linear(16, 16)
                    self.apply(self._init_weights)
                    self.head = nn.Linear(16, 4)
                    self.apply(self._init_weights)

                def _init_weights(self, m):
                    if isinstance(m, nn.Linear):
                        nn.init.trunc_normal_(m.weight, std=0.2)
                        nn.init.zeros_(m.bias)

                def forward(self, x):
                    return self.head(F.relu(self.body(x)))
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Backbone(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(16, 16)
                    self.apply(self._init_weights)

                def _init_weights(self, m):
                    if isinstance(m, nn.Linear):
                        nn.init.trunc_normal_(m.weight, std=0.2)

                def forward(self, x):
                    return self.fc(x)

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.backbone = Backbone()
                    self.backbone.fc = nn.Linear(16, 16)
                    self.head = nn.Linear(16, 4)

                def forward(self, x):
                    return self.head(F.relu(self.backbone(x)))
            """,
            by=("source", "live"),
        ),
    ]

    def check_model(self, model: Model) -> Iterator[Finding]:
        for application in model.applications:
            missed = [layer for layer in model.layers if self._misses(application, layer)]
            if missed:
                names = ", ".join(f"{layer.name}" for layer in missed[:3]) + (", …" if len(missed) > 3 else "")
                yield self.at(
                    application,
                    f"{application.initializer} runs before {names} {'is' if len(missed) == 1 else 'are'} made "
                    f"and leaves {'it' if len(missed) == 1 else 'them'} at torch's default",
                    help="move the call to the end of __init__",
                    parameters=[parameter for layer in missed for parameter in layer.parameters],
                    layer=missed[0],
                    related=[
                        Related(layer.location, "made here") for layer in missed[:3] if layer.location is not None
                    ],
                    fix=unsafe(MoveToEnd(application.location)),
                )

    def _misses(self, application: Application, layer: Layer) -> bool:
        """Made later in the same function, of a kind that is handled, and written by nobody afterwards."""
        return (
            layer.order > application.order
            and application.whole
            and layer.within == application.within
            and application.holds(layer.name)
            and layer.kind in application.kinds
            and all(write.author == "framework" for parameter in layer.parameters for write in parameter.writes)
        )
