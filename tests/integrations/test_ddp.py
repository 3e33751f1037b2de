"""The callbacks in trainings by two processes that gloo joins."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from ..ranks import command

pytestmark = [pytest.mark.torch, pytest.mark.slow]  # two interpreters with torch and a framework each time


def ranks(directory: Path, framework: str, case: str) -> list[dict[str, Any]]:
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    launch = ("torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "tests.integrations.ddp_job")
    ran = command(directory, *launch, framework, case, str(directory))
    assert ran.returncode == 0, ran.stderr[-3000:]
    return [json.loads((directory / f"{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.parametrize(
    ("framework", "case", "steps"),
    [("lightning", "sound", 4), ("lightning", "collective", 4), ("transformers", "sound", 2)],
)
def test_a_sound_training_goes_on_and_rank_0_reports(tmp_path: Path, framework: str, case: str, steps: int) -> None:
    first, second = ranks(tmp_path, framework, case)
    for each in (first, second):
        assert (each["raised"], each["steps"], each["warned"]) == (None, steps, [])
    assert second["loss"] is None
    assert ("its own" in first["loss"]) is (case == "sound")


@pytest.mark.parametrize("framework", ["lightning", "transformers"])
def test_an_error_ends_all_ranks(tmp_path: Path, framework: str) -> None:
    first, second = ranks(tmp_path, framework, "flawed")
    assert "INI102" in first["raised"]
    assert second["raised"] == first["raised"]
    assert [each["steps"] for each in (first, second)] == [0, 0]
