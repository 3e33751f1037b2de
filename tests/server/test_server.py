"""The language server as an editor meets it: over standard input and output, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from lsprotocol import types

from initlint.rulebook import explanation

from .conftest import Editor

HEAD = "import torch\nfrom torch import nn\n\n\n"
FLAW = "nn.init.normal_(m.weight, 0.02)"
MENDED = "nn.init.normal_(m.weight, std=0.02)"
NET = HEAD + "def init(m: nn.Linear) -> None:\n    {}\n"


def codes(diagnostics: list[types.Diagnostic]) -> list[object]:
    return [each.code for each in diagnostics]


def test_what_is_typed_is_judged(editor: Editor, project: Path) -> None:
    path = project / "net.py"  # it is not there: the text counts
    (found,) = editor.open(path, NET.format(FLAW))
    assert (found.code, found.source, found.severity) == ("INI501", "initlint", types.DiagnosticSeverity.Error)
    assert "mean" in found.message
    assert "help: name the argument" in found.message
    assert found.range == types.Range(types.Position(5, 4), types.Position(5, 4 + len(FLAW)))
    assert editor.write(path, NET.format(MENDED)) == []
    assert codes(editor.write(path, NET.format(FLAW))) == ["INI501"]
    assert editor.close(path) == []


def test_places_count_as_the_editor_does(editor: Editor, project: Path) -> None:
    path = project / "net.py"
    before = NET.format(f'print("🙂é", "\f"); {FLAW}')
    (found,) = editor.open(path, before)
    start = before.split("\n")[5].index("nn.")  # in code points; the first of them takes two units
    assert found.range.start == types.Position(5, start + 1)
    where = types.Range(types.Position(5, start + 1), types.Position(5, start + 17))
    (mended,) = editor.change(path, types.TextEdit(where, "nn.init.trunc_normal_("), wait=True)[:1]
    assert (mended.code, mended.range.start) == (
        "INI501",
        where.start,
    )  # the edit came where it was meant, past a form feed
    (fix,) = [
        action for title, action in editor.actions(path, mended.range).items() if title.startswith("INI501: name")
    ]
    assert editor.after(path, fix).split("\n")[5].endswith("nn.init.trunc_normal_(m.weight, std=0.02)")


def test_fixes_are_those_of_the_command_line(editor: Editor, project: Path) -> None:
    path = project / "net.py"
    text = NET.format(FLAW) + "    nn.init.normal(m.weight, 0.0, 0.02)\n" + SCALE
    first, _, scale = editor.open(path, text)
    offered = editor.actions(path, first.range)
    one, every = (
        offered["INI501: name the argument: nn.init.normal_(m.weight, std=0.02)"],
        offered["initlint: make all safe fixes"],
    )
    assert one.is_preferred
    assert [each.code for each in one.diagnostics or ()] == ["INI501"]
    assert editor.after(path, one) == text.replace(FLAW, MENDED)
    assert list(editor.actions(path, first.range, only=["source.fixAll"])) == ["initlint: make all safe fixes"]
    after = editor.after(path, every)
    assert after == text.replace(FLAW, MENDED).replace("nn.init.normal(", "nn.init.normal_(")
    (left,) = editor.write(path, after)
    assert left.code == scale.code == "INI305"
    ((title, unsafe),) = [each for each in editor.actions(path, left.range).items() if "unsafe" in each[0]]
    assert title.startswith("INI305 (unsafe, may change what is right): ")
    assert not unsafe.is_preferred
    assert editor.write(path, editor.after(path, unsafe)) == []
    assert editor.actions(path, first.range) == {}


SCALE = """

class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(8)
        for m in self.modules():
            if isinstance(m, (nn.Linear, nn.BatchNorm1d)):
                nn.init.normal_(m.weight, std=0.02)
