"""SARIF 2.1.0: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html.

Paths are relative to ``%SRCROOT%``, the working directory; what lies elsewhere is an absolute URI. Nothing in it
depends on the machine or the clock, so that two runs of a static check give the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from initlint.findings import Severity
from initlint.printable import printable
from initlint.report.places import STDIN, file_of, spoken
from initlint.version import __version__

if TYPE_CHECKING:
    from initlint.findings import Finding, Fix
    from initlint.location import Location
    from initlint.result import Report

__all__ = ["render"]

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
ROOT = "%SRCROOT%"

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.ADVICE: "note"}


def render(report: Report, rules: Mapping[str, Mapping[str, Any]]) -> str:
    """The log as text. ``rules`` are those of the findings by code, as ``initlint.rulebook.described`` gives them."""
    import json

    order = {code: index for index, code in enumerate(sorted(rules))}
    plain = report.to_dict()["findings"]
    results = [
        _result(finding, report, data, order.get(finding.code))
        for finding, data in zip(report.findings, plain, strict=True)
    ]
    run = {
        "tool": {
            "driver": {
                "name": "initlint",
                "version": __version__,
                "semanticVersion": __version__,
                "rules": [_rule(code, rules[code]) for code in order],
            }
        },
        "invocations": [
            {
                "executionSuccessful": not report.failures,
                "toolExecutionNotifications": [
                    *({"level": "note", "message": _message(note)} for note in report.notes),
                    *({"level": "error", "message": _message(failure)} for failure in report.failures),
                ],
            }
        ],
        "originalUriBaseIds": {ROOT: {"description": {"text": "The directory that initlint was run in."}}},
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, allow_nan=False) + "\n"


def _rule(code: str, rule: Mapping[str, Any]) -> dict[str, Any]:
    documentation: str = rule["documentation"]
    what, _, rest = documentation.partition("\n## What it does\n")[2].strip().partition("\n## ")
    return {
        "id": code,
        "name": rule["name"],
        "shortDescription": {"text": rule["summary"]},
        "fullDescription": {"text": what.strip() if rest else rule["summary"]},
        "help": {"text": documentation, "markdown": documentation},
        "defaultConfiguration": {"level": _LEVELS[Severity.parse(rule["severity"])]},
        "properties": {"tags": ["pytorch", "initialization"], "needs": rule["needs"]},
    }


def _result(finding: Finding, report: Report, data: Mapping[str, Any], index: int | None) -> dict[str, Any]:
    about = ("model", "layer", "parameters", "sources", "evidence", "consequences", "help")
    result: dict[str, Any] = {
        "ruleId": finding.code,
        **({} if index is None else {"ruleIndex": index}),
        "level": _LEVELS[finding.severity],
        "message": _message("\n".join([spoken(finding), *([f"help: {finding.help}"] if finding.help else [])])),
        "locations": [_location(finding, report)],
        "partialFingerprints": {"initlint/v1": finding.fingerprint},
        "properties": {key: _clean(data[key]) for key in about if data[key]},
    }
    if finding.related:
        result["relatedLocations"] = [
            {"id": number, "physicalLocation": _physical(other.location), "message": _message(other.message)}
            for number, other in enumerate(finding.related, 1)
        ]
    if finding.fix is not None and finding.fix.edits:
        result["fixes"] = [_fix(finding.fix, finding.help)]
    return result


def _location(finding: Finding, report: Report) -> dict[str, Any]:
    """The place in the file, and the parameters, layer and cell that it is about."""
    location: dict[str, Any] = {}
    path = file_of(finding, report)
    if finding.location is not None:
        location["physicalLocation"] = _physical(finding.location)
    elif path is not None:
        location["physicalLocation"] = {"artifactLocation": _artifact(path)}
    logical = list(_logical(finding))
    return location | ({"logicalLocations": logical} if logical else {})


def _logical(finding: Finding) -> Iterator[dict[str, Any]]:
    if finding.location is not None and finding.location.cell is not None:
        yield {"name": f"cell {finding.location.cell}", "kind": "cell"}
    names = finding.parameters or tuple(filter(None, (finding.parameter or finding.layer,)))
    for name in names:
        full = ".".join(filter(None, (finding.model, name)))
        yield {"name": printable(name), "fullyQualifiedName": printable(full), "kind": "member"}
    if not names and finding.model:
        yield {"name": printable(finding.model), "fullyQualifiedName": printable(finding.model), "kind": "type"}


def _physical(where: Location) -> dict[str, Any]:
    """A place in a file; of a notebook the file alone, for its lines are counted in a cell."""
    place = {"artifactLocation": _artifact(where.path)}
    return place if where.cell is not None else place | {"region": _region(where)}


def _region(where: Location) -> dict[str, int]:
    region = {"startLine": where.line, "startColumn": where.column}
    if where.end_column is not None:
        region |= {"endLine": where.end_line or where.line, "endColumn": where.end_column}
    return region


def _artifact(path: str) -> dict[str, Any]:
    if path == STDIN:
        return {"description": {"text": "standard input"}}
    import os
    from urllib.parse import quote

    try:
        data = os.fsencode(path)
    except UnicodeEncodeError:  # no file is called that
        data = printable(path).encode()
    uri = quote(data, safe="/~")
    return {"uri": f"file://{uri}"} if path.startswith("/") else {"uri": uri, "uriBaseId": ROOT}


def _fix(fix: Fix, description: str) -> dict[str, Any]:
    changes: dict[str, list[dict[str, Any]]] = {}
    for edit in fix.edits or ():
        replacement = {"deletedRegion": _region(edit.location), "insertedContent": {"text": edit.text}}
        changes.setdefault(edit.location.path, []).append(replacement)
    safety = "safe" if fix.safe else "may change what is right"
    return {
        "description": _message(f"{description or 'mends it'} ({safety})"),
        "artifactChanges": [
            {"artifactLocation": _artifact(path), "replacements": several} for path, several in changes.items()
        ],
    }


_LINK = re.compile(r"\[(?=[^\[\]\n]*\]\()")


def _message(text: str) -> dict[str, str]:
    """A message whose brackets are no links: ``[text](place)`` would be one, and code is full of brackets."""
    return {"text": "\n".join(_LINK.sub(r"\\[", printable(line)) for line in text.split("\n"))}


def _clean(value: Any) -> Any:
    """Plain data with all its text printable."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {printable(key): _clean(each) for key, each in value.items()}
    if isinstance(value, Sequence):
        return [_clean(each) for each in value]
    return value
