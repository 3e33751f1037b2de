"""INI421 mixed-scale-rows."""

from collections.abc import Iterator

from initlint.facts import Parameter, absent
from initlint.findings import Finding, Severity
from initlint.rule import GRAPH, PARAMETERS, Bad, Good, Rule

_FAR = 10
"""Stds that differ by more than this were not meant to stand in one table."""


class MixedScaleRows(Rule):
    """One table holds two stretches of rows whose standard deviations differ by more than 10.

    ## What it does

    Finds embeddings, and output projections, of the model that was built whose first rows have another scale than
    their last ones.

    ## Why it matters

    It is what a table looks like that was grown for new tokens by a second initialiser: torch draws an embedding from
    N(0, 1) ([nn.Embedding](https://docs.pytorch.org/docs/stable/generated/torch.nn.Embedding.html)), most language
    models theirs with std 0.02. The new tokens then outweigh all others fifty times: in the residual stream where they
    are read, and in every softmax over a tied output, which gives them nearly all the probability.

    ## Example

        words = nn.Embedding(old.num_embeddings + 20, 512)
        words.weight.data[: old.num_embeddings] = old.weight.data

    ## Use instead

        words = nn.Embedding(old.num_embeddings + 20, 512)
        nn.init.normal_(words.weight, std=old.weight.std().item())
        words.weight.data[: old.num_embeddings] = old.weight.data

    ## When it is right to do this

    Where the rows are scaled apart in the forward. Padding rows of zeros are left aside, and so are packed gates and
    projections, of which each stretch is a matrix of its own, and frozen tables.

    ## Fix safety

    No fix: which of the two scales is the right one is not known.
    """

    code, name, severity = "INI421", "mixed-scale-rows", Severity.WARNING
    needs = (PARAMETERS, GRAPH)
    bad = [
        Bad(
            """
            class Model(nn.Module):
                def __init__(self, old=100, more=20, width=32):
                    super().__init__()
                    before = nn.Embedding(old, width)
                    nn.init.normal_(before.weight, std=0.02)
                    self.words = nn.Embedding(old + more, width)
                    self.words.weight.data[:old] = before.weight.data  #~
                    self.head = nn.Linear(width, 4)

                def forward(self, tokens):
                    return self.head(self.words(tokens))
            """,
            by=("live",),
        ),
        Bad(
            """
            class Model(nn.Module):
                def __init__(self, old=100, more=20, width=32):
                    super().__init__()
                    table = torch.cat([torch.randn(old, width) * 0.02, torch.randn(more, width)])
                    self.words = nn.Embedding.from_pretrained(table, freeze=False)
                    self.head = nn.Linear(width, old + more, bias=False)
                    with torch.no_grad():
                        self.head.weight[old:].normal_(std=5.0)  #~

                def forward(self, tokens):
                    return self.head(torch.tanh(self.words(tokens)))

            def build():
                model = Model()
                nn.init.normal_(model.words.weight, std=0.02)
                return model
            """,
            by=("live",),
        ),
    ]
    good = [
        Good(
            """
            class Model(nn.Module):
                def __init__(self, old=100, more=20, width=32):
                    super().__init__()
                    before = nn.Embedding(old, width)
                    nn.init.normal_(before.weight, std=0.02)
                    self.words = nn.Embedding(old + more, width, padding_idx=0)
                    nn.init.normal_(self.words.weight, std=before.weight.std().item())
                    self.words.weight.data[:old] = before.weight.data
                    nn.init.zeros_(self.words.weight[:2])
                    self.fixed = nn.Embedding(old, width)
                    self.fixed.weight.data[:50] *= 0.01
                    self.fixed.requires_grad_(False)
                    self.head = nn.Linear(width, 4)

                def forward(self, tokens):
                    return self.head(self.words(tokens) + self.fixed(tokens % 100))
            """,
            by=("live",),
        ),
        Good(
            """
            class Packed(nn.Module):
                def __init__(self, width=32):
                    super().__init__()
                    self.gates = nn.Linear(width, 2 * width)
                    nn.init.normal_(self.gates.weight[:width], std=0.002)
                    self.rnn = nn.LSTM(width, width)
                    nn.init.normal_(self.rnn.weight_ih_l0[:width], std=3.0)
                    self.head = nn.Linear(width, 4)

                def forward(self, x):
                    value, gate = self.gates(x).chunk(2, dim=-1)
                    return self.head(self.rnn(value * torch.sigmoid(gate))[0])
            """,
            by=("live",),
        ),
    ]

    def check_parameter(self, parameter: Parameter) -> Iterator[Finding]:
        split = parameter.statistics.row_split
        if absent(split) or split is None or not parameter.trainable:
            return
        if parameter.role != "embedding" and not (parameter.role == "weight" and parameter.layer.is_head):
            return
        row, first, second = split
        if max(first, second) <= _FAR * min(first, second):
            return
        yield self.at(
            parameter,
            f"the rows of {parameter.name} have std {first:.2g} up to row {row - 1} and {second:.2g} from row {row} on",
            help="draw the new rows with the std of the old ones",
            evidence={"row": row, "std_before": first, "std_after": second},
        )
