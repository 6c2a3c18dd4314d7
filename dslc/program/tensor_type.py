"""Types of the values in a program: tensor shapes with symbolic sizes, and how a pattern is matched with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from dslc.value import value


@value
class Symbol:
    """A size known at run time, the same wherever its name stands in a program."""

    name: str

    def __str__(self) -> str:
        return self.name


@value
class Variable:
    """A size that a type rule leaves open; unification binds it."""

    name: str

    def __str__(self) -> str:
        return f"?{self.name}"


@value
class CeilDiv:
    """`size / divisor`, rounded up: what a stride leaves of a size under "same" padding. Made by `ceil_div`."""

    size: Dim
    divisor: int

    def __str__(self) -> str:
        return f"ceil({_text_of(self.size)} / {self.divisor})"


@value
class Sum:
    """Sum of sizes, of which at most the last is a number. Made by `add_dims`."""

    terms: tuple[Dim, ...]

    def __str__(self) -> str:
        counts = Counter(self.terms)
        return " + ".join(f"{count} * {term}" if count > 1 else str(term) for term, count in counts.items())


Dim = int | Symbol | Variable | CeilDiv | Sum


def _text_of(dim: Dim) -> str:
    # For speed: most sizes are symbols, and `str` of an object takes several times as long.
    return dim.name if type(dim) is Symbol else str(dim)


REST = Symbol("...")
"""Any number of further axes, the same wherever it stands in a program."""


@value
class TensorType:
    """Shape of a tensor, outermost axis first; the dtype is the module's own.

    Example:
        >>> print(TensorType((Symbol("batch"), 24, ceil_div(Symbol("height"), 2), 8)))
        [batch, 24, ceil(height / 2), 8]
    """

    shape: tuple[Dim, ...]

    def __str__(self) -> str:
        return f"[{', '.join([_text_of(dim) for dim in self.shape])}]"


class TypeMismatchError(Exception):
    """Shapes that do not fit; a target turns it into a diagnostic that says where."""


def ceil_div(size: Dim, divisor: int) -> Dim:
    """`size / divisor` rounded up; a number for a number, and one division for several.

    Example:
        >>> ceil_div(7, 2), str(ceil_div(ceil_div(Symbol("height"), 2), 3))
        (4, 'ceil(height / 6)')
    """
    assert divisor >= 1, "a divisor of sizes is at least 1"
    if divisor == 1:
        return size
    match size:
        case int():
            return -(-size // divisor)
        case CeilDiv(inner, first):
            return ceil_div(inner, first * divisor)
        case _:
            return CeilDiv(size, divisor)


def add_dims(dims: Sequence[Dim]) -> Dim:
    """Sum of the sizes, symbols in order of writing and numbers last.

    Example:
        >>> str(add_dims((24, Symbol("in_channels"), 36))), str(add_dims((Symbol("channels"), Symbol("channels"))))
        ('in_channels + 60', '2 * channels')
    """
    number = 0
    terms: list[Dim] = []
    for dim in dims:
        for term in dim.terms if isinstance(dim, Sum) else (dim,):
            if isinstance(term, int):
                number += term
            else:
                terms.append(term)
    if not terms:
        return number
    if number:
        terms.append(number)
    return terms[0] if len(terms) == 1 else Sum(tuple(terms))


def largest_dim(dims: Sequence[Dim]) -> Dim:
    """The largest of sizes that are all numbers, or that strides left of one size.

    Raises:
        TypeMismatchError: if which is larger depends on the sizes of the program's inputs.

    Example:
        >>> str(largest_dim([ceil_div(Symbol("height"), 6), ceil_div(Symbol("height"), 4)]))
        'ceil(height / 4)'
    """
    largest = dims[0]
    for other in dims[1:]:
        if isinstance(largest, int) and isinstance(other, int):
            largest = max(largest, other)
            continue
        (whole, divisor), (other_whole, other_divisor) = _split_division(largest), _split_division(other)
        if isinstance(whole, int) or whole != other_whole:
            raise TypeMismatchError(f"which of {largest} and {other} is the larger depends on the input")
        largest = largest if divisor <= other_divisor else other
    return largest


def _split_division(dim: Dim) -> tuple[Dim, int]:
    return (dim.size, dim.divisor) if isinstance(dim, CeilDiv) else (dim, 1)


def size_of(dim: Dim, sizes: Mapping[str, int]) -> int:
    """The number that a size is when its symbols have the given ones; raises KeyError for a symbol without."""
    match dim:
        case int():
            return dim
        case Symbol(name) | Variable(name):
            return sizes[name]
        case CeilDiv(size, divisor):
            return -(-size_of(size, sizes) // divisor)
        case Sum(terms):
            return sum(size_of(term, sizes) for term in terms)


Bindings = Mapping[Variable, Dim]


def unify_types(first: TensorType, second: TensorType, bindings: Bindings | None = None) -> dict[Variable, Dim]:
    """Bindings of variables under which both types are equal; with `bindings`, an extension of them.

    Symbols are equal only to themselves: `height` and `ceil(height / 2)` never fit, even if one input makes them equal.

    Raises:
        TypeMismatchError: with both types and the first axis that differs.

    Example:
        >>> pattern = TensorType((Variable("n"), 24, Variable("size"), Variable("size")))
        >>> found = unify_types(pattern, TensorType((Symbol("batch"), 24, 8, 8)))
        >>> {str(variable): str(dim) for variable, dim in found.items()}
        {'?n': 'batch', '?size': '8'}
    """
    bound = dict(bindings or {})
    if first is second:  # as most values of an elementwise program
        return bound
    if len(first.shape) != len(second.shape):
        counts = f"{len(first.shape)} and {len(second.shape)}"
        raise TypeMismatchError(f"{first} and {second} differ in the number of axes: {counts}")
    for axis, (one, other) in enumerate(zip(first.shape, second.shape, strict=True)):
        if one == other:
            continue
        one, other = substitute_dim(one, bound), substitute_dim(other, bound)
        if one == other:
            continue
        if isinstance(one, Variable) and one not in _variables(other):
            bound[one] = other
        elif isinstance(other, Variable) and other not in _variables(one):
            bound[other] = one
        else:
            raise TypeMismatchError(f"{first} and {second} differ at axis {axis}: {one} and {other}")
    return bound


def substitute_dim(dim: Dim, bindings: Bindings) -> Dim:
    """The size with its variables replaced as far as they are bound."""
    match dim:
        case Variable():
            return substitute_dim(bindings[dim], bindings) if dim in bindings else dim
        case CeilDiv(size, divisor):
            return ceil_div(substitute_dim(size, bindings), divisor)
        case Sum(terms):
            return add_dims([substitute_dim(term, bindings) for term in terms])
        case _:
            return dim


def _variables(dim: Dim) -> frozenset[Variable]:
    match dim:
        case Variable():
            return frozenset((dim,))
        case CeilDiv(size, _):
            return _variables(size)
        case Sum(terms):
            return frozenset().union(*(_variables(term) for term in terms))
        case _:
            return frozenset()
