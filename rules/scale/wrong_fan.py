"""INI206 wrong-fan."""

from collections.abc import Iterator

from initlint.facts import InitCall, Misfit, Parameter, absent, known
from initlint.findings import Finding, Severity
from initlint.rule import GRAPH, PARAMETERS, SOURCE, Bad, Good, Rule
from initlint.theory.chains import norm_next
from initlint.theory.excess import bearable

_TWOFOLD = 1.98
"""Off by twice, up to rounding: four gates given to orthogonal_ as one matrix are off by exactly that."""

_WORDS = {
    "fan_in": "a fan-in",
    "fan_out": "a fan-out",
    "fan_avg": "a mean of fan-in and fan-out",
    "longer": "a longer side",
}


class WrongFan(Rule):
    """An initialiser reads its fan off a shape that the layer does not use in that way.

    ## What it does

    torch.nn.init takes every tensor for a Linear's or a convolution's of one group: (out, in, taps ...). Compares the
    fan that a scheme took with the one of the map as the layer uses it, and speaks where the std is off by a factor
    of two or more: depthwise and grouped convolutions with fan_out, transposed convolutions, matrices stored (in,
    out) and used as `x @ W`, stacks of matrices (experts, heads) and bilinear weights read as convolutions, the
    stacked gates of an LSTM given to orthogonal_ as one matrix. A size that was not read may be anything from 16 to
    512. Also a fan_in computed by hand that is the first size of a matrix, and the product of all sizes but the first
    of a kernel: torch stores both (out, in, taps ...). Where the model was run, and neither the signal along the chain
    of layers nor an output is as far off as costs training (INI203, INI204), it is advice.

    ## Why it matters

    The schemes keep variance because they divide by the number of terms that a unit sums
    ([He et al. 2015](https://arxiv.org/abs/1502.01852), section 2.2). Eight 64 x 64 experts in one tensor have a
    fan-in of 64, and xavier_uniform_ reads 4096: the layer starts at a sixth of the scale, its gradient too. In a few
    layers nothing comes of it: of 47 sound networks given wrong fans 43 train as they did, and an autoencoder whose
    output then starts with std 15 fails (benchmarks/mutants.py).
    [torch.nn.init](https://docs.pytorch.org/docs/stable/nn.init.html) notes that fan-in and fan-out assume `x @ w.T`.

    ## Example

        self.experts = nn.Parameter(torch.empty(8, 64, 64))
        nn.init.xavier_uniform_(self.experts)

    ## Use instead

        for expert in self.experts:
            nn.init.xavier_uniform_(expert)

    ## When it is right to do this

    Where a norm takes the output, which undoes the scale, or that of the pointwise half of a separable convolution, the
    rule is silent; so it is within a factor of two (queries, keys and values packed into one matrix, three gates).

    ## Fix safety

    No fix: the call that is right depends on the layout, and the message names it.
    """

    code, name, severity = "INI206", "wrong-fan", Severity.WARNING
    needs = (SOURCE, PARAMETERS, GRAPH)
    bad = [
        Bad(
            """
            class Experts(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.experts = nn.Parameter(torch.empty(8, 64, 32))
                    nn.init.xavier_uniform_(self.experts)  #~

                def forward(self, x):
                    return torch.tanh(torch.einsum("bi,eio->beo", x, self.experts))

            def build():
                return Experts(), torch.randn(8, 64)
            """,
            by=("source", "live"),
        ),
        Bad(
            """
            class Mixer(nn.Module):
                def __init__(self, dim=64):
                    super().__init__()
                    self.depthwise = nn.Conv2d(dim, dim, 7, padding=3, groups=dim)
                    self.mix = nn.Conv2d(dim, dim, 1)
                    nn.init.kaiming_normal_(self.depthwise.weight, mode="fan_out", nonlinearity="relu")  #~

                def forward(self, x):
                    return self.mix(F.relu(self.depthwise(x)))
            """,
            by=("source", "live"),
        ),
        Bad(
            """
            class Tagger(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.lstm = nn.LSTM(16, 32, batch_first=True)
                    self.head = nn.Linear(32, 4)
                    for name, parameter in self.lstm.named_parameters():
                        if "weight_hh" in name:
                            nn.init.orthogonal_(parameter)  #~

                def forward(self, x):
                    out, _ = self.lstm(x)
                    return self.head(out)

            def build():
                return Tagger(), torch.randn(8, 5, 16)
            """,
            by=("source", "live"),
        ),
        Bad(
            """
            class Decoder(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.ConvTranspose2d(16, 16, 4, stride=2, padding=1) for _ in range(3)])
                    self.last = nn.Conv2d(16, 1, 3, padding=1)
                    for layer in self.layers:
                        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")  #~

                def forward(self, x):
                    for layer in self.layers:
                        x = F.relu(layer(x))
                    return self.last(x)

            def build():
                return Decoder(), torch.randn(8, 16, 4, 4)
            """,
            by=("live",),
            severity=Severity.ADVICE,
        ),
        Bad("""
            class LowRank(nn.Module):
                def __init__(self, features, rank=32, experts=4, layers=2):
                    super().__init__()
                    self.layers, self.experts = layers, experts
                    self.down = nn.Parameter(torch.Tensor(layers, experts, features, rank))
                    for i in range(layers):
                        nn.init.xavier_normal_(self.down[i])  #~

                def forward(self, x):
                    for i in range(self.layers):
                        for e in range(self.experts):
                            x = torch.tanh(torch.matmul(self.down[i][e].t(), x))
                    return x
        """),
        Bad("""
            class Wide(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.weight = nn.Parameter(torch.empty(512, 64))
                    nn.init.kaiming_normal_(self.weight, nonlinearity="relu")  #~

                def forward(self, x):
                    return F.relu(x @ self.weight)
        """),
        Bad("""
            def fanin_init(tensor):
                size = tensor.size()
                if len(size) == 2:
                    fan_in = size[0]  #~
                elif len(size) > 2:
                    fan_in = math.prod(size[1:])
                else:
                    raise ValueError("a vector has no fan")
                bound = 1.0 / math.sqrt(fan_in)
                return tensor.data.uniform_(-bound, bound)
        """),
    ]
    good = [
        Good(
            """
            class Stored(nn.Module):
                def __init__(self, wide=512, narrow=32):
                    super().__init__()
                    self.weight = nn.Parameter(torch.empty(wide, narrow))
                    nn.init.kaiming_normal_(self.weight.t(), nonlinearity="relu")

                def forward(self, x):
                    return F.relu(x @ self.weight)

            def build():
                return Stored(), torch.randn(8, 512)
            """,
            by=("live",),
        ),
        Good("""
            def fanin_init(tensor):
                size = tensor.size()
                if len(size) == 2:
                    fan_in = size[1]
                else:
                    fan_in = math.prod(size[1:])
                bound = 1.0 / math.sqrt(fan_in)
                return tensor.data.uniform_(-bound, bound)

            def fanout_init(tensor):
                fan_out = tensor.size(0)
                return tensor.data.normal_(0, 1 / math.sqrt(fan_out))

            def stored_in_out(tensor):
                fan_in = tensor.shape[0]
                return nn.init.normal_(tensor, std=fan_in ** -0.5)
        """),
        Good("""
            class Block(nn.Module):
                def __init__(self, width=64):
                    super().__init__()
                    self.grouped = nn.Conv1d(width, width, 3, groups=8)
                    self.norm = nn.BatchNorm1d(width)
                    self.out = nn.Conv1d(width, width, 1)
                    nn.init.xavier_uniform_(self.grouped.weight)

                def forward(self, x):
                    return self.out(self.norm(F.relu(self.grouped(x))))
            """),
        Good(
            """
            class Experts(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.experts = nn.Parameter(torch.empty(8, 64, 32))
                    for expert in self.experts:
                        nn.init.xavier_uniform_(expert)

                def forward(self, x):
                    return torch.tanh(torch.einsum("bi,eio->beo", x, self.experts))

            def build():
                return Experts(), torch.randn(8, 64)
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Mixer(nn.Module):
                def __init__(self, dim=64):
                    super().__init__()
                    self.depthwise = nn.Conv2d(dim, dim, 7, padding=3, groups=dim)
                    self.norm = nn.BatchNorm2d(dim)
                    self.second = nn.Conv2d(dim, dim, 7, padding=3, groups=dim)
                    nn.init.kaiming_normal_(self.depthwise.weight, mode="fan_out", nonlinearity="relu")
                    nn.init.kaiming_normal_(self.second.weight, mode="fan_in", nonlinearity="relu")

                def forward(self, x):
                    return self.second(F.relu(self.norm(self.depthwise(x))))
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Tagger(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.lstm = nn.LSTM(16, 32, batch_first=True)
                    self.gru = nn.GRU(32, 32, batch_first=True)
                    self.qkv = nn.Linear(32, 96)
                    for gate in self.lstm.weight_hh_l0.chunk(4):
                        nn.init.orthogonal_(gate)
                    nn.init.orthogonal_(self.gru.weight_hh_l0)
                    nn.init.xavier_uniform_(self.qkv.weight)

                def forward(self, x):
                    return self.qkv(self.gru(self.lstm(x)[0])[0])

            def build():
                return Tagger(), torch.randn(8, 5, 16)
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Separable(nn.Module):
                def __init__(self, dim=64):
                    super().__init__()
                    self.depthwise = nn.Conv2d(dim, dim, 3, padding=1, groups=dim, bias=False)
                    self.pointwise = nn.Conv2d(dim, 4, 1, bias=False)
                    self.norm = nn.BatchNorm2d(4)
                    nn.init.kaiming_normal_(self.depthwise.weight, mode="fan_out", nonlinearity="relu")

                def forward(self, x):
                    return F.relu(self.norm(self.pointwise(self.depthwise(x))))
            """,
            by=("source", "live"),
        ),
        Good("""
            class Wide(nn.Module):
                def __init__(self, features):
                    super().__init__()
                    self.weight = nn.Parameter(torch.empty(64, 512))
                    self.other = nn.Parameter(torch.empty(features, 64))
                    nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")
                    nn.init.xavier_normal_(self.other)

                def forward(self, x):
                    return F.relu(x @ self.other) @ self.weight
        """),
        Good("""
            class PerhapsSquare(nn.Module):
                def __init__(self, features):
                    super().__init__()
                    self.weight = nn.Parameter(torch.empty(features, 64))
                    nn.init.kaiming_normal_(self.weight, nonlinearity="relu")

                def forward(self, x):
                    return F.relu(x @ self.weight)
        """),
    ]

    def check_call(self, call: InitCall) -> Iterator[Finding]:
        if absent(call.fan_name) or call.fan_name is None:
            return
        if call.fan_name.replace("_", "") == "fanin" and {"0", "1:"} <= set(call.fan_axes):
            yield self.at(
                call.location if absent(call.fan_at) else call.fan_at,
                f"{call.fan_name} is the first size of a matrix, which is its fan-out, and all sizes but the first "
                "of a kernel",
                help="torch stores (out, in, taps ...) in both: take the sizes from 1 on",
            )

    def check_parameter(self, parameter: Parameter) -> Iterator[Finding]:
        if not parameter.is_weight or not parameter.trainable or absent(parameter.misfit):
            return
        misfit = parameter.misfit
        assert misfit is not None
        if misfit.least < _TWOFOLD and misfit.most > 1 / _TWOFOLD:
            return  # sound at some size that may be
        off = misfit.least if misfit.least > 1 else misfit.most
        if parameter.role == "weight" and (parameter.layer.normalized or norm_next(parameter.layer)):
            return
        function = parameter.writes[-1].short
        yield self.at(
            parameter,
            f"{function} reads {_told(misfit)} off the shape of {parameter.name}: its std is {off:.2g} times the one "
            f"that the map asks for{'' if known(misfit.own) else ', or further off'}",
            help=_help(parameter, function),
            severity=Severity.ADVICE if parameter.role == "weight" and bearable(parameter.layer) else None,
            evidence={"std_ratio": off, "fan_taken": misfit.taken, "fan": misfit.own},
        )


def _told(misfit: Misfit) -> str:
    words = _WORDS[misfit.mode]
    if not known(misfit.taken) or not known(misfit.own):  # a detail of the message: the sizes were not read
        return f"{words} that is not the map's"
    return f"{words} of {misfit.taken:g}, where the map has {misfit.own:g},"


_GATES = {"LSTM": 4, "GRU": 3}


def _help(parameter: Parameter, function: str) -> str:
    if parameter.role == "recurrent_weight":
        gates = _GATES.get(parameter.layer.kind.removesuffix("Cell"))
        parts = f"weight.chunk({gates})" if gates else "the gates of weight"
        return f"initialise each gate by itself: for gate in {parts}: nn.init.{function}(gate)"
    if len(parameter.shape) > 2 and parameter.layer.kind == "Module":
        return f"initialise each matrix by itself, as (out, in): for matrix in weight: nn.init.{function}(matrix)"
    return "draw with the map's own fan: nn.init.normal_(weight, std=gain / math.sqrt(fan_in))"
