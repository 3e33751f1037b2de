"""What the rules on biases and norms say of laws and figures, on either side of each limit that they document."""

from __future__ import annotations

import math
from typing import Any

import pytest

from initlint.changes import SplitBranch, WriteBy
from initlint.facts import (
    UNKNOWN,
    Branch,
    Consumer,
    Distribution,
    Escape,
    InitCall,
    Initializer,
    Layer,
    LayerProbe,
    Parameter,
    Target,
    Write,
)
from initlint.findings import Finding, Severity, unsafe
from initlint.theory.gains import activation
from initlint.theory.schemes import constant, normal, uniform, uninitialized

from .by_hand import NONE, RELU, ask, at, layer, model, parameter, write

GELU = activation("gelu")


def pair(bias: Distribution, weight: Distribution | None = None, **fields: Any) -> Layer:
    """A layer before GELU with a weight (line 7) and a bias (line 8), both drawn by the project's statements."""
    authors = {name: fields.pop(f"{name}_by", "user") for name in ("weight", "bias")}
    drawn = parameter("fc.weight", writes=(write(weight or normal(0.0, 0.125), 7, author=authors["weight"]),))
    added = parameter("fc.bias", writes=(write(bias, 8, "torch.nn.init.constant_", author=authors["bias"]),))
    made = layer("fc", drawn, added, **{"activation": GELU, **fields})
    model(made)
    return made


def of_bias(code: str, *args: Any, **fields: Any) -> list[Finding]:
    bias = pair(*args, **fields).bias
    assert bias is not None
    return ask(code, "parameter", bias)


def test_a_bias_that_is_the_weights_std() -> None:
    (finding,) = of_bias("INI307", constant(0.125))
    assert finding.message == "fc.bias is filled with 0.125, the std of fc.weight"
    assert (finding.evidence, finding.parameter) == ({"value": 0.125, "weight_std": 0.125}, "fc.bias")
    assert len(of_bias("INI307", constant(0.127))) == len(of_bias("INI307", constant(0.499), normal(0.0, 0.499))) == 1
    assert of_bias("INI307", constant(0.13)) == of_bias("INI307", constant(0.5), normal(0.0, 0.5)) == []
    assert of_bias("INI307", constant(-0.125)) == of_bias("INI307", normal(0.0, 0.125)) == []
    assert of_bias("INI307", constant(0.125), Distribution(family="data", std=0.125)) == []
    assert of_bias("INI307", constant(0.125), bias_by="framework") == []
    assert of_bias("INI307", constant(0.125), weight_by="framework") == []
    assert (
        of_bias("INI307", constant(0.125), kind="LayerNorm")
        == of_bias("INI307", constant(0.125), activation=RELU)
        == []
    )
    assert of_bias("INI307", constant(0.125), activation=None) == []


def call(attribute: str, function: str, *, spelled: dict[str, str] | None = None, **arguments: float) -> InitCall:
    return InitCall(
        function=f"torch.nn.init.{function}",
        written=f"init.{function}",
        target=Target(text=f"m.{attribute}", attribute=attribute, kinds=("Linear", "Conv2d")),
        location=at(4),
        arguments=arguments,
        spellings=spelled or {},
    )


def read(*branches: tuple[InitCall, ...]) -> list[Finding]:
    made = tuple(Branch(calls=calls) for calls in branches)
    return ask("INI307", "initializer", Initializer(name="init", location=at(1), branches=made))


def test_a_bias_that_is_given_what_a_weight_is_given() -> None:
    weight, bias = call("weight", "normal_", std=0.02), call("bias", "constant_", val=0.02)
    (same,) = read((weight, bias))
    assert same.message == "m.bias is filled with 0.02, the std of the weight beside it"
    assert same.help == "start biases at zero: nn.init.zeros_(m.bias)"
    assert read((weight,), (bias,)) == read((bias,)) == read((weight, call("bias", "constant_", val=0.03))) == []
    named = call("weight", "normal_", spelled={"std": "init_std"}, std=UNKNOWN)
    (by_name,) = read((named,), (call("bias", "constant_", spelled={"val": "init_std"}, val=UNKNOWN),))
    assert by_name.message == "m.bias is filled with init_std, what weights are given as their std"
    assert read((named,), (call("bias", "constant_", spelled={"val": "other"}, val=UNKNOWN),)) == []
    assert read((named, bias)) == read((weight, call("scale", "constant_", val=0.02))) == []
    for value in (0.0, 0.01, 0.1, 0.5):
        assert read((call("weight", "normal_", std=value), call("bias", "constant_", val=value))) == []


def test_a_bias_left_to_torch_beside_a_weight_that_is_not() -> None:
    def said(**fields: Any) -> list[Finding]:
        return ask("INI302", "layer", pair(uniform(-0.1, 0.1), **{"bias_by": "framework", **fields}))

    (finding,) = said()
    assert finding.message.startswith("fc.weight is initialised on purpose, and fc.bias keeps")
    assert finding.parameter == "fc.bias"
    assert len(said(kind="Conv1d")) == len(said(kind="ConvTranspose2d")) == 1
    assert said(bias_by="user") == said(weight_by="framework") == said(normalized=True) == said(kind="LSTM") == []
    assert said(weight=constant(0.1)) == ask("INI302", "layer", layer("fc")) == []


