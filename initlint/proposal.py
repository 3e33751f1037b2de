"""A suggested init function, and what was seen of the model without and with it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

from initlint.record import record
from initlint.writing import put

if TYPE_CHECKING:
    from initlint.location import Location
    from initlint.result import Report

__all__ = ["Suggestion"]


@record(frozen=True, slots=True)
class Suggestion:
    """What ``initlint suggest`` came to.

    ``status`` is "fine" (no finding at warning or above, and no function), "suggested" (``source`` was applied to the
    model and probed: some findings are gone, and none is new), "not improved" or "failed" (``before.failures`` or
    ``after.failures`` say why). ``source`` is the text of the function; None unless it was suggested. ``before`` and
    ``after`` are what was found without and with it; findings that only its statements would silence are in both.
    ``mended`` and ``remaining`` are the codes whose findings are gone, or are still there; ``new`` those that came.
    ``kept`` are (parameters or layers, why they are left alone); ``replaces`` the statements of the model's that it
    takes the place of.
    """

    target: str
    status: Literal["fine", "suggested", "not improved", "failed"]
    before: Report
    after: Report | None = None
    source: str | None = None
    mended: tuple[str, ...] = ()
    remaining: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    kept: tuple[tuple[str, str], ...] = ()
    replaces: tuple[Location, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the model is fine, or there is a function that was seen to mend it."""
        return self.status in ("fine", "suggested")

    @property
    def failures(self) -> tuple[str, ...]:
        """Why it could not be told; a line each."""
        return (*self.before.failures, *(self.after.failures if self.after is not None else ()))

    @property
    def notes(self) -> tuple[str, ...]:
        """What was met on the way, with the function and without it; a line each."""
        return tuple(dict.fromkeys((*self.before.notes, *(self.after.notes if self.after is not None else ()))))

    def to_dict(self) -> dict[str, Any]:
        """Plain data, in the layout of ``initlint suggest --format json``; reports as ``Report.to_dict`` has them."""
        before = self.before.to_dict()
        return {
            "schema_version": before["schema_version"],
            "tool": before["tool"],
            "target": self.target,
            "status": self.status,
            "source": self.source,
            "mended": list(self.mended),
            "remaining": list(self.remaining),
            "new": list(self.new),
            "kept": [{"what": what, "why": why} for what, why in self.kept],
            "replaces": [{"path": place.path, "line": place.line} for place in self.replaces],
            "before": before,
            "after": None if self.after is None else self.after.to_dict(),
        }

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """Before and after as one HTML page that needs nothing beside it, also written to ``path`` if one is given.

        Raises ModuleNotFoundError without the extra ``report``, OSError where the file cannot be written.
        """
        from initlint.report.before_after import render

        page = render(self)
        if path is not None:
            put(os.fspath(path), page)
        return page

    def _repr_html_(self) -> str:
        """What came of it, both profiles in one chart where the extra ``report`` is installed, and the function."""
        from initlint.report.before_after import in_a_notebook

        return in_a_notebook(self)
