"""What a model is trained on, as far as a linter can know: its own loss, else random targets for its primary output."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from initlint.live.host.failures import said
from initlint.live.host.sharded import is_piece

__all__ = [
    "NAMED",
    "Loss",
    "NamedLoss",
    "Objective",
    "cross_entropy_classes",
    "in_reals",
    "named_loss",
    "own_loss",
    "primary_output",
]

CROSS_ENTROPY, MSE = NAMED = ("cross-entropy", "mse")
"""The losses that have a name of their own; their targets are drawn."""

_PRIMARY = (
    "logits",
    "prediction_logits",
    "last_hidden_state",
    "sample",
    "out",
    "output",
    "predictions",
    "reconstruction",
)


def _fields(output: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(output, Mapping):
        yield from ((str(key), value) for key, value in output.items())
    elif hasattr(output, "_fields"):
        yield from ((name, getattr(output, name)) for name in output._fields)
    elif isinstance(output, (list, tuple)):
        yield from (("", value) for value in output)
    elif hasattr(output, "__dict__"):
        yield from vars(output).items()


def _tensors(output: Any, depth: int = 4) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
    elif depth:
        for _, value in _fields(output):
            yield from _tensors(value, depth - 1)


def _usable(tensor: Any) -> bool:
    if not isinstance(tensor, Tensor) or tensor.is_nested or tensor.is_meta:
        return False
    return (tensor.is_floating_point() or tensor.is_complex()) and tensor.numel() > 0


def in_reals(tensor: Tensor) -> Tensor:
    """The same numbers in a plain tensor of reals: complex ones as pairs, sparse ones with their zeros."""
    dense = tensor if tensor.layout == torch.strided else tensor.to_dense()
    return torch.view_as_real(dense.resolve_conj()) if dense.is_complex() else dense


def primary_output(output: Any) -> Tensor | None:
    """The tensor that the model is for: logits, last_hidden_state, the first one with a gradient that is not called a
    loss; None for none."""
    if isinstance(output, Tensor):
        return output if _usable(output) else None
    fields = dict(_fields(output))
    for name in _PRIMARY:
        value = fields.get(name)
        if isinstance(value, Tensor) and _usable(value) and value.requires_grad:
            return value
    others = [value for name, value in _fields(output) if "loss" not in name.lower()]
    for held in (others, output):
        found = next((t for t in _tensors(held) if _usable(t) and t.requires_grad and t.dim()), None)
        if found is not None:
            return found
    return next(filter(_usable, _tensors(output)), None)


def own_loss(output: Any) -> Tensor | None:
    """The loss that a model returned: ``.loss``, ``["loss"]`` (the mean, of one for each sample), a dict of scalar
    losses, or a scalar."""
    if isinstance(output, Tensor):
        return output if output.dim() == 0 and output.requires_grad else None
    fields = dict(_fields(output)) if not isinstance(output, (list, tuple)) or hasattr(output, "_fields") else {}
    loss = fields.get("loss")
    if isinstance(loss, Tensor) and _usable(loss) and loss.requires_grad and not loss.is_complex():
        if loss.numel() == 1:
            return loss.reshape(())  # and no mean of it: its graph tells whether it is a cross-entropy
        if loss.dim() == 1:
            return loss.mean()
    values = list(fields.values())
    if isinstance(output, Mapping) and values and all(isinstance(v, Tensor) and v.dim() == 0 for v in values):
        trainable = [v for v in values if v.requires_grad]
        return torch.stack([v.float() for v in trainable]).sum() if trainable else None
    return None


@dataclass(frozen=True, slots=True)
class NamedLoss:
    """A function of the user's from a model's output to a scalar, and the name it was asked for by."""

    name: str
    function: Callable[[Any], Any]


Loss: TypeAlias = str | NamedLoss | Callable[[Any], Any] | None
"""One of ``NAMED``, a function of the model's output, or None: what ``Objective`` says."""


def named_loss(text: str, module: Any) -> str | NamedLoss:
    """The loss that a name means: one of ``NAMED``, ``module:function``, or a function that ``module`` holds.

    Imports the module that it names. Raises ValueError, in one line that begins with the name, where there is none
    such, or one that does not take a model's output alone.
    """
    if text in NAMED:
        return text
    home, _, path = text.rpartition(":")
    try:
        subject = importlib.import_module(home) if home else module
    except Exception as error:  # whatever the user's module raises
        raise ValueError(f"{text}: {said(error)}") from None
    for part in path.split("."):
        subject = getattr(subject, part, None)
    if not callable(subject):
        where = home or getattr(module, "__name__", "")
        there = f"{where} has no function {path}" if where else "no loss"
        raise ValueError(f"{text}: {there} (there are {', '.join(NAMED)}, and module:function)")
    try:
        inspect.signature(subject).bind(None)
    except TypeError:
        raise ValueError(f"{text}: takes the model's output and nothing else, and this does not") from None
    except ValueError:  # a builtin without a signature
        pass
    return NamedLoss(text, subject)


