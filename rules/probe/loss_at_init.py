"""INI709 loss-at-init."""

import math
from collections.abc import Iterator

from initlint.facts import Model
from initlint.findings import Finding, Severity
from initlint.rule import EFFECT, PROBE, Bad, Good, Rule
from initlint.theory.chains import culprit, heads, leading_to

_EXCESS = 4.0
"""How far above ln C, in nats, and by which factor as well. Sound image models stand up to 3.3 above it, with random
targets (timm's mnasnet, whose head is drawn by its fan-out: 2.4 times), language models up to 0.6 (measured)."""
_FACTOR = 2.0


class LossAtInit(Rule):
    """The first loss is far above that of a model that knows nothing.

    ## What it does

    Takes the loss of the first pass where it is known to be a mean cross-entropy: the model's own, where that is how
    it was computed, or the one asked for with `--loss`. A model that gives each of C classes the same chance scores
    ln C; more than twice that, and more than 4 above it, is a warning.

    ## Why it matters

    A loss above ln C means confident guesses that are wrong: logits too large. The first hundreds of steps go into
    shrinking them, and tanh or softmax behind them saturates (Karpathy, "A Recipe for Training Neural Networks":
    verify loss @ init). Logits with standard deviation s cost about s^2/2 on top of ln C as long as s is small.

    ## Example

        self.head = nn.Linear(512, 10)
        nn.init.normal_(self.head.weight)            # logits with std 22, loss 30 and not 2.3

    ## Use instead

        nn.init.normal_(self.head.weight, std=0.02)

    ## When it is right to do this

    Other losses have no such bound and are left alone, and so are weights that were trained: name the model without
    them. A prior in the head's bias lowers the loss for the classes it favours; with random targets it costs a little.

    ## Fix safety

    No fix: it measures an effect. Where another rule knows the cause, this is told as that finding's consequence.
    """

    code, name, severity = "INI709", "loss-at-init", Severity.WARNING
    needs = (PROBE,)
    finds = EFFECT
    bad = [
        Bad(
            """
            class Classifier(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Linear(16, 256)
                    self.head = nn.Linear(256, 10)
                    nn.init.normal_(self.head.weight)  #~

                def forward(self, x, labels):
                    logits = self.head(F.layer_norm(self.body(x), (256,)))
                    return {"loss": F.cross_entropy(logits, labels), "logits": logits}

            def build():
                return Classifier(), (torch.randn(64, 16), torch.randint(10, (64,)))
            """,
            by=("live",),
        ),
        Bad(
            """
            class Segmenter(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Conv2d(3, 32, 3, padding=1)
                    self.norm = nn.BatchNorm2d(32)
                    self.head = nn.Conv2d(32, 5, 1)
                    nn.init.normal_(self.head.weight, std=2.0)  #~

                def forward(self, x, labels):
                    logits = self.head(self.norm(self.body(x)))
                    return {"loss": F.cross_entropy(logits, labels), "logits": logits}

            def build():
                return Segmenter(), (torch.randn(8, 3, 8, 8), torch.randint(5, (8, 8, 8)))
            """,
            by=("live",),
        ),
    ]
    good = [
        Good(
            """
            class Classifier(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Linear(16, 256)
                    self.head = nn.Linear(256, 10)

                def forward(self, x, labels):
                    logits = self.head(F.layer_norm(self.body(x), (256,)))
                    return {"loss": F.cross_entropy(logits, labels), "logits": logits}

            def build():
                return Classifier(), (torch.randn(64, 16), torch.randint(10, (64,)))
            """,
            by=("live",),
        ),
        Good(
            """
            class Regressor(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Linear(16, 64)
                    self.head = nn.Linear(64, 10)

                def forward(self, x, target):
                    y = self.head(F.relu(self.body(x)))
                    return {"loss": F.cross_entropy(y, target, reduction="sum") + 100 * F.mse_loss(y, y * 0), "y": y}

            def build():
                return Regressor(), (torch.randn(64, 16), torch.randint(10, (64,)))
            """,
            by=("live",),
        ),
    ]

    def check_model(self, model: Model) -> Iterator[Finding]:
        probe = model.probe
        if probe.classes is None or probe.classes < 2 or not probe.finite:
            return
        uninformed = math.log(probe.classes)
        if probe.loss <= max(_FACTOR * uninformed, uninformed + _EXCESS):
            return
        last = heads(model)
        yield self.at(
            culprit(last[0]) if len(last) == 1 else model,
            f"the first loss of {model.name} is {probe.loss:.3g}, and guessing blindly among {probe.classes} classes "
            f"scores ln {probe.classes} = {uninformed:.3g}",
            help="scale the weights of the layer that gives the logits down, so that they start near zero",
            evidence={"loss": probe.loss, "uninformed": uninformed, "classes": probe.classes, "kind": probe.loss_kind},
            layer=last[0] if len(last) == 1 else None,
            suspects=leading_to(last, model),
        )
