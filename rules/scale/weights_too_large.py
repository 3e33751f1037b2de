"""INI203 weights-too-large."""

from ._scaled_weights import ScaledWeightsRule, convolutional, linear, sound


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
    bad = (linear(0.5), convolutional(0.5))
    good = sound(0.5)
