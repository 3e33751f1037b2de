"""INI501 std-passed-as-mean."""

import re
from collections.abc import Iterator

from initlint.changes import NameArgument
from initlint.facts import MAPS, InitCall, known, layer_family
from initlint.findings import Finding, Severity, safe, unsafe
from initlint.regex import pattern
from initlint.rule import SOURCE, Bad, Good, Rule

_SPREAD = pattern(r"(?<![a-z])(std|stdv?|stddev|sigma|scale|init(ializer)?_range)(?![a-z])", re.IGNORECASE)

_DRAWN = (*MAPS, "embedding")


class StdPassedAsMean(Rule):
    """The second argument of `normal_` is meant as a standard deviation, and is the mean.

    ## What it does

    Finds `normal_(w, 0.02)` and `trunc_normal_(w, 0.02)`: one positional value after the tensor, no `std`. It speaks
    when the value lies between 0 and 0.5, when the name passed says std or scale, and for any value on the scale of a
    norm (`normal_(bn.weight, 1.0)` draws from N(1, 1)).

    ## Why it matters

    The signature is `normal_(tensor, mean=0.0, std=1.0)`
    ([torch.nn.init](https://docs.pytorch.org/docs/stable/nn.init.html)). The weights get standard deviation 1 instead
    of 0.02: at width 768 each layer multiplies its signal by about 28. Nothing raises, and the mean that was asked
    for is too small to be noticed.

    ## Example

        nn.init.normal_(self.fc.weight, 0.02)

    ## Use instead

        nn.init.normal_(self.fc.weight, std=0.02)

    ## When it is right to do this

    A mean that is meant, with a standard deviation beside it: `normal_(w, 0.5, 0.02)` or `normal_(w, mean=0.5)`.

    ## Fix safety

    The argument is named `std=`: the values that the call says, with the standard deviation in place of the mean. Safe
    where the name of what is passed says std or scale, and for the weight of what is certainly a linear map or an
    embedding; unsafe for a number elsewhere, where a small mean may be meant. On the scale of a norm, where the mean is
    1 and the spread is what was left out, there is no fix.
    """

    code, name, severity = "INI501", "std-passed-as-mean", Severity.ERROR
    needs = (SOURCE,)
    bad = [
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(64, 64)
                    nn.init.normal_(self.fc.weight, 0.02)  #~

                def forward(self, x):
                    return self.fc(x)
            """,
            by=("source", "live"),
            fixed="""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(64, 64)
                    nn.init.normal_(self.fc.weight, std=0.02)

                def forward(self, x):
                    return self.fc(x)
            """,
        ),
        Bad(
            """
            from torch.nn.init import trunc_normal_

            def init_weights(m, init_std=0.02):
                if isinstance(m, nn.Linear):
                    trunc_normal_(m.weight, init_std)  #~
            """,
            fixed="""
            from torch.nn.init import trunc_normal_

            def init_weights(m, init_std=0.02):
                if isinstance(m, nn.Linear):
                    trunc_normal_(m.weight, std=init_std)
            """,
        ),
        Bad("""
            def weights_init(m):
                if isinstance(m, nn.BatchNorm2d):
                    m.weight.data.normal_(1.0)  #~
            """),
    ]
    good = [
        Good("""
            def init_weights(m):
                nn.init.normal_(m.weight, std=0.02)
                nn.init.normal_(m.bias, 0.0, 0.02)
                nn.init.normal_(m.weight, mean=0.02)
            """),
        Good("""
            def weights_init(m):
                if isinstance(m, nn.BatchNorm2d):
                    m.weight.data.normal_(1.0, 0.02)
                elif isinstance(m, nn.Embedding):
                    m.weight.data.normal_(0.0)
            """),
        Good("""
            from somewhere import normal_

            def init_weights(m):
                normal_(m.weight, 0.02)
            """),
    ]

    def check_call(self, call: InitCall) -> Iterator[Finding]:
        if "mean" not in call.positional or "std" in call.given or "std" not in call.arguments:
            return
        at_norm, mend = False, safe
        if "mean" in call.spellings:
            slip = _SPREAD.search(call.spellings["mean"]) is not None
            shown = call.spellings["mean"]
        else:
            small = 0 < call.arguments["mean"] < 0.5
            at_norm = not small and self._is_norm_scale(call)
            slip = small or at_norm
            mend = safe if _is_of_map(call) else unsafe
            shown = f"{call.arguments['mean']:g}"
        if slip:
            yield self.at(
                call,
                f"{call.written}({call.target.text}, {shown}) sets the mean to {shown} and leaves the standard "
                f"deviation at {call.arguments['std']:g}",
                help=f"name the argument: {call.written}({call.target.text}, std={shown})",
                evidence={"mean": call.arguments["mean"], "std": call.arguments["std"]},
                fix=None if at_norm else mend(NameArgument(call.places.get("mean"), "std")),
            )

    def _is_norm_scale(self, call: InitCall) -> bool:
        value = call.arguments["mean"]
        return (
            value > 0
            and call.target.attribute == "weight"
            and all(layer_family(k) == "norm" for k in call.target.kinds)
        )


def _is_of_map(call: InitCall) -> bool:
    """Whether the weight of a linear map or an embedding is certainly what is written: asked for the fix alone."""
    target = call.target
    if not known(target.kinds) or not known(target.attribute) or target.attribute != "weight":
        return False
    return bool(target.kinds) and all(layer_family(kind) in _DRAWN for kind in target.kinds)
