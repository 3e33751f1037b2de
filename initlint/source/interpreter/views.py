"""Views of a tensor: which axis of the whole each of their axes is, as far as that can be followed."""

from __future__ import annotations

from collections.abc import Sequence

from initlint.source.interpreter.values import UNSEEN, Const, Index, Tensor, Value


def arranged(tensor: Tensor, axes: Sequence[int | None] | None, *, partial: bool = False) -> Tensor:
    """A view whose axes are these of the whole (None in place of one: an axis of size 1 that was put in)."""
    view = tensor.view(partial=partial)
    view.rows = UNSEEN
    whole = tensor.whole
    view.axes = None if axes is None else tuple(axes)
    if axes is None or whole is None:
        view.shape = None
    else:
        view.shape = tuple(1 if axis is None else whole[axis] for axis in axes)
    return view


def swapped(tensor: Tensor, first: Value, second: Value) -> Tensor:
    """``tensor.transpose(first, second)``."""
    axes, a, b = tensor.axes, _number(first), _number(second)
    if axes is None or a is None or b is None or not (_within(a, len(axes)) and _within(b, len(axes))):
        return arranged(tensor, None)
    order = list(axes)
    order[a], order[b] = order[b], order[a]
    return arranged(tensor, order)


def permuted(tensor: Tensor, order: Sequence[Value]) -> Tensor:
    """``tensor.permute(*order)``."""
    axes, wanted = tensor.axes, [_number(value) for value in order]
    found = [axis for axis in wanted if axis is not None and axes is not None and _within(axis, len(axes))]
    if axes is None or len(found) != len(axes) or len(wanted) != len(axes):
        return arranged(tensor, None)
    return arranged(tensor, [axes[axis] for axis in found])


def turned(tensor: Tensor, last_two: bool) -> Tensor:
    """``tensor.T`` (or ``.mT``, which leaves all but the last two axes in place)."""
    axes = tensor.axes
    if axes is None or len(axes) < 2:
        return arranged(tensor, axes)
    return arranged(tensor, (*axes[:-2], axes[-1], axes[-2]) if last_two else axes[::-1])


def widened(tensor: Tensor, where: Value) -> Tensor:
    """``tensor.unsqueeze(where)``."""
    axes, at = tensor.axes, _number(where)
    if axes is None or at is None or not _within(at, len(axes) + 1):
        return arranged(tensor, None)
    at %= len(axes) + 1
    return arranged(tensor, (*axes[:at], None, *axes[at:]))


def picked(tensor: Tensor, key: Value, rows: tuple[int, int | None] | Value) -> Tensor:
    """``tensor[key]``: one of the slices along the first axis, where the key is surely one number.

    ``rows`` as in Tensor.
    """
    view = tensor.part(rows)
    axes = tensor.axes
    if not axes or not (isinstance(key, Index) or _number(key) is not None):
        return view
    view.axes = axes[1:]
    if tensor.whole is not None:
        view.shape = tuple(1 if axis is None else tensor.whole[axis] for axis in view.axes)
    return view


def _number(value: Value) -> int | None:
    return value.value if isinstance(value, Const) and type(value.value) is int else None


def _within(axis: int, dimensions: int) -> bool:
    return -dimensions <= axis < dimensions
