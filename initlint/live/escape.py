"""Whether training moves a parameter at all: what separates a zero that is meant from one that is fatal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from initlint.facts import UNKNOWN, Escape
from initlint.live.objective import Objective
from initlint.live.variation import varied

__all__ = ["EscapeTest"]

_STEP = 1e-3
_MOST = 16
_QUIET = 2  # backwards running that reach nothing new, at the fixpoint
_ALIKE = 1e-2  # rows that differ less than this, relative to the largest value, are watched


@dataclass(slots=True)
class EscapeTest:
    """Backward, small step, again with another batch and other targets, until nothing new is reached.

    Parameters are changed: run it inside ``state.preserved``. ``watched`` are those whose rows start out alike; with any of
    them the test goes on while their rows are still parting.
    """

    module: nn.Module
    run: Callable[[Any, Any], Any]
    """Calls the model with (args, kwargs) and returns its output."""
    objective: Objective
    watched: Mapping[int, Tensor] = field(default_factory=dict)
    reached: set[int] = field(default_factory=set)
    received: set[int] = field(default_factory=set)
    steps: int = 0

    def parameters(self) -> list[nn.Parameter]:
        """Those that training would change."""
        return [p for p in self.module.parameters() if p.requires_grad and p.is_floating_point()]

    def note(self) -> bool:
        """Take in the gradients of one backward; whether some parameter got its first."""
        self.steps += 1
        have = [(p, p.grad) for p in self.parameters() if p.grad is not None]
        if not have:
            return False
        largest = torch.stack([_values(g).abs().amax().float() if g.numel() else g.new_zeros(()).float() for _, g in have])
        nonzero = (largest != 0).tolist()
        before = len(self.reached) + len(self.received)
        self.reached |= {id(p) for p, _ in have}
        self.received |= {id(p) for (p, _), some in zip(have, nonzero, strict=True) if some}
        return len(self.reached) + len(self.received) > before

    @torch.no_grad()
    def step(self) -> None:
        """p -= 1e-3 * max(rms(p), 1e-2) * g / rms(g): no blow-up, no underflow, and exact zeros stay zero."""
        for p in self.parameters():
            if p.grad is None or not p.numel():
                continue
            gradient = (p.grad.to_dense() if p.grad.is_sparse else p.grad).to(_wide(p))
            largest = gradient.abs().amax()
            scaled = gradient / torch.where(largest > 0, largest, torch.ones_like(largest))
            size = scaled.square().mean().sqrt()
            reach = p.to(_wide(p)).square().mean().sqrt().clamp_min(1e-2)
            change = torch.where(size > 0, _STEP * reach / size, torch.zeros_like(size)) * scaled
            p.sub_(torch.nan_to_num(change, 0.0, 0.0, 0.0).to(p.dtype))

    def backward(self, args: Any, kwargs: Any) -> bool:
        """One more forward and backward; whether it reached a parameter not reached before."""
        for p in self.parameters():
            p.grad = None
        loss = self.objective(self.run(args, kwargs))
        if loss is None:
            return False
        loss.backward()
        return self.note()

    def to_fixpoint(self, args: Any, kwargs: Any) -> None:
        """Go on from a first backward already noted. Stops at once when every parameter has a gradient and none is watched."""
        quiet = 0
        parting = bool(self.watched)
        while self.steps < _MOST:
            unmoved = [p for p in self.parameters() if id(p) not in self.received]
            if not parting and (not unmoved or quiet >= _QUIET):
                return
            self.step()
            new = self.backward(*varied((args, kwargs)))
            quiet = 0 if new else quiet + 1
            spreads = [spread(p.detach()) for p in self.watched.values()]
            parting = any(value < _ALIKE for value in spreads) and self._still_parting(spreads)
        self.step()

    def _still_parting(self, spreads: list[float]) -> bool:
        """Rows that moved apart keep the test going to its limit; rows that have not by the fixpoint never will."""
        return self.steps < 4 or any(1e-5 < value < _ALIKE for value in spreads)

    def escape(self, parameter: Tensor) -> Escape:
        """The verdict on one parameter."""
        key = id(parameter)
        rows = spread(parameter.detach()) if key in self.watched else UNKNOWN
        return Escape(reached=key in self.reached, received=key in self.received, steps=self.steps, row_spread=rows)


def _values(gradient: Tensor) -> Tensor:
    return gradient.coalesce().values() if gradient.is_sparse else gradient


def _wide(tensor: Tensor) -> torch.dtype:
    return torch.float32 if tensor.element_size() < 4 else tensor.dtype


def spread(values: Tensor) -> float:
    """Largest difference between any row and the first, over the largest absolute value; 0 for a zero tensor."""
    rows = values.reshape(values.shape[0], -1)
    largest = float(rows.abs().amax())
    return float((rows[1:] - rows[:1]).abs().amax()) / largest if largest else 0.0
