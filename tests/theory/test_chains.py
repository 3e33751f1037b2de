"""Signal and gradient along chains of facts, as the rules ask about them."""

from __future__ import annotations

import math
from typing import Any

import pytest

from initlint.facts import (
    UNKNOWN,
    Activation,
    Chain,
    Distribution,
    Layer,
    LayerProbe,
    Model,
    Parameter,
    Probe,
    Range,
    ResidualStream,
    UnknownFact,
    known,
)
from initlint.theory.chains import (
    Flow,
    accounts_for,
    body_flow,
    culprit,
    excess_gain,
    flow,
    gives_most,
    gradient_flow,
    growth_through_time,
    heads,
    is_only_path,
    keeps_zero,
    leading_to,
    matrices,
    norm_next,
    output_scale,
    signal_flow,
    variance_factor,
)
from initlint.theory.gains import activation
from initlint.theory.nonlinearities import names
from initlint.theory.schemes import constant, normal
from initlint.theory.variance import ChainLayer, predicted_drift

WIDTH = 64
RELU = activation("relu")


def matrix(name: str, gain: float = 1.0, role: str = "weight", law: Distribution | None = None) -> Parameter:
    measured = law if law is not None else normal(0.0, gain / math.sqrt(WIDTH))
    return Parameter(name=name, role=role, fan_in=WIDTH, measured=measured)


def linear(name: str, *, gain: float = 1.0, bias: Distribution | None = None, **fields: Any) -> Layer:
    parameters = [matrix(f"{name}.weight", gain)]
    if bias is not None:
        parameters.append(Parameter(name=f"{name}.bias", role="bias", measured=bias))
    return Layer(
        name=name, kind="Linear", parameters=tuple(parameters), **{"activation": RELU, "is_head": False, **fields}
    )


def measured(stds: list[float], gradients: list[float] | None = None, *, head: bool = False) -> Chain:
    gradients = gradients or [1.0] * len(stds)
    layers = [
        linear(f"fc{i}", probe=LayerProbe(forward_std=std, gradient_std=gradient), is_head=head and i == len(stds) - 1)
        for i, (std, gradient) in enumerate(zip(stds, gradients, strict=True))
    ]
    probe = Probe(batch="8", loss_kind="model")  # the layers know their model, and what it was run on
    return Chain(layers=Model(name="net", layers=tuple(layers), probe=probe).layers)


def test_signal_runs_from_the_first_layer_to_the_last() -> None:
    chain = measured([2.0, 1.0, 0.1, 0.02])
    found = signal_flow(chain)
    assert (found.ratio, found.start, found.end) == (pytest.approx(0.01), 2.0, 0.02)
    assert [layer.name for layer in found.upto] == ["fc0", "fc1", "fc2"]
    assert (found.departs.name, found.length, found.measured) == ("fc2", 4, True)
    assert [layer.name for layer in found.ends] == ["fc0", "fc3"]
    assert found.told == "2 -> 0.02"


def test_signal_that_departs_nowhere_is_told_with_the_whole_chain() -> None:
    found = signal_flow(measured([2.0, 1.0, 1.5]))
    assert (found.departs.name, len(found.upto)) == ("fc2", 3)


def test_exact_zeros_are_no_ends() -> None:
    found = signal_flow(measured([0.0, 3.0, 1.5, 0.0]))
    assert (found.start, found.end, found.ratio) == (3.0, 1.5, 0.5)
    nothing = signal_flow(measured([0.0, 0.0]))
    assert (nothing.start, nothing.end, known(nothing.ratio)) == (0.0, 0.0, False)


def test_an_output_layer_may_be_small_on_purpose() -> None:
    assert signal_flow(measured([1.0, 1.0, 0.001], head=True)).ratio == 0.001
    assert body_flow(measured([1.0, 1.0, 0.001], head=True)).ratio == 1.0
    assert body_flow(measured([1.0, 1.0, 0.001])).ratio == 0.001
    assert body_flow(measured([1.0], head=True)).length == 1, "the only layer is not left out"
    assert flow(measured([1.0, 1.0, 0.001], head=True)).ratio == 1.0
    assert flow(measured([1.0, 1.0, 90.0], head=True)).ratio == 90.0, "growth counts to the end"
    assert flow(measured([1.0, 0.5, 0.9], head=True)).ratio == 0.5


