"""Whatever a model does, one line says what became of it, the others are audited, and nothing is left behind.

What a model does stands in the files beside this one; here is what becomes of it. Each file is checked in one run, as
a user would, with ``-m slow``; by default a few models of each.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

pytestmark = [pytest.mark.torch, pytest.mark.skipif(sys.platform != "linux", reason="what is left is found in /proc")]

HERE = Path(__file__).parent
NAP = str(64_000_000 + os.getpid())
"""Seconds that nothing else on this machine sleeps."""
TIMEOUT = 8
"""Seconds for each model where some do not end: a sound one takes a tenth of one, on a busy machine one."""

SOUND = ""
UNRUN = "was not run: no output has a gradient: nothing to run backward from"
LATE = ": did not finish within "
GONE = "killed by signal SIGKILL in __init__"

OUTPUTS = {
    "GivesNothing": UNRUN,
    "GivesText": UNRUN,
    "GivesGenerator": UNRUN,
    "GivesEndlessGenerator": UNRUN,
    "GivesItself": SOUND,
    "GivesDeepNest": UNRUN,
    "GivesWideNest": LATE,
    "GivesComplex": SOUND,
    "GivesIntegers": UNRUN,
    "GivesBooleans": UNRUN,
    "GivesSparse": SOUND,
    "GivesRows": SOUND,
    "GivesQuantised": UNRUN,
    "GivesNested": UNRUN,
    "GivesMeta": UNRUN,
    "GivesEmpty": UNRUN,
    "GivesScalar": SOUND,
    "GivesNumber": UNRUN,
    "GivesNan": SOUND,
    "GivesDetached": UNRUN,
    "GivesWhatLies": "was not run: RuntimeError: no",
    "HoldsNan": SOUND,
    "HoldsComplex": SOUND,
    "HoldsDouble": SOUND,
    "HoldsIntegers": SOUND,
    "HoldsSparse": "was not run: RuntimeError: ",
    "HoldsQuantised": SOUND,
    "HoldsNested": ": RuntimeError: ",
    "HoldsMeta": "no data! Please use torch.nn.Module.to_empty()",
    "HoldsNothing": SOUND,
    "HoldsManyDimensions": SOUND,
    "HoldsExpanded": "can't allocate memory: you tried to allocate 1099511627776 bytes",
    "HoldsStrangeNames": SOUND,
    "HoldsUnwritten": SOUND,
    "HidesItsParts": ": RuntimeError: none of your business (outputs.py:",
    "HidesItsModules": ": RuntimeError: none of your business (outputs.py:",
    "RepeatsItsParts": "was not run: no sample batch could be inferred",
    "LiesAboutItsClass": SOUND,
    "RaisesAboutItsClass": ": RuntimeError: classless (outputs.py:",
    "LiesAboutAttributes": SOUND,
    "RefusesRepr": SOUND,
    "RefusesComparison": ": RuntimeError: unhashable (outputs.py:",
    "RefusesToTrain": "was not run: RuntimeError: no training",
    "RefusesToMove": ": RuntimeError: rooted (outputs.py:",
    "RefusesAttributes": "was not run: RuntimeError: frozen",
    "HookRaises": "ZeroDivisionError: division by zero",
    "BackwardHookRaises": "was not run: ZeroDivisionError: division by zero",
    "TensorHookRaises": "was not run: ZeroDivisionError: division by zero",
    "BackwardExits": ": SystemExit: 5 (outputs.py:",
    "DiesLoudly": SOUND,
    "ForwardInterrupts": ": KeyboardInterrupt (outputs.py:",
    "ForwardExits": ": SystemExit: 3 (outputs.py:",
    "ForwardRaisesBase": ": BaseException: base\\x1b[2J (outputs.py:",
    "ForwardEndsGenerator": "StopIteration",
    "RaisesUnspeakably": ": Unspeakable (outputs.py:",
    "RaisesAtLength": ": RuntimeError: xxxxxxxx",
    "RaisesOddly": ": \\x1b[2JEvil: of an odd name (outputs.py:",
    "Recurses": "RecursionError: ",
    "RecursesInInit": ": RecursionError: ",
    "ContainsItself": ": RecursionError: ",
    "GoesToCuda": SOUND if shutil.which("nvidia-smi") else "was not run: ",
    "BuildsOnCuda": SOUND if shutil.which("nvidia-smi") else ": ",
    "RunsInInference": UNRUN,
    "BuildsInInference": "was not run: RuntimeError: Inplace update to inference tensor",
    "RunsWithoutGradients": UNRUN,
    "RunsInAutocast": SOUND,
    "NeverTheSame": SOUND,
    "ChangesItself": "was not run: AttributeError: ",
    "ComesFromADevice": SOUND,
    "ComesFromAFifo": SOUND,
    "ComesFromNowhere": SOUND,
}

KILLERS = {
    "Segfaults": ": killed by signal SIGSEGV in __init__",
    "Aborts": ": killed by signal SIGABRT in __init__",
    "ExitsInForward": ": exited with status 0 in the forward or backward pass; its last line: [2J ]0;owned so long",
    "BlowsTheStack": ": killed by signal SIGSEGV in __init__",
    "KillsItsParent": GONE,
    "KillsItsGroup": GONE,
    "StopsItself": LATE,
    "StopsItsParent": LATE,
    "HangsInC": LATE,
    "HangsInPattern": LATE,
    "HangsDeaf": LATE,
    "HangsAtExit": SOUND,
    "HangsInBackward": LATE,
    "TalksForever": LATE,
    "FloodsResults": ": wrote without end to where results go in __init__",
    "FeignsProgress": LATE,
    "ClosesStreams": SOUND,
    "ClosesEverything": ": closed the pipe that its results go through in __init__",
    "TakesAllDescriptors": SOUND,
    "WritesGarbage": SOUND,
    "SpeaksTheProtocol": SOUND,
    "PatchesTorch": ": TypeError: 'NoneType' object is not callable",
    "PatchesPython": ": exited with status 1 in __init__; its last line: TypeError: ",
    "TurnsSwitches": "was not run: ",
    "MovesAway": SOUND,
}

BREEDERS = {
    "LeavesSleepers": SOUND,
    "LeavesDaemon": SOUND,
    "LeavesDaemonAndDies": ": exited with status 9 in __init__",
    "LeavesBrood": SOUND,
    "ForksInForward": SOUND,
    "LeavesPool": SOUND,
    "LeavesTorchProcesses": SOUND,
    "LeavesThreads": SOUND,
    "LeavesNoFolder": SOUND,
    "LeavesFiles": SOUND,
    "RunsAnother": LATE,
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "temporary").mkdir()
    os.mkfifo(tmp_path / "fifo")
    for name, value in (("OMP_NUM_THREADS", "1"), ("HOSTILE_NAP", NAP), ("TMPDIR", str(tmp_path / "temporary"))):
        monkeypatch.setenv(name, value)
    for name in ("outputs", "killers", "breeders"):
        shutil.copy(HERE / f"{name}.py", tmp_path)
    return tmp_path


def check(*arguments: str) -> tuple[int, str, str]:
    """A run of its own process, its exit code and both its streams."""
    done = subprocess.run(
        [sys.executable, "-m", "initlint", "check", *arguments, "--device", "cpu"],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def left_behind() -> list[str]:
    """Processes that were started by a model, or run for this test's folder; and temporary files."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            folder = os.readlink(entry / "cwd") if entry.name.isdigit() else ""
        except OSError:
            continue
        if NAP.encode() in words or (folder == os.getcwd() and int(entry.name) != os.getpid()):
            found.append(b" ".join(words).decode(errors="replace"))
    return found + os.listdir("temporary")