_PASSED_ON = frozenset(
    f"{name}Backward{number}"
    for name in ("View", "UnsafeView", "ReshapeAlias", "Alias", "Squeeze", "Unsqueeze", "ToCopy", "Clone", "Permute")
    for number in (0, 1)
)


def cross_entropy_classes(loss: Tensor) -> int | None:
    """Over how many classes a loss is the mean cross-entropy of logits; None where that is not how it was computed.

    Read off its autograd graph, before that is freed: the negative log likelihood, averaged, of a log-softmax.
    """
    likelihood = _behind_views(loss.grad_fn)
    if likelihood is None or likelihood.name() not in ("NllLossBackward0", "NllLoss2DBackward0"):
        return None
    softmax = _behind_views(likelihood.next_functions[0][0])
    if softmax is None or softmax.name() != "LogSoftmaxBackward0":
        return None
    try:
        reduction = likelihood._saved_reduction
        result, dim = softmax._saved_result, softmax._saved_dim
    except (AttributeError, RuntimeError):
        return None
    if reduction != 1:  # of "none", "mean", "sum"
        return None
    dim = dim - 2**64 if dim >= 2**63 else dim  # saved without its sign
    return int(result.shape[dim])


def _behind_views(node: Any) -> Any:
    while node is not None and node.name() in _PASSED_ON:
        node = node.next_functions[0][0]
    return node


def _class_dimension(shape: tuple[int, ...], heads: frozenset[str]) -> int:
    """Where the classes lie in logits: (N, C), (N, T, C), (N, C, H, W), unless the layer that gives them says else.

    ``heads`` are the families of the layers whose output they are. Raises ValueError for a shape with no classes.
    """
    last = len(shape) - 1
    if len(shape) <= 2 or heads == {"linear"}:
        dim = last
    elif heads and heads <= {"convolution", "transposed"}:
        dim = 1
    else:
        dim = 1 if len(shape) > 3 else last
    if len(shape) < 2 or shape[dim] < 2:
        raise ValueError(f"cross-entropy needs an output (N, C), (N, T, C) or (N, C, H, W), not one of shape {shape}")
    return dim


class Objective:
    """The loss of one output. ``kind`` says which: see facts.Probe.loss_kind.

    ``loss`` is one of ``NAMED``, a function of the model's output, or None for the model's own or else mean square to
    random targets. ``heads`` are the families of the layers that give the output.
    """

    def __init__(self, loss: Loss = None, heads: frozenset[str] = frozenset()) -> None:
        self.kind = "target"
        self._function: Callable[[Any], Any] | None = None
        if isinstance(loss, str):
            self.kind = loss
        elif isinstance(loss, NamedLoss):
            self.kind, self._function = loss.name, loss.function
        elif loss is not None:
            self.kind, self._function = "given", loss
        self._asked = self.kind
        self._heads = heads
        self._lasting: Tensor | None = None

    def __call__(self, output: Any) -> Tensor | None:
        """A scalar to call backward on; None where nothing in the output has a gradient.

        Raises ValueError where the loss asked for cannot be had of this output.
        """
        if self._function is not None:
            value = self._function(output)
            if not isinstance(value, Tensor) or value.numel() != 1:
                shown = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
                raise ValueError(f"the loss {self.kind} gives {shown}, and not a tensor of one element")
            return value.reshape(())
        own = own_loss(output)
        chosen = primary_output(output)
        named = self._asked in NAMED and chosen is not None and chosen.dim() > 0
        if own is not None and not named:
            self.kind = "model"
            return own
        self.kind = self._asked
        if chosen is None or not chosen.requires_grad:
            return None
        if is_piece(chosen):  # the loss is one number on every rank
            chosen = chosen.full_tensor()  # type: ignore[attr-defined]
        chosen = in_reals(chosen)
        values = chosen.float() if chosen.dtype in (torch.float16, torch.bfloat16) else chosen
        if self._asked == CROSS_ENTROPY:
            return self._cross_entropy(values)
        return (values - self._targets(values)).square().mean()

    def _cross_entropy(self, logits: Tensor) -> Tensor:
        """To classes drawn uniformly, each time anew."""
        dim = _class_dimension(tuple(logits.shape), self._heads)
        rows = logits.movedim(dim, -1).reshape(-1, logits.shape[dim])
        targets = torch.randint(rows.shape[1], (rows.shape[0],), device=rows.device)
        return torch.nn.functional.cross_entropy(rows, targets)

    def _targets(self, values: Tensor) -> Tensor:
        """N(0, 1): half the variance drawn anew for each call, half lasting and the same along dimension 0.

        Real targets have something to learn in them, by which the rows of a head part.
        """
        fresh = torch.randn_like(values)
        if self._lasting is None and values.dim():
            self._lasting = torch.randn_like(values[0])
        if self._lasting is None or self._lasting.shape != values.shape[1:]:
            return fresh
        targets: Tensor = (fresh + self._lasting) * 0.5**0.5
        return targets
