"""INI703 vanishing-gradient."""

from initlint.findings import Severity
from initlint.rule import Bad, Good
from initlint.theory.chains import gradient_flow

from ._drift import SOUND, DriftRule, convolutional, plain


class VanishingGradient(DriftRule):
    """The gradient is lost on its way back to the first layers.

    ## What it does

    Runs a batch forward and backward and measures the standard deviation of the loss's gradient at every layer's
    output. Along a chain of layers with no norm between them it compares the first quarter with the last: below 1e-4
    is a warning, below 1e-6 an error, unless a layer of the chain is called on other inputs too: it learns from those,
    and may then pass on what was lost. Where the model returns what a layer inside a chain gives as well, and the loss
    is not known, what lies before and behind are chains of their own: a loss may reach it there.

    ## Why it matters

    The first layers get steps so small that they do not train, and in float16 their gradients are rounded to zero
    (Glorot and Bengio 2010). Adam rescales them, and then amplifies their rounding errors.

    ## Example

        for layer in self.layers:                     # 24 layers of width 64, ReLU
            nn.init.normal_(layer.weight, std=0.05)

    ## Use instead

        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    ## When it is right to do this

    Residual branches that start at zero give zero gradient to what lies inside them for one step; exact zeros are
    left out.

    ## Fix safety

    No fix: it measures an effect. Where another rule knows the cause, this is told as that finding's consequence.
    """

    code, name = "INI703", "vanishing-gradient"
    flow = gradient_flow
    limits = (1e-4, 1e-6)
    fewest = 4  # a layer that several losses or paths reach has no gradient of its own to compare
    effect = "gradient std falls"
    remedy = "raise the gain of the layers named, or normalise between them"
    bad = (
        plain(0.05),
        convolutional(0.04, Severity.WARNING),
        Bad(
            """
            class Players(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.maker = nn.Sequential(
                        nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 8)
                    )
                    self.judge = nn.Sequential(
                        nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)
                    )
                    for layer in (*self.maker, *self.judge):
                        if isinstance(layer, nn.Linear):
                            nn.init.normal_(layer.weight, std=0.004)  #~
                            nn.init.zeros_(layer.bias)

                def forward(self, latent, real):
                    return self.judge(self.maker(latent)), self.judge(real)

            def build():
                return Players(), (torch.randn(8, 8), torch.randn(8, 8))
            """,
            by=("live",),
            severity=Severity.WARNING,
        ),
    )
    good = (
        *SOUND,
        Good(
            """
            class Players(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.maker = nn.Sequential(
                        nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 8)
                    )
                    self.judge = nn.Sequential(
                        nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)
                    )
                    for layer in (*self.maker, *self.judge):
                        if isinstance(layer, nn.Linear):
                            nn.init.normal_(layer.weight, std=0.004)
                            nn.init.zeros_(layer.bias)

                def forward(self, latent, real):
                    made = torch.tanh(self.maker(latent))
                    return self.judge(made), self.judge(real), made  # whose moments are matched, say

            def build():
                return Players(), (torch.randn(8, 8), torch.randn(8, 8))
            """,
            by=("live",),
        ),
    )
