"""Building: arguments, seeds, and what comes of a second build."""

from __future__ import annotations

import abc
import random
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from initlint.facts import known  # noqa: E402
from initlint.live.recorder.build import NotAModel, NotBuilt, arguments_for, build, keep, literals  # noqa: E402


class Net(nn.Module):
    def __init__(self, width: int, /, depth: int = 2, *, bias: bool = True) -> None:
        super().__init__()
        self.fc = nn.Linear(width, depth, bias=bias)


class Wide(nn.Module):
    def __init__(self, width: int, kind: str = "a", **more: Any) -> None:
        super().__init__()
        self.kind, self.more = kind, more
        self.fc = nn.Linear(width, width)


class Abstract(nn.Module, abc.ABC):
    @abc.abstractmethod
    def forward(self) -> None: ...


def test_arguments_are_literals_or_text() -> None:
    given = literals(["width=64", "std=2e-2", "sizes=(1, 2)", "name=resnet", "empty=", "flag=True", "expression=1+1"])
    assert given == {
        "width": 64, "std": 0.02, "sizes": (1, 2), "name": "resnet", "empty": "", "flag": True, "expression": "1+1",
    }  # fmt: skip
    for wrong in ("width", "=3", "2x=3"):
        with pytest.raises(ValueError, match="NAME=VALUE"):
            literals([wrong])


def test_missing_arguments_are_named() -> None:
    with pytest.raises(NotBuilt, match=r"^Wide needs arguments: --arg width=VALUE$"):
        arguments_for("Wide", Wide, {"kind": "b"})
    with pytest.raises(NotBuilt, match="--arg width=VALUE"):
        arguments_for("Net", Net, {"width": 3})  # by position only: it cannot be given
    with pytest.raises(NotBuilt, match="abstract"):
        arguments_for("Abstract", Abstract, {})


def test_only_arguments_that_are_taken_are_passed() -> None:
    assert arguments_for("f", lambda depth=1: depth, {"depth": 3, "width": 4}) == {"depth": 3}
    assert arguments_for("Wide", Wide, {"width": 3, "other": 1}) == {"width": 3, "other": 1}


def test_an_error_of_the_constructor_is_not_a_missing_argument() -> None:
    def factory() -> nn.Module:
        return Wide()  # type: ignore[call-arg]

    with pytest.raises(TypeError, match="width"):
        build("factory", factory, {})


def test_the_seed_decides_the_values() -> None:
    first, second, other = (build("Wide", Wide, {"width": 8}, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first.module.fc.weight, second.module.fc.weight)
    assert not torch.equal(first.module.fc.weight, other.module.fc.weight)
    assert first.differing == ()


def test_what_the_seed_does_not_decide_is_named() -> None:
    class Unsteady(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)
            self.register_buffer("noise", torch.tensor(random.SystemRandom().random()), persistent=False)
            self.empty = nn.Parameter(torch.empty(3))
            self.lazy = nn.LazyLinear(3)

    assert build("Unsteady", Unsteady, {}).differing == ("noise",)


def test_a_model_that_cannot_be_built_twice() -> None:
    built: list[int] = []

    def once() -> nn.Module:
        built.append(1)
        if len(built) > 1:
            raise RuntimeError("there is one already")
        return nn.Linear(2, 2)

    assert not known(build("once", once, {}).differing)


def test_a_factory_may_give_a_batch() -> None:
    batch = torch.zeros(2, 4)
    built = build("pair", lambda: (nn.Linear(4, 4), batch), {})
    assert built.batch is batch
    assert [w.author for w in built.recording.writes(built.module.weight)] == ["user"] or known(built.differing)


@pytest.mark.parametrize("made", [None, 3, [1], (1, 2), nn.Linear])
def test_something_else_is_no_model(made: Any) -> None:
    with pytest.raises(NotAModel, match=r"nn\.Module"):
        build("make", lambda: made, {})


def test_an_instance_is_made_once() -> None:
    built = keep("net", lambda: nn.Linear(3, 3))
    assert not known(built.differing)
    assert len(built.recording.writes(built.module.weight)) == 1
