"""INI404 init-overwritten."""

from collections.abc import Iterator
from itertools import pairwise

from initlint.facts import Distribution, Parameter, Write, absent, close
from initlint.findings import Finding, Related, Severity
from initlint.rule import PARAMETERS, SOURCE, Bad, Good, Rule

_ALLOCATIONS = ("torch.nn.init.", "torch.Tensor.")


class InitOverwritten(Rule):
    """A deliberate initialisation is wiped by a general one that runs later.

    ## What it does

    Finds parameters that a statement of their own initialises and that `apply` or a loop over modules then draws
    again from another distribution, before the model is ever used; also two calls of torch.nn.init on neighbouring
    lines that both fill the same parameter.

    ## Why it matters

    The special value never takes effect: the branch that should start at zero starts at random, the prior bias of the
    head is gone. The code reads as if it were there. Of two lines that fill one weight, one was often meant for the
    bias, which keeps torch's default.

    ## Example

        nn.init.zeros_(self.out.weight)      # so that the branch starts as identity
        self.apply(self._init_weights)       # draws every nn.Linear again

    ## Use instead

        self.apply(self._init_weights)
        nn.init.zeros_(self.out.weight)

    ## When it is right to do this

    The framework's default followed by the user's own scheme is no overwriting, nor is a second write of the same
    values.

    ## Fix safety

    No fix: which of the two was meant is for the author to say.
    """

    code, name, severity = "INI404", "init-overwritten", Severity.WARNING
    needs = (SOURCE, PARAMETERS)
    bad = [
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Linear(16, 16)
                    self.out = nn.Linear(16, 16)
                    nn.init.zeros_(self.out.weight)  #~
                    self.apply(self._init_weights)

                def _init_weights(self, m):
                    if isinstance(m, nn.Linear):
                        nn.init.trunc_normal_(m.weight, std=0.2)

                def forward(self, x):
                    return x + self.out(F.relu(self.body(x)))
            """,
            by=("source", "live"),
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Linear(16, 16)
                    self.head = nn.Linear(16, 4)
                    nn.init.constant_(self.head.bias, -4.6)  #~
                    for m in self.modules():
                        if isinstance(m, nn.Linear):
                            nn.init.kaiming_normal_(m.weight)
                            nn.init.zeros_(m.bias)

                def forward(self, x):
                    return self.head(F.relu(self.body(x)))
            """,
            by=("source", "live"),
        ),
        Bad(
            """
            class Tagger(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.decoder = nn.Linear(16, 4)
                    self.init_weights()

                def init_weights(self):
                    nn.init.zeros_(self.decoder.weight)  #~
                    nn.init.uniform_(self.decoder.weight, -0.1, 0.1)

                def forward(self, x):
                    return self.decoder(x)
            """,
            by=("source", "live"),
        ),
    ]
    good = [
        Good(
            """
            class Scaled(nn.Linear):
                def reset_parameters(self):
                    nn.init.zeros_(self.weight)
                    nn.init.zeros_(self.bias)

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.first = Scaled(16, 16)
                    nn.init.orthogonal_(self.first.weight)
                    self.table = nn.Parameter(torch.empty(4, 16).zero_())
                    nn.init.normal_(self.table, std=0.02)
                    nn.init.zeros_(self.table[0])

                def forward(self, x):
                    return self.first(x) + self.table.mean(0)
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Linear(16, 16)
                    self.out = nn.Linear(16, 16)
                    self.apply(self._init_weights)
                    nn.init.zeros_(self.out.weight)

                def _init_weights(self, m):
                    if isinstance(m, nn.Linear):
                        nn.init.trunc_normal_(m.weight, std=0.2)

                def forward(self, x):
                    return x + self.out(F.relu(self.body(x)))
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.tokens = nn.Parameter(torch.zeros(1, 4, 16))
                    self.out = nn.Linear(16, 16)
                    nn.init.zeros_(self.out.bias)
                    nn.init.normal_(self.tokens, std=0.02)
                    self.apply(self._init_weights)

                def _init_weights(self, m):
                    if isinstance(m, nn.Linear):
                        nn.init.trunc_normal_(m.weight, std=0.2)
                        nn.init.zeros_(m.bias)

                def forward(self, x):
                    return self.out(x + self.tokens.mean())
            """,
            by=("source", "live"),
        ),
    ]

    def check_parameter(self, parameter: Parameter) -> Iterator[Finding]:
        if parameter.is_buffer:
            return
        writes = [w for w in parameter.writes if w.is_deliberate and w.overwrites]
        for wiped, wiping in pairwise(writes):
            if _neighbours(wiped, wiping) and not self._same(wiped.distribution, wiping.distribution):
                yield self.at(
                    wiped.location,
                    f"{parameter.name} is filled here by {wiped.short} and on the next line by {wiping.short}, "
                    "which wipes it",
                    help="drop one of the two, or give it the parameter that it was meant for (the bias?)",
                    layer=parameter.layer,
                    parameters=(parameter,),
                    related=[Related(wiping.location, "overwritten here")] if wiping.location is not None else (),
                )
                return
        special = [w for w in writes if w.application is None and w.function.startswith(_ALLOCATIONS)]
        if not special:
            return
        first, last = special[-1], writes[-1]
        if (
            last.order > first.order
            and last.application is not None
            and not self._same(first.distribution, last.distribution)
        ):
            yield self.at(
                first.location,
                f"{parameter.name} is written here by {first.short} and again by {last.application.initializer} "
                f"({last.short}), which wipes it",
                help="run the general initialiser first, then this statement",
                layer=parameter.layer,
                parameters=(parameter,),
                related=[Related(last.location, "overwritten here")] if last.location is not None else (),
            )

    def _same(self, a: Distribution, b: Distribution) -> bool:
        return a.family == b.family and close(a.mean, b.mean) and close(a.std, b.std)


def _neighbours(first: Write, second: Write) -> bool:
    """Whether two calls of torch.nn.init stand on lines one after the other."""
    if not all(write.function.startswith(_ALLOCATIONS[0]) for write in (first, second)):
        return False
    if absent(first.location) or absent(second.location) or first.location is None or second.location is None:
        return False
    last = first.location.end_line or first.location.line
    return first.location.path == second.location.path and second.location.line == last + 1
