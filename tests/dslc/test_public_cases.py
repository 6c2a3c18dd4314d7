"""Cases that are known to break tools, each in a few lines written for this file, with the answer of a correct tool.

Numbers in brackets are of lark's issue tracker, where a case comes from one.
"""

from __future__ import annotations

import time
from collections import Counter
from functools import cache
from math import comb
from pathlib import Path

import pytest
import torch
from lark import Lark
from lark.visitors import CollapseAmbiguities
from torch import Tensor, nn

import dslc
from dslc.checks import check_file
from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.language.ambiguity import Answer
from dslc.program.tree import Leaf, ParseTree
from dslc.source import SourceFile


def findings(text: str) -> tuple[Diagnostic, ...]:
    return check_file(SourceFile("case.lark", text))


def codes(text: str) -> Counter[str]:
    return Counter(diagnostic.code.value for diagnostic in findings(text))


def two_trees(text: str) -> tuple[str, str]:
    """The witness, and how it is drawn."""
    (found,) = (each for each in findings(text) if each.code is Code.AMBIGUOUS_GRAMMAR)
    assert found.severity is Severity.WARNING
    (drawn,) = found.notes
    assert drawn.count("tree\n") == 2
    assert "__" not in drawn
    return drawn.splitlines()[0].removeprefix("sentence: "), drawn


def lark_trees(text: str, sentence: str, start: str = "start") -> int:
    """Number of trees that lark's Earley finds."""
    parser = Lark(text, parser="earley", lexer="dynamic_complete", ambiguity="explicit", start=start)
    return len(set(CollapseAmbiguities().transform(parser.parse(sentence))))


def test_two_stars_in_a_row() -> None:
    """[#258]"""
    text = '//! max_tokens 8\nstart: as as\nas: "a"*\n'
    witness, _ = two_trees(text)
    assert witness == "a"
    space = dslc.compile_text(text)
    texts = {space[index].text for index in range(space.count())}
    assert texts == {"a" * n for n in range(7)}  # one sentence per length
    assert space.count() == sum(n + 1 for n in range(7))  # n letters are shared out in n + 1 ways


def test_a_list_whose_items_hold_the_separator_too() -> None:
    """[#1166]"""
    text = 'start: (item ",")+\nitem: PART | PART "," PART\nPART: "p" | "q"\n//! max_tokens 12\n'
    witness, _ = two_trees(text)
    assert len(witness) == 4  # terminals: p , p ,
    assert lark_trees(text, witness) == 2


def test_an_empty_rule_in_a_circle() -> None:
    """[#526]"""
    text = "//! max_tokens 6\nstart: a\na: b\nb: a?\n"
    (cycle,) = (each for each in findings(text) if each.code is Code.CYCLIC_RULE)
    assert "`a` can derive just itself: a > b" in cycle.message
    assert cycle.span is not None
    assert cycle.span.location == (3, 1)
    space = dslc.compile_text(text)
    assert {space[index].text for index in range(space.count())} == {""}


def test_a_rule_that_is_itself_and_a_terminal_that_is_empty() -> None:
    """[#3]"""
    (cycle,) = (each for each in findings('//! max_tokens 5\nstart: a\na: a | "a"\n') if each.code is Code.CYCLIC_RULE)
    assert "`a` can derive just itself: a > a" in cycle.message
    with pytest.raises(DslcError) as caught:
        dslc.compile_text('start: A "b"\nA: "a"?\n')
    (empty,) = caught.value.diagnostics
    assert (empty.code, empty.span and empty.span.location) == (Code.EMPTY_TERMINAL, (2, 1))


def test_two_optional_lists() -> None:
    """[#238]"""
    text = 'start: as? as? b\nas: a a?\na: "a"\nb: "b"\n'
    witness, _ = two_trees(text)
    assert witness == "aab"
    assert lark_trees(text, witness) >= 2


def test_nested_optionals() -> None:
    """[#566] Twenty optionals inside another one."""
    text = 'start: ["<" ' + " ".join(f'["{letter}"]' for letter in "abcdefghijklmnopqrst") + "]\n"
    begin = time.thread_time()
    space = dslc.compile_text(text)
    count = space.count()
    assert time.thread_time() - begin < 10  # a hang; it takes 0.1 s
    assert (count, space.count_unit) == (2**20 + 1, "sentences")
    assert count == 1_048_577


