"""What is read of rarer constructs, some of them in part, is never other than what Python and torch make of them."""

from __future__ import annotations

import pytest

from .comparing import compare

pytestmark = pytest.mark.torch

SOUND = {
    "an attribute of one of two": """
        self.a, self.b = lin(1), lin(2)
        one = self.a if unread() == 2 else self.b
        one.weight = nn.Parameter(torch.zeros(4, 4))
        one.extra = lin(5)
        """,
    "views rows": """
        self.p = nn.Parameter(torch.empty(4, 6))
        for w in self.p.chunk(2, 0):
            nn.init.constant_(w, 3)
        self.q = nn.Parameter(torch.empty(4, 6))
        nn.init.constant_(self.q[:2], 3)
        nn.init.constant_(self.q[2:], 4)
        self.r = nn.Parameter(torch.empty(4, 6))
        nn.init.constant_(self.r.transpose(0, 1), 3)
        self.s = nn.Parameter(torch.empty(2, 3, 4))
        for w in self.s:
            nn.init.constant_(w, 5)
        self.t = nn.Parameter(torch.empty(2, 3, 4))
        nn.init.constant_(self.t.permute(2, 0, 1).data, 6)
        nn.init.constant_(self.t.unsqueeze(9 - unread()) if unread() > 3 else self.t, 7)
        self.u = nn.Parameter(torch.empty(3))
        nn.init.constant_(self.u.t(), 7)
        self.v = nn.Parameter(torch.empty(3, 2))
        nn.init.constant_(self.v.view(-1, 1), 8)
        nn.init.constant_(self.v.T.mT, 9)
        """,
    "size calls": """
        w = torch.zeros(3, 4, 5)
        self.a = lin(1, w.size(-1))
        self.b = lin(1, w.size()[1])
        self.c = lin(1, w.shape[-3] * 2)
        self.d = lin(1, w[0].shape[0])
        self.e = lin(1, w.ndim)
        self.f = lin(1, w.stride(1))
        self.g = lin(1, w.flatten(1).shape[1])
        self.h = lin(1, w.sum(0).shape[0])
        """,
    "set of modules": """
        held = {lin(1), lin(2)}
        self.l = nn.ModuleList(held)
        for m in self.l:
            nn.init.constant_(m.weight, 3)
        """,
    "too many options": """
        k = unread()
        m = lin(1) if k == 0 else lin(2) if k == 1 else lin(3) if k == 2 else lin(4) if k == 3 else lin(5)
        m = m if k < 9 else lin(6) if k == 10 else lin(7) if k == 11 else lin(8) if k == 12 else lin(9)
        nn.init.zeros_(m.weight)
        self.m = m
        """,
    "same in both": """
        if unread() == 2:
            cls, size, f, kind = nn.Linear, 4, lin, (1, "x")
        else:
            cls, size, f, kind = nn.Linear, 4, lin, (1, "y")
        self.a = cls(size, size, bias=False)
        nn.init.zeros_(self.a.weight)
        self.b = f(3)
        if cls is nn.Linear:
            self.c = lin(kind[0])
        if unread() == 2:
            d = {"a": 4, "b": 5}
        else:
            d = {"a": 4, "b": 6, "c": 3}
        self.d = lin(1, d["a"]); self.e = lin(1, d["b"])
        """,
    "all raise": """
        if unread() == 3:
            if unread() > 4:
                raise ValueError
            else:
                raise TypeError
        self.a = lin(1)
        """,
    "class identity": """
        class A(nn.Module): pass
        class B(nn.Module): pass
        kind = A
        self.a = lin(1) if kind is A else lin(2, 5)
        self.b = lin(1) if kind is B else lin(2, 5)
        self.c = lin(1) if kind in (B, A) else lin(2, 5)
        self.d = lin(1) if issubclass(A, nn.Module) else lin(2, 5)
        self.e = lin(1) if isinstance(A(), (B, nn.Linear)) else lin(2, 5)
        self.f = lin(1) if isinstance(4, int) and isinstance("x", (int, str)) else lin(2, 5)
        zeros = torch.zeros(2)
        self.g = lin(1) if isinstance(zeros, torch.Tensor) and not isinstance(zeros, nn.Parameter) else lin(2, 5)
        self.h = lin(1) if isinstance([1], list) and not isinstance((1,), list) and isinstance({}, dict) else lin(2, 5)
        """,
    "register_buffer kw": """
        self.register_buffer(name="x", tensor=torch.ones(3))
        self.register_buffer("y", None)
        self.a = lin(1, len(self.x))
        """,
    "get_submodule missing": """
        self.a = nn.Sequential(lin(1))
        try:
            self.a.get_submodule("7.x")
        except AttributeError:
            pass
        nn.init.zeros_(self.a.get_submodule("0").weight)
        """,
    "MHA reset": """
        self.m = nn.MultiheadAttention(4, 2)
        self.m._reset_parameters()
        self.l = nn.Linear(3, 3)
        nn.init.zeros_(self.l.weight)
        self.l.reset_parameters()
        """,
    "super other": """
        super().register_parameter("w", nn.Parameter(torch.ones(3)))
        super().add_module("a", lin(1))
        super().requires_grad_(False)
        """,
    "quiet methods": """
        self.a = lin(1)
        self.a.register_forward_hook(lambda *a: None)
        self.a.train().eval().to("cpu").float()
        self.a.zero_grad()
        self.a.compile
        """,
    "str methods": """
        s = "Layer_1"
        self.add_module(s.lower(), lin(1))
        self.add_module(s.upper() + "x", lin(1))
        self.add_module(s.replace("_", "-"), lin(1))
        if s.startswith("Lay") and s.endswith("1") and s.find("yer") == 2 and s.count("a") == 1:
            self.b = lin(2)
        else:
            self.c = lin(3)
        """,
    "percent format": """
        k = str(unread())
        setattr(self, "l%s" % k, lin(1))
        setattr(self, "m%s_%d" % ("x", 3), lin(1))
        setattr(self, "n{}{}".format("{}", 4) , lin(1))
        setattr(self, "{:>3}".format("p").strip(), lin(1))
        """,
    "iterate str": """
        for c in "ab":
            self.add_module(c, lin(1))
        a, b = "xy"
        self.add_module(a + b, lin(2))
        self.add_module("".join(reversed("mn")), lin(2))
        """,
    "either iterate": """
        ws = [4, 5] if unread() == 2 else (6,)
        self.l = nn.ModuleList([lin(1, w) for w in ws])
        x, *y = ws
        self.a = lin(1, x)
        """,
    "extend unknown": """
        held = [lin(1)]
        held.extend(lin(2) for _ in range(unread()))
        held.append(lin(3))
        held += [lin(4)]
        self.l = nn.ModuleList(held)
        self.m = nn.ModuleList(held + [lin(5)])
        self.n = nn.ModuleList([lin(6)] * unread())
        self.o = nn.ModuleList([lin(6), lin(7)] * unread())
        nn.init.zeros_(self.l[9 - 7].weight)
        del held[unread()]
        held.pop(unread() - 2)
        """,
    "map unknown": """
        def double(m):
            nn.init.constant_(m.weight, 9)
            return m
        self.l = nn.ModuleList(map(double, [lin(1) for _ in range(unread())]))
        self.m = nn.ModuleList(filter(lambda m: True, [lin(1)]))
        list(map(double, self.m))
        """,
    "matched attrs": """
        m = nn.Linear(3, 4)
        match m:
            case nn.Linear(in_features=5):
                self.a = lin(1, 5)
            case nn.Linear() | nn.Conv1d():
                self.a = lin(1)
        match unread():
            case 1 | 2:
                self.b = lin(2)
            case _:
                self.b = lin(2)
        match [1, 2]:
            case [x, *rest]:
                self.c = lin(x)
        """,
    "delete attr unknown": """
        self.a = lin(1)
        name = "a" if unread() == 2 else "b"
        if hasattr(self, name):
            self.c = lin(1)
        getattr(self, name).weight.data.zero_()
        """,
    "super with args old": """
        super(Net, self).add_module("a", lin(1))
        """,
    "deep recursion modules": """
        m = lin(1)
        for _ in range(20):
            m = nn.Sequential(m)
        self.m = copy.deepcopy(m)
        nn.init.zeros_(m[0][0][0].get_submodule("0.0").get_submodule("0")[0].__getattr__("0").weight) if False else None
        """,
}


@pytest.mark.parametrize("case", SOUND)
def test_nothing_is_read_that_is_not_built(case: str) -> None:
    compare(SOUND[case], whole=False)


def test_long_literals_are_read_as_what_may_be_anything() -> None:
    numbers = ", ".join(map(str, range(3, 303)))
    pairs = ", ".join(f"{number}: {number}" for number in range(3, 303))
    compare(f"x, d = [{numbers}], {{{pairs}}}\nself.a = lin(1, x[2])\nself.b = lin(2, d[4])", whole=False)
