"""INI409 init-on-lazy."""

from collections.abc import Iterator

from initlint.facts import Incident
from initlint.findings import Finding, Severity
from initlint.rule import PARAMETERS, SOURCE, Bad, Good, Rule


class InitOnLazy(Rule):
    """A lazy layer is initialised before it has a shape.

    ## What it does

    Finds initialisers, on their own or in `apply` and loops, that meet the parameters of `nn.LazyLinear`,
    `nn.LazyConv2d` and their kin before a first batch has gone through.

    ## Why it matters

    Until then they are `UninitializedParameter`s
    ([LazyModuleMixin](https://docs.pytorch.org/docs/stable/generated/torch.nn.modules.lazy.LazyModuleMixin.html)):
    `ValueError: Attempted to use an uninitialized parameter`. Through `.data` nothing is raised and nothing is written,
    and the first forward draws torch's default.

    ## Example

        self.fc = nn.LazyLinear(10)
        nn.init.xavier_uniform_(self.fc.weight)

    ## Use instead

        self.fc = nn.LazyLinear(10)
        self(torch.zeros(1, 3, 32, 32))
        nn.init.xavier_uniform_(self.fc.weight)

    ## When it is right to do this

    After a dry run, which gives every lazy layer its shape.

    ## Fix safety

    No fix: what a dry run has to be given is for the author to say.
    """

    code, name, severity = "INI409", "init-on-lazy", Severity.ERROR
    needs = (SOURCE, PARAMETERS)
    bad = [
        Bad("""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.conv = nn.LazyConv2d(8, 3)
                    self.fc = nn.LazyLinear(10)
                    nn.init.xavier_uniform_(self.fc.weight)  #~
                    self.conv.weight.data.normal_(0, 0.02)  #~
            """),
        Bad("""
            def init_weights(m):
                if isinstance(m, nn.Linear):
                    nn.init.kaiming_normal_(m.weight)  #~

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Sequential(nn.LazyLinear(64), nn.ReLU(), nn.LazyLinear(10))

                def forward(self, x):
                    return self.body(x)

            def main():
                net = Net()
                net.apply(init_weights)
                net(torch.zeros(1, 8))
            """),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.conv = nn.LazyConv2d(8, 3)
                    self.fc = nn.LazyLinear(10)
                    self.conv.weight.data.normal_(0, 0.02)  #~
                    self.fc.weight.data.uniform_(-0.1, 0.1)  #~
                    self.fc(torch.zeros(1, 8))

                def forward(self, x):
                    return self.conv(x)
            """,
            by=("source", "live"),
        ),
    ]
    good = [
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.LazyLinear(10)
                    self.norm = nn.LazyBatchNorm1d()
                    self.out = nn.Linear(10, 10)
                    nn.init.xavier_uniform_(self.out.weight)
                    self(torch.zeros(2, 8))
                    nn.init.xavier_uniform_(self.fc.weight)
                    nn.init.ones_(self.norm.weight)

                def forward(self, x):
                    return self.out(self.norm(self.fc(x)))
            """,
            by=("source", "live"),
        ),
        Good("""
            def init_weights(m):
                if isinstance(m, nn.Linear):
                    nn.init.kaiming_normal_(m.weight)

            class Net(nn.Module):
                def __init__(self, batch):
                    super().__init__()
                    self.body = nn.Sequential(nn.LazyLinear(64), nn.ReLU(), nn.LazyLinear(10))
                    self.head = nn.LazyLinear(10)
                    self._dry_run(batch)
                    self.apply(init_weights)

                def _dry_run(self, batch):
                    with torch.no_grad():
                        self.forward(batch)

                def forward(self, x):
                    return self.head(self.body(x))
            """),
    ]

    def check_incident(self, incident: Incident) -> Iterator[Finding]:
        if incident.kind == "lazy":
            yield self.at(
                incident,
                f"{incident.text} has no shape yet: "
                + (
                    "this raises ValueError"
                    if incident.raises
                    else "nothing is written, and the first forward draws it"
                ),
                help="run a batch through the model first, then initialise",
            )
