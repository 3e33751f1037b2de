"""INI203 weights-too-large."""

from collections.abc import Iterator, Sequence

from initlint.facts import Chain, Layer, Parameter
from initlint.findings import Finding, Severity
from initlint.rule import Bad, Good
from initlint.theory.chains import excess_gain, growth_through_time
from initlint.theory.excess import drawn, drowns, leaps, stands_out, undone, wrapped
from initlint.theory.remedies import initializer_for

from ._driven import DrivenRule
from ._scaled_weights import cell, convolutional, linear, sound, stacked


class WeightsTooLarge(DrivenRule):
    """Weights so large that the signal explodes along the layers.

    ## What it does

    Looks at chains of layers with no norm between them. Where the standard deviation of the signal grows by more than
    1e2 from the first layers to the last (an error above 1e3), it names the weights whose std x sqrt(fan-in) exceeds
    the gain that the following nonlinearity needs. Schemes made for another nonlinearity are INI201. It also names a
    hidden layer that alone multiplies the signal by more than 30 (in no chain: whose gain is 30 times too large, and
    whose output has a std above 10); two behind another whose outputs, of a std above pi, go into sines; an output
    layer that multiplies the signal by more than 10, to a std above 10, or by 4, to one above 20, wherever norms stand;
    the weight that carries the state of a recurrent cell without gates, written out in a loop, if the gradient grows
    by more than 1e2 over the steps; and that of a GRU or LSTM from a gain of 10 on. One layer alone is advice where a
    model's outputs have a std of 10 at most: what comes behind has made it good. Not before tanh or a sine, which it
    drives out of their range all the same, nor where it drowns what is added to it.

    ## Why it matters

    Growth is a power of the depth: a gain three times too large makes 1e3 of seven layers. At a standard deviation
    ratio of about 30 SGD loses accuracy, and from 1e2 on it diverges at depth 16 (measured, ReLU networks of width
    128). Of networks with one layer that is 100 times too large those with a norm behind it train as sound ones do; of
    those where the excess is left in the outputs most are slower or fail. With only the output layer enlarged,
    regressions are slower from an output std of 4 to 19 on, classifiers from 25 on; the loss that is to come is not
    known (benchmarks/mutants.md).

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
    bad = (
        linear(0.5),
        convolutional(0.5),
        Bad(cell("nn.init.normal_(self.recur.weight, std=0.5)  #~"), by=("live",)),
        Bad(stacked("GRU", 1, "weight_hh", "normal_(parameter, std=4.0)  #~"), by=("live",)),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.conv = nn.Conv2d(3, 64, 3, padding=1)
                    self.norm = nn.BatchNorm2d(64)
                    self.head = nn.Linear(64, 10)
                    nn.init.normal_(self.head.weight, std=20.0)  #~

                def forward(self, x):
                    return self.head(F.relu(self.norm(self.conv(x))).amax((2, 3)))
            """,
            by=("live",),
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.windows = nn.ModuleList([nn.Conv1d(8, 16, size) for size in (2, 3)])
                    self.head = nn.Linear(32, 4)
                    nn.init.normal_(self.windows[0].weight, std=20.0)  #~

                def forward(self, x):
                    return self.head(torch.cat([F.relu(window(x)).amax(2) for window in self.windows], dim=1))

            def build():
                return Net(), torch.randn(8, 8, 12)
            """,
            by=("live",),
        ),
        Bad(
            """
            class Siren(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(2, 64), nn.Linear(64, 64), nn.Linear(64, 64)])
                    self.head = nn.Linear(64, 1)
                    for layer in self.layers:
                        nn.init.normal_(layer.weight)  #~

                def forward(self, x):
                    for layer in self.layers:
                        x = torch.sin(layer(x))
                    return self.head(x)
            """,
            by=("live",),
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(64, 64) for _ in range(4)])
                    self.head = nn.Linear(64, 4)
                    for layer in self.layers:
                        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                    nn.init.normal_(self.layers[2].weight, std=8.0)  #~

                def forward(self, x):
                    for layer in self.layers:
                        x = F.relu(layer(x))
                    return self.head(x)
            """,
            by=("live",),
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.first, self.gate, self.value = nn.Linear(16, 64), nn.Linear(64, 64), nn.Linear(64, 64)
                    self.out, self.head = nn.Linear(64, 64), nn.Linear(64, 4)
                    self.norm, self.last = nn.LayerNorm(64), nn.LayerNorm(64)
                    nn.init.normal_(self.gate.weight, std=12.0)  #~

                def forward(self, x):
                    x = self.first(x)
                    y = self.norm(x)
                    return self.head(self.last(x + self.out(F.silu(self.gate(y)) * self.value(y))))
            """,
            by=("live",),
            severity=Severity.ADVICE,
        ),
    )
    good = (
        *sound(0.5),
        Good(stacked("LSTM", 2, "weight_hh", "normal_(parameter, std=0.5)"), by=("live",)),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.first, self.second = nn.Linear(16, 64), nn.Linear(64, 64)
                    self.norm = nn.LayerNorm(64)
                    self.head = nn.Linear(64, 4)
                    nn.init.normal_(self.second.weight, std=20.0)

                def forward(self, x):
                    return self.head(self.norm(F.relu(self.second(F.relu(self.first(x))))))
            """,
            by=("live",),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.windows = nn.ModuleList([nn.Conv1d(8, 16, size) for size in (2, 3)])
                    self.norm = nn.LayerNorm(32)
                    self.head = nn.Linear(32, 4)
                    nn.init.normal_(self.windows[0].weight, std=20.0)

                def forward(self, x):
                    x = torch.cat([window(x).amax(2) for window in self.windows], dim=1)
                    return self.head(F.relu(self.norm(x)))

            def build():
                return Net(), torch.randn(8, 8, 12)
            """,
            by=("live",),
        ),
        Good(
            """
            class Siren(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(2, 64), nn.Linear(64, 64), nn.Linear(64, 64)])
                    self.head = nn.Linear(64, 1)
                    nn.init.uniform_(self.layers[0].weight, -15.0, 15.0)  # the frequencies that it starts with
                    for layer in self.layers[1:]:
                        nn.init.uniform_(layer.weight, -math.sqrt(6 / 64), math.sqrt(6 / 64))

                def forward(self, x):
                    for layer in self.layers:
                        x = torch.sin(layer(x))
                    return self.head(x)
            """,
            by=("live",),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.frequencies = nn.Linear(8, 64)
                    self.norm = nn.LayerNorm(64)
                    self.head = nn.Linear(64, 10)
                    nn.init.normal_(self.frequencies.weight, std=20.0)
                    nn.init.normal_(self.head.weight)

                def forward(self, x):
                    return self.head(self.norm(torch.sin(self.frequencies(x))))
            """,
            by=("live",),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(64, 64) for _ in range(6)])
                    nn.init.zeros_(self.layers[3].weight)  # nothing comes out of it, which is INI101's to tell

                def forward(self, x):
                    for layer in self.layers:
                        x = F.relu(layer(x))
                    return x
            """,
            by=("live",),
        ),
        Good(
            """
            class Critic(nn.Module):
                def __init__(self):
                    super().__init__()
                    normalized = nn.utils.parametrizations.spectral_norm  # divides whatever the scale of its weight
                    self.layers = nn.ModuleList([normalized(nn.Linear(64, 64)) for _ in range(3)])
                    for layer in self.layers:
                        nn.init.normal_(layer.parametrizations.weight.original, std=20.0)

                def forward(self, x):
                    for layer in self.layers:
                        x = F.leaky_relu(layer(x), 0.2)
                    return x
            """,
            by=("live",),
        ),
    )

    def check_chain(self, chain: Chain) -> Iterator[Finding]:
        said = list(super().check_chain(chain))
        yield from said or self._alone(chain)

    def _alone(self, chain: Chain) -> Iterator[Finding]:
        """One layer among sound ones, whose excess the drift from end to end does not show in full."""
        for before, layer, matrix in leaps(chain):
            start, end = before.probe.forward_std, layer.probe.forward_std
            yield self._named(layer, matrix, f"signal std goes {start:.2g} -> {end:.2g} from {before.name} to it")
        around = wrapped(chain)
        if around:
            layer, matrix = around[0]
            told = f"signal std is {layer.probe.forward_std:.2g} before a sine, in which most of it wraps round"
            yield self._named(layer, matrix, told, [matrix for _, matrix in around])

    def _named(self, layer: Layer, matrix: Parameter, told: str, several: Sequence[Parameter] = ()) -> Finding:
        assert layer.activation is not None  # excess_gain is UNKNOWN without one
        excess = excess_gain(layer, matrix)
        return self.at(
            matrix,
            f"{matrix.name} has std {matrix.distribution.std:.3g}, {excess:.2g} times what the layer needs: {told}",
            help=f"use {initializer_for(layer.activation)}",
            severity=Severity.ADVICE if undone(layer) else None,
            evidence={"std": matrix.distribution.std, "fan_in": matrix.fan_in, "excess": excess},
            parameters=several,
            layer=layer,
        )

    def effect_of_loop(self, layer: Layer, excess: float) -> str | None:
        growth = growth_through_time(layer)
        if excess <= self.excess or growth <= self.limits[0]:
            return None
        return f"over {layer.returns} steps gradient std grows {growth:.2g}-fold"

    def check_parameter(self, parameter: Parameter) -> Iterator[Finding]:
        layer = parameter.layer
        if parameter.role != "weight" or not drawn(parameter) or layer.normalized:
            return
        output = layer.probe.total_std
        if drowns(parameter):
            yield self.at(
                parameter,
                f"{parameter.name} has std {parameter.distribution.std:.3g}, too large for an output layer (fan-in "
                f"{parameter.fan_in}): it multiplies the signal by {parameter.gain_as_used:.3g}, and the model's "
                f"output starts with std {output:.3g}",
                help="draw an output layer with std 1 / sqrt(fan_in) or less: nn.init.xavier_uniform_",
                evidence={"std": parameter.distribution.std, "fan_in": parameter.fan_in, "output_std": output},
            )
        elif stands_out(parameter):
            yield self._named(layer, parameter, f"what it gives has std {output:.2g}")
