"""INI413 partial-write."""

from collections.abc import Iterator

from initlint.facts import Parameter, absent
from initlint.findings import Finding, Severity
from initlint.rule import PARAMETERS, SOURCE, Bad, Good, Rule


class PartialWrite(Rule):
    """An initialiser fills some rows of a parameter and leaves the others as the memory was found.

    ## What it does

    Finds parameters from `torch.empty`, `torch.Tensor(n, m)` and their kin of which only some rows are ever written.

    ## Why it matters

    `torch.empty` returns whatever the memory held
    ([torch.empty](https://docs.pytorch.org/docs/stable/generated/torch.empty.html)). The rows that are left hold zeros
    in one run and 1e30 or NaN in the next, and no seed makes that reproducible. Parameters that nobody writes at all
    are INI104 and INI301.

    ## Example

        self.weight = nn.Parameter(torch.empty(96, 32))
        nn.init.xavier_uniform_(self.weight[:32])
        nn.init.xavier_uniform_(self.weight[32:64])

    ## Use instead

        self.weight = nn.Parameter(torch.empty(96, 32))
        for part in self.weight.chunk(3):
            nn.init.xavier_uniform_(part)

    ## When it is right to do this

    Where the memory was set as a whole before (`torch.zeros`), or something else fills the rest.

    ## Fix safety

    No fix: what the rows that are left should hold is for the author to say.
    """

    code, name, severity = "INI413", "partial-write", Severity.ERROR
    needs = (SOURCE, PARAMETERS)
    bad = [
        Bad(
            """
            class Attention(nn.Module):
                def __init__(self, width=32):
                    super().__init__()
                    self.weight = nn.Parameter(torch.empty(3 * width, width))
                    self.bias = nn.Parameter(torch.Tensor(3 * width))
                    nn.init.xavier_uniform_(self.weight[:width])
                    nn.init.xavier_uniform_(self.weight[width : 2 * width])  #~
                    nn.init.zeros_(self.bias[width:])  #~
            """,
            by=("source", "live"),
        ),
        Bad(
            """
            class Experts(nn.Module):
                def __init__(self, experts=4, width=16):
                    super().__init__()
                    self.weight = nn.Parameter(torch.empty(experts, width, width))
                    for number in range(experts - 1):
                        nn.init.orthogonal_(self.weight.data[number])  #~
            """,
            by=("source", "live"),
        ),
        Bad(
            """
            class Columns(nn.Module):
                def __init__(self, width=16):
                    super().__init__()
                    self.weight = nn.Parameter(torch.empty(width, width))
                    nn.init.zeros_(self.weight[:, 1:])  #~
            """,
            by=("live",),
        ),
    ]
    good = [
        Good(
            """
            class Attention(nn.Module):
                def __init__(self, width=32, experts=4):
                    super().__init__()
                    self.weight = nn.Parameter(torch.empty(3 * width, width))
                    nn.init.xavier_uniform_(self.weight[:width])
                    nn.init.xavier_uniform_(self.weight[width : 2 * width])
                    nn.init.zeros_(self.weight[-width:])
                    self.experts = nn.Parameter(torch.empty(experts, width, width))
                    for number in range(experts):
                        nn.init.orthogonal_(self.experts[number])
                    self.zeros = nn.Parameter(torch.zeros(3 * width, width))
                    nn.init.xavier_uniform_(self.zeros[:width])
                    self.columns = nn.Parameter(torch.empty(width, width))
                    nn.init.zeros_(self.columns[:, :3])
                    nn.init.ones_(self.columns[:, 3:])
                    self.chunks = nn.Parameter(torch.empty(3 * width, width))
                    for part in self.chunks.chunk(3):
                        nn.init.xavier_uniform_(part)
                    self.filled = nn.Parameter(torch.empty(width, width))
                    nn.init.zeros_(self.filled[:3])
                    self.filled.data[3:] = 1.0
            """,
            by=("source", "live"),
        ),
        Good("""
            class Gated(nn.Module):
                def __init__(self, width, parts):
                    super().__init__()
                    self.weight = nn.Parameter(torch.empty(2 * width, width))
                    nn.init.xavier_uniform_(self.weight[:width])
                    nn.init.zeros_(self.weight[width:])
                    self.mixed = nn.Parameter(torch.empty(64, width))
                    for part in parts:
                        nn.init.zeros_(self.mixed[part])
            """),
        Good("""
            class Sparse(nn.Module):
                def __init__(self, index, mask, width=16):
                    super().__init__()
                    self.copied = nn.Parameter(torch.empty(width, width))
                    self.scattered = nn.Parameter(torch.empty(width, width))
                    self.filled = nn.Parameter(torch.empty(width, width))
                    self.masked = nn.Parameter(torch.empty(width, width))
                    self.shared = nn.Parameter(torch.empty(width, width))
                    self.copied.data.index_copy_(0, index, torch.randn(width, width))
                    self.scattered.data.scatter_(0, index, 1.0)
                    self.filled.data.index_fill_(0, index, 1.0)
                    self.masked.data.masked_fill_(mask, 1.0)
                    self.shared.data.set_(torch.randn(width, width))
            """),
        Good(
            """
            class Sparse(nn.Module):
                def __init__(self, width=16):
                    super().__init__()
                    self.copied = nn.Parameter(torch.empty(width, width))
                    self.copied.data.index_copy_(0, torch.arange(width), torch.randn(width, width))
                    self.diagonal = nn.Parameter(torch.empty(width, width))
                    self.diagonal.data.masked_fill_(torch.eye(width) > 0, 1.0).masked_fill_(torch.eye(width) == 0, 0.0)
                    self.outside = nn.Parameter(torch.empty(width, width))
                    self.outside.detach().numpy()[:] = 1.0
                    self.nowhere = nn.Parameter(torch.full((width,), math.nan))
                    nn.init.zeros_(self.nowhere[1:])
            """,
            by=("live",),
        ),
    ]

    def check_parameter(self, parameter: Parameter) -> Iterator[Finding]:
        left = parameter.unset_rows
        if absent(left) or left is None or parameter.writes[-1].overwrites:
            return
        first, end = left
        yield self.at(
            parameter,
            f"{parameter.name} is written in part: of its {parameter.shape[0]} rows, {first} to {end - 1} hold "
            "whatever the memory held",
            help="write the rest too, or allocate it with torch.zeros",
        )
