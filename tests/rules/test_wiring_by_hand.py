"""What the rules on wiring say of writes, runs and incidents, at the edges of their conditions, and what they point at.

Each of them asks several things at once (made later, of a kind that is handled, written by nobody): here all but one
of them hold, for each in turn.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from initlint.changes import CallAtEnd, HandTo, MoveToEnd, ZeroPaddingRow
from initlint.facts import (
    UNKNOWN,
    Change,
    ClassFacts,
    Distribution,
    Guard,
    Incident,
    InitCall,
    Initializer,
    Loose,
    Mishap,
    Model,
    Parameter,
    Repeat,
    Script,
    Statistics,
    Target,
    UnknownFact,
    Write,
)
from initlint.findings import Finding, Severity, unsafe
from initlint.theory.schemes import constant, normal, uninitialized

from .by_hand import ask, at, layer, model, parameter, places, run, told, write

SMALL, WIDE = normal(0.0, 0.01), normal(0.0, 0.5)
DEFAULT = write(SMALL, 3, "torch.nn.Linear.reset_parameters", author="framework")


def line(finding: Finding) -> int | None:
    return finding.location and finding.location.line


def incident(code: str, kind: str, **fields: Any) -> list[Finding]:
    return ask(code, "incident", Incident(kind=kind, location=at(5), text="m.weight", **fields))


def lora(up: Distribution, down: Distribution, names: tuple[str, str] = ("lora_B", "lora_A"), **extra: Any) -> Model:
    made = [parameter(f"{name}.weight", law) for name, law in zip(names, (up, down), strict=True)]
    more = [parameter(name, law) for name, law in extra.pop("beside", {}).items()]
    return model(layer("lora", *made, *more), **extra)


@pytest.mark.parametrize(
    "names",
    [("lora_B", "lora_A"), ("lora_up", "lora_down"), ("block.lora_B", "block.lora_A"), ("lorab", "loraa")],
)
def test_an_adapter_whose_two_factors_are_drawn(names: tuple[str, str]) -> None:
    finding = told("INI415", "model", lora(SMALL, SMALL, names))
    last, first = (f"{name}.weight" for name in names)
    assert finding.message.startswith(f"{last} is random and so is {first}: ")
    assert (finding.help, finding.parameter) == (f"let it start as nothing: nn.init.zeros_({last})", last)
    assert ask("INI415", "model", lora(constant(0.0), SMALL, names)) == []
    assert ask("INI415", "model", lora(SMALL, constant(0.0), names)) == []


@pytest.mark.parametrize("scale", ["scaling", "lora_alpha", "Gate", "gamma"])
def test_an_adapter_behind_a_scale_of_zero(scale: str) -> None:
    assert ask("INI415", "model", lora(SMALL, SMALL, beside={scale: constant(0.0)})) == []
    assert len(ask("INI415", "model", lora(SMALL, SMALL, beside={scale: constant(1.0)}))) == 1
    assert len(ask("INI415", "model", lora(SMALL, SMALL, beside={"shift": constant(0.0)}))) == 1


def test_names_that_are_no_pair() -> None:
    assert ask("INI415", "model", lora(SMALL, SMALL, ("one.lora_B", "other.lora_A"))) == []
    assert ask("INI415", "model", lora(SMALL, SMALL, ("lora_base", "lora_anchor"))) == []
    assert ask("INI415", "model", lora(SMALL, SMALL, ("B", "A"))) == []
    assert len(ask("INI415", "model", lora(SMALL, SMALL, ("B", "A"), class_name="LoRALinear"))) == 1
    biases = lora(SMALL, SMALL, ("lora_B", "lora_A"))
    for fields in ({"is_buffer": True}, {"name": "lora_B.bias"}):
        first, second = biases.layers[0].parameters
        assert ask("INI415", "model", model(layer("lora", replace(first, **fields), second))) == []


def adapter_class(*calls: tuple[str, Distribution], beside: Distribution = SMALL) -> list[Finding]:
    made = [
        InitCall(
            function="torch.nn.init.normal_",
            written="normal_",
            target=Target(text=text),
            location=at(number),
            distribution=law,
        )
        for number, (text, law) in enumerate(calls, 11)
    ]
    gate = parameter("gate", beside)
    return ask(
        "INI415", "klass", ClassFacts(name="Lora", location=at(1), calls=tuple(made), model=model(layer("g", gate)))
    )


def test_an_adapter_as_it_is_written() -> None:
    (finding,) = adapter_class(("self.lora_a", SMALL), ("self.lora_b", SMALL))
    assert finding.message.startswith("self.lora_b is random and so is self.lora_a")
    assert line(finding) == 12
    assert adapter_class(("self.lora_a", SMALL), ("self.lora_b", constant(0.0))) == []
    assert adapter_class(("self.lora_a", SMALL)) == adapter_class(("self.lora_b", SMALL)) == []
    assert adapter_class(("self.lora_a", SMALL), ("self.lora_b", SMALL), ("self.lora_up", constant(0.0))) == []
    assert adapter_class(("self.lora_a", SMALL), ("self.lora_b", SMALL), beside=constant(0.0)) == []


@pytest.mark.parametrize(
    ("form", "why", "instead"),
    [
        ("prefixed", 'every key begins with "module."', "take the prefix away"),
        ("bare", "the model is wrapped", "load into its .module"),
        ("nested", "the state dict stands under a key", "index what is loaded"),
        ("other", "its names are others", "compare its keys"),
    ],
)
def test_why_no_key_matched(form: str, why: str, instead: str) -> None:
    mishap = Mishap(form=form, text="net.load_state_dict", location=at(8))
    read = told("INI419", "script", Script(path="train.py", unmatched=(mishap,)))
    assert read.message.startswith(f"net.load_state_dict matches no key and, not being strict, says nothing: {why}")
    (ran,) = incident("INI419", "unmatched", other=form)
    assert ran.message.startswith(f"m.weight matches no key and says nothing: {why}")
    assert all(finding.help.startswith(instead) for finding in (read, ran))
    assert (line(read), line(ran)) == (8, 5)
    assert incident("INI419", "missed", other=form) == []


def test_a_weight_that_a_load_left_out() -> None:
    def said(*, head: bool = False, **fields: Any) -> list[Finding]:
        load = Incident(kind="missed", location=at(5), text="net.load_state_dict", other="old.weight")
        weight = parameter("fc.weight", **{"left_out": load, **fields})
        layer("fc", weight, is_head=head)
        return ask("INI419", "parameter", weight)

    (finding,) = said()
    assert finding.message == "net.load_state_dict leaves fc.weight as it was drawn: what is loaded calls it old.weight"
    assert (line(finding), finding.severity, finding.layer) == (5, Severity.WARNING, "fc")
    assert (finding.parameters, finding.help) == (("fc.weight",), "rename old.weight to fc.weight in the state dict")
    assert said(head=True) == said(role="bias") == said(left_out=None) == []


def guard(obstacle: str | None, **fields: Any) -> Finding:
    return told("INI414", "guard", Guard(form="instance", text="test", location=at(5), obstacle=obstacle, **fields))


@pytest.mark.parametrize(
    ("obstacle", "why", "instead"),
    [
        ("parameter", "what it is asked of is a parameter", "modules()"),
        ("module", "what it is asked of is a layer", "parameters()"),
        ("pair", "a pair of name and value", "for name, m in"),
        ("class", "a class never equals a text", "isinstance"),
        ("name", "the name of a class never equals the class", "isinstance"),
        ("contradiction", "no layer is of both kinds", "ask for one of them"),
        ("earlier", "an earlier arm has taken all", "name the class"),
    ],
)
def test_why_a_filter_lets_nothing_through(obstacle: str, why: str, instead: str) -> None:
    finding = guard(obstacle, related=(at(3),))
    assert finding.message.startswith("test never holds: ")
    assert why in finding.message
    assert instead in finding.help
    assert finding.severity == (Severity.WARNING if obstacle == "earlier" else Severity.ERROR)
    assert places(finding) == [(3, "taken here")]


def test_a_class_misspelt_and_one_never_looked_at() -> None:
    finding = guard("misspelt", meant="Conv2d")
    assert "(Conv2d is the nearest)" in finding.message
    assert finding.help == "write Conv2d, or better isinstance(m, nn.Conv2d)"
    part = guard(None, kinds=("Linear", "Conv2d"), ignored=("nn.Conv1d", "nn.Conv3d"))
    assert part.message.startswith("test only lets Linear and Conv2d through")
    assert part.message.endswith("and nn.Conv1d, nn.Conv3d is never looked at")


def test_a_parameter_without_a_shape() -> None:
    assert incident("INI409", "lazy", raises=True)[0].message == "m.weight has no shape yet: this raises ValueError"
    assert incident("INI409", "lazy", raises=False)[0].message.endswith(
        "nothing is written, and the first forward draws it"
    )
    assert incident("INI409", "leaf", raises=True) == []


LOADED = write(Distribution(family="data"), 5, "torch.nn.Module.load_state_dict", author="checkpoint")


def redrawn(*writes: Write, beside: tuple[Write, ...] = (DEFAULT,)) -> list[Finding]:
    """A parameter with those writes, and another layer's with ``beside``."""
    weight = parameter("body.weight", writes=writes)
    model(layer("body", weight), layer("rest", parameter("rest.weight", writes=beside)))
    return ask("INI403", "parameter", weight)


