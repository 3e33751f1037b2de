"""What happens inside torch's recurrent layers: a measured call run once more, step by step, on a few of its samples.

RNN, GRU, LSTM and their cells are one operation to the trace, and give nothing but the states of their last layer.
Hooks clone the inputs of a few samples and steps; what the gates make of them is computed from the layer's own weights
once the pass is over.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence

from initlint.facts import UNKNOWN, Recurrence
from initlint.live.host.sharded import is_piece
from initlint.live.probing.probe import FLAT
from initlint.theory.gains import activation

__all__ = ["Calls", "recurrences", "watched"]

_ROWS, _STEPS = 16, 32
"""Samples and steps that are run again."""
_CELLS = (nn.RNNCell, nn.GRUCell, nn.LSTMCell)
_KINDS = (nn.RNN, nn.GRU, nn.LSTM, *_CELLS)


@dataclass(slots=True)
class Calls:
    """The inputs of one module: of a layer's first call (steps, samples, features), or of a cell's calls in turn.

    ``states`` are those given with each, a layer's with its layers and directions in front. ``in_order``: the samples
    lie where torch says that they do.
    """

    inputs: list[Tensor] = field(default_factory=list)
    states: list[tuple[Tensor, ...]] = field(default_factory=list)
    in_order: bool = False


@contextlib.contextmanager
def watched(module: nn.Module, batch_dims: Mapping[str, int]) -> Iterator[dict[str, Calls]]:
    """Keep what goes into the recurrent layers of a module during the pass that runs inside.

    ``batch_dims``: in which dimension of a layer's output the samples lie, where that is known.
    """
    found: dict[str, Calls] = {}

    def hook_for(name: str) -> Callable[..., None]:
        calls = found.setdefault(name, Calls())

        def hook(child: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            x = args[0] if args else kwargs.get("input")
            given = args[1] if len(args) > 1 else kwargs.get("hx")
            states = (given,) if isinstance(given, Tensor) else tuple(given or ())
            if isinstance(child, _CELLS):
                if isinstance(x, Tensor) and x.dim() == 2 and len(calls.inputs) < _STEPS:
                    calls.in_order = batch_dims.get(name) == 0
                    calls.inputs.append(x.detach()[:_ROWS].clone())
                    calls.states.append(tuple(state.detach()[:_ROWS].clone() for state in states))
                return
            if calls.inputs:
                return
            if isinstance(x, PackedSequence):  # the steps that all sequences have
                if states and x.sorted_indices is not None:
                    return  # the states given are in another order
                batch = int(x.batch_sizes[0])
                steps = int((x.batch_sizes == batch).sum())
                x = x.data[: steps * batch].reshape(steps, batch, -1)
            elif isinstance(x, Tensor) and x.dim() == 3:
                calls.in_order = batch_dims.get(name) == (0 if child.batch_first else 1)
                x = x.transpose(0, 1) if child.batch_first else x
            else:
                return
            calls.inputs.append(x.detach()[:_STEPS, :_ROWS].clone())
            calls.states.append(tuple(state.detach()[:, :_ROWS].clone() for state in states))

        return hook

    with contextlib.ExitStack() as hooks:
        for name, child in module.named_modules():
            if _is_torchs(child):
                hooks.enter_context(child.register_forward_pre_hook(hook_for(name), with_kwargs=True))
        yield found


def _is_torchs(child: nn.Module) -> bool:
    """Whether a module computes what torch's recurrent layer of its kind does."""
    own = next((kind.forward for kind in _KINDS if isinstance(child, kind)), None)
    return own is not None and type(child).forward is own and "forward" not in vars(child)


def recurrences(module: nn.Module, watched: Mapping[str, Calls]) -> dict[str, tuple[Recurrence, ...]]:
    """What the gates of each layer made of the inputs that were kept, by name of the module."""
    found = {}
    with torch.no_grad():
        for name, calls in watched.items():
            child = module.get_submodule(name)
            if calls.inputs and not any(map(is_piece, (*child.parameters(), *calls.inputs))):
                found[name] = _of_cell(child, calls) if isinstance(child, _CELLS) else _of_layer(child, calls)
    return found


def _of_layer(child: Any, calls: Calls) -> tuple[Recurrence, ...]:
    x, states = calls.inputs[0].float(), calls.states[0]
    found: list[Recurrence] = []
    for layer in range(child.num_layers):
        outputs = []
        for direction in ("", "_reverse")[: 1 + child.bidirectional]:
            gates = _Gates(child, f"_l{layer}{direction}", layer)
            state = gates.initial(x[0], [each[len(found)] for each in states])
            given = []
            for entering in gates.enter(x.flip(0) if direction else x):
                state = gates.step(entering, state)
                given.append(state[0])
            output = torch.stack(given)
            found.append(gates.told(x, output, in_order=calls.in_order))
            outputs.append(output.flip(0) if direction else output)
        x = torch.cat(outputs, dim=-1)
    return tuple(found)


