"""However a static check is run, it says the same: a quick share of two benchmarks."""

from __future__ import annotations

import itertools
import os
import random
from pathlib import Path

import pytest

from benchmarks.cache_faults import rounds
from benchmarks.static_determinism import told
from initlint.engine import load, registry
from tests.rules.harness import snippet


@pytest.mark.parametrize(("count", "runs"), [(1, 4), pytest.param(200, 8, marks=pytest.mark.slow)])
def test_a_cache_that_is_shared_killed_and_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, runs: int
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("INITLINT_CACHE_DIR", raising=False)
    _, compared, wrong = rounds(count, runs, 2, tmp_path)
    assert not wrong
    assert compared >= count


def test_hash_seed_processes_order_and_cache_change_no_byte(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.initlint]\n")
    (tmp_path / "src").mkdir()
    codes = sorted(registry())[::9]
    for number, code in enumerate(codes):
        text = "\n".join(snippet(example) for example in itertools.islice(load(code).bad, 2))
        path = tmp_path / "src" / f"net{number}.py"
        path.write_text(text)
        os.utime(path, (1e9, 1e9))
    first = told(tmp_path, ["src"], "--no-cache", "--jobs", "1", hash_seed="1")
    assert first.count('"code"') >= len(codes) // 2
    files = sorted(f"src/{path.name}" for path in (tmp_path / "src").iterdir())
    random.Random(0).shuffle(files)
    assert told(tmp_path, files, hash_seed="2") == first
    assert told(tmp_path, ["src"], "--jobs", "2", hash_seed="3") == first  # which fills the cache
    assert told(tmp_path, ["src"], hash_seed="4") == first