def test_what_was_loaded_and_is_drawn_anew() -> None:
    whole = run("Linear")
    anew = write(SMALL, 9, application=whole)
    (finding,) = redrawn(LOADED, anew)
    assert finding.message.startswith("init_weights draws body.weight anew")
    assert (line(finding), places(finding), finding.layer) == (9, [(5, "loaded here")], "body")
    assert finding.parameters == ("body.weight",)
    assert places(redrawn(replace(LOADED, location=None), anew)[0]) == []
    assert redrawn(DEFAULT, anew) == redrawn(anew, LOADED) == redrawn(LOADED, write(SMALL, 9)) == []
    assert redrawn(LOADED, replace(anew, author="library")) == redrawn(LOADED, replace(anew, overwrites=False)) == []
    assert redrawn(replace(LOADED, overwrites=False), anew) == redrawn(LOADED, anew, replace(LOADED, order=10)) == []


def test_a_part_of_what_was_loaded_may_start_afresh() -> None:
    part = write(SMALL, 9, application=run("Linear", root="body"))
    assert len(redrawn(LOADED, part)) == 1, "all that was loaded lies below it"
    assert redrawn(LOADED, part, beside=(LOADED,)) == []
    assert len(redrawn(LOADED, part, beside=(replace(LOADED, order=6),))) == 1, "another load"


