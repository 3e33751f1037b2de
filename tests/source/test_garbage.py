"""The garbage collector is spared for as long as files are read, and no longer."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from initlint import api


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
