"""What is read of the idioms of real code is what Python and torch make of them: each class is read, and built."""

from __future__ import annotations

import pytest

from .comparing import compare

pytestmark = pytest.mark.torch

WHOLE = {
    "a walk by kinds": """
        self.a, self.b, self.n = nn.Linear(4,4), nn.Conv1d(2,2,1), nn.LayerNorm(4)
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.constant_(m.weight, 3)
                if m.bias is not None:
                    nn.init.constant_(m.bias, 4)
            elif isinstance(m, (nn.LayerNorm, nn.BatchNorm1d)):
                nn.init.constant_(m.bias, 5)
                nn.init.constant_(m.weight, 6)
                continue
            elif hasattr(m, "weight"):
                nn.init.constant_(m.weight, 7)
        """,
    "a walk by names": """
        self.a, self.n = nn.Linear(4,4), nn.LayerNorm(4)
        for name, p in self.named_parameters():
            if "n." in name:
                continue
            if p.dim() > 1:
                nn.init.constant_(p, 3)
            elif name.endswith(".bias"):
                p.data.fill_(2)
        """,
    "a walk over a recurrent layer": """
        self.a, self.n = nn.Linear(4,4), nn.LSTM(4,4)
        for name, p in self.named_parameters():
            if name.split(".")[-1].startswith("weight_hh"):
                nn.init.constant_(p, 3)
            elif "weight_ih" in name:
                nn.init.constant_(p.data, 4)
            elif "bias" in name:
                n = p.size(0)
                p.data[n // 4:n // 2].fill_(1)
        """,
    "apply partial": """
        self.a, self.b = lin(1), lin(2)
        def init(m, value=3):
            if isinstance(m, nn.Linear):
                nn.init.constant_(m.weight, value)
        self.b.apply(init)
        self.apply(functools.partial(init, value=9))
        self.a.apply(lambda m: nn.init.constant_(m.weight, 8))
        """,
    "index loops": """
        self.blocks = nn.ModuleList([lin(k) for k in range(4)])
        for i in range(len(self.blocks)):
            nn.init.constant_(self.blocks[i].weight, i * 2 + 1)
        nn.init.zeros_(self.blocks[-1].weight)
        for i, b in enumerate(self.blocks[:2]):
            nn.init.constant_(b.weight, 20 + i)
        for a, b in zip(self.blocks, reversed(self.blocks)):
            pass
        """,
    "shared blocks": """
        block = lin(3)
        self.blocks = nn.ModuleList([block] * 3)
        nn.init.constant_(self.blocks[1].weight, 8)
        self.copies = nn.ModuleList([copy.deepcopy(block) for _ in range(2)])
        nn.init.constant_(self.copies[0].weight, 9)
        """,
    "list of parameters": """
        self.ps = nn.ParameterList([nn.Parameter(torch.full((k,), float(k))) for k in (2, 3)])
        for k, p in enumerate(self.ps):
            nn.init.constant_(p, k + 5)
        for p in self.ps.parameters():
            p.requires_grad = False
        """,
    "sequential named": """
        self.s = nn.Sequential()
        for k in range(3):
            self.s.add_module(f"l{k}", lin(k))
            if k < 2:
                self.s.add_module(f"r{k}", nn.ReLU())
        nn.init.constant_(self.s[2].weight, 9)
        nn.init.constant_(self.s.l0.weight, 8)
        """,
    "star list": """
        layers = []
        d = 4
        for h in (5, 6):
            layers += [nn.Linear(d, h, bias=False), nn.ReLU()]
            d = h
        layers.append(nn.Linear(d, 2, bias=False))
        self.s = nn.Sequential(*layers)
        nn.init.constant_(self.s[-1].weight, 3)
        for m in self.s:
            if isinstance(m, nn.Linear) and m.out_features > 2:
                nn.init.constant_(m.weight, m.in_features)
        """,
    "attributes of layers": """
        self.a = nn.Conv2d(3, 6, kernel_size=(1, 3), stride=2, groups=3, bias=False)
        nn.init.constant_(self.a.weight, self.a.in_channels + self.a.out_channels + self.a.groups)
        self.b = nn.Linear(3, 4, bias=False)
        nn.init.constant_(self.b.weight, self.b.in_features * self.b.out_features)
        n = self.a.kernel_size[0] * self.a.kernel_size[1] * self.a.out_channels
        self.c = nn.Linear(3, 4, bias=False)
        nn.init.constant_(self.c.weight, n)
        self.e = nn.Embedding(5, 3)
        nn.init.constant_(self.e.weight, self.e.num_embeddings)
        self.e.weight.data[0] = 0
        """,
    "flags": """
        self.bias = flag
        self.a = nn.Linear(3, 4, bias=self.bias)
        nn.init.zeros_(self.a.weight)
        if self.a.bias is not None:
            nn.init.zeros_(self.a.bias)
        self.b = nn.Linear(3, 4, bias=not flag)
        if self.b.bias is not None:
            nn.init.ones_(self.b.bias)
        nn.init.ones_(self.b.weight)
        if depth > 2:
            self.c = lin(depth)
        if dim % 2:
            self.c = lin(9, 5)
        """,
    "kwargs building": """
        kw = dict(bias=False)
        kw["out_features"] = 5
        self.a = nn.Linear(4, **kw)
        nn.init.zeros_(self.a.weight)
        cfg = {"in": 3, "outs": [4, 5]}
        self.b = nn.ModuleList([nn.Linear(cfg["in"], o, bias=False) for o in cfg["outs"]])
        for b in self.b: nn.init.ones_(b.weight)
        """,
    "lambda in dict": """
        acts = {"relu": lambda: lin(1), "gelu": lambda: lin(2, 5)}
        self.a = acts["gelu"]()
        self.b = acts.get("none", acts["relu"])()
        """,
    "del in loop": """
        self.a = nn.Sequential(lin(1), lin(2), lin(3))
        self.a = nn.Sequential(*list(self.a.children())[:2])
        self.b = nn.Sequential(*[l for i, l in enumerate(self.a) if i != 0])
        """,
    "nested comps": """
        self.g = nn.ModuleList([nn.ModuleList([lin(i * 2 + j) for j in range(2)]) for i in range(2)])
        for row in self.g:
            for l in row:
                pass
        nn.init.constant_(self.g[1][0].weight, 9)
        self.f = nn.ModuleList([l for row in self.g for l in row])
        """,
    "max min sizes": """
        sizes = [4, 8]
        self.a = nn.Linear(max(sizes), min(*sizes), bias=False)
        self.b = nn.Linear(sum(sizes), sizes[-1] // 2, bias=False)
        self.c = nn.Linear(int(8 * 0.5), round(8 / 3), bias=False)
        self.d = nn.Linear(2 ** 3, int(math.sqrt(16)), bias=False)
        self.e = nn.Linear(int(math.log2(8)), len(sizes) << 1, bias=False)
        self.f = nn.Linear(*sizes, bias=False)
        """,
    "chained assign": """
        self.a = self.b = lin(4)
        x = y = [lin(1)]
        x.append(lin(2))
        self.c = nn.ModuleList(y)
        """,
    "assert raise": """
        self.a = lin(1)
        if dim != 8:
            raise ValueError
        nn.init.constant_(self.a.weight, 7)
        """,
    "with autocast": """
        self.a = lin(1)
        with torch.random.fork_rng():
            nn.init.constant_(self.a.weight, 7)
        with torch.device("cpu"):
            self.b = lin(2)
        """,
    "nested class": """
        class Inner(nn.Module):
            def __init__(inner):
                super().__init__()
                inner.x = lin(dim)
        self.a = Inner()
        """,
    "dict items modify": """
        d = {"a": 3, "b": 4}
        for k, v in list(d.items()):
            d[k] = v + 1
        self.l = nn.ModuleDict({k: lin(1, v) for k, v in d.items()})
        d2 = {**d}
        d2.pop("a")
        self.m = nn.ModuleDict({k: lin(1, v) for k, v in d2.items()})
        """,
    "bool arithmetic": """
        self.a = lin(1 + flag, 4 + (not flag))
        self.b = lin(1, 4 if flag is False else 5)
        self.c = lin(1, [4, 5][flag])
        self.d = lin(1, (4, 5)[dim > 4])
        """,
    "tuple keys": """
        d = {(1, 2): 4, (3, 4): 5}
        self.a = lin(1, d[(3, 4)])
        self.b = lin(1, d.get((9, 9), 6))
        """,
    "zip star": """
        pairs = [(4, 5), (6, 7)]
        a, b = zip(*pairs)
        self.a = lin(1, a[1])
        self.b = lin(1, b[0])
        """,
    "map int": """
        self.a = lin(1, list(map(int, "4,5".split(",")))[1])
        x, y = map(int, ("4", "6"))
        self.b = lin(1, y)
        """,
    "unpack nested star": """
        (a, *rest), b = [4, 5, 6], 7
        self.l = nn.ModuleList([lin(1, w) for w in (a, b)])
        """,
    "slice step neg": """
        ws = [4, 5, 6, 7]
        self.l = nn.ModuleList([lin(1, w) for w in ws[-2::-1]])
        self.m = nn.ModuleList([lin(1, w) for w in ws[5:]])
        """,
    "Sequential nested call": """
        def conv(i, o):
            return nn.Sequential(nn.Conv1d(i, o, 3, bias=False), nn.BatchNorm1d(o), nn.ReLU())
        self.s = nn.Sequential(conv(1, 2), *[conv(2, 2) for _ in range(2)])
        for m in self.s.modules():
            if isinstance(m, nn.Conv1d):
                nn.init.constant_(m.weight, 3)
            elif isinstance(m, nn.BatchNorm1d):
                m.weight.data.fill_(2); m.bias.data.zero_()
        self.s[-1][1].weight.data.zero_()
        """,
    "MultiheadAttention": """
        self.m = nn.MultiheadAttention(4, 2)
        nn.init.constant_(self.m.in_proj_weight, 3)
        self.m.out_proj.weight.data.fill_(4)
        nn.init.zeros_(self.m.out_proj.bias)
        for n, p in self.m.named_parameters():
            if n == "in_proj_bias":
                nn.init.constant_(p, 5)
        """,
    "register none, then set": """
        self.register_parameter("w", None)
        if self.w is None:
            self.w = nn.Parameter(torch.ones(3))
        """,
    "loop var after": """
        for k in range(3):
            pass
        self.a = lin(k, 4)
        for w in (4, 5):
            if w == 5:
                break
        self.b = lin(1, w)
        [0 for w in (8, 9)]
        self.c = lin(1, w)
        """,
}