def test_an_initialiser_applied_to_what_a_script_loads() -> None:
    mishap = Mishap(form="apply", text="net", location=at(8), related=(at(6),))
    finding = told("INI403", "script", Script(path="train.py", wiped=(mishap,)))
    assert finding.message.startswith("net.apply draws net anew")
    assert (line(finding), places(finding)) == (8, [(6, "loaded here")])


def overwritten(*writes: Write, **fields: Any) -> list[Finding]:
    weight = parameter("fc.weight", writes=writes, **fields)
    model(layer("fc", weight))
    return ask("INI404", "parameter", weight)


def test_two_neighbouring_lines_on_one_parameter() -> None:
    first, second = write(SMALL, 7), write(constant(0.0), 8, "torch.nn.init.zeros_")
    (finding,) = overwritten(DEFAULT, first, second)
    assert finding.message.startswith("fc.weight is filled here by normal_ and on the next line by zeros_, ")
    assert (line(finding), places(finding)) == (7, [(8, "overwritten here")])
    assert (finding.layer, finding.parameters) == ("fc", ("fc.weight",))
    assert len(overwritten(first, second, write(SMALL, 9))) == 1, "told once"
    long = replace(first, location=replace(at(7), end_line=9))
    assert overwritten(long, second) == []
    assert len(overwritten(long, replace(second, location=at(10)))) == 1
    assert len(overwritten(replace(first, location=replace(at(7), end_line=None)), second)) == 1
    for other in (
        write(SMALL, 8),
        write(constant(0.0), 9, "torch.nn.init.zeros_"),
        write(constant(0.0), 8, "torch.Tensor.zero_"),
        write(constant(0.0), 8, "torch.nn.init.zeros_", author="library"),
        write(constant(0.0), 8, "torch.nn.init.zeros_", overwrites=False),
        write(constant(0.0), 8, "torch.nn.init.zeros_", location=at(8, "other.py")),
        write(constant(0.0), 8, "torch.nn.init.zeros_", location=None),
    ):
        assert overwritten(first, other) == []
    assert overwritten(replace(first, location=None), second) == overwritten(first, second, is_buffer=True) == []


