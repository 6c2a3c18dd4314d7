"""Random grammars: how often ambiguity is decided, with every answer checked by what shares no code with it."""

from __future__ import annotations

import random
import time
from collections import Counter

from dslc.language.ambiguity import Answer, Method, draw_witness, find_ambiguity
from dslc.language.reading import Scan
from tests.dslc.plain_grammar import PlainGrammar, count_trees, is_rendered, random_grammar

LONGEST = 7
"""Characters of the texts that are listed for an answer "no"."""
MAX_TEXTS = 30_000
"""Where a rule has more of them, shorter ones are listed."""


def check_answers(count: int, seed: int, max_rules: int = 6) -> Counter[str]:
    """What is found of `count` random grammars of at most `max_rules` rules; AssertionError with a wrong answer.

    "No" is checked against all texts of at most 7 characters with their numbers of derivations, "yes" against lark's
    explicit ambiguity (a rule that derives just itself, where lark hides trees, against counted derivations).
    """
    generator = random.Random(seed)
    found: Counter[str] = Counter()
    for number in range(count):
        drawn = random_grammar(generator, max_rules=max_rules, overlapping=generator.random() < 0.5)
        grammar = PlainGrammar(drawn.rules, drawn.terminals, ignores_blank=generator.random() < 0.25)
        try:
            _check(grammar, found)
        except AssertionError as error:
            raise AssertionError(f"grammar {number} of seed {seed}: {error}\n{grammar}") from error
    return found


def _check(grammar: PlainGrammar, found: Counter[str]) -> None:
    ambiguity = find_ambiguity(grammar.bnf, grammar.start)
    found[ambiguity.answer.value] += 1
    found[ambiguity.method.value] += 1
    if ambiguity.answer is Answer.NO:
        found["texts"] += _check_no(grammar)
    elif ambiguity.answer is Answer.YES:
        witness = ambiguity.witness
        assert witness is not None, "a yes has a witness"
        assert is_rendered(grammar, witness.text), "the witness is a sentence"
        for reading in (witness.first, witness.second):
            texts = [grammar.terminals[step.terminal][step.literal] for step in reading if isinstance(step, Scan)]
            assert "".join(texts) == witness.text.replace(" ", ""), "both trees stand over the text"
        assert witness.first != witness.second, "the trees differ"
        drawn = draw_witness(grammar.bnf, witness).split("second tree\n")
        roots = [tree.split("first tree\n")[-1] for tree in drawn]
        assert all(tree.startswith(f"  {grammar.start}") for tree in roots), "both trees begin with the start"
        assert all("__" not in tree for tree in drawn), "rules are called as in the file"
        if ambiguity.method is not Method.CYCLE and len(witness.text) <= 12:
            assert len(grammar.lark_trees(witness.text)) >= 2, "lark has one tree"
            found["witnesses by lark"] += 1
        else:
            assert count_trees(grammar, witness.text) == 2, "the text has one tree"
            found["witnesses counted"] += 1


def _check_no(grammar: PlainGrammar) -> int:
    for longest in range(LONGEST, 0, -1):
        texts = _count_texts(grammar, longest)
        if texts is not None:
            twice = [text for text, times in texts.items() if times > 1]
            assert not twice, f"{twice[0]!r} has two trees"
            return len(texts)
    return 0


def _count_texts(grammar: PlainGrammar, longest: int) -> dict[str, int] | None:
    """Rendered sentences of at most so many characters, blanks not counted, with their derivations capped at two."""
    joiner = " " if grammar.ignores_blank else ""
    # Sentences as texts with a blank behind each literal, so that parts can be joined.
    words = {name: [text + joiner for text in texts] for name, texts in grammar.terminals.items()}
    known: dict[str, dict[str, int]] = {name: {} for name in grammar.rules}
    while True:
        counts: dict[str, dict[str, int]] = {}
        for name, alternatives in grammar.rules.items():
            total: Counter[str] = Counter()
            for symbols in alternatives:
                rows: Counter[str] = Counter({"": 1})
                for symbol in symbols:
                    parts = known[symbol] if symbol in grammar.rules else Counter(words[symbol])
                    longer: Counter[str] = Counter()
                    for row, ways in rows.items():
                        for part, others in parts.items():
                            if len(row) + len(part) - (row + part).count(" ") <= longest:
                                longer[row + part] += ways * others
                    rows = longer
                    if len(rows) > MAX_TEXTS:
                        return None
                total.update(rows)
            counts[name] = {text: min(2, times) for text, times in total.items()}
        if counts == known:
            return known[grammar.start]
        known = counts


def soak_ambiguity(count: int) -> str:
    """`count` grammars of at most 6 rules, drawn by a seed of the moment; the line for docs/soak.md."""
    seed = int(time.time())
    print(f"seed {seed}", flush=True)
    found = check_answers(count, seed)
    decided = found["yes"] + found["no"]
    assert decided >= 0.95 * count, f"only {decided} of {count} are decided"
    methods = ", ".join(f"{found[method.value]} {method.value}" for method in Method if found[method.value])
    return (
        f"{decided} of {count} grammars of seed {seed} decided ({decided / count:.1%}): {found['yes']} yes, "
        f"{found['no']} "
        f"no ({methods}); {found['texts']:,} texts of those called unambiguous have one tree each, "
        f"{found['witnesses by lark']} witnesses have two by lark, {found['witnesses counted']} by counting"
    )
