"""From statements to definitions by name, imports followed, as lark's loader does it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches

from dslc.diagnostics import Code, Diagnostic, Label, Severity
from dslc.language.check_bodies import check_body, check_head, check_written, warn_of_bar
from dslc.language.definitions import Definitions, RuleDefinition, TerminalDefinition
from dslc.language.imports import ImportedFile, ImportReader
from dslc.language.rename import Rename, namespace, rename_body, rename_name, replace_names
from dslc.language.syntax import (
    Change,
    ChangeStatement,
    DeclareStatement,
    IgnoreStatement,
    ImportStatement,
    Name,
    Options,
    Row,
    RuleStatement,
    TemplateUse,
    TerminalStatement,
    only_item,
    walk_items,
)
from dslc.source import Span


def collect_definitions(main: ImportedFile, reader: ImportReader) -> Definitions:
    """Definitions of a file and of what it imports; names are not looked up.

    Args:
        main: The file and its statements.
        reader: For what it imports; its diagnostics get what is wrong with the statements.
    """
    collector = _Collector(main, None, reader)
    collector.collect()
    return collector.definitions


class _Collector:
    """Collects what one file defines; names are those by which the main file knows it."""

    def __init__(self, file: ImportedFile, rename: Rename | None, reader: ImportReader) -> None:
        self.file = file
        self.rename = rename
        self.reader = reader
        self.definitions = Definitions()
        self.diagnostics = reader.diagnostics
        self.imported: set[str] = set()
        """Names of imported terminals: what uses them in their own file goes on doing so if they are overridden."""

    def collect(self) -> None:
        statements = self.file.statements
        self.read_imports([statement for statement in statements if isinstance(statement, ImportStatement)])
        for statement in statements:
            match statement:
                case RuleStatement():
                    self.read_rule(statement)
                case TerminalStatement():
                    self.read_terminal(statement)
                case ChangeStatement(Change.OVERRIDE, inner):
                    self.override(inner)
                case ChangeStatement(Change.EXTEND, RuleStatement() as inner):
                    self.extend_rule(inner)
                case ChangeStatement(Change.EXTEND, TerminalStatement() as inner):
                    self.extend_terminal(inner)
                case DeclareStatement(names):
                    for name in names:
                        renamed = rename_name(name, self.rename)
                        if self._is_new(renamed):
                            self.definitions.declared[renamed.text] = renamed
                case IgnoreStatement():
                    if self.rename is None:  # what an imported file ignores does not count, in lark neither
                        self.read_ignore(statement)
                case _:
                    pass

    # --- definitions ----------------------------------------------------------------------------------------------

    def read_rule(self, rule: RuleStatement, *, is_override: bool = False) -> None:
        name = rename_name(rule.name, self.rename)
        self._note_priority(name, rule.priority_span)
        check_head(rule, name.text, self.diagnostics)
        check_body(rule.body, self.diagnostics, is_terminal=False)
        warn_of_bar(rule, self.diagnostics)
        if not is_override and not self._is_new(name):
            return
        parameters = tuple(rename_name(parameter, self.rename).text for parameter in rule.parameters)
        definition = RuleDefinition(
            name.text,
            rename_body(rule.body, self.rename),
            "!" in rule.modifiers,
            "?" in rule.modifiers,
            rule.name.span,
            parameters,
            rule.name.text if parameters else None,
        )
        kept, other = self.definitions.rules, self.definitions.templates
        if parameters:
            kept, other = other, kept
        other.pop(name.text, None)
        kept[name.text] = definition

    def read_terminal(self, terminal: TerminalStatement, *, is_override: bool = False) -> None:
        name = rename_name(terminal.name, self.rename)
        self._note_priority(name, terminal.priority_span)
        is_sound = check_body(terminal.body, self.diagnostics, is_terminal=True)
        is_sound = is_sound and check_written(terminal.body, terminal.name.span, self.diagnostics)
        if not is_override and not self._is_new(name):
            return
        body, span = rename_body(terminal.body, self.rename), terminal.name.span
        self.definitions.terminals[name.text] = TerminalDefinition(name.text, body, span, span, self.file.is_library)
        if not is_sound:
            self.definitions.broken.add(name.text)

    def read_ignore(self, ignore: IgnoreStatement) -> None:
        definitions = self.definitions
        item = only_item(ignore.body)
        # As lark does: a lone terminal is ignored under its own name, anything else under a new one.
        if isinstance(item, Name) and item.is_terminal:
            definitions.ignored.append(item)
            return
        if not check_written(ignore.body, ignore.span, self.diagnostics):
            return
        name, span = f"__IGNORE_{len(definitions.ignored)}", ignore.body.span
        definitions.ignored.append(Name(name, span))
        definitions.terminals[name] = TerminalDefinition(name, ignore.body, span, span)
        if not check_body(ignore.body, self.diagnostics, is_terminal=True):
            definitions.broken.add(name)

    # --- changes --------------------------------------------------------------------------------------------------

    def override(self, statement: RuleStatement | TerminalStatement) -> None:
        definitions = self.definitions
        name = rename_name(statement.name, self.rename)
        if definitions.find(name.text) is None:
            if name.text not in definitions.refused:
                self._report_nothing_to_change(Change.OVERRIDE, name)
                definitions.refused.add(name.text)
            return
        definitions.declared.pop(name.text, None)
        if isinstance(statement, RuleStatement):
            self.read_rule(statement, is_override=True)
            return
        if name.text in self.imported:
            self._keep_for_imported(name.text)
        definitions.broken.discard(name.text)
        self.read_terminal(statement, is_override=True)

    def _keep_for_imported(self, name: str) -> None:
        """Keep a terminal that will be overridden under another name, for the terminals that came with it."""
        definitions = self.definitions
        hidden = f"{name}'"
        while hidden in definitions.parts:
            hidden += "'"
        definitions.parts[hidden] = replace(definitions.terminals[name], name=hidden, place=None)
        if name in definitions.broken:
            definitions.broken.add(hidden)
        for terminals in (definitions.terminals, definitions.parts):
            for other, definition in terminals.items():
                if other in self.imported or terminals is definitions.parts:
                    terminals[other] = replace(definition, body=replace_names(definition.body, {name: hidden}))
        self.imported.discard(name)

    def extend_rule(self, statement: RuleStatement) -> None:
        definitions = self.definitions
        name = rename_name(statement.name, self.rename)
        earlier = definitions.rules.get(name.text) or definitions.templates.get(name.text)
        check_body(statement.body, self.diagnostics, is_terminal=False)
        if earlier is None:
            if name.text not in definitions.refused:
                self._report_nothing_to_change(Change.EXTEND, name)
                definitions.refused.add(name.text)
            return
        check_head(statement, name.text, self.diagnostics)
        self._note_priority(name, statement.priority_span)
        parameters = tuple(rename_name(parameter, self.rename).text for parameter in statement.parameters)
        modifiers = "!" * earlier.keep_all_tokens + "?" * earlier.expand_single
        if parameters != earlier.parameters:
            written = ", ".join(parameter.text for parameter in statement.parameters)
            message = f"`{name.spelling}` is extended with parameters `{{{written}}}`, which are not its own"
            advice = f"write those of the definition, {len(earlier.parameters)} of them, with the same names"
            self._report(Code.TEMPLATE, message, statement.name.span, advice, _first_defined(earlier.span))
        elif statement.modifiers and set(statement.modifiers) != set(modifiers):
            message = f"`{statement.modifiers}` has no effect here: `%extend` leaves a rule as it was defined"
            place = statement.name.span
            whole = place.file.span(place.start - len(statement.modifiers), place.end)
            advice = f"write `%extend {modifiers}{name.spelling}`, or `%override` it with a rule of another kind"
            self._report(Code.BAD_MODIFIER, message, whole, advice, _first_defined(earlier.span))
        else:
            rows = rename_body(statement.body, self.rename).rows
            body = Options((*rows, *earlier.body.rows), earlier.body.span)
            sizes = (len(rows), *earlier.extension_sizes)
            kept = definitions.templates if earlier.parameters else definitions.rules
            kept[name.text] = replace(earlier, body=body, extension_sizes=sizes)

    def extend_terminal(self, statement: TerminalStatement) -> None:
        definitions = self.definitions
        name = rename_name(statement.name, self.rename)
        earlier = definitions.terminals.get(name.text)
        is_sound = check_body(statement.body, self.diagnostics, is_terminal=True)
        is_sound = is_sound and check_written(statement.body, statement.name.span, self.diagnostics)
        if earlier is None:
            if name.text not in definitions.refused:
                self._report_nothing_to_change(Change.EXTEND, name)
                definitions.refused.add(name.text)
            return
        self._note_priority(name, statement.priority_span)
        more = rename_body(statement.body, self.rename)
        body = Options((Row((more,), more.span), *earlier.body.rows), earlier.body.span)
        definitions.terminals[name.text] = replace(earlier, body=body, is_library=False)
        if not is_sound:
            definitions.broken.add(name.text)

    # --- imports --------------------------------------------------------------------------------------------------

    def read_imports(self, statements: Iterable[ImportStatement]) -> None:
        """Follow imports, one file at a time, as often as statements name it."""
        groups: dict[tuple[str, ...], list[ImportStatement]] = {}
        for statement in statements:
            if not statement.library:
                self._report(
                    Code.UNKNOWN_IMPORT,
                    f"nothing is imported from `{statement.names[0].text}`",
                    statement.path_span,
                    "name what to import, as in `%import common.DIGIT`",
                )
                continue
            group = groups.setdefault(statement.library, [])
            if group and group[0].is_relative is not statement.is_relative:
                dotted = ".".join(statement.library)
                self._report(
                    Code.UNSUPPORTED_IMPORT,
                    f"`{dotted}` of lark and the file `.{dotted}` are both imported, and their names would be the same",
                    statement.path_span,
                    "give the file another name",
                    (Label(group[0].path_span, "also imported here"),),
                )
            else:
                group.append(statement)
        for path, group in groups.items():
            self.read_import(path, group)

    def read_import(self, path: tuple[str, ...], group: list[ImportStatement]) -> None:
        aliases: dict[str, Name] = {}
        names: dict[str, Name] = {}
        for statement in group:
            for name, alias in zip(statement.names, statement.aliases, strict=True):
                earlier = aliases.get(name.text)
                if earlier is not None and earlier.text != alias.text:
                    self._report(
                        Code.DUPLICATE_DEFINITION,
                        f"`{name.text}` is imported under two names, and lark forgets `{earlier.text}`",
                        alias.span,
                        f"import it once, and write `{alias.text}: {earlier.text}` for the other name",
                        (Label(earlier.span, "first imported here"),),
                    )
                other = next((each for each, taken in aliases.items() if taken.text == alias.text), name.text)
                if other != name.text:
                    message = f"`{other}` and `{name.text}` are both imported as `{alias.text}`"
                    labels = (Label(aliases[other].span, "first imported here"),)
                    advice = "give one of them another name"
                    self._report(Code.DUPLICATE_DEFINITION, message, alias.span, advice, labels)
                    continue
                aliases[name.text], names[name.text] = alias, name
        path_span = group[0].path_span
        outer = self.rename
        with self.reader.open(self.file, path, group[0].is_relative, path_span) as file:
            if file is None:
                self.definitions.refused.update(rename_name(alias, outer).text for alias in aliases.values())
                return
            rename = namespace(path, {name: alias.text for name, alias in aliases.items()}, outer)
            collector = _Collector(file, rename, self.reader)
            collector.collect()
        found = collector.definitions
        wanted = {rename(name): alias.span for name, alias in aliases.items()}
        reached = _reach(found, wanted)
        self._check_names(path, names, aliases, collector, reached)
        self._merge(file, found, reached, wanted, path_span)

    def _check_names(
        self,
        path: tuple[str, ...],
        names: Mapping[str, Name],
        aliases: Mapping[str, Name],
        collector: _Collector,
        reached: set[str],
    ) -> None:
        """Report names that the file does not have, and those that would change their kind."""
        found, rename = collector.definitions, collector.rename
        assert rename is not None, "the file is imported"
        spans = [*(rule.span for rule in found.all_rules), *(each.span for each in found.terminals.values())]
        known = {span.text for span in spans if span.file is collector.file.file}
        reached_rules = (rule for rule in found.all_rules if rule.name in reached)
        labels = {row.alias.text for rule in reached_rules for row in rule.body.rows if row.alias is not None}
        for written, name in names.items():
            alias, text = aliases[written], rename(written)
            is_terminal = name.is_terminal
            if found.find(text) is None and text not in labels and text not in found.refused:
                where = f"lark's `{path[0]}`" if collector.file.is_library else f"`{collector.file.file.name}`"
                near = get_close_matches(written.upper(), [each for each in known if each.isupper()], n=1)
                near = get_close_matches(written, known, n=1) or near
                public = sorted(each for each in known if not each.startswith("_"))
                advice = f"did you mean `{near[0]}`?" if near else "it has " + ", ".join(public)
                self._report(Code.UNKNOWN_IMPORT, f"{where} has no `{written}`", name.span, advice)
                self.definitions.refused.add(text)
            elif alias.is_terminal is not is_terminal:
                kind, case = ("terminal", "capitals") if is_terminal else ("rule", "small letters")
                other = alias.text.upper() if is_terminal else alias.text.lower()
                message = f"`{written}` is a {kind} and cannot be called `{alias.text}`"
                self._report(Code.UNKNOWN_IMPORT, message, alias.span, f"write the name in {case}: `{other}`")
                self.definitions.refused.add(text)

    def _merge(
        self, file: ImportedFile, found: Definitions, reached: set[str], wanted: Mapping[str, Span], place: Span
    ) -> None:
        """Take over what was imported, and what that is made of."""
        own = self.definitions
        own.refused.update(found.refused)
        own.broken.update(found.broken)
        own.prioritized.extend((name, span) for name, span in found.prioritized if name.text in reached)
        for rules, more in ((own.rules, found.rules), (own.templates, found.templates)):
            for name, rule in more.items():
                if name in reached and self._is_free(name, rule.span, wanted.get(name, place)):
                    rules[name] = rule
        available = {**found.terminals, **found.parts}
        parts = _find_parts(available, reached)
        for name, terminal in available.items():
            if name not in reached and name not in parts:
                continue
            alias = wanted.get(name)
            if file.is_library and not self.file.is_library:
                terminal = replace(terminal, span=alias or place)
            terminal = replace(terminal, place=alias)
            if name not in reached:
                own.parts[name] = terminal
            elif self._is_free(name, terminal.span, alias or place):
                own.terminals[name] = terminal
                self.imported.add(name)
        for name, declared in found.declared.items():
            if name not in reached or not self._is_free(name, declared.span, wanted.get(name, place)):
                continue
            if declared.is_terminal:
                own.declared[name] = declared
                continue
            own.refused.add(name)
            message = f"rule `{declared.spelling}` is only declared, and lark imports no such rule"
            advice = f"define it there, as in `{declared.spelling}:`, so that it can be overridden where it is imported"
            self._report(Code.NEVER_DEFINED, message, declared.span, advice)

    def _is_free(self, name: str, span: Span, place: Span) -> bool:
        """Whether nothing imported before has the name; else it is reported at the import."""
        earlier = self.definitions.find(name)
        if earlier is not None:
            self._report(
                Code.DUPLICATE_DEFINITION,
                f"`{name}` is imported from two places",
                place,
                "import one of them under another name, as in `%import .file.name -> other`",
                (Label(earlier.span, "the other is defined here"),) if earlier.span.file is not span.file else (),
            )
        elif name.startswith("__"):
            self._report(
                Code.UNSUPPORTED_IMPORT,
                f"the import makes the name `{name}`, and names that begin with two underscores are reserved",
                place,
                "give the imported file a name that does not begin with `_`",
            )
            return False
        return earlier is None

    # --- reports --------------------------------------------------------------------------------------------------

    def _note_priority(self, name: Name, span: Span | None) -> None:
        if span is not None and not self.file.is_library:
            self.definitions.prioritized.append((name, span))

    def _report_nothing_to_change(self, change: Change, name: Name) -> None:
        kind = "terminal" if name.is_terminal else "rule"
        known = [each for each in (*self.definitions.rules, *self.definitions.terminals) if not each.startswith("__")]
        near = get_close_matches(name.text, known, n=1)
        if name.text in self.definitions.declared:
            message = f"{kind} `{name.spelling}` is only declared, so that there is nothing to extend"
            advice = f"write `%override {name.spelling}: ...`"
        else:
            message = f"`{change.value}` changes {kind} `{name.spelling}`, and nothing before it defines that"
            advice = f"did you mean `{near[0]}`?" if near else f"define it: remove `{change.value}`"
        self._report(Code.NOTHING_TO_CHANGE, message, name.span, advice)

    def _is_new(self, name: Name) -> bool:
        earlier = self.definitions.find(name.text)
        if earlier is not None:
            message, advice = f"`{name.spelling}` is defined twice", "rename one of them, or join them with `|`"
            self._report(Code.DUPLICATE_DEFINITION, message, name.span, advice, _first_defined(earlier.span))
        return earlier is None

    def _report(self, code: Code, message: str, span: Span, help_text: str, labels: tuple[Label, ...] = ()) -> None:
        self.diagnostics.append(Diagnostic(code, Severity.ERROR, message, span, help_text, labels))


def _first_defined(span: Span) -> tuple[Label, ...]:
    return (Label(span, "first defined here"),)


def _reach(found: Definitions, wanted: Iterable[str]) -> set[str]:
    """Names of `wanted` and of all that rules among them use; not those that only terminals use, as in lark."""
    reached: set[str] = set()
    work = list(wanted)
    while work:
        name = work.pop()
        if name in reached:
            continue
        reached.add(name)
        rule = found.rules.get(name) or found.templates.get(name)
        if rule is not None:
            for item in walk_items(rule.body):
                if isinstance(item, Name | TemplateUse):
                    used = item.text if isinstance(item, Name) else item.name.text
                    if used not in rule.parameters:
                        work.append(used)
    return reached


def _find_parts(terminals: Mapping[str, TerminalDefinition], reached: set[str]) -> set[str]:
    """Terminals that those among `reached` are made of, directly or not."""
    parts: set[str] = set()
    work = [name for name in reached if name in terminals]
    while work:
        for item in walk_items(terminals[work.pop()].body):
            if isinstance(item, Name) and item.text in terminals and item.text not in parts:
                parts.add(item.text)
                work.append(item.text)
    return parts
