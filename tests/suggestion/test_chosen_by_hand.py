"""What ``suggest`` chooses for every kind of layer, from facts made by hand; each choice is made, and measured."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from initlint.facts import Distribution, Layer, Parameter, Statistics
from initlint.suggestion.choosing import choose
from initlint.suggestion.setting import TIED, Setting
from initlint.suggestion.writing import source_of
from initlint.theory.gains import activation
from initlint.theory.schemes import constant, normal, truncated_normal, uniform

from ..rules.by_hand import NONE, RELU, layer, model, parameter, write

pytestmark = pytest.mark.torch

DEFAULT = uniform(-0.1, 0.1)


def default(name: str, **fields: Any) -> Parameter:
    """A parameter that holds what its layer's own constructor draws."""
    writes = (write(DEFAULT, function="torch.nn.Linear.reset_parameters", author="framework"),)
    return parameter(name, **{"writes": writes, "names": (name,), **fields})


def drawn(name: str, law: Distribution, function: str = "torch.nn.init.normal_", **fields: Any) -> Parameter:
    """A parameter that the model's own code fills; ``arguments`` are those of the call."""
    own = {key: fields.pop(key) for key in ("arguments", "author", "overwrites") if key in fields}
    return parameter(name, **{"writes": (write(law, function=function, **own),), "names": (name,), **fields})


def chosen(found: Layer, *beside: Layer, flagged: tuple[str, ...] = ()) -> Setting:
    """What is chosen for the first of these layers."""
    return next(each for each in choose(model(found, *beside, chain=False), flagged) if each.kind != TIED)


def done(setting: Setting, **names: Any) -> Any:
    """What ``module`` or ``parameter`` becomes by a choice's statements."""
    torch.manual_seed(0)
    with torch.no_grad():
        exec("\n".join(setting.lines), {"nn": nn, "torch": torch, "math": math, **names})
    return next(iter(names.values()))


def spread(values: Tensor) -> float:
    return float(values.detach().std())


@pytest.mark.parametrize(
    ("shape", "fan", "activated"),
    [((4, 64, 32), 32, NONE), ((4, 32, 64), 32, RELU), ((64, 8, 4), 32, NONE), ((64, 64), 16, NONE)],
    ids=["the last axis", "the last but one", "all but the first", "no axis"],
)
def test_a_bare_weight_is_drawn_by_what_it_sums_over(shape: tuple[int, ...], fan: int, activated: Any) -> None:
    weight = default("experts", shape=shape, fan_in=fan)
    setting = chosen(layer("", weight, kind="Module", activation=activated), flagged=("experts",))
    assert setting.name == "experts"
    made = done(setting, parameter=torch.empty(shape))
    assert spread(made) == pytest.approx(activated.gain / math.sqrt(fan), rel=0.05)


def test_a_bare_weight_of_which_no_use_was_seen_and_one_of_several() -> None:
    unseen = Parameter(name="w", role="weight", shape=(64, 64), trainable=True, writes=())
    assert spread(done(chosen(layer("", unseen, kind="Module"), flagged=("",)), parameter=torch.empty(64, 64))) == (
        pytest.approx(0.02, rel=0.05)
    )
    pair = [default(name, shape=(64, 64), fan_in=64) for name in ("up", "down")]
    made = done(chosen(layer("", *pair, kind="Module"), flagged=("up",)), parameter=torch.empty(64, 64))
    assert spread(made) == pytest.approx(1 / 8, rel=0.05)  # which of the two the ReLU follows is not known


@pytest.mark.parametrize(
    ("role", "mean", "deviation"),
    [
        ("token", 0, 0.02),
        ("embedding", 0, 0.02),
        ("bias", 0, 0),
        ("norm_bias", 0, 0),
        ("scale", 1, 0),
        ("norm_scale", 1, 0),
    ],
)
def test_what_a_bare_parameter_is_for(role: str, mean: float, deviation: float) -> None:
    found = default("p", role=role, shape=(64, 64))
    made = done(chosen(layer("", found, kind="Module"), flagged=("p",)), parameter=torch.full((64, 64), 9.0))
    assert float(made.mean()) == pytest.approx(mean, abs=0.002)
    assert spread(made) == pytest.approx(deviation, rel=0.05)
    left = chosen(layer("", default("p", role=role), kind="Module"))
    assert left.does_nothing  # nothing was found wanting in it
    assert left.keeps


def test_a_bare_parameter_that_is_for_nobody_knows_what() -> None:
    setting = chosen(layer("", default("p", role="other"), kind="Module"), flagged=("p",))
    assert setting.does_nothing
    assert setting.keeps


