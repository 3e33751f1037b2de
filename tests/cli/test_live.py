"""``initlint check`` on models that are built: what is found, what misbehaves, and what is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
Spawn = Callable[..., "subprocess.Popen[str]"]

pytestmark = pytest.mark.torch

NAP = str(65_000_000 + os.getpid())
"""Seconds that nothing else on this machine sleeps: other runs of this suite are not our leftovers."""

HOSTILE = textwrap.dedent("""\
    import os, subprocess, sys, time
    import torch
    from torch import nn

    class Sound(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(8, 4)

        def forward(self, x):
            return self.fc(x)

    class Raises(nn.Module):
        def __init__(self):
            super().__init__()
            raise RuntimeError("no such\\nluck")

    class Exits(nn.Module):
        def __init__(self):
            super().__init__()
            os._exit(7)

    class Leaves(nn.Module):
        def __init__(self):
            super().__init__()
            sys.exit(0)

    class Forks(Sound):
        def __init__(self):
            super().__init__()
            subprocess.Popen(["sleep", "NAP"], start_new_session=True)

    class Prints(Sound):
        def __init__(self):
            super().__init__()
            print("x" * 1_000_000, flush=True)
            print('{"findings": []}', file=sys.stderr, flush=True)

    class Needs(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.fc = nn.Linear(width, width)

        def forward(self, x):
            return self.fc(x)
    """).replace("NAP", NAP)
NAMES = ("Raises", "Exits", "Leaves", "Forks", "Prints", "Needs")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path


def sleepers(argument: str) -> list[str]:
    """The processes on this machine that were started with an argument."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if argument.encode() in command:
            found.append(entry.name)
    return found


@pytest.mark.slow
def test_misbehaving_models_that_were_only_discovered_are_notes(initlint: Run) -> None:
    Path("hostile.py").write_text(HOSTILE)
    result = initlint("check", "hostile.py", "--format", "json")
    report = json.loads(result.out)
    assert result.code == 0
    status = {model["target"].removeprefix("hostile.py::"): model["status"] for model in report["models"]}
    assert status == {
        "Raises": "skipped",
        "Exits": "skipped",
        "Leaves": "skipped",
        "Forks": "audited",
        "Prints": "audited",
        "Needs": "skipped",
    }
    notes = result.err.splitlines()
    assert all(line.startswith("initlint: note: hostile.py::") for line in notes)
    assert ["no such" in note for note in notes if "Raises" in note] == [True]
    assert ["7" in note for note in notes if "Exits" in note] == [True]
    assert ["--arg width=" in note for note in notes if "Needs" in note] == [True]
    assert sleepers(NAP) == []


def test_misbehaving_models_that_were_named_are_failures(initlint: Run) -> None:
    Path("hostile.py").write_text(HOSTILE)
    names = ("Raises", "Exits", "Leaves", "Needs", "Absent")
    result = initlint("check", *(f"hostile.py::{name}" for name in names), "hostile.py::Sound")
    assert result.code == 2
    assert [name for name in names if f"initlint: error: hostile.py::{name}: " in result.err] == list(names)
    assert len(result.err.splitlines()) == len(names)
    assert "hostile.py::Sound: 36 parameters" in result.out


@pytest.mark.slow
def test_a_model_that_hangs_and_one_that_takes_all_memory(initlint: Run) -> None:
    Path("greedy.py").write_text(
        textwrap.dedent("""\
            import time, torch
            from torch import nn

            class Hangs(nn.Module):
                def __init__(self):
                    super().__init__()
                    time.sleep(1000)

            class Takes(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.parts = [torch.ones(1 << 24) for _ in range(1000)]
            """)
    )
    result = initlint("check", "greedy.py::Hangs", "greedy.py::Takes", "--timeout", "4", "--memory-limit", "1G")
    assert result.code == 2
    hangs, takes = result.err.splitlines()
    assert "Hangs" in hangs
    assert "within 4 s" in hangs
    assert "Takes" in takes
    assert "memory limit of 1 GiB" in takes


def test_arguments_batch_and_device(initlint: Run) -> None:
    Path("hostile.py").write_text(HOSTILE)
    result = initlint(
        "check", "hostile.py::Needs", "--arg", "width=12", "--batch", "32x12", "--device", "cpu", "--format", "json"
    )
    (model,) = json.loads(result.out)["models"]
    assert (result.code, model["batch"], model["device"], model["parameters"]) == (0, "32x12", "cpu", 156)
    assert model["layers"][0]["shape"] == [12, 12]


def test_a_module_target(initlint: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("package").mkdir()
    Path("package/__init__.py").write_text("")
    Path("package/model.py").write_text(HOSTILE)
    result = initlint("check", "package.model:Sound")
    assert result.code == 0
    assert "package.model:Sound: 36 parameters" in result.out


@pytest.mark.slow
def test_a_module_that_is_not_there(initlint: Run) -> None:
    assert initlint("check", "package.gone:Sound").code == 2


def test_a_file_that_trains_when_imported_is_read_only(initlint: Run) -> None:
    script = HOSTILE.split("class Raises")[0] + textwrap.dedent("""\
        model = Sound()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(10):
            loss = model(torch.randn(2, 8)).sum()
            loss.backward()
            optimizer.step()
        open("ran", "w")
        """)
    Path("train.py").write_text(script)
    result = initlint("check", "train.py")
    assert result.code == 0
    assert '__name__ == "__main__"' in result.err
    assert not Path("ran").exists()


def test_a_file_without_models_is_not_imported(initlint: Run) -> None:
    Path("weights.py").write_text("import torch.nn as nn\nopen('ran', 'w')\ndef init(m):\n    nn.init.zeros_(m.bias)\n")
    assert initlint("check", "weights.py").code == 0
    assert not Path("ran").exists()


@pytest.fixture(scope="module")
def torchless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has no torch."""
    folder = tmp_path_factory.mktemp("torchless")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder / "bin/python"


def test_without_torch_findings_come_first_and_then_the_install_line(initlint: Run, torchless: Path) -> None:
    Path("model.py").write_text(
        HOSTILE.split("class Raises")[0] + "        # end\n\ndef init(m):\n    nn.init.normal_(m.weight, 0.02)\n"
    )
    result = initlint("check", "model.py", "--python", torchless)
    assert result.code == 2
    assert "INI501" in result.out
    (line,) = result.err.splitlines()
    assert "pip install 'initlint[torch]'" in line
    Path("weights.py").write_text("import torch.nn as nn\ndef init(m):\n    nn.init.zeros_(m.bias)\n")
    assert initlint("check", "weights.py", "--python", torchless).code == 0


@pytest.mark.slow  # over processes, hash seeds and orders: hostile/test_the_same_every_time.py
def test_live_figures_are_the_same_every_time(initlint: Run) -> None:
    Path("hostile.py").write_text(HOSTILE)
    reports = [json.loads(initlint("check", "hostile.py::Sound", "--format", "json").out) for _ in range(2)]
    for report in reports:
        report["summary"].pop("seconds")
    assert reports[0] == reports[1]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)]
)  # Ctrl-C besides in live/test_process.py and test_pool.py
def test_an_interrupted_run_leaves_no_process(spawn: Spawn, number: int, code: int) -> None:
    Path("slow.py").write_text(
        textwrap.dedent("""\
            import os, subprocess, time
            from torch import nn

            class Slow(nn.Module):
                def __init__(self):
                    super().__init__()
                    subprocess.Popen(["sleep", "NAP"])
                    open("started", "w")
                    time.sleep(1000)
            """).replace("NAP", NAP)
    )
    process = spawn("check", "slow.py", start_new_session=True)
    deadline = time.monotonic() + 60
    while not os.path.exists("started") and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert "Traceback" not in err
    assert sleepers(NAP) == []


UNGUESSABLE = HOSTILE.split("class Raises")[0] + textwrap.dedent("""\
    class Closed(nn.Module):
        def __init__(self, width=4):
            super().__init__()
            self.fc = nn.Linear(8, width)

        def forward(self, x):
            if x.shape[0] != 13:
                raise ValueError("thirteen or nothing")
            nn.init.normal_(self.fc.weight, 0.02)
            return self.fc(x)
    """)


@pytest.mark.skipif(sys.platform == "darwin", reason="looks for a device that may be there")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param(["--device", "mps"], "no device mps", marks=pytest.mark.slow),  # cuda: test_asked.py
        (["--python", "/bin/ls"], "/bin/ls exited with status"),
        (["--batch", "13x9"], "--batch 13x9: no model could be run on it"),
        (["--arg", "depth=1"], "--arg depth=1: no model that was built takes it (model.py::"),
    ],
)
def test_an_option_that_cannot_be_met_is_one_error(initlint: Run, options: list[str], said: str) -> None:
    Path("model.py").write_text(UNGUESSABLE)
    result = initlint("check", "model.py", *options)
    assert result.code == 2
    (line,) = [line for line in result.err.splitlines() if line.startswith("initlint: error: ")]
    assert said in line


def test_an_option_that_one_of_the_models_takes_is_met(initlint: Run) -> None:
    Path("model.py").write_text(UNGUESSABLE.replace("nn.init.normal_(self.fc.weight, 0.02)", "pass"))
    assert initlint("check", "model.py", "--arg", "width=5", "--batch", "8x8").code == 0


def test_a_model_whose_batch_cannot_be_inferred(initlint: Run) -> None:
    Path("model.py").write_text(UNGUESSABLE)
    named = initlint("check", "model.py::Closed")
    assert named.code == 2
    assert "INI501" in named.out
    (line,) = named.err.splitlines()
    assert line.startswith("initlint: error: model.py::Closed was not run: ")
    assert "--batch" in line
    assert "model.py::Closed: 36 parameters, parameters only, not run: " in named.out
    met = initlint("check", "model.py", "--fail-on", "error", "--ignore", "INI501", "--format", "json")
    assert met.code == 0
    assert met.err.startswith("initlint: note: model.py::Closed was not run: ")
    report = json.loads(met.out)
    closed = {model["target"]: model for model in report["models"]}["model.py::Closed"]
    assert (closed["status"], closed["batch"]) == ("audited", None)
    assert "thirteen or nothing" in closed["reason"]


def test_ratios_go_on_past_norms(initlint: Run) -> None:
    Path("model.py").write_text(
        textwrap.dedent("""\
            from torch import nn

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc1 = nn.Linear(8, 64)
                    self.norm1 = nn.LayerNorm(64)
                    self.fc2 = nn.Linear(64, 64)
                    self.norm2 = nn.LayerNorm(64)
                    self.head = nn.Linear(64, 4)

                def forward(self, x):
                    x = self.norm1(self.fc1(x)).relu()
                    return self.head(self.norm2(self.fc2(x)).relu())
            """)
    )
    (model,) = json.loads(initlint("check", "model.py", "--format", "json").out)["models"]
    rows = model["layers"]
    assert [row["name"] for row in rows] == ["fc1", "norm1", "fc2", "norm2", "head"]
    assert rows[0]["forward_ratio"] is None
    for above, row in pairwise(rows):
        assert row["forward_ratio"] == pytest.approx(row["forward_std"] / above["forward_std"], rel=2e-3)
        assert row["gradient_ratio"] == pytest.approx(row["gradient_std"] / above["gradient_std"], rel=2e-3)


OFFERS = textwrap.dedent("""\
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.fc = nn.Linear(width, 4)

        def forward(self, x):
            return self.fc(x)

    def _sized(width):
        return Net(width)

    def small():
        return _sized(8)

    def test():
        print(Net(8))

    class Unready(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x):
            self.fc(x)
            raise RuntimeError("not ready")

    class Bare(nn.Module):
        def forward(self, x, graph):
            return x
    """)


def test_what_cannot_be_built_or_run_says_what_to_try(initlint: Run, tmp_path: Path) -> None:
    (tmp_path / "offers.py").write_text(OFFERS)
    file = f"{tmp_path}/offers.py"
    result = initlint("check", file)
    assert result.code == 0
    (asked,) = [line for line in result.err.splitlines() if "needs arguments" in line]
    assert "--arg width=VALUE" in asked
    assert asked.endswith("offers.py::small (skipped)")
    (unready,) = [line for line in result.err.splitlines() if "not ready" in line]
    assert "RuntimeError: not ready" in unready
    assert "offers.py:28)" in unready
    assert "--batch" in unready
    assert "0 models audited, 1 by parameters alone" in result.out
    assert "Bare: skipped (it has no parameters)" in result.out


def test_a_name_that_is_not_there_is_told_once_with_what_is(initlint: Run, tmp_path: Path) -> None:
    (tmp_path / "offers.py").write_text(OFFERS)
    result = initlint("check", f"{tmp_path}/offers.py::Nett", f"{tmp_path}/offers.py::Quux")
    assert result.code == 2
    near, far = result.err.splitlines()
    assert near.endswith("did you mean Net?")
    assert "did you mean" not in result.out
    assert "it has Net, small" in far.replace("_sized, ", "")


@pytest.mark.parametrize(
    "target", [["lazy.py::body", "--batch", "8x3"], pytest.param(["lazy.py::both"], marks=pytest.mark.slow)]
)
def test_lazy_layers_get_their_shapes_from_the_batch(initlint: Run, target: list[str]) -> None:
    Path("lazy.py").write_text(
        "import torch\n\ndef body():\n    return torch.nn.Sequential(torch.nn.LazyLinear(4))\n"
        "\n\ndef both():\n    return body(), torch.randn(8, 3)\n"
    )
    (model,) = json.loads(initlint("check", *target, "--no-cache", "--format", "json").out)["models"]
    assert (model["reason"], model["parameters"]) == (None, 16)
