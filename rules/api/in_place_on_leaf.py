"""INI507 in-place-on-leaf."""

from collections.abc import Iterator

from initlint.changes import UnderNoGrad
from initlint.facts import Incident
from initlint.findings import Finding, Severity, safe
from initlint.rule import SOURCE, Bad, Good, Rule


class InPlaceOnLeaf(Rule):
    """A Parameter is changed in place while gradients are recorded.

    ## What it does

    Finds in-place methods, `*=` and assignments to elements on a Parameter (or a view of one) in code that a
    constructor runs, outside `torch.no_grad()` and not through `.data`.

    ## Why it matters

    Autograd refuses it: `RuntimeError: a leaf Variable that requires grad is being used in an in-place operation`
    ([in-place operations](https://docs.pytorch.org/docs/stable/notes/autograd.html#in-place-operations-with-autograd)).
    The functions of `torch.nn.init` switch gradients off themselves; the methods of a tensor do not.

    ## Example

        self.weight = nn.Parameter(torch.empty(8, 8))
        self.weight.normal_(std=0.02)

    ## Use instead

        self.weight = nn.Parameter(torch.empty(8, 8))
        nn.init.normal_(self.weight, std=0.02)

    ## When it is right to do this

    Under `torch.no_grad()`, also that of a caller; on `.data` or `.detach()`; on a tensor before it is made a
    Parameter; on a Parameter with `requires_grad=False`.

    ## Fix safety

    Safe: the statement goes under `torch.no_grad()`. As it is, it raises.
    """

    code, name, severity = "INI507", "in-place-on-leaf", Severity.ERROR
    needs = (SOURCE,)
    bad = [
        Bad(
            """
            class Scale(nn.Module):
                def __init__(self, width=8):
                    super().__init__()
                    self.weight = nn.Parameter(torch.empty(width, width))
                    self.weight.normal_(std=0.02)  #~
                    self.gain = nn.Parameter(torch.ones(width))
                    self.gain *= 0.1  #~
            """,
            fixed="""
            class Scale(nn.Module):
                def __init__(self, width=8):
                    super().__init__()
                    self.weight = nn.Parameter(torch.empty(width, width))
                    with torch.no_grad():
                        self.weight.normal_(std=0.02)
                    self.gain = nn.Parameter(torch.ones(width))
                    with torch.no_grad():
                        self.gain *= 0.1
            """,
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(8, 8)
                    self.words = nn.Embedding(10, 8, padding_idx=0)
                    self.apply(self._init_weights)

                def _init_weights(self, m):
                    if isinstance(m, nn.Linear):
                        m.weight.mul_(0.1)  #~
                        m.bias[:4].zero_()  #~
                    elif isinstance(m, nn.Embedding):
                        m.weight[m.padding_idx] = 0  #~
            """,
            fixed="""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(8, 8)
                    self.words = nn.Embedding(10, 8, padding_idx=0)
                    self.apply(self._init_weights)

                def _init_weights(self, m):
                    if isinstance(m, nn.Linear):
                        with torch.no_grad():
                            m.weight.mul_(0.1)
                        with torch.no_grad():
                            m.bias[:4].zero_()
                    elif isinstance(m, nn.Embedding):
                        with torch.no_grad():
                            m.weight[m.padding_idx] = 0
            """,
        ),
    ]
    good = [
        Good("""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    weight = torch.empty(8, 8)
                    weight.normal_()
                    self.weight = nn.Parameter(weight)
                    self.weight.data.mul_(0.1)
                    self.weight.data[0] = 0
                    self.weight.detach().mul_(0.1)
                    self.fixed = nn.Parameter(torch.empty(8), requires_grad=False)
                    self.fixed.zero_()
                    self.register_buffer("table", torch.empty(8))
                    self.table.fill_(1.0)
                    with torch.no_grad():
                        self.weight.mul_(0.1)
                        self.weight[0] = 0
                        self._scale()
                    self.reset_parameters()
                    nn.init.zeros_(self.weight[0])

                def _scale(self):
                    self.weight *= 0.1

                @torch.no_grad()
                def reset_parameters(self):
                    self.weight.normal_()
            """),
        Good("""
            def init_weights(m):
                if isinstance(m, nn.Linear):
                    m.weight.normal_()

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(8, 8)
                    with torch.inference_mode():
                        self.apply(init_weights)

                def rescale(self):
                    self.fc.weight.mul_(0.5)
            """),
        Good("""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(8, 8)
                    before = torch.is_grad_enabled()
                    torch.set_grad_enabled(False)
                    self.fc.weight.mul_(0.5)
                    torch.set_grad_enabled(before)
            """),
    ]

    def check_incident(self, incident: Incident) -> Iterator[Finding]:
        if incident.kind == "leaf":
            yield self.at(
                incident,
                f"{incident.text} is a Parameter and is changed in place while gradients are recorded: this raises",
                help="do it under torch.no_grad(), or by a function of torch.nn.init",
                fix=safe(UnderNoGrad(incident.location)),
            )