SOUND = {
    "getattr init": """
        self.a = lin(1)
        getattr(nn.init, "constant_")(self.a.weight, 5)
        init = {"c": nn.init.constant_, "z": nn.init.zeros_}["c"]
        self.b = lin(1)
        init(self.b.weight, 6)
        self.c = lin(1)
        f = functools.partial(nn.init.constant_, val=7)
        f(self.c.weight)
        self.d = lin(1)
        (nn.init.zeros_ if unread() == 2 else nn.init.ones_)(self.d.weight)
        self.e = lin(2)
        for g in (nn.init.ones_, nn.init.zeros_):
            g(self.e.weight)
        """,
    "tying": """
        self.a, self.b = lin(1), lin(2)
        self.b.weight = self.a.weight
        nn.init.constant_(self.a.weight, 5)
        self.c = lin(3)
        self.c.weight = nn.Parameter(self.a.weight.data)
        nn.init.constant_(self.c.weight, 6)
        self.d = lin(4)
        self.d.weight.data = self.a.weight.data
        self.e = lin(4)
        self.e.weight = nn.Parameter(self.a.weight.clone())
        self.f = lin(4)
        self.f.weight = nn.Parameter(self.a.weight.detach())
        self.g = lin(4)
        self.g.weight.data.copy_(torch.full((4, 4), 7.0))
        """,
    "scaled param": """
        self.a = lin(2)
        self.a.weight = nn.Parameter(self.a.weight * 2)
        self.b = lin(2)
        self.b.weight.data *= 3
        self.c = lin(2)
        self.c.weight.data = self.c.weight.data * 4
        self.d = lin(2)
        with torch.no_grad():
            self.d.weight.mul_(5)
            self.d.weight[:2] = 7
        self.e = lin(2)
        with torch.no_grad():
            self.e.weight[:, 0].fill_(1)
        """,
    "out arg": """
        self.a = lin(2)
        with torch.no_grad():
            torch.mul(self.a.weight, 3, out=self.a.weight)
        """,
    "buffers": """
        self.register_buffer("x", torch.ones(3))
        self.y = nn.Parameter(self.x.clone())
        self.z = nn.Parameter(self.x)
        nn.init.constant_(self.x, 4)
        """,
    "module dict ops": """
        self.d = nn.ModuleDict()
        for k in ("x", "y"):
            self.d[k] = lin(len(k))
        self.d.add_module("z", lin(2))
        if "x" in self.d:
            nn.init.constant_(self.d["x"].weight, 9)
        for k in self.d:
            nn.init.constant_(self.d[k].weight, 4) if k == "y" else None
        nn.init.constant_(self.d.z.weight, 8)
        del self.d["z"]
        """,
    "string format keys": """
        for i in range(2):
            setattr(self, "fc%d" % i, lin(i))
            setattr(self, "gc{}".format(i), lin(i))
            self.__setattr__(f"hc{i}", lin(i))
            getattr(self, f"fc{i}").weight.data.fill_(i + 5)
            nn.init.constant_(getattr(self, "gc" + str(i)).weight, i + 7)
        """,
    "generator fn": """
        def gen():
            for k in range(3):
                yield lin(k)
        self.a = nn.ModuleList(gen())
        self.b = nn.Sequential(*gen())
        """,
    "itertools": """
        import itertools
        self.a = nn.ModuleList([lin(a + b) for a, b in itertools.product(range(2), range(2))])
        self.b = nn.ModuleList(itertools.chain([lin(1)], [lin(2)]))
        for p in itertools.chain(self.a.parameters(), self.b.parameters()):
            nn.init.constant_(p, 9)
        """,
    "conditional import": """
        if unread() == 2:
            from torch.nn import Linear as L
        else:
            from torch.nn import Conv1d as L
        self.a = L(3, 4, bias=False)
        """,
    "sorted keys": """
        d = {"b": 5, "a": 4}
        self.l = nn.ModuleList([lin(1, d[k]) for k in sorted(d)])
        self.m = nn.ModuleList([lin(1, v) for k, v in sorted(d.items(), reverse=True)])
        self.n = nn.ModuleList([lin(1, w) for w in sorted([6, 4, 5], key=lambda v: -v)])
        """,
}

