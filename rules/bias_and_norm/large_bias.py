"""INI303 large-bias."""

import math
from collections.abc import Iterator

from initlint.facts import KERNELS, Layer, Parameter, absent
from initlint.findings import Finding, Severity
from initlint.rule import GRAPH, PARAMETERS, PROBE, SOURCE, Bad, Good, Rule
from initlint.theory.chains import output_scale
from initlint.theory.nonlinearities import rests_at_zero

_FAMILIES = ("linear", *KERNELS)
_FAR = 8.0
"""How far above the signal a bias may be that goes into a residual stream: at ten times training is harmed."""
_SMALLEST = 0.3
"""Below this a bias is small beside a signal of unit scale; what falls short of it then is the signal."""


class LargeBias(Rule):
    """The biases of a hidden layer are larger than the signal they are added to.

    ## What it does

    Finds biases of hidden Linear and convolution layers, filled with a constant or drawn at random, whose root mean
    square exceeds the standard deviation of the layer's output: measured on the batch, or, reading source, what the
    weights give for inputs of unit scale. So it does those of a layer that starts a residual stream (linear maps and a
    sum take what it gives), from eight times that deviation on.

    ## Why it matters

    A bias above the signal decides alone on which side of a ReLU a unit is, for every sample: units are always on
    (then the layer is linear) or always off. Biases start at zero in the schemes that keep variance ([He et al.
    2015](https://arxiv.org/abs/1502.01852), section 2.2). A residual stream carries a bias of its first layer to its
    end: with ten times the signal three of eight networks with norms in their branches learned .44 to .83 of what they
    can, with twenty times five.

    ## Example

        nn.init.uniform_(self.fc.bias)       # U(0, 1)

    ## Use instead

        nn.init.zeros_(self.fc.bias)

    ## When it is right to do this

    The prior bias of a classification or detection head (RetinaNet's -4.6), forget gates and other gates: heads,
    layers behind which a norm, a product or a squashing to (0, 1) stands, and recurrent layers are left alone.
    AlexNet filled some hidden biases with 1 to have its ReLUs on at first; with today's schemes that is no longer
    needed.

    ## Fix safety

    No fix: zeros change what the model starts from.
    """

    code, name, severity = "INI303", "large-bias", Severity.WARNING
    needs = (SOURCE, PARAMETERS, GRAPH, PROBE)
    bad = [
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc1 = nn.Linear(64, 32)
                    self.fc2 = nn.Linear(32, 4)
                    nn.init.normal_(self.fc1.weight, std=0.02)
                    nn.init.uniform_(self.fc1.bias)  #~

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
                    self.fc1 = nn.Linear(16, 32)
                    self.fc2 = nn.Linear(32, 4)
                    for m in self.modules():
                        if isinstance(m, nn.Linear):
                            nn.init.xavier_uniform_(m.weight)
                            nn.init.constant_(m.bias, 3.0)  #~

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
                    self.first, self.head = nn.Linear(16, 32), nn.Linear(32, 4)
                    self.layers = nn.ModuleList([nn.Linear(32, 32) for _ in range(3)])
                    self.norms = nn.ModuleList([nn.BatchNorm1d(32) for _ in range(3)])
                    nn.init.constant_(self.first.bias, 8.0)  #~

                def forward(self, x):
                    x = self.first(x)
                    for layer, norm in zip(self.layers, self.norms):
                        x = x + F.relu(norm(layer(x)))
                    return self.head(x)
            """,
            by=("live",),
        ),
        Bad("""
            class Net(nn.Module):
                def __init__(self, width):
                    super().__init__()
                    self.fc1 = nn.Linear(width, width)
                    self.fc2 = nn.Linear(width, 4)
                    nn.init.kaiming_normal_(self.fc1.weight, nonlinearity="linear")
                    nn.init.constant_(self.fc1.bias, 2.0)  #~

                def forward(self, x):
                    return self.fc2(F.relu(self.fc1(x)))
        """),
    ]
    good = [
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc1 = nn.Linear(64, 32)
                    self.fc2 = nn.Linear(32, 32)
                    self.head = nn.Linear(32, 4)
                    nn.init.constant_(self.fc1.bias, 0.1)
                    nn.init.normal_(self.fc2.bias, std=1e-6)
                    nn.init.normal_(self.head.weight, std=0.01)
                    nn.init.constant_(self.head.bias, -4.6)

                def forward(self, x):
                    return self.head(F.relu(self.fc2(F.relu(self.fc1(x)))))
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Gated(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.cell = nn.LSTM(16, 16, batch_first=True)
                    self.gate = nn.Linear(16, 16)
                    self.scale = nn.Linear(16, 16)
                    self.head = nn.Linear(16, 4)
                    self.cell.bias_ih_l0.data[16:32].fill_(3.0)
                    nn.init.constant_(self.gate.bias, -3.0)
                    nn.init.normal_(self.scale.weight, std=1e-6)
                    nn.init.ones_(self.scale.bias)

                def forward(self, x):
                    x, _ = self.cell(x)
                    x = x * torch.sigmoid(self.gate(x))
                    return self.head(F.relu(x * self.scale(x)))

            def build():
                return Gated(), torch.randn(8, 5, 16)
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.conv = nn.Conv2d(3, 16, 3)
                    self.norm = nn.BatchNorm2d(16)
                    self.head = nn.Linear(16, 4)
                    nn.init.normal_(self.conv.weight, std=0.02)
                    nn.init.uniform_(self.conv.bias)

                def forward(self, x):
                    return self.head(F.relu(self.norm(self.conv(x))).mean((2, 3)))
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.first, self.layer, self.head = nn.Linear(16, 32), nn.Linear(32, 32), nn.Linear(32, 4)
                    nn.init.constant_(self.first.bias, 0.5)

                def forward(self, x):
                    x = self.first(x)
                    return self.head(x + F.relu(self.layer(x)))

            def build():
                return Net(), torch.ones(8, 16)  # of which no two samples differ: the signal is not known
            """,
            by=("live",),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.first, self.gate, self.head = nn.Linear(16, 32), nn.Linear(32, 32), nn.Linear(32, 4)
                    self.layers = nn.ModuleList([nn.Linear(32, 32) for _ in range(3)])
                    self.norms = nn.ModuleList([nn.LayerNorm(32) for _ in range(3)])
                    nn.init.constant_(self.first.bias, 8.0)  # which the norms take away

                def forward(self, x):
                    x = self.first(x)
                    for layer, norm in zip(self.layers, self.norms):
                        x = x + F.relu(layer(norm(x)))
                    return self.head(self.norms[0](x))
            """,
            by=("live",),
        ),
    ]

    def check_parameter(self, parameter: Parameter) -> Iterator[Finding]:
        if parameter.role != "bias" or parameter.layer.family not in _FAMILIES:
            return
        starts = self._starts_a_stream(parameter.layer)
        if parameter.last_write.author == "framework" or not (starts or self._stands_in_a_hidden_layer(parameter)):
            return
        law = parameter.distribution
        if not law.is_constant and not law.is_random:
            return
        magnitude = math.hypot(law.mean, law.std)
        signal, how = output_scale(parameter.layer)
        if starts and parameter.layer.model.probe.predicted:
            return  # a stem may take in what has a scale of its own: pixels up to 255, whose mean its bias takes away
        if magnitude > max(_FAR * signal if starts else signal, _SMALLEST):
            yield self.at(
                parameter,
                f"{parameter.name} has root mean square {magnitude:.2g}, and the signal it is added to has std "
                f"{signal:.2g} {how}",
                help="start biases at zero: nn.init.zeros_(m.bias)",
                evidence={"bias": magnitude, "signal_std": signal},
            )

    def _starts_a_stream(self, layer: Layer) -> bool:
        """Whether linear maps and a residual sum take what a layer gives, and nothing else does."""
        return not layer.is_head and {consumer.kind for consumer in layer.consumers} == {"layer", "sum"}

    def _stands_in_a_hidden_layer(self, parameter: Parameter) -> bool:
        layer = parameter.layer
        if layer.is_head or layer.normalized or absent(layer.activation) or layer.activation is None:
            return False
        return rests_at_zero(layer.activation.name) and not layer.joined  # what other layers add is signal too
