"""Whatever a file holds, a check ends, says nothing is broken in itself, and takes seconds at most."""

from __future__ import annotations

import ast
import copy
import itertools
import json
import random
import signal
import tokenize
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import initlint
from initlint.engine import load, registry
from tests.rules.harness import snippet

SECONDS = 20
HEAD = "import torch; from torch import nn\n"
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

SNIPPETS = [snippet(example) for code in registry() for example in (*load(code).bad, *load(code).good)]
FILES = [path.read_text() for path in sorted(EXAMPLES.rglob("*.py"))]

many = pytest.mark.parametrize("examples", [40, pytest.param(2500, marks=pytest.mark.slow)])


@pytest.fixture(autouse=True)
def _empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@contextmanager
def ends_in_time(what: bytes) -> Iterator[None]:
    class StillBusy(BaseException):
        """Passes through what catches exceptions."""

    def give_up(*_: object) -> None:
        raise StillBusy(what)

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def check(data: bytes, name: str = "net.py") -> None:
    """Check, and hold initlint to what it promises of any text; each note names a place and is one line."""
    with ends_in_time(data):
        report = initlint.check(["-"], static=True, stdin=lambda: data, stdin_filename=name, select=["ALL"])
    for line in (*report.notes, *report.failures):
        assert "please report" not in line
        assert "\n" not in line
    report.to_dict()


def hold(examples: int, strategy: st.SearchStrategy[Any], body: Callable[[Any], None]) -> None:
    """Try a property; a short run tries the same examples every time."""
    run = settings(
        max_examples=examples,
        deadline=None,
        derandomize=examples < 100,
        database=None,
        suppress_health_check=list(HealthCheck),
    )(given(strategy)(body))
    run()


def tokens(text: str) -> list[str]:
    """A text cut where Python's tokens begin, so that joining gives it back."""
    lines = text.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    cuts = {0, len(text)}
    for token in tokenize.tokenize(BytesIO(text.encode()).readline):
        if token.type != tokenize.ENCODING and token.start[0] <= len(lines):
            cuts.add(starts[token.start[0] - 1] + token.start[1])
    ordered = sorted(cuts)
    return [text[first:last] for first, last in itertools.pairwise(ordered)]


def cut_up(seed: int) -> str:
    """A real text with some of its tokens dropped, repeated, swapped or taken from another, perhaps cut short."""
    draw = random.Random(seed)
    pieces = tokens(draw.choice(SNIPPETS + FILES))
    others = tokens(draw.choice(SNIPPETS))
    for _ in range(draw.randint(1, 6)):
        at, other = draw.randrange(len(pieces)), draw.randrange(len(pieces))
        change = draw.randrange(5)
        if change == 0:
            pieces[at] = ""
        elif change == 1:
            pieces[at] = draw.choice(others)
        elif change == 2:
            pieces[at], pieces[other] = pieces[other], pieces[at]
        elif change == 3:
            pieces[at:at] = pieces[other : other + draw.randint(1, 30)]
        else:
            del pieces[at : at + draw.randint(1, 20)]
            pieces = pieces or [""]
    text = "".join(pieces)
    return text[: draw.randrange(len(text) + 1)] if draw.random() < 0.2 else text


def transplanted(seed: int) -> str:
    """A real text in which expressions and statements were replaced by others, from anywhere: it still parses."""
    draw = random.Random(seed)
    tree = ast.parse(draw.choice(SNIPPETS + FILES))
    donors = [ast.parse(draw.choice(SNIPPETS)) for _ in range(2)]
    given_ = [node for donor in [*donors, tree] for node in ast.walk(donor)]
    expressions = [
        node
        for node in given_
        if isinstance(node, ast.expr) and isinstance(getattr(node, "ctx", None), (ast.Load, type(None)))
    ]
    statements = [node for node in given_ if isinstance(node, ast.stmt)]
    for _ in range(draw.randint(1, 6)):
        owner = draw.choice([node for node in ast.walk(tree) if list(ast.iter_child_nodes(node))])
        name, value = draw.choice([(name, value) for name, value in ast.iter_fields(owner)])
        one = value[draw.randrange(len(value))] if isinstance(value, list) and value else value
        if isinstance(one, ast.expr) and isinstance(getattr(one, "ctx", None), (ast.Load, type(None))):
            new: ast.AST = copy.deepcopy(draw.choice(expressions))
        elif isinstance(one, ast.stmt):
            new = copy.deepcopy(draw.choice(statements))
        else:
            continue
        if isinstance(value, list):
            value[draw.randrange(len(value))] = new
        else:
            setattr(owner, name, new)
    try:
        return ast.unparse(ast.fix_missing_locations(tree))
    except (ValueError, AttributeError, TypeError):  # not every tree is a text
        return "import torch"


