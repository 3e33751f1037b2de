"""INI204 weights-too-small."""

from collections.abc import Iterator

from initlint.facts import Chain, Model
from initlint.findings import Finding
from initlint.rule import Bad, Good
from initlint.theory.excess import faint, straight

from ._forgetful import ForgetfulRule
from ._scaled_weights import branches, cell, convolutional, linear, siren, sound, stacked


class WeightsTooSmall(ForgetfulRule):
    """Weights so small that the signal vanishes along the layers.

    ## What it does

    Looks at chains of layers with no norm between them. Where the standard deviation of the signal across the batch
    falls below 1e-2 of what it was in the first layers (1e-3 where there are fewer than ten, an error below 1e-6), it
    names the weights whose std x sqrt(fan-in) falls short of the gain that the following nonlinearity needs. Schemes
    made for another nonlinearity are INI201. A recurrent cell without gates, written out in a loop, is such a chain by
    itself: there the weight that carries the state is named if it has less than a fifth of the gain needed, as in
    nn.RNN. Of a stack of torch's recurrent layers (two of nn.LSTM, three of nn.GRU) the weights that take the input are
    named if the signal falls below 1e-2 from the first layer's input to the last one's states, at least half of it by
    their gains, all under 2/3. Of a chain of sines they are named if no sine is given a std of 0.25 across the batch.
    Of a residual stream of four branches or more without norms those that give it its signal and those in its branches
    are named if all have less than a fifth of the gain needed.

    ## Why it matters

    What differs between two samples is what a network learns from. Below 1e-6 it is lost in the rounding of float32
    beside the biases, and gradients vanish with it. `std=0.01` or `0.02` is right for a transformer, which normalises
    in every block, and wrong for a plain network (He et al. 2015, arXiv 1502.01852). A tanh cell over 24 steps learns
    less than half of what it can with a gain up to 0.3, and all of it with torch's 0.58 (benchmarks/mutants.py). Gates
    halve a signal anyway: two layers of LSTM leave a 12th of it with Xavier's weights, and with a gain of 0.1 a 400th,
    from which they learn less than half of what they can (measured, a classifier of short texts). Sines that are
    straight lines learn half of a wave that they learn with a std of 1 (benchmarks/mutants.py). Branches whose first
    weights are at a hundredth of their scale make up for it if the stream has a std of 1, and not if that is a tenth:
    8 and 16 of them then learn .7 of what they can. With a nonlinearity before the stream 5 to 16 branches at a tenth
    and a hundredth of their scale learn .89 and more (measured).

    ## Example

        nn.init.normal_(layer.weight, std=0.01)   # width 256, 12 layers, ReLU

    ## Use instead

        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")   # std sqrt(2 / 256) = 0.088

    ## When it is right to do this

    In the last layer of a residual branch, in heads, gates, and wherever a norm follows. A layer that is called on
    other inputs too counts with the call that has the most signal.

    ## Fix safety

    No fix: the right scale follows from the layer, and the message names a call that has it.
    """

    code, name = "INI204", "weights-too-small"
    limits = (1e-2, 1e-6)
    excess = 1 / 1.5
    adverb = "too small"
    bad = (
        linear(0.01),
        convolutional(0.01),
        Bad(cell("nn.init.normal_(self.recur.weight, std=0.02)  #~"), by=("live",)),
        Bad(siren("nn.init.normal_(self.layers[0].weight, std=0.1)  #~"), by=("live",)),
        Bad(branches(0.01, 0.01, "  #~"), by=("live",)),
        Bad(stacked("RNN", 1, "weight_hh", "normal_(parameter, std=0.02)  #~"), by=("live",)),
        Bad(stacked("LSTM", 2, "weight", "normal_(parameter, std=0.02)  #~"), by=("live",)),
    )
    good = (
        *sound(0.01),
        Good(siren("nn.init.uniform_(self.layers[0].weight, -1.0, 1.0)"), by=("live",)),
        Good(branches(0.2, 0.01), by=("live",)),
        Good(branches(0.01, 0.2), by=("live",)),
        Good(branches(0.01, 0.01, head="self.norm"), by=("live",)),
        Good(branches(0.01, 0.01, act="F.relu"), by=("live",)),
        Good(stacked("RNN", 1, "weight_hh", "orthogonal_(parameter)"), by=("live",)),
        Good(stacked("LSTM", 1, "weight", "normal_(parameter, std=0.02)"), by=("live",)),
        Good(stacked("LSTM", 3, "weight", "uniform_(parameter, -32**-0.5, 32**-0.5)"), by=("live",)),
        Good(stacked("LSTM", 2, "weight", "normal_(parameter, std=0.02)", "self.norm"), by=("live",)),
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
                            nn.init.normal_(layer.weight, std=0.004)  # what is real reaches the judge all the same
                            nn.init.zeros_(layer.bias)

                def forward(self, latent, real):
                    return self.judge(self.maker(latent)), self.judge(real)

            def build():
                return Players(), (torch.randn(8, 8), torch.randn(8, 8))
            """,
            by=("live",),
        ),
    )

    def check_chain(self, chain: Chain) -> Iterator[Finding]:
        said = list(super().check_chain(chain))
        yield from said or self._straight(chain)

    def _straight(self, chain: Chain) -> Iterator[Finding]:
        sines, small = straight(chain, self.excess)
        if small:
            yield self.at(
                small[0],
                f"{small[0].name} has std {small[0].distribution.std:.3g}: none of the {len(sines)} sines of its chain "
                f"is given a std above {max(layer.probe.forward_std for layer in sines):.2g}, for which a sine is a "
                "straight line",
                help="draw it so that the first sine is given a std of 1 or more, for the frequencies asked of it",
                evidence={"std": small[0].distribution.std, "sines": len(sines)},
                parameters=small,
            )

    def check_model(self, model: Model) -> Iterator[Finding]:
        for stream in model.streams:
            weights = faint(stream)
            if not weights:
                continue
            branch, added = weights[1], stream.ends[0].probe.forward_std
            yield self.at(
                weights[0],
                f"{weights[0].name} has std {weights[0].distribution.std:.3g}, and the weights in the "
                f"{len(stream.ends)} branches that are added to its output are too small as well ({branch.name}: "
                f"{branch.distribution.std:.3g}): the first adds {added:.2g} to a signal std of "
                f"{weights[0].layer.probe.forward_std:.2g}",
                help="nn.init.xavier_uniform_ keeps the signal; only the last weight of a branch may start small",
                evidence={"std": weights[0].distribution.std, "branches": len(stream.ends), "added_std": added},
                parameters=weights,
            )
