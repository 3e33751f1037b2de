"""INI414 filter-matches-nothing."""

from collections.abc import Iterator

from initlint.facts import Guard, absent
from initlint.findings import Finding, Related, Severity
from initlint.rule import SOURCE, Bad, Good, Rule

_WHY = {
    "parameter": ("what it is asked of is a parameter, never a layer", "loop over modules()"),
    "module": ("what it is asked of is a layer, never a tensor", "loop over parameters()"),
    "pair": ("what it is asked of is a pair of name and value", "unpack it: for name, m in …"),
    "class": ("a class never equals a text", "write isinstance(m, …), or compare its __name__"),
    "name": ("the name of a class never equals the class", "write isinstance(m, …)"),
    "contradiction": ("no layer is of both kinds", "ask for one of them: isinstance(m, (…, …))"),
    "earlier": ("an earlier arm has taken all of these layers", "name the class that was meant here"),
}


class FilterMatchesNothing(Rule):
    """A test in an initialiser can never hold, or holds for less than it says.

    ## What it does

    Finds tests for a kind of layer that nothing passes: `isinstance(p, nn.Linear)` in a loop over `parameters()`, a
    class compared with a text, a class's name that is misspelt, two kinds at once, an arm whose layers an earlier
    one has taken. And tests that name classes which Python never looks at: `nn.Linear or nn.Conv2d` is `nn.Linear`.

    ## Why it matters

    The initialiser runs, raises nothing and leaves every layer it was written for at torch's default:
    [parameters()](https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.parameters)
    yields tensors, and no tensor is a layer.

    ## Example

        for m in self.parameters():
            if isinstance(m, nn.Linear):
                nn.init.xavier_uniform_(m.weight)

    ## Use instead

        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.xavier_uniform_(m.weight)

    ## When it is right to do this

    Never. A name that some class of the project has, or that a library is known for, is not taken for a slip.

    ## Fix safety

    No fix: the initialiser would begin to work, which changes the model.
    """

    code, name, severity = "INI414", "filter-matches-nothing", Severity.ERROR
    needs = (SOURCE,)
    bad = [
        Bad("""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(16, 16)
                    for m in self.parameters():
                        if isinstance(m, (nn.Linear, nn.Conv2d)):  #~
                            nn.init.xavier_uniform_(m.weight)
                    for m in self.named_modules():
                        if isinstance(m, nn.Linear):  #~
                            nn.init.zeros_(m.bias)
                    for m in self.modules():
                        if isinstance(m, nn.Parameter):  #~
                            nn.init.zeros_(m)

                def forward(self, x):
                    return self.fc(x)
            """),
        Bad("""
            def init_weights(m):
                if isinstance(m, nn.Linear or nn.Conv2d):  #~
                    nn.init.xavier_uniform_(m.weight)
                elif isinstance(m, nn.LayerNorm) and isinstance(m, nn.BatchNorm2d):  #~
                    nn.init.ones_(m.weight)
                elif type(m) == "Embedding":  #~
                    nn.init.normal_(m.weight)
            """),
        Bad("""
            def weights_init(m):
                classname = m.__class__.__name__
                if classname.find("Conv") != -1:
                    nn.init.normal_(m.weight, 0.0, 0.02)
                elif classname.find("BatchNrom") != -1:  #~
                    nn.init.normal_(m.weight, 1.0, 0.02)
                elif classname == "linear":  #~
                    nn.init.normal_(m.weight, 0.0, 0.02)
            """),
        Bad(
            """
            def init_weights(m):
                if isinstance(m, nn.Conv2d):
                    nn.init.kaiming_normal_(m.weight)
                elif isinstance(m, nn.BatchNorm2d):
                    nn.init.ones_(m.weight)
                elif isinstance(m, nn.Conv2d):  #~
                    nn.init.xavier_uniform_(m.weight)
            """,
            severity=Severity.WARNING,
        ),
    ]
    good = [
        Good("""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(16, 16)
                    for m in self.modules():
                        if isinstance(m, (nn.Linear, nn.Conv2d)):
                            nn.init.xavier_uniform_(m.weight)
                    for name, m in self.named_modules():
                        if isinstance(m, nn.Linear):
                            nn.init.zeros_(m.bias)
                    for p in self.parameters():
                        if isinstance(p, nn.Parameter):
                            nn.init.normal_(p, std=0.02)
                    for part in (self.fc, self.fc.bias):
                        if isinstance(part, nn.Linear):
                            nn.init.zeros_(part.weight)

                def forward(self, x):
                    return self.fc(x)
            """),
        Good("""
            class Projection(nn.Module):
                def __init__(self, bias=False):
                    super().__init__()
                    if bias:
                        self.proj = nn.Linear(16, 8)
                    else:
                        self.proj = nn.Parameter(torch.empty(16, 8))
                    for proj in (self.proj,):
                        if isinstance(proj, nn.Linear):
                            nn.init.normal_(proj.weight, std=0.25)
                    if isinstance(self.proj, nn.Linear):
                        nn.init.zeros_(self.proj.bias)
                    else:
                        nn.init.normal_(self.proj, std=0.25)

                def forward(self, x):
                    return self.proj(x) if isinstance(self.proj, nn.Linear) else x @ self.proj
            """),
        Good("""
            class ConvTransposed2d(nn.Conv2d):
                pass

            def init_weights(m, std=0.02):
                if isinstance(m, nn.Conv2d) and m.groups > 1:
                    nn.init.kaiming_normal_(m.weight)
                elif isinstance(m, nn.Conv2d):
                    nn.init.normal_(m.weight, std=std)
                elif "ConvTransposed" in type(m).__name__:
                    nn.init.zeros_(m.weight)
                elif type(m).__name__ == "Conv1D":
                    nn.init.normal_(m.weight, std=std)
                elif "Embeddings" in m.__class__.__name__:
                    nn.init.normal_(m.weight, std=std)
                elif isinstance(std, nn.Parameter):
                    nn.init.normal_(m.weight, std=std.item())
            """),
    ]

    def check_guard(self, guard: Guard) -> Iterator[Finding]:
        if absent(guard.obstacle):
            yield self.at(
                guard,
                f"{guard.text} only lets {' and '.join(guard.kinds)} through: of alternatives joined by "
                f"`or` and `and` Python hands on one, and {', '.join(guard.ignored)} is never looked at",
                help="write a tuple of classes",
            )
        elif guard.obstacle == "misspelt":
            yield self.at(
                guard,
                f"{guard.text} never holds: no class has that name ({guard.meant} is the nearest), so these layers "
                "keep torch's default",
                help=f"write {guard.meant}, or better isinstance(m, nn.{guard.meant})",
            )
        else:
            why, instead = _WHY[str(guard.obstacle)]
            yield self.at(
                guard,
                f"{guard.text} never holds: {why}",
                help=instead,
                severity=Severity.WARNING if guard.obstacle == "earlier" else None,
                related=[Related(location, "taken here") for location in guard.related],
            )