@pytest.mark.parametrize("function", ["torch.nn.init.normal_", "torch.Tensor.normal_"])
def test_a_statement_of_its_own_before_the_run(function: str) -> None:
    own, again = write(SMALL, 5, function), write(WIDE, 9, "torch.nn.init.xavier_normal_", application=run("Linear"))
    (finding,) = overwritten(DEFAULT, own, again)
    assert finding.message == (
        "fc.weight is written here by normal_ and again by init_weights (xavier_normal_), which wipes it"
    )
    assert (line(finding), places(finding), finding.layer) == (5, [(9, "overwritten here")], "fc")
    assert finding.parameters == ("fc.weight",)
    assert places(overwritten(own, replace(again, location=None))[0]) == []
    assert overwritten(again, own) == overwritten(DEFAULT, again) == overwritten(own) == []
    assert overwritten(own, replace(again, order=5)) == overwritten(own, replace(again, application=None)) == []
    assert overwritten(replace(own, function="torch.randn"), again) == []


@pytest.mark.parametrize(
    ("law", "expected"),
    [
        (SMALL, 0),
        (normal(0.0, 0.01005), 0),
        (normal(0.0, 0.011), 1),
        (normal(0.1, 0.01), 1),
        (replace(SMALL, family="uniform"), 1),
    ],
)
def test_a_second_write_of_the_same_values_wipes_nothing(law: Distribution, expected: int) -> None:
    again = write(law, 9, application=run("Linear"))
    assert len(overwritten(write(SMALL, 5), again)) == expected


def test_a_write_into_what_is_computed() -> None:
    lost = tuple(write(SMALL, number) for number in (5, 6))
    weight = parameter("fc.weight", computed_by="torch.nn.utils.weight_norm", lost=lost)
    model(layer("fc", weight))
    findings = ask("INI405", "parameter", weight)
    assert [line(finding) for finding in findings] == [5, 6]
    assert findings[0].message.startswith("normal_ has no effect on fc.weight: weight_norm computes it")
    assert findings[0].help == "initialise the layer before weight_norm is applied to it"
    assert (findings[0].layer, findings[0].parameters) == ("fc", ("fc.weight",))
    assert ask("INI405", "parameter", parameter("fc.weight", computed_by=None, lost=lost)) == []


def later(**fields: Any) -> Any:
    """A Linear that the constructor makes after the run."""
    own = fields.pop("own", None) or (parameter("late.weight", writes=(DEFAULT,)),)
    return layer(
        fields.pop("name", "late"), *own, **{"order": 11, "within": "Net.__init__", "location": at(11), **fields}
    )


def missed(*layers: Any, **fields: Any) -> list[Finding]:
    covering = run("Linear", "Conv2d", **{"within": "Net.__init__", **fields})
    return ask(
        "INI402", "model", model(layer("early", order=1, within="Net.__init__"), *layers, applications=(covering,))
    )