def test_the_maps_of_attention_are_drawn_each_by_itself() -> None:
    packed = [default("a.in_proj_weight", shape=(192, 64)), default("a.in_proj_bias", role="bias", shape=(192,))]
    made = done(chosen(layer("a", *packed, kind="MultiheadAttention")), module=nn.MultiheadAttention(64, 4))
    bound = math.sqrt(6 / (64 + 64))  # Xavier's for one map of 64 to 64, and not for one of 64 to 192
    assert all(float(part.abs().max()) == pytest.approx(bound, rel=0.01) for part in made.in_proj_weight.chunk(3))
    assert not made.in_proj_bias.any()
    apart = [default(f"a.{name}_proj_weight", shape=(64, 32)) for name in "qkv"]
    module = nn.MultiheadAttention(64, 4, kdim=32, vdim=32, bias=False)
    done(chosen(layer("a", *apart, kind="MultiheadAttention")), module=module)
    assert float(module.k_proj_weight.abs().max()) == pytest.approx(math.sqrt(6 / (64 + 32)), rel=0.01)
    own = default("a.bias_k", role="other", shape=(1, 1, 64)), default("a.mine", role="other")
    names = [setting.name for setting in choose(model(layer("a", *packed, *own, kind="MultiheadAttention")), ())]
    assert names == ["a", "a.mine"]  # the first is torch's own, the second is nobody's


