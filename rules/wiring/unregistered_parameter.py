"""INI411 unregistered-parameter."""

from collections.abc import Iterator

from initlint.changes import HandTo
from initlint.facts import Loose, Model
from initlint.findings import Finding, Severity, unsafe
from initlint.rule import SOURCE, Bad, Good, Rule

_REGISTERED = {
    "list": "ModuleList",
    "tuple": "ModuleList",
    "set": "ModuleList",
    "dict": "ModuleDict",
    "tensor": "Parameter",
}
"""What takes the place of each holder, so that the module sees what it holds."""


class UnregisteredParameter(Rule):
    """Layers or tensors that a module trains with, and does not register.

    ## What it does

    Finds layers in a plain list, tuple or dict that methods of the class use; tensors with `requires_grad=True` that
    are not wrapped in `nn.Parameter`; and `nn.Parameter(...).cuda()`, `.to("cuda")`, `.half()` or `* k`, which give a
    plain tensor again.

    ## Why it matters

    A module finds its parameters through attributes that are modules or Parameters
    ([Module](https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html)). What it does not find is missing
    from `parameters()`, so that no optimiser trains it, from `state_dict()`, from `.to(device)` and from
    `apply(init)`; and nothing says so.

    ## Example

        self.layers = [nn.Linear(64, 64) for _ in range(4)]

    ## Use instead

        self.layers = nn.ModuleList([nn.Linear(64, 64) for _ in range(4)])

    ## When it is right to do this

    A list of functions; one whose layers go into an `nn.ModuleList` or `nn.Sequential`, or through `add_module` or
    `setattr`, whatever the names; `self._teacher = [teacher]`,
    which hides a module on purpose; a tensor that the class gives to an optimiser itself. `.to(device)` and `.float()`
    may return the Parameter itself and are left alone.

    ## Fix safety

    Unsafe: what is assigned is handed to `nn.ModuleList`, `nn.ModuleDict` or `nn.Parameter`. The state dict gets new
    keys, so that older checkpoints no longer match, and what a list can and a ModuleList cannot would fail.
    """

    code, name, severity = "INI411", "unregistered-parameter", Severity.ERROR
    needs = (SOURCE,)
    bad = [
        Bad(
            """
            class Net(nn.Module):
                def __init__(self, depth, width=64):
                    super().__init__()
                    self.layers = [nn.Linear(width, width) for _ in range(depth)]  #~
                    self.heads = {"a": nn.Linear(width, 2), "b": nn.Linear(width, 3)}  #~
                    self.norms = []  #~
                    for _ in range(depth):
                        self.norms.append(nn.LayerNorm(width))

                def forward(self, x, task):
                    for layer, norm in zip(self.layers, self.norms):
                        x = norm(F.relu(layer(x)))
                    return self.heads[task](x)
            """,
            fixed="""
            class Net(nn.Module):
                def __init__(self, depth, width=64):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
                    self.heads = nn.ModuleDict({"a": nn.Linear(width, 2), "b": nn.Linear(width, 3)})
                    self.norms = nn.ModuleList()
                    for _ in range(depth):
                        self.norms.append(nn.LayerNorm(width))

                def forward(self, x, task):
                    for layer, norm in zip(self.layers, self.norms):
                        x = norm(F.relu(layer(x)))
                    return self.heads[task](x)
            """,
        ),
        Bad(
            """
            class Net(nn.Module):
                def __init__(self, width=64, half=False):
                    super().__init__()
                    self.query = nn.Parameter(torch.randn(width, width)).cuda()  #~
                    self.key = nn.Parameter(torch.randn(width, width)).to("cuda:0")  #~
                    self.value = nn.Parameter(torch.randn(width, width)) * 0.02  #~
                    self.pairs = torch.randn(width, width, requires_grad=True)  #~

                def forward(self, x):
                    return x @ self.query @ self.key @ self.value @ self.pairs
            """,
            fixed="""
            class Net(nn.Module):
                def __init__(self, width=64, half=False):
                    super().__init__()
                    self.query = nn.Parameter(torch.randn(width, width).cuda())
                    self.key = nn.Parameter(torch.randn(width, width).to("cuda:0"))
                    self.value = nn.Parameter(torch.randn(width, width) * 0.02)
                    self.pairs = nn.Parameter(torch.randn(width, width, requires_grad=True))

                def forward(self, x):
                    return x @ self.query @ self.key @ self.value @ self.pairs
            """,
        ),
    ]
    good = [
        Good("""
            class Net(nn.Module):
                def __init__(self, teacher, device, width=64):
                    super().__init__()
                    layers = [nn.Linear(width, width) for _ in range(4)]
                    self.steps = [nn.Linear(width, width), nn.ReLU()]
                    self.net = nn.Sequential(*self.steps)
                    self.layers = nn.ModuleList(layers)
                    self.functions = [torch.relu, F.gelu, nn.Tanh()]
                    self._teacher = [teacher]
                    self._frozen = [nn.Linear(width, width)]
                    self.blocks = [nn.Linear(width, width) for _ in range(4)]
                    for number, block in enumerate(self.blocks):
                        self.add_module(f"block{number}", block)
                    self.sizes = [3, 4]
                    self.gain = nn.Parameter(torch.ones(width)).to(device)
                    self.shift = nn.Parameter(torch.ones(width)).float()
                    self.placed = nn.Parameter(torch.ones(width, device="cuda")).cuda()
                    self.scale = nn.Parameter(torch.ones(width).cuda()).cuda()
                    self.fixed = torch.ones(width)

                def forward(self, x):
                    for block in self.blocks:
                        x = block(x)
                    return self.net(x) * self.gain * self.shift * self.placed * self.fixed * self.scale
            """),
        Good("""
            class Net(nn.Module):
                def __init__(self, width=64):
                    super().__init__()
                    self.fc = nn.Linear(width, width)
                    self.norms = [nn.LayerNorm(width).requires_grad_(False) for _ in range(3)]
                    self.nets = [nn.Linear(width, width) for _ in range(3)]
                    self.optimizers = [torch.optim.Adam(net.parameters()) for net in self.nets]
                    self.first = [self.fc, self.fc]
                    self.doubled = self.fc.weight * 2
                    self.image = torch.randn(1, 3, 8, 8, requires_grad=True)
                    self.optimizer = torch.optim.Adam([self.image])

                def forward(self, x):
                    for net in self.nets:
                        x = net(x)
                    return x + self.norms[0](x) + self.image.sum()
            """),
        Good("""
            class Heads(nn.Module):
                def __init__(self, names, width=8, heads=8):
                    super().__init__()
                    self.formatted = [nn.Linear(width, width) for _ in range(heads)]
                    for i, head in enumerate(self.formatted):
                        self.add_module("head_{}".format(i), head)
                    self.divided = [nn.Linear(width, width) for _ in range(heads)]
                    for i, head in enumerate(self.divided):
                        self.register_module("divided_%02d" % i, head)
                    self.added = [nn.Linear(width, width) for _ in range(heads)]
                    for i in range(len(self.added)):
                        setattr(self, "added" + str(i), self.added[i])
                    self.named = [nn.Linear(width, width) for _ in range(heads)]
                    for i, head in enumerate(self.named):
                        self.add_module(names[i], head)
                    self.inside = [nn.Linear(width, width) for _ in range(heads)]
                    self._modules.update({names[i]: head for i, head in enumerate(self.inside)})
                    self.filtered = [nn.Linear(width, width) for _ in range(heads)]
                    self.kept = nn.ModuleList(filter(None, self.filtered))

                def forward(self, x):
                    lists = (self.formatted, self.divided, self.added, self.named, self.inside, self.filtered)
                    return sum(head(x) for heads in lists for head in heads)
            """),
        Good("""
            class Sensitivity(nn.Module):
                def __init__(self, width=8):
                    super().__init__()
                    self.fc = nn.Linear(width, 1)
                    self.probe = torch.zeros(1, width, requires_grad=True)

                def forward(self, x):
                    return self.fc(x + self.probe)

                def sensitivity(self, x):
                    return torch.autograd.grad(self(x).sum(), [self.probe])[0]
            """),
    ]

    def check_model(self, model: Model) -> Iterator[Finding]:
        for held in model.loose:
            if held.used and not held.handled:
                yield self.at(
                    held.location,
                    self._tensor(held) if held.holder == "tensor" else self._layers(held),
                    help=self._help(held),
                    evidence={"attribute": held.name},
                    fix=unsafe(HandTo(held.location, f"torch.nn.{_REGISTERED[held.holder]}")),
                )

    def _layers(self, held: Loose) -> str:
        return (
            f"self.{held.name} is a plain {held.holder} of layers ({', '.join(held.kinds)}): their parameters are "
            "neither trained, saved nor initialised with the module's"
        )

    def _tensor(self, held: Loose) -> str:
        if held.derived_by is None:
            return f"self.{held.name} asks for gradients and is no nn.Parameter: no optimiser of the module's sees it"
        return f"self.{held.name} is a plain tensor again: {held.derived_by} makes a new one of the nn.Parameter"

    def _help(self, held: Loose) -> str:
        if held.holder == "tensor":
            return f"make it last: self.{held.name} = nn.Parameter(...)"
        return f"put them into nn.{_REGISTERED[held.holder]}"