def test_layers_made_after_the_initialiser_ran() -> None:
    (finding,) = missed(later())
    assert finding.message == "init_weights runs before late is made and leaves it at torch's default"
    assert (line(finding), places(finding), finding.layer) == (9, [(11, "made here")], "late")
    assert (finding.parameters, finding.fix) == (("late.weight",), unsafe(MoveToEnd(at(9))))
    for other in (
        later(order=9),
        later(within="Net.build"),
        later(kind="LayerNorm"),
        later(own=(parameter("late.weight", writes=(DEFAULT, write(SMALL, 12))),)),
    ):
        assert missed(other) == []
    assert missed(later(), root="body") == []
    assert len(missed(later(name="body.late"), root="body")) == 1


def test_many_layers_made_later_are_told_in_short() -> None:
    four = [later(name=f"l{n}", order=11 + n, location=None if n == 1 else at(11 + n)) for n in range(4)]
    (three,) = missed(*four[:3])
    assert "runs before l0, l1, l2 are made and leaves them at" in three.message
    (all_,) = missed(*four)
    assert "runs before l0, l1, l2, … are made and leaves them at" in all_.message
    assert places(all_) == [(11, "made here"), (13, "made here")]
    assert len(all_.parameters) == 4


def test_an_initialiser_that_nothing_calls() -> None:
    def said(callers: Any = (), class_name: str | None = "Net") -> list[Finding]:
        return ask(
            "INI401", "initializer", Initializer(name="init", location=at(4), class_name=class_name, callers=callers)
        )

    (finding,) = said()
    assert finding.message.startswith("Net.init initialises weights")
    assert "self.apply(self.init) if it takes a module, else with self.init()" in finding.help
    assert said((at(9),)) == said(class_name=None) == []


def left(*layers: Any, kinds: tuple[str, ...] = ("Linear",), **fields: Any) -> list[Finding]:
    return ask("INI408", "model", model(*layers, applications=(run(*kinds, **fields),)))


def bare(name: str = "extra", kind: str = "Bilinear", **fields: Any) -> Any:
    """A layer made before the run, at torch's default."""
    writes = fields.pop("writes", (DEFAULT,))
    return layer(name, parameter(f"{name}.weight", writes=writes), kind=kind, order=2, **fields)


def test_layers_of_kin_that_a_run_leaves() -> None:
    (finding,) = left(bare())
    assert finding.message == "init_weights draws Linear and leaves Bilinear at torch's default: extra"
    assert (finding.help, finding.layer) == ("name Bilinear in the test too", "extra")
    assert (finding.parameters, places(finding), line(finding)) == (("extra.weight",), [(3, "left out")], 9)
    assert left(bare(kind="Linear")) == left(bare(kind="Conv2d")) == left(bare(kind="LayerNorm")) == []
    assert left(bare(writes=(DEFAULT, write(SMALL)))) == left(bare(), line=1) == left(bare(), line=2) == []
    assert left(bare(), root="body") == []
    assert len(left(bare("body.extra"), root="body")) == 1
    assert len(left(bare(kind="ConvTranspose2d"), kinds=("Conv2d",))) == 1
    assert len(left(bare(kind="Conv1d"), kinds=("Linear", "Conv2d"))) == 1
    assert len(left(bare(kind="Conv1d"), kinds=("LayerNorm", "ConvTranspose1d"))) == 1


def test_many_layers_left_are_told_in_short() -> None:
    names = [("a", "Conv1d"), ("b", "Conv1d"), ("c", "Conv3d"), ("d", "Conv1d")]
    layers = [
        bare(name, kind, location=None if name == "b" else at(number)) for number, (name, kind) in enumerate(names)
    ]
    (three,) = left(*layers[:3], kinds=("Conv2d",))
    assert "leaves Conv1d and Conv3d at torch's default: a, b, c" in three.message
    assert "…" not in three.message
    (four,) = left(*layers, kinds=("Conv2d",))
    assert four.message.endswith("a, b, c, …")
    assert [number for number, _ in places(four)] == [0, 2]
    assert len(four.parameters) == 4


