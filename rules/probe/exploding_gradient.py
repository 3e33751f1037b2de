"""INI704 exploding-gradient."""

from initlint.findings import Severity
from initlint.rule import Bad, Good
from initlint.theory.chains import gradient_flow

from ._drift import DriftRule


class ExplodingGradient(DriftRule):
    """The gradient grows on its way back to the first layers.

    ## What it does

    Runs a batch forward and backward and measures the standard deviation of the loss's gradient at every layer's
    output. Along a chain of layers with no norm between them it compares the first quarter with the last: above 1e4
    is a warning, above 1e6 an error.

    ## Why it matters

    One step then moves the first layers by more than they are: the loss jumps or becomes NaN, and clipping by the
    global norm freezes every other layer (Pascanu et al. 2013, arXiv 1211.5063).

    ## Example

        for layer in self.layers:                     # 24 layers of width 64, ReLU
            nn.init.normal_(layer.weight, std=0.8)

    ## Use instead

        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    ## When it is right to do this

    Where the layers named are normalised right behind, their scale has no effect on what follows, and the chain ends
    there.

    ## Fix safety

    No fix: it measures an effect. Where another rule knows the cause, this is told as that finding's consequence.
    """

    code, name = "INI704", "exploding-gradient"
    flow = gradient_flow
    limits = (1e4, 1e6)
    fewest = 4  # a layer that several losses or paths reach has no gradient of its own to compare
    effect = "gradient std grows"
    remedy = "lower the gain of the layers named, or normalise between them"
    bad = [
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(64, 64) for _ in range(24)])
                    for layer in self.layers:
                        nn.init.normal_(layer.weight, std=0.8)  #~
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
                        p.data.normal_(0, 0.6)  #~

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
