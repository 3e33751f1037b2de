"""INI601 unseeded-init."""

from collections.abc import Iterator

from initlint.facts import Script
from initlint.findings import Finding, Severity
from initlint.rule import SOURCE, Bad, Good, Rule


class UnseededInit(Rule):
    """A script builds and trains a model and never seeds torch.

    ## What it does

    Finds scripts that draw a model at random and train it, and in which nothing sets torch's seed: neither the script
    nor, as far as they can be looked at, the other files of its project.

    ## Why it matters

    Every run starts from other weights: a result cannot be had again, and whether a change helped cannot be told from
    the luck of the draw. Seeding `random` or `numpy` does not reach torch; see
    [Reproducibility](https://docs.pytorch.org/docs/stable/notes/randomness.html).

    ## Example

        model = Net()
        train(model)

    ## Use instead

        torch.manual_seed(0)
        model = Net()
        train(model)

    ## When it is right to do this

    In libraries and tests, which leave the seed to their callers, and where a framework seeds (`seed_everything`,
    `set_seed`, transformers' Trainer). A model that is loaded is not drawn.

    ## Fix safety

    No fix: which seed, and where it comes from, is for the author to say.
    """

    code, name, severity = "INI601", "unseeded-init", Severity.ADVICE
    needs = (SOURCE,)
    bad = [
        Bad("""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(4, 2)

            model = Net()  #~
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            for batch in range(10):
                model.fc(torch.randn(8, 4)).sum().backward()
                optimizer.step()
            """),
        Bad("""
            import random
            import numpy as np
            from torchvision.models import resnet18

            def set_seed(seed):
                random.seed(seed)
                np.random.seed(seed)

            def main():
                set_seed(0)
                model = resnet18(num_classes=10)  #~
                model = model.cuda()
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                model(torch.randn(2, 3, 64, 64)).sum().backward()
                optimizer.step()

            if __name__ == "__main__":
                main()
            """),
    ]
    good = [
        Good("""
            from models import Net
            from tools import fix_all_seeds

            def main(seed):
                fix_all_seeds(seed)
                model = Net()
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                model(torch.randn(2, 4)).sum().backward()
                optimizer.step()

            if __name__ == "__main__":
                main(0)
            """),
        Good("""
            from transformers import AutoModel, Trainer, TrainingArguments

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(4, 2)

            def fit(model):
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                model(torch.randn(2, 4)).sum().backward()
                optimizer.step()

            def library():
                fit(Net())

            if __name__ == "__main__":
                fit(AutoModel.from_pretrained("bert-base-uncased"))
                Trainer(Net(), TrainingArguments("out")).train()
            """),
    ]

    def check_script(self, script: Script) -> Iterator[Finding]:
        if script.seeded_elsewhere or script.seeds or script.may_seed or not script.trains:
            return
        for build in script.builds[:1]:
            yield self.at(
                build,
                f"{build.text}() draws its weights, and nothing here seeds torch: every run starts elsewhere",
                help="call torch.manual_seed(…) before the model is built",
            )
