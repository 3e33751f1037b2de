"""What INI203 and INI204 share: weights off in the direction in which the signal of their chain drifts."""

import math
from collections.abc import Iterator
from typing import ClassVar

from initlint.facts import Chain, absent
from initlint.findings import Finding, Severity
from initlint.rule import PARAMETERS, PROBE, SOURCE, Rule
from initlint.theory.chains import accounts_for, excess_gain, flow, matrices
from initlint.theory.remedies import initializer_for


class ScaledWeightsRule(Rule):
    """A rule on weights without a recognised scheme whose gain explains the drift of their chain."""

    severity = Severity.WARNING
    highest = Severity.ERROR
    needs = (SOURCE, PARAMETERS, PROBE)
    limits: ClassVar[tuple[float, float]]
    """The ratio of the signal's std from which it is a warning, and the one from which it is an error."""
    excess: ClassVar[float]
    """How far std x sqrt(fan_in) must be off the gain needed for a weight to be named."""
    adverb: ClassVar[str]

    def check_chain(self, chain: Chain) -> Iterator[Finding]:
        signal = flow(chain)
        if not self._beyond(signal.ratio, self.limits[0]):
            return
        wrong = [
            (layer, matrix)
            for layer, matrix in matrices(chain)[:-1]
            if absent(matrix.distribution.scheme)
            and not matrix.distribution.is_constant
            and self._beyond(excess_gain(layer, matrix), self.excess)
        ]
        if not wrong or not accounts_for([excess_gain(*pair) for pair in wrong], signal.ratio):
            return
        for layer, matrix in wrong[:1]:
            activation, std = layer.activation, matrix.distribution.std
            assert activation is not None  # excess_gain is UNKNOWN without one
            yield self.at(
                matrix,
                f"{matrix.name} has std {std:.3g}, {self.adverb} for the {activation.name} that follows (fan-in "
                f"{matrix.fan_in} asks for {activation.gain / math.sqrt(matrix.fan_in):.3g}): over "
                f"{len(chain.layers)} layers "
                f"signal std {'goes' if signal.measured else 'moves'} {signal.told}",
                help=f"use {initializer_for(activation)}",
                severity=Severity.ERROR if self._beyond(signal.ratio, self.limits[1]) else None,
                evidence={
                    "std": std,
                    "fan_in": matrix.fan_in,
                    "layers": len(chain.layers),
                    "signal_ratio": signal.ratio,
                },
                parameters=[other for _, other in wrong],
                suspects=signal.upto,
            )

    def _beyond(self, value: float, limit: float) -> bool:
        return value < limit if limit < 1 else value > limit
