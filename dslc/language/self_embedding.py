"""Rules that stand inside themselves with text on both sides: without one, a grammar's language is regular."""

from __future__ import annotations

from dslc.language.grammar import BnfGrammar, Symbol, TerminalUse


def find_self_embedding(trimmed: BnfGrammar) -> tuple[str, ...]:
    """Rules that derive themselves with text before and text after, in order of writing, helpers included.

    If there are none the language is regular; if there are some it may be regular all the same. `trimmed` must hold
    productive and reachable rules only.

    Source:
        Chomsky 1959, On certain formal properties of grammars, theorem 11.

    Example:
        >>> from dslc.language.analyze import analyze_grammar
        >>> from dslc.language.normalize import normalize_grammar
        >>> from dslc.language.read import read_grammar
        >>> from dslc.source import SourceFile
        >>> text = 'start: list | nest\\nlist: "a" list | "b"\\nnest: "(" nest ")" | "c"\\n'
        >>> bnf = normalize_grammar(read_grammar(SourceFile("a.lark", text))[0])
        >>> find_self_embedding(analyze_grammar(bnf, "start").trimmed)
        ('nest',)
    """
    with_text = _rules_with_text(trimmed)

    def has_text(symbols: tuple[Symbol, ...]) -> bool:
        return any(
            any(literal.text for literal in trimmed.terminal_by_name[symbol.name].literals)
            if isinstance(symbol, TerminalUse)
            else symbol.name in with_text
            for symbol in symbols
        )

    edges: dict[str, list[tuple[str, bool, bool]]] = {rule.name: [] for rule in trimmed.rules}
    for rule in trimmed.rules:
        for production in rule.productions:
            for place, symbol in enumerate(production.symbols):
                if not isinstance(symbol, TerminalUse):
                    before, after = production.symbols[:place], production.symbols[place + 1 :]
                    edges[rule.name].append((symbol.name, has_text(before), has_text(after)))
    return tuple(name for name in edges if _embeds_itself(name, edges))


def _rules_with_text(trimmed: BnfGrammar) -> set[str]:
    """Rules that derive some text that is not empty."""
    found: set[str] = set()
    grew = True
    while grew:
        grew = False
        for rule in trimmed.rules:
            if rule.name not in found and any(
                symbol.name in found
                if not isinstance(symbol, TerminalUse)
                else any(literal.text for literal in trimmed.terminal_by_name[symbol.name].literals)
                for production in rule.productions
                for symbol in production.symbols
            ):
                found.add(rule.name)
                grew = True
    return found


def _embeds_itself(name: str, edges: dict[str, list[tuple[str, bool, bool]]]) -> bool:
    """Whether a way of at least one step leads from the rule back to it with text on both sides."""
    seen: set[tuple[str, bool, bool]] = set()
    stack = list(edges[name])
    while stack:
        state = stack.pop()
        if state in seen:
            continue
        seen.add(state)
        if state == (name, True, True):
            return True
        rule, before, after = state
        stack.extend((target, before or left, after or right) for target, left, right in edges[rule])
    return False
