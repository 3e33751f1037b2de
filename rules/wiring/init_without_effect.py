"""INI405 init-without-effect."""

from collections.abc import Iterator

from initlint.facts import Parameter, absent
from initlint.findings import Finding, Severity
from initlint.rule import PARAMETERS, SOURCE, Bad, Good, Rule


class InitWithoutEffect(Rule):
    """A weight is initialised after a reparametrisation that computes it anew from other parameters.

    ## What it does

    Finds writes into `.weight` of a layer under `weight_norm` (old or new), or under the `spectral_norm` and
    `orthogonal` of `torch.nn.utils.parametrizations`.

    ## Why it matters

    From the wrap on, `weight` is no parameter: it is computed from others (`weight_g` and `weight_v`, or
    `parametrizations.weight.original`) at every forward
    ([torch.nn.utils.parametrizations](https://docs.pytorch.org/docs/stable/nn.html#parametrizations)). What is written
    into it is gone before it is used, and the layer keeps the values that it was made with.

    ## Example

        self.conv = weight_norm(nn.Conv1d(64, 64, 3))
        self.conv.weight.data.normal_(0, 0.01)

    ## Use instead

        conv = nn.Conv1d(64, 64, 3)
        conv.weight.data.normal_(0, 0.01)
        self.conv = weight_norm(conv)

    ## When it is right to do this

    Before the wrap; by assignment (`m.weight = tensor`) under a parametrization that has a right inverse; under the old
    `torch.nn.utils.spectral_norm` before its first forward, for there `weight` shares its memory with `weight_orig`.

    ## Fix safety

    No fix: the write belongs before the wrap, which may be in another function.
    """

    code, name, severity = "INI405", "init-without-effect", Severity.ERROR
    needs = (SOURCE, PARAMETERS)
    bad = [
        Bad(
            """
            from torch.nn.utils import weight_norm

            class Block(nn.Module):
                def __init__(self, width=16):
                    super().__init__()
                    self.conv = weight_norm(nn.Conv1d(width, width, 3))
                    self.down = nn.Conv1d(width, width, 1)
                    self.init_weights()

                def init_weights(self):
                    self.conv.weight.data.normal_(0, 0.01)  #~
                    self.down.weight.data.normal_(0, 0.01)
            """,
            by=("source", "live"),
        ),
        Bad(
            """
            from torch.nn.utils import parametrizations

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = parametrizations.spectral_norm(nn.Linear(16, 16))
                    self.mix = parametrizations.orthogonal(nn.Linear(16, 16))
                    self.out = parametrizations.weight_norm(nn.Linear(16, 16), name="weight")
                    nn.init.xavier_uniform_(self.mix.weight)  #~
                    for m in self.modules():
                        if isinstance(m, nn.Linear):
                            nn.init.kaiming_normal_(m.weight)  #~
                            nn.init.zeros_(m.bias)
            """,
            by=("source", "live"),
        ),
    ]
    good = [
        Good(
            """
            from torch.nn.utils import weight_norm

            class Block(nn.Module):
                def __init__(self, width=16):
                    super().__init__()
                    self.conv = weight_norm(nn.Conv1d(width, width, 3))
                    for p in self.parameters():  # weight_g and weight_v, not weight
                        if p.dim() > 1:
                            nn.init.xavier_uniform_(p)
                    for name, p in self.named_parameters():
                        if "weight" in name:
                            nn.init.xavier_uniform_(p.data)
            """,
            by=("source", "live"),
        ),
        Good(
            """
            from torch.nn.utils import weight_norm

            class Block(nn.Module):
                def __init__(self, width=16):
                    super().__init__()
                    conv = nn.Conv1d(width, width, 3)
                    conv.weight.data.normal_(0, 0.01)
                    self.conv = weight_norm(conv)
                    nn.init.ones_(self.conv.weight_g)
                    nn.init.zeros_(self.conv.bias)
                    self.out = nn.Conv1d(width, width, 3)
                    nn.init.kaiming_normal_(self.out.weight)
                    self.out = weight_norm(self.out)
            """,
            by=("source", "live"),
        ),
        Good("""
            from torch.nn.utils import parametrizations, remove_weight_norm, spectral_norm, weight_norm

            class Net(nn.Module):
                def __init__(self, target, norm):
                    super().__init__()
                    self.mix = parametrizations.orthogonal(nn.Linear(16, 16))
                    self.mix.weight = target
                    self.out = spectral_norm(nn.Linear(16, 16))
                    nn.init.xavier_uniform_(self.out.weight)
                    self.head = remove_weight_norm(weight_norm(nn.Linear(16, 16)))
                    nn.init.xavier_uniform_(self.head.weight)
                    self.tail = nn.Linear(16, 16)
                    if norm:
                        self.tail = weight_norm(self.tail)
                    nn.init.xavier_uniform_(self.tail.weight)
            """),
        Good(
            """
            from torch.nn.utils import parametrizations, parametrize, remove_weight_norm, spectral_norm, weight_norm

            class Doubled(nn.Module):
                def forward(self, weight):
                    return weight

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.mix = parametrizations.orthogonal(nn.Linear(16, 16))
                    self.mix.weight = torch.eye(16)
                    self.out = spectral_norm(nn.Linear(16, 16))
                    nn.init.xavier_uniform_(self.out.weight)
                    self.head = remove_weight_norm(weight_norm(nn.Linear(16, 16)))
                    nn.init.xavier_uniform_(self.head.weight)
                    self.same = nn.Linear(16, 16)
                    parametrize.register_parametrization(self.same, "weight", Doubled())
                    nn.init.xavier_uniform_(self.same.weight)
                    nn.init.zeros_(parametrizations.weight_norm(nn.Linear(16, 16)).bias)

                def forward(self, x):
                    return self.same(self.head(self.out(self.mix(x))))
            """,
            by=("live",),
        ),
    ]

    def check_parameter(self, parameter: Parameter) -> Iterator[Finding]:
        computed = parameter.computed_by
        if absent(computed) or computed is None:
            return
        wrapper = computed.rpartition(".")[2]
        for write in parameter.lost:
            yield self.at(
                write.location,
                f"{write.short} has no effect on {parameter.name}: {wrapper} computes it from "
                "other parameters at each forward",
                help=f"initialise the layer before {wrapper} is applied to it",
                parameters=(parameter,),
                layer=parameter.layer,
            )
