"""INI509 none-bias-access."""

from collections.abc import Iterator

from initlint.changes import GuardNotNone
from initlint.facts import Incident
from initlint.findings import Finding, Severity, safe
from initlint.rule import SOURCE, Bad, Good, Rule


class NoneBiasAccess(Rule):
    """An initialiser writes the bias of a layer that was made without one.

    ## What it does

    Finds `m.bias.data.zero_()`, `nn.init.zeros_(m.bias)` and the like, without a test for None, that meet a layer made
    with `bias=False` (or a norm made with `affine=False`, also for its weight).

    ## Why it matters

    Such a layer has the attribute, and it is None
    ([nn.Linear](https://docs.pytorch.org/docs/stable/generated/torch.nn.Linear.html)): `AttributeError: 'NoneType'
    object has no attribute 'data'` as soon as the model is built. `hasattr(m, "bias")` is no help, for it is True.

    ## Example

        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.zeros_(m.bias)

    ## Use instead

        for m in self.modules():
            if isinstance(m, nn.Conv2d) and m.bias is not None:
                nn.init.zeros_(m.bias)

    ## When it is right to do this

    Where every layer that the code meets has a bias, and in a `try` whose handler sees to the others.

    ## Fix safety

    Safe: the statement goes under `if m.bias is not None:`. It raises as it is where the guard makes a difference, and
    runs as before everywhere else.
    """

    code, name, severity = "INI509", "none-bias-access", Severity.ERROR
    needs = (SOURCE,)
    bad = [
        Bad(
            """
            def init_weights(m):
                if isinstance(m, nn.Conv2d):
                    nn.init.xavier_uniform_(m.weight)
                    m.bias.data.fill_(0.01)  #~

            class Net(nn.Module):
                def __init__(self, init=True):
                    super().__init__()
                    self.conv = nn.Conv2d(3, 8, 3, bias=False)
                    self.head = nn.Conv2d(8, 8, 1)
                    if init:
                        self.apply(init_weights)
            """,
            fixed="""
            def init_weights(m):
                if isinstance(m, nn.Conv2d):
                    nn.init.xavier_uniform_(m.weight)
                    if m.bias is not None:
                        m.bias.data.fill_(0.01)

            class Net(nn.Module):
                def __init__(self, init=True):
                    super().__init__()
                    self.conv = nn.Conv2d(3, 8, 3, bias=False)
                    self.head = nn.Conv2d(8, 8, 1)
                    if init:
                        self.apply(init_weights)
            """,
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self, pretrained):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(8, 8, bias=False) for _ in range(3)])
                    self.norm = nn.BatchNorm1d(8, affine=False)
                    if not pretrained:
                        for layer in self.layers:
                            if hasattr(layer, "bias"):
                                nn.init.zeros_(layer.bias)  #~
                    nn.init.ones_(self.norm.weight)  #~
            """,
            fixed="""
            class Net(nn.Module):
                def __init__(self, pretrained):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(8, 8, bias=False) for _ in range(3)])
                    self.norm = nn.BatchNorm1d(8, affine=False)
                    if not pretrained:
                        for layer in self.layers:
                            if hasattr(layer, "bias"):
                                if layer.bias is not None:
                                    nn.init.zeros_(layer.bias)
                    if self.norm.weight is not None:
                        nn.init.ones_(self.norm.weight)
            """,
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(8, 8, bias=False)

            def initialise(m):
                if type(m) == nn.Linear:
                    m.bias.data.zero_()  #~

            def main():
                net = Net()
                net.apply(initialise)
            """,
            fixed="""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(8, 8, bias=False)

            def initialise(m):
                if type(m) == nn.Linear:
                    if m.bias is not None:
                        m.bias.data.zero_()

            def main():
                net = Net()
                net.apply(initialise)
            """,
        ),
    ]
    good = [
        Good("""
            from layers import LayerNorm

            def init_weights(m):
                if isinstance(m, nn.Conv2d):
                    if m.bias is not None:
                        m.bias.data.fill_(0.01)
                    try:
                        m.bias.data.zero_()
                    except AttributeError:
                        pass
                elif isinstance(m, LayerNorm):
                    m.bias.data.zero_()
                elif getattr(m, "bias", None) is not None:
                    nn.init.zeros_(m.bias)

            class Net(nn.Module):
                def __init__(self, bias, norm=False):
                    super().__init__()
                    self.conv = nn.Conv2d(3, 8, 3, bias=False)
                    self.fc = nn.Linear(8, 8, bias=bias)
                    self.plain = nn.Linear(8, 8, bias=not norm)
                    self.out = nn.Linear(8, 8, bias=False) if bias else nn.Linear(8, 8)
                    nn.init.zeros_(self.plain.bias)
                    if bias:
                        nn.init.zeros_(self.fc.bias)
                        nn.init.zeros_(self.out.bias)
                    self.apply(init_weights)
            """),
        Good("""
            def zero(m):
                m.bias.data.zero_()

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Linear(8, 8, bias=False)
                    self.head = nn.Linear(8, 8)
                    self.head.apply(zero)
                    self.bias = None
                    for name, parameter in self.named_parameters():
                        if name.endswith("bias"):
                            parameter.data.zero_()
            """),
    ]

    def check_incident(self, incident: Incident) -> Iterator[Finding]:
        if incident.kind == "none":
            yield self.at(
                incident,
                f"{incident.text} is None here, for it meets a {incident.layer_kind} made without one: this raises",
                help=f"guard it with if {incident.text} is not None",
                fix=safe(GuardNotNone(incident.location)),
            )
