"""INI307 bias-filled-with-std."""

from collections.abc import Iterator

from initlint.facts import MAPS, InitCall, Initializer, Parameter, absent, close, layer_family
from initlint.findings import Finding, Severity
from initlint.rule import PARAMETERS, SOURCE, Bad, Good, Rule

_GUARDS = (0.01, 0.1)
"""Small positive biases that textbooks fill in on purpose, so that every ReLU fires at first."""
_LARGEST = 0.5
"""A bias of 1 is a choice of its own (gates, AlexNet), whatever the weight's std."""


class BiasFilledWithStd(Rule):
    """A bias is filled with the constant that is the weight's standard deviation.

    ## What it does

    Finds biases filled with a constant equal to the standard deviation that the weight beside it is drawn with:
    `constant_(m.bias, std)`, or `constant_(m.bias, 0.02)` next to `normal_(m.weight, std=0.02)`.

    ## Why it matters

    Biases start at zero in the schemes that keep variance ([He et al. 2015](https://arxiv.org/abs/1502.01852),
    section 2.2); the standard deviation of the weight is no value for one. Every unit is shifted by the same amount,
    and in a residual network the shifts add up over the depth. Hiera's port in transformers does so for every Linear
    and, through the same variable, for the norms.

    ## Example

        nn.init.normal_(m.weight, std=0.02)
        nn.init.constant_(m.bias, 0.02)

    ## Use instead

        nn.init.normal_(m.weight, std=0.02)
        nn.init.zeros_(m.bias)

    ## When it is right to do this

    A small positive bias before ReLU keeps units from being dead at first: 0.1 and 0.01 are customary (TensorFlow's
    first tutorials, Stanford's CS231n), often beside weights of the same std. Layers followed by a ReLU are left
    alone, and so are these two values where the nonlinearity is not known.

    ## Fix safety

    No fix: zeros change what the model starts from.
    """

    code, name, severity = "INI307", "bias-filled-with-std", Severity.WARNING
    needs = (SOURCE, PARAMETERS)
    bad = [
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 4))
                    self.apply(self._init_weights)

                def _init_weights(self, m):
                    if isinstance(m, nn.Linear):
                        nn.init.normal_(m.weight, std=0.02)
                        nn.init.constant_(m.bias, 0.02)  #~

                def forward(self, x):
                    return self.body(x)
            """,
            by=("source", "live"),
        ),
        Bad("""
            class Base(nn.Module):
                def _init_weights(self, module):
                    std = self.config.initializer_range
                    if isinstance(module, (nn.Linear, nn.Conv2d)):
                        nn.init.trunc_normal_(module.weight, std=std)
                        if module.bias is not None:
                            nn.init.constant_(module.bias, std)  #~
                    elif isinstance(module, nn.LayerNorm):
                        nn.init.constant_(module.bias, std)  #~
                        nn.init.ones_(module.weight)
            """),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc1 = nn.Linear(16, 32)
                    self.fc2 = nn.Linear(32, 4)
                    self.fc1.weight.data.normal_(0, 0.05)
                    self.fc1.bias.data.fill_(0.05)  #~

                def forward(self, x):
                    return self.fc2(torch.tanh(self.fc1(x)))
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
                    self.body = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
                    nn.init.normal_(self.body[0].weight, std=0.1)
                    nn.init.constant_(self.body[0].bias, 0.1)
                    nn.init.normal_(self.body[2].weight, std=0.02)
                    nn.init.zeros_(self.body[2].bias)

                def forward(self, x):
                    return self.body(x)
            """,
            by=("source", "live"),
        ),
        Good("""
            def weights_init(m):
                if isinstance(m, nn.Linear):
                    nn.init.normal_(m.weight, std=0.01)
                    nn.init.constant_(m.bias, 0.01)
                elif isinstance(m, nn.Conv2d):
                    nn.init.normal_(m.weight, std=0.02)
                    nn.init.zeros_(m.bias)
            """),
        Good(
            """
            class Net(nn.Module):
                def __init__(self, init_std=0.02, init_bias=1.0):
                    super().__init__()
                    self.fc = nn.Linear(16, 32)
                    self.gate = nn.Linear(16, 32)
                    self.head = nn.Linear(32, 4)
                    nn.init.normal_(self.fc.weight, std=init_std)
                    nn.init.normal_(self.fc.bias, std=init_std)
                    nn.init.normal_(self.gate.weight)
                    nn.init.constant_(self.gate.bias, init_bias)

                def forward(self, x):
                    return self.head(torch.tanh(self.fc(x)) * torch.sigmoid(self.gate(x)))
            """,
            by=("source", "live"),
        ),
    ]

    def check_initializer(self, initializer: Initializer) -> Iterator[Finding]:
        """The bias is given the name that a weight is given as its std, or the same literal in one branch."""
        calls = [call for branch in initializer.branches for call in branch.calls]
        names = {call.spellings["std"] for call in calls if "std" in call.spellings}
        for branch in initializer.branches:
            weights = [call for call in branch.calls if "std" in call.arguments]
            for call in branch.calls:
                if call.target.attribute != "bias" or "val" not in call.arguments:
                    continue
                if "val" in call.spellings:
                    if call.spellings["val"] in names:
                        yield self._said(call, call.spellings["val"], "what weights are given as their std")
                elif any(self._same_literal(call, weight) for weight in weights):
                    yield self._said(call, f"{call.arguments['val']:g}", "the std of the weight beside it")

    def _same_literal(self, call: InitCall, weight: InitCall) -> bool:
        value = call.arguments["val"]
        return (
            weight.target.attribute == "weight"
            and "std" not in weight.spellings
            and all(layer_family(kind) in MAPS for kind in weight.target.kinds)
            and 0 < value < _LARGEST
            and value not in _GUARDS
            and close(value, weight.arguments["std"])
        )

    def _said(self, call: InitCall, value: str, what: str) -> Finding:
        return self.at(
            call,
            f"{call.target.text} is filled with {value}, {what}",
            help=f"start biases at zero: nn.init.zeros_({call.target.text})",
        )

    def check_parameter(self, parameter: Parameter) -> Iterator[Finding]:
        if parameter.role != "bias" or parameter.layer.family not in MAPS:
            return
        bias, weight = parameter.last_write, parameter.layer.weight.last_write
        if "framework" in (bias.author, weight.author) or not bias.distribution.is_constant:
            return
        value = bias.distribution.value
        if not 0 < value < _LARGEST or not weight.distribution.is_random or not close(value, weight.distribution.std):
            return
        activation = parameter.layer.activation
        if absent(activation) or activation is None or activation.is_relu_like:
            return
        yield self.at(
            parameter,
            f"{parameter.name} is filled with {value:g}, the std of {parameter.layer.weight.name}",
            help="start biases at zero: nn.init.zeros_(m.bias)",
            evidence={"value": value, "weight_std": weight.distribution.std},
        )
