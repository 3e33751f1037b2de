"""What is read of modules and tensors is what torch makes of them: each class is read, and built."""

from __future__ import annotations

import pytest

from .comparing import compare

pytestmark = pytest.mark.torch

WHOLE = {
    "a ModuleDict of pairs": """
        self.a = nn.ModuleDict([("x", lin(1)), ["y", lin(2)]])
        self.b = nn.ModuleDict(zip(["x", "y"], [lin(3), lin(4)]))
        self.c = nn.ModuleDict(self.a.items())
        """,
    "lists of parameters make parameters": """
        self.p = nn.ParameterList([torch.zeros(3), nn.Parameter(torch.ones(2))])
        self.p.append(torch.ones(4))
        self.p += [torch.zeros(5)]
        self.p[0] = torch.ones(6)
        self.q = nn.ParameterDict({"a": torch.zeros(3), "b": nn.Parameter(torch.ones(2))})
        self.q["c"] = torch.zeros(4)
        self.q.update({"d": torch.ones(5)})
        """,
    "containers grow in place": """
        self.a, self.b = nn.Sequential(lin(1)), nn.ModuleList([lin(2)])
        a, b = self.a, self.b
        a += nn.Sequential(lin(3))
        b += [lin(4, 5)]
        """,
    "apply begins with the first child": """
        self.a, self.b = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)), lin(9)
        seen = []
        def count(module):
            if isinstance(module, nn.Linear):
                seen.append(module)
                nn.init.constant_(module.weight, len(seen))
        self.apply(count)
        """,
    "the last to write a shared weight": """
        self.embed = nn.Embedding(5, 4)
        self.head = nn.Linear(4, 5, bias=False)
        self.head.weight = self.embed.weight
        def init(module):
            if isinstance(module, nn.Linear):
                nn.init.constant_(module.weight, 2)
            elif isinstance(module, nn.Embedding):
                nn.init.constant_(module.weight, 3)
        self.apply(init)
        """,
    "what is asked to be trained": """
        self.a, self.b = lin(1), lin(2)
        self.a.weight.requires_grad_(requires_grad=False)
        self.b.requires_grad_(requires_grad=False)
        self.b.weight.requires_grad_()
        self.p = nn.Parameter(data=torch.zeros(3), requires_grad=False)
        if self.p.requires_grad:
            self.c = lin(3)
        """,
    "what has no such name": """
        self.a = lin(1) if hasattr(nn.Linear(3, 3), "init_weights") else lin(2, 5)
        self.b = lin(1) if hasattr(nn.ReLU(), "weight") else lin(2, 5)
        self.c = lin(1) if hasattr(self, "weights") or hasattr(self.b, "bias") else lin(2, 5)
        """,
    "the shapes of parameters made of tensors": """
        weight = torch.full((2, 3), 5.0)
        self.a = nn.Parameter(torch.zeros_like(weight))
        self.b = nn.Parameter(torch.full_like(weight, 7))
        self.c = nn.Parameter(torch.ones(size=(2, 3)))
        self.d = nn.Parameter(weight.new_ones(3))
        self.e = nn.Parameter(torch.empty(3).fill_(4))
        self.f = nn.Parameter(torch.tensor([4.0, 5.0]))
        self.g = nn.Parameter(torch.tensor(4.0))
        self.h = nn.Parameter(torch.ones(*[2, 3]))
        self.i = lin(1, weight.size(1) + weight.shape[0] + weight.ndim + weight.dim())
        self.j = lin(1, weight.numel() + len(weight.size()))
        self.k = nn.Parameter(torch.zeros(()))
        self.l = nn.Parameter(torch.zeros([2, 1]).requires_grad_())
        """,
    "subclasses of layers": """
        class Filled(nn.Linear):
            def reset_parameters(self):
                nn.init.constant_(self.weight, 7)
                nn.init.zeros_(self.bias)
        class Twice(nn.Linear):
            def __init__(self, *args, **more):
                super(Twice, self).__init__(*args, **more)
                nn.init.constant_(self.weight, 7)
            def reset_parameters(self):
                super().reset_parameters()
                nn.init.zeros_(self.weight)
        class Plain(nn.Linear):
            def __init__(self, size):
                nn.Linear.__init__(self, size, size, bias=False)
        self.a, self.b, self.c = Filled(4, 5), Twice(4, 5, bias=False), Plain(3)
        """,
    "what classes inherit": """
        class Root(nn.Module):
            def __init__(self):
                super().__init__()
                self.r = lin(1)
        class A(Root):
            def __init__(self):
                super().__init__()
                nn.init.constant_(self.r.weight, 2)
        class B(Root):
            def __init__(self):
                super().__init__()
                nn.init.constant_(self.r.weight, 3)
        class Both(A, B):
            pass
        class Made(nn.Module):
            def __init__(self, size):
                super().__init__()
                self.x = lin(1, size)
            @classmethod
            def of(cls, size):
                return cls(size + 1)
        self.a, self.b = Both(), Made.of(4)
        """,
}

