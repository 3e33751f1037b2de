"""Calls of initialisers: what is called, with which arguments, on what."""

from __future__ import annotations

import math

import pytest

from initlint.facts import known

from .reading import facts, net, only_call


@pytest.mark.parametrize(
    ("imports", "call"),
    [
        ("", "torch.nn.init.normal_"),
        ("", "nn.init.normal_"),
        ("from torch.nn import init as I", "I.normal_"),
        ("from torch.nn.init import normal_", "normal_"),
        ("from torch.nn.init import normal_ as draw", "draw"),
        ("import torch.nn.init as init", "init.normal_"),
    ],
)
def test_every_spelling_is_one_function(imports: str, call: str) -> None:
    found = only_call(f"{imports}\ndef f(m):\n    {call}(m.weight, 0.02)\n")
    assert found.function == "torch.nn.init.normal_"
    assert found.written == call
    assert found.arguments["mean"] == 0.02
    assert found.given == found.positional == ("mean",)
    assert found.distribution.std == 1


@pytest.mark.parametrize(
    ("text", "function"),
    [
        ("from timm.layers import trunc_normal_ as f", "timm.layers.trunc_normal_"),
        ("from timm.models.layers import trunc_normal_ as f", "timm.layers.trunc_normal_"),
        ("from mmcv.cnn import normal_init as f", "mmengine.model.normal_init"),
        ("from mmengine.model import normal_init as f", "mmengine.model.normal_init"),
        ("from fvcore.nn.weight_init import c2_xavier_fill as f", "fvcore.nn.weight_init.c2_xavier_fill"),
        ("from torch_geometric.nn.inits import glorot as f", "torch_geometric.nn.inits.glorot"),
        ("from torch.nn.init import xavier_uniform as f", "torch.nn.init.xavier_uniform"),
        ("from torch.nn.init import xavieruniform as f", "torch.nn.init.xavieruniform"),
    ],
)
def test_other_libraries_and_misspellings_keep_their_names(text: str, function: str) -> None:
    assert only_call(f"{text}\ndef g(m):\n    f(m)\n").function == function


def test_transformers_own_initialisers_are_known_by_relative_import() -> None:
    from initlint.source.reader import read

    text = b"from ... import initialization as init\ndef f(m):\n    init.normal_(m.weight, mean=0.0, std=0.02)\n"
    (call,) = read(text, "src/transformers/models/bert/modeling_bert.py").facts.calls
    assert call.function == "transformers.initialization.normal_"
    assert call.distribution.std == 0.02


def test_a_star_import_leaves_names_unknown() -> None:
    assert facts("from somewhere import *\ndef f(m):\n    normal_(m.weight, 0.02)\n").calls == ()


def test_a_name_that_is_not_an_initialiser_is_none() -> None:
    assert facts("from mine import normal_\ndef f(m):\n    normal_(m.weight, 0.02)\n").calls == ()


def test_constants_are_folded() -> None:
    text = """
    STD = 0.02
    class Net(nn.Module):
        scale = 2
        def init(self, m, dim=64):
            nn.init.normal_(m.weight, 0.0, STD * self.scale / math.sqrt(dim))
    """
    assert math.isclose(only_call(text).arguments["std"], 0.02 * 2 / 8)


def test_what_comes_from_a_config_is_unknown_but_has_its_name() -> None:
    call = only_call("def f(m, config):\n    nn.init.trunc_normal_(m.weight, config.init_std)\n")
    assert not known(call.arguments["mean"])
    assert call.spellings == {"mean": "init_std"}


def test_hidden_arguments_leave_what_was_given_unknown() -> None:
    call = only_call("def f(m, **kw):\n    nn.init.normal_(m.weight, 0.02, **kw)\n")
    assert not known(call.given)
    assert not known(call.arguments["std"])


def test_a_name_that_is_bound_twice_has_no_value() -> None:
    text = """
    def f(m, big):
        std = 0.02
        if big:
            std = 1.0
        nn.init.normal_(m.weight, std)
    """
    assert not known(only_call(text).arguments["mean"])


def test_an_arm_that_a_default_rules_out_is_read_too() -> None:
    text = """
    def f(m, std=None):
        if std is not None:
            nn.init.normal_(m.weight, std)
    """
    assert not known(only_call(text).arguments["mean"])


@pytest.mark.parametrize(
    "test",
    [
        "isinstance(m, (nn.Linear, nn.Conv2d))",
        "type(m) in (nn.Linear, nn.Conv2d)",
        "isinstance(m, nn.Linear) or isinstance(m, nn.Conv2d)",
        "type(m) == nn.Linear or type(m) == nn.Conv2d",
        "m.__class__.__name__ in ('Linear', 'Conv2d')",
    ],
)
def test_filters_say_which_kinds_get_through(test: str) -> None:
    call = only_call(f"def f(m):\n    if {test}:\n        nn.init.xavier_uniform_(m.weight)\n")
    assert set(call.target.kinds) == {"Linear", "Conv2d"}
    assert call.target.attribute == "weight"
    assert not known(call.target.dimensions)
    assert call.target.fewest_dimensions == 2


