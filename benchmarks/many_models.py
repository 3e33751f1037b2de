"""Many models in one run: what each costs, and whether memory and open files of the reporting process stay flat.

    python benchmarks/many_models.py [--models 500] [--per-file 25]

Generates a package of small classes, checks it as configured models in runs of growing size, and prints for each run
the seconds in all and for each model, the peak memory of the reporting process, and the descriptors that it has open
afterwards beyond those before.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CLASS = """
class Net{number}(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.norm, self.fc2 = nn.Linear(8, {width}), nn.LayerNorm({width}), nn.Linear({width}, 4)

    def forward(self, x):
        return self.fc2(torch.relu(self.norm(self.fc1(x))))

"""


def generate(folder: Path, models: int, per_file: int) -> None:
    """A package ``pkg`` and a configuration that names all its models."""
    (folder / "pkg").mkdir()
    (folder / "pkg" / "__init__.py").touch()
    tables = []
    for start in range(0, models, per_file):
        numbers = range(start, min(start + per_file, models))
        name = f"nets{start // per_file:03}"
        text = "".join(CLASS.format(number=number, width=16 + number % 7) for number in numbers)
        (folder / "pkg" / f"{name}.py").write_text("import torch\nfrom torch import nn\n" + text)
        tables += [f'[[model]]\ntarget = "pkg/{name}.py::Net{number}"\n' for number in numbers]
    (folder / "initlint.toml").write_text("".join(tables))


def one(folder: str) -> None:
    """Check a package in this process; prints models, findings, seconds, peak memory in KiB and descriptors."""
    os.chdir(folder)
    import initlint

    before = len(os.listdir("/proc/self/fd"))
    began = time.perf_counter()
    report = initlint.check(["pkg"])
    seconds = time.perf_counter() - began
    assert not report.failures, report.failures[:3]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    after = len(os.listdir("/proc/self/fd"))
    print(len(report.models), len(report.findings), f"{seconds:.2f}", peak, after - before)


def main() -> None:
    """Runs of growing size, each in a process of its own."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", type=int, default=500)
    parser.add_argument("--per-file", type=int, default=25)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        one(arguments.one)
        return
    print(f"{'models':>7} {'findings':>9} {'seconds':>8} {'s/model':>8} {'peak MiB':>9} {'open files left':>16}")
    for size in sorted({max(arguments.models // 10, 1), max(arguments.models // 2, 1), arguments.models}):
        with tempfile.TemporaryDirectory() as folder:
            generate(Path(folder), size, arguments.per_file)
            command = [sys.executable, __file__, "--one", folder]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        models, findings, seconds, peak, files = done.stdout.split()
        each = float(seconds) / int(models)
        print(f"{models:>7} {findings:>9} {seconds:>8} {each:>8.3f} {int(peak) / 1024:>9.1f} {files:>16}", flush=True)


if __name__ == "__main__":
    main()
