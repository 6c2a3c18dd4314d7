"""From the grammar as written to BNF, with one helper rule in each operator's place.

Alternatives of a helper are always in the order *go on*, then *stop*: choice 0 takes the item, choice 1 is empty.

    x?        h: x | <empty>
    [x]       h: x | <empty, with Nones>
    x*        h: x h | <empty>
    x+        p: x h                  h: x h | <empty>
    x~2..4    x x h1                  h1: x h2 | <empty>      h2: x | <empty>       (one stop token for h1 and h2)
    (x | y)   g: x | y                (x) stands in place

No helper is shared between two places of the file. Copies of an item (`+`, `~`) share the helpers inside the item:
those stand at one place of the file.
"""

from __future__ import annotations

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.language.grammar import (
    Alternative,
    BnfGrammar,
    BnfRule,
    Expression,
    Grammar,
    Group,
    HelperKind,
    Maybe,
    Optional,
    Production,
    Repetition,
    Rule,
    RuleUse,
    Sequence,
    Symbol,
    Terminal,
    TerminalUse,
)
from dslc.language.print_grammar import ExpressionPrinter
from dslc.limits import Limit
from dslc.source import Span

_KIND_NAMES = {
    HelperKind.OPTIONAL: "optional",
    HelperKind.MAYBE: "maybe",
    HelperKind.STAR: "star",
    HelperKind.PLUS: "plus",
    HelperKind.REPEAT: "repeat",
    HelperKind.GROUP: "group",
}


def normalize_grammar(grammar: Grammar) -> BnfGrammar:
    """The grammar in BNF; choices are those of the grammar as written.

    Raises:
        DslcError: DSLC132 if repetitions multiply past the limit on symbols.

    Example:
        >>> from dslc.language.read import read_grammar
        >>> from dslc.source import SourceFile
        >>> print(normalize_grammar(read_grammar(SourceFile("a.lark", 'start: A?\\nA: "x" | "y"\\n'))[0]))
        start: __start_optional_0
        __start_optional_0: A | <empty>
        A: 'x' | 'y'
    """
    printer = ExpressionPrinter(grammar)
    rules: list[BnfRule] = []
    num_symbols = 0
    for rule in grammar.rules:
        writer = _RuleWriter(rule, printer, Limit.SYMBOLS.number - num_symbols)
        rules.extend(writer.write())
        num_symbols += writer.num_symbols
    terminals: tuple[Terminal, ...] = grammar.terminals
    return BnfGrammar(grammar.file, tuple(rules), terminals, grammar.ignores_blank)


