"""A text with two derivations, a shortest one where the search is not cut off."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.language.atoms import AtomGrammar, make_literal_grammar
from dslc.language.earley import TextParser
from dslc.language.enumerate_texts import TextTable, longest_text
from dslc.language.forest import extract_readings
from dslc.language.grammar import BnfGrammar
from dslc.language.reading import Reading
from dslc.language.visible import find_visible_pair

MAX_LOOKS = 16
"""Most ambiguous sentences that are looked at for two trees that look different."""
MAX_CHART_ITEMS = 20_000
"""Limit of work of all parses of one search: items in their charts; at least one sentence is parsed."""


@dataclass(frozen=True, slots=True)
class Witness:
    """A text and two of its readings.

    Their trees look different to a user where such a text was found; else they differ in operators only, as the two
    readings of "x" do under `"x"? "x"?`.
    """

    text: str
    first: Reading
    second: Reading
    is_visible: bool
    """True if the trees look different."""
    is_shortest: bool
    """True if no sentence of fewer atoms has two readings (that look different, if these do). An atom is a literal,
    or a character where texts cannot be cut into literals in one way.
    """


@dataclass(frozen=True, slots=True)
class WitnessSearch:
    """What listing the shortest texts found."""

    witness: Witness | None
    is_complete: bool
    """True if there is a witness, or every sentence was looked at."""


def search_witness(
    bnf: BnfGrammar, start: str, grammar: AtomGrammar, *, max_work: int, max_parses: int
) -> WitnessSearch:
    """A shortest ambiguous sentence, one whose trees look different before all others.

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
    listed = grammar if grammar.is_exact else make_literal_grammar(bnf, start)
    table = TextTable(listed, max_work)
    longest = longest_text(listed)
    looks = _Looks(bnf, start, listed)
    inner: str | None = None
    num_parses = 0
    while (longest is None or table.length < longest) and table.extend():
        for atoms, times in sorted(table.texts[listed.start].get(table.length, {}).items()):
            if times == 1 and grammar.is_exact:
                continue
            num_parses += 1
            if num_parses > max_parses or looks.num_items > MAX_CHART_ITEMS:
                if looks.first is None and inner is not None:
                    looks.look(inner, is_shortest=False)
                return WitnessSearch(looks.first, looks.first is not None)
            if looks.look(atoms, is_shortest=True):
                return WitnessSearch(looks.best, True)
        if inner is None:
            inner = _embed_ambiguous_text(table)
        if looks.number >= MAX_LOOKS or (inner is not None and looks.first is None and len(inner) <= table.length + 1):
            break
    is_complete = longest is not None and table.length >= longest
    if looks.first is None and inner is not None:
        looks.look(inner, is_shortest=len(inner) <= table.length + 1)
    return WitnessSearch(looks.best or looks.first, is_complete or looks.first is not None)


@dataclass(slots=True)
class _Looks:
    """The sentences that were parsed: the first with two readings, and the first whose trees look different."""

    bnf: BnfGrammar
    start: str
    grammar: AtomGrammar
    number: int = 0
    num_items: int = 0
    first: Witness | None = None
    best: Witness | None = None
    parser: TextParser | None = None

    def look(self, atoms: str, *, is_shortest: bool) -> bool:
        """Parse a sentence; True if it has two trees that look different."""
        self.parser = self.parser or TextParser(self.bnf, self.start)
        text = self.grammar.joiner.join(self.grammar.spelling[ord(atom)] for atom in atoms)
        chart = self.parser.parse(text)
        self.num_items += chart.num_items
        readings = extract_readings(chart)
        if readings.second is None:
            assert not self.grammar.is_exact, "a text counted twice has two readings"
            return False
        self.number += 1
        pair = find_visible_pair(chart, readings)
        if pair is not None:
            self.best = Witness(text, *pair, is_visible=True, is_shortest=is_shortest)
        if self.first is None:
            second = readings.second
            self.first = self.best or Witness(text, readings.first, second, is_visible=False, is_shortest=is_shortest)
        return pair is not None


def embed_text(grammar: AtomGrammar, rule: int, text: str | None = None) -> str:
    """A shortest sentence in which `rule` derives `text`, or its shortest; a string of one character an atom."""
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
    looks = _Looks(bnf, start, grammar)
    looks.look(embed_text(grammar, rule), is_shortest=False)
    assert looks.first is not None, "a sentence through a cycle has endless readings"
    return looks.first


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
