"""INI513 bias-truthiness."""

from collections.abc import Iterator

from initlint.changes import TestForNone
from initlint.facts import Guard
from initlint.findings import Finding, Severity, safe
from initlint.rule import SOURCE, Bad, Good, Rule


class BiasTruthiness(Rule):
    """`if m.bias:` asks for the truth of a tensor, which has none.

    ## What it does

    Finds tests in code that initialises of the truth of a layer's weight or bias, or of a Parameter: in `if`,
    `while`, `not`, `and` and conditional expressions.

    ## Why it matters

    A tensor of more than one element raises `RuntimeError: Boolean value of Tensor with more than one value is
    ambiguous`. The test was meant for `bias=False`, where the attribute is None; it works for that one case, and for
    a layer of a single unit it asks whether its bias is zero.

    ## Example

        if m.bias:
            nn.init.zeros_(m.bias)

    ## Use instead

        if m.bias is not None:
            nn.init.zeros_(m.bias)

    ## When it is right to do this

    Where the attribute is the flag itself, as in `nn.LSTM(...).bias`, which is a bool. In a `try` whose handler sees
    to the tensor the test works, if in a roundabout way.

    ## Fix safety

    Safe: `is not None` holds where the tensor exists, and nothing that ran before changes.
    """

    code, name, severity = "INI513", "bias-truthiness", Severity.ERROR
    needs = (SOURCE,)
    bad = [
        Bad(
            """
            def init_weights(m):
                if isinstance(m, (nn.Linear, nn.Conv2d)):
                    nn.init.xavier_uniform_(m.weight)
                    if m.bias:  #~
                        nn.init.zeros_(m.bias)
                elif isinstance(m, nn.BatchNorm2d) and m.weight:  #~
                    nn.init.ones_(m.weight)
            """,
            fixed="""
            def init_weights(m):
                if isinstance(m, (nn.Linear, nn.Conv2d)):
                    nn.init.xavier_uniform_(m.weight)
                    if m.bias is not None:
                        nn.init.zeros_(m.bias)
                elif isinstance(m, nn.BatchNorm2d) and m.weight is not None:
                    nn.init.ones_(m.weight)
            """,
        ),
        Bad(
            """
            class Linear(nn.Module):
                def __init__(self, fan_in, fan_out, bias=True):
                    super().__init__()
                    self.weight = nn.Parameter(torch.empty(fan_out, fan_in))
                    self.bias = nn.Parameter(torch.empty(fan_out)) if bias else None
                    self.reset_parameters()

                def reset_parameters(self):
                    nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
                    if self.bias:  #~
                        nn.init.zeros_(self.bias)
            """,
            fixed="""
            class Linear(nn.Module):
                def __init__(self, fan_in, fan_out, bias=True):
                    super().__init__()
                    self.weight = nn.Parameter(torch.empty(fan_out, fan_in))
                    self.bias = nn.Parameter(torch.empty(fan_out)) if bias else None
                    self.reset_parameters()

                def reset_parameters(self):
                    nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
                    if self.bias is not None:
                        nn.init.zeros_(self.bias)
            """,
        ),
    ]
    good = [
        Good("""
            def init_weights(m):
                if isinstance(m, (nn.Linear, nn.Conv2d)):
                    nn.init.xavier_uniform_(m.weight)
                    if m.bias is not None:
                        nn.init.zeros_(m.bias)
                elif isinstance(m, nn.LSTM):
                    nn.init.orthogonal_(m.weight_hh_l0)
                    if m.bias:
                        nn.init.zeros_(m.bias_hh_l0)
            """),
        Good("""
            class Gated(nn.Module):
                def __init__(self, dim, bias=True):
                    super().__init__()
                    self.bias = bias
                    self.gate = nn.Parameter(torch.zeros(1))
                    self.fc = nn.Linear(dim, dim, bias=bias)
                    if self.bias:
                        nn.init.zeros_(self.fc.bias)
                    if self.gate:
                        nn.init.zeros_(self.gate)
            """),
        Good("""
            from layers import Conv2d

            def init_weights(m):
                if isinstance(m, Conv2d) and m.bias:
                    nn.init.zeros_(m.shift)
            """),
        Good("""
            class Block(nn.Module):
                def __init__(self, bias=True):
                    super().__init__()
                    self.bias = bias

            class Linear(nn.Module):
                def __init__(self, bias=True):
                    super().__init__()
                    self.bias = bias

            def init_weights(m, bias):
                if isinstance(m, (Block, Linear)):
                    if m.bias:
                        nn.init.zeros_(m.weight)
                elif m.__class__.__name__.find("Linear") != -1:
                    try:
                        if m.bias:
                            nn.init.zeros_(m.bias)
                    except RuntimeError:
                        nn.init.zeros_(m.bias)
                if bias:
                    nn.init.zeros_(bias)
                if hasattr(m, "bias") and m.bias:
                    nn.init.zeros_(m.bias)
            """),
    ]

    def check_guard(self, guard: Guard) -> Iterator[Finding]:
        if guard.form == "truth" and guard.several and not guard.caught:
            yield self.at(
                guard,
                f"the truth of the tensor {guard.text} is tested: it raises for more than one element",
                help=f"write {guard.text} is not None",
                fix=safe(TestForNone(guard.location)),
            )
