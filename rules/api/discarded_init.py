"""INI508 discarded-init."""

from collections.abc import Iterator

from initlint.facts import InitCall
from initlint.findings import Finding, Severity
from initlint.rule import SOURCE, Bad, Good, Rule


class DiscardedInit(Rule):
    """An initialisation goes to a new tensor that nothing holds, and the parameter keeps its old values.

    ## What it does

    Finds statements that initialise a copy made in the same expression (`m.weight.clone().normal_()`,
    `nn.init.zeros_(m.weight.clone())`) and statements that only make a new tensor after a parameter's shape
    (`torch.zeros_like(m.weight)`).

    ## Why it matters

    `clone()`, `zeros_like()` and their kin return new memory. The values are drawn, the tensor is freed, and the
    layer keeps torch's default (or nothing, where it came from `torch.empty`). Nothing raises.

    ## Example

        m.weight.data.clone().normal_(0, 0.02)
        torch.zeros_like(m.bias)

    ## Use instead

        nn.init.normal_(m.weight, std=0.02)
        nn.init.zeros_(m.bias)

    ## When it is right to do this

    Never as an initialisation. To warm up a kernel, or to move a random stream on, take a plain tensor.

    ## Fix safety

    Writing the parameter itself changes its values; that is its purpose.
    """

    code, name, severity = "INI508", "discarded-init", Severity.ERROR
    needs = (SOURCE,)
    bad = [
        Bad("""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(64, 64)
                    self.fc.weight.data.clone().normal_(0, 0.02)  #~
                    nn.init.zeros_(self.fc.bias.detach().clone())  #~
            """),
        Bad("""
            def init_weights(m):
                if isinstance(m, nn.Linear):
                    torch.zeros_like(m.bias)  #~
            """),
        Bad("""
            class Gate(nn.Module):
                def __init__(self, dim):
                    super().__init__()
                    self.scale = nn.Parameter(torch.ones(dim))
                    self.reset()

                def reset(self):
                    torch.randn_like(self.scale)  #~
            """),
    ]
    good = [
        Good("""
            def init_weights(m):
                if isinstance(m, nn.Linear):
                    m.weight.data = m.weight.data.clone().normal_(0, 0.02)
                    m.bias = nn.Parameter(torch.zeros_like(m.bias))
                    m.weight.data.copy_(torch.randn_like(m.weight))
                    block = m.weight.data.clone()
                    nn.init.orthogonal_(block)
                    m.weight.data.copy_(block)
            """),
        Good("""
            def perturb(m, x, out):
                m.weight.data.mul_(torch.ones_like(m.weight).normal_(1.0, 0.1))
                torch.zeros_like(x)
                torch.zeros_like(m.weight, out=out)
                return nn.init.normal_(m.weight.clone())
            """),
    ]

    def check_call(self, call: InitCall) -> Iterator[Finding]:
        if not call.discarded:
            return
        if call.function.endswith("_like"):
            if call.target.is_module or "out" in call.given:
                return
            yield self.at(
                call,
                f"{call.written}({call.target.text}) makes a new tensor that nothing takes: {call.target.text} keeps "
                "its values",
                help="write the parameter itself, with an initialiser of torch.nn.init",
            )
        elif call.target.is_copy:
            yield self.at(
                call,
                f"{call.written} writes {call.target.text}, a new tensor that nothing holds: the original keeps its "
                "values",
                help="write the parameter itself, not a copy of it",
            )
