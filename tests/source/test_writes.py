"""What construction writes into each parameter: torch's default, then the user's, in order, or nothing is said."""

from __future__ import annotations

import math
import textwrap

import pytest

from initlint.facts import known

from .reading import PRELUDE, applications, facts, layer, model, net, parameter, writers


def test_the_default_comes_first_and_then_what_the_user_wrote() -> None:
    found = model(net("self.fc = nn.Linear(dim, 2)\nnn.init.zeros_(self.fc.weight)"))
    weight, bias = parameter(found, "fc.weight"), parameter(found, "fc.bias")
    assert writers(weight) == ["reset_parameters", "zeros_"]
    assert weight.last_write.is_deliberate
    assert weight.distribution.is_zero
    assert writers(bias) == ["reset_parameters"]
    assert math.isclose(bias.distribution.high, 1 / math.sqrt(8))
    assert (weight.shape, weight.fan_in, weight.fan_out) == ((2, 8), 8, 2)


def test_constructor_arguments_are_bound_by_name_with_torchs_defaults() -> None:
    found = model(net("self.conv = nn.Conv2d(6, 12, 3, 1, groups=3, bias=False)"))
    conv = layer(found, "conv")
    assert conv.arguments["groups"] == 3
    assert conv.arguments["padding"] == 0
    assert conv.bias is None
    assert conv.weight.shape == (12, 2, 3, 3)
    assert (conv.weight.fan_in, conv.weight.fan_out) == (18, 36)


def test_a_bias_that_depends_on_what_is_not_known_is_not_said_to_be_absent() -> None:
    text = net("self.fc = nn.Linear(4, 4, bias=bias)").replace("flag=False", "*, bias")
    fc = layer(model(text), "fc")
    assert fc.bias is not None
    assert not known(fc.bias.writes)


def test_loops_and_comprehensions_over_known_ranges_make_each_layer() -> None:
    found = model(
        net("""
        self.layers = nn.ModuleList()
        for i in range(depth):
            self.layers.append(nn.Linear(dim * 2 ** i, dim))
        self.more = nn.Sequential(*[nn.Linear(dim, dim) for _ in range(2)])
        for i in range(2):
            setattr(self, f"fc{i}", nn.Linear(dim, dim))
        """)
    )
    assert [each.name for each in found.layers] == [
        "layers.0",
        "layers.1",
        "layers.2",
        "more.0",
        "more.1",
        "fc0",
        "fc1",
    ]
    assert layer(found, "layers.2").weight.shape == (8, 32)


def test_an_unknown_number_of_layers_is_one_symbolic_element() -> None:
    text = """
    class Net(nn.Module):
        def __init__(self, config):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(8, 8) for _ in range(config.depth)])
            for layer in self.layers:
                nn.init.zeros_(layer.bias)
    """
    found = model(text)
    assert [each.name for each in found.layers] == ["layers.*"]
    assert writers(parameter(found, "layers.*.bias")) == ["reset_parameters", "zeros_"]


def test_helpers_and_classes_of_the_file_are_followed() -> None:
    text = """
    def conv(n, m):
        c = nn.Conv2d(n, m, 3)
        nn.init.zeros_(c.bias)
        return c

    class Block(nn.Module):
        def __init__(self, n, width=4):
            super().__init__()
            self.conv = conv(n, width)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.block = Block(3, width=16)
            self._make()

        def _make(self):
            self.head = nn.Linear(16, 2)
    """
    found = model(text)
    assert [each.name for each in found.layers] == ["block.conv", "head"]
    assert parameter(found, "block.conv.weight").shape == (16, 3, 3, 3)
    assert writers(parameter(found, "block.conv.bias")) == ["reset_parameters", "zeros_"]


def test_ordered_dicts_and_add_module_name_layers() -> None:
    found = model(
        "from collections import OrderedDict\n"
        + net("""
        self.body = nn.Sequential(OrderedDict([("a", nn.Linear(1, 2)), ("b", nn.Linear(2, 3))]))
        self.body.add_module("c", nn.Linear(3, 4))
        self.heads = nn.ModuleDict({"x": nn.Linear(4, 5)})
        """)
    )
    assert [each.name for each in found.layers] == ["body.a", "body.b", "body.c", "heads.x"]


