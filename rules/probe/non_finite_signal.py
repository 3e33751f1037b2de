"""INI708 non-finite-signal."""

from collections.abc import Iterator

from initlint.facts import Model, known
from initlint.findings import Finding, Severity
from initlint.rule import EFFECT, PROBE, Bad, Good, Rule


class NonFiniteSignal(Rule):
    """The first forward or backward pass gives NaN or infinity.

    ## What it does

    Runs a batch forward and backward and looks at the output of every layer, at the loss and at the gradients.

    ## Why it matters

    Training ends at its first step: one NaN in a gradient makes every parameter NaN. With finite weights the usual
    causes are a division by or a logarithm of something that can be 0, the gradient of a square root or norm at 0,
    and overflow.

    ## Example

        return x / (x - x.mean(0)).norm(dim=0)       # 0 / 0 for a constant feature

    ## Use instead

        return x / (x - x.mean(0)).norm(dim=0).clamp_min(1e-6)

    ## When it is right to do this

    Never in an output or a gradient. Infinities inside (masks of -inf before a softmax) are not reported.

    ## Fix safety

    No fix.
    """

    code, name, severity = "INI708", "non-finite-signal", Severity.ERROR
    needs = (PROBE,)
    finds = EFFECT
    of_any_weights = True
    bad = [
        Bad(
            """
            class Net(nn.Module):  #~
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(16, 16)

                def forward(self, x):
                    x = F.relu(self.fc(x))
                    return x / (x - x)
            """,
            by=("live",),
        ),
        Bad(
            """
            class Net(nn.Module):  #~
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(16, 16)
                    self.out = nn.Linear(16, 4)

                def forward(self, x):
                    return self.out(torch.log(F.relu(self.fc(x))))
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

                def forward(self, x):
                    x = F.relu(self.fc(x))
                    return x / (x.norm(dim=1, keepdim=True) + 1e-6)
            """,
            by=("live",),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.q = nn.Linear(16, 16)

                def forward(self, x):
                    q = self.q(x)
                    scores = q @ q.transpose(-1, -2)
                    mask = torch.ones_like(scores).triu(1).bool()
                    return scores.masked_fill(mask, float("-inf")).softmax(-1) @ q
            """,
            by=("live",),
        ),
    ]

    def check_model(self, model: Model) -> Iterator[Finding]:
        if model.probe.finite:
            return
        first = model.probe.first_non_finite
        where = f"first in the output of {first}" if known(first) and first else "in an output, the loss or a gradient"
        yield self.at(
            model,
            f"the first training step of {model.name} gives NaN or infinity, {where}",
            help="guard the division, logarithm, square root or norm that makes it",
            evidence={"first": first},
        )
