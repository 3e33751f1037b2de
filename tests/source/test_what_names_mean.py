"""What is read of functions, classes and names is what Python makes of them: each class is read, and built."""

from __future__ import annotations

import pytest

from .comparing import compare

pytestmark = pytest.mark.torch

WHOLE = {
    "a name of the function around": """
        width = 4
        def grow():
            nonlocal width
            width += 5
        grow()
        self.a = lin(1, width)
        """,
    "a name that a comprehension leaves behind": """
        width = 4
        [width := each for each in (5, 6)]
        self.a = lin(1, width)
        """,
    "defaults are those of the definition": """
        makers = []
        for k in range(3):
            makers.append(lambda k=k: lin(k, k + 1))
        self.layers = nn.ModuleList([make() for make in makers])
        k = 3
        def make(*, size=k):
            return lin(1, size)
        k = 5
        self.a = make()
        self.b = make(size=k)
        """,
    "a default that grows from call to call": """
        def make(value, before=[]):
            before.append(value)
            return lin(len(before))
        self.a, self.b = make(1), make(1)
        """,
    "a lambda sees the names of later": """
        makers = []
        for k in range(3):
            makers.append(lambda: lin(k, k + 1))
        self.layers = nn.ModuleList([make() for make in makers])
        """,
    "a function that goes on after an if": """
        def make(wide):
            if wide:
                if wide == 5:
                    return lin(1, 5)
            return lin(2)
        self.a, self.b = make(5), make(0)
        """,
    "a loop that only a return ends": """
        def count():
            while True:
                return 5
        def again():
            while 1:
                if unread():
                    return 4
        self.a = lin(1, count())
        self.b = lin(2, again() or 7)
        """,
    "arguments in lists and dictionaries": """
        def block(*sizes, value=1, **more):
            return nn.ModuleList([lin(value, size) for size in sizes] + [lin(3, size) for size in more.values()])
        self.a = block(*[3, 4], value=7, last=5)
        self.b = block(2, *(5,), *[6])
        """,
    "functools.partial": """
        make = functools.partial(lin, size=5)
        self.a = make(2)
        self.b = functools.partial(lin, 3)(size=6)
        self.c = make.func(4)
        """,
    "recursion": """
        def build(depth):
            return nn.Sequential(lin(depth), *([build(depth - 1)] if depth > 1 else []))
        self.a = build(1)
        """,
}

SOUND = {
    "a function that may return nothing": """
        def perhaps(value):
            if unread() == 3:
                return value
        self.a = lin(1, perhaps(5) or 4)
        """,
    "a function that may return from a loop": """
        def find():
            for k in range(3):
                if k == unread():
                    return k
            else:
                return 7
        def first():
            for k in range(unread()):
                if k == 9:
                    return 5
        self.a = lin(1, find() + 1)
        self.b = lin(1, first() or 4)
        """,
    "arguments of which some are not read": """
        def block(a, b=3, c=4, **more):
            return nn.ModuleList([lin(1, a), lin(2, b), lin(3, c), lin(len(more))])
        self.a = block(*[5] * (unread() - 1), 7)
        self.b = block(3, **({"b": 6} if unread() == 2 else {}))
        self.c = block(3, **{"abc"[unread()]: 6})
        """,
    "more calls within one another than are followed": """
        def build(depth):
            return nn.Sequential(lin(depth), *([build(depth - 1)] if depth > 1 else []))
        self.a = build(4)
        """,
    "errors in functions": """
        def fail():
            raise ValueError
        try:
            fail()
            width = 4
        except ValueError:
            width = 5
        self.a = lin(1, width)
        def last():
            try:
                return 4
            finally:
                return 5
        self.b = lin(1, last())
        """,
}

AROUND = {
    "a global name that a function sets": ("self.a = lin(1, WIDTH)", "WIDTH = 4", "widen()"),
    "one that the constructor has set": ("widen()\nself.a = lin(1, WIDTH)", "WIDTH = 4", ""),
}
WIDEN = """
def widen():
    global WIDTH
    WIDTH = 9
"""

BEFORE = {
    "a function's default is that of its definition": """
        W = 4
        def make(w=W):
            return lin(1, w)
        W = 8
        """,
    "a decorator that is read": """
        def twice(made):
            @functools.wraps(made)
            def inner(*args):
                return nn.Sequential(made(*args), made(*args))
            return inner
        @twice
        def make():
            return lin(1, 4)
        """,
    "a decorator with arguments": """
        def times(count):
            def decorator(made):
                return lambda: nn.Sequential(*[made() for _ in range(count)])
            return decorator
        @times(3)
        def make():
            return lin(1, 4)
        """,
    "a decorator that is not read": """
        @functools.lru_cache
        def make():
            return lin(1, 4)
        """,
    "the last of two functions": """
        def make():
            return lin(1, 4)
        if len("ab") == 2:
            def make():
                return lin(2, 5)
        """,
    "names that statements at the top compute": """
        WIDTH = 4
        for k in range(3):
            WIDTH += k
        if WIDTH == 7:
            WIDTH = 8
        try:
            import nowhere_to_be_found
            DEPTH = 2
        except ImportError:
            DEPTH = 3
        make = lambda: lin(DEPTH, WIDTH)
        """,
    "one instance for all": """
        ONE = lin(1)
        def make():
            nn.init.constant_(ONE.weight, 5)
            return ONE
        """,
}

