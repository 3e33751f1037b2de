"""INI110 low-precision-draw."""

from collections.abc import Iterator

from initlint.facts import Parameter, absent
from initlint.findings import Finding, Severity
from initlint.rule import PARAMETERS, SOURCE, Bad, Good, Rule

_STEPS = {"float16": 2048, "bfloat16": 256}
"""How many values a uniform draw from [0, 1) can take: one in that many is exactly 0."""
_AT_ZERO = ("log", "log2", "log10", "reciprocal", "rsqrt")
_SMALLEST = 2.0**-24
"""The smallest number above zero in float16; bfloat16 reaches as low as float32 does."""


class LowPrecisionDraw(Rule):
    """A draw in float16 or bfloat16 hits exact zeros, or vanishes.

    ## What it does

    Finds the logarithm or the inverse of a uniform draw from 0 upwards that was made in float16 or bfloat16, and draws
    in float16 whose std lies at the smallest number that it can hold.

    ## Why it matters

    A uniform draw has one of 256 values in bfloat16 and of 2048 in float16, and 0 is one of them: the logarithm of
    `torch.empty(n).uniform_(0, 16)` is -inf for 0.2% of the elements in bfloat16 (measured), and the first loss is NaN.
    In float32 zero comes once in 16 million draws. Below 6e-8 float16 holds nothing but 0
    ([torch.finfo](https://docs.pytorch.org/docs/stable/type_info.html)).

    ## Example

        a = torch.empty(heads, dtype=torch.bfloat16).uniform_(0, 16)
        self.a_log = nn.Parameter(torch.log(a))

    ## Use instead

        a = torch.empty(heads, dtype=torch.float32).uniform_(1, 16)
        self.a_log = nn.Parameter(torch.log(a).to(torch.bfloat16))

    ## When it is right to do this

    When drawn in float32 and cast afterwards, or drawn from bounds that keep off zero.

    ## Fix safety

    No fix: which lower bound is right is not known.
    """

    code, name, severity = "INI110", "low-precision-draw", Severity.WARNING
    needs = (SOURCE, PARAMETERS)
    bad = [
        Bad(
            """
            class Mixer(nn.Module):
                def __init__(self, heads=64):
                    super().__init__()
                    a = torch.empty(heads, dtype=torch.bfloat16).uniform_(0, 16)
                    self.a_log = nn.Parameter(torch.log(a))  #~
                    self.rate = nn.Parameter(torch.rand(heads, dtype=torch.half).reciprocal())  #~
        """,
            by=("source", "live"),
        ),
        Bad("""
            class Adapter(nn.Module):
                def __init__(self, width):
                    super().__init__()
                    self.weight = nn.Parameter(torch.empty(width, width, dtype=torch.float16))
                    nn.init.normal_(self.weight, std=1e-8)  #~
        """),
        Bad(
            """
            class Adapter(nn.Module):
                def __init__(self, width=16):
                    super().__init__()
                    self.weight = nn.Parameter(torch.empty(width, width, dtype=torch.float16))
                    nn.init.normal_(self.weight, std=1e-8)  #~
        """,
            by=("live",),
        ),
    ]
    good = [
        Good(
            """
            class Mixer(nn.Module):
                def __init__(self, heads=64):
                    super().__init__()
                    a = torch.empty(heads, dtype=torch.float32).uniform_(0, 16)
                    self.a_log = nn.Parameter(torch.log(a).to(torch.bfloat16))
                    b = torch.empty(heads, dtype=torch.float32).uniform_(0, 16).to(torch.bfloat16)
                    self.b_log = nn.Parameter(torch.log(b))
                    c = torch.empty(heads, dtype=torch.bfloat16).uniform_(1, 16)
                    self.c_log = nn.Parameter(torch.log(c))
                    self.d_log = nn.Parameter(torch.log(torch.empty(heads).uniform_(0, 16)))
        """,
            by=("source", "live"),
        ),
        Good("""
            class Adapter(nn.Module):
                def __init__(self, width):
                    super().__init__()
                    self.weight = nn.Parameter(torch.empty(width, width, dtype=torch.bfloat16))
                    self.other = nn.Parameter(torch.empty(width, width, dtype=torch.float16))
                    self.zero = nn.Parameter(torch.zeros(width, dtype=torch.float16))
                    nn.init.normal_(self.weight, std=1e-8)
                    nn.init.normal_(self.other, std=0.02)
        """),
    ]

    def check_parameter(self, parameter: Parameter) -> Iterator[Finding]:
        write = parameter.last_write
        if write.dtype not in _STEPS:
            return
        function = write.short
        if not absent(write.of) and write.of is not None:
            if function in _AT_ZERO and write.of.family == "uniform" and write.of.low == 0:
                yield self.at(
                    parameter,
                    f"{parameter.name} is the {function} of a uniform draw in {write.dtype}, in which one value of "
                    f"{_STEPS[write.dtype]} is exactly 0: it comes out infinite there",
                    help="draw in float32 and cast the result, or keep the lower bound off zero",
                    evidence={"dtype": write.dtype, "low": write.of.low},
                )
        elif write.dtype == "float16" and write.distribution.is_random and write.distribution.std < _SMALLEST:
            yield self.at(
                parameter,
                f"{parameter.name} is drawn with std {write.distribution.std:.2g} in float16, whose smallest number is "
                f"{_SMALLEST:.2g}: nearly all of it is 0",
                help="draw in float32, or from a scale that float16 can hold",
                evidence={"dtype": write.dtype, "std": write.distribution.std},
            )
