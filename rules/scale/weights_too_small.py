"""INI204 weights-too-small."""

from initlint.facts import Layer
from initlint.rule import Bad

from ._scaled_weights import ScaledWeightsRule, cell, convolutional, linear, sound

_FORGETFUL = 0.2
"""The share of the gain needed from which a recurrent weight keeps nothing of a step for the one after next."""


class WeightsTooSmall(ScaledWeightsRule):
    """Weights so small that the signal vanishes along the layers.

    ## What it does

    Looks at chains of layers with no norm between them. Where the standard deviation of the signal across the batch
    falls below 1e-2 of what it was in the first layers (1e-3 where there are fewer than ten, an error below 1e-6), it
    names the weights whose std x sqrt(fan-in) falls short of the gain that the following nonlinearity needs. Schemes
    made for another nonlinearity are INI201. A recurrent cell without gates, written out in a loop, is such a chain by
    itself: there the weight that carries the state is named if it has less than a fifth of the gain needed.

    ## Why it matters

    What differs between two samples is what a network learns from. Below 1e-6 it is lost in the rounding of float32
    beside the biases, and gradients vanish with it. `std=0.01` or `0.02` is right for a transformer, which normalises
    in every block, and wrong for a plain network (He et al. 2015, arXiv 1502.01852). A tanh cell over 24 steps learns
    less than half of what it can with a gain up to 0.3, and all of it with torch's 0.58 (benchmarks/mutants.py).

    ## Example

        nn.init.normal_(layer.weight, std=0.01)   # width 256, 12 layers, ReLU

    ## Use instead

        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")   # std sqrt(2 / 256) = 0.088

    ## When it is right to do this

    In the last layer of a residual branch, in heads, gates, and wherever a norm follows.

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
    )
    good = sound(0.01)

    def effect_of_loop(self, layer: Layer, excess: float) -> str | None:
        if excess >= _FORGETFUL:
            return None
        return f"what a step took in is lost some steps later, and up to {layer.returns} follow"
