"""What other files of a project may do to a class: looked up by name, bounded by counts and never by time."""

from __future__ import annotations

import gc
import itertools
import json
import statistics
import tracemalloc
from pathlib import Path

import pytest

from initlint.facts import UNKNOWN, known
from initlint.source.project import mentions, packages, project, tree
from initlint.source.reader import Project, read

from .reading import PRELUDE, net, parameter

ENCODER = PRELUDE + net("self.fc = nn.Linear(dim, dim)")
INITIALISES = "for p in Net(8).parameters():\n    torch.nn.init.zeros_(p)\n"


def is_known(root: Path, name: str = "encoder.py", project: Project | None = None) -> bool:
    """Whether reading takes the default of the class in ``root/name`` for what it starts with."""
    path = root / name
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(ENCODER)
    source = read(path.read_bytes(), str(path), project=project or Project())
    (model,) = source.facts.models
    return known(parameter(model, "fc.weight").writes)


@pytest.fixture(autouse=True)
def marked(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("")


def test_nobody_else_knows_it(tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text(
        "import torch\nfrom torch import nn\nNetwork = nn.TransformerEncoder\n" + INITIALISES[40:]
    )
    assert is_known(tmp_path)


@pytest.mark.parametrize(
    "imports", ["from encoder import Net", "import encoder\nNet = encoder.Net", "Net = import_module(name()).Net"]
)
def test_another_file_may_initialise_it(tmp_path: Path, imports: str) -> None:
    (tmp_path / "train.py").write_text(f"{imports}\n{INITIALISES}")
    assert not is_known(tmp_path)


def test_a_class_of_the_same_name_is_another(tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("class Net(torch.nn.Module): ...\n" + INITIALISES)
    assert is_known(tmp_path)


OTHERS = "import torch.nn as nn\nclass Net(nn.Module): ...\n"


@pytest.mark.parametrize(
    "other",
    [
        OTHERS + "import encoder\n" + INITIALISES,
        "from other import Net\nimport encoder\n" + INITIALISES,
        "import torch.nn as nn\nfrom encoder import Net\nclass Head(nn.Module):\n    def __init__(self):\n"
        "        self.net = Net()\n        self.out = nn.Linear(3, 3)\n"
        "        nn.init.zeros_(self.out.weight)\n        nn.init.zeros_(self.out.bias.data)\n",
        "from encoder import Net  # reads its init_weights\nnet = Net()\n",
        "import torch\nfrom encoder import Net\nnet = Net()\nnet.load_state_dict(torch.load('init_.pt'))\n",
    ],
)
def test_what_another_file_initialises_is_not_it(tmp_path: Path, other: str) -> None:
    (tmp_path / "train.py").write_text(other)
    (tmp_path / "other.py").write_text(OTHERS)
    assert is_known(tmp_path)


@pytest.mark.parametrize("held", ["Net()", "nn.Sequential(Net())", "part"])
def test_another_class_may_initialise_what_it_holds(tmp_path: Path, held: str) -> None:
    (tmp_path / "train.py").write_text(
        "import torch.nn as nn\nfrom encoder import Net\nclass Whole(nn.Module):\n    def __init__(self, part: Net):\n"
        f"        self.net = {held}\n        nn.init.zeros_(self.net.fc.weight)\n"
    )
    assert not is_known(tmp_path)


HOLDS = "import torch.nn as nn\nfrom encoder import Net\nclass Whole(nn.Module):\n    def __init__(self):\n"
HOLDS += "        self.net = Net()\ndef build():\n    return Whole()\n"


@pytest.mark.parametrize("made", ["Whole()", "build()"])
def test_what_holds_it_may_be_initialised_elsewhere(tmp_path: Path, made: str) -> None:
    (tmp_path / "whole.py").write_text(HOLDS)
    assert is_known(tmp_path)
    imports = f"import torch.nn as nn\nfrom whole import {made[:-2]}\n"
    (tmp_path / "train.py").write_text(f"{imports}for p in {made}.parameters():\n    nn.init.zeros_(p)\n")
    assert not is_known(tmp_path)


def test_what_holds_it_in_its_own_file_may_be_initialised_elsewhere(tmp_path: Path) -> None:
    rest = "\nclass Whole(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.net = Net(8)\n"
    path = tmp_path / "encoder.py"
    path.write_text(ENCODER + rest)
    (tmp_path / "train.py").write_text(
        "import torch\nfrom encoder import Whole\n" + INITIALISES.replace("Net(8)", "Whole()")
    )
    models = {found.name: found for found in read(path.read_bytes(), str(path), project=Project()).facts.models}
    assert not known(parameter(models["Net"], "fc.weight").writes)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("net = Net()\ninit_weights(net)\n", False),
        ("net = Net().to('cpu')\ninit_weights(m=[net])\n", False),
        ("def set_up(module):\n    init_weights(module.fc)\nset_up(Net())\n", False),
        ("class Run:\n    def __init__(self):\n        self.net = Net()\n        init_weights(self)\n", False),
        ("kinds = {'a': Net}\ndef run(kind):\n    made = kinds[kind]()\n    init_weights(made)\n", False),
        ("net = Net()\nx = net(torch.ones(2, 8))\nshow(x)\n", True),
        ("net = Net()\noptimizer = torch.optim.SGD(net.parameters())\nshow(optimizer)\n", True),
        ("net = torch.nn.DataParallel(Net())\nprint(net)\n", True),
        ("def run(net):\n    return net(1)\nrun(Net())\n", True),
        ("import numpy as np\nnet = Net()\nscores = np.vectorize(net.score)(range(3))\n", True),
        ("net = Net()\n(folder / 'n.md').write_text(f'{net}')\n", True),
        ("__all__ = ['Net']\nshow(__all__)\n", True),
        ("def normalise(net, k):\n    w = net.fc.weight\n    w.data = w.data * k\nnormalise(Net(), 2)\n", True),
        ("def draw(net, t):\n    w = net.fc.weight\n    w.data = w.data * 0 + t\ndraw(Net(), 2)\n", False),
        ("def draw(net, t):\n    w = net.fc.weight\n    w.data = t * 2\ndraw(Net(), 2)\n", False),
    ],
)
def test_a_helper_that_cannot_be_followed_may_initialise_it(tmp_path: Path, more: str, expected: bool) -> None:
    (tmp_path / "main.py").write_text(
        "import torch\nfrom encoder import Net\nfrom tools import init_weights, show\n" + more
    )
    assert is_known(tmp_path) == expected


@pytest.mark.parametrize(
    "put",
    ["NETS['a'] = Net()", "NETS.update(a=Net())", "NETS.extend([Net()])", "global NETS\n    NETS += [Net()]"],
)
def test_what_a_function_puts_away_may_be_initialised_elsewhere(tmp_path: Path, put: str) -> None:
    (tmp_path / "nets.py").write_text(f"from encoder import Net\nNETS = make()\ndef register():\n    {put}\n")
    assert is_known(tmp_path)
    (tmp_path / "train.py").write_text(
        "import torch\nfrom nets import NETS\nfor net in NETS:\n    torch.nn.init.zeros_(net.fc.weight)\n"
    )
    assert not is_known(tmp_path)


def test_notebooks_are_looked_into(tmp_path: Path) -> None:
    cell = {"cell_type": "code", "source": ["from encoder import Net\n", "net = Net()  # init_weights\n"]}
    (tmp_path / "try.ipynb").write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4}))
    assert is_known(tmp_path)
    cell["source"] = ["import torch\n", "from encoder import Net\n", INITIALISES]
    (tmp_path / "try.ipynb").write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4}))
    assert not is_known(tmp_path)


