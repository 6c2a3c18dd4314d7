"""Names of an imported file as the file that imports it knows them: lark's namespaces."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from dslc.language.syntax import Brackets, Item, Name, Operated, Options, Quoted, Range, Row, TemplateUse

Rename = Callable[[str], str]
"""From a name as a file has it to the name by which it is known."""


def namespace(path: tuple[str, ...], aliases: Mapping[str, str], outer: Rename | None) -> Rename:
    """How names of an imported file are renamed, in the way of lark.

    A name that is imported gets its alias, any other name `path__name`, or `_path__name` if it begins with `_`; `outer`
    then renames what the importing file knows, where that is imported itself.

    Example:
        >>> rename = namespace(("shared", "numbers"), {"digit": "d"}, None)
        >>> rename("digit"), rename("sign"), rename("_rest")
        ('d', 'shared__numbers__sign', '_shared__numbers__rest')
    """
    prefix = "__".join(path)

    def rename(name: str) -> str:
        if name in aliases:
            name = aliases[name]
        else:
            name = f"_{prefix}__{name[1:]}" if name.startswith("_") else f"{prefix}__{name}"
        return name if outer is None else outer(name)

    return rename


def rename_name(name: Name, rename: Rename | None) -> Name:
    """A name as the main file knows it."""
    return name if rename is None else Name(rename(name.text), name.span, name.spelling)


def rename_body(body: Options, rename: Rename | None) -> Options:
    """A body with all its names renamed, aliases of alternatives too, as lark does."""
    if rename is None:
        return body

    def row(written: Row) -> Row:
        items = tuple(map(item, written.items))
        alias = None if written.alias is None else rename_name(written.alias, rename)
        return Row(items, written.span, alias, written.alias_span)

    def item(written: Item) -> Item:
        match written:
            case Name():
                return rename_name(written, rename)
            case Options(rows):
                return Options(tuple(map(row, rows)), written.span)
            case Brackets(Options(rows)):
                return Brackets(Options(tuple(map(row, rows)), written.options.span), written.span)
            case Operated(inner):
                return replace(written, item=item(inner))
            case TemplateUse(name, arguments):
                return TemplateUse(rename_name(name, rename), tuple(map(item, arguments)), written.span)
            case Quoted() | Range():
                return written

    return Options(tuple(map(row, body.rows)), body.span)


def replace_names(body: Options, names: Mapping[str, str]) -> Options:
    """A body in which some names are others: what they were written as stays."""
    return rename_body(body, lambda name: names.get(name, name))