@many
def test_bytes(examples: int) -> None:
    hold(examples, st.binary(), lambda data: check(HEAD.encode() + data))
    hold(examples, st.binary(), lambda data: check(data + b"\nimport torch"))


@many
def test_text(examples: int) -> None:
    alphabet = st.sampled_from([*"()[]{}:,.=*@#'\"\\\n\t %!?;_0é\u2028\x0c\r", "self", "nn.", "def ", "class ", "    "])
    hold(examples, st.lists(alphabet).map("".join), lambda text: check((HEAD + text).encode()))


@many
def test_real_text_cut_up(examples: int) -> None:
    hold(examples * 4, st.integers(0), lambda seed: check(cut_up(seed).encode("utf-8", "surrogatepass")))


@many
def test_real_text_with_parts_transplanted(examples: int) -> None:
    hold(examples * 4, st.integers(0), lambda seed: check(transplanted(seed).encode("utf-8", "surrogatepass")))


def test_real_text_cut_short_anywhere() -> None:
    text = max(SNIPPETS, key=len)
    for end in range(0, len(text), 7):
        check(text[:end].encode())


@pytest.mark.slow
def test_whole_modules() -> None:
    import hypothesmith  # which takes some seconds to make its grammar: none of the quick tests asks for it

    for modules in (hypothesmith.from_grammar(), hypothesmith.from_node()):
        hold(250, modules, lambda text: check((HEAD + text).encode("utf-8", "surrogatepass")))


KEYS = ["cells", "worksheets", "cell_type", "source", "input", "metadata", "language", "vscode", "languageId", "torch"]
KEYS += ["kernelspec", "language_info", "name", "nbformat"]
LEAVES = st.sampled_from(
    ["code", "markdown", "torch", "python", "R", "%%time\n", "x = !ls\nnn.init.normal_(w, 0.02)", "?"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | LEAVES,
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner),
)
LINES = [
    "%",
    "%time ",
    "%%time\n",
    "%%bash\n",
    "!",
    "?",
    "??",
    "= !",
    "= %",
    "x",
    "f(",
    ")",
    "'",
    '"""',
    "\\",
    "\n",
    "    ",
]
LINES += [
    "# noqa: INI503\n",
    "pip install x",
    "nn.init.xavier_uniform(w)",
    "if 1:\n",
    ",f ",
    "é",
    "\ud800",
    "\x00",
    "\r",
]


@many
def test_notebooks(examples: int) -> None:
    def arbitrary(content: Any) -> None:
        check(json.dumps(content).encode(), "nb.ipynb")
        check(json.dumps({"cells": [content, {"cell_type": "code", "source": HEAD}]}).encode(), "nb.ipynb")

    def of_cells(sources: list[list[str]]) -> None:
        cells = [{"cell_type": "code", "source": source} for source in ([HEAD], *sources)]
        check(json.dumps({"cells": cells}).encode(), "nb.ipynb")

    hold(examples, JSON, arbitrary)
    hold(examples * 4, st.lists(st.lists(st.sampled_from(LINES)), max_size=3), of_cells)


