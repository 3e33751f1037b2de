"""What the initialisers of timm, transformers, mmengine, fvcore and torch_geometric do: not what torch's do."""

from __future__ import annotations

import math

import pytest

from initlint.facts import Distribution, known

from .reading import layer, model, net, parameter, writers

IMPORTS = """
from timm.layers import trunc_normal_, trunc_normal_tf_, variance_scaling_, lecun_normal_
from timm.models.layers.weight_init import trunc_normal_tf_ as old_tf
from transformers import initialization as hf
from mmengine.model import constant_init, normal_init, trunc_normal_init, xavier_init, kaiming_init, caffe2_xavier_init
from mmcv.cnn import uniform_init
import fvcore.nn.weight_init as weight_init
from torch_geometric.nn import inits
"""


def drawn(statement: str, attribute: str = "weight") -> Distribution:
    text = IMPORTS + net(f"self.fc = nn.Linear(50, 200)\n{statement}")
    return parameter(model(text), f"fc.{attribute}").writes[-1].distribution


@pytest.mark.parametrize(
    ("statement", "family", "std"),
    [
        ("trunc_normal_(self.fc.weight, std=0.02)", "truncated_normal", 0.02),
        ("trunc_normal_tf_(self.fc.weight, std=0.02)", "truncated_normal", 0.02 * 0.8796),
        ("old_tf(self.fc.weight, 0, 0.02, -3, 3)", "truncated_normal", 0.02 * 0.98658),
        ("lecun_normal_(self.fc.weight)", "truncated_normal", 50**-0.5),
        ("variance_scaling_(self.fc.weight)", "normal", 50**-0.5),
        ("variance_scaling_(self.fc.weight, 2.0, 'fan_out', 'uniform')", "uniform", 0.1),
        ("variance_scaling_(self.fc.weight, mode='fan_avg')", "normal", 125**-0.5),
        ("hf.lecun_normal_(self.fc.weight)", "normal", 50**-0.5 / 0.8796),
        ("hf.trunc_normal_(self.fc.weight, mean=0.0, std=0.02)", "truncated_normal", 0.02),
        ("normal_init(self.fc, 0, 0.01)", "normal", 0.01),
        ("trunc_normal_init(self.fc, std=0.01)", "truncated_normal", 0.01),
        ("xavier_init(self.fc, distribution='uniform')", "uniform", 125**-0.5),
        ("kaiming_init(self.fc)", "normal", 0.1),
        ("caffe2_xavier_init(self.fc)", "uniform", 50**-0.5),
        ("weight_init.c2_xavier_fill(self.fc)", "uniform", 50**-0.5),
        ("weight_init.c2_msra_fill(self.fc)", "normal", 0.1),
        ("uniform_init(self.fc, -0.1, 0.1)", "uniform", 0.2 / 12**0.5),
        ("inits.glorot(self.fc.weight)", "uniform", 125**-0.5),
        ("inits.uniform(64, self.fc.weight)", "uniform", 1 / 8 / 3**0.5),
        ("inits.kaiming_uniform(self.fc.weight, fan=50, a=math.sqrt(5))", "uniform", 50**-0.5 / 3**0.5),
        ("inits.normal(self.fc.weight, 0, 0.3)", "normal", 0.3),
        ("inits.glorot(self.fc)", "uniform", 125**-0.5),
    ],
)
def test_it_draws_what_the_library_draws(statement: str, family: str, std: float) -> None:
    distribution = drawn(statement)
    assert distribution.family == family
    assert distribution.std == pytest.approx(std, rel=1e-3)


def test_the_libraries_agree_with_what_is_known_of_them() -> None:
    torch = pytest.importorskip("torch")
    inits = pytest.importorskip("torch_geometric.nn.inits")
    timm = pytest.importorskip("timm.layers")
    weight = torch.empty(200, 50)
    for name, function in (("inits.glorot", inits.glorot), ("lecun_normal_", timm.lecun_normal_)):
        function(weight)
        assert weight.std().item() == pytest.approx(drawn(f"{name}(self.fc.weight)").std, rel=0.05)


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("constant_init(self.fc, 1, bias=0.5)", 0.5),
        ("normal_init(self.fc, std=0.01, bias=-4.6)", -4.6),
        ("kaiming_init(self.fc)", 0),
        ("weight_init.c2_msra_fill(self.fc)", 0),
    ],
)
def test_what_is_given_a_module_fills_its_bias_too(statement: str, value: float) -> None:
    assert drawn(statement, "bias").value == value


@pytest.mark.parametrize("argument", ["None", "bool(dim)"])
def test_a_module_without_a_bias_is_passed_over(argument: str) -> None:
    made = (
        f"self.fc = nn.Linear(3, 4, bias={'False' if argument == 'None' else argument})\nnormal_init(self.fc, 0, 0.1)"
    )
    found = model(IMPORTS + net(made))
    assert writers(parameter(found, "fc.weight")) == ["reset_parameters", "normal_"]
    assert argument != "None" or layer(found, "fc").bias is None


@pytest.mark.parametrize(
    "statement",
    [
        "xavier_init(self.fc, distribution=dim)",
        "init_weight_vit(self.fc, 'fc')",
        "variance_scaling_(w, distribution=1)",
    ],
)
def test_what_depends_on_more_is_unknown(statement: str) -> None:
    imports = IMPORTS + "from timm.layers import init_weight_vit\n"
    text = imports + net(f"self.fc = nn.Linear(3, 4)\nw = self.fc.weight\n{statement}")
    writes = parameter(model(text), "fc.weight").writes
    assert not known(writes) or not known(writes[-1].distribution.family)


def test_a_lecun_scheme_is_known_without_a_shape() -> None:
    text = IMPORTS + "class Net(nn.Module):\n    def __init__(self, a, b):\n        super().__init__()\n"
    text += "        self.fc = nn.Linear(a, b)\n        lecun_normal_(self.fc.weight)\n"
    distribution = parameter(model(text), "fc.weight").writes[-1].distribution
    assert (distribution.gain, distribution.mode, distribution.scheme) == (1, "fan_in", "lecun_normal")
    assert not known(distribution.std)
    assert math.isclose(distribution.mean, 0)


def test_fvcore_says_what_torch_takes_for_granted() -> None:
    (last,) = parameter(
        model(IMPORTS + net("self.fc = nn.Linear(8, 8)\nweight_init.c2_msra_fill(self.fc)")), "fc.weight"
    ).writes[1:]
    assert last.arguments == {"a": 0, "mode": "fan_out", "nonlinearity": "relu"}
