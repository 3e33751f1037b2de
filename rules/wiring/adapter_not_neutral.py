"""INI415 adapter-not-neutral."""

import re
from collections.abc import Iterator

from initlint.facts import ClassFacts, InitCall, Model, Parameter
from initlint.findings import Finding, Severity
from initlint.regex import pattern
from initlint.rule import PARAMETERS, SOURCE, Bad, Good, Rule

_FACTOR = pattern(r"(.*lora)_?(up|down|a|b)(?![a-z])(.*)", re.DOTALL)
_BARE = pattern(r"()(up|down|a|b)((?:\.weight)?)")
_GATE = pattern(r"scal|alpha|gate|gamma", re.IGNORECASE)


class AdapterNotNeutral(Rule):
    """Both factors of a low-rank adapter are random, so that it changes the pretrained model before any step.

    ## What it does

    Finds LoRA modules (by the names of their factors: `lora_A` and `lora_B`, `lora_down` and `lora_up`, or `A` and `B`
    in a class called so) whose last factor is drawn at random like the first.

    ## Why it matters

    The adapted weight is W + BA; with B = 0 training starts from the pretrained function
    ([Hu et al. 2021](https://arxiv.org/abs/2106.09685), section 4.1). With both random, noise is added to every layer
    at step 0, and the adapter first has to unlearn it.

    ## Example

        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))
        nn.init.kaiming_uniform_(self.lora_B, a=math.sqrt(5))

    ## Use instead

        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))
        nn.init.zeros_(self.lora_B)

    ## When it is right to do this

    Where one of the two is zero, or a scale that starts at zero merges the adapter.

    ## Fix safety

    No fix: which factor should be zero follows from how the two are used.
    """

    code, name, severity = "INI415", "adapter-not-neutral", Severity.WARNING
    needs = (SOURCE, PARAMETERS)
    bad = [
        Bad("""
            class LoRALinear(nn.Module):
                def __init__(self, base, rank=4, train=False):
                    super().__init__()
                    self.base = base
                    self.lora_A = self.lora_B = None
                    if train:
                        self.lora_A = nn.Parameter(torch.zeros(rank, base.in_features))
                        self.lora_B = nn.Parameter(torch.zeros(base.out_features, rank))
                        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))
                        nn.init.kaiming_uniform_(self.lora_B, a=math.sqrt(5))  #~

                def forward(self, x):
                    return self.base(x) + x @ self.lora_A.T @ self.lora_B.T
            """),
        Bad(
            """
            class Lora(nn.Module):
                def __init__(self, width, out, rank=8):
                    super().__init__()
                    self.A = nn.Parameter(torch.randn(width, rank))
                    self.B = nn.Parameter(torch.randn(rank, out))  #~

                def forward(self, x):
                    return x @ (self.A @ self.B)

            class Attention(nn.Module):
                def __init__(self, width=32, rank=4):
                    super().__init__()
                    self.query = nn.Linear(width, width)
                    self.query_lora_down = nn.Linear(width, rank, bias=False)
                    self.query_lora_up = nn.Linear(rank, width, bias=False)  #~

                def forward(self, x):
                    return self.query(x) + self.query_lora_up(self.query_lora_down(x))
            """
        ),
        Bad(
            """
            class LoRALinear(nn.Module):
                def __init__(self, base, rank=4):
                    super().__init__()
                    self.base = base.requires_grad_(False)
                    self.lora_A = nn.Parameter(torch.empty(rank, base.in_features))
                    self.lora_B = nn.Parameter(torch.empty(base.out_features, rank))
                    nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))
                    nn.init.kaiming_uniform_(self.lora_B, a=math.sqrt(5))  #~

                def forward(self, x):
                    return self.base(x) + x @ self.lora_A.T @ self.lora_B.T

            def build():
                return nn.Sequential(LoRALinear(nn.Linear(32, 64)), nn.ReLU(), LoRALinear(nn.Linear(64, 8)))
            """,
            by=("live",),
        ),
    ]
    good = [
        Good("""
            class LoRALinear(nn.Module):
                def __init__(self, base, rank=4, train=False):
                    super().__init__()
                    self.base = base
                    self.down = nn.Linear(base.in_features, rank, bias=False)
                    self.up = nn.Linear(rank, base.out_features, bias=False)
                    nn.init.zeros_(self.up.weight)
                    if train:
                        self.lora_A = nn.Parameter(torch.zeros(rank, base.in_features))
                        self.lora_B = nn.Parameter(torch.zeros(base.out_features, rank))
                        self.reset_parameters()

                def reset_parameters(self):
                    nn.init.zeros_(self.lora_A)
                    nn.init.normal_(self.lora_B)

            class Lora(nn.Module):
                def __init__(self, width, out, rank=8):
                    super().__init__()
                    self.A = nn.Parameter(torch.randn(width, rank))
                    self.B = nn.Parameter(torch.zeros(rank, out))
            """),
        Good("""
            class LoraGated(nn.Module):
                def __init__(self, width, out, rank=8):
                    super().__init__()
                    self.lora_A = nn.Parameter(torch.randn(width, rank))
                    self.lora_B = nn.Parameter(torch.randn(rank, out))
                    self.scale = nn.Parameter(torch.zeros(1))

                def forward(self, x):
                    return x @ self.lora_A @ self.lora_B * self.scale

            class Factorized(nn.Module):
                def __init__(self, width, rank=8):
                    super().__init__()
                    self.A = nn.Parameter(torch.randn(width, rank))
                    self.B = nn.Parameter(torch.randn(rank, width))
                    self.labels_a = nn.Linear(width, width)
                    self.labels_b = nn.Linear(width, width)
            """),
        Good(
            """
            class LoRALinear(nn.Module):
                def __init__(self, base, rank=4):
                    super().__init__()
                    self.base = base.requires_grad_(False)
                    self.lora_A = nn.Parameter(torch.randn(rank, base.in_features) / base.in_features**0.5)
                    self.lora_B = nn.Parameter(torch.zeros(base.out_features, rank))

                def forward(self, x):
                    return self.base(x) + x @ self.lora_A.T @ self.lora_B.T

            class Factorized(nn.Module):
                def __init__(self, width=32, rank=8):
                    super().__init__()
                    self.A = nn.Parameter(torch.randn(width, rank) / width**0.5)
                    self.B = nn.Parameter(torch.randn(rank, width) / rank**0.5)

                def forward(self, x):
                    return x @ self.A @ self.B

            def build():
                return nn.Sequential(LoRALinear(nn.Linear(32, 32)), Factorized())
            """,
            by=("live",),
        ),
    ]

    def check_model(self, model: Model) -> Iterator[Finding]:
        parameters = [p for p in model.parameters if not p.is_bias and not p.is_buffer]
        factors: dict[tuple[str, str], dict[bool, Parameter]] = {}
        for parameter in parameters:
            found = _FACTOR.fullmatch(parameter.name.lower())
            if found is None and "lora" in model.class_name.lower():
                found = _BARE.fullmatch(parameter.name.lower())
            if found is not None:
                factors.setdefault((found[1], found[3]), {})[_is_last(found[2])] = parameter
        pairs = [pair for pair in factors.values() if len(pair) == 2]
        if not pairs or _starts_shut(model):
            return
        for pair in pairs:
            if pair[True].distribution.is_random and pair[False].distribution.is_random:
                yield self._finding(pair[True], pair[True].name, pair[False].name)

    def check_klass(self, klass: ClassFacts) -> Iterator[Finding]:
        factors: dict[bool, list[InitCall]] = {True: [], False: []}
        for call in klass.calls:
            found = _FACTOR.fullmatch(call.target.text.lower())
            if found is not None:
                factors[_is_last(found[2])].append(call)
        last, first = factors[True], factors[False]
        if not last or not first or _starts_shut(klass.model):
            return
        if all(call.distribution.is_random for call in (*last, *first)):
            yield self._finding(last[-1], last[-1].target.text, first[-1].target.text)

    def _finding(self, where: Parameter | InitCall, last: str, first: str) -> Finding:
        return self.at(
            where,
            f"{last} is random and so is {first}: the adapter changes what the model computes from the start",
            help=f"let it start as nothing: nn.init.zeros_({last})",
        )


def _starts_shut(model: Model) -> bool:
    """Whether a learned scale is zero at first."""
    return any(_GATE.search(p.name) and p.distribution.is_zero for p in model.parameters)


def _is_last(end: str) -> bool:
    return end in ("up", "b")
