"""What the rules on degenerate weights say of laws and of what training was seen to do, at the edges they document."""

from __future__ import annotations

import math
from typing import Any

import pytest

from initlint.changes import MakeAnew, RepeatAnew
from initlint.facts import (
    UNKNOWN,
    Branch,
    Chain,
    Distribution,
    Escape,
    Incident,
    InitCall,
    Initializer,
    Layer,
    Statistics,
    Target,
    Write,
)
from initlint.findings import Finding, Severity, unsafe
from initlint.theory.gains import activation
from initlint.theory.schemes import constant, normal, truncated_normal, uniform, uninitialized

from .by_hand import TANH, ask, at, layer, model, parameter, write

ZERO = constant(0.0)
STUCK = Escape(reached=True, received=False, steps=5, held_by_copies=False)
MOVED = Escape(reached=True, received=True, steps=5, held_by_copies=False, row_spread=1.0)


def line(finding: Finding) -> int | None:
    return finding.location and finding.location.line


def zero(**fields: Any) -> list[Finding]:
    made = {"law": ZERO, "escape": STUCK, "returns": 0, **fields}
    returns = made.pop("returns")
    weight = parameter("fc.weight", **made)
    model(layer("fc", weight, returns=returns))
    return ask("INI101", "parameter", weight)


def test_a_zero_weight_that_training_does_not_leave() -> None:
    (finding,) = zero()
    assert finding.message == "fc.weight is zero and stays so: no gradient reached it in 5 training steps"
    assert (finding.severity, finding.evidence) == (Severity.ERROR, {"steps": 5})
    held = Escape(reached=True, received=False, steps=5, held_by_copies=True)
    assert zero(escape=held) == zero(escape=MOVED) == zero(law=constant(0.1)) == zero(trainable=False) == []
    assert zero(role="embedding") == zero(escape=MOVED, returns=1) == []
    (cell,) = zero(escape=MOVED, returns=2)
    assert (cell.severity, cell.evidence) == (Severity.WARNING, {"steps": 2})
    assert cell.message.endswith("of which there are up to 2")


def silent_layer(name: str, bias: float | None = 0.0, **fields: Any) -> Layer:
    """A layer whose weight is zero, with a bias of that value."""
    own = [parameter(f"{name}.weight", fields.pop("law", ZERO), trainable=fields.pop("trainable", True))]
    own += [] if bias is None else [parameter(f"{name}.bias", constant(bias))]
    return layer(name, *own, **fields)


@pytest.mark.parametrize("name", ["relu", "relu6"])
def test_zeros_right_before_a_relu(name: str) -> None:
    def said(**fields: Any) -> list[Finding]:
        made = silent_layer("fc", **{"activation": activation(name), **fields})
        model(made)
        return ask("INI101", "layer", made)

    (finding,) = said()
    assert finding.message.startswith(f"fc.weight and its bias are zero right before {name}, whose")
    assert finding.parameter == "fc.weight"
    assert len(said(bias=None)) == 1
    assert said(bias=0.1) == said(law=normal(0.0, 0.1)) == said(activation=None) == said(activation=TANH) == []
    assert said(joined=("other",)) == []


def test_two_zero_layers_in_a_row() -> None:
    def said(*layers: Layer) -> list[Finding]:
        (chain,) = model(*layers).chains
        return ask("INI101", "chain", chain)

    (dead,) = said(silent_layer("a"), silent_layer("b"))
    assert dead.message == "a.weight and b.weight are zero, both biases too: neither weight ever gets a gradient"
    assert (dead.severity, dead.parameters) == (Severity.ERROR, ("a.weight", "b.weight"))
    slow = said(silent_layer("a", 0.1), silent_layer("b")) + said(silent_layer("a"), silent_layer("b", 0.1))
    slow += said(silent_layer("a", activation=activation("sigmoid")), silent_layer("b"))
    slow += said(silent_layer("a", activation=None), silent_layer("b"))
    assert [finding.severity for finding in slow] == [Severity.WARNING] * 4
    assert all("in a row: the first has no gradient until the second has moved" in each.message for each in slow)
    assert said(silent_layer("a"), layer("b"), silent_layer("c")) == said(silent_layer("a"), layer("b")) == []
    assert said(silent_layer("a", trainable=False), silent_layer("b")) == []
    assert said(silent_layer("a"), silent_layer("b", trainable=False)) == []
    first, second, beside = silent_layer("a"), silent_layer("b"), layer("beside")
    model(first, second, beside, chain=False)
    assert ask("INI101", "chain", Chain(layers=(first, second))) == [], "there is a path beside them"


