"""INI001 in a run: what is said of comments depends on which rules were asked, and on what they could see."""

from __future__ import annotations

from pathlib import Path

import pytest

import initlint
from initlint.result import Report

HEAD = "import torch\nfrom torch import nn\n"
OLD = "nn.init.xavier_uniform(w)"


def checked(text: str, *codes: str, **options: object) -> Report:
    return initlint.check(
        ["-"],
        static=True,
        stdin=lambda: (HEAD + text).encode(),
        stdin_filename="net.py",
        extend_select=codes or ["INI001"],
        **options,  # type: ignore[arg-type]
    )


def said(report: Report) -> list[tuple[int, str]]:
    return [(each.location.line, each.code) for each in report.findings if each.location]


def test_it_points_at_the_comment_and_names_the_codes() -> None:
    [finding] = checked(f"{OLD}  # noqa: E501, INI503, INI501 old\n").findings
    assert (finding.code, finding.severity.label) == ("INI001", "advice")
    assert finding.location is not None
    assert (finding.location.column, finding.location.end_column) == (28, 60)
    assert "INI501" in finding.message
    assert "INI503" not in finding.message


def test_it_is_silent_unless_asked() -> None:
    text = "x = nn.Linear(1, 2)  # noqa: INI503\n"
    assert said(checked(text, "INI5")) == []
    assert said(checked(text, "INI0")) == []
    assert said(checked(text, "INI001")) == [(3, "INI001")]
    assert said(checked(text, "ALL")) == [(3, "INI001")]


@pytest.mark.parametrize(
    "options", [{"select": ["INI001"]}, {"ignore": ["INI503"]}, {"select": ["INI001", "INI501"]}], ids=str
)
def test_codes_that_were_not_asked_are_left_alone(options: dict[str, list[str]]) -> None:
    assert said(checked("x = nn.Linear(1, 2)  # noqa: INI503\n", **options)) == []


def test_a_rule_that_also_looks_at_built_models_is_not_judged_by_reading() -> None:
    assert said(checked("x = nn.Linear(1, 2)  # noqa: INI101, INI104, INI603, INI701\n")) == []


@pytest.mark.parametrize(
    "comment",
    ["# noqa", "# initlint: ignore", "# noqa: E501", "# noqa: ANN001, S101", "# initlint: ignore[]", "# noqa: INI001"],
)
def test_bare_and_foreign_ones_are_left_alone(comment: str) -> None:
    assert said(checked(f"x = nn.Linear(1, 2)  {comment}\n")) == []


def test_codes_that_no_rule_has() -> None:
    [finding] = checked(f"{OLD}  # noqa: INI503, INI5003\n").findings
    assert finding.message == "the comment silences nothing by INI5003: no rule is called INI5003"


def test_it_can_be_silenced_itself() -> None:
    report = checked("x = nn.Linear(1, 2)  # noqa: INI503, INI001\n")
    assert said(report) == []
    assert report.summary.suppressed == 1


def test_within_statements() -> None:
    text = f"f(  # noqa: INI503\n    1,\n    {OLD},  # noqa: INI503\n)\nf(  # noqa: INI503\n    {OLD},\n)\n"
    assert said(checked(text)) == [(3, "INI001")]


def test_what_is_not_read_is_not_judged() -> None:
    assert said(checked("# initlint: skip-file\nx = nn.Linear(1, 2)  # noqa: INI503\n")) == []
    data = b"x = 1  # noqa: INI503\n"
    report = initlint.check(["-"], static=True, stdin=lambda: data, extend_select=["INI001"])
    assert said(report) == []


@pytest.mark.torch
def test_a_model_that_was_probed_is_evidence_of_every_kind(tmp_path: Path) -> None:
    model = """class Net(nn.Module):
    def __init__(self{more}):
        super().__init__()
        self.fc = nn.Linear(8, 8)  # noqa: INI101, INI503

    def forward(self, x):
        return self.fc(x)
"""
    path = tmp_path / "net.py"
    path.write_text(HEAD + model.format(more=""))
    [finding] = initlint.check([str(path)], extend_select=["INI001"]).findings
    assert "by INI101, INI503:" in finding.message
    path.write_text(HEAD + model.format(more=", width"))
    [finding] = initlint.check([str(path)], extend_select=["INI001"]).findings
    assert "by INI503:" in finding.message
