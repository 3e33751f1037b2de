"""What comes from other files of a project is read there, and never imported."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from initlint.facts import Model, known
from initlint.source.interpreter import imports
from initlint.source.reader import Project, Source, read

from .reading import PRELUDE, layer, parameter, writers

INIT = """
def init_weights(m, std=0.02):
    if isinstance(m, nn.Linear):
        nn.init.normal_(m.weight, std=std)
        nn.init.zeros_(m.bias)
"""
BASE = """
class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(3, 3)

    def finish(self):
        self.apply(self._init_weights)

    def _init_weights(self, m):
        if isinstance(m, nn.Linear):
            nn.init.zeros_(m.weight)
"""


def reading(directory: Path, name: str, **files: str) -> Source:
    """What is read of the file ``name``, among others; a path's parts are joined by "__" in their keys."""
    (directory / "pyproject.toml").write_text("")
    for key, text in files.items():
        inner = key.endswith("init__") and key != "__init__"
        key = key.replace("init__", "/__init__/").strip("/") if inner else key
        path = directory / (key.replace("__init__", "@").replace("__", "/").replace("@", "__init__") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PRELUDE + textwrap.dedent(text))
    path = directory / name
    return read(path.read_bytes(), str(path), project=Project())


def net(source: Source, name: str = "Net") -> Model:
    (found,) = [model for model in source.facts.models if model.name == name]
    return found


def body(imported: str, *statements: str, base: str = "nn.Module") -> str:
    lines = "".join(f"        {line}\n" for line in statements)
    return f"{imported}\nclass Net({base}):\n    def __init__(self):\n        super().__init__()\n{lines}"


@pytest.mark.parametrize(
    ("imported", "function"),
    [
        ("from helpers import init_weights", "init_weights"),
        ("from helpers import init_weights as w", "w"),
        ("import helpers", "helpers.init_weights"),
        ("import helpers as h", "h.init_weights"),
        ("from helpers import *", "init_weights"),
        ("from helpers import init_weights\nfrom functools import partial", "partial(init_weights, std=0.02)"),
        ("from helpers import init_weights", "lambda m: init_weights(m, 0.02)"),
    ],
)
def test_an_imported_function_is_applied(tmp_path: Path, imported: str, function: str) -> None:
    text = body(imported, "self.fc = nn.Linear(3, 4)", f"self.apply({function})")
    weight = parameter(net(reading(tmp_path, "model.py", model=text, helpers=INIT)), "fc.weight")
    write = weight.writes[-1]
    assert writers(weight) == ["reset_parameters", "normal_"]
    assert write.distribution.std == pytest.approx(0.02)
    assert write.location is not None
    assert write.location.path == str(tmp_path / "helpers.py")
    assert write.location.line == (PRELUDE + INIT).split("\n").index("        nn.init.normal_(m.weight, std=std)") + 1


@pytest.mark.parametrize(
    "imported",
    [
        "from .base import Base",
        "from pkg.base import Base",
        "from . import Base",
        "from .. import pkg\nBase = pkg.Base",
        "from pkg import Base",
        "import pkg.base\nBase = pkg.base.Base",
    ],
)
def test_a_base_in_another_file_of_the_package(tmp_path: Path, imported: str) -> None:
    text = body(imported, "self.fc = nn.Linear(3, 4)", "self.finish()", base="Base")
    files = {"pkg____init__": "from .base import *", "pkg__base": BASE, "pkg__model": text, "__init__": ""}
    model = net(reading(tmp_path, "pkg/model.py", **files))
    assert writers(parameter(model, "stem.weight")) == ["reset_parameters", "zeros_"]
    assert writers(parameter(model, "fc.weight")) == ["reset_parameters", "zeros_"]
    location = layer(model, "stem").location
    assert location is not None
    assert location.path == str(tmp_path / "pkg/base.py")


