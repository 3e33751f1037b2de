"""The formats for CI: a golden file each, held against its schema, and nothing of a hostile name in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from lxml import etree

from initlint.findings import Edit, Finding, Fix, Related, Severity
from initlint.location import Location
from initlint.report.formats import MACHINE, render
from initlint.result import ModelRun, Report
from tests.report.test_formats import BARE, FINDING, HOSTILE, REPORT, WRITE

HERE = Path(__file__).parent
SARIF = json.loads((HERE / "sarif_2.1.0.schema.json").read_text())
GITLAB = json.loads((HERE / "gitlab_code_quality.schema.json").read_text())
JUNIT = etree.XMLSchema(etree.parse(HERE / "junit.xsd"))
GOLDEN = {
    "concise": "report.concise.txt",
    "sarif": "report.sarif",
    "github": "report.github.txt",
    "gitlab": "report.gitlab.json",
    "junit": "report.junit.xml",
}

EDIT = Edit(Location("models/net.py", 21, 43, 21, 43), "std=")
CELL = Finding(
    "INI305",
    "norm-scale-off",
    Severity.ADVICE,
    "norm.weight is filled with 0.5, twice as small as m[0](1.0)",
    Location("notes/try it.ipynb", 12, 5, 12, 30, cell=3),
    fingerprint="00000000000000aa",
)
LONG = Finding(
    "INI601",
    "no-seed",
    Severity.WARNING,
    "nothing sets a seed: 100% of runs differ",
    Location("/elsewhere/größe,1.py", 3, 1, 5, 2),
    fingerprint="00000000000000bb",
    related=(Related(Location("train.py", 9, 5), "the training starts here"),),
)
STDIN = replace(LONG, location=Location("-", 2), related=(), fingerprint="00000000000000cc")
UNPLACED = replace(BARE, model="Net")
EVERY = replace(
    REPORT,
    findings=(replace(FINDING, fix=Fix(True, (), (EDIT,))), UNPLACED, CELL, LONG, STDIN),
    failures=("models/gone.py: no such file",),
)


def described(codes: Iterable[str]) -> dict[str, Any]:
    return {
        code: {
            "name": f"rule-{code.lower()}",
            "severity": "warning",
            "summary": "One line.",
            "needs": ["source"],
            "documentation": "One line.\n\n## What it does\n\nThis.\n\n## Why it matters\n\nThat.\n",
        }
        for code in codes
    }


def shown(report: Report, name: str) -> str:
    return render(report, name, described)


def valid(name: str, text: str) -> Any:
    """What the text says, parsed; it has to keep to the format's schema."""
    if name == "sarif":
        jsonschema.Draft4Validator(SARIF).validate(data := json.loads(text))
        return data
    if name == "gitlab":
        jsonschema.validate(data := json.loads(text), GITLAB)
        assert len({entry["fingerprint"] for entry in data}) == len(data)
        return data
    if name == "junit":
        JUNIT.assertValid(tree := etree.fromstring(text.encode()))
        for suite in (tree, *tree):
            assert int(suite.get("tests")) == len(list(suite.iter("testcase")))
            for outcome, count in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
                if suite is not tree or outcome != "skipped":
                    assert int(suite.get(count)) == len(list(suite.iter(outcome)))
        return tree
    if name == "github":
        return [annotation(line) for line in text.splitlines()]
    return text.splitlines()


COMMAND = re.compile(r"::(error|warning|notice) ([^:]*)::(.*)")


def annotation(line: str) -> tuple[str, dict[str, str], str]:
    """A workflow command as GitHub's runner reads it."""
    match = COMMAND.fullmatch(line)
    assert match is not None, line
    properties = dict(part.split("=", 1) for part in match[2].split(","))
    assert set(properties) <= {"file", "line", "endLine", "col", "endColumn", "title"}

    def plain(text: str) -> str:
        for escape, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
            text = text.replace(escape, character)
        return text

    return match[1], {key: plain(value) for key, value in properties.items()}, plain(match[3])


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_golden(name: str) -> None:
    text = shown(EVERY, name)
    valid(name, text)
    assert text == (HERE / "golden" / GOLDEN[name]).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_a_clean_report_is_valid_too(name: str) -> None:
    for report in (Report(), replace(REPORT, findings=())):
        valid(name, shown(report, name))


@pytest.mark.parametrize("name", ["json", "sarif", "gitlab", "junit", "html"])
def test_documents_do_not_depend_on_the_encoding_of_standard_output(name: str) -> None:
    text = shown(replace(REPORT, findings=(replace(FINDING, message="größer als 名前"),)), name)
    assert text.isascii()
    if name == "junit":
        assert "größer als 名前" in etree.tostring(valid(name, text), encoding="unicode")


