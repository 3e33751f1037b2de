"""What initlint tells people to write instead, run: the weights it draws have the gain that the nonlinearity needs."""

from __future__ import annotations

import math

import pytest

from initlint.facts import Activation, known
from initlint.theory.gains import CALCULATE_GAIN_NAMES, activation, torch_gain
from initlint.theory.nonlinearities import names
from initlint.theory.remedies import STAND_INS, initializer_for, scheme_for, suits
from initlint.theory.schemes import drawn

NAMED = sorted(names())
DRAWN = ("relu", "relu6", "leaky_relu", "tanh", "sigmoid", "selu", "identity")


def gain_meant(unit: Activation) -> float:
    """That of the nonlinearity, but for those for which Glorot's initialisation is the custom."""
    return torch_gain(unit.name) if unit.name in ("tanh", "sigmoid") else unit.gain


@pytest.mark.torch
@pytest.mark.parametrize("name", NAMED)
def test_the_call_draws_weights_of_the_gain_that_is_needed(name: str) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    unit = activation(name, 0.3 if name in ("leaky_relu", "prelu") else None)
    weight = torch.empty(400, 400)
    exec(initializer_for(unit), {"nn": torch.nn, "math": math, "weight": weight, "fan_in": 400})
    assert float(weight.std()) * 20 == pytest.approx(gain_meant(unit), rel=0.015)


def test_the_call_names_what_it_writes() -> None:
    for name in NAMED:
        assert "(self.fc.weight," in initializer_for(activation(name, None), "self.fc.weight")


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("law", ["uniform", "normal"])
def test_the_scheme_says_what_the_call_does(name: str, law: str) -> None:
    unit = activation(name, 0.3 if name == "leaky_relu" else None)
    said = scheme_for(unit, f"torch.nn.init.xavier_{law}_")
    assert said is not None
    function, pairs = said
    arguments = dict(pairs)
    assert set(arguments) <= {"a", "nonlinearity", "gain"}
    if isinstance(arguments.get("gain"), tuple):
        called, argument = arguments["gain"]
        assert called == "torch.nn.init.calculate_gain"
        arguments["gain"] = torch_gain(argument)
    distribution = drawn(function, arguments, (400, 400))
    assert distribution.family == law
    assert distribution.std * 20 == pytest.approx(gain_meant(unit), rel=1e-6)


def test_where_a_formula_would_have_to_be_written_there_is_no_scheme() -> None:
    assert all(scheme_for(activation(name, None), "normal_") is None for name in NAMED if name not in DRAWN)


def test_stand_ins_are_names_that_calculate_gain_has() -> None:
    assert set(STAND_INS.values()) <= CALCULATE_GAIN_NAMES
    assert not STAND_INS.keys() & CALCULATE_GAIN_NAMES
    for name, told in STAND_INS.items():
        if name in names():
            needed, given = activation(name, None).gain, torch_gain(told, 0.25 if told == "leaky_relu" else None)
            assert given == pytest.approx(needed, rel=0.37), name  # hardswish is the farthest
    assert {STAND_INS[each] for each in ("prelu", "rrelu", "leakyrelu", "leaky", "lrelu")} == {"leaky_relu"}
    assert {STAND_INS[each] for each in ("none", "identity")} == {"linear"}
    smooth = ("gelu", "silu", "swish", "mish", "elu", "celu", "hardswish", "relu6", "softplus")
    assert {STAND_INS[each] for each in smooth} == {"relu"}


@pytest.mark.parametrize(
    ("told", "gain", "follows", "sound"),
    [
        ("relu", math.sqrt(2), "relu", True),
        ("relu", math.sqrt(2), "gelu", True),  # torch has no name for it
        ("leaky_relu", 1.41, "silu", True),
        ("tanh", 5 / 3, "gelu", True),  # within 15 % of 1.53, whatever it is called
        ("sigmoid", 1.0, "gelu", False),
        ("relu", math.sqrt(2), "relu6", True),
        ("sigmoid", 1.0, "relu6", False),
        ("linear", 1.0, "relu", False),
        ("relu", math.sqrt(2), "tanh", False),  # calculate_gain says 5/3: 15.1 % off
        ("linear", 1.0, "tanh", False),
        ("selu", 3 / 4, "selu", True),
        ("linear", 1.0, "selu", True),  # LeCun's
        ("relu", math.sqrt(2), "selu", False),
        ("linear", 1.0, "sigmoid", True),
        ("relu", 1.85, "sigmoid", True),  # what keeps variance
        ("relu", math.sqrt(2), "sigmoid", False),
        ("relu", math.sqrt(2), "identity", True),  # Linear before an unknown rest: nothing to say
    ],
)
def test_which_gain_suits_which_nonlinearity(told: str, gain: float, follows: str, sound: bool) -> None:
    assert suits(told, gain, activation(follows, None)) == sound


def test_leaky_relu_is_held_to_its_slope() -> None:
    steep = activation("leaky_relu", 0.5)
    assert suits("leaky_relu", torch_gain("leaky_relu", 0.5), steep)
    assert suits("leaky_relu", steep.gain * 1.14, steep)
    assert not suits("leaky_relu", steep.gain * 1.2, steep)
    assert not suits("leaky_relu", steep.gain / 1.2, steep)
    assert suits("linear", steep.gain, steep), "a gain that is right by another name"
    assert not suits("linear", 1.5, steep)
    assert known(steep.gain)