def escaped(spread: float) -> Escape:
    return Escape(reached=True, received=True, steps=5, row_spread=spread)


def one_value(value: float, spread: float, **fields: Any) -> list[Finding]:
    return ask("INI102", "parameter", parameter("fc.weight", constant(value), escape=escaped(spread), **fields))


def test_a_constant_weight() -> None:
    (finding,) = one_value(0.1, 1e-6)
    assert finding.message == (
        "fc.weight is 0.1 everywhere, and after 5 training steps its 64 units still differ by 1e-06 of the largest "
        "weight"
    )
    assert (finding.severity, finding.evidence) == (Severity.ERROR, {"value": 0.1, "row_spread": 1e-6})
    assert [each.severity for each in one_value(0.1, 1.1e-5)] == [Severity.WARNING]
    assert [each.severity for each in one_value(0.1, 0.9e-5)] == [Severity.ERROR]
    assert len(one_value(0.1, 0.0099)) == 1
    assert one_value(0.1, 0.011) == one_value(0.0, 0.0) == one_value(0.1, 0.0, shape=(1, 64)) == []
    assert one_value(0.1, 0.0, trainable=False) == one_value(0.1, 0.0, role="scale") == []
    assert len(one_value(0.1, 0.0, shape=(2, 64))) == 1


def test_a_constant_weight_that_is_strong() -> None:
    (finding,) = one_value(0.38, 0.5)  # 0.38 x 8 = 3.04
    assert "its 64 units start as one, 3 / sqrt(fan_in) strong" in finding.message
    assert (finding.severity, finding.evidence) == (Severity.WARNING, {"value": 0.38, "row_spread": 0.5})
    assert len(one_value(-0.38, 0.5)) == len(one_value(0.38, 0.5, shape=(64, 2))) == 1
    assert one_value(0.37, 0.5) == one_value(0.38, 0.5, shape=(64, 1, 3)) == []


def test_constant_weights_from_end_to_end() -> None:
    def said(*values: float | None, fan_out: int = 64, trainable: bool = True) -> list[Finding]:
        layers = [
            layer(
                f"fc{number}",
                parameter(
                    f"fc{number}.weight",
                    None if value is None else constant(value),
                    fan_out=fan_out,
                    trainable=trainable,
                ),
            )
            for number, value in enumerate(values)
        ]
        return ask("INI102", "chain", model(*layers).chains[0])

    (finding,) = said(0.1, 0.0)
    assert finding.message.startswith("fc0.weight is 0.1 everywhere, and so is every weight behind it constant")
    assert (finding.evidence, finding.parameters) == ({"value": 0.1}, ("fc0.weight", "fc1.weight"))
    assert said(0.1) == said(0.0, 0.1) == said(0.1, None) == said(0.1, 0.1, fan_out=1) == []
    assert said(0.1, 0.1, trainable=False) == []
    assert len(said(0.1, 0.1, fan_out=2)) == 1


def test_a_model_without_a_random_weight() -> None:
    def said(
        *values: float, spread: float = 0.5, shape: tuple[int, int] = (64, 64), frozen: bool = False
    ) -> list[Finding]:
        laws = [normal(0.0, 0.1) if value is math.nan else constant(value) for value in values]
        layers = [
            layer(f"fc{n}", parameter(f"fc{n}.weight", law, escape=escaped(spread), shape=shape, trainable=not frozen))
            for n, law in enumerate(laws)
        ]
        return ask("INI102", "model", model(*layers))

    (finding,) = said(0.1, 0.2)
    assert finding.message == (
        "fc0.weight is 0.1 everywhere, and none of the 2 weights of net is random: in every layer the units start as "
        "one"
    )
    assert (finding.severity, finding.parameters) == (Severity.WARNING, ("fc0.weight", "fc1.weight"))
    assert said(0.1) == said(0.1, 0.0) == said(0.1, 0.2, math.nan) == said(0.1, 0.2, frozen=True) == []
    assert said(0.1, 0.2, shape=(1, 64)) == said(0.1, 0.2, shape=(64, 1)) == []
    assert said(0.1, 0.2, spread=1e-6) == said(0.1, 0.5) == [], "which the parameter says by itself"


