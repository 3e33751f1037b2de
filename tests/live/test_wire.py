"""Facts over the pipe: what comes out is what went in, and anything else is refused."""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from initlint import facts
from initlint.facts import UNKNOWN, Chain, Distribution, Fact, Facts, Layer, Model, Parameter, Write, known
from initlint.location import Location
from initlint.wire import dumps, loads

LOCATIONS = st.builds(
    Location,
    path=st.text(max_size=8),
    line=st.integers(1, 9999),
    column=st.integers(1, 200),
    end_line=st.none() | st.integers(1, 9999),
    cell=st.none() | st.integers(1, 9),
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.builds(lambda: UNKNOWN)
    | LOCATIONS
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
CLASSES = [
    value
    for value in vars(facts).values()
    if isinstance(value, type) and issubclass(value, Fact) and value not in (Fact, Layer, Model)
]


NAMES = {**{value.__name__: value for value in vars(facts).values() if isinstance(value, type)}, "Location": Location}


def of_type(hint: Any) -> st.SearchStrategy[Any]:
    """Values that a field with such an annotation may hold; facts in it are not known."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return VALUES
    if origin in (types.UnionType, typing.Union):
        return st.one_of(map(of_type, inner))
    if origin is tuple and inner[-1] is Ellipsis:
        return st.lists(of_type(inner[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(of_type, inner))
    if origin is Mapping:
        return st.dictionaries(of_type(inner[0]).filter(known), of_type(inner[1]), max_size=3)
    plain = {
        str: st.text(max_size=8),
        int: st.integers(),
        float: st.floats() | st.integers(),
        bool: st.booleans(),
        types.NoneType: st.none(),
        Location: LOCATIONS,
    }
    return plain.get(hint, st.nothing()) | st.builds(lambda: UNKNOWN)


@st.composite
def any_fact(draw: st.DrawFn) -> Fact:
    """A fact of any class, its fields holding anything that they are declared to hold."""
    kind = draw(st.sampled_from(CLASSES))
    hints = typing.get_type_hints(kind, localns=NAMES)
    values = {
        field.name: draw(of_type(hints[field.name])) for field in dataclasses.fields(kind) if field.name != "layer"
    }
    made: Fact = kind(**values)
    return made


def same(a: Any, b: Any) -> bool:
    """Whether two values are alike, NaN like NaN and UNKNOWN like UNKNOWN."""
    if a is UNKNOWN or b is UNKNOWN or type(a) is not type(b):
        return a is b
    if isinstance(a, Fact) and dataclasses.is_dataclass(a):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a) if f.name != "layer")
    if isinstance(a, float):
        return a == b or (math.isnan(a) and math.isnan(b))
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return bool(a == b)


@given(any_fact())
@settings(deadline=None)
def test_round_trip(fact: Fact) -> None:
    text = dumps(fact)
    assert "\n" not in text
    json.loads(text, parse_constant=pytest.fail)
    assert same(loads(text), fact)


def test_shared_objects_stay_shared_and_owners_are_set() -> None:
    where = Location("model.py", 3, 5, 3, 9)
    write = Write(
        function="torch.nn.init.zeros_", distribution=Distribution(family="constant", mean=0.0), location=where
    )
    weight = Parameter(name="a.weight", writes=(write,))
    layers = (Layer(name="a", parameters=(weight,), arguments={"bias": True}), Layer(name="b"))
    model = Model(name="Net", layers=layers, chains=(Chain(layers=layers),))
    sent = loads(dumps(Facts(origin="live", models=(model,))))
    (received,) = sent.models
    assert received.chains[0].layers[0] is received.layers[0]
    assert received.layers[0].model is received
    assert received.layers[0].weight.layer is received.layers[0]
    assert received.layers[0].weight.statement == where
    assert received.layers[0].weight.last_write.distribution.is_zero


@given(st.text(max_size=60) | st.recursive(st.none() | st.booleans() | st.text(max_size=5), st.lists).map(json.dumps))
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the text says what was wrong, and differs
        loads(text)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"facts": [], "root": 0},
        {"facts": [["Nonsense", {}]], "root": 0},
        {"facts": [["Fact", {}]], "root": 0},
        {"facts": [["Facts", {"origin": "live", "more": 1}]], "root": 0},
        {"facts": [["Facts", {}]], "root": 0},
        {"facts": [["Facts", {"origin": {"$fact": 0}}]], "root": 0},
        {"facts": [["Facts", {"origin": {"$fact": -1}}]], "root": 0},
        {"facts": [["Facts", {"origin": {"$float": "1"}}]], "root": 0},
        {"facts": [["Facts", {"origin": {"$location": []}}]], "root": 0},
        {"facts": [["Facts", {"origin": {"$location": ["x"]}}]], "root": 0},
        {"facts": [["Facts", {"origin": {"$map": [1]}}]], "root": 0},
        {"facts": [["Facts", {"origin": {"a": 1, "b": 2}}]], "root": 0},
        {"facts": [["Facts", {"origin": "live"}]], "root": True},
        {"facts": [["Layer", {"name": "a", "parameters": 3}]], "root": 0},
        {"facts": [["Layer", {"name": 3}]], "root": 0},
        {"facts": [["Layer", {"name": None}]], "root": 0},
        {"facts": [["Layer", {"name": "a", "aliases": ["a", 3]}]], "root": 0},
        {"facts": [["Layer", {"name": "a", "probe": {"$location": ["x", 1, 1]}}]], "root": 0},
        {"facts": [["Layer", {"name": "a", "arguments": {"$map": [[1, 1]]}}]], "root": 0},
        {"facts": [["Parameter", {"name": "a", "shape": [1.5]}]], "root": 0},
        {"facts": [["Parameter", {"name": "a", "rows": [1, 2, 3]}]], "root": 0},
        {"facts": [["Layer", {"name": "a", "location": {"$location": ["x", 1, "1"]}}]], "root": 0},
        {"facts": [["os.system", {"command": "true"}]], "root": 0},
        {"facts": [[["Layer"], {}]], "root": 0},
    ],
)
def test_malformed_facts_are_refused(document: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        loads(json.dumps(document))


def test_what_is_no_fact_cannot_be_sent() -> None:
    with pytest.raises(TypeError, match="do not hold"):
        dumps(Write(function="f", distribution=Distribution(family="data"), arguments={"a": object()}))