def test_a_package_passes_it_on(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models/__init__.py").write_text("from .encoder import *\n")
    (tmp_path / "train.py").write_text("from models import Net\n" + INITIALISES)
    assert not is_known(tmp_path, "models/encoder.py")


def test_a_project_too_large_to_look_through_tells_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(3):
        (tmp_path / f"other{index}.py").write_text("x = 1\n")
    assert is_known(tmp_path)
    for bound in ("MOST_FILES", "MOST_BYTES", "MOST_ENTRIES"):
        with monkeypatch.context() as patch:
            patch.setattr(tree, bound, 2)
            assert not is_known(tmp_path)


def test_what_is_no_source_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "directory.py").mkdir()
    for hidden in (".venv", "build", "node_modules"):
        (tmp_path / hidden).mkdir()
        (tmp_path / hidden / "train.py").write_text("from encoder import Net\n" + INITIALISES)
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "again.py").symlink_to(tmp_path / "encoder.py")
    (tmp_path / "gone.py").symlink_to(tmp_path / "nowhere.py")
    assert not is_known(tmp_path)  # gone.py cannot be read
    (tmp_path / "gone.py").unlink()
    assert is_known(tmp_path)


@pytest.mark.parametrize("cloned", [False, True])
def test_what_others_may_initialise_is_no_less_so_for_being_copied(tmp_path: Path, cloned: bool) -> None:
    layer = "copy.deepcopy(nn.Linear(8, 8))" if cloned else "nn.Linear(8, 8)"
    text = "import copy\n" + PRELUDE + net(f"self.fc = {layer}")
    (tmp_path / "encoder.py").write_text(text)
    (tmp_path / "train.py").write_text(f"from encoder import Net\n{INITIALISES}")
    (model,) = read(text.encode(), str(tmp_path / "encoder.py"), project=Project()).facts.models
    assert not known(parameter(model, "fc.weight").writes)


