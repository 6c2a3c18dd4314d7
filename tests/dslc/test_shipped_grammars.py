"""The shipped grammar files: headers, sizes and sentences, held against lark and against formulas written here."""

from __future__ import annotations

import random
import re
from functools import cache
from math import prod
from pathlib import Path

import lark
import pytest

import dslc
from dslc.grammars import grammar_names, grammar_text
from dslc.language.ambiguity import Answer
from dslc.program.tree import Leaf, ParseTree

REFERENCES = Path(__file__).parents[2] / "docs" / "references.md"
SPACES = Path(__file__).parents[2] / "docs" / "search_spaces.md"


def power_sum(base: int, first: int, last: int) -> int:
    return sum(base**k for k in range(first, last + 1))


def binary_trees(ways: int, leaf_forms: int, largest: int) -> int:
    """Trees of 1 to `largest` inner nodes, each of `ways` forms with two ordered children."""
    by_nodes = [leaf_forms]
    for n in range(1, largest + 1):
        by_nodes.append(ways * sum(by_nodes[i] * by_nodes[n - 1 - i] for i in range(n)))
    return sum(by_nodes[1:])


def expressions(num_leaves: int, longest: int) -> int:
    """Prefix expressions of at most `longest` tokens from four functions of one argument and four of two."""
    by_tokens = [0, num_leaves]
    for n in range(2, longest + 1):
        pairs = sum(by_tokens[i] * by_tokens[n - 1 - i] for i in range(1, n - 1))
        by_tokens.append(4 * by_tokens[n - 1] + 4 * pairs)
    return sum(by_tokens)


def constrained_expressions(num_leaves: int, longest: int) -> int:
    """As `expressions`, without a sine or cosine inside another, an exp under log or a log under exp."""

    @cache
    def count(in_wave: bool, parent: str, n: int) -> int:
        if n == 1:
            return num_leaves
        found = 4 * sum(count(in_wave, "", i) * count(in_wave, "", n - 1 - i) for i in range(1, n - 1))
        found += 0 if in_wave else 2 * count(True, "", n - 1)
        found += 0 if parent == "log" else count(in_wave, "exp", n - 1)
        return found + (0 if parent == "exp" else count(in_wave, "log", n - 1))

    return sum(count(False, "", n) for n in range(1, longest + 1))


