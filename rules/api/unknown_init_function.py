"""INI511 unknown-init-function."""

from collections.abc import Iterator

from initlint.facts import InitCall
from initlint.findings import Finding, Severity
from initlint.rule import SOURCE, Bad, Good, Rule

_MODULE = "torch.nn.init"
_IN_PLACE = (
    "uniform_",
    "normal_",
    "trunc_normal_",
    "constant_",
    "ones_",
    "zeros_",
    "eye_",
    "dirac_",
    "xavier_uniform_",
    "xavier_normal_",
    "kaiming_uniform_",
    "kaiming_normal_",
    "orthogonal_",
    "sparse_",
)
_WITHOUT_OLD_NAME = ("trunc_normal_", "ones_", "zeros_")
_KNOWN = frozenset([*_IN_PLACE, *(name[:-1] for name in _IN_PLACE if name not in _WITHOUT_OLD_NAME)])
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

    The name proposed is the one spelled most like it: read it before you take it.
    """

    code, name, severity = "INI511", "unknown-init-function", Severity.ERROR
    needs = (SOURCE,)
    bad = [
        Bad("""
            class Margin(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.bias = nn.Parameter(torch.empty(8))
                    nn.init.zero_(self.bias)  #~
            """),
        Bad("""
            from torch.nn import init as I
            from torch.nn.init import kaiming_norm_

            def init_weights(m):
                I.xavieruniform(m.weight)  #~
                kaiming_norm_(m.weight)  #~
                torch.nn.init.zeros(m.bias)  #~
            """),
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
        )

    def _near(self, function: str) -> str | None:
        from difflib import get_close_matches  # costs more to import than the rest of the rule

        name = function.lower().rstrip("_") + "_"
        found = [_ALIASES[name]] if name in _ALIASES else get_close_matches(name, _IN_PLACE, 1, 0.75)
        return found[0] if found else None
