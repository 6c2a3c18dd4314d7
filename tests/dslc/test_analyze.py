"""Facts about grammars, each found a second time by its definition."""

from itertools import product

import networkx
import pytest
from hypothesis import given

from dslc.diagnostics import Code, DslcError
from dslc.language.analyze import Facts, analyze_grammar
from dslc.language.grammar import BnfGrammar, Production, RuleUse, TerminalUse
from dslc.language.normalize import normalize_grammar
from dslc.language.read import read_grammar
from dslc.source import SourceFile
from tests.strategies import grammar_texts


def _bnf(text: str) -> BnfGrammar:
    return normalize_grammar(read_grammar(SourceFile("x", text))[0])


def _facts(text: str, start: str = "start") -> Facts:
    return analyze_grammar(_bnf(text), start)


def _derives_within(bnf: BnfGrammar, height: int, *, empty: bool) -> set[str]:
    """Rules with a derivation tree of at most `height` rules on a path; with `empty` only trees without terminals."""
    if height == 0:
        return set()
    below = _derives_within(bnf, height - 1, empty=empty)
    return {
        rule.name
        for rule in bnf.rules
        if any(
            all(symbol.name in below if isinstance(symbol, RuleUse) else not empty for symbol in production.symbols)
            for production in rule.productions
        )
    }


def _derives_itself(bnf: BnfGrammar, nullable: set[str]) -> set[str]:
    """Rules x with x => ... => x: a path of rules, each with only empty ones beside it."""
    steps = networkx.DiGraph()
    for rule in bnf.rules:
        for production in rule.productions:
            for position, symbol in enumerate(production.symbols):
                others = production.symbols[:position] + production.symbols[position + 1 :]
                if isinstance(symbol, RuleUse) and all(other.name in nullable for other in others):
                    steps.add_edge(rule.name, symbol.name)
    return {name for name in steps if any(name in networkx.descendants(steps, n) | {n} for n in steps.successors(name))}


@given(grammar_texts(ebnf=True, productive=False))
def test_facts_by_definition(text: str) -> None:
    bnf = _bnf(text)
    # The least tree of a rule repeats no rule on a path.
    productive = _derives_within(bnf, len(bnf.rules), empty=False)
    if "start" not in productive:
        with pytest.raises(DslcError) as caught:
            analyze_grammar(bnf, "start")
        assert [d.code for d in caught.value.diagnostics] == [Code.EMPTY_LANGUAGE]
        return
    facts = analyze_grammar(bnf, "start")
    written = [rule.name for rule in bnf.rules if rule.helper is None]
    assert facts.unproductive == tuple(name for name in written if name not in productive)
    uses = networkx.DiGraph()
    uses.add_nodes_from(productive)
    kept: dict[str, list[Production]] = {}
    for rule in bnf.rules:
        if rule.name in productive:
            kept[rule.name] = [
                p
                for p in rule.productions
                if all(isinstance(s, TerminalUse) or s.name in productive for s in p.symbols)
            ]
            uses.add_edges_from(
                (rule.name, s.name) for p in kept[rule.name] for s in p.symbols if isinstance(s, RuleUse)
            )
    reached = {"start"} | networkx.descendants(uses, "start")
    assert [rule.name for rule in facts.trimmed.rules] == [rule.name for rule in bnf.rules if rule.name in reached]
    assert facts.unreachable == tuple(n for n in written if n in productive and n not in reached)
    for rule in facts.trimmed.rules:
        assert list(rule.productions) == kept[rule.name]
        assert [p.choice for p in rule.productions] == [p.choice for p in kept[rule.name]]
    inner = uses.subgraph(reached)
    recursive = {n for n in inner if any(n in networkx.descendants(inner, m) | {m} for m in inner.successors(n))}
    assert facts.recursive == recursive
    assert facts.is_finite == networkx.is_directed_acyclic_graph(inner)
    nullable = _derives_within(facts.trimmed, len(facts.trimmed.rules), empty=True)
    assert facts.nullable == nullable
    in_cycles = [name for cycle in facts.cyclic for name in cycle]
    assert len(in_cycles) == len(set(in_cycles))
    assert set(in_cycles) == _derives_itself(facts.trimmed, nullable)
    used = {s.name for r in facts.trimmed.rules for p in r.productions for s in p.symbols if isinstance(s, TerminalUse)}
    assert [t.name for t in facts.trimmed.terminals] == [t.name for t in bnf.terminals if t.name in used]


def test_alternatives_keep_their_index() -> None:
    facts = _facts('start: dead | "x" | dead "y" | ok\ndead: "z" dead\nok: "o"\n')
    assert [p.choice for p in facts.trimmed.rule_by_name["start"].productions] == [1, 3]
    assert facts.unproductive == ("dead",)
    assert "dead" not in facts.trimmed.rule_by_name


@pytest.mark.parametrize(
    ("text", "nullable", "cyclic", "is_finite"),
    [
        ('start: a?\na: "x"\n', {"start", "__start_optional_0"}, (), True),
        ("start: a?\na: start\n", {"start", "__start_optional_0", "a"}, (("start", "__start_optional_0", "a"),), False),
        ("start: a\na: b\nb: a?\n", {"start", "a", "b", "__b_optional_0"}, (("a", "b", "__b_optional_0"),), False),
        ('start: start | "x"\n', set(), (("start",),), False),
        ('start: start "y" | "x"\n', set(), (), False),
        ('start: start start | "x" |\n', {"start"}, (("start",),), False),
        ('start: a "!"\na: b | "x"\nb: a | "y"\n', set(), (("a", "b"),), False),
        ('start: as as\nas: "a"*\n', {"start", "as", "__as_star_0"}, (), False),
    ],
)
def test_known_cases(text: str, nullable: set[str], cyclic: tuple[tuple[str, ...], ...], is_finite: bool) -> None:
    facts = _facts(text)
    assert (set(facts.nullable), facts.cyclic, facts.is_finite) == (nullable, cyclic, is_finite)


def test_an_unknown_start_is_named() -> None:
    with pytest.raises(DslcError) as caught:
        _facts('start: "x"\n', "strat")
    diagnostic = caught.value.diagnostics[0]
    assert diagnostic.code is Code.UNKNOWN_START
    assert "did you mean `start`?" in (diagnostic.help or "")


def test_each_start_has_facts_of_its_own() -> None:
    bnf = _bnf('start: a\na: "x"\nother: a b\nb: "y" b | "z"\n')
    assert analyze_grammar(bnf, "start").unreachable == ("other", "b")
    assert analyze_grammar(bnf, "other").unreachable == ("start",)
    assert analyze_grammar(bnf, "start").is_finite
    assert not analyze_grammar(bnf, "other").is_finite


def test_long_chains_need_no_recursion() -> None:
    """Thousands of rules in a row, and back: nothing here is as deep as the grammar."""
    number = 2000
    lines = ["start: r0"] + [f"r{i}: r{i + 1} | A" for i in range(number)] + [f"r{number}: r0 | A", 'A: "x" | "y"']
    facts = _facts("\n".join(lines) + "\n")
    assert len(facts.cyclic) == 1
    assert len(facts.cyclic[0]) == number + 1


def test_every_small_unit_grammar() -> None:
    """All grammars of three rules with two alternatives each, empty or one rule, besides a terminal."""
    options = ["", "start", "p", "q"]
    for choices in product(options, repeat=3):
        text = "".join(f'{name}: "x" | {choice}\n' for name, choice in zip(("start", "p", "q"), choices, strict=True))
        facts = _facts(text)
        assert {n for cycle in facts.cyclic for n in cycle} == _derives_itself(facts.trimmed, set(facts.nullable))
