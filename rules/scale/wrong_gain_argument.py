"""INI202 wrong-gain-argument."""

from collections.abc import Iterator
from functools import partial

from initlint.facts import Activation, Gain, Layer, Parameter, Write, absent
from initlint.findings import Finding, Severity
from initlint.rule import GRAPH, SOURCE, Bad, Good, Rule
from initlint.theory.chains import steady
from initlint.theory.gains import CALCULATE_GAIN_NAMES, torch_gain
from initlint.theory.remedies import initializer_for, suits

from ._redrawn import redrawn

_SCALED = ("xavier_uniform_", "xavier_normal_", "orthogonal_")


class WrongGainArgument(Rule):
    """The initialiser is told of one activation, and another one follows.

    ## What it does

    Compares the nonlinearity that `kaiming_*` or `calculate_gain` is given by name with the one that the forward
    applies to the layer's output, and speaks where the gains of the two are more than 15% apart. Where the model was
    run and the signal moves by less than tenfold along the chain of layers, it is advice.

    ## Why it matters

    The name is there to choose the gain: sqrt(2) for ReLU, 5/3 for tanh, sqrt(2 / (1 + a^2)) for a leaky slope a
    ([torch.nn.init](https://docs.pytorch.org/docs/stable/nn.init.html#torch.nn.init.calculate_gain)). A wrong one
    scales every layer by the ratio, and shows that the activation was changed without the initialisation. Over a few
    layers nothing comes of it: networks whose signal moved by less than tenfold trained as well as the sound ones
    (benchmarks/mutants.py). The same code with more layers is not harmless.

    ## Example

        nn.init.kaiming_normal_(self.fc.weight, nonlinearity="relu")
        ...
        x = torch.tanh(self.fc(x))

    ## Use instead

        nn.init.xavier_normal_(self.fc.weight, gain=nn.init.calculate_gain("tanh"))

    ## When it is right to do this

    Where a norm takes the output; where other layers' outputs are added to it first, whose gains count too; in a head;
    in one loop over layers that different activations follow; for an activation that torch has no name for, where
    "relu" stands in for its kin (GELU, SiLU); before dropout of a quarter or more, which scales up what it keeps: a
    half dropped after ReLU asks for gain 1, as no activation at all.

    ## Fix safety

    Unsafe: a call of torch.nn.init becomes the one of the same law, normal or uniform, that suits the activation. What
    is drawn changes, which is the purpose, for every layer that the statement initialises.
    """

    code, name, severity = "INI202", "wrong-gain-argument", Severity.WARNING
    needs = (SOURCE, GRAPH)
    bad = [
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(64, 64) for _ in range(24)])
                    for layer in self.layers:
                        nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")  #~

                def forward(self, x):
                    for layer in self.layers:
                        x = F.relu(layer(x))
                    return x
            """,
            by=("source", "live"),
            fixed="""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(64, 64) for _ in range(24)])
                    for layer in self.layers:
                        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

                def forward(self, x):
                    for layer in self.layers:
                        x = F.relu(layer(x))
                    return x
            """,
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc1 = nn.Linear(16, 32)
                    self.fc2 = nn.Linear(32, 4)
                    nn.init.kaiming_normal_(self.fc1.weight, nonlinearity="relu")  #~

                def forward(self, x):
                    return self.fc2(torch.tanh(self.fc1(x)))
            """,
            by=("live",),
            severity=Severity.ADVICE,
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc1 = nn.Linear(16, 32)
                    self.fc2 = nn.Linear(32, 4)
                    nn.init.kaiming_normal_(self.fc1.weight, nonlinearity="relu")  #~

                def forward(self, x):
                    return self.fc2(torch.tanh(self.fc1(x)))
            """,
            fixed="""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc1 = nn.Linear(16, 32)
                    self.fc2 = nn.Linear(32, 4)
                    nn.init.xavier_normal_(self.fc1.weight, gain=nn.init.calculate_gain("tanh"))

                def forward(self, x):
                    return self.fc2(torch.tanh(self.fc1(x)))
            """,
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self, width):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(width, width) for _ in range(3)])
                    self.head = nn.Linear(width, 4)
                    for layer in self.layers:
                        nn.init.xavier_uniform_(layer.weight, gain=nn.init.calculate_gain("tanh"))  #~

                def forward(self, x):
                    for layer in self.layers:
                        x = F.relu(layer(x))
                    return self.head(x)
        """,
            fixed="""
            class Net(nn.Module):
                def __init__(self, width):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(width, width) for _ in range(3)])
                    self.head = nn.Linear(width, 4)
                    for layer in self.layers:
                        nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")

                def forward(self, x):
                    for layer in self.layers:
                        x = F.relu(layer(x))
                    return self.head(x)
            """,
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Sequential(nn.Linear(16, 32), nn.LeakyReLU(0.01), nn.Linear(32, 4))
                    nn.init.kaiming_uniform_(self.body[0].weight, a=0.8, nonlinearity="leaky_relu")  #~

                def forward(self, x):
                    return self.body(x)
        """,
            fixed="""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Sequential(nn.Linear(16, 32), nn.LeakyReLU(0.01), nn.Linear(32, 4))
                    nn.init.kaiming_uniform_(self.body[0].weight, a=0.01, nonlinearity="leaky_relu")

                def forward(self, x):
                    return self.body(x)
            """,
        ),
    ]
    good = [
        Good("""
            class Prenet(nn.Module):
                def __init__(self, sizes=(80, 256, 256), kept=0.5):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(i, o) for i, o in zip(sizes[:-1], sizes[1:])])
                    for layer in self.layers:
                        nn.init.xavier_uniform_(layer.weight, gain=nn.init.calculate_gain("linear"))
                    self.head = nn.Sequential(nn.Linear(256, 256), nn.ReLU(), nn.Dropout(kept), nn.Linear(256, 10))
                    nn.init.xavier_uniform_(self.head[0].weight, gain=nn.init.calculate_gain("linear"))

                def forward(self, x):
                    for layer in self.layers:
                        x = F.dropout(F.relu(layer(x)), p=0.5, training=True)
                    return self.head(x)
        """),
        Good("""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(64, 64)
                    nn.init.kaiming_normal_(self.fc.weight, nonlinearity="gelu")

                def forward(self, x):
                    return torch.tanh(self.fc(x))
            """),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc1 = nn.Linear(16, 32)
                    self.fc2 = nn.Linear(32, 32)
                    self.fc3 = nn.Linear(32, 32)
                    self.fc4 = nn.Linear(32, 32)
                    self.norm = nn.LayerNorm(32)
                    self.head = nn.Linear(32, 4)
                    nn.init.xavier_normal_(self.fc1.weight, gain=nn.init.calculate_gain("tanh"))
                    nn.init.kaiming_normal_(self.fc2.weight, nonlinearity="relu")
                    nn.init.kaiming_normal_(self.fc3.weight, a=0.25, nonlinearity="leaky_relu")
                    nn.init.kaiming_normal_(self.fc4.weight, nonlinearity="relu")
                    nn.init.kaiming_normal_(self.head.weight, nonlinearity="relu")

                def forward(self, x):
                    x = F.gelu(self.fc2(torch.tanh(self.fc1(x))))
                    x = F.leaky_relu(self.fc3(x), 0.2)
                    return torch.sigmoid(self.head(torch.tanh(self.norm(self.fc4(x)))))
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Mixed(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Linear(16, 32)
                    self.gate = nn.Linear(16, 32)
                    self.head = nn.Linear(32, 4)
                    for m in self.modules():
                        if isinstance(m, nn.Linear):
                            nn.init.kaiming_normal_(m.weight, nonlinearity="relu")

                def forward(self, x):
                    return self.head(F.relu(self.body(x)) * torch.tanh(self.gate(x)))
            """,
            by=("source", "live"),
        ),
        Good("""
            class Policy(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc1 = nn.Linear(16, 32)
                    self.fc2 = nn.Linear(32, 32)
                    self.fc3 = nn.Linear(32, 32)
                    self.head = nn.Linear(32, 4)
                    nn.init.orthogonal_(self.fc1.weight, math.sqrt(2))
                    nn.init.xavier_uniform_(self.fc2.weight, 0.02)
                    nn.init.kaiming_uniform_(self.fc3.weight, a=math.sqrt(5))

                def forward(self, x):
                    return self.head(F.relu(self.fc3(torch.tanh(self.fc2(torch.tanh(self.fc1(x)))))))
        """),
    ]

    def check_parameter(self, parameter: Parameter) -> Iterator[Finding]:
        if parameter.role != "weight":
            return
        write = parameter.last_write
        named = _named(write)
        if named is None:
            return
        layer = parameter.layer
        activation = layer.activation
        if absent(activation) or activation is None or layer.is_head or layer.normalized or layer.joined:
            return
        told, gain = named
        if suits(told, gain, activation) or not _alone(layer, write, activation):
            return
        yield self.at(
            parameter,
            f"{write.short} draws {parameter.name} for {told} (gain {gain:.3g}), and {activation.name} follows",
            help=f"use {initializer_for(activation)}",
            severity=Severity.ADVICE if steady(layer) else None,
            evidence={"nonlinearity": told, "gain": gain},
            fix=partial(redrawn, parameter, activation),
        )


def _named(write: Write) -> tuple[str, float] | None:
    """The nonlinearity that an initialiser was told of, and its gain; None where none was named."""
    function = write.short
    if function in _SCALED:
        if "gain" not in write.arguments:
            return None
        gain = write.arguments["gain"]
        return (gain.nonlinearity, float(gain)) if isinstance(gain, Gain) else None
    if not function.startswith("kaiming_") or not {"nonlinearity", "a"} <= write.arguments.keys():
        return None
    told, slope = write.arguments["nonlinearity"], write.arguments["a"]
    if told == "leaky_relu" and not 0 < slope < 1:
        return None  # the default, which says nothing, and the sqrt(5) of torch's own layers
    if told not in CALCULATE_GAIN_NAMES:
        return None  # the call raises, which is INI505's to say
    return told, torch_gain(told, slope)


def _alone(layer: Layer, write: Write, activation: Activation) -> bool:
    """Whether no other layer that the same run of an initialiser wrote has another activation behind it."""
    if absent(write.application) or write.application is None:
        return True
    others = [other for other in layer.model.layers if other.name in write.application.covered]
    return all(
        other.family == "norm"
        or other.is_head
        or (other.activation is not None and other.activation.name == activation.name)
        for other in others
    )
