"""Text and JSON of a report made by hand: golden files, the schema, hostile text, narrow terminals."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from initlint.findings import Finding, Related, Severity
from initlint.location import Location
from initlint.report.json import render as as_json
from initlint.report.text import render as as_text
from initlint.report.text import statistics
from initlint.result import InitError, LayerRow, ModelRun, Report, Summary

HERE = Path(__file__).parent
SCHEMA = json.loads((HERE.parents[1] / "initlint/report/schema.json").read_text())
REPORTS = jsonschema.Draft202012Validator(SCHEMA)

WRITE = Location("models/net.py", 21, 17, 21, 50)
FINDING = Finding(
    "INI501",
    "std-passed-as-mean",
    Severity.ERROR,
    "nn.init.normal_(m.weight, 0.02) sets the mean to 0.02 and leaves the standard deviation at 1",
    WRITE,
    model="Net",
    layer="fc1",
    parameter="fc1.weight",
    parameters=tuple(f"fc{i}.weight" for i in range(1, 7)),
    help="name the argument: nn.init.normal_(m.weight, std=0.02)",
    sources=("source", "probe"),
    evidence={"mean": 0.02, "std": 1.0, "shape": (64, 64)},
    consequences=("signal std rises from 1 to 5.2e+09 over 6 layers",),
    related=(Related(Location("models/base.py", 7, 5), "applied here"),),
    fingerprint="0123456789abcdef",
)
BARE = Finding(
    "INI101",
    "zero-weight",
    Severity.WARNING,
    "head.weight is zero and gets no gradient",
    parameter="head.weight",
    parameters=("head.weight",),
    sources=("parameters",),
    evidence={"gradient": math.nan},
    fingerprint="fedcba9876543210",
)
ROWS = (
    LayerRow("fc1", "Linear", (64, 784), "normal", 28.01, "relu", 27.71234, None, 1.2e-9, None, 0.5, "INI501 INI203"),
    LayerRow("norm", "LayerNorm", (64,), "ones", None, "relu", 1.0, 0.036, 3e-05, 2.5e4),
    LayerRow("head", "Linear", (10, 64), "default", 0.5774, "identity", 0.5, 0.5, 0.001, math.inf),
)
REPORT = Report(
    findings=(FINDING, BARE),
    models=(
        ModelRun("models/net.py::Net", "audited", None, "32x784", "cpu", 51_018, ROWS),
        ModelRun("models/net.py::Block", "skipped", "needs arguments: width"),
    ),
    notes=("models/old.py: cannot be parsed (line 3: invalid syntax)",),
    summary=Summary(files=3, models=2, error=1, warning=1, suppressed=2, seconds=1.23456),
    lines={WRITE: "                nn.init.normal_(m.weight, 0.02)  # as in the paper\n"},
)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("report.txt", as_text(REPORT)),
        ("report_80.txt", as_text(REPORT, width=80)),
        ("report.json", as_json(REPORT)),
    ],
)
def test_golden(name: str, text: str) -> None:
    assert text == (HERE / "golden" / name).read_text(encoding="utf-8")


def test_the_json_keeps_to_the_schema_and_to_numbers_that_json_has() -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    data = json.loads(as_json(REPORT), parse_constant=refuse)
    REPORTS.validate(data)
    assert data == REPORT.to_dict()
    assert data["findings"][1]["evidence"] == {"gradient": "nan"}
    assert data["models"][0]["layers"][0]["forward_std"] == 27.71


def test_the_schema_is_one_and_explains_every_field() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    golden = json.loads((HERE / "golden/report.json").read_text(encoding="utf-8"))
    REPORTS.validate(golden)
    tables = [
        SCHEMA,
        SCHEMA["properties"]["summary"],
        *(SCHEMA["$defs"][each] for each in ("finding", "model", "layer")),
    ]
    for name, field in ((name, field) for table in tables for name, field in table["properties"].items()):
        assert field.get("description", "").endswith("."), name


def test_the_schema_tells_a_wrong_report() -> None:
    data = REPORT.to_dict()
    data["findings"][0]["line"] = 0
    with pytest.raises(jsonschema.ValidationError):
        REPORTS.validate(data)


plain = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5))
evidence = st.dictionaries(
    st.text(max_size=5), st.recursive(plain, lambda inner: st.lists(inner) | st.tuples(inner, inner), max_leaves=6)
)


@settings(max_examples=40, deadline=None)  # the first example pays for imports
@given(evidence)
def test_any_evidence_is_valid_json_and_prints(values: dict[str, Any]) -> None:
    report = replace(REPORT, findings=(replace(FINDING, evidence=values),), models=())
    REPORTS.validate(json.loads(as_json(report)))
    assert "INI501" in as_text(report)


HOSTILE = "\x1b[2J\x1b]0;owned\x07\r\n\u202egnp.exe\x9b31m\u2028\ud800"


def test_names_and_messages_cannot_drive_the_terminal() -> None:
    hostile = replace(
        FINDING, message=HOSTILE, model=HOSTILE, parameters=(HOSTILE,), help=HOSTILE, consequences=(HOSTILE,)
    )
    row = replace(ROWS[0], name=HOSTILE, activation=HOSTILE, scheme=HOSTILE, kind=HOSTILE, verdict=HOSTILE)
    report = replace(
        REPORT,
        findings=(replace(hostile, evidence={HOSTILE: HOSTILE}),),
        models=(ModelRun(HOSTILE, "audited", HOSTILE, HOSTILE, HOSTILE, 1, (row,)), ModelRun("x", "failed", HOSTILE)),
        lines={WRITE: f"x = 1  # {HOSTILE}"},
    )
    quiet = as_text(report)
    assert not [c for c in quiet if ord(c) < 32 and c != "\n"]
    assert not {"\x9b", "\u202e", "\u2028", "\ud800"} & set(quiet)
    calm = replace(report, findings=(FINDING,), models=(), lines={})
    assert len(quiet.splitlines()) == len(as_text(replace(calm, lines=report.lines, models=report.models)).splitlines())
    with pytest.raises(InitError) as raised:
        report.raise_for_findings()
    assert "\x1b" not in str(raised.value)
    assert "<script>" not in replace(REPORT, findings=(replace(FINDING, message="<script>"),))._repr_html_()


def test_columns_count_code_points_and_the_caret_stands_under_the_span() -> None:
    line = '\tself.größe = "日本"; x = torch.empty(3)'
    start = line.index("torch") + 1
    where = Location("a.py", 1, start, 1, start + len("torch.empty(3)"))
    text = as_text(replace(REPORT, findings=(replace(FINDING, location=where),), lines={where: line}, models=()))
    shown, carets = text.splitlines()[1:3]
    assert shown[carets.index("^") : carets.rindex("^") + 1] == "torch.empty(3)"


@pytest.mark.parametrize("width", [40, 60, 80])
def test_findings_keep_to_the_width_of_a_terminal_and_a_pipe_has_one_line_a_piece(width: int) -> None:
    text = as_text(REPORT, width=width, color=True)
    lines = re.sub(r"\x1b\[\d*m", "", text).splitlines()
    assert max(map(len, lines)) <= width
    words = " ".join("\n".join(lines).split())
    assert "sets the mean to 0.02 and leaves the standard deviation at 1" in words
    assert FINDING.message in as_text(REPORT).splitlines()[0]
    line = f"x = {'long_name + ' * 6}torch.empty(3) + {'long_name * ' * 6}2"
    start = line.index("torch") + 1
    where = Location("a.py", 1, start, 1, start + len("torch.empty(3)"))
    report = replace(REPORT, findings=(replace(FINDING, location=where),), lines={where: line}, models=())
    lines = as_text(report, width=width).splitlines()
    at = next(index for index, text in enumerate(lines) if "^" in text)
    shown, carets = lines[at - 1], lines[at]
    assert len(shown) <= width
    assert shown[carets.index("^") : carets.rindex("^") + 1] == "torch.empty(3)"


def test_findings_stand_together_by_file_and_without_a_line_by_model() -> None:
    runs = tuple(ModelRun(f"{path}::{name}", "audited") for path, name in (("a.py", "A"), ("b.py", "B"), ("a.py", "C")))
    bare = [replace(BARE, model=model, parameter=f"{model}.w", parameters=()) for model in ("C", "B", "A", "Lost")]
    here = [replace(FINDING, location=Location(path, line, 1)) for path, line in (("a.py", 3), ("b.py", 2))]
    text = as_text(replace(REPORT, findings=(*bare, *here), models=runs, lines={}), quiet=True)
    heads = [line.partition(": ")[0] for line in text.splitlines() if "[" in line]
    assert heads == ["a.py:3:1", "A.w", "C.w", "b.py:2:1", "B.w", "Lost.w"]


@pytest.mark.parametrize("color", [False, True])
def test_color_is_only_what_was_asked_for(color: bool) -> None:
    assert ("\x1b[" in as_text(REPORT, color=color)) is color


def many(blocks: int, bad: frozenset[int] = frozenset()) -> tuple[LayerRow, ...]:
    return tuple(
        LayerRow(
            f"transformer.blocks.{i}.{name}",
            "Linear",
            (3072, 768),
            "truncated_normal",
            0.55,
            "gelu",
            0.5,
            0.9876,
            1e-12,
            1.0,
            verdict="INI203" if i in bad and name == "fc" else "ok",
        )
        for i in range(blocks)
        for name in ("qkv", "proj", "fc")
    )


def audited(rows: tuple[LayerRow, ...]) -> Report:
    return replace(REPORT, findings=(), models=(ModelRun("m.py::M", "audited", layers=rows),))


def test_a_long_model_does_not_flood_and_hides_no_verdict() -> None:
    text = as_text(audited(many(70, bad=frozenset({7, 30}))))
    assert len(text.splitlines()) < 15
    assert "blocks.0-69.qkv (70)" in text
    assert "blocks.7.fc " in text
    assert "blocks.30.fc " in text


def test_layers_that_all_differ_are_cut_in_the_middle_and_counted() -> None:
    rows = tuple(replace(row, shape=(i + 1, 3)) for i, row in enumerate(many(70, bad=frozenset({35}))))
    text = as_text(audited(rows))
    assert len(text.splitlines()) < 45
    assert "blocks.35.fc " in text
    assert "179 sound layers more" in text


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_no_line_of_a_table_is_wider_than_the_terminal(width: int) -> None:
    rows = many(3, bad=frozenset({1}))
    lines = as_text(audited(rows), width=width).splitlines()
    assert max(map(len, lines)) <= width
    for row in rows:
        assert any(line.split()[0].endswith(row.name[-8:]) for line in lines if line)


@pytest.mark.parametrize(("plain", "levels"), [(False, "▁▂▃▄▅▆▇█"), (True, "_.-:=+*#")])
def test_charts_under_the_table_show_the_way_of_the_signal(plain: bool, levels: str) -> None:
    falling = tuple(LayerRow(f"fc{index}", "Linear", forward_std=0.1**index) for index in range(8))
    (line,) = [line for line in as_text(audited(falling), plain=plain).splitlines() if line.startswith("fwd std ")]
    assert line.split()[2] == levels[::-1]
    assert line.endswith("1.0e-7 .. 1")
    level = tuple(LayerRow(f"fc{index}", "Linear", forward_std=1 + 0.1 * index) for index in range(8))
    (line,) = [line for line in as_text(audited(level), plain=plain).splitlines() if line.startswith("fwd std ")]
    assert len(set(line.split()[2])) <= 2  # what hardly moves is not blown up
    long = tuple(LayerRow(f"fc{index}", "Linear", forward_std=1.0 if index < 400 else 0.0) for index in range(500))
    lines = [line for line in as_text(audited(long), width=60, plain=plain).splitlines() if line.startswith("fwd std ")]
    assert len(lines[0]) <= 60


def test_a_short_model_is_shown_layer_by_layer() -> None:
    text = as_text(audited(many(3)))
    assert all(row.name in text for row in many(3))


def test_statistics_count_codes() -> None:
    report = replace(REPORT, findings=(FINDING, BARE, BARE))
    assert [line.split() for line in statistics(report).splitlines()] == [
        ["2", "INI101", "zero-weight"],
        ["1", "INI501", "std-passed-as-mean"],
    ]


def test_ok_and_raising() -> None:
    assert not REPORT.ok
    with pytest.raises(InitError, match=r"models/net\.py:21: INI501 \[error\] .*\n  help: name the argument: "):
        REPORT.raise_for_findings()
    assert f"{REPORT!s}\n" == as_text(REPORT)
    lenient = replace(REPORT, findings=(BARE,), fail_on=Severity.ERROR)
    assert lenient.ok
    lenient.raise_for_findings()
    with pytest.raises(InitError, match="no such file"):
        replace(lenient, failures=("gone.py: no such file",)).raise_for_findings()


def test_a_model_that_was_not_run_says_so() -> None:
    run = ModelRun("net.py::Net", "audited", "ValueError: no sample batch", parameters=12)
    text = as_text(Report(models=(run,)))
    assert text.startswith("net.py::Net: 12 parameters, parameters only, not run: ValueError: no sample batch\n")
