"""Where a finding is put by formats that want a file for each: its own place, else the file its model is built from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from initlint.printable import printable

if TYPE_CHECKING:
    from initlint.findings import Finding
    from initlint.result import ModelRun, Report

__all__ = ["file_of", "lines_of", "run_of", "spoken"]

STDIN = "-"

_NAME = re.compile(r"(?:::|:|\.)([^:.]+)$")
"""The last name of ``models/net.py::Net`` and ``package.models:build``."""


def run_of(finding: Finding, report: Report) -> ModelRun | None:
    """The run of the model that a finding is about; None where that is not told apart."""
    if finding.model is None:
        return None
    named = [run for run in report.models if (match := _NAME.search(run.target)) and match[1] == finding.model]
    audited = named or [run for run in report.models if run.status == "audited"]
    return audited[0] if len(audited) == 1 else None


def file_of(finding: Finding, report: Report) -> str | None:
    """The file to put a finding under: that of its line, else the one that its model's target names."""
    if finding.location is not None:
        return None if finding.location.path == STDIN else finding.location.path
    run = run_of(finding, report)
    path, separator, _ = run.target.partition("::") if run is not None else ("", "", "")
    return path if separator else None


def lines_of(finding: Finding) -> tuple[int, int] | None:
    """The first and the last line in the file; None for no line, and in a notebook, where lines count in a cell."""
    where = finding.location
    if where is None or where.cell is not None:
        return None
    return where.line, max(where.line, where.end_line or where.line)


def spoken(finding: Finding) -> str:
    """The message, led by the cell and the line in it where the finding stands in a notebook; it is printable."""
    where = finding.location
    cell = "" if where is None or where.cell is None else f"cell {where.cell}, line {where.line}: "
    return printable(cell + finding.message)
