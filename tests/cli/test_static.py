"""``initlint check --static``: what is read, where findings go, exit codes, suppression, formats."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

BAD = textwrap.dedent("""\
    import torch.nn as nn


    def init_weights(m):
        nn.init.normal_(m.weight, 0.02)
    """)
GOOD = BAD.replace("0.02", "std=0.02")
WARNING = BAD.replace("normal_(m.weight, 0.02)", "uniform_(m.weight, 0.1)")
SCHEMA = json.loads((Path(__file__).parents[2] / "initlint/report/schema.json").read_text())

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NO_COLOR", raising=False)
    return tmp_path


def write(path: str, text: str | bytes) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def codes(out: str) -> list[str]:
    return [line.split(": ")[1].split()[0] for line in out.splitlines() if line.startswith(("model", "src", "<", "-"))]


def test_a_finding_is_at_its_line_and_exits_1(initlint: Run) -> None:
    result = initlint("check", "--static", write("model.py", BAD))
    assert result.code == 1
    assert result.out.startswith("model.py:5:5: INI501 [error] ")
    assert "nn.init.normal_(m.weight, 0.02)" in result.out
    assert "help:" in result.out
    assert result.err == ""


@pytest.mark.parametrize("text", [GOOD, "", "\n", "# nothing\n", "x = 1\n"])
def test_sound_and_empty_files_are_clean(initlint: Run, text: str) -> None:
    result = initlint("check", "--static", write("model.py", text))
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("No findings")


def test_no_target_is_the_current_directory(initlint: Run) -> None:
    write("src/model.py", BAD)
    write("build/model.py", BAD)
    result = initlint("check", "--static")
    assert result.code == 1
    assert codes(result.out) == ["INI501"]
    assert "src/model.py:5" in result.out


def test_a_directory_is_never_run(initlint: Run) -> None:
    write("src/model.py", GOOD + "open('ran', 'w')\n")
    result = initlint("check", "src")
    assert result.code == 0
    assert not Path("ran").exists()


def test_stdin(initlint: Run) -> None:
    result = initlint("check", "--static", "-", "--stdin-filename", "src/model.py", stdin=BAD.encode())
    assert result.code == 1
    assert result.out.startswith("src/model.py:5:5: INI501")
    assert "nn.init.normal_(m.weight, 0.02)" in result.out
    assert initlint("check", "-", stdin=BAD.encode()).out.startswith("-:5:5: INI501")


@pytest.mark.parametrize(
    ("comment", "code", "suppressed"),
    [
        ("# initlint: ignore[INI501]", 0, 1),
        ("# noqa: INI501", 0, 1),
        ("# noqa", 0, 1),
        ("# initlint: ignore", 0, 1),
        ("# initlint: ignore[INI502]", 1, 0),
        ("# noqa: E501", 1, 0),
    ],
)
def test_suppression(initlint: Run, comment: str, code: int, suppressed: int) -> None:
    write("model.py", BAD.replace("0.02)", f"0.02)  {comment}"))
    result = initlint("check", "--static", "model.py", "--format", "json")
    assert result.code == code
    assert json.loads(result.out)["summary"]["suppressed"] == suppressed


def test_skip_file(initlint: Run) -> None:
    assert initlint("check", "--static", write("model.py", "# initlint: skip-file\n" + BAD)).code == 0


def test_selection_and_thresholds(initlint: Run) -> None:
    write("model.py", WARNING)
    assert initlint("check", "--static", "model.py").code == 1
    assert initlint("check", "--static", "model.py", "--fail-on", "error").code == 0
    assert initlint("check", "--static", "model.py", "--exit-zero").code == 0
    assert initlint("check", "--static", "model.py", "--ignore", "INI5").code == 0
    assert initlint("check", "--static", "model.py", "--select", "INI501,INI7").code == 0
    assert initlint("check", "--static", "model.py", "--select", "ini502").code == 1
    assert initlint("check", "--static", "model.py", "--ignore", "INI5", "--extend-select", "INI502").code == 1


BROKEN: list[tuple[list[str], str]] = [
    (["gone.py"], "gone.py"),
    (["gone.py::Net"], "gone.py"),
    (["broken.py"], "broken.py:2"),
    (["latin.py"], "latin.py"),
    (["--select", "INI5001"], "INI501"),
    (["--ignore", "NONSENSE"], "NONSENSE"),
    (["--static", "--batch", "8x3"], "--batch"),
    (["--static", "--arg", "a=1"], "--arg"),
    (["--static", "--device", "cpu"], "--device"),
    (["--static", "--timeout", "5"], "--timeout"),
    (["--static", "--memory-limit", "1G"], "--memory-limit"),
    (["--static", "--python", "python"], "--python"),
    (["--static", "--seed", "1"], "--seed"),
    (["--batch", "8xx3"], "8xx3"),
    (["--arg", "width"], "width"),
    (["--device", "toaster"], "toaster"),
    (["--memory-limit", "much"], "much"),
    (["--python", "/no/such/python"], "/no/such/python"),
    (["--timeout", "-1"], "--timeout -1: write a number of seconds"),
    (["--timeout", "abc"], "--timeout abc: write a number of seconds"),
    (["--timeout", "nan"], "--timeout nan: write a number of seconds"),
    (["--select", ""], "select names no code"),
    (["--select", " ,"], "select names no code"),
    (["--arg", "width=3"], "--arg width=3"),
    (["--batch", "8x3"], "--batch 8x3"),
    (["--quiet", "--statistics"], "--statistics"),
    (["--format", "json", "--statistics"], "--statistics"),
    (["--format", "xml"], "xml"),
    (["--stdin-filename", "a.py"], "--stdin-filename"),
    (["--output", "no/such/report.txt"], "no/such"),
    (["--output", "."], "directory"),
    (["--no-such-option"], "--no-such-option"),
    (["--static", "package.module:Net"], "package.module:Net"),
]


@pytest.mark.parametrize(("arguments", "named"), BROKEN, ids=[" ".join(arguments) for arguments, _ in BROKEN])
def test_what_cannot_be_done_is_one_line_and_exit_2(initlint: Run, arguments: list[str], named: str) -> None:
    write("good.py", GOOD)
    write("broken.py", "import torch.nn as nn\ndef f(:\n")
    write("latin.py", b"import torch.nn as nn\nx = '\xe9'\n")
    result = initlint("check", "good.py", *arguments)
    assert result.code == 2
    assert len(result.err.splitlines()) == 1
    assert named in result.err
    assert "Traceback" not in result.err


def test_the_other_files_are_checked_all_the_same(initlint: Run) -> None:
    write("broken.py", "import torch.nn as nn\ndef f(:\n")
    result = initlint("check", "--static", "gone.py", "broken.py", write("model.py", BAD))
    assert result.code == 2
    assert codes(result.out) == ["INI501"]
    assert len(result.err.splitlines()) == 2


def test_an_unparsable_file_in_a_directory_is_a_note(initlint: Run) -> None:
    write("src/broken.py", "import torch.nn as nn\ndef f(:\n")
    write("src/latin.py", b"import torch.nn as nn\nx = '\xe9'\n")
    write("src/notes.py", "def f(:\n")
    write("src/model.py", GOOD)
    result = initlint("check", "--static", "src")
    assert result.code == 0
    assert [line.split(":")[2].strip() for line in result.err.splitlines()] == ["src/broken.py", "src/latin.py"]
    assert initlint("check", "--static", "src", "--quiet").err == ""


def test_a_file_too_large_is_a_note(initlint: Run) -> None:
    write("huge.py", BAD + "#" * 1_000_000)
    result = initlint("check", "--static", "huge.py")
    assert result.code == 0
    assert "huge.py" in result.err


def test_json_keeps_to_the_schema_and_is_the_same_every_time(initlint: Run) -> None:
    write("src/a.py", BAD)
    write("src/b.py", WARNING)
    write("src/c.py", "import torch.nn as nn\ndef f(:\n")
    texts = [initlint("check", "--static", "src", "--format", "json").out for _ in range(2)]
    reports = [json.loads(text) for text in texts]
    jsonschema.validate(reports[0], SCHEMA)
    for report in reports:
        assert report["summary"].pop("seconds") >= 0
    assert reports[0] == reports[1]
    assert [(f["path"], f["line"], f["column"], f["end_line"], f["end_column"]) for f in reports[0]["findings"]] == [
        ("src/a.py", 5, 5, 5, 36),
        ("src/b.py", 5, 5, 5, 36),
    ]
    assert (
        reports[0]["summary"] | {"files": 2, "error": 1, "warning": 1} == reports[0]["summary"]
    )  # c.py cannot be read
    assert len(reports[0]["notes"]) == 1


def fingerprints(initlint: Run, path: str) -> list[str]:
    report = json.loads(initlint("check", "--static", path, "--format", "json").out)
    return [finding["fingerprint"] for finding in report["findings"]]


def test_a_fingerprint_survives_moved_lines_and_tells_equal_lines_apart(initlint: Run) -> None:
    twice = BAD + BAD.partition("\n\n\n")[2].replace("init_weights", "again")
    (single,) = fingerprints(initlint, write("model.py", BAD))
    assert fingerprints(initlint, write("model.py", "# a comment\n\n" + BAD)) == [single]
    first, second = fingerprints(initlint, write("model.py", twice))
    assert first == single
    assert second != single
    assert fingerprints(initlint, write("other.py", BAD)) != [single]


def test_output_replaces_a_file_as_a_whole(initlint: Run) -> None:
    write("report.json", "old")
    os.symlink("report.json", "link.json")
    write("model.py", BAD)
    result = initlint("check", "--static", "model.py", "--format", "json", "--output", "link.json")
    assert result.code == 1
    assert result.out.startswith("model.py:5:5: INI501 [error]")  # the text stays on the terminal
    assert Path("link.json").is_symlink()
    assert json.loads(Path("report.json").read_text())["findings"]
    assert sorted(os.listdir()) == ["link.json", "model.py", "report.json"]
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(os.stat("report.json").st_mode) == 0o666 & ~mask
    os.chmod("report.json", 0o600)  # whoever made it private keeps it so
    assert initlint("check", "--static", "model.py", "--output", "link.json").out == ""
    assert stat.S_IMODE(os.stat("report.json").st_mode) == 0o600
    initlint("check", "--static", "model.py", "--output", "new.txt")
    assert stat.S_IMODE(os.stat("new.txt").st_mode) == 0o666 & ~mask


def test_a_file_is_split_into_lines_once_for_all_its_findings(initlint: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import tokenize

    times = []
    detect = tokenize.detect_encoding
    monkeypatch.setattr(tokenize, "detect_encoding", lambda readline: times.append(1) or detect(readline))
    write("model.py", BAD.rstrip("\n") + "\n" + (BAD.splitlines()[-1] + "\n") * 50)
    assert codes(initlint("check", "--static", "model.py").out).count("INI501") > 50
    assert len(times) < 10


def test_quiet_and_statistics(initlint: Run) -> None:
    write("model.py", BAD)
    assert "1 error" in initlint("check", "--static", "model.py").out
    assert "1 error" not in initlint("check", "--static", "model.py", "--quiet").out
    assert initlint("check", "--static", "model.py", "--statistics").out.endswith("1  INI501  std-passed-as-mean\n")


def test_color(initlint: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write("model.py", BAD)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert "\x1b[" in initlint("check", "--static", "model.py", "--color", "always").out
    assert "\x1b[" not in initlint("check", "--static", "model.py", "--color", "never").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in initlint("check", "--static", "model.py").out


def test_names_in_a_file_cannot_drive_the_terminal(initlint: Run) -> None:
    path = "model\x1b[31m.py"
    out = initlint("check", "--static", write(path, BAD)).out
    assert "\x1b" not in out
    assert "model\\x1b[31m.py:5:5" in out


def test_a_target_named_twice_is_read_once(initlint: Run) -> None:
    write("src/model.py", BAD)
    assert codes(initlint("check", "--static", "src/model.py", "./src/model.py", "src").out) == ["INI501"]


LIGHT = ["--help", "check --help", "suggest --help", "rules --help", "explain --help"]
LOOKING_UP = ["explain INI501", "rules INI5", "check --static model.py"]


def test_nothing_heavy_is_imported(tmp_path: Path) -> None:
    """Told of one child that does all in turn, the lightest first: what is loaded stays loaded."""
    write("model.py", BAD)
    heavy = {"torch", "libcst", "rich", "pathspec", "numpy", "asyncio", "json", "subprocess", "jinja2", "matplotlib"}
    heavy |= {"dataclasses", "sqlite3", "tomllib", "tempfile", "multiprocessing", "importlib.metadata"}
    ours = {
        "initlint.api",
        "initlint.engine",
        "initlint.facts",
        "initlint.rule",
        "initlint.config",
        "difflib",
    }
    program = (
        "import sys; from initlint.cli import main\n"
        "for line in sys.argv[1:]:\n"
        "    sys.argv = ['initlint', *line.split()]\n"
        "    try: main()\n"
        "    except SystemExit as end: code = end.code or 0\n"
        f"    print('loaded', code, *sorted({heavy | ours} & set(sys.modules)))"
    )
    commands = LIGHT + LOOKING_UP
    out = subprocess.run([sys.executable, "-c", program, *commands], capture_output=True, text=True, check=True).stdout
    told = [line.split()[1:] for line in out.splitlines() if line.startswith("loaded ")]
    assert len(told) == len(commands)
    for command, (code, *loaded) in zip(commands, told, strict=True):
        assert code == ("1" if "model.py" in command else "0"), command
        assert not set(loaded) & (heavy | ours if command in LIGHT else heavy), command


def test_a_closed_pipe_is_quiet(spawn: Callable[..., subprocess.Popen[str]]) -> None:
    for index in range(40):
        write(f"src/model{index}.py", BAD * 20)
    process = spawn("check", "--static", "src")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait() == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs here")
def test_only_regular_files_are_opened(initlint: Run, spawn: Callable[..., subprocess.Popen[str]]) -> None:
    write("pyproject.toml", "")
    Path("src").mkdir()
    os.mkfifo("src/pipe.py")
    os.mkfifo("src/.gitignore")
    # Whether a function is applied is looked up in the files beside it.
    write(
        "src/model.py", GOOD + "\n\nclass Net(nn.Module):\n    def __init__(self):\n        self.fc = nn.Linear(4, 4)\n"
    )
    for target, code in (("src/model.py", 0), ("src", 0), ("src/pipe.py", 2)):
        process = spawn("check", "--static", target)
        try:
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()
        assert process.returncode == code, (target, out, err)
        assert (err == "initlint: error: src/pipe.py: cannot be read (not a regular file)\n") is (code == 2)


NAMES = """\
import torch.nn as nn
from os import path as elsewhere


