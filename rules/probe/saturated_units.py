"""INI706 saturated-units."""

from collections.abc import Iterator

from initlint.facts import Layer, Parameter
from initlint.findings import Finding, Severity
from initlint.rule import EFFECT, PROBE, Bad, Good
from initlint.theory.chains import gives_most
from initlint.theory.saturation import flat_alone, flat_run_alone

from ._decided import DecidedRule

_SHARE, _ALONE = 0.5, 0.9
_SCALES = ("weight", "norm_scale")
_BIAS = 2.0
"""A mean bias from which a layer is taken for a gate that was opened or closed on purpose."""


class SaturatedUnits(DecidedRule):
    """Most values of a layer lie where the sigmoid, tanh or softmax behind it is flat.

    ## What it does

    Runs a batch forward and counts the values at which the slope of the function behind the layer is under 1% of its
    largest (a sigmoid beyond 6, a tanh beyond 3, their product where both are flat), and the rows of a softmax, or of
    attention, that are one-hot. More than half is a warning; where the layers before the same function are flat for
    half of their values at most, all in all (for .45 of them where four and more stand in one chain), only more than
    nine tenths of one layer's are. Of several layers of attention three tenths are a warning, a mean over them, and a
    tenth where all weights are large (half of them with a gain above 2). Torch's recurrent layers have the tanh that
    makes their new states inside: a few samples and steps are computed again from the weights. A router, whose softmax
    weighs or chooses what other layers give, is advice.

    ## Why it matters

    A flat function passes no gradient: what lies before it learns a hundred times slower, or not at all (Glorot and
    Bengio 2010). The usual cause is weights that are too large for the fan-in: N(0, 1) over 256 inputs gives
    pre-activations with std 16. Attention without its 1/sqrt(d) is the same flaw. One such layer among sound ones
    passes signs on, and the gradient of the values that are not flat: six tanh layers of which one is flat for 54% of
    its values learn as well as sound ones, for 98% slower; all of them flat for 64% do not learn
    (benchmarks/mutants.py). Four to six learn with .37 flat, and less with .46 (docs/thresholds.md). Of eleven stacks
    of attention whose queries and keys are too large, ten learned .85 of what they can or less from .3 of one-hot rows
    on; with all weights four times too large most learn half of it at .1 already (docs/thresholds.md). Experts whose
    router is one-hot do learn: the router late, they meanwhile, as they do behind a router that never learns (Roller
    et al. 2021, arXiv 2106.04426).

    ## Example

        nn.init.normal_(self.fc.weight)              # tanh follows

    ## Use instead

        nn.init.xavier_normal_(self.fc.weight, gain=nn.init.calculate_gain("tanh"))

    ## When it is right to do this

    A gate that is held open or closed by its bias, and a head whose bias is a prior, are left alone: those are meant.
    So are attention that a checkpoint was loaded into, and rows of which a mask leaves one entry.

    ## Fix safety

    No fix: it measures an effect. Where another rule knows the cause, this is told as that finding's consequence.
    """

    code, name, severity = "INI706", "saturated-units", Severity.WARNING
    needs = (PROBE,)
    finds = EFFECT
    bad = [
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Linear(64, 64)
                    self.out = nn.Linear(64, 4)
                    nn.init.xavier_normal_(self.body.weight, gain=10.0)  #~

                def forward(self, x):
                    return self.out(torch.tanh(self.body(x)))
            """,
            by=("live",),
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.query, self.key, self.value = (nn.Linear(64, 64) for _ in range(3))
                    nn.init.xavier_normal_(self.query.weight, gain=40.0)  #~

                def forward(self, x):
                    return F.scaled_dot_product_attention(self.query(x), self.key(x), self.value(x))

            def build():
                return Net(), torch.randn(8, 12, 64)
            """,
            by=("live",),
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.seen, self.told, self.out = nn.Linear(32, 64), nn.Linear(8, 64), nn.Linear(64, 4)
                    nn.init.normal_(self.seen.weight, std=2.0)  #~

                def forward(self, x, y):
                    return self.out(torch.tanh(self.seen(x) + self.told(y)))

            def build():
                return Net(), (torch.randn(8, 32), torch.randn(8, 8))
            """,
            by=("live",),
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.cells, self.out = nn.LSTM(16, 32, batch_first=True), nn.Linear(32, 4)
                    nn.init.normal_(self.cells.weight_ih_l0, std=2.0)  #~

                def forward(self, series):
                    return self.out(self.cells(series)[0].mean(1))

            def build():
                return Net(), torch.randn(8, 12, 16)
            """,
            by=("live",),
        ),
        Bad(
            """
            class Experts(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.router, self.out = nn.Linear(32, 4), nn.Linear(32, 4)
                    self.experts = nn.ModuleList([nn.Linear(32, 32) for _ in range(4)])
                    nn.init.normal_(self.router.weight, std=5.0)  #~

                def forward(self, x):
                    shares = self.router(x).softmax(-1)
                    given = torch.stack([expert(x) for expert in self.experts], dim=1)
                    return self.out(torch.tanh((given * shares.unsqueeze(2)).sum(1)))
            """,
            by=("live",),
            severity=Severity.ADVICE,
        ),
        Bad(
            """
            class Classifier(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body, self.out = nn.Linear(32, 32), nn.Linear(32, 4)
                    nn.init.normal_(self.out.weight, std=5.0)  #~

                def forward(self, x):
                    return self.out(torch.tanh(self.body(x))).softmax(-1)
            """,
            by=("live",),
        ),
        Bad(
            """
            class Block(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.norm = nn.LayerNorm(32)
                    self.ask, self.give = nn.Linear(32, 96), nn.Linear(32, 32)
                    for layer in (self.ask, self.give):
                        nn.init.normal_(layer.weight, std=0.5)  #~

                def forward(self, x):
                    q, k, v = self.ask(self.norm(x)).chunk(3, -1)
                    return x + self.give(F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0])

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.blocks = nn.Sequential(*[Block() for _ in range(2)])
                    self.norm, self.head = nn.LayerNorm(32), nn.Linear(32, 4)

                def forward(self, x):
                    return self.head(self.norm(self.blocks(x)).mean(1))

            def build():
                return Net(), torch.randn(8, 12, 32)
            """,
            by=("live",),
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(48, 48) for _ in range(5)])
                    self.out = nn.Linear(48, 4)
                    for layer in self.layers:
                        nn.init.xavier_uniform_(layer.weight, gain=3 * nn.init.calculate_gain("tanh"))  #~

                def forward(self, x):
                    for layer in self.layers:
                        x = torch.tanh(layer(x))
                    return self.out(x)
            """,
            by=("live",),
        ),
        Bad(
            """
            class Waves(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.first, self.wave, self.out = nn.Linear(16, 32), nn.Linear(32, 64), nn.Linear(32, 4)
                    nn.init.normal_(self.wave.weight, std=8.0)  #~

                def forward(self, x):
                    wave, gate = self.wave(self.first(x)).chunk(2, dim=-1)
                    return self.out(torch.tanh(wave) * torch.sigmoid(gate))
            """,
            by=("live",),
        ),
    ]
    good = [
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(48, 48) for _ in range(6)])
                    self.out = nn.Linear(48, 4)
                    for layer in self.layers:
                        nn.init.xavier_uniform_(layer.weight, gain=nn.init.calculate_gain("tanh"))
                    nn.init.normal_(self.layers[3].weight)  # flat for 55%, and the others for 2%

                def forward(self, x):
                    for layer in self.layers:
                        x = torch.tanh(layer(x))
                    return self.out(x)
            """,
            by=("live",),
        ),
        Good(
            """
            class Cell(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.enter, self.recur, self.head = nn.Linear(4, 48), nn.Linear(48, 48), nn.Linear(48, 4)
                    nn.init.orthogonal_(self.recur.weight)

                def forward(self, series):
                    state = series.new_zeros(len(series), 48)
                    for step in series.unbind(1):
                        state = torch.tanh(self.enter(step) + self.recur(state))
                    return self.head(state)

            def build():
                return Cell(), torch.randn(8, 12, 4)
            """,
            by=("live",),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.cells, self.out = nn.LSTM(16, 32, batch_first=True), nn.Linear(32, 4)
                    with torch.no_grad():  # a memory of a thousand steps, and more
                        self.cells.bias_ih_l0[:32], self.cells.bias_ih_l0[32:64] = -8.0, 8.0

                def forward(self, series):
                    return self.out(self.cells(series)[0].mean(1))

            def build():
                return Net(), torch.randn(8, 12, 16)
            """,
            by=("live",),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Linear(64, 64)
                    self.gate = nn.Linear(64, 64)
                    self.out = nn.Linear(64, 4)
                    nn.init.xavier_normal_(self.body.weight, gain=5 / 3)
                    nn.init.constant_(self.gate.bias, -8.0)

                def forward(self, x):
                    x = torch.tanh(self.body(x)) * torch.sigmoid(self.gate(x))
                    return self.out(x)
            """,
            by=("live",),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.query, self.key, self.value = (nn.Linear(64, 64) for _ in range(3))

                def forward(self, x):
                    mask = torch.eye(x.shape[1]).log()
                    scores = self.query(x) @ self.key(x).transpose(1, 2) / 8 + mask
                    return scores.softmax(-1) @ self.value(x)

            def build():
                return Net(), torch.randn(8, 12, 64)
            """,
            by=("live",),
        ),
        Good(
            """
            class Block(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.query, self.key, self.value = (nn.Linear(64, 64) for _ in range(3))

                def forward(self, x):
                    scores = self.query(x) @ self.key(x).transpose(1, 2) / 8
                    hidden = torch.ones(x.shape[1], x.shape[1]).triu(1)
                    return x + (scores - 100 * hidden).softmax(-1) @ self.value(x)  # the first step sees itself alone

            def build():
                return nn.Sequential(Block(), Block(), nn.Linear(64, 4)), torch.randn(8, 3, 64)
            """,
            by=("live",),
        ),
        Good(
            """
            class Block(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.query, self.key, self.value = (nn.Linear(64, 64) for _ in range(3))

                def forward(self, x):
                    scores = self.query(x) @ self.key(x).transpose(1, 2) / 8
                    return x + scores.softmax(-1) @ self.value(x)

            def build():
                net = nn.Sequential(Block(), Block(), nn.Linear(64, 4))
                trained = {name: 9 * torch.randn(value.shape) for name, value in net.state_dict().items()}
                net.load_state_dict(trained)  # it has learned where to look
                return net, torch.randn(8, 12, 64)
            """,
            by=("live",),
        ),
    ]

    def check_parameter(self, parameter: Parameter) -> Iterator[Finding]:
        layer = parameter.layer
        if parameter.role in _SCALES and layer.family == "recurrent":
            yield from self._gates(layer, parameter)
            return
        if parameter.role not in _SCALES or layer.normalized:
            return
        share = layer.probe.saturated_fraction
        if share <= _SHARE or layer.activation is None or not gives_most(layer):
            return
        if share <= _ALONE and flat_alone(layer):
            return
        bias = layer.bias
        if bias is not None and abs(bias.distribution.mean) >= _BIAS:
            return
        added = ", with what is added to them," if layer.joined else ""
        behind = "the gated unit" if layer.activation.name == "custom" else layer.activation.name
        yield self.at(
            parameter,
            f"{share:.0%} of the values that {layer.name} gives{added} lie where {behind} behind it is flat",
            help="draw its weights smaller: pre-activations should have a std of about 1",
            evidence={"saturated_fraction": share},
        )

    def _gates(self, layer: Layer, matrix: Parameter) -> Iterator[Finding]:
        """One layer of a recurrent layer of torch's, by the weight that takes the input."""
        own = matrix.name.rpartition(".")[2]
        for run in layer.probe.recurrences:
            if run.weight != own or run.saturated_fraction <= _SHARE:
                continue
            if run.saturated_fraction <= _ALONE and flat_run_alone(layer, _SHARE):
                continue
            bias = layer.parameter(own.replace("weight", "bias", 1))
            biased = bias is not None and abs(bias.distribution.mean) >= _BIAS
            yield self.at(
                bias if biased and bias is not None else matrix,
                f"{run.saturated_fraction:.0%} of the values that the tanh inside {layer.name} is given lie where it "
                "is flat",
                help="only the rows of its forget gate may ask for a bias"
                if biased
                else "draw its weights smaller: what tanh is given should have a std of about 1",
                evidence={"saturated_fraction": run.saturated_fraction},
            )
