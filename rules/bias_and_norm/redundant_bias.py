"""INI306 redundant-bias."""

from collections.abc import Iterator

from initlint.facts import Layer, absent
from initlint.findings import Finding, Severity
from initlint.rule import GRAPH, SOURCE, Bad, Good, Rule

_EITHER = ("BatchNorm", "InstanceNorm", "batch_norm", "instance_norm")
_REMOVES = {"linear": ("BatchNorm", "batch_norm"), "convolution": _EITHER, "transposed": _EITHER}
"""Norms that subtract each channel's own mean; LayerNorm and GroupNorm subtract one that channels share, and so does
InstanceNorm behind a Linear, whose features come last, where an instance's positions are."""


class RedundantBias(Rule):
    """A layer's bias is followed right away by a norm that subtracts it again.

    ## What it does

    Finds convolutions with a bias whose output goes into BatchNorm or InstanceNorm and nowhere else, and Linear layers
    whose output goes into BatchNorm.

    ## Why it matters

    The norm subtracts each channel's mean, the bias with it
    ([Ioffe & Szegedy 2015](https://arxiv.org/abs/1502.03167), section 3.2). The bias has no effect, gets no gradient
    but rounding, and is moved by weight decay and noise; it costs memory and a kernel.

    ## Example

        nn.Sequential(nn.Conv2d(3, 64, 3), nn.BatchNorm2d(64), nn.ReLU())

    ## Use instead

        nn.Sequential(nn.Conv2d(3, 64, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU())

    ## When it is right to do this

    Before LayerNorm, GroupNorm and RMSNorm, which leave differences between channels, and before an InstanceNorm that
    takes the features of a Linear for positions; where the output goes elsewhere too; to load a checkpoint that has
    the bias. Nothing breaks with it, so this is advice.

    ## Fix safety

    No fix: without the bias, checkpoints that have it no longer load.
    """

    code, name, severity = "INI306", "redundant-bias", Severity.ADVICE
    needs = (SOURCE, GRAPH)
    bad = [
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.conv = nn.Conv2d(3, 16, 3)  #~
                    self.norm = nn.BatchNorm2d(16)
                    self.head = nn.Linear(16, 4)

                def forward(self, x):
                    return self.head(F.relu(self.norm(self.conv(x))).mean((2, 3)))
            """,
            by=("source", "live"),
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self, width=32):
                    super().__init__()
                    self.body = nn.Sequential(
                        nn.Linear(16, width),  #~
                        nn.BatchNorm1d(width),
                        nn.ReLU(),
                        nn.Linear(width, 4),
                    )

                def forward(self, x):
                    return self.body(x)
            """,
            by=("source", "live"),
        ),
    ]
    good = [
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.conv = nn.Conv2d(3, 16, 3, bias=False)
                    self.norm = nn.BatchNorm2d(16)
                    self.mix = nn.Conv2d(16, 16, 1)
                    self.groups = nn.GroupNorm(4, 16)
                    self.fc = nn.Linear(16, 16)
                    self.layer = nn.LayerNorm(16)
                    self.bottleneck = nn.Linear(16, 8)
                    self.instance = nn.InstanceNorm1d(8)
                    self.head = nn.Linear(8, 4)

                def forward(self, x):
                    x = self.groups(self.mix(F.relu(self.norm(self.conv(x)))))
                    x = self.layer(self.fc(x.flatten(2).transpose(1, 2)))
                    return self.head(self.instance(self.bottleneck(x)))
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.conv = nn.Conv2d(3, 16, 3, padding=1)
                    self.skip = nn.Conv2d(3, 16, 1)
                    self.norm = nn.BatchNorm2d(16)
                    self.last = nn.Conv2d(16, 16, 1)

                def forward(self, x):
                    y = self.skip(x)
                    return self.last(F.relu(self.norm(F.relu(self.conv(x))))) + self.norm(y) + y
            """,
            by=("source", "live"),
        ),
    ]

    def check_layer(self, layer: Layer) -> Iterator[Finding]:
        bias = layer.bias
        removes = _REMOVES.get(layer.family, ())
        if not removes or absent(bias) or bias is None or not bias.trainable or not layer.consumers:
            return
        if all(
            consumer.kind == "norm" and any(name in consumer.name for name in removes) for consumer in layer.consumers
        ):
            yield self.at(
                bias,
                f"{bias.name} is subtracted again by the norm that follows, which takes each channel's mean away",
                help="make the layer with bias=False",
            )