def _of_cell(child: Any, calls: Calls) -> tuple[Recurrence, ...]:
    """A cell is given its states by whoever calls it; calls of another shape than the first are left out."""
    gates, shape = _Gates(child, ""), calls.inputs[0].shape
    alike = [(x.float(), states) for x, states in zip(calls.inputs, calls.states, strict=True) if x.shape == shape]
    given = [gates.step(gates.enter(x), gates.initial(x, states))[0] for x, states in alike]
    return (gates.told(torch.stack([x for x, _ in alike]), torch.stack(given), in_order=calls.in_order),)


class _Gates:
    """One layer in one direction, and what is computed in it (the documentation of torch.nn.RNN, GRU and LSTM)."""

    def __init__(self, child: Any, suffix: str, depth: int = 0) -> None:
        names = "weight_ih", "bias_ih", "weight_hh", "bias_hh", "weight_hr"
        own = [getattr(child, name + suffix, None) for name in names]
        self.suffix, self.depth = suffix, depth
        self.entering, self.entering_bias, self.recurring, self.recurring_bias, self.projecting = (
            tensor.float() if isinstance(tensor, Tensor) else None for tensor in own
        )
        self.kind = next(kind for kind in ("LSTM", "GRU", "RNN") if type(child).forward in _forwards(kind))
        self.rectified = self.kind == "RNN" and child.nonlinearity == "relu"
        self.width = child.hidden_size
        self.flat: list[Tensor] = []
        """Shares of the values, step by step, at which the tanh that makes a new state is flat."""

    def enter(self, x: Tensor) -> Tensor:
        """What the inputs give all gates, of one step or of many."""
        assert self.entering is not None
        return functional.linear(x, self.entering, self.entering_bias)

    def initial(self, like: Tensor, given: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The states to begin with: those given, or zeros for each sample of ``like``."""
        if given:
            return tuple(state.float() for state in given)
        assert self.recurring is not None
        state = like.new_zeros(len(like), self.recurring.shape[1])
        return (state, like.new_zeros(len(like), self.width)) if self.kind == "LSTM" else (state,)

    def step(self, entering: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The next states, the one that is given out in front."""
        state = states[0]
        assert self.recurring is not None
        recurring = functional.linear(state, self.recurring, self.recurring_bias)
        if self.kind == "LSTM":
            enters, keeps, candidate, gives = (entering + recurring).chunk(4, dim=-1)
            self._note(candidate)
            memory = torch.sigmoid(keeps) * states[1] + torch.sigmoid(enters) * torch.tanh(candidate)
            state = torch.sigmoid(gives) * torch.tanh(memory)
            return (state if self.projecting is None else state @ self.projecting.T, memory)
        if self.kind == "GRU":
            (reset, keeps, candidate), (*others, before) = entering.chunk(3, dim=-1), recurring.chunk(3, dim=-1)
            reset, keeps = reset + others[0], keeps + others[1]
            candidate = candidate + torch.sigmoid(reset) * before
            self._note(candidate)
            share = torch.sigmoid(keeps)
            return ((1 - share) * torch.tanh(candidate) + share * state,)
        candidate = entering + recurring
        if self.rectified:
            return (torch.relu(candidate),)
        self._note(candidate)
        return (torch.tanh(candidate),)

    def _note(self, candidate: Tensor) -> None:
        self.flat.append((candidate.abs() > FLAT["tanh"]).float().mean())

    def told(self, inputs: Tensor, given: Tensor, *, in_order: bool) -> Recurrence:
        """The figures, of inputs and states that are (steps, samples, features)."""
        flat = torch.stack(self.flat).mean() if self.flat else given.new_full((), math.nan)
        figures = [flat, _across(inputs), _across(given)]
        share, entered, came = (value if math.isfinite(value) else UNKNOWN for value in torch.stack(figures).tolist())
        return Recurrence(
            weight=f"weight_ih{self.suffix}",
            recurrent_weight=f"weight_hh{self.suffix}",
            depth=self.depth,
            steps=len(inputs),
            gated=self.kind != "RNN",
            activation=activation("relu" if self.rectified else "tanh"),
            input_std=entered if in_order else UNKNOWN,
            state_std=came if in_order else UNKNOWN,
            saturated_fraction=share,
        )


def _across(values: Tensor) -> Tensor:
    """Root mean of the variance over samples (NaN for a single one)."""
    return values.var(dim=1).mean().sqrt()


def _forwards(kind: str) -> tuple[Any, Any]:
    return getattr(nn, kind).forward, getattr(nn, f"{kind}Cell").forward
