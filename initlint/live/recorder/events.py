"""What the recorder notes while a model is built: events on stretches of memory, and the laws of what they drew."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef

from initlint.facts import UNKNOWN, Distribution, known
from initlint.live.recorder.provenance import Activation, Home, Site
from initlint.location import Location
from initlint.theory import library_schemes
from initlint.theory.schemes import NOTHING_KNOWN, drawn

__all__ = [
    "DATA",
    "UNINITIALIZED",
    "Applied",
    "Birth",
    "Event",
    "Extent",
    "Law",
    "Memory",
    "Run",
    "author_of",
    "place",
    "storage_key",
]


@dataclass(frozen=True, slots=True)
class Law:
    """What every element of a tensor was drawn from: ``scale`` * (what ``function`` draws) + ``shift``.

    It keeps the call and not its moments: most laws are never asked for theirs. ``default`` marks what a torch
    layer's own constructor or reset_parameters draws.
    """

    function: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    shape: tuple[int, ...] = ()
    scale: float = 1.0
    shift: float = 0.0
    default: bool = False

    def affine(self, scale: float, shift: float) -> Law:
        """The law of ``scale * x + shift``."""
        if self is DATA or self is UNINITIALIZED:
            return self
        return replace(self, scale=self.scale * scale, shift=self.shift * scale + shift)

    @property
    def is_factory(self) -> bool:
        """Whether a function that makes tensors draws it ("torch.randn"), and not one that writes to them."""
        return self.function in ("torch.normal", "torch.rand", "torch.randn", "torch.zeros", "torch.ones", "torch.full")

    def distribution(self) -> Distribution:
        """The distribution; what theory cannot say of it is UNKNOWN."""
        if self is DATA:
            return Distribution(family="data", known_by="recorded")
        draw = library_schemes.drawn if self.function in library_schemes.LAWS else drawn
        base = replace(draw(self.function, self.arguments, self.shape), known_by="recorded")
        if self.default and self.function in _DEFAULTS and base.family == "uniform":
            base = replace(base, scheme="default")
        if self.scale == 1.0 and self.shift == 0.0:
            return base
        return _affine(base, self.scale, self.shift)


_DEFAULTS = ("torch.nn.init.kaiming_uniform_", "torch.nn.init.uniform_")

DATA = Law("data")
UNINITIALIZED = Law("torch.empty")


def _affine(base: Distribution, scale: float, shift: float) -> Distribution:
    """The distribution of ``scale * x + shift``; nothing is known for a family that an affine map does not keep."""
    if not known(base.family) or base.family not in ("constant", "normal", "truncated_normal", "uniform"):
        return NOTHING_KNOWN
    ends = [scale * end + shift if known(end) and scale else UNKNOWN for end in (base.low, base.high)]
    if scale < 0:
        ends.reverse()
    return Distribution(
        family=base.family if scale else "constant",
        mean=scale * base.mean + shift if known(base.mean) else UNKNOWN,
        std=abs(scale) * base.std if known(base.std) else UNKNOWN,
        low=ends[0],
        high=ends[1],
        gain=abs(scale) * base.gain if known(base.gain) and not shift else UNKNOWN,
        mode=base.mode if not shift else UNKNOWN,
        known_by=base.known_by,
    )


@dataclass(frozen=True, slots=True)
class Extent:
    """The bytes of a storage from ``start`` to ``end`` (exclusive); ``dense`` if every one of them belongs to it."""

    start: int
    end: int
    dense: bool

    @classmethod
    def of(cls, tensor: torch.Tensor) -> Extent:
        """Where a tensor's elements lie in its storage."""
        item, count = tensor.element_size(), tensor.numel()
        start = int(tensor.storage_offset()) * item
        if count == 0 or tensor.is_contiguous():
            return cls(start, start + count * item, True)
        reach = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True)) + 1
        return cls(start, start + reach * item, reach == count)

    def meets(self, other: Extent) -> bool:
        """Whether the two have a byte in common."""
        return (self.start < other.end and other.start < self.end) or self == other

    def covers(self, other: Extent) -> bool:
        """Whether every element of the other lies in this one."""
        return self.dense and self.start <= other.start and other.end <= self.end

    def within(self, origin: Extent) -> Extent:
        """This extent as it lies in a dense copy of ``origin``, which begins at byte 0."""
        start, end = max(self.start, origin.start), min(self.end, origin.end)
        return Extent(start - origin.start, end - origin.start, self.dense)

    def cast(self, before: int, after: int) -> Extent:
        """This extent where each element takes ``after`` bytes in place of ``before``."""
        return Extent(self.start * after // before, self.end * after // before, self.dense)


@dataclass(frozen=True, slots=True)
class Applied:
    """One run of Module.apply; ``root`` is a weak reference to the module that it ran over."""

    name: str
    function: Any
    order: int
    sites: tuple[Site, ...]
    root: Any


@dataclass(frozen=True, slots=True)
class Event:
    """Something that set bytes of a storage.

    ``whole`` is False where old values show through (mul_, a mask). ``inherited`` marks what happened to the tensor
    that this one was cloned from. ``call`` is the call of a library's initialiser that it is. ``of`` is the Law of what
    a computation was applied to, UNKNOWN where that has none, None where nothing was computed.
    """

    order: int
    function: str
    arguments: Mapping[str, Any]
    law: Law | None
    author: str
    sites: tuple[Site, ...]
    extent: Extent
    whole: bool = True
    applied: Applied | None = None
    shape: tuple[int, ...] = ()
    inherited: bool = False
    dtype: torch.dtype | None = None
    of: Any = None
    call: Activation | None = None


@dataclass(slots=True)
class Run:
    """One call of a torch.nn.init function.

    ``initializer`` is its canonical name; ``function`` is what stands for it in a Write: that, or the torch layer's
    reset_parameters that somebody called. ``default``: a torch layer called it. ``given`` and ``positional`` are as
    passed, None where the function's frame was seen and not the call.
    """

    order: int
    function: str
    initializer: str
    arguments: Mapping[str, Any]
    author: str
    sites: tuple[Site, ...]
    default: bool
    key: int | None
    extent: Extent | None
    shape: tuple[int, ...] | None
    applied: Applied | None
    given: tuple[str, ...] | None = None
    positional: tuple[str, ...] | None = None
    event: Event | None = None


@dataclass(frozen=True, slots=True)
class Birth:
    """When, where and how a module came to be."""

    module: weakref.ref[nn.Module]
    order: int
    sites: tuple[Site, ...]
    origin: str


class Memory:
    """One storage and what happened to it.

    ``law`` holds for every element there is, None where they have none in common. ``allocation`` is how the
    memory came to be, if it came empty. ``complete`` says that no write can have been missed. ``stands_for`` is there
    for memory that is no parameter's and only stands in the place of one (see rewiring.py).
    """

    __slots__ = ("allocation", "complete", "events", "law", "reference", "stands_for")

    def __init__(self, storage: torch.UntypedStorage, *, complete: bool) -> None:
        # A weak reference keeps the address from being given to another storage, and does not keep the memory.
        self.reference = StorageWeakRef(storage)  # type: ignore[no-untyped-call]
        self.events: list[Event] = []
        self.law: Law | None = None
        self.allocation: Event | None = None
        self.complete = complete
        self.stands_for: Any = None

    @property
    def is_gone(self) -> bool:
        """Whether no tensor has this storage any more."""
        return bool(self.reference.expired())  # type: ignore[no-untyped-call]

    def copy_history(self, source: Memory, original: torch.Tensor, copy: torch.Tensor, *, cloned: bool) -> None:
        """Take over what happened to a tensor in another storage, of which this is a dense copy, if in another type."""
        origin, sizes = Extent.of(original), (original.element_size(), copy.element_size())
        self.events = [
            replace(event, extent=event.extent.within(origin).cast(*sizes), inherited=cloned or event.inherited)
            for event in source.events
            if event.extent.meets(origin)
        ]
        self.law, self.allocation, self.complete = source.law, source.allocation, source.complete


def storage_key(tensor: torch.Tensor) -> int | None:
    """What identifies a tensor's storage while it lives; None for a tensor that has no storage of its own."""
    try:
        return int(tensor.untyped_storage()._cdata)
    except (
        RuntimeError,
        NotImplementedError,
        ValueError,
        AttributeError,
    ):  # sparse, functorch's, uninitialized lazy ones
        return None


def place(sites: tuple[Site, ...]) -> tuple[Location | None, tuple[Location, ...]]:
    """The statement to point at, and the other statements of the project that led there, inner ones first."""
    if not sites:
        return None, ()
    ours = [site for site in sites if site.home is Home.PROJECT]
    chosen = (ours or sites)[0].location
    others = dict.fromkeys(site.location for site in ours[1:])
    others.pop(chosen, None)
    return chosen, tuple(others)


def author_of(sites: tuple[Site, ...]) -> str:
    """Who asked for it in the innermost statement: "user", "library", or "framework" where nobody but torch did."""
    if not sites:
        return "framework"
    # A library's function that is handed a tensor does what its caller asks for.
    asking = next((site for site in sites if site.home is Home.PROJECT or site.activation.handed is None), sites[-1])
    return "user" if asking.home is Home.PROJECT else "library"
