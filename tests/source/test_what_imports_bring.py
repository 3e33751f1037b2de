"""What is read of names from other files is what importing them brings: each project is read, and imported."""

from __future__ import annotations

import importlib
import sys
import textwrap
from pathlib import Path

import pytest

from initlint.source.reader import Project, read

from .comparing import HELPERS, agree
from .reading import PRELUDE, net

pytestmark = pytest.mark.torch

WHOLE = {
    "a number, a tuple and a lambda": (
        "from sizes import WIDTH, WIDTHS, make",
        "WIDTH = 2 + 3\nWIDTHS: tuple = (4, WIDTH)\nmake = lambda size: size + 1",
        "self.a = lin(1, WIDTH)\nself.b = nn.ModuleList([lin(2, w) for w in WIDTHS])\nself.c = lin(3, make(4))",
    ),
    "a module's attributes": (
        "import sizes\nfrom sizes import Config as C",
        "WIDTH = 5\nclass Config:\n    depth = 3\n    def __init__(self): pass",
        "self.a = lin(1, sizes.WIDTH)\nself.b = lin(2, sizes.Config.depth)\nself.c = lin(3, C.depth)",
    ),
    "what another file took from a third": (
        "import sizes as s\nfrom sizes import factory",
        "import third\nfrom third import WIDTH as W, make as factory",
        "self.a = lin(1, s.W)\nself.b = factory(6)\nself.c = lin(3, s.third.WIDTH)",
    ),
    "a partial": (
        "from sizes import make",
        "import functools\nimport torch.nn as nn\nmake = functools.partial(nn.Linear, 3, bias=False)",
        "self.a = make(4)\nnn.init.constant_(self.a.weight, 6)",
    ),
    "all that torch.nn has": (
        "from torch.nn import *\nfrom torch.nn.init import *",
        "",
        "self.a = Linear(3, 4, bias=False)\nconstant_(self.a.weight, 5)\n"
        "self.b = Sequential(Linear(2, 2, bias=False))\n"
        "zeros_(self.b[0].weight)",
    ),
}

SOUND = {
    "what statements change": (
        "from sizes import *\nfrom sizes import OWN as _own, LAST, GONE, FOUND, first, second",
        "WIDTHS = [4]\nWIDTHS.append(5)\nTABLE = {'a': 4}\nTABLE['a'] = 5\nCOUNT = 1\nCOUNT += 4\nOWN = 3\n"
        "for LAST in (6, 7):\n    pass\nGONE = 4\ndel GONE\nGONE = 5\nfirst, (second, *rest) = 3, (4, 5)\n"
        "try:\n    FOUND = int('x')\nexcept ValueError as _error:\n    FOUND = 6\n",
        "self.a = nn.ModuleList([lin(1, w) for w in WIDTHS])\nself.b = lin(2, TABLE['a'])\nself.c = lin(3, COUNT)\n"
        "self.d = lin(4, LAST)\nself.e = lin(5, GONE)\nself.f = lin(6, first + second)\nself.g = lin(7, FOUND + _own)",
    ),
    "what a star leaves out": (
        "from sizes import *\nWIDTH = 4",
        "__all__ = ['_width', 'DEPTH']\n_width, WIDTH, DEPTH = 5, 6, 3\n__all__ += []",
        "self.a = lin(1, WIDTH)\nself.b = lin(2, _width)\nself.c = lin(3, DEPTH)",
    ),
    "names that begin with an underscore": (
        "_width = 4\nfrom sizes import *",
        "_width, depth = 5, 6",
        "self.a = lin(1, _width)\nself.b = lin(2, depth)",
    ),
    "a star within a test": (
        "WIDTH = 4\nif WIDTH:\n    from sizes import *",
        "WIDTH = 7\nif WIDTH:\n    from third import *",
        "self.a = lin(1, WIDTH)",
    ),
    "a class whose name a global statement takes": (
        "from sizes import change, make",
        "def make():\n    return 4\ndef change():\n    global make\n    make = lambda: 5\nchange()",
        "self.a = lin(1, make())",
    ),
    "an import within the constructor": (
        "",
        "WIDTH = 5\ndef grow(k):\n    return k + 1",
        "from sizes import WIDTH, grow\nimport sizes as s\nself.a = lin(1, grow(WIDTH))\nself.b = lin(2, s.WIDTH)",
    ),
    "an enumeration that others look up": (
        "from sizes import Kind",
        "import enum\nclass Kind(enum.Enum):\n    NARROW, WIDE = 4, 5",
        "self.a = lin(1, Kind.WIDE.value)\nself.b = lin(2, 6 if Kind.WIDE is Kind.NARROW else 3)",
    ),
}
THIRD = "import torch.nn as nn\nWIDTH = 6\ndef make(size):\n    made = nn.Linear(size, 2, bias=False)\n    return made"


def compare(case: tuple[str, str, str], directory: Path, monkeypatch: pytest.MonkeyPatch, whole: bool) -> None:
    imported, sizes, constructor = case
    (directory / "pyproject.toml").write_text("")
    (directory / "sizes.py").write_text(sizes)
    (directory / "third.py").write_text(THIRD)
    path = directory / "model_of_them.py"
    path.write_text(PRELUDE + HELPERS + imported + "\n" + net(textwrap.dedent(constructor)))
    monkeypatch.syspath_prepend(directory)
    try:
        built = importlib.import_module(path.stem).Net()
    finally:
        for name in ("sizes", "third", path.stem):
            sys.modules.pop(name, None)
    (found,) = [
        each for each in read(path.read_bytes(), str(path), project=Project()).facts.models if each.name == "Net"
    ]
    agree(found, built, whole)


@pytest.mark.parametrize("case", WHOLE)
def test_all_that_is_built_is_read(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compare(WHOLE[case], tmp_path, monkeypatch, whole=True)


@pytest.mark.parametrize("case", SOUND)
def test_nothing_is_read_that_is_not_built(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compare(SOUND[case], tmp_path, monkeypatch, whole=False)