def test_super_reaches_the_method_of_the_other_file(tmp_path: Path) -> None:
    text = (
        body("from base import Base", "self.fc = nn.Linear(3, 4)", "self.finish()", base="Base")
        + "    def _init_weights(self, m):\n        super()._init_weights(m)\n"
        + "        if isinstance(m, nn.Linear):\n            nn.init.ones_(m.bias)\n"
    )
    model = net(reading(tmp_path, "model.py", model=text, base=BASE))
    assert writers(parameter(model, "fc.weight")) == ["reset_parameters", "zeros_"]
    assert writers(parameter(model, "stem.bias")) == ["reset_parameters", "ones_"]


def test_what_a_base_offers_to_be_called_later_may_be(tmp_path: Path) -> None:
    text = body("from base import Base", "self.fc = nn.Linear(3, 4)", base="Base")
    assert not known(parameter(net(reading(tmp_path, "model.py", model=text, base=BASE)), "fc.weight").writes)
    quiet = BASE.replace("self.apply(self._init_weights)", "pass").replace("nn.init.zeros_(m.weight)", "pass")
    assert known(parameter(net(reading(tmp_path, "model.py", model=text, base=quiet)), "fc.weight").writes)


def test_functions_and_classes_that_make_layers(tmp_path: Path) -> None:
    parts = (
        "WIDTH = 5\ndef block(n):\n    return nn.Sequential(nn.Linear(n, WIDTH), nn.ReLU())\n"
        + "class Part(nn.Module):\n    def __init__(self, n):\n        super().__init__()\n        self.w = block(n)\n"
    )
    text = body("from parts import Part, block, WIDTH", "self.a = block(3)", "self.b = Part(WIDTH)")
    model = net(reading(tmp_path, "model.py", model=text, parts=parts))
    assert parameter(model, "a.0.weight").shape == (5, 3)
    assert parameter(model, "b.w.0.weight").shape == (5, 5)


def test_an_initialiser_that_is_given_initialisers(tmp_path: Path) -> None:
    helper = """
    def init(module, weight_init, bias_init, gain=1):
        weight_init(module.weight.data, gain=gain)
        bias_init(module.bias.data)
        return module
    """
    made = "lambda m: init(m, nn.init.orthogonal_, lambda x: nn.init.constant_(x, 0.5), 2.0)"
    text = body("from helpers import init", f"init_ = {made}", "self.fc = init_(nn.Linear(3, 4))")
    source = reading(tmp_path, "model.py", model=text, helpers=helper)
    weight, bias = (parameter(net(source), f"fc.{name}") for name in ("weight", "bias"))
    assert (writers(weight), weight.writes[-1].arguments["gain"]) == (["reset_parameters", "orthogonal_"], 2.0)
    assert bias.writes[-1].distribution.value == 0.5
    (call,) = source.facts.calls  # the lambda's argument is no module of the class
    assert not known(call.target.kinds)


@pytest.mark.parametrize(
    "helpers",
    [
        "if FLAG:\n    def init_weights(m): pass\nelse:\n    def init_weights(m): nn.init.ones_(m.weight)\n",
        "try:\n    from elsewhere import init_weights\nexcept ImportError:\n    def init_weights(m): pass\n",
        "from elsewhere import init_weights\n",
        "def other(m): pass\n",
        "def init_weights(:\n",
        INIT + "def change():\n    global init_weights\n    init_weights = None\n",
        INIT + "from elsewhere import *\nfor init_weights in (): pass\n",
    ],
)
def test_what_is_not_certainly_found_is_unknown(tmp_path: Path, helpers: str) -> None:
    path = tmp_path / "helpers.py"
    text = body("from helpers import init_weights", "self.fc = nn.Linear(3, 4)", "self.apply(init_weights)")
    reading(tmp_path, "model.py", model=text)
    path.write_text(helpers)
    source = read((tmp_path / "model.py").read_bytes(), str(tmp_path / "model.py"), project=Project())
    assert not known(parameter(net(source), "fc.weight").writes)


