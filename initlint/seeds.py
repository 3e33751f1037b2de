"""What several seeds say of one model: design shows with every seed, luck with one or two."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from initlint.findings import Finding, Severity
from initlint.record import replace

__all__ = ["elected"]


def elected(said: Sequence[Sequence[Finding]]) -> tuple[list[Finding], list[str]]:
    """The findings that more than half of the builds show, and a line for each that fewer do.

    ``said`` holds what was found with each seed. A finding is the same where code and statement are (without a
    statement, layer and parameter). An error that not every seed shows is a warning.
    """
    if len(said) == 1:
        return list(said[0]), []
    shown: dict[Hashable, list[int]] = {}
    erring: dict[Hashable, set[int]] = {}
    for number, findings in enumerate(said):
        for finding in findings:
            numbers = shown.setdefault(_defect(finding), [])
            if number not in numbers:
                numbers.append(number)
            if finding.severity is Severity.ERROR:
                erring.setdefault(_defect(finding), set()).add(number)
    kept: list[Finding] = []
    lucky: dict[str, None] = {}
    for number, findings in enumerate(said):
        for finding in findings:
            numbers = shown[_defect(finding)]
            if len(numbers) * 2 <= len(said):
                where = finding.parameter or finding.layer or finding.model
                told = f"{finding.code} ({where})" if where else finding.code
                lucky[f"{told} shows with {len(numbers)} of {len(said)} seeds, and is put down to luck"] = None
            elif number == numbers[0]:
                certain = len(erring.get(_defect(finding), ())) == len(said)
                severity = finding.severity if certain else min(finding.severity, Severity.WARNING)
                evidence = {**finding.evidence, "seeds": f"{len(numbers)} of {len(said)}"}
                kept.append(replace(finding, severity=severity, evidence=evidence))
    return kept, list(lucky)


def _defect(finding: Finding) -> Hashable:
    if finding.location is not None:
        return finding.code, finding.model, finding.location
    return finding.code, finding.model, finding.layer, finding.parameter
