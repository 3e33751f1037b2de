"""INI416 reset-misses-sibling."""

from collections.abc import Iterator

from initlint.facts import Initializer
from initlint.findings import Finding, Related, Severity
from initlint.rule import SOURCE, Bad, Good, Rule


class ResetMissesSibling(Rule):
    """An initialiser sets one attribute twice and its sibling never.

    ## What it does

    Finds functions such as `reset_parameters` in which two statements initialise the same attribute by the same call,
    while an attribute that the constructor makes in the same way is initialised by none.

    ## Why it matters

    It is a line that was copied and not changed. Nothing raises: the sibling keeps what its constructor drew, so one
    model is drawn from two schemes, and `reset_parameters` between the folds of a cross-validation, as
    [PyTorch Geometric](https://pytorch-geometric.readthedocs.io/en/latest/notes/create_gnn.html) and others do, lets
    what was learnt on one fold leak into the next.

    ## Example

        def reset_parameters(self):
            self.lin1.reset_parameters()
            self.lin1.reset_parameters()

    ## Use instead

        def reset_parameters(self):
            self.lin1.reset_parameters()
            self.lin2.reset_parameters()

    ## When it is right to do this

    Where the sibling is reset by a loop, by another initialiser of the class, or on purpose keeps its values; a second
    statement on the same attribute then wants another call (`zeros_`, then `normal_`), or none.

    ## Fix safety

    No fix: which of several siblings was meant is for the author to say.
    """

    code, name, severity = "INI416", "reset-misses-sibling", Severity.WARNING
    needs = (SOURCE,)
    bad = [
        Bad("""
            class Net(nn.Module):
                def __init__(self, dim):
                    super().__init__()
                    self.lin1 = nn.Linear(dim, dim)
                    self.lin2 = nn.Linear(dim, dim)

                def reset_parameters(self):
                    self.lin1.reset_parameters()
                    self.lin1.reset_parameters()  #~

                def forward(self, x):
                    return self.lin2(F.relu(self.lin1(x)))
            """),
        Bad("""
            class Gate(nn.Module):
                def __init__(self, dim):
                    super().__init__()
                    self.query = nn.Parameter(torch.empty(dim, dim))
                    self.key = nn.Parameter(torch.empty(dim, dim))
                    self.scale = nn.Parameter(torch.ones(dim))
                    self.init_weights()

                def init_weights(self):
                    nn.init.xavier_uniform_(self.query)
                    nn.init.xavier_uniform_(self.query)  #~

                def forward(self, x):
                    return x @ self.query @ self.key * self.scale
            """),
    ]
    good = [
        Good("""
            class Net(nn.Module):
                def __init__(self, dim):
                    super().__init__()
                    self.lin1 = nn.Linear(dim, dim)
                    self.lin2 = nn.Linear(dim, dim)
                    self.norm = nn.LayerNorm(dim)
                    self.scale = nn.Parameter(torch.ones(dim))
                    self.reset_parameters()

                def reset_parameters(self):
                    self.lin1.reset_parameters()
                    self.lin2.reset_parameters()
                    nn.init.zeros_(self.scale)
                    nn.init.normal_(self.scale)
                    self.norm.reset_parameters()
                    self.norm.reset_parameters()

                def forward(self, x):
                    return self.norm(self.lin2(F.relu(self.lin1(x)))) * self.scale
            """),
        Good("""
            class Looped(nn.Module):
                def __init__(self, dim):
                    super().__init__()
                    self.lin1 = nn.Linear(dim, dim)
                    self.lin2 = nn.Linear(dim, dim)
                    self.gate = nn.Linear(dim, dim)
                    nn.init.zeros_(self.gate.weight)

                def reset_parameters(self):
                    self.lin1.reset_parameters()
                    for module in self.children():
                        module.reset_parameters()
                    self.lin1.reset_parameters()

                def init_weights(self):
                    self.lin1.reset_parameters()
                    self.lin2.reset_parameters()
                    if self.training:
                        self.lin1.reset_parameters()
            """),
        Good("""
            class Named(nn.Module):
                def __init__(self, dim):
                    super().__init__()
                    self.lin1 = nn.Linear(dim, dim)
                    self.lin2 = nn.Linear(dim, dim)

                def reset_parameters(self):
                    for name in ("lin1", "lin2"):
                        self._modules[name].reset_parameters()
                    self.lin1.reset_parameters()
                    self.lin1.reset_parameters()

                def init_weights(self):
                    reset(self, "lin2")
                    self.lin1.reset_parameters()
                    self.lin1.reset_parameters()
            """),
    ]

    def check_initializer(self, initializer: Initializer) -> Iterator[Finding]:
        for repeat in initializer.repeats:
            if repeat.forgotten:
                yield self.at(
                    repeat,
                    f"{repeat.text} is set a second time, and {' and '.join(repeat.forgotten)}, made in the same way, "
                    f"by nothing: {initializer.name} seems to mean the one here",
                    help=f"name {' or '.join(repeat.forgotten)} in one of the two statements",
                    related=[Related(location, "set here already") for location in repeat.related],
                )
