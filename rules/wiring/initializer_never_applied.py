"""INI401 initializer-never-applied."""

from collections.abc import Iterator

from initlint.facts import Initializer
from initlint.findings import Finding, Severity
from initlint.rule import SOURCE, Bad, Good, Rule


class InitializerNeverApplied(Rule):
    """A class defines how its weights are initialised, and nothing ever calls it.

    ## What it does

    Finds methods such as `_init_weights`, `init_weights` and `weights_init` that nothing in reach calls or applies:
    not the class, not its bases, not another file of the project.

    ## Why it matters

    The model trains with torch's defaults, and the scheme that was written down (and perhaps published) is dead code.
    Nothing raises: the method is valid Python that never runs.

    ## Example

        class Net(nn.Module):
            def __init__(self): ...              # no self.apply(self._init_weights)
            def _init_weights(self, m): ...

    ## Use instead

        class Net(nn.Module):
            def __init__(self):
                ...
                self.apply(self._init_weights)

    ## When it is right to do this

    When the base class calls it (PreTrainedModel, timm, mmengine's BaseModule), when it is abstract, or when it is a
    helper for users of the library. What cannot be seen counts as called.

    ## Fix safety

    No fix: applying it changes the model.
    """

    code, name, severity = "INI401", "initializer-never-applied", Severity.WARNING
    needs = (SOURCE,)
    bad = [
        Bad("""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(16, 4)

                def _init_weights(self, m):  #~
                    if isinstance(m, nn.Linear):
                        nn.init.xavier_uniform_(m.weight)

                def forward(self, x):
                    return self.fc(x)
            """),
        Bad("""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(16, 4)
                    self.head = nn.Linear(4, 2)

                def init_weights(self):  #~
                    for m in self.modules():
                        if isinstance(m, nn.Linear):
                            nn.init.kaiming_normal_(m.weight)

                def forward(self, x):
                    return self.head(F.relu(self.fc(x)))

            net = Net()
            """),
    ]
    good = [
        Good("""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(16, 4)
                    self.apply(self._init_weights)

                def _init_weights(self, m):
                    if isinstance(m, nn.Linear):
                        nn.init.xavier_uniform_(m.weight)
            """),
        Good("""
            from transformers import PreTrainedModel

            class Base(PreTrainedModel):
                def _init_weights(self, m):
                    if isinstance(m, nn.Linear):
                        nn.init.xavier_uniform_(m.weight)

            class Unknown(somewhere.Model):
                def init_weights(self):
                    for m in self.modules():
                        if isinstance(m, nn.Linear):
                            nn.init.xavier_uniform_(m.weight)
            """),
        Good("""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(16, 4)

                def init_weights(self):
                    nn.init.xavier_uniform_(self.fc.weight)

            def build():
                net = Net()
                net.init_weights()
                return net
            """),
    ]

    def check_initializer(self, initializer: Initializer) -> Iterator[Finding]:
        if not initializer.callers and initializer.class_name is not None:
            yield self.at(
                initializer,
                f"{initializer.class_name}.{initializer.name} initialises weights, and nothing calls or applies it",
                help=f"end __init__ with self.apply(self.{initializer.name}) if it takes a module, else with "
                f"self.{initializer.name}()",
            )
