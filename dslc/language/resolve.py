"""Look up the names that rules, terminals and pragmas use."""

from __future__ import annotations

from collections.abc import Container, Iterator
from difflib import get_close_matches

from dslc.diagnostics import Code, Diagnostic, Label, Severity
from dslc.language.definitions import Definitions, RuleDefinition, TerminalDefinition
from dslc.language.pragmas import Pragmas
from dslc.language.syntax import Name, Options, TemplateUse, walk_items, walk_rows
from dslc.limits import Limit
from dslc.source import SourceFile, Span


def resolve_names(
    definitions: Definitions, pragmas: Pragmas, file: SourceFile, common: Container[str]
) -> tuple[Diagnostic, ...]:
    """Everything that is used but not defined, and everything used where it cannot stand.

    Terminals that cannot be expanded because of it are added to `definitions.broken`.

    Args:
        definitions: What the file defines.
        pragmas: What its `//!` lines say.
        file: The file, for the place of what is missing altogether.
        common: Names of lark's `common` terminals, for advice.
    """
    resolver = _Resolver(definitions, common)
    for rule in definitions.all_rules:
        resolver.check_rule(rule)
    for terminal in definitions.all_terminals:
        resolver.check_terminal(terminal)
    for name in definitions.ignored:
        resolver.check_name(name, "%ignore")
    resolver.check_declared()
    resolver.check_recursion()
    resolver.check_starts(pragmas, file)
    return tuple(resolver.diagnostics)


def note_priorities(definitions: Definitions) -> tuple[Diagnostic, ...]:
    """One note for all priorities: they tell lark which reading of a text to prefer, and change no space."""
    if not definitions.prioritized:
        return ()
    name, span = definitions.prioritized[0]
    number = len(definitions.prioritized) - 1
    others = f" and {number} other{'s' if number > 1 else ''}" if number else ""
    message = (
        f"the priority of `{name.spelling}`{others} changes no sentence: it only tells lark which reading to prefer"
    )
    advice = "nothing has to be done; `dslc check` says where a text has two readings"
    return (Diagnostic(Code.PRIORITY, Severity.NOTE, message, span, advice),)


