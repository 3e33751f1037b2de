"""INI511 unknown-init-function."""

from collections.abc import Iterator, Sequence

from initlint.changes import Rename
from initlint.facts import InitCall
from initlint.findings import Finding, Fix, Severity, safe, unsafe
from initlint.rule import SOURCE, Bad, Good, Rule
from initlint.theory.schemes import DEPRECATED, torch_initializers

_MODULE = "torch.nn.init"
_IN_PLACE = torch_initializers()
_KNOWN = frozenset([*_IN_PLACE, *DEPRECATED])
_ALIASES = {
    "zero_": "zeros_",
    "zero": "zeros_",
    "one_": "ones_",
    "fill_": "constant_",
    "gauss_": "normal_",
    "gaussian_": "normal_",
    "lecun_normal_": 'kaiming_normal_(w, nonlinearity="linear")',
    "lecun_uniform_": 'kaiming_uniform_(w, nonlinearity="linear")',
    "glorot_uniform_": "xavier_uniform_",
    "glorot_normal_": "xavier_normal_",
    "he_uniform_": "kaiming_uniform_",
    "he_normal_": "kaiming_normal_",
    "truncated_normal_": "trunc_normal_",
    "xavier_": "xavier_uniform_",
    "kaiming_": "kaiming_uniform_",
}
_NEAR, _CERTAIN = 0.75, 0.85
"""From which similarity a name is proposed, and put in as safe."""
_EITHER_LAW = ("xavier_", "kaiming_")
"""Names that leave open whether a normal or a uniform law was meant."""


class UnknownInitFunction(Rule):
    """A function is called that torch.nn.init does not have.

    ## What it does

    Finds calls of public names under `torch.nn.init`, through any import alias, that no version of PyTorch has:
    `zero_`, `xavieruniform`, `kaiming_norm_`.

    ## Why it matters

    The call raises `AttributeError` (or the import does), often in a branch for a layer type that the first model did
    not have. `zero_` is a method of tensors; in torch.nn.init the name is `zeros_`. Nor has it a `zeros`, `ones` or
    `trunc_normal` without the underscore: those came after the old names were deprecated.

    ## Example

        nn.init.zero_(self.fc.bias)

    ## Use instead

        nn.init.zeros_(self.fc.bias)

    ## When it is right to do this

    Where the program itself puts a function of that name into torch.nn.init, or tries one and catches the error.

    ## Fix safety

    Safe: the call raises as it is, so nothing that runs can change. The name is the one spelled most like it, or what
    other frameworks call by it. Unsafe where the likeness is faint, and for `xavier_` and `kaiming_`, which do not
    say which law is meant: uniform is put in, as in torch's layers.
    """

    code, name, severity = "INI511", "unknown-init-function", Severity.ERROR
    needs = (SOURCE,)
    bad = [
        Bad(
            """
            class Margin(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.bias = nn.Parameter(torch.empty(8))
                    nn.init.zero_(self.bias)  #~
            """,
            fixed="""
            class Margin(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.bias = nn.Parameter(torch.empty(8))
                    nn.init.zeros_(self.bias)
            """,
        ),
        Bad(
            """
            from torch.nn import init as I
            from torch.nn.init import kaiming_norm_

            def init_weights(m):
                I.xavieruniform(m.weight)  #~
                kaiming_norm_(m.weight)  #~
                torch.nn.init.zeros(m.bias)  #~
            """,
            fixed="""
            from torch.nn import init as I
            from torch.nn.init import kaiming_normal_

            def init_weights(m):
                I.xavier_uniform_(m.weight)
                kaiming_normal_(m.weight)
                torch.nn.init.zeros_(m.bias)
            """,
        ),
    ]
    good = [
        Good("""
            def init_weights(m):
                gain = nn.init.calculate_gain("relu")
                fan_in, _ = nn.init._calculate_fan_in_and_fan_out(m.weight)
                nn.init.xavier_uniform_(m.weight, gain)
                nn.init.xavier_uniform(m.weight)
                nn.init.zeros_(m.bias)
                nn.init.math.sqrt(fan_in)
            """),
        Good("""
            def init_weights(m):
                try:
                    nn.init.rms_normal_(m.weight)
                except AttributeError:
                    nn.init.normal_(m.weight, std=0.02)
            """),
        Good("""
            from project import init
            from timm.layers import lecun_normal_

            class Mixer:
                def init_weights(self, m):
                    self.init.zero_(m.bias)
                    init.zero_(m.bias)
                    lecun_normal_(m.weight)
                    m.bias.data.zero_()
            """),
    ]

    def check_call(self, call: InitCall) -> Iterator[Finding]:
        module, _, function = call.function.rpartition(".")
        if module != _MODULE or function in _KNOWN or function.startswith("_") or function[:1].isupper():
            return
        if call.caught:
            return
        near = self._near(function)
        yield self.at(
            call,
            f"torch.nn.init has no {function}",
            help=f"write {near}" if near else "torch.nn.init has " + ", ".join(_IN_PLACE),
            fix=self._fix(call, function, near),
        )

    def _fix(self, call: InitCall, function: str, near: str | None) -> Fix | None:
        if near not in _IN_PLACE:
            return None
        renamed = Rename(call.location, near)
        name = _in_place(function)
        certain = name in _ALIASES or bool(_closest(name, [near], _CERTAIN))
        return safe(renamed) if certain and name not in _EITHER_LAW else unsafe(renamed)

    def _near(self, function: str) -> str | None:
        name = _in_place(function)
        return _ALIASES.get(name) or _closest(name, _IN_PLACE, _NEAR)


def _in_place(function: str) -> str:
    return function.lower().rstrip("_") + "_"


def _closest(name: str, names: Sequence[str], cutoff: float) -> str | None:
    from difflib import get_close_matches  # costs more to import than the rest of the rule

    return next(iter(get_close_matches(name, names, 1, cutoff)), None)
