"""Templates written out: one rule for each template and each list of arguments, as lark makes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from dslc.diagnostics import Code, Diagnostic, DslcError, Label, Severity
from dslc.language.definitions import Definitions, RuleDefinition
from dslc.language.lark_parts import AnonymousNames
from dslc.language.syntax import (
    Brackets,
    Item,
    Name,
    Operated,
    Options,
    Quoted,
    Range,
    Row,
    TemplateUse,
    walk_items,
)

RULE_LIMIT = 2_000
"""Most rules that are made from templates."""
NAME_LIMIT = 200_000
"""Most characters in the names of all of them: a name holds those of its arguments, and can double at each level."""
ITEM_LIMIT = 200_000
"""Most items in the bodies of all of them."""


def write_out_templates(definitions: Definitions, anonymous: AnonymousNames, diagnostics: list[Diagnostic]) -> None:
    """Put rules in the place of uses of templates; all strings and regexes in rules get their names on the way.

    A use `list{item, ","}` becomes the rule of that name, which is made at its first use, so that a template may use
    itself. Arguments are names, as in lark: a template that is given another template as an argument can use it.

    Raises:
        DslcError: DSLC132 if the rules do not end or pass a limit, with `diagnostics`.
    """
    writer = _Writer(definitions, anonymous, diagnostics)
    writer.write()


class _Writer:
    """Writes the rules of one grammar out, those of the file first."""

    def __init__(self, definitions: Definitions, anonymous: AnonymousNames, diagnostics: list[Diagnostic]) -> None:
        self.definitions = definitions
        self.anonymous = anonymous
        self.diagnostics = diagnostics
        self.queue = list(definitions.rules.values())
        self.made: set[str] = set()
        self.num_characters = 0
        self.num_items = 0

    def write(self) -> None:
        position = 0
        while position < len(self.queue):  # it grows
            rule = self.queue[position]
            position += 1
            made: dict[int, Name] = {}
            for use in self.anonymous.name_rule(rule):
                made[id(use)] = self._make_rule(use, made)
            body = _replace_uses(rule.body, made)
            self._refuse_bare_templates(rule, body)
            self.definitions.rules[rule.name] = replace(rule, body=body)

    def _make_rule(self, use: TemplateUse, made: Mapping[int, Name]) -> Name:
        """The name of the rule that stands in place of a use; the rule is made if this is the first."""
        arguments = tuple(made[id(each)] if isinstance(each, TemplateUse) else each for each in use.arguments)
        name = f"{use.name.text}{{{','.join(map(self._argument_name, arguments))}}}"
        result = Name(name, use.span, use.name.spelling)
        if name in self.made:
            return result
        self.made.add(name)
        template = self.definitions.templates.get(use.name.text)
        if template is None or len(template.parameters) != len(arguments):
            self._report_argument(use, template)
            return result
        body = _substitute(template.body, dict(zip(template.parameters, arguments, strict=True)))
        self.num_characters += len(name)
        self.num_items += 1 + sum(1 for _ in walk_items(body))
        for number, limit, what in (
            (len(self.made), RULE_LIMIT, "rules"),
            (self.num_characters, NAME_LIMIT, "characters of names of rules"),
            (self.num_items, ITEM_LIMIT, "symbols"),
        ):
            if number > limit:
                message = f"template `{use.name.spelling}` makes no end of rules: templates have made {limit:,} {what}"
                advice = "let a template use itself with its own arguments only, as in `list{x}: x | x list{x}`"
                error = Diagnostic(Code.GRAMMAR_TOO_LARGE, Severity.ERROR, message, use.span, advice)
                raise DslcError([*self.diagnostics, error])
        self.queue.append(replace(template, name=name, body=body, parameters=()))
        self.definitions.rules[name] = self.queue[-1]
        return result

    def _argument_name(self, argument: Item) -> str:
        if isinstance(argument, Name):
            return argument.text
        return self.anonymous.names.get(id(argument), ("", True))[0]  # a string that was refused has no name

    def _report_argument(self, use: TemplateUse, template: RuleDefinition | None) -> None:
        """A parameter is used as a template, and what it stands for is none, or has other parameters."""
        is_written = use.name.span.file is use.span.file and use.name.span.start == use.span.start
        if (is_written and use.name.text) or use.name.text in self.definitions.refused:
            return  # was reported where names are looked up
        shown = use.name.spelling
        reason = f"has {len(template.parameters)} parameters" if template else "is no template"
        message = f"`{use.span.text}` uses `{shown}` with {len(use.arguments)} arguments, and `{shown}` {reason}"
        advice = "give the template an argument that can be used so"
        labels = (Label(use.name.span, f"where `{shown}` is given"),) if use.name.span != use.span else ()
        self.diagnostics.append(Diagnostic(Code.TEMPLATE, Severity.ERROR, message, use.span, advice, labels))

    def _refuse_bare_templates(self, rule: RuleDefinition, body: Options) -> None:
        for item in walk_items(body):
            if isinstance(item, Name) and item.text in self.definitions.templates:
                number = len(self.definitions.templates[item.text].parameters)
                arguments = ", ".join(["..."] * number)
                message = f"template `{item.spelling}` is used without its arguments in `{rule.span.text}`"
                advice = f"write `{item.spelling}{{{arguments}}}`"
                self.diagnostics.append(Diagnostic(Code.TEMPLATE, Severity.ERROR, message, item.span, advice))


def _replace_uses(body: Options, made: Mapping[int, Name]) -> Options:
    return _rewrite(body, lambda item: made[id(item)] if isinstance(item, TemplateUse) else item)


def _substitute(body: Options, values: Mapping[str, Item]) -> Options:
    """A template's body with arguments, the very objects, in the place of parameters."""

    def replace_item(item: Item) -> Item:
        match item:
            case Name(name):
                return values.get(name, item)
            case TemplateUse(name, arguments):
                value = values.get(name.text, name)
                # A string as a template is refused where the rule is made: nothing has its name.
                new_name = value if isinstance(value, Name) else Name("", name.span, name.spelling)
                return TemplateUse(new_name, tuple(map(replace_item, arguments)), item.span)
            case _:
                return item

    return _rewrite(body, replace_item)


def _rewrite(body: Options, replace_item: Callable[[Item], Item]) -> Options:
    """A body in which names, strings and uses of templates are others; what stays is the same object."""

    def row(written: Row) -> Row:
        return Row(tuple(map(item, written.items)), written.span, written.alias, written.alias_span)

    def item(written: Item) -> Item:
        match written:
            case Options(rows):
                return Options(tuple(map(row, rows)), written.span)
            case Brackets(Options(rows)):
                return Brackets(Options(tuple(map(row, rows)), written.options.span), written.span)
            case Operated(inner):
                return replace(written, item=item(inner))
            case Name() | TemplateUse() | Quoted() | Range():
                return replace_item(written)

    return Options(tuple(map(row, body.rows)), body.span)