def test_gradient_runs_the_other_way_and_not_from_the_output_layer() -> None:
    chain = measured([1.0] * 4, [1e-3, 1e-2, 0.5, 1e-9], head=True)
    found = gradient_flow(chain)
    assert (found.ratio, found.start, found.end) == (pytest.approx(2e-3), 0.5, 1e-3)
    assert [layer.name for layer in found.upto] == ["fc2", "fc1"]
    assert gradient_flow(measured([1.0] * 2, [1.0, 10.0])).ratio == pytest.approx(0.1)


def test_what_was_not_run_is_predicted_from_the_weights() -> None:
    slope = Activation(name="leaky_relu", slope=0.5)
    layers = [
        linear("a", gain=0.5, bias=normal(0.3, 0.4)),
        linear("b", gain=2.0, activation=slope),
        linear("c", gain=1.5, activation=None, bias=constant(0.1)),
    ]
    chain = Chain(layers=Model(name="net", layers=tuple(layers)).layers)
    found = flow(chain)
    expected = predicted_drift(
        [
            ChainLayer(0.5, 1, 1, 0.5, "relu"),
            ChainLayer(2.0, 1, 1, 0.0, "leaky_relu", 0.5),
            ChainLayer(1.5, 1, 1, 0.1, UNKNOWN),
        ]
    )
    assert found.ratio == pytest.approx(expected.across_batch)
    assert (found.measured, found.length, len(found.upto)) == (False, 3, 3)
    assert [layer.name for layer in found.ends] == ["a", "c"]
    assert found.departs.name == "a"
    assert found.told == f"by a predicted factor of {found.ratio:.2g}"
    half = Flow(2.0, 1.0, UNKNOWN, layers[0], (), (layers[0], layers[0]), 1, True)
    assert "predicted" in half.told


def test_a_chain_of_which_one_layer_was_not_probed_is_predicted() -> None:
    layers = (linear("a", probe=LayerProbe(forward_std=5.0)), linear("b"))
    assert not flow(Chain(layers=Model(name="net", layers=layers).layers)).measured


def test_linear_maps_are_taken_in_order_without_norms_and_scales() -> None:
    norm = Layer(name="norm", kind="LayerNorm", parameters=(Parameter(name="norm.weight", role="norm_scale"),))
    cell = Layer(
        name="rnn",
        kind="RNN",
        parameters=(Parameter(name="rnn.bias", role="bias"), matrix("rnn.w", role="recurrent_weight"), matrix("rnn.v")),
    )
    fc = linear("fc")
    chain = Chain(layers=(fc, norm, cell))
    assert [(layer.name, weight.name) for layer, weight in matrices(chain)] == [("fc", "fc.weight"), ("rnn", "rnn.w")]
    assert culprit(cell) is cell.parameters[1]
    assert culprit(norm) is norm


def test_excess_over_the_gain_that_the_nonlinearity_needs() -> None:
    layer = linear("fc", gain=3.0)
    assert excess_gain(layer, layer.weight) == pytest.approx(3 / math.sqrt(2))
    assert not known(excess_gain(linear("fc", activation=None), layer.weight))
    with pytest.raises(UnknownFact):
        excess_gain(linear("fc", activation=UNKNOWN), layer.weight)


def test_the_scale_of_an_output_is_measured_or_that_of_unit_inputs() -> None:
    assert output_scale(linear("fc", gain=3.0, probe=LayerProbe(forward_std=7.0)))[0] == 7.0
    assert output_scale(linear("fc", gain=3.0))[0] == pytest.approx(3.0)
    assert output_scale(linear("fc"))[1] != output_scale(linear("fc", probe=LayerProbe(forward_std=1.0)))[1]


def test_a_stream_grows_by_a_factor_a_branch() -> None:
    def stream(*stds: float) -> ResidualStream:
        return ResidualStream(ends=measured(list(stds)).layers)

    assert variance_factor(stream(1.0, 5.0, 4.0)) == pytest.approx(4.0)
    assert variance_factor(stream(2.0, 1.0)) == pytest.approx(0.25)
    assert variance_factor(stream(0.0, 1.0)) == 1.0


def in_chains(*chains: tuple[Layer, ...]) -> None:
    layers = {layer.name: layer for chain in chains for layer in chain}
    Model(name="net", layers=tuple(layers.values()), chains=tuple(Chain(layers=chain) for chain in chains))


