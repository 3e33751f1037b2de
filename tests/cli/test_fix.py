"""``--fix``, ``--unsafe-fixes`` and ``--diff``: what is written, what is kept, and what is refused."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

Run = Callable[..., Any]

BAD = """\
import torch.nn as nn


def init_weights(m):
    if isinstance(m, nn.Linear):
        nn.init.normal_(m.weight, 0.02)  # as in the paper
"""
FIXED = BAD.replace("0.02", "std=0.02")
SCHEMA = json.loads((Path(__file__).parents[2] / "initlint/report/schema.json").read_text())


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: str, text: str | bytes) -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def fix(initlint: Run, *arguments: str, stdin: bytes = b"") -> Any:
    return initlint("check", "--static", "--fix", *arguments, stdin=stdin)


def test_a_fix_is_written_and_the_exit_code_is_by_what_remains(initlint: Run) -> None:
    file = write("model.py", BAD)
    result = fix(initlint, "model.py")
    assert file.read_text() == FIXED
    assert (result.code, result.err) == (0, "")
    assert "1 fixed" in result.out
    uniform = write("other.py", BAD + "    nn.init.spread_evenly_(m.scale)\n")
    result = fix(initlint, "other.py")
    assert result.code == 1
    assert "INI511" in result.out
    assert "std=0.02" in uniform.read_text()


def test_without_fix_nothing_is_written_and_the_report_says_what_could_be(initlint: Run) -> None:
    file = write("model.py", BAD)
    before = file.stat()
    result = initlint("check", "--static", "model.py")
    assert "1 fixable with --fix" in result.out
    assert file.read_text() == BAD
    assert file.stat().st_mtime_ns == before.st_mtime_ns


def test_a_diff_writes_nothing_and_is_one_that_patch_takes(initlint: Run) -> None:
    file = write("src/model.py", BAD)
    clean = write("src/clean.py", FIXED)
    result = initlint("check", "--static", "--diff", "src")
    assert result.code == 1
    assert file.read_text() == BAD
    assert clean.read_text() == FIXED
    assert "clean.py" not in result.out
    subprocess.run(["patch", "-p0", "--quiet"], input=result.out.encode(), check=True)
    assert file.read_text() == FIXED
    again = initlint("check", "--static", "--diff", "src")
    assert (again.code, again.out) == (0, "")


def test_json_gives_the_edits_only_when_they_are_asked_for(initlint: Run) -> None:
    write("model.py", BAD)
    plain = json.loads(initlint("check", "--static", "--format", "json", "model.py").out)
    assert plain["findings"][0]["fix"] == {"safe": True, "edits": None}
    result = initlint("check", "--static", "--format", "json", "--diff", "model.py")
    data = json.loads(result.out)
    jsonschema.validate(data, SCHEMA)
    (edit,) = data["findings"][0]["fix"]["edits"]
    lines = BAD.splitlines(keepends=True)
    line = lines[edit["line"] - 1]
    lines[edit["line"] - 1] = line[: edit["column"] - 1] + edit["text"] + line[edit["end_column"] - 1 :]
    assert "".join(lines) == FIXED
    assert "1 would be fixed" in result.err
    mended = fix(initlint, "--format", "json", "model.py")
    assert json.loads(mended.out)["findings"] == []
    assert "1 fixed" in mended.err


def test_standard_input_comes_back_fixed_and_the_report_goes_aside(initlint: Run, spawn: Run) -> None:
    source = BAD + "    nn.init.spread_evenly_(m.scale)\n"
    run = subprocess.run(
        [sys.executable, "-m", "initlint", "check", "--static", "--fix", "-"],
        input=source.replace("\n", "\r\n").encode(),
        capture_output=True,
        check=False,
    )
    assert run.stdout.startswith(FIXED.replace("\n", "\r\n").encode())
    assert b"INI511" in run.stderr
    assert run.returncode == 1


KEPT = {
    "crlf": BAD.replace("\n", "\r\n").encode(),
    "mixed newlines": BAD.replace("\n", "\r\n", 2).encode(),
    "byte order mark": b"\xef\xbb\xbf" + BAD.encode(),
    "latin-1": b"# -*- coding: latin-1 -*-\n" + BAD.replace("paper", "pap\xe9r\xff").encode("latin-1"),
    "utf-16 columns": BAD.replace("import", 's = "\U0001f9ea日本"; import', 1).encode(),
    "no newline at the end": BAD.rstrip("\n").encode(),
    "form feeds": BAD.replace("\n\n\n", "\n\x0c\n\n").encode(),
    "tabs": BAD.replace("    ", "\t").encode(),
    "trailing space": BAD.replace("):\n", "):   \n  \n").encode() + b"   \n\n",
    "continuation": BAD.replace(
        "(m.weight, 0.02)", "(\n        m.weight,\n        # mean\n        0.02,\n    )"
    ).encode(),
    "unicode lines": BAD.replace("paper", "p\u2028a\x85p\x1cer").encode(),
}


@pytest.mark.parametrize("name", KEPT)
def test_everything_but_the_edit_is_kept(initlint: Run, name: str) -> None:
    file = write("model.py", KEPT[name])
    result = fix(initlint, "model.py")
    assert result.code == 0, result.out + result.err
    assert file.read_bytes() == KEPT[name].replace(b"0.02", b"std=0.02")


@pytest.mark.parametrize("text", [FIXED, "", "x = 1", "\ufeff" + FIXED, FIXED.replace("\n", "\r\n"), "def f(:\n"])
def test_a_file_with_nothing_to_fix_is_not_touched(initlint: Run, text: str) -> None:
    file = write("model.py", text)
    os.utime(file, ns=(1, 1))
    fix(initlint, "--unsafe-fixes", ".")
    assert file.read_bytes() == text.encode()
    assert file.stat().st_mtime_ns == 1


@pytest.mark.parametrize("text", [BAD.replace("\n", "\r"), BAD.replace("def", "\x0cdef")])
def test_what_libcst_would_not_give_back_is_left_and_told_of(initlint: Run, text: str) -> None:
    file = write("model.py", text)
    result = fix(initlint, "model.py")
    assert (result.code, file.read_bytes()) == (1, text.encode())
    assert "was not fixed" in result.err


def test_mode_and_link_are_kept(initlint: Run) -> None:
    file = write("real/model.py", BAD)
    file.chmod(0o750)
    link = Path("model.py")
    link.symlink_to("real/model.py")
    assert fix(initlint, "model.py").code == 0
    assert link.is_symlink()
    assert file.read_text() == FIXED
    assert stat.S_IMODE(file.stat().st_mode) == 0o750
    assert sorted(os.listdir("real")) == ["model.py"]


def test_a_hard_link_is_told_of(initlint: Run) -> None:
    file = write("model.py", BAD)
    os.link(file, "other.txt")
    result = fix(initlint, "model.py")
    assert file.read_text() == FIXED
    assert Path("other.txt").read_text() == BAD
    assert "hard links" in result.err


def test_a_read_only_file_is_left_and_the_others_are_fixed(initlint: Run) -> None:
    locked, free = write("a.py", BAD), write("b.py", BAD)
    locked.chmod(0o444)
    result = fix(initlint, ".")
    assert result.code == 2
    assert result.err.count("\n") == 1
    assert "a.py" in result.err
    assert "read-only" in result.err
    assert (locked.read_text(), free.read_text()) == (BAD, FIXED)
    assert "INI501" in result.out


def test_a_file_that_changed_meanwhile_is_left(initlint: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write("model.py", BAD)
    sync = os.fsync

    def meanwhile(descriptor: int) -> None:
        sync(descriptor)
        file.write_text(BAD + "# saved by an editor\n")

    monkeypatch.setattr(os, "fsync", meanwhile)
    result = fix(initlint, "model.py")
    assert result.code == 2
    assert "changed" in result.err
    assert file.read_text() == BAD + "# saved by an editor\n"
    assert os.listdir() == ["model.py"]


def test_what_is_suppressed_or_not_selected_is_not_fixed(initlint: Run) -> None:
    silenced = BAD.replace("# as in the paper", "# noqa: INI501")
    file = write("model.py", silenced)
    assert fix(initlint, "model.py").code == 0
    assert file.read_text() == silenced
    other = write("other.py", BAD)
    fix(initlint, "--ignore", "INI501", "other.py")
    assert other.read_text() == BAD


@pytest.mark.parametrize("options", [(), ("--unsafe-fixes",)])
def test_libcst_is_loaded_only_for_edits(options: tuple[str, ...]) -> None:
    write("model.py", BAD)
    script = (
        "import sys; from initlint.api import check; report = check(['model.py'], static=True, "
        f"unsafe_fixes={bool(options)}); assert report.findings[0].fix; assert 'libcst' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


NUMBERS = """\
import torch.nn as nn


