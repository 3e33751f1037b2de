"""INI412 parameter-replaced."""

from collections.abc import Iterator

from initlint.facts import Incident
from initlint.findings import Finding, Severity
from initlint.rule import PARAMETERS, SOURCE, Bad, Good, Rule


class ParameterReplaced(Rule):
    """A plain tensor, or data of another shape, is put in the place of a Parameter.

    ## What it does

    Finds `self.weight = self.weight * 0.01` and `layer.weight = tensor` where the name holds a Parameter, and
    `layer.weight.data = tensor` where the shapes differ.

    ## Why it matters

    `nn.Module.__setattr__` refuses a plain tensor under the name of a Parameter: `TypeError: cannot assign
    'torch.FloatTensor' as parameter 'weight' (torch.nn.Parameter or None expected)`
    ([Module](https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html)). Data of another shape is taken
    without a word, and the layer's own record of its sizes (`in_features`, `num_embeddings`) is wrong from then on.

    ## Example

        self.fc = nn.Linear(64, 10)
        self.fc.weight = self.fc.weight * 0.01

    ## Use instead

        self.fc = nn.Linear(64, 10)
        with torch.no_grad():
            self.fc.weight.mul_(0.01)

    ## When it is right to do this

    A new `nn.Parameter` may take the place of an old one, and so may a tensor where the Parameter was deleted before.
    Under a parametrization an assignment goes through its right inverse. `.data = tensor` of the same shape is sound.

    ## Fix safety

    No fix: whether values or the Parameter itself are to change is for the author to say.
    """

    code, name, severity = "INI412", "parameter-replaced", Severity.WARNING
    highest = Severity.ERROR
    needs = (SOURCE, PARAMETERS)
    bad = [
        Bad("""
            class Net(nn.Module):
                def __init__(self, scaled=True):
                    super().__init__()
                    self.fc = nn.Linear(64, 10)
                    self.gain = nn.Parameter(torch.ones(10))
                    self.fc.weight = self.fc.weight * 0.01  #~
                    if scaled:
                        self.gain = torch.full((10,), 0.1)  #~
            """),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self, words=100, more=20):
                    super().__init__()
                    self.words = nn.Embedding(words, 16)
                    self.words.weight.data = torch.randn(words + more, 16)  #~
            """,
            by=("source", "live"),
        ),
    ]
    good = [
        Good("""
            class Net(nn.Module):
                def __init__(self, device, table):
                    super().__init__()
                    self.fc = nn.Linear(64, 10)
                    self.fc.weight = nn.Parameter(self.fc.weight * 0.01)
                    self.fc.bias = None
                    self.gain = nn.Parameter(torch.ones(10))
                    self.gain = self.gain.to(device)
                    self.gain = self.gain.type_as(table)
                    del self.gain
                    self.gain = torch.ones(10)
                    self.register_buffer("scale", torch.ones(10))
                    self.scale = self.scale * 2
                    self.words = nn.Embedding(100, 16)
                    self.words.weight.data = torch.randn(100, 16)
                    self.words.weight.data = table
            """),
        Good("""
            from torch.nn.utils import parametrizations

            class Net(nn.Module):
                def __init__(self, old):
                    super().__init__()
                    self.mix = parametrizations.orthogonal(nn.Linear(16, 16))
                    self.mix.weight = torch.eye(16)
                    if old:
                        self.gain = nn.Parameter(torch.ones(10))
                    else:
                        self.gain = torch.ones(10)
                    self.gain = self.gain if old else self.gain * 2
                    try:
                        self.mix.bias = torch.zeros(16)
                    except TypeError:
                        self.mix.bias = nn.Parameter(torch.zeros(16))
            """),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.first = nn.Linear(16, 16)
                    del self.first._parameters["weight"]
                    self.first.weight = torch.eye(16)
                    self.second = nn.Linear(16, 16)
                    delattr(self.second, "weight")
                    self.second.weight = torch.eye(16)
                    self.third = nn.Linear(16, 16)
                    self.third._parameters.pop("weight")
                    self.third.weight = torch.eye(16)
            """,
            by=("source", "live"),
        ),
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.words = nn.Embedding(100, 16)
                    self.words.weight.data = torch.randn(100, 16)
                    self.more = nn.Embedding(100, 16)
                    self.more.weight.data = torch.cat([self.more.weight.data, torch.zeros(20, 16)])
                    self.more.num_embeddings = 120
                    self.lazy = nn.LazyLinear(4)
                    self.lazy(torch.zeros(1, 16))
                    self.fc = nn.Linear(16, 16)
                    self.fc.weight.data = self.fc.weight.data.t()
            """,
            by=("live",),
        ),
    ]

    def check_incident(self, incident: Incident) -> Iterator[Finding]:
        if incident.kind == "not_a_parameter":
            yield self.at(
                incident,
                f"{incident.text} is a Parameter and a plain tensor is assigned to it: nn.Module raises TypeError",
                help="change its values under torch.no_grad() (copy_, mul_), or assign an nn.Parameter",
                severity=Severity.ERROR,
            )
        elif incident.kind == "resized" and incident.before != incident.after:
            yield self.at(
                incident,
                f"{incident.text} of shape {incident.before} is given data of shape {incident.after}: the sizes "
                "that its layer keeps are wrong from here on",
                help="make a layer of the new size and copy the old values into it",
            )