def test_a_norm_undoes_the_scale_of_what_only_a_relu_or_a_linear_map_parts_from_it() -> None:
    identity = Activation(name="identity")
    a, b, c = (linear(name, activation=identity, normalized=name == "b") for name in "abc")
    in_chains((a, b), (c, a, b))
    assert norm_next(a), "b's norm"
    assert not norm_next(b), "nothing follows"
    assert not norm_next(c), "a has no norm"
    assert not norm_next(linear("x", activation=None))
    for name, undone in (("relu", True), ("leaky_relu", True), ("prelu", True), ("gelu", False)):
        first, last = linear("p", activation=activation(name)), linear("q", activation=activation(name))
        in_chains((first, last))
        assert norm_next(last) == undone, name
        assert not norm_next(first), "not the chain's end"
    head = linear("h", is_head=True)
    in_chains((head,))
    assert not norm_next(head)
    with pytest.raises(UnknownFact):
        norm_next(linear("x", activation=UNKNOWN))


@pytest.mark.parametrize(
    ("excesses", "ratio", "does"),
    [
        ([0.1, 0.1], 0.01, True),
        ([0.1], 0.01, True),  # half of it
        ([0.11], 0.01, False),
        ([10.0], 100.0, True),
        ([9.0], 100.0, False),
        ([10.0], 0.01, False),
        ([0.1], 100.0, False),
        ([0.1], Range(1e-2, 1e-1), True),
        ([0.1], Range(1e-5, 1e-1), False),  # of the farther end
        ([0.1], 0.0, False),
        ([10.0, 0.1, 0.09], 0.01, True),
    ],
)
def test_gains_account_for_at_least_half_of_a_drift(excesses: list[float], ratio: Any, does: bool) -> None:
    assert accounts_for(excesses, ratio) == does


def test_a_drift_that_may_be_a_whole_loss_is_not_accounted_for() -> None:
    with pytest.raises(UnknownFact):
        accounts_for([0.1], Range(0.0, 0.01))


def test_a_path_is_the_only_one_if_no_other_layer_has_weights() -> None:
    def only(other: Layer | None) -> bool:
        a, b = linear("a"), linear("b")
        there = (a, b) if other is None else (a, b, other)
        return is_only_path(Chain(layers=Model(name="net", layers=there).layers[:2]))

    norm = Layer(name="n", kind="LayerNorm", parameters=(Parameter(name="n.weight", role="norm_scale"),))
    zero = Layer(name="z", kind="Linear", parameters=(matrix("z.weight", law=constant(0.0)),))
    assert only(None)
    assert only(norm)
    assert only(zero)
    assert not only(linear("c"))
    assert not only(Layer(name="x", kind=None))  # type: ignore[arg-type]


def test_which_nonlinearities_keep_a_zero() -> None:
    assert {name for name in names() if not keeps_zero(name)} == {
        "sigmoid",
        "glu",
        "hardsigmoid",
        "softplus",
        "logsigmoid",
    }


@pytest.mark.parametrize(
    ("mine", "others", "most"),
    [((1.0, 3.0), (2.0, 2.5), True), ((2.0, 2.5), (1.0, 3.0), False), ((3.0, 1.0), (1.0, 3.0), True)],
)
def test_of_outputs_that_are_added_up_the_largest_counts(
    mine: tuple[float, ...], others: tuple[float, ...], most: bool
) -> None:
    a = linear("a", joined=("b",), probe=LayerProbe(forward_std=mine[0], forward_stds=mine))
    b = linear("b", joined=("a",), probe=LayerProbe(forward_std=others[0], forward_stds=others))
    alone = linear("c", joined=(), probe=LayerProbe(forward_std=9.0, forward_stds=(9.0,)))
    Model(name="net", layers=(a, b, alone))
    assert gives_most(a) == most
    assert gives_most(alone)


def test_a_gradient_grows_from_the_last_call_to_the_first() -> None:
    assert growth_through_time(linear("a", probe=LayerProbe(forward_std=1.0, gradient_stds=(8.0, 4.0, 2.0)))) == 4.0


def test_heads_and_what_leads_to_them() -> None:
    a, b, c, d = linear("a"), linear("b", is_head=True), linear("c", is_head=UNKNOWN), linear("d")
    model = Model(name="net", layers=(a, b, c, d), chains=(Chain(layers=(a, b)), Chain(layers=(c, d))))
    assert heads(model) == (b,)
    assert leading_to([b], model) == (b, a)
    assert leading_to([], model) == ()
    assert leading_to([d, a], model) == (d, a, b, c)
    assert leading_to([b], Model(name="net", layers=(a, b), chains=UNKNOWN)) == (b,)
