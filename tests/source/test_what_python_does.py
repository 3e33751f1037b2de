"""What is read of a constructor is what Python makes of it: the same class is read, and built, and the two compared.

Each parameter is filled with a constant, so that what wrote it last can be told from its values. What is read may be
less than what is built; where a case says ``whole``, it is all of it.
"""

from __future__ import annotations

import pytest

from .comparing import compare

pytestmark = pytest.mark.torch

WHOLE = {
    "a list that a loop extends": """
        held = []
        for k in range(3):
            held.extend([lin(k + 1), lin(k + 5)])
        self.layers = nn.ModuleList(held)
        """,
    "a list that is inserted into": """
        held = [lin(1), lin(2)]
        held.insert(1, lin(3, 5))
        held.insert(0, lin(4))
        self.layers = nn.ModuleList(held)
        """,
    "a list that loses its last, its first": """
        held = [lin(1), lin(2, 5), lin(3), lin(4, 6)]
        held.pop()
        held.pop(0)
        self.layers = nn.Sequential(*held)
        """,
    "a copy of a list does not grow with it": """
        held = [lin(1)]
        first, second = held.copy(), copy.copy(held)
        held.append(lin(2))
        self.a, self.b, self.c = nn.ModuleList(held), nn.ModuleList(first[:0] + second[:0]), lin(len(first))
        """,
    "lists that are added and repeated": """
        widths = [4] * 2 + [6]
        self.layers = nn.ModuleList([lin(k, w) for k, w in enumerate(widths, 1)])
        self.more = nn.ModuleList([lin(2)] + [lin(3)])
        """,
    "slices": """
        widths = [3, 4, 5, 6, 7]
        self.a = nn.ModuleList(lin(1, w) for w in widths[1:3])
        self.b = nn.ModuleList(lin(2, w) for w in widths[::-2])
        self.c = nn.ModuleList(lin(3, w) for w in reversed(widths[-2:]))
        """,
    "a list's element is replaced": """
        held = [lin(1), lin(2), lin(3)]
        held[1] = lin(9, 5)
        held[-1] = lin(8, 6)
        self.layers = nn.Sequential(*held)
        """,
    "a set holds what is equal once": """
        held = {3}
        held.add(3)
        self.a = lin(len(held), 4)
        """,
    "pairs from zip": """
        for k, (name, width) in enumerate(zip(("a", "b"), (4, 5, 6))):
            setattr(self, name, lin(k, width))
        """,
    "a dictionary's keys, values and items": """
        widths = {"a": 4, "b": 5}
        for name in widths:
            self.add_module(name, lin(1, widths[name]))
        for name, width in widths.items():
            setattr(self, name + "_too", lin(2, width))
        self.values = nn.ModuleList([lin(3, width) for width in widths.values()])
        self.keys = nn.ModuleDict({key: lin(4) for key in widths.keys()})
        """,
    "a dictionary that is updated": """
        held = dict(a=4, b=5)
        held.update({"b": 6}, c=7)
        held["d"] = 8
        other = held.copy()
        held["a"] = 3
        self.x = nn.ModuleList([lin(1, held["a"]), lin(2, held["b"]), lin(3, held.get("c")), lin(4, held.get("z", 9))])
        self.y = lin(5, other["a"])
        """,
    "dictionaries of pairs, and of other dictionaries": """
        pairs = dict([("a", 4), ("b", 5)])
        both = {**pairs, "b": 6}
        again = dict(both, c=7)
        self.layers = nn.ModuleDict(OrderedDict((key, lin(1, width)) for key, width in again.items()))
        """,
    "a Sequential by names": """
        self.layers = nn.Sequential(OrderedDict([("in", lin(1)), ("out", lin(2, 5))]))
        nn.init.constant_(self.layers.out.weight, 7)
        """,
    "a ModuleDict is asked for what it holds": """
        self.d = nn.ModuleDict({"a": lin(1)})
        self.d["b"] = lin(2)
        self.d.update({"c": lin(3)})
        for name, layer in self.d.items():
            nn.init.constant_(layer.weight, len(name) + 4)
        for layer in self.d.values():
            nn.init.constant_(layer.weight, 9) if layer is self.d["a"] else None
        for name in self.d.keys():
            if name == "b":
                nn.init.zeros_(self.d[name].weight)
        """,
    "a ModuleList is appended, extended and set": """
        self.layers = nn.ModuleList()
        self.layers.append(lin(1))
        self.layers.extend([lin(2), lin(3)])
        self.layers[1] = lin(8, 5)
        self.layers[-1] = lin(9, 6)
        """,
    "the length of things": """
        held = [lin(1)]
        self.layers = nn.ModuleList([lin(2), lin(3)])
        self.a = lin(len(held))
        self.b = lin(len(self.layers))
        self.c = lin(len("four"))
        self.d = lin(len({"x": 1}))
        """,
    "strings": """
        name = "{}_{}".format("Head", 2).lower()
        setattr(self, name, lin(1))
        setattr(self, "%s%d" % ("tail", 3), lin(2))
        setattr(self, f"layer{4}", lin(3))
        setattr(self, "a-b".replace("-", "_"), lin(4))
        setattr(self, " x ".strip(), lin(5))
        setattr(self, "{n}".format(n="y"), lin(6))
        for part in "p q".split():
            self.add_module(part, lin(7))
        if name.startswith("head") and not name.endswith("3") and name.find("_") == 4 and name.count("d") == 1:
            self.found = lin(8)
        """,
    "conditions that are known": """
        flag, names = None, ("a", "b")
        if flag is None and "a" in names and "c" not in names:
            self.a = lin(1)
        if not flag or 3 < 2:
            self.b = lin(2)
        if "x" in {"x": 1} and "y" not in {"x": 1}:
            self.d = lin(5)
        if self.a is self.a and self.a is not self.b and self.a != None:
            self.e = lin(6)
        """,
    "what a value is": """
        for k, layer in enumerate((nn.Linear(2, 2), nn.Conv1d(2, 2, 1), nn.LayerNorm(2))):
            if isinstance(layer, (nn.Linear, nn.Conv1d)):
                nn.init.constant_(layer.weight, 3)
                nn.init.zeros_(layer.bias)
            elif isinstance(layer, nn.LayerNorm):
                nn.init.constant_(layer.weight, 4)
            self.add_module(f"x{k}", layer)
        size = (3, 4)
        self.y = lin(1, size[0] if isinstance(size, tuple) else 9)
        self.z = lin(2, 5 if isinstance(7, int) and not isinstance(7, str) else 9)
        """,
    "map and partial": """
        self.layers = nn.ModuleList(map(lin, [1, 2, 3]))
        make = functools.partial(lin, size=6)
        self.other = make(4)
        """,
    "copies hold the same numbers": """
        layer = lin(3)
        self.a = layer
        self.b = copy.deepcopy(layer)
        nn.init.zeros_(self.a.weight)
        """,
    "a walk with a test on names": """
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 5)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            else:
                nn.init.constant_(parameter, 2)
        for name, child in self.named_children():
            if name == "b":
                nn.init.ones_(child.weight)
        """,
    "a module by its path": """
        self.body = nn.Sequential(nn.Sequential(lin(1)), lin(2))
        nn.init.constant_(self.body.get_submodule("0.0").weight, 6)
        nn.init.constant_(self.body[-1].weight, 7)
        """,
    "what is frozen": """
        self.a, self.b, self.c = lin(1), lin(2), lin(3)
        self.a.requires_grad_(False)
        self.b.weight.requires_grad = False
        for parameter in self.c.parameters():
            parameter.requires_grad_(False)
        """,
    "a Parameter of its own": """
        self.scale = nn.Parameter(torch.ones(3))
        self.register_parameter("shift", nn.Parameter(torch.zeros(2, 3), requires_grad=False))
        self.register_parameter("none", None)
        nn.init.constant_(self.scale, 4)
        nn.init.constant_(self.shift, 5)
        """,
    "loops that break, skip and end": """
        for k in range(5):
            if k == 1:
                continue
            if k == 3:
                break
            setattr(self, f"a{k}", lin(k))
        else:
            self.never = lin(1)
        for k in range(2):
            pass
        else:
            self.always = lin(2)
        """,
    "try, with and an assertion": """
        try:
            self.a = lin(1)
        except ValueError as error:
            print(error)
        else:
            self.c = lin(3)
        finally:
            self.d = lin(4)
        with torch.no_grad():
            self.a.weight.fill_(5)
        nn.init.constant_(self.a.weight, 6)
        assert self.d is not None
        """,
    "a name for what a test found": """
        if (width := 4 + 1) > 4:
            self.a = lin(1, width)
        width += 1
        self.b = lin(2, width)
        del width
        """,
    "a function within, and what it returns": """
        def block(value, *sizes, last=2, **more):
            made = [lin(value, size) for size in sizes] + [lin(value, last)]
            return nn.Sequential(*made)
        self.a = block(1, 3, 4)
        self.b = block(2, *(5, 6), last=7)
        self.c = block(**{"value": 3, "last": 4})
        self.d = (lambda value: lin(value))(8)
        """,
    "a match": """
        kind = "wide"
        match kind:
            case "narrow":
                self.a = lin(1, 3)
            case "wide" | "wider":
                self.a = lin(2, 9)
            case _:
                self.a = lin(3)
        """,
}

