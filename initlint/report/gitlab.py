"""GitLab's code quality report: https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from initlint.findings import Severity
from initlint.printable import printable
from initlint.report.places import STDIN, file_of, lines_of, spoken

if TYPE_CHECKING:
    from initlint.findings import Finding
    from initlint.result import Report

__all__ = ["render"]

_SEVERITIES = {Severity.ERROR: "critical", Severity.WARNING: "major", Severity.ADVICE: "info"}


def render(report: Report) -> str:
    """The JSON array; every entry has a path and a line, as GitLab demands, be it a file's first line."""
    import json

    return json.dumps([_issue(finding, report) for finding in report.findings], indent=2) + "\n"


def _issue(finding: Finding, report: Report) -> dict[str, Any]:
    first, last = lines_of(finding) or (1, 1)
    help = f" ({printable(finding.help)})" if finding.help else ""
    return {
        "description": f"{finding.code} {spoken(finding)}{help}",
        "check_name": finding.code,
        "fingerprint": finding.fingerprint,
        "severity": _SEVERITIES[finding.severity],
        "location": {
            "path": printable(file_of(finding, report) or (STDIN if finding.location else finding.subject)),
            "lines": {"begin": first, "end": last},
        },
    }
