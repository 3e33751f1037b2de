"""INI410 tie-broken-by-init."""

from collections.abc import Iterator

from initlint.facts import Incident, absent
from initlint.findings import Finding, Related, Severity
from initlint.rule import PARAMETERS, SOURCE, Bad, Good, Rule


class TieBrokenByInit(Rule):
    """Two layers share a Parameter, and a later statement gives one of them another.

    ## What it does

    Finds a Parameter that was given to a second layer (`self.head.weight = self.words.weight`) and is replaced in one
    of the two later on, without being tied again.

    ## Why it matters

    From then on the two are trained apart: the model has a second matrix, and what the paper ties
    ([Press and Wolf 2017](https://arxiv.org/abs/1608.05859)) is not tied. The statement that ties them reads as if it
    held.

    ## Example

        self.head.weight = self.words.weight
        self.head.weight = nn.Parameter(torch.randn(1000, 64) * 0.02)

    ## Use instead

        nn.init.normal_(self.words.weight, std=0.02)
        self.head.weight = self.words.weight

    ## When it is right to do this

    Where an option asks for separate matrices; writing the shared values in place (`nn.init.normal_(self.head.weight)`)
    keeps the tie.

    ## Fix safety

    No fix: whether the tie or the new matrix was meant is for the author to say.
    """

    code, name, severity = "INI410", "tie-broken-by-init", Severity.ERROR
    needs = (SOURCE, PARAMETERS)
    bad = [
        Bad(
            """
            class Net(nn.Module):
                def __init__(self, words=1000, width=64):
                    super().__init__()
                    self.words = nn.Embedding(words, width)
                    self.head = nn.Linear(width, words, bias=False)
                    self.head.weight = self.words.weight
                    self.init_weights()

                def init_weights(self):
                    self.head.weight = nn.Parameter(torch.randn(1000, 64) * 0.02)  #~
            """,
            by=("source", "live"),
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self, width=64):
                    super().__init__()
                    shared = nn.Parameter(torch.randn(width, width) * 0.02)
                    self.query = shared
                    self.key = shared
                    self.query = nn.Parameter(torch.eye(width))  #~
            """,
            by=("source", "live"),
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self, words=100, width=16):
                    super().__init__()
                    self.words = nn.Embedding(words, width)
                    self.head = nn.Linear(width, words, bias=False)
                    self.head.weight = self.words.weight

            def build():
                with torch.device("meta"):
                    model = Net()
                model.to_empty(device="cpu")  #~
                for p in model.parameters():
                    nn.init.normal_(p, std=0.02)
                return model
            """,
            by=("live",),
        ),
    ]
    good = [
        Good(
            """
            class Net(nn.Module):
                def __init__(self, words=1000, width=64, separate=False):
                    super().__init__()
                    self.words = nn.Embedding(words, width)
                    self.head = nn.Linear(width, words, bias=False)
                    self.head.weight = self.words.weight
                    nn.init.normal_(self.head.weight, std=0.02)
                    if separate:
                        self.head.weight = nn.Parameter(self.words.weight.clone())
                    self.apply(self._init_weights)

                def _init_weights(self, m):
                    if isinstance(m, (nn.Linear, nn.Embedding)):
                        m.weight.data.normal_(0, 0.02)
            """,
            by=("source", "live"),
        ),
        Good("""
            class Net(nn.Module):
                def __init__(self, separate, words=1000, width=64):
                    super().__init__()
                    self.words = nn.Embedding(words, width)
                    self.head = nn.Linear(width, words, bias=False)
                    self.head.weight = self.words.weight
                    self.words.weight = nn.Parameter(torch.randn(words, width) * 0.02)
                    self.head.weight = self.words.weight
                    self.bias = nn.Parameter(torch.zeros(words))
                    self.bias = nn.Parameter(torch.ones(words))
                    self.register_parameter("bias", self.bias)
                    if separate:
                        self.head.weight = nn.Parameter(self.words.weight.clone())
            """),
        Good(
            """
            class Tied(nn.Module):
                def __init__(self, words=100, width=16):
                    super().__init__()
                    self.words = nn.Embedding(words, width)
                    self.head = nn.Linear(width, words, bias=False)
                    self.tie_weights()

                def tie_weights(self):
                    self.head.weight = self.words.weight

            class Untied(Tied):
                def __init__(self):
                    super().__init__()
                    self.head.weight = nn.Parameter(torch.randn(100, 16) * 0.02)

            def build():
                with torch.device("meta"):
                    model = Tied()
                model.to_empty(device="cpu")
                model.tie_weights()
                nn.init.normal_(model.words.weight, std=0.02)
                wider = Tied()
                wider.words.weight = nn.Parameter(torch.randn(120, 16) * 0.02)
                wider.head.weight = wider.words.weight
                return nn.ModuleList([model, wider, Untied()])
            """,
            by=("live",),
        ),
    ]

    def check_incident(self, incident: Incident) -> Iterator[Finding]:
        if incident.kind != "untied" or absent(incident.tied) or incident.tied is None:
            return
        yield self.at(
            incident,
            f"{incident.text} was one with another Parameter and is given its own here: the two are no longer tied",
            help="initialise first and tie last, or write the shared values in place",
            related=[Related(incident.tied, "tied here")],
        )
