"""INI408 layer-not-covered."""

from collections.abc import Iterator

from initlint.facts import Application, Layer, Model, layer_family
from initlint.findings import Finding, Related, Severity
from initlint.rule import PARAMETERS, SOURCE, Bad, Good, Rule

_FAMILIES = {"convolution": "convolutions", "transposed": "convolutions", "linear": "linear", "bilinear": "linear"}
"""Families of layers of which one initialiser is surely meant to treat all."""


class LayerNotCovered(Rule):
    """An initialiser handles some kinds of layer, and the model has close relatives that it leaves out.

    ## What it does

    Finds models in which `apply` or a loop over modules draws convolutions of one kind (or linear layers) and leaves
    others, such as `ConvTranspose2d`, `Conv1d` or `Bilinear`, at torch's default, where nothing else writes them.

    ## Why it matters

    `isinstance(m, nn.Conv2d)` does not hold for `nn.ConvTranspose2d`: the two are siblings, both derived from
    [_ConvNd](https://github.com/pytorch/pytorch/blob/main/torch/nn/modules/conv.py). Half of a decoder keeps another
    scale than the scheme that was meant for all of it.

    ## Example

        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight)

    ## Use instead

        for m in self.modules():
            if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.kaiming_normal_(m.weight)

    ## When it is right to do this

    Where torch's default is what these layers are to have, or a statement of their own sets them.

    ## Fix safety

    No fix: the layers would be drawn from another distribution.
    """

    code, name, severity = "INI408", "layer-not-covered", Severity.ADVICE
    needs = (SOURCE, PARAMETERS)
    bad = [
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.down = nn.Conv2d(3, 8, 3, 2)
                    self.up = nn.ConvTranspose2d(8, 3, 3, 2)
                    self.apply(self._init_weights)  #~

                def _init_weights(self, m):
                    if isinstance(m, nn.Conv2d):
                        nn.init.kaiming_normal_(m.weight)

                def forward(self, x):
                    return self.up(F.relu(self.down(x)))
            """,
            by=("source", "live"),
        ),
        Bad("""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(8, 8)
                    self.pair = nn.Bilinear(8, 8, 4)
                    for m in self.modules():  #~
                        if isinstance(m, nn.Linear):
                            nn.init.xavier_uniform_(m.weight)

                def forward(self, x):
                    return self.pair(x, self.fc(x))
            """),
    ]
    good = [
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.down = nn.Conv2d(3, 8, 3, 2)
                    self.up = nn.ConvTranspose2d(8, 3, 3, 2)
                    self.norm = nn.BatchNorm2d(3)
                    self.apply(self._init_weights)

                def _init_weights(self, m):
                    if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d)):
                        nn.init.kaiming_normal_(m.weight)

                def forward(self, x):
                    return self.norm(self.up(F.relu(self.down(x))))
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(8, 8)
                    self.pair = nn.Bilinear(8, 8, 4)
                    self.tail = nn.Sequential(nn.Linear(4, 4))
                    self.tail.apply(self._init_weights)
                    nn.init.orthogonal_(self.pair.weight)

                def _init_weights(self, m):
                    if isinstance(m, nn.Linear):
                        nn.init.xavier_uniform_(m.weight)

                def forward(self, x):
                    return self.tail(self.pair(x, self.fc(x)))
            """,
            by=("source", "live"),
        ),
    ]

    def check_model(self, model: Model) -> Iterator[Finding]:
        for run in model.applications:
            left = [layer for layer in model.layers if self._leaves(run, layer)]
            if left:
                kinds = " and ".join(dict.fromkeys(f"{layer.kind}" for layer in left))
                yield self.at(
                    run,
                    f"{run.initializer} draws {' and '.join(run.kinds)} and leaves {kinds} at torch's default: "
                    f"{', '.join(f'{layer.name}' for layer in left[:3])}{', …' if len(left) > 3 else ''}",
                    help=f"name {kinds} in the test too",
                    parameters=[layer.weight for layer in left],
                    layer=left[0],
                    related=[Related(one.location, "left out") for one in left[:3] if one.location is not None],
                )

    def _leaves(self, run: Application, layer: Layer) -> bool:
        """Made before the run and below its root, close to what is drawn, and written by nobody."""
        family = _FAMILIES.get(layer.family)
        return (
            family is not None
            and layer.kind not in run.kinds
            and any(family == _FAMILIES.get(layer_family(kind)) for kind in run.kinds)
            and layer.order < run.order
            and run.holds(layer.name)
            and all(write.author == "framework" for write in layer.weight.writes)
        )