SOUND = {
    "a mask that is larger than what it masks": """
        self.a = nn.Parameter(torch.ones(4).masked_fill(torch.ones(3, 4) > 2, 0.0))
        """,
    "tensors that hold one number, and are asked for it": """
        self.a = nn.Parameter(torch.ones(3))
        if self.a.is_contiguous() or self.a.grad is None:
            self.b = lin(2)
        else:
            self.b = lin(2)
        """,
    "what torch's own modules have": """
        self.a, self.b, self.c, self.d = lin(1), nn.BatchNorm1d(3), nn.ReLU(), nn.Conv2d(1, 1, 1)
        self.e, self.f, self.g = lin(2), lin(3), lin(4)
        if hasattr(self.a, "training") and hasattr(self.b, "eps") and hasattr(self.b, "running_mean"):
            nn.init.zeros_(self.a.weight)
        if hasattr(self, "register_full_backward_pre_hook") and hasattr(self.e, "_parameters"):
            nn.init.zeros_(self.e.weight)
        if hasattr(self.d, "_reversed_padding_repeated_twice") and hasattr(self.c, "inplace"):
            nn.init.zeros_(self.f.weight)
        if hasattr(nn.Sequential(), "__len__") and hasattr(nn.MultiheadAttention(4, 1), "bias_k"):
            nn.init.zeros_(self.g.weight)
        """,
    "what a reparametrisation brings": """
        layer, self.a = nn.utils.weight_norm(lin(1)), lin(2)
        if hasattr(layer, "weight_g"):
            nn.init.zeros_(self.a.weight)
        """,
    "modules by their dictionary": """
        self.a, self.b, self.c, self.d = lin(1), lin(2), lin(3), lin(4)
        self._modules["a"] = lin(5, 5)
        self._modules["e"] = lin(6, 6)
        del self._modules["b"]
        self._modules.pop("c")
        delattr(self, "d")
        for name, module in self._modules.items():
            nn.init.zeros_(module.weight)
        """,
    "a dictionary of modules that is emptied": """
        self.a, self.b = nn.Sequential(lin(1), lin(2)), lin(3)
        self.a._modules.clear()
        self.a._modules[str(unread())] = lin(4)
        """,
    "containers that are added and repeated": """
        self.a = nn.Sequential(lin(1)) + nn.Sequential(lin(2))
        self.b = nn.ModuleList([lin(1)]) + nn.ModuleList([lin(2)])
        self.c = nn.Sequential(lin(1)) * 2
        self.d = nn.ParameterDict({"a": torch.zeros(3)})
        self.d |= nn.ParameterDict({"a": torch.ones(3)})
        self.e = nn.Sequential(lin(1), lin(2, 5))
        self.e *= 2
        """,
    "a container that loses some": """
        self.a = nn.Sequential(lin(1), lin(2, 5), lin(3, 6))
        del self.a[0]
        self.b = nn.ModuleDict({"x": lin(1)})
        self.b.update([("x", lin(2, 5))])
        """,
    "a container's place that is not read": """
        self.a = nn.ModuleDict({"x": lin(1), "y": lin(2)})
        self.a["xy"[unread() - 1]] = lin(3)
        self.b = nn.ModuleDict({str(unread()): lin(4)})
        self.b["2"] = lin(5, 5)
        self.a.update({str(unread()): lin(6)})
        """,
    "a layer copied within lists": """
        kept = [lin(1), (lin(2), {"x": lin(3)})]
        again = copy.deepcopy(kept)
        one = copy.deepcopy(kept[0] if unread() == 2 else kept[1])
        make = copy.deepcopy(functools.partial(lin, 5))
        nn.init.zeros_(kept[0].weight)
        self.a, self.b, self.c, self.d = again[0], again[1][0], again[1][1]["x"], one
        self.e = make()
        """,
    "in-place changes": """
        self.a, self.b, self.c, self.d, self.e = lin(1), lin(2), lin(3), lin(4), lin(5)
        with torch.no_grad():
            self.a.weight.add_(1)
            self.b.weight.copy_(self.a.weight)
            torch.nn.init.zeros_(self.c.weight).add_(2)
            torch.abs_(self.e.weight)
        self.c.weight.data += 3
        self.d.weight.data[...] = 2
        """,
    "parts of tensors": """
        whole = torch.zeros(2, 3)
        self.a = nn.Parameter(whole.t())
        self.b = nn.Parameter(whole.reshape(6))
        self.c = nn.Parameter(whole.unsqueeze(0))
        self.d = nn.Parameter(whole[0])
        self.e = nn.Parameter(whole[:, 1:])
        self.f = nn.Parameter(torch.ones(2, 3) * 4)
        self.g = nn.Parameter(torch.cat([torch.zeros(2), torch.ones(2)]))
        self.h = nn.Parameter(whole.expand(5, 2, 3).clone())
        self.i = lin(1, int(whole.sum().item()) + 4)
        self.j = nn.Parameter(torch.tensor([[1.0, 2.0]]))
        self.k = nn.Parameter(whole.new_full((2,), 3.0))
        self.l = nn.Parameter(whole.new_tensor([3.0]))
        """,
    "the shapes of what is computed": """
        whole, row = torch.ones(3, 4, 5), torch.ones(4)
        self.a = lin(1, whole.sum(0).shape[0])
        self.b = lin(1, torch.sum(whole, 1).shape[1])
        self.c = nn.Parameter(row.repeat(3, 1))
        self.d = nn.Parameter(torch.diag(row))
        self.e = nn.Parameter(torch.eye(4) @ unread_too(row))
        self.f = nn.Parameter(torch.eye(4).matmul(row))
        self.g = nn.Parameter(row.abs().mul(2).sigmoid() * 3 - 1)
        self.h = nn.Parameter(torch.sqrt(row) + row.clamp(0, 1))
        self.i = nn.Parameter(row.mul(torch.ones(3, 1)))
        self.j = nn.Parameter(whole.mean((1, 2)))
        self.k = nn.Parameter(torch.outer(row, row))
        self.l = nn.Parameter(-row / 2)
        """,
    "stacks of clones": """
        layer = nn.TransformerEncoderLayer(4, 2, 8)
        nn.init.constant_(layer.linear1.weight, 5)
        self.a = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(4))
        self.b = nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, 8), unread())
        nn.init.zeros_(self.b.layers[0].norm3.weight)
        """,
    "functions that are handed modules": """
        self.a, self.b, self.c, self.d = lin(1), lin(2), lin(3), lin(4)
        def later(module, value):
            nn.init.constant_(module.weight, value)
        todo = {"fill": functools.partial(later, self.a, 5)}
        os.fspath(str(list(map(callable, todo.values()))))
        class Other:
            def __init__(self, **parts):
                for part in parts.values():
                    part()
        Other(**todo)
        Other(x=functools.partial(later, module=self.b, value=6))
        """,
}


