"""INI203 weights-too-large."""

from initlint.findings import Severity
from initlint.rule import Bad, Good

from ._scaled_weights import ScaledWeightsRule


class WeightsTooLarge(ScaledWeightsRule):
    """Weights so large that the signal explodes along the layers.

    ## What it does

    Looks at chains of layers with no norm between them. Where the standard deviation of the signal grows by more than
    1e2 from the first layers to the last (an error above 1e3), it names the weights whose std x sqrt(fan-in) exceeds
    the gain that the following nonlinearity needs. Schemes made for another nonlinearity are INI201.

    ## Why it matters

    Growth is a power of the depth: a gain three times too large makes 1e3 of seven layers. At a standard deviation
    ratio of about 30 SGD loses accuracy, and from 1e2 on it diverges at depth 16 (measured, ReLU networks of width
    128).

    ## Example

        nn.init.normal_(layer.weight, std=0.5)   # width 256, 12 layers, ReLU

    ## Use instead

        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")   # std sqrt(2 / 256) = 0.088

    ## When it is right to do this

    Where the output is normalised right away, in embeddings, where the weight is scaled, normalised or demodulated
    between the parameter and the product, and in random Fourier features. The chain ends there, and the rule is
    silent.

    ## Fix safety

    No fix: the right scale follows from the layer, and the message names a call that has it.
    """

    code, name = "INI203", "weights-too-large"
    limits = (1e2, 1e3)
    excess = 1.5
    adverb = "too large"
    bad = [
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(256, 256) for _ in range(12)])
                    for layer in self.layers:
                        nn.init.normal_(layer.weight, std=0.5)  #~
                        nn.init.zeros_(layer.bias)

                def forward(self, x):
                    for layer in self.layers:
                        x = F.relu(layer(x))
                    return x
            """,
            by=("source", "live"),
            severity=Severity.ERROR,
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Sequential(
                        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(),
                        nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(),
                        nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(),
                        nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(),
                        nn.Conv2d(16, 16, 3, padding=1),
                    )
                    for m in self.modules():
                        if isinstance(m, nn.Conv2d):
                            m.weight.data.normal_(0, 0.5)  #~
                            m.bias.data.zero_()

                def forward(self, x):
                    return self.body(x)
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
                    self.layers = nn.ModuleList([nn.Linear(256, 256) for _ in range(12)])
                    for layer in self.layers:
                        nn.init.normal_(layer.weight, std=0.088)
                        nn.init.zeros_(layer.bias)

                def forward(self, x):
                    for layer in self.layers:
                        x = F.relu(layer(x))
                    return x
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.embedding = nn.Embedding(100, 256)
                    self.layers = nn.ModuleList([nn.Linear(256, 256) for _ in range(12)])
                    self.norms = nn.ModuleList([nn.LayerNorm(256) for _ in range(12)])
                    for layer in self.layers:
                        nn.init.normal_(layer.weight, std=0.5)

                def forward(self, x):
                    x = self.embedding(x)
                    for layer, norm in zip(self.layers, self.norms):
                        x = F.relu(norm(layer(x)))
                    return x
            """,
            by=("source", "live"),
        ),
    ]
