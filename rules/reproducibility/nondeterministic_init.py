"""INI603 nondeterministic-init."""

from collections.abc import Iterator

from initlint.facts import Model
from initlint.findings import Finding, Severity
from initlint.rule import PARAMETERS, Bad, Good, Rule


class NondeterministicInit(Rule):
    """The same seed does not give the same model.

    ## What it does

    Builds the model twice with torch, numpy and random seeded alike, and compares every parameter and buffer bit by
    bit. A module that was handed over ready-made cannot be built twice and is not judged.

    ## Why it matters

    A run that cannot be repeated cannot be debugged or compared, and under DistributedDataParallel ranks that build
    alike are taken to be alike ([reproducibility](https://docs.pytorch.org/docs/stable/notes/randomness.html)). Usual
    causes are a numpy Generator or random.Random without a seed, a seed from the clock, and a counter or generator at
    module level, which gives the second model of a process other values than the first.

    ## Example

        noise = random.Random()              # seeded from the operating system
        nn.init.constant_(self.bias, noise.gauss(0, 0.02))

    ## Use instead

        nn.init.normal_(self.bias, std=0.02)     # follows torch.manual_seed

    ## When it is right to do this

    Where values are meant to differ from run to run, such as a random identifier kept in a buffer: ignore the
    parameter by name.

    ## Fix safety

    No fix: the source of the values lies in the constructor.
    """

    code, name, severity = "INI603", "nondeterministic-init", Severity.WARNING
    needs = (PARAMETERS,)
    bad = [
        Bad(
            """
            import random

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    noise = random.Random()
                    self.fc = nn.Linear(16, 4)
                    nn.init.constant_(self.fc.bias, noise.gauss(0, 0.02))  #~

                def forward(self, x):
                    return self.fc(x)
            """,
            by=("live",),
        ),
        Bad(
            """
            import os

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.register_buffer("phase", torch.full((16,), int.from_bytes(os.urandom(4), "big") / 2**32))  #~
                    self.fc = nn.Linear(16, 4)
                    generator = torch.Generator().manual_seed(int.from_bytes(os.urandom(4), "big"))
                    nn.init.normal_(self.fc.weight, std=0.02, generator=generator)  #~

                def forward(self, x):
                    return self.fc(x + self.phase)
            """,
            by=("live",),
        ),
    ]
    good = [
        Good(
            """
            import random

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    noise = random.Random(7)
                    generator = torch.Generator().manual_seed(7)
                    self.fc = nn.Linear(16, 4)
                    nn.init.constant_(self.fc.bias, noise.gauss(0, 0.02))
                    nn.init.normal_(self.fc.weight, std=0.02, generator=generator)

                def forward(self, x):
                    return self.fc(x)
            """,
            by=("live",),
        ),
        Good(
            """
            import random

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(16, 16)
                    self.phase = nn.Parameter(torch.full((16,), random.random()))
                    self.out = nn.Linear(16, 4)

                def forward(self, x):
                    return self.out(torch.sin(self.fc(x) + self.phase))
            """,
            by=("live",),
        ),
    ]

    def check_model(self, model: Model) -> Iterator[Finding]:
        if not model.differing:
            return
        by_name = {parameter.name: parameter for parameter in model.parameters}
        for name in model.differing:
            yield self.at(
                by_name.get(name, model),
                f"{name} holds other values in a second build under the same seeds",
                help="draw from torch's global generator, or give your own generator a fixed seed",
            )
