"""INI108 positive-only-weights."""

from collections.abc import Iterator

from initlint.facts import KERNELS, Parameter
from initlint.findings import Finding, Severity
from initlint.rule import PARAMETERS, SOURCE, Bad, Good, Rule

_FROM_ZERO = 0.01
"""A smallest value under this share of the largest: drawn from zero upwards, as far as a draw can tell."""


class PositiveOnlyWeights(Rule):
    """The weights of a linear map are drawn from zero upwards, so none of them is negative.

    ## What it does

    Finds matrices and kernels drawn with `torch.rand(n, m)` or `uniform_(0, b)`. What lies away from zero on one side
    (`uniform_(w, 0.1)`) is INI502.

    ## Why it matters

    The mean of U(0, b) is 1.7 of its standard deviations, so all units compute nearly the same sum: two rows have a
    cosine of 0.75 from the start, and behind a ReLU, where inputs are positive too, the sum grows with fan-in instead
    of with its root ([LeCun et al. 1998](http://yann.lecun.com/exdb/publis/pdf/lecun-98b.pdf), section 4.6, asks for
    weights of mean zero). `torch.rand` is often meant to be `torch.randn`.

    ## Example

        self.weight = nn.Parameter(torch.rand(n, m))

    ## Use instead

        self.weight = nn.Parameter(torch.empty(n, m))
        nn.init.xavier_uniform_(self.weight)

    ## When it is right to do this

    For scales, temperatures, position tables and phases; for mixing coefficients that a softmax or sigmoid maps
    before they are used; for factors that stay non-negative (non-negative matrix factorisation), and for one weighted
    sum.

    ## Fix safety

    No fix: the bound that was meant is not known.
    """

    code, name, severity = "INI108", "positive-only-weights", Severity.WARNING
    needs = (SOURCE, PARAMETERS)
    bad = [
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.weight = nn.Parameter(torch.rand(16, 32))  #~
                    self.head = nn.Linear(32, 4)

                def forward(self, x: torch.Tensor):
                    return self.head(torch.tanh(x @ self.weight))

            def build():
                return Net(), torch.randn(8, 16)
            """,
            by=("source", "live"),
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.conv = nn.Conv2d(3, 16, 3)
                    self.head = nn.Linear(16, 4)
                    nn.init.uniform_(self.conv.weight, 0, 0.05)  #~

                def forward(self, x):
                    return self.head(F.relu(self.conv(x)).mean((2, 3)))
            """,
            by=("source", "live"),
        ),
        Bad("""
            class MultiInterest(nn.Module):
                def __init__(self, width, interests, hidden=None):
                    super().__init__()
                    self.hidden = width * 4 if hidden is None else hidden
                    self.w1 = nn.Parameter(torch.rand(width, self.hidden), requires_grad=True)  #~
                    self.w2 = nn.Parameter(torch.rand(self.hidden, interests), requires_grad=True)  #~

                def forward(self, x, mask=None):
                    hidden = torch.einsum("bse, ed -> bsd", x, self.w1).tanh()
                    scores = F.softmax(torch.einsum("bsd, dk -> bsk", hidden, self.w2), dim=1)
                    return torch.matmul(scores.permute(0, 2, 1), x)
        """),
    ]
    good = [
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.scale = nn.Parameter(torch.rand(16))
                    self.temperature = nn.Parameter(torch.rand(1))
                    self.position = nn.Parameter(torch.rand(1, 16))
                    self.register_buffer("mix", torch.rand(16, 16))
                    self.fc = nn.Linear(16, 16)
                    nn.init.uniform_(self.fc.weight, -0.1, 0.1)

                def forward(self, x):
                    return self.fc((x + self.position) * self.scale) / self.temperature + x @ self.mix
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Mixture(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.mixing = nn.Parameter(torch.rand(16, 16))
                    self.gates = nn.Parameter(torch.rand(16, 16))
                    self.head = nn.Linear(16, 4)

                def forward(self, x):
                    x = F.softmax(self.mixing, dim=-1) @ x.t()
                    return self.head(x.t() @ torch.sigmoid(self.gates))

            def build():
                return Mixture(), torch.randn(8, 16)
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Factors(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.components = nn.Parameter(torch.rand(16, 8))
                    self.others = nn.Parameter(torch.rand(8, 8))
                    self.last = nn.Parameter(torch.rand(8, 16))

                def forward(self, x):
                    x = x.abs() @ F.relu(self.components)
                    x = x @ self.others.clamp(min=0)
                    return x @ self.last.abs()

            def build():
                return Factors(), torch.randn(8, 16)
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class NonNegative(nn.Linear):
                def reset_parameters(self):
                    nn.init.uniform_(self.weight, 0, 0.1)
                    nn.init.zeros_(self.bias)

                def forward(self, x):
                    return F.linear(x, self.weight.clamp(min=0), self.bias)

            class Convex(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.first = nn.Linear(16, 32)
                    self.second = NonNegative(32, 32)
                    self.last = NonNegative(32, 4)

                def forward(self, x):
                    return self.last(F.softplus(self.second(F.softplus(self.first(x)))))
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Linear(16, 8)
                    self.score = nn.Linear(8, 1)
                    self.filter = nn.Conv1d(1, 1, 3, padding=1)
                    self.factors = nn.Embedding(20, 8)
                    nn.init.uniform_(self.score.weight, 0, 0.1)
                    nn.init.uniform_(self.filter.weight, 0, 0.1)
                    nn.init.uniform_(self.factors.weight)

                def forward(self, x):
                    x = self.filter(x.unsqueeze(1)).squeeze(1)
                    return self.score(torch.tanh(self.body(x)) * self.factors.weight.mean(0))
            """,
            by=("source", "live"),
        ),
    ]

    def check_parameter(self, parameter: Parameter) -> Iterator[Finding]:
        if not parameter.is_weight or not parameter.trainable or parameter.is_buffer:
            return
        law = parameter.distribution
        if not law.is_random or not 0 <= law.low < _FROM_ZERO * law.high:
            return
        if parameter.least_fan_in < 2 or parameter.least_fan_out < 2:
            return
        layer = parameter.layer
        if layer.family in KERNELS and parameter.shape[layer.family == "transposed"] < 2:
            return  # one filter, which is one weighted sum
        if layer.class_name != layer.kind and layer.kind != "Module":  # noqa: PLR1714  (an unknown class is silent)
            return  # a layer that somebody derived may map its weight before it uses it
        yield self.at(
            parameter,
            f"{parameter.name} is drawn from [{law.low:.1g}, {law.high:.3g}]: no weight is negative, and its units "
            "start out nearly parallel",
            help="draw it around zero: nn.init.xavier_uniform_, or torch.randn where torch.rand was a slip",
            evidence={"low": law.low, "high": law.high},
        )