WITHIN = {
    "a property that is decorated": (
        "if self.wide:\n    self.a = lin(1)\nself.b = lin(2)",
        """
        @property
        @never
        def wide(self):
            return True
        """,
    ),
    "a static method that is decorated": (
        "self.a = lin(self.pick(5))\nself.b = lin(self.pick(5, 3))\nself.c = lin(Net.pick(5, 4))",
        """
        @staticmethod
        @second
        def pick(first, given=0):
            return 7
        """,
    ),
    "a decorated method, asked of the class": (
        "self.a = lin(1)\nif Net.wide(self):\n    self.b = lin(2)",
        """
        @never
        def wide(self):
            return True
        """,
    ),
    "decorated methods of a parent": (
        "self.inner = Net.Inner()",
        """
        class Inner(Parent):
            def __init__(self):
                super().__init__()
                self.a = lin(super().pick(5, 3))
                if super().wide():
                    self.b = lin(2)
        """,
    ),
    "a function as an attribute": ("self.a = lin(1)\nself.reset()", "reset = zero"),
    "a lambda as an attribute": ("self.a = lin(1)\nself.reset()", "reset = lambda self: nn.init.zeros_(self.a.weight)"),
    "a decorated method": ("self.a = self.make()", "@twice\ndef make(self):\n    return lin(1)"),
    "a decorator that drops a method": (
        "self.a = lin(1)\nself.reset()",
        "@never\ndef reset(self):\n    nn.init.zeros_(self.a.weight)",
    ),
    "an attribute by a test": ("self.a = lin(1, self.width)", "width = 4\nif len('ab') == 2:\n    width = 6"),
    "an attribute by a loop": ("self.a = lin(1, self.width)", "for width in (7, 8):\n    pass"),
    "an attribute that is added to": ("self.a = lin(1, self.width)", "width = 4\nwidth += 2"),
    "an attribute of the class is set": ("Net.count += 1\nself.a = lin(1, Net.count)", "count = 3"),
    "an attribute hides that of the class": (
        "self.count += 1\nself.a = lin(1, self.count)\nself.b = lin(1, type(self).count)",
        "count = 3",
    ),
    "a list of the class": (
        "self.sizes.append(5)\nself.a = nn.ModuleList([lin(1, w) for w in self.sizes])",
        "sizes = [4]",
    ),
    "a property": ("self.a = lin(1, self.width)", "@property\ndef width(self):\n    return 6"),
    "a static method, and one of the class": (
        "self.a = lin(1, self.wide(2) + Net.wide(1) + self.deep())",
        "@staticmethod\ndef wide(k):\n    return k\n@classmethod\ndef deep(cls):\n    return cls.wide(3)",
    ),
    "a setter": (
        "self.a = lin(1)\nself.fill = 5",
        "@property\ndef fill(self):\n    return 1\n@fill.setter\ndef fill(self, value):\n"
        "    nn.init.constant_(self.a.weight, value)",
    ),
    "what is looked up by a method": (
        "self.a = lin(1, self.width)",
        "def __getattr__(self, name):\n    return 6 if name == 'width' else super().__getattr__(name)",
    ),
}
DECORATORS = """
def zero(self):
    nn.init.zeros_(self.a.weight)

def twice(made):
    def inner(self):
        return nn.Sequential(made(self), made(self))
    return inner

def never(made):
    return lambda *args, **more: None

def second(made):
    def inner(first, given=0):
        return given
    return inner

class Parent(nn.Module):
    @never
    def wide(self):
        return True

    @staticmethod
    @second
    def pick(first, given=0):
        return 7
"""


@pytest.mark.parametrize("case", WHOLE)
def test_all_that_is_built_is_read(case: str) -> None:
    compare(WHOLE[case], whole=True)


@pytest.mark.parametrize("case", SOUND)
def test_nothing_is_read_that_is_not_built(case: str) -> None:
    compare(SOUND[case], whole=False)


@pytest.mark.parametrize("case", AROUND)
def test_what_a_global_name_is_when_the_class_is_built(case: str) -> None:
    constructor, before, after = AROUND[case]
    compare(constructor, whole=False, before=before + WIDEN + after)


@pytest.mark.parametrize("case", BEFORE)
def test_what_stands_before_a_class(case: str) -> None:
    compare("self.a = make()", whole=False, before=BEFORE[case])


@pytest.mark.parametrize("case", WITHIN)
def test_what_stands_in_a_class(case: str) -> None:
    constructor, within = WITHIN[case]
    compare(constructor, whole=False, before=DECORATORS, within=within)
