"""INI514 init-on-module."""

from collections.abc import Iterator

from initlint.changes import TakeAttribute
from initlint.facts import MAPS, InitCall, layer_family
from initlint.findings import Finding, Fix, Severity, safe, unsafe
from initlint.rule import SOURCE, Bad, Good, Rule

_HOMES = ("torch.nn.init", "transformers.initialization")
_WITH_WEIGHTS = (*MAPS, "embedding")
_FOR_BIASES_TOO = ("zeros_", "ones_", "constant_")
"""What one also does to a bias."""


class InitOnModule(Rule):
    """An initialiser of torch.nn.init is given a module instead of one of its tensors: it raises.

    ## What it does

    Finds calls of torch.nn.init (and of transformers' wrappers around it) whose first argument is a layer: an
    attribute that was assigned one, or a variable that an isinstance test says is one.

    ## Why it matters

    torch.nn.init writes tensors. A module has no `normal_`, `fill_` or `size`, so the call raises `AttributeError` in
    the first constructor that reaches it.

    ## Example

        nn.init.xavier_uniform_(self.fc)

    ## Use instead

        nn.init.xavier_uniform_(self.fc.weight)

    ## When it is right to do this

    With functions of other libraries that take a module, such as mmengine's `xavier_init(module)`.

    ## Fix safety

    Safe for linear maps, convolutions and embeddings: the call raises as it is, and what draws a matrix is meant for
    the weight. Zeros and other constants might have been meant for the bias as well: unsafe. Other layers have no fix.
    """

    code, name, severity = "INI514", "init-on-module", Severity.ERROR
    needs = (SOURCE,)
    bad = [
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(64, 64)
                    self.body = nn.Sequential(nn.Linear(64, 64), nn.ReLU())
                    nn.init.xavier_uniform_(self.fc)  #~
                    nn.init.zeros_(self.body[0])  #~
            """,
            fixed="""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(64, 64)
                    self.body = nn.Sequential(nn.Linear(64, 64), nn.ReLU())
                    nn.init.xavier_uniform_(self.fc.weight)
                    nn.init.zeros_(self.body[0].weight)
            """,
        ),
        Bad(
            """
            from torch.nn.init import normal_

            def init_weights(m):
                if isinstance(m, (nn.Linear, nn.Conv2d)):
                    normal_(m, std=0.02)  #~
            """,
            fixed="""
            from torch.nn.init import normal_

            def init_weights(m):
                if isinstance(m, (nn.Linear, nn.Conv2d)):
                    normal_(m.weight, std=0.02)
            """,
        ),
    ]
    good = [
        Good("""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(64, 64)
                    self.token = nn.Parameter(torch.empty(1, 64))
                    nn.init.xavier_uniform_(self.fc.weight)
                    nn.init.zeros_(self.token)
                    for p in self.fc.parameters():
                        nn.init.normal_(p)
            """),
        Good("""
            from mmengine.model import xavier_init
            from tensors import DistributedTensor

            class Codebook(nn.Parameter):
                pass

            def init_weights(m):
                if isinstance(m, nn.Linear):
                    xavier_init(m, distribution="uniform")
                    m = m.weight
                    nn.init.normal_(m)
                elif isinstance(m, nn.Parameter):
                    nn.init.normal_(m)
                elif isinstance(m, DistributedTensor):
                    nn.init.normal_(m)
                elif isinstance(m, Codebook):
                    nn.init.normal_(m)
            """),
        Good("""
            def init_weights(m, name):
                if isinstance(m, nn.Linear):
                    m = getattr(m, name)
                    nn.init.normal_(m)
                elif isinstance(m, nn.Conv2d):
                    m, *others = m.parameters()
                    nn.init.normal_(m)
                elif isinstance(m, nn.Embedding):
                    try:
                        nn.init.normal_(m)
                    except AttributeError:
                        nn.init.normal_(m.weight)
            """),
    ]

    def check_call(self, call: InitCall) -> Iterator[Finding]:
        home, _, _ = call.function.rpartition(".")
        if home not in _HOMES or not call.target.is_module or call.caught:
            return
        kinds = " or ".join(call.target.kinds)
        yield self.at(
            call,
            f"{call.written} writes a tensor, and {call.target.text} is a module ({kinds}): it raises AttributeError",
            help=f"name the tensor: {call.written}({call.target.text}.weight)",
            fix=self._fix(call),
        )

    def _fix(self, call: InitCall) -> Fix | None:
        if any(layer_family(kind) not in _WITH_WEIGHTS for kind in call.target.kinds):
            return None
        weight = TakeAttribute(call.target.location, "weight")
        return unsafe(weight) if call.function.rpartition(".")[2] in _FOR_BIASES_TOO else safe(weight)