WHOLE |= {
    "a key that is there keeps its place": """
        widths = {"a": 4, "b": 5}
        widths["a"] = 6
        widths.update(b=7)
        self.layers = nn.ModuleList([lin(1, width) for width in widths.values()])
        """,
    "keys that are equal are one": """
        widths = {1: 4, True: 5}
        widths[1.0] = 6
        self.a = lin(1, widths[1])
        self.b = lin(len(widths))
        self.c = lin(1, 5 if True in {1: 2} else 4)
        """,
    "a dictionary grows in place": """
        widths = {"x": 4}
        same = widths
        same |= {"x": 5, "y": 6}
        self.layers = nn.ModuleList([lin(1, width) for width in widths.values()])
        """,
    "a tuple does not grow, a list does": """
        fixed, grown = (4,), [4]
        other, same = fixed, grown
        other += (5,)
        same += (5,)
        same *= 2
        self.w = (6,)
        other_too = self.w
        self.w += (7,)
        self.a = nn.ModuleList([lin(1, width) for width in fixed])
        self.b = nn.ModuleList([lin(2, width) for width in other])
        self.c = nn.ModuleList([lin(3, width) for width in grown])
        self.d = nn.ModuleList([lin(4, width) for width in (*other_too, *self.w)])
        """,
    "a copy of a dictionary is of what it holds": """
        held = {"a": lin(1), **dict(b=lin(2))}
        copied = copy.deepcopy(held)
        nn.init.zeros_(held["a"].weight)
        self.d, self.e = nn.ModuleDict(held), nn.ModuleDict(copied)
        """,
    "text that is split": """
        self.a = nn.ModuleList([lin(1, int(width)) for width in "4,5,6".split(",")])
        self.b = nn.ModuleList([lin(2, int(width)) for width in " 4  5 ".split()])
        """,
    "alternatives that are known": """
        x, y = None, 0
        self.a = lin(1, x or 5)
        self.b = lin(1, (x and 4) or 3)
        self.c = lin(1, y if y is not None else 2)
        self.d = lin(1, x or y or 6)
        self.e = lin(1, [] or 6)
        self.f = lin(1, {} or {"k": 3}["k"])
        self.g = lin(1, 5 if [3] and {"k": 1} else 2)
        """,
    "a test on one thing or the other": """
        kind = None
        match kind:
            case True:
                self.a = lin(1, 5)
            case None:
                self.a = lin(1)
        match 1:
            case True | None | "1":
                self.b = lin(1, 5)
            case None | 1:
                self.b = lin(2)
        """,
}

