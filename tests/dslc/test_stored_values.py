"""Values as plain JSON."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dslc.stored_values import StoredValueError, describe_layout, layout_digest, read_values, write_values


class Color(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class Leaf:
    name: str
    size: int | None = None


@dataclass(frozen=True)
class Whole:
    top: "Leaf | Chain"
    number: int
    value: float | int
    names: frozenset[str]
    prices: dict[int, tuple[int, ...]]
    color: Color
    pair: tuple[int, str]
    table: NDArray[np.int32]
    rows: list[bool]


@dataclass(frozen=True, slots=True)
class Chain:
    rest: "Leaf | Chain"


def _through_json(value: Any, root: type) -> Any:
    stored = write_values(value)
    return read_values(root, json.loads(json.dumps(stored.objects)), stored.arrays)


def _whole(**changes: Any) -> Whole:
    fields: dict[str, Any] = {
        "top": Leaf("x"),
        "number": 1,
        "value": 2,
        "names": frozenset(),
        "prices": {},
        "color": Color.BLUE,
        "pair": (3, "y"),
        "table": np.arange(3, dtype=np.int32),
        "rows": [True],
    }
    return Whole(**{**fields, **changes})


@settings(max_examples=50)
@given(
    number=st.integers(-(10**40), 10**40),
    value=st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False),
    names=st.frozensets(st.text()),
    prices=st.dictionaries(st.integers(), st.lists(st.integers()).map(tuple)),
    name=st.text(st.characters()),  # lone surrogates too
)
def test_what_is_read_is_what_was_written(number: int, value: float, names: Any, prices: Any, name: str) -> None:
    table = np.array([1, -2], np.int32)
    whole = _whole(top=Leaf(name, 7), number=number, value=value, names=names, prices=prices, table=table)
    found = _through_json(whole, Whole)
    assert (found.top, found.number, found.names) == (whole.top, number, names)
    assert (found.value, type(found.value)) == (value, type(value))
    assert list(found.prices.items()) == list(prices.items())
    assert (found.color, found.pair, found.rows) == (Color.BLUE, (3, "y"), [True])
    assert np.array_equal(found.table, table)


def test_whole_numbers_that_readers_of_json_lose_are_texts() -> None:
    stored = write_values(_whole(number=2**53, value=2**53 - 1)).objects[-1]
    assert stored[2:4] == ["9007199254740992", 9007199254740991]


def test_depth_is_no_limit() -> None:
    top: Leaf | Chain = Leaf("x")
    for _ in range(20_000):
        top = Chain(top)
    found = _through_json(_whole(top=top), Whole)
    depth, node = 0, found.top
    while isinstance(node, Chain):
        depth, node = depth + 1, node.rest
    assert (depth, node) == (20_000, Leaf("x"))


def test_what_is_shared_is_written_once_and_shared_again() -> None:
    leaf = Leaf("x")

    @dataclass(frozen=True)
    class Pair:
        left: Leaf
        right: Leaf

    stored = write_values(Pair(leaf, leaf))
    assert len(stored.objects) == 2
    found = read_values(Pair, stored.objects, [])
    assert found.left is found.right
    assert len(write_values(Pair(Leaf("x"), Leaf("x"))).objects) == 3  # equal is not the same


def test_equal_sets_are_written_alike() -> None:
    letters = [chr(i) for i in range(97, 123)]
    texts = [write_values(_whole(names=frozenset(names))).objects for names in (letters, letters[::-1])]
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        (None, "None is no list"),
        ([], "the last object is no Leaf"),
        ([[]], "object 0 is of an unknown class None"),
        ([["Path", "/etc/passwd"]], "unknown class 'Path'"),
        ([["Leaf"]], "has 0 fields, not 2"),
        ([["Leaf", "x", 1.0]], "1.0 cannot stand there"),
        ([["Leaf", "x", "1e3"]], "'1e3' is no whole number"),
        ([["Leaf", "x", "9" * 5000]], "is no whole number"),
        ([["Leaf", "x", True]], "True cannot stand there"),
        ([["Leaf", ["x"], None]], "a list is not str"),
        ([["Leaf", {"a": "x" * 99}, None]], "a dict is not str"),
    ],
)
def test_what_is_no_value_is_refused(objects: Any, message: str) -> None:
    with pytest.raises(StoredValueError, match=message):
        read_values(Leaf, objects, [])


@pytest.mark.parametrize("reference", [1, 2, -1, 0.0, "0", None])
def test_references_lead_to_what_was_read_before(reference: Any) -> None:
    assert read_values(Chain, [["Leaf", "x", None], ["Chain", 0]], []) == Chain(Leaf("x"))
    with pytest.raises(StoredValueError):
        read_values(Chain, [["Leaf", "x", None], ["Chain", reference]], [])


def test_an_object_of_another_class_is_refused() -> None:
    @dataclass(frozen=True)
    class Holder:
        leaf: Leaf
        chain: Chain

    objects: list[Any] = [["Leaf", "x", None], ["Chain", 0], ["Holder", 0, 1]]
    assert read_values(Holder, objects, []) == Holder(Leaf("x"), Chain(Leaf("x")))
    with pytest.raises(StoredValueError, match="object 0 is a Leaf"):
        read_values(Holder, [*objects[:2], ["Holder", 0, 0]], [])


def test_arrays_are_of_the_declared_kind() -> None:
    stored = write_values(_whole())
    with pytest.raises(StoredValueError, match="there is no array 0"):
        read_values(Whole, stored.objects, [])
    with pytest.raises(StoredValueError, match="array 0 holds float64, not int32"):
        read_values(Whole, stored.objects, [np.zeros(3)])


@pytest.mark.parametrize(
    "hint", [object, set[int], int | str, str | Color, bytes, Mapping[str, bool] | dict[str, bool]]
)
def test_types_that_cannot_be_told_are_refused_at_once(hint: Any) -> None:
    @dataclass(frozen=True)
    class Holder:
        item: Any

    Holder.__annotations__["item"] = hint
    with pytest.raises(TypeError):
        write_values(Holder(None))


def test_the_layout_names_every_field() -> None:
    assert describe_layout(Chain) == "Chain(rest: Chain | Leaf)\nLeaf(name: str, size: None | int)"
    assert "table: array of int32" in describe_layout(Whole)
    assert layout_digest(Chain) != layout_digest(Leaf)
