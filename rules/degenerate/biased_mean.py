"""INI109 biased-mean."""

import math
from collections.abc import Iterator

from initlint.facts import MAPS, Distribution, Initializer, Parameter, layer_family
from initlint.findings import Finding, Severity
from initlint.rule import PARAMETERS, SOURCE, Bad, Good, Rule

_SHARE, _STANDARD_ERRORS = 0.3, 6.0


class BiasedMean(Rule):
    """The weights of a linear map are drawn around a mean that is not zero.

    ## What it does

    Finds random matrices and kernels whose mean is off zero by more than 0.3 of their standard deviation and by more
    than 6 standard errors, such as `normal_(m.weight, 1.0, 0.02)`: the mean that is right for a norm's scale. Draws
    from zero upwards are INI108.

    ## Why it matters

    Every unit adds up its inputs and hardly anything else: at N(1, 0.02) the part that all units share is 50 times as
    large as what tells them apart, so the layer has one direction, and a following tanh or sigmoid saturates ([LeCun
    et al. 1998](http://yann.lecun.com/exdb/publis/pdf/lecun-98b.pdf), section 4.6: draw from a law of mean zero).
    DCGAN's N(1, 0.02) belongs to BatchNorm.

    ## Example

        nn.init.normal_(self.fc.weight, 1.0, 0.02)

    ## Use instead

        nn.init.normal_(self.fc.weight, 0.0, 0.02)

    ## When it is right to do this

    For scales of norms; for the last layer of a geometric initialisation, whose mean and std are set so that the
    network starts as a sphere (SAL, [arXiv 1911.10414](https://arxiv.org/abs/1911.10414); IDR); for one weighted sum;
    for values that are the same for any seed, such as identity and averaging kernels.

    ## Fix safety

    No fix: which argument was wrong is not known.
    """

    code, name, severity = "INI109", "biased-mean", Severity.WARNING
    needs = (SOURCE, PARAMETERS)
    bad = [
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc1 = nn.Linear(16, 32)
                    self.fc2 = nn.Linear(32, 4)
                    nn.init.normal_(self.fc1.weight, 1.0, 0.02)  #~

                def forward(self, x):
                    return self.fc2(torch.tanh(self.fc1(x)))
            """,
            by=("source", "live"),
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU())
                    self.head = nn.Linear(16, 4)
                    self.apply(self._init_weights)

                def _init_weights(self, m):
                    if isinstance(m, (nn.Conv2d, nn.BatchNorm2d)):
                        nn.init.normal_(m.weight, 1.0, 0.02)  #~

                def forward(self, x):
                    return self.head(self.body(x).mean((2, 3)))
            """,
            by=("source", "live"),
        ),
        Bad("""
            def weights_init(m):
                if isinstance(m, nn.Linear):
                    m.weight.data.uniform_(-0.01, 0.1)  #~
            """),
    ]
    good = [
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU())
                    self.head = nn.Linear(16, 4)
                    self.apply(self._init_weights)

                def _init_weights(self, m):
                    if isinstance(m, nn.Conv2d):
                        nn.init.normal_(m.weight, 0.0, 0.02)
                    elif isinstance(m, nn.BatchNorm2d):
                        nn.init.normal_(m.weight, 1.0, 0.02)

                def forward(self, x):
                    return self.head(self.body(x).mean((2, 3)))
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Distance(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.first = nn.Linear(3, 64)
                    self.last = nn.Linear(64, 9)
                    nn.init.normal_(self.first.weight, 0.0, math.sqrt(2) / 8)
                    nn.init.normal_(self.last.weight, math.sqrt(math.pi) / 8, 1e-4)
                    nn.init.constant_(self.last.bias, -1.0)

                def forward(self, x):
                    return self.last(F.softplus(self.first(x), beta=100))
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.mix = nn.Linear(16, 16, bias=False)
                    self.pool = nn.Linear(16, 1)
                    self.head = nn.Linear(16, 4)
                    nn.init.eye_(self.mix.weight)
                    nn.init.normal_(self.pool.weight, 1 / 16, 0.01)

                def forward(self, x):
                    return self.head(self.mix(x)) * torch.sigmoid(self.pool(x))
            """,
            by=("source", "live"),
        ),
    ]

    def check_initializer(self, initializer: Initializer) -> Iterator[Finding]:
        for branch in initializer.branches:
            for call in branch.calls:
                maps = [kind for kind in call.target.kinds if layer_family(kind) in MAPS]
                if maps and call.target.attribute == "weight" and self._is_off(call.distribution):
                    yield self.at(
                        call,
                        f"{call.written} draws the weight of {', '.join(maps)} around {call.distribution.mean:.3g} "
                        f"with std {call.distribution.std:.3g}",
                        help="draw it around zero; a mean of 1 is for the scale of a norm",
                        evidence={"mean": call.distribution.mean, "std": call.distribution.std},
                    )

    def check_parameter(self, parameter: Parameter) -> Iterator[Finding]:
        if not parameter.is_weight or not parameter.trainable or min(parameter.shape[:2]) < 2:
            return
        law = parameter.distribution
        if not self._is_off(law) or parameter.layer.is_head:
            return
        if abs(law.mean) * math.sqrt(math.prod(parameter.shape)) > _STANDARD_ERRORS * law.std:
            yield self.at(
                parameter,
                f"{parameter.name} has mean {law.mean:.3g} at std {law.std:.3g}: its units add up their inputs and "
                "compute nearly the same",
                help="draw it around zero; a mean of 1 is for the scale of a norm",
                evidence={"mean": law.mean, "std": law.std},
            )

    def _is_off(self, law: Distribution) -> bool:
        return law.is_random and law.low < 0 and abs(law.mean) > _SHARE * law.std