def test_a_repetition_whose_body_can_be_empty() -> None:
    """[#108]"""
    text = '//! max_tokens 150\nstart: ("a"?)~1..99\n'
    begin = time.thread_time()
    witness, drawn = two_trees(text)
    assert time.thread_time() - begin < 10  # a hang; it takes 1 s
    assert witness in ("", "the empty text", "a")
    assert "~1..99" in drawn
    assert len(dslc.compile_text(text).vocabulary) <= 4


def test_two_terminals_with_one_text() -> None:
    """[#898]"""
    text = 'start: END -> end | MARK -> mark\nEND: ";" | "."\nMARK: ";"\n'
    space = dslc.compile_text(text)
    assert sorted(space[index].text for index in range(space.count())) == [".", ";", ";"]
    assert {token.label for token in space.vocabulary} == {"END.;", "END..", "MARK.;"}
    (shared,) = (each for each in findings(text) if each.code is Code.SHARED_TEXT)
    assert shared.span is not None
    assert shared.span.location == (3, 7)
    assert two_trees(text)[0] == ";"


def test_marks_that_exclude_each_other() -> None:
    """[#1173]"""
    (found,) = findings('start: _a "x"\n!?_a: "y" | "z"\n')
    assert (found.code, found.span and found.span.location) == (Code.BAD_MODIFIER, (2, 1))


def test_infinite_terminals_of_lark_are_listed_in_one_run() -> None:
    """[#857]"""
    text = "%import python (NAME, STRING, DEC_NUMBER)\nstart: NAME STRING DEC_NUMBER\n"
    name, string, number = findings(text)
    for each, word, column in ((name, "NAME", 17), (number, "DEC_NUMBER", 31)):
        assert each.code is Code.INFINITE_TERMINAL
        assert f"`{word}`" in each.message
        assert each.span is not None
        assert each.span.location == (1, column)
    # Its regex looks around, which has no list of strings whatever its length.
    assert (string.code, string.span and string.span.location) == (Code.UNSUPPORTED_REGEX, (1, 23))


def test_extending_through_two_imports(tmp_path: Path) -> None:
    """[#1160] As lark does."""
    (tmp_path / "deep.lark").write_text('word: "a" -> first\n')
    (tmp_path / "middle.lark").write_text('%import .deep.word\n%extend word: "b" -> second\npair: word word\n')
    (tmp_path / "main.lark").write_text('%import .middle (pair, word)\n%extend word: "c" -> third\nstart: pair word\n')
    space = dslc.compile(tmp_path / "main.lark")
    parser = Lark.open(str(tmp_path / "main.lark"), parser="earley", lexer="dynamic_complete")
    letters = "abc"
    taken = {
        one + two + three
        for one in letters
        for two in letters
        for three in letters
        if _accepts(parser, one + two + three)
    }
    assert {space[index].text for index in range(space.count())} == taken
    assert len(taken) == 27  # both `%extend` count, wherever the rule was imported


def _accepts(parser: Lark, text: str) -> bool:
    from lark import UnexpectedInput

    try:
        parser.parse(text)
    except UnexpectedInput:
        return False
    return True


def test_blanks_written_as_rules() -> None:
    """[#256]"""
    text = '//! max_tokens 20\nstart: "f" | "(" start _blanks start ")"\n_blanks: " "+\n'
    assert dslc.compile_text(text).parse("f").text == "f"
    assert dslc.compile_text(text).parse("(f (f f))").text == "(f (f f))"
    applied = '//! max_tokens 20\nstart: NAME _blanks argument\nargument: "(" start ")" | start | NAME\n'
    space = dslc.compile_text(applied + '_blanks: " "+\nNAME: "f"\n')
    assert space.parse("f (f f)").text == "f (f f)"
    assert space.ambiguity.answer is Answer.NO
    assert dslc.compile_text(text).ambiguity.answer is Answer.NO


FLIES = """
start: subject ACT subject -> does
     | subject ACT "like" subject -> compares
subject: KIND? THING
THING: "flies" | "arrows" | "time"
ACT: "like" | "flies"
KIND: "time"
%ignore " "
"""


