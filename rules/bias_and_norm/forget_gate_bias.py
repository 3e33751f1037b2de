"""INI304 forget-gate-bias."""

from collections.abc import Iterator

from initlint.facts import Layer, Parameter, Write, absent, close
from initlint.findings import Finding, Severity
from initlint.rule import PARAMETERS, SOURCE, Bad, Good, Rule

_KINDS = ("LSTM", "LSTMCell")


class ForgetGateBias(Rule):
    """The biases of an LSTM were set, and its forget gates do not start open, or not all alike.

    ## What it does

    An LSTM adds two biases, and rows H to 2H of each are the forget gate's. Finds LSTMs whose biases were written and
    whose forget gates sum to 0 (both filled with zeros), to 2 because both were set to 1, or were set in the first
    layer or in one direction only.

    ## Why it matters

    At a sum of 0 a gate keeps half of its cell a step, and a gradient is gone after ten steps; a bias of 1 was the
    single change that mattered most in [Jozefowicz et al. 2015](http://proceedings.mlr.press/v37/jozefowicz15.pdf).
    torch has two biases where the papers have one
    ([torch.nn.LSTM](https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html)).

    ## Example

        for name, p in self.lstm.named_parameters():
            if "bias" in name:
                nn.init.zeros_(p)

    ## Use instead

        for name, p in self.lstm.named_parameters():
            if "bias" in name:
                nn.init.zeros_(p)
            if "bias_ih" in name:
                n = p.size(0)
                p.data[n // 4 : n // 2].fill_(1.0)

    ## When it is right to do this

    On sequences of a few steps, and where the task wants a cell that forgets. Biases that nobody wrote keep torch's
    default and are not spoken of.

    ## Fix safety

    No fix: where the bias belongs depends on the loop.
    """

    code, name, severity = "INI304", "forget-gate-bias", Severity.ADVICE
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
                        if "bias" in name:
                            nn.init.zeros_(p)  #~

                def forward(self, x):
                    return self.head(self.lstm(x)[0])

            def build():
                return Net(), torch.randn(8, 5, 16)
            """,
            by=("source", "live"),
        ),
        Bad("""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.lstm = nn.LSTM(16, 32)
                    for name, p in self.lstm.named_parameters():
                        if "bias" in name:
                            nn.init.zeros_(p)
                            n = p.size(0)
                            p.data[n // 4 : n // 2].fill_(1.0)  #~
        """),
        Bad("""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.deep = nn.LSTM(16, 32, num_layers=2)
                    self.both = nn.LSTM(16, 32, bidirectional=True)
                    self.deep.bias_hh_l0.data[32:64] = 3.0  #~
                    with torch.no_grad():
                        self.both.bias_ih_l0[32:64].fill_(1.0)  #~
        """),
    ]
    good = [
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.lstm = nn.LSTM(16, 32, num_layers=2, batch_first=True)
                    self.other = nn.LSTM(32, 32, batch_first=True)
                    self.bare = nn.LSTM(32, 32, batch_first=True, bias=False)
                    self.gru = nn.GRU(32, 32, batch_first=True)
                    self.head = nn.Linear(32, 4)
                    for name, p in self.lstm.named_parameters():
                        if "bias" in name:
                            nn.init.zeros_(p)
                        if "bias_ih" in name:
                            n = p.size(0)
                            p.data[n // 4 : n // 2].fill_(1.0)
                    nn.init.zeros_(self.gru.bias_ih_l0)
                    nn.init.zeros_(self.gru.bias_hh_l0)

                def forward(self, x):
                    x = self.bare(self.other(self.lstm(x)[0])[0])[0]
                    return self.head(self.gru(x)[0])

            def build():
                return Net(), torch.randn(8, 5, 16)
            """,
            by=("source", "live"),
        ),
        Good("""
            class Net(nn.Module):
                def __init__(self, hidden, layers):
                    super().__init__()
                    self.lstm = nn.LSTM(16, hidden)
                    self.deep = nn.LSTM(16, hidden, num_layers=layers)
                    self.half = nn.LSTM(16, 32)
                    self.lstm.bias_ih_l0.data[hidden:2 * hidden].fill_(1.0)
                    self.half.bias_ih_l0.data[32:64].fill_(0.5)
                    self.half.bias_hh_l0.data[32:64].fill_(0.5)
        """),
    ]

    def check_layer(self, layer: Layer) -> Iterator[Finding]:
        if layer.kind not in _KINDS:
            return
        ends = [p.name.rpartition("bias_ih")[2] for p in layer.parameters if "bias_ih" in p.name.rpartition(".")[2]]
        sums: list[tuple[Parameter, float, bool]] = []
        for end in ends:
            first, second = layer.parameter(f"bias_ih{end}"), layer.parameter(f"bias_hh{end}")
            if first is None or second is None:
                return
            (a, first_set), (b, second_set) = _forget(first), _forget(second)
            sums.append((second if second_set and not first_set else first, a + b, first_set or second_set))
            if first_set and second_set and close(a, 1) and close(b, 1):
                yield self._found(second, "sums to 2: it was set to 1 in both of the biases that are added")
                return
            if first_set and second_set and a == b == 0:
                yield self._found(second, "sums to 0: both biases were filled with zeros")
                return
        opened = [parameter for parameter, total, was_set in sums if was_set and total > 0]
        left = [parameter for parameter, total, was_set in sums if not was_set or total <= 0]
        if opened and left:
            names = ", ".join(parameter.name.rpartition(".")[2] for parameter in left)
            yield self._found(opened[-1], f"was set there and not in {names}")

    def _found(self, parameter: Parameter, what: str) -> Finding:
        return self.at(
            parameter,
            f"the forget gate of {parameter.name} {what}",
            help="let bias_ih and bias_hh sum to 1 in rows H to 2H, in every layer and direction",
        )


def _forget(parameter: Parameter) -> tuple[float, bool]:
    """The mean that the forget gate's rows of a bias hold, and whether somebody set them."""
    for write in reversed(parameter.writes):
        if _covers(write, parameter):
            return write.distribution.mean, write.is_deliberate
    return 0.0, False


def _covers(write: Write, parameter: Parameter) -> bool:
    """Whether a write sets the forget gate's rows: the second quarter."""
    if write.overwrites:
        return True
    if absent(write.rows) or write.rows is None:
        return write.distribution.mean == 0  # changes what is there: unknown, which raises
    gate = parameter.shape[0] // 4
    low, high = write.rows
    return low <= gate and high >= 2 * gate
