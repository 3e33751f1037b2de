"""Models that take their process along, never end, or would have it say what is not so."""

from __future__ import annotations

import atexit
import builtins
import ctypes
import json
import os
import re
import signal
import sys
import time
from typing import Any

import torch
from torch import Tensor, nn


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


def descriptors() -> list[int]:
    """Every open one: the model finds the pipe that results go through."""
    return [int(entry) for entry in os.listdir("/proc/self/fd") if int(entry) > 2]


def told(**message: Any) -> None:
    """Say something in initlint's own name."""
    for descriptor in descriptors():
        try:
            os.write(descriptor, b"\n" + json.dumps(message).encode() + b"\n")
        except OSError:
            continue


class Segfaults(Base):
    def act(self) -> None:
        ctypes.string_at(0)


class Aborts(Base):
    def act(self) -> None:
        os.abort()


class ExitsInForward(Base):
    def forward(self, x: Tensor) -> Any:
        print("\x1b[2J\x1b]0;owned\x07 so long", flush=True)
        os._exit(0)


class BlowsTheStack(Base):
    def act(self) -> None:
        sys.setrecursionlimit(1 << 30)

        def deeper(x: Any) -> Any:
            return sorted([1, 2], key=lambda _: deeper(x))

        deeper(0)


class KillsItsParent(Base):
    def act(self) -> None:
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(1000)


class KillsItsGroup(Base):
    def act(self) -> None:
        os.killpg(0, signal.SIGKILL)


class StopsItself(Base):
    def act(self) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)


class StopsItsParent(Base):
    def act(self) -> None:
        os.kill(os.getppid(), signal.SIGSTOP)
        time.sleep(1000)


class HangsInC(Base):
    """Asleep with the interpreter's lock held: no other thread of the process can do anything about it."""

    def act(self) -> None:
        ctypes.PyDLL(None).sleep(1000)


class HangsInPattern(Base):
    def act(self) -> None:
        re.match(r"(a+)+$", "a" * 64 + "b")


class HangsDeaf(Base):
    def act(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM):
            signal.signal(number, signal.SIG_IGN)
        while True:
            pass


class HangsAtExit(Base):
    def act(self) -> None:
        atexit.register(time.sleep, 1000)


class HangsInBackward(Base):
    def act(self) -> None:
        self.fc.weight.register_hook(lambda grad: time.sleep(1000))


class TalksForever(Base):
    def act(self) -> None:
        while True:
            os.write(1, b"\x1b[31m" + b"x" * 65536)


class FloodsResults(Base):
    """One line without an end, on the pipe that results go through."""

    def act(self) -> None:
        while True:
            for descriptor in descriptors():
                try:
                    os.write(descriptor, b"x" * (1 << 20))
                except OSError:
                    continue


class FeignsProgress(Base):
    def act(self) -> None:
        while True:
            told(kind="ready", torch="0")
            told(kind="phase", text="\x1b[31min a good mood")
            time.sleep(0.05)


class ClosesStreams(Base):
    def act(self) -> None:
        for stream in (sys.stdin, sys.stdout, sys.stderr):
            stream.close()
        os.closerange(0, 3)


class ClosesEverything(Base):
    def act(self) -> None:
        os.closerange(0, 1024)


class TakesAllDescriptors(Base):
    def act(self) -> None:
        self.held = []
        try:
            while True:
                self.held.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            pass


class WritesGarbage(Base):
    def act(self) -> None:
        for descriptor in (1, 2, *descriptors()):
            try:
                os.write(descriptor, b"\xff\xfe{\x00[[[" + b"[" * 100_000 + b"\n{}\n[]\n1e999\nnull\n{'kind'")
            except OSError:
                continue


class SpeaksTheProtocol(Base):
    """Outcomes of many kinds of nonsense, more of them than there are models."""

    def act(self) -> None:
        nest: Any = []
        for _ in range(500):
            nest = [nest]
        for message in (
            {"kind": "outcome", "status": "audited", "facts": 7},
            {"kind": "outcome", "status": "audited", "facts": json.dumps({"facts": nest, "root": 0})},
            {"kind": "outcome", "status": "audited", "facts": '{"facts": [["Facts", {}]], "root": 0}', "others": 7},
            {"kind": "outcome", "status": "audited", "facts": '{"facts": [["Facts", {"models": 3}]], "root": 0}'},
            {"kind": ["outcome"], "status": {}},
            {"kind": "outcome", "status": "failed", "reason": {"\x1b[2J": ["\n"]}},
            {"kind": "outcome"},
            {"kind": "no-torch", "names": 7},
        ):
            told(**message)


class PatchesTorch(Base):
    def act(self) -> None:
        torch.nn.Linear = torch.manual_seed = torch.Tensor.std = torch.nn.init.normal_ = None  # type: ignore[assignment,misc,method-assign]
        torch.set_default_dtype(torch.float16)


class PatchesPython(Base):
    def act(self) -> None:
        builtins.open = builtins.print = builtins.isinstance = builtins.len = None  # type: ignore[assignment]
        json.dumps = json.loads = os.write = os.getpid = None  # type: ignore[assignment]


class TurnsSwitches(Base):
    def act(self) -> None:
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
        torch.use_deterministic_algorithms(True)
        torch.autocast("cpu", dtype=torch.bfloat16).__enter__()
        torch.inference_mode().__enter__()
        nn.modules.module.register_module_forward_hook(lambda *args: 1 / 0)


class MovesAway(Base):
    def act(self) -> None:
        os.chdir("/")


class Sound(Base):
    """Comes after all of them."""
