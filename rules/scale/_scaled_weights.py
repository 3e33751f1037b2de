"""What INI203 and INI204 share: weights off in the direction in which the signal of their chain drifts, and the
networks that show it at one scale of their weights and not at another."""

import math
from collections.abc import Iterator
from typing import ClassVar

from initlint.facts import Chain, absent
from initlint.findings import Finding, Severity
from initlint.rule import PARAMETERS, PROBE, SOURCE, Bad, Good, Rule
from initlint.theory.chains import accounts_for, excess_gain, flow, matrices
from initlint.theory.drift import beyond, least_ratio
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
        limit = self.limits[0] if self.limits[0] > 1 else least_ratio(signal.length)
        if not beyond(signal.ratio, limit):
            return
        wrong = [
            (layer, matrix)
            for layer, matrix in matrices(chain)[:-1]
            if absent(matrix.distribution.scheme)
            and not matrix.distribution.is_constant
            and beyond(excess_gain(layer, matrix), self.excess)
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
                f"{signal.length} layers "
                f"signal std {'goes' if signal.measured else 'moves'} {signal.told}",
                help=f"use {initializer_for(activation)}",
                severity=Severity.ERROR if beyond(signal.ratio, self.limits[1]) else None,
                evidence={
                    "std": std,
                    "fan_in": matrix.fan_in,
                    "layers": signal.length,
                    "signal_ratio": signal.ratio,
                },
                parameters=[other for _, other in wrong],
                suspects=signal.upto,
            )


def linear(std: float) -> Bad:
    """12 linear layers of width 256 before ReLU, drawn with one standard deviation."""
    return Bad(
        f"""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.ModuleList([nn.Linear(256, 256) for _ in range(12)])
                for layer in self.layers:
                    nn.init.normal_(layer.weight, std={std})  #~
                    nn.init.zeros_(layer.bias)

            def forward(self, x):
                for layer in self.layers:
                    x = F.relu(layer(x))
                return x
        """,
        by=("source", "live"),
        severity=Severity.ERROR,
    )


def convolutional(std: float) -> Bad:
    """Five convolutions before ReLU, drawn with one standard deviation."""
    return Bad(
        f"""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.body = nn.Sequential(
                    nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(),
                    nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(),
                    nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(),
                    nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(),
                    nn.Conv2d(16, 16, 3, padding=1),
                )
                for m in self.modules():
                    if isinstance(m, nn.Conv2d):
                        m.weight.data.normal_(0, {std})  #~
                        m.bias.data.zero_()

            def forward(self, x):
                return self.body(x)
        """,
        by=("live",),
    )


def sound(std: float) -> tuple[Good, ...]:
    """The same network at the right scale, and at the wrong one with a norm behind every layer."""
    return (
        Good(
            """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.ModuleList([nn.Linear(256, 256) for _ in range(12)])
                for layer in self.layers:
                    nn.init.normal_(layer.weight, std=0.088)
                    nn.init.zeros_(layer.bias)

            def forward(self, x):
                for layer in self.layers:
                    x = F.relu(layer(x))
                return x
        """,
            by=("source", "live"),
        ),
        Good(
            f"""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.embedding = nn.Embedding(100, 256)
                self.layers = nn.ModuleList([nn.Linear(256, 256) for _ in range(12)])
                self.norms = nn.ModuleList([nn.LayerNorm(256) for _ in range(12)])
                for layer in self.layers:
                    nn.init.normal_(layer.weight, std={std})

            def forward(self, x):
                x = self.embedding(x)
                for layer, norm in zip(self.layers, self.norms):
                    x = F.relu(norm(layer(x)))
                return x
        """,
            by=("source", "live"),
        ),
    )
