"""What INI701 to INI704 share: a measured drift along a chain, told at the layer where it sets in, and the networks
that show it at one scale of their weights and not at another."""

from collections.abc import Callable, Iterator
from typing import ClassVar

from initlint.facts import Chain, LayerProbe
from initlint.findings import Finding, Severity
from initlint.rule import EFFECT, PROBE, Bad, Good, Rule
from initlint.theory.chains import Flow, culprit
from initlint.theory.drift import beyond


class DriftRule(Rule):
    """A rule on the ratio of a chain's ends; below 1 the limits are lower bounds, above 1 upper ones."""

    severity = Severity.WARNING
    highest = Severity.ERROR
    needs = (PROBE,)
    finds = EFFECT
    flow: ClassVar[Callable[[Chain], Flow]]
    limits: ClassVar[tuple[float, float]]
    """The ratio from which it is a warning, and the one from which it is an error."""
    fewest: ClassVar[int] = 2
    """How many layers a chain must have to be judged."""
    effect: ClassVar[str]
    remedy: ClassVar[str]

    def limit(self, layers: int) -> float:
        """The ratio along so many layers from which it is a warning."""
        return self.limits[0]

    def lost(self, end: LayerProbe, dtype: str) -> bool:
        """Whether what comes out at the end is beyond what a number format holds; an error, whatever the ratio is."""
        return False

    def check_chain(self, chain: Chain) -> Iterator[Finding]:
        flow = type(self).flow(chain)
        if flow.length < self.fewest or not beyond(flow.ratio, self.limit(flow.length)):
            return
        first, last = flow.ends
        run = last.model.probe
        lost = not run.predicted and self.lost(last.probe, run.judged_dtype or run.dtype)
        hopeless = (lost or beyond(flow.ratio, self.limits[1])) and not (flow.ratio < 1 and _learns_elsewhere(chain))
        yield self.at(
            culprit(flow.departs),
            f"{self.effect} {flow.start:.2g} -> {flow.end:.2g} over {flow.length} layers, from {first.name} to "
            f"{last.name}",
            help=self.remedy,
            severity=Severity.ERROR if hopeless else None,
            evidence={"start": flow.start, "end": flow.end, "ratio": flow.ratio, "layers": flow.length},
            layer=flow.departs,
            suspects=flow.upto,
        )


def _learns_elsewhere(chain: Chain) -> bool:
    """Whether some layer is called on other inputs too, learns from those, and may then pass on what was lost here.

    A generator with weights at 1/100 of their scale trains, since its discriminator does (benchmarks/mutants.py).
    """
    return any(layer.probe.calls > 1 for layer in chain.layers)


def plain(std: float, severity: Severity = Severity.ERROR) -> Bad:
    """24 linear layers before ReLU, all drawn with one standard deviation."""
    return Bad(
        f"""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.ModuleList([nn.Linear(64, 64) for _ in range(24)])
                for layer in self.layers:
                    nn.init.normal_(layer.weight, std={std})  #~
                    nn.init.zeros_(layer.bias)

            def forward(self, x):
                for layer in self.layers:
                    x = F.relu(layer(x))
                return x
        """,
        by=("live",),
        severity=severity,
    )


def convolutional(std: float, severity: Severity) -> Bad:
    """12 convolutions before a leaky ReLU, every parameter drawn with one standard deviation."""
    return Bad(
        f"""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.body = nn.Sequential(
                    *[nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.LeakyReLU(0.1)) for _ in range(12)]
                )
                for p in self.parameters():
                    p.data.normal_(0, {std})  #~

            def forward(self, x):
                return self.body(x)
        """,
        by=("live",),
        severity=severity,
    )


def highway(std: float, mark: str = "") -> str:
    """Seven layers, each of which replaces its input by the share that a gate says; ``mark`` ends the flawed line."""
    return f"""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.first = nn.Linear(64, 64)
                self.layers = nn.ModuleList([nn.Linear(64, 64) for _ in range(7)])
                self.gates = nn.ModuleList([nn.Linear(64, 64) for _ in range(7)])
                for layer in (self.first, *self.layers):
                    nn.init.normal_(layer.weight, std={std}){mark}

            def forward(self, x):
                x = F.relu(self.first(x))
                for layer, gate in zip(self.layers, self.gates):
                    share = torch.sigmoid(gate(x))
                    x = share * F.relu(layer(x)) + (1 - share) * x
                return x
        """


SOUND = (
    Good(
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.ModuleList([nn.Linear(64, 64) for _ in range(24)])
                for layer in self.layers:
                    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

            def forward(self, x):
                for layer in self.layers:
                    x = F.relu(layer(x))
                return x
        """,
        by=("live",),
    ),
    Good(
        """
        class Block(nn.Module):
            def __init__(self):
                super().__init__()
                self.norm = nn.LayerNorm(64)
                self.up = nn.Linear(64, 128)
                self.down = nn.Linear(128, 64)
                nn.init.zeros_(self.down.weight)

            def forward(self, x):
                return x + self.down(F.gelu(self.up(self.norm(x))))

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.blocks = nn.Sequential(*[Block() for _ in range(12)])
                self.head = nn.Linear(64, 10)
                nn.init.zeros_(self.head.weight)

            def forward(self, x):
                return self.head(self.blocks(x))
        """,
        by=("live",),
    ),
)
