"""Workflow commands of GitHub Actions: each line of standard output becomes an annotation on the changed file.

The form and its escapes: https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from initlint.findings import Severity
from initlint.printable import printable
from initlint.report.places import file_of, lines_of, spoken

if TYPE_CHECKING:
    from initlint.findings import Finding
    from initlint.result import Report

__all__ = ["render"]

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.ADVICE: "notice"}


def render(report: Report) -> str:
    """One command a finding, and one for each thing that could not be done."""
    findings = [_annotation(finding, report) for finding in report.findings]
    failures = [_command("error", {"title": "initlint"}, printable(failure)) for failure in report.failures]
    return "".join(f"{line}\n" for line in (*findings, *failures))


def _annotation(finding: Finding, report: Report) -> str:
    properties: dict[str, str] = {}
    if (path := file_of(finding, report)) is not None:
        properties["file"] = path
        if (lines := lines_of(finding)) is not None and finding.location is not None:
            where = finding.location
            properties["line"], properties["endLine"] = map(str, lines)
            if lines[0] == lines[1]:  # columns of several lines are refused
                properties["col"] = str(where.column)
                properties["endColumn"] = str(where.end_column or where.column + 1)
    properties["title"] = f"{finding.code} {finding.name}"
    help = f"\nhelp: {printable(finding.help)}" if finding.help else ""
    return _command(_COMMANDS[finding.severity], properties, spoken(finding) + help)


def _command(name: str, properties: dict[str, str], message: str) -> str:
    given = ",".join(f"{key}={_value(printable(value))}" for key, value in properties.items())
    return f"::{name} {given}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _value(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
