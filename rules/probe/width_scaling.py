"""INI713 width-scaling."""

from collections.abc import Iterator

from initlint.facts import Model
from initlint.findings import Finding, Severity
from initlint.rule import PROBE, Bad, Good, Rule
from initlint.theory.chains import culprit
from initlint.theory.scaling import exponent

_GROWS, _SHRINKS = 0.35, -0.75


class WidthScaling(Rule):
    """The scale of a layer's output depends on the model's width.

    ## What it does

    With `--widths 64,128,256` the model is built at each width, three times over, and the standard deviation of each
    layer's output across the batch is fitted with a power of the width. It speaks where that grows as width^0.35 or
    faster, or shrinks as width^-0.75 or faster. Sound schemes measure between -0.1 and 0.1.

    ## Why it matters

    What trains at one width does not at another, and the learning rate has to be searched anew for each: in the limit
    the signal blows up or nothing is learnt ([Yang and Hu 2021](https://arxiv.org/abs/2011.14522); the coordinate check
    of [Yang et al. 2022](https://arxiv.org/abs/2203.03466), appendix D.1).

    ## Example

        for layer in self.layers:
            nn.init.normal_(layer.weight, std=0.1)     # right at width 100 and at no other

    ## Use instead

        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")    # std is sqrt(2 / fan_in)

    ## When it is right to do this

    A readout that shrinks as 1/sqrt(width) is muP's own, and Xavier's first layer shrinks likewise, for its fan_out is
    the width: neither is spoken of. Nor is anything said without `--widths`.

    ## Fix safety

    No fix: it measures an effect.
    """

    code, name, severity = "INI713", "width-scaling", Severity.ADVICE
    needs = (PROBE,)
    asked_by = "widths"
    bad = [
        Bad(
            """
            widths = (32, 64, 128)

            class Net(nn.Module):
                def __init__(self, width=64):
                    super().__init__()
                    self.stem = nn.Linear(16, width)
                    self.layers = nn.ModuleList([nn.Linear(width, width) for _ in range(3)])
                    self.head = nn.Linear(width, 10)
                    for layer in self.layers:
                        nn.init.normal_(layer.weight, std=0.1)  #~

                def forward(self, x):
                    x = F.relu(self.stem(x))
                    for layer in self.layers:
                        x = F.relu(layer(x))
                    return self.head(x)
            """,
            by=("live",),
        ),
        Bad(
            """
            widths = (32, 64, 128)

            class Net(nn.Module):
                def __init__(self, channels=64):
                    super().__init__()
                    self.stem = nn.Conv2d(3, channels, 3, padding=1)
                    self.body = nn.Conv2d(channels, channels, 3, padding=1)
                    self.last = nn.Conv2d(channels, 8, 3, padding=1)
                    for m in (self.body, self.last):
                        nn.init.normal_(m.weight, std=1.0 / m.in_channels ** 2)  #~

                def forward(self, x):
                    return self.last(F.relu(self.body(F.relu(self.stem(x)))))
            """,
            by=("live",),
        ),
    ]
    good = [
        Good(
            """
            widths = (32, 64, 128)

            class Net(nn.Module):
                def __init__(self, width=64):
                    super().__init__()
                    self.stem = nn.Linear(16, width)
                    self.layers = nn.ModuleList([nn.Linear(width, width) for _ in range(3)])
                    self.head = nn.Linear(width, 10)
                    for layer in (self.stem, *self.layers):
                        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                    nn.init.normal_(self.head.weight, std=1 / width)  # muP's readout

                def forward(self, x):
                    x = F.relu(self.stem(x))
                    for layer in self.layers:
                        x = F.relu(layer(x))
                    return self.head(x)
            """,
            by=("live",),
        ),
        Good(
            """
            widths = (32, 64, 128)

            def build(d_model=64):
                encoder = nn.TransformerEncoderLayer(d_model, 4, 4 * d_model, batch_first=True)
                return nn.Sequential(nn.Embedding(50, d_model), encoder, nn.Linear(d_model, 50))
            """,
            by=("live",),
        ),
        Good(
            """
            widths = (32, 64, 128)

            class Net(nn.Module):
                def __init__(self, hidden=64):
                    super().__init__()
                    sizes = (16, hidden), (hidden, hidden), (hidden, 4)
                    self.layers = nn.ModuleList([nn.Linear(a, b) for a, b in sizes])
                    for layer in self.layers:
                        nn.init.xavier_uniform_(layer.weight)

                def forward(self, x):
                    for layer in self.layers:
                        x = torch.tanh(layer(x))
                    return x
            """,
            by=("live",),
        ),
    ]

    def check_model(self, model: Model) -> Iterator[Finding]:
        scaling = model.scaling
        moved = []
        for layer, stds in zip(scaling.layers, scaling.stds, strict=True):
            slope = exponent(scaling.widths, stds)
            if slope >= _GROWS or (slope <= _SHRINKS and not layer.is_head):
                moved.append((layer, slope, stds))
        if not moved:
            return
        layer, slope, stds = moved[0]
        last, steepest, _ = max(moved, key=lambda each: abs(each[1]))
        rest = f", {last.name} as {scaling.argument}^{steepest:.2g}" if last is not layer else ""
        yield self.at(
            culprit(layer),
            f"the output of {layer.name} {'grows' if slope > 0 else 'shrinks'} as {scaling.argument}^{slope:.2g}: std "
            f"{stds[0]:.2g} at {scaling.widths[0]}, {stds[-1]:.2g} at {scaling.widths[-1]}; {len(moved)} of "
            f"{len(scaling.layers)} layers do{rest}",
            help="let the std follow the fan-in: nn.init.kaiming_normal_, nn.init.xavier_normal_ or std=fan_in**-0.5",
            evidence={"exponent": slope, "widths": list(scaling.widths), "stds": list(stds), "layers": len(moved)},
            layer=layer,
        )
