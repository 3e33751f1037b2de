"""INI420 optimizer-before-replacement."""

from collections.abc import Iterator

from initlint.facts import Script
from initlint.findings import Finding, Related, Severity
from initlint.rule import SOURCE, Bad, Good, Rule


class OptimizerBeforeReplacement(Rule):
    """A new layer is put in when the optimiser is already built, or is frozen with all the rest.

    ## What it does

    Finds scripts that build an optimiser over a model's parameters, then replace one of its layers by a new one, and
    train without a word to the optimiser. And scripts that put a new layer in, then freeze every parameter of the
    model, the new ones included, and train.

    ## Why it matters

    The new layer keeps its initial values for ever: an optimiser holds the parameters that it was given
    ([torch.optim](https://docs.pytorch.org/docs/stable/optim.html#constructing-it)), not the places they stood in. The
    loss still falls a little where other layers adapt, so nothing looks broken.

    ## Example

        optimizer = torch.optim.Adam(model.parameters())
        model.fc = nn.Linear(2048, 10)

    ## Use instead

        model.fc = nn.Linear(2048, 10)
        optimizer = torch.optim.Adam(model.parameters())

    ## When it is right to do this

    Where `add_param_group` or a later optimiser takes the new parameters up, where the head is thawed after the
    freeze, or where its weights are loaded and stay as they are.

    ## Fix safety

    No fix: statements would have to change places.
    """

    code, name, severity = "INI420", "optimizer-before-replacement", Severity.ERROR
    needs = (SOURCE,)
    bad = [
        Bad("""
            from torchvision.models import resnet18

            def train(model, optimizer):
                for batch in range(10):
                    optimizer.zero_grad()
                    model(torch.randn(2, 3, 64, 64)).sum().backward()
                    optimizer.step()

            if __name__ == "__main__":
                model = resnet18(weights="DEFAULT")
                optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
                model.fc = nn.Linear(512, 10)  #~
                train(model.cuda(), optimizer)
            """),
        Bad("""
            from torchvision.models import vgg16

            def main():
                model = vgg16(pretrained=True)
                model.classifier[6] = nn.Linear(4096, 10)
                for param in model.parameters():  #~
                    param.requires_grad = False
                optimizer = torch.optim.SGD(model.classifier[6].parameters(), lr=0.1)
                model(torch.randn(2, 3, 64, 64)).sum().backward()
                optimizer.step()

            main()
            """),
    ]
    good = [
        Good("""
            from torchvision.models import resnet18

            def main(args):
                model = resnet18(weights="DEFAULT")
                for param in model.parameters():
                    param.requires_grad = False
                model.fc = nn.Linear(512, 10)
                optimizer = torch.optim.Adam(model.fc.parameters(), lr=1e-3)
                model(torch.randn(2, 3, 64, 64)).sum().backward()
                optimizer.step()
                other = resnet18()
                optimizer = torch.optim.Adam(other.parameters(), lr=1e-3)
                other.fc = nn.Linear(512, 10)
                optimizer.add_param_group({"params": other.fc.parameters()})
                other(torch.randn(2, 3, 64, 64)).sum().backward()
                if args.features:
                    other.fc = nn.Identity()
                other(torch.randn(2, 3, 64, 64)).sum().backward()

            if __name__ == "__main__":
                main(object())
            """),
        Good("""
            from torchvision.models import resnet18

            def main(args):
                teacher, model = resnet18(), resnet18()
                teacher.fc = nn.Linear(512, 10)
                teacher.load_state_dict(torch.load("teacher.pt"))
                for param in teacher.parameters():
                    param.requires_grad = False
                model.fc = nn.Linear(512, 10)
                for param in model.parameters():
                    param.requires_grad = False
                for param in model.fc.parameters():
                    param.requires_grad = True
                for name, param in model.named_parameters():
                    if "fc" not in name:
                        param.requires_grad = False
                optimizer = torch.optim.SGD([*teacher.parameters(), *model.fc.parameters()], lr=0.1)
                model(torch.randn(2, 3, 64, 64)).sum().backward()
                if args.fresh:
                    model.fc = nn.Linear(512, 5)
                    optimizer = torch.optim.SGD(model.fc.parameters(), lr=0.1)
                model(torch.randn(2, 3, 64, 64)).sum().backward()

            if __name__ == "__main__":
                main(object())
            """),
    ]

    def check_script(self, script: Script) -> Iterator[Finding]:
        for mishap in script.untrained:
            if mishap.form == "late":
                message = f"{mishap.text} is replaced when the optimiser is built: it never learns of the new layer"
                instead, before = "build the optimiser afterwards, or call add_param_group", "optimiser built here"
            else:
                message = f"everything is frozen here, the new {mishap.text} included: it keeps its initial values"
                instead, before = "freeze first, then put the new layer in", "new layer"
            yield self.at(
                mishap,
                message,
                help=instead,
                related=[Related(location, before) for location in mishap.related],
            )
