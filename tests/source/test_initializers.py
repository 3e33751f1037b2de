"""Functions that initialise, and who calls them."""

from __future__ import annotations

from pathlib import Path

import pytest

from initlint.facts import known
from initlint.source.reader import Project, read

from .reading import facts, initializer

NEVER = """
class Net(nn.Module):
    def __init__(self, dim=4):
        super().__init__()
        self.fc = nn.Linear(dim, 2)

    def _init_weights(self, m):
        if isinstance(m, nn.Linear):
            nn.init.xavier_uniform_(m.weight)
            m.bias.data.zero_()
        elif isinstance(m, nn.LayerNorm):
            nn.init.ones_(m.weight)
"""


def test_a_method_that_nothing_mentions_has_no_callers() -> None:
    assert initializer(NEVER, "_init_weights").callers == ()


def test_its_branches_are_the_arms_of_its_filters() -> None:
    branches = initializer(NEVER, "_init_weights").branches
    assert [(branch.kinds, len(branch.calls)) for branch in branches] == [(("Linear",), 2), (("LayerNorm",), 1)]


@pytest.mark.parametrize(
    "user",
    [
        "net = Net()\nnet.apply(net._init_weights)\n",
        "class Other(Net):\n    def init(self):\n        self.apply(self._init_weights)\n",
        "def build():\n    net = Net()\n    net._init_weights(net.fc)\n    return net\n",
    ],
)
def test_whoever_mentions_it_is_a_caller(user: str) -> None:
    assert len(initializer(NEVER + user, "_init_weights").callers) == 1


@pytest.mark.parametrize(
    "base", ["PreTrainedModel", "mmengine.model.BaseModule", "SomethingElse", "timm.models.VisionTransformer"]
)
def test_a_base_outside_the_file_may_call_it(base: str) -> None:
    text = "import mmengine, timm\nfrom transformers import PreTrainedModel\nfrom other import SomethingElse\n" + NEVER
    assert not known(initializer(text.replace("nn.Module", base), "_init_weights").callers)


def test_its_name_as_a_string_may_be_how_it_is_called() -> None:
    assert not known(initializer(NEVER + "getattr(Net(), '_init_weights')\n", "_init_weights").callers)


def test_an_abstract_method_initialises_nothing() -> None:
    text = "class Base(nn.Module):\n    def init_weights(self):\n        raise NotImplementedError\n"
    assert facts(text).initializers == ()


def _written(directory: Path, **files: str) -> Project:
    for name, text in files.items():
        path = directory / (name.replace("__", "/") + ".py" if "__init__" not in name else "__init__.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Project()


def _callers(directory: Path, project: Project, text: str = NEVER) -> object:
    path = directory / "model.py"
    path.write_text("import torch.nn as nn\n" + text)
    (found,) = read(path.read_bytes(), str(path), project=project).facts.initializers
    return found.callers


@pytest.mark.parametrize(
    "other",
    [
        "from model import Net\nnet = Net()\nnet.apply(net._init_weights)\n",
        "from model import Net\nclass Deep(Net):\n    def start(self):\n        self.apply(self._init_weights)\n",
        "class Mixin:\n    def start(self):\n        self.apply(self._init_weights)\n",
        "def start(m, how='_init_weights'):\n    m.apply(getattr(m, how))\n",
        "from model import Net\nclass Deep(Net):\n    def _init_weights(self, m):\n        super()._init_weights(m)\n",
    ],
)
def test_another_file_that_mentions_it_may_call_it(tmp_path: Path, other: str) -> None:
    assert not known(_callers(tmp_path, _written(tmp_path, train=other)))


@pytest.mark.parametrize(
    "other",
    [
        "from model import Net\nnet = Net()\nmy_init_weights_fn = None\n",
        "# net.apply(net._init_weights)\n",
        '"""Call net._init_weights, or not."""\n',
        "import torch.nn as nn\nclass Other(nn.Module):\n    def start(self):\n        self.apply(self._init_weights)\n"
        "    def _init_weights(self, m): pass\n",
        "from base import Other\nclass Another(Other):\n    def _init_weights(self, m):\n"
        "        super()._init_weights(m)\n",
        "from timm.models import Vit\nclass Another(Vit):\n    def _init_weights(self, m): pass\n"
        "    def start(self):\n        self.apply(self._init_weights)\n",
        "def _init_weights(m): pass\n_init_weights(3)\n",
    ],
)
def test_one_of_another_class_by_the_same_name_is_not_it(tmp_path: Path, other: str) -> None:
    base = "class Other:\n    def _init_weights(self, m): pass\n"
    assert _callers(tmp_path, _written(tmp_path, train=other, base=base)) == ()


FUNCTION = "def weights_init(m):\n    nn.init.zeros_(m.weight)\n"


@pytest.mark.parametrize(
    "other",
    [
        "from model import weights_init\n",
        "from model import *\nprint(weights_init)\n",
        "import model\nNet().apply(model.weights_init)\n",
        "import model as m\nprint(m.weights_init)\n",
        "from importlib import import_module\nimport_module('mod' + 'el').weights_init()\n",
        "def weights_init(m):\n    from model import weights_init as w\n    w(m)\n",
    ],
)
def test_another_file_may_take_a_function(tmp_path: Path, other: str) -> None:
    assert not known(_callers(tmp_path, _written(tmp_path, train=other), FUNCTION))


@pytest.mark.parametrize(
    "other",
    [
        "def weights_init(m): pass\nweights_init(3)\n",
        "from other import weights_init\nweights_init(3)\n",
        "from other import *\nweights_init(3)\n",
        "import other\nother.weights_init(3)\n",
        "from timm.layers import weights_init\nweights_init(3)\n",
        "class Net:\n    def weights_init(self): pass\n    def start(self):\n        self.weights_init()\n",
        "def start(net):\n    net.weights_init()\n",
    ],
)
def test_a_function_of_another_file_by_the_same_name_is_not_it(tmp_path: Path, other: str) -> None:
    project = _written(tmp_path, train=other, other="def weights_init(m): pass\n")
    assert _callers(tmp_path, project, FUNCTION) == ()


def test_a_function_of_a_package_is_its_users_unless_it_is_private(tmp_path: Path) -> None:
    project = _written(tmp_path, __init__="")
    assert not known(_callers(tmp_path, project, FUNCTION))
    assert _callers(tmp_path, project, FUNCTION.replace("weights_init", "_init_weights")) == ()


def test_a_public_name_of_a_package_may_be_called_by_its_users(tmp_path: Path) -> None:
    project = _written(tmp_path, __init__="")
    assert not known(_callers(tmp_path, project, NEVER.replace("_init_weights", "init_weights")))
