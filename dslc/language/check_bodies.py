"""What is wrong with the body of a definition, whatever its names mean."""

from __future__ import annotations

from dslc.diagnostics import Code, Diagnostic, Severity
from dslc.language.syntax import Operated, Options, Quoted, Range, RuleStatement, TemplateUse, walk_items
from dslc.source import Span


def check_body(body: Options, diagnostics: list[Diagnostic], *, is_terminal: bool) -> bool:
    """Report what is wrong with a body; False if a terminal cannot be made of it."""
    is_sound = True

    def report(code: Code, message: str, span: Span, help_text: str) -> None:
        diagnostics.append(Diagnostic(code, Severity.ERROR, message, span, help_text))

    for item in walk_items(body):
        match item:
            case Quoted(""):
                is_sound = False
            case Range(first, last) if not first.value or not last.value:
                is_sound = False
            case Range(first, last) if len(first.value) != 1 or len(last.value) != 1 or first.flags or last.flags:
                is_sound = False
                advice = 'write it as in `"a".."z"`, without flags'
                report(Code.BAD_LITERAL, f"`{item.span.text}` is not a range of characters", item.span, advice)
            case Range(first, last) if last.value < first.value:
                is_sound = False
                advice = f'write `"{last.value}".."{first.value}"`'
                report(Code.BAD_LITERAL, f"range `{item.span.text}` runs backwards", item.span, advice)
            case Operated(_, _, minimum, maximum) if minimum < 0 or (maximum is not None and maximum < minimum):
                is_sound = False
                advice = f"write `~{maximum}..{minimum}`" if maximum and minimum > 0 else "write numbers from 0"
                message = f"`{item.operator_span.text}` is not a number of repetitions"
                report(Code.BAD_REPETITION, message, item.operator_span, advice)
            case TemplateUse() if is_terminal:
                is_sound = False
                message = f"template `{item.name.spelling}` is used in a terminal"
                advice = "templates make rules: use it in a rule, in small letters"
                report(Code.TEMPLATE, message, item.span, advice)
            case _:
                pass
    return is_sound


def check_written(body: Options, span: Span, diagnostics: list[Diagnostic]) -> bool:
    """False, and reported, if a terminal is made of nothing."""
    is_written = len(body.rows) > 1 or bool(body.rows[0].items)
    if not is_written:
        advice = 'write what it matches, as in `"a" | "b"`'
        diagnostics.append(
            Diagnostic(Code.EMPTY_TERMINAL, Severity.ERROR, "nothing stands here to match", span, advice)
        )
    return is_written


def check_head(rule: RuleStatement, name: str, diagnostics: list[Diagnostic]) -> None:
    """Report what is wrong with modifiers and aliases of a rule that is known by `name`."""
    written = rule.name.spelling
    if "?" in rule.modifiers and written.startswith("_"):
        diagnostics.append(
            Diagnostic(
                Code.BAD_MODIFIER,
                Severity.ERROR,
                f"`{rule.modifiers}{written}`: a rule named with `_` is always replaced by its children",
                rule.span.file.span(rule.name.span.start - len(rule.modifiers), rule.name.span.end),
                f"write `{rule.modifiers.replace('?', '')}{written}`, or `{rule.modifiers}{written.lstrip('_')}`",
            )
        )
    for row in rule.body.rows:
        if row.alias is not None and row.alias_span is not None and name.startswith("_"):
            diagnostics.append(
                Diagnostic(
                    Code.MISPLACED_ALIAS,
                    Severity.ERROR,
                    f"rule `{name}` leaves no node in the tree that could be called `{row.alias.spelling}`",
                    row.alias_span,
                    f"remove the alias, or call the rule `{name.lstrip('_')}`",
                )
            )


def warn_of_bar(rule: RuleStatement, diagnostics: list[Diagnostic]) -> None:
    """A bar on the line after the colon looks like layout, but makes an empty alternative."""
    first = rule.body.rows[0]
    gap = rule.span.file.text[rule.name.span.end : rule.body.span.start + 1]
    if not first.items and len(rule.body.rows) > 1 and "\n" in gap:
        bar = rule.span.file.text.index("|", rule.name.span.end)
        diagnostics.append(
            Diagnostic(
                Code.LEADING_BAR,
                Severity.WARNING,
                f"the first alternative of rule `{rule.name.spelling}` is empty: nothing stands before this bar",
                rule.span.file.span(bar),
                "remove the bar; if the empty alternative is meant, write it last, or in the line of the colon",
            )
        )
