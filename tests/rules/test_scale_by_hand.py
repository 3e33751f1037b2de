"""What the rules on scale say of laws and figures, on either side of each limit that their documentation names."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from initlint.facts import (
    UNKNOWN,
    Activation,
    Chain,
    Consumer,
    Distribution,
    Gain,
    InitCall,
    Layer,
    LayerProbe,
    Misfit,
    Parameter,
    Probe,
    ResidualStream,
    Statistics,
    Target,
)
from initlint.findings import Finding, Severity
from initlint.theory.gains import activation
from initlint.theory.schemes import constant, fan_scaled, normal, truncated_normal

from .by_hand import NONE, RELU, TANH, ask, at, layer, model, parameter, run, told, write

NEEDED = math.sqrt(2) / 8
"""The std that ReLU asks of a fan-in of 64."""
HEAD = {"is_head": True, "activation": NONE}


def scheme(name: str, gain: float) -> Distribution:
    return fan_scaled(name, "uniform", gain, "fan_in", 64)


def drawn(name: str, law: Distribution | None, std: float | None = None, **fields: Any) -> Layer:
    """A layer whose weight was drawn so; ``std`` is what the probe measured at its output."""
    probe = UNKNOWN if std is None else LayerProbe(forward_std=std, total_std=std, forward_stds=(std,))
    return layer(name, parameter(f"{name}.weight", law), **{"probe": probe, **fields})


def stack(law: Distribution, stds: list[float], **fields: Any) -> Chain:
    """Layers of that law, a sound output layer behind them, and what was measured at each; the last twice."""
    layers = [drawn(f"fc{number}", law, std, **fields) for number, std in enumerate(stds)]
    (chain,) = model(*layers, drawn("head", normal(0.0, 0.01), stds[-1], **HEAD)).chains
    return chain


def ramp(ratio: float, layers: int = 6) -> list[float]:
    return [1.0] * (layers // 2) + [ratio] * (layers - layers // 2)


@pytest.mark.parametrize(
    ("code", "gain", "ratio", "expected"),
    [
        ("INI203", 4.0, 99.0, []),
        ("INI203", 4.0, 101.0, [Severity.WARNING]),
        ("INI203", 4.0, 999.0, [Severity.WARNING]),
        ("INI203", 4.0, 1001.0, [Severity.ERROR]),
        ("INI203", 1.49, 101.0, []),
        ("INI203", 1.51, 101.0, [Severity.WARNING]),
        ("INI203", 0.5, 101.0, []),
        ("INI204", 0.25, 0.0011, []),
        ("INI204", 0.25, 0.0009, [Severity.WARNING]),
        ("INI204", 0.25, 1.1e-6, [Severity.WARNING]),
        ("INI204", 0.25, 0.9e-6, [Severity.ERROR]),
        ("INI204", 0.7, 0.0009, []),
        ("INI204", 0.56, 0.0009, []),
        ("INI204", 0.54, 0.0009, [Severity.WARNING]),
        ("INI204", 4.0, 0.0009, []),
    ],
)
def test_weights_off_in_the_direction_of_the_drift(
    code: str, gain: float, ratio: float, expected: list[Severity]
) -> None:
    """0.54 to the sixth accounts for half of a fall to 0.0009 in logarithms, 0.56 falls just short of it."""
    chain = stack(normal(0.0, gain * NEEDED), ramp(ratio))
    assert [finding.severity for finding in ask(code, "chain", chain)] == expected


def test_a_deep_stack_is_held_to_a_hundredth() -> None:
    small = normal(0.0, 0.5 * NEEDED)
    assert len(ask("INI204", "chain", stack(small, ramp(0.009, 12)))) == 1
    assert ask("INI204", "chain", stack(small, ramp(0.011, 12))) == []
    assert len(ask("INI204", "chain", stack(normal(0.0, 0.66 * NEEDED), ramp(0.009, 12)))) == 1
    assert ask("INI204", "chain", stack(normal(0.0, 0.67 * NEEDED), ramp(0.009, 12))) == [], "within half as much again"


def test_what_weights_off_by_a_factor_are_told_with() -> None:
    finding = told("INI203", "chain", stack(normal(0.0, 0.5), [1.0, 4.0, 50.0, 200.0]))
    assert finding.message == (
        "fc0.weight has std 0.5, too large for the relu that follows (fan-in 64 asks for 0.177): over 5 layers signal "
        "std goes 1 -> 2e+02"
    )
    assert finding.evidence == {"std": 0.5, "fan_in": 64, "layers": 5, "signal_ratio": 200.0}
    assert finding.parameters == ("fc0.weight", "fc1.weight", "fc2.weight", "fc3.weight")
    assert finding.suspects == ("fc0", "fc1", "fc2")
    assert "kaiming_normal_" in finding.help
    small = told("INI204", "chain", stack(normal(0.0, 0.02), [1.0, 0.1, 1e-3, 1e-4]))
    assert "too small for the relu" in small.message
    predicted = stack(normal(0.0, 1.0), [1.0] * 6, probe=UNKNOWN)
    assert "signal std moves by a predicted factor of" in told("INI203", "chain", predicted).message


@pytest.mark.parametrize("law", [scheme("xavier_uniform", 4.0), constant(4 * NEEDED)])
def test_a_scheme_and_a_constant_are_other_rules_to_tell(law: Distribution) -> None:
    assert ask("INI203", "chain", stack(law, ramp(120.0, 5))) == []


def test_a_layer_that_alone_leaps() -> None:
    def beside(gain: float, end: float, start: float = 1.0, **fields: Any) -> list[Finding]:
        first, last = drawn("a", None, start), drawn("c", normal(0.0, NEEDED), 1.0)
        middle = layer(
            "b", parameter("b.weight", normal(0.0, gain * NEEDED), **fields), probe=LayerProbe(forward_std=end)
        )
        (chain,) = model(first, middle, last).chains
        return ask("INI203", "chain", chain)

    (finding,) = beside(31.0, 31.0)
    assert finding.message.endswith("31 times what the layer needs: signal std goes 1 -> 31 from a to it")
    assert finding.evidence == {"std": 31 * NEEDED, "fan_in": 64, "excess": pytest.approx(31.0)}
    assert (finding.parameters, finding.layer, finding.severity) == (("b.weight",), "b", Severity.WARNING)
    assert beside(29.0, 31.0) == beside(31.0, 29.0) == beside(31.0, 31.0, start=0.0) == []
    assert beside(31.0, 31.0, trainable=False) == []


@pytest.mark.parametrize(
    ("output", "fields", "expected"),
    [
        (9.9, {}, Severity.ADVICE),
        (10.1, {}, Severity.WARNING),
        (UNKNOWN, {}, Severity.WARNING),
        (9.9, {"activation": TANH}, Severity.WARNING),
        (9.9, {"joined": ("other",)}, Severity.WARNING),
        (9.9, {"joined": UNKNOWN}, Severity.WARNING),
    ],
)
def test_an_excess_that_what_comes_behind_makes_good(output: float, fields: dict[str, Any], expected: Severity) -> None:
    law = normal(0.0, 40 * TANH.gain / 8)
    large = layer("b", parameter("b.weight", law), probe=LayerProbe(forward_std=40.0, total_std=40.0), **fields)
    head = layer("head", probe=LayerProbe(forward_std=1.0, total_std=output), **HEAD)
    (chain,) = model(drawn("a", None, 1.0), large, head).chains
    assert told("INI203", "chain", chain).severity == expected
    model(large, head, chain=False)
    if "activation" not in fields:
        assert told("INI203", "parameter", large.weight).severity == expected
    (predicted,) = model(drawn("a", None, 1.0), large, head, probe=Probe(batch="8x64", predicted=True)).chains
    assert told("INI203", "chain", predicted).severity == Severity.WARNING
    (headless,) = model(drawn("a", None, 1.0), large, drawn("c", None, 1.0)).chains
    assert told("INI203", "chain", headless).severity == Severity.WARNING


def sines(*stds: float, gain: float = 3.0) -> list[Finding]:
    """Layers before sines behind a first one, the one named last being the output layer."""
    layers = [drawn(f"s{n}", normal(0.0, gain / 8), std, activation=activation("sin")) for n, std in enumerate(stds)]
    (chain,) = model(drawn("first", None, 1.0), *layers).chains
    return ask("INI203", "chain", chain)


def test_sines_in_which_signal_wraps_round() -> None:
    (finding,) = sines(3.2, 3.2)
    assert finding.message.endswith("signal std is 3.2 before a sine, in which most of it wraps round")
    assert (finding.parameters, finding.layer) == (("s0.weight", "s1.weight"), "s0")
    assert sines(3.2, 3.1) == sines(3.2) == sines(3.2, 3.2, gain=1.2) == []
    assert sines(3.1, 3.2, 3.2)[0].layer == "s1"


@pytest.mark.parametrize(
    ("gain", "output", "expected"),
    [
        (10.1, 10.1, 1),
        (9.9, 10.1, 0),
        (10.1, 9.9, 0),
        (4.1, 20.1, 1),
        (3.9, 20.1, 0),
        (4.1, 19.9, 0),
    ],
)
def test_a_large_output_layer(gain: float, output: float, expected: int) -> None:
    def said(**fields: Any) -> list[Finding]:
        head = drawn("head", normal(0.0, gain / 8), output, **{**HEAD, **fields})
        model(head)
        return ask("INI203", "parameter", head.weight)

    findings = said()
    assert len(findings) == expected
    assert said(normalized=True) == said(is_head=False) == []
    for finding in findings:
        assert finding.evidence == {"std": gain / 8, "fan_in": 64, "output_std": output}
        assert finding.parameter == "head.weight"


def alone(gain: float = 31.0, output: float = 10.1, *, chain: bool = False, role: str = "weight") -> list[Finding]:
    made = layer(
        "fc",
        parameter("fc.weight", normal(0.0, gain * NEEDED), role=role),
        probe=LayerProbe(forward_std=output, total_std=output),
    )
    model(made, layer("next"), chain=chain)
    return ask("INI203", "parameter", made.parameters[0])


def test_a_large_layer_in_no_chain() -> None:
    (finding,) = alone()
    assert finding.message.endswith("31 times what the layer needs: what it gives has std 10")
    assert finding.evidence["excess"] == pytest.approx(31.0)
    assert alone(gain=29.0) == alone(output=9.9) == alone(chain=True) == alone(role="recurrent_weight") == []


def cell(gain: float, *, returns: int = 24, back: float = 1.0, **fields: Any) -> Layer:
    """A cell written out, whose gradient grows by the factor ``back`` on its way to the first step."""
    made = layer(
        "cell",
        parameter("cell.weight", normal(0.0, gain * TANH.gain / 8), **fields),
        activation=TANH,
        returns=returns,
        probe=LayerProbe(forward_std=1.0, gradient_stds=(back, 1.0)),
    )
    model(made)
    return made


def test_a_cell_written_out() -> None:
    large = told("INI203", "layer", cell(1.6, back=101.0))
    gain = 1.6 * TANH.gain
    assert large.message == (
        f"cell.weight carries the state from step to step with gain {gain:.2g}: over 24 steps gradient std grows "
        "1e+02-fold"
    )
    assert large.evidence == {"gain": pytest.approx(gain), "steps": 24}
    assert "orthogonal_" in large.help
    small = told("INI204", "layer", cell(0.19))
    assert small.message.endswith("what a step took in is lost some steps later, and up to 24 follow")
    assert len(ask("INI204", "layer", cell(0.19, returns=4))) == 1
    for sound in (cell(1.4, back=101.0), cell(1.6, back=99.0)):
        assert ask("INI203", "layer", sound) == []
    for sound in (cell(0.21), cell(0.19, returns=3), cell(0.19, trainable=False)):
        assert ask("INI204", "layer", sound) == []


def test_schemes_for_another_nonlinearity() -> None:
    narrow = scheme("xavier_uniform", 1.0)
    assert ask("INI201", "chain", stack(narrow, ramp(0.011, 8))) == []
    finding = told("INI201", "chain", stack(narrow, [1.0, 1.0, 0.08, *[0.009] * 5]))
    assert finding.message == (
        "xavier_uniform gives fc0.weight gain 1.00 and the relu that follows needs 1.41: over 8 layers signal std goes "
        "1 -> 0.009"
    )
    assert finding.evidence == {
        "scheme": "xavier_uniform",
        "gain": pytest.approx(1.0),
        "gain_needed": RELU.gain,
        "layers": 8,
        "signal_ratio": pytest.approx(0.009),
    }
    assert len(finding.parameters) == len(finding.suspects) == 8
    assert (finding.parameter, finding.suspects[0]) == ("fc0.weight", "fc0")
    assert finding.fix is not None
    wide = scheme("kaiming_uniform", 3.0)
    assert len(ask("INI201", "chain", stack(wide, ramp(101.0, 8)))) == 1
    assert (
        ask("INI201", "chain", stack(wide, ramp(99.0, 8))) == ask("INI201", "chain", stack(wide, ramp(0.009, 8))) == []
    )
    assert "torch's default gives" in told("INI201", "chain", stack(scheme("default", 0.577), ramp(1e-3, 8))).message
    assert "std moves by" in told("INI201", "chain", stack(scheme("default", 0.3), [1.0] * 9, probe=UNKNOWN)).message


def test_a_scheme_within_fifteen_percent_is_no_cause() -> None:
    def mixed(gain: float) -> tuple[str, ...]:
        layers = [drawn(f"fc{n}", scheme("xavier_uniform", 0.3), each) for n, each in enumerate(ramp(1e-3))]
        near = drawn("near", scheme("kaiming_uniform", gain), 1e-3)
        (chain,) = model(*layers, near, drawn("head", None, 1e-3, **HEAD)).chains
        return told("INI201", "chain", chain).parameters

    assert "near.weight" not in mixed(math.sqrt(2) / 1.14)
    assert "near.weight" in mixed(math.sqrt(2) / 1.16)


def test_five_default_layers_before_relu() -> None:
    def said(count: int, **fields: Any) -> list[Finding]:
        layers = [drawn(f"fc{n}", scheme("default", 3**-0.5), **fields) for n in range(count)]
        return ask("INI207", "chain", model(*layers, drawn("head", scheme("default", 3**-0.5), **HEAD)).chains[0])

    assert said(4) == said(6, normalized=True) == said(6, activation=None) == said(6, activation=TANH) == []
    assert said(6, activation=Activation(name="leaky_relu", slope=0.3)) == []
    (finding,) = said(5, activation=Activation(name="leaky_relu", slope=0.2))
    assert "each keeps 0.41 of the signal's std, together 0.01" in finding.message
    assert finding.evidence == {"layers": 5}
    assert finding.parameters == tuple(f"fc{n}.weight" for n in range(5))


def selu(*gains: float, **fields: Any) -> list[Finding]:
    """Layers before SELU whose weights have those gains."""
    phi = activation("selu")
    layers = [drawn(f"fc{n}", normal(0.0, gain / 8), **{"activation": phi, **fields}) for n, gain in enumerate(gains)]
    return ask("INI205", "chain", model(*layers).chains[0])


def test_selu_asks_for_lecun() -> None:
    findings = selu(1.2, 1.0)
    assert [finding.parameter for finding in findings] == ["fc0.weight"]
    assert findings[0].message.startswith("fc0.weight has 1.2 / sqrt(fan_in) before SELU")
    assert findings[0].evidence == {"gain": pytest.approx(1.2)}
    assert len(selu(2.0, 0.5)) == len(selu(0.8, 0.8)) == 2
    assert selu(1.14, 0.86) == selu(0.75, 0.75) == selu(2.0) == selu(2.0, 1.0, 1.0) == []
    assert selu(2.0, 2.0, normalized=True) == selu(2.0, 2.0, joined=("other",)) == []
    assert selu(2.0, 2.0, activation=None) == selu(2.0, 2.0, activation=RELU) == []


def test_a_tied_embedding() -> None:
    def said(std: float, **fields: Any) -> list[Finding]:
        fields = {"role": "embedding", "projects": 16, "logits_std": None, **fields}
        table = parameter("table.weight", normal(0.0, std), **fields)
        return ask("INI209", "parameter", table)

    (finding,) = said(1.0)
    assert "16 terms or more and start with std 4" in finding.message
    assert finding.evidence == {"std": 1.0, "logits_std": 4.0}
    assert said(0.97) == said(1.0, projects=None) == said(1.0, role="weight") == []
    assert said(1.0, writes=(write(Distribution(family="data", std=1.0)),)) == [], "taken from somewhere, not drawn"
    (finding,) = said(1.0, logits_std=6.0)
    assert "start with std 6" in finding.message
    assert said(1.0, logits_std=3.8) == said(0.5, logits_std=6.0) == [], (
        "by what was measured, if the table accounts for it"
    )


def test_a_truncation_that_cuts_nothing() -> None:
    def said(std: float, low: float, high: float, mean: float = 0.0) -> list[Finding]:
        law = truncated_normal(mean, std, low, high)
        call = InitCall(
            function="torch.nn.init.trunc_normal_",
            written="nn.init.trunc_normal_",
            target=Target(text="m.weight"),
            location=at(4),
            distribution=law,
        )
        return ask("INI210", "call", call)

    (finding,) = said(0.02, -2.0, 2.0)
    assert finding.message.startswith("nn.init.trunc_normal_ cuts m.weight 100 standard deviations out")
    assert finding.help.endswith("a=-0.04, b=0.04 cuts at two")
    assert finding.evidence == {"std": pytest.approx(0.02), "low": -2.0, "high": 2.0}
    assert len(said(0.1, -1.01, 1.01)) == len(said(0.1, -0.01, 2.01, mean=1.0)) == 1
    assert said(0.1, -0.99, 2.0) == said(0.1, -2.0, 0.99) == said(0.1, -2.0, 2.0, mean=1.5) == []


def test_residual_branches_that_add_up() -> None:
    def said(first: float, last: float, count: int) -> list[Finding]:
        ends = [drawn(f"end{n}", None, first if n == 0 else last) for n in range(count)]
        made = model(*ends, streams=(ResidualStream(ends=tuple(ends)),))
        return ask("INI211", "model", made)

    def factor(value: float, count: int) -> tuple[float, float, int]:
        return 1.0, value ** ((count - 1) / 2), count

    (finding,) = said(*factor(2.0, 8))
    assert finding.evidence == {
        "branches": 8,
        "variance_factor": pytest.approx(2.0),
        "std_growth": pytest.approx(16.0),
    }
    assert "by 2, together its std by 16" in finding.message
    assert "1/sqrt(16)" in finding.help
    assert finding.parameters == tuple(f"end{n}.weight" for n in range(8))
    assert len(said(*factor(3.2, 4))) == len(said(*factor(1.51, 12))) == 1
    assert said(*factor(3.1, 4)) == said(*factor(5.0, 3)) == said(*factor(1.49, 20)) == []


def test_what_is_huge_is_what_samples_tell() -> None:
    """Biases that hold the means of what is predicted, in pascals and kelvins, make no loss start too large."""

    def severity(across: float, total: float, bias: float = 0.0) -> Severity:
        ends = [drawn(f"end{n}", None, 16.0 if n else 1.0) for n in range(8)]
        own = parameter("head.weight"), parameter("head.bias", normal(0.0, bias), role="bias")
        head = layer("head", *own, is_head=True, probe=LayerProbe(forward_std=across, total_std=total))
        made = model(*ends, head, streams=(ResidualStream(ends=tuple(ends)),))
        (finding,) = ask("INI211", "model", made)
        return finding.severity

    assert severity(160.0, 160.0) is severity(90.0, 160.0) is severity(160.0, 400.0, 300.0) is Severity.WARNING
    assert severity(140.0, 140.0) is severity(2.0, 400.0, 400.0) is Severity.ADVICE


def test_a_stream_and_branches_that_are_faint() -> None:
    def said(
        gain: float = 0.19, within: float = 0.19, count: int = 4, normed: bool = False, **fields: Any
    ) -> list[Finding]:
        """By the share of the gain needed that the weight before the stream has, and those within its branches."""
        first = drawn("first", normal(0.0, gain / 8), 0.1, activation=NONE)
        ups = [drawn(f"up{n}", normal(0.0, (within if n else 0.01) * NEEDED), 0.01) for n in range(count)]
        ends = [drawn(f"down{n}", normal(0.0, 0.01), 1e-4, sum_normalized=normed) for n in range(count)]
        whole = {"ends": tuple(ends), "inner": tuple((up,) for up in ups), "entry": first}
        stream = ResidualStream(**{**whole, **fields})
        return ask("INI204", "model", model(first, *ups, *ends, streams=(stream,)))

    (finding,) = said()
    assert finding.message.endswith(
        "the weights in the 4 branches that are added to its output are too small as well (up0.weight: 0.00177): the "
        "first adds 0.0001 to a signal std of 0.1"
    )
    assert finding.parameters == ("first.weight", "up0.weight", "up1.weight", "up2.weight", "up3.weight")
    assert said(gain=0.21) == said(within=0.21) == said(count=3) == []
    assert said(normed=True) == said(entry=None) == said(inner=((),) * 4) == []


def test_feed_forward_schemes_on_recurrent_weights() -> None:
    def said(name: str | None, **fields: Any) -> list[Finding]:
        law = normal(0.0, 0.1) if name is None else scheme(name, 1.0)
        return ask("INI212", "parameter", parameter("rnn.weight_hh_l0", law, **{"role": "recurrent_weight", **fields}))

    for name in ("xavier_uniform", "kaiming_normal", "lecun_normal"):
        (finding,) = said(name)
        assert f"and drawn by {name}, which" in finding.message
        assert finding.evidence == {"scheme": name}
    assert said("default") == said(None) == said("orthogonal") == said("xavier_uniform", role="weight") == []
    assert said("xavier_uniform", writes=(write(scheme("xavier_uniform", 1.0), author="framework"),)) == []


def unscaled(std: float = 1.0, fan_in: int = 16, *, kind: str = "Module", **fields: Any) -> list[Finding]:
    weight = parameter("net.weight", normal(0.0, std), **{"fan_in": fan_in, **fields})
    layer("net", weight, kind=kind)
    return ask("INI213", "parameter", weight)


def test_a_draw_left_at_a_std_of_one() -> None:
    (finding,) = unscaled()
    assert "summed over 16 inputs: it multiplies the signal by 4" in finding.message
    assert finding.evidence == {"std": 1.0, "growth": 4.0}
    (open_,) = unscaled(fan_in=UNKNOWN, least_fans=(16, 16))
    assert "std 1 however many inputs it sums over: 16 of them multiply the signal by 4" in open_.message
    assert open_.evidence == {"std": 1.0}
    assert len(unscaled(0.91, 25)) == 1
    assert unscaled(0.89, 100) == unscaled(fan_in=15) == unscaled(kind="Linear") == unscaled(trainable=False) == []
    assert unscaled(role="token") == unscaled(writes=(write(normal(0.0, 1.0), author="library"),)) == []
    assert unscaled(writes=(write(replace(normal(0.0, 1.0), family="uniform")),)) == []


@pytest.mark.parametrize(
    ("fan_in", "output", "expected"),
    [
        (99, 9.9, Severity.ADVICE),
        (101, 9.9, Severity.WARNING),
        (99, 10.1, Severity.WARNING),
        (99, UNKNOWN, Severity.WARNING),
    ],
)
def test_a_matrix_of_which_nothing_comes(fan_in: int, output: float, expected: Severity) -> None:
    weight = parameter("net.weight", normal(0.0, 1.0), fan_in=fan_in)
    head = layer("head", probe=LayerProbe(forward_std=1.0, total_std=output), **HEAD)
    model(layer("net", weight, kind="Module"), head)
    assert told("INI213", "parameter", weight).severity == expected


@pytest.mark.parametrize(
    "fields",
    [
        {"normalized": True},
        {"product_normalized": True},
        {"consumers": (Consumer(kind="other", name="x"), Consumer(kind="scale", name="mul"))},
        {"consumers": (Consumer(kind="activation", name="sin"),)},
        {"consumers": (Consumer(kind="activation", name="cos"),)},
    ],
)
def test_a_product_that_is_scaled_behind(fields: dict[str, Any]) -> None:
    weight = parameter("net.weight", normal(0.0, 1.0))
    layer("net", weight, kind="Module", **fields)
    assert ask("INI213", "parameter", weight) == []


def test_a_scale_next_to_nothing() -> None:
    def said(std: float, *, role: str = "weight", head: bool = False) -> list[Finding]:
        figures = Statistics(count=64, mean=0.0, std=std, minimum=-std, maximum=std)
        weight = parameter("fc.weight", statistics=figures, role=role)
        layer("fc", weight, is_head=head)
        return ask("INI214", "parameter", weight)

    (finding,) = said(4.9e-7)
    assert "has std 4.9e-07" in finding.message
    assert finding.evidence == {"std": 4.9e-7}
    assert said(5.1e-7) == said(0.0) == said(1e-9, head=True) == said(1e-9, role="scale") == []


def off(least: float, most: float | None = None, **fields: Any) -> list[Finding]:
    """A weight whose draw lies off by a factor; of some kinds of layer the call is told otherwise."""
    mode, kind, before_norm = (fields.pop(name, None) for name in ("mode", "kind", "normalized"))
    misfit = Misfit(mode=mode or "fan_out", least=least, most=least if most is None else most, taken=4.0, own=64.0)
    write_ = write(scheme("kaiming", 1.0), function="torch.nn.init.kaiming_normal_")
    weight = parameter("fc.weight", **{"misfit": misfit, "writes": (write_,), **fields})
    model(layer("fc", weight, kind=kind or "Linear", normalized=bool(before_norm), is_head=True))
    return ask("INI206", "parameter", weight)


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("fan_in", "a fan-in"),
        ("fan_out", "a fan-out"),
        ("fan_avg", "a mean of fan-in and fan-out"),
        ("longer", "a longer side"),
    ],
)
def test_a_fan_that_is_not_the_maps(mode: str, words: str) -> None:
    (finding,) = off(4.0, mode=mode)
    assert finding.message == (
        f"kaiming_normal_ reads {words} of 4, where the map has 64, off the shape of fc.weight: its std is 4 times the "
        "one that the map asks for"
    )
    assert finding.evidence == {"std_ratio": 4.0, "fan_taken": 4.0, "fan": 64.0}


def test_a_fan_off_by_less_than_twice() -> None:
    assert len(off(1.98)) == len(off(0.5)) == len(off(1 / 1.98)) == len(off(1.99, 30.0)) == len(off(0.01, 0.4)) == 1
    assert off(1.97) == off(0.51) == off(1.9, 30.0) == off(0.1, 0.6) == []
    assert (
        off(4.0, normalized=True) == off(4.0, role="bias") == off(4.0, trainable=False) == off(4.0, misfit=None) == []
    )
    assert off(1.99, 30.0)[0].evidence["std_ratio"] == 1.99
    assert off(0.01, 0.4)[0].evidence["std_ratio"] == 0.4
    (open_,) = off(4.0, misfit=Misfit(mode="fan_in", least=4.0, most=9.0))
    assert "reads a fan-in that is not the map's off the shape" in open_.message
    assert open_.message.endswith("asks for, or further off")
    assert open_.evidence == {"std_ratio": 4.0}


@pytest.mark.parametrize(
    ("fields", "help_"),
    [
        ({"role": "recurrent_weight", "kind": "LSTM"}, "for gate in weight.chunk(4): nn.init.kaiming_normal_(gate)"),
        ({"role": "recurrent_weight", "kind": "LSTMCell"}, "for gate in weight.chunk(4): "),
        ({"role": "recurrent_weight", "kind": "GRU", "normalized": True}, "for gate in weight.chunk(3): "),
        ({"role": "recurrent_weight", "kind": "Module"}, "for gate in the gates of weight: "),
        ({"shape": (8, 4, 4), "kind": "Module"}, "for matrix in weight: nn.init.kaiming_normal_(matrix)"),
        ({"shape": (4, 4), "kind": "Module"}, "std=gain / math.sqrt(fan_in))"),
        ({"shape": (8, 4, 3), "kind": "Conv1d"}, "std=gain / math.sqrt(fan_in))"),
    ],
)
def test_what_to_write_for_a_fan(fields: dict[str, Any], help_: str) -> None:
    (finding,) = off(4.0, **fields)
    assert help_ in finding.help


@pytest.mark.parametrize(
    ("name", "axes", "expected"),
    [
        ("fan_in", ("0", "1:"), 1),
        ("fanin", ("0", "1:"), 1),
        ("fan_out", ("0", "1:"), 0),
        ("fan_in", ("0",), 0),
        ("fan_in", ("1", "1:"), 0),
        (None, (), 0),
    ],
)
def test_a_fan_computed_by_hand(name: str | None, axes: tuple[str, ...], expected: int) -> None:
    for where, line in ((at(6), 6), (None, 4)):
        call = InitCall(
            function="torch.nn.init.normal_",
            written="normal_",
            target=Target(text="w"),
            location=at(4),
            fan_name=name,
            fan_axes=axes,
            fan_at=where,
        )
        findings = ask("INI206", "call", call)
        assert [finding.location and finding.location.line for finding in findings] == [line] * expected
        assert all(finding.message.startswith(f"{name} is the first size") for finding in findings)


def informed(
    function: str, arguments: dict[str, Any], phi: Activation = TANH, *beside: Layer, covered: Any = None, **fields: Any
) -> list[Finding]:
    application = None if covered is None else run("Linear", covered=covered)
    draw = write(scheme("x", 1.0), function=f"torch.nn.init.{function}", arguments=arguments, application=application)
    weight = parameter("fc.weight", writes=(draw,), **fields.pop("own", {}))
    model(layer("fc", weight, **{"activation": phi, **fields}), *beside)
    return ask("INI202", "parameter", weight)


FOR_RELU = {"nonlinearity": "relu", "a": 0}


@pytest.mark.parametrize("function", ["kaiming_normal_", "kaiming_uniform_"])
def test_an_initialiser_told_of_another_nonlinearity(function: str) -> None:
    (finding,) = informed(function, FOR_RELU)
    assert finding.message == f"{function} draws fc.weight for relu (gain 1.41), and tanh follows"
    assert finding.evidence == {"nonlinearity": "relu", "gain": pytest.approx(math.sqrt(2))}
    assert "calculate_gain('tanh')" in finding.help
    assert finding.fix is not None
    assert (
        informed(function, FOR_RELU, RELU)
        == informed(function, {"a": 0})
        == informed(function, {**FOR_RELU, "nonlinearity": "gelu"})
        == []
    )


@pytest.mark.parametrize("function", ["xavier_uniform_", "xavier_normal_", "orthogonal_"])
def test_a_gain_asked_for_by_another_name(function: str) -> None:
    gain = {"gain": Gain.of(5 / 3, "tanh")}
    (finding,) = informed(function, gain, RELU)
    assert f"{function} draws fc.weight for tanh (gain 1.67), and relu follows" in finding.message
    assert informed(function, gain) == informed(function, {}, RELU) == informed(function, {"gain": 5 / 3}, RELU) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"activation": None},
        {"is_head": True},
        {"normalized": True},
        {"joined": ("other",)},
        {"own": {"role": "embedding"}},
    ],
)
def test_where_the_gain_is_not_the_layers_to_choose(fields: dict[str, Any]) -> None:
    assert informed("kaiming_normal_", FOR_RELU, **fields) == []


@pytest.mark.parametrize(("slope", "expected"), [(0.0, 0), (0.8, 1), (1.0, 0), (math.sqrt(5), 0)])
def test_a_slope_that_says_something(slope: float, expected: int) -> None:
    leaky = activation("leaky_relu", 0.01)
    assert len(informed("kaiming_normal_", {"nonlinearity": "leaky_relu", "a": slope}, leaky)) == expected


def test_one_run_over_layers_with_other_nonlinearities() -> None:
    def beside(other: Layer, covered: tuple[str, ...] = ("fc", "other")) -> int:
        return len(informed("kaiming_normal_", FOR_RELU, TANH, other, covered=covered))

    assert beside(layer("other", activation=RELU)) == beside(layer("other", activation=None)) == 0
    assert beside(layer("other", activation=TANH)) == beside(layer("other", activation=RELU), ("fc",)) == 1
    assert beside(layer("other", activation=RELU, is_head=True)) == 1
    assert beside(layer("other", activation=RELU, kind="LayerNorm")) == 1


def alike(law: Distribution, *kinds: str, **fields: Any) -> list[Finding]:
    """A bias that one run over several layers draws together with its weight."""
    covering = run(covered=tuple(f"l{n}" for n in range(len(kinds))))
    one = {"application": covering, **fields}
    bias: Parameter = parameter("l0.bias", writes=(write(law, **one),))
    weight = parameter("l0.weight", writes=(write(normal(0.0, 0.1), application=covering),))
    first = layer("l0", weight, bias, kind=kinds[0])
    model(first, *[layer(f"l{n}", kind=kind) for n, kind in enumerate(kinds) if n])
    return ask("INI208", "layer", first)


def test_one_draw_for_all() -> None:
    law = normal(0.0, 0.1)
    (finding,) = alike(law, "Linear", "Conv2d", "Linear")
    assert finding.message == "one call draws weights and biases of Conv2d, Linear alike"
    assert (finding.evidence, finding.parameter) == ({"kinds": 2}, "l0.bias")
    assert alike(law, "Linear", "Linear") == alike(constant(0.1), "Linear", "Conv2d") == []
    assert alike(law, "Linear", "Conv2d", author="framework") == alike(law, "Linear", "Conv2d", application=None) == []
    assert alike(law, "Linear", "Conv2d", location=at(8)) == alike(law, "Linear", "Conv2d", application=run()) == []
