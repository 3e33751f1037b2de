"""INI102 constant-weight."""

import math
from collections.abc import Iterator

from initlint.facts import Chain, Model, Parameter
from initlint.findings import Finding, Severity
from initlint.rule import PARAMETERS, PROBE, SOURCE, STUCK, Bad, Good, Rule
from initlint.theory.chains import is_only_path, matrices

_LARGE = 3.0
"""A constant times sqrt(fan-in) above that of any gain in use (at most 2.4, softsign's)."""
_FEWEST = 2
"""How many matrices without a random weight make a model that was not initialised."""


class ConstantWeight(Rule):
    """A weight matrix is filled with one value, and its units stay copies of each other.

    ## What it does

    Live, it takes small training steps with dropout off and compares the rows of the matrix: under 1e-5 of the
    largest weight apart they are one unit (error), under 1e-2 nearly so (warning). Reading source, it speaks where
    every matrix along a chain is constant. Live it warns too, whatever parts its rows, of a single constant matrix that
    is large (value x sqrt(fan-in) above 3, as all ones are), and of a model in which no weight is random.

    ## Why it matters

    Units with equal weights compute equal outputs and get equal gradients, so the layer has the capacity of one unit.
    All hidden layers constant: an MLP ends at .33 accuracy instead of 1.00 (measured, SGD). One constant layer among
    random ones trains if it is small: the others tell its units apart. With ones half of the networks fail or are
    slower (benchmarks/mutants.py): one large direction drowns what the units learn. With 0.1 in every weight 29 of 33
    do, also those whose tables or norms part the units.

    ## Example

        nn.init.constant_(m.weight, 0.1)    # for every nn.Linear

    ## Use instead

        nn.init.kaiming_normal_(m.weight, nonlinearity="relu")

    ## When it is right to do this

    For scales of norms, LayerScale, gates, frozen averaging kernels, and layers with one output unit.

    ## Fix safety

    No fix: the message names what is wrong, the scheme is the author's to choose.
    """

    code, name, severity = "INI102", "constant-weight", Severity.ERROR
    needs = (SOURCE, PARAMETERS, PROBE)
    finds = STUCK
    bad = [
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Sequential(
                        nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4)
                    )
                    for m in self.modules():
                        if isinstance(m, nn.Linear):
                            nn.init.constant_(m.weight, 0.1)  #~
                            nn.init.zeros_(m.bias)

                def forward(self, x):
                    return self.body(x)
            """,
            by=("source", "live"),
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc1 = nn.Linear(16, 32, bias=False)
                    self.fc2 = nn.Linear(32, 4, bias=False)
                    nn.init.ones_(self.fc1.weight)  #~
                    nn.init.ones_(self.fc2.weight)  #~

                def forward(self, x):
                    return self.fc2(torch.tanh(self.fc1(x)))
            """,
            by=("live",),
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Sequential(
                        nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 4)
                    )
                    nn.init.ones_(self.body[2].weight)  #~

                def forward(self, x):
                    return self.body(x)
            """,
            by=("live",),
            severity=Severity.WARNING,
        ),
        Bad(
            """
            class Classifier(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.tokens = nn.Embedding(50, 32)
                    self.layers = nn.ModuleList([nn.Linear(32, 32) for _ in range(2)])
                    self.norms = nn.ModuleList([nn.LayerNorm(32) for _ in range(2)])
                    self.head = nn.Linear(32, 8)
                    for m in (*self.layers, self.head):
                        nn.init.constant_(m.weight, 0.1)  #~

                def forward(self, tokens):
                    x = self.tokens(tokens).mean(1)
                    for layer, norm in zip(self.layers, self.norms):
                        x = norm(x + F.relu(layer(x)))
                    return self.head(x)

            def build():
                return Classifier(), torch.randint(50, (8, 12))
            """,
            by=("live",),
            severity=Severity.WARNING,
        ),
        Bad("""
            class Net(nn.Module):
                def __init__(self, width):
                    super().__init__()
                    self.fc1 = nn.Linear(width, width)
                    self.fc2 = nn.Linear(width, width)
                    for m in self.modules():
                        if isinstance(m, nn.Linear):
                            nn.init.constant_(m.weight, 0.5)  #~
                            nn.init.zeros_(m.bias)

                def forward(self, x):
                    return self.fc2(torch.tanh(self.fc1(x)))
        """),
    ]
    good = [
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc1 = nn.Linear(16, 32)
                    self.fc2 = nn.Linear(32, 4)
                    nn.init.constant_(self.fc1.weight, 0.1)

                def forward(self, x):
                    return self.fc2(F.relu(self.fc1(x)))
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.sums = nn.Conv2d(8, 8, 7, padding=3, groups=8, bias=False)
                    self.fc = nn.Linear(8, 16)
                    self.score = nn.Linear(16, 1)
                    nn.init.ones_(self.sums.weight)
                    nn.init.ones_(self.score.weight)

                def forward(self, x):
                    return self.score(F.relu(self.fc(self.sums(x).mean((2, 3)))))

            def build():
                return Net(), torch.randn(8, 8, 16, 16)
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(16, 8)
                    self.blur = nn.Conv1d(1, 1, 3, padding=1, bias=False)
                    nn.init.constant_(self.blur.weight, 1 / 3)
                    self.blur.weight.requires_grad_(False)
                    self.score = nn.Linear(8, 1)
                    nn.init.constant_(self.score.weight, 1 / 8)

                def forward(self, x):
                    return self.score(F.relu(self.fc(self.blur(x.unsqueeze(1)).squeeze(1))))
            """,
            by=("source",),
        ),
    ]

    def check_parameter(self, parameter: Parameter) -> Iterator[Finding]:
        if not parameter.is_weight or not parameter.distribution.is_constant or parameter.distribution.value == 0:
            return
        if parameter.shape[0] < 2 or not parameter.trainable:
            return
        spread = parameter.escape.row_spread
        if parameter.escape.rows_are_alike:
            yield self.at(
                parameter,
                f"{parameter.name} is {parameter.distribution.value:g} everywhere, and after "
                f"{parameter.escape.steps} training steps its {parameter.shape[0]} units still differ by "
                f"{spread:.1g} of the largest weight",
                help="draw it from a random scheme such as nn.init.kaiming_normal_",
                severity=Severity.ERROR if parameter.escape.rows_are_one else Severity.WARNING,
                evidence={"value": parameter.distribution.value, "row_spread": spread},
            )
            return
        size = abs(parameter.distribution.value) * math.sqrt(parameter.fan_in)
        if size > _LARGE and parameter.shape[1] > 1:  # a kernel for each channel tells them apart
            yield self.at(
                parameter,
                f"{parameter.name} is {parameter.distribution.value:g} everywhere: its {parameter.shape[0]} units "
                f"start as one, {size:.2g} / sqrt(fan_in) strong, and what parts them is small beside it",
                help="draw it from a random scheme such as nn.init.kaiming_normal_",
                severity=Severity.WARNING,
                evidence={"value": parameter.distribution.value, "row_spread": spread},
            )

    def check_model(self, model: Model) -> Iterator[Finding]:
        weights = [parameter for parameter in model.parameters if parameter.is_weight]
        if not all(w.distribution.is_constant and w.distribution.value != 0 and w.trainable for w in weights):
            return
        several = [w for w in weights if w.shape[0] > 1 and w.shape[1] > 1]
        if len(several) < _FEWEST or any(finding for w in several for finding in self.check_parameter(w)):
            return
        first = several[0]
        yield self.at(
            first,
            f"{first.name} is {first.distribution.value:g} everywhere, and none of the {len(weights)} weights of "
            f"{model.name} is random: in every layer the units start as one",
            help="draw them from a random scheme such as nn.init.kaiming_normal_",
            severity=Severity.WARNING,
            evidence={"value": first.distribution.value, "weights": len(weights)},
            parameters=several,
        )

    def check_chain(self, chain: Chain) -> Iterator[Finding]:
        weights = [matrix for _, matrix in matrices(chain)]
        if len(weights) < 2 or not all(w.distribution.is_constant and w.trainable for w in weights):
            return
        if not is_only_path(chain):
            return
        hidden = weights[0]
        if hidden.distribution.value != 0 and hidden.least_fan_out > 1:
            yield self.at(
                hidden,
                f"{hidden.name} is {hidden.distribution.value:g} everywhere, and so is every weight behind it "
                "constant: its units compute the same and get the same gradient",
                help="draw it from a random scheme such as nn.init.kaiming_normal_",
                evidence={"value": hidden.distribution.value},
                parameters=weights,
            )
