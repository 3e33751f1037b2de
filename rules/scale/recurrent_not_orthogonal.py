"""INI212 recurrent-not-orthogonal."""

from collections.abc import Iterator

from initlint.facts import Parameter, absent
from initlint.findings import Finding, Severity
from initlint.rule import PARAMETERS, SOURCE, Bad, Good, Rule

_FEED_FORWARD = ("xavier", "kaiming", "lecun")


class RecurrentNotOrthogonal(Rule):
    """The recurrent weight of an RNN is drawn by a scheme for feed-forward layers.

    ## What it does

    Finds `weight_hh` of nn.RNN, GRU, LSTM and their cells drawn by Xavier, Kaiming or LeCun initialisation.

    ## Why it matters

    A recurrent weight is multiplied by itself at every step. The singular values of a random matrix lie between 0 and
    2, so that after t steps some directions are gone and others are 2^t times too large; an orthogonal one has them all
    at 1 ([Saxe et al. 2014](https://arxiv.org/abs/1312.6120);
    [Le et al. 2015](https://arxiv.org/abs/1504.00941)). And the schemes read the stacked gates of (4H, H) as one layer
    with a fan-out of 4H.

    ## Example

        for name, p in self.lstm.named_parameters():
            if "weight" in name:
                nn.init.xavier_uniform_(p)

    ## Use instead

        for gate in self.lstm.weight_hh_l0.chunk(4):
            nn.init.orthogonal_(gate)

    ## When it is right to do this

    For sequences of a few steps. torch's own default is not spoken of.

    ## Fix safety

    No fix yet: what is drawn changes.
    """

    code, name, severity = "INI212", "recurrent-not-orthogonal", Severity.ADVICE
    needs = (SOURCE, PARAMETERS)
    bad = [
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.lstm = nn.LSTM(16, 32, batch_first=True)
                    self.head = nn.Linear(32, 4)
                    for name, p in self.lstm.named_parameters():
                        if "weight" in name:
                            nn.init.xavier_uniform_(p)  #~

                def forward(self, x):
                    return self.head(self.lstm(x)[0])

            def build():
                return Net(), torch.randn(8, 5, 16)
            """,
            by=("source", "live"),
        ),
        Bad("""
            class Cell(nn.Module):
                def __init__(self, size, hidden):
                    super().__init__()
                    self.cell = nn.GRUCell(size, hidden)
                    nn.init.xavier_normal_(self.cell.weight_ih)
                    nn.init.kaiming_normal_(self.cell.weight_hh)  #~
        """),
    ]
    good = [
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.lstm = nn.LSTM(16, 32, batch_first=True)
                    self.gru = nn.GRU(32, 32, batch_first=True)
                    self.rnn = nn.RNN(32, 32, batch_first=True)
                    self.head = nn.Linear(32, 4)
                    nn.init.xavier_uniform_(self.lstm.weight_ih_l0)
                    for gate in self.lstm.weight_hh_l0.chunk(4):
                        nn.init.orthogonal_(gate)
                    nn.init.eye_(self.rnn.weight_hh_l0)
                    nn.init.xavier_uniform_(self.head.weight)

                def forward(self, x):
                    return self.head(self.rnn(self.gru(self.lstm(x)[0])[0])[0])

            def build():
                return Net(), torch.randn(8, 5, 16)
            """,
            by=("source", "live"),
        ),
        Good("""
            class Net(nn.Module):
                def __init__(self, size, hidden):
                    super().__init__()
                    self.gru = nn.GRU(size, hidden)
                    for name, p in self.gru.named_parameters():
                        if "weight_ih" in name:
                            nn.init.xavier_uniform_(p)
                        elif "weight_hh" in name:
                            nn.init.orthogonal_(p)
        """),
    ]

    def check_parameter(self, parameter: Parameter) -> Iterator[Finding]:
        if parameter.role != "recurrent_weight" or not parameter.last_write.is_deliberate:
            return
        scheme = parameter.last_write.distribution.scheme
        if absent(scheme) or scheme is None or not scheme.startswith(_FEED_FORWARD):
            return
        yield self.at(
            parameter,
            f"{parameter.name} is multiplied by itself at every step, and drawn by {scheme}, which is for layers that "
            "are passed once",
            help="initialise each gate with nn.init.orthogonal_: for gate in weight.chunk(gates): orthogonal_(gate)",
            evidence={"scheme": scheme},
        )
