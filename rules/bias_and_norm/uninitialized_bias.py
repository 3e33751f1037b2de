"""INI301 uninitialized-bias."""

from collections.abc import Iterator

from initlint.facts import Parameter
from initlint.findings import Finding, Severity
from initlint.rule import PARAMETERS, SOURCE, UNWRITTEN, Bad, Good, Rule


class UninitializedBias(Rule):
    """A bias is allocated with torch.empty and nobody writes it.

    ## What it does

    Finds biases whose last event is their allocation: `torch.empty`, `torch.Tensor(n)`, `torch.FloatTensor(n)`,
    `empty_like`, `new_empty`, `to_empty`, `skip_init`.

    ## Why it matters

    `torch.empty` returns whatever the memory held
    ([torch.empty](https://docs.pytorch.org/docs/stable/generated/torch.empty.html)): often zeros in a fresh process,
    and 1e30 or NaN once memory has been used. The model trains on one machine and diverges on another.
    `reset_parameters` that writes the weight and forgets the bias is the usual way to get there.

    ## Example

        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.bias = nn.Parameter(torch.empty(out_features))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))

    ## Use instead

        nn.init.zeros_(self.bias)

    ## When it is right to do this

    When something writes the bias before it is used: `reset_parameters()`, a loop over the parameters, the parent's
    initialiser, a checkpoint that is always loaded.

    ## Fix safety

    No fix: zero is usual, and a gate or a prior may need another value.
    """

    code, name, severity = "INI301", "uninitialized-bias", Severity.ERROR
    needs = (SOURCE, PARAMETERS)
    finds = UNWRITTEN
    bad = [
        Bad(
            """
            class Projection(nn.Module):
                def __init__(self, dim=16):
                    super().__init__()
                    self.weight = nn.Parameter(torch.empty(dim, dim))
                    self.bias = nn.Parameter(torch.empty(dim))  #~
                    nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))

                def forward(self, x):
                    return F.linear(x, self.weight, self.bias)
            """,
            by=("source", "live"),
        ),
        Bad(
            """
            class Shift(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.bias = nn.Parameter(torch.Tensor(16))  #~

                def forward(self, x):
                    return x + self.bias
            """,
            by=("source", "live"),
        ),
    ]
    good = [
        Good(
            """
            class Projection(nn.Module):
                def __init__(self, dim=16):
                    super().__init__()
                    self.weight = nn.Parameter(torch.empty(dim, dim))
                    self.bias = nn.Parameter(torch.empty(dim))
                    self.reset_parameters()

                def reset_parameters(self):
                    nn.init.xavier_uniform_(self.weight)
                    self.bias.data.zero_()

                def forward(self, x):
                    return F.linear(x, self.weight, self.bias)
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Session(nn.Module):
                def __init__(self, dim=16):
                    super().__init__()
                    self.bias = nn.Parameter(torch.Tensor(dim))
                    for p in self.parameters():
                        p.data.uniform_(-0.1, 0.1)

                def forward(self, x):
                    return x + self.bias
            """,
            by=("source", "live"),
        ),
        Good("""
            class Cell(nn.Module):
                def __init__(self, dim):
                    super().__init__()
                    self.bias = nn.Parameter(torch.empty(dim))

            def build(dim):
                cell = Cell(dim)
                nn.init.zeros_(cell.bias)
                return cell
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
    ]

    def check_parameter(self, parameter: Parameter) -> Iterator[Finding]:
        if parameter.is_bias and not parameter.is_buffer and parameter.last_write.distribution.is_uninitialized:
            yield self.at(
                parameter,
                f"{parameter.name} is allocated by {parameter.last_write.function} and never written: it holds "
                "whatever the memory held",
                help=f"write it: nn.init.zeros_({parameter.name})",
            )