@pytest.mark.parametrize(("kind", "gates"), [("RNN", 1), ("GRU", 3), ("LSTM", 4)])
def test_each_gate_is_a_map_of_its_own(kind: str, gates: int) -> None:
    own = [default(f"r.{name}_l0") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    module = done(chosen(layer("r", *own, kind=kind)), module=getattr(nn, kind)(16, 16))
    for gate in module.weight_hh_l0.detach().chunk(gates):
        assert torch.allclose(gate @ gate.T, torch.eye(16), atol=1e-5)
    bound = math.sqrt(6 / (16 + 16))
    assert all(float(gate.abs().max()) == pytest.approx(bound, rel=0.05) for gate in module.weight_ih_l0.chunk(gates))
    opened = [bool(gate.any()) for gate in module.bias_ih_l0.chunk(gates)]
    assert opened == ([False, True, False, False] if kind == "LSTM" else [False] * gates)  # torch's second: to forget
    assert not module.bias_hh_l0.any()


def test_what_the_model_draws_into_packed_weights_is_kept() -> None:
    own = default("r.weight_ih_l0"), drawn("r.weight_hh_l0", normal(0.0, 0.1), "torch.nn.init.orthogonal_")
    assert chosen(layer("r", *own, kind="LSTM")).does_nothing
    assert not chosen(layer("r", *own, kind="LSTM"), flagged=("r.weight_hh_l0",)).does_nothing
    frozen = default("r.weight_ih_l0", trainable=False)
    assert chosen(layer("r", frozen, kind="LSTM")).keeps == "frozen"


@pytest.mark.parametrize(
    ("scale", "value"),
    [
        (default("n.weight", role="norm_scale"), 1.0),
        (drawn("n.weight", constant(0.0), "torch.nn.init.zeros_"), 0.0),
        (drawn("n.weight", constant(0.0), "torch.Tensor.zero_"), 0.0),
        (drawn("n.weight", constant(0.5), "torch.nn.init.constant_", arguments={"val": 0.5}), 0.5),
        (drawn("n.weight", constant(0.5), "torch.Tensor.fill_"), 0.5),
        (drawn("n.weight", constant(1 / 7), "torch.nn.init.constant_", arguments={"val": 1 / 7}), None),
        (drawn("n.weight", Distribution(family="unknown"), "numpy.copyto"), None),
        (drawn("n.weight", constant(0.5), "torch.Tensor.mul_", overwrites=False), None),
        (default("n.weight", trainable=False), None),
        (default("n.weight", computed_by="torch.nn.utils.weight_norm"), None),
        (drawn("n.weight", constant(0.5), "torch.nn.Module.load_state_dict", author="checkpoint"), None),
    ],
)
def test_the_scale_of_a_norm(scale: Parameter, value: float | None) -> None:
    setting = chosen(layer("n", scale, kind="LayerNorm"))
    module = nn.LayerNorm(4)
    nn.init.constant_(module.weight, 9.0)
    done(setting, module=module)
    assert module.weight.tolist() == [9.0 if value is None else value] * 4
    assert (value is None) == bool(setting.keeps)


def test_a_norm_whose_scale_is_anothers() -> None:
    setting = chosen(layer("n", default("n.bias"), kind="LayerNorm"))
    assert (setting.lines, setting.bias) == ((), "zero")


@pytest.mark.parametrize(
    ("law", "function", "arguments", "expected"),
    [
        (normal(0.0, 0.05), "torch.nn.init.normal_", {"mean": 0.0, "std": 0.05}, 0.05),
        (normal(0.0, 0.05), "torch.Tensor.normal_", {}, 0.05),
        (uniform(-0.3, 0.3), "torch.Tensor.uniform_", {}, 0.3 / math.sqrt(3)),
        (truncated_normal(0.0, 0.05, -2.0, 2.0), "torch.nn.init.trunc_normal_", {"std": 0.05}, 0.05),
        (normal(0.0, 1 / 7), "torch.Tensor.normal_", {}, None),  # sizes were computed into it
        (truncated_normal(0.0, 0.05, -2.0, 2.0), "timm.layers.trunc_normal_", {}, None),
        (normal(0.0, 0.05), "torch.nn.init.normal_", {"std": [0.05]}, 0.05),  # no plain argument: its law says it
    ],
)
def test_an_embedding_that_the_model_draws(
    law: Distribution, function: str, arguments: dict[str, Any], expected: float | None
) -> None:
    table = drawn("e.weight", law, function, arguments=arguments, padding_write=None, statistics=filled(0.0))
    setting = chosen(layer("e", table, kind="Embedding"))
    module = nn.Embedding(64, 64)
    module.weight.data.fill_(9.0)
    done(setting, module=module)
    assert spread(module.weight) == (0.0 if expected is None else pytest.approx(expected, rel=0.05))


def filled(zeros: float) -> Statistics:
    return Statistics(count=4096, mean=0.0, std=1.0, minimum=-3.0, maximum=3.0, zeros=zeros)


def test_the_scale_of_an_embedding_is_that_of_what_it_goes_into() -> None:
    table = default("e.weight", padding_write=None, statistics=filled(0.0), shape=(64, 64))
    stream = layer("down", ends_branch=True, sum_normalized=False)
    tied = default("e.weight", names=("e.weight", "head.weight"), padding_write=None, statistics=filled(0.0))
    for found, beside, deviation in (
        (table, [], 1.0),
        (table, [stream], 0.02),
        (tied, [layer("head", parameter("head.bias"))], 64**-0.5),
    ):
        made = done(chosen(layer("e", found, kind="Embedding"), *beside), module=nn.Embedding(64, 64))
        assert spread(made.weight) == pytest.approx(deviation, rel=0.05)
    assert chosen(layer("e", default("e.weight", trainable=False), kind="Embedding")).keeps == "frozen"


@pytest.mark.parametrize("fields", [{"padding_write": write(constant(0.0))}, {"statistics": filled(1 / 64)}])
def test_a_padding_row_stays_zero(fields: dict[str, Any]) -> None:
    table = default("e.weight", shape=(64, 64), **fields)
    made = done(chosen(layer("e", table, kind="Embedding")), module=nn.Embedding(64, 64, padding_idx=3))
    assert not made.weight[3].any()
    assert made.weight[2].any()
    done(chosen(layer("e", table, kind="Embedding")), module=nn.Embedding(64, 64))


def through(module: nn.Module, *inputs: Tensor) -> float:
    """The second moment of what a layer gives."""
    with torch.no_grad():
        return float(module(*inputs).square().mean().sqrt())


def test_maps_keep_the_signal() -> None:
    torch.manual_seed(1)
    weight = default("m.weight", shape=(16, 32, 3, 3), fan_in=144, fan_out=288)
    turned = layer("m", weight, kind="ConvTranspose2d", activation=NONE)
    module = done(chosen(turned), module=nn.ConvTranspose2d(16, 32, 3, stride=2, bias=False))
    assert through(module, torch.randn(4, 16, 24, 24)) == pytest.approx(1.0, rel=0.1)
    pair = layer("m", default("m.weight", shape=(32, 16, 8), fan_in=128), kind="Bilinear", activation=RELU)
    module = done(chosen(pair), module=nn.Bilinear(16, 8, 32, bias=False))
    assert through(module, torch.randn(256, 16), torch.randn(256, 8)) == pytest.approx(math.sqrt(2), rel=0.1)
    before = layer(
        "m", default("m.weight", shape=(32, 16, 3, 3), fan_in=144, fan_out=288), kind="Conv2d", normalized=True
    )
    module = done(chosen(before), module=nn.Conv2d(16, 32, 3))
    assert spread(module.weight) == pytest.approx(math.sqrt(2 / 288), rel=0.05)  # the gradient's, behind a norm
    alone = layer("m", default("m.weight"), activation=None)
    module = done(chosen(alone), module=nn.Linear(64, 64, bias=False))
    assert through(module, torch.randn(256, 64)) == pytest.approx(1.0, rel=0.1)
    said = {"mode": "fan_out", "nonlinearity": "relu"}
    own = drawn("m.weight", normal(0.0, 0.1), "torch.nn.init.kaiming_normal_", arguments=said)
    module = done(chosen(layer("m", own)), module=nn.Linear(128, 64, bias=False))
    assert spread(module.weight) == pytest.approx(math.sqrt(2 / 64), rel=0.05)  # as the model has it
    curved = layer("m", default("m.weight"), activation=activation("silu"))
    module = done(chosen(curved), module=nn.Linear(64, 64, bias=False))
    assert through(module, torch.nn.functional.silu(torch.randn(256, 64))) == pytest.approx(1.0, rel=0.1)


def blocks(*weights: Parameter) -> list[Layer]:
    """Residual branches of one stack, each ended by a linear layer."""
    return [
        layer(each.name.removesuffix(".weight"), each, activation=NONE, ends_branch=True, sum_normalized=False)
        for each in weights
    ]


@pytest.mark.parametrize(
    ("law", "function", "arguments", "expected"),
    [
        (normal(0.0, 0.05), "torch.nn.init.normal_", {"std": 0.05}, 0.05 / math.sqrt(6)),
        (normal(0.0, 0.05 / 4), "torch.nn.init.normal_", {"std": 0.05 / 4}, 0.05 / 4),  # it is small already
        (normal(0.0, 0.05 / 6**0.5), "torch.nn.init.normal_", {"std": 0.05 / 6**0.5}, 0.05 / math.sqrt(6)),
        (normal(0.0, 0.07 / 3), "torch.nn.init.normal_", {"std": 0.07 / 3}, None),
        (constant(0.0), "torch.nn.init.zeros_", {}, 0.0),
        (DEFAULT, "torch.nn.Linear.reset_parameters", {}, 1 / math.sqrt(6 * 64)),
    ],
)
def test_branches_that_add_up(law: Distribution, function: str, arguments: dict[str, Any], expected: float) -> None:
    author = "framework" if law is DEFAULT else "user"
    named = [f"blocks.{index}.down.weight" for index in range(6)]
    ends = blocks(*(drawn(name, law, function, arguments=arguments, author=author, measured=law) for name in named))
    up = layer("up", drawn("up.weight", normal(0.0, 0.05), measured=normal(0.0, 0.05)), ends_branch=False)
    setting = chosen(*ends, up)
    module = nn.Linear(64, 64)
    module.weight.data.fill_(9.0)
    done(setting, module=module)
    assert spread(module.weight) == (0.0 if expected is None else pytest.approx(expected, rel=0.05))
    assert (module.weight == 9.0).all() == (expected is None)


def test_the_source_is_python_for_any_names() -> None:
    names = ['say "hi"', "a,b", "c.0", "d\n", "e.1.x", "f.2", "long_" * 8 + "1", "long_" * 8 + "2"]
    tables = [drawn(f"{name}.weight", normal(0.0, 0.05), arguments={"std": 0.05}) for name in names]
    others = [default(f"{name}.other.weight") for name in names]
    layers = [layer(each.name.removesuffix(".weight"), each) for each in (*tables, *others)]
    norms = [
        layer("k", default("k.weight"), kind="LayerNorm"),
        layer("l", default("l.weight"), kind="GroupNorm"),
        layer("kept", drawn("kept.weight", constant(0.5), "x.y_"), kind="PReLU"),
    ]
    text = source_of("Net", choose(model(*layers, *norms, chain=False), ()))
    space: dict[str, Any] = {}
    exec(text, space)
    assert "(nn.LayerNorm, nn.GroupNorm)" in text
    root = nn.Module()
    for each in (*names, "k"):
        holder = nn.LayerNorm(4) if each == "k" else nn.Linear(64, 64)
        nn.init.constant_(holder.weight, 9.0)
        root._modules[each] = holder
    space["init_weights"](root)
    assert root._modules["k"].weight.tolist() == [1.0] * 4
    for name in names:
        if "." not in name:
            assert spread(root._modules[name].weight) == pytest.approx(0.05, rel=0.05), name
    assert source_of("Net", []).strip().endswith('"""')
