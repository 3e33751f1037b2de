"""INI302 bias-left-default."""

from collections.abc import Iterator

from initlint.facts import KERNELS, Layer, absent
from initlint.findings import Finding, Severity
from initlint.rule import GRAPH, PARAMETERS, SOURCE, Bad, Good, Rule

_FAMILIES = ("linear", *KERNELS)


class BiasLeftDefault(Rule):
    """The weights are initialised on purpose, and the biases beside them keep torch's random default.

    ## What it does

    Finds Linear and convolution layers whose weight the project draws itself and whose bias nobody wrote after the
    layer's own constructor.

    ## Why it matters

    torch draws biases from U(-1/sqrt(fan_in), 1/sqrt(fan_in))
    ([torch.nn.Linear](https://docs.pytorch.org/docs/stable/generated/torch.nn.Linear.html)). The schemes that one
    would write for the weight assume biases of zero ([He et al. 2015](https://arxiv.org/abs/1502.01852), section
    2.2). Beside a weight of std 0.02 the default bias of a narrow layer is not small. A default bias alone is no bug,
    so this is advice.

    ## Example

        if isinstance(m, nn.Linear):
            nn.init.normal_(m.weight, std=0.02)

    ## Use instead

        if isinstance(m, nn.Linear):
            nn.init.normal_(m.weight, std=0.02)
            nn.init.zeros_(m.bias)

    ## When it is right to do this

    With bias=False, and before a norm that removes the bias. Random biases also place the kinks of a small ReLU
    network or the phases of a sine network where the data are.

    ## Fix safety

    No fix: zeros change what the model starts from.
    """

    code, name, severity = "INI302", "bias-left-default", Severity.ADVICE
    needs = (SOURCE, PARAMETERS, GRAPH)
    bad = [
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc1 = nn.Linear(16, 32)  #~
                    self.fc2 = nn.Linear(32, 4)  #~
                    for m in self.modules():
                        if isinstance(m, nn.Linear):
                            nn.init.xavier_uniform_(m.weight)

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
                    self.conv = nn.Conv2d(3, 16, 3)  #~
                    self.head = nn.Linear(16, 4)
                    nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")

                def forward(self, x):
                    return self.head(F.relu(self.conv(x)).mean((2, 3)))
            """,
            by=("source", "live"),
        ),
    ]
    good = [
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc1 = nn.Linear(16, 32, bias=False)
                    self.fc2 = nn.Linear(32, 4)
                    nn.init.xavier_uniform_(self.fc1.weight)
                    nn.init.xavier_uniform_(self.fc2.weight)
                    nn.init.zeros_(self.fc2.bias)

                def forward(self, x):
                    return self.fc2(torch.tanh(self.fc1(x)))
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
                    nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")

                def forward(self, x):
                    return self.head(F.relu(self.norm(self.conv(x))).mean((2, 3)))
            """,
            by=("source", "live"),
        ),
    ]

    def check_layer(self, layer: Layer) -> Iterator[Finding]:
        bias = layer.bias
        if layer.family not in _FAMILIES or absent(bias) or bias is None or layer.normalized:
            return
        weight = layer.weight
        if weight.last_write.is_deliberate and weight.distribution.is_random and bias.last_write.author == "framework":
            yield self.at(
                bias,
                f"{weight.name} is initialised on purpose, and {bias.name} keeps torch's random default",
                help="add nn.init.zeros_(m.bias)",
            )
