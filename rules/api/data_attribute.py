"""INI512 data-attribute."""

from collections.abc import Iterator

from initlint.changes import DropData, MethodToFunction, UnderNoGrad
from initlint.facts import InitCall
from initlint.findings import Finding, Fix, Severity, safe
from initlint.rule import SOURCE, Bad, Good, Rule

_AS_FUNCTION = {
    "normal_": "torch.nn.init.normal_",
    "uniform_": "torch.nn.init.uniform_",
    "zero_": "torch.nn.init.zeros_",
    "fill_": "torch.nn.init.constant_",
}
"""Functions that draw just what the method does, from the same random numbers."""


class DataAttribute(Rule):
    """An initialiser writes through `.data`, which goes behind autograd's back.

    ## What it does

    Finds initialisers that are handed `.data` of a tensor (`nn.init.normal_(m.weight.data)`) and in-place methods
    called on it (`m.weight.data.zero_()`); `copy_`, which moves values rather than making them, is left alone.

    ## Why it matters

    `.data` is the way from before PyTorch 0.4: a write through it is not counted by autograd's version check, so a
    graph that saved the old values silently gives wrong gradients ([migration
    guide](https://pytorch.org/blog/pytorch-0_4_0-migration-guide/#what-about-data)). On a parametrized or
    weight-normalised tensor it writes a computed copy. Functions of torch.nn.init need no `.data`: they run under
    `no_grad` themselves.

    ## Example

        m.weight.data.normal_(0.0, 0.02)

    ## Use instead

        nn.init.normal_(m.weight, 0.0, 0.02)

    ## When it is right to do this

    Advice only: before the first forward both ways write the same values.

    ## Fix safety

    Safe: `.data` is dropped where a function of torch.nn.init takes the tensor, `normal_`, `uniform_`, `zero_` and
    `fill_` become functions of torch.nn.init, and any other method goes under `torch.no_grad()`. The same values are
    written, from the same random numbers; only autograd learns of it, and raises where a graph still needs the old
    values. A call whose result is used is left alone: without `.data` it would be the Parameter itself.
    """

    code, name, severity = "INI512", "data-attribute", Severity.ADVICE
    needs = (SOURCE,)
    bad = [
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(64, 64)
                    self.fc.weight.data.normal_(0.0, 0.02)  #~
            """,
            fixed="""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(64, 64)
                    nn.init.normal_(self.fc.weight, 0.0, 0.02)
            """,
        ),
        Bad(
            """
            def init_weights(m):
                if isinstance(m, nn.Linear):
                    nn.init.xavier_uniform_(m.weight.data)  #~
                    m.bias.data.zero_()  #~
            """,
            fixed="""
            def init_weights(m):
                if isinstance(m, nn.Linear):
                    nn.init.xavier_uniform_(m.weight)
                    nn.init.zeros_(m.bias)
            """,
        ),
    ]
    good = [
        Good("""
            def init_weights(m):
                if isinstance(m, nn.Linear):
                    nn.init.xavier_uniform_(m.weight)
                    with torch.no_grad():
                        m.bias.zero_()
            """),
        Good("""
            class Block(nn.Module):
                def fuse(self):
                    fused = nn.Linear(8, 8)
                    fused.weight.data.copy_(self.weight)
                    nn.init.zeros_(fused.bias)
                    return fused
            """),
        Good("""
            class Batch:
                def __init__(self, data):
                    self.data = data

                def clear(self):
                    self.data.zero_()
                    self.data[0].fill_(1.0)
            """),
    ]

    def check_call(self, call: InitCall) -> Iterator[Finding]:
        if call.function == "torch.Tensor.copy_":
            return  # values moved from elsewhere: a checkpoint, a fused layer
        module = call.function.startswith("torch.nn.init.")
        if call.target.through_data and (module or not call.target.is_module):
            yield self.at(
                call,
                f"{call.written} writes {call.target.text} through .data, past autograd's version check",
                help=f"write {call.written}({call.target.text}, ...): it runs under no_grad by itself"
                if module
                else "use the function of torch.nn.init, or write under torch.no_grad()",
                fix=self._fix(call) if call.discarded else None,
            )

    def _fix(self, call: InitCall) -> Fix | None:
        home, _, name = call.function.rpartition(".")
        if home != "torch.Tensor":
            return safe(DropData(call.target.location))
        if name in _AS_FUNCTION and "value" not in call.given[len(call.positional) :]:
            return safe(MethodToFunction(call.location, _AS_FUNCTION[name]))
        return safe(UnderNoGrad(call.location), DropData(call.target.location))
