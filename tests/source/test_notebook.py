"""Notebooks: cells and lines, what IPython adds to Python, and content that is no notebook."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import initlint
from initlint.report.text import render
from initlint.result import Report
from initlint.source.text.notebook import read

IMPORT = "import torch.nn as nn\n"
FLAW = "nn.init.xavier_uniform(w)"


@pytest.fixture(autouse=True)
def _empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def code(source: Any, **more: Any) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "metadata": {}, "outputs": [], **more}


def notebook(*cells: Any, **metadata: Any) -> bytes:
    return json.dumps({"nbformat": 4, "metadata": metadata, "cells": list(cells)}).encode()


def checked(data: bytes, **options: Any) -> Report:
    return initlint.check(["-"], static=True, stdin=lambda: data, stdin_filename="nb.ipynb", **options)


def places(report: Report) -> list[tuple[int | None, int, int]]:
    found = [finding.location for finding in report.findings]
    return [(where.cell, where.line, where.column) for where in found if where is not None]


def lines_read(*lines: str) -> list[str]:
    """What a cell of these lines is read as."""
    python = read(notebook(code("\n".join(lines)))).code.decode().splitlines()[1:]
    ast.parse("\n".join(python))
    return python


def test_a_finding_names_its_cell_counted_over_all_cells_and_the_line_in_it() -> None:
    text = {"cell_type": "markdown", "source": "# nn.init.xavier_uniform(w)"}
    report = checked(notebook(code(IMPORT), text, code(["def f(w):\n", f"    {FLAW}"])))
    assert places(report) == [(3, 2, 5)]
    assert list(report.lines.values()) == [f"    {FLAW}"]


def test_the_reports_name_the_cell() -> None:
    Path("nb.ipynb").write_bytes(notebook(code(IMPORT), code(f"def f(w):\n    {FLAW}")))
    report = initlint.check(["."], static=True)
    text = render(report)
    assert text.startswith("nb.ipynb:cell 2:2:5: INI503 ")
    assert f"2 | {FLAW}" in text
    [finding] = report.to_dict()["findings"]
    assert [finding[key] for key in ("path", "cell", "line", "column", "end_line")] == ["nb.ipynb", 2, 2, 5, 2]


INITIALIZER = """class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def init_weights(self):
        nn.init.zeros_(self.fc.bias)
