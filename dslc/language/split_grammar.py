"""A grammar whose rules are told apart by context: what inherited constraints leave of it, as a plain grammar."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.language.analyze import Facts, analyze_grammar
from dslc.language.contexts import Context, Contexts
from dslc.language.grammar import BnfGrammar, BnfRule, Production, RuleUse, Symbol, Terminal
from dslc.language.reading import Expand, Reading, Scan

MAX_SPLIT_RULES = 16_384
"""Most pairs of a rule and a context."""


@dataclass(frozen=True)
class SplitGrammar:
    """The grammar of the trees that inherited constraints allow, and how it maps to the one they were stated for."""

    start: str
    """Name of the start rule in the first context."""
    facts: Facts | None
    """Of the split grammar; None if no sentence is left."""
    rule_names: dict[str, str]
    """Rule of the trimmed grammar, by rule of this one."""
    terminals: dict[str, tuple[str, tuple[int, ...]]]
    """Terminal of the trimmed grammar and which of its literals are left, by terminal of this one."""
    contexts: dict[str, tuple[Context, ...]]
    """Contexts of each rule of the trimmed grammar that some tree reaches, those that lead nowhere included."""

    @property
    def grammar(self) -> BnfGrammar:
        """Productive alternatives of reachable rules only; `Production.choice` counts the trimmed grammar's."""
        assert self.facts is not None, "the language is not empty"
        return self.facts.trimmed


def unsplit_reading(split: SplitGrammar, reading: Reading) -> Reading:
    """A reading of a split grammar as one of the grammar that was split."""
    rules = split.grammar.rule_by_name
    steps: list[Expand | Scan] = []
    for step in reading:
        if isinstance(step, Scan):
            name, literals = split.terminals[step.terminal]
            steps.append(Scan(name, literals[step.literal], step.start))
        else:
            production = rules[step.rule].productions[step.production]
            steps.append(Expand(split.rule_names[step.rule], production.choice))
    return tuple(steps)


def split_grammar(trimmed: BnfGrammar, start: str, contexts: Contexts) -> SplitGrammar:
    """The rules of a trimmed grammar in each context that is reached from `start`.

    The first context of a rule keeps its name, others are `name@2` and so on; so are terminals with fewer literals.

    Raises:
        DslcError: DSLC332 if there are too many, naming the constraint that multiplied them.
    """
    rules = trimmed.rule_by_name
    names: dict[tuple[str, Context], str] = {}
    reached: dict[str, list[Context]] = {}
    order: list[tuple[str, Context]] = []
    terminals: dict[str, tuple[str, tuple[int, ...]]] = {}
    terminal_names: dict[tuple[str, tuple[int, ...]], str] = {}
    counts: dict[str, int] = {}

    def find_rule(name: str, context: Context) -> str:
        key = (name, contexts.project(name, context))
        if key not in names:
            of_rule = reached.setdefault(name, [])
            of_rule.append(key[1])
            names[key] = name if len(of_rule) == 1 else f"{name}@{len(of_rule)}"
            order.append(key)
        return names[key]

    def find_terminal(name: str, literals: tuple[int, ...]) -> str:
        key = (name, literals)
        if key not in terminal_names:
            if len(literals) == len(trimmed.terminal_by_name[name].literals):
                terminal_names[key] = name
            else:
                counts[name] = counts.get(name, 1) + 1
                terminal_names[key] = f"{name}@{counts[name]}"
            terminals[terminal_names[key]] = key
        return terminal_names[key]

    find_rule(start, contexts.initial)
    split: list[BnfRule] = []
    for name, context in order:  # grows while it is walked
        productions = []
        for i, production in enumerate(rules[name].productions):
            inner = contexts.enter(name, i, context)
            if inner is None:
                continue
            symbols: list[Symbol] = []
            is_possible = True
            for symbol in production.symbols:
                if isinstance(symbol, RuleUse):
                    symbols.append(replace(symbol, name=find_rule(symbol.name, inner)))
                    continue
                literals = contexts.literals(symbol.name, inner)
                is_possible = is_possible and bool(literals)
                if literals:
                    symbols.append(replace(symbol, name=find_terminal(symbol.name, literals)))
            if is_possible:
                productions.append(Production(tuple(symbols), production.alias, production.nones, i, production.span))
        rule = rules[name]
        split.append(
            replace(rule, name=names[name, context], productions=tuple(productions), label=rule.label or rule.name)
        )
        if len(order) > MAX_SPLIT_RULES:
            raise too_many_contexts(contexts, [each for _, each in order], start)
    left = tuple(
        Terminal(
            name,
            tuple(trimmed.terminal_by_name[written].literals[i] for i in literals),
            trimmed.terminal_by_name[written].is_anonymous,
            trimmed.terminal_by_name[written].span,
            trimmed.terminal_by_name[written].is_regex,
        )
        for name, (written, literals) in terminals.items()
    )
    bnf = BnfGrammar(trimmed.file, tuple(split), left, trimmed.ignores_blank)
    first = names[start, contexts.project(start, contexts.initial)]
    try:
        facts = analyze_grammar(bnf, first)
    except DslcError:
        facts = None
    return SplitGrammar(
        first,
        facts,
        {split_name: written for (written, _), split_name in names.items()},
        terminals,
        {name: tuple(of_rule) for name, of_rule in reached.items()},
    )


def too_many_contexts(contexts: Contexts, found: list[Context], start: str) -> DslcError:
    """The error of constraints that split the rules of a grammar into too many."""
    constraint = contexts.name_multiplier(found)
    return DslcError(
        Diagnostic(
            Code.CONSTRAINTS_TOO_LARGE,
            Severity.ERROR,
            f"the constraints split the rules of `{start}` into more than {MAX_SPLIT_RULES}: "
            f"`{constraint}` multiplies them most",
            constraint.span,
            "state fewer constraints, or a smaller depth",
        )
    )
