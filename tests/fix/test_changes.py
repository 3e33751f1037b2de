"""Every change that a rule (a plugin too) may propose, where it stands in other code than its author thought of.

It is made as a person would write it, or refused with the reason; what it does not mean to change stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from initlint import changes
from initlint.changes import Change
from initlint.findings import Finding, Fix, Severity
from initlint.fix.rounds import Outcome, mend
from initlint.location import Location

HEAD = "import torch\nfrom torch import nn\n"


def places(text: str) -> tuple[str, list[Location]]:
    """A text without its marks, and the places that «» mark in it, in order."""
    plain, found, opened = "", [], []
    for character in text:
        line, column = plain.count("\n") + 1, len(plain) - plain.rfind("\n")
        if character == "«":
            opened.append((line, column))
        elif character == "»":
            found.append(Location("model.py", *opened.pop(), line, column))
        else:
            plain += character
    return plain, found


def made(text: str, change: Callable[..., Change]) -> tuple[str, Outcome]:
    plain, at = places(text)
    finding = Finding("INI999", "a-plugin", Severity.WARNING, "", at[0], fix=Fix(safe=True, changes=(change(*at),)))
    return plain, mend(plain, lambda now: [finding] if now == plain else [], unsafe=False)


def name(text: str) -> Callable[..., Change]:
    return lambda at: changes.NameArgument(at, text)


def function(kind: Any, text: str, *more: Any) -> Callable[..., Change]:
    return lambda at: kind(at, *more, text)


DONE = [
    (changes.DropData, "f(«m.weight.data»)", "f(m.weight)"),
    (changes.DropData, "f(«(m\n  .weight).data»)", "f((m\n  .weight))"),
    (name("std"), "f(w, «0.02»)", "f(w, std=0.02)"),
    (name("std"), "f(\n    w,\n    «a + b»,  # said\n)", "f(\n    w,\n    std=a + b,  # said\n)"),
    (name("std"), "f(w, sd=«0.02», x=1)", "f(w, std=0.02, x=1)"),
    (lambda at: changes.PassValue(at, "fan_in"), "f(w, mode=«'fan-in'»)", "f(w, mode='fan_in')"),
    (lambda at: changes.PassValue(at, "fan_in"), 'f(w, («"in"»))', 'f(w, "fan_in")'),
    (lambda at: changes.PassValue(at, 0.5), "f(w, «1 / 2»)", "f(w, 0.5)"),
    (changes.DropArgument, 'f(w, a=«0.2», mode="x")', 'f(w, mode="x")'),
    (changes.DropArgument, "f(w, a=«0.2», *rest)", "f(w, *rest)"),
    (changes.DropArgument, "f(w, a=«0.2», **rest)", "f(w, **rest)"),
    (changes.DropArgument, "f(w, (b), a=(«0.2»))", "f(w, (b))"),
    (changes.DropArgument, "f(a=«0.2»)", "f()"),
    (changes.BothBounds, "f(w, «0.1»)", "f(w, -0.1, 0.1)"),
    (changes.BothBounds, "f(w, «-bound»)", "f(w, -bound, bound)"),
    (changes.BothBounds, "f(w, «a + b»)", "f(w, -(a + b), a + b)"),
    (changes.BothBounds, "f(w, «self.b * -2»)", "f(w, -self.b * -2, self.b * -2)"),
    (
        changes.BothBounds,
        "f(w, «math.sqrt(3 / n)», generator=g)",
        "f(w, -math.sqrt(3 / n), math.sqrt(3 / n), generator=g)",
    ),
    (function(changes.Rename, "normal_"), "«nn.init.normal(w)»", "nn.init.normal_(w)"),
    (function(changes.Rename, "b_"), "from x import b as c\n«c(w)»", "from x import b_ as c\nc(w)"),
    (function(changes.CallFunction, "torch.nn.init.ones_"), "«nn.init.zeros_(w)»", "nn.init.ones_(w)"),
    (function(changes.CallFunction, "torch.nn.init.ones_"), "«zeros(w)»", "nn.init.ones_(w)"),
    (
        function(changes.MethodToFunction, "torch.nn.init.normal_"),
        "«m.weight.data.normal_(0, 1)»",
        "nn.init.normal_(m.weight, 0, 1)",
    ),
    (function(changes.MethodToFunction, "torch.nn.init.zeros_"), "«m.bias.zero_( )»", "nn.init.zeros_(m.bias )"),
    (lambda at: changes.WriteBy(at, "torch.nn.init.ones_"), "«w.data.uniform_()»", "nn.init.ones_(w)"),
    (
        lambda at: changes.WriteBy(at, "torch.nn.init.constant_", (("val", 0.5), ("how", "x"))),
        "«nn.init.normal_(m.w[0].data, 3)»",
        'nn.init.constant_(m.w[0], val=0.5, how="x")',
    ),
    (
        lambda at: changes.WriteBy(at, "torch.nn.init.x_", (("gain", ("torch.nn.init.calculate_gain", "relu")),)),
        "«m.w.normal_()»",
        'nn.init.x_(m.w, gain=nn.init.calculate_gain("relu"))',
    ),
    (function(changes.TakeAttribute, "weight"), "f(«self.fc»)", "f(self.fc.weight)"),
    (changes.TestForNone, "if «m.bias»: pass", "if m.bias is not None: pass"),
    (changes.TestForNone, "if not «m.bias»: pass", "if m.bias is None: pass"),
    (changes.UnderNoGrad, "«w.fill_(1)»", "with torch.no_grad():\n    w.fill_(1)"),
    (
        changes.UnderNoGrad,
        "def f():\n  x = 1\n  «w.fill_(\n\n    x,\n  )»\n",
        "def f():\n  x = 1\n  with torch.no_grad():\n    w.fill_(\n\n      x,\n    )\n",
    ),
    (changes.GuardNotNone, "\tf(«m.bias»)".strip(), "if m.bias is not None:\n    f(m.bias)"),
    (
        changes.MoveToEnd,
        "def f(self):\n    «self.init()»  # all\n    self.a = 1\n    return 2\n",
        "def f(self):\n    self.a = 1\n    self.init()  # all\n    return 2\n",
    ),
    (
        changes.MoveToEnd,
        "def f(self):\n    «self.init()»\n    if a:\n        return 2\n    self.a = 1",
        "def f(self):\n    if a:\n        return 2\n    self.a = 1\n    self.init()",
    ),
    (
        function(changes.CallAtEnd, "post_init"),
        "class A:\n    «def __init__(me):\n        me.a = 1»",
        "class A:\n    def __init__(me):\n        me.a = 1\n        me.post_init()",
    ),
    (
        changes.ZeroPaddingRow,
        "class A:\n    def f(self):\n        «nn.init.normal_(self.e.weight)»\n        x = 1\n",
        "class A:\n    def f(self):\n        nn.init.normal_(self.e.weight)\n"
        "        if self.e.padding_idx is not None:\n"
        "            nn.init.zeros_(self.e.weight[self.e.padding_idx])\n        x = 1\n",
    ),
    (
        changes.ZeroPaddingRow,
        "for m in n.modules():\n    «m.weight.data.normal_()»\n",
        "for m in n.modules():\n    m.weight.data.normal_()\n"
        "    if isinstance(m, nn.Embedding) and m.padding_idx is not None:\n"
        "        nn.init.zeros_(m.weight[m.padding_idx])\n",
    ),
    (changes.RepeatAnew, "x = «[nn.Linear(8, 8)] * 6»", "x = [nn.Linear(8, 8) for _ in range(6)]"),
    (changes.RepeatAnew, "x = «(n + 1) * [(a)]»", "x = [(a) for _ in range((n + 1))]"),
    (
        changes.MakeAnew,
        "def f():\n    a = 2\n    layer = «nn.Linear(8, a)»\n    return [«copy.deepcopy(layer)» for _ in 'ab']\n",
        "def f():\n    a = 2\n    return [nn.Linear(8, a) for _ in 'ab']\n",
    ),
    (
        changes.MakeAnew,
        "def f():\n    layer = «nn.Linear(8, 2)»\n    return layer, «copy.deepcopy(layer)»\n",
        "def f():\n    layer = nn.Linear(8, 2)\n    return layer, nn.Linear(8, 2)\n",
    ),
    (function(changes.HandTo, "torch.nn.ModuleList"), "«self.a = [b, c]»", "self.a = nn.ModuleList([b, c])"),
    (function(changes.HandTo, "torch.nn.ModuleList"), "«self.a: list = []»", "self.a: list = nn.ModuleList()"),
    (
        function(changes.HandTo, "torch.nn.Parameter"),
        "«self.a = nn.Parameter(x + 1) * 2»",
        "self.a = nn.Parameter((x + 1) * 2)",
    ),
    (
        lambda at: changes.SplitBranch(at, ("BatchNorm2d",), "torch.nn.init.ones_"),
        "if isinstance(m, (nn.Conv2d, nn.Conv1d, nn.BatchNorm2d)):\n    «nn.init.normal_(m.weight)»\n    x = 1\n",
        "if isinstance(m, (nn.Conv2d, nn.Conv1d)):\n    nn.init.normal_(m.weight)\n    x = 1\n"
        "elif isinstance(m, nn.BatchNorm2d):\n    nn.init.ones_(m.weight)\n    x = 1\n",
    ),
]


def placed(change: Callable[..., Change]) -> Callable[..., Change]:
    """MakeAnew is told the copy first, and the original stands before it."""
    return (lambda first, second: changes.MakeAnew(second, first)) if change is changes.MakeAnew else change


@pytest.mark.parametrize(("change", "before", "after"), DONE)
def test_a_change_is_made_as_a_person_would_write_it(change: Callable[..., Change], before: str, after: str) -> None:
    _, outcome = made(HEAD + before, placed(change))
    assert outcome.problems == []
    assert outcome.text.removeprefix(HEAD) == after
    compile(outcome.text, "model.py", "exec")


REFUSED = [
    (name("std"), "f(w, «0.02», std=1)", "std is given already"),
    (name("std"), "f(«w», 0.02)", "a positional argument follows"),
    (name("std"), "f(*«w»)", "no argument stands there"),
    (name("std"), "x = «w»", "no argument stands there"),
    (name("std"), "class A(«B»): pass", "no call stands there"),
    (changes.DropArgument, "f(w, «0.2»)", "by position"),
    (changes.DropArgument, "f(w, a=«0.2»,  # why\n  b=1)", "a comment"),
    (changes.BothBounds, "f(w, a=«0.1»)", "not the last positional"),
    (changes.BothBounds, "f(w, «0.1», 2)", "not the last positional"),
    (changes.BothBounds, "f(w, «draw()»)", "computed twice"),
    (changes.BothBounds, "f(w, «np.draw(draw())»)", "computed twice"),
    (changes.BothBounds, "f(w, «x[draw()] * 2»)", "computed twice"),
    (function(changes.Rename, "x_"), "«f()(w)»", "no name"),
    (function(changes.Rename, "b_"), "from x import b\nb = 1\n«b(w)»", "bound more than once"),
    (function(changes.Rename, "b_"), "from x import b\nb_ = 1\n«b(w)»", "something else"),
    (function(changes.CallFunction, "torch.nn.init.ones_"), "«f[0](w)»", "no name"),
    (function(changes.MethodToFunction, "torch.nn.init.ones_"), "«f(w)»", "no method"),
    (function(changes.MethodToFunction, "torch.nn.init.ones_"), "«m.w.fill_(  # one\n)»", "a comment"),
    (lambda at: changes.WriteBy(at, "torch.nn.init.ones_"), "«f(g(w))»", "not plain"),
    (lambda at: changes.WriteBy(at, "torch.nn.init.ones_"), "«f(*w)»", "not plain"),
    (function(changes.TakeAttribute, "weight"), "f(«a + b»)", "no attribute"),
    (changes.DropData, "f(«m.weight»)", "no .data"),
    (changes.UnderNoGrad, "if a: «w.fill_(1)»", "stands in nothing of the kind"),
    (changes.UnderNoGrad, "if a:\n    x = 1; «w.fill_(1)»", "x"),
    (changes.UnderNoGrad, "«f('''a\nb''')»", "several lines"),
    (changes.MoveToEnd, "def f():\n    if a:\n        «g()»\n    h()", "in a function by itself"),
    (changes.MoveToEnd, "def f():\n    «g()»\n", "the last already"),
    (function(changes.CallAtEnd, "x"), "«def f(self): pass»", "lines of its own"),
    (function(changes.CallAtEnd, "x"), "«def f():\n    pass»", "lines of its own"),
    (changes.ZeroPaddingRow, "«nn.init.normal_(table)»", "not the weight"),
    (changes.RepeatAnew, "x = «[a] + [b]»", "no list is repeated"),
    (changes.RepeatAnew, "x = «[a, b] * 2»", "more than one"),
    (changes.RepeatAnew, "x = «[*a] * 2»", "more than one"),
    (changes.MakeAnew, "a = «g()»\ndef f():\n    return «copy(a)»", "another function"),
    (changes.MakeAnew, "def f():\n    a = b = «g()»\n    return «copy(a)»", "local variable"),
    (changes.MakeAnew, "def f(self):\n    self.a = «g()»\n    return «copy(self.a)»", "local variable"),
    (changes.MakeAnew, "def f():\n    a = «g()»; b = 1\n    return «copy(a)»", "local variable"),
    (function(changes.HandTo, "torch.nn.ModuleList"), "«f(a)»", "nothing is assigned"),
    (function(changes.HandTo, "torch.nn.Parameter"), "«a = nn.Parameter(x, False) * 2»", "more than the value"),
    (lambda at: changes.SplitBranch(at, ("B",), "torch.x"), "if isinstance(m, nn.B):\n    «f(m.w)»\n", "no test"),
    (lambda at: changes.SplitBranch(at, ("B",), "torch.x"), "if m and n:\n    «f(m.w)»\n", "no test"),
    (lambda at: changes.SplitBranch(at, ("B",), "torch.x"), "if isinstance(m, (A, B)): «f(m.w)»\n", "lines of its own"),
    (lambda at: changes.SplitBranch(at, ("B",), "torch.x"), "if isinstance(m, (B,)):\n    «f(m.w)»\n", "alone"),
    (
        lambda at: changes.SplitBranch(at, ("B",), "torch.x"),
        "if isinstance(m, (A, B)):\n    pass\nelse:\n    «f(m.w)»\n",
        "not stand in the branch",
    ),
    (lambda at: changes.SplitBranch(at, ("B",), "torch.x"), "if isinstance(m, (A, B)):\n    «f(m.w)»", "end of a line"),
    (lambda at: changes.DropData(Location("model.py", at.line)), "f(«m.weight.data»)", "not known exactly"),
    (changes.RepeatAnew, "x = «f(a)»", "something else stands there"),
]


@pytest.mark.parametrize(("change", "text", "reason"), REFUSED)
def test_a_change_that_does_not_fit_is_refused_with_the_reason(
    change: Callable[..., Change], text: str, reason: str
) -> None:
    plain, outcome = made(HEAD + text, placed(change))
    assert outcome.text == plain
    (problem,) = outcome.problems
    assert reason in problem


IMPORTED = [
    ("b = 1\n«a.zero_()»\n", "import torch\nb = 1\ntorch.nn.init.zeros_(a)\n"),
    (
        "#!/bin/python\n# (c)\nb = 1\n«a.zero_()»\n",
        "#!/bin/python\n# (c)\nimport torch\nb = 1\ntorch.nn.init.zeros_(a)\n",
    ),
    (
        '"""What."""\nimport os\nb = 1\n«a.zero_()»\n',
        '"""What."""\nimport os\nimport torch\nb = 1\ntorch.nn.init.zeros_(a)\n',
    ),
    ('"""What."""\nb = 1\n«a.zero_()»\n', '"""What."""\nimport torch\nb = 1\ntorch.nn.init.zeros_(a)\n'),
    (
        "from torch.nn import Linear\n«a.zero_()»\n",
        "import torch\nfrom torch.nn import Linear\ntorch.nn.init.zeros_(a)\n",
    ),
    ("from torch.nn import *\n«a.zero_()»\n", None),
    ("import torch.nn.init as I\n«a.zero_()»\n", "import torch.nn.init as I\nI.zeros_(a)\n"),
    ("from torch.nn.init import zeros_\n«a.zero_()»\n", "from torch.nn.init import zeros_\nzeros_(a)\n"),
    (
        "from .torch import x\nb = 1\n«a.zero_()»\n",
        "from .torch import x\nimport torch\nb = 1\ntorch.nn.init.zeros_(a)\n",
    ),
    ("import os; «a.zero_()»\n", "there is no line"),
    ("def f(torch):\n    «a.zero_()»\n", "something else"),
    ("import torch\ndef f():\n    global torch\n    «a.zero_()»\n", "something else"),
    ("try:\n    pass\nexcept OSError as torch:\n    «a.zero_()»\n", "something else"),
    ("match a:\n    case {**torch}:\n        «a.zero_()»\n", "something else"),
    ("match a:\n    case [*torch]:\n        «a.zero_()»\n", "something else"),
    ("for torch in x:\n    «a.zero_()»\n", "something else"),
    ("class torch:\n    «a.zero_()»\n", "something else"),
]


@pytest.mark.parametrize(("text", "result"), IMPORTED)
def test_what_a_fix_calls_is_imported_where_a_person_would(text: str, result: str | None) -> None:
    plain, outcome = made(text, function(changes.MethodToFunction, "torch.nn.init.zeros_"))
    if result is None:
        assert outcome.text == plain or "import torch\n" in outcome.text
    elif "\n" in result:
        assert (outcome.text, outcome.problems) == (result, [])
    else:
        assert outcome.text == plain
        assert result in outcome.problems[0]