"""


def test_names_of_one_cell_hold_in_the_next() -> None:
    assert places(checked(notebook(code(IMPORT + INITIALIZER), code("Net()")))) == [(1, 7, 5)]
    assert places(checked(notebook(code(IMPORT + INITIALIZER), code("Net().init_weights()")))) == []


def test_format_3() -> None:
    cells = [{"cell_type": "code", "language": "python", "input": [IMPORT, FLAW]}]
    data = json.dumps({"nbformat": 3, "worksheets": [{"cells": cells}, {"cells": cells}]}).encode()
    assert places(checked(data)) == [(1, 2, 1), (2, 2, 1)]


@pytest.mark.parametrize(
    "line",
    [
        "%matplotlib inline",
        "%pip install torch 'quoted",
        '!ls -l | grep "("',
        "!!ls",
        "!pip install torch \\",
        "?nn.init",
        "nn.init?",
        "nn.Linear(1, 2)??",
        "files = !ls '",
        "out = %timeit -o f()",
        "a.b['c'] = !ls",
        "    %cd /tmp".strip(),
        "pip install torch",
        "cd ../data",
        ",f a b",
        "/f 1",
        "await fetch()",
        "async with fetch() as x: pass",
        "# %%time ! ? '",
        "%time for x in y: f(x)",
        "%%nonsense",
        "%",
    ],
)
def test_what_ipython_adds_moves_no_line(line: str) -> None:
    rest = ["", "if 1:", "    !ls", f"    {FLAW}", FLAW + "  # trailing ?"]
    report = checked(notebook(code(IMPORT), code("\n".join(["x = 1", line, *rest]))))
    assert not report.failures
    assert places(report) == [(2, 6, 5), (2, 7, 1)]


@pytest.mark.parametrize(
    "lines",
    [
        ['x = """', "%time not a magic", "!nor this", '"""', "!ls"],
        ["x = f('%s',", "      1", "      % 2)", "!ls"],
        ["x = '?'", "y = 3 % 2  # why?", "%time f()"],
        ["x = a \\", "    % b", "?x"],
    ],
)
def test_text_that_only_looks_like_a_magic_stays(lines: list[str]) -> None:
    assert lines_read(*lines)[: len(lines) - 1] == lines[:-1]


def test_timed_code_is_read_where_it_stands() -> None:
    report = checked(notebook(code(IMPORT + f"%time {FLAW}"), code(f"%%time\n{FLAW}"), code(f"%timeit -n 10 {FLAW}")))
    assert places(report) == [(1, 2, 7), (2, 2, 1), (3, 1, 15)]
    assert f"%time {FLAW}" in report.lines.values()


@pytest.mark.parametrize("magic", ["%%bash", "%%html", "%%writefile net.py", "%%!"])
def test_a_cell_in_another_language_is_passed_over(magic: str) -> None:
    assert places(checked(notebook(code(IMPORT), code(f"{magic}\n{FLAW} ( '"), code(FLAW)))) == [(3, 1, 1)]


@pytest.mark.parametrize("text", ["%lprun -f f Net().init_weights()", "%%mystery\nNet().init_weights()"])
def test_what_an_unknown_magic_may_run_counts_as_mentioned(text: str) -> None:
    assert places(checked(notebook(code(IMPORT + INITIALIZER), code(text)))) == []


def test_a_cell_indented_as_a_whole() -> None:
    assert places(checked(notebook(code(IMPORT), code(f"    x = 1\n    {FLAW}")))) == [(2, 2, 5)]


def test_a_coding_comment_in_a_cell_means_nothing() -> None:
    assert places(checked(notebook(code(f"# -*- coding: latin-1 -*-\n{IMPORT}x = 'é'; {FLAW}")))) == [(1, 3, 10)]


def test_a_cell_that_cannot_be_parsed_costs_the_others_nothing() -> None:
    report = checked(notebook(code(IMPORT), code("x = 1\nfor in y"), code(FLAW)))
    assert places(report) == [(3, 1, 1)]
    assert report.failures == ("nb.ipynb:cell 2:2:5: cannot be parsed (invalid syntax)",)


def test_other_languages_are_not_read() -> None:
    report = checked(notebook(code(IMPORT + FLAW), kernelspec={"language": "R"}))
    assert not report.findings
    assert not report.failures
    assert report.notes == ("nb.ipynb: a notebook in R, in which nothing is read",)
    cells = [code(IMPORT), code("x <- nn.init", metadata={"vscode": {"languageId": "r"}}), code(FLAW)]
    assert places(checked(notebook(*cells, language_info={"name": "python"}))) == [(3, 1, 1)]


def test_comments_silence_within_their_cell_or_the_whole_file() -> None:
    silent = code(f"{FLAW}  # noqa: INI503\n{FLAW}  # initlint: ignore[INI503]")
    report = checked(notebook(code(IMPORT), silent, code(FLAW)))
    assert places(report) == [(3, 1, 1)]
    assert report.summary.suppressed == 2
    assert places(checked(notebook(code(IMPORT), code(FLAW), code("# initlint: skip-file")))) == []


@pytest.mark.parametrize(
    "data",
    [
        b'{"cells": [{"cell_type": "code", "source": ["import torch',
        b"import torch",
        b'["torch"]',
        b'{"torch": 1}',
        b'{"cells": "torch"}',
        pytest.param(b"[" * 100_000 + b'"torch"', id="deep"),
        b'\xff\xfe{"torch": 1}',
        b'{"torch": "\xe9"}',
    ],
)
def test_what_is_no_notebook_is_a_failure_where_it_was_named(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "nb.ipynb"
    path.write_bytes(data)
    [failure] = initlint.check([str(path)], static=True).failures
    assert "cannot be parsed (no notebook: " in failure
    assert "\n" not in failure
    met = initlint.check([str(tmp_path)], static=True)
    assert not met.failures
    assert met.notes == (failure,)


def test_a_notebook_is_not_fixed_and_nothing_else_is_said() -> None:
    Path("nb.ipynb").write_bytes(data := notebook(code(IMPORT + FLAW)))
    [finding] = initlint.check(["nb.ipynb"], static=True, fix=True).findings
    assert finding.fix is None
    assert Path("nb.ipynb").read_bytes() == data


def test_a_notebook_is_not_built(tmp_path: Path) -> None:
    path = tmp_path / "nb.ipynb"
    path.write_bytes(notebook(code(IMPORT + "class Net(nn.Module):\n    def __init__(self):\n        pass")))
    assert "was read and not run, being a notebook" in initlint.check([str(path)]).notes[0]
    assert "a notebook is read and never run" in initlint.check([f"{path}::Net"]).failures[0]


def test_pictures_do_not_count_as_code(tmp_path: Path) -> None:
    path = tmp_path / "nb.ipynb"
    path.write_bytes(notebook(code(IMPORT + FLAW, outputs=[{"data": {"image/png": "A" * 2_000_000}}])))
    assert places(initlint.check([str(path)], static=True)) == [(1, 2, 1)]
    path.write_bytes(notebook(code(IMPORT + FLAW + "#" * 2_000_000)))
    assert "skipped, larger than 1 MB" in initlint.check([str(path)], static=True).notes[0]


def test_json_is_loaded_for_a_notebook_alone(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(IMPORT + "nn.init.zeros_(w)")
    program = "import sys, initlint; initlint.check([sys.argv[1]], static=True); print('json' in sys.modules)"
    command = [sys.executable, "-c", program, str(tmp_path / "net.py")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "False"
