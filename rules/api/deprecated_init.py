"""INI503 deprecated-init."""

from collections.abc import Iterator

from initlint.changes import Rename
from initlint.facts import InitCall
from initlint.findings import Finding, Severity, safe
from initlint.rule import SOURCE, Bad, Good, Rule
from initlint.theory.schemes import DEPRECATED

_MODULE = "torch.nn.init."


class DeprecatedInit(Rule):
    """An initialiser of torch.nn.init is called by its old name, without the underscore.

    ## What it does

    Finds calls of `nn.init.xavier_uniform`, `nn.init.normal`, `nn.init.constant` and the other names without a
    trailing underscore.

    ## Why it matters

    They were renamed in PyTorch 0.4 because they write in place ([release
    notes](https://github.com/pytorch/pytorch/releases/tag/v0.4.0)). They still work and emit a `FutureWarning` at
    every call, which drowns other warnings; one day they will be gone.

    ## Example

        nn.init.xavier_uniform(self.fc.weight)

    ## Use instead

        nn.init.xavier_uniform_(self.fc.weight)

    ## When it is right to do this

    Only in code that must run on PyTorch 0.3.

    ## Fix safety

    Safe: the old name forwards its arguments to the new one. A name imported by itself is renamed in its import and
    wherever it is used.
    """

    code, name, severity = "INI503", "deprecated-init", Severity.WARNING
    needs = (SOURCE,)
    bad = [
        Bad(
            """
            def init_weights(m):
                nn.init.xavier_uniform(m.weight)  #~
                torch.nn.init.constant(m.bias, 0)  #~
            """,
            fixed="""
            def init_weights(m):
                nn.init.xavier_uniform_(m.weight)
                torch.nn.init.constant_(m.bias, 0)
            """,
        ),
        Bad(
            """
            from torch.nn import init as I

            def init_weights(m):
                I.kaiming_normal(m.weight, mode="fan_out")  #~
            """,
            fixed="""
            from torch.nn import init as I

            def init_weights(m):
                I.kaiming_normal_(m.weight, mode="fan_out")
            """,
        ),
    ]
    good = [
        Good("""
            def init_weights(m):
                nn.init.xavier_uniform_(m.weight)
                nn.init.constant_(m.bias, 0)
            """),
        Good("""
            from mmcv.cnn import normal_init

            class init:
                @staticmethod
                def normal(x):
                    return x

            def init_weights(m):
                init.normal(m.weight)
                torch.normal(0.0, 1.0, (3, 3))
                normal_init(m, std=0.01)
            """),
    ]

    def check_call(self, call: InitCall) -> Iterator[Finding]:
        module, _, old = call.function.rpartition(".")
        if module + "." == _MODULE and old in DEPRECATED:
            yield self.at(
                call,
                f"{call.written} is the deprecated name of {old}_",
                help=f"write {call.written}_",
                fix=safe(Rename(call.location, f"{old}_")),
            )
