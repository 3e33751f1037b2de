"""What the rules of the probe say of figures measured, on either side of each limit that their documentation names."""

from __future__ import annotations

import math
from typing import Any

import pytest

from initlint.facts import (
    UNKNOWN,
    Chain,
    Consumer,
    Escape,
    Layer,
    LayerProbe,
    Model,
    Probe,
    Recurrence,
    UnknownFact,
    WidthScaling,
)
from initlint.findings import Finding, Severity
from initlint.theory.gains import activation
from initlint.theory.schemes import constant, normal

from .by_hand import NONE, TANH, ask, at, layer, model, parameter, told

RUN = {"batch": "8x64", "batch_spread": 0.9, "loss_kind": "target", "judged_dtype": None}


def judged(**figures: Any) -> Probe:
    return Probe(**{**RUN, **figures})


def stack(stds: list[float], gradients: list[float] | None = None, *, head: bool = True, **probe: Any) -> Chain:
    """Layers fc0, fc1, … in a row, with those figures; the total std is 1 at each."""
    gradients = gradients or [1.0] * len(stds)
    layers = [
        layer(
            f"fc{number}",
            probe=LayerProbe(forward_std=std, total_std=max(std, 1.0), gradient_std=gradient),
            is_head=head and number == len(stds) - 1,
        )
        for number, (std, gradient) in enumerate(zip(stds, gradients, strict=True))
    ]
    (chain,) = model(*layers, probe=judged(**probe)).chains
    return chain