def test_two_files_of_one_name_are_none(tmp_path: Path) -> None:
    text = body("from helpers import init_weights", "self.fc = nn.Linear(3, 4)", "self.apply(init_weights)")
    files = {"sub__model": text, "sub__helpers": INIT, "helpers": INIT}
    assert not known(parameter(net(reading(tmp_path, "sub/model.py", **files)), "fc.weight").writes)


def test_a_star_import_hides_what_came_before_it(tmp_path: Path) -> None:
    statements = ("self.fc = nn.Linear(3, 4)", "self.apply(init_weights)")
    known_last = body("from elsewhere import *\nfrom helpers import *", *statements)
    known_first = body("from helpers import *\nfrom elsewhere import *", *statements)
    assert known(parameter(net(reading(tmp_path, "a.py", a=known_last, helpers=INIT)), "fc.weight").writes)
    assert not known(parameter(net(reading(tmp_path, "b.py", b=known_first, helpers=INIT)), "fc.weight").writes)


def test_a_star_import_brings_what_is_exported(tmp_path: Path) -> None:
    text = body("from helpers import *", "self.fc = nn.Linear(3, 4)", "self.apply(init_weights)")
    source = reading(tmp_path, "model.py", model=text, helpers="__all__ = ['other']\n" + INIT)
    assert not known(parameter(net(source), "fc.weight").writes)


def test_imports_in_a_circle(tmp_path: Path) -> None:
    text = body("from base import Base, Missing", "self.fc = Missing()", "self.finish()", base="Base")
    base = "from model import *\nfrom base import Base as Own, Missing\n" + BASE + "TABLE = Base, TABLE\n"
    assert net(reading(tmp_path, "model.py", model=text, base=base)).layers


def test_no_more_than_so_many_files_are_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {f"m{index}": f"from m{index + 1} import init_weights\n" for index in range(4)}
    text = body("from m0 import init_weights", "self.fc = nn.Linear(3, 4)", "self.apply(init_weights)")
    source = reading(tmp_path, "model.py", model=text, m4=INIT, **files)
    assert known(parameter(net(source), "fc.weight").writes)
    monkeypatch.setattr(imports, "MOST_UNITS", 3)
    source = reading(tmp_path, "model.py", model=text, m4=INIT, **files)
    assert not known(parameter(net(source), "fc.weight").writes)


def test_nothing_is_imported(tmp_path: Path) -> None:
    trap = f"open({str(tmp_path / 'trap')!r}, 'w').close()\n"
    text = body("from helpers import *\nfrom helpers import init_weights", "self.apply(init_weights)")
    reading(tmp_path, "model.py", model=text, helpers=trap + INIT)
    assert not (tmp_path / "trap").exists()


def test_a_directory_with_a_librarys_name_is_not_that_library(tmp_path: Path) -> None:
    text = body("from .helpers import init_weights", "self.fc = nn.Linear(3, 4)", "self.apply(init_weights)")
    source = reading(tmp_path, "torch/model.py", torch__model=text, torch__helpers=INIT)
    assert writers(parameter(net(source), "fc.weight")) == ["reset_parameters", "normal_"]


@pytest.mark.parametrize(("parts", "found"), [("outer/part/inner", True), ("outer/part/part/inner", False)])
def test_a_package_whose_outer_one_lies_above_a_directory_without_init(tmp_path: Path, parts: str, found: bool) -> None:
    inner = tmp_path / parts
    inner.mkdir(parents=True)
    for package in (tmp_path / "outer", inner):
        (package / "__init__.py").touch()
    (inner / "inits.py").write_text(PRELUDE + INIT)
    model = inner / "model.py"
    statements = ("self.fc = nn.Linear(3, 3)", "self.apply(init_weights)")
    model.write_text(PRELUDE + body(f"from {parts.replace('/', '.')}.inits import init_weights", *statements))
    source = read(model.read_bytes(), str(model), project=Project())
    assert (writers(parameter(net(source), "fc.weight")) == ["reset_parameters", "normal_"]) is found
