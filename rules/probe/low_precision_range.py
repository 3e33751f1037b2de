"""INI712 low-precision-range."""

from collections.abc import Iterator

from initlint.facts import Layer
from initlint.findings import Finding, Severity
from initlint.rule import EFFECT, PROBE, Bad, Good, Rule
from initlint.theory.chains import culprit, leading_to
from initlint.theory.headroom import outside


def _net(how: str) -> str:
    return f"""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.first = nn.Linear(64, 64)
                self.wide = nn.Linear(64, 64)
                self.norm = nn.LayerNorm(64)
                self.out = nn.Linear(64, 4)
                {how}

            def forward(self, x):
                x = F.relu(self.first(x))
                return self.out(self.norm(x + self.wide(x)))
        """


class LowPrecisionRange(Rule):
    """Activations or gradients do not fit into the number format asked for with --dtype.

    ## What it does

    With `--dtype fp16`, `bf16`, `fp8` or `fp32` it looks at what one pass in the model's own dtype gives at the output
    of every layer: values beyond half of what the format holds, or most of them under its smallest normal number,
    below which digits are lost. fp8 means e4m3 for activations and e5m2 for gradients. Gradients in fp16 and fp8 are
    taken times the loss scale that suits them best, as `torch.amp.GradScaler` would find it, and told only where most
    of them come out as 0 even so. A sample of the values is looked at; nothing runs in the format itself, so no
    hardware is needed.

    ## Why it matters

    fp16 ends at 65504 and is normal down to 6.1e-5, e4m3 at 448 and 0.016, e5m2 at 57344 and 6.1e-5: a sum that goes
    beyond is infinite, and what falls below is rounded off and then 0 (Micikevicius et al. 2018, arXiv 1710.03740, and
    2022, arXiv 2209.05433). A norm behind the layer hides it in float32, and not in fp16.

    ## Example

        nn.init.normal_(self.wide.weight, std=2000.0)    # a norm follows, and float32 never minds

    ## Use instead

        nn.init.xavier_normal_(self.wide.weight)

    ## When it is right to do this

    A layer that autocast leaves in float32 may go further. Kernels that scale each tensor of fp8 by its largest value
    hold any scale of activations: what is told for fp8 is a cast without a scale.

    ## Fix safety

    No fix: it measures an effect. Where another rule knows the cause, this is told as that finding's consequence.
    """

    code, name, severity = "INI712", "low-precision-range", Severity.WARNING
    needs = (PROBE,)
    finds = EFFECT
    bad = [
        Bad(_net("nn.init.normal_(self.wide.weight, std=2e4)  #~"), by=("live",)),
        Bad(_net("self.wide.weight.data.mul_(1e-6); self.wide.bias.data.zero_()  #~"), by=("live",)),
    ]
    good = [
        Good(_net("nn.init.xavier_normal_(self.wide.weight)"), by=("live",)),
        Good(
            """
            class Block(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.norm = nn.LayerNorm(64)
                    self.up = nn.Linear(64, 128)
                    self.down = nn.Linear(128, 64)
                    self.scale = nn.Parameter(torch.full((64,), 1e-6))
                    nn.init.zeros_(self.down.bias)

                def forward(self, x):
                    return x + self.scale * self.down(F.gelu(self.up(self.norm(x))))

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.blocks = nn.Sequential(*[Block() for _ in range(4)])
                    self.head = nn.Linear(64, 10)
                    nn.init.zeros_(self.head.weight)

                def forward(self, x):
                    return self.head(self.blocks(x))
            """,
            by=("live",),
        ),
    ]

    def check_layer(self, layer: Layer) -> Iterator[Finding]:
        misfit = outside(layer)
        if misfit is None:
            return
        dtype = layer.model.probe.judged_dtype
        what = f"the gradients at {layer.name}" if misfit.gradient else f"the activations of {layer.name}"
        if misfit.over:
            told = f"reach {misfit.value:.2g}, beyond half of what {dtype} holds ({misfit.limit:.3g})"
        else:
            lost = "holds nothing" if misfit.gradient else "loses digits"
            told = f"are {misfit.value:.2g} in the median, and below {misfit.limit:.2g} {dtype} {lost}"
        yield self.at(
            culprit(layer),
            f"{what} {told}",
            help="rescale the weights of this layer and those before it, or keep it in float32",
            evidence={"dtype": dtype, "value": misfit.value, "limit": misfit.limit},
            layer=layer,
            suspects=leading_to([layer], layer.model),
        )