@pytest.mark.parametrize("case", WHOLE)
def test_all_that_is_built_is_read(case: str) -> None:
    compare(WHOLE[case], whole=True)


@pytest.mark.parametrize("case", SOUND)
def test_nothing_is_read_that_is_not_built(case: str) -> None:
    compare(SOUND[case], whole=False)


@pytest.mark.parametrize("parameter", [None, 0.2, 0, True, "x"])
def test_gains_are_those_of_torch(parameter: object) -> None:
    from torch.nn import init

    from initlint.source.interpreter.folding import FAILED, calculate_gain

    names = "linear identity conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d sigmoid tanh relu"
    for name in [*names.split(), "leaky_relu", "selu", "gelu", "elu", "no such"]:
        read = calculate_gain(name, parameter)
        try:
            gain = init.calculate_gain(name, parameter)  # type: ignore[arg-type]
        except ValueError:
            assert read is FAILED, name
        else:
            assert read == pytest.approx(gain), name


def test_the_table_has_every_name_that_a_module_of_torch_has() -> None:
    from torch import nn

    from initlint.source.tables.attributes import ATTRIBUTES
    from initlint.source.tables.constructors import KINDS
    from initlint.source.tables.layers import CONTAINERS

    modules = [
        nn.Linear(2, 2),
        nn.Conv2d(1, 1, 1),
        nn.BatchNorm1d(2),
        nn.LSTM(2, 2),
        nn.ReLU(),
        nn.Transformer(4, 1, 1, 1),
    ]
    names = {name for module in modules for name in vars(module)}
    names |= {name for kind in {*KINDS, *CONTAINERS} if hasattr(nn, kind) for name in dir(getattr(nn, kind))}
    told = {name for name in names if not name.startswith(("__", "weight", "bias"))}
    assert told <= ATTRIBUTES
