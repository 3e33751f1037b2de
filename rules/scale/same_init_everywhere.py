"""INI208 same-init-everywhere."""

from collections.abc import Iterator

from initlint.facts import Layer, absent
from initlint.findings import Finding, Severity
from initlint.rule import SOURCE, Bad, Good, Rule


class SameInitEverywhere(Rule):
    """One statement draws every parameter of a model, whatever layer it belongs to.

    ## What it does

    Finds loops over `parameters()` (or initialisers applied to every module) that draw weights and biases of several
    kinds of layer by one and the same random call.

    ## Why it matters

    A bias, a norm's scale and the weights of a wide and of a narrow layer each need something else: zeros, ones, and a
    scale that follows from the fan ([Glorot & Bengio 2010](https://proceedings.mlr.press/v9/glorot10a.html)). With one
    law for all, a norm's scale is drawn around 0 and biases drown small weights.

    ## Example

        for p in self.parameters():
            nn.init.uniform_(p, -0.1, 0.1)

    ## Use instead

        for m in self.modules():
            if isinstance(m, (nn.Linear, nn.Embedding)):
                nn.init.normal_(m.weight, std=0.02)
            if isinstance(m, nn.Linear):
                nn.init.zeros_(m.bias)

    ## When it is right to do this

    To reproduce a paper that did so (the uniform(-0.08, 0.08) of early sequence models). Constants are not spoken
    of, nor are initialisers that ask for the kind of layer or for the number of dimensions.

    ## Fix safety

    No fix: what each layer needs is not known.
    """

    code, name, severity = "INI208", "same-init-everywhere", Severity.ADVICE
    needs = (SOURCE,)
    bad = [
        Bad("""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.conv = nn.Conv2d(3, 16, 3)
                    self.norm = nn.BatchNorm2d(16)
                    self.head = nn.Linear(16, 4)
                    for p in self.parameters():
                        nn.init.normal_(p, std=0.02)  #~
        """),
        Bad("""
            class Seq2Seq(nn.Module):
                def __init__(self, words, width):
                    super().__init__()
                    self.embedding = nn.Embedding(words, width)
                    self.mix = nn.Linear(width, width)
                    self.conv = nn.Conv1d(width, width, 3)
                    self.apply(self.init_weights)

                def init_weights(self, m):
                    for name, p in m.named_parameters():
                        nn.init.uniform_(p.data, -0.08, 0.08)  #~
        """),
    ]
    good = [
        Good("""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.conv = nn.Conv2d(3, 16, 3)
                    self.norm = nn.BatchNorm2d(16)
                    self.head = nn.Linear(16, 4)
                    for m in self.modules():
                        if isinstance(m, (nn.Conv2d, nn.Linear)):
                            nn.init.normal_(m.weight, std=0.02)
                            nn.init.zeros_(m.bias)
        """),
        Good("""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.embedding = nn.Embedding(100, 16)
                    self.fc = nn.Linear(16, 16)
                    self.conv = nn.Conv1d(16, 16, 3)
                    for p in self.parameters():
                        if p.dim() > 1:
                            nn.init.xavier_uniform_(p)
        """),
        Good("""
            class Head(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc1 = nn.Linear(16, 16)
                    self.fc2 = nn.Linear(16, 4)
                    for p in self.parameters():
                        nn.init.normal_(p, std=0.02)
        """),
    ]

    def check_layer(self, layer: Layer) -> Iterator[Finding]:
        bias = layer.bias
        if absent(bias) or bias is None:
            return
        write, other = bias.last_write, layer.weight.last_write
        application = write.application
        if absent(application) or application is None or not write.is_deliberate:
            return
        same = absent(other.application) is False and other.application is application
        if not same or other.location != write.location or not write.distribution.is_random:
            return
        kinds = {one.kind for one in layer.model.layers if one.name in application.covered}
        if len(kinds) > 1:
            yield self.at(
                bias,
                f"one call draws weights and biases of {', '.join(sorted(kinds))} alike",
                help="give each kind of layer what it needs: fan-scaled weights, zero biases, ones for norms",
                evidence={"kinds": len(kinds)},
            )
