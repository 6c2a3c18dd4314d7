"""`ref` one by one: what literals may name, how lists increase, what is refused and what is said about it."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

import dslc
from dslc.describe import describe_space
from dslc.diagnostics import Code, Diagnostic, DslcError
from dslc.program.tree import ParseTree
from dslc.space import Space

CELL = """
//! ref INPUT: block after 2
//! max_tokens 8
start: block+
block: INPUT INPUT
INPUT: "0" | "1" | "2" | "3" | "4"
%ignore " "
"""
LAYERS = """
//! ref SKIP: layer increasing
//! max_tokens 12
start: layer+
layer: "l" SKIP*
SKIP: "0" | "1" | "2" | "3"
%ignore " "
"""


def refuse(text: str) -> Diagnostic:
    with pytest.raises(DslcError) as caught:
        dslc.compile_text(text)
    (diagnostic,) = caught.value.diagnostics
    return diagnostic


def texts(space: Space) -> set[str]:
    found = [space[i].text for i in range(space.count())]
    assert len(set(found)) == len(found)
    return set(found)


def test_literals_name_inputs_and_finished_nodes() -> None:
    """Block b, from 0, takes each of 2 + b literals twice; a block costs two tokens and a decision to go on."""
    space = dslc.compile_text(CELL)
    sentences = set()
    for num_blocks in (1, 2, 3):
        choices = [range(min(5, 2 + block)) for block in range(num_blocks) for _ in range(2)]
        sentences |= {" ".join(map(str, numbers)) for numbers in itertools.product(*choices)}
    assert texts(space) == sentences
    assert space.count() == 2**2 + 2**2 * 3**2 + 2**2 * 3**2 * 4**2


def test_lists_increase_by_themselves() -> None:
    """Of a layer, any set of earlier layers: 2 ** (L (L - 1) / 2) programs of L layers where the budget allows all."""
    found = texts(dslc.compile_text(LAYERS))
    for num_layers in (1, 2, 3):
        sets = [
            [" ".join(map(str, each)) for n in range(layer + 1) for each in itertools.combinations(range(layer), n)]
            for layer in range(num_layers)
        ]
        expected = {" ".join(f"l {each}".strip() for each in parts) for parts in itertools.product(*sets)}
        assert len(expected) == 2 ** (num_layers * (num_layers - 1) // 2)
        assert {text for text in found if text.count("l") == num_layers} == expected


def test_a_literal_is_a_number_wherever_it_stands() -> None:
    """Neither the order of writing nor a leading zero counts, and what never exists is never allowed."""
    grammar = '//! ref R: x\n//! max_tokens 6\nstart: x R R\nx: A\nA: "a" | "b"\nR: "7" | "00" | "1"\n'
    assert texts(dslc.compile_text(grammar)) == {"a0000", "b0000"}
    assert refuse(grammar.replace('"00"', '"2"')).code is Code.CONTRADICTION


def test_a_forced_literal_is_a_guard_without_a_token() -> None:
    grammar = '//! ref R: x\n//! max_tokens 8\nstart: y~1..4\ny: x | "r" R -> r\nx: A\nA: "a" | "b"\nR: "1"\n'
    space = dslc.compile_text(grammar)
    heads = [text.split("r1")[0] for text in texts(space) if "r1" in text]
    assert heads
    assert all(head.count("a") + head.count("b") > 1 for head in heads)
    assert all(token.label != "R.1" for token in space.vocabulary)


def test_a_node_is_finished_behind_its_content() -> None:
    """`x` may not name itself, but a node that stands in it; the outer ones are finished after the inner ones."""
    grammar = '//! ref R: x\n//! max_tokens 9\nstart: x\nx: "(" x R ")" | "e"\nR: "0" | "1" | "2"\n%ignore " "\n'
    found = texts(dslc.compile_text(grammar))
    assert {text for text in found if text.count("(") == 2} == {f"( ( e 0 ) {number} )" for number in (0, 1)}


def test_sampling_counting_and_scoring_agree() -> None:
    for text in (CELL, LAYERS):
        space = dslc.compile_text(text)
        sentences = {space[i].tokens for i in range(space.count())}
        assert [space.index(space[i].tokens) for i in range(0, space.count(), 7)] == list(range(0, space.count(), 7))
        end = len(space.vocabulary)
        drawn = space.sample_tokens(300, seed=0)
        assert {tuple(int(t) for t in row if t != end) for row in drawn} <= sentences
        logs = space.next_log_probs(drawn[:10])
        for row, sequence in enumerate(drawn[:10].tolist()):
            tokens = [token for token in sequence if token != end]
            assert sum(logs[row, i, token] for i, token in enumerate(tokens)) == pytest.approx(-np.log(space.count()))
        for kind in ("local", "projected"):
            table = space.starting_table(kind=kind)
            total = sum(np.exp(table.log_prob(tokens)) for tokens in sentences)
            assert total == pytest.approx(1.0, abs=1e-4)


def test_a_text_that_refers_to_nothing_is_refused() -> None:
    for grammar, text, column, constraint in (
        (CELL, "0 1 0 3", 7, "ref INPUT: block after 2"),
        (LAYERS, "l l 0 l 1 0", 11, "ref SKIP: layer increasing"),
        (LAYERS, "l l 1", 5, "ref SKIP: layer increasing"),
    ):
        with pytest.raises(DslcError) as caught:
            dslc.compile_text(grammar).parse(text)
        (diagnostic,) = caught.value.diagnostics
        assert diagnostic.code is Code.TEXT_FORBIDDEN
        assert f"`{constraint}`" in diagnostic.message
        assert diagnostic.span is not None
        assert diagnostic.span.location.column == column


def test_the_mask_is_all_that_a_reference_does() -> None:
    """Without the line, the path from text to program makes the same program of every sample."""
    for grammar in (CELL, LAYERS):
        plain = dslc.compile_text("\n".join(line for line in grammar.splitlines() if "ref" not in line))
        space = dslc.compile_text(grammar)
        assert plain.vocabulary == space.vocabulary
        for program in space.samples(100, seed=0, lengths="even"):
            parsed = plain.parse(program.text)
            assert (parsed.tokens, parsed.tree) == (program.tokens, program.tree)


def test_an_ambiguous_text_is_read_as_it_may_refer() -> None:
    grammar = (
        '//! ref R: x\n//! max_tokens 8\nstart: part+\npart: x | y | "r" R -> r\nx: "a"\ny: "a"\nR: "0" | "1"\n'
        '%ignore " "\n'
    )
    space = dslc.compile_text(grammar)
    program = space.parse("a a r 1")
    assert program.tokens in {space[i].tokens for i in range(space.count())}
    parts = [child for child in program.tree.children if isinstance(child, ParseTree)]
    named = [child.rule for part in parts for child in part.children if isinstance(child, ParseTree)]
    assert named[:2] == ["x", "x"]


def test_a_reference_is_described_and_saved(tmp_path: Path) -> None:
    space = dslc.compile_text(LAYERS)
    (constraint,) = describe_space(space)["constraints"]
    assert (constraint["pragma"], constraint["text"]) == ("ref", "SKIP: layer increasing")
    assert constraint["kind"] == "threaded"
    space.save(tmp_path / "space.dslc")
    loaded = dslc.load(tmp_path / "space.dslc")
    assert loaded.count() == space.count()
    for i in range(0, space.count(), 5):
        tokens = space[i].tokens
        assert loaded[i].tokens == tokens
        assert loaded.parse(space[i].text).tokens == tokens
        for place in range(len(tokens)):
            assert loaded.allowed(tokens[:place]) == space.allowed(tokens[:place])


def test_lists_inside_one_another_are_told_apart_or_refused() -> None:
    head = "//! ref R: n increasing\n//! max_tokens 16\nstart: n\n"
    tail = '\nR: "0" | "1" | "2"\n%ignore " "\n'
    cases = (
        ('n: "(" n* R* ")"', "( ( ) ( 0 ) 0 1 )", "( ( ) ( 0 ) 1 0 )"),
        ('n: "(" R* n* ")"', "( ( ) ( 0 ) ( 0 1 ) )", "( ( ) ( 0 ) ( 1 0 ) )"),
        # Each node of a list that is written as a rule in itself is a list of its own.
        ('n: "(" m ")"\nm: n n R m |', "( ( ) ( ) 1 ( ) ( ) 0 )", "( ( ) ( ) 2 )"),
    )
    for rule, obeys, breaks in cases:
        space = dslc.compile_text(head + rule + tail)
        assert space.allowed(space.parse(obeys).tokens) == ()
        with pytest.raises(DslcError) as caught:
            space.parse(breaks)
        assert caught.value.diagnostics[0].code is Code.TEXT_FORBIDDEN
    diagnostic = refuse(head + 'n: "(" (R | n)* ")"' + tail)
    assert diagnostic.code is Code.INCREASING_NESTED
    assert "in rule `n`" in diagnostic.message


def test_what_is_wrong_with_a_reference_is_said() -> None:
    rules = 'start: x+\nx: "x" R?\nR: "0" | "1"\nW: "a" | "b"\n'
    for line, code, words in (
        ("ref R: y", Code.CONSTRAINT_NAME, "no rule or alias is called `y`"),
        ("ref Q: x", Code.CONSTRAINT_NAME, "no terminal is called `Q`"),
        ("ref R x", Code.BAD_PRAGMA, "is not a constraint"),
        ("ref x: x", Code.BAD_PRAGMA, "refer, which is no terminal"),
        ("ref R: W", Code.BAD_PRAGMA, "only nodes of rules"),
        ("ref R: x after two", Code.BAD_PRAGMA, "is not a constraint"),
    ):
        diagnostic = refuse(f"//! {line}\n//! max_tokens 5\n{rules}".replace('W: "a" | "b"\n', ""))
        assert diagnostic.code is code, line
        assert words in diagnostic.message, diagnostic.message
    many = '//! ref R: x after 1 increasing\nstart: x+\nx: "x" R*\nR: /[0-9]/\n//! max_tokens 9\n'
    diagnostic = refuse(many)
    assert diagnostic.code is Code.CONSTRAINTS_TOO_LARGE
    assert "`ref R: x after 1 increasing` tell 110 totals apart, and 64 are the most" in diagnostic.message
    assert dslc.compile_text(many.replace(" increasing", "")).count() > 0


def test_contradictions_with_references_are_named() -> None:
    grammar = '//! ref R: x\n//! at_most 1 x\n//! max_tokens 9\nstart: x* R\nx: "x"\nR: "1" | "2"\n'
    diagnostic = refuse(grammar)
    assert diagnostic.code is Code.CONTRADICTION
    assert "`ref R: x` and `at_most 1 x` contradict each other" in diagnostic.message
    assert diagnostic.notes == ("the shortest sentence without `at_most 1 x` is `xx1`",)
