"""INI205 selu-without-lecun."""

from collections.abc import Iterator
from functools import partial

from initlint.facts import Chain, Layer, Parameter, close
from initlint.findings import Finding, Severity
from initlint.rule import GRAPH, SOURCE, Bad, Good, Rule
from initlint.theory.chains import matrices, steady

from ._redrawn import redrawn

_LAYERS = 2
_TOLERANCE = 0.15
_BY_TORCH = 0.75


class SeluWithoutLecun(Rule):
    """A SELU network whose weights do not have the variance that self-normalisation rests on.

    ## What it does

    Finds chains of two layers or more with SELU behind them, and no norm between, in which std x sqrt(fan-in) is not 1
    up to 15% for half of the weights or more. Where the model was run and the signal moves by less than tenfold along
    the chain, it is advice.

    ## Why it matters

    SELU's constants make mean 0 and variance 1 a fixed point of a layer if the weights have variance 1 / fan-in
    ([Klambauer et al. 2017](https://arxiv.org/abs/1706.02515), section 2). torch's default has a third of that, He's
    twice: the signal settles elsewhere, and the network is an ELU network with odd constants.
    [torch.nn.init](https://docs.pytorch.org/docs/stable/nn.init.html#torch.nn.init.calculate_gain) says to use
    `nonlinearity="linear"` here. Eight layers with He's gain, or tanh's, whose signal moves by less than tenfold, train
    as well (benchmarks/mutants.py); many more of the same do not.

    ## Example

        self.body = nn.Sequential(nn.Linear(64, 64), nn.SELU(), nn.Linear(64, 64), nn.SELU())

    ## Use instead

        nn.init.kaiming_normal_(m.weight, nonlinearity="linear")
        nn.init.zeros_(m.bias)

    ## When it is right to do this

    With a single SELU layer, or a norm in between, nothing normalises itself. A single layer that is off is brought
    back by the others: an 8-layer network trains as well with one weight drawn at 1/100 of its scale, or at 7 times it
    (benchmarks/mutants.py); where the signal does not come back, INI203 or INI204 tells. `nonlinearity="selu"` (gain
    3/4) is torch's own compromise for steadier gradients, and is left alone.

    ## Fix safety

    Unsafe: a call of torch.nn.init becomes `kaiming_normal_` or `kaiming_uniform_` for "linear". What is drawn changes,
    which is the purpose, for every layer that the statement initialises.
    """

    code, name, severity = "INI205", "selu-without-lecun", Severity.WARNING
    needs = (SOURCE, GRAPH)
    bad = [
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(64, 64) for _ in range(4)])  #~
                    self.head = nn.Linear(64, 4)

                def forward(self, x):
                    for layer in self.layers:
                        x = F.selu(layer(x))
                    return self.head(x)
            """,
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(64, 64) for _ in range(4)])  #~
                    self.head = nn.Linear(64, 4)

                def forward(self, x):
                    for layer in self.layers:
                        x = F.selu(layer(x))
                    return self.head(x)
            """,
            by=("live",),
            severity=Severity.ADVICE,
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(64, 64) for _ in range(16)])  #~
                    self.head = nn.Linear(64, 4)

                def forward(self, x):
                    for layer in self.layers:
                        x = F.selu(layer(x))
                    return self.head(x)
            """,
            by=("source", "live"),
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self, width=64):
                    super().__init__()
                    self.body = nn.Sequential(
                        nn.Linear(width, width), nn.SELU(), nn.AlphaDropout(0.1),
                        nn.Linear(width, width), nn.SELU(), nn.AlphaDropout(0.1),
                        nn.Linear(width, 4),
                    )
                    for m in self.modules():
                        if isinstance(m, nn.Linear):
                            nn.init.kaiming_normal_(m.weight, nonlinearity="relu")  #~
                            nn.init.zeros_(m.bias)

                def forward(self, x):
                    return self.body(x)
            """,
            fixed="""
            class Net(nn.Module):
                def __init__(self, width=64):
                    super().__init__()
                    self.body = nn.Sequential(
                        nn.Linear(width, width), nn.SELU(), nn.AlphaDropout(0.1),
                        nn.Linear(width, width), nn.SELU(), nn.AlphaDropout(0.1),
                        nn.Linear(width, 4),
                    )
                    for m in self.modules():
                        if isinstance(m, nn.Linear):
                            nn.init.kaiming_normal_(m.weight, nonlinearity="linear")
                            nn.init.zeros_(m.bias)

                def forward(self, x):
                    return self.body(x)
            """,
        ),
        Bad("""
            class Net(nn.Module):
                def __init__(self, width):
                    super().__init__()
                    self.fc1 = nn.Linear(width, width)  #~
                    self.fc2 = nn.Linear(width, width)  #~
                    self.head = nn.Linear(width, 4)

                def forward(self, x):
                    return self.head(F.selu(self.fc2(F.selu(self.fc1(x)))))
        """),
    ]
    good = [
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(64, 64) for _ in range(4)])
                    self.head = nn.Linear(64, 4)
                    for layer in self.layers:
                        nn.init.normal_(layer.weight, std=64**-0.5)
                    nn.init.normal_(self.layers[2].weight, std=0.05)  # one among others, which bring it back

                def forward(self, x):
                    for layer in self.layers:
                        x = F.selu(layer(x))
                    return self.head(x)
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(64, 64) for _ in range(4)])
                    self.head = nn.Linear(64, 4)
                    for m in self.modules():
                        if isinstance(m, nn.Linear):
                            nn.init.kaiming_normal_(m.weight, mode="fan_in", nonlinearity="linear")
                            nn.init.zeros_(m.bias)

                def forward(self, x):
                    for layer in self.layers:
                        x = F.selu(layer(x))
                    return self.head(x)
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc1 = nn.Linear(64, 64)
                    self.fc2 = nn.Linear(64, 64)
                    self.fc3 = nn.Linear(64, 64)
                    for layer in (self.fc1, self.fc2, self.fc3):
                        nn.init.normal_(layer.weight, std=1 / math.sqrt(layer.in_features))

                def forward(self, x):
                    return F.selu(self.fc3(F.selu(self.fc2(F.selu(self.fc1(x))))))
            """,
            by=("source", "live"),
        ),
        Good("""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc1 = nn.Linear(64, 64)
                    self.fc2 = nn.Linear(64, 64)
                    self.norm1, self.norm2 = nn.BatchNorm1d(64), nn.BatchNorm1d(64)
                    self.neck = nn.Linear(64, 16)
                    self.head = nn.Linear(16, 4)

                def forward(self, x):
                    x = F.selu(self.norm2(self.fc2(F.selu(self.norm1(self.fc1(x))))))
                    return self.head(F.selu(self.neck(x)))
        """),
        Good("""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Sequential(nn.Linear(64, 64), nn.SELU(), nn.Linear(64, 64), nn.SELU())
                    for m in self.body.modules():
                        if isinstance(m, nn.Linear):
                            nn.init.kaiming_normal_(m.weight, nonlinearity="selu")

                def forward(self, x):
                    return self.body(x)
        """),
    ]

    def check_chain(self, chain: Chain) -> Iterator[Finding]:
        selu = [(layer, matrix) for layer, matrix in matrices(chain) if _before_selu(layer)]
        if len(selu) < _LAYERS:
            return
        wrong = [pair for pair in selu if not _is_lecun(pair[1])]
        if len(wrong) < len(selu) / 2:
            return
        for layer, matrix in wrong:
            gain = matrix.gain_as_used
            yield self.at(
                matrix,
                f"{matrix.name} has {gain:.2g} / sqrt(fan_in) before SELU, which normalises itself with "
                "1 / sqrt(fan_in) only",
                help='use nn.init.kaiming_normal_(m.weight, nonlinearity="linear") and nn.init.zeros_(m.bias)',
                severity=Severity.ADVICE if steady(layer) else None,
                evidence={"gain": gain},
                fix=partial(redrawn, matrix, layer.activation),
            )


def _before_selu(layer: Layer) -> bool:
    if layer.activation is None or layer.activation.name != "selu" or layer.normalized:
        return False
    return not layer.joined  # in a sum the variances of several weights add up


def _is_lecun(matrix: Parameter) -> bool:
    gain = matrix.gain_as_used
    return close(gain, 1, relative=_TOLERANCE) or close(gain, _BY_TORCH)
