"""The child process: whatever a model does, one line says what happened, and no process remains."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("torch")

import initlint
from initlint.facts import known
from initlint.live.child.process import LiveJob, Outcome, run
from initlint.report.text import render as as_text

pytestmark = pytest.mark.skipif(os.name != "posix", reason="process groups")

MODELS = """
import os, sys, time
import torch
from torch import nn

class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.act()
    def act(self):
        pass
    def forward(self, x):
        return torch.relu(self.fc(x))

def note():
    with open(os.environ["PIDS"], "a") as file:
        file.write(f"{os.getpid()}\\n")

class Sound(Base): pass

class Raises(Base):
    def act(self):
        raise ValueError("no such width\\nand more")

class Leaves(Base):
    def act(self): sys.exit(4)

class Interrupts(Base):
    def act(self): raise KeyboardInterrupt

class Prints(Base):
    def act(self):
        print("x" * 1_500_000)
        sys.stderr.write("y\\n" * 500_000)
        sys.stdout.close()

class Needs(Base):
    def __init__(self, width, depth=3): super().__init__()

class CallsWrongly(Base):
    def act(self): Needs()

class Exits(Base):
    def act(self):
        print("goodbye")
        sys.stdout.flush()
        os._exit(3)

class Crashes(Base):
    def act(self): os.kill(os.getpid(), 11)

class Closes(Base):
    def act(self): os.closerange(0, 256)

class Hangs(Base):
    def act(self):
        note()
        while True: print("still here")

class HangsForward(Base):
    def forward(self, x): time.sleep(1000)

class Allocates(Base):
    def act(self):
        held = []
        while True: held.append(torch.ones(10_000_000))

class Hoards(Base):
    def act(self):
        held = []
        while True: held.append("x" * 1000 + str(len(held)))

class Forks(Base):
    def act(self):
        note()
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                note()
                os.execve(sys.executable, [sys.executable, "-c", "import time; time.sleep(1000)"], dict(os.environ))
            note()
            time.sleep(1000)
        if os.fork() == 0:
            note()  # and goes on, as if it were the model's own process

def pair(): return Sound(), torch.zeros(3, 4)
def wrong(): return [Sound()]
net = Sound()
number = 3

if __name__ == "__main__":
    raise RuntimeError("this is for scripts")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "model.py").write_text(MODELS)
    monkeypatch.setenv("PIDS", str(tmp_path / "pids"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path


def job(folder: Path, *names: str, **more: object) -> LiveJob:
    given: dict[str, object] = {"path": str(folder / "model.py"), "cwd": str(folder), "project_root": str(folder)}
    return LiveJob(names, device="cpu", **{**given, **more})  # type: ignore[arg-type]


def outcomes(folder: Path, *names: str, **more: object) -> dict[str, Outcome]:
    done = list(run(job(folder, *names, **more)))
    assert [outcome.target for outcome in done] == [f"{folder / 'model.py'}::{name}" for name in names]
    for outcome in done:
        assert outcome.reason is None or len(outcome.reason.splitlines()) == 1
        assert (outcome.facts is not None) == (outcome.status == "audited")
    return dict(zip(names, done, strict=True))


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def noted(folder: Path) -> list[int]:
    return [int(line) for line in (folder / "pids").read_text().split()]


def line_of(fragment: str) -> int:
    return next(number for number, text in enumerate(MODELS.splitlines(), 1) if fragment in text)


@pytest.mark.slow
def test_models_that_end_by_themselves(folder: Path) -> None:
    names = [
        "Raises",
        "Leaves",
        "Interrupts",
        "Prints",
        "Needs",
        "CallsWrongly",
        "wrong",
        "number",
        "nothing",
        "net",
        "pair",
        "Sound",
    ]
    done = outcomes(folder, *names, timeout=60)
    assert {name: outcome.status for name, outcome in done.items()} == {
        **dict.fromkeys(["Raises", "Leaves", "Interrupts", "CallsWrongly", "wrong", "number", "nothing"], "failed"),
        **dict.fromkeys(["Prints", "net", "pair", "Sound"], "audited"),
        "Needs": "skipped",
    }
    reasons = {name: outcome.reason or "" for name, outcome in done.items()}
    assert reasons["Raises"] == f"ValueError: no such width (model.py:{line_of('no such width')})"
    assert reasons["Leaves"] == f"SystemExit: 4 (model.py:{line_of('sys.exit')})"
    assert reasons["Interrupts"].startswith("KeyboardInterrupt")
    assert "--arg width=VALUE" in reasons["Needs"]
    assert "missing 1 required positional argument" in reasons["CallsWrongly"]
    assert "list" in reasons["wrong"]
    assert "nothing" in reasons["nothing"]
    facts = done["Sound"].facts
    assert facts is not None
    (model,) = facts.models
    assert model.differing == ()
    (weight,) = [parameter for parameter in model.parameters if parameter.name == "fc.weight"]
    assert weight.last_write.author == "framework"
    assert weight.last_write.location is not None
    assert weight.last_write.location.path == str(folder / "model.py")
    assert weight.last_write.location.line == line_of("nn.Linear(4, 4)")
    assert done["pair"].facts is not None
    assert "3x4" in done["pair"].facts.models[0].probe.batch
    instance = done["net"].facts
    assert instance is not None
    assert not known(instance.models[0].differing)
    assert next(instance.models[0].parameters).last_write.location is not None


@pytest.mark.slow
def test_models_that_take_the_process_with_them(folder: Path) -> None:
    done = outcomes(folder, "Exits", "Sound", "Crashes", "Closes", timeout=60)
    assert done["Exits"].reason == "exited with status 3 in __init__; its last line: goodbye"
    assert done["Crashes"].reason == "killed by signal SIGSEGV in __init__"
    assert "closed the pipe" in str(done["Closes"].reason)
    assert done["Sound"].status == "audited"


def test_models_that_do_not_end(folder: Path) -> None:
    done = outcomes(folder, "Hangs", "HangsForward", timeout=1)
    for outcome in done.values():
        assert outcome.reason == "did not finish within 1 s: raise --timeout"
    assert not any(map(alive, noted(folder)))


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_models_that_allocate_without_end(folder: Path) -> None:
    done = outcomes(folder, "Allocates", "Hoards", "Sound", memory_limit=2**28, timeout=60)
    assert done["Allocates"].reason == "exceeded the memory limit of 0.25 GiB"
    assert done["Hoards"].reason == "exceeded the memory limit of 0.25 GiB"
    assert done["Sound"].status == "audited"


@pytest.mark.skipif(sys.platform != "linux", reason="what left the group is found in /proc")
@pytest.mark.slow
def test_processes_that_a_model_leaves_behind(folder: Path) -> None:
    done = outcomes(folder, "Forks", "Sound", timeout=60)
    assert [outcome.status for outcome in done.values()] == ["audited", "audited"]
    pids = noted(folder)
    assert len(set(pids)) >= 4
    assert not any(map(alive, pids))


def test_leaving_early_ends_the_child(folder: Path) -> None:
    # The first outcome is taken while the second model hangs.
    results = run(job(folder, "Sound", "Hangs", timeout=60))
    assert next(results).status == "audited"
    deadline = time.monotonic() + 30
    while not (folder / "pids").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    pids = noted(folder)
    assert all(map(alive, pids))
    results.close()  # type: ignore[attr-defined]
    assert not any(map(alive, pids))


def test_control_c_ends_the_child(folder: Path) -> None:
    script = (
        "import sys; from initlint.live.child.process import LiveJob, run\n"
        "list(run(LiveJob(('Hangs',), path=sys.argv[1], timeout=60, device='cpu')))"
    )
    root = Path(__file__).parents[2]
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(folder / "model.py")],
        cwd=root,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests in the background ignore Ctrl-C
    )
    deadline = time.monotonic() + 30
    while not (folder / "pids").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    parent.send_signal(signal.SIGINT)
    parent.wait(10)
    assert not any(map(alive, noted(folder)))


