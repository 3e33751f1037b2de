"""INI104 uninitialized-parameter."""

from collections.abc import Iterator

from initlint.facts import Parameter
from initlint.findings import Finding, Severity
from initlint.rule import PARAMETERS, SOURCE, UNWRITTEN, Bad, Good, Rule


class UninitializedParameter(Rule):
    """A parameter is allocated with torch.empty and nobody writes it.

    ## What it does

    Finds parameters whose last event is their allocation: `torch.empty`, `torch.Tensor(n, m)`, `torch.FloatTensor`,
    `empty_like`, `new_empty`, `to_empty`, `skip_init`. Live, the memory is filled with NaN while the model is built,
    so what stays NaN was never written. Biases are INI301.

    ## Why it matters

    `torch.empty` returns whatever the memory held
    ([torch.empty](https://docs.pytorch.org/docs/stable/generated/torch.empty.html)): often zeros in a fresh process,
    and 1e30 or NaN once memory has been used. No seed makes such a model reproducible.

    ## Example

        self.weight = nn.Parameter(torch.empty(dim, dim))

    ## Use instead

        self.weight = nn.Parameter(torch.empty(dim, dim))
        nn.init.xavier_uniform_(self.weight)

    ## When it is right to do this

    When something writes it before it is used: `reset_parameters()`, a loop over the parameters, the parent's
    initialiser, a checkpoint that is always loaded: it is taken to be loaded into what is frozen from the start, and
    into whole numbers. `torch.Tensor([0.5])` is a value and not a size.

    ## Fix safety

    No fix: which scheme fits depends on how the parameter is used.
    """

    code, name, severity = "INI104", "uninitialized-parameter", Severity.ERROR
    needs = (SOURCE, PARAMETERS)
    finds = UNWRITTEN
    of_any_weights = True
    bad = [
        Bad(
            """
            class Attention(nn.Module):
                def __init__(self, dim=16):
                    super().__init__()
                    self.query = nn.Parameter(torch.empty(dim, dim))  #~
                    self.key = nn.Linear(dim, dim)

                def forward(self, x):
                    return (x @ self.query) * self.key(x)
            """,
            by=("source", "live"),
        ),
        Bad(
            """
            class Capsules(nn.Module):
                def __init__(self, inputs=8, outputs=4):
                    super().__init__()
                    self.routing = nn.Parameter(torch.Tensor(inputs, outputs))  #~
                    self.gain = nn.Parameter(torch.ones(outputs))

                def forward(self, x):
                    return (x @ self.routing) * self.gain
            """,
            by=("source", "live"),
        ),
        Bad("""
            class Net(nn.Module):
                def __init__(self, n, m):
                    super().__init__()
                    self.skipped = nn.utils.skip_init(nn.Linear, n, m, bias=False)  #~
                    self.emptied = nn.Linear(n, m, bias=False, device="meta").to_empty(device="cpu")  #~

                def forward(self, x):
                    return self.skipped(x) + self.emptied(x)
        """),
        Bad("""
            class Attention(nn.Module):
                def __init__(self, dim=16, heads=0):
                    super().__init__()
                    self.query = nn.Linear(dim, dim)
                    self.heads = heads
                    if self.heads > 0:
                        self.mix = nn.Parameter(torch.Tensor(heads, dim))  #~

                def forward(self, x):
                    return self.query(x) if self.heads == 0 else self.query(x) @ self.mix.T
        """),
    ]
    good = [
        Good("""
            class Attention(nn.Module):
                def __init__(self, dim=16, heads=0, bias=None):
                    super().__init__()
                    self.query = nn.Linear(dim, dim)
                    if heads > 0:
                        self.mix = nn.Parameter(torch.Tensor(heads, dim))
                    if bias is not None:
                        self.bias = nn.Parameter(torch.empty(dim))
                        nn.init.zeros_(self.bias)
                    for p in self.parameters():
                        if p.dim() > 1:
                            nn.init.xavier_uniform_(p)

                def forward(self, x):
                    return self.query(x) @ self.mix.T
        """),
        Good("""
            class Net(nn.Module):
                def __init__(self, n, m):
                    super().__init__()
                    self.skipped = nn.utils.skip_init(nn.Linear, n, m, bias=False)
                    self.emptied = nn.Linear(n, m, device="meta").to_empty(device="cpu")
                    nn.init.xavier_uniform_(self.skipped.weight)
                    self.emptied.reset_parameters()

                def forward(self, x):
                    return self.skipped(x) + self.emptied(x)
        """),
        Good(
            """
            class Attention(nn.Module):
                def __init__(self, dim=16):
                    super().__init__()
                    self.query = nn.Parameter(torch.empty(dim, dim))
                    self.scale = nn.Parameter(torch.Tensor([0.5]))
                    for weight in [self.query]:
                        nn.init.xavier_normal_(weight)
                    self.frequencies = nn.Parameter(torch.empty(dim))
                    with torch.no_grad():
                        torch.arange(1, dim + 1, out=self.frequencies).mul_(math.pi)

                def forward(self, x):
                    return (x @ self.query) * self.scale * torch.sin(self.frequencies)
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Experts(nn.Module):
                def __init__(self, dim=8):
                    super().__init__()
                    self.weight = nn.Parameter(torch.empty(dim, dim))

                def forward(self, x):
                    return x @ self.weight

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.experts = Experts()
                    self.apply(self._init_weights)

                def _init_weights(self, m):
                    if isinstance(m, Experts):
                        m.weight.data.normal_(std=0.3)

                def forward(self, x):
                    return self.experts(x)
            """,
            by=("source", "live"),
        ),
        Good("""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.weight = nn.Parameter(torch.empty(8, 8))
                    self.register_buffer("table", torch.empty(8, 8))
                    initialise_everything(self)

                def forward(self, x):
                    return x @ self.weight
            """),
        Good("""
            from shards import take_shard

            class ReplicatedLinear(nn.Module):
                def __init__(self, inputs, outputs):
                    super().__init__()
                    self.weight = nn.Parameter(torch.empty(outputs, inputs))
                    self.bias = nn.Parameter(torch.empty(outputs))
                    self.weight.weight_loader = self.weight_loader
                    self.bias.weight_loader = self.weight_loader

                def weight_loader(self, parameter, loaded):
                    take_shard(parameter, loaded)

                def forward(self, x):
                    return F.linear(x, self.weight, self.bias)

            class Attention(nn.Module):
                def __init__(self, dim=16):
                    super().__init__()
                    self.to_q = ReplicatedLinear(dim, dim)
            """),
        Good("""
            import itertools

            class Views(nn.Module):
                def __init__(self, dim=16):
                    super().__init__()
                    self.gates = nn.Parameter(torch.empty(2 * dim, dim))
                    self.query = nn.Parameter(torch.empty(2 * dim, dim))
                    self.bare = nn.Parameter(torch.empty(2, dim))
                    reset, update = self.gates.chunk(2)
                    nn.init.orthogonal_(reset)
                    nn.init.orthogonal_(update)
                    first, second = torch.split(self.query, dim)
                    nn.init.orthogonal_(first)
                    nn.init.orthogonal_(second)
                    for row in torch.unbind(self.bare):
                        nn.init.normal_(row, std=0.3)

                def forward(self, x):
                    return x @ self.gates.t() + x @ self.query.t() + self.bare.sum()

            class Chained(nn.Module):
                def __init__(self, dim=16):
                    super().__init__()
                    self.weight = nn.Parameter(torch.empty(dim, dim))
                    for parameter in itertools.chain(self.parameters()):
                        nn.init.orthogonal_(parameter)

                def forward(self, x):
                    return x @ self.weight
            """),
        *(
            Good(f"""
            class Net(nn.Module):
                def __init__(self, dim=16):
                    super().__init__()
                    self.weight = nn.Parameter(torch.empty(dim, dim))
                    {write}

                def forward(self, x):
                    return x @ self.weight
            """)
            for write in (
                'self.state_dict()["weight"].copy_(torch.eye(dim))',
                "[torch.nn.init.orthogonal_(p) for name, p in self.state_dict().items()]",
                "nn.init.orthogonal_(next(self.parameters()))",
                'nn.init.orthogonal_(self._parameters["weight"])',
                "torch._foreach_zero_([self.weight])",
                "self.weight.data.numpy()[:] = 1",
            )
        ),
        Good("""
            class Quantized(nn.Module):
                def __init__(self, inputs=64, outputs=64):
                    super().__init__()
                    self.weight = nn.Parameter(torch.empty(outputs, inputs, dtype=torch.int8), requires_grad=False)
                    self.scales = nn.Parameter(torch.empty(outputs), requires_grad=False)

                def forward(self, x):
                    return F.linear(x, self.weight.to(x.dtype) * self.scales[:, None])
            """),
    ]

    def check_parameter(self, parameter: Parameter) -> Iterator[Finding]:
        if parameter.is_bias or parameter.is_buffer or not parameter.last_write.distribution.is_uninitialized:
            return
        yield self.at(
            parameter,
            f"{parameter.name} is allocated by {parameter.last_write.function} and never written: it holds "
            "whatever the memory held",
            help=f"write it, for instance with nn.init.xavier_uniform_({parameter.name})",
        )