def rows(start: float, spread: float, **fields: Any) -> list[Finding]:
    figures = Statistics(count=64, mean=0.0, std=0.1, minimum=-1.0, maximum=1.0, row_spread=start)
    return ask("INI103", "parameter", parameter("fc.weight", statistics=figures, escape=escaped(spread), **fields))


def test_rows_that_are_equal_and_stay_so() -> None:
    (finding,) = rows(0.0, 1e-6)
    assert finding.message.startswith("the 64 rows of fc.weight are equal, and after 5 training steps")
    assert (finding.severity, finding.evidence) == (Severity.ERROR, {"row_spread": 1e-6})
    assert [each.severity for each in rows(0.0, 1.1e-5)] == [Severity.WARNING]
    assert len(rows(0.9e-6, 0.0)) == len(rows(0.0, 0.0099)) == len(rows(0.0, 0.0, shape=(2, 64))) == 1
    assert rows(1.1e-6, 0.0) == rows(0.0, 0.011) == rows(0.0, 0.0, shape=(1, 64)) == []
    assert rows(0.0, 0.0, law=constant(0.1)) == rows(0.0, 0.0, trainable=False) == rows(0.0, 0.0, role="bias") == []


def copies(*digests: str, spread: float | None = None, **fields: Any) -> list[Finding]:
    """A stack of layers, equal where their digests are; ``spread`` is how far they parted in training."""
    escape = UNKNOWN
    if spread is not None:
        escape = Escape(reached=True, received=True, steps=5, copies_spread=spread, held_by_copies=False)
    layers = []
    for number, digest in enumerate(digests):
        figures = Statistics(count=64, mean=0.0, std=0.1, minimum=-1.0, maximum=1.0, digest=digest)
        own = parameter(f"stack.{number}.weight", **{"statistics": figures, "escape": escape, **fields})
        layers.append(layer(f"stack.{number}", own))
    held = Escape(reached=True, received=False, steps=5, held_by_copies=True)
    gate = layer("gate", parameter("gate.weight", role="scale", escape=held))
    return ask("INI106", "model", model(*layers, gate, chain=False))


def test_layers_that_start_as_one() -> None:
    (finding,) = copies("a", "b", "a")
    assert finding.message == (
        "2 layers of stack start bit-identical (stack.0.weight equals stack.2.weight): the copies are no independent "
        "draws"
    )
    assert (finding.severity, finding.parameters) == (Severity.WARNING, ("stack.0.weight", "stack.2.weight"))
    (one,) = copies("a", "a", spread=0.9e-5)
    assert one.severity is Severity.ERROR
    assert "stay so in 5 training steps, and gate.weight gets no gradient for it: " in one.message
    (parted,) = copies("a", "a", spread=1.1e-5)
    assert parted.severity is Severity.WARNING
    assert copies("a", "b") == copies("a", "a", role="bias") == copies("a", "a", law=constant(0.1)) == []
    assert copies("a", "a", is_buffer=True) == []
    loaded: Write = write(normal(0.0, 0.1), author="checkpoint")
    assert copies("a", "a", writes=(loaded,)) == []


def cloned(**fields: Any) -> list[Finding]:
    own = {
        "function": "copy.deepcopy",
        "law": normal(0.0, 0.1),
        "shape": (64, 64),
        "name": "stack.1",
        "origin": "cloned",
    }
    own |= fields
    last = write(own["law"], 7, own["function"])
    weight = parameter(f"{own['name']}.weight", writes=(last,), shape=own["shape"])
    template = own.get("template_at", at(2))
    return ask("INI106", "layer", layer(own["name"], weight, origin=own["origin"], template_at=template))


def test_a_layer_in_a_slot_that_is_a_copy() -> None:
    (finding,) = cloned()
    assert finding.message.startswith("stack.1 is a copy of a layer that was drawn once")
    assert finding.fix == unsafe(MakeAnew(at(3), at(2)))
    assert finding.parameters == ("stack.1.weight",)
    assert cloned(template_at=None)[0].fix is None
    assert cloned(name="head") == cloned(origin="constructed") == cloned(function="torch.nn.init.normal_") == []
    assert cloned(law=ZERO) == cloned(shape=(64,)) == []


def aliased(*aliases: str, **fields: Any) -> list[Finding]:
    own = {"aliased_at": at(4), "repeated_at": at(5), "handed": None, **fields}
    return ask("INI107", "layer", layer(aliases[0], aliases=aliases, **own))


