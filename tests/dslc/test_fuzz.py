"""Mutated grammar files: no traceback, no hang, no wrong mask."""

from tests.soaks.fuzz import fuzz_grammars


def test_mutated_files_compile_or_are_explained() -> None:
    found = fuzz_grammars(2000, seed=0)
    assert found["refused"] + found["compiled"] == 2000
    assert found["compared"] > 100
