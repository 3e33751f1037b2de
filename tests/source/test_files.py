"""Which files a directory gives: .gitignore, hidden and built directories, links, order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from initlint.source.text.files import MAX_BYTES, FileTooLarge, load, walk


def make(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("x = 1\n")


def found(root: Path) -> list[str]:
    notes: list[str] = []
    paths = [os.path.relpath(path, root) for path in walk(str(root), notes.append)]
    assert notes == []
    return paths


def test_python_files_in_the_order_of_their_parts(tmp_path: Path) -> None:
    make(tmp_path, "b.py", "a/z.py", "a-b.py", "a/b/c.pyi", "a/b.py", "a/readme.md", "Makefile")
    assert found(tmp_path) == ["a/b/c.pyi", "a/b.py", "a/z.py", "a-b.py", "b.py"]


def test_what_is_not_source_of_the_project_is_skipped(tmp_path: Path) -> None:
    make(tmp_path, ".hidden/a.py", "__pycache__/a.py", "venv/a.py", "build/a.py", "dist/a.py", "node_modules/a.py")
    make(tmp_path, "env/lib/a.py", "src/site-packages/a.py", "src/model.py", "builder/a.py")
    (tmp_path / "env/pyvenv.cfg").write_text("home = /usr/bin\n")
    assert found(tmp_path) == ["builder/a.py", "src/model.py"]


def test_a_directory_that_is_named_is_read_whatever_it_is_called(tmp_path: Path) -> None:
    make(tmp_path, "venv/lib/a.py")
    (tmp_path / "venv/pyvenv.cfg").write_text("")
    assert found(tmp_path / "venv") == ["lib/a.py"]


def test_gitignore_the_inner_file_and_the_last_pattern_win(tmp_path: Path) -> None:
    make(
        tmp_path, "gen/a.py", "gen/keep.py", "src/x_pb2.py", "src/sub/x_pb2.py", "src/sub/y.py", "top.py", "src/top.py"
    )
    (tmp_path / ".gitignore").write_text("*_pb2.py\n/top.py\ngen/*\n!gen/keep.py\n")
    (tmp_path / "src/sub/.gitignore").write_text("!x_pb2.py\ny.py\n")
    assert found(tmp_path) == ["gen/keep.py", "src/sub/x_pb2.py", "src/top.py"]


def test_a_pattern_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    make(tmp_path, "a.py", "b.py")
    (tmp_path / ".gitignore").write_text("[z-a]\n!\n# a.py\n\n \na.py\n\\\n")
    assert found(tmp_path) == ["b.py"]


def test_what_a_clone_excludes_by_itself(tmp_path: Path) -> None:
    make(tmp_path, "pkg/a.py", "pkg/b.py", "pkg/c.py")
    (tmp_path / ".git/info").mkdir(parents=True)
    (tmp_path / ".git/info/exclude").write_text("# mine\n/pkg/a.py\nc.py\n")
    (tmp_path / ".gitignore").write_text("!c.py\n")
    assert found(tmp_path) == ["pkg/b.py", "pkg/c.py"]
    assert found(tmp_path / "pkg") == ["b.py", "c.py"]


def test_gitignore_of_the_repository_above_counts(tmp_path: Path) -> None:
    make(tmp_path, "pkg/a.py", "pkg/b.py", "pkg/deep/a.py")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text("pkg/**/a.py\n")
    assert found(tmp_path / "pkg") == ["b.py"]


def test_gitignore_beyond_the_repository_does_not_count(tmp_path: Path) -> None:
    make(tmp_path, "repo/a.py")
    (tmp_path / "repo/.git").mkdir()
    (tmp_path / ".gitignore").write_text("*.py\n")
    assert found(tmp_path / "repo") == ["a.py"]


def test_an_ignored_directory_that_is_named_is_read(tmp_path: Path) -> None:
    make(tmp_path, "out/model.py", "out/scratch.py")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text("out/\n")
    (tmp_path / "out/.gitignore").write_text("scratch.py\n")
    assert found(tmp_path) == []
    assert found(tmp_path / "out") == ["model.py"]


def test_links_that_run_in_circles_end(tmp_path: Path) -> None:
    make(tmp_path, "a/model.py")
    (tmp_path / "a/loop").symlink_to(tmp_path)
    (tmp_path / "a/gone.py").symlink_to(tmp_path / "nowhere.py")
    (tmp_path / "a/self.py").symlink_to(tmp_path / "a/self.py")
    (tmp_path / "link.py").symlink_to(tmp_path / "a/model.py")
    assert found(tmp_path) == ["a/model.py", "link.py"]


def test_a_pipe_called_py_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    assert found(tmp_path) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list anything")
def test_a_closed_directory_is_a_note(tmp_path: Path) -> None:
    make(tmp_path, "open/a.py", "closed/b.py")
    (tmp_path / "closed").chmod(0)
    notes: list[str] = []
    try:
        paths = list(walk(str(tmp_path), notes.append))
    finally:
        (tmp_path / "closed").chmod(0o700)
    assert [Path(path).name for path in paths] == ["a.py"]
    assert len(notes) == 1
    assert "closed" in notes[0]


def test_the_current_directory_gives_plain_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a/b.py", "c.py")
    monkeypatch.chdir(tmp_path)
    assert list(walk(".", print)) == ["a/b.py", "c.py"]


def test_too_large(tmp_path: Path) -> None:
    (tmp_path / "just.py").write_bytes(b"#" * MAX_BYTES)
    (tmp_path / "over.py").write_bytes(b"#" * (MAX_BYTES + 1))
    assert len(load(str(tmp_path / "just.py"))) == MAX_BYTES
    with pytest.raises(FileTooLarge):
        load(str(tmp_path / "over.py"))
