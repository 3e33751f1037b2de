"""Models in pieces over two and four gloo processes: what is said of them is what is said of the whole."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from ..ranks import command, once

fsdp = pytest.importorskip("torch.distributed.fsdp")
if not hasattr(fsdp, "fully_shard"):
    pytest.skip("this torch keeps fully_shard elsewhere", allow_module_level=True)

pytestmark = pytest.mark.torch


def told(factory: pytest.TempPathFactory, ranks: int) -> list[dict[str, Any]]:
    """What each rank wrote down."""
    directory = once(factory, f"ranks{ranks}", "tests.live.sharded_job", str(ranks))
    return [json.loads((directory / f"{rank}.json").read_text()) for rank in range(ranks)]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return told(tmp_path_factory, 2)


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return told(tmp_path_factory, 4)


def near(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-5, abs_tol=1e-9)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(near, one, other))
    return bool(one == other)


def alike(ranks: list[dict[str, Any]], case: str, codes: set[str]) -> None:
    findings, figures = ranks[0][case]["whole"]
    assert codes <= {code for code, *_ in findings}
    assert figures["not run"] is None
    for rank in ranks:
        assert rank[case]["parts"][0] == findings
        assert [name for name in figures if not near(figures[name], rank[case]["parts"][1].get(name))] == []


FLAWS = {"INI101", "INI103"}
"""Of ``Flawed``; its statistics, laws and escapes are compared one by one besides."""


def test_fully_sharded(two: list[dict[str, Any]]) -> None:
    alike(two, "fsdp", FLAWS)


@pytest.mark.slow  # four interpreters with torch take a quarter of a minute of two cores
def test_uneven_and_empty_shards(four: list[dict[str, Any]]) -> None:
    alike(four, "fsdp", FLAWS)  # the head has three rows, for four ranks


@pytest.mark.slow  # four interpreters with torch take a quarter of a minute of two cores
def test_replicas_of_shards(four: list[dict[str, Any]]) -> None:
    alike(four, "hybrid", FLAWS)


def test_tensor_parallel(two: list[dict[str, Any]]) -> None:
    alike(two, "tensor_parallel", {"INI102"})


@pytest.mark.slow  # four interpreters with torch take a quarter of a minute of two cores
def test_tensor_parallel_and_fully_sharded(four: list[dict[str, Any]]) -> None:
    alike(four, "both", {"INI102"})


def test_everything_is_as_it_was(two: list[dict[str, Any]]) -> None:
    for rank in two:
        assert [what for what, kept in rank["as_it_was"].items() if not kept] == []


def test_every_rank_gets_rank_0_s_report(two: list[dict[str, Any]]) -> None:
    assert two[0]["each_rank_alone"] == two[1]["each_rank_alone"]
    assert two[0]["each_rank_alone"][1][0]["batch"] == "int64[4,12]<31"


def test_what_fails_on_every_rank_is_a_reason(two: list[dict[str, Any]]) -> None:
    for rank in two:
        failures, afterwards, findings = rank["wrong_batch"]
        assert len(failures) == 1
        assert "was not run" in failures[0]
        assert afterwards == []
        assert findings > 0


def test_no_batch_is_made_up(two: list[dict[str, Any]]) -> None:
    for rank in two:
        findings, notes = rank["no_batch"]
        assert "give audit() one" in notes[0]
        assert all("side.0.weight" not in parameters for _, _, parameters, _ in findings)


def test_stages_of_a_pipeline_are_refused(two: list[dict[str, Any]]) -> None:
    assert all("the ranks hold different models" in rank["stages"] for rank in two)


def test_an_unfinished_sum_is_unknown(two: list[dict[str, Any]]) -> None:
    assert all(rank["unfinished"] == [False] for rank in two)


def test_other_wrappers(two: list[dict[str, Any]]) -> None:
    for rank in two:
        plain, replicated, alone, flat = rank["wrappers"]
        assert replicated == alone == plain
        assert plain
        assert "audit the model before it is wrapped" in flat


def test_moments_are_merged_without_the_whole(two: list[dict[str, Any]]) -> None:
    *pieces, whole = two[0]["large_and_lame"]
    assert all(near(piece, whole) for piece in pieces)


@pytest.mark.slow
def test_a_failure_on_one_rank_ends_on_all(tmp_path: Path) -> None:
    run = command(tmp_path, "tests.live.sharded_job", "alone", str(tmp_path))
    assert run.returncode == 0, run.stderr[-3000:]
    words = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    expected = "OutOfStep: rank 1 failed, and the other ranks cannot go on without it: RuntimeError: out of memory"
    assert words == [expected, expected]


@pytest.mark.slow
def test_the_command_under_torchrun_works_on_rank_0(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(
        "import torch\nfrom torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.fc = nn.Linear(8, 8)\n        nn.init.normal_(self.fc.weight, 0.02)\n"
    )
    words = ["torch.distributed.run", "--nproc-per-node", "2", "-m", "initlint", "check", "model.py", "--static"]
    run = command(tmp_path, *words)
    assert run.returncode == 1
    assert run.stdout.count("INI5") == 1
    assert run.stderr.count("initlint.audit(module, batch) on every rank") == 1
