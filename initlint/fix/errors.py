"""What a change that cannot be made raises."""

from __future__ import annotations

__all__ = ["CannotFix"]


class CannotFix(Exception):
    """Why a change cannot be made at its place, in a few words."""
