"""The report as one JSON object, schema version 1; ASCII only, so that it survives any terminal's encoding."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from initlint.result import Report

__all__ = ["render"]


def render(report: Report) -> str:
    """The object as text, ending in a newline."""
    import json

    return json.dumps(report.to_dict(), indent=2, allow_nan=False) + "\n"
