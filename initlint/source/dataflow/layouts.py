"""How a bare tensor is laid out where a forward multiplies by it: which axes it sums over, and which it makes.

Axes are those of the whole tensor that a parameter is, whatever view of it is used. An axis that is neither counts maps
which run side by side (experts, heads, layers).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from initlint.record import NamedTuple, field, record
from initlint.source.dataflow.flows import Node
from initlint.source.interpreter.modules import constant
from initlint.source.interpreter.values import Const, Tensor, Value


class Layout(NamedTuple):
    """The axes whose sizes multiply to fan-in, and those whose sizes multiply to fan-out."""

    ins: tuple[int, ...]
    outs: tuple[int, ...]


@record(slots=True)
class Uses:
    """How bare parameters are used, by the id of their cell: the roles seen, the layouts, and the nodes they make."""

    roles: dict[int, set[str]] = field(default_factory=dict)
    layouts: dict[int, set[Layout | None]] = field(default_factory=dict)
    nodes: dict[int, list[Node]] = field(default_factory=dict)

    def note(self, value: Value, role: str, layout: Layout | None = None, node: Node | None = None) -> None:
        """A tensor was used in a role."""
        if isinstance(value, Tensor):
            key = id(value.cell)
            self.roles.setdefault(key, set()).add(role)
            if node is not None:
                self.layouts.setdefault(key, set()).add(layout)
                self.nodes.setdefault(key, []).append(node)

    def layout(self, tensor: Tensor) -> Layout | None:
        """The one layout in which a tensor is used; None where there is none, or several."""
        found = self.layouts.get(id(tensor.cell), set())
        return next(iter(found)) if len(found) == 1 else None


def _layout(tensor: Tensor, ins: Sequence[int], outs: Sequence[int]) -> Layout | None:
    """A layout from axes of the view that was used."""
    axes = tensor.axes
    if axes is None:
        return None
    return Layout(_whole(axes, ins), _whole(axes, outs))


def _whole(axes: Sequence[int | None], chosen: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(axis for axis in (axes[index] for index in chosen) if axis is not None))


def matmul(tensor: Tensor, *, on_the_right: bool) -> Layout | None:
    """``x @ tensor`` or ``tensor @ x``: the last two axes are the map."""
    axes = tensor.axes
    if axes is None or len(axes) < 2:
        return None
    return _layout(tensor, (-2,), (-1,)) if on_the_right else _layout(tensor, (-1,), (-2,))


def functional(name: str, positional: Sequence[Value], keywords: Mapping[str, Value], tensor: Tensor) -> Layout | None:
    """``F.linear`` and ``F.conv2d`` and their kin; a convolution of one group."""
    axes = tensor.axes
    if axes is None or len(axes) < 2:
        return None
    if name == "linear":
        return _layout(tensor, (-1,), (-2,)) if len(axes) == 2 else None
    groups = positional[6] if len(positional) > 6 else keywords.get("groups", Const(1))
    if name.startswith("conv_transpose") or constant(groups, None) != 1:
        return None
    taps = range(2, len(axes))
    return _layout(tensor, (1, *taps), (0, *taps))


def einsum(positional: Sequence[Value], keywords: Mapping[str, Value], tensor: Tensor) -> Layout | None:
    """``torch.einsum`` of the tensor and one other operand, with the equation as a string."""
    equation = constant(positional[0], None) if positional else None
    if not isinstance(equation, str) or "->" not in equation or "..." in equation or len(positional) != 3:
        return None
    inputs, _, output = equation.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if len(terms) != 2:
        return None
    at = 0 if positional[1] is tensor else 1
    own, other = terms[at], terms[1 - at]
    if tensor.axes is None or len(own) != len(tensor.axes):
        return None
    ins = [index for index, letter in enumerate(own) if letter not in output and letter in other]
    outs = [index for index, letter in enumerate(own) if letter in output and letter not in other]
    summed = [letter for letter in own if letter not in output and letter not in other]
    return None if summed else _layout(tensor, ins, outs)


def tensordot(positional: Sequence[Value], keywords: Mapping[str, Value], tensor: Tensor) -> Layout | None:
    """``torch.tensordot(a, b, dims)``."""
    dims = constant(positional[2] if len(positional) > 2 else keywords.get("dims", Const(2)), None)
    axes = tensor.axes
    if axes is None or len(positional) < 2:
        return None
    second = positional[1] is tensor
    chosen: list[int] = []
    if isinstance(dims, int):
        chosen = list(range(dims)) if second else list(range(len(axes) - dims, len(axes)))
    elif isinstance(dims, tuple) and len(dims) == 2:
        part = dims[1 if second else 0]
        chosen = [part] if isinstance(part, int) else list(part) if isinstance(part, tuple) else []
    if not chosen or not all(isinstance(axis, int) and -len(axes) <= axis < len(axes) for axis in chosen):
        return None
    ins = [axis % len(axes) for axis in chosen]
    return _layout(tensor, ins, [axis for axis in range(len(axes)) if axis not in ins])