@pytest.mark.parametrize("name", MACHINE)
def test_names_cannot_drive_a_terminal_or_a_parser(name: str) -> None:
    nasty = f"{HOSTILE}%,:<![CDATA[]]>\"'&\n::stop-commands::x"
    hostile = replace(
        FINDING, message=nasty, model=nasty, layer=nasty, parameters=(nasty,), parameter=nasty, help=nasty,
        consequences=(nasty,), evidence={nasty: nasty}, location=Location(nasty, 3), related=(Related(WRITE, nasty),),
    )  # fmt: skip
    bare = replace(hostile, location=None, fingerprint="fedcba9876543210")
    report = replace(
        REPORT,
        findings=(hostile, bare),
        models=(ModelRun(nasty, "failed", nasty), ModelRun(nasty, "audited", nasty)),
        notes=(nasty,),
        failures=(nasty,),
    )
    text = shown(report, name)
    assert not [c for c in text if ord(c) < 32 and c != "\n"]
    assert not {"\x9b", "\u202e", "\u2028", "\ud800"} & set(text)
    text.encode()
    if name == "concise":
        assert len(text.splitlines()) == 2
    if name == "json":
        return  # what its text says is for programs, and is as it was
    said = valid(name, text)
    if name in ("sarif", "gitlab"):
        assert not [text for text in texts(said) if re.search("[\x00-\x09\x0b-\x1f\x9b\u202e]", text)]
    if name == "github":
        assert len(said) == 3
        assert all(title.get("title") in ("initlint", "INI501 std-passed-as-mean") for _, title, _ in said)


def texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)


def test_sarif_places_fixes_and_fingerprints() -> None:
    (run,) = valid("sarif", shown(EVERY, "sarif"))["runs"]
    mended, bare, cell, long, stdin = run["results"]
    rules = run["tool"]["driver"]["rules"]
    assert all(rules[each["ruleIndex"]]["id"] == each["ruleId"] for each in run["results"])
    assert rules[0]["help"]["markdown"].startswith("One line.\n\n## What it does")
    assert [each["level"] for each in run["results"]] == ["error", "warning", "note", "warning", "warning"]
    assert [each["partialFingerprints"] for each in run["results"]] == [
        {"initlint/v1": finding.fingerprint} for finding in EVERY.findings
    ]
    (change,) = mended["fixes"][0]["artifactChanges"]
    region = {"startLine": 21, "startColumn": 43, "endLine": 21, "endColumn": 43}
    assert change["replacements"] == [{"deletedRegion": region, "insertedContent": {"text": "std="}}]
    artifacts = [each["locations"][0]["physicalLocation"]["artifactLocation"] for each in run["results"]]
    assert artifacts[:4] == [
        {"uri": "models/net.py", "uriBaseId": "%SRCROOT%"},
        {"uri": "models/net.py", "uriBaseId": "%SRCROOT%"},  # where the model is built
        {"uri": "notes/try%20it.ipynb", "uriBaseId": "%SRCROOT%"},
        {"uri": "file:///elsewhere/gr%C3%B6%C3%9Fe%2C1.py"},
    ]
    assert "uri" not in stdin["locations"][0]["physicalLocation"]["artifactLocation"]
    assert "region" not in cell["locations"][0]["physicalLocation"]  # its line is one of a cell, not of the file
    assert "cell 3, line 12" in cell["message"]["text"]
    assert "m\\[0](1.0)" in cell["message"]["text"]  # no link
    assert bare["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == "Net.head.weight"
    assert long["relatedLocations"][0]["message"]["text"] == "the training starts here"
    assert not run["invocations"][0]["executionSuccessful"]


def test_what_has_no_line_goes_to_its_models_file_or_to_none() -> None:
    nowhere = replace(EVERY, findings=(UNPLACED, replace(BARE, fingerprint="0" * 16)), models=REPORT.models)
    alone = replace(nowhere, models=())
    assert valid("github", shown(nowhere, "github"))[0][1]["file"] == "models/net.py"
    assert "file" not in valid("github", shown(alone, "github"))[0][1]
    assert [entry["location"]["path"] for entry in valid("gitlab", shown(nowhere, "gitlab"))] == [
        "models/net.py",
        "head.weight",
    ]
    suites = [suite.get("name") for suite in valid("junit", shown(nowhere, "junit"))]
    assert suites == ["models/net.py::Net", "model", "models/net.py::Block", "initlint"]


def test_junit_passes_what_is_sound_and_fails_what_could_not_be_built() -> None:
    models = (
        ModelRun("a.py::A", "audited"),
        ModelRun("a.py::B", "failed", "raises"),
        ModelRun("a.py::C", "skipped", "?"),
    )
    tree = valid("junit", shown(Report(models=models), "junit"))
    assert [[child.tag for child in case] for case in tree.iter("testcase")] == [[], ["error"], ["skipped"]]