def test_a_class_that_never_ends_its_construction() -> None:
    klass = ClassFacts(name="Net", location=at(1), constructor=at(2), finished=False)
    finding = told("INI407", "klass", klass)
    assert finding.message.startswith("Net is a PreTrainedModel")
    assert (line(finding), finding.fix) == (2, unsafe(CallAtEnd(at(2), "post_init")))
    assert ask("INI407", "klass", replace(klass, finished=True)) == []


def rows(first: float, second: float, *, role: str = "embedding", head: bool = False, **fields: Any) -> list[Finding]:
    split = fields.pop("split", (90, first, second))
    figures = Statistics(count=6400, mean=0.0, std=0.1, minimum=-1.0, maximum=1.0, row_split=split)
    table = parameter("words.weight", role=role, statistics=figures, **fields)
    layer("words", table, is_head=head)
    return ask("INI421", "parameter", table)


def test_rows_of_two_scales() -> None:
    (finding,) = rows(0.02, 1.0)
    assert finding.message == "the rows of words.weight have std 0.02 up to row 89 and 1 from row 90 on"
    assert finding.evidence == {"row": 90, "std_before": 0.02, "std_after": 1.0}
    assert len(rows(1.0, 0.099)) == len(rows(0.099, 1.0)) == len(rows(0.02, 1.0, role="weight", head=True)) == 1
    assert rows(1.0, 0.1) == rows(0.1, 1.0) == rows(0.02, 1.0, role="weight") == []
    assert rows(0.02, 1.0, trainable=False) == rows(0.02, 1.0, split=None) == []
    assert rows(0.02, 1.0, role="token", head=True) == []


def test_what_is_scaled_as_it_is_found() -> None:
    changes = tuple(Change(text=f"self.w{n}", location=at(n), fresh=n == 1) for n in range(3))
    findings = ask("INI417", "initializer", Initializer(name="reset_parameters", location=at(9), rescales=changes))
    assert [line(finding) for finding in findings] == [0, 2]
    assert findings[0].message.startswith("reset_parameters scales self.w0 as it finds it")


def test_a_layer_that_no_optimiser_learns_of() -> None:
    def said(form: str) -> Finding:
        mishap = Mishap(form=form, text="net.fc", location=at(8), related=(at(6),))
        return told("INI420", "script", Script(path="train.py", untrained=(mishap,)))

    late, frozen = said("late"), said("frozen")
    assert late.message.startswith("net.fc is replaced when the optimiser is built")
    assert (line(late), places(late)) == (8, [(6, "optimiser built here")])
    assert late.help.startswith("build the optimiser afterwards")
    assert frozen.message.startswith("everything is frozen here, the new net.fc included")
    assert places(frozen) == [(6, "new layer")]
    assert frozen.help.startswith("freeze first")


def padded(law: Distribution, **fields: Any) -> list[Finding]:
    table = parameter("words.weight", padding_write=write(law, 7, **fields))
    model(layer("words", table))
    return ask("INI406", "parameter", table)


def test_a_padding_row_that_is_drawn_over() -> None:
    (finding,) = padded(SMALL)
    assert finding.message.startswith("normal_ draws over the padding row of words.weight")
    assert (line(finding), finding.layer, finding.parameters) == (7, "words", ("words.weight",))
    assert finding.fix == unsafe(ZeroPaddingRow(at(7)))
    assert len(padded(constant(0.1))) == 1
    assert padded(constant(0.0)) == padded(Distribution(family="data")) == padded(SMALL, author="framework") == []
    assert ask("INI406", "parameter", parameter("words.weight", padding_write=None)) == []


def test_a_tensor_in_the_place_of_a_parameter() -> None:
    (plain,) = incident("INI412", "not_a_parameter")
    assert (plain.severity, line(plain)) == (Severity.ERROR, 5)
    (resized,) = incident("INI412", "resized", before=(4, 4), after=(5, 4))
    assert "of shape (4, 4) is given data of shape (5, 4)" in resized.message
    assert resized.severity is Severity.WARNING
    assert incident("INI412", "resized", before=(4, 4), after=(4, 4)) == incident("INI412", "merged") == []