class _RuleWriter:
    """Writes one rule and its helpers."""

    def __init__(self, rule: Rule, printer: ExpressionPrinter, limit: int) -> None:
        self.rule = rule
        self.printer = printer
        self.limit = limit
        self.num_symbols = 0
        self.helpers: dict[str, BnfRule | None] = {}

    def write(self) -> list[BnfRule]:
        productions = tuple(self._alternative(a, index) for index, a in enumerate(self.rule.alternatives))
        written = self.rule
        rule = BnfRule(
            written.name, productions, written.expand_single, None, None, written.name, written.span, written.template
        )
        return [rule, *(helper for helper in self.helpers.values() if helper is not None)]

    def _alternative(self, alternative: Alternative, index: int) -> Production:
        symbols = self._symbols(alternative.expression)
        return self._production(symbols, index, alternative.span, alias=alternative.alias)

    def _production(
        self,
        symbols: tuple[Symbol, ...],
        choice: int,
        span: Span | None,
        *,
        alias: str | None = None,
        nones: tuple[int, ...] = (),
    ) -> Production:
        self._count(len(symbols), span)
        return Production(symbols, alias, nones, choice, span)

    def _count(self, number: int, span: Span | None) -> None:
        self.num_symbols += number + 1
        if self.num_symbols > self.limit:
            raise DslcError(
                Diagnostic(
                    Code.GRAMMAR_TOO_LARGE,
                    Severity.ERROR,
                    f"repetitions in rule `{self.rule.name}` make more than {Limit.SYMBOLS.number:,} symbols",
                    span,
                    Limit.SYMBOLS.advise(
                        "lower the numbers after `~`, or use `*` and limit the sentence with `//! max_tokens`"
                    ),
                )
            )

    def _symbols(self, expression: Expression) -> tuple[Symbol, ...]:
        """What stands in place of an expression."""
        match expression:
            case TerminalUse() | RuleUse():
                return (expression,)
            case Sequence(items):
                return tuple(symbol for item in items for symbol in self._symbols(item))
            case Group(options):
                if len(options) == 1:
                    return self._symbols(options[0])
                return self._group(expression)
            case Optional(item):
                name = self._new_name(HelperKind.OPTIONAL)
                self._add_optional(name, HelperKind.OPTIONAL, expression, self._symbols(item))
                return (RuleUse(name, expression.span),)
            case Maybe(item, num_placeholders):
                name = self._new_name(HelperKind.MAYBE)
                nones = (num_placeholders,) if num_placeholders else ()
                self._add_optional(name, HelperKind.MAYBE, expression, self._symbols(item), nones=nones)
                return (RuleUse(name, expression.span),)
            case Repetition(_, minimum, None):
                return self._star_or_plus(expression, minimum)
            case Repetition(item, minimum, maximum):
                assert maximum is not None, "the unbounded case stands above"
                return self._repeat(expression, item, minimum, maximum)

    def _group(self, group: Group) -> tuple[Symbol, ...]:
        name = self._new_name(HelperKind.GROUP)
        productions = tuple(
            self._production(self._symbols(option), index, option.span) for index, option in enumerate(group.options)
        )
        self._add(name, HelperKind.GROUP, group, productions)
        return (RuleUse(name, group.span),)

    def _star_or_plus(self, expression: Repetition, minimum: int) -> tuple[Symbol, ...]:
        plus = self._new_name(HelperKind.PLUS) if minimum else None
        star = self._new_name(HelperKind.STAR)
        item = self._symbols(expression.item)
        again = (*item, RuleUse(star, expression.span))
        self._add_optional(star, HelperKind.STAR, expression, again)
        if plus is None:
            return (RuleUse(star, expression.span),)
        self._add(plus, HelperKind.PLUS, expression, (self._production(again, 0, expression.span),))
        return (RuleUse(plus, expression.span),)

    def _repeat(self, expression: Repetition, item: Expression, minimum: int, maximum: int) -> tuple[Symbol, ...]:
        names = [self._new_name(HelperKind.REPEAT) for _ in range(self._checked(maximum - minimum, expression.span))]
        symbols = self._symbols(item)
        self._count(len(symbols) * minimum, expression.span)
        following: tuple[Symbol, ...] = ()
        for name in reversed(names):
            self._add_optional(name, HelperKind.REPEAT, expression, (*symbols, *following), stop_group=names[0])
            following = (RuleUse(name, expression.span),)
        return (*symbols * minimum, *following)

    def _checked(self, number: int, span: Span | None) -> int:
        self._count(number, span)
        return number

    def _add_optional(
        self,
        name: str,
        kind: HelperKind,
        expression: Expression,
        symbols: tuple[Symbol, ...],
        *,
        nones: tuple[int, ...] = (),
        stop_group: str | None = None,
    ) -> None:
        go_on = self._production(symbols, 0, expression.span)
        stop = self._production((), 1, expression.span, nones=nones)
        self._add(name, kind, expression, (go_on, stop), stop_group)

    def _add(
        self,
        name: str,
        kind: HelperKind,
        expression: Expression,
        productions: tuple[Production, ...],
        stop_group: str | None = None,
    ) -> None:
        label = self.printer.print(expression)
        self.helpers[name] = BnfRule(name, productions, False, kind, stop_group, label, expression.span)

    def _new_name(self, kind: HelperKind) -> str:
        """Reserve the next name; reserving before the inner helpers keeps outer helpers first."""
        name = f"__{self.rule.name}_{_KIND_NAMES[kind]}_{len(self.helpers)}"
        self.helpers[name] = None
        return name
