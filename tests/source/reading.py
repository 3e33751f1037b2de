"""Short ways to read a snippet."""

from __future__ import annotations

import textwrap

from initlint.facts import Application, Facts, InitCall, Initializer, Layer, Model, Parameter, known
from initlint.source.reader import Source, read

PRELUDE = "import math, copy\nimport torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n"


def source(text: str, path: str = "model.py") -> Source:
    return read((PRELUDE + textwrap.dedent(text)).encode(), path)


def facts(text: str) -> Facts:
    return source(text).facts


def only_call(text: str) -> InitCall:
    (call,) = facts(text).calls
    return call


def model(text: str, name: str = "Net") -> Model:
    (found,) = [model for model in facts(text).models if model.name == name]
    return found


def layer(model: Model, name: str) -> Layer:
    (found,) = [layer for layer in model.layers if layer.name == name]
    return found


def parameter(model: Model, name: str) -> Parameter:
    (found,) = [parameter for parameter in model.parameters if parameter.name == name]
    return found


def initializer(text: str, name: str) -> Initializer:
    (found,) = [found for found in facts(text).initializers if found.name == name]
    return found


def writers(parameter: Parameter) -> list[str] | None:
    """The last names of the functions that wrote it, None where they are not known."""
    if not known(parameter.writes):
        return None
    return [write.function.rpartition(".")[2] for write in parameter.writes]


def applications(model: Model) -> tuple[Application, ...]:
    assert known(model.applications)
    return model.applications


def net(init: str, forward: str = "return x", rest: str = "") -> str:
    """A class Net with these statements in its constructor and forward."""
    body = textwrap.indent(textwrap.dedent(init).strip("\n"), " " * 8)
    flow = textwrap.indent(textwrap.dedent(forward).strip("\n"), " " * 8)
    return (
        "class Net(nn.Module):\n"
        "    def __init__(self, dim=8, depth=3, flag=False):\n"
        f"        super().__init__()\n{body}\n\n"
        f"    def forward(self, x):\n{flow}\n\n"
        f"{textwrap.dedent(rest)}"
    )