"""


@pytest.mark.parametrize(
    ("line", "silenced"),
    [
        (FLAW, f"{FLAW}  # noqa: INI501"),
        (f"{FLAW}  # noqa: E501", f"{FLAW}  # noqa: E501, INI501"),
        (f"{FLAW}  # initlint: ignore[INI101]  ", f"{FLAW}  # initlint: ignore[INI101, INI501]  "),
        (f"{FLAW}  # why", f"{FLAW}  # why  # noqa: INI501"),
        (f"x = ('''\n''', \\\n{FLAW})", f"x = ('''\n''', \\\n{FLAW})  # noqa: INI501"),
        (f"x = (1, {FLAW}, '''\n''')", None),
    ],
)
def test_a_finding_is_silenced(editor: Editor, project: Path, line: str, silenced: str | None) -> None:
    path = project / "net.py"
    (found,) = editor.open(path, NET.format(line))
    offered = editor.actions(path, found.range).get("INI501: silence it here")
    if silenced is None:
        assert offered is None  # a comment would stand within the string
    else:
        assert offered is not None
        assert editor.after(path, offered) == NET.format(silenced)
        assert editor.write(path, NET.format(silenced)) == []


def test_hovering_tells_what_a_rule_means(editor: Editor, project: Path) -> None:
    path = project / "net.py"
    editor.open(path, NET.format(FLAW))
    told = editor.hover(path, types.Position(5, 20))
    assert told is not None
    assert told.replace("**", "", 2) == explanation("INI501")
    assert editor.hover(path, types.Position(0, 2)) is None


def test_the_configuration_counts_and_its_faults_are_told_once(editor: Editor, project: Path) -> None:
    path, configuration = project / "net.py", project / "pyproject.toml"
    path.write_text("")
    assert codes(editor.open(path, NET.format(FLAW))) == ["INI501"]
    configuration.write_text('[tool.initlint]\nignore = ["INI501"]\n')
    assert editor.watched(configuration, path) == []
    configuration.write_text('[tool.initlint]\nignore = ["INI999"]\n')
    told = len(editor.messages)
    for comment in "ab":
        assert editor.write(path, f"{NET.format(FLAW)}# {comment}\n") == []
    (message,) = editor.messages[told:]
    assert message.startswith(f"initlint: {project.name}/pyproject.toml: ")
    assert "INI999" in message
    assert "\n" not in message
    configuration.write_text('[tool.initlint.per-file-ignores]\n"other.py" = ["INI"]\n')
    assert codes(editor.save(path)) == ["INI501"]
    configuration.write_text('[tool.initlint]\nextend-exclude = ["net.py"]\n')
    assert editor.save(path) == []
    configuration.write_text("[tool.initlint]\nmax-file-size = 100\n")
    assert editor.save(path) == []
    configuration.write_text("")
    assert codes(editor.save(path)) == ["INI501"]


def test_nothing_is_known_while_a_line_is_being_written(editor: Editor, project: Path) -> None:
    path = project / "net.py"
    (found,) = editor.open(path, NET.format(FLAW))
    editor.write(path, NET.format(f"{FLAW}\n    nn.init.normal_("), wait=False)
    assert editor.actions(path, found.range) == {}
    assert codes(editor.write(path, NET.format(f"{FLAW}\n    nn.init.zeros_(m.bias)"))) == ["INI501"]


def test_other_files_count_as_they_are_open(editor: Editor, project: Path) -> None:
    net, base = project / "net.py", project / "base.py"
    text = HEAD.replace("nn\n", "nn\nfrom base import SHIFT\n") + "def init(m: nn.Linear) -> None:\n    {}\n"
    flaw = text.format("nn.init.normal_(m.weight, SHIFT)")
    base.write_text("SHIFT = 2.0\n")
    assert codes(editor.open(net, flaw)) == ["INI109"]  # drawn around 2
    editor.open(base, "SHIFT = 0.0\n")
    assert editor.write(net, f"{flaw}# again\n") == []
    editor.write(base, "SHIFT = 3.0\n")
    assert codes(editor.write(net, flaw)) == ["INI109"]
    editor.write(base, "SHIFT = 0.0\n")
    assert editor.save(base, wait_for=net) == []  # nobody touched it


def test_other_places_are_told(editor: Editor, project: Path) -> None:
    path = project / "net.py"
    (found,) = editor.open(path, HEAD + TWICE)
    (other,) = found.related_information or ()
    assert (found.code, other.location.uri, other.message) == ("INI404", path.as_uri(), "overwritten here")
    assert other.location.range.start == types.Position(12, 26)


TWICE = """class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.decoder = nn.Linear(16, 4)
        self.init_weights()

    def init_weights(self):
        nn.init.zeros_(self.decoder.weight)
        self.face = "🙂"; nn.init.uniform_(self.decoder.weight, -0.1, 0.1)

    def forward(self, x):
        return self.decoder(x)
"""


def test_what_is_no_file_of_python_is_left_alone(editor: Editor, project: Path) -> None:
    others = [(f"git:{project}/net.py?HEAD", "python"), ("file://", "python"), ("file:///%00.py", "python")]
    others += [((project / "net.toml").as_uri(), "toml"), ("untitled:Untitled-1", "markdown")]
    for uri, language in others:
        editor.open(uri, NET.format(FLAW), language, wait=False)
    assert codes(editor.open("untitled:Untitled-2", NET.format(FLAW))) == ["INI501"]
    assert not any(editor.heard_of(uri) for uri, _ in others)
    assert editor.open(project / "venv" / "site-packages" / "net.py", NET.format(FLAW)) == []
    assert codes(editor.open(project / "net.py", f"# coding: latin-1\n# é\n{NET.format(FLAW)}")) == ["INI501"]
    assert codes(editor.open(project / "labels.py", f"# coding: idna\n{NET.format(FLAW)}")) == ["INI501"]
    assert editor.open(project / "broken.py", f"# coding: klingon\n{NET.format(FLAW)}", wait=False) == []


def test_cells_of_a_notebook_are_judged(editor: Editor, project: Path) -> None:
    path = project / "book.ipynb"
    first, second, third = editor.notebook(path, f"%matplotlib inline\n{HEAD}", "m = nn.Linear(2, 2)", f"!ls\n{FLAW}")
    assert (first, second, codes(third)) == ([], [], ["INI501"])
    assert third[0].range == types.Range(types.Position(1, 0), types.Position(1, len(FLAW)))
    cell = f"vscode-notebook-cell:{path}#2"
    assert "standard deviation" in (editor.hover(cell, types.Position(1, 3)) or "")
    ((title, silence),) = editor.actions(cell, third[0].range).items()
    assert title == "INI501: silence it here"
    assert editor.after(cell, silence) == f"!ls\n{FLAW}  # noqa: INI501"
    assert editor.change_cell(path, 2, MENDED) == []


def test_a_rule_that_fails_is_a_line_in_the_log(editor: Editor, project: Path) -> None:
    (project / "pyproject.toml").write_text('[tool.initlint]\nplugins = ["our_rules"]\n')
    assert codes(editor.open(project / "net.py", NET.format(FLAW))) == ["INI501"]
    (line,) = [line for line in editor.logged().splitlines() if "OUR001" in line]
    assert "(RuntimeError: out of order)" in line
    assert "this is not for the editor" in editor.logged()


def test_without_pygls_one_line_says_so() -> None:
    command = (
        "import sys; sys.modules['pygls'] = None; sys.argv[1:] = ['server']; import initlint.cli; initlint.cli.main()"
    )
    run = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == "initlint: error: the language server needs pygls 2: pip install 'initlint[lsp]'\n"
