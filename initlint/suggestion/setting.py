"""What a suggested function does with one layer, or with one parameter that no layer of torch.nn owns."""

from __future__ import annotations

from initlint.record import record

__all__ = ["BARE", "TIED", "Setting", "number"]

BARE = ""
"""Stands for the kind of a layer where a parameter is set by itself."""

TIED = "Tied"
"""Stands for the kind of a layer whose parameters are set where they are met first."""


@record(frozen=True, slots=True)
class Setting:
    """What is to be written into a layer, or into a parameter.

    ``name`` is dotted within the model, ``kind`` the layer's class in torch.nn (``BARE``: ``name`` is a parameter's;
    ``TIED``: the layer's parameters are another's too). ``lines`` are statements about ``module`` (``parameter``),
    none for what is left as it is. ``bias`` is "zero", "none" (the layer has no bias) or "keep". ``why`` is the
    comment that goes with it, ``keeps`` says what of it is left alone and why, for the notes.
    """

    name: str
    kind: str
    lines: tuple[str, ...] = ()
    bias: str = "none"
    why: str = ""
    keeps: str = ""

    @property
    def does_nothing(self) -> bool:
        """Whether everything is left as it is."""
        return not self.lines and self.bias != "zero"


def number(value: float) -> str:
    """A number as one would write it: four digits at most."""
    return repr(float(f"{value:.4g}")) if value != int(value) or abs(value) > 1e6 else str(int(value))