class Mixer(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)
        self.decay = nn.Parameter(nn.init.uniform_(torch.empty(8), 0.9))
        self.mu = nn.Parameter(torch.empty(8))
        nn.init.normal_(self.mu, 0.1)
        nn.init.normal_(self.fc.weight, 0.02)


def init_weights(m, std, bound):
    nn.init.normal_(m.weight, 0.02)
    nn.init.normal_(m.bias, std)
    nn.init.uniform_(m.bias, bound)
"""


def test_a_number_that_may_be_meant_is_changed_only_when_that_is_asked_for(initlint: Run) -> None:
    file = write("model.py", NUMBERS.replace("import", "import torch\nimport", 1))
    assert "3 fixed" in fix(initlint, "--select", "INI501,INI502", "model.py").out
    text = file.read_text()
    for kept in ("(torch.empty(8), 0.9)", "(self.mu, 0.1)", "(m.weight, 0.02)"):
        assert kept in text
    for mended in ("(self.fc.weight, std=0.02)", "(m.bias, std=std)", "(m.bias, -bound, bound)"):
        assert mended in text
    fix(initlint, "--select", "INI501,INI502", "--unsafe-fixes", "model.py")
    assert "(self.mu, std=0.1)" in file.read_text()


DATA = "def init_weights(m):\n    m.weight.data.zero_()\n"


@pytest.mark.parametrize(
    ("head", "imported", "call"),
    [
        ("import torch\n", "", "torch.nn.init.zeros_"),
        ("import torch\nfrom torch.nn import init\n", "", "init.zeros_"),
        ("import torch.nn as nn\nfrom torch.nn.init import zeros_\n", "", "zeros_"),
        ("import torch.nn as tnn\n", "", "tnn.init.zeros_"),
        ("from torch.nn import Linear\n", "import torch\n", "torch.nn.init.zeros_"),
        ('"""Doc."""\nfrom __future__ import annotations\nimport os\nfrom torch.nn import Linear\n', None, None),
        ("from torch import nn\nfrom project import init\n", "", "nn.init.zeros_"),
        ("from torch import nn\n\n\ndef build(nn):\n    return nn\n\n\n", "import torch\n", "torch.nn.init.zeros_"),
    ],
)
def test_a_function_is_called_by_the_name_that_the_file_has_for_it(
    initlint: Run, head: str, imported: str | None, call: str | None
) -> None:
    file = write("model.py", head + DATA)
    fix(initlint, "--select", "INI512", "model.py")
    text = file.read_text()
    if imported is None or call is None:
        assert text == head.replace("from torch", "import torch\nfrom torch") + DATA.replace(
            "m.weight.data.zero_()", "torch.nn.init.zeros_(m.weight)"
        )
    else:
        assert text == imported + head + DATA.replace("m.weight.data.zero_()", f"{call}(m.weight)")


def test_what_would_have_to_be_called_by_a_name_that_is_taken_is_left(initlint: Run) -> None:
    text = "from torch.nn import Linear\n\n\ndef f(torch):\n    return torch\n\n\n" + DATA
    file = write("model.py", text)
    assert "is the name of something else" in fix(initlint, "--select", "INI512", "model.py").err
    assert file.read_text() == text


def test_an_old_name_is_renamed_where_it_is_imported_and_used(initlint: Run) -> None:
    text = (
        "from torch.nn.init import (\n    constant,\n    xavier_uniform,  # Glorot\n)\n\n\n"
        "def init_weights(m):\n    xavier_uniform(m.weight)\n    f = constant\n    constant(m.bias, 0)\n"
    )
    file = write("model.py", text)
    assert fix(initlint, "model.py").code == 0
    assert file.read_text() == text.replace("constant", "constant_").replace("xavier_uniform", "xavier_uniform_")


def test_an_imported_name_that_is_exported_keeps_its_name(initlint: Run) -> None:
    text = "from torch.nn.init import constant\n\n__all__ = ['constant']\n\n\ndef zero(m):\n    constant(m.bias, 0)\n"
    file = write("model.py", text)
    assert "exported" in fix(initlint, "model.py").err
    assert file.read_text() == text


def test_unsafe_fixes_are_shown_when_asked_for_and_made_only_with_fix(initlint: Run) -> None:
    text = "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self, n):\n        super().__init__()\n"
    text += "        self.layers = nn.ModuleList([nn.Linear(8, 8)] * n)\n"
    file = write("model.py", text)
    assert "--unsafe-fixes makes it" not in initlint("check", "--static", "model.py").out
    assert "--unsafe-fixes makes it" in initlint("check", "--static", "--unsafe-fixes", "model.py").out
    assert initlint("check", "--static", "--diff", "model.py").code == 0
    assert "range(n)" in initlint("check", "--static", "--diff", "--unsafe-fixes", "model.py").out
    assert fix(initlint, "model.py").code == 1
    assert file.read_text() == text
    assert fix(initlint, "--unsafe-fixes", "model.py").code == 0
    assert "[nn.Linear(8, 8) for _ in range(n)]" in file.read_text()


def test_a_write_that_fails_leaves_the_old_file_and_no_other(initlint: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(source: str, target: str) -> None:
        raise OSError(28, "No space left on device")

    file = write("model.py", BAD)
    monkeypatch.setattr(os, "replace", fail)
    result = fix(initlint, "model.py")
    assert result.code == 2
    assert "No space left" in result.err
    assert file.read_text() == BAD
    assert os.listdir() == ["model.py"]


def test_a_notebook_is_left_alone_and_promised_nothing(initlint: Run) -> None:
    cell = {"cell_type": "code", "source": BAD.splitlines(keepends=True), "metadata": {}, "outputs": []}
    file = write("model.ipynb", json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    before = file.read_bytes()
    result = fix(initlint, "model.ipynb")
    assert result.code == 1
    assert "INI501" in result.out
    assert "fix:" not in result.out
    assert "fixable" not in result.out
    assert file.read_bytes() == before


def test_a_file_as_large_as_the_configuration_lets_it_be_is_fixed(initlint: Run) -> None:
    write("initlint.toml", 'max-file-size = "2MB"\n')
    file = write("model.py", BAD + "#" * 1_100_000 + "\n")
    result = initlint("check", "--static", "--diff", "model.py")
    assert (result.code, result.err) == (1, "initlint: note: 1 would be fixed\n")
    result = fix(initlint, "model.py")
    assert (result.code, result.err) == (0, "")
    assert "std=" in file.read_text()[:1000]


def test_a_baseline_is_not_updated_by_a_run_that_fixes(initlint: Run) -> None:
    from initlint import api

    write("model.py", BAD)
    for way in ("fix", "diff"):
        with pytest.raises(ValueError, match="fixes nothing"):
            api.check(["model.py"], static=True, update_baseline=True, **{way: True})
    assert os.listdir() == ["model.py"]
