"""INI211 residual-scale-missing."""

from collections.abc import Iterator

from initlint.facts import Model
from initlint.findings import Finding, Severity
from initlint.rule import GRAPH, PARAMETERS, PROBE, Bad, Good, Rule
from initlint.theory.chains import variance_factor
from initlint.theory.excess import outputs_huge

from ._residual import branched, normed

_BRANCHES = 4
_FACTOR = 1.5
_GROWTH = 10.0


class ResidualScaleMissing(Rule):
    """The branches of an un-normalised residual stream start at full strength, and each one enlarges it.

    ## What it does

    Follows residual streams that carry no norm, on the stream or on a branch, and measures what each branch adds. It
    speaks where four branches or more make the signal's variance grow by half or more each, and its standard
    deviation tenfold or more together. It is advice unless an output of the model has a std above 150.

    ## Why it matters

    A branch of unit gain adds a variance as large as the stream's own: after L of them it is 2^L times as large, and so
    is the gradient's on its way back ([Zhang et al. 2019](https://arxiv.org/abs/1901.09321), Fixup;
    [De and Smith 2020](https://arxiv.org/abs/2002.10444), SkipInit).

    ## Example

        def forward(self, x):
            for up, down in self.blocks:              # every layer by kaiming_normal_
                x = x + down(F.relu(up(x)))

    ## Use instead

        for up, down in self.blocks:
            nn.init.normal_(down.weight, std=math.sqrt(1 / (2 * len(self.blocks) * down.in_features)))

    A zero weight on the last layer of each branch, a scale that starts at 0, or a norm at the branch's beginning do as
    well.

    ## When it is right to do this

    In nets of a few blocks, and where the stream is divided again by a constant: what is measured then does not grow.

    ## Fix safety

    No fix: which of these ways is meant is the author's to say.
    """

    code, name, severity = "INI211", "residual-scale-missing", Severity.WARNING
    needs = (PARAMETERS, GRAPH, PROBE)
    bad = [
        Bad(
            branched(
                'nn.init.kaiming_normal_(up.weight, nonlinearity="relu")',
                "nn.init.xavier_normal_(down.weight)  #~",
            ),
            by=("live",),
            severity=Severity.ADVICE,
        ),
        Bad(
            branched(
                'nn.init.kaiming_normal_(up.weight, nonlinearity="relu")',
                'nn.init.kaiming_normal_(down.weight, nonlinearity="relu")  #~',
                blocks=16,
            ),
            by=("live",),
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.stem = nn.Conv2d(3, 16, 3, padding=1)
                    self.blocks = nn.ModuleList([nn.Conv2d(16, 16, 3, padding=1) for _ in range(10)])
                    for block in self.blocks:
                        nn.init.kaiming_normal_(block.weight, nonlinearity="relu")  #~

                def forward(self, x):
                    x = self.stem(x)
                    for block in self.blocks:
                        x = x + block(F.relu(x))
                    return x
            """,
            by=("live",),
            severity=Severity.ADVICE,
        ),
    ]
    good = [
        Good(
            branched(
                'nn.init.kaiming_normal_(up.weight, nonlinearity="relu")',
                "nn.init.normal_(down.weight, std=(2 * 8 * 64) ** -0.5)",
            ),
            by=("live",),
        ),
        Good(normed("x = x + block(norm(x))"), by=("live",)),
        Good(normed("x = norm(x + block(x))"), by=("live",)),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.blocks = nn.ModuleList([nn.Linear(64, 64) for _ in range(8)])
                    self.scales = nn.Parameter(torch.zeros(8))  # SkipInit
                    for block in self.blocks:
                        nn.init.xavier_normal_(block.weight)

                def forward(self, x):
                    for block, scale in zip(self.blocks, self.scales):
                        x = x + scale * torch.relu(block(x))
                    return x
            """,
            by=("live",),
        ),
        Good(  # Fixup
            branched(
                "nn.init.normal_(up.weight, std=(2 / 64) ** 0.5 * 8 ** -0.5)",
                "nn.init.zeros_(down.weight)",
            ),
            by=("live",),
        ),
    ]

    def check_model(self, model: Model) -> Iterator[Finding]:
        huge = outputs_huge(model)
        for stream in model.streams:
            factor = variance_factor(stream)
            count = len(stream.ends)
            growth = factor ** (count / 2)
            if count < _BRANCHES or factor < _FACTOR or growth < _GROWTH:
                continue
            weight = stream.ends[0].weight
            yield self.at(
                weight,
                f"{count} residual branches with no norm: each multiplies the stream's variance by {factor:.2g}, "
                f"together its std by {growth:.2g}"
                + (", and the model's output starts with a std above 150" if huge else ""),
                help=f"scale the last weight of each branch by 1/sqrt({2 * count}), start it at 0, or normalise the "
                "branch's input",
                evidence={"branches": count, "variance_factor": factor, "std_growth": growth},
                severity=None if huge else Severity.ADVICE,
                parameters=dict.fromkeys(layer.weight for layer in stream.ends),
            )
