"""From a Grammar back to `.lark` text that reads to an equal value."""

from __future__ import annotations

import re

from dslc.language.grammar import (
    Alternative,
    Expression,
    Grammar,
    Group,
    Literal,
    Maybe,
    Optional,
    Repetition,
    Rule,
    RuleUse,
    Sequence,
    Terminal,
    TerminalUse,
)


def print_grammar(grammar: Grammar) -> str:
    """`.lark` text: one rule a line, then terminals and what is ignored; comments and pragmas are not kept.

    Terminals that no rule uses are not printed. Where one of them had taken the name that lark gives to a string in a
    rule, that string has another name when the text is read again.

    Example:
        >>> from dslc.language.read import read_grammar
        >>> from dslc.source import SourceFile
        >>> print(print_grammar(read_grammar(SourceFile("a.lark", 'start :A[ "+" A]\\nA:/[ab]/'))[0]), end="")
        start: A ["+" A]
        A: /a|b/
    """
    printer = ExpressionPrinter(grammar)
    lines = [printer.rule(rule) for rule in grammar.rules]
    lines.extend(printer.terminal(terminal) for terminal in grammar.terminals if not terminal.is_anonymous)
    for index, source in enumerate(grammar.ignored):
        # An ignored pattern that a rule writes too is one terminal, so both places must be written alike.
        terminal = printer.terminal_by_name.get(f"__IGNORE_{index}")
        lines.append(f"%ignore {source if terminal is None else printer.written(terminal)}")
    return "".join(f"{line}\n" for line in lines)


class ExpressionPrinter:
    """Prints parts of one grammar as their author could have written them."""

    def __init__(self, grammar: Grammar) -> None:
        self.terminal_by_name = {terminal.name: terminal for terminal in grammar.terminals}
        self.regex_by_name: dict[str, str] = {}
        taken: set[str] = set()
        for terminal in grammar.terminals:
            regex = _regex(terminal)
            # Two regexes of equal meaning are two terminals in lark as long as they are written differently.
            while regex in taken:
                regex = f"(?:{regex})"
            taken.add(regex)
            self.regex_by_name[terminal.name] = regex
        self.keep_all_tokens = False

    def rule(self, rule: Rule) -> str:
        """`?name: a | b -> alias`."""
        self.keep_all_tokens = rule.keep_all_tokens
        modifiers = "!" * rule.keep_all_tokens + "?" * rule.expand_single
        alternatives = " | ".join(self._alternative(alternative) for alternative in rule.alternatives)
        self.keep_all_tokens = False
        return f"{modifiers}{rule.name}: {alternatives.strip()}".rstrip()

    def terminal(self, terminal: Terminal) -> str:
        """`NAME: "a" | "b"`."""
        if terminal.is_regex:
            return f"{terminal.name}: {self._written_regex(terminal)}"
        return f"{terminal.name}: " + " | ".join(map(print_literal, terminal.literals))

    def print(self, expression: Expression) -> str:
        """The expression, with parentheses where an operator before or after it would need them."""
        match expression:
            case RuleUse(name):
                return name
            case TerminalUse():
                return self._use(expression)
            case Sequence(items):
                return " ".join(self._item(item) for item in items)
            case Group(options):
                return f"({self._options(options)})"
            case Optional(item):
                return f"{self._operand(item)}?"
            case Maybe(item):
                return f"[{self._options(item.options) if isinstance(item, Group) else self.print(item)}]"
            case Repetition(item, minimum, maximum):
                operand = self._operand(item)
                if maximum is None:
                    return f"{operand}{'+' if minimum else '*'}"
                return f"{operand}~{minimum}" if minimum == maximum else f"{operand}~{minimum}..{maximum}"

    def _alternative(self, alternative: Alternative) -> str:
        text = self.print(alternative.expression)
        return f"{text} -> {alternative.alias}".lstrip() if alternative.alias else text

    def _options(self, options: tuple[Expression, ...]) -> str:
        return " | ".join(self.print(option) for option in options).strip()

    def _item(self, item: Expression) -> str:
        return f"({self.print(item)})" if isinstance(item, Sequence) else self.print(item)

    def _operand(self, item: Expression) -> str:
        needs_parentheses = isinstance(item, Sequence | Optional | Repetition)
        return f"({self.print(item)})" if needs_parentheses else self.print(item)

    def _use(self, use: TerminalUse) -> str:
        terminal = self.terminal_by_name.get(use.name)
        is_kept_by_name = self.keep_all_tokens or not use.name.startswith("_")
        if terminal is None or (not terminal.is_anonymous and use.is_kept == is_kept_by_name):
            return use.name
        is_string = not use.is_kept or (terminal.is_anonymous and not terminal.is_regex)
        return print_literal(terminal.literals[0]) if is_string else self._written_regex(terminal)

    def written(self, terminal: Terminal) -> str:
        """An anonymous terminal as it stands in a rule."""
        return self._written_regex(terminal) if terminal.is_regex else print_literal(terminal.literals[0])

    def _written_regex(self, terminal: Terminal) -> str:
        flag = "i" if terminal.is_regex and terminal.literals[0].ignore_case else ""
        return f"/{_escape(self.regex_by_name[terminal.name])}/{flag}"


def print_literal(literal: Literal) -> str:
    """A literal as a string of lark.

    Example:
        >>> print(print_literal(Literal('a"b', ignore_case=True)))
        "a\\"b"i
    """
    text = literal.text.replace("\\", "\\\\").replace('"', '\\"')
    text = "".join(character if character.isprintable() else _escape_character(character) for character in text)
    return f'"{text}"' + ("i" if literal.ignore_case else "")


def _escape_character(character: str) -> str:
    named = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\f": "\\f"}.get(character)
    code = ord(character)
    return named or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}")


def _regex(terminal: Terminal) -> str:
    """What lark matches for a terminal as printed; a rule that writes this regex uses the terminal."""
    if terminal.is_regex:
        return "|".join(re.escape(literal.text) for literal in terminal.literals)
    longest_first = sorted(terminal.literals, key=lambda literal: -len(literal.text))
    parts = (f"(?i:{re.escape(x.text)})" if x.ignore_case else re.escape(x.text) for x in longest_first)
    return f"(?:{'|'.join(parts)})"


def _escape(regex: str) -> str:
    """A regex as lark's source text: slashes and what is not printable escaped."""
    escaped = re.sub(r"\\.|/", lambda m: "\\/" if m.group() == "/" else m.group(), regex, flags=re.DOTALL)
    return "".join(
        character if character.isprintable() else _escape_character(character)
        for character in escaped.replace("\\\n", "\n").replace("\\\t", "\t")
    )
