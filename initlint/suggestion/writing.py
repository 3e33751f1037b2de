"""The source of a function that sets the layers of a model as was chosen: layers alike share a branch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from initlint.printable import printable
from initlint.suggestion.naming import telling
from initlint.suggestion.setting import BARE, TIED, Setting

__all__ = ["source_of"]

_WIDTH = 100
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


@dataclass(slots=True)
class _Branch:
    """One branch of the function: the kinds of layer it is for, a test of their names, and what it does."""

    kinds: list[str]
    test: str
    body: tuple[str, ...]


def source_of(model: str, settings: Sequence[Setting]) -> str:
    """A module with a function ``init_weights(model)`` in it; ``model`` is what the docstring calls the model."""
    layers = [setting for setting in settings if setting.kind != BARE]
    bare = [setting for setting in settings if setting.kind == BARE]
    lines = [*_loop_over_modules(layers), *_loop_over_parameters(bare)]
    text = "\n".join(lines)
    head = [f"import {module}" for module in ("math", "re") if f"{module}." in text]
    return "\n".join(
        [
            *head,
            *([""] if head else []),
            "import torch",
            "from torch import nn",
            "",
            "",
            "@torch.no_grad()",
            "def init_weights(model: nn.Module) -> None:",
            f'    """Initialise {model}; call it once the whole model is built."""',
            *(f"    {line}" if line else "" for line in lines),
            "",
        ]
    )


def _loop_over_modules(settings: Sequence[Setting]) -> list[str]:
    branches = _branches(settings)
    if not branches:
        return []
    lines = []
    for index, branch in enumerate(branches):
        lines += _condition(branch, "if" if index == 0 else "elif")
        lines += [f"    {line}" for line in branch.body]
    named = any(branch.test for branch in branches)
    loop = "for name, module in model.named_modules():" if named else "for module in model.modules():"
    return [loop, *(f"    {line}" for line in lines)]


def _loop_over_parameters(settings: Sequence[Setting]) -> list[str]:
    names = [setting.name for setting in settings]
    groups: dict[tuple[str, ...], list[str]] = {}
    for setting in settings:
        if setting.lines:
            groups.setdefault(_body(setting, conditional=False), []).append(setting.name)
    lines = []
    for index, (body, wanted) in enumerate(groups.items()):
        test = telling(wanted, [name for name in names if name not in wanted])
        lines += [f"    {'elif' if index else 'if'} {test}:", *(f"        {line}" for line in body)]
    return ["for name, parameter in model.named_parameters():", *lines] if lines else []


def _branches(settings: Sequence[Setting]) -> list[_Branch]:
    """The branches in order: what belongs to another first, then each kind, its exceptions before the rule."""
    tied = [setting for setting in settings if setting.kind == TIED]
    layers = [setting for setting in settings if setting.kind != TIED]
    names = [setting.name for setting in layers]
    found = []
    if tied:
        wanted = list(dict.fromkeys(setting.name for setting in tied))
        test = telling(wanted, [name for name in names if name not in wanted])
        shared = ", ".join(dict.fromkeys(setting.keeps for setting in tied))
        found.append(_Branch([], test, (f"pass  # {printable(shared)}",)))
        layers = [setting for setting in layers if setting.name not in wanted]
    kinds = dict.fromkeys(setting.kind for setting in layers)
    for kind in kinds:
        found += _of_kind(kind, [setting for setting in layers if setting.kind == kind])
    return _merged(found)


def _of_kind(kind: str, settings: Sequence[Setting]) -> list[_Branch]:
    groups: dict[tuple[object, ...], list[Setting]] = {}
    for setting in settings:
        kept = setting.bias == "keep" or setting.does_nothing
        groups.setdefault((setting.lines, kept, setting.why), []).append(setting)
    ordered = sorted(groups.values(), key=len)
    branches = []
    for group in ordered:
        test = ""
        if group is not ordered[-1]:
            wanted = [setting.name for setting in group]
            test = telling(wanted, [setting.name for setting in settings if setting.name not in wanted])
        biases = {setting.bias for setting in group}
        branches.append(_Branch([kind], test, _body(group[0], conditional="none" in biases, zero="zero" in biases)))
    while branches and branches[-1].body[-1].startswith("pass"):
        branches.pop()  # what no branch is for is left as it is
    return branches


def _body(setting: Setting, *, conditional: bool, zero: bool = False) -> tuple[str, ...]:
    why = [f"# {printable(setting.why)}"] if setting.why else []
    lines = list(setting.lines)
    if zero:
        lines += (
            ["if module.bias is not None:", "    nn.init.zeros_(module.bias)"]
            if conditional
            else ["nn.init.zeros_(module.bias)"]
        )
    return (*why, *lines) if lines else (f"pass  # {printable(setting.why or setting.keeps)}",)


def _merged(branches: Iterable[_Branch]) -> list[_Branch]:
    """Kinds that are all treated alike share a branch."""
    kept: list[_Branch] = []
    for branch in branches:
        alike = next((other for other in kept if not (other.test or branch.test) and other.body == branch.body), None)
        if alike is None or any(set(other.kinds) & set(branch.kinds) for other in kept):
            kept.append(branch)
        else:
            alike.kinds += branch.kinds
    return kept


def _condition(branch: _Branch, word: str) -> list[str]:
    kinds = [f"nn.{kind}" for kind in branch.kinds]
    tests = []
    if kinds:
        tests.append(f"isinstance(module, {kinds[0] if len(kinds) == 1 else '(' + ', '.join(kinds) + ')'})")
    if branch.test:
        tests.append(branch.test)
    line = f"{word} {' and '.join(tests)}:"
    if len(line) + 8 <= _WIDTH or not branch.test.startswith("name in ("):
        return [line]
    head = line.removesuffix(f"{branch.test}:")
    return [f"{head}name in (", *(f"    {name}," for name in _STRING.findall(branch.test)), "):"]