def test_time_flies_like_an_arrow() -> None:
    space = dslc.compile_text(FLIES)
    assert (space.count(), space.count_unit) == (144, "derivations")
    texts = Counter(space[index].text for index in range(144))
    assert len(texts) == 138
    assert sorted(texts.values()).count(2) == 6
    witness, _ = two_trees(FLIES)
    assert texts[witness] == 2
    for text, times in texts.items():
        assert lark_trees(FLIES, text) == times


CHORDS = """
//! max_tokens 9
start: chord+
chord: DEGREE FIGURE? QUALITY?
DEGREE: "I" | "II" | "III" | "IV" | "V" | "VI" | "VII" | "i" | "iv" | "v"
FIGURE: "6" | "64" | "65" | "43" | "42" | "4" | "5"
QUALITY: "5" | "o" | "+"
"""


def test_roman_numerals_with_literals_that_overlap() -> None:
    """The shape of a grammar of harmonic analysis, in six lines: figures 6, 64, 65 and degrees I, II, III, IV."""
    space = dslc.compile_text(CHORDS)

    # A chord is a degree, a figure or none, a quality or none; one more token ends the list.
    one_chord = 10 * (7 + 1) * (3 + 1)
    counted = {tokens: number for tokens, number in enumerate(space.counts()) if number}
    assert counted == {3 * n + 1: one_chord**n for n in (1, 2)}
    witness, _ = two_trees(CHORDS)
    assert lark_trees(CHORDS, witness) >= 2
    parser = Lark(CHORDS, parser="earley", lexer="dynamic_complete", ambiguity="explicit", maybe_placeholders=True)
    for program in space.samples(30, seed=0):
        trees = CollapseAmbiguities().transform(parser.parse(program.text))
        shapes = {_shape_of_lark(tree) for tree in trees}
        assert _shape(program.tree) in shapes
        if len(shapes) == 1:
            assert _shape(space.parse(program.text).tree) in shapes


def _shape(tree: ParseTree | Leaf | None) -> object:
    if tree is None:
        return None
    if isinstance(tree, Leaf):
        return (tree.terminal, tree.text)
    return (tree.name, *(_shape(child) for child in tree.children))


def _shape_of_lark(tree: object) -> object:
    from lark import Token, Tree

    if isinstance(tree, Token):
        return (tree.type, str(tree))
    if isinstance(tree, Tree):
        return (str(tree.data), *(_shape_of_lark(child) for child in tree.children))
    return None


def test_terminals_written_as_letters_are_refused_all_at_once() -> None:
    """The shape of a grammar of commands, each terminal written as LETTER+."""
    words = ("WALK", "LOOK", "TURN", "LEFT", "TWICE")
    lines = ["start: action (AND action)?", "action: verb LEFT? TWICE?", "verb: WALK | LOOK | TURN", 'AND: "and"']
    lines += ["%import common.LETTER", *(f"{word}: LETTER+" for word in words)]
    found = findings("\n".join(lines) + "\n")
    assert [each.code for each in found] == [Code.INFINITE_TERMINAL] * len(words)
    for number, (word, each) in enumerate(zip(words, found, strict=True)):
        assert f"`{word}`" in each.message
        assert each.span is not None
        assert each.span.location.line == 6 + number
        assert "list the strings" in (each.help or "")


SPLITS = """
//! max_tokens 24
start: block
block: layer+
layer: "conv" SIDE FILTERS -> conv
     | "pool" -> pool
     | "split" "(" block "|" block ")" -> split
SIDE: "1" | "3" | "5"
FILTERS: "4" | "8"
%ignore " "
"""


