"""INI705 dead-units."""

from collections.abc import Iterator

from initlint.facts import Layer
from initlint.findings import Finding, Severity
from initlint.rule import EFFECT, PROBE, Bad, Good, Rule
from initlint.theory.chains import culprit, gives_most

_SHARE, _SAMPLES = 0.75, 64


class DeadUnits(Rule):
    """Most units of a layer are zero for every sample.

    ## What it does

    Runs a batch forward and counts the units that are zero behind the activation for all of at least 64 values each
    (samples times positions). More than 75% of a layer is a warning.

    ## Why it matters

    A unit that is zero for every sample gets no gradient and cannot come back (Lu et al. 2019, arXiv 1903.06733). A
    large negative bias, or a mean pushed below zero by positive weights of the layer before, is the usual cause. For
    comparison, a sound He-ReLU MLP has 19% at layer 20 with 512 samples (measured).

    ## Example

        nn.init.constant_(self.fc.bias, -5.0)        # ReLU follows

    ## Use instead

        nn.init.zeros_(self.fc.bias)

    ## When it is right to do this

    A bottleneck of one unit is dead by chance in half of the draws. A sparse gate may be meant to open for few
    inputs. Behind a layer that starts at zero everything is zero until it has moved.

    ## Fix safety

    No fix: it measures an effect. Where another rule knows the cause, this is told as that finding's consequence.
    """

    code, name, severity = "INI705", "dead-units", Severity.WARNING
    needs = (PROBE,)
    finds = EFFECT
    bad = [
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.conv = nn.Conv2d(3, 32, 3, padding=1)  #~
                    self.out = nn.Conv2d(32, 4, 3, padding=1)
                    nn.init.constant_(self.conv.bias, -20.0)

                def forward(self, x):
                    return self.out(F.relu(self.conv(x)))
            """,
            by=("live",),
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.first = nn.Conv1d(4, 32, 3, padding=1)
                    self.second = nn.Conv1d(32, 32, 3, padding=1)
                    self.out = nn.Conv1d(32, 4, 3, padding=1)
                    self.second.weight.data.abs_().neg_()  #~

                def forward(self, x):
                    return self.out(F.relu(self.second(F.relu(self.first(x)))))

            def build():
                return Net(), torch.randn(16, 4, 32)
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
                    self.conv = nn.Conv2d(3, 32, 3, padding=1)
                    self.out = nn.Conv2d(32, 4, 3, padding=1)

                def forward(self, x):
                    return self.out(F.relu(self.conv(x)))
            """,
            by=("live",),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.conv = nn.Conv2d(3, 32, 3, padding=1)
                    self.zero = nn.Conv2d(32, 32, 1, bias=False)
                    self.side = nn.Conv2d(32, 32, 3, padding=1, bias=False)
                    nn.init.zeros_(self.zero.weight)

                def forward(self, x):
                    x = self.conv(x)
                    return x + F.gelu(self.side(self.zero(x)))
            """,
            by=("live",),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.conv = nn.Conv2d(3, 32, 3, padding=1)
                    self.gate = nn.Linear(32, 1)
                    self.out = nn.Linear(32, 4)
                    nn.init.constant_(self.gate.bias, -20.0)

                def forward(self, x):
                    x = self.conv(x).mean((2, 3))
                    return self.out(x) * (1 + F.relu(self.gate(x)))
            """,
            by=("live",),
        ),
    ]

    def check_layer(self, layer: Layer) -> Iterator[Finding]:
        probe = layer.probe
        if probe.dead_fraction <= _SHARE or probe.samples < _SAMPLES or layer.weight.shape[0] < 2:
            return
        if probe.total_std == 0 and not layer.weight.distribution.is_constant:
            return  # nothing but zeros comes in, which is not this layer's doing
        if not gives_most(layer):
            return
        activation = layer.activation.name if layer.activation is not None else "the activation"
        yield self.at(
            culprit(layer),
            f"{probe.dead_fraction:.0%} of the units of {layer.name} are zero behind {activation} for all "
            f"{probe.samples} values seen",
            help="look at the bias of this layer, and at the mean of the weights before it",
            evidence={"dead_fraction": probe.dead_fraction, "samples": probe.samples},
            layer=layer,
        )
