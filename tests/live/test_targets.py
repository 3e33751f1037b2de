"""What a target names."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initlint.live.targets import Target, parse


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "model.py").write_text("")
    (tmp_path / "odd::name.py").write_text("")
    (tmp_path / "pkg").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-", Target("-", "stdin")),
        ("model.py", Target("model.py", "file", path="model.py")),
        ("pkg", Target("pkg", "directory", path="pkg")),
        ("model.py::Net", Target("model.py::Net", "file", path="model.py", name="Net")),
        ("model.py::zoo.Net", Target("model.py::zoo.Net", "file", path="model.py", name="zoo.Net")),
        ("odd::name.py::Net", Target("odd::name.py::Net", "file", path="odd::name.py", name="Net")),
        ("pkg.models:build", Target("pkg.models:build", "module", module="pkg.models", name="build")),
        ("models:Net.small", Target("models:Net.small", "module", module="models", name="Net.small")),
    ],
)
def test_targets(text: str, expected: Target) -> None:
    assert parse(text) == expected


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "missing.py",
        "missing/",
        "missing.py::Net",
        "pkg::Net",
        "model.py::",
        "model.py::1x",
        "::Net",
        "model.py:Net",
        "a-b:Net",
        "pkg:",
        ":Net",
        "a:b:c",
    ],
)
def test_what_names_nothing(text: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        parse(text)


@given(st.text(alphabet="ab.:/-é1 \n", max_size=12))
def test_any_text_is_a_target_or_refused_in_one_line(text: str) -> None:
    try:
        target = parse(text)
    except ValueError as error:
        said = str(error)
    else:
        assert target.text == text
        said = target.kind
    assert len(said.splitlines()) == 1
