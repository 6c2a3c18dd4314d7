"""Terminals that share a text and can stand at one place, where a reader of the text cannot tell which it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dslc.language.atoms import AtomGrammar, used_terminals
from dslc.language.grammar import BnfGrammar, Literal, RuleUse, Terminal
from dslc.language.lr1 import DotTables, Kernel, close_kernel
from dslc.language.shortest_texts import ShortestTexts, plain_moves

MAX_ITEMS = 20_000
"""Limit of work: items of all states; past it the states of one core are merged, as lark does, and the limit anew."""
MAX_TEXT_WORK = 20_000
"""Limit of work of making the text before a place."""


@dataclass(frozen=True, slots=True)
class SharedText:
    """Two terminals with one text, and a place where both can stand."""

    first: Terminal
    second: Terminal
    literal: Literal
    """Of the second; the first has it too, in some spelling."""
    before: str | None
    """A text after which both can come; None if making one was too much work."""

    @property
    def of_first(self) -> Literal:
        """The literal of the first terminal."""
        return next(each for each in self.first.literals if are_equal(each, self.literal))


def are_equal(one: Literal, other: Literal) -> bool:
    """Whether some text is read as either literal."""
    if one.ignore_case or other.ignore_case:
        return one.text.casefold() == other.text.casefold()
    return one.text == other.text


def find_shared_texts(bnf: BnfGrammar, start: str) -> tuple[SharedText, ...]:
    """Each two terminals that share a literal and can both come next after some beginning, with one such literal.

    Both come next if an LR(1) parser has a state in which it takes either.

    Args:
        bnf: a grammar of productive, reachable rules.
        start: name of its start rule.

    Example:
        >>> from dslc.language.grammar import BnfRule, Production, TerminalUse
        >>> from dslc.source import SourceFile
        >>> rule = BnfRule("start", (Production((TerminalUse("A"),)), Production((TerminalUse("B"),))))
        >>> terminals = (Terminal("A", (Literal("x"),)), Terminal("B", (Literal("x"), Literal("y"))))
        >>> (found,) = find_shared_texts(BnfGrammar(SourceFile("a.lark", ""), (rule,), terminals), "start")
        >>> found.first.name, found.second.name, found.literal.text
        ('A', 'B', 'x')
    """
    terminals = used_terminals(bnf)
    pairs = _equal_pairs(terminals)
    if not pairs:
        return ()
    tables = DotTables(_terminals_as_atoms(bnf, terminals, start))
    # Copies of one terminal, such as those of a template, are told apart by name.
    wanted = {(1 << i | 1 << j): (i, j) for i, j in pairs}
    paths = _places(tables, wanted, merge=False)
    if paths is None:
        paths = _places(tables, wanted, merge=True) or {}
    texts = ShortestTexts(bnf, plain_moves(bnf), max_work=MAX_TEXT_WORK)
    return tuple(
        SharedText(terminals[i], terminals[j], pairs[i, j], _write(bnf, texts, terminals, paths[bits]))
        for bits, (i, j) in wanted.items()
        if bits in paths
    )


def _equal_pairs(terminals: tuple[Terminal, ...]) -> dict[tuple[int, int], Literal]:
    """Numbers of two terminals with a literal of the second that the first has too."""
    holders: dict[str, list[tuple[int, Literal]]] = {}
    for number, terminal in enumerate(terminals):
        for literal in terminal.literals:
            holders.setdefault(literal.text.casefold(), []).append((number, literal))
    pairs: dict[tuple[int, int], Literal] = {}
    for found in holders.values():
        for place, (number, literal) in enumerate(found):
            for earlier, other in found[:place]:
                if earlier < number and are_equal(other, literal):
                    pairs.setdefault((earlier, number), literal)
    return dict(sorted(pairs.items()))


def _terminals_as_atoms(bnf: BnfGrammar, terminals: tuple[Terminal, ...], start: str) -> AtomGrammar:
    atom = {terminal.name: number for number, terminal in enumerate(terminals)}
    rule_number = {rule.name: number for number, rule in enumerate(bnf.rules)}
    rules = tuple(
        tuple(
            tuple(~rule_number[s.name] if isinstance(s, RuleUse) else atom[s.name] for s in production.symbols)
            for production in rule.productions
        )
        for rule in bnf.rules
    )
    names = tuple(terminal.name for terminal in terminals)
    return AtomGrammar(rules, rule_number[start], names, bnf.joiner, is_exact=False)


_Path = tuple["_Path", int] | None
"""Symbols on the way to a state, the last first."""


def _places(tables: DotTables, wanted: Iterable[int], *, merge: bool) -> dict[int, _Path] | None:
    """For each pair of terminals that some state takes, the way to the first such state; None past the limit."""
    start: Kernel = {tables.first_dots[-1][0]: tables.end}
    known: dict[object, Kernel] = {}
    work: list[tuple[Kernel, _Path]] = [(start, None)]
    found: dict[int, _Path] = {}
    missing = set(wanted)
    done = 0
    for kernel, path in work:  # grows while it is walked: shortest ways first
        items = close_kernel(tables, kernel)
        done += len(items)
        if done > MAX_ITEMS:
            return None
        taken = 0
        targets: dict[int, Kernel] = {}
        for dot, follow in items.items():
            symbol = tables.symbols[dot]
            if symbol is None:
                taken |= follow
                continue
            taken |= 1 << symbol if symbol >= 0 else 0
            targets.setdefault(symbol, {})[dot + 1] = follow
        for bits in [bits for bits in missing if bits & taken == bits]:
            missing.discard(bits)
            found[bits] = path
        if not missing:
            break
        for symbol, target in targets.items():
            key: object = frozenset(target) if merge else frozenset(target.items())
            seen = known.get(key)
            if seen is None:
                known[key] = dict(target)
            elif any(follow & ~seen[dot] for dot, follow in target.items()):
                for dot, follow in target.items():
                    seen[dot] |= follow
                target = dict(seen)
            else:
                continue
            work.append((target, (path, symbol)))
    return found


def _write(bnf: BnfGrammar, texts: ShortestTexts, terminals: tuple[Terminal, ...], path: _Path) -> str | None:
    literals: list[str] = []
    symbols: list[int] = []
    while path is not None:
        path, symbol = path
        symbols.append(symbol)
    for symbol in reversed(symbols):
        if symbol >= 0:
            literals.append(texts.moves[terminals[symbol].name][0][0])
            continue
        words = texts.find(bnf.rules[~symbol].name, 0, 0)
        if words is None:
            return None
        literals.extend(words)
    return bnf.joiner.join(literals)
