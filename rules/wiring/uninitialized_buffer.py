"""INI418 uninitialized-buffer."""

from collections.abc import Iterator

from initlint.facts import Parameter
from initlint.findings import Finding, Severity
from initlint.rule import GRAPH, PARAMETERS, SOURCE, Bad, Good, Rule


class UninitializedBuffer(Rule):
    """A buffer is allocated with torch.empty, and the model reads it before anybody writes it.

    ## What it does

    Finds buffers whose last event is their allocation from uninitialised memory, in classes whose methods read them and
    none of whose methods fills them, and which no checkpoint holds (`persistent=False`). In a model that was built, all
    of which the first thing that a forward does is to read them: what `to_empty` leaves behind too.

    ## Why it matters

    `torch.empty` returns whatever the memory held
    ([torch.empty](https://docs.pytorch.org/docs/stable/generated/torch.empty.html)), and a buffer is not trained: what
    it holds at first it keeps. One that is not persistent does not even come with a checkpoint.

    ## Example

        self.register_buffer("scale", torch.empty(64), persistent=False)

    ## Use instead

        self.register_buffer("scale", torch.ones(64), persistent=False)

    ## When it is right to do this

    Where a method fills it before it is read, as a cache or a queue is. As long as the code is only read, nothing is
    said of a buffer that is saved: what is not trained, and left bare on purpose, is there to be loaded, as the scales
    of a quantised layer are.

    ## Fix safety

    No fix: what the buffer should hold is for the author to say.
    """

    code, name, severity = "INI418", "uninitialized-buffer", Severity.ERROR
    needs = (SOURCE, PARAMETERS, GRAPH)
    of_any_weights = True
    bad = [
        Bad("""
            class Scale(nn.Module):
                def __init__(self, width=64):
                    super().__init__()
                    self.register_buffer("scale", torch.empty(width), persistent=False)  #~

                def forward(self, x):
                    return x * self.scale
            """),
        Bad(
            """
            class Rotary(nn.Module):
                def __init__(self, width=16):
                    super().__init__()
                    frequencies = 10000.0 ** (-torch.arange(0, width, 2) / width)
                    self.register_buffer("frequencies", frequencies, persistent=False)
                    self.register_buffer("gains", torch.ones(width))

                def forward(self, x):
                    angles = torch.arange(x.shape[1])[:, None] * self.frequencies
                    return x * self.gains * torch.cat([angles.cos(), angles.sin()], dim=-1)

            def build():
                with torch.device("meta"):
                    model = nn.Sequential(nn.Linear(16, 16), Rotary(), nn.Linear(16, 4))
                model.to_empty(device="cpu")  #~
                for layer in (model[0], model[2]):
                    layer.reset_parameters()
                return model, torch.randn(8, 5, 16)
            """,
            by=("live",),
        ),
        Bad(
            """
            class Scale(nn.Module):
                def __init__(self, width=16):
                    super().__init__()
                    self.register_buffer("scale", torch.empty(width))  #~
                    self.fc = nn.Linear(width, width)

                def forward(self, x):
                    return self.fc(x) * self.scale
            """,
            by=("live",),
        ),
        Bad("""
            class Rotary(nn.Module):
                def __init__(self, width=64, length=128):
                    super().__init__()
                    self.register_buffer("angles", torch.Tensor(length, width), persistent=False)  #~
                    self.fc = nn.Linear(width, width)

                def forward(self, x):
                    return self.fc(x) * torch.cos(self.angles[: x.shape[1]])
            """),
    ]
    good = [
        Good("""
            class Memory(nn.Module):
                def __init__(self, width=64):
                    super().__init__()
                    self.register_buffer("queue", torch.empty(128, width), persistent=False)
                    self.register_buffer("mean", torch.empty(width), persistent=False)
                    self.register_buffer("table", torch.empty(width), persistent=False)
                    self.register_buffer("cache", torch.empty(width), persistent=False)
                    self.register_buffer("none", torch.empty(0), persistent=False)
                    self.register_buffer("unread", torch.empty(8), persistent=False)
                    self.register_buffer("scale", torch.ones(width))
                    nn.init.ones_(self.table)
                    self._fill()

                def _fill(self):
                    fill(self.cache)

                def update(self, keys):
                    self.queue[: keys.shape[0]] = keys

                def forward(self, x):
                    self.mean.copy_(x.mean(0))
                    return (x - self.mean) @ self.queue.t() + self.table + self.cache + self.none.sum() + self.scale
            """),
        Good(
            """
            class Memory(nn.Module):
                def __init__(self, width=16):
                    super().__init__()
                    self.fc = nn.Linear(width, width)
                    self.register_buffer("queue", torch.empty(128, width), persistent=False)
                    self.register_buffer("mean", torch.empty(width))
                    self.register_buffer("unread", torch.empty(8))

                def forward(self, x):
                    x = self.fc(x)
                    self.mean.copy_(x.detach().mean(0))
                    self.queue[: len(x)] = x.detach()
                    return (x - self.mean) @ self.queue[: len(x)].t()
            """,
            by=("live",),
        ),
        Good("""
            class Quantized(nn.Module):
                def __init__(self, width=64):
                    super().__init__()
                    self.register_buffer("weight", torch.empty(width, width, dtype=torch.int8))

                def forward(self, x):
                    return x @ self.weight
            """),
        Good("""
            class QuantizedLinear(nn.Module):
                def __init__(self, inputs=64, outputs=64):
                    super().__init__()
                    self.register_buffer("weight", torch.empty(outputs, inputs, dtype=torch.int8))
                    self.register_buffer("scales", torch.empty(outputs))

                def forward(self, x):
                    return F.linear(x, self.weight.to(x.dtype)) * self.scales
            """),
        Good("""
            def load(path):
                model = Loaded()
                model.load_state_dict(torch.load(path))
                return model

            class Loaded(nn.Module):
                def __init__(self, width=64):
                    super().__init__()
                    self.register_buffer("weight", torch.empty(width, width))

                def forward(self, x):
                    return x @ self.weight
            """),
    ]

    def check_parameter(self, parameter: Parameter) -> Iterator[Finding]:
        write = parameter.last_write
        if parameter.is_buffer and write.distribution.is_uninitialized and parameter.read_bare:
            yield self.at(
                parameter,
                f"the buffer {parameter.name} is allocated by {write.function} and read before anything writes it",
                help="make it with torch.zeros or torch.ones, or write it in the constructor",
            )