def test_an_element_that_is_set_to_a_number_is_a_write_of_its_rows() -> None:
    found = parameter(model(net("self.fc = nn.Linear(8, 8)\nself.fc.bias.data[2:4] = 1")), "fc.bias")
    assert writers(found) == ["reset_parameters", "fill_"]
    assert (found.writes[-1].rows, found.writes[-1].overwrites) == ((2, 4), False)


@pytest.mark.parametrize(
    "later",
    [
        "somewhere.helper(self)",
        "somewhere.helper(self.fc)",
        "somewhere.helper([self.fc])",
        "helper(self.fc.weight)",
        "getattr(self, name).weight.data.zero_()",
        "for name in somewhere.names: getattr(self, name).weight.data.zero_()",
        "self.fc.apply(somewhere.init)",
        "self.fc.weight.data = somewhere.values()",
        "self.fc.weight.data[0] = somewhere.value",
        "if somewhere.flag: nn.init.zeros_(self.fc.weight)",
        "while somewhere.flag(): nn.init.zeros_(self.fc.weight)",
        "copy.copy(self.fc)",
        "(lambda m: somewhere.helper(m))(self.fc)",
    ],
)
def test_whoever_gets_hold_of_a_layer_may_have_written_it(later: str) -> None:
    text = "import somewhere\nfrom somewhere import helper, name\n" + net(f"self.fc = nn.Linear(dim, 2)\n{later}")
    assert writers(parameter(model(text), "fc.weight")) is None


@pytest.mark.parametrize(
    "later",
    [
        "print(self.fc)",
        "self.fc = self.fc.to('cuda')",
        "n = sum(p.numel() for p in self.fc.parameters())",
        "if isinstance(self.fc, nn.Conv2d): nn.init.zeros_(self.fc.weight)",
        "if flag: nn.init.zeros_(self.fc.weight)",
        "if self.fc.bias is None: nn.init.zeros_(self.fc.weight)",
        "assert self.fc.weight.shape[0] == 2",
    ],
)
def test_what_is_harmless_leaves_the_writes_known(later: str) -> None:
    text = net(f"self.fc = nn.Linear(dim, 2)\n{later}")
    assert writers(parameter(model(text), "fc.weight")) == ["reset_parameters"]


def test_apply_visits_every_module_and_is_marked_as_such() -> None:
    found = model(
        net("""
        self.conv = nn.Conv2d(3, dim, 3)
        self.norm = nn.BatchNorm2d(dim)
        self.apply(self._init)
        self.head = nn.Linear(dim, 2)
        """)
        + """
    def _init(self, m):
        if isinstance(m, (nn.Conv2d, nn.Linear)):
            nn.init.normal_(m.weight, std=0.02)
"""
    )
    (application,) = applications(found)
    assert (application.initializer, application.root, application.within) == ("_init", "", "Net.__init__")
    assert set(application.kinds) == {"Conv2d", "Linear"}
    assert application.covered == ("conv",)
    assert layer(found, "conv").order < application.order < layer(found, "head").order
    write = parameter(found, "conv.weight").last_write
    assert write.application is application
    assert math.isclose(write.distribution.std, 0.02)
    assert writers(parameter(found, "norm.weight")) == ["reset_parameters"]


def test_a_loop_over_named_parameters_filters_by_name_and_dimensions() -> None:
    found = model(
        net("""
        self.lstm = nn.LSTM(dim, dim)
        self.fc = nn.Linear(dim, 2)
        for name, p in self.named_parameters():
            if "bias" in name:
                nn.init.zeros_(p)
            elif p.dim() > 1:
                nn.init.orthogonal_(p)
        """)
    )
    assert writers(parameter(found, "lstm.weight_hh_l0")) == ["reset_parameters", "orthogonal_"]
    assert writers(parameter(found, "fc.bias")) == ["reset_parameters", "zeros_"]
    assert parameter(found, "lstm.weight_hh_l0").role == "recurrent_weight"


