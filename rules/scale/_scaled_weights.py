"""What INI203 and INI204 share: weights off in the direction in which the signal of their chain drifts, and the
networks that show it at one scale of their weights and not at another."""

import math
from collections.abc import Iterator
from typing import ClassVar

from initlint.facts import Chain, Layer, absent
from initlint.findings import Finding, Severity
from initlint.rule import EFFECT, PARAMETERS, PROBE, SOURCE, Bad, Good, Rule
from initlint.theory.chains import accounts_for, excess_gain, flow, matrices
from initlint.theory.drift import beyond, least_ratio
from initlint.theory.excess import drawn
from initlint.theory.remedies import initializer_for

_STEPS = 4
"""How often a layer's output must come back to it to be judged as a loop."""


class ScaledWeightsRule(Rule):
    """A rule on weights without a recognised scheme whose gain explains the drift of their chain."""

    severity = Severity.WARNING
    highest = Severity.ERROR
    needs = (SOURCE, PARAMETERS, PROBE)
    finds = EFFECT
    limits: ClassVar[tuple[float, float]]
    """The ratio of the signal's std from which it is a warning, and the one from which it is an error."""
    excess: ClassVar[float]
    """How far std x sqrt(fan_in) must be off the gain needed for a weight to be named."""
    adverb: ClassVar[str]

    def check_layer(self, layer: Layer) -> Iterator[Finding]:
        """A recurrent cell written out, which is a chain of one layer."""
        if layer.returns < _STEPS:
            return
        matrix = layer.weight
        if not drawn(matrix):
            return
        effect = self.effect_of_loop(layer, excess_gain(layer, matrix))
        if effect is not None:
            yield self.at(
                matrix,
                f"{matrix.name} carries the state from step to step with gain {matrix.gain_as_used:.2g}: {effect}",
                help="nn.init.orthogonal_(weight) keeps the state",
                evidence={"gain": matrix.gain_as_used, "steps": layer.returns},
            )

    def effect_of_loop(self, layer: Layer, excess: float) -> str | None:
        """What a gain off by that factor does over the steps of a loop, in words; None where it does no harm."""
        raise NotImplementedError

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
        layer, matrix = wrong[0]
        activation, std = layer.activation, matrix.distribution.std
        assert activation is not None  # excess_gain is UNKNOWN without one
        yield self.at(
            matrix,
            f"{matrix.name} has std {std:.3g}, {self.adverb} for the {activation.name} that follows (fan-in "
            f"{matrix.fan_in} asks for {activation.gain / math.sqrt(matrix.fan_in):.3g}): over {signal.length} layers "
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


def siren(init: str) -> str:
    """Sines of sines of coordinates, with that statement on the first weight."""
    return f"""
        class Siren(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.ModuleList([nn.Linear(2, 64), nn.Linear(64, 64), nn.Linear(64, 64)])
                self.head = nn.Linear(64, 1)
                for layer in self.layers[1:]:
                    nn.init.uniform_(layer.weight, -math.sqrt(6 / 64), math.sqrt(6 / 64))
                    nn.init.zeros_(layer.bias)
                {init}

            def forward(self, x):
                for layer in self.layers:
                    x = torch.sin(layer(x))
                return self.head(x)
        """


def cell(init: str) -> str:
    """A recurrent cell written out, run for 24 steps, with that statement on ``self.recur.weight``."""
    return f"""
        class Cell(nn.Module):
            def __init__(self):
                super().__init__()
                self.enter, self.recur, self.head = nn.Linear(4, 48), nn.Linear(48, 48), nn.Linear(48, 4)
                {init}

            def forward(self, series):
                state = series.new_zeros(len(series), 48)
                for step in series.unbind(1):
                    state = torch.tanh(self.enter(step) + self.recur(state))
                return self.head(state)

        def build():
            return Cell(), torch.randn(8, 24, 4)
        """


def branches(entry: float, inner: float, mark: str = "", head: str = "", act: str = "") -> str:
    """Six residual branches, by the std of the weight before them and that of their own; ``mark`` ends the first."""
    return f"""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.first, self.norm, self.head = nn.Linear(32, 48), nn.LayerNorm(48), nn.Linear(48, 4)
                self.up = nn.ModuleList([nn.Linear(48, 96) for _ in range(6)])
                self.down = nn.ModuleList([nn.Linear(96, 48) for _ in range(6)])
                nn.init.normal_(self.first.weight, std={entry}){mark}
                for up, down in zip(self.up, self.down):
                    nn.init.normal_(up.weight, std={inner})
                    nn.init.normal_(down.weight, std=0.01)

            def forward(self, x):
                x = {act}(self.first(x))
                for up, down in zip(self.up, self.down):
                    x = x + down(F.relu(up(x)))
                return self.head({head}(x))
        """


def stacked(kind: str, layers: int, which: str, init: str, after: str = "") -> str:
    """A recurrent network of torch's, with that initialiser on the parameters whose name begins so."""
    return f"""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.cells = nn.{kind}(32, 32, num_layers={layers}, batch_first=True)
                self.norm, self.head = nn.LayerNorm(32), nn.Linear(32, 4)
                for name, parameter in self.cells.named_parameters():
                    if name.startswith("{which}"):
                        nn.init.{init}

            def forward(self, series):
                states, _ = self.cells(series)
                return self.head({after}(states).mean(1))

        def build():
            return Net(), torch.randn(8, 24, 32)
        """


def sound(std: float) -> tuple[Good, ...]:
    """The same network at the right scale, and at the wrong one with a norm behind every layer."""
    return (
        Good(cell("nn.init.orthogonal_(self.recur.weight)"), by=("live",)),
        Good(cell("nn.init.uniform_(self.recur.weight, -48**-0.5, 48**-0.5)"), by=("live",)),
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
