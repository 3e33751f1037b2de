"""The grammar of --widths: ``64,128,256``, or ``hidden=64,128,256`` to name the argument that is the width."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["WIDTH_NAMES", "WidthSpec", "parse_widths", "width_argument"]

WIDTH_NAMES = (
    "width",
    "hidden",
    "hidden_size",
    "hidden_dim",
    "hidden_features",
    "hidden_channels",
    "n_hidden",
    "d_model",
    "dim_model",
    "embed_dim",
    "embedding_dim",
    "n_embd",
    "model_dim",
    "dim",
    "channels",
    "num_channels",
    "base_channels",
    "num_features",
    "features",
    "planes",
    "nf",
)
"""What a width is called, likeliest first."""
_MOST = 1 << 20
_FORM = re.compile(r"\s*(?:([^\W\d]\w*)\s*=)?\s*(\d+(?:\s*,\s*\d+)*)\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class WidthSpec:
    """``widths``, ascending, two at least; ``name`` of the argument, None where it is to be found."""

    widths: tuple[int, ...]
    name: str | None = None

    def __str__(self) -> str:
        text = ",".join(map(str, self.widths))
        return text if self.name is None else f"{self.name}={text}"


def parse_widths(given: str | Sequence[int]) -> WidthSpec:
    """Read what --widths was given; ValueError, in one line, for what is none."""
    match = _FORM.fullmatch(given if isinstance(given, str) else ",".join(map(str, given)))
    if match is None:
        raise ValueError(f"not widths: {given!r} (write 64,128,256 or hidden=64,128,256)")
    texts = [text.strip() for text in match[2].split(",")]
    widths = sorted({int(text) for text in texts if len(text) < 10})
    if len(widths) < 2 or len(widths) != len(texts):
        raise ValueError(f"two different widths at least, not {given!r}")
    if not 0 < widths[0] <= widths[-1] <= _MOST:
        raise ValueError(f"a width lies between 1 and {_MOST}, not so in {given!r}")
    return WidthSpec(tuple(widths), match[1])


def width_argument(spec: WidthSpec, takes: Iterable[str] | None) -> str | None:
    """The argument that is the width, of those that a class or function takes (None: any); None where there is none."""
    if takes is None:
        return spec.name
    names = tuple(takes)
    if spec.name is not None:
        return spec.name if spec.name in names else None
    return next((name for name in WIDTH_NAMES if name in names), None)