@many
def test_notebooks_cut_up(examples: int) -> None:
    def cut(where: tuple[int, int]) -> None:
        cells = [{"cell_type": "code", "source": text} for text in (cut_up(where[0]), "!ls\n" + cut_up(where[1]))]
        check(json.dumps({"cells": cells}).encode(), "nb.ipynb")

    hold(examples, st.tuples(st.integers(0), st.integers(0)), cut)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5000,
        "x = " + "(" * 150 + ")" * 150,
        "x = " + "[" * 80 + "]" * 80,
        "-" * 20_000 + "1",
        "x = " + " + ".join(["nn"] * 5000),
        "x" + ".y" * 3000,
        "x" + "()" * 3000,
        "if x:\n pass\n" + "elif x:\n pass\n" * 2000,
        "\n".join(f"{' ' * depth}if x:" for depth in range(95)) + "\n" + " " * 95 + "pass",
        "x = 9 ** 9 ** 9 ** 9",
        "x = nn.Linear(10 ** 400, 2 ** 100000)",
        "x = 'a' * 10 ** 10",
        "x = [0] * 10 ** 10",
        "x = 1 << 10 ** 10",
        "x = '%1000000000d' % 1",
        "x = f'{1:>1000000000}'",
        "net = nn.Sequential(*[nn.Linear(2, 2) for i in range(10 ** 9)])",
        "for i in range(10 ** 9):\n    for j in range(10 ** 9):\n        nn.init.zeros_(w)",
        "while True:\n    nn.init.zeros_(w)",
        "def f(): return f()\nnn.init.zeros_(f())",
        "class A(nn.Module):\n    def __init__(self):\n        self.a = A()",
        "class A(A, nn.Module): pass\nclass B(nn.Module): pass\nclass B(B): pass",
        "x = lambda: x()\nx()",
        "x = {}\nx[0] = x\ny = [x]\nx[1] = y\nnn.init.zeros_(x[0][0][1][0])",
        "a = 1\n" * 20_000,
        "nn.init.normal_(w, 0.02)\n" * 3000,
        "x = 1e999 - 1e999\nnn.init.normal_(w, x, -x)",
        "nn.init.normal_(w, " + "1" * 5000 + ")",
        "class A(nn.Module):\n" + "".join(f"    def f{n}(self):\n        self.f{n + 1}()\n" for n in range(500)),
        "x = nn.Linear(2, 2)\n" + "".join(f"x{n} = nn.Sequential(x{n - 1}, x{n - 1})\n" for n in range(1, 60)),
        "x0 = [nn.Linear(2, 2)]\n" + "".join(f"x{n} = x{n - 1} + x{n - 1}\n" for n in range(1, 60)),
        "x = [nn.Linear(2, 2)]\n" + "x.extend(x)\n" * 60,
        "x = [nn.Linear(2, 2)]\n" + "x += x\n" * 60,
        "x = [nn.Linear(2, 2)]\n" + "x = [*x, *x]\n" * 60,
        "x = [nn.Linear(2, 2)]\n" + "x = [x, x]\n" * 60 + "nn.Sequential(*x)\nnn.ModuleList(x)",
        "x = {'a': nn.Linear(2, 2)}\n" + "x = {'a': x, 'b': x}\n" * 60 + "nn.ModuleDict(x)",
        "x = 1, 2\n" + "x = x + x\n" * 60,
        "x = 1, 2\n" + "x = x, x\n" * 60 + "y = {x: x}\nx == x\nnn.Linear(*x)",
        "x = 'a'\n" + "x = x + x\n" * 60,
        "x = 'a'\n" + "x = f'{x}{x}'\n" * 60,
        "x = 'a'\n" + "x = x.replace('a', 'aa')\n" * 60,
        "x = 3\n" + "x = x * x\n" * 60,
        f"x = 0x{'f' * 5000}\ny = f'{{x}}'\nz = str(x)\nw = '%d' % x\nnn.Linear(x, -x)\n{{x: x}}[x]\n(lambda: 0).x = x",
        f"nn.init.normal_(w, 0x{'f' * 5000})\nnn.init.normal_(w[0x{'f' * 5000}], a=-0x{'f' * 5000})",
        "x = 3\n" + "x = -x if y else x + x\n" * 60 + "nn.Linear(x, x)",
        "x = nn.Linear(2, 2)\n" + "x = x if y else nn.Sequential(x, x)\n" * 60,
        "def f(n): return [f(n), f(n)]\nnn.Sequential(*f(3))",
        "x = [i for i in [0, 1, 2] " + "for i in [0, 1, 2] " * 18 + "]",
        "for i in [0, 1]:\n"
        + "".join(f"{' ' * n}for i{n} in [0, 1]:\n" for n in range(1, 19))
        + " " * 19
        + "nn.init.zeros_(w)",
        "import copy\nx = nn.Linear(2, 2)\n" + "x = nn.Sequential(x, copy.deepcopy(x))\n" * 40,
        "def f0(m): nn.init.zeros_(m.weight)\n"
        + "".join(f"def f{n}(m):\n    f{n - 1}(m)\n    f{n - 1}(m)\n" for n in range(1, 40)),
    ],
    ids=lambda text: text[:30],
)
def test_what_grows_without_bound(text: str) -> None:
    check((HEAD + text + "\n").encode())
