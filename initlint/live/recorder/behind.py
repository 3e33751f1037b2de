"""What the frames behind an event tell: whether torch, a library, a checkpoint or the project wrote, and its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from initlint.live.recorder.events import author_of
from initlint.live.recorder.provenance import Glance, Home, method_name

__all__ = ["attributed", "is_cloning", "is_framework", "is_pretrained", "is_reset"]


def attributed(function: str, bound: Mapping[str, Any], glance: Glance) -> tuple[str, Mapping[str, Any], str]:
    """The function that an event goes by, its arguments, and who wrote; ``function`` is what torch was asked to do."""
    if glance.loading:
        return "torch.nn.Module.load_state_dict", {}, "checkpoint"
    if glance.inner and is_framework(glance):
        outermost = glance.inner[-1]
        if str(outermost.f_globals.get("__name__", "")).startswith("torch.nn.utils."):
            return method_name(outermost), {}, "framework"
        if is_reset(glance):
            return method_name(outermost), {}, author_of(glance.sites)
        return function, bound, "framework"
    return function, bound, author_of(glance.sites)


def is_framework(glance: Glance) -> bool:
    """Whether torch's layers stand between the event and the statement, and not merely a method of Tensor."""
    return any(
        str(frame.f_globals.get("__name__", "")).startswith(("torch.nn.modules.", "torch.nn.utils."))
        for frame in glance.inner
    )


def is_pretrained(glance: Glance) -> bool:
    """Whether a library's from_pretrained makes a tensor that it has read a parameter, without an operation."""
    return any(site.home is Home.LIBRARY and site.code.co_name == "from_pretrained" for site in glance.sites)


def is_reset(glance: Glance) -> bool:
    """Whether somebody called a torch layer's reset_parameters himself (not as the base's, from his own)."""
    name = glance.inner[-1].f_code.co_name
    if not name.lstrip("_").startswith("reset_"):
        return False
    return bool(glance.sites) and glance.sites[0].code.co_name != name


def is_cloning(glance: Glance) -> bool:
    """Whether copy.deepcopy asked a tensor for its copy."""
    return any(frame.f_code.co_name == "__deepcopy__" for frame in glance.inner)
