"""INI702 exploding-signal."""

from initlint.facts import LayerProbe
from initlint.findings import Severity
from initlint.rule import Bad, Good
from initlint.theory.chains import growth_flow
from initlint.theory.precision import largest

from ._drift import SOUND, DriftRule, convolutional, highway, plain


class ExplodingSignal(DriftRule):
    """The signal grows from layer to layer.

    ## What it does

    Runs a batch forward and measures the standard deviation across the batch at every layer. Along a chain of layers
    with no norm between them it compares the last quarter with the first: above 1e2 is a warning, above 1e3 an error,
    and so is a standard deviation at the end beyond the range of the dtype asked for with `--dtype`.

    ## Why it matters

    The loss and its gradient grow with the signal. From a ratio of 1e2 on, SGD diverges at depth 16 at any rate that
    still learns (measured on ReLU networks; He et al. 2015, arXiv 1502.01852).

    ## Example

        for layer in self.layers:                     # 24 layers of width 64, ReLU
            nn.init.normal_(layer.weight, std=0.8)

    ## Use instead

        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    ## When it is right to do this

    Growth along an un-normalised residual stream is a matter of depth (INI211), and what a norm takes in may have any
    scale: the chain ends there. So it does before a layer whose output is nothing but the scores of a softmax within
    the model (of attention, of a router): that is judged by how many of its rows are one-hot (INI706).

    ## Fix safety

    No fix: it measures an effect. Where another rule knows the cause, this is told as that finding's consequence.
    """

    code, name = "INI702", "exploding-signal"
    flow = growth_flow
    limits = (1e2, 1e3)
    effect = "signal std across the batch grows"
    remedy = "lower the gain of the layers named, or normalise between them"
    bad = (
        plain(0.8),
        convolutional(0.6, Severity.ERROR),
        Bad(highway(0.8, "  #~"), by=("live",), severity=Severity.ERROR),
    )
    good = (
        *SOUND,
        Good(highway(0.18), by=("live",)),
        Good(
            """
            class Listens(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.value, self.out = nn.Linear(16, 32), nn.Linear(32, 4)
                    self.ask, self.tell = nn.Linear(32, 1), nn.Linear(32, 1)
                    nn.init.normal_(self.ask.weight, std=80.0)  # the same for all that a node may listen to

                def forward(self, nodes):
                    seen = self.value(nodes)
                    scores = F.leaky_relu(self.ask(seen) + self.tell(seen).transpose(1, 2), 0.2)
                    return self.out(torch.tanh(scores.softmax(-1) @ seen))

            def build():
                return Listens(), torch.randn(8, 6, 16)
            """,
            by=("live",),
        ),
    )

    def lost(self, end: LayerProbe, dtype: str) -> bool:
        return end.forward_std > largest(dtype)
