"""INI101 zero-weight."""

import itertools
from collections.abc import Iterator

from initlint.facts import Chain, Layer, Parameter, absent
from initlint.findings import Finding, Severity
from initlint.rule import PARAMETERS, PROBE, SOURCE, STUCK, Bad, Good, Rule
from initlint.theory.chains import is_only_path, keeps_zero, matrices
from initlint.theory.remedies import initializer_for


class ZeroWeight(Rule):
    """A weight is zero, and training cannot leave it (or leaves it late).

    ## What it does

    Live, it takes small training steps on fresh batches and random targets until no further parameter gets a
    gradient; a zero weight, or scale, that still has none is an error. Two zero weights in a row on the only path,
    which do escape, are a warning. Reading source, it speaks where the same follows without running: weight and bias
    zero right before a ReLU, or two layers in a row with zero weights and zero biases.

    ## Why it matters

    Behind a zero layer the signal is zero, and the gradient of a weight is the product of the signal that enters and
    the gradient that returns. Before a ReLU the derivative at 0 is 0 too. Measured on an MLP with 600 steps: one zero
    layer before ReLU ends at chance with SGD and with Adam; two zero weights with default biases at .13 with SGD.

    ## Example

        nn.init.zeros_(self.fc1.weight)
        nn.init.zeros_(self.fc1.bias)      # F.relu(self.fc1(x)) follows

    ## Use instead

        nn.init.kaiming_normal_(self.fc1.weight, nonlinearity="relu")

    ## When it is right to do this

    In the last layer of a residual branch, an output head, LoRA's B, a ControlNet zero convolution, a gate,
    adaLN-zero: one zero factor that the next step can leave. The escape test shows that it does, and the rule is
    silent.

    ## Fix safety

    No fix: which of the zeros was meant is not known.
    """

    code, name, severity = "INI101", "zero-weight", Severity.ERROR
    needs = (SOURCE, PARAMETERS, PROBE)
    finds = STUCK
    bad = [
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc1 = nn.Linear(16, 32)
                    self.fc2 = nn.Linear(32, 4)
                    nn.init.zeros_(self.fc1.weight)  #~
                    nn.init.zeros_(self.fc1.bias)

                def forward(self, x):
                    return self.fc2(F.relu(self.fc1(x)))
            """,
            by=("source", "live"),
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Sequential(
                        nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 4)
                    )
                    for m in self.body:
                        if isinstance(m, nn.Linear):
                            m.weight.data.zero_()  #~
                            m.bias.data.zero_()

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
                    self.body = nn.Sequential(
                        nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4)
                    )
                    for i in (2, 4):
                        nn.init.zeros_(self.body[i].weight)  #~

                def forward(self, x):
                    return self.body(x)
            """,
            by=("live",),
            severity=Severity.WARNING,
        ),
        Bad(
            """
            class Block(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.conv = nn.Conv2d(8, 8, 3, padding=1, bias=False)
                    self.scale = nn.Parameter(torch.zeros(1))  #~

                def forward(self, x):
                    return F.relu(self.conv(x)) * self.scale

            def build():
                return nn.Sequential(*[Block() for _ in range(4)]), torch.randn(8, 8, 6, 6)
            """,
            by=("live",),
        ),
    ]
    good = [
        Good(
            """
            class Block(nn.Module):
                def __init__(self, dim):
                    super().__init__()
                    self.up = nn.Linear(dim, dim)
                    self.down = nn.Linear(dim, dim)
                    nn.init.zeros_(self.down.weight)
                    nn.init.zeros_(self.down.bias)

                def forward(self, x):
                    return x + self.down(F.relu(self.up(x)))

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.blocks = nn.Sequential(Block(16), Block(16))
                    self.head = nn.Linear(16, 4)
                    nn.init.zeros_(self.head.weight)
                    nn.init.zeros_(self.head.bias)

                def forward(self, x):
                    return self.head(self.blocks(x))
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc1 = nn.Linear(16, 32)
                    self.fc2 = nn.Linear(32, 4)
                    nn.init.zeros_(self.fc1.weight)
                    nn.init.zeros_(self.fc1.bias)

                def forward(self, x):
                    return self.fc2(F.gelu(self.fc1(x)))
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class LoRA(nn.Module):
                def __init__(self, dim=16, rank=4):
                    super().__init__()
                    self.base = nn.Linear(dim, dim)
                    self.a = nn.Linear(dim, rank, bias=False)
                    self.b = nn.Linear(rank, dim, bias=False)
                    nn.init.zeros_(self.b.weight)

                def forward(self, x):
                    return self.base(x) + self.b(self.a(x))
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.stem = nn.Conv2d(3, 8, 3, padding=1)
                    self.zero = nn.Conv2d(8, 8, 1)
                    self.scales = nn.Parameter(torch.zeros(4))
                    self.branches = nn.ModuleList([nn.Conv2d(8, 8, 3, padding=1, bias=False) for _ in range(4)])
                    self.head = nn.Linear(8, 4)
                    nn.init.zeros_(self.zero.weight)
                    nn.init.zeros_(self.zero.bias)

                def forward(self, x):
                    x = self.stem(x)
                    x = F.relu(x + self.zero(x))
                    for scale, branch in zip(self.scales, self.branches):
                        x = x + F.relu(branch(x)) * scale
                    return self.head(x.mean((2, 3)))

            def build():
                return Net(), torch.randn(8, 3, 8, 8)
            """,
            by=("source", "live"),
        ),
    ]

    def check_parameter(self, parameter: Parameter) -> Iterator[Finding]:
        if not (parameter.is_weight or parameter.role == "scale"):
            return
        if not (parameter.distribution.is_zero and parameter.trainable):
            return
        if parameter.escape.stuck:
            if parameter.escape.held_by_copies:
                return  # INI106 names what holds it
            yield self.at(
                parameter,
                f"{parameter.name} is zero and stays so: no gradient reached it in {parameter.escape.steps} "
                "training steps",
                help="draw it from a random scheme, or keep only one zero factor on the path"
                if parameter.is_weight
                else "keep only one zero factor on the path, or add what is scaled to the input: x + scale * f(x)",
                evidence={"steps": parameter.escape.steps},
            )
        elif parameter.is_weight and parameter.layer.returns >= 2:
            yield self.at(
                parameter,
                f"{parameter.name} is zero, and nothing else carries the state on: what a step took in is lost to all "
                f"the steps behind it, of which there are up to {parameter.layer.returns}",
                help="nn.init.orthogonal_(weight) keeps the state; the identity does before ReLU",
                severity=Severity.WARNING,
                evidence={"steps": parameter.layer.returns},
            )

    def check_layer(self, layer: Layer) -> Iterator[Finding]:
        if not self._outputs_zero(layer) or absent(layer.activation) or layer.activation is None or layer.joined:
            return
        if layer.activation.name in ("relu", "relu6"):
            yield self.at(
                layer.weight,
                f"{layer.weight.name} and its bias are zero right before {layer.activation.name}, whose "
                "derivative at 0 is 0: the layer never gets a gradient",
                help=f"use {initializer_for(layer.activation)}",
            )

    def check_chain(self, chain: Chain) -> Iterator[Finding]:
        stages = matrices(chain)
        if sum(weight.distribution.is_zero for _, weight in stages) < 2 or not is_only_path(chain):
            return
        for (layer, weight), (after, following) in itertools.pairwise(stages):
            if weight.distribution.is_zero and following.distribution.is_zero:
                yield from self._pair(layer, weight, after, following)

    def _pair(self, layer: Layer, weight: Parameter, after: Layer, following: Parameter) -> Iterator[Finding]:
        if not (weight.trainable and following.trainable):
            return
        dead = self._outputs_zero(layer) and self._outputs_zero(after)
        if dead and layer.activation is not None and keeps_zero(layer.activation.name):
            message, severity = "both biases too: neither weight ever gets a gradient", None
        else:
            message, severity = "in a row: the first has no gradient until the second has moved", Severity.WARNING
        yield self.at(
            weight,
            f"{weight.name} and {following.name} are zero, {message}",
            help="leave at most one zero layer on a path, and draw the others from a random scheme",
            severity=severity,
            parameters=(weight, following),
        )

    def _outputs_zero(self, layer: Layer) -> bool:
        """Weight and bias are both zero."""
        return layer.weight.distribution.is_zero and (layer.bias is None or layer.bias.distribution.is_zero)
