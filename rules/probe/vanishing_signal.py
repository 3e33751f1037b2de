"""INI701 vanishing-signal."""

from collections.abc import Iterator

from initlint.facts import Chain, LayerProbe, known
from initlint.findings import Finding, Severity
from initlint.rule import Bad, Good
from initlint.theory.chains import body_flow
from initlint.theory.drift import beyond, drift, least_ratio
from initlint.theory.precision import epsilon

from ._drift import SOUND, convolutional, plain
from ._drowned import DrownedRule, biased, columns


class VanishingSignal(DrownedRule):
    """What differs between samples is lost on the way through the layers.

    ## What it does

    Runs a batch forward and measures the standard deviation across the batch at every layer. Along a chain of layers
    with no norm between them it compares the last quarter with the first: below 1e-2 is a warning (below 1e-3 where
    there are fewer than ten layers), below 1e-6 an error. So it is where less is left at the end than 10 eps of the
    model's dtype (or the one asked for with `--dtype`) beside the total standard deviation: rounding drowns it.
    A layer that is called on other inputs too counts with the call that has the most signal. Whatever the ratio is, it
    is a warning too if less than 1e-5 of the std of the model's output (or of what is brought to unit length, to be
    compared) differs between samples, biases being the rest, less than 1e-2 of what the output layer is given, and a
    thousand times as much of what some layer gives: a norm whose input is far below its eps does not bring it back. Nor
    does any norm where positions, a class token or biases drown what it takes: where two layers attend, it is a warning
    if less than .25 of what each norm gives differs, and less than 3e-3 of what the model puts out. A norm over the
    batch takes off what is the same for all. Of towers of two hidden layers and more whose ends are compared, maps and
    activations and such norms, it is one from 1e-2 on.

    ## Why it matters

    A network learns from what differs between samples. The total variance hides the collapse, since biases keep it
    up: a default-initialised ReLU network of 20 layers keeps 5e-3 of its total variance, while the variance across
    the batch falls to 6e-16 (measured; theory in Schoenholz et al. 2017, arXiv 1611.01232). Of 20
    networks with torch's biases of whose output less than 1e-5 differed, 19 learned .4 to .9 of what they can, and ten
    with more than 1e-4 all (measured, 2 to 4 hidden layers). What is drowned norms let grow slowly: below these limits
    43 of 45 transformers made for the question learned 0 to .81 of what they can (two .92), and 31 pairs of towers 0 to
    .88 (docs/thresholds.md).

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
    bad = (
        plain(0.05),
        plain(0.106, Severity.WARNING),
        convolutional(0.04, Severity.ERROR),
        Bad(biased("(self.first, self.second, self.head)", "  #~"), by=("live",), severity=Severity.WARNING),
        Bad(
            """
            class Towers(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.left, self.right = (nn.ModuleList([nn.Linear(n, 32), nn.Linear(32, 32)]) for n in (24, 16))
                    self.ends = nn.ModuleList([nn.Linear(32, 8), nn.Linear(32, 8)])
                    for tower in (self.left, self.right, self.ends):
                        for layer in tower:
                            nn.init.normal_(layer.weight, std=0.001)  #~

                def forward(self, left, right):
                    given = []
                    for x, tower, end in zip((left, right), (self.left, self.right), self.ends):
                        for layer in tower:
                            x = torch.relu(layer(x))
                        given.append(F.normalize(end(x), dim=-1))
                    return given[0] @ given[1].t()

            def build():
                return Towers(), (torch.randn(8, 24), torch.randn(8, 16))
            """,
            by=("live",),
            severity=Severity.WARNING,
        ),
        Bad(
            """
            class Pooling(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.enter, self.norm = nn.Linear(8, 48), nn.LayerNorm(48)
                    self.query = nn.Parameter(torch.randn(1, 4, 48))
                    self.ask = nn.MultiheadAttention(48, 4, batch_first=True)
                    self.hidden, self.head = nn.Linear(48, 48), nn.Linear(192, 4)
                    for matrix in (self.ask.in_proj_weight, self.ask.out_proj.weight, self.hidden.weight):
                        nn.init.normal_(matrix, std=0.001)
                    nn.init.normal_(self.enter.weight, std=0.002)  #~
                    nn.init.normal_(self.head.weight, std=0.0005)

                def forward(self, points):
                    x = F.relu(self.enter(points))
                    asked, _ = self.ask(self.query.expand(len(x), -1, -1), x, x, need_weights=False)
                    return self.head(F.relu(self.hidden(self.norm(asked))).flatten(1))

            def build():
                return Pooling(), torch.randn(8, 12, 8)
            """,
            by=("live",),
            severity=Severity.WARNING,
        ),
        Bad(columns("0.05", "nn.init.normal_(layer.weight, std=0.02)", "  #~"), by=("live",)),
    )
    good = (
        *SOUND,
        Good(columns("0.05", "nn.init.xavier_uniform_(layer.weight)"), by=("live",)),
        Good(columns("1.0", "nn.init.normal_(layer.weight, std=0.02)"), by=("live",)),
        Good(biased("(self.first, self.second)"), by=("live",)),
        Good(biased("(self.head,)"), by=("live",)),
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
        fallen = known(before) and beyond(before, self.limit(len(chain.layers)))  # UNKNOWN of a chain of two
        said = list(super().check_chain(chain)) if fallen else []
        yield from said or self.drowned(chain)

    def lost(self, end: LayerProbe, dtype: str) -> bool:
        return end.forward_std < 10 * epsilon(dtype) * end.total_std

    def limit(self, layers: int) -> float:
        return least_ratio(layers)
