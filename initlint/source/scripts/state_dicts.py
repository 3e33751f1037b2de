"""What a state dict's keys look like, as the code that made it tells: bare, prefixed by "module.", or nested."""

from __future__ import annotations

import ast
from typing import Any

from initlint.source.text.names import spelled


class StateDict:
    """A state dict. ``prefix`` is what each key begins with; "nested": it holds state dicts under keys of its own."""

    __slots__ = ("prefix",)

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix


def save(saved: dict[str, StateDict], node: ast.Call, value: Any) -> None:
    """``torch.save(value, path)``: what loading the same path, as it is spelled, will give."""
    path = ast.unparse(node.args[1])
    if isinstance(value, StateDict) and path not in saved:
        saved[path] = value
    else:
        saved.pop(path, None)


def read_state_dict(node: ast.expr, env: dict[str, Any]) -> Any:
    """The state dict that a literal or a comprehension makes of others; an opaque object for anything else."""
    if isinstance(node, ast.Subscript):  # entries are set one by one: what it holds is no longer known
        env[spelled(node.value)] = object()
        return env[spelled(node.value)]
    if isinstance(node, ast.Dict):
        named = all(isinstance(key, ast.Constant) and isinstance(key.value, str) for key in node.keys)
        held = any(_is_state_dict(value) for value in node.values)
        return StateDict("nested") if named and held else object()
    if isinstance(node, ast.DictComp) and len(node.generators) == 1:
        source = node.generators[0]
        if source.ifs or not isinstance(source.target, ast.Tuple) or not isinstance(source.target.elts[0], ast.Name):
            return object()
        prefix = _renamed(node.key, source.target.elts[0].id)
        if prefix is not None:
            return StateDict(prefix)
    return object()


def _is_state_dict(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "state_dict"


def _renamed(key: ast.expr, name: str) -> str | None:
    """What new keys begin with: "" where "module." is taken away, "module." where it is put in front; else None."""
    if isinstance(key, ast.Call) and isinstance(key.func, ast.Attribute) and spelled(key.func.value) == name:
        words = [part.value for part in key.args if isinstance(part, ast.Constant)]
        if (key.func.attr == "replace" and words[:2] == ["module.", ""]) or (
            key.func.attr == "removeprefix" and words == ["module."]
        ):
            return ""
    if isinstance(key, ast.BinOp) and isinstance(key.op, ast.Add) and isinstance(key.left, ast.Constant):
        return "module." if key.left.value == "module." and spelled(key.right) == name else None
    if isinstance(key, ast.JoinedStr) and len(key.values) == 2:
        first, second = key.values
        if isinstance(first, ast.Constant) and first.value == "module." and isinstance(second, ast.FormattedValue):
            return "module." if spelled(second.value) == name else None
    return None
