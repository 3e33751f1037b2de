"""INI305 norm-scale-off."""

from collections.abc import Iterator

from initlint.changes import SplitBranch, WriteBy
from initlint.facts import Distribution, InitCall, Layer, Parameter, known, layer_family
from initlint.findings import Finding, Fix, Severity, unsafe
from initlint.rule import PARAMETERS, SOURCE, Bad, Good, Rule


class NormScaleOff(Rule):
    """The scale of a norm is drawn around 0, as if it were a weight matrix, or is 0 where nothing adds to it.

    ## What it does

    Finds weights of BatchNorm, LayerNorm, GroupNorm and RMSNorm drawn from N(0, 0.02), U(0, 1) or a fan scheme,
    usually by a branch that lists the norm beside Linear or Conv, and scales of constant 0 that training cannot
    leave, as the escape test shows.

    ## Why it matters

    A norm multiplies the normalised signal by its scale. At 0.02 the signal shrinks fifty-fold, once per norm; in
    transformers 5.23 a shared branch does this to BatchNorm2d, and the last layer of EfficientNet sees a signal of
    6e-31 instead of 0.19. Half of the channels are turned around as well.

    ## Example

        if isinstance(m, (nn.Linear, nn.Conv2d, nn.BatchNorm2d)):
            m.weight.data.normal_(0.0, 0.02)

    ## Use instead

        if isinstance(m, (nn.Linear, nn.Conv2d)):
            m.weight.data.normal_(0.0, 0.02)
        elif isinstance(m, nn.BatchNorm2d):
            nn.init.ones_(m.weight)
            nn.init.zeros_(m.bias)

    ## When it is right to do this

    N(1, 0.02) is a scale (DCGAN), and so is N(0.1, 0.1), which is positive on average (RepVGG's parallel branches).
    Constant 0 is right for the last norm of a residual branch (Goyal et al. 2017, arXiv 1706.02677), and for norms
    that multiply by 1 + weight. A model that is only evaluated may hold anything: code that compares two forms of it
    after `eval()` gives norms scales that tell them apart.

    ## Fix safety

    Unsafe: norms get a branch of their own, which does the same but for the scale, and there `ones_` takes the place of
    the draw. What the norms hold changes, which is the purpose; scales that were trained so are another model's.
    """

    code, name, severity = "INI305", "norm-scale-off", Severity.WARNING
    highest = Severity.ERROR
    needs = (SOURCE, PARAMETERS)
    bad = [
        Bad(
            """
            from transformers import PreTrainedModel

            class Segmenter(PreTrainedModel):
                def __init__(self, config):
                    super().__init__(config)
                    self.stem = nn.Sequential(nn.Conv2d(3, config.hidden_size, 3), nn.BatchNorm2d(config.hidden_size))
                    self.post_init()

                def _init_weights(self, module):
                    if isinstance(module, (nn.Conv2d, nn.BatchNorm2d)):
                        module.weight.data.normal_(0.0, self.config.std)  #~
            """,
            fixed="""
            from transformers import PreTrainedModel

            class Segmenter(PreTrainedModel):
                def __init__(self, config):
                    super().__init__(config)
                    self.stem = nn.Sequential(nn.Conv2d(3, config.hidden_size, 3), nn.BatchNorm2d(config.hidden_size))
                    self.post_init()

                def _init_weights(self, module):
                    if isinstance(module, nn.Conv2d):
                        module.weight.data.normal_(0.0, self.config.std)
                    elif isinstance(module, nn.BatchNorm2d):
                        nn.init.ones_(module.weight)
            """,
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Sequential(
                        nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
                        nn.Conv2d(32, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
                    )
                    self.apply(self._init_weights)

                def _init_weights(self, m):
                    if isinstance(m, (nn.Conv2d, nn.BatchNorm2d)):
                        m.weight.data.normal_(0.0, 0.02)  #~
                        m.bias.data.zero_()

                def forward(self, x):
                    return self.body(x)
            """,
            by=("source", "live"),
            fixed="""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Sequential(
                        nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
                        nn.Conv2d(32, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
                    )
                    self.apply(self._init_weights)

                def _init_weights(self, m):
                    if isinstance(m, nn.Conv2d):
                        m.weight.data.normal_(0.0, 0.02)
                        m.bias.data.zero_()
                    elif isinstance(m, nn.BatchNorm2d):
                        nn.init.ones_(m.weight)
                        m.bias.data.zero_()

                def forward(self, x):
                    return self.body(x)
            """,
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.conv = nn.Conv2d(3, 8, 3, padding=1)
                    self.bn = nn.BatchNorm2d(8)
                    self.out = nn.Conv2d(8, 8, 3, padding=1)
                    nn.init.zeros_(self.bn.weight)  #~

                def forward(self, x):
                    return self.out(F.relu(self.bn(self.conv(x))))
            """,
            by=("live",),
        ),
        Bad(
            """
            def weights_init(m):
                if isinstance(m, nn.LayerNorm):
                    nn.init.uniform_(m.weight)  #~
            """,
            fixed="""
            def weights_init(m):
                if isinstance(m, nn.LayerNorm):
                    nn.init.ones_(m.weight)
            """,
        ),
    ]
    good = [
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU())
                    self.apply(self._init_weights)

                def _init_weights(self, m):
                    if isinstance(m, nn.Conv2d):
                        m.weight.data.normal_(0.0, 0.02)
                    elif isinstance(m, nn.BatchNorm2d):
                        m.weight.data.normal_(1.0, 0.02)
                        m.bias.data.zero_()

                def forward(self, x):
                    return self.body(x)
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Block(nn.Module):
                def __init__(self, dim=16):
                    super().__init__()
                    self.conv1 = nn.Conv2d(dim, dim, 3, padding=1)
                    self.bn1 = nn.BatchNorm2d(dim)
                    self.conv2 = nn.Conv2d(dim, dim, 3, padding=1)
                    self.bn2 = nn.BatchNorm2d(dim)
                    nn.init.zeros_(self.bn2.weight)

                def forward(self, x):
                    out = F.relu(self.bn1(self.conv1(x)))
                    return F.relu(x + self.bn2(self.conv2(out)))
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class ShiftedNorm(nn.Module):
                def __init__(self, dim=16):
                    super().__init__()
                    self.weight = nn.Parameter(torch.zeros(dim))
                    self.fc = nn.Linear(dim, dim)

                def forward(self, x):
                    x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)
                    return self.fc(x * (1 + self.weight))
            """,
            by=("source", "live"),
        ),
        Good("""
            from transformers import AutoBackbone, PreTrainedModel

            class Segmenter(PreTrainedModel):
                def __init__(self, config):
                    super().__init__(config)
                    self.backbone = AutoBackbone.from_config(config.backbone)  # whose norms its own _init_weights sets
                    self.head = nn.Linear(config.hidden_size, config.num_labels)
                    self.post_init()

                def _init_weights(self, module):
                    if isinstance(module, nn.Linear):
                        module.weight.data.normal_(0.0, self.config.std)
                    elif isinstance(module, nn.BatchNorm2d):
                        module.weight.data.normal_(0.0, self.config.std)
            """),
        Good("""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.conv = nn.Conv2d(3, 8, 3)
                    self.bn = nn.BatchNorm2d(8)

                def forward(self, x):
                    return self.bn(self.conv(x))

            if __name__ == "__main__":
                net = Net()
                x = torch.randn(1, 3, 8, 8)
                net.eval()
                for module in net.modules():
                    if isinstance(module, nn.BatchNorm2d):
                        nn.init.uniform_(module.running_var, 0, 0.1)
                        nn.init.uniform_(module.weight, 0, 0.1)
                before = net(x)
                net.fuse()
                print(((net(x) - before) ** 2).sum())
            """),
    ]

    def check_call(self, call: InitCall) -> Iterator[Finding]:
        norms = [kind for kind in call.target.held if layer_family(kind) == "norm"]
        off = norms and call.target.attribute == "weight" and self._is_off(call.distribution)
        if off and not call.evaluated:
            yield self.at(
                call,
                f"{call.written} draws the scale of {', '.join(norms)} {self._around(call.distribution)}",
                help="give norms a branch of their own: nn.init.ones_(m.weight), nn.init.zeros_(m.bias)",
                evidence={"mean": call.distribution.mean, "std": call.distribution.std},
                fix=self._fix(call, norms),
            )

    def _fix(self, call: InitCall, norms: list[str]) -> Fix:
        home = call.function.rpartition(".")[0]
        ones = f"{home if home == 'transformers.initialization' else 'torch.nn.init'}.ones_"
        alone = len(norms) == len(call.target.kinds)
        return unsafe(WriteBy(call.location, ones) if alone else SplitBranch(call.location, tuple(norms), ones))

    def check_parameter(self, parameter: Parameter) -> Iterator[Finding]:
        if parameter.role != "norm_scale" or not parameter.trainable:
            return
        law = parameter.distribution
        if self._is_off(law):
            what = f"is drawn {self._around(law)}"
        elif law.is_zero and parameter.escape.stuck:
            what = f"is 0, and got no gradient in {parameter.escape.steps} training steps"
        else:
            return
        yield self.at(
            parameter,
            f"{parameter.name}, the scale of {parameter.layer.class_name}, {what}{self._signal(parameter.layer)}",
            help="give norms a branch of their own: nn.init.ones_(m.weight), nn.init.zeros_(m.bias)",
            evidence={"mean": law.mean, "std": law.std},
        )

    def _signal(self, layer: Layer) -> str:
        """What the probe measured behind the norm, where there was one."""
        return f": signal std behind it is {layer.probe.forward_std:.2g}" if known(layer.probe) else ""

    def _is_off(self, law: Distribution) -> bool:
        if not law.is_random:
            return False
        if law.mean == 0:
            return True
        one_sided = law.family == "uniform" and law.low >= 0
        return law.mean < 0.6 if one_sided else abs(law.mean) < 0.5 * law.std

    def _around(self, law: Distribution) -> str:
        return f"around {law.mean:.2g}{f' with std {law.std:.2g}' if known(law.std) else ''} instead of 1"