def test_bare_parameters_and_what_made_them() -> None:
    found = model(
        net(
            """
            self.a = nn.Parameter(torch.empty(dim, 2))
            self.b = nn.Parameter(torch.Tensor(dim))
            self.c = nn.Parameter(torch.zeros(1, dim))
            self.d = nn.Parameter(torch.Tensor([0.5]))
            self.register_parameter("e", nn.Parameter(torch.randn(dim, dim) * 0.02))
            self.register_buffer("f", torch.ones(dim))
            """,
            "return x @ self.a",
        )
    )
    assert parameter(found, "a").distribution.is_uninitialized
    assert (parameter(found, "a").role, parameter(found, "a").fan_in) == ("weight", 8)
    assert parameter(found, "b").shape == (8,)
    assert parameter(found, "b").distribution.is_uninitialized
    assert parameter(found, "c").distribution.is_zero
    assert writers(parameter(found, "d")) is None
    assert writers(parameter(found, "e")) is None
    assert parameter(found, "f").is_buffer


@pytest.mark.parametrize(
    "rest",
    [
        "def build():\n    net = Net()\n    nn.init.zeros_(net.w)\n    return net\n",
        "net = Net()\nfor p in net.parameters():\n    p.data.uniform_(-0.1, 0.1)\n",
        "net = Net()\nnet.load_state_dict(torch.load('x'))\n",
        "class Parent(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.net = Net()\n"
        "        for p in self.parameters():\n            nn.init.normal_(p)\n",
        "def init(m):\n    nn.init.zeros_(m.w)\nNet().apply(init)\n",
    ],
)
def test_what_others_write_later_is_not_called_uninitialised(rest: str) -> None:
    text = net("self.w = nn.Parameter(torch.empty(dim, dim))", rest=rest)
    assert writers(parameter(model(text), "w")) is None


def test_a_parents_loop_is_seen_from_the_parent() -> None:
    text = net(
        "self.w = nn.Parameter(torch.empty(dim, dim))",
        rest="""
class Parent(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = Net()
        for p in self.parameters():
            nn.init.normal_(p)
""",
    )
    assert writers(parameter(model(text, "Parent"), "net.w")) == ["empty", "normal_"]


def test_a_base_outside_the_file_leaves_every_write_unknown() -> None:
    text = "from other import Base\n" + net("self.fc = nn.Linear(dim, 2)").replace("nn.Module", "Base")
    found = [found for found in facts(text).models if found.name == "Net"]
    assert all(not known(parameter.writes) for each in found for parameter in each.parameters)


def test_torchs_own_reset_is_replaced_by_that_of_a_subclass() -> None:
    text = """
    class Mine(nn.Linear):
        def __init__(self, n, m):
            super().__init__(n, m, bias=False)

        def reset_parameters(self):
            nn.init.zeros_(self.weight)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = Mine(4, 2)
    """
    fc = layer(model(text), "fc")
    assert (fc.kind, fc.class_name) == ("Linear", "Mine")
    assert writers(fc.weight) == ["reset_parameters", "zeros_"]
    assert fc.weight.shape == (2, 4)


def test_copies_and_aliases() -> None:
    found = model(
        net("""
        layer = nn.Linear(dim, dim)
        self.copies = nn.ModuleList([copy.deepcopy(layer) for _ in range(2)])
        self.same = nn.ModuleList([nn.Linear(dim, dim)] * 3)
        self.head = nn.Linear(dim, 2)
        self.heads = nn.ModuleList([self.head for _ in range(2)])
        self.stack = nn.TransformerEncoder(nn.TransformerEncoderLayer(dim, 2), 2)
        """)
    )
    assert layer(found, "copies.1").origin == "cloned"
    assert writers(parameter(found, "copies.1.weight")) == ["reset_parameters", "deepcopy"]
    assert layer(found, "same.0").aliases == ("same.0", "same.1", "same.2")
    assert layer(found, "head").aliases == ("head", "heads.0", "heads.1")
    assert layer(found, "stack.layers.1.linear1").origin == "cloned"
    assert parameter(found, "same.0.weight").names == ("same.0.weight", "same.1.weight", "same.2.weight")


