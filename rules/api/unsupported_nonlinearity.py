"""INI505 unsupported-nonlinearity."""

from collections.abc import Iterator

from initlint.changes import NameArgument, PassValue
from initlint.facts import InitCall
from initlint.findings import Finding, Fix, Severity, safe, unsafe
from initlint.rule import SOURCE, Bad, Good, Rule
from initlint.theory.gains import CALCULATE_GAIN_NAMES
from initlint.theory.remedies import STAND_INS

_HOMES = ("torch.nn.init", "transformers.initialization")
_MODES = ("fan_in", "fan_out")


class UnsupportedNonlinearity(Rule):
    """A Kaiming initialiser is given a nonlinearity or a mode that it does not know, or one in the place of another.

    ## What it does

    Finds calls of `kaiming_normal_` and `kaiming_uniform_` whose literal `nonlinearity` is no name that
    `calculate_gain` knows, whose literal `mode` is neither `fan_in` nor `fan_out`, and those with a string in the
    place of the slope `a`, which comes first.

    ## Why it matters

    `calculate_gain` knows linear, conv1d to conv3d and their transposes, sigmoid, tanh, relu, leaky_relu and selu
    ([torch.nn.init](https://docs.pytorch.org/docs/stable/nn.init.html)); GELU, SiLU and the other names raise
    `ValueError`, and so does another mode. A mode passed first is worse: `kaiming_normal_(w, "fan_out",
    nonlinearity="relu")` binds it to `a`, which relu ignores, and the weights are drawn with fan-in without a word.

    ## Example

        nn.init.kaiming_normal_(self.fc.weight, nonlinearity="gelu")
        nn.init.kaiming_normal_(self.conv.weight, "fan_out", nonlinearity="relu")

    ## Use instead

        nn.init.kaiming_normal_(self.fc.weight, nonlinearity="relu")
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    ## When it is right to do this

    In a `try` whose handler means it. Elsewhere the call raises, or one of its arguments is lost.

    ## Fix safety

    Safe where the argument is named and where only the spelling changes: the mode is no longer lost, which is the
    purpose, or the call raises as it is. For GELU, SiLU and their like `relu` is put in, unsafe: its gain is close
    (1.41, where 1.53 and 1.68 keep the second moment) and not the same.
    """

    code, name, severity = "INI505", "unsupported-nonlinearity", Severity.ERROR
    needs = (SOURCE,)
    bad = [
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(64, 64)
                    nn.init.kaiming_normal_(self.fc.weight, nonlinearity="gelu")  #~
            """,
            fixed="""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(64, 64)
                    nn.init.kaiming_normal_(self.fc.weight, nonlinearity="relu")
            """,
        ),
        Bad(
            """
            from torch.nn.init import kaiming_uniform_

            def init_weights(m):
                if isinstance(m, nn.Conv2d):
                    nn.init.kaiming_normal_(m.weight, "fan_out", nonlinearity="relu")  #~
                    kaiming_uniform_(m.weight, 0, "fan-in")  #~
                    kaiming_uniform_(m.weight, "relu")  #~
                    kaiming_uniform_(m.weight, 0, "relu")  #~
            """,
            fixed="""
            from torch.nn.init import kaiming_uniform_

            def init_weights(m):
                if isinstance(m, nn.Conv2d):
                    nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
                    kaiming_uniform_(m.weight, 0, "fan_in")
                    kaiming_uniform_(m.weight, nonlinearity="relu")
                    kaiming_uniform_(m.weight, 0, nonlinearity="relu")
            """,
        ),
    ]
    good = [
        Good("""
            def init_weights(m):
                nn.init.kaiming_normal_(m.weight)
                nn.init.kaiming_normal_(m.weight, 0.2, "fan_out", "leaky_relu")
                nn.init.kaiming_normal_(m.weight, mode="FAN_OUT", nonlinearity="conv_transpose2d")
                nn.init.kaiming_uniform_(m.weight, a=math.sqrt(5))
                nn.init.kaiming_uniform_(m.weight, nonlinearity="selu")
            """),
        Good("""
            def init_weights(m, act="gelu", mode="fan"):
                nonlinearity = "relu" if act in ("gelu", "silu") else act
                nn.init.kaiming_normal_(m.weight, nonlinearity=nonlinearity)
                if act != "gelu":
                    nn.init.kaiming_normal_(m.weight, nonlinearity=act)
                if mode.startswith("fan_"):
                    nn.init.kaiming_normal_(m.weight, mode=mode)
            """),
        Good("""
            def init_weights(m):
                try:
                    nn.init.kaiming_normal_(m.weight, nonlinearity="gelu")
                except ValueError:
                    nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
            """),
        Good("""
            from somewhere import kaiming_normal_

            def init_weights(m):
                kaiming_normal_(m.weight, nonlinearity="gelu")
            """),
    ]

    def check_call(self, call: InitCall) -> Iterator[Finding]:
        home, _, function = call.function.rpartition(".")
        if home not in _HOMES or not function.startswith("kaiming_"):
            return
        for argument in ("a", "mode", "nonlinearity"):
            if argument not in call.given or argument in call.spellings:
                continue  # a name may hold a default that its function never lets through
            value = call.arguments[argument]
            said = self._misplaced(call, value) if argument == "a" else self._refused(call, argument, value)
            if said is not None and not call.caught:
                yield self.at(
                    call, said[0], help=said[1], evidence={argument: value}, fix=self._fix(call, argument, value)
                )
                return

    def _fix(self, call: InitCall, argument: str, value: str) -> Fix | None:
        place, name = call.places.get(argument), value.lower().replace("-", "_")
        meant = "mode" if name in _MODES else "nonlinearity" if name in CALCULATE_GAIN_NAMES else None
        if meant not in (argument, None):
            last = argument in call.positional and argument == call.positional[-1]
            return safe(NameArgument(place, str(meant))) if last and value == name and meant not in call.given else None
        if argument == meant:
            return safe(PassValue(place, name))
        near = STAND_INS.get(name, "") if argument == "nonlinearity" else ""
        if near not in CALCULATE_GAIN_NAMES:
            return None
        return safe(PassValue(place, near)) if near != "relu" else unsafe(PassValue(place, near))

    def _misplaced(self, call: InitCall, value: object) -> tuple[str, str] | None:
        if not isinstance(value, str):
            return None
        meant = "mode" if value.lower() in _MODES else "nonlinearity"
        follows = call.arguments["nonlinearity"]
        lost = (
            "it raises ValueError"
            if follows == "leaky_relu"
            else f"{follows} ignores it, and the call uses {call.arguments['mode']}"
        )
        return f'{call.written} takes "{value}" as the slope a: {lost}', f'name the argument: {meant}="{value}"'

    def _refused(self, call: InitCall, argument: str, value: object) -> tuple[str, str] | None:
        if not isinstance(value, str):
            return None
        if argument == "mode":
            if value.lower() in _MODES:
                return None
            if value in CALCULATE_GAIN_NAMES:
                return (
                    f'{call.written} takes "{value}" as the mode: it raises ValueError',
                    f'name the argument: nonlinearity="{value}"',
                )
            return f'{call.written} has no mode "{value}": it raises ValueError', 'mode is "fan_in" or "fan_out"'
        if value in CALCULATE_GAIN_NAMES:
            return None
        near = STAND_INS.get(value.lower(), value.lower())
        help = (
            f'write nonlinearity="{near}"'
            if near in CALCULATE_GAIN_NAMES
            else "name a nonlinearity that calculate_gain knows: " + ", ".join(sorted(CALCULATE_GAIN_NAMES))
        )
        return f'{call.written} does not know the nonlinearity "{value}": it raises ValueError', help
