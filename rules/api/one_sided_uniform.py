"""INI502 one-sided-uniform."""

import re
from collections.abc import Iterator

from initlint.changes import BothBounds
from initlint.facts import InitCall
from initlint.findings import Finding, Severity, safe, unsafe
from initlint.regex import pattern
from initlint.rule import SOURCE, Bad, Good, Rule

_BOUND = pattern(r"(?<![a-z])(std|stdv|stddev|bound|limit|range|initrange|init_range|scale)(?![a-z])", re.IGNORECASE)
_BOUNDS = {"a": "b", "from": "to"}


class OneSidedUniform(Rule):
    """`uniform_(w, 0.1)` draws from U(0.1, 1) and not from U(-0.1, 0.1).

    ## What it does

    Finds a call of `uniform_` with a lower bound between -1 and 1 (not 0), or one whose name says bound, range or
    std, and no upper bound.

    ## Why it matters

    The signature is `uniform_(tensor, a=0.0, b=1.0)`
    ([torch.nn.init](https://docs.pytorch.org/docs/stable/nn.init.html)). With only `a` the weights are drawn around
    0.55 with standard deviation 0.26: all of one sign, so every unit of a layer computes nearly the same sum.

    ## Example

        nn.init.uniform_(self.fc.weight, 0.1)

    ## Use instead

        nn.init.uniform_(self.fc.weight, -0.1, 0.1)

    ## When it is right to do this

    A one-sided range that is meant says both of its ends: `uniform_(scale, 0.9, 1.0)`.

    ## Fix safety

    Both bounds are given, the one with a minus sign. Safe where the name of what is passed says bound, range or std;
    unsafe for a number, which may be meant as the lower end of a range up to 1 (a decay, a gate).
    """

    code, name, severity = "INI502", "one-sided-uniform", Severity.WARNING
    needs = (SOURCE,)
    bad = [
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(64, 64)
                    nn.init.uniform_(self.fc.weight, 0.1)  #~

                def forward(self, x):
                    return self.fc(x)
            """,
            by=("source", "live"),
            fixed="""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(64, 64)
                    nn.init.uniform_(self.fc.weight, -0.1, 0.1)

                def forward(self, x):
                    return self.fc(x)
            """,
        ),
        Bad(
            """
            def init_weights(m, initrange):
                m.weight.data.uniform_(initrange)  #~
            """,
            fixed="""
            def init_weights(m, initrange):
                m.weight.data.uniform_(-initrange, initrange)
            """,
        ),
    ]
    good = [
        Good("""
            def init_weights(m, bound):
                nn.init.uniform_(m.weight, -0.1, 0.1)
                m.weight.data.uniform_(-bound, bound)
                nn.init.uniform_(m.gate)
                nn.init.uniform_(m.phase, -1)
                nn.init.uniform_(m.scale, a=0.9)
            """),
        Good("""
            def noise(shape, low):
                return torch.empty(shape).uniform_(low, 1.0)
            """),
    ]

    def check_call(self, call: InitCall) -> Iterator[Finding]:
        for low, high in _BOUNDS.items():
            if low not in call.positional or high in call.given or high not in call.arguments:
                continue
            if low in call.spellings:
                slip, shown = _BOUND.search(call.spellings[low]) is not None, call.spellings[low]
                mend = safe
                other = f"-{shown}, {shown}"
            else:
                value = call.arguments[low]
                slip, shown, mend = 0 < abs(value) < 1, f"{value:g}", unsafe
                other = f"{-abs(value):g}, {abs(value):g}"
            if slip:
                yield self.at(
                    call,
                    f"{call.written}({call.target.text}, {shown}) draws from {shown} to {call.arguments[high]:g}: "
                    "only the lower bound is given",
                    help=f"give both bounds: {call.written}({call.target.text}, {other})",
                    evidence={"low": call.arguments[low], "high": call.arguments[high]},
                    fix=mend(BothBounds(call.places.get(low))),
                )
