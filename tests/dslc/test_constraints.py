"""Constraints one by one: what they leave, how they are named where they forbid, what contradicts what."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

import dslc
from dslc.describe import describe_space
from dslc.diagnostics import Code, DslcError
from dslc.language import split_grammar
from dslc.space import Space

NESTED = """
e: "sin" e -> sin | "exp" e -> exp | "log" e -> log | "+" e e -> add | NAME -> name
NAME: "x" | "y"
"""
CHAIN = 'start: e\ne: e P w -> add | w\nw: A -> leaf | Q -> sin\nP: "+"\nA: "a" | "b"\nQ: "q"\n'


def compile_with(pragmas: str, grammar: str, *, max_tokens: int = 6) -> Space:
    lines = "".join(f"//! {pragma}\n" for pragma in pragmas.split("; ") if pragma)
    return dslc.compile_text(lines + grammar, max_tokens=max_tokens)


def texts(space: Space) -> set[str]:
    found = [space[i].text for i in range(space.count())]
    assert len(set(found)) == len(found)
    return set(found)


@pytest.mark.parametrize(
    ("pragmas", "holds"),
    [
        ("forbid sin inside sin", lambda text: text.count("s") < 2 or "s" not in text.split("s", 1)[1].split("+")[0]),
        ("forbid exp under log", lambda text: "le" not in text),
        ("forbid NAME.y under start", lambda _: True),
        ("forbid NAME.y under name", lambda text: "y" not in text),
        (
            'forbid NAME."y" inside log; forbid exp inside e',
            lambda text: "e" not in text[1:] and not {*"ly"} <= {*text},
        ),
    ],
)
def test_sentences_without_sums(pragmas: str, holds: Callable[[str], bool]) -> None:
    """Words over s, e, l that end in x or y: what a constraint leaves of them is said by a test of the word."""
    grammar = 'start: e\ne: "s" e -> sin | "e" e -> exp | "l" e -> log | NAME -> name\nNAME: "x" | "y"\n'
    words = {
        "".join(functions) + name
        for length in range(5)
        for functions in itertools.product("sel", repeat=length)
        for name in "xy"
    }
    found = texts(compile_with(pragmas, grammar, max_tokens=5))
    assert found == {word for word in words if holds(word)}


def test_a_list_that_a_constraint_sees_is_none() -> None:
    cases: list[tuple[str, bool, Callable[[tuple[str, ...]], bool]]] = [
        ("forbid sin inside add", False, lambda words: "q" not in words or len(words) == 1),
        ("forbid add inside add", False, lambda words: len(words) <= 2),
        ("max_depth 2 e", False, lambda words: len(words) <= 2),
        ("forbid leaf inside e", True, lambda words: set(words) == {"q"}),
        ("forbid sin under e", True, lambda words: "q" not in words),
        ("forbid sin inside start", True, lambda words: "q" not in words),
    ]
    for pragma, is_list, kept in cases:
        space = compile_with(pragma, CHAIN, max_tokens=9)
        kinds = {rule["name"]: rule["kind"] for rule in describe_space(space)["rules"]}
        assert (kinds["e"] == "list") is is_list, pragma
        (constraint,) = describe_space(space)["constraints"]
        assert constraint["unfused"] == ([] if is_list else ["e"])
        assert constraint["kind"] == "inherited"
        found = {tuple(text.split("+")) for text in texts(space)}
        longest = max(map(len, found))
        expected = {
            words
            for length in range(1, longest + 1)
            for words in itertools.product("abq", repeat=length)
            if kept(words)
        }
        assert found == expected, pragma


def test_hidden_rules_and_helpers_pass_through() -> None:
    grammar = 'start: "(" _body ")" -> outer | A -> leaf\n_body: start+\nA: "a" | "b"\n'
    assert texts(compile_with("forbid leaf under outer", grammar, max_tokens=6)) == {"a", "b"}
    inlined = 'start: e\n?e: "(" e ")" | e "+" e -> add | A -> leaf\nA: "a"\n'
    assert "(a+a)" in texts(compile_with("forbid add inside e", inlined, max_tokens=8))


def test_a_text_that_is_forbidden_names_the_constraint() -> None:
    space = compile_with("forbid sin inside sin; forbid exp under log", "start: e\n" + NESTED + '%ignore " "\n')
    assert space.parse("sin + x x").text == "sin + x x"
    for text, constraint, column in (
        ("sin exp sin x", "forbid sin inside sin", 9),
        ("+ x log exp sin x", "forbid exp under log", 9),
    ):
        with pytest.raises(DslcError) as caught:
            space.parse(text)
        (diagnostic,) = caught.value.diagnostics
        assert diagnostic.code is Code.TEXT_FORBIDDEN
        assert f"`{constraint}`" in diagnostic.message
        assert diagnostic.span is not None
        assert diagnostic.span.location.column == column
        assert diagnostic.labels[0].span.text == constraint
    plain = compile_with("", "start: e\n" + NESTED + '%ignore " "\n')
    label = {token.label: token.id for token in space.vocabulary}
    assert {token.label: token.id for token in plain.vocabulary} == label
    with pytest.raises(DslcError) as caught:
        space.decode(plain.parse("sin sin x").tokens)
    assert caught.value.diagnostics[0].code is Code.TOKENS_NOT_A_SENTENCE
    assert caught.value.diagnostics[0].notes == ("`forbid sin inside sin` forbids the sentence",)
    with pytest.raises(DslcError) as caught:
        space.parse("sin cos x")
    assert caught.value.diagnostics[0].code is Code.TEXT_NOT_A_SENTENCE


def test_ambiguity_is_that_of_what_is_left() -> None:
    grammar = 'start: e\ne: e "+" e -> add | "x" -> x\n'
    assert compile_with("", grammar).count_unit == "derivations"
    assert compile_with("forbid add inside add", grammar).count_unit == "sentences"


def test_contradictions_are_named() -> None:
    grammar = 'start: a | b\na: "x" | "y" c\nb: c c\nc: "z" | "w"\n'
    with pytest.raises(DslcError) as caught:
        compile_with("max_depth 3 c; forbid c inside start; forbid a under start", grammar)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code is Code.CONTRADICTION
    assert "`forbid c inside start` and `forbid a under start`" in diagnostic.message
    assert diagnostic.notes == ("the shortest sentence without `forbid a under start` is `x`",)
    assert [label.span.text for label in diagnostic.labels] == ["forbid c inside start"]


def test_a_budget_that_constraints_make_too_small_names_them() -> None:
    grammar = 'start: a | "(" b b b ")"\na: "x" | "y"\nb: "z" | "w"\n'
    assert compile_with("", grammar, max_tokens=1).min_tokens == 1
    with pytest.raises(DslcError) as caught:
        compile_with("forbid a under start", grammar, max_tokens=2)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code is Code.BUDGET_TOO_SMALL
    assert diagnostic.help == "the smallest budget that works is 4"
    assert diagnostic.notes == (
        "the shortest sentence is `(zzz)`",
        "without `forbid a under start` it would be `x`, of 1 tokens",
    )


def test_a_limited_depth_makes_a_language_finite() -> None:
    grammar = '//! max_depth 3 start\nstart: "(" start start ")" | "x" | "y"\n'
    space = dslc.compile_text(grammar)
    assert space.compilation.facts.is_finite
    assert space.count() == 2 + (2 + 2 * 2) ** 2
    assert space.max_tokens == 7


def test_too_many_contexts_name_the_multiplier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split_grammar, "MAX_SPLIT_RULES", 20)
    with pytest.raises(DslcError) as caught:
        compile_with("forbid sin inside exp; max_depth 30 e", "start: e\n" + NESTED)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code is Code.CONSTRAINTS_TOO_LARGE
    assert "`max_depth 30 e` multiplies them most" in diagnostic.message


def test_slots_are_told_apart_only_where_it_matters() -> None:
    """k flags of which each changes what may follow split a slot into 2^k; one that changes nothing splits none."""
    names = "abcdefgh"
    grammar = "start: " + " | ".join(f'"{name}" start -> {name}' for name in names) + ' | "x" -> x\n'
    for k in (1, 2, 4, 8):
        pragmas = "; ".join(f"forbid {name} inside {name}" for name in names[:k])
        assert compile_with(pragmas, grammar, max_tokens=20).lowering.automaton.num_slots == 2**k
    assert compile_with("forbid x inside x", grammar, max_tokens=20).lowering.automaton.num_slots == 1


def test_an_undecided_rule_is_refused() -> None:
    grammar = 'start: list\n?list: "(" leaf* ")"\nleaf: LEAF\nLEAF: "a" | "b"\n'
    for pragma in ("forbid leaf inside list", "forbid leaf under start", "max_depth 1 list"):
        with pytest.raises(DslcError) as caught:
            compile_with(pragma, grammar)
        assert caught.value.diagnostics[0].code is Code.CONSTRAINT_UNDECIDED
    compile_with("forbid leaf under start", grammar.replace("leaf*", "leaf~2..3"))
    compile_with("max_depth 1 leaf", grammar)


def test_diagnostics_page_examples() -> None:
    page = (Path(__file__).parents[2] / "docs" / "diagnostics.md").read_text()
    for code in (
        Code.REFERENCE_LITERAL,
        Code.REFERENCE_TWICE,
        Code.CONSTRAINT_UNDECIDED,
        Code.INCREASING_NESTED,
        Code.CONTRADICTION,
        Code.CONSTRAINTS_TOO_LARGE,
    ):
        example = page.split(f"## {code.value}\n")[1].split("```lark\n")[1].split("```")[0]
        with pytest.raises(DslcError) as caught:
            dslc.compile_text(example)
        assert [diagnostic.code for diagnostic in caught.value.diagnostics] == [code]


# --- counts -----------------------------------------------------------------------------------------------------------

COUNTER_EXAMPLE = """start: x x x | F F F F
x: C -> c | D E E -> d
C: "c"
D: "d"
E: "0" | "1"
F: "f" | "g"
"""


def test_need_is_not_additive() -> None:
    """After `c` two `x` are left: each alone needs one token, but no `c` is left, so together they need six."""
    sums = {4: 16, 7: 16 + 3 * 16, 9: 16 + 3 * 16 + 64}
    for budget in range(12):
        if budget < 4:
            with pytest.raises(DslcError) as caught:
                compile_with("at_most 1 c", COUNTER_EXAMPLE, max_tokens=budget)
            assert caught.value.diagnostics[0].help == "the smallest budget that works is 4"
            continue
        space = compile_with("at_most 1 c", COUNTER_EXAMPLE, max_tokens=budget)
        assert space.count() == sums[max(size for size in sums if size <= budget)]
        label = {token.label: token.id for token in space.vocabulary}
        assert (label["C.c"] in space.allowed()) is (budget >= 7)
        if budget >= 7:
            assert space.allowed([label["C.c"]]) == (label["D.d"],)


def test_a_choice_may_end_in_several_totals() -> None:
    """Reading one of them only would lose sentences or let them run into dead ends."""
    space = dslc.compile_text("//! start s\n//! at_least 3 s\ns: | s\n", max_tokens=6)
    assert [len(space[i].tokens) for i in range(space.count())] == [3, 4, 5, 6]


def test_counted_leaves_and_nodes() -> None:
    """All words of one to four items are sentences within the budget."""
    grammar = 'start: item~1..4\nitem: A B?\nA: "a" | "b"\nB: "c" | "d"\n'
    items = [first + second for first in "ab" for second in ("", "c", "d")]
    words = {"".join(each) for n in range(1, 5) for each in itertools.product(items, repeat=n)}
    cases: list[tuple[str, Callable[[str], bool]]] = [
        ("at_most 1 B", lambda word: word.count("c") + word.count("d") <= 1),
        ("at_least 2 A.b; at_most 2 item", lambda word: word.count("b") == 2 and "a" not in word),
        ("at_most 0 B.c; at_least 3 item", lambda word: "c" not in word and sum(map(word.count, "ab")) >= 3),
        ("at_most 2 A; at_least 2 A", lambda word: sum(map(word.count, "ab")) == 2),
    ]
    for pragmas, holds in cases:
        assert texts(compile_with(pragmas, grammar, max_tokens=12)) == {word for word in words if holds(word)}, pragmas


def test_a_text_that_counts_too_much_or_too_little_is_refused() -> None:
    grammar = 'start: item~1..5\nitem: A -> one | B -> two\nA: "a"\nB: "b"\n'
    space = compile_with("at_most 2 two; at_least 1 A", grammar, max_tokens=6)
    for text, constraint, column in (("abbab", "at_most 2 two", 5), ("bb", "at_least 1 A", 3)):
        with pytest.raises(DslcError) as caught:
            space.parse(text)
        (diagnostic,) = caught.value.diagnostics
        assert diagnostic.code is Code.TEXT_FORBIDDEN
        assert f"`{constraint}`" in diagnostic.message
        assert diagnostic.span is not None
        assert diagnostic.span.location.column == column
    assert space.parse("bba").tree.children


def test_an_ambiguous_text_is_read_as_the_counts_allow() -> None:
    grammar = 'start: e\ne: e "+" e -> add | "x" -> x | "x+x" -> pair\n'
    plain = compile_with("", grammar, max_tokens=9)
    counted = compile_with("at_least 1 pair; at_most 1 x", grammar, max_tokens=9)
    assert plain.parse("x+x+x").tokens in {plain[i].tokens for i in range(plain.count())}
    program = counted.parse("x+x+x")
    assert program.tree in [counted[i].tree for i in range(counted.count())]
    assert program.tokens in {counted[i].tokens for i in range(counted.count())}
    with pytest.raises(DslcError) as caught:
        counted.index("x+x+x")  # the pair on the left or on the right
    assert caught.value.diagnostics[0].code is Code.AMBIGUOUS_TEXT
    assert counted.index("x+x") == counted.index(counted.parse("x+x").tokens)  # not with two x


def test_too_many_totals_are_refused() -> None:
    grammar = 'start: (A | B | C)*\nA: "a" | "x"\nB: "b"\nC: "c"\n'
    assert compile_with("at_most 3 A; at_least 3 B; at_most 3 C", grammar).count() > 0
    with pytest.raises(DslcError) as caught:
        compile_with("at_most 3 A; at_least 3 B; at_most 4 C", grammar)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code is Code.CONSTRAINTS_TOO_LARGE
    assert "tell 80 totals apart, and 64 are the most" in diagnostic.message


def test_counts_contradict() -> None:
    grammar = 'start: a a | a\na: "x" | "y"\n'
    for pragmas, message in (
        ("at_least 3 a", "`at_least 3 a` cannot hold"),
        ("at_least 2 a; at_most 1 a", "`at_least 2 a` and `at_most 1 a` contradict each other"),
        ("at_most 5 start; at_least 2 a; forbid a under start", "`forbid a under start` cannot hold"),
    ):
        with pytest.raises(DslcError) as caught:
            compile_with(pragmas, grammar)
        assert caught.value.diagnostics[0].code is Code.CONTRADICTION
        assert message in caught.value.diagnostics[0].message, pragmas


def test_the_longest_sentence_knows_the_counts() -> None:
    space = dslc.compile_text('//! at_most 2 b\nstart: x~1..6\nx: A | B -> b\nA: "a"\nB: "b" | "c"\n')
    assert space.max_tokens == max(len(space[i].tokens) for i in range(space.count()))


def test_sampling_is_uniform_and_never_rejects() -> None:
    space = compile_with("at_least 2 sin; forbid sin inside exp", "start: e\n" + NESTED, max_tokens=6)
    every = {space[i].tokens for i in range(space.count())}
    drawn = space.samples(200, seed=1)
    assert {program.tokens for program in drawn} <= every
    assert all(space.parse(program.text).tokens == program.tokens for program in drawn)
    assert all(space[space.index(program.tokens)] == program for program in drawn[:20])


def test_nothing_is_rejected_after_the_mask() -> None:
    """The path from text to program without the constraints makes the same program of every sample."""
    grammar = "start: e\n" + NESTED + '%ignore " "\n'
    plain = compile_with("", grammar, max_tokens=12)
    space = compile_with("at_most 3 name; at_least 1 log; forbid exp under log; max_depth 5 e", grammar, max_tokens=12)
    assert space.lowering.classification.vocabulary == plain.lowering.classification.vocabulary
    for program in space.samples(100, seed=0, lengths="even"):
        parsed = plain.parse(program.text)
        assert (parsed.tokens, parsed.tree) == (program.tokens, program.tree)
