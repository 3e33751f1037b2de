"""``record`` is ``dataclasses.dataclass`` for all that the code base asks of it, and costs less."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import pytest

from initlint.record import record


@record(frozen=True, slots=True)
class Place:
    path: str
    line: int = 1
    tags: list[str] = dataclasses.field(default_factory=list)


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Named:
    name: str
    owner: Any = dataclasses.field(default=None, repr=False)


@record(slots=True)
class Count:
    number: int = 0
    double: int = dataclasses.field(default=0, init=False)

    def __post_init__(self) -> None:
        self.double = 2 * self.number


def test_it_is_a_dataclass() -> None:
    place = Place("a.py", line=3)
    assert dataclasses.is_dataclass(place)
    assert [field.name for field in dataclasses.fields(place)] == ["path", "line", "tags"]
    assert dataclasses.asdict(place) == {"path": "a.py", "line": 3, "tags": []}
    assert dataclasses.replace(place, line=4) == Place("a.py", 4)
    assert repr(place) == "Place(path='a.py', line=3, tags=[])"
    assert repr(Named(name="x", owner=place)) == "Named(name='x')"
    assert Place("a").tags is not Place("a").tags
    assert Count(3).double == 6


def test_what_is_frozen_stays() -> None:
    place = Place("a.py")
    with pytest.raises(dataclasses.FrozenInstanceError):
        place.line = 2  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        del place.line  # type: ignore[misc]
    with pytest.raises(AttributeError):
        place.colour = "red"  # type: ignore[attr-defined]
    count = Count()
    count.number = 4
    assert count.number == 4


def test_equality_and_hashes() -> None:
    assert Place("a") == Place("a")
    assert Place("a") != Place("b")
    assert Place("a") != "a"
    assert Named(name="x") != Named(name="x")
    assert len({Named(name="x"), Named(name="x")}) == 2
    with pytest.raises(TypeError):
        hash(Count())


def test_copies() -> None:
    place = Place("a.py", 3, ["x"])
    assert copy.deepcopy(place) == place
    assert pickle.loads(pickle.dumps(place)) == place


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Place(),
        lambda: Place("a", 1, [], 4),
        lambda: Place("a", path="b"),
        lambda: Place("a", colour="red"),
        lambda: Named("x"),
        lambda: Count(double=3),
    ],
)
def test_wrong_arguments(wrong: Any) -> None:
    with pytest.raises(TypeError):
        wrong()
