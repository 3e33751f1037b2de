"""INI504 fan-init-on-vector."""

from collections.abc import Iterator

from initlint.facts import InitCall
from initlint.findings import Finding, Severity
from initlint.rule import SOURCE, Bad, Good, Rule

_FEWEST_DIMENSIONS = {
    "xavier_uniform_": 2,
    "xavier_normal_": 2,
    "kaiming_uniform_": 2,
    "kaiming_normal_": 2,
    "orthogonal_": 2,
    "sparse_": 2,
    "eye_": 2,
    "dirac_": 3,
}


class FanInitOnVector(Rule):
    """An initialiser that needs a matrix is given a bias, a norm's weight or another vector: it raises.

    ## What it does

    Finds Xavier, Kaiming, orthogonal, sparse, eye and Dirac initialisers whose target has too few dimensions: biases
    of torch's layers, scales of BatchNorm, GroupNorm and InstanceNorm, `nn.Parameter(torch.empty(n))`.

    ## Why it matters

    Fan-in and fan-out are not defined for fewer than two dimensions. torch.nn.init raises `ValueError: Fan in and fan
    out can not be computed for tensor with fewer than 2 dimensions`, in the constructor of the first model that meets
    the branch, which may be another one than it was tried on.

    ## Example

        nn.init.xavier_uniform_(self.fc.bias)

    ## Use instead

        nn.init.zeros_(self.fc.bias)

    ## When it is right to do this

    Behind a test that keeps vectors out: `if p.dim() > 1: nn.init.xavier_uniform_(p)`.

    ## Fix safety

    No fix: what the vector should hold is for its author to say.
    """

    code, name, severity = "INI504", "fan-init-on-vector", Severity.ERROR
    needs = (SOURCE,)
    bad = [
        Bad("""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(8, 8)
                    nn.init.xavier_uniform_(self.fc.bias)  #~
            """),
        Bad("""
            def init_weights(m):
                if isinstance(m, (nn.Conv2d, nn.BatchNorm2d)):
                    nn.init.kaiming_normal_(m.weight, mode="fan_out")  #~
            """),
        Bad("""
            class Scale(nn.Module):
                def __init__(self, dim):
                    super().__init__()
                    self.scale = nn.Parameter(torch.empty(dim))
                    nn.init.orthogonal_(self.scale)  #~
            """),
    ]
    good = [
        Good("""
            def init_weights(m):
                if isinstance(m, (nn.Conv2d, nn.Linear)):
                    nn.init.kaiming_normal_(m.weight)
                    nn.init.zeros_(m.bias)
                elif isinstance(m, nn.LayerNorm):
                    nn.init.ones_(m.weight)
            """),
        Good("""
            def init_weights(model):
                for p in model.parameters():
                    if p.dim() > 1:
                        nn.init.xavier_uniform_(p)
            """),
        Good("""
            class Bilinear(nn.Module):
                def __init__(self, dim):
                    super().__init__()
                    self.bias = nn.Parameter(torch.empty(1, dim))
                    nn.init.xavier_uniform_(self.bias)
            """),
        Good("""
            def init_weights(m):
                if isinstance(m, (nn.Conv2d, nn.BatchNorm2d)) and m.weight.dim() > 1:
                    nn.init.kaiming_normal_(m.weight)
            """),
    ]

    def check_call(self, call: InitCall) -> Iterator[Finding]:
        module, _, function = call.function.rpartition(".")
        if module != "torch.nn.init":
            return
        fewest = _FEWEST_DIMENSIONS.get(function.rstrip("_") + "_", 0)
        if fewest == 0:
            return
        dimensions = call.target.fewest_dimensions
        if dimensions < fewest and not call.caught:
            yield self.at(
                call,
                f"{call.written} needs at least {fewest} dimensions and {call.target.text} can have "
                f"{dimensions}: it raises ValueError",
                help="give a vector zeros_, ones_ or a plain uniform_/normal_",
                evidence={"dimensions": dimensions, "needed": fewest},
            )
