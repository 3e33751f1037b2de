"""What INI706 says of softmaxes, a router's and attention's, whose rows are one-hot before anything was learned."""

from collections.abc import Iterator

from initlint.facts import Layer, Model
from initlint.findings import Finding, Severity
from initlint.rule import Rule
from initlint.theory.chains import culprit
from initlint.theory.saturation import decided, has_learned

_SHARE = 0.5
"""The share of one layer's rows."""


class DecidedRule(Rule):
    """A rule on one layer that gives scores, and on all attention of a model."""

    def check_layer(self, layer: Layer) -> Iterator[Finding]:
        share = layer.probe.one_hot_fraction
        if share <= _SHARE or has_learned(layer):
            return
        yield self.at(
            culprit(layer),
            f"{share:.0%} of the rows of the softmax behind {layer.name} are one-hot",
            help="draw its weights smaller, or divide the scores: attention by the root of the width of a head",
            severity=Severity.ADVICE if layer.probe.one_hot_gates else None,
            evidence={"one_hot_fraction": share},
            layer=layer,
        )

    def check_model(self, model: Model) -> Iterator[Finding]:
        layers = decided(model)
        if not layers or any(layer.probe.one_hot_fraction > _SHARE for layer in layers):
            return
        shares = [layer.probe.one_hot_fraction for layer in layers]
        yield self.at(
            culprit(layers[0]),
            f"{sum(shares) / len(shares):.0%} of the rows of {len(layers)} layers of attention are one-hot, of "
            f"{layers[0].name} {shares[0]:.0%}",
            help="draw their weights smaller: nn.init.xavier_uniform_",
            evidence={"one_hot_fraction": sum(shares) / len(shares), "layers": len(layers)},
            layer=layers[0],
            suspects=layers,
        )
