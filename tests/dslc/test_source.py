"""Lines and columns."""

from hypothesis import given
from hypothesis import strategies as st

from dslc.source import Location, SourceFile

TEXTS = st.text(st.sampled_from("ab\n\té漢"), max_size=30)


@given(TEXTS)
def test_locate_counts_as_splitting_does(text: str) -> None:
    file = SourceFile("x", text)
    offset = 0
    for line, content in enumerate(text.split("\n"), start=1):
        assert file.line_text(line) == content
        for column in range(1, len(content) + 2):
            assert file.locate(offset) == Location(line, column)
            assert file.offset(Location(line, column)) == offset
            offset += 1


@given(TEXTS, st.integers(-5, 40))
def test_places_outside_are_clamped(text: str, offset: int) -> None:
    file = SourceFile("x", text)
    assert file.locate(offset) == file.locate(min(max(offset, 0), len(text)))
    assert file.offset(Location(1000, 1000)) == len(text)


def test_line_text_leaves_out_carriage_returns() -> None:
    file = SourceFile("x", "a\r\nb\r\n")
    assert [file.line_text(line) for line in range(5)] == ["", "a", "b", "", ""]


def test_spans() -> None:
    file = SourceFile("x", "one\ntwo")
    span = file.span(4, 7)
    assert (span.text, span.location, span.end_location) == ("two", Location(2, 1), Location(2, 4))
    assert file.span(0).text == "o"
    assert span.join(file.span(0)).text == "one\ntwo"
