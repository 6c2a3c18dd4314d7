"""A grammar over atoms: what its texts are made of, so that two texts are equal where their atoms are.

An atom is a literal where texts can be cut into literals in one way only: rendering separates them, or they form a
code. Else it is a character. Literals that the same terminals have, in the same number, are one atom: they are
exchangeable.
"""

from __future__ import annotations

from dataclasses import dataclass

from dslc.language.codes import is_code, splits_into_words
from dslc.language.grammar import BnfGrammar, RuleUse, Terminal

Symbol = int
"""An atom (0 or more), or a rule as `~number`."""
_Strings = dict[str, list[tuple[str, ...]]]
"""By terminal, its literals as strings of words that are to be atoms."""


@dataclass(frozen=True, slots=True)
class AtomGrammar:
    """Rules by number: those of the grammar first, then one for each terminal that is not a fixed string of atoms."""

    rules: tuple[tuple[tuple[Symbol, ...], ...], ...]
    start: int
    spelling: tuple[str, ...]
    """Text of each atom."""
    joiner: str
    """What stands between two atoms in a rendered text."""
    is_exact: bool
    """True if equal atoms are equal rendered texts and the other way round; else equal texts have equal atoms, no
    more.
    """

    @property
    def num_atoms(self) -> int:
        """Number of atoms."""
        return len(self.spelling)


def make_atom_grammar(bnf: BnfGrammar, start: str) -> AtomGrammar:
    """The grammar with the largest atoms that never hide an ambiguity: one without is proof that `bnf` has none."""
    terminals = used_terminals(bnf)
    folded = any(literal.ignore_case for terminal in terminals for literal in terminal.literals)
    written = {literal.text for terminal in terminals for literal in terminal.literals}
    strings = {text: _canonical(text, bnf.ignores_blank, folded) for text in sorted(written)}
    distinct = set(strings.values())
    keeps_apart = len(distinct) == len(written)
    is_separated = bnf.ignores_blank and not any(" " in text or not text for text in written)
    if is_separated:
        is_separated = not any(splits_into_words(word, distinct) for word in distinct)
    if is_separated or is_code(distinct):
        words: _Strings = {
            terminal.name: [(strings[literal.text],) for literal in terminal.literals] for terminal in terminals
        }
        first_written = {strings[text]: text for text in sorted(written, reverse=True)}
        return _build(bnf, start, _collapse(words), first_written, bnf.joiner, keeps_apart)
    letters: _Strings = {
        terminal.name: [tuple(strings[literal.text]) for literal in terminal.literals] for terminal in terminals
    }
    return _build(bnf, start, letters, {}, "", not folded and not bnf.ignores_blank)


def make_literal_grammar(bnf: BnfGrammar, start: str) -> AtomGrammar:
    """The grammar with one atom for each text of a literal: it lists all rendered texts, but equal texts can have
    other atoms.
    """
    words: _Strings = {
        terminal.name: [(literal.text,) for literal in terminal.literals] for terminal in used_terminals(bnf)
    }
    return _build(bnf, start, words, {}, bnf.joiner, False)


def _canonical(text: str, ignores_blank: bool, folded: bool) -> str:
    if ignores_blank:
        text = text.replace(" ", "")
    if folded:  # the two dotted and dotless letters are the only ones that `re` equates and case folding does not
        text = text.casefold().replace("i\u0307", "i").replace("\u0131", "i")
    return text


def _collapse(words: _Strings) -> _Strings:
    """One word for all that the same terminals have equally often."""
    holders: dict[tuple[str, ...], list[str]] = {}
    for name, options in words.items():
        for word in options:
            holders.setdefault(word, []).append(name)
    chosen: dict[tuple[str, ...], tuple[str, ...]] = {}
    for word, names in holders.items():
        chosen.setdefault(tuple(names), word)
    collapsed = {}
    for name, options in words.items():
        kept = {chosen[tuple(holders[word])]: options.count(word) for word in options}
        collapsed[name] = [word for word, times in kept.items() for _ in range(times)]
    return collapsed


def _build(
    bnf: BnfGrammar,
    start: str,
    strings: _Strings,
    spelling: dict[str, str],
    joiner: str,
    is_exact: bool,
) -> AtomGrammar:
    """Number the atoms in order of terminals, and put terminals with one string in the place of their uses."""
    atom_by_word: dict[str, int] = {}
    terminal_rules: list[tuple[tuple[Symbol, ...], ...]] = []
    uses: dict[str, tuple[Symbol, ...]] = {}
    for name, options_as_words in strings.items():
        options = tuple(
            tuple(atom_by_word.setdefault(word, len(atom_by_word)) for word in string) for string in options_as_words
        )
        uses[name] = options[0] if len(options) == 1 else (~(len(bnf.rules) + len(terminal_rules)),)
        if len(options) > 1:
            terminal_rules.append(options)
    number = {rule.name: index for index, rule in enumerate(bnf.rules)}
    rules = []
    for rule in bnf.rules:
        productions = []
        for production in rule.productions:
            symbols: list[Symbol] = []
            for symbol in production.symbols:
                symbols.extend((~number[symbol.name],) if isinstance(symbol, RuleUse) else uses[symbol.name])
            productions.append(tuple(symbols))
        rules.append(tuple(productions))
    return AtomGrammar(
        (*rules, *terminal_rules),
        number[start],
        tuple(spelling.get(word, word) for word in atom_by_word),
        joiner,
        is_exact,
    )


def used_terminals(bnf: BnfGrammar) -> tuple[Terminal, ...]:
    """The terminals that some rule uses."""
    used = {symbol.name for rule in bnf.rules for production in rule.productions for symbol in production.symbols}
    return tuple(terminal for terminal in bnf.terminals if terminal.name in used)
