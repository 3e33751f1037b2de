"""INI419 checkpoint-matches-nothing."""

from collections.abc import Iterator

from initlint.facts import Incident, Parameter, Script, absent
from initlint.findings import Finding, Severity
from initlint.rule import GRAPH, PARAMETERS, SOURCE, Bad, Good, Rule

_WHY = {
    "prefixed": (
        'every key begins with "module.", and the model is not wrapped',
        "take the prefix away, or load into a wrapped model",
    ),
    "bare": ('the model is wrapped, so its keys begin with "module.", and no key loaded does', "load into its .module"),
    "nested": ("the state dict stands under a key of what was saved", "index what is loaded by that key"),
    "other": (
        "its names are others than the model's",
        "compare its keys with model.state_dict().keys(), and rename them",
    ),
}


class CheckpointMatchesNothing(Rule):
    """A checkpoint is loaded with strict=False, and no key of it matches.

    ## What it does

    Finds scripts that call `load_state_dict(..., strict=False)` with a state dict none of whose keys the model has, as
    the script itself tells: saved from a model wrapped in DataParallel and loaded into a bare one, or the reverse, or
    saved under a key and loaded without it. In a model that was built, loads that matched no key; and those that left a
    hidden matrix as it was drawn, though they had one of its shape under nearly its name (a warning).

    ## Why it matters

    [load_state_dict](https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.load_state_dict)
    with `strict=False` passes over what does not match and raises nothing. The model keeps its random
    weights, and whatever is said of the checkpoint is said of noise.

    ## Example

        model.load_state_dict({"module." + k: v for k, v in state.items()}, strict=False)

    ## Use instead

        model.load_state_dict({k.removeprefix("module."): v for k, v in state.items()})

    ## When it is right to do this

    Where some keys match and a new head does not, `strict=False` is what it is for. What the keys of a file are that
    another program saved is not known, and nothing is said of it.

    ## Fix safety

    No fix: which of the two is to be renamed is for the author to say.
    """

    code, name, severity = "INI419", "checkpoint-matches-nothing", Severity.ERROR
    needs = (SOURCE, PARAMETERS, GRAPH)
    bad = [
        Bad("""
            from models import Net

            def main():
                model = nn.DataParallel(Net())
                torch.save(model.state_dict(), "net.pt")
                fresh = Net()
                fresh.load_state_dict(torch.load("net.pt"), strict=False)  #~
                state = {k.replace("module.", ""): v for k, v in torch.load("other.pt").items()}
                model.load_state_dict(state, strict=False)  #~

            if __name__ == "__main__":
                main()
            """),
        Bad("""
            from models import Net

            PATH = "net.pt"
            model = Net()
            for epoch in range(3):
                torch.save({"model": model.state_dict(), "epoch": epoch}, PATH)
            model.load_state_dict(torch.load(PATH), strict=False)  #~
            model.fit()
            """),
        Bad(
            """
            def build():
                saved = nn.DataParallel(nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4))).state_dict()
                model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4))
                model.load_state_dict(saved, strict=False)  #~
                other = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4))
                other.load_state_dict({"epoch": 3, "model": model.state_dict()}, strict=False)  #~
                return nn.Sequential(model, other)
            """,
            by=("live",),
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self, width=16):
                    super().__init__()
                    self.fc1, self.fc2 = nn.Linear(8, width), nn.Linear(width, width)
                    self.head = nn.Linear(width, 4)

                def forward(self, x):
                    return self.head(F.relu(self.fc2(F.relu(self.fc1(x)))))

            def build():
                saved = Net().state_dict()
                saved["lin2.weight"] = saved.pop("fc2.weight")
                saved["classifier.weight"] = saved.pop("head.weight")
                model = Net()
                model.load_state_dict(saved, strict=False)  #~
                return model
            """,
            by=("live",),
            severity=Severity.WARNING,
        ),
    ]
    good = [
        Good("""
            from models import Net

            def main(path):
                model = nn.DataParallel(Net())
                torch.save(model.module.state_dict(), "net.pt")
                torch.save({"model": model.state_dict()}, "all.pt")
                fresh = Net()
                fresh.load_state_dict(torch.load("net.pt"), strict=False)
                fresh.load_state_dict(torch.load(path), strict=False)
                model.load_state_dict(torch.load("all.pt")["model"], strict=False)
                model.module.load_state_dict(torch.load("net.pt"), strict=False)
                fresh.load_state_dict({"module." + k: v for k, v in fresh.state_dict().items()})

            if __name__ == "__main__":
                main("other.pt")
            """),
        Good("""
            from models import Net

            model = Net()
            state = torch.load("net.pt")
            state = {k.replace("module.", ""): v for k, v in state.items()}
            model.load_state_dict(state, strict=False)
            new = {}
            for key, value in state.items():
                new["module." + key] = value
            wrapped = nn.DataParallel(model)
            wrapped.load_state_dict(new, strict=False)
            wrapped.fit()
            """),
        Good(
            """
            class Net(nn.Module):
                def __init__(self, classes=4, width=16, deep=True):
                    super().__init__()
                    self.fc1, self.fc2 = nn.Linear(8, width), nn.Linear(width, width)
                    self.adapter = nn.Linear(width, width) if deep else nn.Identity()
                    self.head = nn.Linear(width, classes)

                def forward(self, x):
                    return self.head(F.relu(self.adapter(F.relu(self.fc2(F.relu(self.fc1(x)))))))

            def build():
                saved = Net(7, deep=False).state_dict()
                saved = {k: v for k, v in saved.items() if not k.startswith("head.")}
                saved["classifier.weight"] = torch.zeros(4, 16)
                model = Net()
                model.load_state_dict({"module." + k: v for k, v in saved.items()}, strict=False)
                model.load_state_dict(saved, strict=False)
                return model
            """,
            by=("live",),
        ),
    ]

    def check_script(self, script: Script) -> Iterator[Finding]:
        for mishap in script.unmatched:
            why, instead = _WHY[mishap.form]
            yield self.at(
                mishap,
                f"{mishap.text} matches no key and, not being strict, says nothing: {why}",
                help=instead,
            )

    def check_incident(self, incident: Incident) -> Iterator[Finding]:
        if incident.kind == "unmatched":
            why, instead = _WHY[incident.other]
            yield self.at(incident, f"{incident.text} matches no key and says nothing: {why}", help=instead)

    def check_parameter(self, parameter: Parameter) -> Iterator[Finding]:
        load = parameter.left_out
        if absent(load) or load is None or not parameter.is_weight or parameter.layer.is_head:
            return
        yield self.at(
            load,
            f"{load.text} leaves {parameter.name} as it was drawn: what is loaded calls it {load.other}",
            help=f"rename {load.other} to {parameter.name} in the state dict",
            severity=Severity.WARNING,
            parameters=(parameter,),
            layer=parameter.layer,
        )
