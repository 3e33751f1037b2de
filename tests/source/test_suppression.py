"""Comments that silence findings, and text that only looks like one."""

from __future__ import annotations

import textwrap
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initlint.source.text.suppression import read


def silenced(line: str, code: str = "INI101") -> bool:
    return read(f"x = 1\n{line}\n".encode()).silencing(code, 2) == 2


@pytest.mark.parametrize(
    "comment",
    [
        "# initlint: ignore",
        "# initlint: ignore[INI101]",
        "# initlint:ignore[INI501, INI101]",
        "# initlint: ignore [ ini101 ,]",
        "# initlint: ignore[INI101] the gate opens later",
        "# noqa",
        "# NOQA",
        "# noqa: INI101",
        "# noqa:E501,INI101",
        "# noqa: E501 INI101 because of the paper",
        "# type: ignore  # noqa: INI101",
        "# type: ignore  # initlint: ignore[INI101]",
    ],
)
def test_silences(comment: str) -> None:
    assert silenced(f"f(x)  {comment}")


@pytest.mark.parametrize(
    "line",
    [
        "f(x)",
        "f(x)  # initlint: ignore[INI102]",
        "f(x)  # initlint: ignore[]",
        "f(x)  # initlint: ignore[INI101",
        "f(x)  # initlint: ignored",
        "f(x)  # noqa: E501",
        "f(x)  # noqa: this is fine",
        "f(x)  # noqas",
        "f('# noqa')",
        "f('# initlint: ignore')",
        "f(x)  # type: ignore",
        "f(x)  # initlint: ignore[INI1011]",
    ],
)
def test_does_not_silence(line: str) -> None:
    assert not silenced(line)


def test_on_the_first_line_of_the_statement() -> None:
    text = textwrap.dedent("""
        f(  # noqa: INI101
            a,
            b,
        )
        g(
            a,  # noqa: INI101
            b,
        )
    """).encode()
    found = read(text)
    assert [line for line in range(1, 11) if found.silencing("INI101", line)] == [2, 3, 4, 5, 7]


def test_a_comment_above_says_nothing_of_the_line_below() -> None:
    assert not read(b"# noqa\nf(x)\n").silencing("INI101", 2)


def test_skip_file() -> None:
    assert read(b"import torch\n# initlint: skip-file\n").skip_file
    assert not read(b"x = '# initlint: skip-file'\n").skip_file
    assert not read(b"# initlint: skip-files\n").skip_file


def test_what_stands_before_a_fault_counts() -> None:
    assert read(b"f(x)  # noqa\n)\n'''").silencing("INI101", 1)


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    read(b"# noqa" + data).silencing("INI101", 1)


@given(st.text(alphabet="#noqa: INI101[],\n'\"()x=\\ ", max_size=60))
def test_nothing_is_silenced_without_a_comment(text: str) -> None:
    found = read(text.replace("#", "").encode())
    assert not any(found.silencing("INI101", line) is not None for line in range(1, 10))


def test_a_line_of_number_signs_takes_no_time() -> None:
    started = time.perf_counter()
    read(b"#" * 1_000_000)
    assert time.perf_counter() - started < 1