def test_a_filter_holds_after_the_other_kinds_have_left() -> None:
    text = """
    def f(model):
        for m in model.modules():
            if not isinstance(m, nn.Linear):
                continue
            nn.init.xavier_uniform_(m.weight)
    """
    assert only_call(text).target.kinds == ("Linear",)


def test_a_class_name_test_and_match_are_filters() -> None:
    text = """
    def f(m):
        name = m.__class__.__name__
        if name.find("BatchNorm") != -1:
            m.weight.data.normal_(1.0, 0.02)
    """
    call = only_call(text)
    assert "BatchNorm2d" in call.target.kinds
    assert "Linear" not in call.target.kinds
    text = """
    def f(m):
        match m:
            case nn.Linear() | nn.Conv2d():
                nn.init.zeros_(m.bias)
            case nn.LayerNorm():
                nn.init.ones_(m.weight)
    """
    assert [call.target.kinds for call in facts(text).calls] == [("Linear", "Conv2d"), ("LayerNorm",)]


def test_an_elif_does_not_let_the_first_kinds_through() -> None:
    text = """
    def f(m):
        if isinstance(m, nn.Linear):
            pass
        else:
            nn.init.ones_(m.weight)
    """
    assert not known(only_call(text).target.kinds)


def test_a_test_of_dimensions_takes_the_kinds_away() -> None:
    text = """
    def f(m):
        if isinstance(m, (nn.Conv2d, nn.BatchNorm2d)) and m.weight.dim() > 1:
            nn.init.kaiming_normal_(m.weight)
    """
    assert not known(only_call(text).target.kinds)


def test_a_layer_of_the_class_is_a_target_with_its_shape() -> None:
    call = only_call(net("self.fc = nn.Linear(dim, 2)\nnn.init.zeros_(self.fc.bias)"))
    assert (call.target.kinds, call.target.attribute, call.target.shape) == (("Linear",), "bias", (2,))
    assert (call.within, call.class_name) == ("__init__", "Net")


def test_the_elements_of_a_list_are_told_apart_by_their_own_kinds() -> None:
    text = net("""
    self.body = nn.Sequential(nn.Conv2d(3, dim, 3), nn.GroupNorm(2, dim), nn.ReLU())
    for layer in self.body.children():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=0.01)
    """)
    assert only_call(text).target.kinds == ("Conv2d",)


def test_a_module_as_target_is_said_to_be_one() -> None:
    text = "def f(m):\n    if isinstance(m, nn.Linear):\n        nn.init.xavier_uniform_(m)\n"
    assert only_call(text).target.is_module is True


def test_a_location_counts_code_points_from_one() -> None:
    text = "def f(m):\n    x = 'ä€😀'; nn.init.zeros_(m.weight)\n"
    where = only_call(text).location
    assert (where.line, where.column, where.end_column) == (6, 16, 40)


@pytest.mark.parametrize(
    ("tested", "is_module"), [("nn.Linear", True), ("Block", True), ("Codebook", False), ("Elsewhere", False)]
)
def test_a_class_that_is_tested_for_need_not_be_a_modules(tested: str, is_module: bool) -> None:
    call = only_call(
        f"""
        from elsewhere import Elsewhere

        class Block(nn.Module): ...
        class Codebook(nn.Parameter): ...

        def init_weights(m):
            if isinstance(m, {tested}):
                nn.init.normal_(m)
        """
    )
    assert known(call.target.is_module) is is_module


@pytest.mark.parametrize(
    "statements",
    [
        "self.apply(lambda m: nn.init.zeros_(m.weight))",
        "def init(m):\n    nn.init.zeros_(m.weight)\nself.apply(init)",
    ],
)
def test_a_function_in_a_method_has_arguments_of_its_own(statements: str) -> None:
    call = only_call(net("self.fc = nn.Linear(3, 4)\n" + statements))
    assert call.target.text == "m.weight"
    assert not known(call.target.kinds)


@pytest.mark.parametrize(
    ("before", "after", "evaluated"),
    [
        ("", "print(net(x))", True),
        ("", "for p in net.buffers():\n        print(p)\n    net.fuse()", True),
        ("", "net.train()", False),
        ("", "return net", False),
        ("", "train(net)", False),
        ("", "self.net = net", False),
        ("", "optimizer = SGD(net.parameters())", False),
        ("optimizer = SGD(net.parameters())", "optimizer.step()", False),
        ("keep(net)", "print(net(x))", False),
        ("net = net or make()", "print(net(x))", False),
    ],
)
def test_what_is_written_into_a_model_that_is_only_evaluated(before: str, after: str, evaluated: bool) -> None:
    found = only_call(
        f"def f(x):\n    net = make()\n    {before or 'pass'}\n    net.eval()\n    for m in net.modules():\n"
        f"        nn.init.uniform_(m.weight)\n    {after}\n"
    )
    assert found.evaluated is evaluated
