"""The garbage collector is spared for as long as files are read, and no longer."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from initlint import api
from initlint.facts import Model, known
from initlint.source.text import garbage

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def collector() -> tuple[bool, tuple[int, int, int], int]:
    return gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()


@pytest.fixture
def tree(tmp_path: Path) -> str:
    (tmp_path / "sound.py").write_text("import torch\n\n\nclass Net(torch.nn.Module):\n    pass\n")
    (tmp_path / "torn.py").write_text("import torch\n\n\nclass Net(torch.nn.Module:\n")
    return str(tmp_path)


def test_the_collector_is_left_as_it_was(tree: str) -> None:
    before = collector()
    api.check([tree], static=True, jobs=1, cache=False)
    assert collector() == before


def test_a_process_that_collects_nothing_goes_on_so(tree: str) -> None:
    gc.disable()
    try:
        before = collector()
        api.check([tree], static=True, jobs=1, cache=False)
        assert collector() == before
    finally:
        gc.enable()


def test_what_a_process_has_set_aside_stays_aside(tree: str) -> None:
    gc.freeze()
    try:
        api.check([tree], static=True, jobs=1, cache=False)
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()


def test_what_files_leave_behind_is_not_set_aside(tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / f"net{number}.py").write_text((EXAMPLES / "flawed" / "std_as_mean.py").read_text())
    with garbage.spared():
        api.check([str(tmp_path)], static=True, jobs=1, cache=False)
        gc.unfreeze()
        models = [each for each in gc.get_objects() if isinstance(each, Model)]
    left = {at.path for each in models if known(at := each.location) and at and str(tmp_path) in at.path}
    assert len(left) <= 1  # the last file's, which is collected before the next