def test_scripts_above_use_what_lies_here(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").unlink()
    (tmp_path / "train.py").write_text("import torch\nfrom parts.encoder import Net\n" + INITIALISES)
    assert not is_known(tmp_path, "parts/encoder.py")


def test_no_more_than_what_lies_here_where_no_script_is_above(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").unlink()
    (tmp_path / "else").mkdir()
    (tmp_path / "else/train.py").write_text("import torch\nfrom parts.encoder import Net\n" + INITIALISES)
    assert is_known(tmp_path, "parts/encoder.py")


SHIFT = """
class Net(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.bias = nn.Parameter(torch.empty(dim))

    def {loader}(self, parameter, loaded):
        take_shard(parameter, loaded)
"""
WHOLE = """
from layers import Net
class Whole(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = Net(8)
"""


@pytest.mark.parametrize(("loader", "expected"), [("weight_loader", False), ("show", True)])
def test_layers_of_another_file_that_load_themselves(tmp_path: Path, loader: str, expected: bool) -> None:
    (tmp_path / "layers.py").write_text(PRELUDE + SHIFT.format(loader=loader))
    path = tmp_path / "model.py"
    path.write_text(PRELUDE + WHOLE)
    (model,) = read(path.read_bytes(), str(path), project=Project()).facts.models
    assert known(parameter(model, "net.bias").writes) == expected


TAGGER = """
from transformers import PreTrainedModel
class Tagger(PreTrainedModel):
    def __init__(self, config):
        super().__init__(config)
        self.head = nn.Linear(config.hidden_size, 2)

    def forward(self, x):
        return self.head(x)
"""


@pytest.mark.parametrize(("offered", "expected"), [("Tagger", False), ("Other", UNKNOWN)])
def test_what_is_offered_to_be_built_finishes_itself_in_a_large_project_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offered: str, expected: object
) -> None:
    monkeypatch.setattr("initlint.source.project.tree.MOST_FILES", 2)
    for number in range(3):
        (tmp_path / f"a{number}.py").write_text("")
    path = tmp_path / "model.py"
    path.write_text(PRELUDE + TAGGER + f"__all__ = [{offered!r}]\n")
    (tagger,) = read(path.read_bytes(), str(path), project=Project()).facts.classes
    assert object.__getattribute__(tagger, "finished") is expected


def test_a_project_that_lasts_sees_what_changes(tmp_path: Path) -> None:
    lasting = Project()
    train, encoder = tmp_path / "train.py", str(tmp_path / "encoder.py")
    harmless = "from encoder import Net\nprint(Net())\n"

    def known_now(**instead: str) -> bool:
        lasting.renew({str(tmp_path / f"{name}.py"): text.encode() for name, text in instead.items()})
        found = is_known(tmp_path, project=lasting)
        assert instead or found == is_known(tmp_path)
        return found

    assert known_now()
    train.write_text("from encoder import Net\n" + INITIALISES)
    assert not known_now()
    train.write_text(harmless)
    assert known_now()
    assert not known_now(train=harmless + INITIALISES)  # as an editor has it, not saved
    assert known_now(train=harmless)
    assert known_now()
    train.rename(tmp_path / "later.py")
    (tmp_path / "later.py").write_text(harmless + INITIALISES)
    assert not known_now()
    (tmp_path / "later.py").unlink()
    assert known_now()
    assert lasting.mentions("Net", encoder) is False


def test_a_project_that_lasts_follows_imports_anew(tmp_path: Path) -> None:
    base, model = tmp_path / "base.py", tmp_path / "model.py"
    model.write_text("from base import SIZE\n" + ENCODER.replace("dim, dim", "dim, SIZE"))
    lasting = Project()

    def shape(**instead: str) -> object:
        lasting.renew({str(tmp_path / f"{name}.py"): text.encode() for name, text in instead.items()})
        (found,) = read(model.read_bytes(), str(model), project=lasting).facts.models
        return parameter(found, "fc.weight").shape[0]

    base.write_text("SIZE = 3\n")
    assert shape() == 3
    base.write_text("SIZE = 45\n")
    assert shape() == 45
    assert shape(base="SIZE = 6") == 6
    assert shape() == 45


def test_what_is_forgotten_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = []
    for number in range(3):
        (root := tmp_path / f"root{number}").mkdir()
        (root / "pyproject.toml").write_text("")
        (root / "encoder.py").write_text(ENCODER)
        (root / "other.py").write_text("from encoder import Net\nprint(Net())\n")
        (root / "train.py").write_text("import encoder\nNet = encoder.Net\n" + INITIALISES * (number == 1))
        paths.append(root / "encoder.py")

    def told() -> list[str]:
        lasting = Project()
        return [repr(read(path.read_bytes(), str(path), project=lasting)) for path in [*paths, *paths[::-1]]]

    first = told()
    assert len(set(first)) == 3
    monkeypatch.setattr(project, "MOST_HELD_BYTES", 0)
    monkeypatch.setattr(mentions, "MOST_KEPT_CHARACTERS", 0)
    monkeypatch.setattr(packages, "MOST_KEPT_BYTES", 0)
    monkeypatch.setattr(packages, "MOST_KEPT_PATHS", 1)
    assert told() == first


def test_memory_does_not_grow_with_the_projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project, "MOST_HELD_BYTES", 50_000)
    monkeypatch.setattr(mentions, "MOST_KEPT_CHARACTERS", 50_000)
    monkeypatch.setattr(packages, "MOST_KEPT_BYTES", 50_000)
    lasting = Project()
    held = []
    gc.freeze()  # what other tests have imported is not looked through twenty-four times
    tracemalloc.start()
    try:
        for number in range(24):
            (root := tmp_path / f"root{number}").mkdir()
            (root / "pyproject.toml").write_text("")
            words = "\n".join(f"word{number}_{each} = {each}" for each in range(500))
            (root / "train.py").write_text(f"from encoder import Net\nprint(Net())\n{words}\n")
            is_known(root, project=lasting)
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
        gc.unfreeze()
    steps = [after - before for before, after in itertools.pairwise(held)]
    assert 12 * statistics.median(steps[11:]) < sum(steps[:11]) / 4  # Python's own table of names may double meanwhile


def test_what_all_may_write_to_is_no_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project, "_MARKERS", ())  # tests run in a directory that is marked
    shared = tmp_path / "shared"
    (shared / "mine").mkdir(parents=True)
    (shared / "script.py").write_text("x = 1\n")
    shared.chmod(0o755)
    assert Project().root(str(shared / "mine" / "net.py")) != str((shared / "mine").resolve())
    shared.chmod(0o777)
    assert Project().root(str(shared / "mine" / "net.py")) == str((shared / "mine").resolve())
