"""Whether training moves a parameter at all: what separates a zero that is meant from one that is fatal."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from initlint.facts import UNKNOWN, Escape
from initlint.facts.values import ROUNDING
from initlint.live.batches.variation import varied
from initlint.live.host.sharded import Ranks, local
from initlint.live.probing.objective import Objective
from initlint.live.values.pieces import extent

__all__ = ["EscapeTest"]

_STEP = 1e-3
_MOST = 16
_QUIET = 2  # backwards running that reach nothing new, at the fixpoint
_MOVES = 12
"""Steps that rows are given to part. Rows told apart by random outgoing weights part by more than 1% of the largest
weight in them (measured at widths 16 to 256: 1.8 to 9%), layers that only their default biases tell apart by at most
0.7%."""


@dataclass(slots=True)
class EscapeTest:
    """Backward, small step, again with another batch and other targets, until nothing new is reached.

    Parameters are changed: run it inside ``state.preserved``. ``watched`` are those whose rows start out alike, and
    ``copies`` matrices that start out as one; with any of the first, or any of these that have not parted, at least
    ``_MOVES`` steps are taken.
    """

    module: nn.Module
    run: Callable[[Any, Any], Any]
    """Calls the model with (args, kwargs) and returns its output."""
    objective: Objective
    watched: Mapping[int, Tensor] = field(default_factory=dict)
    copies: Sequence[Sequence[nn.Parameter]] = ()
    ranks: Ranks = field(default_factory=Ranks)
    reached: set[int] = field(default_factory=set)
    received: set[int] = field(default_factory=set)
    held: set[int] = field(default_factory=set)
    steps: int = 0

    def parameters(self) -> list[nn.Parameter]:
        """Those that training would change."""
        return [p for p in self.module.parameters() if p.requires_grad and p.is_floating_point() and p.numel()]

    def note(self) -> bool:
        """Take in the gradients of one backward; whether some parameter got its first."""
        self.steps += 1
        have = [(p, p.grad) for p in self.parameters() if p.grad is not None]
        if not have:
            return False
        nonzero = self.ranks.any(_largest([g for _, g in have]) != 0).tolist()
        before = len(self.reached) + len(self.received)
        self.reached |= {id(p) for p, _ in have}
        self.received |= {id(p) for (p, _), some in zip(have, nonzero, strict=True) if some}
        return len(self.reached) + len(self.received) > before

    @torch.no_grad()
    def step(self) -> None:
        """p -= 1e-3 * max(rms(p), 1e-2) * g / rms(g): no blow-up, no underflow, and exact zeros stay zero."""
        moving = [(local(p), p.grad) for p in self.parameters() if p.grad is not None]
        if not moving:
            return
        largest = self.ranks.largest(_largest([g for _, g in moving]))
        unit = torch.where(largest > 0, largest, torch.ones_like(largest))
        sums = [_squares(p, g, unit[i].to(p.device)) for i, (p, g) in enumerate(moving)]
        totals = self.ranks.sum(torch.stack([s.to(largest.device) for s in sums]))
        size, reach = (totals[:, :2] / totals[:, 2:]).sqrt().unbind(1)
        factors = torch.where(size > 0, _STEP * reach.clamp_min(1e-2) / size, torch.zeros_like(size))
        for i, (p, g) in enumerate(moving):
            change = factors[i].to(p.device) * (_dense(g) / unit[i].to(p.device))
            p.sub_(torch.nan_to_num(change, 0.0, 0.0, 0.0).to(p.dtype))

    def backward(self, args: Any, kwargs: Any) -> bool:
        """One more forward and backward; whether it reached a parameter not reached before."""
        for p in self.parameters():
            p.grad = None
        loss = self.objective(self.run(args, kwargs))
        if loss is None:
            return False
        torch.autograd.backward(loss)
        return self.note()

    def to_fixpoint(self, args: Any, kwargs: Any) -> None:
        """Go on from a first backward already noted: over where each parameter got a gradient and none is watched."""
        quiet = 0
        moves = 0
        if self.watched:  # the backward at hand may have had dropout on, which parts rows by itself
            self.backward(args, kwargs)
        while self.steps < _MOST:
            unmoved = [p for p in self.parameters() if id(p) not in self.received]
            if (not unmoved or quiet >= _QUIET) and (moves >= _MOVES or not (self.watched or self._are_one())):
                return
            self.step()
            moves += 1
            new = self.backward(*varied((args, kwargs)))
            quiet = 0 if new else quiet + 1

    def _are_one(self) -> list[Sequence[nn.Parameter]]:
        """The copies that have not parted."""
        return [each for each in self.copies if _apart(each) < ROUNDING]

    def note_held(self, args: Any, kwargs: Any) -> None:
        """Note in ``held`` what is stuck only as long as the copies that have not parted are one.

        They are drawn anew.
        """
        one = self._are_one()
        stuck = [p for p in self.parameters() if id(p) in self.reached and id(p) not in self.received]
        if not one or not stuck:
            return
        with torch.no_grad():
            for p in (p for each in one for p in each):
                _draw(p, max(1, math.prod(p.shape[1:])), self.ranks.generator(p.device))
            for p in self.parameters():
                p.grad = None
        loss = self.objective(self.run(*varied((args, kwargs))))
        if loss is not None:
            torch.autograd.backward(loss)
            self.held = {id(p) for p in stuck if p.grad is not None and bool((_values(p.grad) != 0).any())}

    def copies_spreads(self) -> dict[int, float]:
        """How far apart the copies are now."""
        return {id(p): spread for each in self.copies for spread in [_apart(each)] for p in each}

    def excuse_unreachable(self, args: Any, kwargs: Any) -> None:
        """Take back ``reached`` of those that get no gradient whatever the parameters hold.

        Behind a slice that leaves them out, a mask, an input that is zero by construction (a decoder's first queries)
        no initialisation would help: that is not what is asked here. Every parameter is drawn anew, twice.
        """
        stuck = [p for p in self.parameters() if id(p) in self.reached and id(p) not in self.received]
        found: set[int] = set()
        for _ in range(_QUIET):
            if len(found) == len(stuck):
                break
            with torch.no_grad():
                for p in self.parameters():
                    _draw(local(p), max(1, math.prod(p.shape[1:])), self.ranks.generator(p.device))
                    p.grad = None
            loss = self.objective(self.run(*varied((args, kwargs))))
            if loss is None:
                return
            torch.autograd.backward(loss)
            have = [(p, p.grad) for p in stuck if p.grad is not None]
            if have:
                largest = _largest([g for _, g in have])
                moved = self.ranks.any((largest != 0) & torch.isfinite(largest)).tolist()
                found |= {id(p) for (p, _), some in zip(have, moved, strict=True) if some}
        self.reached -= {id(p) for p in stuck} - found

    def row_spreads(self) -> dict[int, float]:
        """How far apart the rows of the watched are now."""
        return {key: extent(parameter, self.ranks)[1] for key, parameter in self.watched.items()}

    def escape(self, parameter: Tensor, rows: Mapping[int, float], copies: Mapping[int, float]) -> Escape:
        """The verdict on one parameter, with the spreads of rows and of copies as they were at the fixpoint."""
        key = id(parameter)
        return Escape(
            reached=key in self.reached,
            received=key in self.received,
            steps=self.steps,
            row_spread=rows.get(key, UNKNOWN),
            copies_spread=copies.get(key, UNKNOWN),
            held_by_copies=key in self.held,
        )


def _apart(copies: Sequence[nn.Parameter]) -> float:
    """The largest difference of the copies from the first, in value or in gradient, over the largest of these."""
    first, *others = copies
    largest = 0.0
    for one, rest in ((first, others), (first.grad, [p.grad for p in others])):
        if one is None or one.is_sparse or any(each is None for each in rest):
            return math.inf
        size = float(one.detach().abs().amax())
        gaps = [float((each.detach() - one.detach()).abs().amax()) for each in rest if each is not None]
        largest = max(largest, max(gaps) / size if size else 0.0 if max(gaps) == 0 else math.inf)
    return largest


def _largest(gradients: list[Tensor]) -> Tensor:
    """The largest absolute value of each, on one device."""
    sizes = [
        _values(g).abs().amax().float() if _values(g).numel() else torch.zeros((), device=g.device) for g in gradients
    ]
    return torch.stack([size.to(sizes[0].device) for size in sizes])


def _draw(values: Tensor, fan: int, generator: torch.Generator | None) -> None:
    """Values that neither swamp nor silence a signal: N(0, 1 / fan-in), for vectors U(0.5, 1) with either sign."""
    if values.dim() > 1:
        values.normal_(0.0, fan**-0.5, generator=generator)
    else:
        signs = torch.randint(0, 4, values.shape, device=values.device, generator=generator).clamp_max_(1) * 2 - 1
        values.uniform_(0.5, 1.0, generator=generator).mul_(signs)


def _values(gradient: Tensor) -> Tensor:
    return gradient.coalesce().values() if gradient.is_sparse else local(gradient)


def _dense(gradient: Tensor) -> Tensor:
    """This process's part of a gradient, in a type that its squares fit."""
    dense = gradient.to_dense() if gradient.is_sparse else local(gradient)
    return dense.to(_wide(dense))


def _squares(parameter: Tensor, gradient: Tensor, unit: Tensor) -> Tensor:
    """Sums of squares of a gradient over ``unit`` and of its parameter, and how many values these are sums over."""
    scaled, values = _dense(gradient) / unit, parameter.to(_wide(parameter))
    return torch.stack([scaled.square().sum(), values.square().sum(), values.new_tensor(values.numel())]).float()


def _wide(tensor: Tensor) -> torch.dtype:
    return torch.float32 if tensor.element_size() < 4 else tensor.dtype
