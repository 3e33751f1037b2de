"""Models that leave something behind: processes, threads, files, or a folder that is no more."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any

import torch
import torch.multiprocessing
from torch import Tensor, nn

NAP = os.environ["HOSTILE_NAP"]
"""Seconds that nothing else on this machine sleeps."""


class Base(nn.Module):
    """A sound model of one layer, for the others to spoil."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 4)
        self.act()

    def act(self) -> None:
        pass

    def forward(self, x: Tensor) -> Any:
        return self.fc(x)


def daemonise() -> bool:
    """True in a process that left its parent, its group, its session, its environment and its streams."""
    if os.fork():
        return False
    os.setsid()
    if os.fork():
        os._exit(0)
    os.closerange(0, 1024)
    return True


class LeavesSleepers(Base):
    def act(self) -> None:
        for options in ({}, {"start_new_session": True}, {"env": {}}, {"env": {}, "start_new_session": True}):
            subprocess.Popen(["/bin/sleep", NAP], **options)


class LeavesDaemon(Base):
    def act(self) -> None:
        if daemonise():
            for number in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            os.execve("/bin/sleep", ["sleep", NAP], {})


class LeavesDaemonAndDies(Base):
    def act(self) -> None:
        if daemonise():
            os.execve("/bin/sleep", ["sleep", NAP], {})
        time.sleep(0.2)
        os._exit(9)


BROOD = """
import os, signal, time
end = time.monotonic() + 30
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
while time.monotonic() < end:
    time.sleep(0.005)
    if os.fork():
        os._exit(0)
    os.setsid()
"""


class LeavesBrood(Base):
    """Daemons each of which starts the next, and ends."""

    def act(self) -> None:
        for _ in range(3):
            if daemonise():
                os.execve(sys.executable, [sys.executable, "-c", BROOD, NAP], {})
        time.sleep(0.5)


class ForksInForward(Base):
    def forward(self, x: Tensor) -> Any:
        os.fork()  # and both go on, as if each were the model's own process
        return self.fc(x)


def nap(_: Any = None) -> None:
    os.execve("/bin/sleep", ["sleep", NAP], {})


class LeavesPool(Base):
    def act(self) -> None:
        pool = multiprocessing.get_context("fork").Pool(2)
        pool.map_async(nap, range(2))


class LeavesTorchProcesses(Base):
    def act(self) -> None:
        context = torch.multiprocessing.get_context("fork")
        context.Process(target=nap).start()
        self.fc.share_memory()


class LeavesThreads(Base):
    def act(self) -> None:
        for daemon in (False, True):
            threading.Thread(target=time.sleep, args=(1e5,), daemon=daemon).start()


class LeavesNoFolder(Base):
    def act(self) -> None:
        folder = tempfile.mkdtemp()
        os.chdir(folder)
        os.rmdir(folder)


class LeavesFiles(Base):
    def act(self) -> None:
        folder = tempfile.mkdtemp()
        os.mkdir(os.path.join(folder, "locked"))
        with open(os.path.join(folder, "locked", f"left-{NAP}"), "w") as file:
            file.write("x" * 1_000_000)
        os.symlink("/", os.path.join(folder, "root"))
        os.symlink(os.getcwd(), os.path.join(folder, "here"))
        os.chmod(os.path.join(folder, "locked"), 0)
        tempfile.NamedTemporaryFile(delete=False).close()


class RunsAnother(Base):
    def act(self) -> None:
        subprocess.run([sys.executable, "-c", f"import os; os.execve('/bin/sleep', ['sleep', '{NAP}'], {{}})"])


class Sound(Base):
    """Comes after all of them."""
