"""INI105 non-finite-parameter."""

from collections.abc import Iterator

from initlint.facts import Parameter
from initlint.findings import Finding, Severity
from initlint.rule import PARAMETERS, Bad, Good, Rule


class NonFiniteParameter(Rule):
    """A parameter holds NaN or infinity when construction is over.

    ## What it does

    Looks at every element of every parameter of the model that was built. Memory that nobody wrote is INI104 and is
    not reported again here.

    ## Why it matters

    One NaN reaches every output and every gradient at the first step, and the first step spoils every other
    parameter. The usual sources are a logarithm or a division of a draw that can be 0, and overflow in float16
    (largest value 65504).

    ## Example

        self.decay = nn.Parameter(torch.log(torch.arange(0, 16).float()))

    ## Use instead

        self.decay = nn.Parameter(torch.log(torch.arange(1, 17).float()))

    ## When it is right to do this

    Never for a parameter. A mask of -inf belongs in a buffer, which this rule leaves alone.

    ## Fix safety

    No fix: the value that was meant is not known.
    """

    code, name, severity = "INI105", "non-finite-parameter", Severity.ERROR
    needs = (PARAMETERS,)
    of_any_weights = True
    bad = [
        Bad(
            """
            class Decay(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.decay = nn.Parameter(torch.log(torch.arange(0, 16).float()))  #~

                def forward(self, x):
                    return x * torch.exp(self.decay)
            """,
            by=("live",),
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(4, 4)
                    self.fc.weight.data.div_(0)  #~

                def forward(self, x):
                    return self.fc(x)
            """,
            by=("live",),
        ),
    ]
    good = [
        Good(
            """
            class Decay(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.decay = nn.Parameter(torch.log(torch.arange(1, 17).float()))
                    self.register_buffer("mask", torch.full((16,), float("-inf")))

                def forward(self, x):
                    return x * torch.exp(self.decay)
            """,
            by=("live",),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.weight = nn.Parameter(torch.full((4, 4), float("nan")))
                    nn.init.orthogonal_(self.weight)

                def forward(self, x):
                    return x @ self.weight
            """,
            by=("live",),
        ),
    ]

    def check_parameter(self, parameter: Parameter) -> Iterator[Finding]:
        if not parameter.is_buffer and not parameter.statistics.finite:
            yield self.at(
                parameter,
                f"{parameter.name} holds NaN or infinity when construction is over",
                help="guard the expression that computes it (a logarithm, a division, a cast to float16)",
            )
