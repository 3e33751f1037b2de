"""INI403 init-overwrites-pretrained."""

from collections.abc import Iterator

from initlint.facts import Application, Parameter, Script, Write
from initlint.findings import Finding, Related, Severity
from initlint.rule import PARAMETERS, SOURCE, Bad, Good, Rule


class InitOverwritesPretrained(Rule):
    """Weights are loaded, and then an initialiser draws them anew.

    ## What it does

    Finds `apply` and loops over modules that write parameters which `load_state_dict`, `from_pretrained` or a
    `weights=` argument has filled before, where the initialiser runs over all of what was loaded.

    ## Why it matters

    The pretrained weights are thrown away without a word, and the model trains from scratch at the small learning rate
    that was meant for fine-tuning. `apply` visits every module, loaded or not:
    [Module.apply](https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.apply).

    ## Example

        self.backbone = resnet50(weights="DEFAULT")
        self.head = nn.Linear(2048, 10)
        self.apply(self._init_weights)

    ## Use instead

        self.backbone = resnet50(weights="DEFAULT")
        self.head = nn.Linear(2048, 10)
        self.head.apply(self._init_weights)

    ## When it is right to do this

    When only the new layers are initialised, when the weights are loaded afterwards, or when a part of what was loaded
    is drawn anew on purpose (a classifier, the last layers of an encoder): a run over a part alone is left alone.

    ## Fix safety

    No fix: whether the load or the initialiser is to go, or its range to be narrowed, is for the author to say.
    """

    code, name, severity = "INI403", "init-overwrites-pretrained", Severity.ERROR
    needs = (SOURCE, PARAMETERS)
    bad = [
        Bad("""
            from models import Net

            def weights_init(m):
                if isinstance(m, nn.Conv2d):
                    nn.init.xavier_uniform_(m.weight)

            if __name__ == "__main__":
                net = Net()
                net.load_state_dict(torch.load("net.pt"))
                net = net.cuda()
                net.apply(weights_init)  #~
            """),
        Bad("""
            from torchvision.models import resnet50

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.backbone = resnet50(weights="DEFAULT")
                    self.head = nn.Linear(1000, 10)
                    self.apply(self._init_weights)  #~

                def _init_weights(self, m):
                    if isinstance(m, (nn.Linear, nn.Conv2d)):
                        nn.init.trunc_normal_(m.weight, std=0.02)

                def forward(self, x):
                    return self.head(self.backbone(x))
            """),
        Bad("""
            from torchvision.models import vgg16

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    vgg = vgg16(pretrained=True)
                    self.features = vgg.features
                    self.tail = nn.Sequential(*list(vgg.children())[:-1])
                    self.out = nn.Conv2d(512, 1, 1)
                    for m in self.modules():  #~
                        if isinstance(m, nn.Conv2d):
                            nn.init.kaiming_normal_(m.weight)

                def forward(self, x):
                    return self.out(self.features(x))
            """),
        Bad(
            """
            def trained():
                return nn.Linear(16, 16).state_dict()

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Linear(16, 16)
                    self.body.load_state_dict(trained())
                    self.head = nn.Linear(16, 4)
                    self.apply(self._init_weights)  #~

                def _init_weights(self, m):
                    if isinstance(m, nn.Linear):
                        nn.init.xavier_uniform_(m.weight)

                def forward(self, x):
                    return self.head(F.relu(self.body(x)))
            """,
            by=("source", "live"),
        ),
    ]
    good = [
        Good("""
            from models import SSD

            def weights_init(m):
                if isinstance(m, nn.Conv2d):
                    nn.init.xavier_uniform_(m.weight)

            def train(resume):
                net = SSD()
                if resume:
                    net.load_weights("ssd.pth")
                    net.load_state_dict(torch.load("ssd.pth"))
                else:
                    net.vgg.load_state_dict(torch.load("vgg.pth"))
                if not resume:
                    net.extras.apply(weights_init)
                    net.loc.apply(weights_init)
                other = SSD()
                other.apply(weights_init)
                other.load_state_dict(net.state_dict())

            if __name__ == "__main__":
                train(False)
            """),
        Good(
            """
            def trained():
                return nn.Linear(16, 16).state_dict()

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Linear(16, 16)
                    self.head = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4))
                    self.apply(self._init_weights)
                    self.body.load_state_dict(trained())
                    self.head.apply(self._init_weights)

                def _init_weights(self, m):
                    if isinstance(m, nn.Linear):
                        nn.init.trunc_normal_(m.weight, std=0.2)

                def forward(self, x):
                    return self.head(F.relu(self.body(x)))
            """,
            by=("source", "live"),
        ),
        Good("""
            from torchvision.models import resnet50
            from transformers import AutoModel

            class Net(nn.Module):
                def __init__(self, pretrained=False):
                    super().__init__()
                    self.backbone = resnet50(weights="DEFAULT")
                    self.text = AutoModel.from_pretrained("bert-base-uncased")
                    self.scratch = resnet50(pretrained=pretrained)
                    self.head = nn.Linear(1000, 10)
                    self.head.apply(self._init_weights)
                    for m in self.scratch.modules():
                        self._init_weights(m)
                    for name, m in self.named_modules():
                        if "text" not in name:
                            self._init_norms(m)

                def _init_weights(self, m):
                    if isinstance(m, (nn.Linear, nn.Conv2d)):
                        nn.init.trunc_normal_(m.weight, std=0.02)

                def _init_norms(self, m):
                    if isinstance(m, nn.LayerNorm):
                        nn.init.ones_(m.weight)

                def forward(self, x):
                    return self.head(self.backbone(x))
            """),
        Good("""
            from settings import WEIGHTS
            from torchvision.models import resnet50
            from transformers import AutoModel

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.backbone = resnet50(weights=WEIGHTS)
                    self.text = AutoModel.from_pretrained("some/model")
                    self.head = nn.Linear(1000, 10)
                    self.apply(self._init_weights)

                def _init_weights(self, m):
                    if isinstance(m, (nn.Linear, nn.Conv2d)):
                        nn.init.trunc_normal_(m.weight, std=0.02)

                def forward(self, x):
                    return self.head(self.backbone(x))
            """),
    ]

    def check_script(self, script: Script) -> Iterator[Finding]:
        for mishap in script.wiped:
            yield self.at(
                mishap,
                f"{mishap.text}.{mishap.form} draws {mishap.text} anew, which was loaded before: the weights are lost",
                help="run it over the new layers only, or before the weights are loaded",
                related=[Related(location, "loaded here") for location in mishap.related],
            )

    def check_parameter(self, parameter: Parameter) -> Iterator[Finding]:
        writes = parameter.writes
        loads = [write for write in writes if write.author == "checkpoint" and write.overwrites]
        if not loads or writes[-1].author == "checkpoint" or not writes[-1].overwrites:
            return
        loaded, last = loads[-1], writes[-1]
        run = last.application
        if last.is_deliberate and run is not None and self._holds_all_of(run, loaded, parameter):
            yield self.at(
                run,
                f"{run.initializer} draws {parameter.name} anew, which holds loaded weights: they are lost",
                help="run it over the new layers only, or before the weights are loaded",
                layer=parameter.layer,
                parameters=(parameter,),
                related=[Related(loaded.location, "loaded here")] if loaded.location is not None else (),
            )

    def _holds_all_of(self, run: Application, loaded: Write, parameter: Parameter) -> bool:
        """Whether the run is over everything that was loaded, and not over a part that is to start afresh."""
        return not run.root or all(
            run.holds(other.name)
            for other in parameter.layer.model.parameters
            if any(write.order == loaded.order for write in other.writes)
        )