SOUND = {
    "has and gets an attribute": """
        self.a = lin(1)
        if hasattr(self, "a") and not hasattr(self, "b"):
            self.b = lin(2)
        nn.init.constant_(getattr(self, "a").weight, 5)
        self.c = getattr(self, "nothing", None) or lin(3)
        """,
    "unpacking, with a star among the targets": """
        first, *middle, last = [lin(1), lin(2, 5), lin(3, 6), lin(4, 7)]
        self.first, self.last, self.middle = first, last, nn.ModuleList(middle)
        """,
    "a dictionary that loses a key": """
        held = {"a": lin(1), "b": lin(2)}
        last = held.pop("a")
        self.d = nn.ModuleDict(held)
        """,
    "a dictionary's default is set": """
        held = {"a": lin(1)}
        held.setdefault("b", lin(2))
        held.setdefault("a", lin(3))
        self.d = nn.ModuleDict(held)
        """,
    "a dictionary's key is deleted": """
        held = {"a": lin(1), "b": lin(2)}
        del held["a"]
        self.d = nn.ModuleDict(held)
        """,
    "a list's element is deleted": """
        held = [lin(1), lin(2, 5), lin(3, 6)]
        del held[0]
        self.layers = nn.Sequential(*held)
        """,
    "a list that is reversed, sorted or cleared": """
        held = [lin(1), lin(2, 5)]
        held.reverse()
        self.a = nn.ModuleList(held)
        widths = [6, 5, 4]
        widths.sort()
        self.b = nn.ModuleList([lin(1, width) for width in widths])
        widths.clear()
        self.c = nn.ModuleList([lin(1, width) for width in widths])
        """,
    "sorted": """
        self.a = nn.ModuleList([lin(1, width) for width in sorted([6, 5, 4])])
        self.b = nn.ModuleList([lin(k) for k, name in enumerate(sorted({"b": 1, "a": 2})) if name == "a"])
        """,
    "a set has each once": """
        self.a = nn.ModuleList([lin(1) for width in set([6, 6, 6])])
        self.b = nn.ModuleList([lin(1) for width in {6, 6}])
        """,
    "a count that begins where is not read": """
        for k, width in enumerate([4, 5], start=unread()):
            self.add_module(f"layer{k}", lin(k, width))
        for k in range(unread()):
            setattr(self, f"other{k}", lin(k))
        """,
    "as many as is not read": """
        held = [lin(1)]
        for k in range(unread()):
            held.append(lin(2))
        held.insert(0, lin(3))
        self.layers = nn.ModuleList(held)
        self.more = nn.ModuleList([lin(4)] * 1)
        self.more.extend(held[1:])
        self.more.append(lin(5))
        """,
    "a place that is not read": """
        held = [lin(1), lin(2)]
        held[unread() - 1] = lin(3)
        self.a = nn.ModuleList(held)
        self.a[unread() - 2] = lin(4)
        widths = {"x": 4}
        widths[str(unread())] = 5
        self.b = nn.ModuleList([lin(1, width) for width in widths.values()])
        """,
    "a container that is inserted into, or loses some": """
        self.layers = nn.ModuleList([lin(1), lin(2, 5)])
        self.layers.insert(0, lin(3, 6))
        self.named = nn.ModuleDict({"a": lin(1), "b": lin(2)})
        self.named.pop("a")
        self.gone = nn.ModuleDict({"a": lin(1)})
        self.gone.clear()
        """,
    "which name is written is not read": """
        self.a2, self.b2 = lin(1), lin(2)
        nn.init.constant_(getattr(self, f"b{unread()}").weight, 9)
        """,
    "which branch is taken is not read": """
        self.a, self.b = lin(1), lin(2)
        if unread() > 1:
            nn.init.zeros_(self.a.weight)
            self.b = lin(4, 6)
        self.c = lin(3) if 1 < 2 < 3 else lin(4, 9)
        while unread() < 1:
            nn.init.ones_(self.a.weight)
        """,
    "an unread loop that ends in its midst": """
        self.a, self.b = lin(1), lin(2)
        for k in range(unread() + 3):
            if k == unread():
                break
            nn.init.constant_(self.a.weight, 7)
        else:
            nn.init.zeros_(self.b.weight)
        """,
    "an error that is caught after some was done": """
        self.a, self.b = lin(1), lin(2)
        try:
            nn.init.zeros_(self.a.weight)
            int("x")
            nn.init.zeros_(self.b.weight)
        except (ValueError, TypeError) as error:
            nn.init.constant_(self.b.weight, 8)
        finally:
            self.c = lin(3)
        """,
    "one of several is written": """
        self.a, self.b = lin(1), lin(2)
        one = self.a if unread() == 2 else self.b
        nn.init.zeros_(one.weight)
        layers = {"x": self.a, "y": self.b}
        nn.init.ones_(layers["y" if unread() == 2 else "x"].weight)
        """,
    "what is filtered": """
        held = [lin(1), lin(2), None]
        self.layers = nn.ModuleList(filter(None, held))
        for layer in filter(lambda each: each is not None, held):
            nn.init.zeros_(layer.weight)
        """,
    "a tensor is written row by row": """
        self.a = lin(1)
        with torch.no_grad():
            self.a.weight[0] = 5
            for row in self.a.weight:
                row.fill_(6)
        self.b = lin(2)
        self.b.weight.data[:2].zero_()
        self.b.weight.data = torch.ones(4, 4)
        """,
    "weights of another are loaded": """
        self.a, self.b = lin(1), lin(2)
        self.b.load_state_dict(self.a.state_dict())
        state = {name: torch.zeros_like(value) for name, value in self.a.state_dict().items()}
        self.a.load_state_dict(state)
        """,
    "formats that are not read": """
        setattr(self, "%r" % 3, lin(1))
        setattr(self, "{0!r:>2}".format("x"), lin(2))
        setattr(self, f"{unread():03d}", lin(3))
        setattr(self, f"layer{4:02d}", lin(3))
        setattr(self, "%d%%" % 5, lin(4))
        setattr(self, "%(a)s" % {"a": "b"}, lin(5))
        """,
    "a type is asked for": """
        for k, layer in enumerate([nn.Linear(3, 3), nn.Conv1d(3, 3, 1)]):
            if type(layer) is nn.Linear or type(layer).__name__ == "Conv2d":
                nn.init.zeros_(layer.weight)
            elif type(layer) in (nn.Conv1d, nn.Conv2d) and layer.__class__.__name__.startswith("Conv"):
                nn.init.ones_(layer.weight)
            if "Lin" in type(layer).__name__ and type(layer).__name__.find("Conv") == -1:
                nn.init.constant_(layer.bias, 4)
            if type(layer) != nn.Linear and type(layer).__name__ in ("Conv1d", "Linear"):
                nn.init.constant_(layer.bias, 5)
            self.add_module(str(k), layer)
        """,
    "builtins of more arguments than are followed, and of fewer": """
        held = [lin(1), lin(2)]
        self.both = nn.ModuleList(map(lambda one, other: nn.Sequential(one, other), held, [lin(3), lin(4)]))
        self.turned = nn.ModuleList(reversed(list(lin(unread()) for _ in range(2))))
        self.none = nn.ModuleList(list() + sorted(set()))
        for layer in list(map(lambda width: lin(width), [unread(), 5])):
            self.last = layer
        """,
    "dictionaries from pairs, some of them not read": """
        pairs = [("a", lin(1)), (str(unread()), lin(2))]
        self.d = nn.ModuleDict(dict(pairs))
        self.e = nn.ModuleDict(dict([["x", lin(3)]], y=lin(4)))
        self.f = nn.ModuleDict(dict(zip(["k", "l"], (lin(5), lin(6)))))
        self.g = nn.ModuleDict(dict(dict(k=lin(7)), **{"m": lin(1)}))
        """,
    "any of a dictionary's keys is written": """
        widths = {"2": 4}
        widths[str(unread())] = 5
        self.a = lin(1, widths["2"])
        more = {"2": 4, str(unread()): 5}
        self.b = lin(1, more["2"])
        pairs = {"x": 4, **dict([("x", 6)][: unread()])}
        self.c = lin(1, pairs["x"])
        updated = {"2": 4}
        updated.update({str(unread()): 5})
        self.d = lin(1, updated["2"])
        made = dict([("2", 4), (str(unread()), 5)])
        self.e = lin(1, made["2"])
        turned = {str(k): k + 3 for k in [2, unread()]}
        self.f = lin(1, turned["2"])
        """,
    "any of a dictionary's keys is asked for": """
        held = {}
        held[str(unread())] = 5
        self.a = lin(1, held.get(str(unread()), 4))
        self.b = lin(1, held.setdefault(str(unread()), 4))
        self.c = lin(1, held.pop(str(unread()), 4))
        self.d = lin(1, held.pop(str(unread()), 4))
        self.e = lin(1, held.setdefault(str(unread()), 6))
        self.f = lin(1, held["2"])
        """,
    "what follows an and, an or, may be left out": """
        self.a, self.b, self.c, width = lin(1), lin(2), lin(3), 4
        unread() == 3 and nn.init.zeros_(self.a.weight)
        unread() == 2 or nn.init.zeros_(self.b.weight)
        if unread() == 3 and nn.init.zeros_(self.c.weight) is not None and (width := 6) > 3:
            pass
        self.d = lin(4, width)
        """,
    "what a comprehension does under a test": """
        self.a, self.b = lin(1), lin(2)
        [nn.init.zeros_(layer.weight) for layer in [self.a, self.b] if unread() == 3]
        [nn.init.zeros_(layer.weight) for layer in [self.a] for k in range(unread() - 2)]
        """,
    "which text is which object": """
        name, kind = "relu", "".join(["re", "lu"])
        self.a = lin(1) if name is "relu" else lin(2, 5)
        self.b = lin(1) if kind is "relu" else lin(2, 5)
        self.c = lin(1) if name is not "relu" else lin(2, 5)
        self.d = lin(1) if True is True and None is None and name is not None else lin(2, 5)
        """,
    "text that is split by nothing": """
        try:
            self.a = lin(3, len("ab".split("")))
        except ValueError:
            self.a = lin(3)
        """,
    "a set grows, and a dictionary is emptied": """
        widths = {4}
        same = widths
        same |= {5}
        self.a = lin(len(widths))
        held = {"x": 4}
        held.clear()
        held["x"] = 5
        self.b = lin(1, held["x"])
        """,
    "an order that is not read": """
        for k in sorted([unread(), 1, 3], reverse=True):
            self.last = lin(3)
        """,
}


@pytest.mark.parametrize("case", WHOLE)
def test_all_that_is_built_is_read(case: str) -> None:
    compare(WHOLE[case], whole=True)


@pytest.mark.parametrize("case", SOUND)
def test_nothing_is_read_that_is_not_built(case: str) -> None:
    compare(SOUND[case], whole=False)
