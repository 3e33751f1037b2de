"""INI506 misused-slope."""

import math
import re
from collections.abc import Iterator

from initlint.changes import CallFunction, DropArgument, NameArgument, PassValue
from initlint.facts import InitCall, close
from initlint.findings import Finding, Fix, Severity, safe, unsafe
from initlint.regex import pattern
from initlint.rule import SOURCE, Bad, Good, Rule
from initlint.theory.contagion import number
from initlint.theory.gains import CALCULATE_GAIN_NAMES, torch_gain

_HOMES = ("torch.nn.init", "transformers.initialization")
_SCALE = pattern(r"(?<![a-z])(std|stdv?|stddev|sigma|scale|gain|bound|init(ializer)?_?range)(?![a-z])", re.IGNORECASE)
_STD = pattern(r"(?<![a-z])(std|stdv?|stddev|sigma)(?![a-z])", re.IGNORECASE)
_SMALLEST_SLOPE = 0.05
_USUAL = 0.01
"""The slope of nn.LeakyReLU, the one below 0.05 that activations have."""


class MisusedSlope(Rule):
    """`a` of a Kaiming initialiser is the slope of the leaky ReLU that follows, and is used as something else.

    ## What it does

    Finds calls of `kaiming_normal_` and `kaiming_uniform_` whose `a` is ignored, because another nonlinearity than
    leaky_relu is named, and those whose `a` is a standard deviation, gain or scale: by its name, or a value under
    0.05 passed by position alone.

    ## Why it matters

    The signature is `kaiming_normal_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu")`
    ([torch.nn.init](https://docs.pytorch.org/docs/stable/nn.init.html)), and the gain is sqrt(2 / (1 + a^2)). A
    standard deviation of 0.02 passed as `a` changes the gain by 0.02 %: the weights keep std sqrt(2 / fan_in). With
    nonlinearity="relu" any `a` is ignored: `a=math.sqrt(5)`, meant to give gain 0.58, gives 1.41.

    ## Example

        nn.init.kaiming_normal_(self.fc.weight, 0.02)
        nn.init.kaiming_uniform_(self.conv.weight, a=math.sqrt(5), nonlinearity="relu")

    ## Use instead

        nn.init.normal_(self.fc.weight, std=0.02)
        nn.init.kaiming_uniform_(self.conv.weight, nonlinearity="relu")

    ## When it is right to do this

    A slope as small as that, if the activation has it, reads better with its name: `a=0.02`.

    ## Fix safety

    Safe where `a` is ignored: it is dropped, and nothing that is drawn changes; whether its gain was the one that was
    meant, the author must say. A standard deviation given to `kaiming_normal_` alone becomes that of `normal_`, unsafe:
    the weights are no longer scaled with their fan.
    """

    code, name, severity = "INI506", "misused-slope", Severity.WARNING
    needs = (SOURCE,)
    bad = [
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(64, 64)
                    nn.init.kaiming_normal_(self.fc.weight, 0.02)  #~
            """,
            fixed="""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(64, 64)
                    nn.init.normal_(self.fc.weight, std=0.02)
            """,
        ),
        Bad(
            """
            from torch.nn.init import kaiming_uniform_

            def init_weights(m):
                if isinstance(m, nn.Conv2d):
                    kaiming_uniform_(m.weight, a=math.sqrt(5), nonlinearity="relu")  #~
                    nn.init.kaiming_normal_(m.weight, 0.2, mode="fan_out", nonlinearity="relu")  #~
            """,
            fixed="""
            from torch.nn.init import kaiming_uniform_

            def init_weights(m):
                if isinstance(m, nn.Conv2d):
                    kaiming_uniform_(m.weight, nonlinearity="relu")
                    nn.init.kaiming_normal_(m.weight, 0, mode="fan_out", nonlinearity="relu")
            """,
        ),
        Bad("""
            from torch.nn.init import kaiming_uniform_

            def init_weights(m, init_gain, std=0.02):
                if isinstance(m, nn.Conv2d):
                    kaiming_uniform_(m.weight, init_gain)  #~
                    kaiming_uniform_(m.weight, a=std, mode="fan_out")  #~
            """),
    ]
    good = [
        Good("""
            def init_weights(m, negative_slope, a=0.2):
                nn.init.kaiming_uniform_(m.weight, a=math.sqrt(5))
                nn.init.kaiming_uniform_(m.weight, a=1)
                nn.init.kaiming_normal_(m.weight, 0.2)
                nn.init.kaiming_normal_(m.weight, 0.01)
                nn.init.kaiming_normal_(m.weight, a=0.02)
                nn.init.kaiming_normal_(m.weight, negative_slope)
                nn.init.kaiming_normal_(m.weight, a, "fan_out", "leaky_relu")
            """),
        Good("""
            def init_weights(m, a=0.1, nonlinearity="relu"):
                nn.init.kaiming_normal_(m.weight, a=0, mode="fan_out", nonlinearity="relu")
                nn.init.kaiming_normal_(m.weight, a=a, nonlinearity="relu")
                nn.init.kaiming_normal_(m.weight, a=0.2, nonlinearity=nonlinearity)
            """),
    ]

    def check_call(self, call: InitCall) -> Iterator[Finding]:
        home, _, function = call.function.rpartition(".")
        if home not in _HOMES or not function.startswith("kaiming_") or "a" not in call.given:
            return
        if "a" in call.spellings and _SCALE.search(call.spellings["a"]):
            yield self._taken_for_slope(call, call.spellings["a"])
            return
        if "a" in call.spellings or "nonlinearity" in call.spellings:
            return  # a function that hands on its own arguments
        slope, nonlinearity = number(call.arguments["a"]), str(call.arguments["nonlinearity"])
        if nonlinearity not in CALCULATE_GAIN_NAMES or slope == 0:
            return
        if nonlinearity != "leaky_relu":
            yield self.at(
                call,
                f"{call.written} ignores a={slope:.4g}: the slope is used with leaky_relu, and the nonlinearity "
                f"is {nonlinearity}",
                help=f"drop a, or drop nonlinearity if a gain of {math.sqrt(2 / (1 + slope**2)):.3g} was meant and not "
                f"{torch_gain(nonlinearity):.3g}",
                evidence={"a": slope, "nonlinearity": nonlinearity},
                fix=safe(
                    PassValue(call.places.get("a"), 0) if "a" in call.positional else DropArgument(call.places.get("a"))
                ),
            )
        elif call.positional == ("a",) == call.given and 0 < slope < _SMALLEST_SLOPE and not close(slope, _USUAL):
            yield self._taken_for_slope(call, f"{slope:g}")

    def _taken_for_slope(self, call: InitCall, shown: str) -> Finding:
        return self.at(
            call,
            f"{call.written} takes {shown} as the slope a of a leaky ReLU, not as a scale of the weights",
            help="draw with a std of your own by normal_(w, std=...), or name the argument (a=...) if it is a slope",
            fix=self._drawn_with_it(call),
        )

    def _drawn_with_it(self, call: InitCall) -> Fix | None:
        home, _, function = call.function.rpartition(".")
        name = call.spellings.get("a", "std")
        if call.given != ("a",) or function != "kaiming_normal_" or not _STD.search(name):
            return None
        return unsafe(CallFunction(call.location, f"{home}.normal_"), NameArgument(call.places.get("a"), "std"))