def ramp(layers: int, end: float, *, back: bool = False) -> Chain:
    """A signal (or a gradient, on its way back) that goes from 1 to ``end`` halfway through, and a head behind."""
    values = [1.0] * (layers // 2) + [end] * (layers - layers // 2)
    if back:
        return stack([1.0] * (layers + 1), [*values[::-1], 1.0])
    return stack([*values, end], dtype="float64")  # which rounds nothing away


def severities(code: str, chain: Chain) -> list[Severity]:
    return [finding.severity for finding in ask(code, "chain", chain)]


WARNING, ERROR = [Severity.WARNING], [Severity.ERROR]


@pytest.mark.parametrize(
    ("code", "chain", "expected"),
    [
        ("INI701", ramp(5, 0.0011), []),
        ("INI701", ramp(5, 0.0009), WARNING),
        ("INI701", ramp(5, 1.1e-6), WARNING),
        ("INI701", ramp(5, 0.9e-6), ERROR),
        ("INI701", ramp(20, 0.011), []),
        ("INI701", ramp(20, 0.009), WARNING),
        ("INI702", ramp(5, 99.0), []),
        ("INI702", ramp(5, 101.0), WARNING),
        ("INI702", ramp(5, 999.0), WARNING),
        ("INI702", ramp(5, 1001.0), ERROR),
        ("INI702", stack([1.0, 101.0]), WARNING),
        ("INI702", stack([101.0]), []),
        ("INI703", ramp(5, 1.1e-4, back=True), []),
        ("INI703", ramp(5, 0.9e-4, back=True), WARNING),
        ("INI703", ramp(5, 0.9e-6, back=True), ERROR),
        ("INI703", ramp(4, 0.9e-4, back=True), WARNING),
        ("INI703", ramp(3, 0.9e-4, back=True), []),
        ("INI704", ramp(5, 0.9e4, back=True), []),
        ("INI704", ramp(5, 1.1e4, back=True), WARNING),
        ("INI704", ramp(5, 1.1e6, back=True), ERROR),
        ("INI704", ramp(4, 1.1e4, back=True), WARNING),
        ("INI704", ramp(3, 1.1e4, back=True), []),
    ],
)
def test_a_drift_is_judged_by_its_ratio(code: str, chain: Chain, expected: list[Severity]) -> None:
    assert severities(code, chain) == expected


@pytest.mark.parametrize(("loss", "expected"), [("target", []), ("model", WARNING)])
def test_a_loss_may_reach_what_is_returned_as_well(loss: str, expected: list[Severity]) -> None:
    layers = [
        layer(f"fc{n}", probe=LayerProbe(forward_std=1.0, gradient_std=10.0**n), returned_too=n == 2) for n in range(6)
    ]
    (chain,) = model(*layers, probe=judged(loss_kind=loss)).chains
    assert severities("INI703", chain) == expected
    longer = [layer(f"fc{n}", probe=LayerProbe(forward_std=1.0, gradient_std=100.0**n)) for n in range(3, 7)]
    (chain,) = model(*layers[:3], *longer, probe=judged(loss_kind=loss)).chains
    assert severities("INI703", chain)[-1:] == [Severity.WARNING if loss == "target" else Severity.ERROR]


def test_a_fall_at_the_last_layer_alone_is_meant() -> None:
    assert severities("INI701", stack([1.0, 1.0, 1.0, 1e-5], head=False)) == []
    assert severities("INI701", stack([1.0, 1.0, 1e-5, 1e-5], head=False)) == WARNING
    assert severities("INI701", stack([1.0] * 4 + [1e-5])) == [], "a head drawn small"


def test_an_output_that_biases_drown() -> None:
    def said(*shares: float, head: bool = True, **probe: Any) -> list[Severity]:
        return severities("INI701", stack(list(shares), head=head, dtype="float64", **probe))

    assert said(0.02, 0.009, 0.9e-5) == WARNING
    assert said(0.02, 0.009, 1.1e-5) == said(0.02, 0.011, 0.9e-5) == said(0.02, 0.009, 0.0) == []
    assert said(0.8e-3, 0.8e-3, 0.9e-6) == said(0.02, 0.009, 0.9e-5, predicted=True) == []
    assert said(0.02, 0.009, 0.9e-5, head=False) == []
    finding = told("INI701", "chain", stack([0.02, 0.009, 0.9e-5], dtype="float64"))
    assert finding.message == (
        "9e-06 of the std of what fc2 puts out differs between samples, of what fc0 gives 0.02: biases are the rest"
    )
    assert finding.suspects == ("fc0", "fc1", "fc2")


def shared(name: str, share: float, kind: str = "LayerNorm", **fields: Any) -> Layer:
    """A layer of whose output that share differs between samples."""
    figures = LayerProbe(forward_std=share, total_std=1.0, **fields.pop("figures", {}))
    return layer(name, kind=kind, probe=figures, **fields)


def test_norms_that_are_given_next_to_the_same_for_all_samples() -> None:
    def said(given: float, put_out: float, kind: str = "LayerNorm", attention: int = 2, **probe: Any) -> list[Finding]:
        asks = [
            shared(f"ask{n}", 0.5, "Linear", figures={"one_hot_fraction": 0.0, "one_hot_gates": False})
            for n in range(attention)
        ]
        ends = shared("norm0", 0.01, kind), shared("norm1", given, kind), shared("out", put_out, "Linear", is_head=True)
        return ask("INI701", "model", model(*asks, *ends, probe=judged(**probe)))

    (finding,) = said(0.249, 0.0029)
    assert finding.severity == Severity.WARNING
    assert finding.message == (
        "0.2 of the std of what norms give differs between samples, 0.003 of what is put out: what is the same for all "
        "of them (positions, a class token, biases) drowns it"
    )
    assert (finding.layer, finding.evidence) == ("norm0", {"given": 0.249, "put_out": 0.0029, "norms": 2})
    assert said(0.251, 0.0029) == said(0.249, 0.0031) == [], "one norm that has enough, an output that does"
    assert said(0.249, 0.0) == [], "an output layer of zeros"
    assert said(0.249, 0.0029, "BatchNorm1d") == said(0.249, 0.0029, attention=1) == []
    assert said(0.249, 0.0029, predicted=True) == said(0.249, 0.0029, batch_spread=0.29) == []


def test_the_ends_of_towers_that_are_drowned() -> None:
    unit = {"consumers": (Consumer(kind="norm", name="div"),), "ends_branch": False}

    def said(
        *shares: float, hidden: int = 4, kind: str = "Linear", norm: str = "LayerNorm", **probe: Any
    ) -> list[Finding]:
        maps = [
            shared(f"map{n}", 0.5, kind, consumers=(Consumer(kind="activation", name="relu"),)) for n in range(hidden)
        ]
        ends = [shared(f"end{n}", share, "Linear", **unit) for n, share in enumerate(shares)]
        return ask("INI701", "model", model(shared("norm", 0.1, norm), *maps, *ends, probe=judged(**probe)))

    (finding,) = said(0.0099, 0.001)
    assert finding.severity == Severity.WARNING
    assert finding.message == (
        "0.01 of the std of what end0 and end1 give differs between samples, and it is brought to unit length: biases "
        "are the rest"
    )
    assert (finding.parameter, finding.evidence) == ("end0.weight", {"share": 0.0099})
    assert said(0.001, 0.011) == said(0.0, 0.0) == [], "one tower that has enough, and what gives nothing at all"
    assert said(0.0099, 0.001, hidden=3) == [], "one hidden layer, and another of two"
    assert said(0.0099, 0.001, kind="Conv2d") == said(0.0099, 0.001, norm="BatchNorm1d") == []
    assert said(0.0099, 0.001, predicted=True) == said(0.0099, 0.001, batch_spread=0.29) == []


@pytest.mark.parametrize(("dtype", "eps"), [("float32", 2**-23), ("bfloat16", 2**-7)])
def test_what_rounding_drowns_is_an_error(dtype: str, eps: float) -> None:
    start = 1000 * 10 * eps
    lost, held = ([start, *[end * 10 * eps] * 4] for end in (0.99, 1.01))
    assert severities("INI701", stack([each / 2000 for each in lost], dtype=dtype)) == ERROR
    assert severities("INI701", stack([start * 2, *held[1:]], dtype=dtype)) == WARNING
    assert severities("INI701", stack([start * 2, *lost[1:]], dtype=dtype)) == ERROR
    asked = stack([start * 2, *lost[1:]], dtype="float64", judged_dtype=dtype)
    assert severities("INI701", asked) == ERROR, "the format asked for counts before the one run in"
    assert severities("INI701", stack([start * 2, *lost[1:]], dtype="float64")) == WARNING
    assert severities("INI701", stack([start * 2, *lost[1:]], dtype=dtype, predicted=True)) == WARNING


def test_what_a_format_cannot_hold_is_an_error() -> None:
    assert severities("INI702", stack([600.0, 65000.0], judged_dtype="fp16")) == WARNING
    assert severities("INI702", stack([600.0, 66000.0], judged_dtype="fp16")) == ERROR
    assert severities("INI702", stack([600.0, 66000.0], judged_dtype="bf16")) == WARNING


def test_a_drift_is_told_where_it_sets_in() -> None:
    chain = stack([1.0, 0.5, 0.04, 1e-3, 1e-4, 1e-4])
    finding = told("INI701", "chain", chain)
    assert finding.message.endswith("1 -> 0.0001 over 5 layers, from fc0 to fc4")
    assert finding.evidence == {"start": 1.0, "end": 1e-4, "ratio": pytest.approx(1e-4), "layers": 5}
    assert (finding.parameter, finding.layer, finding.suspects) == ("fc2.weight", "fc2", ("fc0", "fc1", "fc2"))
    assert "raise the gain" in finding.help
    assert "lower the gain" in told("INI702", "chain", ramp(5, 1e3)).help


def measured(share: float = 0.8, samples: int = 64, shape: tuple[int, ...] = (4, 64), **fields: Any) -> Layer:
    """A layer of which that share of the units is dead."""
    law, total = fields.pop("law", None), fields.pop("total_std", 1.0)
    probe = LayerProbe(forward_std=1.0, total_std=total, forward_stds=(1.0,), dead_fraction=share, samples=samples)
    return layer("fc", parameter("fc.weight", law, shape=shape), probe=probe, **fields)


def test_dead_units() -> None:
    assert ask("INI705", "layer", measured(0.75)) == []
    assert ask("INI705", "layer", measured(samples=63)) == []
    assert ask("INI705", "layer", measured(shape=(1, 64))) == []
    finding = told("INI705", "layer", measured(0.76, shape=(2, 64)))
    assert finding.message == "76% of the units of fc are zero behind relu for all 64 values seen"
    assert finding.evidence == {"dead_fraction": 0.76, "samples": 64}
    assert (finding.parameter, finding.layer) == ("fc.weight", "fc")
    assert ask("INI705", "layer", measured(total_std=0.0)) == [], "what is fed with zeros"
    assert len(ask("INI705", "layer", measured(total_std=0.0, law=constant(-1.0)))) == 1
    assert "behind the activation" in told("INI705", "layer", measured(activation=None)).message


@pytest.mark.parametrize(("beside", "expected"), [(0.5, 1), (1.0, 1), (2.0, 0)])
def test_of_a_sum_the_largest_is_told(beside: float, expected: int) -> None:
    probe = LayerProbe(forward_std=beside, forward_stds=(beside,))
    dead, other = measured(joined=("other",)), layer("other", probe=probe)
    model(dead, other)
    assert len(ask("INI705", "layer", dead)) == expected


def saturated(share: float = 0.6, *, bias: float | None = None, role: str = "weight", **fields: Any) -> list[Finding]:
    own = [parameter("fc.weight", role=role)]
    own += [] if bias is None else [parameter("fc.bias", constant(bias))]
    probe = LayerProbe(forward_std=5.0, forward_stds=(5.0,), saturated_fraction=share)
    made = layer("fc", *own, **{"probe": probe, "activation": TANH, **fields})
    model(made, layer("other", probe=LayerProbe(forward_std=9.0, forward_stds=(1.0,))))
    return ask("INI706", "parameter", made.parameters[0])


def test_saturated_units() -> None:
    (finding,) = saturated(0.51)
    assert finding.message == "51% of the values that fc gives lie where tanh behind it is flat"
    assert finding.evidence == {"saturated_fraction": 0.51}
    assert (finding.parameter, finding.layer) == ("fc.weight", "fc")
    assert saturated(0.5) == []
    assert saturated(normalized=True) == []
    assert saturated(activation=None) == []
    assert len(saturated(role="norm_scale")) == 1, "the weight of a norm scales as well"
    assert saturated(role="embedding") == []
    with pytest.raises(UnknownFact):
        saturated(UNKNOWN)
    assert [len(saturated(bias=bias)) for bias in (1.9, -1.9, 2.0, -2.0)] == [1, 1, 0, 0]
    (summed,) = saturated(joined=("other",))
    assert "gives, with what is added to them, lie" in summed.message


@pytest.mark.parametrize(
    ("share", "others", "fields", "expected"),
    [
        (0.6, [0.2], {}, 0),
        (0.6, [0.41], {}, 1),
        (0.89, [0.0] * 5, {}, 0),
        (0.91, [0.0] * 5, {}, 1),
        (0.6, [0.0] * 5, {"calls": 2}, 1),
    ],
)
def test_one_saturated_layer_among_several(
    share: float, others: list[float], fields: dict[str, Any], expected: int
) -> None:
    """What the layers before the same function come to, all in all; one before another function does not count."""
    probes = [LayerProbe(forward_std=5.0, forward_stds=(5.0,), saturated_fraction=share, **fields)]
    probes += [LayerProbe(forward_std=1.0, saturated_fraction=each) for each in others]
    layers = [layer(f"fc{number}", probe=probe, activation=TANH) for number, probe in enumerate(probes)]
    model(
        *layers,
        layer("gate", activation=activation("sigmoid"), probe=LayerProbe(forward_std=1.0, saturated_fraction=0.0)),
    )
    assert len(ask("INI706", "parameter", layers[0].weight)) == expected


def recurring(share: float, other: float) -> list[Finding]:
    """Two layers of an LSTM, the first of which is given that share of values at which its tanh is flat."""
    runs = tuple(
        Recurrence(
            weight=f"weight_ih_l{depth}",
            recurrent_weight=f"weight_hh_l{depth}",
            depth=depth,
            steps=4,
            gated=True,
            activation=TANH,
            input_std=1.0,
            state_std=1.0,
            saturated_fraction=each,
        )
        for depth, each in enumerate((share, other))
    )
    made = layer(
        "cell", parameter("cell.weight_ih_l0"), kind="LSTM", probe=LayerProbe(forward_std=1.0, recurrences=runs)
    )
    model(made)
    return ask("INI706", "parameter", made.parameters[0])


def test_one_saturated_layer_of_two_that_recur() -> None:
    assert recurring(0.78, 0.0) == recurring(0.6, 0.3) == []
    assert len(recurring(0.69, 0.49)) == len(recurring(0.91, 0.0)) == 1


def test_one_hot_rows() -> None:
    def rows(share: float, *, gates: bool = False) -> list[Finding]:
        probe = LayerProbe(forward_std=1.0, one_hot_fraction=share, one_hot_gates=gates)
        made = layer("query", probe=probe)
        model(made)
        return ask("INI706", "layer", made)

    assert rows(0.5) == []
    (finding,) = rows(0.51)
    assert finding.message == "51% of the rows of the softmax behind query are one-hot"
    assert finding.evidence == {"one_hot_fraction": 0.51}
    assert (finding.parameter, finding.layer, finding.severity) == ("query.weight", "query", Severity.WARNING)
    assert [each.severity for each in rows(0.51, gates=True)] == [Severity.ADVICE]


def escaped(*, reached: bool = True, received: bool = False, held: bool = False) -> Escape:
    return Escape(reached=reached, received=received, steps=5, held_by_copies=held)


def test_a_stuck_weight_is_an_error_and_speaks_for_its_bias() -> None:
    def bias_beside(weight: Escape, **fields: Any) -> list[Finding]:
        bias = parameter("fc.bias", escape=escaped())
        made = layer("fc", parameter("fc.weight", escape=weight), bias, **fields)
        model(made)
        return ask("INI707", "parameter", bias)

    weight = parameter("fc.weight", escape=escaped())
    model(layer("fc", weight))
    finding = told("INI707", "parameter", weight)
    assert (finding.severity, finding.parameter, finding.layer) == (Severity.ERROR, "fc.weight", "fc")
    assert finding.evidence == {"steps": 5}
    assert bias_beside(escaped()) == []
    (alone,) = bias_beside(escaped(received=True))
    assert (alone.severity, alone.parameter) == (Severity.WARNING, "fc.bias")
    assert bias_beside(escaped(received=True), normalized=True) == [], "the norm cancels it by design"


@pytest.mark.parametrize(
    "fields",
    [
        {"escape": escaped(held=True)},
        {"escape": escaped(reached=False)},
        {"escape": escaped(received=True)},
        {"is_buffer": True},
        {"trainable": False},
    ],
)
def test_what_is_not_stuck_or_not_trained_is_left_alone(fields: dict[str, Any]) -> None:
    weight = parameter("fc.weight", **{"escape": escaped(), **fields})
    model(layer("fc", weight))
    assert ask("INI707", "parameter", weight) == []


def unreached(*reached: bool | None, kind: str = "Linear", loss: str = "target") -> list[Finding]:
    """A layer whose parameters a backward reached, or not; None is a frozen one."""
    own = [
        parameter(f"fc.{name}", trainable=each is not None, escape=UNKNOWN if each is None else escaped(reached=each))
        for name, each in zip(("weight", "bias", "scale"), reached, strict=False)
    ]
    made = layer("fc", *own, kind=kind)
    model(made, probe=judged(loss_kind=loss))
    return ask("INI711", "layer", made)


def test_a_layer_that_nothing_reaches_is_named_as_a_whole() -> None:
    (whole,) = unreached(False, False, loss="model")
    assert whole.message.startswith("nothing leads from the model's own loss to fc on this batch")
    assert (whole.parameters, whole.evidence) == (("fc.weight", "fc.bias"), {"steps": 5})
    (part,) = unreached(False, True)
    assert "from a loss on the primary output to fc.weight on" in part.message
    assert part.parameters == ("fc.weight",)
    (bare,) = unreached(False, False, kind="Module", loss="cross-entropy")
    assert "from the loss to fc.weight, fc.bias on" in bare.message, "a module of the user's may hold more than these"
    (rest,) = unreached(False, None)
    assert "to fc on" in rest.message, "what is frozen is not asked"
    assert unreached(True, True) == unreached(None, None) == []


def loss(value: float, classes: int | None = 10, *, heads: int = 1, finite: bool = True) -> list[Finding]:
    body = layer("body")
    last = [layer(f"head{number}", is_head=True) for number in range(heads)]
    made = model(body, *last, probe=judged(loss=value, classes=classes, finite=finite, loss_kind="cross-entropy"))
    return ask("INI709", "model", made)


@pytest.mark.parametrize(
    ("classes", "limit"), [(2, math.log(2) + 4), (10, math.log(10) + 4), (1000, 2 * math.log(1000))]
)
def test_a_first_loss_is_held_against_a_blind_guess(classes: int, limit: float) -> None:
    assert loss(limit * 0.999, classes) == []
    (finding,) = loss(limit * 1.001, classes)
    assert finding.evidence == {
        "loss": limit * 1.001,
        "uninformed": math.log(classes),
        "classes": classes,
        "kind": "cross-entropy",
    }


def test_a_loss_points_at_the_layer_that_gives_the_logits() -> None:
    (one,) = loss(20.0)
    assert (one.parameter, one.layer, one.suspects) == ("head0.weight", "head0", ("head0", "body"))
    (two,) = loss(20.0, heads=2)
    assert (two.parameter, two.layer, two.location) == (None, None, at(1))
    assert set(two.suspects) == {"body", "head0", "head1"}
    assert loss(20.0, None) == loss(20.0, 1) == loss(20.0, finite=False) == []


def test_a_non_finite_step() -> None:
    def step(finite: bool, first: str | None) -> list[Finding]:
        return ask("INI708", "model", model(layer(), probe=judged(finite=finite, first_non_finite=first)))

    assert step(True, None) == []
    (named,) = step(False, "fc")
    assert named.message.endswith("first in the output of fc")
    assert (named.evidence, named.location) == ({"first": "fc"}, at(1))
    (later,) = step(False, None)
    assert later.message.endswith("in an output, the loss or a gradient")
    (unseen,) = step(False, UNKNOWN)
    assert (unseen.message, unseen.evidence) == (later.message, {})


def test_a_leak_between_samples() -> None:
    def leak(share: float) -> list[Finding]:
        return ask("INI710", "model", model(layer(), probe=judged(batch_leak=share)))

    assert leak(1e-3) == []
    (finding,) = leak(0.0011)
    assert "is 0.1% of that" in finding.message
    assert (finding.evidence, finding.location) == ({"share": 0.0011}, at(1))


def ranged(forward: tuple[float, float], gradient: tuple[float, float], dtype: str | None = "fp16") -> list[Finding]:
    made = layer("fc", probe=LayerProbe(forward_std=1.0, forward_extent=forward, gradient_extent=gradient))
    model(layer("before"), made, probe=judged(judged_dtype=dtype, largest_gradient=1.0))
    return ask("INI712", "layer", made)


def test_what_a_format_holds() -> None:
    sound = (1.0, 0.1)
    assert ranged(sound, sound) == ranged((1e9, 1.0), sound, None) == []
    (over,) = ranged((40000.0, 1.0), sound)
    assert over.message == "the activations of fc reach 4e+04, beyond half of what fp16 holds (3.28e+04)"
    assert over.evidence == {"dtype": "fp16", "value": 40000.0, "limit": 32752.0}
    assert (over.parameter, over.layer, over.suspects) == ("fc.weight", "fc", ("fc", "before"))
    (under,) = ranged((1.0, 5e-5), sound)
    assert under.message == "the activations of fc are 5e-05 in the median, and below 6.1e-05 fp16 loses digits"
    (gone,) = ranged(sound, (1e-6, 1e-13))
    assert gone.message.startswith("the gradients at fc are ")
    assert gone.message.endswith("fp16 holds nothing")
    (grown,) = ranged(sound, (3e38, 1.0), "bf16")
    assert grown.message.startswith("the gradients at fc reach 3e+38")


def scaled(*slopes: float, head: bool = False) -> list[Finding]:
    """Layers whose output grows as width^slope, at the widths 64 and 256; the last may be the output layer."""
    layers = [layer(f"fc{n}", is_head=head and n == len(slopes) - 1) for n in range(len(slopes))]
    stds = tuple((2.0, 2.0 * 4**slope) for slope in slopes)
    scaling = WidthScaling(argument="width", widths=(64, 256), layers=tuple(layers), stds=stds)
    made: Model = model(*layers, scaling=scaling)
    return ask("INI713", "model", made)


def test_how_outputs_scale_with_the_width() -> None:
    assert scaled(0.34, -0.74) == scaled(0.0, -1.0, head=True) == []
    (grows,) = scaled(0.1, 0.36)
    assert grows.message == (
        "the output of fc1 grows as width^0.36: std 2 at 64, 3.3 at 256; 1 of 2 layers do"  # 2 x 4^0.36
    )
    assert grows.evidence == {
        "exponent": pytest.approx(0.36),
        "widths": [64, 256],
        "stds": [2.0, 2.0 * 4**0.36],
        "layers": 1,
    }
    assert (grows.parameter, grows.layer) == ("fc1.weight", "fc1")
    (shrinks,) = scaled(-0.76, 0.0, -1.0)
    assert "fc0 shrinks as width^-0.76" in shrinks.message
    assert shrinks.message.endswith("2 of 3 layers do, fc2 as width^-1")
    assert len(scaled(1.0, head=True)) == 1, "an output layer that grows is no readout of muP's"


def test_a_fact_made_by_hand_is_whole() -> None:
    """The figures above would be of no use if a rule were silent because something is not known."""
    made = layer("fc", activation=NONE)
    model(made)
    assert made.weight.distribution.std == normal(0.0, 0.125).std
