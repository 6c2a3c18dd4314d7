"""Facts about a grammar and one of its starts: what can end, what is reached, what is empty, what repeats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.language.components import find_components
from dslc.language.grammar import BnfGrammar, BnfRule, Production, RuleUse, TerminalUse


@dataclass(frozen=True)
class Facts:
    """What holds of a grammar seen from one start."""

    start: str
    trimmed: BnfGrammar
    """Productive alternatives of reachable rules only; `Production.choice` keeps the index as written."""
    nullable: frozenset[str]
    """Rules of `trimmed` that derive the empty text."""
    unproductive: tuple[str, ...]
    """Rules of the whole grammar, helpers not counted, that derive no text, in order of writing."""
    unreachable: tuple[str, ...]
    """Productive rules, helpers not counted, that no sentence of this start uses, in order of writing."""
    cyclic: tuple[tuple[str, ...], ...]
    """Sets of rules of `trimmed` that derive just themselves, each in order of writing."""
    recursive: frozenset[str]
    """Rules of `trimmed` that contain themselves."""
    is_finite: bool
    """No rule of `trimmed` contains itself."""


def analyze_grammar(bnf: BnfGrammar, start: str) -> Facts:
    """Facts about `bnf` from `start`.

    Raises:
        DslcError: DSLC201 if there is no such rule, DSLC321 if it derives no text.

    Example:
        >>> from dslc.language.normalize import normalize_grammar
        >>> from dslc.language.read import read_grammar
        >>> from dslc.source import SourceFile
        >>> bnf = normalize_grammar(read_grammar(SourceFile("a.lark", 'start: "(" start ")" |\\n'))[0])
        >>> facts = analyze_grammar(bnf, "start")
        >>> facts.is_finite, sorted(facts.nullable)
        (False, ['start'])
    """
    rules = bnf.rule_by_name
    if start not in rules:
        names = [rule.name for rule in bnf.rules if rule.helper is None]
        near = get_close_matches(start, names, n=1)
        raise DslcError(
            Diagnostic(
                Code.UNKNOWN_START,
                Severity.ERROR,
                f"the grammar has no rule `{start}` to start from",
                help=f"did you mean `{near[0]}`?"
                if near
                else "its rules are " + ", ".join(f"`{name}`" for name in names),
            )
        )
    productive = _productive_rules(bnf)
    unproductive = tuple(rule.name for rule in bnf.rules if rule.name not in productive and rule.helper is None)
    if start not in productive:
        raise DslcError(
            Diagnostic(
                Code.EMPTY_LANGUAGE,
                Severity.ERROR,
                f"rule `{start}` describes no sentence: every alternative needs a rule that can never end",
                rules[start].span,
                "give one of these rules an alternative without the others: "
                + ", ".join(f"`{name}`" for name in unproductive),
            )
        )
    kept = _productive_alternatives(bnf, productive)
    edges = _rule_edges(kept)
    reached = _reach([start], edges)
    trimmed = _trim(bnf, kept, reached)
    nullable = _nullable_rules(trimmed)
    trimmed_edges = {rule.name: edges[rule.name] for rule in trimmed.rules}
    units = {rule.name: _unit_rules(rule, nullable) for rule in trimmed.rules}
    recursive = frozenset(name for cycle in _cycles(trimmed_edges) for name in cycle)
    return Facts(
        start,
        trimmed,
        nullable,
        unproductive,
        tuple(r.name for r in bnf.rules if r.helper is None and r.name in productive and r.name not in reached),
        _cycles(units),
        recursive,
        not recursive,
    )


def reachable_rules(bnf: BnfGrammar, starts: Iterable[str]) -> frozenset[str]:
    """Rules that some sentence of one of the starts is made with; starts that have none do not count."""
    productive = _productive_rules(bnf)
    edges = _rule_edges(_productive_alternatives(bnf, productive))
    return frozenset(_reach([start for start in starts if start in productive], edges))


def _productive_alternatives(bnf: BnfGrammar, productive: frozenset[str]) -> dict[str, tuple[Production, ...]]:
    return {
        rule.name: tuple(p for p in rule.productions if all(name in productive for name in _rule_names(p)))
        for rule in bnf.rules
    }


def _rule_edges(productions_by_rule: Mapping[str, tuple[Production, ...]]) -> dict[str, tuple[str, ...]]:
    """The rules that each rule names, each once."""
    return {
        name: _unique(n for production in productions for n in _rule_names(production))
        for name, productions in productions_by_rule.items()
    }


def _rule_names(production: Production) -> list[str]:
    return [symbol.name for symbol in production.symbols if isinstance(symbol, RuleUse)]


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _saturate(counts: Iterable[tuple[str, Production, int]]) -> frozenset[str]:
    """Rules that have an alternative whose rules all are in the set already; least fixpoint, linear in the grammar."""
    waiting: dict[str, list[int]] = {}
    missing: list[int] = []
    owners: list[str] = []
    queue: list[str] = []
    for owner, production, blockers in counts:
        names = set(_rule_names(production))
        index = len(missing)
        missing.append(len(names) + blockers)
        owners.append(owner)
        for name in names:
            waiting.setdefault(name, []).append(index)
        if missing[index] == 0:
            queue.append(owner)
    found: set[str] = set()
    while queue:
        name = queue.pop()
        if name in found:
            continue
        found.add(name)
        for index in waiting.get(name, ()):
            missing[index] -= 1
            if missing[index] == 0:
                queue.append(owners[index])
    return frozenset(found)


def _productive_rules(bnf: BnfGrammar) -> frozenset[str]:
    return _saturate((rule.name, production, 0) for rule in bnf.rules for production in rule.productions)


def _nullable_rules(bnf: BnfGrammar) -> frozenset[str]:
    # No terminal matches the empty text, so a terminal blocks its production for good.
    return _saturate(
        (
            (rule.name, production, sum(isinstance(s, TerminalUse) for s in production.symbols))
            for rule in bnf.rules
            for production in rule.productions
        ),
    )


def _reach(roots: Iterable[str], edges: Mapping[str, tuple[str, ...]]) -> set[str]:
    reached = set(roots)
    queue = list(reached)
    while queue:
        for name in edges[queue.pop()]:
            if name not in reached:
                reached.add(name)
                queue.append(name)
    return reached


def _trim(bnf: BnfGrammar, kept: Mapping[str, tuple[Production, ...]], reached: set[str]) -> BnfGrammar:
    rules = tuple(replace(rule, productions=kept[rule.name]) for rule in bnf.rules if rule.name in reached)
    used = {
        symbol.name
        for rule in rules
        for production in rule.productions
        for symbol in production.symbols
        if isinstance(symbol, TerminalUse)
    }
    terminals = tuple(terminal for terminal in bnf.terminals if terminal.name in used)
    return BnfGrammar(bnf.file, rules, terminals, bnf.ignores_blank)


def _unit_rules(rule: BnfRule, nullable: frozenset[str]) -> tuple[str, ...]:
    """Rules that alone can make up all the text of `rule`."""
    found: dict[str, None] = {}
    for production in rule.productions:
        if any(isinstance(symbol, TerminalUse) for symbol in production.symbols):
            continue
        names = _rule_names(production)
        solid = [name for name in names if name not in nullable]
        if len(solid) == 1:
            found[solid[0]] = None
        elif not solid:
            found.update(dict.fromkeys(names))
    return tuple(found)


def _cycles(edges: Mapping[str, tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    """Strongly connected components that hold an edge, each in the order of `edges`."""
    order = {name: position for position, name in enumerate(edges)}
    components = [
        tuple(sorted(component, key=order.__getitem__))
        for component in find_components(edges)
        if len(component) > 1 or component[0] in edges[component[0]]
    ]
    return tuple(sorted(components, key=lambda component: order[component[0]]))