def test_slots_that_hold_one_layer() -> None:
    (finding,) = aliased("stack.0", "stack.1", "stack.2")
    assert finding.message == "stack.0 to stack.2 are one layer: 3 slots, the parameters of one"
    assert (finding.evidence, finding.parameters, finding.layer) == ({"slots": 3}, ("stack.0.weight",), "stack.0")
    assert (line(finding), finding.fix) == (4, unsafe(RepeatAnew(at(5))))
    (uncounted,) = aliased("stack.*.a", "stack.*.a")
    assert uncounted.message == "every slot of stack.*.a is one and the same layer"
    assert uncounted.evidence == {}
    assert aliased("stack.0") == aliased("first", "stack.0") == aliased("a.0", "b.0") == []
    (handed,) = aliased("core", handed=at(6))
    assert handed.message.startswith("core is one layer in every turn of the loop")
    assert (line(handed), handed.layer, handed.parameters) == (6, "core", ("core.weight",))
    for kind in ("Bilinear", "Conv2d", "ConvTranspose1d", "LSTM", "MultiheadAttention"):
        assert len(aliased("core", handed=at(6), kind=kind)) == 1
    assert aliased("core", handed=at(6), kind="LayerNorm") == aliased("core", handed=at(6), kind="Embedding") == []


def test_a_name_that_takes_another_parameter() -> None:
    def said(kind: str) -> list[Finding]:
        return ask("INI107", "incident", Incident(kind=kind, location=at(5), text="self.u", other="self.w"))

    (finding,) = said("merged")
    assert finding.message.startswith("self.u is given the Parameter of self.w, and its own is gone")
    assert 'register_parameter("self.w", ...)' in finding.help
    assert said("untied") == []


def off(law: Distribution, shape: tuple[int, ...] = (64, 64), *, head: bool = False, **fields: Any) -> list[Finding]:
    weight = parameter("fc.weight", law, shape=shape, **fields)
    layer("fc", weight, is_head=head)
    return ask("INI109", "parameter", weight)


def test_a_mean_off_zero() -> None:
    (finding,) = off(normal(0.31, 1.0))
    assert finding.message.startswith("fc.weight has mean 0.31 at std 1: ")
    assert finding.evidence == {"mean": 0.31, "std": 1.0}
    assert len(off(normal(-0.31, 1.0))) == len(off(normal(1.0, 1.0), (2, 20))) == 1
    assert off(normal(0.29, 1.0)) == off(normal(0.31, 1.0), (19, 19)) == off(uniform(0.0, 1.0)) == []
    assert len(off(normal(0.31, 1.0), (20, 20))) == 1  # 0.31 x 20 = 6.2 standard errors
    assert off(normal(1.0, 1.0), (1, 64)) == off(normal(1.0, 1.0), (64, 1)) == off(normal(1.0, 1.0), head=True) == []
    assert off(normal(1.0, 1.0), role="token") == off(normal(1.0, 1.0), trainable=False) == off(constant(1.0)) == []


def test_a_call_that_draws_around_another_mean() -> None:
    def said(law: Distribution, attribute: str = "weight", *kinds: str) -> list[Finding]:
        call = InitCall(
            function="torch.nn.init.normal_",
            written="init.normal_",
            target=Target(text="m.weight", attribute=attribute, kinds=kinds or ("Linear", "LayerNorm", "Conv1d")),
            location=at(4),
            distribution=law,
        )
        return ask("INI109", "initializer", Initializer(name="f", location=at(1), branches=(Branch(calls=(call,)),)))

    (finding,) = said(normal(1.0, 0.02))
    assert finding.message == "init.normal_ draws the weight of Linear, Conv1d around 1 with std 0.02"
    assert finding.evidence == {"mean": 1.0, "std": 0.02}
    assert (
        said(normal(0.0, 0.02))
        == said(normal(1.0, 0.02), "bias")
        == said(normal(1.0, 0.02), "weight", "GroupNorm")
        == []
    )


def positive(low: float, high: float, shape: tuple[int, ...] = (64, 64), **fields: Any) -> list[Finding]:
    kind, class_name = fields.pop("kind", "Linear"), fields.pop("class_name", None)
    weight = parameter("fc.weight", **{"law": uniform(low, high), "shape": shape, **fields})
    layer("fc", weight, kind=kind, class_name=class_name or kind)
    return ask("INI108", "parameter", weight)