class Net(nn.Module):
    class Inner(nn.Module):
        pass


def build():
    global late
    late = Net()


if True:
    model = Net()
"""


@pytest.mark.parametrize("name", ["Net", "Net.Inner", "build", "model", "elsewhere", "late"])
def test_a_name_that_a_file_has(initlint: Run, name: str) -> None:
    assert initlint("check", "--static", f"{write('model.py', NAMES)}::{name}").code == 0


@pytest.mark.parametrize("name", ["Nope", "Inner", "print", "Nope.Inner"])
def test_a_name_that_a_file_lacks(initlint: Run, name: str) -> None:
    result = initlint("check", "--static", f"{write('model.py', NAMES)}::{name}")
    assert result.code == 2
    assert result.err == f"initlint: error: model.py::{name}: model.py has no {name}\n"
    dynamic = write("dynamic.py", NAMES + "from other import *\n")
    assert initlint("check", "--static", f"{dynamic}::{name}").code == 0


CLOSED = {"stdin": 0, "stdout": 1, "stderr": 2}


@pytest.mark.parametrize("names", [("stdin",), ("stdout",), ("stderr",), ("stdin", "stdout", "stderr")])
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_closed_streams_are_done_without(names: tuple[str, ...], jobs: str) -> None:
    write("model.py", BAD)
    write("other.py", GOOD)

    def close() -> None:
        for name in names:
            os.close(CLOSED[name])

    def run(*targets: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "initlint", "check", "--static", "--jobs", jobs, *targets]
        done = subprocess.run(command, capture_output=True, text=True, preexec_fn=close, check=False)
        assert "Traceback" not in done.stderr
        return done

    done = run(".")
    assert done.returncode == 1
    assert ("INI501" in done.stdout) is ("stdout" not in names)
    if "stdin" in names:
        done = run("-")
        assert done.returncode == 2
        assert "stderr" in names or "standard input is closed" in done.stderr


@pytest.mark.parametrize("command", [("check", "--static"), ("check", "--static", "-"), ("rules",)])
def test_a_working_directory_that_is_gone(tmp_path: Path, command: tuple[str, ...]) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()

    def leave() -> None:
        os.chdir(folder)
        folder.rmdir()

    run = [sys.executable, "-m", "initlint", *command]
    done = subprocess.run(run, capture_output=True, text=True, preexec_fn=leave, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "working directory" in done.stderr


@pytest.mark.parametrize("targets", [("broken.py", "."), (".", "broken.py")])
def test_a_file_that_is_named_and_met_is_a_failure(initlint: Run, targets: tuple[str, ...]) -> None:
    write("broken.py", "import torch.nn as nn\ndef f(:\n")
    result = initlint("check", "--static", *targets)
    assert result.code == 2
    assert len(result.err.splitlines()) == 1
    assert result.err.startswith("initlint: error: broken.py")