def large(magnitude: float, signal: float | None = None, **fields: Any) -> list[Finding]:
    probe = UNKNOWN if signal is None else LayerProbe(forward_std=signal)
    return of_bias("INI303", fields.pop("law", constant(magnitude)), **{"probe": probe, **fields})


def test_a_bias_that_is_larger_than_the_signal() -> None:
    (finding,) = large(2.0, 1.9)
    assert finding.message == (
        "fc.bias has root mean square 2, and the signal it is added to has std 1.9 on this batch"
    )
    assert (finding.evidence, finding.parameter) == ({"bias": 2.0, "signal_std": 1.9}, "fc.bias")
    (unseen,) = large(1.1)
    assert unseen.message.endswith("has std 1 for inputs of unit scale")
    assert large(2.0, 2.1) == large(0.3, 0.01) == large(0.29, 0.1) == large(0.9) == []
    assert len(large(-0.31, 0.01)) == 1
    assert len(large(0, 0.49, law=normal(0.3, 0.4))) == 1, "mean and std count together"
    assert (
        large(0, 0.51, law=normal(0.3, 0.4)) == large(9, 1.0, law=Distribution(family="data", mean=9.0, std=0.0)) == []
    )
    for fields in ({"is_head": True}, {"normalized": True}, {"joined": ("h",)}, {"activation": None}, {"kind": "LSTM"}):
        assert large(9.0, 1.0, **fields) == []
    assert large(9.0, 1.0, bias_by="framework") == []
    assert large(9.0, 1.0, activation=activation("sigmoid")) == large(9.0, 1.0, activation=NONE) == []
    assert len(large(9.0, 1.0, activation=activation("tanh"))) == len(large(9.0, 1.0, kind="ConvTranspose1d")) == 1


def lstm(*values: tuple[Any, Any], kind: str = "LSTM") -> list[Finding]:
    """An LSTM whose input and hidden bias hold those, a layer each: numbers that somebody set, None for the default."""

    def bias(name: str, value: Any) -> Parameter:
        default = write(normal(0.0, 0.1), 2, "torch.nn.LSTM.reset_parameters", author="framework")
        if value is None:
            return parameter(name, shape=(64,), writes=(default,))
        whole = isinstance(value, float)
        rows = None if whole else value[1]
        given = write(constant(value if whole else value[0]), 5, overwrites=whole, rows=rows)
        return parameter(name, shape=(64,), writes=(default, given))

    made = [
        bias(f"rnn.{which}_l{number}", value)
        for number, both in enumerate(values)
        for which, value in zip(("bias_ih", "bias_hh"), both, strict=True)
    ]
    return ask("INI304", "layer", layer("rnn", *made, kind=kind))


GATE = (16, 32)


def test_what_a_forget_gate_sums_to() -> None:
    (two,) = lstm((1.0, 1.0))
    assert two.message.startswith("the forget gate of rnn.bias_hh_l0 sums to 2")
    (none,) = lstm((0.0, 0.0))
    assert none.message.startswith("the forget gate of rnn.bias_hh_l0 sums to 0")
    assert lstm((1.0, 0.0)) == lstm((0.0, 1.0)) == lstm((None, None)) == lstm((1.0, 1.0), kind="GRU") == []
    assert len(lstm((1.0, 1.0), kind="LSTMCell")) == 1
    assert lstm((0.0, None)) == []
    (part,) = lstm(((1.0, GATE), (1.0, GATE)))
    assert "sums to 2" in part.message
    assert lstm(((1.0, (17, 32)), (1.0, (17, 32)))) == lstm(((1.0, (16, 31)), (1.0, (16, 31)))) == []


def test_a_forget_gate_that_is_open_in_one_layer_alone() -> None:
    (first,) = lstm((1.0, 0.0), (None, None))
    assert first.message == "the forget gate of rnn.bias_ih_l0 was set there and not in bias_ih_l1"
    (second,) = lstm((None, None), (None, 1.0), (None, None))
    assert second.message == "the forget gate of rnn.bias_hh_l1 was set there and not in bias_ih_l0, bias_ih_l2"
    assert lstm((1.0, 0.0), (1.0, 0.0)) == lstm((-1.0, 0.0), (None, None)) == []


def norm(law: Distribution, *, stuck: bool | None = None, probe: Any = UNKNOWN, **fields: Any) -> list[Finding]:
    escape = UNKNOWN if stuck is None else Escape(reached=True, received=not stuck, steps=4)
    scale = parameter("n.weight", law, **{"role": "norm_scale", "escape": escape, **fields})
    layer("n", scale, kind="LayerNorm", class_name="LayerNorm", probe=probe)
    return ask("INI305", "parameter", scale)


