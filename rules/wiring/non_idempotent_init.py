"""INI417 non-idempotent-init."""

from collections.abc import Iterator

from initlint.facts import Initializer
from initlint.findings import Finding, Severity
from initlint.rule import SOURCE, Bad, Good, Rule


class NonIdempotentInit(Rule):
    """An initialiser that may be called twice scales what it finds.

    ## What it does

    Finds `weight *= scale`, `weight.mul_(scale)` and divisions in `_init_weights` of a transformers model and in
    `reset_parameters`, where the same function has not drawn the values anew before.

    ## Why it matters

    Frameworks call these functions again: transformers when weights are missing from a checkpoint, PyTorch when a
    model is moved from the meta device
    ([skip_init](https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.skip_init.html)),
    users between folds. Each call scales the weights once more: what a model starts from depends on how it was built.

    ## Example

        def _init_weights(self, module):
            if isinstance(module, nn.Linear):
                module.weight.data *= self.config.scale

    ## Use instead

        def _init_weights(self, module):
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=self.config.scale * self.config.initializer_range)

    ## When it is right to do this

    When the function draws the values itself before it scales them, by a call of its own or of its base.

    ## Fix safety

    No fix: what is to be scaled has to be drawn first, and from which distribution is for the author to say.
    """

    code, name, severity = "INI417", "non-idempotent-init", Severity.ADVICE
    needs = (SOURCE,)
    bad = [
        Bad("""
            from transformers import PreTrainedModel

            class NetPreTrainedModel(PreTrainedModel):
                def _init_weights(self, module):
                    if isinstance(module, nn.Linear):
                        module.weight.data *= 0.5  #~
                    for name, p in module.named_parameters():
                        if name == "out_proj.weight":
                            with torch.no_grad():
                                p /= math.sqrt(self.config.num_layers)  #~
            """),
        Bad("""
            class Scaled(nn.Linear):
                def reset_parameters(self):
                    with torch.no_grad():
                        self.weight.mul_(0.1)  #~
                        nn.init.zeros_(self.bias)
            """),
    ]
    good = [
        Good("""
            from transformers import PreTrainedModel

            class NetPreTrainedModel(PreTrainedModel):
                def _init_weights(self, module):
                    std = self.config.initializer_range
                    std *= 2
                    if isinstance(module, nn.Linear):
                        nn.init.normal_(module.weight, std=std)
                        module.weight.data *= 0.5
                    for name, p in module.named_parameters():
                        if name == "out_proj.weight":
                            nn.init.kaiming_uniform_(p, a=math.sqrt(5))
                            with torch.no_grad():
                                p /= math.sqrt(self.config.num_layers)
            """),
        Good("""
            class Scaled(nn.Linear):
                def reset_parameters(self):
                    super().reset_parameters()
                    with torch.no_grad():
                        self.weight.mul_(0.1)

                def scale_once(self):
                    with torch.no_grad():
                        self.weight.mul_(0.1)
            """),
    ]

    def check_initializer(self, initializer: Initializer) -> Iterator[Finding]:
        for change in initializer.rescales:
            if not change.fresh:
                yield self.at(
                    change,
                    f"{initializer.name} scales {change.text} as it finds it, and may be called again: each call "
                    "scales it once more",
                    help="draw the values first, with the scale in the draw",
                )