def test_a_file_that_cannot_be_imported_says_so_once_whatever_it_holds(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    for name in ("json", "numbers", "logging"):  # which torch needs, and takes from where Python has them
        (folder / f"{name}.py").write_text("import no_such_thing\n")
    (folder / "at_the_top.py").write_text("")  # is found, as it is for scripts that lie beside it
    (folder / "nets" / "small").mkdir(parents=True)
    (folder / "nets" / "small" / "widths.py").write_text("WIDTH = 3\n")  # no __init__.py: a package all the same
    each = "\n\nclass {}(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
    models = "".join(each.format(name) + "        self.fc = nn.Linear(3, 3)\n" for name in "AB")
    file = "nets/small/model.py"
    imports = "from torch import nn\nimport at_the_top\nfrom .widths import WIDTH\nimport surely_not_there\n"
    Path(file).write_text(imports + models)
    report = initlint.check([file])
    reason = (
        f"ModuleNotFoundError: No module named 'surely_not_there' ({file}:4): --python names an interpreter that has it"
    )
    assert [(run.target, run.status, run.reason) for run in report.models] == [
        (f"{file}::{name}", "skipped", reason) for name in "AB"
    ]
    assert report.notes == (f"{file}: {reason} (2 models skipped: A, B)",)
    assert f"{file}::A, B: skipped ({reason})\n\n" in as_text(report)


def test_an_interpreter_without_torch(folder: Path) -> None:
    bare = folder / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -E -S "$@"\n')
    bare.chmod(0o755)
    (outcome,) = run(job(folder, "Sound", python=str(bare)))
    assert outcome.torch_missing
    assert outcome.reason == f"torch is not installed in {bare}"
    (outcome,) = run(job(folder, "Sound", python=str(folder / "missing")))
    assert "No such file" in str(outcome.reason)


def test_a_file_in_a_package_and_a_module(folder: Path) -> None:
    package = folder / "shop" / "nets"
    package.mkdir(parents=True)
    (folder / "shop" / "__init__.py").write_text("")
    (package / "__init__.py").write_text("")
    (package / "parts.py").write_text("from torch import nn\nLayer = nn.Linear\n")
    (package / "model.py").write_text(
        "from torch import nn\nfrom .parts import Layer\n"
        "class Net(nn.Module):\n    def __init__(self, width=2):\n        super().__init__()\n"
        "        self.fc = Layer(width, 3)\n    def forward(self, x):\n        return self.fc(x)\n"
    )
    more = {"arguments": ("width=5",), "batches": ("8x5",), "dtype": "bf16", "seed": 2}
    (by_path,) = run(job(folder, "Net", path=str(package / "model.py"), **more))
    (by_name,) = run(job(folder, "Net", path=None, module="shop.nets.model", **more))
    for outcome in (by_path, by_name):
        assert outcome.facts is not None, outcome.reason
        (model,) = outcome.facts.models
        assert next(model.parameters).shape == (3, 5)
    assert by_name.target == "shop.nets.model:Net"