WITH_MORE = {
    "apply method": (
        """
        self.a = lin(1)
        self.apply(self._init)
        """,
        "",
        """
        def _init(self, m):
            if isinstance(m, nn.Linear):
                nn.init.constant_(m.weight, 6)
        """,
    ),
    "apply static": (
        """
        self.a = lin(1)
        self.apply(Net._init)
        self.b = lin(2)
        self.b.apply(self._init)
        """,
        "",
        """
        @staticmethod
        def _init(m):
            if isinstance(m, nn.Linear):
                nn.init.constant_(m.weight, 6)
        """,
    ),
    "function returns tensor": (
        """
        def scaled(w, k):
            return w * k
        self.a = nn.Parameter(scaled(torch.ones(3), 4))
        def filled(shape, v):
            w = torch.empty(shape)
            nn.init.constant_(w, v)
            return nn.Parameter(w)
        self.b = filled((2, 3), 5)
        self.c = nn.Parameter(torch.empty(3))
        self.reset(self.c, 6)
        """,
        "",
        """
        def reset(self, p, value):
            with torch.no_grad():
                p.fill_(value)
        """,
    ),
    "super chain": (
        """
        self.a = B()
        """,
        """
        class A(nn.Module):
            def __init__(self, n=2):
                super().__init__()
                self.layers = nn.ModuleList(self.make(k) for k in range(n))
                self.reset()
            def make(self, k):
                return lin(k)
            def reset(self):
                for l in self.layers:
                    nn.init.constant_(l.weight, 7)
        class B(A):
            def __init__(self):
                super().__init__(3)
                self.last = lin(1)
                super().reset()
            def make(self, k):
                return lin(k, 5)
            def reset(self):
                pass
        """,
        "",
    ),
    "class attrs kind": (
        """
        self.a = self.layer_class(3, 4, bias=False)
        nn.init.zeros_(self.a.weight)
        """,
        "",
        """
        layer_class = nn.Linear
        """,
    ),
    "subclass isinstance": (
        """
        self.a, self.b = Mine(4, 4), nn.Linear(4, 4)
        for m in self.modules():
            if type(m) is nn.Linear:
                nn.init.constant_(m.weight, 3)
            elif isinstance(m, Mine):
                nn.init.constant_(m.weight, 4)
            if m.__class__.__name__ == "Linear":
                nn.init.constant_(m.bias, 5)
        """,
        """
        class Mine(nn.Linear):
            pass
        """,
        "",
    ),
    "init guard": (
        """
        self.a = lin(1)
        self._done = False
        self.build()
        self.build()
        """,
        "",
        """
        def build(self):
            if self._done:
                return
            nn.init.constant_(self.a.weight, 4)
            self._done = True
            self.b = lin(5)
        """,
    ),
    "global counter": (
        """
        self.a = lin(next(COUNT), 4)
        self.b = lin(next(COUNT), 4)
        """,
        """
        import itertools
        COUNT = itertools.count(3)
        """,
        "",
    ),
}


@pytest.mark.parametrize("case", WHOLE)
def test_all_that_is_built_is_read(case: str) -> None:
    compare(WHOLE[case], whole=True)


@pytest.mark.parametrize("case", SOUND)
def test_nothing_is_read_that_is_not_built(case: str) -> None:
    compare(SOUND[case], whole=False)


@pytest.mark.parametrize("case", WITH_MORE)
def test_what_stands_before_the_class_and_in_it(case: str) -> None:
    constructor, before, within = WITH_MORE[case]
    compare(constructor, whole=case not in ("function returns tensor",), before=before, within=within)
