"""JUnit XML, which every CI shows: a suite for each file and model, and in it a failed case for each finding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from initlint.printable import printable
from initlint.report.places import lines_of, run_of, spoken

if TYPE_CHECKING:
    from initlint.findings import Finding
    from initlint.result import Report

__all__ = ["render"]

OUTCOMES = ("failure", "error", "skipped")


def render(report: Report) -> str:
    """The document. A model without findings is a case that passed; so is a run that found nothing at all."""
    suites: dict[str, list[ElementTree.Element]] = {}
    blamed = set()
    for finding in report.findings:
        run = run_of(finding, report)
        blamed.add(run.target if run is not None else None)
        suite = finding.location.path if finding.location else run.target if run else finding.model or "model"
        suites.setdefault(suite, []).append(_failed(finding, suite))
    for run in report.models:
        if run.status != "audited":
            outcome = "error" if run.status == "failed" else "skipped"
            suites.setdefault(run.target, []).append(_case(run.status, run.target, outcome, run.reason or ""))
        elif run.target not in blamed:
            suites.setdefault(run.target, []).append(_case("initialisation", run.target))
    for failure in report.failures:
        suites.setdefault("initlint", []).append(_case("could not be done", "initlint", "error", failure))
    if not suites:
        suites["initlint"] = [_case("no findings", "initlint")]
    every = [case for cases in suites.values() for case in cases]
    root = ElementTree.Element("testsuites", {"name": "initlint", **_counts(every)})
    del root.attrib["skipped"]  # which strict readers know of suites alone
    root.set("time", f"{report.summary.seconds:.3f}")
    for name, cases in suites.items():
        ElementTree.SubElement(root, "testsuite", {"name": printable(name), **_counts(cases)}).extend(cases)
    ElementTree.indent(root)
    document = ElementTree.tostring(root, encoding="us-ascii").decode()  # whatever standard output's encoding is
    return f'<?xml version="1.0" encoding="utf-8"?>\n{document}\n'


def _case(name: str, suite: str, outcome: str | None = None, message: str = "") -> ElementTree.Element:
    case = ElementTree.Element("testcase", name=printable(name), classname=printable(suite))
    if outcome is not None:
        ElementTree.SubElement(case, outcome, message=printable(message))
    return case


def _failed(finding: Finding, suite: str) -> ElementTree.Element:
    where, lines = finding.location, lines_of(finding)
    place = finding.subject if where is None else str(where)
    case = ElementTree.Element("testcase", name=printable(f"{finding.code} {place}"), classname=printable(suite))
    if where is not None and lines is not None:
        case.set("file", printable(where.path))
        case.set("line", str(lines[0]))
    failure = ElementTree.SubElement(case, "failure", message=spoken(finding), type=finding.severity.label)
    headline = f"{place}: {finding.code} [{finding.severity.label}] {finding.message}"
    failure.text = "\n".join(_details(finding, headline))
    return case


def _details(finding: Finding, headline: str) -> Iterator[str]:
    yield printable(headline)
    if finding.parameters:
        yield f"parameters: {printable(', '.join(finding.parameters))}"
    for consequence in finding.consequences:
        yield f"consequence: {printable(consequence)}"
    if finding.help:
        yield f"help: {printable(finding.help)}"


def _counts(cases: list[ElementTree.Element]) -> dict[str, str]:
    """How many cases there are, and of each bad outcome."""
    failures, errors, skipped = (sum(case.find(each) is not None for case in cases) for each in OUTCOMES)
    return {
        "tests": str(len(cases)),
        "failures": str(failures),
        "errors": str(errors),
        "skipped": str(skipped),
    }
