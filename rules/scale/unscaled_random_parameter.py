"""INI213 unscaled-random-parameter."""

import math
from collections.abc import Iterator

from initlint.facts import Parameter, known
from initlint.findings import Finding, Severity
from initlint.rule import GRAPH, PARAMETERS, SOURCE, Bad, Good, Rule
from initlint.theory.excess import outputs_modest

_UNIT = 0.9
"""A std from which a draw was left at its default of 1."""
_GROWTH = 3.9
"""How much a layer must multiply the signal by: fan-in 16 at std 1."""
_MILD = 10.0
"""How far the signal may move for nothing to come of it, as in INI202."""


class UnscaledRandomParameter(Rule):
    """A matrix drawn from N(0, 1): every output is a sum of fan-in terms of unit scale.

    ## What it does

    Finds parameters made with `torch.randn` (or drawn by `normal_` with its default std of 1) that a forward multiplies
    its signal by, with a fan-in of 16 or more. A size that was not read is taken to be 16. It is advice where the model
    was run, the fan-in is below 100, and no output has a std above 10: one such matrix among sound ones, on whose
    outputs a norm or a small matrix follows in the end, trains as a sound one does (benchmarks/mutants.py).

    ## Why it matters

    The signal grows by sqrt(fan-in): 28-fold at 784 inputs. A softmax or tanh behind it saturates, and a squared loss
    starts a thousandfold too high ([LeCun et al. 1998](http://yann.lecun.com/exdb/publis/pdf/lecun-98b.pdf), section
    4.6: std 1 / sqrt(fan-in)).

    ## Example

        self.weight = nn.Parameter(torch.randn(784, 10))      # x @ self.weight

    ## Use instead

        self.weight = nn.Parameter(torch.randn(784, 10) / math.sqrt(784))

    ## When it is right to do this

    For what is added, looked up or compared instead of summed over: position, class and query embeddings, prompts,
    codebooks, buffers; for random Fourier features; where the matrix is scaled, normalised or demodulated before the
    product, or a norm takes the product, by itself or multiplied by something else.

    ## Fix safety

    No fix yet: the message names the factor.
    """

    code, name, severity = "INI213", "unscaled-random-parameter", Severity.WARNING
    needs = (SOURCE, PARAMETERS, GRAPH)
    bad = [
        Bad(
            """
            class Classifier(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.weight = nn.Parameter(torch.randn(784, 10))  #~
                    self.bias = nn.Parameter(torch.zeros(10))

                def forward(self, x: torch.Tensor):
                    return x @ self.weight + self.bias

            def build():
                return Classifier(), torch.randn(8, 784)
            """,
            by=("source", "live"),
        ),
        Bad("""
            class Attention(nn.Module):
                def __init__(self, width, heads):
                    super().__init__()
                    self.score = nn.Parameter(torch.randn(width, heads))  #~
                    self.value = nn.Parameter(torch.empty(width, width))
                    nn.init.normal_(self.value)  #~

                def forward(self, x):
                    scores = torch.einsum("bsd,dh->bsh", x, self.score).softmax(1)
                    return scores.transpose(1, 2) @ F.relu(torch.matmul(x, self.value))
        """),
        Bad(
            """
            class Block(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.first, self.norm, self.head = nn.Linear(16, 64), nn.LayerNorm(64), nn.Linear(64, 4)
                    self.up, self.down = nn.Linear(64, 64), nn.Parameter(torch.randn(64, 64))  #~

                def forward(self, x):
                    x = self.first(x)
                    return self.head(x + F.relu(self.up(self.norm(x))) @ self.down)

            def build():
                return Block(), torch.randn(8, 16)
            """,
            by=("live",),
            severity=Severity.ADVICE,
        ),
    ]
    good = [
        Good(
            """
            class Scaled(nn.Module):
                def __init__(self, width=64):
                    super().__init__()
                    self.first = nn.Parameter(width ** -0.5 * torch.randn(width, width))
                    self.second = nn.Parameter(torch.randn(width, width) / math.sqrt(width))
                    self.third = nn.Parameter(torch.randn(width, width))
                    self.fourth = nn.Parameter(torch.randn(width, width))
                    self.scale = 1 / math.sqrt(width)

                def forward(self, x: torch.Tensor):
                    x = torch.tanh(x @ self.first @ self.second)
                    x = torch.tanh(x @ (self.third * self.scale))
                    return x @ F.normalize(self.fourth, dim=0)

            def build():
                return Scaled(), torch.randn(8, 64)
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Tokens(nn.Module):
                def __init__(self, width=64):
                    super().__init__()
                    self.position = nn.Parameter(torch.randn(1, 16, width))
                    self.token = nn.Parameter(torch.randn(1, 1, width))
                    self.queries = nn.Parameter(torch.randn(16, width))
                    self.register_buffer("codebook", torch.randn(width, 32))
                    self.table = nn.Parameter(torch.randn(16, width))
                    self.attention = nn.MultiheadAttention(width, 4, batch_first=True)

                def forward(self, x: torch.Tensor):
                    x = torch.cat([self.token.expand(len(x), -1, -1), x + self.position], dim=1)
                    queries = self.queries.expand(len(x), -1, -1)
                    x, _ = self.attention(queries, x, x)
                    return (x + self.table[torch.arange(16)]) @ self.codebook

            def build():
                return Tokens(), torch.randn(8, 16, 64)
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Pooling(nn.Module):
                def __init__(self, width=64):
                    super().__init__()
                    self.queries = nn.Parameter(torch.randn(16, width))
                    self.relative = nn.Parameter(torch.randn(32, width))

                def forward(self, x: torch.Tensor):
                    own = (torch.matmul(x, x.transpose(-1, -2)) + torch.matmul(x, self.relative.t())) * 0.125
                    x = own.softmax(dim=-1) @ x
                    return (torch.matmul(self.queries, x.transpose(-1, -2)) * 0.125).softmax(dim=-1) @ x

            def build():
                return Pooling(), torch.randn(8, 32, 64)
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Features(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.frequencies = nn.Parameter(torch.randn(16, 64))

                def forward(self, x: torch.Tensor):
                    return torch.sin(x @ self.frequencies)

            def build():
                return Features(), torch.randn(8, 16)
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Normalised(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.weight = nn.Parameter(torch.randn(64, 64))
                    self.norm = nn.LayerNorm(64)

                def forward(self, x: torch.Tensor):
                    return self.norm(x @ self.weight)

            def build():
                return Normalised(), torch.randn(8, 64)
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Interactions(nn.Module):
                def __init__(self, features=16, rank=8):
                    super().__init__()
                    self.projection = nn.Parameter(torch.randn(features, rank))
                    self.norm = nn.LayerNorm(features * rank)
                    self.fc = nn.Linear(features * rank, 4)

                def forward(self, x: torch.Tensor):
                    return self.fc(self.norm(self.interactions(x)))

                def interactions(self, x):
                    return torch.bmm(x, x.transpose(1, 2) @ self.projection).flatten(start_dim=1)

            def build():
                return Interactions(), torch.randn(8, 16, 8)
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Small(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.weight = nn.Parameter(torch.randn(4, 64))
                    self.kernel = nn.Parameter(torch.randn(64, 64), requires_grad=False)

                def forward(self, x: torch.Tensor):
                    return x @ self.weight @ self.kernel

            def build():
                return Small(), torch.randn(8, 4)
            """,
            by=("source", "live"),
        ),
    ]

    def check_parameter(self, parameter: Parameter) -> Iterator[Finding]:
        if not parameter.is_weight or not parameter.trainable or parameter.layer.kind != "Module":
            return
        law = parameter.distribution
        if law.family != "normal" or law.std < _UNIT or not parameter.last_write.is_deliberate:
            return
        growth = law.std * math.sqrt(parameter.least_fan_in)
        if growth < _GROWTH or parameter.layer.normalized or parameter.layer.product_normalized:
            return
        for consumer in parameter.layer.consumers:
            if consumer.kind == "scale" or consumer.name in ("sin", "cos"):
                return  # scaled after the product; random Fourier features
        exact = known(parameter.fan_in)
        yield self.at(
            parameter,
            f"{parameter.name} is drawn with std {law.std:.2g} and summed over {parameter.fan_in} inputs: it "
            f"multiplies the signal by {growth:.2g}"
            if exact
            else f"{parameter.name} is drawn with std {law.std:.2g} however many inputs it sums over: "
            f"{parameter.least_fan_in} of them multiply the signal by {growth:.2g}",
            help="divide the draw by math.sqrt(fan_in), or use nn.init.xavier_uniform_",
            severity=Severity.ADVICE if growth < _MILD and outputs_modest(parameter.layer.model) else None,
            evidence={"std": law.std, "growth": growth} if exact else {"std": law.std},
        )
