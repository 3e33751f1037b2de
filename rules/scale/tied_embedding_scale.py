"""INI209 tied-embedding-scale."""

import math
from collections.abc import Iterator

from initlint.facts import Parameter, absent
from initlint.findings import Finding, Severity
from initlint.rule import GRAPH, PARAMETERS, SOURCE, Bad, Good, Rule

_TOO_WIDE = 3.9
"""A std of the logits from which the first loss is far above that of a uniform guess: std 1 at 16 features."""


class TiedEmbeddingScale(Rule):
    """An embedding drawn from N(0, 1) is the output projection too, so that logits start with std sqrt(d).

    ## What it does

    Finds embedding tables that are looked up in, and are tied to a Linear's weight or multiplied by in the forward
    (`F.linear(x, self.embedding.weight)`), whose std times the root of the features makes logits of std 4 or more. A
    number of features that was not read is taken to be 16. Where the model was run, its logits must have that std as
    well: a recurrent state may be far smaller than 1.

    ## Why it matters

    torch draws embeddings from N(0, 1), which is right for a look-up and sqrt(d) too large for a projection: at d = 512
    the logits have std 23 and the first loss is in the hundreds, not ln(vocabulary)
    ([Press & Wolf 2017](https://arxiv.org/abs/1608.05859) tie the two; GPT-2 draws both with std 0.02; T5 scales the
    hidden state by d^-0.5 before the tied projection). Of 28 small language models with a tied table the 14 whose
    logits start with std 4.3 or less learn .92 and more of what they can; of the others four learn .44 to .85, the
    first of them at 5.3 (measured).

    ## Example

        self.embedding = nn.Embedding(50000, 512)
        self.head = nn.Linear(512, 50000, bias=False)
        self.head.weight = self.embedding.weight

    ## Use instead

        nn.init.normal_(self.embedding.weight, std=0.02)

    ## When it is right to do this

    Where the hidden state or the logits are scaled by d**-0.5 in the forward.

    ## Fix safety

    No fix: the scale of the embedding matters at the input as well.
    """

    code, name, severity = "INI209", "tied-embedding-scale", Severity.WARNING
    needs = (SOURCE, PARAMETERS, GRAPH)
    bad = [
        Bad("""
            class LanguageModel(nn.Module):
                def __init__(self, vocabulary, width):
                    super().__init__()
                    self.embedding = nn.Embedding(vocabulary, width)  #~
                    self.norm = nn.LayerNorm(width)
                    self.head = nn.Linear(width, vocabulary, bias=False)
                    self.head.weight = self.embedding.weight

                def forward(self, tokens):
                    return self.head(self.norm(self.embedding(tokens)))
        """),
        Bad(
            """
            class LanguageModel(nn.Module):
                def __init__(self, vocabulary=1000, width=64):
                    super().__init__()
                    self.embedding = nn.Embedding(vocabulary, width)
                    self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(width, 4), 2)
                    nn.init.normal_(self.embedding.weight)  #~

                def forward(self, tokens, targets=None):
                    x = self.encoder(self.embedding(tokens))
                    logits = F.linear(x, self.embedding.weight)
                    loss = F.cross_entropy(logits, targets) if targets is not None else None
                    return logits, loss
        """,
            by=("source", "live"),
        ),
        Bad(
            """
            class LanguageModel(nn.Module):
                def __init__(self, vocabulary=100, width=64):
                    super().__init__()
                    self.embedding = nn.Embedding(vocabulary, width)  #~
                    self.norm = nn.LayerNorm(width)
                    self.head = nn.Linear(width, vocabulary, bias=False)
                    self.head.weight = self.embedding.weight

                def forward(self, tokens):
                    return self.head(self.norm(self.embedding(tokens)))
        """,
            by=("live",),
        ),
        Bad("""
            class Recommender(nn.Module):
                def __init__(self, items, width=64):
                    super().__init__()
                    self.items = nn.Embedding(items, width)  #~
                    self.gru = nn.GRU(width, width, batch_first=True)

                def forward(self, sequence):
                    hidden, _ = self.gru(self.items(sequence))
                    return torch.matmul(hidden, self.items.weight.transpose(0, 1))
        """),
    ]
    good = [
        Good("""
            class Scaled(nn.Module):
                def __init__(self, vocabulary, width):
                    super().__init__()
                    self.embedding = nn.Embedding(vocabulary, width)
                    self.norm = nn.LayerNorm(width)
                    self.head = nn.Linear(width, vocabulary, bias=False)
                    self.head.weight = self.embedding.weight
                    self.width = width

                def forward(self, tokens):
                    return self.head(self.norm(self.embedding(tokens)) * (self.width ** -0.5))
        """),
        Good(
            """
            class Bounded(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.embedding = nn.Embedding(64, 48)
                    self.cells = nn.GRU(48, 48, batch_first=True)
                    self.head = nn.Linear(48, 64)
                    self.head.weight = self.embedding.weight  # the logits start with std 2

                def forward(self, tokens):
                    return self.head(self.cells(self.embedding(tokens))[0])

            def build():
                return Bounded(), torch.randint(64, (8, 12))
            """,
            by=("live",),
        ),
        Good("""
            class After(nn.Module):
                def __init__(self, vocabulary, width):
                    super().__init__()
                    self.embedding = nn.Embedding(vocabulary, width)
                    self.norm = nn.LayerNorm(width)
                    self.scale = 1 / math.sqrt(width)

                def forward(self, tokens):
                    return F.linear(self.norm(self.embedding(tokens)), self.embedding.weight) * self.scale
        """),
        Good("""
            class Small(nn.Module):
                def __init__(self, vocabulary, width):
                    super().__init__()
                    self.embedding = nn.Embedding(vocabulary, width)
                    self.head = nn.Linear(width, vocabulary, bias=False)
                    nn.init.normal_(self.embedding.weight, std=0.02)
                    self.head.weight = self.embedding.weight

                def forward(self, tokens):
                    return self.head(self.embedding(tokens))
        """),
        Good("""
            class Untied(nn.Module):
                def __init__(self, vocabulary, width):
                    super().__init__()
                    self.embedding = nn.Embedding(vocabulary, width)
                    self.head = nn.Linear(width, vocabulary, bias=False)

                def forward(self, tokens):
                    return self.head(self.embedding(tokens))
        """),
        Good(
            """
            class Codes(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.encoder, self.decoder = nn.Linear(16, 64), nn.Linear(64, 16)
                    self.book = nn.Embedding(32, 64)

                def forward(self, x):
                    seen = self.encoder(x)
                    code = self.book((seen @ self.book.weight.t()).argmax(1))  # chosen first, then looked up
                    return self.decoder(seen + (code - seen).detach())

            def build():
                return Codes(), torch.randn(8, 16)
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Distances(nn.Module):
                def __init__(self, lengths=20, features=16, heads=8):
                    super().__init__()
                    self.table = nn.Embedding(lengths * heads, features)
                    self.lengths, self.heads = lengths, heads

                def forward(self, path):
                    table = self.table.weight.reshape(self.lengths, self.heads, -1)
                    return torch.einsum("bld,lhd->bh", path, table) / self.lengths

            class Bias(nn.Module):
                def __init__(self, features=16, heads=8):
                    super().__init__()
                    self.table = nn.Embedding(heads, features)

                def forward(self, x):
                    return x @ self.table.weight.T
        """,
            by=("source", "live"),
        ),
        Good("""
            class Tied(nn.Module):
                def __init__(self, vocabulary, width):
                    super().__init__()
                    self.embedding = nn.Embedding(vocabulary, width)
                    self.head = nn.Linear(width, vocabulary, bias=False)
                    self.embedding.weight = self.head.weight

                def forward(self, tokens):
                    return self.head(self.embedding(tokens))
        """),
        Good(
            """
            class Tied(nn.Module):
                def __init__(self, scaled, vocabulary=100, width=64):
                    super().__init__()
                    self.embedding = nn.Embedding(vocabulary, width)
                    self.norm = nn.LayerNorm(width)
                    self.head = nn.Linear(width, vocabulary, bias=False)
                    self.head.weight = self.embedding.weight
                    self.scaled = scaled
                    if not scaled:
                        nn.init.normal_(self.embedding.weight, std=0.02)

                def forward(self, tokens):
                    x = self.norm(self.embedding(tokens))
                    if self.scaled == "before":
                        return self.head(x * x.shape[-1] ** -0.5)
                    return self.head(x) / x.shape[-1] ** 0.5 if self.scaled == "after" else self.head(x)

            class All(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.models = nn.ModuleList([Tied("before"), Tied("after"), Tied(""), nn.Embedding(100, 64)])

                def forward(self, tokens):
                    return [model(tokens) for model in self.models]

            def build():
                return All(), torch.randint(100, (8, 12))
        """,
            by=("live",),
        ),
    ]

    def check_parameter(self, parameter: Parameter) -> Iterator[Finding]:
        if parameter.role != "embedding" or absent(parameter.projects) or parameter.projects is None:
            return
        law = parameter.distribution
        spread = law.std * math.sqrt(parameter.projects)
        if not law.is_random or spread < _TOO_WIDE:
            return
        if parameter.logits_std is not None:
            spread = parameter.logits_std
            if spread < _TOO_WIDE:
                return
        yield self.at(
            parameter,
            f"{parameter.name} has std {law.std:.2g} and is the output projection too: its logits sum "
            f"{parameter.projects} terms or more and start with std {spread:.2g}",
            help="draw it with std=0.02, or scale the hidden state by d**-0.5 before the projection",
            evidence={"std": law.std, "logits_std": spread},
        )
