"""What INI203 says of torch's recurrent layers: weights by which a state alone decides what its gates do."""

from collections.abc import Iterator

from initlint.facts import Layer
from initlint.findings import Finding
from initlint.theory.recurrent import driven

from ._scaled_weights import ScaledWeightsRule


class DrivenRule(ScaledWeightsRule):
    """A rule on weights that are too large, for torch's layers with gates and for cells that are written out."""

    def check_layer(self, layer: Layer) -> Iterator[Finding]:
        if layer.family != "recurrent":
            yield from super().check_layer(layer)
            return
        for matrix, run in driven(layer):
            yield self.at(
                matrix,
                f"{matrix.name} carries the state from step to step with gain {matrix.gain_as_used:.2g}: by itself it "
                f"opens and shuts the gates, and up to {run.steps} steps follow",
                help="nn.init.orthogonal_ for each gate's rows keeps the state",
                evidence={"gain": matrix.gain_as_used, "steps": run.steps},
            )
