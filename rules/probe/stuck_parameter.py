"""INI707 stuck-parameter."""

from collections.abc import Iterator

from initlint.facts import Layer, Parameter
from initlint.findings import Finding, Severity
from initlint.rule import EFFECT, PROBE, Bad, Good, Rule


class StuckParameter(Rule):
    """The loss reaches a parameter, and its gradient is exactly zero however long one trains.

    ## What it does

    Takes small training steps on fresh batches with random targets until no further parameter gets a gradient. What
    is part of the graph and never got a gradient other than zero, and would get one had the parameters been drawn
    otherwise, is stuck: an error for a weight, a warning for another parameter.

    ## Why it matters

    A stuck parameter takes memory and optimiser state and never learns. It is zero behind zero, multiplied by a zero
    that is stuck itself, or behind a ReLU that is never positive (Lu et al. 2019, arXiv 1903.06733).

    ## Example

        nn.init.constant_(self.branch.bias, -100.0)      # return x + F.relu(self.branch(x))

    ## Use instead

        nn.init.zeros_(self.branch.bias)

    ## When it is right to do this

    A key's bias under softmax and a bias before a norm are cancelled by design; parameters that this batch does not
    reach at all are INI711. Zero, constant and identical weights that are the cause are INI101 to INI103, which then
    speak.

    ## Fix safety

    No fix: the cause lies in the forward pass or in another parameter.
    """

    code, name, severity = "INI707", "stuck-parameter", Severity.WARNING
    highest = Severity.ERROR
    needs = (PROBE,)
    finds = EFFECT
    bad = [
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Linear(16, 16)
                    self.branch = nn.Linear(16, 16)  #~
                    nn.init.constant_(self.branch.bias, -100.0)

                def forward(self, x):
                    x = self.body(x)
                    return x + F.relu(self.branch(x))
            """,
            by=("live",),
            severity=Severity.ERROR,
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(16, 16)
                    self.shift = nn.Parameter(torch.full((16,), -50.0))  #~
                    self.out = nn.Linear(16, 4)

                def forward(self, x):
                    x = self.fc(x)
                    return self.out(x + F.relu(x.tanh() + self.shift))
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
                    self.body = nn.Linear(16, 16)
                    self.branch = nn.Linear(16, 16, bias=False)
                    self.gate = nn.Parameter(torch.zeros(1))

                def forward(self, x):
                    x = self.body(x)
                    return x + self.gate * self.branch(x)
            """,
            by=("live",),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Linear(16, 16)
                    self.unused = nn.Linear(16, 16)
                    self.frozen = nn.Linear(16, 16)
                    self.frozen.requires_grad_(False)

                def forward(self, x):
                    return self.body(self.frozen(x))
            """,
            by=("live",),
        ),
    ]

    def check_parameter(self, parameter: Parameter) -> Iterator[Finding]:
        if parameter.is_buffer or not parameter.trainable or not parameter.escape.stuck:
            return
        if parameter.escape.held_by_copies:
            return  # INI106 names what holds it
        if parameter.is_bias and (parameter.layer.normalized or self._has_a_stuck_weight(parameter.layer)):
            return
        yield self.at(
            parameter,
            f"{parameter.name} is part of the graph and its gradient is exactly zero in "
            f"{parameter.escape.steps} training steps",
            help="find what cancels it: a zero factor behind it, a ReLU that is never positive",
            severity=Severity.ERROR if parameter.is_weight else None,
            evidence={"steps": parameter.escape.steps},
        )

    def _has_a_stuck_weight(self, layer: Layer) -> bool:
        """Then the weight speaks for its bias."""
        return any(parameter.is_weight and parameter.escape.stuck for parameter in layer.parameters)
