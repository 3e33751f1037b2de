"""Tests around initialisers, and what becomes of an initialiser's result and of what it raises."""

from __future__ import annotations

import textwrap

from initlint.facts import UNKNOWN, Facts
from initlint.source.reader import read


def facts(code: str) -> Facts:
    prelude = "import torch\nfrom torch import nn\n"
    return read((prelude + textwrap.dedent(code).lstrip("\n")).encode(), "net.py").facts


def test_a_test_says_what_it_lets_through() -> None:
    found = facts("""
        def init_weights(m):
            if type(m) is nn.Linear:
                nn.init.zeros_(m.weight)
            elif m.__class__.__name__.endswith("Embedding"):
                nn.init.normal_(m.weight)
            elif isinstance(m, nn.Conv2d):
                nn.init.normal_(m.weight)
    """).guards
    assert [(guard.form, guard.kinds, guard.location.line) for guard in found] == [
        ("exact_type", ("Linear",), 4),
        ("class_name", ("Embedding",), 6),
    ]


def test_the_truth_of_a_tensor_is_told_from_that_of_a_flag() -> None:
    found = facts("""
        class Net(nn.Module):
            def __init__(self, width, flag=True):
                super().__init__()
                self.flag = flag
                self.one = nn.Parameter(torch.zeros(1))
                self.many = nn.Parameter(torch.zeros(2, 3))
                self.fc = nn.Linear(width, width)
                for part in (self.flag, self.one):
                    if part:
                        nn.init.zeros_(self.one)
                if self.flag and self.one and self.many and self.fc.bias:
                    nn.init.zeros_(self.fc.bias)
    """).guards
    told = {guard.text: guard.several for guard in found if guard.text != "part"}
    assert told == {"self.one": False, "self.many": True, "self.fc.bias": True}
    assert all(guard.several is UNKNOWN for guard in found if guard.text == "part")


def test_what_becomes_of_a_call() -> None:
    calls = facts("""
        import torch.nn.init as weight_init

        def first(m):
            weight_init.nothing_like_it(m.weight)

        def second(m):
            try:
                nn.init.zeros_(m.weight.data)
            except AttributeError:
                kept = nn.init.zeros_(m.weight.clone())
    """).calls
    assert [(c.function.rpartition(".")[2], c.discarded, c.caught) for c in calls] == [
        ("nothing_like_it", True, False),
        ("zeros_", True, True),
        ("zeros_", False, False),
    ]
    assert [(c.target.through_data, c.target.is_copy) for c in calls] == [(False, False), (True, False), (False, True)]
