"""INI201 scheme-activation-mismatch."""

from collections.abc import Iterator
from functools import partial

from initlint.facts import Chain, Layer, Parameter, absent
from initlint.findings import Finding, Severity
from initlint.rule import GRAPH, SOURCE, Bad, Good, Rule
from initlint.theory.chains import accounts_for, excess_gain, flow, matrices
from initlint.theory.remedies import initializer_for

from ._redrawn import redrawn

_DRIFT = 100.0
_TOLERANCE = 1.15


class SchemeActivationMismatch(Rule):
    """The scheme that drew the weights is made for another nonlinearity than the one that follows.

    ## What it does

    Compares the gain of a recognised scheme (Xavier, Kaiming, LeCun, torch's default) with the gain that the
    following nonlinearity needs, 1/sqrt(E[phi(z)^2]), and speaks only where the mismatch adds up: along a chain of
    layers without a norm between them the signal's standard deviation moves by more than a hundredfold, and the
    mismatch accounts for it.

    ## Why it matters

    Each layer multiplies the signal by the ratio of the two gains. Torch's default before ReLU keeps 0.41 of the
    standard deviation a layer, Xavier 0.71 (He et al. 2015, arXiv 1502.01852): after 24 layers the difference between
    two samples is below what float32 resolves beside the biases.

    ## Example

        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.xavier_uniform_(m.weight)   # ReLU follows, 16 layers

    ## Use instead

        nn.init.kaiming_uniform_(m.weight, nonlinearity="relu")

    ## When it is right to do this

    In shallow networks, before a norm, in attention projections and heads: nothing adds up there, and the rule is
    silent.

    ## Fix safety

    Unsafe: a call of torch.nn.init becomes the one of the same law, normal or uniform, that suits the activation. What
    is drawn changes, which is the purpose, for every layer that the statement initialises.
    """

    code, name, severity = "INI201", "scheme-activation-mismatch", Severity.WARNING
    needs = (SOURCE, GRAPH)
    bad = [
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(64, 64) for _ in range(16)])
                    for layer in self.layers:
                        nn.init.xavier_uniform_(layer.weight)  #~
                        nn.init.zeros_(layer.bias)

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
                    self.layers = nn.ModuleList([nn.Linear(64, 64) for _ in range(16)])
                    for layer in self.layers:
                        nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
                        nn.init.zeros_(layer.bias)

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
                    self.body = nn.Sequential(*[nn.Sequential(nn.Linear(64, 64), nn.ReLU()) for _ in range(12)])  #~
                    self.head = nn.Linear(64, 4)

                def forward(self, x):
                    return self.head(self.body(x))
            """,
            by=("live",),
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self, width):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(width, width) for _ in range(16)])
                    for layer in self.layers:
                        nn.init.xavier_uniform_(layer.weight)  #~
                        nn.init.zeros_(layer.bias)

                def forward(self, x):
                    for layer in self.layers:
                        x = F.relu(layer(x))
                    return x
        """,
            fixed="""
            class Net(nn.Module):
                def __init__(self, width):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(width, width) for _ in range(16)])
                    for layer in self.layers:
                        nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
                        nn.init.zeros_(layer.bias)

                def forward(self, x):
                    for layer in self.layers:
                        x = F.relu(layer(x))
                    return x
        """,
        ),
    ]
    good = [
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(64, 64) for _ in range(16)])
                    for layer in self.layers:
                        nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
                        nn.init.zeros_(layer.bias)

                def forward(self, x):
                    for layer in self.layers:
                        x = F.relu(layer(x))
                    return x
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Sequential(
                        nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4)
                    )
                    for m in self.body:
                        if isinstance(m, nn.Linear):
                            nn.init.xavier_uniform_(m.weight)
                            nn.init.zeros_(m.bias)

                def forward(self, x):
                    return self.body(x)
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Sequential(
                        *[nn.Sequential(nn.Linear(64, 64), nn.LayerNorm(64), nn.ReLU()) for _ in range(12)]
                    )

                def forward(self, x):
                    return self.body(x)
            """,
            by=("source", "live"),
        ),
    ]

    def check_chain(self, chain: Chain) -> Iterator[Finding]:
        signal = flow(chain)
        if 1 / _DRIFT <= signal.ratio <= _DRIFT:
            return
        wrong = [
            (layer, matrix)
            for layer, matrix in matrices(chain)[:-1]
            if not absent(matrix.distribution.scheme) and self._drives(layer, matrix, signal.ratio)
        ]
        if not wrong or not accounts_for([excess_gain(*pair) for pair in wrong], signal.ratio):
            return
        for layer, matrix in wrong:
            activation, law = layer.activation, matrix.distribution
            if activation is None:
                continue
            gain = matrix.gain_as_used
            scheme = "torch's default" if law.scheme == "default" else law.scheme
            yield self.at(
                matrix,
                f"{scheme} gives {matrix.name} gain {gain:.2f} and the {activation.name} that follows needs "
                f"{activation.gain:.2f}: over {signal.length} layers signal std "
                f"{'goes' if signal.measured else 'moves'} {signal.told}",
                help=f"use {initializer_for(activation)}",
                evidence={
                    "scheme": law.scheme,
                    "gain": gain,
                    "gain_needed": activation.gain,
                    "layers": signal.length,
                    "signal_ratio": signal.ratio,
                },
                parameters=[other for _, other in wrong],
                suspects=[culprit for culprit, _ in wrong],
                fix=partial(redrawn, matrix, activation),
            )
            return

    def _drives(self, layer: Layer, matrix: Parameter, ratio: float) -> bool:
        """Whether the layer's gain is off in the direction in which the signal moved."""
        excess = excess_gain(layer, matrix)
        return excess > _TOLERANCE if ratio > 1 else excess < 1 / _TOLERANCE
