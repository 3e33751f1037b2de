"""Facts made by hand, for what a rule's documentation says in figures: a limit has two sides, a finding has details."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from initlint.engine import load
from initlint.facts import Activation, Application, Chain, Distribution, Fact, Layer, Model, Parameter, Probe, Write
from initlint.findings import Finding
from initlint.location import Location
from initlint.theory.gains import activation
from initlint.theory.schemes import normal

RELU, TANH = activation("relu"), activation("tanh")
NONE = Activation(name="identity", gain=1.0, backward_gain=1.0)


def at(line: int, path: str = "net.py") -> Location:
    return Location(path, line, end_line=line)


def write(law: Distribution, line: int = 7, function: str = "torch.nn.init.normal_", **fields: Any) -> Write:
    """A statement of the project's that writes one parameter; its line is its place in the order, too."""
    return Write(
        function=function, distribution=law, **{"author": "user", "location": at(line), "order": line, **fields}
    )


def parameter(name: str = "fc.weight", law: Distribution | None = None, **fields: Any) -> Parameter:
    """A trained weight of 64 x 64, drawn by one statement (line 7)."""
    defaults = {
        "role": "bias" if name.endswith("bias") else "weight",
        "shape": (64,) if name.endswith("bias") else (64, 64),
        "fan_in": 64,
        "fan_out": 64,
        "trainable": True,
        "writes": (write(normal(0.0, 0.125) if law is None else law),),
    }
    return Parameter(name=name, **{**defaults, **fields})


def layer(name: str = "fc", *parameters: Parameter, **fields: Any) -> Layer:
    """A linear layer before ReLU that is no output layer, with a weight drawn at 1/sqrt(fan_in)."""
    defaults = {
        "kind": "Linear",
        "location": at(3),
        "activation": RELU,
        "normalized": False,
        "joined": (),
        "consumers": (),
        "product_normalized": False,
        "is_head": False,
        "returned_too": False,
        "returns": 0,
    }
    return Layer(name=name, parameters=parameters or (parameter(f"{name}.weight"),), **{**defaults, **fields})


def model(*layers: Layer, probe: Probe | None = None, chain: bool = True, **fields: Any) -> Model:
    """Those layers, one after another unless ``chain`` is False, and what a pass through them measured."""
    defaults = {
        "class_name": "Net",
        "location": at(1),
        "chains": (Chain(layers=layers),) if chain and layers else (),
        "probe": probe if probe is not None else Probe(batch="8x64", loss_kind="target", judged_dtype=None),
    }
    return Model(name="net", layers=layers, **{**defaults, **fields})


def run(*kinds: str, line: int = 9, **fields: Any) -> Application:
    """One run of ``init_weights`` over a whole model, from that line."""
    return Application(
        **{"initializer": "init_weights", "location": at(line), "order": line, "kinds": kinds, "whole": True, **fields}
    )


def ask(code: str, subject: str, fact: Fact) -> list[Finding]:
    """What a rule says of a fact. Nothing stands in its way: a fact that it needs and has not got is an error here."""
    return list(getattr(load(code), f"check_{subject}")(fact))


def told(code: str, subject: str, fact: Fact) -> Finding:
    """The one thing that a rule says of a fact."""
    (finding,) = ask(code, subject, fact)
    return finding


def places(finding: Finding) -> Sequence[tuple[int, str]]:
    """The other places that a finding names, in order."""
    return [(each.location.line, each.message) for each in finding.related]
