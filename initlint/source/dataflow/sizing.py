"""Sizes that were not read: the fans of a parameter for every plausible choice of them.

Two dimensions that were given as one value have one size; a layer whose groups are its channels is depthwise whatever
their number.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

from initlint.facts import UNKNOWN, Distribution, Misfit, known
from initlint.source.dataflow.layouts import Layout
from initlint.source.interpreter.modules import constant
from initlint.source.interpreter.values import MADE, UNSEEN, Const, Event, Instance, Tensor, Value
from initlint.source.tables.constructors import KINDS
from initlint.source.tables.shapes import MAYBE
from initlint.theory.fans import GATES, Fans, axes_fans, layer_fans, torch_fans
from initlint.theory.misfit import PLAUSIBLE_SIZES, fan_of, misfit

MOST_UNKNOWN = 4
_FEW = {"kernel_size": (3, 7), "stride": (1, 2), "groups": (1, PLAUSIBLE_SIZES[0])}
"""Numbers that are small."""
_COUNTS = frozenset(
    {
        "in_features",
        "out_features",
        "in1_features",
        "in2_features",
        "in_channels",
        "out_channels",
        "kernel_size",
        "stride",
        "groups",
        "input_size",
        "hidden_size",
        "embed_dim",
    }
)

Case = tuple[tuple[int, ...], Fans]
"""The shape of the whole tensor, and the fans of the map that it is."""


def _choices(values: Sequence[tuple[str, Value]]) -> Iterator[dict[str, Any]]:
    """Each assignment of plausible sizes, by label, to the values that are not known."""
    keys: dict[str, Any] = {}
    options: dict[Any, tuple[int, ...]] = {}
    for label, value in values:
        if isinstance(value, Const) or constant(value, None) is not None:
            continue
        key: Any = label if value is UNSEEN or value is MADE else id(value)
        keys[label] = key
        few = _FEW.get(label)
        if few is None or key not in options:
            options[key] = PLAUSIBLE_SIZES if few is None else few
    if len(options) > MOST_UNKNOWN:
        return
    for chosen in itertools.product(*options.values()):
        sizes = dict(zip(options, chosen, strict=True))
        yield {label: sizes[key] for label, key in keys.items()}


def _layer_cases(layer: Instance, name: str) -> Iterator[Case]:
    """The cases of a parameter of a torch layer."""
    named = [(word, value) for word, value in layer.arguments.items() if word in _COUNTS]
    known_ones = {word: constant(value, MAYBE) for word, value in layer.arguments.items()}
    for chosen in _choices(named):
        given = {**known_ones, **chosen}
        for row in KINDS[layer.kind].makes(given):
            if row.name == name and row.shape is not None and None not in row.shape:
                shape = tuple(size for size in row.shape if size is not None)
                yield (
                    shape,
                    layer_fans(
                        layer.kind,
                        shape,
                        name=name,
                        groups=_plain(given.get("groups", 1)),
                        stride=_plain(given.get("stride", 1)),
                    ),
                )


def _plain(value: Any) -> Any:
    return UNKNOWN if value is MAYBE else value


def _bare_cases(tensor: Tensor, layout: Layout) -> Iterator[Case]:
    """The cases of a bare parameter."""
    whole = tensor.whole
    if whole is None:
        return
    values: Sequence[Value] = tensor.sizes or (UNSEEN,) * len(whole)
    named = [
        (str(axis), UNSEEN if isinstance(value, Const) else value)  # a constant that is no size: a default of None
        for axis, value in enumerate(values)
        if whole[axis] is None
    ]
    for chosen in _choices(named):
        if len(chosen) < len(named):
            return  # a size that is no number: what is called with it raises
        shape = tuple(chosen[str(axis)] if size is None else size for axis, size in enumerate(whole))
        yield shape, axes_fans(shape, layout.ins, layout.outs)


def cases(layer: Instance, name: str, tensor: Tensor, layout: Layout | None) -> list[Case]:
    """Every case of a parameter; none where its map is not known."""
    if layer.kind in KINDS and layer.arguments:
        return list(_layer_cases(layer, name))
    return [] if layout is None else list(_bare_cases(tensor, layout))


def least_fans(found: Sequence[Case]) -> Any:
    """The smallest fan-in and fan-out among the cases."""
    fans = [own for _, own in found if known(own.fan_in) and known(own.fan_out)]
    if not fans or len(fans) < len(found):
        return UNKNOWN
    return min(own.fan_in for own in fans), min(own.fan_out for own in fans)


def misfit_of(event: Event, law: Distribution, layer: Instance, found: Sequence[Case]) -> Misfit | None:
    """What ``Parameter.misfit`` says of the last event that wrote a tensor."""
    if law.scheme is None:
        return None if known(law.family) else UNKNOWN
    if law.scheme == "orthogonal" and layer.kind in KINDS and layer.kind not in GATES:
        return UNKNOWN  # type: ignore[no-any-return]
    pairs = _taken(event, found)
    return UNKNOWN if pairs is None or not known(_mode(law)) else misfit(_mode(law), pairs)


def _mode(law: Distribution) -> str:
    return "longer" if law.scheme == "orthogonal" else law.mode


def _taken(event: Event, found: Sequence[Case]) -> list[tuple[Fans, Fans]] | None:
    """For each case, the fans that the initialiser takes and those of the map; None where it saw something else."""
    if event.target is None or event.target.axes is None:
        return None
    pairs = []
    for shape, own in found:
        seen = tuple(1 if axis is None else shape[axis] for axis in event.target.axes)
        pairs.append((torch_fans(seen) if len(seen) > 1 else Fans(UNKNOWN, UNKNOWN), own))
    return pairs


def gain_of(event: Event, law: Distribution, layer: Instance, found: Sequence[Case]) -> float:
    """As Parameter.gain."""
    if law.scheme is None or not known(law.gain):
        return UNKNOWN  # type: ignore[no-any-return]
    whole = event.overwrites and (layer.kind == "Linear" or constant(layer.arguments.get("groups", UNSEEN), None) == 1)
    if known(law.mode) and law.mode == "fan_in" and whole and layer.kind in ("Linear", "Conv1d", "Conv2d", "Conv3d"):
        return law.gain
    gains = []
    for taken, own in _taken(event, found) or ():
        fan = fan_of(taken, _mode(law)) if known(_mode(law)) else UNKNOWN
        if not known(fan) or not known(own.fan_in):
            return UNKNOWN  # type: ignore[no-any-return]
        gains.append(law.gain * math.sqrt(own.fan_in / fan))
    return gains[0] if gains and max(gains) - min(gains) < 1e-9 else UNKNOWN
