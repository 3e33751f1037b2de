"""What a name means: the import table of a file, and canonical spellings."""

from __future__ import annotations

import ast
import builtins
import re

_ROOTS = ("torch", "transformers", "timm", "mmengine", "mmcv", "fvcore", "torch_geometric", "torchvision", "diffusers")
"""Packages whose own files import their parts relatively: the dotted path is cut before these."""

BUILTINS = frozenset(dir(builtins))


def module_name(path: str) -> tuple[str, ...]:
    """The dotted parts of the module that a path holds, as far as its text tells."""
    parts = [part for part in re.split(r"[/\\]", path) if part not in ("", ".", "..")]
    if parts:
        stem = parts[-1].split(".", 1)[0]
        parts = parts[:-1] if stem == "__init__" else [*parts[:-1], stem]
    for marker in ("site-packages", "dist-packages"):
        if marker in parts:
            parts = parts[len(parts) - parts[::-1].index(marker) :]
    for index, part in enumerate(parts):
        if part in _ROOTS and index < len(parts) - 1:
            return tuple(parts[index:])
    return tuple(parts)


def imported(node: ast.Import | ast.ImportFrom, path: str) -> list[tuple[str, str]]:
    """The (local name, canonical name) pairs that an import statement binds; ``("*", module)`` for a star import."""
    if isinstance(node, ast.Import):
        pairs = []
        for alias in node.names:
            if alias.asname:
                pairs.append((alias.asname, canonical(alias.name)))
            else:
                root = alias.name.partition(".")[0]
                pairs.append((root, root))
        return pairs
    module = node.module or ""
    if node.level:
        own = module_name(path)
        package = own if re.split(r"[/\\]", path)[-1].startswith("__init__.") else own[:-1]
        kept = package[: max(len(package) - node.level + 1, 0)]
        module = ".".join((*kept, module) if module else kept) or "?"
    return [
        ("*", module) if alias.name == "*" else (alias.asname or alias.name, canonical(f"{module}.{alias.name}"))
        for alias in node.names
    ]


_HOMES = {
    "torch.nn.modules.module.Module": "torch.nn.Module",
    "torch.nn.parameter.Parameter": "torch.nn.Parameter",
    "torch.Parameter": "torch.nn.Parameter",
    "torch.nn.parameter.UninitializedParameter": "torch.nn.UninitializedParameter",
    "torch.autograd.no_grad": "torch.no_grad",
    "collections.OrderedDict": "OrderedDict",
    "typing.OrderedDict": "OrderedDict",
}


def canonical(name: str) -> str:
    """The usual spelling of a dotted name: ``torch.nn.modules.linear.Linear`` is ``torch.nn.Linear``."""
    found = _HOMES.get(name)
    if found is not None:
        return found
    if name.startswith("torch.nn.modules."):
        parts = name.split(".")
        return "torch.nn." + parts[-1] if len(parts) > 3 and parts[-1][:1] in "_ABCDEFGHIJKLMNOPQRSTUVWXYZ" else name
    return name


def spelled(node: ast.expr) -> str:
    """An expression as text, short."""
    parts: list[str] = []
    current = node
    while isinstance(current, ast.Attribute):
        parts.append(current.attr)
        current = current.value
    if isinstance(current, ast.Name):
        parts.append(current.id)
        return ".".join(reversed(parts))
    try:
        text = ast.unparse(node)
    except (RecursionError, ValueError):
        return "…"
    return text if len(text) <= 120 else text[:117] + "..."