def examine(file: str, expected: Mapping[str, str], names: list[str]) -> list[dict[str, Any]]:
    """Check models by their names, and a sound one after them; every one of them has to come to what is expected."""
    names = [*names, "Sound"]
    late = sum(expected.get(name) == LATE for name in names)
    timeout = (100, 40, TIMEOUT)[min(late, 2)]
    options = ["--format", "json", "--exit-zero", "--no-cache", "--timeout", str(timeout)]
    code, out, err = check(*(f"{file}::{name}" for name in names), *options)
    models = json.loads(out)["models"]
    assert [model["target"] for model in models] == [f"{file}::{name}" for name in names]
    assert "Traceback" not in err
    assert err.isprintable() or all(line.isprintable() for line in err.splitlines())
    complaints: dict[str, list[str]] = {name: [] for name in names}
    for line in err.splitlines():
        name, rest = re.fullmatch(rf"initlint: error: {re.escape(file)}::(\w+)(.*)", line).groups()  # type: ignore[union-attr]
        complaints[name].append(rest.strip())
    assert {name: told for name, told in complaints.items() if not fits(told, {**expected, "Sound": SOUND}[name])} == {}
    assert code == (2 if any(complaints.values()) else 0)
    assert left_behind() == []
    return [model for model in models if model["target"].endswith("::Sound")]


def fits(told: list[str], expected: str) -> bool:
    """Whether what was said of a model is one line with that in it, or nothing where it is audited and run."""
    return told == [] if expected == SOUND else len(told) == 1 and expected in told[0] and len(told[0]) < 600


def of_a_kind(sound: list[dict[str, Any]]) -> None:
    """The sound model's figures are those that it has alone."""
    (model,) = sound
    (row,) = model["layers"]
    assert model["status"] == "audited"
    assert (model["parameters"], row["scheme"], row["verdict"]) == (36, "default", "ok")


def test_some_hostile_models_of_each_kind(here: Path) -> None:
    """In one file, as each process takes seconds: after MovesAway and Segfaults there has to be a fresh one."""
    some = {
        "outputs": ["GivesItself", "GivesComplex", "HoldsDouble", "HoldsStrangeNames", "RefusesComparison"],
        "killers": ["SpeaksTheProtocol", "WritesGarbage", "MovesAway", "Segfaults"],
        "breeders": ["LeavesDaemon", "LeavesFiles"],
    }
    some["outputs"] += ["ForwardRaisesBase", "RaisesUnspeakably", "ComesFromAFifo", "ComesFromNowhere"]
    lines = [f"from {module} import {name}" for module, names in some.items() for name in names]
    Path("some.py").write_text("\n".join([*lines, "from outputs import Sound"]))
    names = [*some["outputs"], *some["breeders"], *some["killers"]]
    of_a_kind(examine("some.py", OUTPUTS | KILLERS | BREEDERS, names))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "expected"),
    [("outputs.py", OUTPUTS), ("killers.py", KILLERS), ("breeders.py", BREEDERS)],
    ids=["outputs", "killers", "breeders"],
)
def test_every_hostile_model(here: Path, file: str, expected: Mapping[str, str]) -> None:
    defined = re.findall(r"^class (\w+)\(Base\)", (here / file).read_text(), re.MULTILINE)
    assert [*expected, "Sound"] == defined, "each model says what becomes of it"
    of_a_kind(examine(file, expected, list(expected)))
