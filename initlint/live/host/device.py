"""Where a pass runs, and how exactly figures can be taken there."""

from __future__ import annotations

import torch

from initlint.live.host.failures import first_line

__all__ = ["exact", "usable"]


def usable(wanted: str | torch.device) -> str:
    """The device asked for; CUDA if there is any, else the CPU, for "auto". ValueError in one line for none such."""
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        found = torch.empty(0, device=wanted).device
    except (RuntimeError, AssertionError, ImportError) as error:  # of a make of device that torch has no module for
        raise ValueError(f"no device {wanted}: {first_line(error, 300) or type(error).__name__}") from None
    if found.type == "meta":
        raise ValueError("no device meta: there are no values to run a model with (--meta predicts them)")
    return str(wanted)


def exact(device: torch.device) -> torch.dtype:
    """The widest type of numbers that a device has: Apple's have no float64."""
    return torch.float32 if device.type == "mps" else torch.float64
