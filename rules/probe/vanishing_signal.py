"""INI701 vanishing-signal."""

from collections.abc import Iterator

from initlint.facts import Chain, LayerProbe
from initlint.findings import Finding, Severity
from initlint.rule import Good
from initlint.theory.chains import body_flow
from initlint.theory.drift import beyond, drift, least_ratio
from initlint.theory.precision import epsilon

from ._drift import SOUND, DriftRule, convolutional, plain


class VanishingSignal(DriftRule):
    """What differs between samples is lost on the way through the layers.

    ## What it does

    Runs a batch forward and measures the standard deviation across the batch at every layer. Along a chain of layers
    with no norm between them it compares the last quarter with the first: below 1e-2 is a warning (below 1e-3 where
    there are fewer than ten layers), below 1e-6 an error. So it is where less is left at the end than 10 eps of the
    model's dtype (or the one asked for with `--dtype`) beside the total standard deviation: rounding drowns it.
    A layer that is called on other inputs too counts with the call that has the most signal.

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

    Shared queries that do not depend on the input, global pooling, residual branches that start at zero, and an
    output layer drawn small (a policy's, with gain 0.01) are no collapse: they are left out of the comparison. So is
    the last layer of a chain if the signal falls there alone (the log-variance of a variational autoencoder, a gate).

    ## Fix safety

    No fix: it measures an effect. Where another rule knows the cause, this is told as that finding's consequence.
    """

    code, name = "INI701", "vanishing-signal"
    flow = body_flow
    limits = (1e-2, 1e-6)
    effect = "signal std across the batch falls"
    remedy = "raise the gain of the layers named, or normalise between them"
    bad = (plain(0.05), plain(0.106, Severity.WARNING), convolutional(0.04, Severity.ERROR))
    good = (
        *SOUND,
        Good(
            """
            class Policy(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Sequential(nn.Linear(16, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh())
                    self.actions = nn.Linear(64, 4)
                    for layer in (self.body[0], self.body[2]):
                        nn.init.orthogonal_(layer.weight, nn.init.calculate_gain("tanh"))
                    nn.init.orthogonal_(self.actions.weight, gain=0.001)

                def forward(self, x):
                    return self.actions(self.body(x))
            """,
            by=("live",),
        ),
        Good(
            """
            class Encoder(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
                    self.mean, self.log_variance = nn.Linear(64, 8), nn.Linear(64, 8)
                    self.decoder = nn.Linear(8, 16)
                    nn.init.normal_(self.log_variance.weight, std=1e-4)

                def forward(self, x):
                    x = self.body(x)
                    mean, log_variance = self.mean(x), self.log_variance(x)
                    return self.decoder(mean + torch.exp(log_variance / 2) * torch.randn_like(mean)), mean, log_variance
            """,
            by=("live",),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(64, 64) for _ in range(6)])
                    self.head = nn.Linear(64, 4)
                    for layer in self.layers:
                        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                    nn.init.normal_(self.layers[3].weight, std=0.001)

                def forward(self, x):
                    for layer in self.layers:
                        x = F.relu(layer(x))
                    return self.head(x)
            """,
            by=("live",),
        ),
    )

    def check_chain(self, chain: Chain) -> Iterator[Finding]:
        before = drift([layer.probe.forward_std for layer in chain.layers[:-1]])
        if beyond(before, self.limit(len(chain.layers))):
            yield from super().check_chain(chain)

    def lost(self, end: LayerProbe, dtype: str) -> bool:
        return end.forward_std < 10 * epsilon(dtype) * end.total_std

    def limit(self, layers: int) -> float:
        return least_ratio(layers)
