"""INI103 identical-units."""

from collections.abc import Iterator

from initlint.facts import Parameter
from initlint.findings import Finding, Severity
from initlint.rule import PARAMETERS, PROBE, STUCK, Bad, Good, Rule

_EQUAL = 1e-6


class IdenticalUnits(Rule):
    """The rows of a weight are copies of one row, and training does not part them.

    ## What it does

    Compares the rows (units, filters) of every weight that was built; where they are equal up to rounding it takes
    small training steps with dropout off and compares again: under 1e-5 of the largest weight apart is an error,
    under 1e-2 a warning. Matrices of one value are INI102.

    ## Why it matters

    Units with equal weights compute equal outputs; if their outgoing weights are equal too they get equal gradients,
    and stay one unit for ever (Goodfellow, Bengio, Courville: Deep Learning, 8.4).

    ## Example

        row = torch.randn(1, 64) / 8
        self.fc.weight.data.copy_(row.expand(128, 64))

    ## Use instead

        self.fc.weight.data.copy_(torch.randn(128, 64) / 8)

    ## When it is right to do this

    Frozen parameters, one output unit, and units told apart by their outgoing weights: the first steps part them, and
    the rule is silent.

    ## Fix safety

    No fix.
    """

    code, name, severity = "INI103", "identical-units", Severity.ERROR
    needs = (PARAMETERS, PROBE)
    finds = STUCK
    bad = [
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc1 = nn.Linear(16, 32, bias=False)
                    self.fc2 = nn.Linear(32, 4, bias=False)
                    self.fc1.weight.data.copy_((torch.randn(1, 16) / 4).expand(32, 16))  #~
                    nn.init.constant_(self.fc2.weight, 0.2)

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
                    self.conv = nn.Conv2d(3, 8, 3, padding=1, bias=False)
                    with torch.no_grad():
                        self.conv.weight.copy_(torch.randn(1, 3, 3, 3).repeat(8, 1, 1, 1) / 5)  #~

                def forward(self, x):
                    return F.relu(self.conv(x)).mean(1)
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
                    self.fc1 = nn.Linear(16, 32)
                    self.fc2 = nn.Linear(32, 4)
                    self.fc1.weight.data.copy_((torch.randn(1, 16) / 4).expand(32, 16))

                def forward(self, x):
                    return self.fc2(F.relu(self.fc1(x)))
            """,
            by=("live",),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fixed = nn.Linear(16, 8, bias=False)
                    self.fixed.weight.data.copy_((torch.randn(1, 16) / 4).expand(8, 16))
                    self.fixed.weight.requires_grad_(False)
                    self.fc = nn.Linear(8, 4)

                def forward(self, x):
                    return self.fc(self.fixed(x))
            """,
            by=("live",),
        ),
    ]

    def check_parameter(self, parameter: Parameter) -> Iterator[Finding]:
        if not parameter.is_weight or parameter.shape[0] < 2 or not parameter.trainable:
            return
        if parameter.distribution.is_constant or parameter.statistics.row_spread > _EQUAL:
            return
        if parameter.escape.rows_are_alike:
            spread = parameter.escape.row_spread
            yield self.at(
                parameter,
                f"the {parameter.shape[0]} rows of {parameter.name} are equal, and after "
                f"{parameter.escape.steps} training steps still differ by {spread:.1g} of the largest weight",
                help="draw every row of its own",
                severity=Severity.ERROR if parameter.escape.rows_are_one else Severity.WARNING,
                evidence={"row_spread": spread},
            )
