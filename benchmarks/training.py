"""What becomes of a network in a short training, beside the sound one trained likewise."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from architectures import Architecture
from architectures.tasks import Task
from torch import Generator, Tensor, nn

__all__ = ["FAILS", "NO_DIFFERENCE", "SLOWER", "Referee"]

FAILS, SLOWER, NO_DIFFERENCE = "fails", "slower", "no difference"
_STEPS, _BATCH, _WINDOW = 160, 32, 24
_RATES = {"sgd": (0.03, 0.2), "adam": (0.002, 0.01)}
_CLEAR = 0.92
_LOWER = {"sgd": 0.1, "adam": 0.3}
"""What the rate is multiplied by where the rate that suits the sound network does not suit the mutant."""


@dataclass(frozen=True)
class _Curve:
    """Score around the middle and at the end of a run; infinite where it broke down."""

    half: float
    end: float


def _train(
    model: nn.Module, task: Task, data: list[tuple[tuple[Tensor, ...], Tensor]], kind: str, rate: float
) -> _Curve:
    parameters = list({id(p): p for p in model.parameters() if p.requires_grad}.values())
    optimizer: torch.optim.Optimizer
    if kind == "sgd":
        optimizer = torch.optim.SGD(parameters, rate, momentum=0.9, fused=True)
    else:
        optimizer = torch.optim.Adam(parameters, rate, fused=True)
    judge = task.score or task.loss
    scores: list[Tensor] = []
    for step, (inputs, target) in enumerate(data):
        optimizer.zero_grad()
        output = model(*inputs)
        loss = task.loss(output, target)
        if step % 40 == 0 and not math.isfinite(float(loss)):
            return _Curve(math.inf, math.inf)
        loss.backward()
        optimizer.step()
        scores.append(judge(output, target).detach() if task.score else loss.detach())
    every = torch.stack(scores)
    middle = len(every) // 2
    half, end = float(every[middle - _WINDOW // 2 : middle + _WINDOW // 2].mean()), float(every[-_WINDOW:].mean())
    return _Curve(half if math.isfinite(half) else math.inf, end if math.isfinite(end) else math.inf)


def _uninformed(task: Task, data: list[tuple[tuple[Tensor, ...], Tensor]]) -> float:
    """The score of who says the same whatever the input is."""
    target = torch.cat([target for _, target in data])
    if task.score is not None and task.loss.__name__ == "_adversarial":
        return float(task.score((None, None, torch.zeros_like(target)), target))
    if target.is_floating_point():
        return float(target.var(dim=0).mean())
    shares = torch.bincount(target.flatten()).float() / target.numel()
    return float(-(shares * shares.clamp_min(1e-9).log()).sum())


class Referee:
    """Trains mutants of one architecture, and the sound network first.

    Each run is ``_STEPS`` steps on fresh batches, the same in all runs, with SGD and with Adam, each at the rate that
    serves the sound network best and, where that moves it but does not serve it, at a lower one. The better optimiser
    counts. A mutant *fails* if it gains less than half of what the sound network gains over saying the same whatever
    the input is; it is *slower* if it lacks a quarter of that gain, or a tenth of it where at the end it is worse than
    the sound network was half-way. What is plain after one run (more than ``_CLEAR`` of the gain, or less than
    1 - ``_CLEAR`` by the best of all runs) is not trained again; all else is judged by the mean of two seeds.
    """

    def __init__(self, architecture: Architecture) -> None:
        self.task = architecture.task
        generator = Generator().manual_seed(11)
        self.data = [self.task.sample(_BATCH, generator) for _ in range(_STEPS)]
        self.floor = _uninformed(self.task, self.data)
        self.rates: dict[str, float] = {}
        curves = []
        for kind, rates in _RATES.items():
            runs = {rate: self._run(architecture.build, kind, rate, 0) for rate in rates}
            self.rates[kind] = min(runs, key=lambda rate: runs[rate].end)
            curves.append(runs[self.rates[kind]])
        self.order = sorted(_RATES, key=lambda kind: curves[list(_RATES).index(kind)].end)
        again = self._run(architecture.build, self.order[0], self.rates[self.order[0]], 1)
        best = min(curves, key=lambda curve: curve.end)
        self.sound = _Curve((best.half + again.half) / 2, (best.end + again.end) / 2)

    def _run(self, build: Callable[[], nn.Module], kind: str, rate: float, seed: int) -> _Curve:
        torch.manual_seed(seed)
        model = build()
        return _train(model, self.task, self.data, kind, rate)

    def _gain_of(self, end: float) -> float:
        """The share of the sound network's gain over the uninformed that a run has."""
        return (self.floor - end) / (self.floor - self.sound.end)

    def _label(self, end: float) -> str:
        gain = self._gain_of(end)
        if gain < 0.5:
            return FAILS
        return SLOWER if gain < 0.75 or (gain < 0.9 and end > self.sound.half) else NO_DIFFERENCE

    def judge(self, build: Callable[[], nn.Module]) -> tuple[str, float]:
        """The label of a mutant and its gain."""
        best: tuple[float, str, float] = (math.inf, self.order[0], 0.0)
        for lower in (False, True):
            for kind in self.order:
                rate = self.rates[kind] * (_LOWER[kind] if lower else 1.0)
                best = min(best, (self._run(build, kind, rate, 0).end, kind, rate))
                if self._gain_of(best[0]) > _CLEAR:
                    return NO_DIFFERENCE, self._gain_of(best[0])
            if abs(self._gain_of(best[0])) < 1 - _CLEAR:  # what stays where it is does not need a lower rate
                break
        if self._gain_of(best[0]) < 1 - _CLEAR:
            return FAILS, self._gain_of(best[0])
        end = (best[0] + self._run(build, best[1], best[2], 1).end) / 2
        return self._label(end), self._gain_of(end)
