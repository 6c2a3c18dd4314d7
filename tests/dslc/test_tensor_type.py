"""Shapes with symbols: arithmetic of sizes and unification, against plain numbers."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslc.program.tensor_type import (
    REST,
    CeilDiv,
    Dim,
    Symbol,
    TensorType,
    TypeMismatchError,
    Variable,
    add_dims,
    ceil_div,
    size_of,
    substitute_dim,
    unify_types,
)

BATCH, HEIGHT = Symbol("batch"), Symbol("height")
N, M = Variable("n"), Variable("m")
SIZES = {"batch": 3, "height": 17, "width": 5}
DIMS: st.SearchStrategy[Dim] = st.recursive(
    st.integers(1, 9) | st.sampled_from([Symbol(name) for name in SIZES]),
    lambda inner: st.builds(ceil_div, inner, st.integers(1, 4)) | st.lists(inner, min_size=1, max_size=3).map(add_dims),
    max_leaves=6,
)


def test_printing() -> None:
    assert str(TensorType((BATCH, 24, 8, 8))) == "[batch, 24, 8, 8]"
    assert str(TensorType((BATCH, Symbol("num_channels"), REST))) == "[batch, num_channels, ...]"
    assert str(TensorType((ceil_div(HEIGHT, 3), add_dims((HEIGHT, 4))))) == "[ceil(height / 3), height + 4]"
    assert str(TensorType((N,))) == "[?n]"


@given(DIMS, st.integers(1, 5))
def test_divisions_are_rounded_up(dim: Dim, divisor: int) -> None:
    assert size_of(ceil_div(dim, divisor), SIZES) == math.ceil(size_of(dim, SIZES) / divisor)


def test_divisions_are_merged() -> None:
    assert ceil_div(ceil_div(HEIGHT, 2), 3) == CeilDiv(HEIGHT, 6)
    assert ceil_div(HEIGHT, 1) == HEIGHT


@given(st.lists(DIMS, min_size=1, max_size=4))
def test_sums_are_sums(dims: list[Dim]) -> None:
    assert size_of(add_dims(dims), SIZES) == sum(size_of(dim, SIZES) for dim in dims)


@given(st.lists(DIMS, max_size=4))
def test_a_type_fits_itself_without_bindings(shape: list[Dim]) -> None:
    assert unify_types(TensorType(tuple(shape)), TensorType(tuple(shape))) == {}


@given(st.lists(DIMS, max_size=4))
def test_a_pattern_of_variables_takes_any_shape(shape: list[Dim]) -> None:
    variables = tuple(Variable(str(i)) for i in range(len(shape)))
    found = unify_types(TensorType(variables), TensorType(tuple(shape)))
    assert [substitute_dim(variable, found) for variable in variables] == shape
    assert unify_types(TensorType(tuple(shape)), TensorType(variables)) == found


def test_a_variable_has_one_value() -> None:
    pattern = TensorType((N, N))
    assert unify_types(pattern, TensorType((4, 4))) == {N: 4}
    with pytest.raises(TypeMismatchError, match="differ at axis 1: 4 and 5"):
        unify_types(pattern, TensorType((4, 5)))


def test_variables_on_both_sides() -> None:
    found = unify_types(TensorType((N, M, 5)), TensorType((M, 5, N)))
    assert [substitute_dim(variable, found) for variable in (N, M)] == [5, 5]
    with pytest.raises(TypeMismatchError, match="axis 2: 3 and 5"):
        unify_types(TensorType((N, M, 3)), TensorType((M, 5, N)))


def test_bindings_are_extended_not_changed() -> None:
    given_bindings = {N: 4}
    assert unify_types(TensorType((N, M)), TensorType((4, 6)), given_bindings) == {N: 4, M: 6}
    assert given_bindings == {N: 4}
    with pytest.raises(TypeMismatchError):
        unify_types(TensorType((N,)), TensorType((5,)), given_bindings)


def test_a_variable_is_not_part_of_its_own_value() -> None:
    with pytest.raises(TypeMismatchError):
        unify_types(TensorType((N,)), TensorType((ceil_div(N, 2),)))


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ((BATCH, 3), (BATCH, 4), r"\[batch, 3\] and \[batch, 4\] differ at axis 1: 3 and 4"),
        ((BATCH,), (HEIGHT,), "axis 0: batch and height"),
        ((BATCH,), (BATCH, 1), "differ in the number of axes: 1 and 2"),
        ((HEIGHT,), (ceil_div(HEIGHT, 2),), "axis 0"),
    ],
)
def test_shapes_that_do_not_fit(first: tuple[Dim, ...], second: tuple[Dim, ...], message: str) -> None:
    with pytest.raises(TypeMismatchError, match=message):
        unify_types(TensorType(first), TensorType(second))