def test_a_matrix_of_which_some_rows_are_set() -> None:
    def said(unset: tuple[int, int] | None, *, whole: bool = False) -> list[Finding]:
        part = write(SMALL, 7, overwrites=whole)
        return ask("INI413", "parameter", parameter("w", writes=(part,), bare_rows=unset))

    (finding,) = said((32, 64))
    assert finding.message.startswith("w is written in part: of its 64 rows, 32 to 63 hold")
    assert said(None) == said((32, 64), whole=True) == []


def test_an_attribute_set_twice_and_its_sibling_never() -> None:
    def said(*forgotten: str) -> list[Finding]:
        repeat = Repeat(text="self.a", location=at(8), related=(at(7),), forgotten=forgotten)
        return ask("INI416", "initializer", Initializer(name="reset", location=at(6), repeats=(repeat,)))

    (finding,) = said("self.b", "self.c")
    assert "is set a second time, and self.b and self.c, made in the same way, by nothing: reset" in finding.message
    assert finding.help == "name self.b or self.c in one of the two statements"
    assert (line(finding), places(finding)) == (8, [(7, "set here already")])
    assert said() == []


def test_a_tie_that_is_parted() -> None:
    (finding,) = incident("INI410", "untied", tied=at(3))
    assert finding.message.startswith("m.weight was one with another Parameter")
    assert (line(finding), places(finding)) == (5, [(3, "tied here")])
    assert incident("INI410", "untied", tied=None) == incident("INI410", "merged", tied=at(3)) == []


def test_a_buffer_that_is_read_as_memory_left_it() -> None:
    def said(**fields: Any) -> list[Finding]:
        memory = write(uninitialized(), 4, "torch.empty")
        buffer: Parameter = parameter("scale", **{"writes": (memory,), "is_buffer": True, "read_bare": True, **fields})
        return ask("INI418", "parameter", buffer)

    (finding,) = said()
    assert finding.message.startswith("the buffer scale is allocated by torch.empty and read")
    assert line(finding) == 4
    assert said(is_buffer=False) == said(read_bare=False) == said(writes=(write(SMALL),)) == []


def loose(holder: str, **fields: Any) -> list[Finding]:
    held = Loose(name="parts", location=at(4), holder=holder, **{"used": True, "handled": False, **fields})
    return ask("INI411", "model", model(loose=(held,)))


@pytest.mark.parametrize(
    ("holder", "instead"),
    [
        ("list", "ModuleList"),
        ("tuple", "ModuleList"),
        ("set", "ModuleList"),
        ("dict", "ModuleDict"),
    ],
)
def test_layers_that_the_module_does_not_see(holder: str, instead: str) -> None:
    (finding,) = loose(holder, kinds=("Linear", "Conv2d"))
    assert finding.message.startswith(f"self.parts is a plain {holder} of layers (Linear, Conv2d): ")
    assert finding.help == f"put them into nn.{instead}"
    assert finding.fix == unsafe(HandTo(at(4), f"torch.nn.{instead}"))
    assert (finding.evidence, line(finding)) == ({"attribute": "parts"}, 4)
    assert loose(holder, used=False) == loose(holder, handled=True) == []


def test_a_tensor_that_the_module_does_not_see() -> None:
    (bare_,) = loose("tensor")
    assert bare_.message.startswith("self.parts asks for gradients and is no nn.Parameter")
    (made,) = loose("tensor", derived_by="cuda")
    assert made.message == "self.parts is a plain tensor again: cuda makes a new one of the nn.Parameter"
    for finding in (bare_, made):
        assert finding.help == "make it last: self.parts = nn.Parameter(...)"
        assert finding.fix == unsafe(HandTo(at(4), "torch.nn.Parameter"))


def test_what_is_not_known_of_a_write_is_no_place() -> None:
    first, second = write(SMALL, 7), write(constant(0.0), 8, "torch.nn.init.zeros_")
    with pytest.raises(UnknownFact):
        overwritten(replace(first, location=UNKNOWN), second)
