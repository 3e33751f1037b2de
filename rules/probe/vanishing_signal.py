"""INI701 vanishing-signal."""

from initlint.findings import Severity
from initlint.rule import Bad, Good
from initlint.theory.chains import signal_flow

from ._drift import DriftRule


class VanishingSignal(DriftRule):
    """What differs between samples is lost on the way through the layers.

    ## What it does

    Runs a batch forward and measures the standard deviation across the batch at every layer. Along a chain of layers
    with no norm between them it compares the last quarter with the first: below 1e-2 is a warning, below 1e-6 an
    error.

    ## Why it matters

    A network learns from what differs between samples. The total variance hides the collapse, since biases keep it
    up: a default-initialised ReLU network of 20 layers keeps 5e-3 of its total variance, while the variance across
    the batch falls to 6e-16 (measured; theory in Schoenholz et al. 2017, arXiv 1611.01232).

    ## Example

        for layer in self.layers:                     # 24 layers of width 64, ReLU
            nn.init.normal_(layer.weight, std=0.05)

    ## Use instead

        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    ## When it is right to do this

    Shared queries that do not depend on the input, global pooling, and residual branches that start at zero are no
    collapse: they are left out of the comparison.

    ## Fix safety

    No fix: it measures an effect. Where another rule knows the cause, this is told as that finding's consequence.
    """

    code, name = "INI701", "vanishing-signal"
    flow = signal_flow
    limits = (1e-2, 1e-6)
    effect = "signal std across the batch falls"
    remedy = "raise the gain of the layers named, or normalise between them"
    bad = [
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(64, 64) for _ in range(24)])
                    for layer in self.layers:
                        nn.init.normal_(layer.weight, std=0.05)  #~
                        nn.init.zeros_(layer.bias)

                def forward(self, x):
                    for layer in self.layers:
                        x = F.relu(layer(x))
                    return x
            """,
            by=("live",),
            severity=Severity.ERROR,
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Sequential(
                        *[nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.LeakyReLU(0.1)) for _ in range(12)]
                    )
                    for p in self.parameters():
                        p.data.normal_(0, 0.04)  #~

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
                    self.layers = nn.ModuleList([nn.Linear(64, 64) for _ in range(24)])
                    for layer in self.layers:
                        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

                def forward(self, x):
                    for layer in self.layers:
                        x = F.relu(layer(x))
                    return x
            """,
            by=("live",),
        ),
        Good(
            """
            class Block(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.norm = nn.LayerNorm(64)
                    self.up = nn.Linear(64, 128)
                    self.down = nn.Linear(128, 64)
                    nn.init.zeros_(self.down.weight)

                def forward(self, x):
                    return x + self.down(F.gelu(self.up(self.norm(x))))

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.blocks = nn.Sequential(*[Block() for _ in range(12)])
                    self.head = nn.Linear(64, 10)
                    nn.init.zeros_(self.head.weight)

                def forward(self, x):
                    return self.head(self.blocks(x))
            """,
            by=("live",),
        ),
    ]
