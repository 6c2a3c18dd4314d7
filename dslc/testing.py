"""Strategies for testing with Hypothesis (the extra `testing`): `@given(programs(space))`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies

if TYPE_CHECKING:
    from dslc.space import Program, Space


def programs(space: Space) -> strategies.SearchStrategy[Program]:
    """Programs of a space, each drawn by its index; failing examples shrink to small indices, so to short sentences.

    Hypothesis prefers small indices and the ends of the range: for exactly uniform programs use `space.samples`.

    Example:
        >>> from hypothesis import given
        >>> import dslc
        >>> @given(programs(dslc.compile_text('start: A~2\\nA: "x" | "y"')))
        ... def test_text(program):
        ...     assert len(program.text) == 2
        >>> test_text()
    """
    return strategies.integers(min_value=0, max_value=space.count() - 1).map(space.__getitem__)
