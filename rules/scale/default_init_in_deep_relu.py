"""INI207 default-init-in-deep-relu."""

from collections.abc import Iterator

from initlint.facts import Chain, Layer, absent
from initlint.findings import Finding, Severity
from initlint.rule import GRAPH, PARAMETERS, SOURCE, Bad, Good, Rule
from initlint.theory.chains import matrices

_LAYERS = 5
_KEPT = 0.41


class DefaultInitInDeepRelu(Rule):
    """Five layers or more before ReLU keep torch's default initialisation, with no norm between them.

    ## What it does

    Finds chains of Linear and convolution layers without a norm in which five weights or more have torch's default
    law and a ReLU (or a leaky one) behind them.

    ## Why it matters

    torch draws weights from U(-1/sqrt(fan_in), 1/sqrt(fan_in)): a gain of 0.58, where ReLU needs 1.41
    ([He et al. 2015](https://arxiv.org/abs/1502.01852); the default comes from `kaiming_uniform_(a=sqrt(5))` in
    [torch.nn.Linear](https://docs.pytorch.org/docs/stable/generated/torch.nn.Linear.html)). Each layer keeps 0.41 of
    the differences between samples: five layers keep a hundredth.

    ## Example

        nn.Sequential(*[nn.Sequential(nn.Linear(64, 64), nn.ReLU()) for _ in range(8)])

    ## Use instead

        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
                nn.init.zeros_(m.bias)

    ## When it is right to do this

    In shallow networks, with norms, or where residual sums carry the signal. Adam trains such a network all the same;
    where the signal's drift is beyond repair, INI201 speaks.

    ## Fix safety

    No fix: an initialiser has to be added.
    """

    code, name, severity = "INI207", "default-init-in-deep-relu", Severity.ADVICE
    needs = (SOURCE, PARAMETERS, GRAPH)
    bad = [
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(64, 64) for _ in range(6)])  #~
                    self.head = nn.Linear(64, 4)

                def forward(self, x):
                    for layer in self.layers:
                        x = F.relu(layer(x))
                    return self.head(x)
            """,
            by=("source", "live"),
        ),
        Bad("""
            class Net(nn.Module):
                def __init__(self, width):
                    super().__init__()
                    self.body = nn.Sequential(
                        nn.Conv2d(3, width, 3),  #~
                        nn.ReLU(),
                        nn.Conv2d(width, width, 3),
                        nn.LeakyReLU(0.1),
                        nn.Conv2d(width, width, 3),
                        nn.ReLU(),
                        nn.Conv2d(width, width, 3),
                        nn.ReLU(),
                        nn.Conv2d(width, width, 3),
                        nn.ReLU(),
                        nn.Conv2d(width, 4, 3),
                    )

                def forward(self, x):
                    return self.body(x)
        """),
    ]
    good = [
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(64, 64) for _ in range(4)])
                    self.smooth = nn.ModuleList([nn.Linear(64, 64) for _ in range(2)])
                    self.head = nn.Linear(64, 4)

                def forward(self, x):
                    for layer in self.layers:
                        x = F.relu(layer(x))
                    for layer in self.smooth:
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
                    self.layers = nn.ModuleList([nn.Linear(64, 64) for _ in range(6)])
                    self.head = nn.Linear(64, 4)
                    for layer in self.layers:
                        nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")

                def forward(self, x):
                    for layer in self.layers:
                        x = F.relu(layer(x))
                    return self.head(x)
            """,
            by=("source", "live"),
        ),
        Good("""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(64, 64) for _ in range(6)])
                    self.norms = nn.ModuleList([nn.LayerNorm(64) for _ in range(6)])

                def forward(self, x):
                    for layer, norm in zip(self.layers, self.norms):
                        x = F.relu(norm(layer(x)))
                    return x
        """),
    ]

    def check_chain(self, chain: Chain) -> Iterator[Finding]:
        wrong = [
            matrix for layer, matrix in matrices(chain) if _rectified(layer) and matrix.distribution.scheme == "default"
        ]
        if len(wrong) >= _LAYERS:
            yield self.at(
                wrong[0],
                f"{len(wrong)} layers before ReLU keep torch's default initialisation with no norm between: each keeps "
                f"{_KEPT} of the signal's std, together {_KEPT ** len(wrong):.1g}",
                help='use nn.init.kaiming_normal_(m.weight, nonlinearity="relu") and zero biases',
                evidence={"layers": len(wrong)},
                parameters=wrong,
            )


def _rectified(layer: Layer) -> bool:
    if absent(layer.activation) or layer.activation is None:
        return False
    return layer.activation.is_relu_like and not layer.normalized
