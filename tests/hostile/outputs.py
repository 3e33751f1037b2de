"""Models that give back, hold or read what no layer does; the process goes on after each."""

from __future__ import annotations

import collections
import os
import random
import sys
from typing import Any

import torch
from torch import Tensor, nn


class Base(nn.Module):
    """A sound model of one layer, for the others to spoil."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Any:
        return self.give(self.fc(x))

    def give(self, y: Tensor) -> Any:
        return y


class GivesNothing(Base):
    def give(self, y: Tensor) -> Any:
        return None


class GivesText(Base):
    def give(self, y: Tensor) -> Any:
        return "\x1b]0;owned\x07"


class GivesGenerator(Base):
    def give(self, y: Tensor) -> Any:
        return (row for row in y)


class GivesEndlessGenerator(Base):
    def give(self, y: Tensor) -> Any:
        def forever() -> Any:
            while True:
                yield y

        return forever()


class GivesItself(Base):
    def give(self, y: Tensor) -> Any:
        nest: list[Any] = [y]
        nest.append(nest)
        return nest


class GivesDeepNest(Base):
    def give(self, y: Tensor) -> Any:
        nest: Any = y
        for _ in range(50_000):
            nest = [nest]
        return nest


class GivesWideNest(Base):
    """Twenty levels of ten references to the same list: small in memory, endless to walk."""

    def give(self, y: Tensor) -> Any:
        nest: Any = y
        for _ in range(20):
            nest = [nest] * 10
        return nest


class GivesComplex(Base):
    def give(self, y: Tensor) -> Any:
        return torch.complex(y, y)


class GivesIntegers(Base):
    def give(self, y: Tensor) -> Any:
        return y.long()


class GivesBooleans(Base):
    def give(self, y: Tensor) -> Any:
        return y > 0


class GivesSparse(Base):
    def give(self, y: Tensor) -> Any:
        return y.to_sparse()


class GivesRows(Base):
    def give(self, y: Tensor) -> Any:
        return y.to_sparse_csr()


class GivesQuantised(Base):
    def give(self, y: Tensor) -> Any:
        return torch.quantize_per_tensor(y.detach(), 0.1, 0, torch.qint8)


class GivesNested(Base):
    def give(self, y: Tensor) -> Any:
        return torch.nested.as_nested_tensor(list(y.unbind()))


class GivesMeta(Base):
    def give(self, y: Tensor) -> Any:
        return y.to("meta")


class GivesEmpty(Base):
    def give(self, y: Tensor) -> Any:
        return y[:0]


class GivesScalar(Base):
    def give(self, y: Tensor) -> Any:
        return y.sum()


class GivesNumber(Base):
    def give(self, y: Tensor) -> Any:
        return float(y.sum())


class GivesNan(Base):
    def give(self, y: Tensor) -> Any:
        return y * float("nan")


class GivesDetached(Base):
    def give(self, y: Tensor) -> Any:
        return y.detach()


class GivesWhatLies(Base):
    def give(self, y: Tensor) -> Any:
        class Liar(collections.UserDict):  # type: ignore[type-arg]
            def __getattr__(self, name: str) -> Any:
                return self

            def __len__(self) -> int:
                raise RuntimeError("countless")

            def __iter__(self) -> Any:
                raise RuntimeError("no")

        return Liar()


class HoldsNan(Base):
    def __init__(self) -> None:
        super().__init__()
        nn.init.constant_(self.fc.weight, float("nan"))


class HoldsComplex(Base):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 4, dtype=torch.complex64)


class HoldsDouble(Base):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 4, dtype=torch.float64)


class HoldsIntegers(Base):
    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.Parameter(torch.arange(3), requires_grad=False)


class HoldsSparse(Base):
    def __init__(self) -> None:
        super().__init__()
        self.graph = nn.Parameter(torch.eye(4).to_sparse())


class HoldsQuantised(Base):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("q", torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8))


class HoldsNested(Base):
    def __init__(self) -> None:
        super().__init__()
        self.ragged = nn.Parameter(torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]))


class HoldsMeta(Base):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 4, device="meta")


class HoldsNothing(Base):
    def __init__(self) -> None:
        super().__init__()
        self.none = nn.Parameter(torch.empty(0, 7))


class HoldsManyDimensions(Base):
    def __init__(self) -> None:
        super().__init__()
        self.deep = nn.Parameter(torch.ones((1,) * 60))


class HoldsExpanded(Base):
    """A terabyte by its shape, four bytes by its memory."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Parameter(torch.ones(1).expand(1 << 38))


class HoldsStrangeNames(Base):
    def __init__(self) -> None:
        super().__init__()
        for name in (
            "\x1b[2J\x1b]0;owned\x07",
            "line\nbreak",
            "\u202etxet",
            "\ud800",
            "::error file=x::",
            "x" * 100_000,
        ):
            self.register_parameter(name, nn.Parameter(torch.randn(4, 4)))
        self.add_module("\x1b[31m<script>alert(1)</script>", nn.Linear(4, 4))