def test_the_scale_of_a_norm() -> None:
    (finding,) = norm(normal(0.0, 0.02))
    assert finding.message == "n.weight, the scale of LayerNorm, is drawn around 0 with std 0.02 instead of 1"
    assert finding.evidence == {"mean": 0.0, "std": 0.02}
    (probed,) = norm(normal(0.0, 0.02), probe=LayerProbe(forward_std=0.02))
    assert probed.message.endswith("instead of 1: signal std behind it is 0.02")
    assert len(norm(normal(0.49, 1.0))) == len(norm(normal(-0.49, 1.0))) == len(norm(uniform(0.0, 1.19))) == 1
    assert norm(normal(0.51, 1.0)) == norm(normal(-0.51, 1.0)) == norm(uniform(0.0, 1.21)) == norm(constant(0.5)) == []
    assert norm(normal(0.0, 0.02), role="weight") == norm(normal(0.0, 0.02), trainable=False) == []
    (zero,) = norm(constant(0.0), stuck=True)
    assert "is 0, and got no gradient in 4 training steps" in zero.message
    assert norm(constant(0.0), stuck=False) == norm(constant(1.0), stuck=True) == []


def norms_read(
    kinds: tuple[str, ...], law: Distribution | None = None, function: str = "torch.nn.init.normal_", **fields: Any
) -> list[Finding]:
    target = {"text": "m.weight", "attribute": "weight", "kinds": kinds, "held": kinds, **fields.pop("target", {})}
    made = InitCall(
        function=function,
        written="init.normal_",
        target=Target(**target),
        location=at(4),
        distribution=law or normal(0.0, 0.02),
        **{"evaluated": False, **fields},
    )
    return ask("INI305", "call", made)


def test_a_call_that_draws_the_scale_of_norms() -> None:
    (alone,) = norms_read(("LayerNorm", "BatchNorm2d"))
    assert alone.message == "init.normal_ draws the scale of LayerNorm, BatchNorm2d around 0 with std 0.02 instead of 1"
    assert (alone.evidence, alone.severity) == ({"mean": 0.0, "std": 0.02}, Severity.WARNING)
    assert alone.fix == unsafe(WriteBy(at(4), "torch.nn.init.ones_"))
    (among,) = norms_read(("Linear", "LayerNorm"), function="transformers.initialization.normal_")
    assert among.fix == unsafe(SplitBranch(at(4), ("LayerNorm",), "transformers.initialization.ones_"))
    assert norms_read(("Linear",)) == norms_read(("LayerNorm",), normal(1.0, 0.02)) == []
    assert norms_read(("LayerNorm",), evaluated=True) == norms_read(("LayerNorm",), target={"attribute": "bias"}) == []
    assert norms_read(("LayerNorm",), target={"held": ()}) == []


@pytest.mark.parametrize(
    ("kind", "norms", "expected"),
    [
        ("Linear", ("BatchNorm1d",), 1),
        ("Linear", ("batch_norm",), 1),
        ("Linear", ("InstanceNorm1d",), 0),
        ("Conv2d", ("BatchNorm2d",), 1),
        ("Conv2d", ("InstanceNorm2d",), 1),
        ("Conv2d", ("instance_norm",), 1),
        ("ConvTranspose2d", ("BatchNorm2d", "batch_norm"), 1),
        ("Conv2d", ("BatchNorm2d", "LayerNorm"), 0),
        ("Conv2d", ("GroupNorm",), 0),
        ("Conv2d", (), 0),
        ("Bilinear", ("BatchNorm1d",), 0),
    ],
)
def test_a_bias_that_a_norm_takes_away(kind: str, norms: tuple[str, ...], expected: int) -> None:
    consumers = tuple(Consumer(kind="norm", name=name) for name in norms)
    findings = ask("INI306", "layer", pair(constant(0.0), kind=kind, consumers=consumers))
    assert [finding.parameter for finding in findings] == ["fc.bias"] * expected


def test_a_bias_that_goes_elsewhere_too_is_of_use() -> None:
    both = (Consumer(kind="norm", name="BatchNorm1d"), Consumer(kind="sum", name="add"))
    assert ask("INI306", "layer", pair(constant(0.0), consumers=both)) == []
    assert ask("INI306", "layer", layer("fc", consumers=both[:1])) == []
    frozen = parameter("fc.bias", constant(0.0), trainable=False)
    assert ask("INI306", "layer", layer("fc", parameter("fc.weight"), frozen, consumers=both[:1])) == []


def test_a_bias_that_nobody_wrote() -> None:
    def said(name: str, last: Write, **fields: Any) -> list[Finding]:
        return ask("INI301", "parameter", parameter(name, writes=(last,), **fields))

    memory = write(uninitialized(), 4, "torch.empty")
    (finding,) = said("fc.bias", memory)
    assert finding.message == (
        "fc.bias is allocated by torch.empty and never written: it holds whatever the memory held"
    )
    assert finding.help == "write it: nn.init.zeros_(fc.bias)"
    assert said("fc.weight", memory) == said("fc.bias", memory, is_buffer=True) == []
    assert said("fc.bias", write(constant(math.pi))) == []
