"""INI214 vanishing-config-scale."""

from collections.abc import Iterator

from initlint.facts import Parameter
from initlint.findings import Finding, Severity
from initlint.rule import PARAMETERS, Bad, Good, Rule

_SMALLEST = 5e-7
"""Half of 1e-6, which published gates are drawn with on purpose (gMLP) and which a draw falls short of by chance."""


class VanishingConfigScale(Rule):
    """Weights are drawn with a standard deviation so small that it is surely a slip.

    ## What it does

    Finds weight matrices of the model that was built whose standard deviation is clearly below 1e-6 and not zero.

    ## Why it matters

    Such a layer is zero for all practical purposes, without being meant to be. It comes from a configuration:
    transformers' BLIP declares `initializer_range=1e-10` for its vision model, and every weight drawn from it is lost
    beside the residual stream. A norm behind it divides by its epsilon and not by the signal.

    ## Example

        nn.init.normal_(self.fc.weight, std=1e-10)

    ## Use instead

        nn.init.normal_(self.fc.weight, std=0.02)

    ## When it is right to do this

    Zero itself is a choice (INI101 looks at it), and so are small scales of LayerScale, gates and heads.

    ## Fix safety

    No fix: the scale that was meant is not known.
    """

    code, name, severity = "INI214", "vanishing-config-scale", Severity.WARNING
    needs = (PARAMETERS,)
    bad = [
        Bad(
            """
            class Net(nn.Module):
                def __init__(self, initializer_range=1e-10):
                    super().__init__()
                    self.fc1 = nn.Linear(16, 32)
                    self.fc2 = nn.Linear(32, 4)
                    nn.init.normal_(self.fc1.weight, std=initializer_range)  #~

                def forward(self, x):
                    return self.fc2(F.relu(self.fc1(x)))
            """,
            by=("live",),
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.conv = nn.Conv2d(3, 8, 3, padding=1)
                    self.norm = nn.BatchNorm2d(8)
                    self.out = nn.Conv2d(8, 8, 3, padding=1)
                    self.conv.weight.data.mul_(1e-9)  #~

                def forward(self, x):
                    return self.out(F.relu(self.norm(self.conv(x))))
            """,
            by=("live",),
        ),
    ]
    good = [
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(16, 16)
                    self.scale = nn.Parameter(torch.full((16,), 1e-7))
                    self.down = nn.Linear(16, 16)
                    nn.init.zeros_(self.down.weight)

                def forward(self, x):
                    return x + self.scale * self.fc(x) + self.down(x)
            """,
            by=("live",),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Linear(16, 16)
                    self.head = nn.Linear(16, 4)
                    nn.init.normal_(self.body.weight, std=0.02)
                    nn.init.normal_(self.head.weight, std=1e-7)

                def forward(self, x):
                    return self.head(F.relu(self.body(x)))
            """,
            by=("live",),
        ),
    ]

    def check_parameter(self, parameter: Parameter) -> Iterator[Finding]:
        if not parameter.is_weight or not 0 < parameter.statistics.std < _SMALLEST or parameter.layer.is_head:
            return
        yield self.at(
            parameter,
            f"{parameter.name} has std {parameter.statistics.std:.2g}: next to nothing passes, and it is not "
            "zero on purpose",
            help="look at the configuration that the std comes from; 0.02 is usual for transformers",
            evidence={"std": parameter.statistics.std},
        )