def test_one_of_two_lists_is_neither() -> None:
    text = """
    class Net(nn.Module):
        def __init__(self, config):
            super().__init__()
            if config.share:
                self.heads = nn.ModuleList([nn.Linear(4, 4)] * 3)
            else:
                self.heads = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])
    """
    assert all(not known(each.aliases) and not known(each.kind) for each in model(text).layers)


def test_frozen_parameters_are_said_to_be() -> None:
    found = model(
        net("""
        self.a = nn.Linear(dim, 2).requires_grad_(False)
        self.b = nn.Linear(dim, 2)
        for p in self.b.parameters():
            p.requires_grad = False
        self.c = nn.Linear(dim, 2)
        """)
    )
    assert [parameter.trainable for parameter in found.parameters] == [False] * 4 + [True] * 2


def test_tied_weights_are_one_parameter_with_two_names() -> None:
    found = model(
        net("""
        self.emb = nn.Embedding(100, dim)
        self.out = nn.Linear(dim, 100, bias=False)
        self.out.weight = self.emb.weight
        """)
    )
    assert parameter(found, "emb.weight").names == ("emb.weight", "out.weight")


def test_every_parameter_of_a_large_tree_is_written() -> None:
    body = """
        self.layers = nn.ModuleList([nn.Linear(dim, dim) for _ in range(40)])
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.xavier_uniform_(p)
    """
    net_ = model(net(body))
    assert writers(parameter(net_, "layers.39.weight")) == ["reset_parameters", "xavier_uniform_"]
    assert writers(parameter(net_, "layers.39.bias")) == ["reset_parameters"]


def test_turns_that_are_not_followed_leave_nothing_known() -> None:
    for loop in (
        "for layer in list_:\n    nn.init.zeros_(layer.weight)",
        "[nn.init.zeros_(layer.weight) for layer in list_]",
    ):
        made = "list_ = [nn.Linear(dim, dim) for _ in range(64)] + [nn.Linear(dim, dim)]"
        body = f"{made}\nself.a, self.b = list_[0], list_[64]\n"
        assert writers(parameter(model(net(body + loop)), "b.weight")) is None


STACK = """
class Stack(nn.Module):
    def __init__(self, {argument}):
        super().__init__()
        self.layers = nn.ModuleList([copy.deepcopy({layer}) for _ in range(3)])
"""


def test_a_stack_of_what_it_is_given_makes_no_layers() -> None:
    facts_ = model(STACK.format(argument="layer, depth=3", layer="layer"), "Stack")
    assert not any(known(p.writes) for p in facts_.parameters)


