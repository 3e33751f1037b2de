"""INI602 seeded-after-build."""

from collections.abc import Iterator

from initlint.facts import Script
from initlint.findings import Finding, Related, Severity
from initlint.rule import SOURCE, Bad, Good, Rule


class SeededAfterBuild(Rule):
    """A script sets the seed when the model is already built.

    ## What it does

    Finds scripts that build a model, then set torch's seed, then train, where nothing sets it before the model is
    built and nothing builds the model again.

    ## Why it matters

    Initial weights are drawn when the model is built. The script looks reproducible and is not: two runs start from
    different weights, and differ in their results by as much as two seeds do.
    [Reproducibility](https://docs.pytorch.org/docs/stable/notes/randomness.html) asks for the seed first.

    ## Example

        model = Net()
        torch.manual_seed(0)
        train(model)

    ## Use instead

        torch.manual_seed(0)
        model = Net()
        train(model)

    ## When it is right to do this

    Where an earlier statement has set the seed too, where the model is loaded and not drawn, or where the seed is for
    something after the training, such as the noise of a sample.

    ## Fix safety

    No fix: moving the statement changes what every draw before it gives.
    """

    code, name, severity = "INI602", "seeded-after-build", Severity.WARNING
    needs = (SOURCE,)
    bad = [
        Bad("""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(4, 2)

            def main():
                model = Net()
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                torch.manual_seed(0)  #~
                for batch in range(10):
                    loss = model.fc(torch.randn(8, 4)).sum()
                    loss.backward()
                    optimizer.step()

            if __name__ == "__main__":
                main()
            """),
        Bad("""
            from lightning import Trainer, seed_everything
            from models import Classifier

            def run(model, seed):
                seed_everything(seed)  #~
                trainer = Trainer(max_epochs=3)
                trainer.fit(model)

            model = Classifier(10)
            run(model, 1)
            """),
    ]
    good = [
        Good("""
            import argparse

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(4, 2)

            def train(model):
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                for batch in range(10):
                    model.fc(torch.randn(8, 4)).sum().backward()
                    optimizer.step()

            if __name__ == "__main__":
                args = argparse.ArgumentParser().parse_args()
                if args.seed is not None:
                    torch.manual_seed(args.seed)
                model = Net()
                torch.manual_seed(args.seed + 1)
                train(model)
                torch.manual_seed(7)
                noise = torch.randn(4)
            """),
        Good("""
            import random
            from models import Net, load_model

            def main(fresh, seed):
                if not fresh:
                    model = Net()
                    torch.save(model.state_dict(), "start.pt")
                    return
                torch.manual_seed(seed)
                model = load_model("start.pt")
                torch.manual_seed(seed)
                optimizer = torch.optim.Adam(model.parameters())
                model(torch.randn(2, 4)).sum().backward()
                optimizer.step()

            def sample():
                model = Net()
                optimizer = torch.optim.Adam(model.parameters())
                model(torch.randn(2, 4)).sum().backward()
                torch.manual_seed(3)
                return model(torch.randn(2, 4))

            main(False, 0)
            sample()
            """),
        Good("""
            from models import Net
            from pipes import loader, exclude_seed_edges

            def main():
                model = Net()
                pipe = exclude_seed_edges(loader()).exclude_seed_nodes()
                optimizer = torch.optim.Adam(model.parameters())
                for batch in pipe:
                    model(batch).sum().backward()
                    optimizer.step()

            main()
            """),
    ]

    def check_script(self, script: Script) -> Iterator[Finding]:
        for build in script.builds:
            if any(seed.order < build.order for seed in (*script.seeds, *script.may_seed)):
                continue
            late = [
                seed
                for seed in script.seeds
                if build.precedes(seed)
                and any(seed.precedes(train) for train in script.trains)
                and not any(train.order < seed.order for train in script.trains)
                and not any(seed.precedes(other) for other in script.builds)
            ]
            if late:
                yield self.at(
                    late[0],
                    f"the seed is set when {build.text}() has already drawn its weights: they differ from run to run",
                    help="set the seed before the model is built",
                    related=[Related(build.location, "built here")],
                )
                return