class _Resolver:
    """Collects diagnostics, and marks terminals that are broken."""

    def __init__(self, definitions: Definitions, common: Container[str]) -> None:
        self.definitions = definitions
        self.common = common
        self.diagnostics: list[Diagnostic] = []
        self.mixed: set[int] = set()
        """Where words begin that were reported as mixing small letters and capitals."""

    def check_rule(self, rule: RuleDefinition) -> None:
        kind = "template" if rule.parameters else "rule"
        where = f"{kind} `{rule.span.text}`"
        for item in walk_items(rule.body):
            if isinstance(item, Name) and item.text not in rule.parameters:
                self.check_name(item, where)
            elif isinstance(item, TemplateUse) and item.name.text not in rule.parameters:
                self.check_use(item, where)
        for row in list(walk_rows(rule.body))[len(rule.body.rows) :]:
            if row.alias_span is not None:
                self._report(
                    Code.MISPLACED_ALIAS,
                    "an alias inside parentheses has no meaning",
                    row.alias_span,
                    "make the group a rule of its own and put the aliases there",
                )
        for index, parameter in enumerate(rule.parameters):
            if parameter in rule.parameters[:index]:
                message = f"template `{rule.span.text}` has two parameters of one name"
            elif self.definitions.find(parameter) is not None:
                message = f"a parameter of template `{rule.span.text}` has the name of a rule, `{parameter}`"
            else:
                continue
            self._report(Code.TEMPLATE, message, rule.span, "give each parameter a name that nothing else has")

    def check_use(self, use: TemplateUse, where: str) -> None:
        """A template used with arguments; one that is a parameter is looked at when its value is known."""
        name, definitions = use.name, self.definitions
        template = definitions.templates.get(name.text)
        if template is None and name.text not in definitions.rules:
            self.check_name(name, where)
            return
        if template is None:
            message = f"rule `{name.spelling}` has no parameters and is used as a template in {where}"
            advice = f"write `{name.spelling}` without braces, or give the rule parameters"
            self._report(Code.TEMPLATE, message, use.span, advice)
        elif len(use.arguments) != len(template.parameters):
            message = f"template `{name.spelling}` has {_count(template.parameters)} and is given {len(use.arguments)}"
            advice = "give it one argument for each parameter, with commas between them"
            labels = (Label(template.span, "defined here"),)
            self.diagnostics.append(Diagnostic(Code.TEMPLATE, Severity.ERROR, message, use.span, advice, labels))

    def check_terminal(self, terminal: TerminalDefinition) -> None:
        where = "%ignore" if terminal.is_ignored_pattern else f"terminal `{_shown(terminal)}`"
        for row in walk_rows(terminal.body):
            if row.alias_span is not None:
                self.definitions.broken.add(terminal.name)
                self._report(
                    Code.MISPLACED_ALIAS,
                    f"an alias has no meaning in {where}",
                    row.alias_span,
                    "remove it: aliases name alternatives of rules",
                )
        for item in walk_items(terminal.body):
            if not isinstance(item, Name):
                continue
            if not item.is_terminal:
                self.definitions.broken.add(terminal.name)
                advice = f"make `{item.spelling}` a terminal, in capitals"
                if not terminal.is_ignored_pattern:
                    advice += f", or make `{_shown(terminal)}` a rule, in small letters"
                self._report(
                    Code.RULE_IN_TERMINAL,
                    f"{where} uses rule `{item.spelling}`; a terminal is made of strings, regexes and terminals only",
                    item.span,
                    advice,
                )
            elif item.text not in self.definitions.terminals and item.text not in self.definitions.parts:
                self.definitions.broken.add(terminal.name)
                self.check_name(item, where)

    def check_name(self, name: Name, where: str) -> None:
        definitions = self.definitions
        if definitions.find(name.text) is not None or name.text in definitions.refused:
            return
        word = _whole_word(name)
        if word.text != name.spelling:
            # lark reads `myRule` as the rule `my`, the terminal `R` and the rule `ule`.
            if word.start not in self.mixed:
                advice = f"write `{word.text.lower()}` for a rule, `{word.text.upper()}` for a terminal"
                message = f"the name `{word.text}` mixes small letters and capitals"
                self._report(Code.SYNTAX, message, word, advice)
            self.mixed.add(word.start)
            return
        here = name.span.file
        spans = [rule.span for rule in definitions.all_rules]
        spans += [terminal.span for terminal in definitions.all_terminals]
        known = {span.text for span in spans if span.file is here and span.text.isidentifier()}
        if not name.written:  # the main file knows imported names as well
            names = (*definitions.rules, *definitions.templates, *definitions.terminals)
            known.update(each for each in names if not each.startswith("__"))
        near = get_close_matches(name.spelling, sorted(known), n=1)
        other_case = name.spelling.lower() if name.is_terminal else name.spelling.upper()
        if other_case in known or near:
            advice = f"did you mean `{other_case if other_case in known else near[0]}`?"
        elif name.spelling in self.common:
            advice = f"define it, or import it: `%import common.{name.spelling}`"
        else:
            advice = f'define it, as in `{name.spelling}: "a" | "b"`'
        code = Code.UNDEFINED_TERMINAL if name.is_terminal else Code.UNDEFINED_RULE
        kind = "terminal" if name.is_terminal else "rule"
        self._report(code, f"{kind} `{name.spelling}` is used in {where} but not defined", name.span, advice)

    def check_declared(self) -> None:
        for name in self.definitions.declared.values():
            kind = "terminal" if name.is_terminal else "rule"
            self._report(
                Code.NEVER_DEFINED,
                f"{kind} `{name.spelling}` is declared, and nothing defines it",
                name.span,
                f"write `{name.spelling}: ...` in its place, or `%override {name.spelling}: ...` after it",
            )

    def check_recursion(self) -> None:
        """Report each way in which a terminal contains itself, then give up on all that use a broken one."""
        uses = {
            terminal.name: [item for item in walk_items(terminal.body) if isinstance(item, Name)]
            for terminal in self.definitions.all_terminals
        }
        done: set[str] = set()
        counts: dict[str, int] = {}
        for root in uses:
            path: dict[str, Iterator[Name]] = {} if root in done else {root: iter(uses[root])}
            while path:
                name = next(reversed(path))
                used = next(path[name], None)
                if used is None:
                    del path[name]
                    done.add(name)
                    counts[name] = self._count_references(name, counts)
                elif used.text in path:
                    cycle = list(path)[list(path).index(used.text) :]
                    self.definitions.broken.update(cycle)
                    self._report(
                        Code.RECURSIVE_TERMINAL,
                        f"terminal `{used.text}` contains itself: {' > '.join([*cycle, used.text])}",
                        used.span,
                        "only rules can contain themselves: write it as a rule, in small letters",
                    )
                elif used.text in uses and used.text not in done:
                    path[used.text] = iter(uses[used.text])
        broken = self.definitions.broken
        while more := [n for n in uses if n not in broken and any(item.text in broken for item in uses[n])]:
            broken.update(more)

    def _count_references(self, name: str, counts: dict[str, int]) -> int:
        """Terminals that stand in a terminal when all of them are written out, as lark does; too many are reported."""
        terminal = self.definitions.terminals.get(name) or self.definitions.parts[name]
        names = [item.text for item in walk_items(terminal.body) if isinstance(item, Name)]
        count = sum(1 + counts.get(used, 0) for used in names)
        # What is built on one that was reported is not reported again.
        if count > Limit.REFERENCES.number and not self.definitions.broken & {name, *names}:
            self.definitions.broken.add(name)
            self._report(
                Code.TERMINAL_TOO_LARGE,
                f"more than {Limit.REFERENCES.number:,} terminals stand in terminal `{name}` when they are written out",
                terminal.span,
                Limit.REFERENCES.advise("use each terminal in it once, or make it a rule"),
            )
        if self.definitions.broken & set(names):
            self.definitions.broken.add(name)
        return count

    def check_starts(self, pragmas: Pragmas, file: SourceFile) -> None:
        for start in pragmas.starts:
            self._check_start(start, pragmas.spans.get(f"start {start}"), file)
        for claim in pragmas.sizes:
            if claim.start is not None:
                self._check_start(claim.start, pragmas.spans.get(f"size {claim.start}"), file)

    def _check_start(self, start: str, span: Span | None, file: SourceFile) -> None:
        rules = self.definitions.rules
        if start in rules or start in self.definitions.refused or start in self.definitions.declared:
            return
        if start in self.definitions.templates:
            template = self.definitions.templates[start]
            message = f"sentences cannot start from `{start}`, which is a template"
            advice = "start from a rule that uses it, as in `start: template{argument}`"
            self._report(Code.TEMPLATE, message, span or template.span, advice)
            return
        near = next(iter(get_close_matches(start, rules, n=1)), None)
        if span is not None:
            advice = f"did you mean `{near}`?" if near else "the rules are " + ", ".join(f"`{name}`" for name in rules)
            self._report(Code.MISSING_START, f"the grammar has no rule `{start}`", span, advice)
            return
        # No `//! start` line: the rule that lark starts from is missing.
        candidate = near or next((name for name in rules if not self._is_used(name)), None) or next(iter(rules), None)
        if candidate is None:
            self._report(Code.MISSING_START, "the grammar has no rules", file.span(0), "write one, as in `start: ...`")
            return
        self._report(
            Code.MISSING_START,
            f"the grammar has no rule `{start}` to start from",
            rules[candidate].span,
            f"call this rule `{start}`, or write `//! start {candidate}` above it",
        )

    def _is_used(self, name: str) -> bool:
        bodies: list[Options] = [rule.body for rule in self.definitions.all_rules]
        return any(isinstance(item, Name) and item.text == name for body in bodies for item in walk_items(body))

    def _report(self, code: Code, message: str, span: Span, help_text: str) -> None:
        self.diagnostics.append(Diagnostic(code, Severity.ERROR, message, span, help_text))


def _shown(terminal: TerminalDefinition) -> str:
    """The name of a terminal as its file has it."""
    text = terminal.span.text
    return text if text.isidentifier() and not terminal.is_library else terminal.name


def _count(parameters: tuple[str, ...]) -> str:
    return f"{len(parameters)} parameter{'s' if len(parameters) > 1 else ''}"


def _whole_word(name: Name) -> Span:
    """The word of the text that a name is part of; all of it unless small letters and capitals meet."""
    text, start, end = name.span.file.text, name.span.start, name.span.end
    while start > 0 and (text[start - 1].isalnum() or text[start - 1] == "_"):
        start -= 1
    while end < len(text) and (text[end].isalnum() or text[end] == "_"):
        end += 1
    return name.span.file.span(start, end)
