"""INI204 weights-too-small."""

from ._scaled_weights import ScaledWeightsRule, convolutional, linear, sound


class WeightsTooSmall(ScaledWeightsRule):
    """Weights so small that the signal vanishes along the layers.

    ## What it does

    Looks at chains of layers with no norm between them. Where the standard deviation of the signal across the batch
    falls below 1e-2 of what it was in the first layers (1e-3 where there are fewer than ten, an error below 1e-6), it
    names the weights whose std x sqrt(fan-in) falls short of the gain that the following nonlinearity needs. Schemes
    made for another nonlinearity are INI201.

    ## Why it matters

    What differs between two samples is what a network learns from. Below 1e-6 it is lost in the rounding of float32
    beside the biases, and gradients vanish with it. `std=0.01` or `0.02` is right for a transformer, which normalises
    in every block, and wrong for a plain network (He et al. 2015, arXiv 1502.01852).

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
    bad = (linear(0.01), convolutional(0.01))
    good = sound(0.01)
