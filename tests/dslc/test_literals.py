"""Literals of terminals against brute force with Python's own regexes."""

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslc.diagnostics import Code, DslcError
from dslc.language.literals import expand_pattern
from dslc.language.patterns import CharacterRange, Choice, Concatenation, Pattern, Reference, Regex, Repeat, Text
from dslc.language.regex_strings import find_unbounded, has_bar_outside_groups, list_regex

ALPHABET = "abAB1-"
MAX_LENGTH = 4
WORDS = ["".join(letters) for n in range(MAX_LENGTH + 1) for letters in product(ALPHABET, repeat=n)]


def _atoms() -> st.SearchStrategy[str]:
    return st.sampled_from(
        [
            "a",
            "b",
            "A",
            "1",
            r"\-",
            "[ab]",
            "[a-b1]",
            r"[\-a]",
            "[]a]",
            "[^]A1b\\-]{0}",
            "[-a]",
            "[a-]",
            r"[\w]{0}",
            r"\x61",
            r"[\x61b]",
            "(?i:a)",
            "(?:)",
            "(a|b)",
            "(?:ab|1)",
            "(?P<x>a)",
        ]
    )


@st.composite
def finite_regexes(draw: st.DrawFn) -> str:
    """Regexes whose strings have at most MAX_LENGTH characters of ALPHABET, or a few more."""
    parts = draw(st.lists(st.tuples(_atoms(), st.sampled_from(["", "", "?", "??", "{2}", "{0,2}", "{,1}", "{1}?"]))))
    text = ""
    for atom, quantifier in parts[:3]:
        text += atom.replace("?P<x>", f"?P<x{len(text)}>") + ("" if atom.endswith("}") else quantifier)
    return text + draw(st.sampled_from(["", "|b", "|(?:a1)?"]))


@given(finite_regexes())
def test_a_regex_has_the_strings_that_python_matches(source: str) -> None:
    found = list_regex(Regex(source), 100_000)
    assert found is not None
    matcher = re.compile(source)
    assert [text for text in found if matcher.fullmatch(text) is None] == []
    assert set(found) >= {word for word in WORDS if matcher.fullmatch(word)}
    assert list(found) == sorted(set(found), key=lambda text: (len(text), text))


@given(finite_regexes(), st.sampled_from(["[ab]*", "a+", "(a|b){2,}", "a*?"]), finite_regexes())
def test_an_unbounded_part_is_found(left: str, part: str, right: str) -> None:
    right = right.replace("?P<x", "?P<y")
    source = f"(?:{left}){part}(?:{right})"
    unbounded = find_unbounded(Regex(source))
    assert unbounded is not None
    # A lazy mark changes nothing about the limit.
    assert f"/{source}/"[slice(*unbounded)] == part.removesuffix("?")


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ("a{1,3}[b+]*", "[b+]*"),
        (r"\*\++", r"\++"),
        ("(a(b|c)?)+", "(a(b|c)?)+"),
        ("[]*]{3,}x", "[]*]{3,}"),
        (r"[^\]+]+", r"[^\]+]+"),
        ("(?:a+)", "a+"),
        (".*", ".*"),
    ],
)
def test_the_unbounded_part_is_named(source: str, part: str) -> None:
    unbounded = find_unbounded(Regex(source))
    assert unbounded is not None
    assert f"/{source}/"[slice(*unbounded)] == part


@pytest.mark.parametrize("source", ["(?:a*){0}", "(?:a{0})*", "a{0,0}b"])
def test_a_repetition_of_nothing_has_a_limit(source: str) -> None:
    assert find_unbounded(Regex(source)) is None


def test_bars() -> None:
    assert [has_bar_outside_groups(s) for s in ("a|b", "(a|b)", "[|]", r"\|", "(a)|b", "((a|b)|c)d")] == [
        True,
        False,
        False,
        False,
        True,
        False,
    ]


# --- patterns ---------------------------------------------------------------------------------------------------------


def _patterns() -> st.SearchStrategy[Pattern]:
    leaves = st.one_of(
        st.sampled_from(["a", "b", "ab", "1"]).map(Text),
        st.sampled_from(["a", "B", "a1"]).map(lambda text: Text(text, ignore_case=True)),
        st.sampled_from(["[ab]", "a?b", "(a|1)"]).map(Regex),
        st.just(CharacterRange("a", "b")),
        st.sampled_from(["X", "Y"]).map(Reference),
    )

    def extend(inner: st.SearchStrategy[Pattern]) -> st.SearchStrategy[Pattern]:
        several = st.lists(inner, min_size=1, max_size=3).map(tuple)
        bounds = st.sampled_from([(0, 1), (1, 1), (2, 2), (0, 2), (1, 3), (0, 0)])
        return st.one_of(
            several.map(Concatenation),
            several.map(Choice),
            st.tuples(inner, bounds).map(lambda pair: Repeat(pair[0], *pair[1])),
        )

    return st.recursive(leaves, extend, max_leaves=4)


DEFINITIONS: dict[str, Pattern] = {
    "X": Choice((Text("b"), Text("ba"))),
    "Y": Concatenation((Reference("X"), Text("1"))),
}


def _regex(pattern: Pattern) -> str:
    """The same pattern as a regex of Python, every part in a group."""
    match pattern:
        case Text(text, ignore_case):
            return f"(?i:{text})" if ignore_case else f"(?:{text})"
        case Regex(source):
            return f"(?:{source})"
        case CharacterRange(first, last):
            return f"[{first}-{last}]"
        case Reference(name):
            return _regex(DEFINITIONS[name])
        case Concatenation(items):
            return "(?:" + "".join(map(_regex, items)) + ")"
        case Choice(options):
            return "(?:" + "|".join(map(_regex, options)) + ")"
        case Repeat(item, minimum, maximum):
            return f"(?:{_regex(item)}{{{minimum},{maximum}}})"


