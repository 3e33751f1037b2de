"""One line a finding, ``path:line:column: CODE message``: for grep, and for editors that jump to places.

Nothing where nothing was found, as compilers do it: what reads this format counts lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from initlint.printable import printable
from initlint.report.wording import place

if TYPE_CHECKING:
    from initlint.result import Report

__all__ = ["render"]


def render(report: Report) -> str:
    """The lines; no text where nothing was found. Without a line, the parameter's name stands for the place."""
    return "".join(f"{printable(place(f))}: {f.code} {printable(f.message)}\n" for f in report.findings)
