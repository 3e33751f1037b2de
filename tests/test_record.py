"""``record`` is ``dataclasses.dataclass`` for all that the code base asks of it, and costs less."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import pprint
from pathlib import Path
from typing import Any

import pytest

import initlint
from initlint.record import PLAIN_INSTANCES, NamedTuple, field, record, replace


@record(frozen=True, slots=True)
class Place:
    path: str
    line: int = 1
    tags: list[str] = field(default_factory=list)


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Named:
    name: str
    owner: Any = field(default=None, repr=False)


@record(frozen=True, slots=True, order=True)
class Span:
    first: int
    last: int = 9


@record(slots=True)
class Count:
    number: int = 0
    double: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.double = 2 * self.number


@record(frozen=True, slots=True)
class Door:
    """Fields that are called what an ``__init__`` might call things of its own."""

    open: bool = False
    made: list[int] = field(default_factory=list)
    missing: int | None = None
    set: int = 0


@record(frozen=True, slots=True)
class Nothing:
    pass


@record(slots=True)
class Alike:
    name: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Alike)

    def __hash__(self) -> int:
        return 3


class Pair(NamedTuple):
    """Two things."""

    left: str
    right: Unheard = None  # type: ignore[name-defined]  # noqa: F821

    def turned(self) -> Pair:
        return self._replace(left=self.right, right=self.left)


@pytest.fixture(params=["a few instances", "many instances"], autouse=True)
def how_many(request: pytest.FixtureRequest) -> None:
    """Have the classes' own ``__init__`` compiled, or not."""
    if request.param == "many instances":
        for number in range(PLAIN_INSTANCES + 1):
            assert Place("x", number).line == number
            assert Named(name="x", owner=number).owner == number
            assert Span(number).first == number
            assert Count(number).double == 2 * number
            assert Door(made=[number]).made == [number]


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


def test_it_is_a_dataclass_to_those_who_look_for_one() -> None:
    assert [field.default for field in dataclasses.fields(Named)][1] is None
    with pytest.raises(TypeError):
        dataclasses.fields(int)  # type: ignore[arg-type]
    assert "Place(path='a.py'" in pprint.pformat(Place("a.py"))

    @dataclasses.dataclass
    class More(Count):
        name: str = ""

    assert More(1, name="x") == More(1, name="x") != More(2, name="x")

    @dataclasses.dataclass(frozen=True)
    class Further(Place):
        name: str = ""

    assert Further("a.py", name="x").name == "x"
    with pytest.raises(TypeError, match="frozen"):

        @dataclasses.dataclass
        class _Thawed(Place):
            name: str = ""


def test_what_derives_from_a_record_stays_what_it_is() -> None:
    class Open(Place):
        pass

    class Slotted(Place):
        __slots__ = ()

    for kind in (Open, Slotted):
        made = kind("a.py", tags=["x"])
        assert type(made) is kind
        assert (made.path, made.line, made.tags) == ("a.py", 1, ["x"])
        assert kind("a.py") != Place("a.py")
        with pytest.raises(dataclasses.FrozenInstanceError):
            made.line = 2


def test_fields_of_any_name() -> None:
    door = Door()
    assert (door.open, door.made, door.missing, door.set) == (False, [], None, 0)
    assert Door(True, [1], 2, 3) == replace(door, open=True, made=[1], missing=2, set=3)


@pytest.mark.skipif(not hasattr(copy, "replace"), reason="Python 3.13 has it")
def test_copy_replace() -> None:
    assert copy.replace(Place("a.py"), line=4) == Place("a.py", 4)  # type: ignore[attr-defined]


def test_replace() -> None:
    assert replace(Place("a.py", 3, ["x"]), path="b.py") == Place("b.py", 3, ["x"])
    assert replace(Count(2), number=4).double == 8
    with pytest.raises(TypeError):
        replace(Place("a.py"), colour="red")  # type: ignore[call-arg]


def test_order() -> None:
    assert sorted([Span(2), Span(1, 4), Span(1, 3)]) == [Span(1, 3), Span(1, 4), Span(2)]
    assert Span(1) <= Span(1) < Span(2)
    assert Span(2) > Span(1) >= Span(1)
    with pytest.raises(TypeError):
        Span(1) < (1, 9)  # type: ignore[operator]  # noqa: B015


def test_a_default_that_can_change_is_refused() -> None:
    with pytest.raises(ValueError, match="tags"):

        @record(slots=True)
        class _Shared:
            tags: list[str] = []


def test_named_tuples() -> None:
    pair = Pair("a")
    assert pair == ("a", None)
    assert pair._fields == ("left", "right")
    assert Pair(left="a", right="b").turned() == ("b", "a")
    assert pickle.loads(pickle.dumps(pair)) == pair
    assert isinstance(pair, Pair)
    assert repr(pair) == "Pair(left='a', right=None)"
    assert Pair.__doc__ == "Two things."
    with pytest.raises(TypeError):
        Pair()  # type: ignore[call-arg]


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
    assert Nothing() == Nothing()
    assert hash(Nothing()) == hash(Nothing())
    assert Alike("a") == Alike("b")
    assert hash(Alike("a")) == 3


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


def test_who_makes_records_leaves_annotations_unread() -> None:
    """From Python 3.14 on, a class made of annotations that are not text would have to ask for them."""
    package = Path(initlint.__file__).parent
    users = [path for path in package.rglob("*.py") if "from initlint.record import" in path.read_text()]
    assert len(users) > 50
    assert not [path for path in users if "\nfrom __future__ import annotations\n" not in path.read_text()]