SIZES = {
    ("activation", "start"): 25 * 25 * 10,
    ("activation", "nested"): binary_trees(25 * 25 * 10, 1, 3),
    ("activation_fourier", "start"): 3 * 2 * 9 * power_sum(9 * 9, 1, 5),
    ("activation_fourier", "trained"): 3 * 2 * 9 * power_sum(9 * 9, 1, 5),
    ("activation_fourier", "trained_layer"): 3 * 2 * 9 * power_sum(9 * 9, 1, 5),
    ("activation_fourier", "trained_unit"): 3 * 2 * 9 * power_sum(9 * 9, 1, 5),
    ("activation_fourier", "tanh"): 3 * 2 * 5,
    ("activation_fourier", "tanh_layer"): 3 * 2 * 5,
    ("activation_fourier", "tanh_unit"): 3 * 2 * 5,
    ("activation_piecewise_linear", "start"): power_sum(8 * 7, 0, 5),
    ("activation_piecewise_linear", "trained"): power_sum(8 * 7, 1, 5),
    ("activation_piecewise_linear", "trained_layer"): power_sum(8 * 7, 1, 5),
    ("activation_piecewise_linear", "trained_unit"): power_sum(8 * 7, 1, 5),
    ("activation_piecewise_linear", "random"): 5,
    ("activation_piecewise_linear", "random_layer"): 5,
    ("activation_piecewise_linear", "random_unit"): 5,
    ("conv_net", "start"): (4 * 4 * 3 * 3 * 4) ** 3,
    ("conv_net", "layers_3_stride_1"): (4 * 4 * 4) ** 3,
    ("conv_net", "layers_6"): (4 * 4 * 3 * 3 * 4) ** 6,
    ("conv_net", "layers_6_stride_1"): (4 * 4 * 4) ** 6,
    ("conv_net", "layers_15"): (4 * 4 * 3 * 3 * 4) ** 15,
    ("conv_net", "layers_15_stride_1"): (4 * 4 * 4) ** 15,
    ("conv_net", "skips_6"): (4 * 4 * 3 * 3 * 4) ** 6 * 2 ** (6 * 5 // 2),
    ("conv_net", "skips_15"): (4 * 4 * 3 * 3 * 4) ** 15 * 2 ** (15 * 14 // 2),
    ("dag_cell", "start"): prod(((2 + k) * 5) ** 2 for k in range(5)),
    ("dag_cell", "blocks_3"): prod(((2 + k) * 5) ** 2 for k in range(3)),
    ("expression", "start"): expressions(1, 64),
    ("expression", "two_variables"): expressions(2, 64),
    ("expression", "numbers"): expressions(1 + 4, 64),
    ("expression", "fitted"): expressions(1 + 1, 64),
    ("expression_constrained", "start"): constrained_expressions(1, 64),
    ("expression_constrained", "two_variables"): constrained_expressions(2, 64),
    ("nasbench201", "start"): 5**6,
    ("optimizer", "start"): binary_trees(12 * 12 * 6, 17, 4),
    ("optimizer", "update_once"): 17 * 17 * 12 * 12 * 6,
    ("optimizer", "scheduled"): binary_trees(12 * 12 * 6, 17 + 6, 4),
    ("optimizer", "scheduled_once"): (17 + 6) ** 2 * 12 * 12 * 6,
    ("rnn_cell", "start"): 8**15 * 8 * 15 * 15,
    ("rnn_cell", "base_2"): 8**3 * 8 * 3 * 3,
    ("rnn_cell", "with_max_and_sin"): 15**15 * 15 * 15 * 15,
}
"""Sentences of every start, from the menus and shapes of the papers."""

MIN_AND_MAX_TOKENS = {
    ("activation", "start"): (3, 3),
    ("activation", "nested"): (5, 15),
    ("activation_fourier", "start"): (6, 17),
    ("activation_piecewise_linear", "start"): (1, 15),
    ("activation_piecewise_linear", "trained"): (3, 14),
    ("conv_net", "start"): (15, 15),
    ("conv_net", "layers_15_stride_1"): (45, 45),
    ("conv_net", "skips_6"): (45, 45),
    ("conv_net", "skips_15"): (180, 180),
    ("dag_cell", "start"): (20, 20),
    ("dag_cell", "blocks_3"): (12, 12),
    ("expression", "start"): (1, 64),
    ("expression_constrained", "start"): (1, 64),
    ("optimizer", "start"): (5, 20),
    ("optimizer", "update_once"): (5, 5),
    ("optimizer", "scheduled"): (5, 20),
    ("optimizer", "scheduled_once"): (5, 5),
    ("rnn_cell", "start"): (34, 34),
    ("rnn_cell", "base_2"): (10, 10),
    ("rnn_cell", "with_max_and_sin"): (34, 34),
}

NAMES_AND_STARTS = sorted(SIZES)


def pragma_lines(name: str, word: str) -> list[list[str]]:
    lines = [line.split()[1:] for line in grammar_text(name).splitlines() if line.startswith("//!")]
    return [line[1:] for line in lines if line[0] == word]


def header(name: str) -> dict[str, str]:
    """Paragraphs of the header comment by their first word."""
    paragraphs: dict[str, str] = {}
    label = ""
    for line in grammar_text(name).splitlines():
        if not line.startswith("//") or line.startswith("//!"):
            break
        text = line.removeprefix("//").strip()
        if match := re.match(r"([A-Z][a-z]+): (.*)", text):
            label, text = match.groups()
        elif label == "" and text:
            label = "What"
        paragraphs[label] = (paragraphs.get(label, "") + " " + text).strip()
    return paragraphs


@cache
def earley(name: str) -> lark.Lark:
    starts = pragma_lines(name, "start")[0]
    return lark.Lark(grammar_text(name), parser="earley", lexer="dynamic_complete", ambiguity="explicit", start=starts)


def lark_count(name: str, start: str, longest: int) -> int:
    """Sentences of `start`, counted over the rules that lark compiled: a dynamic programme over tokens spent.

    A terminal with several literals and a function name that takes arguments cost 1, punctuation costs 0; so does the
    x that a one-core activation repeats, but it adds at most a constant and the limit is far away there.
    """
    parser = earley(name)
    num_literals = {
        t.name: t.pattern.to_regexp().removeprefix("(?:").removesuffix(")").count("|") + 1
        if t.pattern.type == "re"
        else 1
        for t in parser.terminals
    }
    cost = {t.name: 0 if t.pattern.value in (")", ",", "/", ":", "+", "*") else 1 for t in parser.terminals}
    if name == "expression":
        cost["LPAR"] = 0
    by_origin: dict[str, list[list[tuple[bool, str]]]] = {}
    for rule in parser.rules:
        by_origin.setdefault(rule.origin.name, []).append([(s.is_term, s.name) for s in rule.expansion])
    polynomials: dict[str, list[int]] = {origin: [0] * (longest + 1) for origin in by_origin}

    def multiply(left: list[int], right: list[int]) -> list[int]:
        out = [0] * (longest + 1)
        for i, x in enumerate(left):
            if x:
                for j, y in enumerate(right[: longest + 1 - i]):
                    if y:
                        out[i + j] += x * y
        return out

    changed = True
    while changed:
        changed = False
        for origin, expansions in by_origin.items():
            total = [0] * (longest + 1)
            for expansion in expansions:
                product = [1] + [0] * longest
                for is_terminal, symbol in expansion:
                    factor = polynomials[symbol] if not is_terminal else [0] * (longest + 1)
                    if is_terminal:
                        factor[cost[symbol]] = num_literals[symbol]
                    product = multiply(product, factor)
                total = [a + b for a, b in zip(total, product, strict=True)]
            if total != polynomials[origin]:
                polynomials[origin] = total
                changed = True
    return sum(polynomials[start])


def as_lark(tree: ParseTree | Leaf | None) -> object:
    """A dslc tree as the nested tuples that `plain` makes of lark's."""
    if tree is None or isinstance(tree, Leaf):
        return tree and (tree.terminal, tree.text)
    return (tree.name, tuple(as_lark(child) for child in tree.children))


def plain(tree: object) -> object:
    if isinstance(tree, lark.Tree):
        return (str(tree.data), tuple(plain(child) for child in tree.children))
    if isinstance(tree, lark.Token):
        return (tree.type, str(tree))
    assert tree is None
    return None


def has_ambiguity(tree: lark.Tree[lark.Token]) -> bool:
    return any(node.data == "_ambig" for node in tree.iter_subtrees())


def test_every_shipped_start_has_a_formula() -> None:
    written = {(name, start) for name in grammar_names() for start in pragma_lines(name, "start")[0]}
    assert written == set(SIZES)


@pytest.mark.parametrize("name", grammar_names())
@pytest.mark.parametrize("parser", ["lalr", "earley"])
def test_lark_loads_the_file_itself(name: str, parser: str) -> None:
    path = Path(__file__).parents[2] / "grammars" / f"{name}.lark"
    lark.Lark.open(str(path), parser=parser, start=pragma_lines(name, "start")[0])


@pytest.mark.parametrize("name", grammar_names())
def test_header_says_what_source_starts_size_and_deviations(name: str) -> None:
    paragraphs = header(name)
    assert {"What", "Source", "Sentence", "Starts", "Size", "Deviations"} <= set(paragraphs)
    keys = re.findall(r"^## (\w+)$", REFERENCES.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(keys) == len(set(keys))
    assert re.match(r"\w+", paragraphs["Source"])[0] in keys  # type: ignore[index]
    for start in pragma_lines(name, "start")[0]:
        assert re.search(rf"\b{start}\b", paragraphs["Starts"])


WITH_TARGET = {
    *("activation", "activation_fourier", "activation_piecewise_linear"),
    *("conv_net", "dag_cell", "expression", "expression_constrained", "optimizer", "rnn_cell"),
}


@pytest.mark.parametrize("name", grammar_names())
def test_only_the_files_with_a_target_name_one(name: str) -> None:
    target = {"dag_cell": "conv_cell", "expression_constrained": "expression"}.get(name, name)
    assert pragma_lines(name, "target") == ([[target]] if name in WITH_TARGET else [])


@pytest.mark.parametrize("name", grammar_names())
def test_sentences_of_the_header_are_sentences(name: str) -> None:
    sentences = [s for s in re.findall(r'"([^"]*)"', header(name)["Sentence"]) if " " in s or "|" in s]
    assert sentences
    for sentence in sentences:
        accepted = []
        for start in pragma_lines(name, "start")[0]:
            try:
                earley(name).parse(sentence, start=start)
            except lark.exceptions.UnexpectedInput:
                continue
            accepted.append(start)
        assert accepted, sentence


@pytest.mark.parametrize(("name", "start"), NAMES_AND_STARTS)
def test_claimed_sizes_round_the_formula(name: str, start: str) -> None:
    (claim,) = (line[0] for line in pragma_lines(name, "size") if line[1:] == ["of", start])
    digits = len(claim.split("e")[0].replace(".", ""))
    assert claim in (f"{SIZES[name, start]}", f"{SIZES[name, start]:.{digits - 1}e}".replace("e+", "e"))


def is_constrained(name: str) -> bool:
    return bool(pragma_lines(name, "forbid") or pragma_lines(name, "ref"))


@pytest.mark.parametrize(("name", "start"), [each for each in NAMES_AND_STARTS if not is_constrained(each[0])])
def test_rules_as_lark_compiled_them_have_the_size(name: str, start: str) -> None:
    longest = {"activation": 15, "optimizer": 20, "expression": 64}.get(name, 180)
    assert lark_count(name, start, longest) == SIZES[name, start]


@pytest.mark.parametrize("name", grammar_names())
def test_the_docs_describe_every_start(name: str) -> None:
    section = SPACES.read_text(encoding="utf-8").split(f"\n## {name}\n")[1].split("\n## ")[0]
    for start in pragma_lines(name, "start")[0]:
        assert f"`{start}`" in section
        size = SIZES[name, start]
        assert f"{size:,}" in section or f"≈ {size:.3e}".split("e")[0] in section


@pytest.mark.parametrize(("name", "start"), NAMES_AND_STARTS)
def test_automaton_has_the_size(name: str, start: str) -> None:
    assert dslc.compile(name, start=start).count() == SIZES[name, start]


@pytest.mark.parametrize(("name", "start"), NAMES_AND_STARTS)
def test_every_sentence_is_proved_to_have_one_tree(name: str, start: str) -> None:
    space = dslc.compile(name, start=start)
    assert space.ambiguity.answer is Answer.NO
    assert space.count_unit == "sentences"


@pytest.mark.parametrize("name", grammar_names())
def test_nothing_is_to_be_said_against_the_file(name: str) -> None:
    found = dslc.check(Path(__file__).parents[2] / "grammars" / f"{name}.lark")
    grows = [diagnostic for diagnostic in found if diagnostic.code is dslc.Code.SUPERCRITICAL]
    assert found == tuple(grows)  # a note, of grammars that nest
    assert bool(grows) == (
        name.partition("_")[0] in ("activation", "expression") and "_f" not in name and "_p" not in name
    )


@pytest.mark.parametrize(("name", "start"), sorted(MIN_AND_MAX_TOKENS))
def test_shortest_and_longest_sentences(name: str, start: str) -> None:
    space = dslc.compile(name, start=start)
    shortest, longest = MIN_AND_MAX_TOKENS[name, start]
    lengths = [tokens for tokens, count in enumerate(space.counts()) if count]
    assert (space.min_tokens, lengths[0], lengths[-1]) == (shortest, shortest, longest)


@pytest.mark.parametrize(("name", "start"), NAMES_AND_STARTS)
def test_samples_are_sentences_with_lark_s_only_tree(name: str, start: str) -> None:
    space = dslc.compile(name, start=start)
    generator = random.Random(7)
    for program in space.samples(5, seed=generator.randrange(1000), lengths="even"):
        tree = earley(name).parse(program.text, start=start)
        assert not has_ambiguity(tree)
        assert as_lark(program.tree) == plain(tree)
        assert space.parse(program.text).tokens == program.tokens
        assert len(program.tokens) <= space.max_tokens


def test_menus_decide_the_count(tmp_path: Path) -> None:
    changed = grammar_text("rnn_cell").replace('"sigmoid" | "relu"', '"sigmoid" | "relu" | "sin"')
    path = tmp_path / "rnn_cell.lark"
    path.write_text(changed, encoding="utf-8")
    assert dslc.compile(path).count() == prod([2 * 5] * 16) * 15 * 15
