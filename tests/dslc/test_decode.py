"""Trees against lark's: operators, aliases, ? ! _ rules, placeholders; then tokens, positions, long sentences."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lark import Lark, Token, Tree
from lark.exceptions import LarkError

from dslc.automaton.count import Counts
from dslc.automaton.derive import tokens_to_derivation
from dslc.automaton.lower import Lowering
from dslc.automaton.render import render_tokens
from dslc.automaton.uniform import sample_uniform
from dslc.diagnostics import Diagnostic, DslcError
from dslc.program.decode import decode_tokens
from dslc.program.tree import Leaf, ParseTree
from tests.dslc.random_grammars import lower_text
from tests.strategies import grammar_texts

ARITHMETIC = """
?start: start "+" product -> add | product
?product: product "*" atom -> mul | atom
?atom: NUMBER -> number | "-" atom -> neg | "(" start ")"
NUMBER: "1" | "2"
%ignore " "
"""
UNAMBIGUOUS = (
    ARITHMETIC,
    'start: a? b* c+ d~2 e~1..3 [f] (g | h)\na: "a"\nb: "b"\nc: "c"\nd: "d"\ne: "e"\nf: "f"\ng: "g"\nh: "h"\n',
    'start: [A] [B "x" C] D\nA: "a"\nB: "b"\nC: "c"\nD: "d" | "e"\n',
    'start: ["x"] A\n!also: A\nA: "a" | "b"\n',
    'start: kept dropped\n!kept: "(" A ")"\ndropped: "[" A "]"\nA: "a" | "b"\n',
    'start: _pair+\n_pair: A ":" B\nA: "a" | "b"\nB: "c" | "d"\n',
    'start: wrap wrap\n?wrap: A | "(" A B ")" | "<" wrap ">"\nA: "a" | "b"\nB: "c"\n',
    'start: wrap\n?wrap: [A] "x" | "(" wrap wrap ")" -> both\nA: "a"\n',
    'start: item ("," item)*\n?item: A -> left | B\nA: "a" | "b"\nB: "c" | "d"\n',
    'start: _A B _A\n_A: "a" | "e"\nB: "b" | "c"\n',
    '!start: "if" cond ["else" cond]\n!?cond: "x" | "y" "z"\n%ignore " "\n',
    'start: (A B | C)~0..2 "." [(A | C) "!"]\nA: "a"\nB: "b"\nC: "c" | "d"\n',
    'start: opt opt\n?opt: "(" [A] ")"\nA: "a" | "b"\n',
    'start: [[A] B] C\nA: "a"\nB: "b"\nC: "c" | "d"\n',
    'start: (A [B])~2\nA: "a" | "e"\nB: "b"\n',
    'start: _list\n_list: _list "," item | item\nitem: A\nA: "a" | "b"\n',
    'start: _list\n_list: item "," _list | item\n?item: A | "(" _list ")"\nA: "a" | "b"\n',
    'start: "x" -> one | "y" -> two | start "z" -> more\n',
    # The token that opens an option is not the option's first symbol, which is empty.
    'start: e value | "q"\ne:\n?value: f "x" word | f "y"\nf:\nword: "1" -> one | "2" -> two\n',
    'start: e "," value | e A | "q"\ne:\nvalue: f X A | f Y\nf:\nX: "x"\nY: "y"\nA: "a" | "b"\n',
    # Only some of the nodes in brackets have always one child.
    '?start: "(" start ")" | _pair | "a" -> a | "b" -> b\n_pair: "[" [C] start "]"\nC: "c" | "d"\n',
    '?start: value | value "+" start -> sum\n?value: "(" start ")" | "a" -> a | "-" value -> neg\n',
)


def from_lark(node: object) -> ParseTree | Leaf | None:
    if node is None:
        return None
    if isinstance(node, Token):
        return Leaf(node.type, str(node))
    assert isinstance(node, Tree)
    return ParseTree(str(node.data), tuple(from_lark(child) for child in node.children))


def make_lark(text: str) -> Lark:
    return Lark(text, parser="earley", lexer="dynamic_complete", ambiguity="explicit", maybe_placeholders=True)


def sample_spaces(lowering: Lowering, budget: int, number: int) -> list[tuple[int, ...]]:
    counts = Counts(lowering.automaton, budget)
    if counts.total <= number:
        return [counts.unrank(i) for i in range(counts.total)]
    generator = random.Random(0)
    return sorted({sample_uniform(counts, generator, "even") for _ in range(number)})


@pytest.mark.parametrize("text", UNAMBIGUOUS)
def test_trees_equal_those_of_lark(text: str) -> None:
    lowering = lower_text(text, 14)[1]
    lark = make_lark(text)
    compared = 0
    for tokens in sample_spaces(lowering, 14, 24):
        sentence = render_tokens(lowering, tokens)
        tree = decode_tokens(lowering, tokens)
        found = from_lark(lark.parse(sentence))
        if isinstance(found, ParseTree):
            assert tree == found, sentence
        else:  # lark gives the only child of a ?start alone; a node stays here
            assert tree == ParseTree("start", (found,))
        compared += 1
    assert compared >= 2


def test_trees_of_random_grammars_equal_those_of_lark() -> None:
    found = Counter[str]()

    @settings(max_examples=120)
    @given(grammar_texts(max_rules=3, ebnf=True, decorated=True), st.integers(0, 99))
    def check(text: str, seed: int) -> None:
        try:
            lowering = lower_text(text, 8)[1]
            lark = make_lark(text)
        except (DslcError, LarkError):  # a terminal twice, no short sentence; "Rules defined twice"
            return
        counts = Counts(lowering.automaton, 8)
        if counts.total > 400:
            return
        sequences = [counts.unrank(i) for i in range(counts.total)]
        texts = Counter(render_tokens(lowering, tokens) for tokens in sequences)
        random.Random(seed).shuffle(sequences)
        found["grammars"] += 1
        for tokens in sequences[:4]:
            sentence = render_tokens(lowering, tokens)
            if not sentence or texts[sentence] > 1:  # lark is slow where much is ambiguous
                continue
            parsed = lark.parse(sentence)
            found["accepted"] += 1
            is_tree = isinstance(parsed, Tree)
            if is_tree and any(tree.data == "_ambig" for tree in parsed.iter_subtrees()):
                continue
            expected = from_lark(parsed)
            tree = decode_tokens(lowering, tokens)
            assert tree == expected if is_tree else tree == ParseTree("start", (expected,)), (text, sentence)
            found["equal"] += 1

    check()
    assert found["equal"] >= 100, found
    assert found["grammars"] >= 50, found


def test_choices_tell_what_equal_trees_do_not() -> None:
    lowering = lower_text('start: act act\nact: "sin" | "cos"\n', 2)[1]
    trees = [decode_tokens(lowering, tokens) for tokens in ((0, 1), (1, 0))]
    assert trees[0] == trees[1]
    choices = [[child.choice for child in tree.children if isinstance(child, ParseTree)] for tree in trees]
    assert choices == [[0, 1], [1, 0]]


def test_rule_alias_tokens_and_positions() -> None:
    lowering = lower_text(ARITHMETIC, 20)[1]
    counts = Counts(lowering.automaton, 20)
    generator = random.Random(3)
    for _ in range(40):
        tokens = sample_uniform(counts, generator, "even")
        text = render_tokens(lowering, tokens)
        pending = [decode_tokens(lowering, tokens)]
        while pending:
            node = pending.pop()
            assert node.rule in {"start", "product", "atom"}
            assert 0 <= node.start_token < node.end_token <= len(tokens)
            for child in node.children:
                if isinstance(child, ParseTree):
                    assert node.start_token <= child.start_token
                    assert child.end_token <= node.end_token
                    pending.append(child)
                else:
                    assert isinstance(child, Leaf)
                    assert text[child.position :].startswith(child.text)
                    assert child.token is not None
                    assert child.token in tokens[node.start_token : node.end_token]
                    assert lowering.automaton.vocabulary[child.token].text == child.text


def ids(lowering: Lowering, *labels: str) -> tuple[int, ...]:
    id_of = {token.label: token.id for token in lowering.automaton.vocabulary}
    return tuple(id_of[label] for label in labels)


def spans(tree: ParseTree) -> list[tuple[str, int, int]]:
    """Name, first token and end of each node, children before their parent."""
    inner = [span for child in tree.children if isinstance(child, ParseTree) for span in spans(child)]
    return [*inner, (tree.name, tree.start_token, tree.end_token)]


def test_the_stop_of_a_list_belongs_to_its_outermost_node() -> None:
    lowering = lower_text('start: "(" list ")" A\nlist: list "," A | A\nA: "a" | "b"\n', 10)[1]
    tree = decode_tokens(lowering, ids(lowering, "A.a", '","', "A.b", "<stop list>", "A.b"))
    assert spans(tree) == [("list", 0, 1), ("list", 0, 4), ("start", 0, 5)]
    lowering = lower_text('start: A "," start | A\nA: "a" | "b"\n', 10)[1]
    tree = decode_tokens(lowering, ids(lowering, "A.a", '","', "A.b", "<stop start>"))
    assert spans(tree) == [("start", 2, 4), ("start", 0, 4)]


def test_a_word_that_is_a_list_does_not_take_its_stop() -> None:
    # The base of the list is the node of an item, or a word of its own.
    text = 'start: list list\n?list: list "," item -> more | item | "none" -> none\nitem: "x" -> x | "y" -> y\n'
    lowering = lower_text(text, 10)[1]
    x, none, stop = ids(lowering, '"x"', '"none"', "<stop list>")
    assert spans(decode_tokens(lowering, (x, stop, none, stop))) == [("x", 0, 1), ("none", 2, 4), ("start", 0, 4)]


def test_spans_of_labelled_alternatives() -> None:
    lowering = lower_text('start: p p\np: A | A B\nA: "a"\nB: "b" | "c"\n', 10)[1]
    tree = decode_tokens(lowering, ids(lowering, "<p#1>", "B.c", "<p#0>"))
    assert spans(tree) == [("p", 0, 2), ("p", 2, 3), ("start", 0, 3)]


def try_to_read(
    read: Callable[[Lowering, tuple[int, ...]], object], lowering: Lowering, tokens: tuple[int, ...]
) -> tuple[Diagnostic, ...] | None:
    """What is wrong with the tokens, None if nothing is."""
    try:
        read(lowering, tokens)
    except DslcError as error:
        return error.diagnostics
    return None


def test_tokens_that_are_no_sentence_have_no_tree() -> None:
    lowering = lower_text('start: start "+" A | A | word\nA: "a" | "b"\nword: "x" -> x | "y" -> y\n', 9)[1]
    vocabulary = range(-1, len(lowering.automaton.vocabulary) + 1)
    refused = 0
    for tokens in itertools.chain.from_iterable(itertools.product(vocabulary, repeat=n) for n in range(4)):
        found = [try_to_read(read, lowering, tokens) for read in (tokens_to_derivation, decode_tokens)]
        assert found[0] == found[1]
        refused += found[0] is not None
    assert refused > 100


def test_forced_text_has_no_token() -> None:
    lowering = lower_text('!start: "a" B\nB: "b" | "c"\n', 1)[1]
    first, second = decode_tokens(lowering, (1,)).children
    assert isinstance(first, Leaf)
    assert isinstance(second, Leaf)
    assert (first.text, first.token, first.position) == ("a", None, 0)
    assert (second.text, second.token, second.position) == ("c", 1, 1)


@pytest.mark.parametrize("text", ['start: A "," start | A\nA: "a" | "b"\n', 'start: A*\nA: "a" | "b"\n'])
def test_long_sentences_need_no_recursion(text: str) -> None:
    lowering = lower_text(text, 4000)[1]
    counts = Counts(lowering.automaton, 4000)
    tree = decode_tokens(lowering, counts.unrank(counts.total - 1))
    assert tree.end_token >= 3999
    depth = 0
    while isinstance(tree.children[-1], ParseTree):
        tree, depth = tree.children[-1], depth + 1
    assert depth == 1999 or len(tree.children) >= 3998