def test_weights_of_one_sign() -> None:
    (finding,) = positive(0.0, 0.5)
    assert finding.message.startswith("fc.weight is drawn from [0, 0.5]: no weight is negative")
    assert finding.evidence == {"low": 0.0, "high": 0.5}
    assert len(positive(0.0049, 0.5)) == len(positive(0.0, 0.5, fan_in=2, fan_out=2)) == 1
    assert positive(0.0051, 0.5) == positive(-0.01, 0.5) == positive(0.0, 0.5, law=constant(0.3)) == []
    assert positive(0.0, 0.5, fan_in=1) == positive(0.0, 0.5, fan_out=1) == positive(0.0, 0.5, trainable=False) == []
    assert positive(0.0, 0.5, is_buffer=True) == positive(0.0, 0.5, role="embedding") == []
    assert (
        positive(0.0, 0.5, (1, 8, 3, 3), kind="Conv2d") == positive(0.0, 0.5, (8, 1, 3), kind="ConvTranspose1d") == []
    )
    assert len(positive(0.0, 0.5, (8, 1, 3, 3), kind="Conv2d")) == len(positive(0.0, 0.5, (2, 8), kind="Conv2d")) == 1
    assert positive(0.0, 0.5, class_name="Positive") == []
    assert len(positive(0.0, 0.5, kind="Module", class_name="Mine")) == 1


def coarse(dtype: str, law: Distribution, of: Distribution | None = None, function: str = "torch.log") -> list[Finding]:
    return ask("INI110", "parameter", parameter("w", writes=(write(law, 7, function, dtype=dtype, of=of),)))


@pytest.mark.parametrize("function", ["log", "log2", "log10", "reciprocal", "rsqrt"])
def test_what_is_computed_of_a_draw_that_may_be_zero(function: str) -> None:
    computed = Distribution(family="data")
    for dtype, values in (("float16", 2048), ("bfloat16", 256)):
        (finding,) = coarse(dtype, computed, uniform(0.0, 1.0), f"torch.{function}")
        assert f"is the {function} of a uniform draw in {dtype}, in which one value of {values} is" in finding.message
        assert finding.evidence == {"dtype": dtype, "low": 0.0}
    assert coarse("float32", computed, uniform(0.0, 1.0), f"torch.{function}") == []
    assert coarse("float16", computed, uniform(0.1, 1.0), f"torch.{function}") == []
    assert coarse("float16", computed, normal(0.0, 1.0), f"torch.{function}") == []
    assert coarse("float16", computed, uniform(0.0, 1.0), "torch.exp") == []


def test_a_draw_that_is_too_small_for_its_format() -> None:
    smallest = 2.0**-24
    (finding,) = coarse("float16", normal(0.0, 0.9 * smallest))
    assert finding.message.startswith("w is drawn with std 5.4e-08 in float16, whose smallest number is 6e-08")
    assert finding.evidence == {"dtype": "float16", "std": pytest.approx(0.9 * smallest)}
    assert coarse("float16", normal(0.0, 1.1 * smallest)) == coarse("bfloat16", normal(0.0, 1e-9)) == []
    assert coarse("float16", constant(1e-9)) == coarse("float16", truncated_normal(0.0, 1.0, -2.0, 2.0)) == []


def test_what_is_no_number_or_was_never_written() -> None:
    def said(*, finite: bool, **fields: Any) -> list[Finding]:
        figures = Statistics(count=4, mean=math.nan, std=math.nan, minimum=0.0, maximum=0.0, finite=finite)
        return ask("INI105", "parameter", parameter("fc.weight", statistics=figures, **fields))

    (finding,) = said(finite=False)
    assert finding.message == "fc.weight holds NaN or infinity when construction is over"
    assert said(finite=True) == said(finite=False, is_buffer=True) == []

    def bare(name: str, law: Distribution, **fields: Any) -> list[Finding]:
        return ask("INI104", "parameter", parameter(name, writes=(write(law, 4, "torch.empty"),), **fields))

    (memory,) = bare("fc.weight", uninitialized())
    assert memory.message.startswith("fc.weight is allocated by torch.empty and never written: it holds whatever")
    assert "xavier_uniform_(fc.weight)" in memory.help
    assert bare("fc.bias", uninitialized()) == bare("w", ZERO) == bare("w", uninitialized(), is_buffer=True) == []
