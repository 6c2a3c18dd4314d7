"""A text with two derivations, the shortest where the search is not cut off."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.language.atoms import AtomGrammar, make_literal_grammar
from dslc.language.earley import TextParser
from dslc.language.enumerate_texts import TextTable, longest_text
from dslc.language.forest import extract_readings
from dslc.language.grammar import BnfGrammar
from dslc.language.reading import Reading


@dataclass(frozen=True, slots=True)
class Witness:
    """A text and two of its readings."""

    text: str
    first: Reading
    second: Reading
    is_shortest: bool
    """True if no sentence of fewer atoms (literals, or characters where texts cannot be cut into literals) is
    ambiguous.
    """


@dataclass(frozen=True, slots=True)
class WitnessSearch:
    """What listing the shortest texts found."""

    witness: Witness | None
    is_complete: bool
    """True if every sentence was looked at."""


def search_witness(
    bnf: BnfGrammar, start: str, grammar: AtomGrammar, *, max_work: int, max_parses: int
) -> WitnessSearch:
    """A shortest ambiguous sentence.

    Where equal atoms are not equal texts, sentences are parsed one by one instead of counted. A rule whose texts are
    found ambiguous although no sentence within reach is gives a witness too: that text inside a shortest sentence
    around it.

    Args:
        bnf: a grammar of productive, reachable rules.
        start: its start.
        grammar: the same grammar over atoms.
        max_work: most concatenations of two texts.
        max_parses: most sentences that are parsed.
    """
    if not grammar.is_exact:
        return _parse_texts(bnf, start, max_work=max_work, max_parses=max_parses)
    table = TextTable(grammar, max_work)
    longest = longest_text(grammar)
    inner: str | None = None
    while (longest is None or table.length < longest) and table.extend():
        found = _first_ambiguous(table, grammar.start)
        if found is not None:
            return WitnessSearch(_make_witness(bnf, start, grammar, found, is_shortest=True), True)
        if inner is None:
            inner = _embed_ambiguous_text(table)
        if inner is not None and len(inner) <= table.length + 1:
            return WitnessSearch(_make_witness(bnf, start, grammar, inner, is_shortest=True), False)
    if inner is not None:
        return WitnessSearch(_make_witness(bnf, start, grammar, inner, is_shortest=False), False)
    return WitnessSearch(None, longest is not None and table.length >= longest)


def embed_text(grammar: AtomGrammar, rule: int, text: str | None = None) -> str:
    """A shortest sentence in which `rule` derives `text` (or its shortest text), as a string of one character an atom."""
    shortest = _shortest_texts(grammar)
    around: dict[int, tuple[str, str]] = {grammar.start: ("", "")}
    changed = True
    while changed:
        changed = False
        for number, productions in enumerate(grammar.rules):
            if number not in around:
                continue
            left, right = around[number]
            for production in productions:
                words = [chr(symbol) if symbol >= 0 else shortest[~symbol] for symbol in production]
                for place, symbol in enumerate(production):
                    if symbol >= 0:
                        continue
                    context = (left + "".join(words[:place]), "".join(words[place + 1 :]) + right)
                    known = around.get(~symbol)
                    if known is None or sum(map(len, context)) < sum(map(len, known)):
                        around[~symbol] = context
                        changed = True
    left, right = around[rule]
    return left + (shortest[rule] if text is None else text) + right


def make_cycle_witness(bnf: BnfGrammar, start: str, rule: int) -> Witness:
    """A sentence through a rule that derives just itself."""
    grammar = make_literal_grammar(bnf, start)
    return _make_witness(bnf, start, grammar, embed_text(grammar, rule), is_shortest=False)


def _first_ambiguous(table: TextTable, rule: int) -> str | None:
    return min((text for text, times in table.texts[rule].get(table.length, {}).items() if times > 1), default=None)


def _embed_ambiguous_text(table: TextTable) -> str | None:
    for rule in range(len(table.grammar.rules)):
        found = _first_ambiguous(table, rule)
        if found is not None:
            return embed_text(table.grammar, rule, found)
    return None


def _shortest_texts(grammar: AtomGrammar) -> dict[int, str]:
    shortest: dict[int, str] = {}
    changed = True
    while changed:
        changed = False
        for number, productions in enumerate(grammar.rules):
            for production in productions:
                if any(symbol < 0 and ~symbol not in shortest for symbol in production):
                    continue
                text = "".join(chr(symbol) if symbol >= 0 else shortest[~symbol] for symbol in production)
                if number not in shortest or len(text) < len(shortest[number]):
                    shortest[number] = text
                    changed = True
    return shortest


def _make_witness(bnf: BnfGrammar, start: str, grammar: AtomGrammar, atoms: str, *, is_shortest: bool) -> Witness:
    text = grammar.joiner.join(grammar.spelling[ord(atom)] for atom in atoms)
    readings = extract_readings(TextParser(bnf, start).parse(text))
    assert readings.second is not None, "a text counted twice has two readings"
    return Witness(text, readings.first, readings.second, is_shortest)


def _parse_texts(bnf: BnfGrammar, start: str, *, max_work: int, max_parses: int) -> WitnessSearch:
    grammar = make_literal_grammar(bnf, start)
    parser = TextParser(bnf, start)
    table = TextTable(grammar, max_work)
    longest = longest_text(grammar)
    num_parses = 0
    while (longest is None or table.length < longest) and table.extend():
        for atoms in sorted(table.texts[grammar.start].get(table.length, {})):
            num_parses += 1
            if num_parses > max_parses:
                return WitnessSearch(None, False)
            text = grammar.joiner.join(grammar.spelling[ord(atom)] for atom in atoms)
            readings = extract_readings(parser.parse(text))
            if readings.second is not None:
                return WitnessSearch(Witness(text, readings.first, readings.second, True), True)
    return WitnessSearch(None, longest is not None and table.length >= longest)
