"""INI604 seed-in-constructor."""

from collections.abc import Iterator

from initlint.facts import ClassFacts, Initializer
from initlint.findings import Finding, Severity
from initlint.location import Location
from initlint.rule import SOURCE, Bad, Good, Rule


class SeedInConstructor(Rule):
    """A module's constructor or an initialiser sets torch's global seed.

    ## What it does

    Finds `torch.manual_seed` and its kin in the `__init__` of a module, and in functions that initialise the module
    they are given or belong to.

    ## Why it matters

    The seed is the whole program's. Every module built so gets the same draw as every other of its shape, an ensemble
    is one model many times, and the data order and dropout that follow restart with each module that is made. See
    [torch.random](https://docs.pytorch.org/docs/stable/random.html).

    ## Example

        class QNetwork(nn.Module):
            def __init__(self, seed):
                super().__init__()
                self.seed = torch.manual_seed(seed)

    ## Use instead

        torch.manual_seed(seed)          # once, where the program starts
        network = QNetwork()

    ## When it is right to do this

    Under `torch.random.fork_rng()`, or where the state is put back afterwards. A Generator of one's own disturbs
    nobody.

    ## Fix safety

    No fix: the statement belongs into the caller, which may be anywhere.
    """

    code, name, severity = "INI604", "seed-in-constructor", Severity.ADVICE
    needs = (SOURCE,)
    bad = [
        Bad("""
            class QNetwork(nn.Module):
                def __init__(self, size, seed):
                    super().__init__()
                    self.seed = torch.manual_seed(seed)  #~
                    self.fc = nn.Linear(size, 4)

                def forward(self, x):
                    return self.fc(x)
            """),
        Bad("""
            def init_weights(m):
                if isinstance(m, nn.Linear):
                    torch.manual_seed(0)  #~
                    nn.init.xavier_uniform_(m.weight)

            net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
            net.apply(init_weights)
            """),
    ]
    good = [
        Good("""
            class Net(nn.Module):
                def __init__(self, size, seed):
                    super().__init__()
                    with torch.random.fork_rng():
                        torch.manual_seed(seed)
                        self.fc = nn.Linear(size, 4)

                def forward(self, x):
                    return self.fc(x)

            class Table(nn.Module):
                def __init__(self, size, seed):
                    super().__init__()
                    generator = torch.Generator().manual_seed(seed)
                    self.weight = nn.Parameter(torch.randn(size, 4, generator=generator))
            """),
        Good("""
            class Trainer:
                def __init__(self, seed):
                    torch.manual_seed(seed)
                    self.net = nn.Linear(4, 4)

            def init_model(seed):
                torch.manual_seed(seed)
                net = nn.Linear(4, 4)
                nn.init.xavier_uniform_(net.weight)
                return net
            """),
    ]

    def check_klass(self, klass: ClassFacts) -> Iterator[Finding]:
        if klass.is_module:
            yield from self._at(klass.seeds, f"{klass.name}.__init__")

    def check_initializer(self, initializer: Initializer) -> Iterator[Finding]:
        yield from self._at(initializer.seeds, initializer.name)

    def _at(self, seeds: tuple[Location, ...], where: str) -> Iterator[Finding]:
        for location in seeds:
            yield self.at(
                location,
                f"{where} sets the whole program's seed: all it makes of one shape is alike, and so is what follows",
                help="seed once, where the program starts, or under torch.random.fork_rng()",
            )
