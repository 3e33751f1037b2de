"""INI210 truncation-without-effect."""

from collections.abc import Iterator

from initlint.facts import InitCall
from initlint.findings import Finding, Severity
from initlint.rule import PARAMETERS, SOURCE, Bad, Good, Rule

_BEYOND = 10.0  # standard deviations; a normal draw lies beyond once in 1e23


class TruncationWithoutEffect(Rule):
    """A truncated normal is cut so far out that nothing is ever cut.

    ## What it does

    Finds `trunc_normal_` whose bounds lie more than 10 standard deviations from the mean, mostly `trunc_normal_(w,
    std=0.02)` with the bounds left at -2 and 2.

    ## Why it matters

    The bounds of torch's `trunc_normal_` are values, not multiples of std
    ([torch.nn.init](https://docs.pytorch.org/docs/stable/nn.init.html)); those of TensorFlow's and JAX's truncated
    normal are multiples. At std 0.02 the default bounds lie 100 standard deviations out: the call is a slow
    `normal_`, and a port that should have cut at two standard deviations has a std 14% larger than the original.

    ## Example

        nn.init.trunc_normal_(m.weight, std=0.02)

    ## Use instead

        nn.init.trunc_normal_(m.weight, std=0.02, a=-0.04, b=0.04)

    ## When it is right to do this

    Many published vision transformers were trained with exactly this call: reproducing them, keep it. It does no
    harm, so this is advice. `timm.layers.trunc_normal_tf_` takes bounds in units of std.

    ## Fix safety

    No fix: tighter bounds change what is drawn.
    """

    code, name, severity = "INI210", "truncation-without-effect", Severity.ADVICE
    needs = (SOURCE, PARAMETERS)
    bad = [
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(16, 32)
                    nn.init.trunc_normal_(self.fc.weight, std=0.02)  #~

                def forward(self, x):
                    return self.fc(x)
            """,
            by=("source", "live"),
        ),
        Bad("""
            from timm.layers import trunc_normal_

            def weights_init(m):
                if isinstance(m, nn.Linear):
                    trunc_normal_(m.weight, std=.01, a=-1, b=1)  #~
            """),
    ]
    good = [
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(16, 32)
                    self.out = nn.Linear(32, 4)
                    nn.init.trunc_normal_(self.fc.weight, std=0.02, a=-0.04, b=0.04)
                    nn.init.trunc_normal_(self.out.weight)

                def forward(self, x):
                    return self.out(F.relu(self.fc(x)))
            """,
            by=("source", "live"),
        ),
        Good("""
            from timm.layers import trunc_normal_tf_

            def weights_init(m, std=0.02):
                if isinstance(m, nn.Linear):
                    trunc_normal_tf_(m.weight, std=0.02)
                    nn.init.normal_(m.bias, std=0.02)
            """),
    ]

    def check_call(self, call: InitCall) -> Iterator[Finding]:
        law = call.distribution
        if law.family != "truncated_normal":
            return
        distance = min(law.high - law.mean, law.mean - law.low) / law.std
        if distance > _BEYOND:
            yield self.at(
                call,
                f"{call.written} cuts {call.target.text} {distance:.0f} standard deviations out, which is to say never",
                help=f"bounds are values, not multiples of std: a={-2 * law.std:.2g}, b={2 * law.std:.2g} cuts at two",
                evidence={"std": law.std, "low": law.low, "high": law.high},
            )
