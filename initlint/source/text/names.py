"""What a name means: the import table of a file, and canonical spellings."""

from __future__ import annotations

import ast
import builtins
import functools
import os
import re

CHECKPOINT_LOADS = frozenset(
    {
        "load_state_dict",
        "from_pretrained",
        "load_from_checkpoint",
        "load_checkpoint",
        "_load_from_state_dict",
        "load_pretrained",
        "load_weights",
    }
)
"""What writes the weights of a checkpoint into a model, by its name."""

LIBRARIES = frozenset(
    ("torch", "transformers", "timm", "mmengine", "mmcv", "fvcore", "torch_geometric", "torchvision", "diffusers")
)
"""Packages known by their canonical names, which are not looked into; a dotted path is cut before these."""

BUILTINS = frozenset(dir(builtins))


@functools.lru_cache(maxsize=64)
def module_name(path: str) -> tuple[str, ...]:
    """The dotted parts of the module that a path holds, as far as its text tells.

    What directories there are is asked once a path; ``module_name.cache_clear`` where they may have changed.
    """
    words = re.split(r"[/\\]", path)
    places = [index for index, word in enumerate(words) if word not in ("", ".", "..")]
    parts = [words[index] for index in places]
    if parts:
        stem = parts[-1].split(".", 1)[0]
        parts = parts[:-1] if stem == "__init__" else [*parts[:-1], stem]
    for index in reversed(range(len(parts))):
        if parts[index] in ("site-packages", "dist-packages"):
            parts, places = parts[index + 1 :], places[index + 1 :]
            break
    for index, part in enumerate(parts[:-1]):
        if part in LIBRARIES and not _is_mere_directory("/".join(words[: places[index] + 1])):
            return tuple(parts[index:])
    return tuple(parts)


def _is_mere_directory(path: str) -> bool:
    """Whether a directory that bears a library's name is no package, or a part of another one."""
    return os.path.isdir(path) and (
        not os.path.isfile(f"{path}/__init__.py") or os.path.isfile(f"{path}/../__init__.py")
    )


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