class Split(nn.Module):
    """Two blocks over one input, their channels beside each other."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.first(x), self.second(x)], dim=1)


def build_block(tree: ParseTree, channels: int) -> tuple[nn.Module, int]:
    """What a sentence of `SPLITS` means: a module, and the channels that it gives."""
    layers: list[nn.Module] = []
    for layer in tree.children:
        assert isinstance(layer, ParseTree)
        if layer.name == "conv":
            side, filters = (int(child.text) for child in layer.children if isinstance(child, Leaf))
            layers.append(nn.Conv2d(channels, filters, side, padding="same"))
            channels = filters
        elif layer.name == "pool":
            layers.append(nn.MaxPool2d(3, stride=1, padding=1))
        else:
            one, other = (child for child in layer.children if isinstance(child, ParseTree))
            (first, left), (second, right) = build_block(one, channels), build_block(other, channels)
            layers.append(Split(first, second))
            channels = left + right
    return nn.Sequential(*layers), channels


def test_every_sample_of_a_net_that_splits_builds() -> None:
    """A recursive SPLIT layer, the meaning given by the test itself: no target that ships has one."""
    space = dslc.compile_text(SPLITS)
    num_splits = 0
    for program in space.samples(40, seed=1):
        (block,) = program.tree.children
        assert isinstance(block, ParseTree)
        module, channels = build_block(block, 3)
        assert module(torch.zeros(2, 3, 4, 4)).shape == (2, channels, 4, 4)
        num_splits += program.text.count("split")
    assert num_splits >= 10


CHAIN = """
//! max_tokens 40
start: chain
chain: chain BOND? branch? ATOM | ATOM
branch: "(" chain ")"
ATOM: "C" | "N" | "O"
BOND: "=" | "#"
"""


def test_a_left_recursive_chain_has_the_counts_of_a_dynamic_programme() -> None:
    """The shape of a grammar of molecules: chains with branches."""
    space = dslc.compile_text(CHAIN)
    assert space.lowering.classification.kind_by_rule["chain"].value == "list"

    @cache
    def chains(tokens: int) -> int:
        """An atom, steps, and a token that ends them."""
        return 3 * steps(tokens - 2) if tokens >= 2 else 0

    @cache
    def steps(tokens: int) -> int:
        """None, or first a step of 4 tokens (go on, bond or none, branch or none, atom) and of the branch in it."""
        if tokens == 0:
            return 1
        bonds, atoms = 3, 3
        return sum(bonds * atoms * (chains(inside) if inside else 1) * steps(tokens - 4 - inside)
                   for inside in range(tokens - 3))  # fmt: skip

    assert space.count_unit == "sentences"
    assert list(space.counts()) == [chains(tokens) for tokens in range(space.max_tokens + 1)]
    assert dslc.compile_text(CHAIN, max_tokens=30).parse("CC(N=C)O#C").text == "CC(N=C)O#C"


def test_a_language_of_layers_with_shadowed_terminals() -> None:
    """One terminal has the texts of 38 others, one literal is written in any case, one terminal is infinite."""
    words = [f"layer{number}" for number in range(38)]
    lines = [
        "start: (dense | name) size",
        'dense: "dense"i',
        "name: ANY | " + " | ".join(word.upper() for word in words),
    ]
    lines += [f'{word.upper()}.2: "{word}"' for word in words]
    lines += ["ANY: " + " | ".join(f'"{word}"' for word in words), "size: SIZE", 'SIZE: "8" | "16"', 'SPARE: "z"']
    text = "\n".join(lines) + "\n"
    found = codes(text)
    assert found["DSLC209"] == 38  # each is shadowed
    assert found["DSLC212"] == 1  # spellings that are never rendered
    assert found["DSLC129"] == 1  # not used
    assert found["DSLC122"] >= 1  # priorities
    infinite = codes(text.replace('SIZE: "8" | "16"', "SIZE: /[0-9]+/"))
    assert infinite["DSLC112"] == 1


def test_a_regex_that_never_ends() -> None:
    (found,) = findings('start: / "test"')
    assert (found.code, found.span and found.span.location) == (Code.SYNTAX, (1, 8))


SUMS = """
//! max_tokens 11
start: start "+" start | start "*" start | "(" start ")" | INT
INT: "1" | "2"
"""


def test_sums_and_products_count_derivations_like_catalan_numbers() -> None:
    """Derivations are counted, and said to be; how many sentences they are is seen by listing them."""
    text = SUMS.replace('"(" start ")" | ', "")
    space = dslc.compile_text(text, max_tokens=14)
    assert space.count_unit == "derivations"
    # n operators: Catalan(n) trees, 2 operators and 2 integers each; tokens grow evenly with n.
    counted = [number for number in space.counts() if number]
    expected = [comb(2 * n, n) // (n + 1) * 2**n * 2 ** (n + 1) for n in range(len(counted))]
    assert len(counted) >= 4
    assert counted == expected
    texts = {space[index].text for index in range(sum(counted[:4]))}
    assert Counter((len(each) - 1) // 2 for each in texts) == {n: 2**n * 2 ** (n + 1) for n in range(4)}
    witness, _ = two_trees(SUMS)
    assert len(witness) == 5
    assert lark_trees(SUMS, witness) == 2