class HoldsUnwritten(Base):
    def __init__(self) -> None:
        super().__init__()
        self.register_parameter("\x1b[2Jgone\r", nn.Parameter(torch.empty(4, 4)))


class HidesItsParts(Base):
    def named_parameters(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("none of your business")


class HidesItsModules(Base):
    def modules(self) -> Any:
        raise RuntimeError("none of your business")

    def named_modules(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("none of your business")


class RepeatsItsParts(Base):
    def named_modules(self, *args: Any, **kwargs: Any) -> Any:
        for index in range(20):
            yield str(index), self


class LiesAboutItsClass(Base):
    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return int


class RaisesAboutItsClass(Base):
    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        raise RuntimeError("classless")


class LiesAboutAttributes(Base):
    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return lambda *args, **kwargs: self


class RefusesRepr(Base):
    def __repr__(self) -> str:
        raise RuntimeError("unspeakable")

    __str__ = __repr__


class RefusesComparison(Base):
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("incomparable")

    def __hash__(self) -> int:
        raise RuntimeError("unhashable")

    def __bool__(self) -> bool:
        raise RuntimeError("neither")


class RefusesToTrain(Base):
    def train(self, mode: bool = True) -> Any:
        raise RuntimeError("no training")


class RefusesToMove(Base):
    def to(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("rooted")

    def _apply(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("rooted")


class RefusesAttributes(Base):
    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(self, "fc"):
            raise RuntimeError("frozen")
        super().__setattr__(name, value)


class HookRaises(Base):
    def __init__(self) -> None:
        super().__init__()
        self.fc.register_forward_hook(lambda *args: 1 / 0)


class BackwardHookRaises(Base):
    def __init__(self) -> None:
        super().__init__()
        self.fc.register_full_backward_hook(lambda *args: 1 / 0)


class TensorHookRaises(Base):
    def __init__(self) -> None:
        super().__init__()
        self.fc.weight.register_hook(lambda grad: 1 / 0)


class BackwardExits(Base):
    def __init__(self) -> None:
        super().__init__()
        self.fc.weight.register_hook(lambda grad: sys.exit(5))


class DiesLoudly(Base):
    def __del__(self) -> None:
        raise RuntimeError("over my dead body")


class ForwardInterrupts(Base):
    def give(self, y: Tensor) -> Any:
        raise KeyboardInterrupt


class ForwardExits(Base):
    def give(self, y: Tensor) -> Any:
        raise SystemExit(3)


class ForwardRaisesBase(Base):
    def give(self, y: Tensor) -> Any:
        raise BaseException("base\x1b[2J\nsecond line")


class ForwardEndsGenerator(Base):
    def give(self, y: Tensor) -> Any:
        raise StopIteration


class RaisesUnspeakably(Base):
    def __init__(self) -> None:
        super().__init__()

        class Unspeakable(Exception):
            def __str__(self) -> str:
                raise RuntimeError("not to be told")

        raise Unspeakable


class RaisesAtLength(Base):
    def __init__(self) -> None:
        super().__init__()
        raise RuntimeError("x" * 10_000_000)


class RaisesOddly(Base):
    def __init__(self) -> None:
        super().__init__()
        raise type("\x1b[2JEvil", (Exception,), {})("of an odd name")


class Recurses(Base):
    def give(self, y: Tensor) -> Any:
        return self.give(y + 0)


class RecursesInInit(Base):
    def __init__(self) -> None:
        super().__init__()
        RecursesInInit()


class ContainsItself(Base):
    def __init__(self) -> None:
        super().__init__()
        object.__setattr__(self.fc, "_modules", {"fc": self.fc, "up": self})


class GoesToCuda(Base):
    def give(self, y: Tensor) -> Any:
        return y.cuda()


class BuildsOnCuda(Base):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 4, device="cuda")


class RunsInInference(Base):
    def forward(self, x: Tensor) -> Any:
        with torch.inference_mode():
            return self.fc(x)


class BuildsInInference(Base):
    def __init__(self) -> None:
        with torch.inference_mode():
            super().__init__()


class RunsWithoutGradients(Base):
    @torch.no_grad()
    def forward(self, x: Tensor) -> Any:
        return self.fc(x)


class RunsInAutocast(Base):
    def forward(self, x: Tensor) -> Any:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.fc(x)


class NeverTheSame(Base):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, random.SystemRandom().randint(3, 40))


class ChangesItself(Base):
    def give(self, y: Tensor) -> Any:
        self.fc = nn.Linear(8, 4)
        del self._parameters
        return y


def said_to_be_in(path: str) -> Any:
    """A method whose code says that it stands in a file of that path."""

    def give(self: Any, y: Tensor) -> Any:
        nn.init.normal_(self.fc.weight, 0.02)
        return y

    give.__code__ = give.__code__.replace(co_filename=path)
    return give


class ComesFromADevice(Base):
    give = said_to_be_in("/dev/zero")


class ComesFromAFifo(Base):
    give = said_to_be_in(os.path.abspath("fifo"))


class ComesFromNowhere(Base):
    give = said_to_be_in("\x1b[2J\0\ud800")


class Sound(Base):
    """Comes after all of them."""
