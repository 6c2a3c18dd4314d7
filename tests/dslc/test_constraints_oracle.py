"""Constraints against brute force: derivations of the grammar as written, filtered by a predicate on their trees."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dslc.automaton.count import Counts
from dslc.automaton.count_totals import count_sentences
from dslc.automaton.derive import derivation_to_tokens, tokens_to_derivation
from dslc.automaton.encode import Encoding, encode_text
from dslc.automaton.lower import Lowering
from dslc.automaton.render import render_tokens
from dslc.automaton.starting import starting_table
from dslc.automaton.uniform import uniform_next
from dslc.diagnostics import Code, Diagnostic, DslcError
from tests.dslc.random_grammars import Compiled, collides, compile_plain, random_grammar
from tests.dslc.test_automaton_oracle import MAX_DERIVATIONS, RUNTIMES, check_masks, largest_budget
from tests.oracle_constraints import INHERITED, THREADED, ConstrainedTrees, Constraint, print_constraint
from tests.oracle_derivations import Derivations, Item, PlainGrammar

REFUSALS = (Code.CONSTRAINT_UNDECIDED, Code.INCREASING_NESTED, Code.CONSTRAINTS_TOO_LARGE)


def rename(item: Item, names: dict[str, str]) -> Item:
    """An item with other names of rules."""
    if isinstance(item, str):
        return names.get(item, item)
    if isinstance(item, tuple | list):
        return type(item)(rename(each, names) if not isinstance(each, int) else each for each in item)
    return item


def random_constrained(
    seed: int, kinds: tuple[str, ...], *, inline_share: float = 0.1, with_brackets: bool = False
) -> tuple[PlainGrammar, list[Constraint]]:
    """A random grammar, with aliases, hidden and inlined rules now and then, and 1 to 3 constraints on its nodes.

    What lark refuses for colliding optionals, of which one has an alias, is drawn anew; `with_brackets` keeps what has
    a `?rule` and brackets that leave placeholders.
    """
    generator = random.Random(seed)
    while True:
        grammar, constraints = _draw_constrained(generator, kinds, inline_share)
        if with_brackets and not (grammar.inlined and any(grammar.absent.values())):
            continue
        if not collides(grammar):
            return grammar, constraints


def _draw_constrained(
    generator: random.Random, kinds: tuple[str, ...], inline_share: float
) -> tuple[PlainGrammar, list[Constraint]]:
    plain = random_grammar(generator.randrange(2**32), operators=generator.random() < 0.3)
    hidden = {name: f"_{name}" for name in plain.rules if name != "start" and generator.random() < 0.12}
    rules = {
        hidden.get(name, name): [rename(items, hidden) for items in alternatives]
        for name, alternatives in plain.rules.items()
    }
    aliases = {
        (name, choice): generator.choice(("alpha", "beta", "gamma"))
        for name, alternatives in rules.items()
        for choice in range(len(alternatives))
        if not name.startswith("_") and generator.random() < 0.35
    }
    inlined = {name for name in rules if not name.startswith("_") and generator.random() < inline_share}
    visible = [name for name in rules if not name.startswith("_")]
    used = {
        symbol
        for alternatives in PlainGrammar(rules, plain.terminals).kept.values()
        for _, symbols in alternatives
        for symbol in symbols
    }
    nodes: list[Any] = [*visible, *visible, *dict.fromkeys(aliases.values())]
    leaves: list[Any] = [name for name in plain.terminals if name in used]
    leaves += [(name, text) for name in leaves for text in plain.terminals[name]]
    subjects = [*nodes, *leaves]
    constraints: list[Constraint] = []
    terminals = dict(plain.terminals)
    digits = list("01234")
    drawn = [generator.choice(kinds) for _ in range(generator.randint(1, 3))]
    for kind in sorted(drawn, key="ref".__ne__):  # first, since others then name the numbers
        if kind == "ref":
            # The literals become numbers; a terminal refers to the nodes of one name.
            names = [name for name in terminals if name in used and not terminals[name][0].isdigit()]
            if not names or len(digits) < 3:
                continue
            name = generator.choice(names)
            terminals[name] = generator.sample(digits, len(terminals[name]))
            digits = [digit for digit in digits if digit not in terminals[name]]
            subjects = [each for each in subjects if not (isinstance(each, tuple) and each[0] == name)]
            subjects += [(name, text) for text in terminals[name]]
            increases = generator.random() < 0.5
            constraint: Constraint = (kind, name, generator.choice(nodes), generator.randint(0, 2), increases)
        elif kind in ("inside", "under"):
            constraint = (kind, generator.choice(subjects), generator.choice(nodes))
        elif kind == "max_depth":
            constraint = (kind, generator.randint(1, 4), generator.choice(nodes))
        else:
            constraint = (kind, generator.randint(1, 4), generator.choice(subjects))
        if constraint not in constraints:
            constraints.append(constraint)
    pragmas = [print_constraint(constraint) for constraint in constraints]
    return PlainGrammar(rules, terminals, plain.ignores_blank, aliases, inlined, pragmas), constraints


def check_constrained(grammar: PlainGrammar, constraints: list[Constraint], found: Counter[str]) -> None:
    """Everything about one grammar under its constraints; what was compared is added to `found`."""
    trees = ConstrainedTrees(grammar, constraints)
    oracle = Derivations(grammar, trees.seen_lists())
    budget = largest_budget(oracle)
    written = [tree for cost in range(budget + 1) for tree in oracle.trees(cost)]
    if len(written) > 5 * MAX_DERIVATIONS:
        return
    allowed = [tree for tree in written if trees.obeys(tree)]
    found["drawn"] += 1
    compiled = compile_or_refusal(grammar, budget)
    if isinstance(compiled, Diagnostic):
        if compiled.code in REFUSALS:
            found["refused"] += 1
            return
        assert compiled.code in (Code.BUDGET_TOO_SMALL, Code.CONTRADICTION), compiled.message
        assert not allowed, compiled.message
        found[compiled.code.name] += 1
        return
    assert allowed
    lowering, automaton = compiled.lowering, compiled.lowering.automaton
    id_of_label = {compiled.label(token): token.id for token in automaton.vocabulary}
    assert len(id_of_label) == automaton.num_tokens
    tokens_of = {id(tree): tuple(id_of_label[label] for label in oracle.labels(tree)) for tree in written}
    sequences = sorted((tokens_of[id(tree)] for tree in allowed), key=len)
    assert len(set(sequences)) == len(sequences)

    found["prefixes"] += check_masks(tuple(RUNTIMES), automaton, sequences, budget)
    assert automaton.min_tokens == len(sequences[0])
    for smaller in range(budget):
        within = [sequence for sequence in sequences if len(sequence) <= smaller]
        if within:
            found["prefixes"] += check_masks(("numpy",), automaton, within, smaller)
        else:
            with pytest.raises(DslcError) as caught:
                compile_plain(grammar, smaller)
            (diagnostic,) = caught.value.diagnostics
            assert diagnostic.code is Code.BUDGET_TOO_SMALL
            assert diagnostic.help == f"the smallest budget that works is {len(sequences[0])}"

    counts = count_sentences(automaton, budget)
    histogram = Counter(map(len, sequences))
    assert counts.by_tokens == tuple(histogram[n] for n in range(budget + 1))
    unranked = [counts.unrank(i) for i in range(counts.total)]
    assert set(unranked) == set(sequences)
    assert [counts.rank(tokens) for tokens in unranked] == list(range(counts.total))
    for tokens in sequences[:: 1 + len(sequences) // 5]:
        for length in range(len(tokens) + 1):
            check_next(counts, sequences, tokens[:length])
    table = starting_table(counts)
    assert all(np.isfinite(table.log_prob(tokens)) for tokens in sequences)

    check_texts(lowering, trees, written, tokens_of, found)
    for tree in allowed[:: 1 + len(allowed) // 50]:
        derivation = tokens_to_derivation(lowering, tokens_of[id(tree)])
        assert compiled.tree(derivation) == tree
        assert derivation_to_tokens(lowering, derivation) == tokens_of[id(tree)]
    found["grammars"] += 1
    found["binding"] += len(allowed) < len(written)
    found["no lists"] += bool(trees.seen_lists())
    found["derivations"] += len(allowed)
    for kind, *_ in constraints:
        found[kind] += len(allowed) < len(written)


def compile_or_refusal(grammar: PlainGrammar, budget: int) -> Compiled | Diagnostic:
    """What is compiled, or why it is not."""
    try:
        return compile_plain(grammar, budget)
    except DslcError as error:
        (diagnostic,) = error.diagnostics
        return diagnostic


def encode_or_refusal(lowering: Lowering, text: str) -> Encoding | Diagnostic:
    """Tokens of a text, or why there are none."""
    try:
        return encode_text(lowering, text)
    except DslcError as error:
        (diagnostic,) = error.diagnostics
        return diagnostic


def check_next(counts: Counts, sequences: list[tuple[int, ...]], prefix: tuple[int, ...]) -> None:
    """The exact next-token probabilities after a prefix are shares of the sentences that begin with it."""
    following = Counter(tokens[len(prefix)] for tokens in sequences if tokens[: len(prefix)] == prefix != tokens)
    total = sum(following.values())
    shares = uniform_next(counts, prefix)
    assert {token: share * total for token, share in shares.items()} == following


def check_texts(
    lowering: Lowering,
    trees: ConstrainedTrees,
    written: list[Any],
    tokens_of: dict[int, tuple[int, ...]],
    found: Counter[str],
) -> None:
    """Texts parse exactly where a tree obeys the constraints; else one of those that are broken is named."""
    by_text: dict[str, list[Any]] = {}
    for tree in written:
        by_text.setdefault(render_tokens(lowering, tokens_of[id(tree)]), []).append(tree)
    names = {print_constraint(constraint) for constraint in trees.constraints}
    for text, group in list(by_text.items())[:: 1 + len(by_text) // 25]:
        obeying = [tree for tree in group if trees.obeys(tree)]
        encoding = encode_or_refusal(lowering, text)
        if isinstance(encoding, Diagnostic):
            assert encoding.code is Code.TEXT_FORBIDDEN
            assert not obeying, (text, encoding.message)
            assert encoding.message.split("`")[1] in names
            found["named"] += 1
            continue
        compiled_tree = tokens_to_derivation(lowering, encoding.tokens)
        assert derivation_to_tokens(lowering, compiled_tree) == encoding.tokens
        if len(obeying) > 1:
            assert encoding.is_ambiguous, text
        if not encoding.is_ambiguous and obeying:
            assert encoding.tokens == tokens_of[id(obeying[0])]
        if obeying:
            matches = [tree for tree in group if tokens_of[id(tree)] == encoding.tokens]
            assert not matches or trees.obeys(matches[0])
        found["texts"] += 1


@pytest.mark.parametrize(("kinds", "num_examples"), [(INHERITED, 70), (THREADED, 60), (INHERITED + THREADED, 70)])
def test_random_constrained_grammars(kinds: tuple[str, ...], num_examples: int) -> None:
    found = Counter[str]()

    @settings(max_examples=num_examples)
    @given(st.integers(0, 2**32))
    def check(seed: int) -> None:
        check_constrained(*random_constrained(seed, kinds), found)

    check()
    assert found["binding"] >= 0.3 * num_examples, found
    assert all(found[kind] >= 0.05 * num_examples for kind in kinds), found


def test_placeholders_are_children_of_a_rule_that_may_be_inlined() -> None:
    found = Counter[str]()

    @settings(max_examples=30)
    @given(st.integers(0, 2**32))
    def check(seed: int) -> None:
        check_constrained(*random_constrained(seed, INHERITED + THREADED, inline_share=0.5, with_brackets=True), found)

    check()
    assert found["grammars"] >= 10, found


def test_few_grammars_are_refused() -> None:
    refusals = count_refusals(300, random.Random(0))
    assert refusals.total() <= 0.05 * 300, refusals
    assert refusals.keys() <= set(REFUSALS)


def count_refusals(number: int, generator: random.Random) -> Counter[Code]:
    """How many of so many random grammars, with constraints of all kinds alike, are refused for each reason."""
    found = Counter[Code]()
    for _ in range(number):
        grammar, _constraints = random_constrained(generator.randrange(2**63), INHERITED + THREADED)
        compiled = compile_or_refusal(grammar, 8)
        if isinstance(compiled, Diagnostic) and compiled.code in REFUSALS:
            found[compiled.code] += 1
    return found