def test_a_stack_that_its_owner_draws_anew() -> None:
    text = STACK.format(argument="dim=8", layer="nn.Linear(dim, dim)") + textwrap.dedent(
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.stack = Stack()
                self._reset_parameters()

            def _reset_parameters(self):
                for p in self.parameters():
                    if p.dim() > 1:
                        nn.init.xavier_uniform_(p)
        """
    )
    assert writers(parameter(model(text), "stack.layers.0.weight")) == [
        "reset_parameters",
        "deepcopy",
        "xavier_uniform_",
    ]
    assert writers(parameter(model(text, "Stack"), "layers.0.weight")) is None  # who owns it may write it


def test_a_loop_in_a_method_runs_where_the_method_is_called() -> None:
    text = """class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)
        self._init_weights()
        self.head = nn.Linear(8, 2)

    def _init_weights(self):
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.zeros_(m.bias)
"""
    (application,) = applications(model(text))
    assert (application.within, application.covered) == ("Net.__init__", ("fc",))
    assert application.location is not None
    assert (PRELUDE + text).splitlines()[application.location.line - 1].strip() == "self._init_weights()"


def test_a_parameter_that_only_some_arguments_make_is_what_it_is_where_it_is_made() -> None:
    made = "self.w = nn.Parameter(torch.empty(3, 4))"
    text = net(f"if torch.cuda.is_available():\n    {made}").replace("flag=False", "*, flag")
    assert writers(parameter(model(text), "w")) == ["empty"]
    written = net(f"if dim > depth + flag:\n    {made}\nif hasattr(self, 'w'):\n    nn.init.ones_(self.w)")
    assert writers(parameter(model(written.replace("flag=False", "*, flag")), "w")) is None


def test_a_layer_that_only_some_arguments_make_is_not_certainly_there() -> None:
    text = net("if flag:\n    self.extra = nn.Linear(3, 4)").replace("flag=False", "*, flag")
    extra = layer(model(text), "extra")
    assert not known(extra.kind)
    assert writers(parameter(model(text), "extra.weight")) is None


@pytest.mark.parametrize(
    "loop",
    [
        "list(map(lambda m: nn.init.zeros_(m.weight), [self.fc, self.out]))",
        "[nn.init.zeros_(m.weight) for m in (self.fc, self.out)]",
        "for name in ('fc', 'out'):\n    nn.init.zeros_(getattr(self, name).weight)",
        "for i, m in enumerate([self.fc, self.out]):\n    nn.init.zeros_(m.weight)",
        "for m in self.modules():\n    if m._get_name() == 'Linear':\n        nn.init.zeros_(m.weight)",
        "for m in self.modules():\n    match m:\n        case nn.Linear():\n            nn.init.zeros_(m.weight)",
        "for m in self.modules():\n    match type(m).__name__:\n        case 'Linear' | 'Bilinear':\n"
        "            nn.init.zeros_(m.weight)",
        "match depth:\n    case 3:\n        for m in self.children(): nn.init.zeros_(m.weight)\n"
        "    case _:\n        pass",
    ],
)
def test_however_a_loop_over_layers_is_written(loop: str) -> None:
    found = model(net(f"self.fc = nn.Linear(dim, dim)\nself.out = nn.Linear(dim, 1)\n{loop}"))
    for name in ("fc", "out"):
        assert writers(parameter(found, f"{name}.weight")) == ["reset_parameters", "zeros_"]
        assert writers(parameter(found, f"{name}.bias")) == ["reset_parameters"]


def test_what_a_generator_yields_is_held_any_number_of_times() -> None:
    layers = "def layers(n):\n    for _ in range(n):\n        yield nn.Linear(3, 3)\n"
    found = model(layers + net("self.all = nn.Sequential(*layers(depth))"))
    assert any(layer.name.startswith("all.") for layer in found.layers)


@pytest.mark.parametrize(
    "later",
    [
        "for p, q in zip(self.parameters(), other.parameters()):\n            p.data = q.data",
        "self.fc.weight[:] = other.fc.weight",
        "self.fc.bias = other.fc.bias",
        "self.fc.weight.data += 1",
    ],
)
def test_a_method_that_sets_values_may_be_called_later(later: str) -> None:
    rest = f"    def copy(self, other):\n        {later}\n"
    assert writers(parameter(model(net("self.fc = nn.Linear(3, 4)") + rest), "fc.weight")) is None


def test_a_size_whose_default_is_none_is_any_size() -> None:
    init = "self.w = nn.Parameter(torch.zeros(1, dim, depth))\nnn.init.xavier_normal_(self.w)"
    text = net(init, "return torch.matmul(x, self.w)").replace("dim=8, depth=3", "dim=None, depth=None")
    assert parameter(model(text), "w").name == "w"


@pytest.mark.parametrize(
    ("made", "wrote", "expected"),
    [
        ("net = nn.DataParallel(Net())", "nn.init.zeros_(net.module.fc.weight)", False),
        ("net = nn.Sequential(Net(), nn.ReLU())", "nn.init.zeros_(net[0].fc.weight)", False),
        ("net = Alias()", "nn.init.zeros_(net.fc.weight)", False),
        ("net = Net()", "net.fc.weight.data.zero_()", False),
        ("net = nn.Linear(2, 2)", "nn.init.zeros_(net.weight)", True),
        ("net = nn.Linear(2, 2)", "net.weight.data.zero_()", True),
    ],
)
def test_a_function_that_writes_only_layers_it_makes_itself(made: str, wrote: str, expected: bool) -> None:
    rest = f"Alias = Net\n\ndef build():\n    {made}\n    {wrote}\n    return net\n"
    found = model(net("self.fc = nn.Linear(dim, dim)", rest=rest))
    assert known(parameter(found, "fc.weight").writes) == expected
