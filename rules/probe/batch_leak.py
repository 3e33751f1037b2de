"""INI710 batch-leak."""

from collections.abc import Iterator

from initlint.facts import Model
from initlint.findings import Finding, Severity
from initlint.rule import PROBE, Bad, Good, Rule

_SHARE = 1e-3
"""Of the gradient with respect to a sample's own input. Rounding leaves 1e-7 and less; a mean over 100 samples 1e-2."""


class BatchLeak(Rule):
    """In eval mode, what the model says of a sample depends on the samples beside it.

    ## What it does

    Runs a few samples in eval mode and takes the gradient of one sample's output with respect to the inputs of all (of
    token ids: with respect to their embeddings). Where the others' is more than a thousandth of its own, it warns.

    ## Why it matters

    The samples of a batch are independent; a softmax, mean or norm over dimension 0, or a reshape that mixes it with
    another, lets each see the others. Training may still go down, by what leaks, and prediction then depends on what
    else is asked at the time.

    ## Example

        return torch.softmax(logits, dim=0)

    ## Use instead

        return torch.softmax(logits, dim=-1)

    ## When it is right to do this

    Batch norm in train mode, or one with `track_running_stats=False`. Contrastive models and whatever else computes a
    relation between all pairs, sequences that come with time before the batch, sets, graphs and sequences without a
    batch: wherever dimension 0 may be something else than the batch, nothing is said. A discriminator that looks at
    the spread of its batch (minibatch standard deviation) leaks on purpose: suppress it there.

    ## Fix safety

    No fix: which dimension was meant only its author knows.
    """

    code, name, severity = "INI710", "batch-leak", Severity.WARNING
    needs = (PROBE,)
    of_any_weights = True
    bad = [
        Bad(
            """
            class Net(nn.Module):  #~
                def __init__(self):
                    super().__init__()
                    self.body = nn.Linear(16, 32)
                    self.out = nn.Linear(32, 4)

                def forward(self, x):
                    return torch.softmax(self.out(F.relu(self.body(x))), dim=0)
            """,
            by=("live",),
        ),
        Bad(
            """
            class Language(nn.Module):  #~
                def __init__(self):
                    super().__init__()
                    self.tokens = nn.Embedding(50, 32)
                    self.positions = nn.Embedding(12, 32)
                    self.attention = nn.MultiheadAttention(32, 4)
                    self.head = nn.Linear(32, 50)

                def forward(self, ids):
                    x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1]))
                    x = x + self.attention(x, x, x, need_weights=False)[0]
                    return self.head(x)

            def build():
                return Language(), torch.randint(0, 50, (8, 12))
            """,
            by=("live",),
        ),
        Bad(
            """
            class Net(nn.Module):  #~
                def __init__(self):
                    super().__init__()
                    self.conv = nn.Conv2d(3, 8, 3, padding=1)
                    self.out = nn.Linear(8, 4)

                def forward(self, x):
                    x = F.relu(self.conv(x))
                    x = x - x.mean(0)
                    return self.out(x.mean((2, 3)))
            """,
            by=("live",),
        ),
    ]
    good = [
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Linear(16, 32)
                    self.norm = nn.BatchNorm1d(32)
                    self.out = nn.Linear(32, 4)

                def forward(self, x):
                    return torch.softmax(self.out(F.relu(self.norm(self.body(x)))), dim=-1)
            """,
            by=("live",),
        ),
        Good(
            """
            class TimeFirst(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.attention = nn.MultiheadAttention(32, 4)
                    self.cell = nn.LSTM(32, 32)
                    self.head = nn.Linear(32, 5)

                def forward(self, x):
                    x = x + self.attention(x, x, x, need_weights=False)[0]
                    return self.head(self.cell(x)[0])

            def build():
                return TimeFirst(), torch.randn(12, 8, 32)
            """,
            by=("live",),
        ),
        Good(
            """
            class Contrastive(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.left = nn.Linear(16, 32)
                    self.right = nn.Linear(16, 32)

                def forward(self, x, y):
                    return F.normalize(self.left(x), dim=1) @ F.normalize(self.right(y), dim=1).T

            def build():
                return Contrastive(), (torch.randn(8, 16), torch.randn(8, 16))
            """,
            by=("live",),
        ),
        Good(
            """
            class Unbatched(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.query, self.key, self.value = (nn.Linear(16, 16) for _ in range(3))

                def forward(self, x):
                    weights = (self.query(x) @ self.key(x).T / 4).softmax(-1)
                    return weights @ self.value(x)

            def build():
                return Unbatched(), torch.randn(12, 16)
            """,
            by=("live",),
        ),
    ]

    def check_model(self, model: Model) -> Iterator[Finding]:
        share = model.probe.batch_leak
        if share <= _SHARE:
            return
        yield self.at(
            model,
            f"in eval mode a sample's output of {model.name} depends on the other samples of the batch: the gradient "
            f"with respect to another's input is {share:.1%} of that to its own",
            help="look for a softmax, mean or norm over dimension 0, a reshape across it, a missing batch_first=True",
            evidence={"share": share},
        )
