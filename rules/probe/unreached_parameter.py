"""INI711 unreached-parameter."""

from collections.abc import Iterator

from initlint.facts import Layer
from initlint.findings import Finding, Severity
from initlint.rule import PROBE, Bad, Good, Rule

_LOSSES = {"model": "the model's own loss", "target": "a loss on the primary output"}


class UnreachedParameter(Rule):
    """No gradient path leads from the loss to a parameter on this batch.

    ## What it does

    Runs forward and backward on several batches and tells the trainable parameters that no backward gave a gradient.

    ## Why it matters

    A layer that forward forgot keeps its initial values for ever, and DistributedDataParallel stops with an error at
    the second step ([torch
    DDP](https://docs.pytorch.org/docs/stable/generated/torch.nn.parallel.DistributedDataParallel.html),
    `find_unused_parameters`).

    ## Example

        self.unused = nn.Linear(16, 16)      # forward never calls it

    ## Use instead

        self.reserve = nn.Linear(16, 16).requires_grad_(False)

    ## When it is right to do this

    Heads and branches that another batch or task uses, experts that got no token, encoders that only inference runs:
    the batch decides what is reached, so this is advice. A model that returns no loss is given one on its primary
    output; what leads to other outputs alone (boxes beside logits) is not reached then: pass the loss. Frozen
    parameters are left alone.

    ## Fix safety

    No fix: whether to use the layer, freeze it or remove it is for the author to say.
    """

    code, name, severity = "INI711", "unreached-parameter", Severity.ADVICE
    needs = (PROBE,)
    bad = [
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Linear(16, 16)
                    self.unused = nn.Linear(16, 16)  #~

                def forward(self, x):
                    return self.body(x)
            """,
            by=("live",),
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Linear(16, 16)
                    self.aside = nn.Linear(16, 16)  #~
                    self.head = nn.Linear(16, 4)

                def forward(self, x):
                    with torch.no_grad():
                        shift = self.aside(x)
                    return self.head(F.relu(self.body(x) + shift))
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
                    self.body = nn.Linear(16, 16)
                    self.frozen = nn.Linear(16, 16)
                    self.frozen.requires_grad_(False)

                def forward(self, x):
                    return self.body(x)
            """,
            by=("live",),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Linear(16, 16)
                    self.branch = nn.Linear(16, 16)
                    self.gate = nn.Parameter(torch.zeros(1))
                    self.out = nn.Linear(16, 4)
                    nn.init.zeros_(self.out.weight)

                def forward(self, x):
                    x = self.body(x)
                    return self.out(x + self.gate * self.branch(x))
            """,
            by=("live",),
        ),
    ]

    def check_layer(self, layer: Layer) -> Iterator[Finding]:
        trained = [parameter for parameter in layer.parameters if parameter.trainable]
        unreached = [parameter for parameter in trained if not parameter.escape.reached]
        if not unreached:
            return
        whole = len(unreached) == len(trained) and layer.kind != "Module"
        loss = _LOSSES.get(layer.model.probe.loss_kind, "the loss")
        what = layer.name if whole else ", ".join(f"{parameter.name}" for parameter in unreached)
        yield self.at(
            layer,
            f"nothing leads from {loss} to {what} on this batch: no gradient in {unreached[0].escape.steps} backwards",
            help="use it in forward, freeze it with requires_grad_(False), or remove it",
            evidence={"steps": unreached[0].escape.steps},
            parameters=unreached,
        )
