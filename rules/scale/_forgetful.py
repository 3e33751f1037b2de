"""What INI204 says of layers that are run over steps: weights by which a state, or a stack of them, keeps nothing."""

from collections.abc import Iterator

from initlint.facts import Layer
from initlint.findings import Finding
from initlint.theory.recurrent import FORGETFUL, falling, forgetful

from ._scaled_weights import ScaledWeightsRule


class ForgetfulRule(ScaledWeightsRule):
    """A rule on weights that are too small, for torch's recurrent layers and for cells that are written out."""

    def check_layer(self, layer: Layer) -> Iterator[Finding]:
        if layer.family == "recurrent":
            yield from self._recurrent(layer)
        else:
            yield from super().check_layer(layer)

    def _recurrent(self, layer: Layer) -> Iterator[Finding]:
        """Layers that torch runs over the steps by itself."""
        for matrix, run in forgetful(layer):
            yield self.at(
                matrix,
                f"{matrix.name} carries the state from step to step with gain {matrix.gain_as_used:.2g}: what a step "
                f"took in is lost some steps later, and up to {run.steps} follow",
                help="nn.init.orthogonal_(weight) keeps the state",
                evidence={"gain": matrix.gain_as_used, "steps": run.steps},
            )
        stack = falling(layer, self.limits[0], self.excess)
        if stack is not None:
            first = stack.weights[0]
            yield self.at(
                first,
                f"{first.name} has std {first.distribution.std:.3g}, too small (fan-in {first.fan_in} asks for "
                f"{first.fan_in**-0.5:.3g}): over {stack.layers} recurrent layers signal std goes "
                f"{stack.start:.2g} -> {stack.end:.2g}",
                help="use nn.init.xavier_uniform_ for each gate's rows",
                evidence={"std": first.distribution.std, "layers": stack.layers, "ratio": stack.end / stack.start},
                parameters=stack.weights,
            )

    def effect_of_loop(self, layer: Layer, excess: float) -> str | None:
        if excess >= FORGETFUL:
            return None
        return f"what a step took in is lost some steps later, and up to {layer.returns} follow"
