"""Data flow through forward: what takes each layer's output, and the chains with no norm between."""

from __future__ import annotations

import pytest

from initlint.facts import Layer, known

from .reading import layer, model, net

TWO = "self.a = nn.Linear(dim, dim)\nself.b = nn.Linear(dim, dim)\nself.norm = nn.LayerNorm(dim)\nself.act = nn.GELU()"


def _first(forward: str, init: str = TWO) -> Layer:
    return layer(model(net(init, forward)), "a")


@pytest.mark.parametrize(
    ("forward", "name"),
    [
        ("return self.b(F.relu(self.a(x)))", "relu"),
        ("return self.b(torch.tanh(self.a(x)))", "tanh"),
        ("return self.b(self.a(x).sigmoid())", "sigmoid"),
        ("x = self.a(x)\nx = self.act(x)\nreturn self.b(x)", "gelu"),
        ("x = self.a(x).view(-1, 8)\nx = F.dropout(x, 0.1, self.training)\nreturn self.b(F.silu(x))", "silu"),
        ("return self.b(F.leaky_relu(self.a(x), 0.2))", "leaky_relu"),
        ("return self.b(F.relu(self.norm(self.a(x))))", "relu"),
        ("return F.relu(x + self.a(x))", "relu"),
        ("return self.b(self.a(x))", "identity"),
    ],
)
def test_the_activation_that_follows_is_found_however_it_is_written(forward: str, name: str) -> None:
    activation = _first(forward).activation
    assert activation is not None
    assert activation.name == name
    if name == "leaky_relu":
        assert activation.slope == 0.2


@pytest.mark.parametrize(
    "forward",
    [
        "y = self.a(x)\nif self.training:\n    y = F.relu(y)\nreturn self.b(y)",
        "return self.b(somewhere(self.a(x)))",
        "y = self.a(x)\nsomewhere(y)\nreturn self.b(F.relu(y))",
        "for f in self.fs:\n    x = f(self.a(x))\nreturn x",
    ],
)
def test_what_is_not_understood_is_not_said(forward: str) -> None:
    assert not known(_first(forward).activation)


def test_two_different_activations_are_no_answer() -> None:
    assert _first("y = self.a(x)\nreturn F.relu(y) + torch.tanh(y)").activation is None


def test_norms_sums_and_heads() -> None:
    found = model(net(TWO, "x = x + self.b(F.relu(self.norm(self.a(x))))\nreturn x"))
    assert layer(found, "a").normalized is True
    assert layer(found, "a").ends_branch is False
    assert layer(found, "b").ends_branch is True
    assert layer(found, "b").normalized is False
    assert [consumer.kind for consumer in layer(found, "a").consumers] == ["norm"]
    assert layer(model(net(TWO, "return self.b(F.relu(self.a(x)))")), "b").is_head is True


def test_what_leaves_a_part_may_go_anywhere() -> None:
    text = net(TWO, "return self.b(F.relu(self.a(x)))") + (
        "class Root(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.net = Net()\n\n"
        "    def forward(self, x):\n        return x + self.net(x)\n"
    )
    part = layer(model(text), "b")
    assert not known(part.is_head)
    assert not known(part.ends_branch)
    assert layer(model(text, "Root"), "net.b").ends_branch is True


def test_a_plain_stack_is_one_chain_and_a_norm_ends_it() -> None:
    found = model(
        net(
            """
            layers = []
            for i in range(4):
                layers += [nn.Linear(dim, dim), nn.ReLU()]
                if i == 1:
                    layers.append(nn.BatchNorm1d(dim))
            self.body = nn.Sequential(*layers)
            """,
            "return self.body(x)",
        )
    )
    assert [[each.name for each in chain.layers] for chain in found.chains] == [
        ["body.0", "body.2"],
        ["body.5", "body.7"],
    ]


def test_a_residual_sum_does_not_end_the_trunks_chain() -> None:
    init = TWO + "\nself.stem = nn.Linear(dim, dim)\nself.head = nn.Linear(dim, 2)"
    found = model(net(init, "x = self.stem(x)\nx = x + self.b(F.relu(self.a(x)))\nreturn self.head(x)"))
    assert [[each.name for each in chain.layers] for chain in found.chains] == [["stem", "head"], ["a", "b"]]


def test_a_loop_over_layers_and_a_module_list_of_pairs_are_followed() -> None:
    found = model(
        net(
            "self.layers = nn.ModuleList([nn.ModuleList([nn.Linear(dim, dim), nn.Tanh()]) for _ in range(depth)])",
            "for fc, act in self.layers:\n    x = act(fc(x))\nreturn x",
        )
    )
    assert [[each.name for each in chain.layers] for chain in found.chains] == [
        ["layers.0.0", "layers.1.0", "layers.2.0"]
    ]
    assert all(each.activation is not None and each.activation.name == "tanh" for each in found.layers)


def test_a_condition_leaves_the_chains_unknown() -> None:
    assert not known(model(net(TWO, "x = self.a(x)\nif x.sum() > 0:\n    x = F.relu(x)\nreturn self.b(x)")).chains)


def test_a_default_argument_decides_a_condition() -> None:
    found = model(
        net(TWO + "\nself.flag = flag", "x = self.a(x)\nif self.flag:\n    x = self.norm(x)\nreturn self.b(F.relu(x))")
    )
    assert layer(found, "a").normalized is False
