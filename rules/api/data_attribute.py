"""INI512 data-attribute."""

from collections.abc import Iterator

from initlint.facts import InitCall
from initlint.findings import Finding, Severity
from initlint.rule import SOURCE, Bad, Good, Rule


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

    Safe with torch.nn.init. An in-place method of a tensor without `.data` needs `torch.no_grad()` around it.
    """

    code, name, severity = "INI512", "data-attribute", Severity.ADVICE
    needs = (SOURCE,)
    bad = [
        Bad("""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(64, 64)
                    self.fc.weight.data.normal_(0.0, 0.02)  #~
            """),
        Bad("""
            def init_weights(m):
                if isinstance(m, nn.Linear):
                    nn.init.xavier_uniform_(m.weight.data)  #~
                    m.bias.data.zero_()  #~
            """),
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
            )