@given(_patterns())
def test_a_pattern_has_the_strings_that_python_matches(pattern: Pattern) -> None:
    try:
        literals = expand_pattern("T", pattern, DEFINITIONS)
    except DslcError as error:
        if [d.code for d in error.diagnostics] != [Code.MIXED_CASE_FLAGS]:
            raise
        return
    matcher = re.compile(_regex(pattern))
    for literal in literals:
        for text in {literal.text, *([literal.text.swapcase()] if literal.ignore_case else [])}:
            assert matcher.fullmatch(text), text
    exact = {literal.text for literal in literals if not literal.ignore_case}
    any_case = {literal.text.lower() for literal in literals if literal.ignore_case}
    assert {w for w in WORDS if matcher.fullmatch(w)} <= exact | {w for w in WORDS if w.lower() in any_case}
    assert len(literals) == len(exact) + len(any_case)
    assert not any_case & {text.lower() for text in exact}


@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        (Choice((Text("b"), Text("a"), Text("b"))), ["b", "a"]),
        (Regex("b|a|ab"), ["a", "b", "ab"]),
        (Repeat(Text("a"), 0, 1), ["a", ""]),
        (Repeat(Text("a"), 1, 3), ["a", "aa", "aaa"]),
        (Repeat(Choice((Text("a"), Text("b"))), 2, 2), ["aa", "ab", "ba", "bb"]),
        (Repeat(Repeat(Text("a"), 0, 0), 0, None), [""]),
        (CharacterRange("x", "z"), ["x", "y", "z"]),
        (Regex(r"\d"), list("0123456789")),
        (Regex("[a-c]", "i"), ["a", "b", "c"]),
    ],
)
def test_order(pattern: Pattern, texts: list[str]) -> None:
    assert [literal.text for literal in expand_pattern("T", pattern, {})] == texts


def test_a_spelling_that_any_case_covers_is_that_literal() -> None:
    literals = expand_pattern("T", Choice((Text("On"), Text("off"), Text("ON", ignore_case=True), Text("on"))), {})
    assert [(literal.text, literal.ignore_case) for literal in literals] == [("On", True), ("off", False)]


def test_any_case_goes_with_what_has_no_case() -> None:
    literals = expand_pattern("T", Concatenation((Text("on", ignore_case=True), Text("_1"))), {})
    assert [(literal.text, literal.ignore_case) for literal in literals] == [("on_1", True)]


@pytest.mark.parametrize(
    ("pattern", "code"),
    [
        (Regex("[ab]*"), Code.INFINITE_TERMINAL),
        (Repeat(Text("a"), 1, None), Code.INFINITE_TERMINAL),
        (Choice((Regex("."), Repeat(Text("a"), 0, None))), Code.INFINITE_TERMINAL),
        (Regex("[0-9]{5}"), Code.TERMINAL_TOO_LARGE),
        (Regex("[^a]"), Code.TERMINAL_TOO_LARGE),
        (Regex("."), Code.TERMINAL_TOO_LARGE),
        (Regex("[a-z]{60}"), Code.TERMINAL_TOO_LARGE),
        (Repeat(Text("a"), 20_000, 20_000), Code.TERMINAL_TOO_LARGE),
        (Repeat(Choice((Text("a"), Text("b"))), 1, 1_000_000), Code.TERMINAL_TOO_LARGE),
        (CharacterRange("\0", "\uffff"), Code.TERMINAL_TOO_LARGE),
        (Concatenation((Text("a", ignore_case=True), Text("b"))), Code.MIXED_CASE_FLAGS),
        (Concatenation((Regex("a|b"), Text("c"))), Code.UNSUPPORTED_REGEX),
        (Regex("(?=a)a"), Code.UNSUPPORTED_REGEX),
        (Regex("(?<!a)b"), Code.UNSUPPORTED_REGEX),
        (Regex(r"\ba"), Code.UNSUPPORTED_REGEX),
        (Regex("^a$"), Code.UNSUPPORTED_REGEX),
        (Regex(r"(a|b)\1"), Code.UNSUPPORTED_REGEX),
        (Regex("a b", "x"), Code.UNSUPPORTED_REGEX),
        (Regex("a", "l"), Code.UNSUPPORTED_REGEX),
        (Regex("a(?#c)b"), Code.UNSUPPORTED_REGEX),
        (Regex("[a"), Code.BAD_LITERAL),
        (Regex("a{99999999999}"), Code.BAD_LITERAL),
        (Regex("(a"), Code.BAD_LITERAL),
    ],
)
def test_refused(pattern: Pattern, code: Code) -> None:
    with pytest.raises(DslcError) as caught:
        expand_pattern("T", pattern, {})
    assert [d.code for d in caught.value.diagnostics] == [code]


def test_the_limit_counts_strings() -> None:
    ten = Repeat(Choice((Text("a"), Text("aa"))), 5, 5)
    assert len(expand_pattern("T", ten, {}, limit=6)) == 6
    with pytest.raises(DslcError):
        expand_pattern("T", ten, {}, limit=5)
    assert len(expand_pattern("T", Regex("[0-9]{1,4}"), {}, limit=11_110)) == 11_110
